"""The ensemble: trained members that predict together, and how their predictions combine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from kaggleprice.competitions.tables import engineer
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.errors import UsageError
from kaggleprice.evaluation.base_models import BaseModelPredictions
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.models.portfolio import build_portfolio, networks_of
from kaggleprice.preprocessing.encoding import EncodedRows, Encoding
from kaggleprice.settings.portfolio import Variant
from kaggleprice.settings.run import COMBINES
from kaggleprice.settings.training import Member
from kaggleprice.training.batches import DeviceRows
from kaggleprice.training.devices import place_network
from kaggleprice.training.engine import chunk_rows, predict_members
from kaggleprice.training.executors import Executor, Worker
from kaggleprice.training.task import TrainingResult

Floats = NDArray[np.float64]
Weights = Floats | None
# Rows that are worth sending to another machine, at least.
_PART_ROWS = 1 << 16


@dataclass(frozen=True)
class WeightedPredictions:
    """The predictions of n rows by networks and base models, and how much each counts.

    Attributes:
        members: V of them; a base model of a fold and target is a member of those as well, of a
            variant of its own.
        predictions: shape (V, n), float64, the transformed target.
        weights: shape (V,); None where all weigh the same.
    """

    members: Sequence[Member]
    predictions: Floats
    weights: Weights = None

    def with_base_models(self, predictions: Floats, weights: Floats) -> WeightedPredictions:
        """Put base models beside the networks, which have weights.

        Args:
            predictions: shape (P, K * T, n), of P base models fitted on each of K folds, for each
                of T targets.
            weights: shape (P, K * T), what they count.
        """
        count, each, rows = predictions.shape
        targets = self._targets
        first = 1 + max(member.variant for member in self.members)
        added = [
            Member(i // targets, 0, i % targets, first + p)
            for p in range(count)
            for i in range(each)
        ]
        own = np.ones(len(self.members)) if self.weights is None else self.weights
        return WeightedPredictions(
            [*self.members, *added],
            np.concatenate([self.predictions, predictions.reshape(count * each, rows)]),
            np.concatenate([own, weights.ravel()]),
        )

    def of(self, chosen: NDArray[np.bool_]) -> WeightedPredictions:
        """Return those of some members, given which, shape (V,)."""
        members = [self.members[i] for i in np.flatnonzero(chosen).tolist()]
        weights = None if self.weights is None else self.weights[chosen]
        return WeightedPredictions(members, self.predictions[chosen], weights)

    @property
    def _targets(self) -> int:
        return 1 + max(member.target for member in self.members)

    def combine(self, scale: TargetScale, how: str | None) -> Floats:
        """Combine all predictions; shape (n,) or (n, T), in the target's own unit."""
        combined = []
        for target in range(self._targets):
            own = np.array([member.target == target for member in self.members])
            members = [member for member in self.members if member.target == target]
            weights = None if self.weights is None else self.weights[own]
            combined.append(combine(self.predictions[own], scale.of(members), how, weights))
        values = combined[0] if len(combined) == 1 else np.column_stack(combined)
        return scale.keep_inside(values, [member.fold for member in self.members])

    def of_fold(self, fold: int, rows: NDArray[np.int64]) -> WeightedPredictions:
        """Return what the members of a fold predict of some rows, given their numbers."""
        own = np.array([member.fold == fold for member in self.members])
        weights = None if self.weights is None else self.weights[own]
        members = [member for member in self.members if member.fold == fold]
        return WeightedPredictions(members, self.predictions[np.ix_(own, rows)], weights)

    def of_new_rows(self, split: Folds) -> WeightedPredictions:
        """Return what predicts rows that were in no fold: see `Folds.predicting`."""
        return self.of(np.isin([member.fold for member in self.members], split.predicting))

    def out_of_fold(self, split: Folds, scale: TargetScale, how: str | None) -> Floats:
        """Combine, for each row and fold that validates it, the members of that fold.

        Args:
            split: the folds of the n rows.
            scale: of the target.
            how: as in `combine`.

        Returns:
            Shape (L,), or (L, T) of T targets, in the target's own unit, for each of
            `split.lines`.
        """
        lines = len(split.lines[0])
        oof = np.empty(lines if self._targets == 1 else (lines, self._targets))
        for fold, ((_, validation), places) in enumerate(zip(split, split.places, strict=True)):
            oof[places] = self.of_fold(fold, validation).combine(scale, how)
        return oof


def geometric(predictions: Floats, transform: TargetTransform, weights: Weights = None) -> Floats:
    """Mean of transformed predictions, shape (M, n), turned back to the target's unit, (n,).

    Raises:
        UsageError: where the target is not trained on as a log.
    """
    if not transform.logarithmic:
        raise UsageError(
            "combine 'geometric' needs a target that is trained on as a log; "
            "use 'arithmetic' or 'median'."
        )
    return transform.inverse(_mean(predictions, weights))


def arithmetic(predictions: Floats, transform: TargetTransform, weights: Weights = None) -> Floats:
    """Mean of predictions in the target's unit (d2l.ai 5.7); shapes (M, n) → (n,)."""
    return _mean(transform.inverse(predictions), weights)


def median(predictions: Floats, transform: TargetTransform, weights: Weights = None) -> Floats:
    """Median of predictions in the target's unit; shapes (M, n) → (n,).

    Raises:
        UsageError: where members weigh differently.
    """
    if weights is not None:
        raise UsageError(
            "combine 'median' lets all members count the same, and these do not; use 'geometric' "
            "or 'arithmetic', or train with `--combine median --base-models none`."
        )
    return np.asarray(np.median(transform.inverse(predictions), axis=0))


def _mean(values: Floats, weights: Weights) -> Floats:
    return np.asarray(np.average(values, axis=0, weights=weights))


def averages_logs(transform: TargetTransform, how: str | None) -> bool:
    """Whether `combine` takes means of logs."""
    return transform.logarithmic if how is None else how == "geometric"


def combine(
    predictions: Floats, transform: TargetTransform, how: str | None, weights: Weights = None
) -> Floats:
    """Combine members' transformed predictions.

    Args:
        predictions: shape (M, n), transformed target.
        transform: of the target.
        how: a name in `COMBINES`; None chooses by the transform.
        weights: shape (M,), of any sum above 0; None for the same for all.

    Returns:
        Shape (n,), in the target's own unit.
    """
    name = how or ("geometric" if averages_logs(transform, how) else "arithmetic")
    function: Callable[[Floats, TargetTransform, Weights], Floats] = COMBINES[name].load()
    # Too large a prediction becomes infinite here, and is reported where results are checked.
    with np.errstate(over="ignore"):
        return function(predictions, transform, weights)


def device_rows(
    encoding: Encoding, rows: EncodedRows, members: Sequence[Member], network: MemberNetwork
) -> DeviceRows:
    """Move n encoded rows to the network's device; on the CPU they are not copied."""
    parameter = next(network.parameters())
    folds = [member.fold for member in members]
    return DeviceRows(encoding, rows, folds, parameter.device, parameter.dtype)


@dataclass(frozen=True)
class Ensemble:
    """M trained members and all they need to predict new rows.

    Attributes:
        encoding: of F fitted recipes.
        network: the members' parameters.
        members: M of them; a member's fold is its index into the F recipes.
        fit: scales of the target, and the history.
        engineering: a name in `ENGINEERINGS`: the features that are added to rows first; or None.
        weights: shape (M,), what each counts; None where all count the same.
    """

    encoding: Encoding
    network: MemberNetwork
    members: Sequence[Member]
    fit: TrainingResult
    engineering: str | None = None
    weights: Weights = None

    def of_target(self, target: int, variants: Sequence[Variant]) -> Ensemble:
        """Return the members of one of several targets, counted from 0, as if it were the only one.

        Args:
            target: which one.
            variants: the architectures, by `Member.variant`.
        """
        chosen = [i for i, member in enumerate(self.members) if member.target == target]
        kept = [self.members[i] for i in chosen]
        fit = TrainingResult(
            self.fit.target_center[chosen], self.fit.target_scale[chosen], self.fit.epochs[chosen]
        )
        return replace(
            self,
            network=_gather([self], kept, variants),
            members=[replace(member, target=0) for member in kept],
            fit=fit,
            weights=None if self.weights is None else self.weights[chosen],
        )

    def predict(self, frame: pd.DataFrame, executor: Executor | None = None) -> Floats:
        """Predict the transformed target of n rows of a CSV's columns; shape (M, n), float64.

        Args:
            frame: the columns.
            executor: what predicts parts of many rows, to the same bytes; None for this process.

        Raises:
            DataError: where a column that the recipes need is missing.
        """
        parts = self.parts_of(len(frame)) if executor is not None else []
        if executor is not None and len(parts) > 1:
            return np.concatenate(executor.map(partial(_predict_part, self, frame), parts), axis=1)
        if self.engineering is not None:
            frame = engineer(frame, self.engineering)
        encoded = self.encoding.encode(frame)
        rows = device_rows(self.encoding, encoded, self.members, self.network)
        return predict_members(self.network, rows, self.fit)

    def parts_of(self, count: int) -> list[slice]:
        """Cut n rows into parts to be predicted apart: their chunks are those of the whole."""
        chunk = chunk_rows(len(self.members), self.encoding.row_width)
        size = -(-_PART_ROWS // chunk) * chunk
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def predict_beside(
        self,
        frame: pd.DataFrame,
        base_models: BaseModelPredictions | None = None,
        executor: Executor | None = None,
    ) -> WeightedPredictions:
        """Predict n rows as `predict` does, beside what base models predict of them.

        Args:
            frame: the columns of a CSV.
            base_models: whose `test` are these rows; None where there are none.
            executor: as for `predict`.
        """
        own = WeightedPredictions(self.members, self.predict(frame, executor), self.weights)
        if base_models is None:
            return own
        return own.with_base_models(base_models.test, base_models.weights)


def _predict_part(ensemble: Ensemble, frame: pd.DataFrame, worker: Worker, rows: slice) -> Floats:
    """Predict some of n rows on a worker's device."""
    place_network(ensemble.network, worker.device)
    return ensemble.predict(frame.iloc[rows])


def join(
    first: Ensemble, second: Ensemble, order: Sequence[Member], variants: Sequence[Variant]
) -> Ensemble:
    """Return the ensemble of the members of both, which have no weights yet.

    Args:
        first: of M1 members of a run, with their history.
        second: of M2 others under the same recipes; the result is on their device.
        order: all M1 + M2 of them, in the order of the result.
        variants: the architectures of both, by `Member.variant`.
    """
    parts = (first, second)
    place = {member: i for i, member in enumerate([*first.members, *second.members])}
    chosen, turn = [place[member] for member in order], {m: i for i, m in enumerate(order)}
    lines = [
        replace(line, member=turn[part.members[line.member]])
        for part in parts
        for line in part.fit.history
    ]
    of_members: dict[str, Any] = {
        name: np.concatenate([getattr(part.fit, name) for part in parts])[chosen]
        for name in ("target_center", "target_scale", "epochs")
    }
    history = sorted(lines, key=lambda line: (line.epoch, line.member))
    fit = replace(
        second.fit,
        history=history,
        groups=(*first.fit.groups, *second.fit.groups),
        groups_cut_at=(*first.fit.groups_cut_at, *second.fit.groups_cut_at),
        **of_members,
    )
    device = next(second.network.parameters()).device
    network = _gather(parts, order, variants).to(device)
    return replace(second, network=network, members=list(order), fit=fit, weights=None)


def _gather(
    parts: Sequence[Ensemble], members: Sequence[Member], variants: Sequence[Variant]
) -> MemberNetwork:
    """Return the network of some of the members of ensembles, on the device of the first."""
    first = next(parts[0].network.parameters())
    made = build_portfolio(variants, members, parts[0].encoding.inputs, first.dtype).to(
        first.device
    )
    for number, network in networks_of(made).items():
        own = [member for part in parts for member in part.members if member.variant == number]
        place = {member: i for i, member in enumerate(own)}
        chosen = [place[member] for member in members if member.variant == number]
        networks = [networks_of(part.network).get(number) for part in parts]
        states = [network.state_dict() for network in networks if network is not None]
        network.load_state_dict(
            {
                name: torch.cat([state[name].to(first.device) for state in states])[chosen]
                for name in states[0]
            }
        )
    return made
