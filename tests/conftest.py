"""What all tests share: one CPU thread, the sample and the real competition, the entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from entry_point import EntryPoint

# Before torch is imported, here and in every process that a test starts: tests run side by side,
# and one thread each is faster than two that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A wide terminal, so that no message is found broken over two lines.
os.environ["COLUMNS"] = "200"
# Nothing of the user's own settings, nor of the workflow that the tests may run in.
_OURS = [n for n in os.environ if n.startswith("KAGGLEPRICE_") and "REAL" not in n]
for name in [*_OURS, "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"]:
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the looks of commands be recorded anew."""
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="write tests/cli/golden/*.txt anew from what commands print now",
    )


# The benchmarks are not installed; at the end, so that what is installed comes first.
sys.path.append(str(ROOT))

from kaggleprice.competitions.catalog import COMPETITIONS  # noqa: E402
from kaggleprice.competitions.tables import Tables, read_tables  # noqa: E402


def _real_data() -> Path | None:
    """The folder of the real House Prices CSVs: named by the environment, or beside the project."""
    named = os.environ.get("KAGGLEPRICE_REAL_DATA")
    folders = [Path(named)] if named else [ROOT.parent / "shared" / "data", ROOT / "data"]
    return next((f for f in folders if (f / "kaggle_house_pred_train.csv").is_file()), None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real CSVs; skips where it is absent, unless they are required."""
    folder = _real_data()
    if folder is None:
        reason = "the real House Prices CSVs are not here (KAGGLEPRICE_REAL_DATA names no folder)"
        if os.environ.get("KAGGLEPRICE_REQUIRE_REAL_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """The folder of the sample's two CSVs."""
    return ROOT / "data" / "sample"


@pytest.fixture(scope="session")
def sample_tables(sample_folder: Path) -> Tables:
    """The sample competition, read once: all rows, without engineered columns. Never changed."""
    return read_tables(
        COMPETITIONS["sample"], sample_folder / "train.csv", sample_folder / "test.csv"
    )


@dataclass(frozen=True)
class Result:
    """What a finished command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)


@pytest.fixture
def kaggleprice(tmp_path: Path) -> Callable[..., Result]:
    """Run the installed console script, in a folder of the test's own."""
    script = Path(sysconfig.get_path("scripts")) / "kaggleprice"

    def run(*arguments: str | Path, cwd: Path = tmp_path, **environment: str) -> Result:
        done = subprocess.run(
            [script, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntryPoint]:
    """The console script, in processes of their own."""
    entry = EntryPoint(tmp_path_factory.mktemp("entry"))
    yield entry
    entry.close()
