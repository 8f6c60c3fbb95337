"""Effort: how long and how large everything is measured."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from kaggleprice.api.workflow import Dataset, DatasetRef, load
from kaggleprice.competitions.catalog import COMPETITIONS


@dataclass(frozen=True)
class Effort:
    """What every part is told.

    Attributes:
        pairs: how many times the two sides of a ratio are run in turn.
        quick: small sizes and short times: whether it runs, not how fast it is.
        folder: of the results.
        data_dir: the data folder; generated files go to `speed` in it.
    """

    pairs: int = 5
    quick: bool = False
    folder: Path = Path(__file__).parent.parent
    data_dir: Path = field(
        default_factory=lambda: Path(os.environ.get("KAGGLEPRICE_DATA_DIR", "data"))
    )

    @property
    def least(self) -> float:
        """Seconds that one timing takes at least."""
        return 0.01 if self.quick else 0.5

    @property
    def source(self) -> DatasetRef:
        """The competition that is trained on: the real one, or the sample where it is quick."""
        return DatasetRef(COMPETITIONS["sample" if self.quick else "house-prices"], self.data_dir)

    def load(self) -> Dataset:
        """Read the competition; raises as `kaggleprice.api.workflow.load`."""
        return load(self.source)


def say(sentence: str) -> None:
    """Tell progress, beside the result."""
    print(sentence, file=sys.stderr, flush=True)
