"""Reports as files: the page, its figures, what is said where there can be none."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import TINY, EntryPoint
from reported import EVIL, MATHS, ROWS, TEST_ROWS, Made, make_run, write_competition

from kaggleprice.api import workflow
from kaggleprice.cli.views.report import report_document, report_view
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.core.errors import (
    DataError,
    OutputError,
    RunFolderError,
    UnknownNameError,
    UsageError,
)
from kaggleprice.reports.making import Report, make_report

mpl = pytest.importorskip("matplotlib")
image = pytest.importorskip("PIL.Image")

VOID = {"meta", "link", "br", "img", "hr", "input"}
FIGURES = {
    "learning-curves",
    "predictions",
    "residuals",
    "residuals-by-column",
    "importance",
    "distributions",
}


class Parsed(HTMLParser):
    """A page as tags, held to be closed in the order they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def report(made: Made) -> Report:
    return make_report(made.source, made.runtime, output=made.folder / "copy.html", repeats=1)


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return report.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Parsed:
    return Parsed(text)


def test_everything_is_where_it_should_be(made: Made, report: Report, text: str) -> None:
    assert report.page == made.run.path / "report.html"
    assert report.output == made.folder / "copy.html"
    assert report.output.read_text(encoding="utf-8") == text
    assert set(report.figures) == FIGURES
    found = {path.name for path in (made.run.path / "figures").iterdir()}
    assert found == {f"{name}.png" for name in FIGURES}


def test_figures_are_images_of_a_sane_size(report: Report) -> None:
    for path in report.figures.values():
        with image.open(path) as opened:
            assert opened.format == "PNG"
            assert 600 <= opened.width <= 2000
            assert 300 <= opened.height <= 2500
            picture = opened.convert("RGB")
        assert picture.getpixel((0, 0)) == (255, 255, 255)
        # Ink, grid and data: not an empty sheet.
        assert len(picture.getcolors(2**22)) > 20


def test_the_page_refers_to_nothing_outside(text: str, page: Parsed) -> None:
    assert "http" not in text.replace("http-equiv", "")
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "img", "image", "base", "form"}
        for name, value in attributes.items():
            assert name not in {"src", "srcset", "action", "background"}
            assert not name.startswith("on")
            if name.endswith("href"):
                assert value == "data:," or (value or "").startswith("#")
    assert re.findall(r"@import|url\((?!#)", text) == []
    policy = next(m["content"] for m in page.named("meta") if "http-equiv" in m)
    assert "default-src 'none'" in str(policy)


def test_what_figures_refer_to_is_there_once(text: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", text))
    used |= set(re.findall(r'aria-labelledby="([^"]*)"', text))
    assert used <= set(ids)
    assert used


def test_colours_follow_the_theme(text: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(figures) == len(FIGURES)
    for figure in figures:
        assert re.findall(r"#[0-9a-f]{6}|#[0-9a-f]{3}\b(?=[;\"])", figure) == []
        assert set(re.findall(r"var\((--\w+)\)", figure)) <= set(re.findall(r"(--\w+):", text))
    assert "prefers-color-scheme: dark" in text


def test_names_are_text_and_nothing_else(made: Made, text: str, page: Parsed) -> None:
    assert "<script" not in text
    assert "<b>" not in text
    for name in (EVIL, MATHS, "Pr<ice", "A & B"):
        assert name in page.text
    ids = pd.read_csv(made.run.path / "oof.csv")["Id"]
    assert any(identity in page.text for identity in ids)


def test_readers_of_all_kinds(page: Parsed) -> None:
    assert page.named("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.named(
        "meta"
    )
    for figure in page.named("svg"):
        assert figure["role"] == "img"
        assert len(str(figure["aria-label"])) > 40
    assert len(page.named("h1")) == 1
    assert len(page.named("figcaption")) == len(page.named("figure")) == len(FIGURES)
    assert {cell["scope"] for cell in page.named("th")} == {"col", "row"}


def test_the_page_says_what_it_should(made: Made, report: Report, page: Parsed) -> None:
    record = made.run.record
    scores = record["scores"]
    assert f"{scores['oof']:.4f}" in page.text
    assert f"{scores['fold_mean']:.4f} ± {scores['fold_sd']:.4f}" in page.text
    expected = report.findings.expected
    assert f"between {expected.low:.4f} and {expected.high:.4f}" in page.text
    assert expected.rows == TEST_ROWS
    for digest in (record["data"]["train"]["sha256"], record["data"]["test"]["sha256"]):
        assert digest in page.text
    assert f"torch {record['versions']['torch']}" in page.text
    for setting in ("hidden 8 ", "lr 0.03 0.01", "epochs 12 60"):
        assert setting in page.text
    assert "Breiman 2001" in page.text


def test_largest_errors_are_those_of_oof_csv(made: Made, report: Report) -> None:
    rows = pd.read_csv(made.run.path / "oof.csv")
    distance = np.log(rows["predicted"] / rows["true"])
    order = distance.abs().sort_values(ascending=False, kind="stable").index[:15]
    errors = report.findings.errors
    assert [error.id for error in errors] == rows["Id"][order].tolist()
    assert [error.residual for error in errors] == pytest.approx(distance[order])
    assert [error.fold for error in errors] == rows["fold"][order].tolist()
    train = pd.read_csv(made.folder / "train.csv", dtype={"Id": str}).set_index("Id")
    for error in errors:
        assert list(error.columns) == report.findings.order[:6]
        assert error.columns["Size"] == train["Size"][error.id]
        assert error.relative == pytest.approx(error.predicted / error.true - 1)


def test_test_rows_are_predicted_as_predict_does(made: Made, report: Report) -> None:
    prediction = workflow.predict(made.source, made.runtime, output=made.folder / "submission.csv")
    np.testing.assert_array_equal(report.findings.predictions, prediction.submission["Pr<ice"])


def test_the_same_run_gives_the_same_page(made: Made, report: Report, text: str) -> None:
    pictures = {name: path.read_bytes() for name, path in report.figures.items()}
    again = make_report(made.source, made.runtime, repeats=1)
    assert again.page.read_text(encoding="utf-8") == text
    assert {name: path.read_bytes() for name, path in again.figures.items()} == pictures
    assert again.output is None


def test_drawing_leaves_matplotlib_as_it_was(made: Made) -> None:
    # Asking for the backend would choose one, and load pyplot.
    names = [name for name in mpl.rcParams if name != "backend"]
    loaded = "matplotlib.pyplot" in sys.modules
    with mpl.rc_context({"font.size": 31.0, "svg.fonttype": "path"}):
        before = {name: mpl.rcParams[name] for name in names}
        report = make_report(made.source, made.runtime, made.run.name, repeats=0, columns=1)
        assert {name: mpl.rcParams[name] for name in names} == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert "font: 31px" not in report.page.read_text(encoding="utf-8")


def test_without_importance(made: Made) -> None:
    report = make_report(made.source, made.runtime, repeats=0, columns=2)
    assert report.findings.importance is None
    # The one column that decides the target tells most of it, too.
    assert report.findings.order[0] == "Size"
    assert set(report.figures) == FIGURES - {"importance"}
    assert not (made.run.path / "figures" / "importance.png").exists()
    page = Parsed(report.page.read_text(encoding="utf-8"))
    assert "most telling columns" in page.text
    assert "Breiman" not in page.text


def test_document_and_view(made: Made, report: Report) -> None:
    from rich.console import Console

    document = json.loads(json.dumps(asdict(report_document(report)), allow_nan=False))
    assert document["command"] == "report"
    assert document["page"] == str(report.page)
    assert set(document["figures"]) == FIGURES
    assert [c["column"] for c in document["importance"]["columns"]] == report.findings.order
    assert len(document["drift"]) == 5
    assert len(document["largest_errors"]) == 15
    assert document["expected"]["share"] == 0.9
    with Console(width=200).capture() as _, Console(width=200, record=True) as console:
        console.print(report_view(report_document(report), "Id"))
    shown = console.export_text()
    assert str(report.page) in shown
    assert "score to expect on 40 test rows" in shown
    assert EVIL in shown


def test_what_has_no_score_is_said_to_be_undefined(report: Report) -> None:
    """A metric of logs may be undefined once a column is permuted; JSON has no NaN."""
    from kaggleprice.reports.figures import draw
    from kaggleprice.reports.page import make_page

    importance = report.findings.importance
    assert importance is not None
    lost = replace(importance.columns[0], increase=float("nan"), member_mean=float("inf"))
    columns = [lost, *importance.columns[1:]]
    findings = replace(report.findings, importance=replace(importance, columns=columns))
    document = report_document(replace(report, findings=findings))
    assert document.importance is not None
    assert document.importance.columns[0].increase is None
    assert document.importance.columns[0].member_mean is None
    json.dumps(asdict(document), allow_nan=False)
    page = Parsed(make_page(findings, draw(findings, 3), 3))
    assert "Size undefined" in page.text


@pytest.mark.parametrize("transform", ["none", "log1p"])
def test_other_targets(tmp_path: Path, transform: str) -> None:
    """Negative ones without a transform; and zeros, with partners, another average, one seed."""
    metric = {"none": "mae", "log1p": "log1p_rmse"}[transform]
    options = {} if transform == "none" else {"partners": ("boosting",), "seeds": 1}
    made = make_run(tmp_path, transform, metric, epochs=3, combine="arithmetic", **options)
    report = make_report(made.source, made.runtime, repeats=1, columns=2)
    findings = report.findings
    page = Parsed(report.page.read_text(encoding="utf-8"))
    assert findings.expected.score == pytest.approx(made.run.record["scores"]["oof"])
    assert findings.importance is not None
    assert findings.importance.baseline == pytest.approx(
        made.run.record["scores"]["networks_oof"], rel=1e-4
    )
    partners = "of partners (boosting) a run keeps predictions"
    assert (partners in page.text) == (transform == "log1p")
    words = {"none": "predicted - true", "log1p": "log(1 + Pr<ice)"}[transform]
    assert words in page.text
    assert ("log axis)" in page.text.split("predicted Pr<ice")[1][:60]) == (transform == "log1p")


def test_notes_stand_on_the_page(tmp_path: Path) -> None:
    made = make_run(tmp_path, epochs=2, patience=1, stop_on="validation", k=2, seeds=1)
    report = make_report(made.source, made.runtime, repeats=0, columns=1)
    page = Parsed(report.page.read_text(encoding="utf-8"))
    assert made.run.record["notes"]
    for note in made.run.record["notes"]:
        assert note in page.text


def test_without_matplotlib_one_sentence_before_any_work(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    nowhere = workflow.RuntimeConfig(tmp_path / "none", "cpu", 1)
    with pytest.raises(UsageError, match=r'pip install "kaggleprice\[report\]"'):
        make_report(made.source, nowhere)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": Path("page.txt")}, UsageError, r"expected a suffix of \.html or \.htm"),
        ({"repeats": -1}, UsageError, "repeats must be 0"),
        ({"columns": 0}, UsageError, "columns must be 1 or more"),
        ({"name": "mlp-0001"}, UnknownNameError, "Did you mean 'mlp-001'"),
        ({"output": Path("train.csv/page.html")}, OutputError, "cannot write"),
    ],
)
def test_what_cannot_be(
    made: Made, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    if "output" in options:
        options = {"output": made.folder / options["output"]}
    with pytest.raises(error, match=message):
        make_report(made.source, made.runtime, **options)


def test_without_a_run(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no run of evil in .* to report"):
        make_report(made.source, workflow.RuntimeConfig(tmp_path, "cpu", 1))


def copied(made: Made, folder: Path) -> workflow.RuntimeConfig:
    """Copy the runs; return the workplace of the copies."""
    shutil.copytree(made.folder / "runs", folder / "runs")
    return workflow.RuntimeConfig(folder / "runs", "cpu", 1)


def test_changed_data_are_refused(made: Made, tmp_path: Path) -> None:
    source = workflow.DatasetRef(read_competition(write_competition(tmp_path)), tmp_path / "data")
    place = copied(made, tmp_path)
    make_report(source, place, repeats=0, columns=1)
    with (tmp_path / "test.csv").open("a", encoding="utf-8") as file:
        file.write("h999,1,1,7,,0\n")
    with pytest.raises(DataError, match=r"test\.csv changed since run mlp-001"):
        make_report(source, place)


@pytest.mark.parametrize("name", ["oof.csv", "history.csv", "recipes/fold-1.json"])
def test_an_altered_run_is_refused(made: Made, tmp_path: Path, name: str) -> None:
    place = copied(made, tmp_path)
    file = place.runs_dir / "evil" / "mlp-001" / name
    file.write_text(file.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    with pytest.raises(RunFolderError, match="truncated or altered"):
        make_report(made.source, place)


def test_a_report_does_not_disturb_its_run(made: Made, report: Report) -> None:
    assert report.page.is_file()
    assert made.run.ensemble().predict(
        pd.read_csv(made.folder / "test.csv", dtype={EVIL: "str"}, na_values=["NA"])
    ).shape == (6, TEST_ROWS)


def test_many_rows_are_drawn_at_random() -> None:
    from kaggleprice.reports.panels import MOST_POINTS, choose

    always = np.array([3, 99_999])
    chosen, note = choose(100_000, 0, always)
    assert MOST_POINTS <= len(chosen) <= MOST_POINTS + 2
    assert set(always) <= set(chosen.tolist())
    assert "3,000" in note
    assert choose(ROWS, 0, always)[1] == ""


def test_command(entry: EntryPoint, tmp_path: Path) -> None:
    nothing = entry("report", "-c", "sample", cwd=tmp_path)
    assert nothing.code == 2
    assert "there is no run of sample" in nothing.error
    trained = entry("cv", "-c", "sample", *TINY, "--no-engineering", "-q", cwd=tmp_path)
    assert trained.code == 0
    done = entry(
        "report", "-c", "sample", "mlp-001", "--repeats", "1", "-o", "r.html", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "r.html").read_bytes() == (tmp_path / done.json["page"]).read_bytes()
    assert done.json["importance"]["repeats"] == 1
    assert len(done.json["importance"]["columns"]) == 79
    both = entry("report", "-c", "sample", "--no-importance", "--repeats", "2", cwd=tmp_path)
    assert both.code == 2
    assert "leave --repeats away" in both.error
