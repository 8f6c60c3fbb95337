"""The runs: a list, one of them, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Document
from kaggleprice.cli.views.cv import (
    SCORES,
    RunDocument,
    fields_of,
    parts_table,
    scores_of,
    target_lines,
    trained_text,
)
from kaggleprice.cli.views.leaderboard import GAP, PUBLIC_SCORE, score_text
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.scores import MemberScore, Scores
from kaggleprice.reports.wording import score, signed
from kaggleprice.runs.describe import (
    changed_options,
    nearest_preset,
    setting_text,
    short_settings,
    typed_command,
)
from kaggleprice.runs.leaderboard import Leaderboard, gap, public_score, read_leaderboard
from kaggleprice.runs.listing import latest
from kaggleprice.runs.pruning import Pruning
from kaggleprice.runs.run import FINISHED, Run, StoredFile
from kaggleprice.settings.run import flat_settings

_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_DAYS_IN_WORDS = 30


# The list.


@dataclass(frozen=True)
class ListedRun:
    """A run. What is not known of it is null: of unfinished runs most, of unreadable ones all."""

    competition: documents.Competition
    run: documents.RunName
    path: documents.RunPath
    state: documents.State
    problem: Annotated[str | None, Doc("Why it is not finished; null where it is.")]
    members: Annotated[documents.Positive | None, Doc("Number of networks.")]
    preset: documents.NearestPreset | None
    changed: documents.Changed | None
    metric: documents.MetricName | None
    scores: Annotated[Scores | None, SCORES]
    leaderboard: Annotated[float | None, PUBLIC_SCORE]
    gap: Annotated[float | None, GAP]
    notes: documents.Notes | None
    finished: documents.Finished | None
    seconds: documents.Seconds | None


@dataclass(frozen=True, kw_only=True)
class RunsListDocument(Document):
    """All runs, by competition, best first."""

    command: Annotated[Literal["runs list"], COMMAND] = "runs list"
    runs: Annotated[list[ListedRun], Doc("One entry per run folder.")]


def list_document(runs: Sequence[Run]) -> RunsListDocument:
    """Describe all runs, best first."""
    return RunsListDocument(runs=[_listed_run(run) for run in runs])


def _listed_run(run: Run) -> ListedRun:
    record = run.record
    state: Any = run.state
    preset, changed = nearest_preset(run.settings) if run.has_settings else (None, None)
    leaderboard = public_score(run) if record else None
    return ListedRun(
        competition=run.competition,
        run=run.name,
        path=str(run.path),
        state=state,
        problem=run.problem or None,
        members=run.members,
        preset=preset,
        changed=changed,
        metric=record.get("metric"),
        scores=scores_of(run) if record else None,
        leaderboard=leaderboard,
        gap=gap(run, leaderboard),
        notes=record.get("notes"),
        finished=run.finished if record else None,
        seconds=record["timing"]["seconds"] if record else None,
    )


def list_view(runs: Sequence[Run], now: datetime | None = None) -> Group:
    """Show all runs: one table for each competition, then what cannot be read or used."""
    if not runs:
        return Group(*texts("no runs yet; `kaggleprice cv` makes one"))
    now = now or datetime.now(UTC)
    shown: list[Table | Text] = []
    for name in dict.fromkeys(run.competition for run in runs):
        own = [run for run in runs if run.competition == name]
        shown += _competition(name, own, now)
    return Group(*shown)


def _competition(name: str, runs: Sequence[Run], now: datetime) -> list[Table | Text]:
    finished = [run for run in runs if run.state == FINISHED]
    (shown,) = texts(f"{name}: no finished run")
    if finished:
        metrics = dict.fromkeys(run.metric.help + f", {run.metric.direction}" for run in finished)
        (shown,) = texts(f"{name}: {'; '.join(metrics)}")
    shown.stylize("bold")
    parts: list[Table | Text] = [shown]
    notes = list(dict.fromkeys(note for run in finished for note in _notes(run)))
    described = [run for run in runs if run.has_settings]
    if described:
        parts.append(_list_table(described, notes, now))
    parts += texts(*(f"[{number}] {note}" for number, note in enumerate(notes, start=1)))
    last = latest(finished)
    if last is not None and len(finished) > 1:
        parts += texts(f"latest: {last.name}, which `kaggleprice predict` uses")
    for run in runs:
        if run.state != FINISHED:
            when = age_text(datetime.fromtimestamp(run.changed, UTC), now)
            parts += texts(f"{run.state}: {run.name}, {when}: {run.problem}")
    return [*parts, Text("")]


def _notes(run: Run) -> list[str]:
    return list(run.record.get("notes", ()))


def _list_table(runs: Sequence[Run], notes: Sequence[str], now: datetime) -> Table:
    submitted = any(run.record and public_score(run) is not None for run in runs)
    several = len({run.scored_by for run in runs if run.record}) > 1
    right = (
        "pooled",
        "folds' mean ± sd",
        *(("leaderboard", "gap") if submitted else ()),
        "members",
    )
    rows = [
        (
            run.name,
            *((_scored_by(run),) if several else ()),
            *_score_cells(run, notes),
            *(_leaderboard_cells(run) if submitted else ()),
            "" if run.members is None else str(run.members),
            short_settings(run.settings),
            _when(run, now),
        )
        for run in runs
    ]
    left = ("run", "metric") if several else ("run",)
    table = make_table((*left, *right, "settings", "finished"), rows, right)
    # Numbers are never broken; names and settings may be, and are never cut.
    for column in (*table.columns[len(left) : len(left) + len(right)], table.columns[-1]):
        column.no_wrap = True
    return table


def _scored_by(run: Run) -> str:
    metric, *targets = run.scored_by or ("",)
    return f"{metric} of {len(targets)} targets" if len(targets) > 1 else metric


def _score_cells(run: Run, notes: Sequence[str]) -> tuple[str, str]:
    if not run.record:
        return "", ""
    scores = run.record["scores"]
    marks = "".join(f"[{notes.index(note) + 1}]" for note in _notes(run))
    return (
        f"{score(scores['oof'])} {marks}".rstrip(),
        score(scores["fold_mean"], scores["fold_sd"]),
    )


def _leaderboard_cells(run: Run) -> tuple[str, str]:
    found = public_score(run) if run.record else None
    return ("", "") if found is None else (score(found), signed(gap(run, found)))


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


@dataclass(frozen=True, kw_only=True)
class RunsShowDocument(RunDocument):
    """One run."""

    command: Annotated[Literal["runs show"], COMMAND] = "runs show"
    members: Annotated[list[MemberScore], Doc("One entry per network.")]
    preset: documents.NearestPreset
    changed: documents.Changed
    settings: Annotated[dict[str, Any], Doc("Every option and its value.")]
    versions: Annotated[dict[str, str], Doc("Library to version.")]
    finished: documents.Finished
    files: Annotated[list[StoredFile], Doc("Files of its folder.")]
    submitted: Annotated[
        Leaderboard | None, Doc("What Kaggle says of its submission; null where none was sent.")
    ]
    gap: Annotated[float | None, GAP]


def show_document(run: Run, files: Sequence[StoredFile]) -> RunsShowDocument:
    """Describe a run."""
    record, settings = run.record, run.settings
    preset, changed = nearest_preset(settings)
    submitted = read_leaderboard(run)
    return RunsShowDocument(
        **fields_of(run),
        members=[MemberScore(**member) for member in record["members"]],
        preset=preset,
        changed=changed,
        settings=flat_settings(settings),
        versions=record["versions"],
        finished=record["timing"]["finished"],
        files=list(files),
        submitted=submitted,
        gap=gap(run, None if submitted is None else submitted.public_score),
    )


def show_view(document: RunsShowDocument, run: Run, *, everything: bool = False) -> Group:
    """Show a run: scores, folds, members, settings, data, versions, files.

    Args:
        document: what to show.
        run: a finished one, whose settings are shown.
        everything: whether settings that are as in the default preset are shown as well.
    """
    scores = document.scores
    (title,) = texts(f"run {document.run} of {document.competition}, in {document.path}")
    title.stylize("bold")
    finished = datetime.fromisoformat(document.finished).astimezone()
    found = [
        f"pooled out-of-fold {METRICS[document.metric].help}: {score(scores.oof)}",
        *target_lines(scores),
        f"mean of folds: {score(scores.fold_mean, scores.fold_sd)}; "
        f"of their training rows: {score(scores.train_mean)}",
    ]
    rest = [
        *_submitted_lines(document),
        *document.notes,
        f"finished {finished:%Y-%m-%d %H:%M} after {trained_text(document)}",
    ]
    versions = ", ".join(f"{name} {version}" for name, version in document.versions.items())
    return Group(
        title,
        *texts(*found),
        *parts_table(document),
        *texts(*rest),
        _members_table(document),
        *_settings_parts(document, run, everything),
        _data_table(document.data),
        *texts(f"versions: {versions}"),
        _files_table(document.files),
    )


def _submitted_lines(document: RunsShowDocument) -> list[str]:
    sent = document.submitted
    if sent is None:
        return []
    what = f"submission {sent.ref} to {sent.kaggle}, {sent.message!r}: "
    if sent.public_score is not None:
        return [what + score_text(document.scores.oof, sent.public_score)]
    return [what + {"pending": "not scored yet", "error": "rejected"}.get(sent.status, "no score")]


def _members_table(document: RunsShowDocument) -> Table:
    """Show each fold's score beside those of its members alone."""
    columns = ("fold", "train", "validation", "members", "alone: mean", "sd", "best", "worst")
    rows = []
    for fold in document.folds:
        by_targets: dict[tuple[int, int], list[float]] = {}
        for member in document.members:
            if member.fold == fold.fold:
                own = by_targets.setdefault((member.variant, member.seed), [])
                own.append(member.validation)
        # As the fold's score, that of a setting's random start is the mean over its targets.
        alone = [fmean(scores) for scores in by_targets.values()]
        spread = [score(stdev(alone)) if len(alone) > 1 else ""]
        rows.append(
            (
                str(fold.fold),
                score(fold.train),
                score(fold.validation),
                str(len(alone)),
                score(fmean(alone)),
                *spread,
                *(score(f(alone, key=METRICS[document.metric].rank)) for f in (min, max)),
            )
        )
    return make_table(columns, rows, columns)


def _settings_parts(document: RunsShowDocument, run: Run, everything: bool) -> list[Table | Text]:
    parts: list[Table | Text] = [
        *texts(f"settings: as `{typed_command(run.settings, document.competition)}`")
    ]
    changed = changed_options(run.settings)
    shown = document.settings if everything else changed
    if not shown:
        return [*parts, *texts("all of them are the default preset's")]
    rows = [
        (name, setting_text(name, value), *(["yes" if name in changed else ""] * everything))
        for name, value in shown.items()
    ]
    return [*parts, make_table(("setting", "value", *(["changed"] * everything)), rows)]


def _data_table(data: Mapping[str, Any]) -> Table:
    rows = [
        (role, file["name"], str(file["rows"]), file["sha256"][:16]) for role, file in data.items()
    ]
    return make_table(("data", "file", "rows", "SHA-256"), rows, ("rows",))


def _files_table(files: Sequence[StoredFile]) -> Table:
    said = {"later": "written later", "missing": "MISSING", "altered": "ALTERED"}
    rows = [(file.name, f"{file.bytes:,}", said.get(file.state, file.state)) for file in files]
    return make_table(("file", "bytes", "state"), rows, ("bytes",))


# What went.


@dataclass(frozen=True)
class RunFolder:
    """A run folder."""

    competition: documents.Competition
    run: documents.RunName
    path: documents.RunPath
    state: documents.State
    oof: Annotated[float | None, Doc("Pooled score; null where there is none.")]


@dataclass(frozen=True)
class SparedFolder(RunFolder):
    """A run folder that stays."""

    reason: Annotated[str, Doc("Why it stays.")]


@dataclass(frozen=True, kw_only=True)
class RunsPruneDocument(Document):
    """What was removed, or would be."""

    command: Annotated[Literal["runs prune"], COMMAND] = "runs prune"
    dry_run: Annotated[bool, Doc("Whether nothing was removed because of `--dry-run`.")]
    chosen: Annotated[list[RunFolder], Doc("What was to be removed.")]
    removed: Annotated[list[RunFolder], Doc("What was removed.")]
    spared: Annotated[list[SparedFolder], Doc("What stays although it was meant.")]


def prune_document(pruning: Pruning, removed: Sequence[Run], *, dry: bool) -> RunsPruneDocument:
    """Describe what was removed, or would be."""
    return RunsPruneDocument(
        dry_run=dry,
        chosen=[_folder(run) for run in pruning.remove],
        removed=[_folder(run) for run in removed],
        spared=[SparedFolder(**vars(_folder(run)), reason=why) for run, why in pruning.spared],
    )


def _folder(run: Run) -> RunFolder:
    state: Any = run.state
    oof = run.oof if run.record else None
    return RunFolder(run.competition, run.name, str(run.path), state, oof)


def prune_view(document: RunsPruneDocument) -> Group:
    """Say what was removed, or would be."""
    if document.dry_run:
        lines = plan_lines(document) or ["nothing to remove"]
    else:
        count = len(document.removed)
        many = f"removed {count} folder{'s' * (count != 1)}" if count else "removed nothing"
        lines = [many, *_spared_lines(document)]
    return Group(*texts(*lines))


def plan_lines(document: RunsPruneDocument) -> list[str]:
    """Say which folders would go, and which stay though they were meant."""
    lines = [
        f"to remove: {run.path} ({run.state if run.oof is None else f'pooled {score(run.oof)}'})"
        for run in document.chosen
    ]
    return lines + _spared_lines(document)


def _spared_lines(document: RunsPruneDocument) -> list[str]:
    return [f"stays: {run.path}: {run.reason}" for run in document.spared]
