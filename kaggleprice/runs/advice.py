"""Advice: how a run does beside the best one before it, and what may be worth trying next."""

from __future__ import annotations

from dataclasses import dataclass

from kaggleprice.core.errors import RunFolderError
from kaggleprice.runs.comparison import Comparison, compare
from kaggleprice.runs.describe import nearest_preset, typed_options, typed_settings
from kaggleprice.runs.listing import list_runs
from kaggleprice.runs.run import FINISHED, Run

# What makes the folds: kept in the next run, so that the two can be compared.
_FOLDS = (
    *("k", "fold_scheme", "fold_column", "fold_gap", "hold_out", "repeats"),
    *("seed", "fold_seed"),
)


# What two runs must share for their scores to be of the same task.
_ALIKE = ("competition", "metric", "targets", "weight_column", "train_sha256", "folds_sha256")


@dataclass(frozen=True)
class Step:
    """Something to do next.

    Attributes:
        command: as it is typed.
        purpose: in a few words.
    """

    command: str
    purpose: str


def compare_with_best(run: Run) -> Comparison | None:
    """Compare a run with the best one of those before it: of the same data, metric and folds.

    On other folds, such as those of another scheme, a better score may be an easier task.

    Returns:
        None where there is none, or where its predictions cannot be read.
    """
    # Best first.
    for other in list_runs(run.path.parent.parent, run.path.parent.name):
        if other.state != FINISHED or other.path == run.path:
            continue
        alike = all(getattr(other, what) == getattr(run, what) for what in _ALIKE)
        if alike and other.finished < run.finished:
            try:
                return compare(other, run)
            except RunFolderError:  # its file of predictions is damaged; `runs` will say so
                return None
    return None


def after_training(run: Run, repeated: str = "", kinds: str = "") -> list[Step]:
    """Return what to do after a cross-validation.

    Args:
        run: the run that was made.
        repeated: options that say where its data and runs are, as they were typed.
        kinds: options that say what its columns are, likewise, for another run.
    """
    predict = "predict" if "test" in run.record["data"] else "predict --test FILE"
    return [_step(predict, repeated, "writes submission.csv"), _another(run, repeated, kinds)]


def after_download(repeated: str = "") -> list[Step]:
    """Return what to do with downloaded files; the argument as in `after_training`."""
    return [_step("cv", repeated, "trains, and says how good it is")]


def after_prediction(run: Run, repeated: str = "", kinds: str = "") -> list[Step]:
    """Return what to do after a prediction; arguments as in `after_training`."""
    return [_another(run, repeated, kinds)]


def send_step(repeated: str = "") -> Step:
    """Return how a submission is sent; the argument as in `after_training`."""
    return _step("submit -m TEXT", repeated, "sends it to Kaggle")


def _another(run: Run, repeated: str, kinds: str) -> Step:
    """Return the run that is most likely to score better; where that one is made, its report."""
    alike = f"{repeated} {kinds}".strip()
    settings = run.settings
    preset, changed = nearest_preset(settings)
    if run.record.get("cut_at") is not None:
        words = f"cv {typed_settings(settings)}".rstrip()
        return _step(words, alike, "the same, with all the time it needs")
    # Settings may be named after `fast` and be more than the default nevertheless.
    less = "seeds" not in changed and "epochs" not in changed
    if preset == "book" or (preset == "fast" and less):
        return _step("cv", alike, "the default: more networks, longer")
    if not settings.base_models:
        same_folds = typed_options({n: changed[n] for n in _FOLDS if n in changed})
        words = f"cv --preset best {same_folds}".rstrip()
        return _step(words, alike, "more networks, and other models")
    if "--train" in repeated:
        return _step(f"runs show {run.name}", "", "shows all of it")
    return _step("report", repeated, "shows where it errs, and why")


def _step(words: str, repeated: str, purpose: str) -> Step:
    return Step(f"kaggleprice {words} {repeated}".rstrip(), purpose)


def difference_text(comparison: Comparison) -> str:
    """Say in one sentence how a run does beside an earlier one; "" where no row is common.

    A difference of less than two standard errors is called none: noise makes as much in one
    case of twenty.
    """
    paired, name = comparison.by_row, comparison.first.name
    if paired is None:
        return ""
    size = f"{abs(paired.difference):.4f} ± {paired.standard_error:.4f}"
    if paired.difference == paired.standard_error == 0:
        return f"the same out-of-fold predictions as {name}, the best run before"
    if abs(paired.difference) < 2 * paired.standard_error:
        return f"no clear difference to {name}, the best run before: {size}"
    which = "worse" if paired.difference > 0 else "better"
    return f"{size} {which} than {name}, the best run before"
