"""Steps by part: how long gather, forward, backward, ... take, seen from Python.

A profile of Python's calls: the time between two calls or returns belongs to the part that the
innermost known function below belongs to. So it sees numpy and torch alike, in whichever thread,
and adds about a microsecond per Python call, which counts for the part that makes them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, NamedTuple, Self

PARTS = (
    "gather",
    "forward",
    "backward",
    "optimizer",
    "random numbers",
    "scoring",
    "bookkeeping",
)
_OTHER = "other"


class Rule(NamedTuple):
    """Which part a function belongs to.

    Attributes:
        path: stands in its file's path.
        name: stands in its name.
        part: one of `PARTS`, or what counts nowhere.
        inner: whether what it calls may belong to another part.
    """

    path: str
    name: str
    part: str
    inner: bool = False


# The first that fits counts.
RULES = (
    # Of a thread for those that train.
    Rule("concurrent/futures/", "wait", _OTHER),
    Rule("kaggleprice/", "predict_members", "scoring"),
    Rule("kaggleprice/training/engine", "errors", "scoring"),
    Rule("kaggleprice/", "backward", "backward"),
    Rule("torch/autograd/", "backward", "backward"),
    Rule("torch/_tensor.py", "backward", "backward"),
    Rule("torch/optim/", "", "optimizer"),
    Rule("kaggleprice/training/batches", "", "gather"),
    Rule("kaggleprice/training/randomness", "", "random numbers"),
    Rule("kaggleprice/training/optimization", "", "forward"),
    Rule("kaggleprice/models/", "", "forward"),
    # Sets gradients to 0 and applies penalties, and calls backward.
    Rule("kaggleprice/training/parameters", "", "optimizer", inner=True),
    Rule("kaggleprice/training/", "", "bookkeeping", inner=True),
)


@dataclass
class _Thread:
    """One thread's open calls, and its seconds by part."""

    open: list[Rule | None] = field(default_factory=lambda: [None])
    since: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class PartClock:
    """Seconds by part of all that runs inside the `with` block, threads begun in it included.

    Attributes:
        seconds: part → seconds, of all threads together; known after the block.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._rules: dict[CodeType, Rule | None] = {}
        self._threads: list[_Thread] = []
        self._local = threading.local()
        self._before: Callable[..., Any] | None = None

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        threading.setprofile(self._hear)
        sys.setprofile(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)
        threading.setprofile(None)
        for thread in self._threads:
            for part, seconds in thread.seconds.items():
                self.seconds[part] += seconds

    def _hear(self, frame: FrameType, event: str, _: Any) -> None:
        now = time.perf_counter()
        thread: _Thread | None = getattr(self._local, "thread", None)
        if thread is None:
            thread = self._local.thread = _Thread()
            self._threads.append(thread)
        rule = thread.open[-1]
        thread.seconds[_OTHER if rule is None else rule.part] += now - thread.since
        if event == "call":
            known = rule is not None and not rule.inner
            own = None if known else self._rule(frame.f_code)
            thread.open.append(own or rule)
        elif event == "return" and len(thread.open) > 1:
            thread.open.pop()
        thread.since = time.perf_counter()

    def _rule(self, code: CodeType) -> Rule | None:
        if code not in self._rules:
            path = code.co_filename.replace("\\", "/")
            fits = (r for r in RULES if r.path in path and r.name in code.co_name)
            self._rules[code] = next(fits, None)
        return self._rules[code]
