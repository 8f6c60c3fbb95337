"""JUnit XML, read back by an XML parser."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from forged import FOLDS, forge, noisy

from kaggleprice.cli.ci_files import JUNIT, render, render_failure
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.record import read_record
from kaggleprice.runs.run import Run

PASSED = Gate("fail-above", 0.2, 0.1, True, "fine.")
MISSED = Gate("baseline", 0.01, 0.1, False, 'worse & "<far>".')


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = forge(tmp_path / "small" / "mlp-001", noisy(1))
    return Run(path, read_record(path))


def suite_of(content: str) -> ElementTree.Element:
    root = ElementTree.fromstring(content.encode())  # noqa: S314 (it was written here)
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def properties(element: ElementTree.Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in element.findall("properties/property")}


def test_folds_are_cases_with_their_scores(run: Run) -> None:
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


def test_gates_are_cases_that_can_fail(run: Run) -> None:
    suite = suite_of(render(JUNIT, run, [PASSED, MISSED]))
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
