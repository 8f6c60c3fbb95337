"""Peers on the same folds: what other regressors score where the networks do.

    python -m benchmarks.peers run      # measures what is not measured yet; may be interrupted
    python -m benchmarks.peers run --fold-seeds 0 --only ridge,kaggleprice
    python -m benchmarks.peers report   # writes benchmarks/peers.md
    python -m benchmarks.peers table    # prints the table of the confirmation seeds

Every peer predicts the log price on the folds of every fold seed. Results are appended to
benchmarks/peers.jsonl, one line per peer and fold seed, so a run goes on where the last one
ended; a line that was measured with other settings than the peer has now does not count.
XGBoost is measured where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lines import Line, append_line, read_lines
from benchmarks.presets import without_extras
from kaggleprice.api.workflow import DatasetRef, load
from kaggleprice.competitions.catalog import COMPETITIONS, Competition
from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import DataError, KagglePriceError
from kaggleprice.core.files import replacing
from kaggleprice.core.registry import Entry, look_up
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.preprocessing.fitting import fit_folds
from kaggleprice.settings.recipe import Recipe
from kaggleprice.settings.run import PRESETS, flat_settings, make_settings
from kaggleprice.training.devices import choose_compute

Floats = NDArray[np.float64]
T = TypeVar("T")
Results = Mapping[tuple[str, int], Line]

FOLDER = Path(__file__).parent
RESULTS, REPORT = "peers.jsonl", "peers.md"
DEVELOPMENT, CONFIRMATION = (0, 1, 2), (100, 101, 102, 103, 104)
FOLD_SEEDS = DEVELOPMENT + CONFIRMATION
K = 5
# Settings that came after the first measurements, and what was computed before.
_BEFORE: dict[str, Any] = {
    "bins": 16,
    "category_embedding": None,
    "submodels": 8,
    "channels": [16, 32, 32],
    "length": 16,
    "kernel": [3],
    "stride": [1],
    "padding": [1],
    "pooling": "max",
    "bound": False,
    "bits": False,
    "target_encode_levels": None,
    "group_context": None,
    "portfolio": [],
    "inner_blocks": 1,
    "budget": 1.0,
}
# Very large, unfinished, cheap: two sales that decide fold scores.
FREAKS = ("524", "1299")
# Median for missing numbers, log of skewed amounts, standardized, one-hot; nothing engineered.
PLAIN = Recipe()
REFERENCE = "kaggleprice"


@dataclass(frozen=True)
class Problem:
    """A competition's rows on the folds of one fold seed."""

    competition: Competition
    tables: Tables
    fold_seed: int

    @cached_property
    def split(self) -> Folds:
        """The folds."""
        return make_folds(len(self.tables.train), K, seed=self.fold_seed)

    @property
    def fold_of_row(self) -> NDArray[np.int64]:
        """The fold that validates each row, shape (n,)."""
        return self.split.fold_of_row

    @cached_property
    def log_price(self) -> Floats:
        """What everybody predicts, shape (n,)."""
        return np.log(self.tables.train.known_target)


@dataclass(frozen=True)
class Estimator:
    """A regressor of another library, on the features of the plain recipe.

    Attributes:
        help: one line for people.
        target: its class, `package.module:name`.
        arguments: of the class.
        seeded: whether it takes the fold seed as `random_state`.
        threaded: whether it takes torch's number of threads as `n_jobs`.
    """

    help: str
    target: str
    arguments: Mapping[str, Any]
    seeded: bool = True
    threaded: bool = False

    @property
    def library(self) -> str:
        """The top-level package that has to be installed."""
        return re.split("[.:]", self.target)[0]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that decides the predictions, beside data and fold seed."""
        recipe = {key: value for key, value in asdict(PLAIN).items() if key != "help"}
        return {"estimator": self.target, **self.arguments, **recipe}

    def predict(self, problem: Problem) -> Floats:
        """Return out-of-fold log prices, shape (n,): all is learned from a fold's training rows."""
        train, fold_of_row = problem.tables.train, problem.fold_of_row
        predicted = np.empty(len(train))
        recipes = fit_folds(PLAIN, train, train.features, problem.split.left_out)
        for fold, recipe in enumerate(recipes):
            features, held = recipe.transform(train.features), fold_of_row == fold
            regressor = self._make(problem.fold_seed)
            regressor.fit(features[~held], problem.log_price[~held])
            predicted[held] = regressor.predict(features[held])
        return predicted

    def _make(self, fold_seed: int) -> Any:
        seed = {"random_state": fold_seed} if self.seeded else {}
        threads = {"n_jobs": torch.get_num_threads()} if self.threaded else {}
        return Entry(self.help, self.target).load()(**self.arguments, **seed, **threads)


@dataclass(frozen=True)
class Networks:
    """A preset of kaggleprice, with its own recipe, on the CPU.

    Attributes:
        preset: its name.
        options: changes to it.
    """

    preset: str
    options: Mapping[str, Any]
    library: str = "kaggleprice"

    @property
    def help(self) -> str:
        """One line for people."""
        return f"preset {self.preset}: {PRESETS[self.preset].help}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that decides the predictions, beside data and fold seed."""
        # The folds are the problem's own, of one scheme.
        folds = {"fold_gap", "hold_out", "repeats"}
        settings = flat_settings(make_settings(self.preset, self.options))
        return {name: value for name, value in settings.items() if name not in folds}

    def predict(self, problem: Problem) -> Floats:
        """Return out-of-fold log prices, shape (n,), as `kaggleprice cv` makes them."""
        settings = make_settings(self.preset, {**self.options, "fold_seed": problem.fold_seed})
        device = choose_compute("cpu", None).device
        result = cross_validation.cross_validate(
            problem.competition, problem.tables, problem.split, settings, device
        )
        return np.log(result.oof)


Peer = Estimator | Networks

PEERS: dict[str, Peer] = {
    "ridge": Estimator(
        "RidgeCV of scikit-learn, 17 penalties",
        "sklearn.linear_model:RidgeCV",
        # Rounded: the last bit of a power is not the same on every machine.
        {"alphas": np.logspace(-1, 3, 17).round(6).tolist()},
        seeded=False,
    ),
    "hist-gradient-boosting": Estimator(
        "HistGradientBoostingRegressor of scikit-learn, defaults",
        "sklearn.ensemble:HistGradientBoostingRegressor",
        {},
    ),
    "xgboost": Estimator(
        "XGBoost, 1500 trees of depth 4, learning rate 0.03, column sample 0.3",
        "xgboost:XGBRegressor",
        {"n_estimators": 1500, "learning_rate": 0.03, "max_depth": 4, "colsample_bytree": 0.3},
        threaded=True,
    ),
    **{
        # As they were measured: what a bound would change are a few predictions at most.
        name: Networks(preset, {"k": K, "bound": False, **without_extras(preset)})
        for name, preset in [(REFERENCE, "default"), ("kaggleprice-best", "best")]
        if preset in PRESETS
    },
}


def score(problem: Problem, predicted: Floats) -> dict[str, float]:
    """Return root mean squared errors between logs: folds' mean, pooled, without the freaks."""
    squared = (predicted - problem.log_price) ** 2
    folds = [squared[problem.fold_of_row == fold].mean() for fold in range(K)]
    usual = ~np.isin(problem.tables.train.ids, FREAKS)
    return {
        "fold_mean": float(np.sqrt(folds).mean()),
        "oof": float(np.sqrt(squared.mean())),
        "usual": float(np.sqrt(squared[usual].mean())),
    }


def measure(name: str, problem: Problem) -> Line:
    """Cross-validate one peer on one set of folds."""
    peer = PEERS[name]
    modules = ["numpy", "sklearn", "torch", "kaggleprice", peer.library]
    # Imported before the clock starts.
    versions = {module: import_module(module).__version__ for module in modules}
    started = time.perf_counter()
    predicted = peer.predict(problem)
    return {
        "peer": name,
        "fold_seed": problem.fold_seed,
        **score(problem, predicted),
        "seconds": time.perf_counter() - started,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **versions},
        "settings": peer.settings,
    }


def _in_full(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings with the value that later ones had before they could be chosen."""
    return {name: v for name, v in _BEFORE.items() if name in present} | dict(recorded)


def measured(folder: Path = FOLDER) -> dict[tuple[str, int], Line]:
    """Return what has been measured with a peer's present settings: (peer, fold seed) → result.

    Raises:
        DataError: for a line that is no result.
    """
    # JSON knows no tuples, and a line says nothing of settings that came later.
    settings = {name: json.loads(json.dumps(peer.settings)) for name, peer in PEERS.items()}
    lines = read_lines(
        folder / RESULTS, lambda line: (line["peer"], line["fold_seed"], str(line["settings"]))
    )
    return {
        (name, fold_seed): line
        for (name, fold_seed, _), line in lines.items()
        if settings.get(name) == _in_full(line["settings"], settings.get(name, {}))
    }


def run(
    fold_seeds: Sequence[int] = FOLD_SEEDS,
    names: Sequence[str] = tuple(PEERS),
    folder: Path = FOLDER,
    source: DatasetRef | None = None,
) -> None:
    """Measure what is missing, fold seed by fold seed, of the peers that are installed."""
    present = [name for name in names if _is_installed(name)]
    done = measured(folder)
    todo = [(name, seed) for seed in fold_seeds for name in present if (name, seed) not in done]
    if not todo:
        print("nothing is left to measure")
        return
    data_dir = Path(os.environ.get("KAGGLEPRICE_DATA_DIR", "data"))
    source = source or DatasetRef(COMPETITIONS["house-prices"], data_dir)
    tables = load(source).tables
    for number, (name, fold_seed) in enumerate(todo, start=1):
        line = measure(name, Problem(source.competition, tables, fold_seed))
        append_line(folder / RESULTS, line)
        place = f"{number} of {len(todo)}: {name}, fold seed {fold_seed}"
        print(f"{place}: {line['oof']:.4f} in {line['seconds']:.0f} s", flush=True)


def _is_installed(name: str) -> bool:
    library = PEERS[name].library
    found = find_spec(library) is not None
    if not found:
        print(f"{name}: skipped, {library} is not installed", flush=True)
    return found


def compared(done: Results, fold_seeds: Sequence[int]) -> dict[str, list[Line]]:
    """Return the results of each measured peer on the fold seeds that all of them have.

    Raises:
        DataError: where there is no such fold seed.
    """
    names = [name for name in PEERS if any((name, seed) in done for seed in fold_seeds)]
    seeds = [seed for seed in fold_seeds if all((name, seed) in done for name in names)]
    if not names or not seeds:
        raise DataError(
            f"nothing to compare on fold seeds {_listed(fold_seeds)}: no fold seed is measured "
            f"for all of {_listed(names or PEERS)}; run `python -m benchmarks.peers run` first."
        )
    return {name: [done[name, seed] for seed in seeds] for name in names}


def table(done: Results, fold_seeds: Sequence[int]) -> list[str]:
    """Return the lines of a Markdown table of what `compared` returns; it raises the same."""
    rows = compared(done, fold_seeds)
    lines = [
        "| peer | folds' mean | pooled | difference | usual | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in rows.items():
        difference = "" if name == REFERENCE else _difference(own, rows.get(REFERENCE, []))
        lines.append(
            f"| {name} | {_mean(own, 'fold_mean'):.4f} | {_mean(own, 'oof'):.4f} | {difference} "
            f"| {_mean(own, 'usual'):.4f} | {_mean(own, 'seconds'):.0f} |"
        )
    return lines


def _mean(rows: Sequence[Line], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def _difference(own: Sequence[Line], reference: Sequence[Line]) -> str:
    """Return the mean difference of the pooled scores with its standard error, where known."""
    if not reference:
        return "unknown"
    change = np.array([a["oof"] - b["oof"] for a, b in zip(own, reference, strict=True)])
    if len(change) == 1:
        return f"{change[0]:+.4f}"
    return f"{change.mean():+.4f} ± {change.std(ddof=1) / np.sqrt(len(change)):.4f}"


def caption(done: Results, fold_seeds: Sequence[int]) -> str:
    """Say what a table of `compared` results rests on."""
    rows = compared(done, fold_seeds)
    lines = [line for own in rows.values() for line in own]
    versions = sorted({f"{n} {v}" for line in lines for n, v in line["versions"].items()})
    threads = sorted({line["threads"] for line in lines})
    absent = [name for name in PEERS if name not in rows]
    return (
        f"Mean over fold seeds {_listed(dict.fromkeys(line['fold_seed'] for line in lines))}; "
        f"threads: {_listed(threads)}; {_listed(versions)}."
        + (f" Not measured: {_listed(absent)}." if absent else "")
    )


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


HEADER = """\
# Peers on the same folds

`KAGGLEPRICE_DATA_DIR=... python -m benchmarks.peers run`, then `... report`, on the real House
Prices files: 5 shuffled folds, everything trained on log price, all scores RMSE between logs,
averaged over fold seeds. *Folds' mean*: of the five folds' scores. *Pooled*: of all out-of-fold
predictions. *Difference*: pooled score less that of kaggleprice's default preset, paired by fold
seed, with its standard error; a peer is worse where it is clearly above 0. The error is that of
shuffling the same houses again, not of drawing other houses. *Usual*: pooled score without the
two freak sales (Ids 524 and 1299). *Seconds*: wall clock for all five folds.
"""

FOOTER = """\
## The peers

kaggleprice's presets have their own recipe, engineered features included. The others see the
features of a plain recipe: median for missing numbers and a column that says so, logs of skewed
amounts, standardized, one-hot. Their settings are fixed, not searched here; boosted trees that
are told which columns are categories may do better.

"""

SECTIONS = [
    ("Development", "These fold seeds chose kaggleprice's defaults: it is flattered.", DEVELOPMENT),
    ("Confirmation", "These fold seeds chose nothing.", CONFIRMATION),
]


def report(folder: Path = FOLDER) -> None:
    """Write both tables and what the peers are."""
    done, parts = measured(folder), [HEADER]
    for title, meaning, fold_seeds in SECTIONS:
        parts.append(f"## {title}\n\n{meaning}\n")
        try:
            parts += ["\n".join(table(done, fold_seeds)) + "\n", caption(done, fold_seeds) + "\n"]
        except DataError as error:
            parts.append(f"Not yet: {error}\n")
    parts.append(FOOTER + "".join(f"- {name}: {peer.help}\n" for name, peer in PEERS.items()))
    with replacing(folder / REPORT) as beside:
        beside.write_text("\n".join(parts), encoding="utf-8")
    print((folder / REPORT).read_text(encoding="utf-8"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["run", "report", "table"])
    parser.add_argument("--fold-seeds", default=_listed(FOLD_SEEDS), help="of `run`: %(default)s")
    parser.add_argument("--only", default=_listed(PEERS), help="peers of `run`: %(default)s")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of results and report")
    return parser


def chosen(text: str, valid: Iterable[T], kind: str) -> list[T]:
    """Return those of the valid values that a text names, separated by commas."""
    known = {str(value): value for value in valid}
    # Each once, also where it is named twice.
    return [look_up(known, name, kind) for name in dict.fromkeys(map(str.strip, text.split(",")))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.command == "run":
            fold_seeds = chosen(asked.fold_seeds, FOLD_SEEDS, "fold seed")
            run(fold_seeds, chosen(asked.only, PEERS, "peer"), asked.folder)
        elif asked.command == "report":
            report(asked.folder)
        else:
            print("\n".join(table(measured(asked.folder), CONFIRMATION)))
    except KagglePriceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
