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


def add_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Add totals, ages, ratios and presence to n rows of the competition's columns.

    Every new column is float64 and computed from its own row; a missing basement or garage
    counts as none.
    """
    none = frame[list(_MAY_HAVE_NONE)].fillna(0.0)
    basement_baths = frame["BsmtFullBath"].fillna(0.0) + 0.5 * frame["BsmtHalfBath"].fillna(0.0)
    total = none["TotalBsmtSF"] + frame["1stFlrSF"] + frame["2ndFlrSF"]
    sold = frame["YrSold"]
    added = {
        "TotalSF": total,
        "TotalBath": frame["FullBath"] + 0.5 * frame["HalfBath"] + basement_baths,
        "TotalPorchSF": frame[list(_PORCHES)].sum(axis=1),
        "BsmtFinSF": none["BsmtFinSF1"] + frame["BsmtFinSF2"].fillna(0.0),
        "Age": (sold - frame["YearBuilt"]).clip(lower=0.0),
        "RemodAge": (sold - frame["YearRemodAdd"]).clip(lower=0.0),
        "GarageAge": (sold - frame["GarageYrBlt"]).clip(lower=0.0),
        "IsNew": (sold == frame["YearBuilt"]).astype(float),
        "IsRemodeled": (frame["YearRemodAdd"] != frame["YearBuilt"]).astype(float),
        "QualTotalSF": frame["OverallQual"] * total,
        "QualLivArea": frame["OverallQual"] * frame["GrLivArea"],
        "QualCond": frame["OverallQual"] * frame["OverallCond"],
        "RoomSF": frame["GrLivArea"] / frame["TotRmsAbvGrd"].where(frame["TotRmsAbvGrd"] > 0),
        **{f"Has{column}": (none[column] > 0).astype(float) for column in _MAY_HAVE_NONE},
    }
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
