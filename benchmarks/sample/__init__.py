"""The embedded competition: invented house prices in the image of House Prices.

`make_sample` draws any number of rows; `data/sample` holds 600 + 300 of them with seed 0.
No row is real: distributions, effects and noise are written by hand in `vocabulary`, `houses`
and `prices`. To write files, for benchmarks or anew for the package:

    python -m benchmarks.sample FOLDER --train 600 --test 300 --seed 0
"""

from __future__ import annotations

from benchmarks.sample.frames import make_sample, write_sample

__all__ = ["make_sample", "write_sample"]
