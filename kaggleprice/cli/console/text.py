"""Text from data, made safe to be read: the one way by which it reaches a terminal or a log."""

from __future__ import annotations

import re

# GitHub Actions takes these as commands: at the beginning of a line, and anywhere in it.
_COMMANDS = re.compile(r"(?<!\S):(?=:)|#(?=#\[)")


def printable(text: str) -> str:
    r"""Return a text as one line of printable characters; all others become visible escapes.

    A terminal obeys escape sequences, a log takes what follows a line break for a line of its
    own, and GitHub Actions obeys lines such as `::error::...`. So ESC becomes `\x1b`, a line
    break `\n`, a sign that turns the direction of writing `\u202e`, and the first sign of such a
    command `\x3a` or `\x23`. Markup stays as it is: the consoles interpret none.
    """
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return _COMMANDS.sub(lambda found: f"\\x{ord(found[0]):x}", "".join(shown))
