"""Summary of preprocessed columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from annotated_doc import Doc
from rich.console import Group
from rich.table import Table

from kaggleprice.api.results import Preprocessed
from kaggleprice.cli.documents import COMMAND, Count, Document, Positive
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.preprocessing.fitted import CategoricalState, NumericState
from kaggleprice.settings.recipe import Recipe

_FIRST_COLUMNS, _LAST_COLUMNS = 4, 3


@dataclass(frozen=True, kw_only=True)
class PreprocessDocument(Document):
    """Encoded features."""

    undefined = ("numeric",)
    command: Annotated[Literal["preprocess"], COMMAND] = "preprocess"
    features_in: Annotated[Positive, Doc("Columns of the CSVs, without id and target.")]
    features_out: Annotated[Count, Doc("Features made of them.")]
    output: Annotated[Path | None, Doc("The file of features; null for none.")]
    recipe: Annotated[Path | None, Doc("The file of the fitted recipe; null for none.")]
    rows: Annotated[Positive, Doc("Rows: training, then test.")]
    rows_fitted: Annotated[Positive, Doc("Rows that the recipe learned from.")]
    numeric: Annotated[list[NumericState], Doc("What was learned of each numeric column.")]
    categorical: Annotated[list[CategoricalState], Doc("What was learned of each text column.")]


def preprocess_document(result: Preprocessed) -> PreprocessDocument:
    """Describe encoded features."""
    return PreprocessDocument(
        features_in=result.features_in,
        features_out=len(result.train.columns),
        output=result.output,
        recipe=result.recipe_output,
        rows=len(result.train) + len(result.test),
        rows_fitted=result.fitted.rows,
        numeric=list(result.fitted.numeric),
        categorical=list(result.fitted.categorical),
    )


def preprocess_view(document: PreprocessDocument, result: Preprocessed, head: int) -> Group:
    """Show what was done per column, or the first `head` rows of some features."""
    lines = [
        f"{document.features_in} columns -> {document.features_out} features, "
        f"learned from {document.rows_fitted} rows"
    ]
    if document.output is not None:
        lines.append(f"{document.rows} rows written to {document.output}")
        lines.append(f"fitted recipe written to {document.recipe}")
    return Group(_head_view(result, head) if head else _columns_view(result), *texts(*lines))


def _columns_view(result: Preprocessed) -> Table:
    recipe = result.fitted.recipe
    rows = [
        (state.name, kind, str(state.missing or ""), _describe(state, recipe))
        for kind, states in (
            ("numeric", result.fitted.numeric),
            ("categorical", result.fitted.categorical),
        )
        for state in states
    ]
    table = make_table(("column", "kind", "missing", "what became of it"), rows, ("missing",))
    table.columns[-1].overflow = "ellipsis"
    return table


def _describe(state: NumericState | CategoricalState, recipe: Recipe) -> str:
    if isinstance(state, NumericState):
        words = ["log1p"] if state.log else []
        if state.missing:
            filled = "nearest rows" if recipe.impute == "knn" else f"{state.fill:.4g}"
            words.append(f"missing -> {filled}" + (" + indicator" if state.indicator else ""))
        if state.low is not None and state.high is not None:
            words.append(f"clip {state.low:.4g} to {state.high:.4g}")
        center = {"standard": "mean", "robust": "median", "minmax": "least"}.get(recipe.scale)
        if center is not None:
            words.append(f"{center} {state.center:.4g}, scale {state.scale:.4g}")
        return ", ".join([*words, *(["ranks -> normal"] if recipe.scale == "quantile" else [])])
    names = [f.level or ("rare" if f.rare else "missing") for f in state.features]
    more = ", ..." if len(names) > _FIRST_COLUMNS else ""
    return f"{len(names)}: {', '.join(names[:_FIRST_COLUMNS])}{more}"


def _head_view(result: Preprocessed, head: int) -> Table:
    frame = pd.concat([result.train, result.test]).head(head)
    first, last = frame.columns[:_FIRST_COLUMNS], frame.columns[_FIRST_COLUMNS:][-_LAST_COLUMNS:]
    gap = ["..."] if len(frame.columns) > len(first) + len(last) else []
    rows = [
        [
            *(f"{value:.4f}" for value in row[: len(first)]),
            *gap,
            *(f"{value:.4f}" for value in row[len(first) :]),
        ]
        for row in frame[[*first, *last]].to_numpy()
    ]
    return make_table([*first, *gap, *last], rows, right={*first, *last})
