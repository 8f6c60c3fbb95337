"""Feature files: an encoded table as CSV, NPZ or Parquet, and its fitted recipe beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.csv_writer import write_csv
from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import DataError, MissingFileError, UsageError
from kaggleprice.core.files import replacing
from kaggleprice.preprocessing.fitted import FittedRecipe

SPLIT_COLUMN = "split"


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    write_csv(frame, path)


def _write_npz(frame: pd.DataFrame, path: Path) -> None:
    id_column, split, *names = list(frame.columns)
    np.savez_compressed(
        path,
        ids=frame[id_column].to_numpy(dtype=str),
        split=frame[split].to_numpy(dtype=str),
        names=np.array(names, dtype=str),
        features=frame[names].to_numpy(dtype=np.float64),
    )


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    try:
        frame.to_parquet(path, index=False)
    except ImportError:
        raise UsageError(
            "writing .parquet needs pyarrow; install it with `pip install pyarrow`, "
            "or choose .csv or .npz."
        ) from None


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".npz": _write_npz,
    ".parquet": _write_parquet,
}


def check_suffix(path: Path) -> None:
    """Check, before any work, that features can be written to a file of this suffix.

    Raises:
        UsageError: for another suffix.
    """
    if path.suffix not in WRITERS:
        raise UsageError(
            f"--output {path}: expected a suffix of {', '.join(WRITERS)}, "
            f"found {path.suffix or 'none'!r}."
        )


def recipe_beside(path: Path) -> Path:
    """Return where the fitted recipe of a file of features is written."""
    return path.with_suffix(".recipe.json")


def write_features(
    competition: Competition,
    tables: Tables,
    fitted: FittedRecipe,
    features: pd.DataFrame,
    path: Path,
) -> Path:
    """Write features and the fitted recipe; return the recipe's path.

    Args:
        competition: for the id column's name.
        tables: training rows, then test rows.
        fitted: what made the features.
        features: shape (n_train + n_test, D), named columns.
        path: `.csv` and `.parquet` have the id, `split` ("train" or "test") and the features as
            columns; `.npz` has arrays `ids`, `split`, `names` and `features`.

    Raises:
        UsageError: for another suffix, or where pyarrow is needed and missing.
        OutputError: where a file cannot be written.
    """
    check_suffix(path)
    frame = pd.concat(
        [
            pd.DataFrame(
                {
                    competition.id_name: np.concatenate([tables.train.ids, tables.test.ids]),
                    SPLIT_COLUMN: ["train"] * len(tables.train) + ["test"] * len(tables.test),
                }
            ),
            features.set_axis(
                _unique([competition.id_name, SPLIT_COLUMN, *features.columns])[2:], axis=1
            ),
        ],
        axis=1,
    )
    recipe_path = recipe_beside(path)
    with replacing(path) as beside:
        WRITERS[path.suffix](frame, beside)
    with replacing(recipe_path) as beside:
        beside.write_text(fitted.to_json(), encoding="utf-8")
    return recipe_path


def read_recipe(path: Path) -> FittedRecipe:
    """Read a fitted recipe that `write_features` wrote.

    Raises:
        MissingFileError, DataError: where it is absent or not a fitted recipe.
    """
    try:
        return FittedRecipe.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"recipe file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"recipe file {path} cannot be read: {error}.") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _unique(names: list[str]) -> list[str]:
    """Number names that stand twice: column `a`, level `b_c` and column `a_b`, level `c`."""
    made: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}#{number}" for number in itertools.count(2))
        made[name if name not in made else next(n for n in numbered if n not in made)] = None
    return list(made)
