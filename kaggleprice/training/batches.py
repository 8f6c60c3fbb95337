"""Batches: encoded rows on the device, assembled into (M, B, D) features step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.preprocessing.encoding import EncodedRows, Encoding

# Where all folds' features of all rows take no more than this, they are kept as they are.
_KEPT_BYTES = 2**27


class DeviceRows:
    """One table of rows, shared by all members, and each member's way of reading it.

    The table is kept once: float32 numbers and small-integer category codes. A batch applies
    each member's shift and scale to its numbers and switches its one-hot features on. Where the
    table is small that is done once for each fold, and a batch is copied together from the result:
    the same numbers in a fifth of the time.
    """

    def __init__(
        self,
        encoding: Encoding,
        rows: EncodedRows,
        folds: Sequence[int],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Move rows to the device.

        Args:
            encoding: of F folds.
            rows: n rows, encoded by it.
            folds: shape (M,), each member's index into F.
            device: where batches are made.
            dtype: of the batches.
        """
        self._count, self.device, self._dense = len(rows), device, encoding.dense
        self._vectors = encoding.width - encoding.dense
        self._vector_columns = encoding.vector_columns
        self.width = encoding.row_width
        self._learned_count, self._numeric_count = encoding.learned_count, encoding.numeric_count
        self._dtype = dtype
        member = np.asarray(folds)

        def per_member(values: NDArray[np.float64]) -> Tensor:
            return torch.from_numpy(values[member][:, None, :]).to(device, dtype)

        self._learned = torch.from_numpy(rows.learned).to(device)
        self._numeric = torch.from_numpy(rows.numeric).to(device)
        self._own_numeric = len(rows.numeric) > 1
        self._fold = torch.from_numpy(member).to(device)[:, None]
        self._fill, self._scale = per_member(encoding.fill), per_member(encoding.scale)
        self._shift = per_member(encoding.shift)
        self._low, self._high = per_member(encoding.low), per_member(encoding.high)
        # The least of numbers of which one is NaN is NaN: no mask of all rows is made.
        self._has_missing = bool(np.isnan(rows.numeric.min(initial=0.0)))
        self._clips = bool(np.isfinite(encoding.low).any())
        self._missing = torch.from_numpy(rows.missing).to(device)
        first = self._learned_count + self._numeric_count
        indicators = encoding.active[:, first:][:, : rows.missing.shape[1]]
        self._indicated = per_member(indicators.astype(np.float64))
        self._codes = torch.from_numpy(rows.codes).to(device)
        self._offsets = torch.from_numpy(encoding.offsets).to(device)
        self._level_of_code = torch.from_numpy(encoding.level_of_code[member]).to(device)
        self._keep_features(folds)

    def _keep_features(self, folds: Sequence[int]) -> None:
        self._features: Tensor | None = None
        first = {fold: folds.index(fold) for fold in sorted(set(folds))}
        values = len(first) * len(self) * self.width
        if values * self._dtype.itemsize > _KEPT_BYTES:
            return
        everything = torch.arange(len(self), device=self.device)[None]
        parts = [self._assemble(everything, slice(m, m + 1))[0] for m in first.values()]
        self._features = torch.cat(parts)
        # Where each member's fold begins in it.
        place = {fold: i * len(self) for i, fold in enumerate(first)}
        self._begin = torch.tensor([place[fold] for fold in folds], device=self.device)[:, None]

    def __len__(self) -> int:
        return self._count

    def assemble(self, index: Tensor) -> Tensor:
        """Return the features of the rows that each member asks for.

        Where levels have vectors, these features come last, as one column for each categorical
        column: which of all of them it is, counted from 0, and how many there are for none.

        Shape:
            index: (M, B), int64 → (M, B, D), D as a network has it.
        """
        if self._features is None:
            return self._assemble(index, slice(None))
        chosen = self._features.index_select(0, (index + self._begin).flatten())
        return chosen.view(*index.shape, self.width)

    def assemble_for(self, member: int, index: Tensor) -> Tensor:
        """Return the features of rows as one member, an index into M, has them.

        Shape:
            index: (R,), int64 → (R, D).
        """
        return self._assemble(index[None], slice(member, member + 1))[0]

    def _assemble(self, index: Tensor, members: slice) -> Tensor:
        r, p, i = self._learned_count, self._numeric_count, self._indicated.shape[2]
        # One column more than there are features takes the codes that a member does not know.
        x = torch.zeros(*index.shape, self._dense + 1, dtype=self._dtype, device=self.device)
        if r:
            x[:, :, :r] = self._learned[self._fold[members], index]
        if p:
            x[:, :, r : r + p] = self._numbers(index, members)
        if i:
            x[:, :, r + p : r + p + i] = self._missing[index] * self._indicated[members]
        if self._codes.shape[1]:
            codes = (self._codes[index].long() + self._offsets).flatten(1)
            levels = self._level_of_code[members].gather(1, codes).view(*index.shape, -1)
            x.scatter_(2, levels.clamp(max=self._dense) if self._vectors else levels, 1.0)
            if self._vectors:
                # Numbers that a float32 holds exactly; none, or a one-hot one, is the last.
                codes = levels[:, :, self._vector_columns] - self._dense
                codes = torch.where(codes < 0, self._vectors, codes).to(self._dtype)
                return torch.cat([x[:, :, : self._dense], codes], dim=2)
        return x[:, :, : self._dense]

    def _numbers(self, index: Tensor, members: slice) -> Tensor:
        own = self._own_numeric
        rows = self._numeric[self._fold[members], index] if own else self._numeric[0][index]
        x = rows.to(self._dtype)
        if self._has_missing:
            x = torch.where(x.isnan(), self._fill[members], x)
        if self._clips:
            x = torch.clamp(x, self._low[members], self._high[members])
        return torch.addcmul(self._shift[members], x, self._scale[members])


def pad_rows(rows: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
    """Stack index arrays of unequal length into (len(rows), longest), the rest filled with 0."""
    padded = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64)
    for line, r in zip(padded, rows, strict=True):
        line[: len(r)] = r
    return padded


@dataclass(frozen=True)
class Batch:
    """One step: columns `start` to `stop` of the row order, and who has rows there.

    Attributes:
        used: shape (M, B, 1), whether a row is real; None where all are.
        idle: members without any row in this step.
    """

    start: int
    stop: int
    used: Tensor | None
    idle: tuple[int, ...]


def plan_epoch(counts: Sequence[int], batch_size: int) -> list[Batch]:
    """Lay out the steps of an epoch, the same in every epoch, for members of `counts` rows."""
    rows = np.array(counts)
    steps = []
    for start in range(0, int(rows.max()), batch_size):
        stop = min(start + batch_size, int(rows.max()))
        real = np.arange(start, stop)[None, :] < rows[:, None]
        used = None if real.all() else torch.from_numpy(real[:, :, None])
        idle = tuple(np.flatnonzero(~real.any(axis=1)).tolist())
        steps.append(Batch(start, stop, used, idle))
    return steps
