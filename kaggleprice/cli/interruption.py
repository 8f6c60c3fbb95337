"""Ctrl-C and SIGTERM: a command ends soon, at any moment, and says how to go on.

The main thread is interrupted and clears up. Where it does not come to that in time, as within a
long call of a library, or where an import swallows the interruption, a thread that the system wakes
ends the process: whatever lies on the disk is whole, and the next command clears up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# How long the main thread may take.
_SECONDS = 1.5

# The signals that this command was sent; only the first counts.
received: list[int] = []
# Whether one raises KeyboardInterrupt: whoever catches it is there.
_raises = False


def sentence() -> str:
    """Say in one sentence what happened, and how to go on."""
    how = "terminated" if signal.SIGTERM in received[:1] else "interrupted"
    return f"{how}; give the same command again to go on."


def exit_code() -> int:
    """Return 130 for Ctrl-C, 143 for SIGTERM, as shells expect."""
    return 128 + (received[0] if received else signal.SIGINT)


def leave() -> None:
    """End the process at once: freeing what it has loaded may take seconds."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(exit_code())


@contextmanager
def answered(*, to_the_end: bool) -> Iterator[None]:
    """Answer interruptions in the block, once it has called `begin`.

    A signal that is ignored, as with `nohup`, stays ignored.

    Args:
        to_the_end: whether nothing follows but the end of the process, which no longer needs to be
            interrupted.
    """
    received.clear()
    end()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ours = (signal.SIG_DFL, signal.default_int_handler)
    before = {n: signal.getsignal(n) for n in _SIGNALS if signal.getsignal(n) in ours}
    for number in before:
        signal.signal(number, _interrupt)
    woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    told, sys.unraisablehook = sys.unraisablehook, _pass_over
    threading.Thread(target=_end_in_time, args=(reading, set(before)), daemon=True).start()
    try:
        yield
    finally:
        end()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if to_the_end else handler)
        signal.set_wakeup_fd(woken)
        sys.unraisablehook = told
        os.close(writing)


def begin() -> None:
    """Let an interruption raise KeyboardInterrupt from here on; so does one that came before."""
    global _raises
    _raises = True
    if received:
        raise KeyboardInterrupt


def end() -> None:
    """Let an interruption be noted from here on, and raise nothing."""
    global _raises
    _raises = False


def _interrupt(number: int, _frame: Any) -> None:
    received.append(number)
    if _raises and len(received) == 1:
        raise KeyboardInterrupt


def _pass_over(unraisable: Any) -> None:
    """Say nothing of an interruption that came where nothing can be raised, such as in a callback.

    It is lost there; the process is then ended in time.
    """
    if not (received and isinstance(unraisable.exc_value, KeyboardInterrupt)):
        sys.__unraisablehook__(unraisable)


def _end_in_time(reading: int, signals: set[signal.Signals]) -> None:
    """Wait for a signal, and then for the main thread; end the process where that takes long."""
    with open(reading, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if number[0] in signals:
                break
        else:
            return
    time.sleep(_SECONDS)
    if not received:
        received.append(number[0])
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""
    with suppress(OSError):  # nobody reads it
        os.write(2, f"{show_cursor}error: {sentence()}\n".encode())
    os._exit(exit_code())
