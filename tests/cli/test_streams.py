"""Streams as real commands meet them: terminals, closed ones, full disks, readers that leave."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from entry_point import TINY, EntryPoint
from small import write_small

from kaggleprice.cli.console.streams import Forgiving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="streams as Linux has them")

SMALL = ["--competition", "small.toml"]
CV = ["cv", *SMALL, *TINY]
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_small(tmp_path)
    return tmp_path


def run_of(folder: Path) -> dict[str, object]:
    """The one run of a folder, whole: its record is written last."""
    (file,) = (folder / "runs" / "small").glob("*/run.json")
    record: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    names = {p.relative_to(file.parent).as_posix() for p in file.parent.rglob("*") if p.is_file()}
    assert names - {"submission.csv"} == {*record["files"], "run.json"}  # type: ignore[misc]
    return record


# What a shell can do to a stream.


@pytest.mark.parametrize("form", ["auto", "json"])
@pytest.mark.parametrize(("stdout", "stderr"), [("-", ""), ("", "-"), ("-", "-")])
def test_closed_streams(
    entry: EntryPoint, small: Path, stdout: str, stderr: str, form: str
) -> None:
    """`cv >&-`: nobody wants the result, which is no error; the run is there."""
    done = entry(*CV, "--json", "--progress", form, cwd=small, stdout=stdout, stderr=stderr)
    assert done.code == 0
    assert (done.out == "", done.err == "") == (stdout == "-", stderr == "-")
    record = run_of(small)
    assert stdout == "-" or done.json["run"] == record["run"]


def test_the_next_file_does_not_become_stdout(entry: EntryPoint, small: Path) -> None:
    """Without stdout the first file that is opened gets its number, and what is printed."""
    assert entry("predict", *SMALL, *TINY, cwd=small, stdout="-", stderr="-").code == 0
    assert (small / "submission.csv").read_text(encoding="utf-8").startswith("Id,Price\n25,")
    run_of(small)


@pytest.mark.parametrize("stderr", ["/dev/full", "|"], ids=["full", "left"])
@pytest.mark.parametrize("form", ["auto", "json"])
def test_progress_that_nobody_takes(entry: EntryPoint, small: Path, stderr: str, form: str) -> None:
    """A log that is full, or a `2>&1 | head -1` that has left, ends no training."""
    done = entry(*CV, "--verbose", "--progress", form, cwd=small, stderr=stderr)
    assert done.code == 0
    assert "saved as run mlp-001" in done.out
    run_of(small)


@pytest.mark.parametrize("broken", ["-", "/dev/full", "|"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_error_keeps_its_code(entry: EntryPoint, small: Path, stream: str, broken: str) -> None:
    line = ("predict", *SMALL, "--run", "none")
    assert entry(*line, cwd=small, **{stream: broken}).code == 2
    done = entry(*line, "--json", cwd=small, **{stream: broken})
    assert done.code == 2
    if stream == "stderr":
        assert done.json["error"]["exit_code"] == 2
    else:
        assert "unknown run" in done.error


@pytest.mark.parametrize("command", [["--help"], ["cv", "--help"], ["--version"]])
def test_help_on_a_full_disk(entry: EntryPoint, small: Path, command: list[str]) -> None:
    done = entry(*command, cwd=small, stdout="/dev/full")
    assert done.code == 1
    assert done.err == "error: cannot print the result: No space left on device.\n"


def test_a_forgiving_stream_is_the_stream_as_long_as_it_takes_anything(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        forgiving = Forgiving(file)
        forgiving.write("one\n")
        forgiving.flush()
        assert not forgiving.isatty()
    forgiving.write("to a closed file\n")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "one\n"


# Terminals.


class Screen:
    """A terminal, and what was written to it."""

    def __init__(self, columns: int) -> None:
        self._ours, self._theirs = pty.openpty()
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)
        self.name = os.ttyname(self._theirs)
        self._written = bytearray()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._ours, 65536)
            except OSError:  # how Linux says that the other side was closed
                return
            self._written += block

    def close(self) -> None:
        """Close it; what was written is complete then."""
        os.close(self._theirs)
        self._reader.join(timeout=20)
        os.close(self._ours)

    @property
    def text(self) -> str:
        """All that was written."""
        return self._written.decode().replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """Every line that ever stood there, also those that were wiped, without codes."""
        return CODES.sub("", self.text.replace("\r", "\n")).splitlines()


@contextmanager
def terminal(columns: int) -> Iterator[Screen]:
    screen = Screen(columns)
    try:
        yield screen
    finally:
        screen.close()


# Long enough for bars to be drawn.
LONG = [
    *SMALL,
    "--portfolio",
    "none",
    "--k",
    "2",
    "--seeds",
    "2",
    "--threads",
    "1",
    "--epochs",
    "400",
]


def on_terminal(
    entry: EntryPoint, small: Path, columns: int, *command: str, **environment: str
) -> Screen:
    environment = {"TERM": "xterm-256color", "COLUMNS": "", **environment}
    with terminal(columns) as screen:
        streams = {"stdout": screen.name, "stderr": screen.name}
        done = entry(*command, cwd=small, **streams, **environment)
    assert done.code == 0, screen.text
    return screen


@pytest.mark.parametrize(("columns", "environment"), [(80, {}), (50, {"NO_COLOR": "1"})])
def test_a_terminal(
    entry: EntryPoint, small: Path, columns: int, environment: dict[str, str]
) -> None:
    screen = on_terminal(entry, small, columns, "cv", *LONG, **environment)
    assert any(re.match(r"training .*\d+/400 epochs", line) for line in screen.lines)
    assert max(map(len, screen.lines)) <= columns
    hidden, shown = screen.text.count("\x1b[?25l"), screen.text.count("\x1b[?25h")
    assert hidden == shown > 0, "the cursor comes back"
    # A bar that is left behind would end with the end of its line.
    assert not re.search(r"/400 epochs[^\r]*\n", screen.text)
    assert "saved as run mlp-001" in screen.text
    coloured = re.search(r"\x1b\[[0-9;]*3[0-9]", screen.text)
    assert (coloured is None) == bool(environment)


@pytest.mark.parametrize(
    ("more", "term"),
    [("", "dumb"), ("--progress plain", "xterm"), ("--json --progress json", "xterm")],
)
def test_a_terminal_where_nothing_moves(
    entry: EntryPoint, small: Path, more: str, term: str
) -> None:
    screen = on_terminal(entry, small, 80, "cv", *LONG, *more.split(), TERM=term)
    assert "\r" not in screen.text
    assert "\x1b" not in screen.text or (term, more) == ("xterm", "--progress plain")
    assert max(map(len, screen.lines)) <= 80 or "json" in more
    assert "training on cpu" in screen.text
    assert "epochs  " not in screen.text


def test_verbose(entry: EntryPoint, small: Path) -> None:
    """What a report of a fault needs: data, versions, settings, sizes, and where the run went."""
    done = entry(*CV, "-v", cwd=small)
    assert done.code == 0
    for said in (
        r"train\.csv: \d+ bytes, SHA-256 [0-9a-f]{64}",
        r"24 training and 8 test rows",
        r"kaggleprice \S+, python \S+, numpy \S+",
        r"settings: .*--hidden 8",
        r"2 members of \d+ parameters",
        r"run mlp-001 written to runs",
    ):
        assert re.search(said, done.err), said
    plain = entry(*CV, "--no-bound", cwd=small).err.splitlines()
    # What is worth saying of the predictions is said as well.
    assert plain[0] == "training on cpu with 1 thread"
    assert all("left the range" in line for line in plain[1:])
