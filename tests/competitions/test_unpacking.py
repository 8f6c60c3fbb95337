"""Packed tables: every packing gives the same plain CSV, and nothing leaves its folder."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from kaggleprice.competitions.unpacking import unpack
from kaggleprice.core.errors import DataError, MissingFileError

TEXT = "a,b\n1,x\n2,y\n"


def test_an_archive_a_compressed_file_and_a_plain_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("data/train.csv", TEXT)
        archive.writestr("../../outside.csv", TEXT)
        archive.writestr("notes.md", "no table")
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "plain.csv").write_text(TEXT)
    told: list[str] = []
    paths = [tmp_path / name for name in ("all.zip", "test.csv.gz", "plain.csv")]
    found = unpack(paths, told.append)
    assert sorted(path.name for path in found) == [
        *("outside.csv", "plain.csv", "test.csv", "train.csv")
    ]
    assert {path.parent for path in found} == {tmp_path}
    assert all(path.read_text() == TEXT for path in found)
    assert len(told) == 3
    # What is there already is kept.
    (tmp_path / "train.csv").write_text("mine")
    assert unpack([tmp_path], told.append) == [tmp_path]
    assert (tmp_path / "train.csv").read_text() == "mine"
    assert len(told) == 3


def test_tables_that_are_packed_once_more(tmp_path: Path) -> None:
    """As Kaggle has them: `train.csv.zip` in the zip of all files; no deeper, whatever is there."""
    inner, deeper = tmp_path / "inner", tmp_path / "deeper"
    for path, members in [
        (deeper, {"deep.csv": TEXT}),
        (inner, {"train.csv": TEXT, "deeper.zip": deeper}),
        (tmp_path / "all.zip", {"train.csv.zip": inner, "test.csv.gz": gzip.compress(b"a\n1\n")}),
    ]:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                whole = content.read_bytes() if isinstance(content, Path) else content
                archive.writestr(name, whole)
    found = unpack([tmp_path / "all.zip"], str)
    assert [path.name for path in found] == ["train.csv", "test.csv"]
    assert not (tmp_path / "deep.csv").exists()


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_parquet(tmp_path / "train.parquet")
    assert unpack([tmp_path / "train.parquet"], str) == [tmp_path / "train.csv"]
    assert (tmp_path / "train.csv").read_text() == TEXT


def test_parquet_of_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never in memory as a whole, and what stands in a row does not depend on the others."""
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("kaggleprice.competitions.unpacking._ROWS", 2)
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, 2, None, 4, 5], dtype="Int16"),
            "number": [0.1, None, 3.0, 1e300, -0.0],
            "text": ["x", "a\rb", None, '"q",', ""],
        }
    )
    frame.to_parquet(tmp_path / "train.parquet")
    (written,) = unpack([tmp_path / "train.parquet"], str)
    found = pd.read_csv(written, dtype={"whole": "Int16"}, lineterminator="\n").astype(object)
    assert found.fillna("nothing").to_numpy(dtype=object).tolist() == [
        [1, 0.1, "x"],
        [2, "nothing", "a\rb"],
        ["nothing", 3.0, "nothing"],
        [4, 1e300, '"q",'],
        [5, -0.0, "nothing"],
    ]


def test_parquet_without_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [], "b": []}).to_parquet(tmp_path / "train.parquet")
    (written,) = unpack([tmp_path / "train.parquet"], str)
    assert written.read_text() == "a,b\n"


@pytest.mark.parametrize("name", ["a.zip", "a.csv.gz", "a.parquet"])
def test_damaged(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing of this kind")
    with pytest.raises(DataError, match=f"{name} cannot be unpacked"):
        unpack([tmp_path], str)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_small_file_that_unpacks_to_a_huge_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaggleprice.competitions.unpacking._MOST_BYTES", 1 << 20)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(1 << 22)))
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.csv", bytes(1 << 22))
    for name in ("a.csv.gz", "b.zip"):
        with pytest.raises(DataError, match=rf"{name}.*1,048,576 bytes"):
            unpack([tmp_path / name], str)
    assert not list(tmp_path.glob("*.csv"))


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv does not exist"):
        unpack([tmp_path / "none.csv"], str)
