"""Views: each command's result as tables for a person and as a JSON document for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.competitions import Competition
from kaggleprice.console import SCHEMA_VERSION
from kaggleprice.measured import read_measurements
from kaggleprice.metrics import METRICS
from kaggleprice.preprocessing import Recipe
from kaggleprice.preprocessing.state import CategoricalState, NumericState
from kaggleprice.runs import Run
from kaggleprice.settings import PRESETS
from kaggleprice.workflow import Download, Prediction, Preprocessed

_FIRST_COLUMNS, _LAST_COLUMNS = 4, 3
# Validation error this many times training error reads as much overfitting, or as none.
_OVERFITS, _CLOSE = 2.5, 1.1


def _document(command: str, **content: Any) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "command": command, **content}


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def download_document(competition: Competition, downloads: Sequence[Download]) -> dict[str, Any]:
    """Describe downloaded files."""
    files = [
        {
            "role": d.file.role,
            "path": str(d.file.path),
            "bytes": d.file.bytes,
            "rows": d.rows,
            "columns": d.columns,
            "sha1": d.file.sha1,
            "sha256": d.file.sha256,
            "status": d.file.status,
            "verified": d.file.verified,
            "backup": None if d.file.backup is None else str(d.file.backup),
        }
        for d in downloads
    ]
    return _document("download", competition=competition.name, files=files)


def download_view(downloads: Sequence[Download]) -> Table:
    """Show downloaded files: file, bytes, rows x columns, hash, status."""
    table = _table("file", "bytes", "rows x columns", "SHA-256", "", right=("bytes",))
    for d in downloads:
        table.add_row(
            Text(str(d.file.path), overflow="fold"),
            f"{d.file.bytes:,}",
            f"{d.rows} x {d.columns}",
            d.file.sha256[:12] + ("" if d.file.verified else " (unverified)"),
            d.file.status,
        )
    return table


def preprocess_document(result: Preprocessed) -> dict[str, Any]:
    """Describe encoded features."""
    return _document(
        "preprocess",
        features_in=result.features_in,
        features_out=len(result.frame.columns),
        output=_path(result.output),
        recipe=_path(result.recipe_output),
        rows=len(result.frame),
        rows_fitted=result.fitted.rows,
        numeric=[asdict(c) for c in result.fitted.numeric],
        categorical=[asdict(c) for c in result.fitted.categorical],
    )


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


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
    table = _table("column", "kind", "missing", "what became of it", right=("missing",))
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
    table = _table(*first, *gap, *last, right=[*first, *last])
    for column in table.columns:
        column.overflow = "fold"
    for row in frame[[*first, *last]].head(head).to_numpy():
        cells = [f"{value:.4f}" for value in row]
        table.add_row(*cells[: len(first)], *gap, *cells[len(first) :])
    return table


def cv_document(run: Run) -> dict[str, Any]:
    """Describe a cross-validated run."""
    record = run.record
    return _document(
        "cv",
        competition=record["competition"],
        run=run.name,
        path=str(run.path),
        metric=record["metric"],
        scores=record["scores"],
        folds=record["folds"],
        members=len(record["members"]),
        partners=record["partners"],
        seconds=record["timing"]["seconds"],
        device=record["device"],
        threads=record["threads"],
        notes=record["notes"],
    )


def cv_view(run: Run) -> Group:
    """Show a cross-validated run: folds, mean, pooled score, one sentence, where it is."""
    record, scores = run.record, run.record["scores"]
    table = _table("fold", "train", "validation", right=("fold", "train", "validation"))
    for fold in record["folds"]:
        table.add_row(str(fold["fold"]), _score(fold["train"]), _score(fold["validation"]))
    table.add_section()
    table.add_row("mean", _score(scores["train_mean"]), _score(scores["fold_mean"]), style="bold")
    table.add_row("sd", "", _score(scores["fold_sd"]))
    folds, members = len(record["folds"]), len(record["members"])
    lines = [
        f"pooled out-of-fold {METRICS[record['metric']].help}: {_score(scores['oof'])}",
        f"mean of folds: {_score(scores['fold_mean'])} ± {_score(scores['fold_sd'])}",
        fit_sentence(scores["train_mean"], scores["fold_mean"]),
        *_partner_lines(record),
        *record["notes"],
        f"{members} members ({folds} folds x {members // folds}) trained together in "
        f"{record['timing']['seconds']:.1f} s on {record['device']} "
        f"({_threads(record['threads'])})",
        f"saved as run {run.name} in {run.path}",
    ]
    return Group(table, *[Text(line) for line in lines])


def _partner_lines(record: Mapping[str, Any]) -> list[str]:
    """Say what the networks and each partner score alone; nothing without partners."""
    if not record["partners"]:
        return []
    alone = [f"networks {_score(record['scores']['networks_oof'])}"]
    alone += [f"{partner['name']} {_score(partner['oof'])}" for partner in record["partners"]]
    share = record["settings"]["partner_share"]
    return [f"pooled score of each alone: {', '.join(alone)}; partners have {share:g} of the vote"]


def presets_document() -> dict[str, Any]:
    """Describe the presets, and what each was measured to do."""
    measured = read_measurements()
    found = {name: asdict(values) for name, values in measured.presets.items()}
    return _document(
        "presets",
        machine=measured.machine,
        presets=[
            {"name": name, "help": preset.help, "measured": found.get(name)}
            for name, preset in PRESETS.items()
        ],
    )


def presets_view() -> Group:
    """Show the presets, and what each was measured to do on House Prices."""
    measured = read_measurements()
    columns = ("networks", "mean of folds", "pooled", "seconds")
    table = _table("preset", *columns, right=columns)
    for name in PRESETS:
        found = measured.presets.get(name)
        cells = ["not measured", "", "", ""]
        if found is not None:
            scores = [_score(found.fold_mean), _score(found.oof)]
            cells = [str(found.networks), *scores, f"{found.seconds:g}"]
        table.add_row(name, *cells)
    lines = [f"{name}: {preset.help}" for name, preset in PRESETS.items()]
    lines.append(f"Measured on House Prices (RMSE between logs), {measured.machine}.")
    return Group(table, *[Text(line) for line in lines])


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"


def _score(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def fit_sentence(train: float, validation: float) -> str:
    """Say whether the networks over- or underfit, from mean training and validation scores."""
    ratio = validation / train if train > 0 else float("inf")
    found = f"Validation error is {ratio:.2f} times training error: "
    if ratio > _OVERFITS:
        return found + (
            "the members know their training rows far better than new ones, they overfit; more "
            "dropout or weight decay, a smaller network or fewer epochs may help."
        )
    if ratio < _CLOSE:
        return found + (
            "no overfitting; if the score is poor, the members underfit, and more epochs, another "
            "learning rate or a larger network may help."
        )
    return found + "some overfitting, as is usual for networks that predict well."


def predict_document(prediction: Prediction) -> dict[str, Any]:
    """Describe a submission."""
    record = prediction.run.record
    values = prediction.submission.iloc[:, 1]
    return _document(
        "predict",
        competition=record["competition"],
        run=prediction.run.name,
        submission=str(prediction.output),
        rows=len(prediction.submission),
        smallest=float(values.min()),
        median=float(values.median()),
        largest=float(values.max()),
        trained=prediction.trained is not None,
        scores=record["scores"],
        notes=record["notes"],
    )


def predict_view(prediction: Prediction, lines: int = 5) -> Group:
    """Show a submission: first lines, range, and the score to expect."""
    record, frame = prediction.run.record, prediction.submission
    id_column, target = list(frame.columns)
    table = _table(id_column, target, right=(id_column, target))
    for identity, value in frame.head(lines).itertuples(index=False):
        table.add_row(str(identity), f"{value:,.2f}")
    if len(frame) > lines:
        table.add_row("...", "...")
    values = frame[target]
    texts = [
        f"{len(frame)} rows written to {prediction.output}, {target} from {values.min():,.0f} "
        f"to {values.max():,.0f}, median {values.median():,.0f}",
        f"Score to expect: about {_score(record['scores']['oof'])} "
        f"({METRICS[record['metric']].help}, pooled out-of-fold, run {prediction.run.name}). "
        f"That is the score of one fold's members; the submission averages all "
        f"{len(record['folds'])} folds' and is usually better.",
        *record["notes"],
    ]
    return Group(table, *[Text(text) for text in texts])
