"""Features of Ames houses that buyers look at and no single column holds."""

from __future__ import annotations

import pandas as pd

# Areas and counts of which a house may have none: a step that a smooth network draws badly.
_MAY_HAVE_NONE = (
    "2ndFlrSF",
    "BsmtFinSF1",
    "Fireplaces",
    "GarageArea",
    "MasVnrArea",
    "PoolArea",
    "ScreenPorch",
    "TotalBsmtSF",
    "WoodDeckSF",
)
_PORCHES = ("OpenPorchSF", "EnclosedPorch", "3SsnPorch", "ScreenPorch", "WoodDeckSF")

_USED = dict.fromkeys(
    (
        *_MAY_HAVE_NONE,
        *_PORCHES,
        *("BsmtFullBath", "BsmtHalfBath", "FullBath", "HalfBath", "BsmtFinSF2", "1stFlrSF"),
        *("GrLivArea", "TotRmsAbvGrd", "OverallQual", "OverallCond"),
        *("YrSold", "YearBuilt", "YearRemodAdd", "GarageYrBlt"),
    )
)


def add_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Add totals, ages, ratios and presence to n rows of the competition's columns.

    Every new column is float64 and computed from its own row; a missing basement or garage
    counts as none.
    """
    # Columns of large files are whole numbers of few bits, which would overflow.
    rows = frame[[*_USED]].astype("float64")
    none = rows[list(_MAY_HAVE_NONE)].fillna(0.0)
    basement_baths = rows["BsmtFullBath"].fillna(0.0) + 0.5 * rows["BsmtHalfBath"].fillna(0.0)
    total = none["TotalBsmtSF"] + rows["1stFlrSF"] + rows["2ndFlrSF"]
    sold = rows["YrSold"]
    added = {
        "TotalSF": total,
        "TotalBath": rows["FullBath"] + 0.5 * rows["HalfBath"] + basement_baths,
        "TotalPorchSF": rows[list(_PORCHES)].sum(axis=1),
        "BsmtFinSF": none["BsmtFinSF1"] + rows["BsmtFinSF2"].fillna(0.0),
        "Age": (sold - rows["YearBuilt"]).clip(lower=0.0),
        "RemodAge": (sold - rows["YearRemodAdd"]).clip(lower=0.0),
        "GarageAge": (sold - rows["GarageYrBlt"]).clip(lower=0.0),
        "IsNew": (sold == rows["YearBuilt"]).astype(float),
        "IsRemodeled": (rows["YearRemodAdd"] != rows["YearBuilt"]).astype(float),
        "QualTotalSF": rows["OverallQual"] * total,
        "QualLivArea": rows["OverallQual"] * rows["GrLivArea"],
        "QualCond": rows["OverallQual"] * rows["OverallCond"],
        "RoomSF": rows["GrLivArea"] / rows["TotRmsAbvGrd"].where(rows["TotRmsAbvGrd"] > 0),
        **{f"Has{column}": (none[column] > 0).astype(float) for column in _MAY_HAVE_NONE},
    }
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
