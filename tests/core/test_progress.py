"""Progress as the library tells it: what is told, in which order, in which units."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from mirror import Mirror, whole
from small import ROWS, source_in, write_small

from kaggleprice.api import prediction, workflow
from kaggleprice.api.workflow import RuntimeConfig
from kaggleprice.competitions.catalog import Competition, DataFile
from kaggleprice.competitions.download import fetch
from kaggleprice.competitions.tables import read_tables
from kaggleprice.core.progress import Silent
from kaggleprice.settings.run import make_settings

Advance = tuple[str, int, int | None, str, str]


class Recorder(Silent):
    """A progress that remembers everything."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.details: list[str] = []
        self.advances: list[Advance] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def detail(self, message: str) -> None:
        self.details.append(message)

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        self.advances.append((stage, done, total, detail, unit))

    @property
    def stages(self) -> list[str]:
        """Stages in the order in which they were told of, each once in a row."""
        names = [name for name, *_ in self.advances]
        return [n for i, n in enumerate(names) if i == 0 or names[i - 1] != n]

    def of(self, stage: str) -> list[Advance]:
        return [advance for advance in self.advances if advance[0] == stage]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("progress")
    write_small(folder)
    return folder


OPTIONS = {
    "k": 2,
    "portfolio": (),
    "seeds": 2,
    "epochs": 3,
    "hidden": (8,),
    "inner_blocks": 1,
    "base_models": ("ridge",),
}


@pytest.fixture(scope="module")
def training(small: Path) -> Recorder:
    recorder = Recorder()
    settings = make_settings(options=OPTIONS)
    workflow.cross_validate(
        source_in(small), settings, RuntimeConfig(small / "runs"), progress=recorder
    )
    return recorder


def test_training_tells_of_every_stage(training: Recorder) -> None:
    stages = "checking; reading; preparing; training; base models; scoring; writing"
    assert training.stages == stages.split("; ")
    (notice,) = training.notices
    assert notice.startswith("training on cpu with ")
    told = training.of("training")
    assert [(done, total, unit) for _, done, total, _, unit in told] == [
        (epoch, 3, "epochs") for epoch in range(4)
    ]
    assert told[0][3] == "4 members"
    assert re.fullmatch(r"validation RMSE 0\.\d+, 4 members", told[-1][3])
    assert [(done, total, unit) for _, done, total, _, unit in training.of("base models")] == [
        (done, 2, "models") for done in range(3)
    ]
    said = "\n".join(training.details)
    assert f"{ROWS} training and 8 test rows, 1 numeric and 1 categorical columns" in said
    for words in ("4 members of ", "SHA-256", "run mlp-001 written to "):
        assert words in said


def test_prediction_and_preprocessing_tell_too(small: Path, training: Recorder) -> None:
    recorder = Recorder()
    output = small / "submission.csv"
    source, place = source_in(small), RuntimeConfig(small / "runs")
    prediction.predict(source, place, output=output, progress=recorder)
    assert recorder.stages == ["checking", "reading", "predicting"]
    assert recorder.details[-1] == f"8 rows written to {output}"
    recorder = Recorder()
    workflow.preprocess(source, output=small / "features.csv", progress=recorder)
    assert recorder.stages == ["checking", "reading", "preprocessing"]


def competition(train: DataFile, test: DataFile) -> Competition:
    return Competition("x", "", "", train, test, "Id", "y", "none", "rmse", ())


def test_reading_is_told_in_bytes(tmp_path: Path) -> None:
    """A file of several megabytes is told of more than once, up to its size."""
    rows = 200_000
    frame = pd.DataFrame({"Id": range(rows), **{f"c{i}": [1.234567] * rows for i in range(6)}})
    frame[: rows // 2].assign(y=1.0).to_csv(tmp_path / "train.csv", index=False)
    frame[rows // 2 :].to_csv(tmp_path / "test.csv", index=False)
    recorder = Recorder()
    read_tables(
        competition(DataFile("train.csv"), DataFile("test.csv")),
        tmp_path / "train.csv",
        tmp_path / "test.csv",
        recorder,
    )
    for name in ("train.csv", "test.csv"):
        size = (tmp_path / name).stat().st_size
        told = [a for a in recorder.of("reading") if a[3] == name]
        assert {a[2] for a in told} == {size}
        assert told[-1][1] == size
        assert {a[4] for a in told} == {"bytes"}
        steps = [a[1] for a in told]
        assert steps == sorted(steps)
        assert len(set(steps)) > 1


def test_a_download_is_told_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = b"Id,a,y\n" + b"1,2,3\n" * 200_000
    with Mirror() as mirror:
        files = [
            DataFile(name, mirrors=(mirror.serve(f"/{name}", whole(content)),))
            for name in ("train.csv", "test.csv")
        ]
        recorder = Recorder()
        fetch(competition(*files), tmp_path, progress=recorder)
    told = [a for a in recorder.of("downloading") if a[3] == "train.csv"]
    assert told[-1] == ("downloading", len(content), len(content), "train.csv", "bytes")
    assert {a[2] for a in told} == {len(content)}
    assert recorder.stages[:2] == ["downloading", "checking"]
