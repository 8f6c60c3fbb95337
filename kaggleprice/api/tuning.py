"""Tuning: a search over settings, its honest score, and the preset that it found."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggleprice.api.workflow import split_rows
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.data import DatasetRef, load
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import DataError, RunError, UnknownNameError, UsageError
from kaggleprice.core.files import check_writable, replacing
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.cross_validation import prepare
from kaggleprice.evaluation.scoring import Scorer
from kaggleprice.evaluation.studies import Storage, load_optuna
from kaggleprice.evaluation.tuning import Search, SearchPlan
from kaggleprice.reports import require_matplotlib
from kaggleprice.reports.wording import score
from kaggleprice.runs.checkpoints import key_of
from kaggleprice.runs.exclusive import changing
from kaggleprice.runs.runtime import RuntimeConfig, check_start, identify
from kaggleprice.settings.declaration import read_record
from kaggleprice.settings.own_presets import check_preset_name, read_preset
from kaggleprice.settings.run import Preset, RunSettings
from kaggleprice.settings.search import SPACE, Space, check_space
from kaggleprice.training.devices import Compute

# Beside the runs of a competition.
FOLDER, STUDIES = "tuning", "studies.db"
# Proposals for each fold where nobody says how many; and with a time limit, which ends them.
_TRIALS, _ENDLESS = 48, 100_000


@dataclass(frozen=True)
class TuneRequest:
    """What is searched, how much, and what becomes of it.

    Attributes:
        name: of the preset that is found.
        space: what is searched.
        trials: proposals for each fold; None for 48, or as many as a time limit allows.
        population: how many of them are trained side by side, in a generation.
        storage: URL of a database for the studies, as SQLAlchemy takes it; None for a file beside
            the runs.
    """

    name: str = "tuned"
    space: Space = field(default_factory=lambda: SPACE)
    trials: int | None = None
    population: int = 16
    storage: str | None = None

    def __post_init__(self) -> None:
        """Check name, space and numbers.

        Raises:
            UsageError: where one cannot be.
        """
        check_preset_name(self.name)
        check_space(self.space)
        for flag, value in (("--trials", self.trials), ("--population", self.population)):
            if value is not None and value < 1:
                raise UsageError(f"{flag} must be 1 or more, found {value}.")


@dataclass(frozen=True)
class Winner:
    """A setting of the preset that was found.

    Attributes:
        name: of the setting.
        weight: its share, from 0 to 1, of the folds' ensembles; mean over folds and targets.
        folds: how many folds chose it.
        values: setting → value, and `start` → the setting of the portfolio that it starts from.
    """

    name: str
    weight: float
    folds: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Tuning:
    """A finished search; all scores are by the competition's metric.

    Attributes:
        competition, metric: their names.
        preset: its name.
        fold_mean, oof: the nested score: what the settings that each fold chose from its training
            rows score on its validation rows; mean of folds, and pooled.
        oof_error: standard error of `oof`; None where the metric has none.
        folds: the nested score of each fold.
        chosen_on: what the first networks of the chosen settings score on the rows that chose them.
        not_chosen_on: what the very same networks score on validation rows; the difference is what
            choosing and scoring on the same rows would have claimed in vain.
        untuned, tuned: what the first networks score out of fold, of the portfolio as it is and of
            the chosen settings; means of folds.
        trials: settings that were tried in each fold, beside the portfolio's own.
        complete: whether all that were asked for were tried in time.
        winners: the settings of the preset.
        studies: name of each fold's study in `storage`.
        storage: URL of the database.
        seconds: of the whole search.
    """

    competition: str
    metric: str
    preset: str
    fold_mean: float
    oof: float
    oof_error: float | None
    folds: list[float]
    chosen_on: float
    not_chosen_on: float
    untuned: float
    tuned: float
    trials: int
    complete: bool
    winners: list[Winner]
    studies: list[str]
    storage: str
    seconds: float

    @property
    def origin(self) -> str:
        """How the preset's settings were chosen, in words."""
        return f"{self.competition} (nested score {self.oof:.5g}, {self.metric})"

    def preset_table(self) -> dict[str, Any]:
        """Return the preset as a configuration has it."""
        return {"tuned": self.origin, "portfolio": {w.name: w.values for w in self.winners}}

    def as_preset(self) -> Preset:
        """Return the preset that was found."""
        return read_preset(self.preset, self.preset_table(), "this search")


def tune(
    source: DatasetRef,
    settings: RunSettings,
    changes: Mapping[str, Any],
    runtime: RuntimeConfig,
    request: TuneRequest,
    *,
    folds: Path | None = None,
    progress: Progress = SILENT,
) -> Tuning:
    """Search settings inside each fold, score the search, and return the preset that it found.

    The record of it is written beside the runs. An interrupted search goes on where it was left.

    Args:
        source: the data.
        settings: what is not searched, and the portfolio that proposals start from.
        changes: what the names of that portfolio mean.
        runtime: where; its time limit is that of the search.
        request: what is searched.
        folds: a CSV of folds to use instead of making them.
        progress: told what happens.

    Raises:
        UsageError: where Optuna is not installed, or settings do not fit a search.
        OutputError: where the storage or the record cannot be written.
        KagglePriceError: as `kaggleprice.api.workflow.cross_validate`.
    """
    competition = source.competition
    load_optuna()
    compute = check_start(competition, runtime, None)
    record = record_file(runtime, competition, request.name)
    check_writable(record)
    record.parent.mkdir(parents=True, exist_ok=True)
    # Two that make the tables of a database at once fail.
    with changing(record.parent / STUDIES, SILENT):
        opened = _open(request.storage, record.parent)
    before = _before(runtime, competition, request.name)
    with closing(opened) as storage:
        made = _tune(
            source, settings, changes, runtime, request, compute, storage, folds, before, progress
        )
    if made is not before:
        # A page of an earlier search would say something else.
        record.with_suffix(".html").unlink(missing_ok=True)
        with replacing(record) as beside:
            beside.write_text(json.dumps(asdict(made), indent=1) + "\n", encoding="utf-8")
    return made


def _tune(
    source: DatasetRef,
    settings: RunSettings,
    changes: Mapping[str, Any],
    runtime: RuntimeConfig,
    request: TuneRequest,
    compute: Compute,
    storage: Storage,
    folds: Path | None,
    before: Tuning | None,
    progress: Progress,
) -> Tuning:
    began, competition = time.monotonic(), source.competition
    data = load(replace(source, group_column=settings.fold_column), progress)
    split = split_rows(competition, data, settings, folds, None, progress)
    deadline = None if runtime.time_limit is None else began + runtime.time_limit
    trials = request.trials or (_TRIALS if deadline is None else _ENDLESS)
    identity = identify(competition, data, settings, split, compute) | {
        "command": "tune",
        "space": {name: asdict(own) for name, own in request.space.items()},
        "trials": trials,
        "population": request.population,
    }
    numbers = range(1, len(split) + 1)
    studies = [f"{competition.name} {request.name} {key_of(identity)} fold {k}" for k in numbers]
    if before is not None:
        if before.complete and (before.studies, before.storage) == (studies, storage.url):
            progress.notice(f"search {request.name} is finished already: nothing is trained")
            return before
        progress.notice(
            f"this replaces the search {request.name} of before (nested score {score(before.oof)})"
        )
    threads = f"{compute.threads} thread{'s' * (compute.threads != 1)}"
    progress.notice(f"training on {compute.name} with {threads}")
    progress.advance("preparing", 0, None, "recipes and networks")
    problem = prepare(competition, data.tables, split, settings, compute.devices)
    plan = SearchPlan(trials, request.population, deadline)
    search = Search(problem, settings, changes, request.space, plan)
    greater = search.metric.greater_is_better

    kept = runtime.runs_of(competition) / FOLDER / STUDIES

    def store() -> None:
        # Of two that make the same search one adds what the other has not.
        with changing(kept, SILENT):
            for name, fold in zip(studies, search.folds, strict=True):
                storage.keep(name, fold.study, greater_is_better=greater)

    # The search ends itself in time: its networks are trained as long as others.
    endless = replace(runtime, time_limit=None)
    with (
        endless.checkpoint(competition, identity, progress) as checkpoint,
        runtime.cluster(compute, progress) as cluster,
    ):
        keep, callbacks = checkpoint.keep_stage, checkpoint.callbacks
        found = search.run(keep, callbacks, progress, store, cluster)
    train = data.tables.train
    scorer = Scorer(
        competition, train.known_target, split, problem.scale, settings.combine, train.weights
    )
    oof, by_fold = scorer.of_lines(found.oof)
    if not np.isfinite([oof, *by_fold]).all():
        raise RunError(
            "the chosen settings predict what the metric cannot score; search fewer settings, or "
            "narrower ones, with --only or --space."
        )
    return Tuning(
        competition=competition.name,
        metric=competition.metric,
        preset=request.name,
        fold_mean=float(np.mean(by_fold)),
        oof=oof,
        oof_error=scorer.standard_error(found.oof),
        folds=by_fold,
        chosen_on=found.naive,
        not_chosen_on=found.nested,
        untuned=found.untuned,
        tuned=found.tuned,
        trials=found.trials,
        complete=found.complete,
        winners=[
            Winner(one.name, one.weight, one.folds, dict(one.values)) for one in found.winners
        ],
        studies=studies,
        storage=storage.url,
        seconds=time.monotonic() - began,
    )


def _before(runtime: RuntimeConfig, competition: Competition, name: str) -> Tuning | None:
    """Return the search of this name that there is; None where there is none to be read."""
    try:
        return read_tuning(runtime, competition, name)
    except (UnknownNameError, DataError):
        return None


def _open(url: str | None, folder: Path) -> Storage:
    if url is None:
        url = f"sqlite:///{(folder / STUDIES).absolute().as_posix()}"
    return Storage(url)


def record_file(runtime: RuntimeConfig, competition: Competition, name: str) -> Path:
    """Return where the record of a search lies."""
    return runtime.runs_of(competition) / FOLDER / f"{name}.json"


def read_tuning(runtime: RuntimeConfig, competition: Competition, name: str) -> Tuning:
    """Read the record of a finished search.

    Raises:
        UnknownNameError: where there is none of this name.
        DataError: where it cannot be read.
    """
    file = record_file(runtime, competition, name)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = [path.stem for path in file.parent.glob("*.json")]
        raise UnknownNameError(f"search of {competition.name}", name, names) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read: {error}.") from None
    return read_record(Tuning, content, DataError)


def write_page(made: Tuning, runtime: RuntimeConfig) -> Path:
    """Draw a finished search on a page beside its record; return where.

    Raises:
        UsageError: where matplotlib is missing, or the storage lacks a study.
        OutputError: where the storage cannot be read, or the page not be written.
    """
    require_matplotlib()
    from kaggleprice.reports.tuning import make_page

    metric = METRICS[made.metric]
    page = runtime.runs_dir / made.competition / FOLDER / f"{made.preset}.html"
    check_writable(page)
    lines = [
        f"{made.trials} settings were tried in each of {len(made.folds)} folds.",
        f"Nested score, of rows that chose no setting ({metric.help}): {score(made.oof)} pooled, "
        f"{score(made.fold_mean)} mean of folds.",
        f"The first networks alone: {score(made.untuned)} with the portfolio as it is, "
        f"{score(made.tuned)} tuned.",
    ]
    title = f"Search {made.preset}, {made.competition}"
    with closing(Storage(made.storage)) as storage:
        text = make_page(storage.studies(made.studies), metric, title, lines)
    with replacing(page) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
    return page
