"""Gates: limits that a score has to keep, set by the user, checked once it is known.

Two gates, both on the pooled out-of-fold score; the metric says which scores are better:

- `fail-above`, `fail-below`: the score must not be worse than a number.
- `baseline`: the score must not be worse than that of an earlier run by more than a tolerance and
  noise. Noise is the bound that the paired difference, were there none in truth, stays below
  with 95 % confidence: the one-sided quantile of Student's t times the standard error, over the
  rows where the baseline is a run folder, over the folds where it is a file of scores (see
  `kaggleprice.runs.comparison`). Both need the same folds of the same rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import DataError, GateError, MissingFileError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.runs import RECORD
from kaggleprice.runs.comparison import (
    Difference,
    Scored,
    ScoreFile,
    compare,
    paired_folds,
    validation_ratio,
)
from kaggleprice.runs.listing import find_run
from kaggleprice.runs.record import parse_record
from kaggleprice.runs.run import Run

FAIL_ABOVE, FAIL_BELOW, BASELINE = "fail-above", "fail-below", "baseline"


@dataclass(frozen=True)
class Limits:
    """What the user demands of a score.

    Attributes:
        fail_above: the worst pooled score that passes, of a metric of which less is better; None
            for any.
        baseline: the score that must not be missed by much; None for none.
        tolerance: by how much it may be missed beyond noise, in the score's unit.
        fail_below: as `fail_above`, of a metric of which more is better.
    """

    fail_above: float | None = None
    baseline: Scored | None = None
    tolerance: float = 0.0
    fail_below: float | None = None

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: for a number that cannot be.
        """
        if self.fail_above is not None and not 0 < self.fail_above < math.inf:
            raise UsageError(
                f"--fail-above must be a number above 0, the worst score that passes; "
                f"found {self.fail_above:g}."
            )
        if self.fail_below is not None and not math.isfinite(self.fail_below):
            raise UsageError(f"--fail-below must be a number; found {self.fail_below:g}.")
        if not 0 <= self.tolerance < math.inf:
            raise UsageError(
                f"--tolerance must be a number of 0 or above; found {self.tolerance:g}."
            )
        if self.tolerance and self.baseline is None:
            raise UsageError("--tolerance says how far a baseline may be missed; give --baseline.")

    def check_direction(self, metric: str) -> None:
        """Check that the limit is on the side of which scores of a metric are worse.

        Raises:
            UsageError: where it is on the other one.
        """
        more = METRICS[metric].greater_is_better
        given, right = (FAIL_ABOVE, FAIL_BELOW) if more else (FAIL_BELOW, FAIL_ABOVE)
        if (self.fail_above if more else self.fail_below) is not None:
            raise UsageError(
                f"--{given} would fail the better scores: of {metric}, "
                f"{METRICS[metric].direction}; give --{right}."
            )

    def check_scored(self, scored: Scored) -> None:
        """Check that a score is comparable with the baseline's.

        Raises:
            DataError, UsageError: as `check`.
        """
        self.check(
            scored.competition,
            scored.metric.name,
            scored.train_sha256,
            scored.folds_sha256,
            len(scored.fold_scores),
        )

    def check(
        self,
        competition: str,
        metric: str,
        train_sha256: str | None,
        folds_sha256: str | None,
        k: int,
    ) -> None:
        """Check, before training, that the score will be comparable with the baseline's.

        Args:
            competition: its name.
            metric: its name.
            train_sha256: of the training CSV.
            folds_sha256: of the folds that the run will have.
            k: the number of folds.

        Raises:
            DataError: where competition, metric or training data are not the baseline's.
            UsageError: where the folds are not.
        """
        baseline = self.baseline
        if baseline is None:
            return
        for what, then, now in [
            ("competition", baseline.competition, competition),
            ("metric", baseline.metric.name, metric),
        ]:
            if then != now:
                raise DataError(f"baseline {baseline.name} is of {what} {then}; expected {now}.")
        if _differ(baseline.train_sha256, train_sha256):
            raise DataError(
                f"baseline {baseline.name} was scored on other training data (SHA-256 "
                f"{str(baseline.train_sha256)[:8]} then, {str(train_sha256)[:8]} now); make a new "
                "baseline with `kaggleprice cv`."
            )
        folds = len(baseline.fold_scores)
        if folds != k:
            raise UsageError(
                f"baseline {baseline.name} has {folds} folds, not {k}; a paired "
                f"comparison needs the same: give --k {folds}, or its --fold-scheme and --repeats."
            )
        if _differ(baseline.folds_sha256, folds_sha256):
            kept = f" {baseline.path / 'folds.csv'}" if isinstance(baseline, Run) else ""
            raise UsageError(
                f"baseline {baseline.name} has other folds; a paired comparison needs the same: "
                f"give its --fold-seed and --fold-scheme, or --folds{kept}."
            )


def _differ(first: str | None, second: str | None) -> bool:
    """Tell whether there are two hashes, and they differ."""
    return first is not None and second is not None and first != second


@dataclass(frozen=True)
class Gate:
    """One limit and whether it was kept.

    Attributes:
        name: `fail-above`, `fail-below` or `baseline`.
        limit: what passes at most.
        found: the pooled score; for `baseline`, how much worse it is (below 0: better).
        passed: whether `found` is not worse than `limit`.
        reason: one sentence.
        difference: for `baseline`, what noise was judged by.
        baseline: its name.
        tolerance: the part of the limit that is not noise.
    """

    name: str
    limit: float
    found: float
    passed: bool
    reason: str
    difference: Difference | None = None
    baseline: str | None = None
    tolerance: float | None = None


def judge(limits: Limits, scored: Scored) -> list[Gate]:
    """Hold a score against the limits.

    Raises:
        DataError, UsageError: where the baseline cannot be compared with it.
    """
    gates = []
    for name, limit in ((FAIL_ABOVE, limits.fail_above), (FAIL_BELOW, limits.fail_below)):
        if limit is not None:
            gates.append(_judge_score(name, limit, scored))
    if limits.baseline is not None:
        gates.append(_judge_difference(limits, limits.baseline, scored))
    return gates


def _judge_score(name: str, limit: float, scored: Scored) -> Gate:
    passed = scored.metric.worse_by(scored.oof, limit) <= 0
    side = "below" if scored.metric.greater_is_better else "above"
    found = f"{'not ' * passed}{side}"
    reason = f"pooled score {scored.oof:.6g} is {found} --{name} {limit:g}."
    return Gate(name, limit, scored.oof, passed, reason)


def _judge_difference(limits: Limits, baseline: Scored, scored: Scored) -> Gate:
    limits.check_scored(scored)
    paired = None
    if isinstance(baseline, Run) and isinstance(scored, Run):
        paired = compare(baseline, scored).by_row
    if paired is None:
        ratio = validation_ratio(scored) if isinstance(scored, Run) else None
        paired = paired_folds(scored.metric, baseline.fold_scores, scored.fold_scores, ratio)
    if paired is None:
        raise DataError(
            f"baseline {baseline.name} has one fold and no rows to pair; name its run folder, or "
            "one of several folds."
        )
    noise, found = paired.bound(), scored.metric.worse_by(scored.oof, baseline.oof)
    limit = limits.tolerance + noise
    passed = found <= limit
    reason = f"pooled score {scored.oof:.6g} is {_how_far(found)} {baseline.oof:.6g} of baseline "
    reason += baseline.name
    if found > 0:
        reason += (
            f", {'within' if passed else 'beyond'} --tolerance {limits.tolerance:g} and noise of "
            f"{noise:.3g} (paired over {paired.count} {paired.unit}s)"
        )
    return Gate(
        BASELINE, limit, found, passed, f"{reason}.", paired, baseline.name, limits.tolerance
    )


def _how_far(found: float) -> str:
    if found == 0:
        return "equal to"
    return f"{abs(found):.3g} {'worse' if found > 0 else 'better'} than"


def require(gates: Sequence[Gate]) -> None:
    """Demand that all gates were passed.

    Raises:
        GateError: where one was missed, with the reasons in one line.
    """
    missed = [gate.reason.removesuffix(".") for gate in gates if not gate.passed]
    if missed:
        raise GateError(f"{'; '.join(missed)}.")


def read_scored(text: str, runs_dir: Path, competition: str) -> Scored:
    """Return the score that `--baseline` names, or any other text of that kind.

    Args:
        text: a run's name, its folder, a run.json, or the document that `cv --json` printed.
        runs_dir: the folder of all runs.
        competition: the name of whose runs are meant.

    Raises:
        UnknownNameError: for a name that no run has.
        MissingFileError: for a file that is not there.
        DataError: for a file that is neither of these, or damaged.
    """
    path = Path(text)
    if path.is_file() and not (path.name == RECORD and (path.parent / "oof.csv").is_file()):
        return _read_file(path)
    if path.is_file():
        run = Run.read(path.parent)
    elif path.is_dir() and (path / RECORD).is_file():
        run = Run.read(path)
    elif path.suffix == ".json":
        raise MissingFileError(f"baseline file {path} does not exist.")
    else:
        run = find_run(runs_dir, competition, text)
    # Read now: what is damaged is found before training, and a run may take its own place.
    _ = run.predictions
    return run


def _read_file(path: Path) -> ScoreFile:
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"baseline file {path} cannot be read as JSON: {error}.") from None
    name = str(path)
    if isinstance(document, dict) and "digest" in document:
        # A run.json without its run.
        document = parse_record(text, path)
        name = document["run"]
        earlier = document["files"].get("folds.csv")
        document = {"folds_sha256": earlier, **document}
    try:
        found = ScoreFile(
            name=name,
            competition=str(document["competition"]),
            metric=look_up(METRICS, str(document["metric"]), "metric"),
            oof=_finite(document["scores"]["oof"]),
            fold_scores=tuple(_finite(fold["validation"]) for fold in document["folds"]),
            folds_sha256=document.get("folds_sha256"),
            train_sha256=document.get("data", {}).get("train", {}).get("sha256"),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
        raise DataError(
            f"baseline file {path} is neither a run's {RECORD} nor what `cv --json` printed: "
            f"{error!r}."
        ) from None
    if len(found.fold_scores) < 2:
        raise DataError(
            f"baseline file {path} has {len(found.fold_scores)} fold scores; expected 2 or more."
        )
    return found


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number
