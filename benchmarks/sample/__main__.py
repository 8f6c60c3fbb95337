"""`python -m benchmarks.sample FOLDER`: write a sample's train.csv and test.csv."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.sample import write_sample
from kaggleprice.core.errors import KagglePriceError


def main(arguments: list[str] | None = None) -> int:
    """Write the files, print their paths, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sample", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=600, help="rows of train.csv (600)")
    parser.add_argument("--test", type=int, default=300, help="rows of test.csv (300)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (0)")
    options = parser.parse_args(arguments)
    try:
        paths = write_sample(options.folder, options.train, options.test, options.seed)
    except KagglePriceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(*paths, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
