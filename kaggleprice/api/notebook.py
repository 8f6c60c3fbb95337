"""The calls of a notebook: each command as a function, with the options as keywords.

    import kaggleprice

    run = kaggleprice.cross_validate("house-prices", k=5, lr=0.01)
    submission = kaggleprice.predict("house-prices")

Data and runs lie where the commands have them: in the folders `data` and `runs`, or where
`KAGGLEPRICE_DATA_DIR` and `KAGGLEPRICE_RUNS_DIR` say.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kaggleprice.api import kaggle, prediction, workflow
from kaggleprice.api.results import Preprocessed, ScoredRun, ShownReport, plain_ids
from kaggleprice.competitions.catalog import DEFAULT_COMPETITION, Competition, get_competition
from kaggleprice.competitions.data import DatasetRef
from kaggleprice.competitions.download import FetchSettings
from kaggleprice.core.errors import UsageError
from kaggleprice.core.progress import SILENT, Lines, Progress
from kaggleprice.core.registry import look_up
from kaggleprice.reports import DEFAULT_COLUMNS, DEFAULT_REPEATS
from kaggleprice.runs.leaderboard import gap
from kaggleprice.runs.runtime import RuntimeConfig, read_duration
from kaggleprice.settings.ineffective import ineffective_options
from kaggleprice.settings.run import DEFAULT_PRESET, SETTINGS, flat_settings, make_settings
from kaggleprice.training.devices import taking_threads

_RECIPE = tuple(name for name, setting in SETTINGS.items() if setting.panel == "Recipe")


def download(
    competition: str | Path | Competition = DEFAULT_COMPETITION,
    *,
    from_path: str | Path | None = None,
    max_size: int = 10,
    allow_http: bool = False,
    data_dir: str | Path | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """Make sure that a competition's CSVs are in the data folder, verified.

    The other calls do so as well: this one is for files that you have, and to see what there is.

    Args:
        competition: a name, or a `.toml` file that describes one.
        from_path: a folder or zip of the files, instead of the mirrors.
        max_size: GB; larger files are refused.
        allow_http: whether files without a recorded hash may come by plain http.
        data_dir: the data folder; None for `KAGGLEPRICE_DATA_DIR`, otherwise `data`.
        quiet: whether to say nothing on stderr.

    Returns:
        One line per file: role, path, rows, columns, sha256.

    Raises:
        KagglePriceError: as `kaggleprice.api.workflow.download`.
    """
    source = _source(competition, data_dir, verify=True)
    settings = FetchSettings(max_bytes=max_size * 10**9, allow_http=allow_http)
    found = workflow.download(source, _path(from_path), _progress(quiet), settings)
    names = ["role", "path", "rows", "columns", "sha256"]
    table = pd.DataFrame([vars(file) for file in found])[names]
    return table.astype({"path": str}).set_index("role")


def preprocess(
    competition: str | Path | Competition = DEFAULT_COMPETITION,
    *,
    output: str | Path | None = None,
    apply: str | Path | None = None,
    data_dir: str | Path | None = None,
    verify: bool = True,
    quiet: bool = False,
    **options: Any,
) -> Preprocessed:
    """Turn a competition's columns into features.

    Args:
        competition: a name, or a `.toml` file that describes one.
        output: a `.csv`, `.npz` or `.parquet` file to write; the fitted recipe goes beside it.
        apply: a fitted recipe's JSON to apply instead of fitting one.
        data_dir: the data folder; None for `KAGGLEPRICE_DATA_DIR`, otherwise `data`.
        verify: whether files must have their recorded hashes.
        quiet: whether to say nothing on stderr.
        **options: `recipe` and its settings, as in `kaggleprice preprocess --help`.

    Raises:
        UsageError: for an unknown option, or options beside `apply`.
        KagglePriceError: as `kaggleprice.api.workflow.preprocess`.
    """
    _check_names(options, preprocess, _RECIPE)
    if apply is not None and options:
        raise UsageError(
            f"apply takes a fitted recipe as it is; leave {next(iter(options))} away, or fit a "
            "new recipe without apply."
        )
    return workflow.preprocess(
        _source(competition, data_dir, verify),
        make_settings(options=options).recipe,
        _path(output),
        _path(apply),
        _progress(quiet),
    )


def cross_validate(
    competition: str | Path | Competition = DEFAULT_COMPETITION,
    *,
    preset: str = DEFAULT_PRESET,
    run: str | None = None,
    folds: str | Path | None = None,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    verify: bool = True,
    device: str = "auto",
    threads: int | None = None,
    time_limit: float | str | None = None,
    quiet: bool = False,
    **options: Any,
) -> ScoredRun:
    """Cross-validate: train all folds and seeds together, score them out of fold, save the run.

    Args:
        competition: a name, or a `.toml` file that describes one.
        preset: a name in `PRESETS`: the settings to start from.
        run: name of the new run; None for the next free one.
        folds: a CSV of folds to use instead of making them.
        data_dir: the data folder; None for `KAGGLEPRICE_DATA_DIR`, otherwise `data`.
        runs_dir: the folder of all runs; None for `KAGGLEPRICE_RUNS_DIR`, otherwise `runs`.
        verify: whether files must have their recorded hashes.
        device: `auto`, `cpu`, `cuda`, `mps`, or several such as `cuda:0,cuda:1`.
        threads: CPU threads of this call; None for torch's choice.
        time_limit: seconds, or a time such as "10m", after which training ends with the epoch
            that is finished.
        quiet: whether to say nothing on stderr.
        **options: as in `kaggleprice cv --help`, with `_` for `-`: `lr=0.01`,
            `hidden=(128, 64)`, `activation="gelu/tanh"`.

    Raises:
        UsageError: for an unknown option or a value that cannot be.
        KagglePriceError: as `kaggleprice.api.workflow.cross_validate`.
    """
    _check_names(options, cross_validate)
    source, progress = _source(competition, data_dir, verify), _progress(quiet)
    usual = source.competition.fold_options(options) if folds is None else {}
    settings = make_settings(preset, {**usual, **options})
    for sentence in ineffective_options(settings, options, folds is not None):
        progress.notice(sentence)
    with taking_threads(threads):
        made, _ = workflow.cross_validate(
            source,
            settings,
            RuntimeConfig(_runs_dir(runs_dir), device, None, time_limit=_seconds(time_limit)),
            name=run,
            folds=_path(folds),
            progress=progress,
        )
    return ScoredRun(made)


def predict(
    competition: str | Path | Competition = DEFAULT_COMPETITION,
    *,
    run: str | ScoredRun | Sequence[str | ScoredRun] | None = None,
    weights: Sequence[float] = (),
    output: str | Path = "submission.csv",
    preset: str | None = None,
    folds: str | Path | None = None,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    verify: bool = True,
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Predict the test rows with a run's networks; write and return the submission.

    Args:
        competition: a name, or a `.toml` file that describes one.
        run: which run, by name or as `cross_validate` returned it; None for the latest, and where
            there is none it is trained first. The predictions of a list of runs are averaged.
        weights: what each of several runs counts; empty where all count the same.
        output: the submission's file.
        preset: as for `cross_validate`, where a run is to be trained.
        folds: a CSV of folds, where a run is to be trained.
        data_dir: the data folder; None for `KAGGLEPRICE_DATA_DIR`, otherwise `data`.
        runs_dir: the folder of all runs; None for `KAGGLEPRICE_RUNS_DIR`, otherwise `runs`.
        verify: whether files must have their recorded hashes.
        device: `auto`, `cpu`, `cuda`, `mps`, or several such as `cuda:0,cuda:1`.
        threads: CPU threads of this call; None for torch's choice.
        quiet: whether to say nothing on stderr.
        **options: as for `cross_validate`, where a run is to be trained; they must not contradict
            a run that there is. `combine` may be another than the run's.

    Returns:
        The submission: the id column and the target column. `attrs["run"]` is the name of the
        run that predicted.

    Raises:
        UsageError: for an unknown option, or options that contradict the run.
        KagglePriceError: as `kaggleprice.api.prediction.predict`.
    """
    _check_names(options, predict)
    # Values are checked also where a run is there already, and nothing is trained.
    source = _source(competition, data_dir, verify)
    usual = source.competition.fold_options(options) if folds is None else {}
    wanted = flat_settings(make_settings(preset or DEFAULT_PRESET, {**usual, **options}))
    given = {name: wanted[name] for name in (*usual, *options)}
    runs = [run] if run is None or isinstance(run, str | ScoredRun) else list(run)
    names = [_which(one) for one in runs] or [None]
    beside = [str(name) for name in names[1:]]
    request = prediction.PredictRequest(
        names[0], preset, given, _path(folds), tuple(usual), beside, weights
    )
    with taking_threads(threads):
        result = prediction.predict(
            source,
            RuntimeConfig(_runs_dir(runs_dir), device),
            request,
            output=Path(output),
            progress=_progress(quiet),
        )
    column = source.competition.id_name
    ids = plain_ids(result.submission[column].to_numpy(dtype=object), column)
    submission = result.submission.assign(**{column: ids})
    submission.attrs["run"] = result.run.name
    return submission


def report(
    competition: str | Path | Competition = DEFAULT_COMPETITION,
    *,
    run: str | ScoredRun | None = None,
    output: str | Path | None = None,
    permutations: int = DEFAULT_REPEATS,
    columns: int = DEFAULT_COLUMNS,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    verify: bool = True,
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
) -> ShownReport:
    """Look at a finished run from all sides: one HTML page and its figures, in the run folder.

    Args:
        competition: a name, or a `.toml` file that describes one.
        run: which run, by name or as `cross_validate` returned it; None for the latest.
        output: a copy of the page, as `.html`.
        permutations: of each column for its importance; 0 measures none.
        columns: how many to show, at most, where columns are shown.
        data_dir: the data folder; None for `KAGGLEPRICE_DATA_DIR`, otherwise `data`.
        runs_dir: the folder of all runs; None for `KAGGLEPRICE_RUNS_DIR`, otherwise `runs`.
        verify: whether files must have their recorded hashes.
        device: `auto`, `cpu`, `cuda`, `mps`, or several such as `cuda:0,cuda:1`.
        threads: CPU threads of this call; None for torch's choice.
        quiet: whether to say nothing on stderr.

    Raises:
        UsageError: where matplotlib is missing, a value cannot be, or there is no run yet.
        KagglePriceError: as `kaggleprice.reports.making.make_report`.
    """
    # Not above: the other calls do without.
    from kaggleprice.reports.making import make_report

    source = _source(competition, data_dir, verify)
    with taking_threads(threads):
        made = make_report(
            source,
            RuntimeConfig(_runs_dir(runs_dir), device),
            _which(run),
            output=_path(output),
            repeats=permutations,
            columns=columns,
            progress=_progress(quiet),
        )
    return ShownReport(made)


def submit(
    competition: str | Path | Competition = DEFAULT_COMPETITION,
    *,
    message: str,
    yes: bool = False,
    run: str | ScoredRun | None = None,
    wait: bool = False,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    verify: bool = True,
    quiet: bool = False,
) -> pd.Series:
    """Send a run's submission, as `predict` left it in the run's folder, to Kaggle.

    It is checked first, and sent by Kaggle's own command, with the credentials that this finds. A
    file that was sent already is not sent again.

    Args:
        competition: a name, or a `.toml` file that describes one.
        message: what Kaggle is to show beside it.
        yes: must be True: a submission counts against the day's limit, and nothing takes it back.
            Otherwise everything is checked, and the error says what would be sent.
        run: which run, by name or as `cross_validate` returned it; None for the latest.
        wait: whether to wait for the public score, and note it in the run.
        data_dir: the data folder; None for `KAGGLEPRICE_DATA_DIR`, otherwise `data`.
        runs_dir: the folder of all runs; None for `KAGGLEPRICE_RUNS_DIR`, otherwise `runs`.
        verify: whether files must have their recorded hashes.
        quiet: whether to say nothing on stderr.

    Returns:
        run, kaggle (the competition there), submission (the file), rows, sent (whether this call
        sent it), ref (Kaggle's number of it), status (pending or complete), oof (the pooled
        out-of-fold score), leaderboard (the public score), and gap, what that is above `oof`; the
        last two are None where no score is known.

    Raises:
        UsageError: without `yes`, or where there is no submission yet.
        KagglePriceError: as `kaggleprice.api.kaggle.check_outgoing` and `submit` there.
    """
    source, progress = _source(competition, data_dir, verify), _progress(quiet)
    kaggle.check_message(message)
    outgoing = kaggle.check_outgoing(source, _runs_dir(runs_dir), _which(run), progress)
    if outgoing.sent is None:
        what = kaggle.describe(outgoing, message)
        if not yes:
            raise UsageError(f"{what}: say yes=True to send it.")
        progress.notice(what)
    known = kaggle.submit(outgoing, message, wait=wait, progress=progress)
    found = {
        "run": outgoing.run.name,
        "kaggle": outgoing.slug,
        "submission": str(outgoing.file),
        "rows": outgoing.rows,
        "sent": outgoing.sent is None,
        "ref": known.ref,
        "status": known.status,
        "oof": outgoing.run.oof,
        "leaderboard": known.public_score,
        "gap": gap(outgoing.run, known.public_score),
    }
    return pd.Series(found, dtype=object)


def _source(
    competition: str | Path | Competition, data_dir: str | Path | None, verify: bool
) -> DatasetRef:
    if isinstance(competition, str | Path):
        competition = get_competition(str(competition))
    return DatasetRef(competition, _folder(data_dir, "KAGGLEPRICE_DATA_DIR", "data"), verify)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _seconds(time_limit: float | str | None) -> float | None:
    if isinstance(time_limit, str):
        return read_duration("time_limit", time_limit)
    return time_limit


def _runs_dir(given: str | Path | None) -> Path:
    return _folder(given, "KAGGLEPRICE_RUNS_DIR", "runs")


def _folder(given: str | Path | None, variable: str, otherwise: str) -> Path:
    return Path(os.environ.get(variable) or otherwise if given is None else given)


def _which(run: str | ScoredRun | None) -> str | None:
    return str(run.path) if isinstance(run, ScoredRun) else run


def _check_names(
    options: Mapping[str, Any], call: Callable[..., Any], settings: Iterable[str] = SETTINGS
) -> None:
    """Check that options are settings; an unknown name lists all keywords of the call.

    Raises:
        UnknownNameError: for an unknown name.
    """
    valid = dict.fromkeys([*settings, *inspect.signature(call).parameters])
    for name in options:
        look_up(valid, name, "option")


def _progress(quiet: bool) -> Progress:
    return SILENT if quiet else Lines()
