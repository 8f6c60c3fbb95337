"""Which of files never seen before is which, and whose they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kaggleprice.competitions.found_files import (
    competition_here,
    find_files,
    refuse_other_files,
)
from kaggleprice.core.errors import UsageError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train.csv", "test.csv"), ("train.csv", "test.csv")),
        (("my_Train_v2.csv", "final TEST.csv"), ("my_Train_v2.csv", "final TEST.csv")),
        (("more.csv", "less.csv"), ("more.csv", "less.csv")),
        (("train.csv",), ("train.csv", None)),
        (("train.tsv", "test.tsv"), ("train.tsv", "test.tsv")),
    ],
)
def test_files_are_told_apart(
    names: tuple[str, ...], expected: tuple[str, str | None], tmp_path: Path
) -> None:
    for name, text in zip(names, ["a,y\n1,2\n", "a\n1\n"], strict=False):
        (tmp_path / name).write_text(text)
    # What predictions write is no file of a competition.
    (tmp_path / "submission.csv").write_text("row,y\n1,2\n")
    found = find_files([tmp_path])
    assert (found.train.name, found.test and found.test.name) == expected


@pytest.mark.parametrize("names", [(), ("train.csv", "train2.csv"), ("a.csv", "b.csv", "c.csv")])
def test_files_that_cannot_be_told_apart(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("a,y\n1,2\n")
    with pytest.raises(UsageError):
        find_files([tmp_path])


def test_the_competition_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert competition_here() == "house-prices"
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("a,y\n1,2\n")
    with pytest.raises(UsageError, match="kaggleprice init"):
        competition_here()
    (tmp_path / "competition.toml").write_text("")
    assert competition_here() == "competition.toml"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_files_of_another_competition_are_offered_init(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "bikes"
    folder.mkdir()
    place = folder
    refuse_other_files(folder)  # of no table nothing is known
    (folder / "train.csv").write_text("datetime,count\n2011-01-01,3\n")
    if packed:
        place = Path(shutil.make_archive(str(tmp_path / "bikes"), "zip", folder))
    with pytest.raises(UsageError, match=r"no training file of house-prices.*kaggleprice init"):
        refuse_other_files(place)
    (folder / "other.csv").write_text('Id,"SalePrice"\n1,2\n')
    refuse_other_files(folder)
