"""Views: how every command looks, and what they say of unusual results."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from entry_point import EntryPoint
from every import COMMANDS
from rich.console import Console, RenderableType
from small import write_small

from kaggleprice.api.prediction import Prediction
from kaggleprice.cli.views import cv, tables
from kaggleprice.cli.views.predict import predict_document, predict_view
from kaggleprice.reports.wording import score
from kaggleprice.runs.advice import Step
from kaggleprice.runs.run import Run

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("config", "cv", "download", "init", "predict", "preprocess", "replay", "report", "runs")
NAMES += ("tune",)


def normal(text: str) -> str:
    """Numbers become #, hashes and versions too; gaps and rules of tables lose their length."""
    text = re.sub(r"\b(?=[a-f]*[0-9])[0-9a-f]{8,64}\b", "#", text)
    text = re.sub(r"((?<!\w)[+-])?\d+([.,:]\d+)*(\+\w+|e-?\d+)?", "#", text)
    text = re.sub(r"(just now|# min ago)\b", "# ago", text)
    text = re.sub(r"\b(less than|about) # (s|min)( # s)?\b", "# s", text)
    return re.sub(r"─+", "─", re.sub(r" {2,}", "  ", text))


@pytest.fixture(scope="module")
def looks(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By command: what its lines of `every.COMMANDS` print, in a folder of their own."""
    folder = tmp_path_factory.mktemp("looks")
    write_small(folder)
    found = dict.fromkeys(NAMES, "")
    for line, code, _ in COMMANDS:
        done = entry(*line.split(), cwd=folder, COLUMNS="")
        assert done.code == code, done.err
        # What is told while a command works depends on how long that takes.
        said = done.out + "".join(re.findall(r"^error: .*\n", done.err, flags=re.MULTILINE))
        shown = f"$ kaggleprice {line}\n{said}"
        found[line.split()[0]] += normal(shown) + "\n"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_looks(looks: dict[str, str], name: str, pytestconfig: pytest.Config) -> None:
    """`python -m pytest tests/cli/test_views.py --refresh-golden` records them anew."""
    golden = GOLDEN / f"{name}.txt"
    if pytestconfig.getoption("--refresh-golden"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(looks[name], encoding="utf-8")
    assert looks[name] == golden.read_text(encoding="utf-8")


def shown(view: RenderableType, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(view)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("train", "validation", "says"),
    [
        (1.0, 2.501, "they overfit;"),
        (1.0, 2.5, "some overfitting; only another run tells"),
        (1.0, 1.1, "some overfitting; only another run tells"),
        (1.0, 1.099, "no overfitting; if the score is poor"),
        (0.4, 0.2, "no overfitting; if the score is poor"),
        (0.0, 0.1, "they overfit;"),
    ],
)
def test_fit_sentence(train: float, validation: float, says: str) -> None:
    sentence = cv.fit_sentence(train, validation)
    assert says in sentence
    assert f"{validation / train if train else float('inf'):.2f} times" in sentence


def run(**changes: Any) -> Run:
    """A run's folder and what it records, as far as views read it."""
    scores = {"fold_mean": 0.1234567, "fold_sd": 0.01, "train_mean": 0.1, "oof": 0.13579}
    record = {
        "competition": "sample",
        "metric": "log_rmse",
        "scores": {
            **scores,
            "networks_oof": 0.14,
            "oof_error": 0.006,
            "mean_squared_log_error": None,
        },
        "folds": [{"fold": k, "train": 0.1, "validation": 0.11 + k / 100} for k in (1, 2)],
        "members": [{}] * 6,
        "base_models": [],
        "notes": ["Optimistic: for a reason."],
        "timing": {"seconds": 12.345, "finished": ""},
        "data": {
            "train": {"name": "train.csv", "sha256": "a" * 64, "rows": 1600},
            "test": {"name": "test.csv", "sha256": "b" * 64, "rows": 900},
        },
        "files": {"folds.csv": "c" * 64},
        "device": "cpu",
        "threads": 2,
    }
    return Run(Path("runs/sample/mlp-007"), {**record, **changes})


def prediction(rows: int) -> Prediction:
    frame = pd.DataFrame(
        {"Id": [str(i) for i in range(rows)], "SalePrice": [1e5 + i for i in range(rows)]}
    )
    return Prediction(run(), frame, Path("submission.csv"))


def test_numbers_of_cv() -> None:
    text = shown(cv.cv_view(cv.cv_document(run())))
    assert "0.1358 ± 0.0060 (standard error)" in text
    assert "0.1235 ± 0.0100 (standard deviation)" in text
    # 0.006 * sqrt(1 + 1600 / 900)
    assert "on 900 test rows: 0.1358 ± 0.0100" in text
    assert "6 members (2 folds x 3)" in text
    lines = [line.split() for line in text.splitlines()]
    for row in ("2 0.1000 0.1300 1.30", "mean 0.1000 0.1235 1.23", "sd 0.0100"):
        assert row.split() in lines


@pytest.mark.parametrize(
    ("groups", "said"),
    [([6], ""), ([3, 3], ", in 2 groups of 3"), ([4, 2], ", in 2 groups of up to 4")],
)
def test_groups_are_told(groups: list[int], said: str) -> None:
    text = shown(cv.cv_view(cv.cv_document(run(groups=groups))))
    assert f"in 12.3 s on cpu (2 threads){said}\n" in text


def test_parts_are_told_beside_the_whole() -> None:
    assert "part" not in shown(cv.cv_view(cv.cv_document(run()))).split()
    parts = [
        {"name": "fine", "weight": 0.625, "oof": 0.141, "oof_without": 0.152},
        {"name": "boosting", "weight": 0.375, "oof": 0.13, "oof_without": 0.1415},
    ]
    lines = [
        line.split() for line in shown(cv.cv_view(cv.cv_document(run(parts=parts)))).splitlines()
    ]
    head = lines.index(["part", "weight", "alone", "all", "but", "it"])
    assert lines[head + 2 : head + 6] == [
        ["fine", "0.62", "0.1410", "0.1520"],
        ["boosting", "0.38", "0.1300", "0.1415"],
        [],
        ["all", "1.00", "0.1358"],
    ]


def test_a_run_of_an_earlier_version_has_no_standard_error() -> None:
    scores = {name: value for name, value in run().record["scores"].items() if name != "oof_error"}
    document = cv.cv_document(run(scores=scores))
    assert "RMSE between logs: 0.1358\n" in shown(cv.cv_view(document))
    assert (document.expected.score, document.expected.error) == (0.13579, None)
    assert document.groups == [6]


def test_a_page_and_next_steps() -> None:
    steps = [Step("kaggleprice report", "why it errs"), Step("kaggleprice cv -c x", "again")]
    page = "https://example.com/x"
    view = predict_view(predict_document(prediction(9)), prediction(9), steps=steps, page=page)
    assert shown(view).splitlines()[-3:] == [
        "Hand it in at https://example.com/x",
        "next: kaggleprice report   # why it errs",
        "      kaggleprice cv -c x  # again",
    ]
    long = [Step("kaggleprice " + "x" * 40, "why " * 6)]
    assert [line.plain for line in tables.step_lines(long)] == [f"next: {long[0].command}"]
    assert tables.step_lines([]) == []


@pytest.mark.parametrize("width", [80, 200])
def test_views_keep_to_the_terminal(width: int) -> None:
    steps = [Step("kaggleprice predict", "writes submission.csv"), Step("kaggleprice cv", "again")]
    for view in (
        cv.cv_view(cv.cv_document(run()), steps=steps),
        predict_view(predict_document(prediction(9)), prediction(9), steps=steps),
    ):
        assert max(len(line.rstrip()) for line in shown(view, width).splitlines()) <= width


def test_a_large_score_is_readable() -> None:
    assert score(0.13579) == "0.1358"
    assert score(31415.9, 12.3) == "31,416 ± 12"
    assert score(57.54321, 0.4567) == "57.54 ± 0.46"
    assert score(0.0019953, 0.0000345) == "0.001995 ± 0.000034"
    assert score(0.0) == "0.0000"
