"""Plans: what a dry run says is what the run then does, and a dry run does nothing."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from safetensors.torch import load_file
from small import ROWS, TEST_ROWS, write_small

from kaggleprice.api import workflow
from kaggleprice.api.dry_run import Plan, plan, plan_prediction
from kaggleprice.api.prediction import PredictRequest, predict
from kaggleprice.cli.views.plan import (
    plan_view,
)
from kaggleprice.competitions.catalog import COMPETITIONS, read_competition
from kaggleprice.competitions.data import DatasetRef
from kaggleprice.core.errors import DeviceError, OutputError, UnknownNameError, UsageError
from kaggleprice.models.mlp import MemberMLP
from kaggleprice.runs.runtime import RuntimeConfig, read_duration
from kaggleprice.settings.model import Inputs, ModelSettings
from kaggleprice.settings.run import make_settings

OPTIONS = {"k": 5, "portfolio": (), "seeds": 2, "epochs": 3, "hidden": (6, 4), "batch_size": 8}


@dataclass(frozen=True)
class Place:
    """A small competition in a folder of the test's own."""

    folder: Path
    source: DatasetRef
    runtime: RuntimeConfig

    def plan(self, name: str | None = None, **options: Any) -> Plan:
        settings = make_settings(options={**OPTIONS, **options})
        return plan(self.source, settings, self.runtime, name=name)

    def train(self) -> workflow.Run:
        settings = make_settings(options=OPTIONS)
        return workflow.cross_validate(self.source, settings, self.runtime)[0]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    source = DatasetRef(read_competition(write_small(tmp_path)), tmp_path / "data")
    return Place(tmp_path, source, RuntimeConfig(tmp_path / "runs", "cpu", 1))


def shown(view: Any) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(view)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_the_plan_is_what_is_then_done(place: Place) -> None:
    before = files(place.folder)
    planned = place.plan()
    assert files(place.folder) == before
    run = place.train()
    assert planned.path == run.path
    work = planned.workload
    assert work is not None
    assert (work.rows, work.test_rows, work.columns) == (ROWS, TEST_ROWS, 2)
    assert work.members == len(run.record["members"]) == 10
    # 24 rows in 5 folds: 4 of 5, one of 4.
    assert sorted(work.fold_sizes) == [4, 5, 5, 5, 5]
    assert sum(work.fold_sizes) == ROWS
    # The longest fold trains on 20 rows: 3 steps of up to 8, in each of 3 epochs.
    assert work.steps == 9
    weights = load_file(run.path / "weights.safetensors")
    # A layer's fan-in is kept beside its weights, and not learned.
    learned = {n: w for n, w in weights.items() if not n.startswith("linears") or "scale" not in n}
    assert work.parameters == sum(weight.numel() for weight in learned.values())
    assert {file.sha256 for file in planned.files} == {
        data["sha256"] for data in run.record["data"].values()
    }
    assert work.seconds > 0
    assert planned.resumes is None


def test_a_plan_twice_as_long_takes_about_twice_the_operations(place: Place) -> None:
    one, two = place.plan().workload, place.plan(epochs=6).workload
    assert one is not None
    assert two is not None
    assert two.operations == 2 * one.operations
    assert two.steps == 2 * one.steps


def test_a_portfolio_takes_the_operations_of_its_settings(place: Place) -> None:
    """Of robust and tanh, too, which are one network."""
    options: dict[str, Any] = {"inner_blocks": 5, "hidden": (6,)}
    names = ("robust", "tanh")
    alone = [place.plan(portfolio=(name,), **options).workload for name in names]
    both = place.plan(portfolio=names, **options).workload
    assert both is not None
    assert both.members == sum(work.members for work in alone if work is not None)
    assert both.seconds > 0
    # Together they leave out a fifth of the rows.
    total = sum(work.operations for work in alone if work is not None)
    assert 0.75 * total < both.operations < total


@pytest.mark.parametrize(
    ("front", "learned_below"),
    [
        ({"embedding": "none", "feature_scales": False}, False),
        ({"embedding": "none", "feature_scales": True}, True),
        ({"embedding": "periodic", "feature_scales": False}, True),
    ],
)
def test_operations_are_those_of_the_products(front: dict[str, Any], learned_below: bool) -> None:
    """By hand: 2 per weight forward, 2 for its gradient, 2 for the gradient of what is below."""
    settings = ModelSettings(hidden=(5, 3), frequencies=2, **front)
    network = MemberMLP([0], Inputs(7, 4), [settings])
    width = 7 + (4 * 2 if front["embedding"] == "periodic" else 0)
    below = 2 * width * 5 if learned_below else 0
    assert network.operations() == 4 * width * 5 + below + 6 * (5 * 3 + 3 * 1)


def test_what_is_not_there_is_not_fetched(tmp_path: Path) -> None:
    source = DatasetRef(COMPETITIONS["sample"], tmp_path / "data")
    planned = plan(source, make_settings(), RuntimeConfig(tmp_path / "runs", "cpu", 1))
    folder = tmp_path / "data" / "sample"
    assert planned.fetched == [folder / "train.csv", folder / "test.csv"]
    assert planned.workload is None
    assert list(tmp_path.iterdir()) == []
    assert "fetch" in shown(plan_view(planned))


def test_what_would_fail_fails(place: Place) -> None:
    place.train()
    with pytest.raises(UsageError, match="there is a run 'mlp-001'"):
        place.plan("mlp-001", lr=0.5)
    with pytest.raises(UsageError, match="k"):
        place.plan(k=ROWS + 1)


def test_a_checkpoint_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    place = Place(place.folder, place.source, RuntimeConfig(place.folder / "runs", "cpu", 1, 0))
    with monkeypatch.context() as patch:
        patch.setattr("kaggleprice.evaluation.cross_validation.predict_members", interrupt)
        with pytest.raises(KeyboardInterrupt):
            place.train()
    planned = place.plan()
    assert planned.resumes is not None
    assert planned.resumes.is_dir()
    assert "resume" in shown(plan_view(planned))
    assert place.plan(lr=0.02).resumes is None


def test_a_time_limit_bounds_the_estimate(place: Place) -> None:
    settings = make_settings(options={**OPTIONS, "epochs": 100_000})
    limited = plan(place.source, settings, replace(place.runtime, time_limit=7.0))
    assert limited.workload is not None
    assert limited.workload.seconds == 7


def test_prediction_with_a_run(place: Place) -> None:
    run = place.train()
    before = files(place.folder)
    output = place.folder / "out.csv"
    planned = plan_prediction(place.source, place.runtime, PredictRequest(), output=output)
    assert ([one.name for one in planned.runs], planned.training) == ([run.name], None)
    assert planned.outputs == [run.path / "submission.csv", output]
    assert files(place.folder) == before


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request": PredictRequest(name="mlp-01")}, UnknownNameError),
        ({"request": PredictRequest(options={"combine": "mean"})}, UnknownNameError),
        ({"output": "train.csv"}, UsageError),
        ({"output": "train.csv/out.csv"}, OutputError),
        ({"interval": 1.5}, UsageError),
        ({"device": "cuda:99"}, DeviceError),
        ({"test": None}, UsageError),
    ],
)
def test_a_prediction_that_would_fail_fails_alike(
    place: Place, trained: bool, changes: dict[str, Any], error: type[Exception]
) -> None:
    """The plan and the command itself end with one sentence, before anything is written."""
    if trained:
        place.train()
    competition = place.source.competition
    if "test" in changes:
        competition = replace(competition, test=None)
    asked = (
        replace(place.source, competition=competition),
        replace(place.runtime, device=changes.get("device", "cpu")),
        changes.get("request", PredictRequest(options=OPTIONS)),
    )
    how = {
        "output": place.folder / changes.get("output", "out.csv"),
        "interval": changes.get("interval"),
    }
    before, said = files(place.folder), []
    for do in (plan_prediction, predict):
        with pytest.raises(error) as raised:
            do(*asked, **how)
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert files(place.folder) == before


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2min", 120)],
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration("--time-limit", text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "m"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"--time-limit takes a time such as 90s, 10m or 1h30m"):
        read_duration("--time-limit", text)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"time_limit": 0.0}, "time_limit must be above 0 seconds, found 0"),
        ({"time_limit": float("nan")}, "time_limit must be above 0"),
        ({"checkpoint_every": -1.0}, "checkpoint_every must be 0 seconds or more, found -1"),
    ],
)
def test_workplaces_that_cannot_be(fields: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        RuntimeConfig(**fields)  # type: ignore[arg-type]
