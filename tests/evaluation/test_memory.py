"""What no machine could hold is refused."""

from __future__ import annotations

import pytest

from kaggleprice.core.errors import UsageError
from kaggleprice.evaluation import memory


def test_more_than_twice_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory", lambda: 3 * 10**9)
    memory.check_memory(6 * 10**9, "that")
    with pytest.raises(UsageError, match=r"^that would take at least 6 GB .* has 3 GB; "):
        memory.check_memory(6 * 10**9 + 1, "that")
