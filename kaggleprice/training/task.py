"""What training starts from, a `TrainingTask`, and what it leaves, a `TrainingResult`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from kaggleprice.models.networks import MemberNetwork, build_batch
from kaggleprice.models.portfolio import build_portfolio
from kaggleprice.preprocessing.encoding import EncodedRows, Encoding
from kaggleprice.preprocessing.target_statistics import targets_of
from kaggleprice.settings.portfolio import Variant
from kaggleprice.settings.run import RunSettings
from kaggleprice.settings.training import Member
from kaggleprice.training.batches import DeviceRows
from kaggleprice.training.randomness import Purpose, member_generator


@dataclass(frozen=True)
class TrainingTask:
    """Members to train, and all that this needs but a device.

    Attributes:
        encoding: of F folds.
        rows: n rows, encoded by it.
        target: shape (n,), the transformed target; or (F * T, n), by fold, then target, where folds
            learn it differently or there are T targets.
        folds: F pairs of row numbers, int64: the rows that a fold's members train on, and those
            that they are validated on. Rows may be in neither; validation rows may be none.
        members: M of them; `member.fold` is an index into the F folds, `member.target` one into
            the T targets.
        settings: everything else.
        weights: shape (n,), float64, 0 or above: how much each row counts; None where all count
            the same. They count within a fold's training rows, whose mean weight is 1.
        relatives: shape (n,), rows of the same number stay together where some are left out; None
            where each row stands for itself.
        folds_apart: whether members of unlike folds are never one network: then the rounding of a
            fold's numbers does not depend on which settings the other folds train.
    """

    encoding: Encoding
    rows: EncodedRows
    target: NDArray[np.float64]
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
    members: Sequence[Member]
    settings: RunSettings
    weights: NDArray[np.float64] | None = None
    relatives: NDArray[np.int64] | None = None
    folds_apart: bool = False

    def of(self, span: slice) -> TrainingTask:
        """Return the task of some of the members, of one of `spans`, as if it were alone."""
        members = self.members[span]
        numbers = sorted({member.variant for member in members})
        return replace(
            self,
            members=[replace(member, variant=numbers.index(member.variant)) for member in members],
            settings=self.settings.of_variants(numbers),
        )

    @property
    def spans(self) -> list[slice]:
        """Where members stand that can be trained as one batched network."""
        batches = [variant.batch for variant in self.settings.variants]
        apart = self.folds_apart
        return _runs([(batches[m.variant], m.fold if apart else 0) for m in self.members])

    @property
    def variant_spans(self) -> list[slice]:
        """Where the members of each variant stand."""
        return _runs([member.variant for member in self.members])

    def variant_of(self, member: Member) -> Variant:
        """Return the settings that a member does not share with all others."""
        return self.settings.variants[member.variant]

    def inner_split(self, member: Member) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which of its fold's training rows a member trains on, and which it leaves out.

        With `settings.inner_blocks` they are cut into so many parts, the same for all members of a
        fold, of which the first random starts, `settings.scouts`, leave out one each. The later
        starts, and all without `inner_blocks`, leave out none.
        """
        rows, blocks = self.folds[member.fold][0], self.settings.inner_blocks
        if blocks == 1 or member.seed >= (self.settings.scouts or 0):
            return rows, rows[:0]
        first = Member(member.fold, 0)
        generator = member_generator(self.settings.seed, first, Purpose.INNER_BLOCKS)
        own = np.arange(len(rows))
        if self.relatives is not None:
            own = np.unique(self.relatives[rows], return_inverse=True)[1]
        block = np.empty(own.max() + 1, dtype=np.int64)
        blocks = min(blocks, len(block))
        if blocks < 2:
            return rows, rows[:0]
        block[generator.permutation(len(block))] = np.arange(len(block)) % blocks
        chosen = block[own] == member.seed % blocks
        return rows[~chosen], rows[chosen]

    def target_of(self, member: Member) -> NDArray[np.float64]:
        """Return what a member learns, the transformed target, shape (n,)."""
        own: NDArray[np.float64] = targets_of(self.target, member.fold, len(self.folds))[
            member.target
        ]
        return own

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the networks."""
        dtype: torch.dtype = getattr(torch, self.settings.training.dtype)
        return dtype

    def network(self) -> MemberNetwork:
        """Return the network of members of one batch as training begins with it, on the CPU."""
        models = [self.variant_of(member).model for member in self.members]
        starts = [member.seed for member in self.members]
        network = build_batch(models, starts, self.encoding.inputs, self.dtype)
        generators = [
            member_generator(self.settings.seed, member, Purpose.WEIGHTS) for member in self.members
        ]
        network.initialize(generators, self.encoding.active[[m.fold for m in self.members]])
        return network

    def blank_network(self) -> MemberNetwork:
        """Return a network of the members on the CPU, whose weights are yet to be loaded."""
        return build_portfolio(
            self.settings.variants, self.members, self.encoding.inputs, self.dtype
        )

    @property
    def parameters(self) -> int:
        """How many numbers all members learn together."""
        return sum(parameter.numel() for parameter in self.blank_network().parameters())

    def rows_on(self, device: torch.device) -> DeviceRows:
        """Move the rows to a device; on the CPU they are not copied."""
        folds = [member.fold for member in self.members]
        return DeviceRows(self.encoding, self.rows, folds, device, self.dtype)

    def step_operations(self) -> int:
        """Return the multiplications and additions of one member's step (a full batch)."""
        return self.settings.training.rows_per_step * self.of(slice(1)).blank_network().operations()


def _runs(keys: Sequence[object]) -> list[slice]:
    """Return where neighbours of the same key stand."""
    starts = [i for i, key in enumerate(keys) if not i or key != keys[i - 1]]
    return [slice(*ends) for ends in pairwise([*starts, len(keys)])]


@dataclass(frozen=True)
class HistoryLine:
    """One member after one epoch (counted from 1); RMSEs of the transformed target."""

    member: int
    epoch: int
    train: float
    validation: float


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves beside the weights.

    Attributes:
        target_center, target_scale: shape (M,), float64; a network's output times scale plus
            center is the transformed target.
        epochs: shape (M,), the epoch (counted from 1) whose weights each member has.
        history: by epoch, then member.
        resumed_from: the epoch after which a kept state was taken up; of several groups the
            smallest such epoch; None where all began at the beginning.
        groups: how many members were trained at once, group by group; empty where nobody knows.
        groups_cut_at: the epoch after which each group's training was ended early, as by a time
            limit; None where it was not.
    """

    target_center: NDArray[np.float64]
    target_scale: NDArray[np.float64]
    epochs: NDArray[np.int64]
    history: list[HistoryLine] = field(default_factory=list)
    resumed_from: int | None = None
    groups: tuple[int, ...] = ()
    groups_cut_at: tuple[int | None, ...] = ()

    @property
    def cut_at(self) -> int | None:
        """The epoch after which the first of the groups was ended early; None where none was."""
        return min((epoch for epoch in self.groups_cut_at if epoch is not None), default=None)
