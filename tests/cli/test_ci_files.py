"""What a CI server is given: JUnit XML and Markdown, read back by parsers of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from forged import FOLDS, forge, noisy
from markdown_it import MarkdownIt

from kaggleprice.cli.ci_files import JUNIT, SUMMARY, literal, render, render_failure
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.record import read_record
from kaggleprice.runs.run import Run

PASSED = Gate("fail-above", 0.2, 0.1, True, "fine.")
MISSED = Gate("baseline", 0.01, 0.1, False, 'worse & "<far>".')


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Run]:
    def call(**given: object) -> Run:
        path = forge(tmp_path / "small" / "mlp-001", noisy(1), **given)  # type: ignore[arg-type]
        return Run(path, read_record(path))

    return call


def suite_of(content: str) -> ElementTree.Element:
    root = ElementTree.fromstring(content.encode())  # noqa: S314 (it was written here)
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def properties(element: ElementTree.Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in element.findall("properties/property")}


def test_folds_are_cases_with_their_scores(make: Callable[..., Run]) -> None:
    run = make()
    suite = suite_of(render(JUNIT, run))
    assert suite.attrib == {
        "name": "kaggleprice small",
        "tests": str(FOLDS),
        "failures": "0",
        "errors": "0",
        "skipped": "0",
        "time": "12.345",
        "timestamp": "2026-01-02T03:04:05",
    }
    assert properties(suite)["run"] == "mlp-001"
    assert float(properties(suite)["oof"]) == run.record["scores"]["oof"]
    assert "mean_squared_log_error" not in properties(suite), "it has none"
    for case, fold in zip(suite.findall("testcase"), run.record["folds"], strict=True):
        assert case.attrib["classname"] == "kaggleprice.small.folds"
        assert case.attrib["name"] == f"fold {fold['fold']}"
        found = {name: float(value) for name, value in properties(case).items()}
        assert found == {name: fold[name] for name in ("train", "validation")}
        assert case.find("failure") is None


def test_gates_are_cases_that_can_fail(make: Callable[..., Run]) -> None:
    suite = suite_of(render(JUNIT, make(), [PASSED, MISSED]))
    assert (suite.attrib["tests"], suite.attrib["failures"]) == (str(FOLDS + 2), "1")
    passed, missed = suite.findall("testcase")[FOLDS:]
    assert (passed.attrib["name"], missed.attrib["name"]) == ("fail-above", "baseline")
    assert passed.find("failure") is None
    failure = missed.find("failure")
    assert failure is not None
    assert failure.attrib == {"message": MISSED.reason, "type": "GateError"}
    assert failure.text == MISSED.reason
    assert properties(missed) == {"limit": "0.01", "found": "0.1"}


def test_an_error_is_a_case_of_its_own() -> None:
    suite = suite_of(render_failure(JUNIT, "small", "DivergenceError", "member 3 \x00 left \x1b."))
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("1", "1")
    error = suite.find("testcase/error")
    assert error is not None
    assert error.attrib == {"message": r"member 3 \x00 left \x1b.", "type": "DivergenceError"}


def cells(markdown: str) -> list[list[str]]:
    """The tables' rows, as a Markdown parser reads them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 4:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def test_summary(make: Callable[..., Run]) -> None:
    run = make(preset="book", options={"seeds": 2}, notes=["Optimistic: for a reason."])
    text = render(SUMMARY, run, [PASSED, replace(MISSED, reason="worse.")])
    heading = text.splitlines()[0]
    assert all(word in heading for word in ("## ", "small", "mlp-001", "gate missed"))
    assert f"{run.record['scores']['oof']:.4f} ± 0.0100**" in text
    assert "> Optimistic: for a reason." in text
    assert "`kaggleprice cv --preset book" in text
    assert "torch 2.13.0" in text
    rows = cells(text)
    assert ["fail-above", "passed", "fine."] in rows
    assert ["baseline", "missed", "worse."] in rows
    assert ["recipe", "book"] in rows
    for fold in run.record["folds"]:
        assert [str(fold["fold"]), "0.0500", f"{fold['validation']:.4f}"] in rows
    assert text.endswith(".\n")


def test_a_summary_without_gates_and_changes(make: Callable[..., Run]) -> None:
    text = render(SUMMARY, make(options={"k": 5}, fold=[1, 2, 3, 4, 5] * 8))
    assert "gate" not in text
    assert [row[0] for row in cells(text)] == ["fold", "1", "2", "3", "4", "5"]
    assert "`kaggleprice cv -c FILE.toml`" in text


@pytest.mark.parametrize(
    "text", ["a|b", "`a`", "*a* _b_", "<b>x</b>", "[a](b)", "a\\|b", "# a", "~~a~~", "{{ 1 }}"]
)
def test_texts_are_shown_as_they_are(make: Callable[..., Run], text: str) -> None:
    run = make(notes=[text])
    shown = render(SUMMARY, run, [replace(MISSED, reason=text)])
    assert ["baseline", "missed", text] in cells(shown)
    assert "<" not in shown.replace("\\<", "")
    failure = MarkdownIt().parse(render_failure(SUMMARY, "small", "RunError", text))[4].children
    assert failure is not None
    assert "".join(child.content for child in failure) == text
    assert "\n" not in literal(f"{text}\n")
