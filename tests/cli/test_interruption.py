"""Ctrl-C and SIGTERM end a command soon, at any moment, without a traceback."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import write_small

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are other signals")
# Two, which are promised, and what a busy machine may add.
SOON = 2 + 8
LONG = shlex.split("--portfolio none --epochs 1000000 --seeds 1 --k 2 --hidden 8")


def interrupted(
    number: signal.Signals, *arguments: str, cwd: Path, after: float
) -> tuple[int, str, float]:
    """Start a process of its own group, send the group a signal; return code, stderr, seconds."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    began = time.monotonic()
    os.killpg(process.pid, number)
    _, err = process.communicate()
    return process.returncode, err, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.5, 1.0, 2.0, 4.0])
def test_while_modules_load_and_later(tmp_path: Path, number: signal.Signals, after: float) -> None:
    toml = str(write_small(tmp_path))
    command = ["-m", "kaggleprice", "cv", "-c", toml, *LONG]
    code, err, seconds = interrupted(number, *command, cwd=tmp_path, after=after)
    assert (code, "Traceback" in err, seconds < SOON) == (128 + number, False, True), err
    assert err.endswith("give the same command again to go on.\n")


def test_while_processes_of_devices_run(tmp_path: Path) -> None:
    toml = str(write_small(tmp_path))
    command = ["-m", "kaggleprice", "cv", "-c", toml, *LONG, "--device", "cpu,cpu"]
    code, err, seconds = interrupted(signal.SIGINT, *command, cwd=tmp_path, after=9)
    assert (code, "Traceback" in err, seconds < SOON) == (130, False, True), err


def test_where_the_main_thread_does_not_hear(tmp_path: Path) -> None:
    program = (
        "import time; from kaggleprice.cli import interruption\n"
        "with interruption.answered(to_the_end=True):\n"
        "    interruption.begin()\n"
        "    while True:\n"
        "        try: time.sleep(60)\n"
        "        except BaseException: pass"
    )
    code, err, seconds = interrupted(signal.SIGTERM, "-c", program, cwd=tmp_path, after=1.0)
    assert (code, seconds < SOON) == (143, True)
    assert err == "error: terminated; give the same command again to go on.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_anybody_listens(number: signal.Signals) -> None:
    """It is raised where it is caught, and never after that."""
    program = (
        "import os; from kaggleprice.cli import interruption\n"
        "with interruption.answered(to_the_end=False):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    try:\n"
        "        interruption.begin()\n"
        "    except KeyboardInterrupt:\n"
        "        print('caught')\n"
        "    interruption.end()\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "print(interruption.exit_code())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["caught", str(128 + number)]


def test_what_is_ignored_stays_ignored() -> None:
    program = (
        "import os, signal; from kaggleprice.cli import interruption\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with interruption.answered(to_the_end=False):\n"
        "    interruption.begin()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
