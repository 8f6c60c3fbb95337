"""Against what a user would pick: time to the score that another regressor reaches."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.ratios import alternate
from benchmarks.speeds.results import Cell, Line, Outcome, Reach, Table, at_least
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.tables import Tables
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.preprocessing.fitting import fit_folds
from kaggleprice.settings.recipe import Recipe
from kaggleprice.settings.run import make_settings
from kaggleprice.training.devices import taking_threads

Floats = NDArray[np.float64]

TITLE = "Against what a user would pick"
MEANING = (
    "Everything from tables in memory to out-of-fold predictions, preprocessing included, over "
    "the same folds, with as many networks per fold, averaged. First the other regressor is run: "
    "it reaches what it reaches. Then kaggleprice's default networks are trained for fewer epochs "
    "than by default, each time from the beginning and with the whole schedule, and the fewest "
    "that reach the other's pooled RMSE (between logs) or a better one are timed in turn with it. "
    "So the number of epochs is chosen by the score, and the table below says what all of them "
    "score."
)
K, FOLD_SEED = 5, 100
EPOCHS = (2, 4, 6, 8, 12, 16, 24, 32, 45, 60)
# A peer takes minutes; so often at most.
MOST_PAIRS = 3


@dataclass(frozen=True)
class Task:
    """What everybody does: predict log prices out of fold.

    Attributes:
        competition, tables: the data.
        split: the folds.
        seeds: networks per fold.
        quick: whether to train far too little.
    """

    competition: Competition
    tables: Tables
    split: Folds
    seeds: int
    quick: bool

    @property
    def target(self) -> Floats:
        """Log prices, shape (n,)."""
        return np.log(self.tables.train.known_target)

    def pooled(self, predicted: Floats) -> float:
        """Return the root mean squared error of out-of-fold log prices, shape (n,)."""
        return float(np.sqrt(np.mean(np.square(predicted - self.target))))

    def by_fold(self, predict: Callable[[int, NDArray[np.bool_]], Floats]) -> Floats:
        """Return out-of-fold predictions, shape (n,), of (fold, its rows) → theirs."""
        predicted = np.empty(self.split.rows)
        for fold in range(K):
            held = self.split.fold_of_row == fold
            predicted[held] = predict(fold, held)
        return predicted


def perceptron(task: Task) -> Floats:
    """Predict with scikit-learn's `MLPRegressor`, two hidden layers of 128, else as it comes.

    It gets a plain recipe's features, learned inside each fold, and standardized log prices.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    train = task.tables.train
    recipes = fit_folds(Recipe(), train, train.features, task.split.left_out)

    def predict(fold: int, held: NDArray[np.bool_]) -> Floats:
        features, target = recipes[fold].transform(train.features), task.target[~held]
        made = []
        for seed in range(task.seeds):
            more = {"max_iter": 5} if task.quick else {}
            model = MLPRegressor(
                hidden_layer_sizes=(128, 128), random_state=1000 * fold + seed, **more
            )
            with warnings.catch_warnings():
                # It says where 200 epochs, its own choice, did not bring it to rest.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(features[~held], (target - target.mean()) / target.std())
            made.append(model.predict(features[held]))
        return np.asarray(np.mean(made, axis=0) * target.std() + target.mean())

    return task.by_fold(predict)


def real_mlp(task: Task) -> Floats:
    """Predict with pytabkit's RealMLP-TD, as it comes (Holzmüller et al. 2024).

    Networks of a fold are its own bagging: each holds another part of the training rows back,
    to choose its best epoch. It refuses gaps in numbers: they get the training rows' median.
    """
    regressor = import_module("pytabkit").RealMLP_TD_Regressor
    # Lightning, below it, tells each fold's beginning and end.
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    train, target = task.tables.train, task.target
    texts = train.categorical_columns

    def predict(fold: int, held: NDArray[np.bool_]) -> Floats:
        features = filled(train.features, held, train.numeric_columns)
        model = regressor(
            device="cpu",
            random_state=fold,
            n_cv=task.seeds,
            n_threads=torch.get_num_threads(),
            **({"n_epochs": 2} if task.quick else {}),
        )
        # It sets torch's threads as it likes.
        with warnings.catch_warnings(), taking_threads(None):
            # Of its libraries, on each other.
            warnings.simplefilter("ignore")
            model.fit(features[~held], target[~held], cat_col_names=texts)
            return np.asarray(model.predict(features[held]), dtype=np.float64).reshape(-1)

    return task.by_fold(predict)


def filled(frame: pd.DataFrame, held: NDArray[np.bool_], numbers: list[str]) -> pd.DataFrame:
    """Return a frame without gaps: medians of the rows not held, and a text that says so."""
    medians = frame.loc[~held, numbers].median().fillna(0.0)
    whole = frame.fillna(medians)
    texts = [name for name in frame if name not in numbers]
    return whole.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, "missing"))


@dataclass(frozen=True)
class Peer:
    """Another regressor.

    Attributes:
        library: what has to be installed.
        predict: task → out-of-fold log prices, shape (n,).
        reach: how many times as fast kaggleprice is to be; None where nobody said.
    """

    library: str
    predict: Callable[[Task], Floats]
    reach: Reach | None = None


PEERS: Mapping[str, Peer] = {
    "scikit-learn's MLPRegressor": Peer("sklearn", perceptron),
    "pytabkit's RealMLP-TD": Peer("pytabkit", real_mlp, at_least(4)),
}


def kaggleprice(task: Task, epochs: int) -> Floats:
    """Predict with the default networks, trained for so many epochs."""
    options: dict[str, Any] = {"k": K, "portfolio": (), "seeds": task.seeds, "epochs": epochs}
    settings = make_settings(options=options | ({"hidden": (8,)} if task.quick else {}))
    device = torch.device("cpu")
    result = cross_validation.cross_validate(
        task.competition, task.tables, task.split, settings, device
    )
    return np.log(result.oof)


def fewest_reaching(score: float, ladder: Mapping[int, float]) -> int | None:
    """Return the fewest epochs whose score is this or better; None where none is."""
    return min((epochs for epochs, reached in ladder.items() if reached <= score), default=None)


def measure(effort: Effort) -> Outcome:
    """Run every peer that is installed, and as much of kaggleprice as reaches its score."""
    tables = effort.load().tables
    folds = make_folds(len(tables.train), K, seed=FOLD_SEED)
    seeds = 1 if effort.quick else 4
    task = Task(effort.source.competition, tables, folds, seeds, effort.quick)
    ladder, rows = _climb(task)
    outcome = Outcome()
    for name, peer in PEERS.items():
        if find_spec(peer.library) is None:
            outcome.notes.append(f"{name}: skipped, {peer.library} is not installed.")
            say(outcome.notes[-1])
            continue
        say(f"{name} ...")
        score, seconds = _scored(task, peer.predict)
        rows.append([name, "", score, seconds])
        say(f"{name}: pooled {score:.4f} in {seconds:.0f} s")
        epochs = fewest_reaching(score, ladder)
        if epochs is None:
            best = min(ladder.values())
            outcome.notes.append(f"kaggleprice's {best:.4f} does not reach {name}'s {score:.4f}.")
            continue
        outcome.lines.append(_race(name, peer, score, epochs, ladder[epochs], task, effort))
        say(str(outcome.lines[-1]))
    columns = ["regressor", "epochs", "pooled RMSE", "seconds, once"]
    shown: list[list[Cell]] = [[n, e, f"{score:.4f}", took] for n, e, score, took in rows]
    title = f"What each reaches: {K} folds of fold seed {FOLD_SEED}, {seeds} networks per fold"
    outcome.tables.append(Table(title, columns, shown))
    return outcome


def _climb(task: Task) -> tuple[dict[int, float], list[list[Any]]]:
    """Return the score by epochs, and the table's rows."""
    ladder, rows = {}, []
    for epochs in (1, 2) if task.quick else EPOCHS:
        ladder[epochs], seconds = _scored(task, partial(kaggleprice, epochs=epochs))
        rows.append(["kaggleprice's default networks", epochs, ladder[epochs], seconds])
        say(f"kaggleprice, epochs {epochs}: pooled {ladder[epochs]:.4f} in {seconds:.1f} s")
    return ladder, rows


def _scored(task: Task, predict: Callable[[Task], Floats]) -> tuple[float, float]:
    began = time.perf_counter()
    predicted = predict(task)
    return task.pooled(predicted), time.perf_counter() - began


def _race(
    name: str, peer: Peer, score: float, epochs: int, own: float, task: Task, effort: Effort
) -> Line:
    pairs = alternate(
        lambda: _scored(task, peer.predict)[1],
        lambda: _scored(task, partial(kaggleprice, epochs=epochs))[1],
        min(effort.pairs, MOST_PAIRS),
        # Both ran just now.
        warm=False,
    )
    return Line(
        f"{epochs} epoch{'s' * (epochs != 1)}, pooled {own:.4f}",
        f"{name}, pooled {score:.4f}",
        "times as fast",
        pairs.faster(),
        torch.get_num_threads(),
        peer.reach,
    )
