"""Studies: proposals that depend on the seed and on what was told, and a database of them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from kaggleprice.core.errors import OutputError, UsageError
from kaggleprice.evaluation.studies import FoldStudy, Storage
from kaggleprice.settings.search import SPACE, START

STARTS = ["robust", "tanh"]
STATES = optuna.trial.TrialState


def searched(seed: int = 0, fold: int = 0, generations: int = 4) -> FoldStudy:
    """Tell that a large rate and little dropout are good; the better half goes on."""
    study = FoldStudy(SPACE, STARTS, seed, fold)
    for _ in range(generations):
        asked = study.ask(8)
        ranks = [1 / values["lr"] + values["dropout"] for _, values in asked]
        middle = sorted(ranks)[4]
        longs = {n: r for (n, _), r in zip(asked, ranks, strict=True) if r < middle}
        study.tell(ranks, longs)
    return study


def params(study: FoldStudy) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def test_the_same_search_makes_the_same_proposals() -> None:
    assert params(searched()) == params(searched())
    assert params(searched()) != params(searched(seed=1))
    assert params(searched()) != params(searched(fold=1))
    # A shorter search is the beginning of a longer one.
    assert params(searched(generations=2)) == params(searched())[:16]


def test_proposals_learn() -> None:
    rates = [values["lr"] for values in params(searched(generations=8))]
    assert sum(rates[-16:]) > 1.5 * sum(rates[:16])


def test_those_that_do_not_go_on_are_pruned() -> None:
    trials = searched(generations=1).trials
    states = [trial.state for trial in trials]
    assert (states.count(STATES.COMPLETE), states.count(STATES.PRUNED)) == (4, 4)
    assert all(set(trial.intermediate_values) >= {0} for trial in trials)


def test_one_start_is_no_choice() -> None:
    study = FoldStudy(SPACE, ["tanh"], 0, 0)
    ((_, values),) = study.ask(1)
    assert values[START] == "tanh"
    study.tell([float("inf")], {})
    assert START not in study.trials[0].params


@pytest.mark.parametrize("greater", [False, True])
def test_a_database_has_the_scores(tmp_path: Path, greater: bool) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = searched(generations=1)
    with closing(Storage(url)) as storage:
        storage.keep("one", study, greater_is_better=greater)
    study.tell([1.0 for _ in study.ask(2)], {})
    with closing(Storage(url)) as storage:
        # Only what is new is added.
        storage.keep("one", study, greater_is_better=greater)
        (kept,) = storage.studies(["one"])
        check_kept(kept, study)
        with pytest.raises(UsageError, match="two"):
            storage.studies(["two"])
        sign = -1 if greater else 1
        best = min(trial.intermediate_values.get(1, float("inf")) for trial in study.trials)
        assert kept.best_value == sign * best


def check_kept(kept: optuna.Study, study: FoldStudy) -> None:
    assert [trial.params for trial in kept.trials] == params(study)
    assert [trial.state for trial in kept.trials] == [trial.state for trial in study.trials]


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "mysql+no://x/y"])
def test_a_database_that_cannot_be_opened_is_said(url: str) -> None:
    with pytest.raises(OutputError, match="storage"):
        Storage(url)


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL of its own, on loopback, started for this test; skips where none is."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed here (initdb, pg_ctl)")
    # It does not run as root, and its folder must be its own.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    user = ["runuser", "-u", "postgres", "--"] if root else []
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if root:
            shutil.chown(folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data, log = f"{folder}/data", f"{folder}/log"
        run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        run([*user, "initdb", "-D", data, "-U", "tuner", "--auth", "trust", "--no-sync"])
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run([*user, "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start"])
        try:
            yield f"postgresql+pg8000://tuner@127.0.0.1:{port}/postgres"
        finally:
            run([*user, "pg_ctl", "-D", data, "-m", "immediate", "stop"])


def test_a_real_database_server(database: str) -> None:
    study = searched(generations=2)
    with closing(Storage(database)) as storage:
        for _ in range(2):
            storage.keep("one", study, greater_is_better=True)
        (kept,) = storage.studies(["one"])
        check_kept(kept, study)
