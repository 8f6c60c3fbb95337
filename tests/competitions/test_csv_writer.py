"""Tables as CSV: every reader finds the very cells again."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from kaggleprice.competitions.csv_writer import csv_text, write_csv


@pytest.mark.parametrize("name", ["a", "a\rb"])
@pytest.mark.parametrize("text", ["x", "x\ry", "x\r\ny", "\r", 'x"\r,y', "1"])
def test_cells_are_found_again(tmp_path: Path, name: str, text: str) -> None:
    frame = pd.DataFrame({name: [text, "z"], "number": [1.5, 2.0]})
    written = csv_text(frame)
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert rows == [[name, "number"], [text, "1.5"], ["z", "2.0"]]
    write_csv(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().decode() == written
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "a.csv", dtype={name: str}), frame.astype({name: str})
    )


def test_what_needs_no_quotes_has_none() -> None:
    frame = pd.DataFrame({"a": ["x", "y,z"], "b": [1, None]})
    assert csv_text(frame) == 'a,b\nx,1.0\n"y,z",\n'
