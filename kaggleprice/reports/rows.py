"""Out-of-fold rows: what was predicted of each training row by those that never saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.errors import RunFolderError
from kaggleprice.metrics.transforms import TargetTransform
from kaggleprice.runs.reading import Run
from kaggleprice.tables import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OutOfFold:
    """The n training rows in the file's order.

    Attributes:
        ids: shape (n,), the id column's text.
        true, predicted: shape (n,), float64, in the target's own unit.
        residual: shape (n,), predicted less true on the transformed scale: above 0 where the
            prediction is too high.
        fold_of_row: shape (n,), counted from 0.
    """

    ids: NDArray[Any]
    true: Floats
    predicted: Floats
    residual: Floats
    fold_of_row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def largest(self, count: int) -> NDArray[np.int64]:
        """Return the rows of the largest absolute residuals, largest first; shape (count,)."""
        return np.argsort(-np.abs(self.residual), kind="stable")[:count]


def read_out_of_fold(run: Run, table: Table, transform: TargetTransform) -> OutOfFold:
    """Read a run's oof.csv.

    Args:
        run: whose.
        table: the n training rows that it was trained on.
        transform: of the target.

    Raises:
        RunFolderError: where the file is absent or does not hold these rows.
    """
    path = run.path / "oof.csv"
    try:
        # As texts: older versions of pandas do not read back every bit of a number.
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        ids, *numbers = (frame.iloc[:, column].to_numpy(dtype=object) for column in range(4))
        true, predicted, fold = (column.astype(np.float64) for column in numbers)
    except (OSError, ValueError, IndexError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; train the run again.") from None
    if not np.array_equal(ids, table.ids):
        raise RunFolderError(f"{path} does not hold the training rows; train the run again.")
    return OutOfFold(
        ids=table.ids,
        true=true,
        predicted=predicted,
        residual=transform.forward(predicted) - transform.forward(true),
        fold_of_row=fold.astype(np.int64) - 1,
    )
