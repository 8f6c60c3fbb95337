"""What became of columns."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.api.workflow import Preprocessed
from kaggleprice.cli.views.tables import document, make_table, path_text
from kaggleprice.preprocessing.fitted import CategoricalState, NumericState
from kaggleprice.settings.recipe import Recipe

_FIRST_COLUMNS, _LAST_COLUMNS = 4, 3


def preprocess_document(result: Preprocessed) -> dict[str, Any]:
    """Describe encoded features."""
    return document(
        "preprocess",
        features_in=result.features_in,
        features_out=len(result.frame.columns),
        output=path_text(result.output),
        recipe=path_text(result.recipe_output),
        rows=len(result.frame),
        rows_fitted=result.fitted.rows,
        numeric=[_plain(c) for c in result.fitted.numeric],
        categorical=[asdict(c) for c in result.fitted.categorical],
    )


def _plain(state: NumericState) -> dict[str, Any]:
    """Return a state as JSON has it, which knows no NaN: where neighbours decide, fill is null."""
    return {**asdict(state), "fill": None if math.isnan(state.fill) else state.fill}


def preprocess_view(result: Preprocessed, head: int) -> Group:
    """Show what was done per column, or the first `head` rows of some features."""
    fitted = result.fitted
    shown = _head_view(result, head) if head else _columns_view(result)
    lines = [
        f"{result.features_in} columns -> {len(result.frame.columns)} features, "
        f"learned from {fitted.rows} rows"
    ]
    if result.output is not None:
        lines.append(f"{len(result.frame)} rows written to {result.output}")
        lines.append(f"fitted recipe written to {result.recipe_output}")
    return Group(shown, *[Text(line) for line in lines])


def _columns_view(result: Preprocessed) -> Table:
    table = make_table("column", "kind", "missing", "what became of it", right=("missing",))
    states: list[NumericState | CategoricalState] = [*result.fitted.numeric]
    states += result.fitted.categorical
    recipe = result.fitted.recipe
    for state in states:
        kind = "numeric" if isinstance(state, NumericState) else "categorical"
        missing = str(state.missing) if state.missing else ""
        table.add_row(
            state.name,
            kind,
            missing,
            Text(_describe(state, recipe), overflow="ellipsis"),
        )
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
    frame = result.frame
    first, last = frame.columns[:_FIRST_COLUMNS], frame.columns[_FIRST_COLUMNS:][-_LAST_COLUMNS:]
    between = len(frame.columns) - len(first) - len(last)
    gap = ["..."] if between else []
    table = make_table(*first, *gap, *last, right=[*first, *last])
    for column in table.columns:
        column.overflow = "fold"
    for row in frame[[*first, *last]].head(head).to_numpy():
        cells = [f"{value:.4f}" for value in row]
        table.add_row(*cells[: len(first)], *gap, *cells[len(first) :])
    return table
