"""Places: distances to scikit-learn's centres, found in training rows alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from kaggleprice.competitions.tables import Table
from kaggleprice.evaluation.folds import Folds
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.preprocessing.places import CENTRES
from kaggleprice.settings.recipe import Recipe

RANDOM = np.random.default_rng(0)
NORTH, EAST = RANDOM.normal(-37.8, 0.1, 200), RANDOM.normal(145.0, 0.1, 200)


def table_of(north: np.ndarray, east: np.ndarray) -> Table:
    frame = pd.DataFrame({"lat": north, "lon": east})
    return Table(np.arange(len(frame)).astype(str), frame, places=(("lat", "lon"),))


def test_distances_are_to_scikit_learns_centres() -> None:
    fitted = fit(Recipe(), table_of(NORTH, EAST))
    assert [f.name for f in fitted.learned_features][:2] == ["lat_distance 1", "lat_distance 2"]
    points = np.stack([NORTH, EAST * np.cos(np.radians(NORTH.mean()))], axis=1)
    means = KMeans(CENTRES, n_init=1, random_state=0).fit(points)
    expected = StandardScaler().fit_transform(means.transform(points))
    made = fitted.transform(table_of(NORTH, EAST).features)[:, :CENTRES]
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_missing_places_are_at_the_mean() -> None:
    north = np.where(np.arange(200) < 3, np.nan, NORTH)
    made = fit(Recipe(), table_of(north, EAST)).transform(table_of(north, EAST).features)
    assert not made[:3, :CENTRES].any()
    assert made[3:, :CENTRES].any(axis=1).all()


def test_places_of_validation_rows_teach_nothing() -> None:
    folds = np.arange(200) % 4
    tables = [table_of(NORTH, EAST), table_of(np.where(folds == 2, 89.0, NORTH), EAST)]
    states = [fit_folds(Recipe(), t, t.features, Folds.of_rows(folds).left_out) for t in tables]
    assert states[0][2].to_json() == states[1][2].to_json()
    assert states[0][0].to_json() != states[1][0].to_json()


@pytest.mark.parametrize("north", [[np.nan], [1.0], [1.0, 1.0, np.nan], [1.0, 2.0, 3.0]])
def test_few_places(north: list[float]) -> None:
    table = table_of(np.array(north), np.zeros(len(north)))
    fitted = fit(Recipe(), table)
    assert len(fitted.learned_features) == len({n for n in north if n == n})
    assert np.isfinite(fitted.transform(table.features)).all()


def test_plain_data() -> None:
    table = table_of(NORTH, EAST)
    fitted = fit(Recipe(), table)
    again = FittedRecipe.from_json(fitted.to_json())
    assert again == fitted
    assert again.transform(table.features).tobytes() == fitted.transform(table.features).tobytes()
