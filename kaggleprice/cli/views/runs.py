"""The runs: a list, one of them, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.views.tables import (
    document,
    groups_of,
    groups_text,
    make_table,
    score_text,
    threads_text,
)
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.describe import (
    changed_options,
    nearest_preset,
    setting_text,
    short_settings,
    typed_command,
)
from kaggleprice.runs.listing import latest
from kaggleprice.runs.pruning import Pruning
from kaggleprice.runs.run import FINISHED, Run, StoredFile
from kaggleprice.settings.run import flat_settings

_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_DAYS_IN_WORDS = 30


# The list.


def list_document(runs: Sequence[Run]) -> dict[str, Any]:
    """Describe all runs, best first."""
    return document("runs list", runs=[_listed_document(run) for run in runs])


def _listed_document(run: Run) -> dict[str, Any]:
    described: dict[str, Any] = {
        "competition": run.competition,
        "run": run.name,
        "path": str(run.path),
        "state": run.state,
        "problem": run.problem or None,
    }
    record = run.record
    preset, changed = nearest_preset(run.settings) if run.has_settings else (None, None)
    described |= {"members": run.members, "preset": preset, "changed": changed}
    if not record:
        return described | dict.fromkeys(("metric", "scores", "notes", "finished", "seconds"))
    return described | {
        "metric": record["metric"],
        "scores": record["scores"],
        "notes": record["notes"],
        "finished": run.finished,
        "seconds": record["timing"]["seconds"],
    }


def list_view(runs: Sequence[Run], now: datetime | None = None) -> Group:
    """Show all runs: one table for each competition, then what cannot be read or used."""
    if not runs:
        return Group(Text("no runs yet; `kaggleprice cv` makes one"))
    now = now or datetime.now(UTC)
    parts: list[Table | Text] = []
    for name in dict.fromkeys(run.competition for run in runs):
        own = [run for run in runs if run.competition == name]
        parts += _competition_parts(name, own, now)
    return Group(*parts)


def _competition_parts(name: str, runs: Sequence[Run], now: datetime) -> list[Table | Text]:
    finished = [run for run in runs if run.state == FINISHED]
    parts: list[Table | Text] = []
    if finished:
        metric = finished[0].metric
        parts.append(Text(f"{name}: {metric.help}, {metric.direction}", style="bold"))
    else:
        parts.append(Text(f"{name}: no finished run", style="bold"))
    notes = list(dict.fromkeys(note for run in finished for note in _notes(run)))
    described = [run for run in runs if run.has_settings]
    if described:
        parts.append(_list_table(described, notes, now))
    parts += [Text(f"[{number}] {note}") for number, note in enumerate(notes, start=1)]
    last = latest(finished)
    if last is not None and len(finished) > 1:
        parts.append(Text(f"latest: {last.name}, which `kaggleprice predict` uses"))
    for run in runs:
        if run.state != FINISHED:
            when = age_text(datetime.fromtimestamp(run.changed, UTC), now)
            parts.append(Text(f"{run.state}: {run.name}, {when}: {run.problem}"))
    parts.append(Text(""))
    return parts


def _notes(run: Run) -> list[str]:
    return list(run.record.get("notes", ()))


def _list_table(runs: Sequence[Run], notes: Sequence[str], now: datetime) -> Table:
    right = ("pooled", "folds' mean ± sd", "members")
    table = make_table("run", *right, "settings", "finished", right=right)
    # Numbers are never broken; names and settings may be, and are never cut.
    for column in (*table.columns[1:4], table.columns[-1]):
        column.no_wrap = True
    for column in (table.columns[0], table.columns[4]):
        column.overflow = "fold"
    for run in runs:
        members = "" if run.members is None else str(run.members)
        settings = short_settings(run.settings) if run.has_settings else ""
        table.add_row(
            Text(run.name), *_score_cells(run, notes), members, Text(settings), _when(run, now)
        )
    return table


def _score_cells(run: Run, notes: Sequence[str]) -> tuple[Text, str]:
    if not run.record:
        return Text(), ""
    scores = run.record["scores"]
    marks = "".join(f"[{notes.index(note) + 1}]" for note in _notes(run))
    return (
        Text(f"{score_text(scores['oof'])} {marks}".rstrip()),
        f"{score_text(scores['fold_mean'])} ± {score_text(scores['fold_sd'])}",
    )


def _when(run: Run, now: datetime) -> str:
    return age_text(datetime.fromisoformat(run.finished), now) if run.finished else run.state


def age_text(then: datetime, now: datetime) -> str:
    """Say how long ago something was: `5 min ago`, `3 h ago`, `12 d ago`, or the day."""
    seconds = (now - then).total_seconds()
    if seconds >= _DAYS_IN_WORDS * 86400:
        return then.astimezone(now.tzinfo).strftime("%Y-%m-%d")
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


# One run.


def show_document(run: Run, files: Sequence[StoredFile]) -> dict[str, Any]:
    """Describe a run."""
    record, settings = run.record, run.settings
    preset, changed = nearest_preset(settings)
    return document(
        "runs show",
        competition=record["competition"],
        run=run.name,
        path=str(run.path),
        metric=record["metric"],
        scores=record["scores"],
        folds=record["folds"],
        members=record["members"],
        partners=record["partners"],
        notes=record["notes"],
        preset=preset,
        changed=changed,
        settings=flat_settings(settings),
        data=record["data"],
        versions=record["versions"],
        device=record["device"],
        threads=record["threads"],
        groups=groups_of(record),
        finished=record["timing"]["finished"],
        seconds=record["timing"]["seconds"],
        files=[{"name": f.name, "bytes": f.size, "state": f.state} for f in files],
    )


def show_view(run: Run, files: Sequence[StoredFile], *, everything: bool = False) -> Group:
    """Show a run: scores, folds, members, settings, data, versions, files.

    Args:
        run: a finished one.
        files: in its folder.
        everything: whether settings that are as in the default preset are shown as well.
    """
    record = run.record
    scores = record["scores"]
    lines = [
        f"pooled out-of-fold {METRICS[record['metric']].help}: {score_text(scores['oof'])}",
        f"mean of folds: {score_text(scores['fold_mean'])} ± {score_text(scores['fold_sd'])}; "
        f"of their training rows: {score_text(scores['train_mean'])}",
        *_alone_lines(record),
        *record["notes"],
        f"finished {_moment(run.finished)} after {record['timing']['seconds']:.1f} s on "
        f"{record['device']} ({threads_text(record['threads'])}){groups_text(record)}",
    ]
    return Group(
        Text(f"run {run.name} of {record['competition']}, in {run.path}", style="bold"),
        *[Text(line) for line in lines],
        _members_table(record),
        *_settings_parts(run, everything),
        _data_table(record["data"]),
        Text("versions: " + ", ".join(f"{n} {v}" for n, v in record["versions"].items())),
        _files_table(files),
    )


def _moment(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")


def _alone_lines(record: Mapping[str, Any]) -> list[str]:
    alone = [f"{p['name']} {score_text(p['oof'])}" for p in record["partners"]]
    networks = f"networks {score_text(record['scores']['networks_oof'])}"
    return [f"pooled score of each alone: {', '.join([networks, *alone])}"] if alone else []


def _members_table(record: Mapping[str, Any]) -> Table:
    """Show each fold's score beside those of its members alone."""
    right = ("fold", "train", "validation", "members", "alone: mean", "sd", "best", "worst")
    table = make_table(*right, right=right)
    for fold in record["folds"]:
        alone = [m["validation"] for m in record["members"] if m["fold"] == fold["fold"]]
        table.add_row(
            str(fold["fold"]),
            score_text(fold["train"]),
            score_text(fold["validation"]),
            str(len(alone)),
            score_text(fmean(alone)),
            score_text(stdev(alone)) if len(alone) > 1 else "",
            score_text(min(alone)),
            score_text(max(alone)),
        )
    return table


def _settings_parts(run: Run, everything: bool) -> list[Table | Text]:
    command = typed_command(run.settings, run.competition)
    changed = changed_options(run.settings)
    shown = flat_settings(run.settings) if everything else changed
    parts: list[Table | Text] = [Text(f"settings: as `{command}`")]
    if not shown:
        return [*parts, Text("all of them are the default preset's")]
    table = make_table("setting", "value", *(["changed"] if everything else []))
    for name, value in shown.items():
        mark = ["yes" if name in changed else ""] if everything else []
        table.add_row(name, Text(setting_text(name, value)), *mark)
    return [*parts, table]


def _data_table(data: Mapping[str, Any]) -> Table:
    table = make_table("data", "file", "rows", "SHA-256", right=("rows",))
    for role, file in data.items():
        table.add_row(role, Text(file["name"]), str(file["rows"]), file["sha256"][:16])
    return table


def _files_table(files: Sequence[StoredFile]) -> Table:
    table = make_table("file", "bytes", "state", right=("bytes",))
    said = {"later": "written later", "missing": "MISSING", "altered": "ALTERED"}
    for file in files:
        table.add_row(Text(file.name), f"{file.size:,}", said.get(file.state, file.state))
    return table


# What went.


def prune_document(pruning: Pruning, removed: Sequence[Run], *, dry: bool) -> dict[str, Any]:
    """Describe what was removed, or would be."""
    return document(
        "runs prune",
        dry_run=dry,
        chosen=[_pruned(run) for run in pruning.remove],
        removed=[_pruned(run) for run in removed],
        spared=[{**_pruned(run), "reason": reason} for run, reason in pruning.spared],
    )


def _pruned(run: Run) -> dict[str, Any]:
    return {
        "competition": run.competition,
        "run": run.name,
        "path": str(run.path),
        "state": run.state,
        "oof": run.oof if run.record else None,
    }


def prune_view(pruning: Pruning, removed: Sequence[Run], *, dry: bool) -> Group:
    """Say what was removed, or would be."""
    if dry:
        lines = plan_lines(pruning) or ["nothing to remove"]
    else:
        many = f"{len(removed)} folder{'s' * (len(removed) != 1)}"
        lines = [f"removed {many}" if removed else "removed nothing", *spared_lines(pruning)]
    return Group(*[Text(line) for line in lines])


def plan_lines(pruning: Pruning) -> list[str]:
    """Say which folders would go, and which stay though they were meant."""
    lines = []
    for run in pruning.remove:
        what = f"pooled {score_text(run.oof)}" if run.state == FINISHED else run.state
        lines.append(f"to remove: {run.path} ({what})")
    return lines + spared_lines(pruning)


def spared_lines(pruning: Pruning) -> list[str]:
    """Say which folders stay though they were meant, and why."""
    return [f"stays: {run.path}: {reason}" for run, reason in pruning.spared]
