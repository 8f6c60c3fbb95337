"""Threads: how many a call takes, in a process that goes on after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kaggleprice.training.devices import use_threads


@contextmanager
def taking_threads(count: int | None) -> Iterator[None]:
    """Compute with this many CPU threads within the block; None for as many as before it.

    Raises:
        UsageError: for less than one.
    """
    before = use_threads(None)
    use_threads(count)
    try:
        yield
    finally:
        use_threads(before)
