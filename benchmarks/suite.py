"""Ten competitions: what kaggleprice's presets and four peers score on the same folds.

    python -m benchmarks.suite run --results suite.jsonl                 # may be interrupted
    python -m benchmarks.suite run --results suite.jsonl --only concrete --methods ridge,fast
    python -m benchmarks.suite table --results suite.jsonl peers.jsonl   # lines of both files
    python -m benchmarks.suite overview --results suite.jsonl            # in README
    python -m benchmarks.suite choice --results suite.jsonl              # by the other sets
    python -m benchmarks.suite gain --results suite.jsonl --methods tune,default --fold-seeds 0

`KAGGLEPRICE_REAL_SUITE` names a folder with a folder per competition, each with train.csv and
test.csv. Every result is a line of the results file, and what has one is not run again; a file is
for one version of kaggleprice and one number of threads. Of several files the first is written and
the others are read as well: peers' lines serve every version.

A preset is timed as a person waits for it: the whole `cv` command, in a copy of the competition's
folder that `kaggleprice init --yes --metric METRIC` has described. A peer is timed from the table
in memory to the last prediction, encoding included.

LightGBM and CatBoost are those of the extra `boosting`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.lines import Line, append_line, read_lines
from benchmarks.peers import chosen
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import DataError, KagglePriceError, MissingFileError, UsageError
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.runs.comparison import paired_folds
from kaggleprice.settings.run import DEFAULT_PRESET

Floats = NDArray[np.float64]
Key = tuple[str, str, int]
Results = Mapping[Key, Line]

K = 5
FOLD_SEEDS = (0, 1, 2)
VARIABLE, FILES = "KAGGLEPRICE_REAL_SUITE", ("train.csv", "test.csv")
# Whose seconds are 1.
CLOCK = "catboost"


@dataclass(frozen=True)
class Case:
    """A competition, as a person who has read its page knows it.

    Attributes:
        target: the column to predict.
        metric: a name in `METRICS`.
        id: a column that names rows and is no feature; empty for none.
        dates: columns of dates and their formats.
    """

    target: str
    metric: str
    id: str = ""
    dates: Mapping[str, str] = field(default_factory=dict)


# From few to many cells.
CASES = {
    "insurance": Case("charges", "mae"),
    "concrete": Case("strength", "rmse"),
    "abalone": Case("Rings", "rmse"),
    "bike-sharing": Case("count", "rmsle", dates={"datetime": "%Y-%m-%d %H:%M:%S"}),
    "cpu-act": Case("y", "rmse"),
    "king-county": Case("price", "rmsle", id="id"),
    "melbourne": Case("Price", "rmsle", dates={"Date": "%d/%m/%Y"}),
    "elevators": Case("y", "rmse"),
    "diamonds": Case("price", "rmsle"),
    "mercedes": Case("y", "r2", id="ID"),
}


# Peers: from the features of a fold's training rows, the loss (`mse` or `mae`), a seed and a number
# of threads to a regressor of scikit-learn's kind.


def _categories(x: pd.DataFrame) -> list[str]:
    return [str(column) for column in x.select_dtypes("category")]


def _ridge(x: pd.DataFrame, loss: str, seed: int, threads: int) -> Any:
    """Ridge regression, its penalty by leave-one-out; it knows no loss but the squared one."""
    categories = _categories(x)
    return make_pipeline(
        make_column_transformer(
            (
                OneHotEncoder(
                    max_categories=61, handle_unknown="infrequent_if_exist", sparse_output=False
                ),
                categories,
            ),
            remainder=make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
        ),
        RidgeCV(alphas=np.logspace(-2, 4, 25)),
    )


def _hgb(x: pd.DataFrame, loss: str, seed: int, threads: int) -> Any:
    """HistGradientBoostingRegressor as it comes; the rarest of more than 255 levels are one."""
    categories = _categories(x)
    codes = OrdinalEncoder(
        max_categories=255, handle_unknown="use_encoded_value", unknown_value=np.nan
    )
    return make_pipeline(
        make_column_transformer((codes, categories), remainder="passthrough"),
        HistGradientBoostingRegressor(
            loss={"mse": "squared_error", "mae": "absolute_error"}[loss],
            categorical_features=list(range(len(categories))),
            random_state=seed,
        ),
    )


def _lightgbm(x: pd.DataFrame, loss: str, seed: int, threads: int) -> Any:
    """LightGBM: 1000 trees, rate 0.03, 31 leaves, samples of half the columns, 0.8 of the rows."""
    return import_module("lightgbm").LGBMRegressor(
        objective=loss,
        n_estimators=1000,
        learning_rate=0.03,
        num_leaves=31,
        colsample_bytree=0.5,
        subsample=0.8,
        subsample_freq=1,
        random_state=seed,
        n_jobs=threads,
        verbose=-1,
    )


def _catboost(x: pd.DataFrame, loss: str, seed: int, threads: int) -> Any:
    """CatBoost as it comes."""
    return import_module("catboost").CatBoostRegressor(
        loss_function={"mse": "RMSE", "mae": "MAE"}[loss],
        cat_features=_categories(x),
        random_seed=seed,
        thread_count=threads,
        verbose=False,
        allow_writing_files=False,
    )


PEERS: dict[str, Callable[[pd.DataFrame, str, int, int], Any]] = {
    "ridge": _ridge,
    "hgb": _hgb,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}
PRESETS = ("fast", "default", "best")
# The nested score of `kaggleprice tune`.
TUNE, TUNE_TIME = "tune", "10m"
METHODS = (*PEERS, *PRESETS, TUNE)


def case_folder(name: str) -> Path:
    """Return the folder of a competition.

    Raises:
        MissingFileError: where the variable does not name a folder that has it.
    """
    folder = Path(os.environ.get(VARIABLE) or ".") / name
    for file in FILES:
        if not (folder / file).exists():
            raise MissingFileError(
                f"{VARIABLE} must name the folder of the ten competitions; there is no "
                f"{folder / file}."
            )
    return folder


def read_case(folder: Path, case: Case) -> tuple[pd.DataFrame, Floats]:
    """Return the features and the target of the training rows, in the file's order.

    Args:
        folder: with train.csv and test.csv; what the latter lacks is no feature.
        case: says what the columns are.

    Returns:
        Columns of float64 and of pandas categories, missing values in either; shape (n,).
    """
    # As kaggleprice reads it: `None` and the like are levels.
    train = pd.read_csv(folder / "train.csv", keep_default_na=False, na_values=["", "NA"])
    shared = pd.read_csv(folder / "test.csv", nrows=0).columns.drop(case.id, errors="ignore")
    columns: dict[str, pd.Series] = {}
    for name in shared:
        column = train[name]
        if name in case.dates:
            columns |= _date_parts(name, pd.to_datetime(column, format=case.dates[name]))
        elif pd.api.types.is_numeric_dtype(column):
            columns[name] = column.astype(np.float64)
        else:
            # CatBoost takes no missing level, and to the others it is one like any other.
            columns[name] = column.astype(object).fillna("missing").astype("category")
    return pd.DataFrame(columns), train[case.target].to_numpy(dtype=np.float64)


def _date_parts(name: str, dates: pd.Series) -> dict[str, pd.Series]:
    """Return the parts of dates that kaggleprice looks at as well."""
    parts = {
        "year": dates.dt.year,
        "month": dates.dt.month,
        "day": dates.dt.day,
        "weekday": dates.dt.day_of_week,
        "hour": dates.dt.hour,
        "days": (dates - dates.min()) / pd.Timedelta(days=1),
    }
    return {f"{name} {part}": values.astype(np.float64) for part, values in parts.items()}


def predict_folds(
    peer: str, x: pd.DataFrame, y: Floats, metric: str, folds: Folds, seed: int, threads: int
) -> Floats:
    """Return what a peer predicts for each row's fold from the other folds' rows, shape (n,).

    Args:
        peer: a name in `PEERS`.
        x: the features, n rows, as `read_case` returns them.
        y: the target, shape (n,).
        metric: a name in `METRICS`; the peer learns log(1 + y) where it scores between logs, and
            the absolute error where that is the score.
        folds: each row is validated once.
        seed: of the peer.
        threads: of the peer.
    """
    logs = METRICS[metric].logarithmic
    target, loss = np.log1p(y) if logs else y, "mae" if metric == "mae" else "mse"
    predicted = np.empty(len(y))
    with threadpool_limits(threads):
        for train, held in folds:
            regressor = PEERS[peer](x.iloc[train], loss, seed, threads)
            regressor.fit(x.iloc[train], target[train])
            predicted[held] = regressor.predict(x.iloc[held])
    return np.maximum(np.expm1(predicted), 0) if logs else predicted


def measure_peer(name: str, peer: str, fold_seed: int, threads: int) -> Line:
    """Return the scores of a peer on one competition's folds."""
    case = CASES[name]
    x, y = read_case(case_folder(name), case)
    folds, metric = make_folds(len(y), K, seed=fold_seed), METRICS[case.metric]
    started = time.perf_counter()
    predicted = predict_folds(peer, x, y, case.metric, folds, fold_seed, threads)
    seconds = time.perf_counter() - started
    return {
        "folds": [metric.score(y[held], predicted[held]) for _, held in folds],
        "pooled": metric.score(y, predicted),
        "seconds": seconds,
    }


def measure_preset(name: str, preset: str, fold_seed: int, threads: int) -> Line:
    """Return the scores that `kaggleprice cv`, or `tune`, prints for one competition.

    Raises:
        KagglePriceError: where a command fails; it has said why.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        # Not copytree, which keeps a folder that nobody may write to.
        folder.mkdir()
        for file in FILES:
            shutil.copyfile(case_folder(name) / file, folder / file)
        _command(folder, threads, "init", "--yes", "--metric", CASES[name].metric)
        started = time.perf_counter()
        options = ["--k", K, "--fold-seed", fold_seed, "--threads", threads]
        given = [*map(str, options), "--json"]
        if preset == TUNE:
            found = json.loads(_command(folder, threads, "tune", "--time-limit", TUNE_TIME, *given))
            nested = found["nested"]
            return {
                "folds": nested["folds"],
                "pooled": nested["oof"],
                "error": nested["oof_error"],
                "seconds": time.perf_counter() - started,
                "trials": found["trials"],
            }
        run = json.loads(_command(folder, threads, "cv", "--preset", preset, *given))
        seconds = time.perf_counter() - started
    return {
        "folds": [fold["validation"] for fold in run["folds"]],
        "pooled": run["scores"]["oof"],
        "without": {part["name"]: part["oof_without"] for part in run["parts"]},
        "seconds": seconds,
    }


def _command(folder: Path, threads: int, *arguments: str) -> str:
    """Run kaggleprice in a folder; return what it prints."""
    command = [sys.executable, "-m", "kaggleprice", *arguments, "--quiet", "--no-config"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise KagglePriceError(
            f"{folder.name}: `kaggleprice {' '.join(arguments)}` ended with {done.returncode}."
        )
    return done.stdout


def read_results(paths: Sequence[Path]) -> dict[Key, Line]:
    """Return the lines of results files, of the first that has one: (set, what, fold seed) → line.

    Raises:
        DataError: for a line that is no result.
    """
    found: dict[Key, Line] = {}
    for path in reversed(paths):
        found |= read_lines(path, lambda line: (line["set"], line["what"], line["fold_seed"]))
    return found


def run(
    paths: Sequence[Path],
    names: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    threads: int,
) -> None:
    """Measure what has no line in the results files, fold seed by fold seed.

    Raises:
        UsageError: where a library is not installed.
    """
    for library in {"lightgbm", "catboost"} & set(methods):
        if find_spec(library) is None:
            raise UsageError(f"{library} is not installed; install it, or leave it out: --methods.")
    path, done = paths[0], read_results(paths)
    todo = [(n, m, s) for s in seeds for n in names for m in methods if (n, m, s) not in done]
    for number, (name, what, seed) in enumerate(todo, start=1):
        measure = measure_peer if what in PEERS else measure_preset
        found = measure(name, what, seed, threads)
        line = {"set": name, "what": what, "fold_seed": seed, **found, "threads": threads}
        # Peers and presets may be measured side by side.
        with FileLock(path.with_name(f"{path.name}.lock")):
            append_line(path, line)
        place = f"{number} of {len(todo)}: {name}, {what}, fold seed {seed}"
        print(f"{place}: {line['pooled']:.5g} in {line['seconds']:.1f} s", flush=True)
    if not todo:
        print("nothing is left to measure")


@dataclass(frozen=True)
class Row:
    """What one method reaches on one competition.

    Attributes:
        name, what: the competition and the method.
        error: mean over fold seeds of the folds' mean; 1 - r2 where the metric is r2.
        relative: the same divided by that of the best peer on the same fold seeds.
        spread: standard error of `relative` over fold seeds, paired; NaN of one.
        seconds: mean over fold seeds.
        pace: seconds divided by those of `CLOCK`; NaN where it had another number of threads.
    """

    name: str
    what: str
    error: float
    relative: float
    spread: float
    seconds: float
    pace: float


def compare(
    results: Results, names: Iterable[str], methods: Iterable[str], seeds: Iterable[int]
) -> list[Row]:
    """Return a row per competition and method, on the fold seeds that it and all peers have.

    Raises:
        DataError: where there is no such fold seed.
    """
    rows = []
    for name in names:
        shared = [seed for seed in seeds if all((name, peer, seed) in results for peer in PEERS)]
        for what in methods:
            own = [seed for seed in shared if (name, what, seed) in results]
            if own:
                rows.append(_row(results, name, what, own))
    if not rows:
        raise DataError("nothing to compare: no set has results of all peers on a fold seed.")
    return rows


def _row(results: Results, name: str, what: str, seeds: Sequence[int]) -> Row:
    errors = {m: _errors(results, name, m, seeds) for m in (*PEERS, what)}
    best = min((errors[peer] for peer in PEERS), key=np.mean)
    own, behind = errors[what], errors[what] - best
    spread = np.std(behind, ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else np.nan
    lines, clocks = ([results[name, m, seed] for seed in seeds] for m in (what, CLOCK))
    seconds, clock = (float(np.mean([line["seconds"] for line in m])) for m in (lines, clocks))
    alike = all(a["threads"] == b["threads"] for a, b in zip(lines, clocks, strict=True))
    return Row(
        name,
        what,
        float(own.mean()),
        float(own.mean() / best.mean()),
        float(spread / best.mean()),
        seconds,
        seconds / clock if alike else float("nan"),
    )


def _errors(results: Results, name: str, what: str, seeds: Sequence[int]) -> Floats:
    """Return the mean error of the folds for each fold seed."""
    metric = METRICS[CASES[name].metric]
    lines = [results[name, what, seed] for seed in seeds]
    return np.array([np.mean([metric.error(fold) for fold in line["folds"]]) for line in lines])


def table(rows: Sequence[Row]) -> list[str]:
    """Return two Markdown tables: of all rows, and of each method over its competitions."""
    lines = [
        "| set | method | error | to the best peer | ± | seconds | to catboost |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.what} | {row.error:.4g} | {row.relative:.4f} "
        f"| {_known(row.spread, '.4f')} | {row.seconds:.1f} | {_known(row.pace, '.2f')} |"
        for row in rows
    ]
    lines += [
        "",
        "| method | sets | geometric mean to the best peer | ± | worst | best of all on "
        "| seconds to catboost |",
        "|---|---|---|---|---|---|---|",
    ]
    least = {row.name: min(r.error for r in rows if r.name == row.name) for row in rows}
    for what in dict.fromkeys(row.what for row in rows):
        own = [row for row in rows if row.what == what]
        worst = max(own, key=lambda row: row.relative)
        # Of the mean of logs, by the spread of each set's.
        mean = geometric_mean([row.relative for row in own])
        spread = mean * float(np.sqrt(sum((r.spread / r.relative) ** 2 for r in own))) / len(own)
        lines.append(
            f"| {what} | {len(own)} | {mean:.4f} | {_known(spread, '.4f')} "
            f"| {worst.relative:.3f} ({worst.name}) "
            f"| {sum(row.error == least[row.name] for row in own)} "
            f"| {_known(geometric_mean([row.pace for row in own]), '.2f')} |"
        )
    return lines


def overview(rows: Sequence[Row]) -> list[str]:
    """Return a Markdown table of errors, divided by those of the best peer: sets by methods."""
    methods = list(dict.fromkeys(row.what for row in rows))
    lines = [f"| competition | metric | {' | '.join(methods)} |", "|---" * (len(methods) + 2) + "|"]
    for name in dict.fromkeys(row.name for row in rows):
        own = {row.what: f"{row.relative:.3f}" for row in rows if row.name == name}
        metric = CASES[name].metric
        lines.append(f"| {name} | {metric} | {' | '.join(own.get(m, '') for m in methods)} |")
    means = [geometric_mean([row.relative for row in rows if row.what == m]) for m in methods]
    lines.append(f"| geometric mean | | {' | '.join(f'{mean:.3f}' for mean in means)} |")
    return lines


def choice(results: Results, rows: Sequence[Row], preset: str, seeds: Sequence[int]) -> list[str]:
    """Return a Markdown table of a portfolio that is chosen for each competition by the others.

    The candidates are the whole portfolio and the portfolio without one of its parts, what is left
    weighing as before. A competition is scored with the one of the lowest geometric mean over the
    other competitions, on the same fold seeds.

    Raises:
        DataError: where there are no results that say what the preset scores without its parts.
    """
    relative = {row.name: row.relative for row in rows if row.what == preset}
    ratios = {name: _without_parts(results, name, preset, seeds) for name in relative}
    parts = list(dict.fromkeys(part for found in ratios.values() for part in found))
    lines = [
        "| competition | all parts | left away by the others | with this choice |",
        "|---|---|---|---|",
    ]
    reached = []
    for name, own in relative.items():
        others = [found for other, found in ratios.items() if other != name]
        means = {part: geometric_mean([o.get(part, 1.0) for o in others]) for part in parts}
        best = min(means, key=lambda part: means[part])
        left_away = best if means[best] < 1 else "nothing"
        reached.append(own * ratios[name].get(left_away, 1.0))
        lines.append(f"| {name} | {own:.3f} | {left_away} | {reached[-1]:.3f} |")
    means_of_all = geometric_mean(list(relative.values())), geometric_mean(reached)
    return [*lines, f"| geometric mean | {means_of_all[0]:.3f} | | {means_of_all[1]:.3f} |"]


def _without_parts(
    results: Results, name: str, preset: str, seeds: Sequence[int]
) -> dict[str, float]:
    """Return the error without each part, divided by that of all; 1 where nothing would be left."""
    found = [results[key] for seed in seeds if (key := (name, preset, seed)) in results]
    lines = [line for line in found if line.get("without")]
    if not lines:
        raise DataError(f"no result of {preset} on {name} says what it scores without its parts")
    error = METRICS[CASES[name].metric].error
    ratios: dict[str, list[float]] = {}
    for line in lines:
        for part, score in line["without"].items():
            ratio = 1.0 if score is None else error(score) / error(line["pooled"])
            ratios.setdefault(part, []).append(ratio)
    return {part: geometric_mean(own) for part, own in ratios.items()}


def gains(results: Results, names: Iterable[str], pair: Sequence[str], seed: int) -> list[str]:
    """Return a Markdown table of how much one method's error is above another's, in percent.

    It is the mean over the folds of one fold seed, with its standard error, corrected for the rows
    that folds share, as `kaggleprice runs compare` has it.

    Args:
        results: of both.
        names: of the competitions.
        pair: the methods.
        seed: of the folds.

    Raises:
        DataError: where no competition has results of both.
    """
    first, second = pair
    both = [n for n in names if (n, first, seed) in results and (n, second, seed) in results]
    if not both:
        raise DataError(f"nothing to compare: no set has {first} and {second} on fold seed {seed}.")
    cells = []
    for name in both:
        metric = METRICS[CASES[name].metric]
        errors = [
            [metric.error(fold) for fold in results[name, what, seed]["folds"]]
            for what in (second, first)
        ]
        found = paired_folds(METRICS["rmse"], *errors)
        if found is None:
            raise DataError(f"{name} has a single fold.")
        percent = 100 / float(np.mean(errors[0]))
        cells.append(f"{found.difference * percent:+.2f} ± {found.standard_error * percent:.2f}")
    return [f"| {' | '.join(both)} |", "|---" * len(both) + "|", f"| {' | '.join(cells)} |"]


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive numbers; NaN where one is unknown."""
    return float(np.exp(np.mean(np.log(values))))


def _known(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)


def _lines(
    command: str,
    paths: Sequence[Path],
    names: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
) -> list[str]:
    results = read_results(paths)
    if command == "gain":
        if len(methods) != 2 or len(seeds) != 1:
            raise UsageError("`gain` compares two --methods on one of --fold-seeds.")
        return gains(results, names, methods, seeds[0])
    rows = compare(results, names, methods, seeds)
    if command == "choice":
        return choice(results, rows, DEFAULT_PRESET, seeds)
    return table(rows) if command == "table" else overview(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.suite",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["run", "table", "overview", "choice", "gain"])
    parser.add_argument(
        "--results", type=Path, nargs="+", required=True, help="files of JSON lines"
    )
    for option, valid, kind in [
        ("--only", CASES, "sets"),
        ("--methods", METHODS, "peers and presets"),
        ("--fold-seeds", FOLD_SEEDS, "fold seeds"),
    ]:
        default = ",".join(map(str, valid))
        parser.add_argument(option, default=default, help=f"{kind}: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="of `run`: %(default)s")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        names = chosen(asked.only, CASES, "set")
        methods = chosen(asked.methods, METHODS, "method")
        seeds = chosen(asked.fold_seeds, FOLD_SEEDS, "fold seed")
        if asked.command == "run":
            run(asked.results, names, methods, seeds, asked.threads)
        else:
            print("\n".join(_lines(asked.command, asked.results, names, methods, seeds)))
    except KagglePriceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
