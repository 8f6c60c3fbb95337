"""Work: all that training a set of members needs, but a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.preprocessing.encoding import EncodedRows, Encoding
from kaggleprice.progress import SILENT, Progress
from kaggleprice.settings import RunSettings
from kaggleprice.training import Member
from kaggleprice.training.batches import DeviceRows
from kaggleprice.training.engine import Training
from kaggleprice.training.randomness import Purpose, member_generator

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Work:
    """What to train.

    Attributes:
        encoding: of F folds.
        rows: n rows, encoded by it.
        target: shape (n,), the transformed target.
        fold_of_row: shape (n,), the fold that validates each row.
        members: M of them.
        settings: everything else.
    """

    encoding: Encoding
    rows: EncodedRows
    target: NDArray[np.float64]
    fold_of_row: NDArray[np.int64]
    members: Sequence[Member]
    settings: RunSettings

    def of(self, span: slice) -> Work:
        """Return the work of some of the members."""
        return replace(self, members=self.members[span])

    def network(self) -> MemberNetwork:
        """Return the members' network as training begins with it, on the CPU."""
        return initialized_network(self.encoding, self.members, self.settings, CPU)

    def blank_network(self) -> MemberNetwork:
        """Return a network of the members on the CPU, whose weights are yet to be loaded."""
        return _build(self.encoding, self.members, self.settings)

    def rows_on(self, device: torch.device) -> DeviceRows:
        """Move the rows to a device."""
        folds = [member.fold for member in self.members]
        dtype: torch.dtype = getattr(torch, self.settings.training.dtype)
        return DeviceRows(self.encoding, self.rows, folds, device, dtype)

    def training(
        self, network: MemberNetwork, rows: DeviceRows, progress: Progress = SILENT
    ) -> Training:
        """Return what trains a network of the members, on the device of the rows."""
        return Training(
            network.to(rows.device),
            rows,
            self.target,
            self.members,
            self.fold_of_row,
            self.settings.training,
            self.settings.seed,
            progress,
        )


def initialized_network(
    encoding: Encoding, members: Sequence[Member], settings: RunSettings, device: torch.device
) -> MemberNetwork:
    """Return a network on the device, with every member's initial weights drawn.

    Args:
        encoding: of F folds.
        members: M of them.
        settings: the architecture, the precision and the seed.
        device: where the network is to be.
    """
    network = _build(encoding, members, settings)
    generators = [member_generator(settings.seed, m, Purpose.WEIGHTS) for m in members]
    network.initialize(generators, encoding.active[[m.fold for m in members]])
    return network.to(device)


def _build(encoding: Encoding, members: Sequence[Member], settings: RunSettings) -> MemberNetwork:
    dtype: torch.dtype = getattr(torch, settings.training.dtype)
    return build_network(settings.model, [m.seed for m in members], encoding.inputs, dtype)
