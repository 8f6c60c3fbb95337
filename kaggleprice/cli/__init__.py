"""The command line: options in, exit codes out. The library is imported inside commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kaggleprice.cli import interruption


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: the console script's entry point."""
    with interruption.answered(to_the_end=arguments is None):
        try:
            # From here on, an interruption is answered, also while modules load.
            interruption.begin()
            from kaggleprice.cli import program

            code = program.run(list(sys.argv[1:] if arguments is None else arguments))
            interruption.end()
        except BaseException:
            if not interruption.received:
                raise
            print(f"error: {interruption.sentence()}", file=sys.stderr)
        if interruption.received:
            interruption.leave()
    sys.exit(code)
