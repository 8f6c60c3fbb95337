"""One run of the invented competition and one report of it, for all tests of reports.

A test that makes another report makes it of a copy.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reported import Made, make_run

from kaggleprice.api.workflow import RuntimeConfig
from kaggleprice.reports.making import Report, make_report


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def report(made: Made) -> Report:
    pytest.importorskip("matplotlib")
    return make_report(made.source, made.runtime, output=made.folder / "copy.html", repeats=1)


@pytest.fixture(scope="session")
def html(report: Report) -> str:
    return report.page.read_text(encoding="utf-8")


@pytest.fixture
def copied(made: Made, report: Report, tmp_path: Path) -> RuntimeConfig:
    """A copy of the folder of runs, with the report."""
    shutil.copytree(made.folder / "runs", tmp_path / "runs")
    return RuntimeConfig(tmp_path / "runs", "cpu", 1)
