"""What campaigns share: the commands' options, what a broken promise is, how results are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from entry_point import TINY

CV = f"cv -c small.toml {' '.join(TINY)} --checkpoint-every 0"
SEARCH = "--portfolio robust,tanh --inner-blocks 2 --k 2 --seeds 1 --epochs 1 --trials 1 --only lr"


class FaultError(Exception):
    """A promise was broken."""


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a module's docstring, with the names of what is tried."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="names, by commas; all where it is not given")
    return parser


def chosen(only: str | None, names: Iterable[str]) -> list[str]:
    """Return what `--only` names."""
    return list(names) if only is None else only.split(",")


def tell(lines: Iterable[str]) -> int:
    """Print lines as they come; return the exit code, 1 where a promise was broken."""
    try:
        for line in lines:
            print(line, flush=True)
    except FaultError as error:
        print(f"FAULT: {error}", file=sys.stderr)
        return 1
    return 0
