"""Making reports: the files written, the same each time, and what stops a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_point import TINY, EntryPoint
from reported import FIGURES, Made, Parsed, make_run, write_competition

from kaggleprice.api import prediction, workflow
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


def test_files_of_a_report(made: Made, report: Report, html: str) -> None:
    assert (report.page, report.output) == (
        made.run.path / "report.html",
        made.folder / "copy.html",
    )
    assert report.output is not None
    assert report.output.read_text(encoding="utf-8") == html
    assert tuple(report.figures) == FIGURES
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


def test_the_same_run_gives_the_same_files(
    made: Made, report: Report, html: str, copied: workflow.RuntimeConfig
) -> None:
    again = make_report(made.source, copied, repeats=1)
    assert again.output is None
    assert again.page.read_text(encoding="utf-8") == html
    for name, path in again.figures.items():
        assert path.read_bytes() == report.figures[name].read_bytes()


def test_drawing_leaves_matplotlib_as_it_was(made: Made, copied: workflow.RuntimeConfig) -> None:
    # Asking for the backend would choose one, and load pyplot.
    names = [name for name in mpl.rcParams if name != "backend"]
    loaded = "matplotlib.pyplot" in sys.modules
    with mpl.rc_context({"font.size": 31.0, "svg.fonttype": "path"}):
        before = {name: mpl.rcParams[name] for name in names}
        report = make_report(made.source, copied, made.run.name, repeats=0, columns=1)
        assert {name: mpl.rcParams[name] for name in names} == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert "font: 31px" not in report.page.read_text(encoding="utf-8")


def test_without_importance(made: Made, copied: workflow.RuntimeConfig) -> None:
    report = make_report(made.source, copied, repeats=0, columns=2)
    assert report.findings.importance is None
    # The one column that decides the target explains most of it by itself, too.
    assert report.findings.order[0] == "Size"
    assert set(report.figures) == set(FIGURES) - {"importance"}
    left = {path.name for path in (report.page.parent / "figures").iterdir()}
    assert left == {f"{name}.png" for name in report.figures}
    assert "importance" not in report.page.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    ("transform", "metric", "options", "axis"),
    [
        ("none", "mae", {}, "predicted - true"),
        ("log1p", "log1p_rmse", {"base_models": ("boosting",), "seeds": 1}, "log(1 + Pr<ice)"),
    ],
)
def test_other_targets(
    tmp_path: Path, transform: str, metric: str, options: dict[str, Any], axis: str
) -> None:
    """Negative ones without a transform; and zeros, with base models, another average, one seed."""
    made = make_run(tmp_path, transform, metric, epochs=3, combine="arithmetic", **options)
    report = make_report(made.source, made.runtime, repeats=1, columns=2)
    scores, importance = made.run.record["scores"], report.findings.importance
    assert report.findings.expected.score == pytest.approx(scores["oof"])
    assert importance is not None
    assert importance.baseline == pytest.approx(scores["networks_oof"], rel=1e-4)
    page = Parsed(report.page.read_text(encoding="utf-8"))
    assert axis in page.text
    assert ("log axis)" in page.text.split("predicted Pr<ice")[1][:60]) == (transform == "log1p")
    # Importance is that of the networks alone, which the page must say.
    assert ("(boosting)" in page.text) == ("base_models" in options)


def test_test_rows_are_predicted_as_predict_does(made: Made, report: Report) -> None:
    made_by = prediction.predict(made.source, made.runtime, output=made.folder / "submission.csv")
    np.testing.assert_array_equal(report.findings.predictions, made_by.submission["Pr<ice"])


def test_without_matplotlib(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that is looked at: there is no run here, either."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    nowhere = workflow.RuntimeConfig(tmp_path / "none", "cpu", 1)
    with pytest.raises(UsageError, match=r"kaggleprice\[report\]"):
        make_report(made.source, nowhere)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": Path("page.txt")}, UsageError, r"\.html or \.htm"),
        ({"repeats": -1}, UsageError, "repeats .*-1"),
        ({"columns": 0}, UsageError, "columns .* 0"),
        ({"name": "mlp-0001"}, UnknownNameError, "mlp-001"),
        ({"output": Path("train.csv/page.html")}, OutputError, "page.html"),
    ],
)
def test_what_is_refused(
    made: Made, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    if "output" in options:
        options = {"output": made.folder / options["output"]}
    with pytest.raises(error, match=message):
        make_report(made.source, made.runtime, **options)


def test_changed_data_are_refused(copied: workflow.RuntimeConfig, tmp_path: Path) -> None:
    source = workflow.DatasetRef(read_competition(write_competition(tmp_path)), tmp_path / "data")
    make_report(source, copied, repeats=0, columns=1)
    with (tmp_path / "test.csv").open("a", encoding="utf-8") as file:
        file.write("h999,1,1,7,,0\n")
    with pytest.raises(DataError, match=r"test\.csv changed"):
        make_report(source, copied)


@pytest.mark.parametrize("name", ["oof.csv", "history.csv", "recipes/fold-1.json"])
def test_an_altered_run_is_refused(made: Made, copied: workflow.RuntimeConfig, name: str) -> None:
    file = copied.runs_dir / "evil" / "mlp-001" / name
    file.write_text(file.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    with pytest.raises(RunFolderError, match="altered"):
        make_report(made.source, copied)


def test_command(entry: EntryPoint, tmp_path: Path) -> None:
    assert entry("report", "-c", "sample", cwd=tmp_path).code == 2
    assert entry("cv", "-c", "sample", *TINY, "--no-engineering", "-q", cwd=tmp_path).code == 0
    done = entry(
        "report", "-c", "sample", "mlp-001", "--permutations", "1", "-o", "r.html", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "r.html").read_bytes() == (tmp_path / done.json["page"]).read_bytes()
    assert done.json["importance"]["repeats"] == 1
    assert len(done.json["importance"]["columns"]) == 79
    both = entry("report", "-c", "sample", "--no-importance", "--permutations", "2", cwd=tmp_path)
    assert both.code == 2
    assert "--permutations" in both.error
