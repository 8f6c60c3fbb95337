"""Gates: limits that a score has to keep, set by the user, checked once it is known.

Two gates, both on the pooled out-of-fold score, of which lower is better:

- `fail-above`: the score must not be above a number.
- `baseline`: the score must not be worse than that of an earlier run by more than a tolerance and
  noise. Noise is the bound that the paired difference, were there none in truth, stays below
  with 95 % confidence: the one-sided quantile of Student's t times the standard error, over the
  rows where the baseline is a run folder, over the folds where it is a file of scores (see
  `kaggleprice.runs.comparison`). Both need the same folds of the same rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.core.errors import DataError, GateError, MissingFileError, UsageError
from kaggleprice.runs import RECORD
from kaggleprice.runs.comparison import Difference, Scored, compare, folds_digest, paired_folds
from kaggleprice.runs.listing import find_listed
from kaggleprice.runs.records import parse_record, read_record

FAIL_ABOVE, BASELINE = "fail-above", "baseline"


@dataclass(frozen=True)
class Limits:
    """What the user demands of a score.

    Attributes:
        fail_above: the highest pooled score that passes; None for any.
        baseline: the score that must not be missed by much; None for none.
        tolerance: by how much it may be missed beyond noise, in the score's unit.
    """

    fail_above: float | None = None
    baseline: Scored | None = None
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: for a number that cannot be.
        """
        if self.fail_above is not None and not 0 < self.fail_above < math.inf:
            raise UsageError(
                f"--fail-above must be a number above 0, the highest score that passes; "
                f"found {self.fail_above:g}."
            )
        if not 0 <= self.tolerance < math.inf:
            raise UsageError(
                f"--tolerance must be a number of 0 or above; found {self.tolerance:g}."
            )
        if self.tolerance and self.baseline is None:
            raise UsageError("--tolerance says how far a baseline may be missed; give --baseline.")

    def check(
        self,
        competition: Competition,
        ids: NDArray[Any],
        fold_of_row: NDArray[np.int64],
        train_sha256: str,
    ) -> None:
        """Check, before training, that the score will be comparable with the baseline's.

        Args:
            competition: whose score it will be.
            ids: shape (n,), the training rows' ids.
            fold_of_row: shape (n,), the fold that validates each, counted from 0.
            train_sha256: of the training CSV.

        Raises:
            DataError: where competition, metric or training data are not the baseline's.
            UsageError: where the folds are not.
        """
        if self.baseline is None:
            return
        folds = folds_digest(ids, fold_of_row, competition.id_column)
        self._check_same(
            competition.name,
            competition.metric,
            train_sha256,
            folds,
            int(fold_of_row.max()) + 1,
        )

    def check_scored(self, scored: Scored) -> None:
        """Check that a score is comparable with the baseline's.

        Raises:
            DataError, UsageError: as `check`.
        """
        self._check_same(
            scored.competition,
            scored.metric,
            scored.train_sha256,
            scored.folds_sha256,
            len(scored.folds),
        )

    def _check_same(
        self,
        competition: str,
        metric: str,
        train_sha256: str | None,
        folds_sha256: str | None,
        k: int,
    ) -> None:
        baseline = self.baseline
        if baseline is None:
            return
        for what, now in [("competition", competition), ("metric", metric)]:
            then = getattr(baseline, what)
            if then != now:
                raise DataError(f"baseline {baseline.name} is of {what} {then}; expected {now}.")
        if _differ(baseline.train_sha256, train_sha256):
            raise DataError(
                f"baseline {baseline.name} was scored on other training data (SHA-256 "
                f"{str(baseline.train_sha256)[:8]} then, {str(train_sha256)[:8]} now); make a new "
                "baseline with `kaggleprice cv`."
            )
        if len(baseline.folds) != k:
            raise UsageError(
                f"baseline {baseline.name} has {len(baseline.folds)} folds, not {k}; a paired "
                f"comparison needs the same: give --k {len(baseline.folds)}."
            )
        if _differ(baseline.folds_sha256, folds_sha256):
            kept = "" if baseline.path is None else f" {baseline.path / 'folds.csv'}"
            raise UsageError(
                f"baseline {baseline.name} has other folds; a paired comparison needs the same: "
                f"give its --fold-seed and --shuffle, or --folds{kept}."
            )


@dataclass(frozen=True)
class Gate:
    """One limit and whether it was kept.

    Attributes:
        name: `fail-above` or `baseline`.
        limit: what passes at most.
        found: the pooled score; for `baseline`, how much worse it is (below 0: better).
        passed: whether `found` is not above `limit`.
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
    if limits.fail_above is not None:
        gates.append(_judge_score(limits.fail_above, scored.oof))
    if limits.baseline is not None:
        gates.append(_judge_difference(limits, limits.baseline, scored))
    return gates


def _judge_score(limit: float, score: float) -> Gate:
    passed = score <= limit
    side = "not above" if passed else "above"
    reason = f"pooled score {score:.6g} is {side} --fail-above {limit:g}."
    return Gate(FAIL_ABOVE, limit, score, passed, reason)


def _judge_difference(limits: Limits, baseline: Scored, scored: Scored) -> Gate:
    limits.check_scored(scored)
    paired = None
    if baseline.path is not None and scored.path is not None:
        paired = compare(baseline, scored).by_row
    if paired is None:
        paired = paired_folds(baseline.folds, scored.folds)
    noise, found = paired.bound(), scored.oof - baseline.oof
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
        BASELINE,
        limit,
        found,
        passed,
        f"{reason}.",
        paired,
        baseline.name,
        limits.tolerance,
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
    if path.is_dir() and (path / RECORD).is_file():
        scored = Scored.of_run(path, read_record(path))
    elif path.is_file():
        scored = _read_file(path)
    elif path.suffix == ".json":
        raise MissingFileError(f"baseline file {path} does not exist.")
    else:
        listed = find_listed(runs_dir, competition, text)
        scored = Scored.of_run(listed.path, listed.record or {})
    if scored.path is not None:
        # Read now: what is damaged is found before training, and a run may take its own place.
        _ = scored.predictions
    return scored


def _read_file(path: Path) -> Scored:
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(f"baseline file {path} cannot be read as JSON: {error}.") from None
    if isinstance(document, Mapping) and "digest" in document:
        record = parse_record(text, path)
        # Beside the run's other files it is the run; a copy is a score alone.
        whole = path.name == RECORD and (path.parent / "oof.csv").is_file()
        return Scored.of_run(path.parent if whole else None, record)
    return _read_document(document, path)


def _read_document(document: Any, path: Path) -> Scored:
    try:
        folds = tuple(_finite(fold["validation"]) for fold in document["folds"])
        scored = Scored(
            name=str(path),
            competition=document["competition"],
            metric=document["metric"],
            oof=_finite(document["scores"]["oof"]),
            folds=folds,
            folds_sha256=document.get("folds_sha256"),
            train_sha256=document.get("data", {}).get("train", {}).get("sha256"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"baseline file {path} is neither a run's {RECORD} nor what `cv --json` printed: "
            f"{error!r}."
        ) from None
    if len(folds) < 2:
        raise DataError(f"baseline file {path} has {len(folds)} fold scores; expected 2 or more.")
    return scored


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


def _differ(first: str | None, second: str | None) -> bool:
    """Tell whether two hashes are known to differ."""
    return first is not None and second is not None and first != second
