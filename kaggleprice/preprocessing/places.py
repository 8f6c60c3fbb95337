"""Places: how far a pair of latitude and longitude lies from centres found in training rows.

Centres are those of k-means (Lloyd 1982): where rows are many there are many, so that a network
or a tree sees in a few numbers in which neighbourhood a row is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Gt
from threadpoolctl import threadpool_limits

from kaggleprice.preprocessing.distribution import Floats
from kaggleprice.preprocessing.features import Feature
from kaggleprice.settings.declaration import STRICT

CENTRES = 12
# More rows hardly move the centres.
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class PlaceState:
    """What was learned of one pair of columns.

    Attributes:
        latitude, longitude: the columns, in degrees.
        stretch: what a degree of longitude is long, in degrees of latitude.
        centres: latitude and stretched longitude of each.
        center, scale: of each distance, in degrees of latitude: `(distance - center) / scale` is
            the feature.
    """

    latitude: str
    longitude: str
    stretch: float
    centres: tuple[tuple[float, float], ...]
    center: tuple[float, ...]
    scale: tuple[Annotated[float, Gt(0)], ...]

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check that every centre has its numbers.

        Raises:
            ValueError: where one has not.
        """
        if not len(self.centres) == len(self.center) == len(self.scale):
            raise ValueError(f"{self.latitude!r}: a centre without its scale")

    @property
    def columns(self) -> list[str]:
        """The columns that it needs."""
        return [self.latitude, self.longitude]

    @property
    def features(self) -> list[Feature]:
        """One distance for each centre."""
        numbers = range(1, len(self.centres) + 1)
        return [Feature("learned", self.latitude, f"distance {number}") for number in numbers]

    def transform(self, frame: pd.DataFrame) -> Floats:
        """Return the distances of n rows, shape (n, centres); 0, the mean, where one is missing."""
        points = _points(frame, self.latitude, self.longitude, self.stretch)
        return np.nan_to_num((self._distances(points) - self.center) / self.scale)

    def _distances(self, points: Floats) -> Floats:
        made = np.empty((len(points), len(self.centres)))
        for j, centre in enumerate(self.centres):
            made[:, j] = np.hypot(*(points - centre).T)
        return made


def learn_places(frame: pd.DataFrame, latitude: str, longitude: str) -> PlaceState:
    """Find centres among rows; there are fewer where rows have few places.

    Args:
        frame: n rows.
        latitude: one of its columns.
        longitude: another one.
    """
    from sklearn.cluster import KMeans

    degrees = frame[latitude].to_numpy(dtype=np.float64)
    mean = float(np.nanmean(degrees)) if not np.isnan(degrees).all() else 0.0
    stretch = float(np.cos(np.radians(np.clip(mean, -80.0, 80.0))))
    points = _points(frame, latitude, longitude, stretch)
    points = points[~np.isnan(points).any(axis=1)]
    drawn = points
    if len(points) > _MOST_ROWS:
        drawn = points[np.random.default_rng(0).choice(len(points), _MOST_ROWS, replace=False)]
    places = min(CENTRES, len(np.unique(drawn, axis=0)))
    found = np.empty((0, 2))
    if places:
        # Sums of several threads differ in their last bit.
        with threadpool_limits(limits=1):
            found = KMeans(places, n_init=1, random_state=0).fit(drawn).cluster_centers_
    centres = tuple((float(a), float(b)) for a, b in found)
    plain = PlaceState(latitude, longitude, stretch, centres, (0.0,) * places, (1.0,) * places)
    distances = plain._distances(points)
    spread = distances.std(axis=0) if len(points) else np.empty(0)
    return PlaceState(
        latitude,
        longitude,
        stretch,
        centres,
        tuple(distances.mean(axis=0).tolist()) if places else (),
        tuple(np.where(spread > 1e-12, spread, 1.0).tolist()),
    )


def _points(frame: pd.DataFrame, latitude: str, longitude: str, stretch: float) -> Floats:
    """Return rows as points of a plane, shape (n, 2), in degrees of latitude."""
    pair = frame[[latitude, longitude]].to_numpy(dtype=np.float64)
    points: Floats = pair * [1.0, stretch]
    return points
