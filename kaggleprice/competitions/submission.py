"""Submissions: checked against the test ids, written whole, as Kaggle accepts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.csv_writer import write_csv
from kaggleprice.competitions.metrics import TARGET_TRANSFORMS
from kaggleprice.competitions.tables import Table
from kaggleprice.core.errors import DataError, RunError
from kaggleprice.core.files import replacing


def make_submission(
    competition: Competition, table: Table, predictions: NDArray[np.float64]
) -> pd.DataFrame:
    """Put predictions, shape (n,) or (n, T) of T targets, beside the ids of the test file's rows.

    Raises:
        RunError: where a prediction is not a number that the target could be.
    """
    check_predictions(competition, table, predictions)
    columns = predictions.reshape(len(table), -1).T
    names = competition.prediction_names
    return pd.DataFrame({competition.id_name: table.ids, **dict(zip(names, columns, strict=True))})


def check_predictions(
    competition: Competition, table: Table, predictions: NDArray[np.float64]
) -> None:
    """Check that predictions, shape (n,) or (n, T), can be submitted.

    Raises:
        RunError: where a prediction is not a number that the target could be.
    """
    usable = TARGET_TRANSFORMS[competition.target_transform].load().accepts(predictions)
    if not usable.all():
        place = tuple(np.argwhere(~usable)[0])
        raise RunError(
            f"{int((~usable).sum())} of {usable.size} predictions cannot be submitted: "
            f"{competition.id_name} {table.ids[place[0]]} got {predictions[place]}; "
            "train again with a smaller learning rate."
        )


def write_submission(
    submission: pd.DataFrame, competition: Competition, table: Table, path: Path
) -> None:
    """Write a submission and check the written file against the test ids before it is placed.

    Raises:
        OutputError: where it cannot be written.
        DataError: where the written file is not what was meant.
    """
    with replacing(path) as beside:
        write_csv(submission, beside)
        check_submission(beside, competition, table)


def write_intervals(
    submission: pd.DataFrame,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    path: Path,
) -> None:
    """Write a submission's rows with two more columns for each target, the ends of its intervals.

    Args:
        submission: n rows of id and predictions.
        low: shape (n,) or, of T targets, (n, T), as `high`.
        high: likewise.
        path: where to.

    Raises:
        OutputError: where it cannot be written.
    """
    names, ends = list(submission.columns), []
    for place, name in enumerate(names[1:]):
        for end, values in (("low", low), ("high", high)):
            ends.append(values.reshape(len(submission), -1)[:, place])
            names.append(f"{name}_{end}")
    # By place, since the id column may have any name.
    frame = pd.concat([submission, pd.DataFrame(dict(enumerate(ends)))], axis=1)
    frame = frame.set_axis(names, axis=1)
    with replacing(path) as beside:
        write_csv(frame, beside)


def check_submission(path: Path, competition: Competition, table: Table) -> None:
    """Check a file as Kaggle does: header, every test id once and in order, usable numbers.

    Raises:
        DataError: where something is off.
    """
    columns = [competition.id_name, *competition.prediction_names]
    try:
        written = pd.read_csv(path, dtype={competition.id_name: str}, keep_default_na=False)
    except ValueError as error:
        raise DataError(f"{path} cannot be read as CSV: {error}.") from None
    if list(written.columns) != columns:
        raise DataError(f"{path}: expected the header {columns}, found {list(written.columns)}.")
    if list(written[competition.id_name]) != list(table.ids):
        raise DataError(f"{path}: the ids are not those of the test file, in its order.")
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    for name in competition.prediction_names:
        values = pd.to_numeric(written[name], errors="coerce").to_numpy(dtype=np.float64)
        if not transform.accepts(values).all():
            raise DataError(f"{path}: {name} must be {transform.domain}.")
