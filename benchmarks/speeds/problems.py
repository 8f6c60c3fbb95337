"""Problems: networks of any number of members, prepared and not yet trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from kaggleprice.competitions.catalog import Competition, DataFile
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.settings.run import make_settings
from kaggleprice.training import train as engine

FOLDS = 5
# As many rows as House Prices has: 1168 of them are a fold's training rows.
ROWS, COLUMNS = 1460, 313
# The network of which the shares of the machine are known: 313 → 256 → 128 → 1.
DENSE: Mapping[str, Any] = {
    "embedding": "none",
    "soft_bound": None,
    "feature_scales": False,
    "hidden": (256, 128),
    "activation": ("silu",),
    "dropout": ((0.2,),),
    # The numbers are standard normal: there is nothing for a fold to learn of them.
    "scope": "all",
    "log_skew": None,
    "clip": None,
}
NUMBERS = Competition(
    name="numbers",
    title="Random numbers",
    page="",
    train=DataFile("train.csv"),
    test=DataFile("test.csv"),
    id_column="id",
    target_column="target",
    target_transform="none",
    metric="rmse",
)


def random_tables(rows: int = ROWS, columns: int = COLUMNS, seed: int = 0) -> Tables:
    """Return tables of standard normal numbers, and a target that some of them explain."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((rows, columns))
    target = values[:, : min(columns, 10)].sum(axis=1) + generator.standard_normal(rows)
    frame = pd.DataFrame(values, columns=[f"x{j}" for j in range(columns)])
    ids = np.arange(rows).astype(str).astype(object)
    return Tables(Table(ids, frame, target), Table(ids[:1], frame.head(1)))


def make_problem(
    competition: Competition,
    tables: Tables,
    members: int,
    options: Mapping[str, Any] | None = None,
) -> PreparedRun:
    """Return the default preset's networks: so many of them, over 5 folds.

    Args:
        competition: of the tables.
        tables: the data.
        members: the first so many of the folds' random starts.
        options: changes to the preset.
    """
    wanted = {"k": FOLDS, **(options or {}), "portfolio": (), "seeds": -(-members // FOLDS)}
    settings = make_settings(options=wanted)
    fold_of_row = make_folds(len(tables.train), settings.k, seed=0)
    device = torch.device("cpu")
    problem = cross_validation.prepare(competition, tables, fold_of_row, settings, device)
    return replace(problem, task=problem.task.of(slice(members)))


def dense_problem(
    members: int, batch_size: int = 64, rows: int = ROWS, columns: int = COLUMNS
) -> PreparedRun:
    """Return members of the dense network, 313 → 256 → 128 → 1, on random numbers."""
    options = {**DENSE, "batch_size": batch_size}
    return make_problem(NUMBERS, random_tables(rows, columns), members, options)


def train(
    problem: PreparedRun, epochs: int, history_every: int | None = None, *, together: bool = False
) -> None:
    """Train a problem's networks for so many epochs.

    Args:
        problem: of the members.
        epochs: of one training, with its schedule.
        history_every: epochs between two looks at all rows; None for one at the end.
        together: whether all are one batch; otherwise it is as `cv` does it.
    """
    settings, every = problem.task.settings, history_every or epochs
    training = replace(settings.training, epochs=epochs, history_every=every)
    task = replace(problem.task, settings=replace(settings, training=training))
    engine.train(task, problem.devices, group_size=len(task.members) if together else None)


def operations_per_epoch(problem: PreparedRun) -> float:
    """Return the operations of matrix products in one epoch of all members."""
    rows = sum(len(problem.task.folds[member.fold][0]) for member in problem.task.members)
    return float(problem.task.blank_network().operations()) * rows
