"""What Kaggle says of a run's submission, in a file beside the record."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kaggleprice.core.errors import OutputError, RunFolderError
from kaggleprice.runs.leaderboard import FILE, Leaderboard, read_leaderboard, write_leaderboard
from kaggleprice.runs.run import Run

SENT = Leaderboard("titanic", 7, "a \N{SNOWMAN} \x1b", "ab" * 32, "2026-01-02T03:04:05+00:00")


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert read_leaderboard(run) is None
    write_leaderboard(run, SENT)
    assert read_leaderboard(run) == SENT
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"ref":7', '"ref":-1'),
        ('"ref":7', '"ref":"7"'),
        ('"public_score":null', '"public_score":NaN'),
        ('"status":"pending"', '"status":"won"'),
        ("2026-01-02T03:04:05+00:00", "yesterday"),
        ('"ref":7', '"ref":7,"more":1'),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str) -> None:
    run = Run(tmp_path)
    file = write_leaderboard(run, SENT)
    text = file.read_text().replace('": ', '":')
    assert old in text
    file.write_text(text)
    assert read_leaderboard(run) == SENT
    file.write_text(text.replace(old, new))
    with pytest.raises(RunFolderError, match=FILE):
        read_leaderboard(run)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "run", tmp_path / "outside.json"
    inside.mkdir()
    outside.write_text("{}")
    (inside / FILE).symlink_to(outside)
    with pytest.raises(RunFolderError, match="link"):
        read_leaderboard(Run(inside))
    with pytest.raises(OutputError, match="link"):
        write_leaderboard(Run(inside), SENT)
    assert outside.read_text() == "{}"


def test_a_score_is_a_number(tmp_path: Path) -> None:
    run = Run(tmp_path)
    write_leaderboard(run, Leaderboard(**{**vars(SENT), "public_score": math.pi}))
    found = read_leaderboard(run)
    assert found is not None
    assert found.public_score == math.pi
