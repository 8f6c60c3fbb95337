"""What no machine could hold is refused before anything hangs."""

from __future__ import annotations

from kaggleprice.core.errors import UsageError
from kaggleprice.core.large_arrays import memory


def check_memory(needed: int, what: str) -> None:
    """Refuse what would not fit into this machine's memory twice over.

    Args:
        needed: bytes, at least.
        what: what needs them; begins the sentence.

    Raises:
        UsageError: where it needs more.
    """
    has = memory()
    if needed > 2 * has:
        raise UsageError(
            f"{what} would take at least {needed // 10**9:,} GB of memory, and this machine has "
            f"{has // 10**9:,} GB; give a smaller number."
        )
