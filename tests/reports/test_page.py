"""The page as HTML: complete by itself, nothing from the data is markup, all can read it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from reported import EVIL, FIGURES, LEVELS, QUOTED, Made, Parsed, make_run

from kaggleprice.cli.documents import plain
from kaggleprice.cli.views.report import report_document, report_view
from kaggleprice.reports import wording
from kaggleprice.reports.making import Report, make_report

pytest.importorskip("matplotlib")
TAGS = """html head meta title link style body main header section h1 h2 p div small dl dt dd figure
figcaption table thead tbody tr th td svg g defs path use text tspan clippath rect"""


@pytest.fixture(scope="module")
def page(html: str) -> Parsed:
    return Parsed(html)


def test_the_page_refers_to_nothing_outside(html: str, page: Parsed) -> None:
    assert "http" not in html.replace("http-equiv", "")
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert name not in {"src", "srcset", "action", "background"}
            if name.endswith("href"):
                assert value == "data:," or str(value).startswith("#")
    assert re.findall(r"@import|url\((?!#)", html) == []
    policy = next(m["content"] for m in page.named("meta") if "http-equiv" in m)
    assert "default-src 'none'" in str(policy)
    assert "script-src" not in str(policy)


def test_names_and_values_of_the_data_are_text(made: Made, page: Parsed) -> None:
    assert {tag for tag, _ in page.tags} <= set(TAGS.split())
    assert not [name for _, names in page.tags for name in names if name.startswith("on")]
    ids = pd.read_csv(made.run.path / "oof.csv")["Id"]
    assert any(identity in page.text for identity in ids)
    for name in (EVIL, QUOTED, "Pr<ice", "A & B", *filter(None, LEVELS)):
        assert name in page.text
    # In figures a name is cut to the room there is; their descriptions have it whole.
    assert any(EVIL in str(a.get("aria-label")) for a in page.named("div"))


def test_every_id_stands_once_and_every_reference_leads_to_one(html: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", html))
    used |= set(re.findall(r'aria-labelledby="([^"]*)"', html))
    assert used
    assert used <= set(ids)


def test_colours_of_figures_are_those_of_the_theme(html: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(figures) == len(FIGURES)
    for figure in figures:
        assert re.findall(r"#[0-9a-f]{6}|#[0-9a-f]{3}\b(?=[;\"])", figure) == []
        assert set(re.findall(r"var\((--\w+)\)", figure)) <= set(re.findall(r"(--\w+):", html))
    assert "prefers-color-scheme: dark" in html


def test_the_page_can_be_read_aloud(page: Parsed) -> None:
    assert page.named("html") == [{"lang": "en"}]
    assert "width=device-width" in str([m.get("content") for m in page.named("meta")])
    images = [a for a in page.named("div") if a.get("role") == "img"]
    assert len(images) == len(page.named("figcaption")) == len(page.named("svg")) == len(FIGURES)
    assert min(len(str(image["aria-label"])) for image in images) > 40
    assert len(page.named("h1")) == 1
    assert {cell["scope"] for cell in page.named("th")} == {"col", "row"}


def test_numbers_of_the_run_stand_on_the_page(made: Made, report: Report, page: Parsed) -> None:
    record, expected = made.run.record, report.findings.expected
    scores = record["scores"]
    for number in (scores["oof"], scores["fold_mean"], scores["fold_sd"], expected.low):
        assert f"{number:.4f}" in page.text
    for file in record["data"].values():
        assert file["sha256"] in page.text
    assert f"torch {record['versions']['torch']}" in page.text
    for setting in ("hidden 8 ", "lr 0.03 0.01", "epochs 12 by rows and --budget"):
        assert setting in page.text


def test_an_undefined_importance(report: Report) -> None:
    """A metric of logs may be undefined once a column is permuted; JSON has no NaN."""
    from kaggleprice.reports.figures import draw
    from kaggleprice.reports.page import make_page

    importance = report.findings.importance
    assert importance is not None
    lost = replace(importance.columns[0], increase=float("nan"), member_mean=float("inf"))
    columns = [lost, *importance.columns[1:]]
    findings = replace(report.findings, importance=replace(importance, columns=columns))
    document = plain(report_document(replace(report, findings=findings)))
    json.dumps(document, allow_nan=False)
    shown = document["importance"]["columns"][0]
    assert (shown["increase"], shown["member_mean"]) == (None, None)
    assert "Size undefined" in Parsed(make_page(findings, draw(findings, 3), 3)).text


def test_a_page_says_what_it_leaves_out(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    from kaggleprice.reports import figures, page

    for module in (figures, page):
        monkeypatch.setattr(module, "MOST_POINTS", 50)
        monkeypatch.setattr(module, "MOST_CURVES", 2)
    findings = report.findings
    shown = Parsed(page.make_page(findings, figures.draw(findings, 3), 3))
    assert shown.text.count("90 rows 50 are shown") == 3
    assert "2 folds of 3" in shown.text
    assert len(shown.named("svg")) == len(FIGURES)


def test_document_and_view(report: Report) -> None:
    from rich.console import Console

    document = json.loads(json.dumps(plain(report_document(report)), allow_nan=False))
    assert (document["command"], document["page"]) == ("report", str(report.page))
    assert set(document["figures"]) == set(FIGURES)
    assert [c["column"] for c in document["importance"]["columns"]] == report.findings.order
    assert (len(document["drift"]), len(document["largest_errors"])) == (5, 15)
    assert document["expected"]["share"] == 0.9
    with Console(width=200).capture(), Console(width=200, record=True) as console:
        console.print(report_view(report_document(report), "Id"))
    shown = console.export_text()
    assert str(report.page) in shown
    assert EVIL in shown


def test_notes_of_a_run_stand_on_its_page(tmp_path: Path) -> None:
    made = make_run(tmp_path, epochs=2, patience=1, stop_on="validation", k=2, seeds=1)
    report = make_report(made.source, made.runtime, repeats=0, columns=1)
    page = Parsed(report.page.read_text(encoding="utf-8"))
    assert made.run.record["notes"]
    for note in made.run.record["notes"]:
        assert note in page.text


@pytest.mark.parametrize(
    ("write", "texts"),
    [
        (
            wording.score,
            {0.13579: "0.1358", 31415.9: "31,416", None: "", math.nan: "undefined"},
        ),
        (wording.signed, {0.5: "+0.5000", -31415.9: "-31,416"}),
        (wording.amount, {123456.7: "123,457", 1.5: "1.5"}),
        (wording.percent, {0.123: "12.3 %"}),
        (wording.cell, {None: "missing", "x": "x", 4.0: "4", 2.25: "2.25"}),
        (wording.compact, {0.5: "0.5", 1950: "1950", 5e4: "50k", 1.5e6: "1.5M", -2e4: "-20k"}),
        (wording.short, {"a" * 24: "a" * 24, "a" * 25: "a" * 23 + "…"}),
    ],
)
def test_numbers_as_text(write: Callable[[object], str], texts: dict[object, str]) -> None:
    assert {value: write(value) for value in texts} == texts
