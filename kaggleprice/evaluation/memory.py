"""What no machine could hold is refused before anything hangs."""

from __future__ import annotations

import os

from kaggleprice.core.errors import UsageError

# In place of a machine that does not say how much memory it has.
_LARGEST = 2**42


def check_memory(needed: int, what: str) -> None:
    """Refuse what would not fit into this machine's memory twice over.

    Args:
        needed: bytes, at least.
        what: what needs them; begins the sentence.

    Raises:
        UsageError: where it needs more.
    """
    has = _LARGEST
    if os.name == "posix":
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > 2 * has:
        raise UsageError(
            f"{what} would take at least {needed // 10**9:,} GB of memory, and this machine has "
            f"{has // 10**9:,} GB; give a smaller number."
        )
