"""Run folders: `runs/<competition>/<name>/`, everything a run produced.

    run.json              every setting, version, data hash and score; hashes of the other files
    folds.csv             id, fold (counted from 1), row (its number in the training file)
    oof.csv               id, true, predicted, fold, row; in the target's own unit
    history.csv           member, fold, seed, epoch, train, validation
    weights.safetensors   every parameter, members first
    base_models.safetensors  what base models predict of training and test rows; only with them
    recipes/fold-K.json   the fitted recipe of each fold
    recipes/fold-K.safetensors  its long lists and tables of numbers; only where it has some
    leaderboard.json      what Kaggle says of its submission; only where that was sent

A folder is made under a temporary name and renamed when it is complete. Clock values stand only
under `timing` in run.json: the same command on the same machine writes the same bytes.
"""

from __future__ import annotations

import re
from pathlib import Path

from kaggleprice.competitions.catalog import Competition
from kaggleprice.core.errors import UsageError
from kaggleprice.settings.run import RunSettings

SCHEMA_VERSION = 3
RECORD, WEIGHTS, BASE_MODEL_PREDICTIONS = (
    "run.json",
    "weights.safetensors",
    "base_models.safetensors",
)
# A run that is being made: trained, or written.
UNFINISHED = ".unfinished-"
# In the folder of one that is trained: what is trained, as plain data.
IDENTITY = "identity.json"
# Likewise, once the run is written: its name, and the SHA-256 of its run.json.
WRITTEN = "written"
# What `runs prune` renames a folder to before it removes it.
PRUNED = ".pruned-"
FILES = (RECORD, WEIGHTS, BASE_MODEL_PREDICTIONS, "folds.csv", "oof.csv", "history.csv", "recipes")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def arrays_beside(recipe: str) -> str:
    """Return the name of the file with the arrays of a recipe's file."""
    return f"{recipe.removesuffix('.json')}.safetensors"


def is_name(name: str) -> bool:
    """Whether a run may have this name."""
    return _NAME.fullmatch(name) is not None


def new_name(runs_dir: Path, competition: Competition, settings: RunSettings) -> str:
    """Return a name that nothing in this competition's folder has: `mlp-001`, `mlp-002`, …."""
    parent, prefix = runs_dir / competition.name, f"{settings.model.model}-"
    # Some file systems take MLP-001 and mlp-001 for the same name.
    numbered = re.compile(re.escape(prefix) + "([0-9]+)", re.IGNORECASE)
    names = [path.name for path in parent.iterdir()] if parent.is_dir() else []
    taken = [int(found[1]) for found in map(numbered.fullmatch, names) if found]
    return f"{prefix}{max(taken, default=0) + 1:03d}"


def check_name(runs_dir: Path, competition: Competition, name: str) -> None:
    """Check, before long work, that a new run may have this name.

    Raises:
        UsageError: where it cannot be a folder's name, or a run has it already.
    """
    if not is_name(name):
        raise UsageError(
            f"run name {name!r} cannot be: expected letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, up to 200 of them."
        )
    if (runs_dir / competition.name / name).exists():
        raise UsageError(
            f"there is a run {name!r} in {runs_dir / competition.name} already; choose another "
            "name, or leave --run away for a new one."
        )


def run_folders(parent: Path) -> list[Path]:
    """Return the folders of a competition's runs, by name, damaged ones included."""
    if not parent.is_dir():
        return []
    folders = [p for p in parent.iterdir() if p.is_dir() and not p.name.startswith(".")]
    # A folder with none of a run's files is somebody's own; with some, it is a damaged run.
    return sorted(p for p in folders if _has_files(p))


def _has_files(folder: Path) -> bool:
    try:
        return any((folder / name).exists() for name in FILES)
    except PermissionError:  # what it holds nobody can say, and so it is told of as a damaged run
        return True
