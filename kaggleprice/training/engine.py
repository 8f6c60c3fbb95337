"""The engine: one step, one pass and one prediction of members that are one batched network.

M members are one network with a leading member dimension. A member's random numbers, learning
rate schedule, gradient norm, early stopping and divergence are its own; a member that has no
rows in a step, or has stopped, takes no optimizer step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.core import large_arrays
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.training import LOSSES, Member
from kaggleprice.training.batches import Batch, DeviceRows, pad_rows, plan_epoch
from kaggleprice.training.parameters import BestWeights, MemberParameters
from kaggleprice.training.randomness import NoiseSource, Purpose, member_generator, row_order
from kaggleprice.training.task import TrainingResult, TrainingTask

RowNumbers = NDArray[np.integer]

# Values per chunk of features in a prediction: bounds memory, and depends on nothing that may
# differ between two predictions of the same members.
_CHUNK_VALUES = 2**20
# Training rows from which a network learns before training, at most.
_LEARNED_ROWS = 2**14
# A network with this many times the error of an output of 0 has diverged, though still finite.
_DIVERGED = 10.0


def predict_members(
    network: MemberNetwork,
    rows: DeviceRows,
    fit: TrainingResult,
    index: NDArray[np.int64] | None = None,
    between: Callable[[], object] | None = None,
) -> NDArray[np.float64]:
    """Predict the transformed target, in chunks of rows.

    Args:
        network: of M members.
        rows: the table.
        fit: says how outputs are scaled.
        index: shape (M, R), the row numbers that each member predicts; None for all n rows.
        between: called after each chunk.

    Returns:
        Shape (M, R) or (M, n), float64.
    """
    count = len(rows) if index is None else index.shape[1]
    made = large_arrays.empty((network.members, count), np.float64)
    for part, predicted in _predictions(network, rows, fit, index):
        made[:, part] = predicted
        if between is not None:
            between()
    return made


def chunk_rows(members: int, width: int) -> int:
    """Return how many rows of so many features a network predicts at a time.

    What it predicts of a row depends, in its last bits, on how many stand beside it.
    """
    return max(1, _CHUNK_VALUES // (members * width))


def _predictions(
    network: MemberNetwork,
    rows: DeviceRows,
    fit: TrainingResult,
    index: NDArray[np.int64] | None = None,
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Predict chunk by chunk: yield which columns of the result, and what stands in them."""
    network.eval()
    count = len(rows) if index is None else index.shape[1]
    chunk = chunk_rows(network.members, rows.width)
    for start in range(0, count, chunk):
        stop = min(start + chunk, count)
        if index is None:
            part = torch.arange(start, stop, device=rows.device).expand(network.members, -1)
        else:
            part = torch.from_numpy(index[:, start:stop]).to(rows.device)
        with torch.inference_mode():
            output = network(rows.assemble(part), None, None).double().cpu().numpy()
        yield slice(start, stop), output * fit.target_scale[:, None] + fit.target_center[:, None]


# What a fold's members do with a row.
_TRAINS, _VALIDATES = 1, 2


class Engine:
    """All members of a task trained together.

    Attributes:
        network: theirs, on a device; its parameters are changed in place.
        scales: a `TrainingResult` that says only how the target is scaled.
    """

    def __init__(
        self,
        task: TrainingTask,
        device: torch.device,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Lay out rows, batches, the network and the optimizer; nothing is trained yet.

        Args:
            task: of M members.
            device: where to train.
            check: called at every step; what it raises ends the training.
        """
        self.members, self.settings = task.members, task.settings.training
        self._each = [task.variant_of(member).training for member in self.members]
        self.base_seed, self._check = task.settings.seed, check
        # Each member's transformed target, of shape (n,).
        self.truths = [task.target_of(member) for member in self.members]
        self.rows, self.network = task.rows_on(device), task.network().to(device)
        self.train_rows, self.stop_rows = self._split_rows(task)
        self._learn()
        self._roles, self._fold = self._find_roles(task)
        counts = [len(rows) for rows in self.train_rows]
        self.parameters = MemberParameters(self.network, self._each, counts)
        self.weights = task.weights
        self.scales = self._scale_targets()
        self.target = self._scaled(task.dtype).to(device)
        self.row_weights = self._scaled_weights(task.dtype, device)
        self.loss = self._make_loss(task.dtype, device)
        self.batches = plan_epoch(counts, self.settings.rows_per_step)
        self.noise = NoiseSource(
            self.base_seed,
            self.members,
            self.settings.rows_per_step,
            self.network.noise_width,
            len(self.batches),
        )
        self.best = BestWeights(self.network) if self.settings.patience else None

    def _split_rows(self, task: TrainingTask) -> tuple[list[RowNumbers], list[RowNumbers]]:
        """Return each member's training rows and the rows that its early stopping watches."""
        # Members that leave out the same rows share one array of numbers, in half the bytes: of
        # many rows they take as much room as the tables.
        blocks, made = task.settings.inner_blocks, dict[tuple[int, int], tuple[RowNumbers, ...]]()
        keys = [(m.fold, 0 if blocks == 1 else m.seed) for m in self.members]
        for key, member in zip(keys, self.members, strict=True):
            if key not in made:
                made[key] = tuple(rows.astype(np.int32) for rows in task.inner_split(member))
        own = [made[key] for key in keys]
        if self.settings.patience is None:
            return [trained for trained, _ in own], []
        if self.settings.stop_on == "validation":
            watched: list[RowNumbers] = [task.folds[m.fold][1] for m in self.members]
            return [trained for trained, _ in own], watched
        splits: list[tuple[RowNumbers, ...]] = [
            (trained, rest) if len(rest) else self._inner_split(member, trained)
            for member, (trained, rest) in zip(self.members, own, strict=True)
        ]
        return [trained for trained, _ in splits], [rest for _, rest in splits]

    def _learn(self) -> None:
        """Let the network learn from training rows; of many rows from some at even distances."""
        for member, rows in enumerate(self.train_rows if self.network.learns else ()):
            few = rows[:: -(-len(rows) // _LEARNED_ROWS)]
            index = torch.from_numpy(few).long().to(self.rows.device)
            self.network.learn(member, self.rows.assemble_for(member, index))

    def _find_roles(self, task: TrainingTask) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Return what each fold does with each row, shape (F, n), and each member's fold in it."""
        folds, own = np.unique([member.fold for member in self.members], return_inverse=True)
        roles = np.zeros((len(folds), len(task.rows)), dtype=np.int8)
        for line, fold in zip(roles, folds, strict=True):
            train, validation = task.folds[fold]
            line[train], line[validation] = _TRAINS, _VALIDATES
        return roles, own

    def _inner_split(self, member: Member, rows: RowNumbers) -> tuple[RowNumbers, RowNumbers]:
        generator = member_generator(self.base_seed, member, Purpose.INNER_SPLIT)
        held = max(1, round(self.settings.stop_share * len(rows)))
        shuffled = generator.permutation(rows)
        return np.sort(shuffled[held:]), np.sort(shuffled[:held])

    def _scale_targets(self) -> TrainingResult:
        count = len(self.members)
        center, scale = np.zeros(count), np.ones(count)
        if self.settings.target_scale == "standard":
            for m, rows in enumerate(self.train_rows):
                own, weights = self.truths[m][rows], self._weights_of(rows)
                center[m] = np.average(own, weights=weights)
                constant = np.full(len(own), center[m])
                scale[m] = _rmse(own, constant, weights) if weights is not None else own.std()
                scale[m] = scale[m] or 1.0
        return TrainingResult(center, scale, np.full(count, self.settings.passes))

    def _weights_of(self, rows: RowNumbers) -> NDArray[np.float64] | None:
        """Return what rows count; None where all count the same, or none counts at all."""
        if self.weights is None or not self.weights[rows].any():
            return None
        return self.weights[rows]

    def _scaled_weights(self, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        """Return what each row counts for each member, shape (M, n), or None where all do alike.

        The mean over a member's training rows is 1.
        """
        if self.weights is None:
            return None
        made = torch.empty(len(self.members), len(self.weights), dtype=dtype)
        for line, rows in zip(made, self.train_rows, strict=True):
            line.copy_(torch.from_numpy(self.weights / (self.weights[rows].mean() or 1.0)))
        return made.to(device)

    def _make_loss(
        self, dtype: torch.dtype, device: torch.device
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the loss of outputs and targets, of shapes (M, B), row by row."""
        scale = torch.from_numpy(self.scales.target_scale).to(device, dtype)[:, None]
        parts = list[tuple[slice, Callable[..., Tensor]]]()
        first = 0
        for name, own in groupby(self._each, key=lambda settings: settings.loss or "mse"):
            span = slice(first, first + len(list(own)))
            loss: Callable[..., Tensor] = LOSSES[name].load()
            if LOSSES[name].of_logs:
                loss = partial(loss, scale=scale[span])
            parts.append((span, loss))
            first = span.stop
        return parts[0][1] if len(parts) == 1 else partial(_losses_of, parts)

    def _scaled(self, dtype: torch.dtype) -> Tensor:
        """Return the target as each member learns it, shape (M, n)."""
        made = torch.empty(len(self.members), len(self.truths[0]), dtype=dtype)
        scales = zip(self.scales.target_center, self.scales.target_scale, strict=True)
        for line, target, (center, scale) in zip(made, self.truths, scales, strict=True):
            line.copy_(torch.from_numpy((target - center) / scale))
        return made

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that later epochs depend on, by name, each of shape (M, ...).

        Parameters, the optimizer's state and the best weights. A member's part of it does not
        depend on the other members.
        """
        weights = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        best = {} if self.best is None else self.best.state_dict()
        return {**self.parameters.state_dict(), **weights, **best}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` returned; names that these members lack are left alone."""
        names = self.network.state_dict()
        self.network.load_state_dict({name: state[f"network.{name}"] for name in names})
        self.parameters.load_state_dict(state)
        if self.best is not None:
            self.best.load_state_dict(state)
            self.parameters.freeze(np.flatnonzero(~self.best.active))

    @property
    def active(self) -> int:
        """How many members are still training."""
        return len(self.members) if self.best is None else int(self.best.active.sum())

    def restore_best(self, epoch: int) -> NDArray[np.int64]:
        """Put each member's best weights in place, after the last epoch; return their epochs."""
        if self.best is None:
            return np.full(len(self.members), epoch)
        return self.best.restore(self.network)

    def train_epoch(self, epoch: int) -> NDArray[np.float64]:
        """Take every step of an epoch (counted from 1); return the summed losses, shape (M,)."""
        order = self._begin(epoch)
        total = torch.zeros(len(self.members), device=self.rows.device)
        for step, batch in enumerate(self.batches):
            self._check()
            self.parameters.set_rates(epoch - 1, step)
            noise = self.noise.step(self.rows.device)
            total += self._step(order, batch, noise)
        return total.double().cpu().numpy()

    def _begin(self, epoch: int) -> Tensor:
        """Return the order in which each member takes its rows in an epoch; shape (M, R)."""
        self.network.train()
        self.noise.start(epoch)
        longest = max(len(rows) for rows in self.train_rows)
        # In half the bytes of torch's indices, which are made of a step's rows only.
        order = np.zeros((len(self.members), longest), dtype=np.int32)
        for line, member, rows in zip(order, self.members, self.train_rows, strict=True):
            line[: len(rows)] = row_order(self.base_seed, member, epoch, rows, len(self.rows))
        self._label_noise = self._draw_label_noise(epoch, longest)
        return torch.from_numpy(order).to(self.rows.device)

    def _draw_label_noise(self, epoch: int, rows: int) -> Tensor | None:
        """Return what is added to the target of each row of an epoch, shape (M, R); None: nothing.

        A member's numbers do not depend on how many rows others have.
        """
        if not any(own.label_noise for own in self._each):
            return None
        noise = np.zeros((len(self.members), rows), dtype=np.float32)
        for line, member, own, trained in zip(
            noise, self.members, self._each, self.train_rows, strict=True
        ):
            if own.label_noise:
                generator = member_generator(self.base_seed, member, Purpose.LABEL_NOISE, epoch)
                drawn = generator.standard_normal(len(trained), np.float32)
                line[: len(trained)] = own.label_noise * drawn
        return torch.from_numpy(noise).to(self.rows.device, self.target.dtype)

    def time_step(self, seconds: float) -> float:
        """Train for about so many seconds; return the median of a step. The network is spoilt."""
        order, took = self._begin(1), list[float]()
        began = time.perf_counter()
        # The first steps allocate, and are not counted.
        while len(took) < 4 or time.perf_counter() - began < seconds:
            self._check()
            batch = self.batches[len(took) % len(self.batches)]
            if batch is self.batches[0]:
                self.noise.start(1)
            started = time.perf_counter()
            noise = self.noise.step(self.rows.device)
            # Reading the losses waits for the device.
            self._step(order, batch, noise).sum().item()
            took.append(time.perf_counter() - started)
        return float(np.median(took[2:]))

    def _step(self, order: Tensor, batch: Batch, noise: Tensor | None) -> Tensor:
        index = order[:, batch.start : batch.stop].long()
        used = None if batch.used is None else batch.used.to(self.rows.device, non_blocking=True)
        if noise is not None:
            noise = noise[:, : index.shape[1]]
        output = self.network(self.rows.assemble(index), noise, used)
        target = self.target.gather(1, index)
        if self._label_noise is not None:
            target = target + self._label_noise[:, batch.start : batch.stop]
        losses = self._losses(output, target)
        if self.row_weights is not None:
            losses = losses * self.row_weights.gather(1, index)
        # A row of padding counts nothing; a member's loss is the mean over its own rows.
        losses = losses.mean(dim=1) if used is None else _mean_over(losses, used[:, :, 0])
        self.parameters.step(losses.sum(), batch.idle)
        return losses.detach()

    def _losses(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, shape (M, B); of submodels the mean of their losses."""
        if output.dim() == 2:
            return self.loss(output, target)
        copies = output.shape[2]
        losses = self.loss(output.flatten(1), target.repeat_interleave(copies, dim=1))
        return losses.view(output.shape).mean(dim=2)

    def watch(self, epoch: int) -> None:
        """Score the rows of early stopping after an epoch: keep what is best, stop who is done.

        A score is the mean of the loss that is trained on.
        """
        if self.best is None or self.settings.patience is None:
            return
        index = pad_rows(self.stop_rows)
        predicted = predict_members(self.network, self.rows, self.scales, index, self._check)
        truth = np.stack([own[rows] for own, rows in zip(self.truths, index, strict=True)])
        output, target = (
            (values - self.scales.target_center[:, None]) / self.scales.target_scale[:, None]
            for values in (predicted, truth)
        )
        loss = self._make_loss(torch.float64, torch.device("cpu"))
        losses = loss(torch.from_numpy(output), torch.from_numpy(target)).numpy()
        scores = np.array(
            [
                np.average(line[: len(rows)], weights=self._weights_of(rows))
                for line, rows in zip(losses, self.stop_rows, strict=True)
            ]
        )
        self.best.update(self.network, epoch, scores, self.settings.patience)
        self.parameters.freeze(np.flatnonzero(~self.best.active))

    def errors(self) -> NDArray[np.float64]:
        """Return each member's RMSE on its training and on its validation rows, shape (2, M).

        Summed up chunk by chunk: predictions of many rows are as large as a tenth of the data.
        """
        sums, counts = np.zeros((2, 2, len(self.members)))
        for part, predicted in _predictions(self.network, self.rows, self.scales):
            self._check()
            square = np.square(predicted - np.stack([truth[part] for truth in self.truths]))
            if self.weights is not None:
                square *= self.weights[part]
            roles = self._roles[:, part][self._fold]
            for side, chosen in enumerate((roles == _TRAINS, roles == _VALIDATES)):
                counted = chosen if self.weights is None else chosen * self.weights[part]
                sums[side] += np.where(chosen, square, 0.0).sum(axis=1)
                counts[side] += counted.sum(axis=1)
        # Where nothing is held out there is no error of it.
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(sums / counts))

    def unlearned(self) -> list[int]:
        """Return members that are finite, but far worse than a network that says nothing."""
        worse = []
        for m, (rows, error) in enumerate(zip(self.train_rows, self.errors()[0], strict=True)):
            center = np.full(len(rows), self.scales.target_center[m])
            silent = _rmse(self.truths[m][rows], center, self._weights_of(rows))
            # Saying nothing is perfect where the target is constant; nothing else can be.
            if not error <= _DIVERGED * max(silent, 0.1 * self.scales.target_scale[m]):
                worse.append(m)
        return worse


def _losses_of(
    parts: Sequence[tuple[slice, Callable[..., Tensor]]], output: Tensor, target: Tensor
) -> Tensor:
    """Return the losses of members of unlike ones; shapes (M, B)."""
    return torch.cat([loss(output[span], target[span]) for span, loss in parts])


def _mean_over(values: Tensor, used: Tensor) -> Tensor:
    """Mean of each line, shape (M, B), over the rows that are real; 0 where none is."""
    return (values * used).sum(dim=1) / used.sum(dim=1).clamp(min=1)


def _rmse(
    truth: NDArray[np.float64],
    predicted: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> float:
    return float(np.sqrt(np.average(np.square(predicted - truth), weights=weights)))
