"""How a CSV is written: the same table in many spellings is found and read alike."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kaggleprice.competitions.csv_format import CsvFormat, find_format
from kaggleprice.core.errors import DataError, MissingFileError

TABLE = pd.DataFrame({"Größe": [1.5, 2.25, 1000.5], "Ort": ["Köln", "São Paulo", "a;b, c"]})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_found_as_written(separator: str, decimal: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    TABLE.to_csv(path, sep=separator, decimal=decimal, encoding=encoding, index=False)
    found = find_format(path)
    assert found.separator == separator
    # Between commas a comma in a number is a mark between thousands.
    assert found.decimal == ("." if separator == "," else decimal)
    assert found.encoding == encoding.removesuffix("-sig")
    read = pd.read_csv(path, sep=found.separator, decimal=decimal, encoding=found.codec)
    pd.testing.assert_frame_equal(read, TABLE)


@pytest.mark.parametrize("text", ["a\n1\n2\n", "", "a,b\n1,2\n3\n"])
def test_a_plain_one_where_nothing_says_otherwise(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert find_format(tmp_path / "a.csv") == CsvFormat()
    assert CsvFormat().changes == {}


def test_a_character_cut_in_two(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n" + "ä" * (1 << 18), encoding="utf-8")
    assert find_format(path).encoding == "utf-8"


def test_no_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(DataError, match=r"a\.csv is not text"):
        find_format(tmp_path / "a.csv")
    with pytest.raises(MissingFileError, match=r"b\.csv does not exist"):
        find_format(tmp_path / "b.csv")
    with pytest.raises(DataError, match="cannot be read"):
        find_format(tmp_path)
