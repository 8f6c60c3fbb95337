"""Invented houses: every column but the price, drawn so that the columns of a row agree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.sample.draws import Codes, Draws, Floats, Mask, groups, whole
from benchmarks.sample.vocabulary import CATEGORIES, MISSING, NEIGHBORHOODS

_MONTHS = np.array([40, 35, 75, 95, 140, 175, 160, 85, 45, 60, 55, 35])
_YEARS = np.array([215, 225, 210, 230, 120])

# share of the upper storey (from, to); area beside a one-storey house's; MSSubClass of a house
# built before 1946, of one built since, and of a townhouse
_STYLES: dict[str, tuple[float, float, float, int, int, int]] = {
    "1Story": (0.0, 0.0, 1.0, 30, 20, 120),
    "1.5Fin": (0.32, 0.45, 1.2, 50, 50, 150),
    "2Story": (0.44, 0.54, 1.4, 70, 60, 160),
    "SLvl": (0.0, 0.0, 1.1, 80, 80, 180),
    "SFoyer": (0.0, 0.0, 0.85, 85, 85, 180),
    "1.5Unf": (0.0, 0.0, 0.9, 45, 45, 120),
    "2.5Unf": (0.48, 0.58, 1.55, 75, 75, 160),
    "2.5Fin": (0.5, 0.62, 1.75, 75, 75, 160),
}

# chance for a house of each era, then median, spread of the log, and limits, where there is one
_OUTDOOR: dict[str, tuple[tuple[float, float, float], float, float, int, int]] = {
    "WoodDeckSF": ((0.3, 0.45, 0.6), 165.0, 0.5, 12, 900),
    "OpenPorchSF": ((0.4, 0.4, 0.8), 55.0, 0.75, 4, 560),
    "EnclosedPorch": ((0.42, 0.11, 0.01), 135.0, 0.5, 18, 560),
    "3SsnPorch": ((0.01, 0.02, 0.02), 180.0, 0.35, 20, 510),
    "ScreenPorch": ((0.1, 0.1, 0.06), 180.0, 0.4, 40, 490),
}

# the second covering is usually the first one, under names that are not always the same
_SECOND_NAMES = {"CemntBd": "CmentBd", "WdShing": "Wd Shng", "BrkComm": "Brk Cmn"}
_SAME_COVERING = np.array(
    [
        CATEGORIES["Exterior2nd"].names.index(_SECOND_NAMES.get(name, name))
        for name in CATEGORIES["Exterior1st"].names
    ]
)


@dataclass
class Houses:
    """The columns drawn so far; every array has shape (draws.n,).

    Attributes:
        numbers: numeric columns; NaN is missing.
        codes: text columns, as positions in `CATEGORIES[name].names`; -1 is missing.
        drivers: each house's group for the categories that depend on one.
        neighborhood: position in `NEIGHBORHOODS`.
    """

    draws: Draws
    neighborhood: Codes
    numbers: dict[str, Floats] = field(default_factory=dict)
    codes: dict[str, Codes] = field(default_factory=dict)
    drivers: dict[str, Codes] = field(default_factory=dict)

    def draw(self, *names: str) -> None:
        """Draw text columns whose drivers are known."""
        for name in names:
            category = CATEGORIES[name]
            group = self.drivers[category.driver] if category.driver else None
            self.codes[name] = self.draws.category(category, group)

    def has(self, name: str, *values: str) -> Mask:
        """Tell where a text column is one of `values`."""
        codes = [CATEGORIES[name].names.index(value) for value in values]
        found: Mask = np.isin(self.codes[name], codes)
        return found

    def present(self, name: str) -> Mask:
        """Tell where a text column is not missing."""
        present: Mask = self.codes[name] != MISSING
        return present

    def put(self, name: str, value: str, where: Mask) -> None:
        """Overwrite a text column in some rows."""
        self.codes[name][where] = CATEGORIES[name].names.index(value)

    def lose(self, name: str, where: Mask | NDArray[np.int64]) -> None:
        """Make a column's values missing in some rows."""
        if name in self.codes:
            self.codes[name][where] = MISSING
        else:
            self.numbers[name][where] = np.nan


def make_houses(n: int, seed: int) -> Houses:
    """Draw `n` houses: all columns but Id and SalePrice, before any value is lost."""
    draws = Draws(n, seed)
    houses = Houses(draws, neighborhood=draws.code(NEIGHBORHOODS.share))
    for step in (_site, _lot, _dates, _grades, _areas, _basement, _rooms, _garage, _outside, _sale):
        step(houses)
    return houses


def _site(h: Houses) -> None:
    h.drivers["zone"] = NEIGHBORHOODS.zone[h.neighborhood].astype(np.int8)
    h.drivers["plot"] = h.draws.chance(NEIGHBORHOODS.towns[h.neighborhood]).astype(np.int8)
    h.draw("MSZoning", "Street", "Alley", "LandContour", "Utilities", "LotConfig", "Condition1")
    h.drivers["contour"] = (~h.has("LandContour", "Lvl")).astype(np.int8)
    h.drivers["road"] = (~h.has("Condition1", "Norm")).astype(np.int8)
    h.draw("LandSlope", "Condition2", "BldgType")


def _lot(h: Houses) -> None:
    town = h.drivers["plot"] == 1
    typical = NEIGHBORHOODS.lot[h.neighborhood]
    estate = np.where(h.draws.chance(0.025) & ~town, h.draws.spread(2.2, 0.5), 1.0)
    # where nearly all are townhouses, the neighbourhood's figure is already theirs
    share = np.where(town & (NEIGHBORHOODS.towns[h.neighborhood] < 0.5), 0.35, 1.0)
    area = np.clip(h.draws.spread(typical * share * estate, 0.26), 1300, 215_000)
    width = np.where(h.has("LotConfig", "CulDSac"), 0.55, 0.72) + 0.06 * h.has(
        "LotConfig", "Corner"
    )
    h.numbers["LotArea"] = whole(area)
    h.numbers["LotFrontage"] = whole(np.clip(h.draws.spread(width * np.sqrt(area), 0.17), 21, 313))


def _dates(h: Houses) -> None:
    sold = 2006.0 + h.draws.code(_YEARS)
    born = NEIGHBORHOODS.built[h.neighborhood]
    born = born + NEIGHBORHOODS.spread[h.neighborhood] * h.draws.normal()
    built = np.clip(whole(born), 1872, sold)
    first = np.maximum(built, 1950)
    renewed = h.draws.chance(np.minimum(0.12 + (sold - built) / 90, 0.6))
    h.numbers["MoSold"] = 1.0 + h.draws.code(_MONTHS)
    h.numbers["YrSold"] = sold
    h.numbers["YearBuilt"] = built
    h.numbers["YearRemodAdd"] = np.where(renewed, whole(h.draws.uniform(first, sold)), first)
    era = groups(built, (1946, 1985))
    h.drivers["era"] = era
    h.drivers["renewal"] = groups(h.numbers["YearRemodAdd"], (1970, 1995))
    h.drivers["form"] = np.where(h.drivers["plot"] == 1, 3, era).astype(np.int8)


def _grades(h: Houses) -> None:
    built, renewed = h.numbers["YearBuilt"], h.numbers["YearRemodAdd"]
    level = 5.9 + 0.02 * (built - 1970) + NEIGHBORHOODS.quality[h.neighborhood]
    quality = np.clip(whole(level + 0.9 * h.draws.normal()), 1, 10)
    worn = 5.4 + 0.6 * (renewed > built) * (renewed > 1985) + 1.2 * h.draws.normal()
    condition = np.where(built < 1992, worn, 5.0 + 0.4 * h.draws.normal())
    h.numbers["OverallQual"] = quality
    h.numbers["OverallCond"] = np.clip(whole(condition), 1, 9)
    h.drivers["quality"] = groups(quality, (5, 7, 9))
    h.drivers["upkeep"] = groups(h.numbers["OverallCond"], (4, 6))
    h.draw("HouseStyle", "ExterQual", "ExterCond", "KitchenQual", "Functional")
    h.draw("Heating", "HeatingQC", "CentralAir", "Electrical")


def _areas(h: Houses) -> None:
    styles = np.array([_STYLES[name] for name in CATEGORIES["HouseStyle"].names])
    low, high, factor = (styles[h.codes["HouseStyle"], column] for column in range(3))
    double = 1.0 + 0.2 * h.has("BldgType", "Duplex", "2fmCon")
    typical = 1250 * factor * double * np.exp(0.1 * (h.numbers["OverallQual"] - 6))
    area = whole(np.clip(h.draws.spread(typical, 0.2), 340, 5400))
    upper = whole(area * h.draws.uniform(low, high))
    attic = h.draws.chance(0.06) & (h.numbers["YearBuilt"] < 1946)
    h.numbers["1stFlrSF"] = area - upper
    h.numbers["2ndFlrSF"] = upper
    h.numbers["LowQualFinSF"] = np.where(attic, whole(h.draws.uniform(50, 570)), 0.0)
    h.numbers["GrLivArea"] = area + h.numbers["LowQualFinSF"]
    kind = groups(h.numbers["YearBuilt"], (1946,)) + 3
    kind[h.drivers["plot"] == 1] = 5
    subclass = styles[h.codes["HouseStyle"], kind]
    subclass[h.has("HouseStyle", "1Story") & attic] = 40
    subclass[h.has("BldgType", "Duplex")] = 90
    subclass[h.has("BldgType", "2fmCon")] = 190
    h.numbers["MSSubClass"] = subclass


def _basement(h: Houses) -> None:
    texts = ("BsmtQual", "BsmtCond", "BsmtExposure", "BsmtFinType1", "BsmtFinType2")
    h.draw("Foundation", *texts)
    none = h.has("Foundation", "Slab") | h.draws.chance(0.008)
    size = np.clip(h.draws.spread(0.95, 0.13), 0.25, 1.3)
    total = np.where(none, 0.0, whole(h.numbers["1stFlrSF"] * size))
    plain = h.has("BsmtFinType1", "Unf")
    share = np.where(h.draws.chance(0.1), 1.0, h.draws.uniform(0.2, 0.95))
    first = np.where(plain, 0.0, whole(total * share))
    h.put("BsmtFinType2", "Unf", plain | (first == total))
    second = whole((total - first) * h.draws.uniform(0.2, 1.0))
    second[h.has("BsmtFinType2", "Unf")] = 0
    h.numbers["BsmtFinSF1"] = first
    h.numbers["BsmtFinSF2"] = second
    h.numbers["BsmtUnfSF"] = total - first - second
    h.numbers["TotalBsmtSF"] = total
    baths = h.draws.chance(0.12 + 0.6 * (first > 450)) + 1.0 * h.draws.chance(0.015)
    h.numbers["BsmtFullBath"] = np.where(none, 0.0, baths)
    h.numbers["BsmtHalfBath"] = 1.0 * (h.draws.chance(0.06) & ~none)
    for name in texts:
        h.lose(name, none)


def _rooms(h: Houses) -> None:
    area = h.numbers["GrLivArea"] / 1000
    modern = (h.numbers["YearBuilt"] - 1970) / 100
    full = whole(0.4 + 0.65 * area + 1.1 * modern + 0.35 * h.draws.normal())
    half = h.draws.chance(np.where(h.numbers["2ndFlrSF"] > 0, 0.6, 0.2))
    beds = whole(1.2 + 1.05 * area - 0.5 * h.drivers["plot"] + 0.6 * h.draws.normal())
    second = h.has("BldgType", "Duplex") & h.draws.chance(0.9)
    second |= h.has("BldgType", "2fmCon") & h.draws.chance(0.6)
    others = np.clip(whole(0.8 + 0.95 * area + 0.6 * h.draws.normal()), 1, 8)
    fires = whole(0.5 * area + 0.12 * h.numbers["OverallQual"] - 0.85 + 0.75 * h.draws.normal())
    h.numbers["FullBath"] = np.where(h.draws.chance(0.006), 0.0, np.clip(full, 1, 3))
    h.numbers["HalfBath"] = half + 1.0 * h.draws.chance(0.008)
    h.numbers["BedroomAbvGr"] = np.clip(beds, 0, 8)
    h.numbers["KitchenAbvGr"] = 1.0 + second
    rooms = h.numbers["BedroomAbvGr"] + h.numbers["KitchenAbvGr"] + others
    h.numbers["TotRmsAbvGrd"] = np.clip(rooms, 2, 15)
    h.numbers["Fireplaces"] = np.clip(fires, 0, 3)
    h.draw("FireplaceQu")
    h.lose("FireplaceQu", h.numbers["Fireplaces"] == 0)


def _garage(h: Houses) -> None:
    built, sold = h.numbers["YearBuilt"], h.numbers["YrSold"]
    h.draw("GarageType", "GarageFinish", "GarageQual", "GarageCond", "PavedDrive")
    wish = 1.2 + 0.015 * (built - 1960) + 0.2 * (h.numbers["OverallQual"] - 5)
    cars = np.clip(whole(wish + 0.5 * h.draws.normal()), 1, 4)
    area = whole(np.clip(45 + cars * h.draws.spread(235.0, 0.17), 160, 1450))
    later = h.draws.chance(np.where(h.has("GarageType", "Detchd"), 0.6, 0.06))
    year = np.where(later, whole(h.draws.uniform(built, sold)), built)
    # a few garages are older than the house that stands beside them now
    year = year - np.where(h.draws.chance(0.006), 3.0, 0.0)
    none = ~h.present("GarageType")
    h.numbers["GarageYrBlt"] = np.maximum(year, 1895)
    h.numbers["GarageCars"] = np.where(none, 0.0, cars)
    h.numbers["GarageArea"] = np.where(none, 0.0, area)
    for name in ("GarageYrBlt", "GarageFinish", "GarageQual", "GarageCond"):
        h.lose(name, none)


def _outside(h: Houses) -> None:
    h.draw("LotShape", "RoofStyle", "RoofMatl", "Exterior1st", "Exterior2nd", "MasVnrType")
    h.draw("PoolQC", "Fence", "MiscFeature")
    same = h.draws.chance(0.88)
    covering = _SAME_COVERING[h.codes["Exterior1st"]].astype(np.int8)
    h.codes["Exterior2nd"] = np.where(same, covering, h.codes["Exterior2nd"])
    veneer = whole(np.clip(h.draws.spread(190.0, 0.75), 8, 1600))
    h.numbers["MasVnrArea"] = np.where(h.has("MasVnrType", "None"), 0.0, veneer)
    for name, (chances, median, log_sd, low, high) in _OUTDOOR.items():
        there = h.draws.chance(np.array(chances)[h.drivers["era"]])
        size = whole(np.clip(h.draws.spread(median, log_sd), low, high))
        h.numbers[name] = np.where(there, size, 0.0)
    pool = whole(h.draws.uniform(480, 760))
    h.numbers["PoolArea"] = np.where(h.present("PoolQC"), pool, 0.0)
    value = 50 * whole(np.clip(h.draws.spread(10.0, 0.7), 1, 300))
    h.numbers["MiscVal"] = np.where(h.present("MiscFeature"), value, 0.0)


def _sale(h: Houses) -> None:
    h.draw("SaleType", "SaleCondition")
    fresh = (h.numbers["YrSold"] - h.numbers["YearBuilt"] <= 1) & h.draws.chance(0.75)
    h.put("SaleType", "New", fresh)
    h.put("SaleCondition", "Partial", fresh)
