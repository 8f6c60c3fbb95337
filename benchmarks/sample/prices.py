"""What an invented house costs: main effects, curves, interactions and noise, in logs."""

from __future__ import annotations

import numpy as np

from benchmarks.sample.draws import Floats, whole
from benchmarks.sample.houses import Houses
from benchmarks.sample.vocabulary import CATEGORIES, NEIGHBORHOODS

_BASE = 12.02
_NOISE = 0.085
_OUTLIERS, _OUTLIER_FACTOR = 0.05, 2.2


def make_prices(houses: Houses) -> Floats:
    """Price the houses, shape (n,): whole hundreds, before any value is lost."""
    log_price = _BASE + _labels(houses) + _sizes(houses) + _tastes(houses) + _ages(houses)
    log_price = log_price + _market(houses) + _noise(houses)
    prices: Floats = 100 * whole(np.exp(log_price) / 100)
    return prices


def _labels(h: Houses) -> Floats:
    total: Floats = NEIGHBORHOODS.level[h.neighborhood]
    for name, codes in h.codes.items():
        total = total + CATEGORIES[name].effects[codes]
    return total


def _sizes(h: Houses) -> Floats:
    numbers = h.numbers
    area = np.log(numbers["GrLivArea"] / 1450)
    lot = np.log(numbers["LotArea"] / 9000)
    baths = numbers["FullBath"] + 0.5 * numbers["HalfBath"] + 0.6 * numbers["BsmtFullBath"]
    cellar = (numbers["TotalBsmtSF"] + 0.5 * numbers["BsmtFinSF1"]) / 1000
    outdoor = (numbers["WoodDeckSF"] + numbers["OpenPorchSF"] + numbers["ScreenPorch"]) / 1000
    parking = np.minimum(numbers["GarageCars"], 2) + 0.3 * np.maximum(numbers["GarageCars"] - 2, 0)
    total: Floats = 0.3 * area + 0.06 * lot + 0.03 * baths + 0.08 * cellar + 0.08 * outdoor
    return total + 0.025 * np.minimum(numbers["Fireplaces"], 2) + 0.05 * parking


def _tastes(h: Houses) -> Floats:
    numbers = h.numbers
    quality = numbers["OverallQual"] - 6
    area = np.clip(np.log(numbers["GrLivArea"] / 1450), -0.6, 0.6)
    crowd = numbers["BedroomAbvGr"] - 1.2 - 1.05 * numbers["GrLivArea"] / 1000
    # space is worth much in a good house and little in a plain one, and bedrooms can be too
    # many or too few for it
    total: Floats = 0.05 * quality + 0.012 * np.square(quality) + 0.25 * quality * area
    return total - 0.05 * np.square(np.clip(crowd, -2, 2))


def _ages(h: Houses) -> Floats:
    numbers = h.numbers
    age = numbers["YrSold"] - numbers["YearBuilt"]
    since = numbers["YrSold"] - np.maximum(numbers["YearRemodAdd"], numbers["YearBuilt"])
    state = numbers["OverallCond"] - 5
    wear: Floats = -0.35 * (1 - np.exp(-age / 20)) - 0.06 * (1 - np.exp(-since / 12))
    # an old house lives by its care, and by what its neighbourhood thinks of old houses
    care = 0.01 * state + 0.12 * state * np.minimum(age, 80) / 80
    vintage = NEIGHBORHOODS.vintage[h.neighborhood] * age / 100
    grand = 0.25 * (age > 60) * (numbers["OverallQual"] >= 6)
    return wear + care + vintage + grand


def _market(h: Houses) -> Floats:
    numbers = h.numbers
    fall: Floats = -0.03 * np.maximum(numbers["YrSold"] - 2007, 0)
    season: Floats = 0.015 * np.cos((numbers["MoSold"] - 6) * (np.pi / 6))
    return fall + season


def _noise(h: Houses) -> Floats:
    factor = np.where(h.draws.chance(_OUTLIERS), _OUTLIER_FACTOR, 1.0)
    noise: Floats = _NOISE * factor * h.draws.normal()
    return noise
