"""What all tests share: one CPU thread, no settings of the user, the data, the entry point."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from entry_point import EntryPoint
from hypothesis import settings

# Set before torch is imported, here and in every process that a test starts: tests run side by
# side, and one thread each is faster than two that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads that wait give the processor to the other tests, as `kaggleprice` sets it for itself.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# A wide terminal, so that no message is broken over two lines.
os.environ["COLUMNS"] = "200"
# Neither the user's own settings nor the workflow that runs the tests may change a result.
for name in list(os.environ):
    ours = name.startswith("KAGGLEPRICE_") and "REAL" not in name
    if ours or name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        del os.environ[name]

# A shell's background job ignores Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test fails because the machine is busy.
settings.register_profile("tests", deadline=None, max_examples=50)
settings.load_profile("tests")

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the looks of commands be recorded anew."""
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="write tests/cli/golden/*.txt anew from what commands print now",
    )


# The benchmarks are not installed, and pyarrow 17 brings a package of that name. On the path for
# this one import, so that the installed kaggleprice is the one tested.
sys.path.insert(0, str(ROOT))
import benchmarks  # noqa: E402, F401

sys.path.remove(str(ROOT))

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


@pytest.fixture(scope="session")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntryPoint]:
    """The command, in a process of its own each time."""
    entry = EntryPoint(tmp_path_factory.mktemp("entry"))
    yield entry
    entry.close()
