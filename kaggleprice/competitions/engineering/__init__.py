"""Engineering: features that a competition's own knowledge adds to its columns.

An entry of `ENGINEERINGS` is a function of rows: it gets a frame of feature columns and returns
it with columns added, each computed from its own row alone, so that nothing passes between
training and validation rows. A competition names its entry; recipes switch it on or off.
Nothing heavy is imported here.
"""

from __future__ import annotations

from kaggleprice.core.registry import Entry

ENGINEERINGS: dict[str, Entry] = {
    "ames": Entry(
        "totals, ages, ratios and what a house has, for the columns of Ames, Iowa",
        "kaggleprice.competitions.engineering.ames:add_features",
    ),
}
