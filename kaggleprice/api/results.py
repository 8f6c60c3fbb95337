"""Results: what calls return, and how a notebook shows it."""

from __future__ import annotations

import html
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.folds import ROW
from kaggleprice.preprocessing.fitted import CategoricalState, FittedRecipe, NumericState
from kaggleprice.reports.wording import score
from kaggleprice.runs.run import Run
from kaggleprice.settings.run import flat_settings

if TYPE_CHECKING:
    from kaggleprice.reports.drift import Drift
    from kaggleprice.reports.importance import ColumnImportance
    from kaggleprice.reports.making import Report

_MOST_ROWS = 12


@dataclass(frozen=True, repr=False)
class ScoredRun:
    """A finished run, as a notebook shows it.

    Attributes:
        run: its folder and record.
    """

    run: Run

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path

    @property
    def score(self) -> float:
        """The score of all out-of-fold predictions pooled: the one to compare runs by."""
        return float(self.run.record["scores"]["oof"])

    @property
    def scores(self) -> pd.Series:
        """All scores of `kaggleprice.evaluation.scores.Scores`, and of several targets, by name."""
        scores = dict(self.run.record["scores"])
        return pd.Series({**scores.pop("targets", {}), **scores}, name=self.name, dtype=float)

    @property
    def folds(self) -> pd.DataFrame:
        """Train and validation score of each fold, counted from 1."""
        return pd.DataFrame(self.run.record["folds"]).set_index("fold")

    @property
    def members(self) -> pd.DataFrame:
        """Each network by itself: fold, seed, epochs, train and validation score."""
        return pd.DataFrame(self.run.record["members"])

    @property
    def oof(self) -> pd.DataFrame:
        """Each training row and fold that validates it: id, true, predicted, fold, row number."""
        column = self.run.record["columns"]["id_column"]
        # By place, since the id column may have the name of another one.
        frame = pd.read_csv(
            io.BytesIO(self.run.content("oof.csv")), dtype={0: str}, keep_default_na=False
        )
        # Earlier versions wrote no row numbers, nor are there others where they are the ids.
        weighted = [] if self.run.weight_column is None else ["weight"]
        named = [column, *_true_and_predicted(self.run.targets), "fold"]
        numbered = [ROW] if len(frame.columns) > len(named) + len(weighted) else []
        frame.columns = pd.Index([*named, *numbered, *weighted])
        ids = plain_ids(frame.iloc[:, 0].to_numpy(dtype=object), column)
        return pd.concat([pd.Series(ids, name=column), frame.iloc[:, 1:]], axis=1)

    @property
    def history(self) -> pd.DataFrame:
        """Each network over time: member, fold, seed, epoch, train and validation error."""
        return pd.read_csv(self.path / "history.csv")

    @property
    def settings(self) -> dict[str, Any]:
        """Every option and its value."""
        return flat_settings(self.run.settings)

    def _sentences(self) -> list[str]:
        record, scores = self.run.record, self.run.record["scores"]
        metric = METRICS[record["metric"]].help
        return [
            f"run {self.name} of {record['competition']}, {len(record['members'])} networks",
            f"pooled out-of-fold {metric}: {score(scores['oof'])}",
            f"mean of folds: {score(scores['fold_mean'])}"
            + ("" if scores["fold_sd"] is None else f" ± {score(scores['fold_sd'])}"),
            *record["notes"],
        ]

    def __repr__(self) -> str:
        folds = self.folds.to_string(float_format=score)
        return "\n".join([*self._sentences(), folds, f"saved in {self.path}"])

    def _repr_html_(self) -> str:
        sentences = "".join(f"<p>{html.escape(text)}</p>" for text in self._sentences())
        folds = self.folds.to_html(float_format=score)
        return f"{sentences}{folds}<p>saved in <code>{html.escape(str(self.path))}</code></p>"


@dataclass(frozen=True, repr=False)
class Preprocessed:
    """What became of a competition's columns.

    Attributes:
        fitted: the recipe and what it learned.
        features_in: number of feature columns of the CSVs.
        train: features of the training rows, float64, by id.
        test: those of the test rows.
        output, recipe_output: the files written, or None.
    """

    fitted: FittedRecipe
    features_in: int
    train: pd.DataFrame
    test: pd.DataFrame
    output: Path | None
    recipe_output: Path | None

    @property
    def columns(self) -> pd.DataFrame:
        """For each column, engineered ones included, its kind, missing values and features.

        Missing values are counted among the rows learned from.
        """
        states: dict[str, Sequence[NumericState | CategoricalState]] = {
            "numeric": self.fitted.numeric,
            "categorical": self.fitted.categorical,
        }
        counts = Counter(feature.column for feature in self.fitted.features)
        lines = [
            (state.name, kind, state.missing, counts[state.name])
            for kind, found in states.items()
            for state in found
        ]
        names = ["column", "kind", "missing", "features"]
        return pd.DataFrame(lines, columns=names).set_index("column")

    def _sentence(self) -> str:
        rows = f"{len(self.train)} training and {len(self.test)} test rows"
        return f"{self.features_in} columns became {self.train.shape[1]} features of {rows}"

    def __repr__(self) -> str:
        return f"{self._sentence()}\n{self.columns.to_string(max_rows=_MOST_ROWS)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._sentence()}</p>{self.columns.to_html(max_rows=_MOST_ROWS)}"


@dataclass(frozen=True, repr=False)
class ShownReport:
    """A report; a notebook shows its page below the cell.

    Attributes:
        report: what was found and written.
    """

    report: Report

    @property
    def page(self) -> Path:
        """The HTML file in the run folder."""
        return self.report.page

    @property
    def figures(self) -> dict[str, Path]:
        """Name of a figure, its PNG in the run folder."""
        return self.report.figures

    @property
    def importance(self) -> pd.DataFrame | None:
        """Each column's permutation importance, the largest first; None where not measured."""
        found = self.report.findings.importance
        return None if found is None else _by_column(found.columns)

    @property
    def drift(self) -> pd.DataFrame:
        """How far each column's values in training and test rows are apart, most first."""
        return _by_column(self.report.findings.drift)

    @property
    def errors(self) -> pd.DataFrame:
        """The largest errors by id, with the values of the most important columns."""
        lines = [asdict(error) for error in self.report.findings.errors]
        ids = plain_ids(np.array([line.pop("id") for line in lines], dtype=object), "id")
        return pd.DataFrame([line | line.pop("columns") for line in lines], index=ids)

    def __repr__(self) -> str:
        return f"report of run {self.report.findings.run.name} in {self.page}"

    def _repr_html_(self) -> str:
        page = html.escape(self.page.read_text(encoding="utf-8"))
        style = "width: 100%; height: 40em; border: 0"
        title = html.escape(repr(self))
        return f'<iframe title="{title}" sandbox style="{style}" srcdoc="{page}"></iframe>'


def _by_column(lines: Sequence[ColumnImportance] | Sequence[Drift]) -> pd.DataFrame:
    return pd.DataFrame([asdict(line) for line in lines]).set_index("column")


def _true_and_predicted(targets: Sequence[str]) -> list[str]:
    """Return the names of the columns of true and predicted values of one or several targets."""
    names = [""] if len(targets) == 1 else [f" {target}" for target in targets]
    return [f"{what}{name}" for name in names for what in ("true", "predicted")]


def plain_ids(ids: NDArray[Any], name: str) -> pd.Index:
    """Return ids, shape (n,), as whole numbers where their text says no more than these."""
    texts: pd.Index = pd.Index(ids, dtype=object, name=name)
    try:
        numbers = ids.astype(np.int64)
    except (ValueError, OverflowError):
        return texts
    exact = [str(number) for number in numbers] == list(ids)
    plain: pd.Index = pd.Index(numbers, name=name)
    return plain if exact else texts
