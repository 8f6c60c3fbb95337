"""Views: tables and sentences."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from kaggleprice.api.workflow import Prediction
from kaggleprice.cli.views import cv, predict, tables
from kaggleprice.runs.advice import Step
from kaggleprice.runs.run import Run


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
        (1.0, 2.5, "some overfitting"),
        (1.0, 1.1, "some overfitting"),
        (1.0, 1.099, "no overfitting; if the score is poor"),
        (0.4, 0.2, "no overfitting; if the score is poor"),
        (0.0, 0.1, "they overfit;"),
    ],
)
def test_fit_sentence(train: float, validation: float, says: str) -> None:
    sentence = cv.fit_sentence(train, validation)
    assert says in sentence
    assert sentence.endswith(".")


def test_fit_sentence_names_the_ratio() -> None:
    assert "1.50 times training error" in cv.fit_sentence(0.1, 0.15)


def record(folds: int = 2, seeds: int = 3) -> dict[str, object]:
    return {
        "competition": "sample",
        "metric": "log_rmse",
        "scores": {
            "fold_mean": 0.1234567,
            "fold_sd": 0.01,
            "train_mean": 0.1,
            "oof": 0.13579,
            "networks_oof": 0.13579,
            "oof_error": 0.006,
            "mean_squared_log_error": 0.0153,
        },
        "folds": [
            {"fold": k + 1, "train": 0.1, "validation": 0.12 + k / 100} for k in range(folds)
        ],
        "members": [{}] * folds * seeds,
        "partners": [],
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


def test_cv_view_names_both_scores() -> None:
    text = shown(cv.cv_view(Run(Path("runs/sample/mlp-007"), record())))
    assert "pooled out-of-fold RMSE between logs: 0.1358 ± 0.0060 (standard error)" in text
    assert "mean of folds: 0.1235 ± 0.0100 (standard deviation)" in text
    # 0.006 * sqrt(1 + 1600 / 900)
    assert "to expect on 900 test rows: 0.1358 ± 0.0100, or a little less" in text
    assert "6 members (2 folds x 3) trained together in 12.3 s on cpu (2 threads)" in text
    assert "saved as run mlp-007 in" in text
    assert "Optimistic: for a reason." in text
    lines = [line.split() for line in text.splitlines()]
    assert ["2", "0.1000", "0.1300", "1.30"] in lines
    assert ["mean", "0.1000", "0.1235", "1.23"] in lines
    assert ["sd", "0.0100"] in lines
    assert "partner" not in text
    assert "next:" not in text
    assert "best run before" not in text


def test_cv_view_says_what_networks_and_partners_score_alone() -> None:
    scores = {**record()["scores"], "networks_oof": 0.14}  # type: ignore[dict-item]
    voted = {
        **record(),
        "scores": scores,
        "partners": [{"name": "boosting", "oof": 0.13}, {"name": "ridge", "oof": 0.15}],
        "settings": {"partner_share": 0.4},
    }
    text = shown(cv.cv_view(Run(Path("runs/sample/mlp-007"), voted)))
    alone = "networks 0.1400, boosting 0.1300, ridge 0.1500"
    assert f"pooled score of each alone: {alone}; partners have 0.4 of the vote" in text


def prediction(rows: int) -> Prediction:
    frame = pd.DataFrame(
        {"Id": [str(i) for i in range(rows)], "SalePrice": [1e5 + i for i in range(rows)]}
    )
    return Prediction(Run(Path("runs/sample/mlp-007"), record()), frame, Path("submission.csv"))


def test_predict_view_says_what_to_expect() -> None:
    text = shown(predict.predict_view(prediction(9)), width=1000)
    assert "9 rows written to submission.csv, SalePrice from 100,000 to 100,008" in text
    assert "Score to expect: 0.1358 ± 0.0100 (RMSE between logs), or a little less" in text
    assert "averages all 2 folds'. ± is one standard error" in text
    assert "Optimistic: for a reason." in text
    assert "..." in text


def old_record() -> dict[str, object]:
    """What a run of an earlier version says: nothing of a standard error."""
    old = record()
    scores = {k: v for k, v in old["scores"].items() if k != "oof_error"}  # type: ignore[attr-defined]
    return {**old, "scores": scores}


def test_a_run_of_an_earlier_version_has_no_standard_error() -> None:
    run = Run(Path("runs/sample/mlp-007"), old_record())
    text = shown(cv.cv_view(run))
    assert "pooled out-of-fold RMSE between logs: 0.1358\n" in text
    assert cv.cv_document(run)["expected"] == {"score": 0.13579, "error": None, "rows": 900}


def test_a_page_and_next_steps() -> None:
    steps = [Step("kaggleprice report", "why it errs"), Step("kaggleprice cv -c x", "again")]
    text = shown(predict.predict_view(prediction(9), steps=steps, page="https://example.com/x"))
    assert text.splitlines()[-3:] == [
        "Hand it in at https://example.com/x",
        "next: kaggleprice report   # why it errs",
        "      kaggleprice cv -c x  # again",
    ]


def test_next_steps_of_long_commands_are_commands_alone() -> None:
    steps = [Step("kaggleprice " + "x" * 40, "why " * 6)]
    assert [line.plain for line in tables.step_lines(steps)] == [f"next: {steps[0].command}"]
    assert tables.step_lines([]) == []


@pytest.mark.parametrize("width", [80, 200])
def test_views_keep_to_the_terminal(width: int) -> None:
    steps = [Step("kaggleprice predict", "writes submission.csv"), Step("kaggleprice cv", "again")]
    run = Run(Path("runs/sample/mlp-007"), record(folds=10))
    for view in (cv.cv_view(run, steps=steps), predict.predict_view(prediction(9), steps=steps)):
        assert max(len(line.rstrip()) for line in shown(view, width).splitlines()) <= width


def test_predict_view_of_few_rows_leaves_nothing_out() -> None:
    assert "..." not in shown(predict.predict_view(prediction(5)))


def test_predict_document() -> None:
    document = predict.predict_document(prediction(9))
    assert document["run"] == "mlp-007"
    assert document["rows"] == 9
    assert (document["smallest"], document["median"], document["largest"]) == (1e5, 100004, 100008)
    assert document["trained"] is False


def test_a_large_score_is_readable() -> None:
    assert tables.score_text(0.13579) == "0.1358"
    assert tables.score_text(31415.9) == "31,416"


def test_tables_survive_a_narrow_ascii_terminal() -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace"))
    console.print(cv.cv_view(Run(Path("runs/sample/mlp-007"), record())))
