"""The model of a cluster's seconds: found again where it is true."""

from __future__ import annotations

import pytest

from benchmarks.scale import GROUPS, Model, Point, bytes_moved, report, short_problem

TRUE = Model(a=0.5, b=0.2, c=1e-10)


def points(workers: int) -> list[Point]:
    """Trainings that take exactly what the model says."""
    found = []
    for rows, size in ((1000, 10), (1000, 20), (4000, 10)):
        for groups in (GROUPS, 2 * GROUPS):
            operations = 1e6 * rows * size * groups
            seconds = TRUE.seconds(groups, operations, max(1, workers))
            found.append(Point(rows, size * groups, groups, workers, operations, seconds))
    return found


def test_the_model_is_found_again() -> None:
    found = Model.fitted(points(1))
    assert (found.a, found.b, found.c) == pytest.approx((TRUE.a, TRUE.b, TRUE.c))
    # Two workers train half of the groups each, or one more than the other.
    assert found.seconds(4, 4e9, 2) == pytest.approx(0.5 + 2 * (0.2 + 0.1))
    assert found.seconds(3, 3e9, 2) == pytest.approx(0.5 + 2 * (0.2 + 0.1))


def test_the_page_says_how_far_off_it_is() -> None:
    text = report([p for n in (0, 1, 2) for p in points(n)], (4000, 80, 10_000_000, 5_000_000))
    assert "(+0%)" in text
    assert "10.0 MB travel" in text
    assert "not measured" in text


def test_what_travels() -> None:
    few, many = short_problem(4, rows=100), short_problem(8, rows=200)
    there, back = bytes_moved(few)
    more_there, more_back = bytes_moved(many)
    assert more_there > there > 100 * 313 * 4
    assert more_back == pytest.approx(2 * back, rel=0.01)
