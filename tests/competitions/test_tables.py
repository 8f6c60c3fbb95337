"""Tables: real CSV text in, exact ids and kinds out; each bad input with its own sentence."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggleprice.competitions import columns as column_module
from kaggleprice.competitions.catalog import COMPETITIONS, Competition
from kaggleprice.competitions.csv_reader import read_shape
from kaggleprice.competitions.engineering import ENGINEERINGS
from kaggleprice.competitions.tables import Tables, read_tables
from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.core.progress import Silent

HOUSES = COMPETITIONS["house-prices"]
TRAIN = """Id,LotArea,Street,MasVnrType,LotFrontage,SalePrice
0007,8450,Pave,None,65,208500
12,9600,"Gravel, loose",NA,NA,181500
3,11250,NA,BrkFace,,223500
"""
TEST = """Id,LotArea,Street,MasVnrType,LotFrontage
1461,11622,Pave,None,80
0008,14267,NA,Stone,NA
"""


@pytest.fixture(autouse=True, params=["one chunk", "small chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds wherever a chunk of rows ends."""
    if request.param == "small chunks":
        # Two rows a chunk find what hides between chunks; whole files would take their time.
        long = any(word in request.node.name for word in ("whole_files", "real_files"))
        monkeypatch.setattr(column_module, "ROWS", 97 if long else 2)


def read(
    folder: Path,
    train: str | bytes = TRAIN,
    test: str | bytes = TEST,
    competition: Competition = HOUSES,
) -> Tables:
    """Write two files and read them."""
    paths = folder / "train.csv", folder / "test.csv"
    for path, content in zip(paths, (train, test), strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_tables(competition, *paths)


def with_target(*values: str) -> str:
    lines = [f"{i},{i},Pave,None,65,{value}" for i, value in enumerate(values, start=10)]
    return "\n".join([TRAIN.splitlines()[0], *lines, ""])


# What is read


def test_small_table_cell_by_cell(tmp_path: Path) -> None:
    tables = read(tmp_path)
    train, test = tables.train, tables.test
    assert list(train.ids) == ["0007", "12", "3"]
    assert list(test.ids) == ["1461", "0008"]
    assert list(train.features) == ["LotArea", "Street", "MasVnrType", "LotFrontage"]
    assert train.numeric_columns == test.numeric_columns == ["LotArea", "LotFrontage"]
    assert train.categorical_columns == test.categorical_columns == ["Street", "MasVnrType"]
    assert train.known_target.tolist() == [208500.0, 181500.0, 223500.0]
    assert train.features["LotArea"].tolist() == [8450.0, 9600.0, 11250.0]
    np.testing.assert_array_equal(train.features["LotFrontage"], [65.0, np.nan, np.nan])
    # `None` is a category, `NA` and an empty cell are missing.
    assert train.features["MasVnrType"].isna().tolist() == [False, True, False]
    assert train.features["MasVnrType"].dropna().tolist() == ["None", "BrkFace"]
    assert train.features["Street"].dropna().tolist() == ["Pave", "Gravel, loose"]
    assert (len(train), len(test)) == (3, 2)
    assert test.target is None
    with pytest.raises(DataError, match="no target"):
        _ = test.known_target


@pytest.mark.parametrize(
    ("folder", "prefix"), [("sample_folder", ""), ("real_data", "kaggle_house_pred_")]
)
def test_whole_files_are_what_pythons_csv_module_reads(
    folder: str, prefix: str, request: pytest.FixtureRequest
) -> None:
    here = request.getfixturevalue(folder)
    paths = [here / f"{prefix}{role}.csv" for role in ("train", "test")]
    tables = read_tables(HOUSES, *paths)
    for path, table in zip(paths, (tables.train, tables.test), strict=True):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert read_shape(path) == (len(rows), len(rows[0]))
        assert list(table.ids) == [row["Id"] for row in rows]
        assert list(table.features) == [n for n in rows[0] if n not in ("Id", "SalePrice")]
        for name in table.features:
            texts = [row[name] for row in rows]
            column = table.features[name]
            assert column.isna().tolist() == [text in ("NA", "") for text in texts]
            shown = [text for text in texts if text not in ("NA", "")]
            if name in table.numeric_columns:
                assert column.dropna().tolist() == [float(text) for text in shown]
            else:
                assert column.dropna().tolist() == shown
    with paths[0].open(newline="") as file:
        prices = [float(row["SalePrice"]) for row in csv.DictReader(file)]
    assert tables.train.known_target.tolist() == prices


def test_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    marked = read(tmp_path, b"\xef\xbb\xbf" + TRAIN.encode(), b"\xef\xbb\xbf" + TEST.encode())
    plain = read(tmp_path)
    assert list(marked.train.ids) == list(plain.train.ids)
    pd.testing.assert_frame_equal(marked.train.features, plain.train.features)


def test_windows_line_ends_and_a_missing_last_one(tmp_path: Path) -> None:
    other = read(tmp_path, TRAIN.replace("\n", "\r\n").rstrip(), TEST.rstrip())
    plain = read(tmp_path)
    pd.testing.assert_frame_equal(other.train.features, plain.train.features)
    assert list(other.test.ids) == list(plain.test.ids)


def test_columns_of_the_test_file_may_stand_in_another_order(tmp_path: Path) -> None:
    turned = pd.read_csv(io.StringIO(TEST), dtype=str, keep_default_na=False).iloc[:, ::-1]
    tables = read(tmp_path, test=turned.to_csv(index=False))
    pd.testing.assert_frame_equal(tables.test.features, read(tmp_path).test.features)


def test_own_markers_replace_na(tmp_path: Path) -> None:
    competition = replace(HOUSES, missing_values=("?", "-999"))
    train = "Id,a,b,SalePrice\n1,?,NA,5\n2,-999,?,6\n3,2,x,7\n"
    tables = read(tmp_path, train, "Id,a,b\n4,1,\n", competition)
    np.testing.assert_array_equal(tables.train.features["a"], [np.nan, np.nan, 2.0])
    assert tables.train.features["b"].isna().tolist() == [False, True, False]
    assert tables.train.features["b"][0] == "NA"
    assert tables.test.features["b"].isna().tolist() == [True]


def test_markers_of_a_column_are_its_alone(tmp_path: Path) -> None:
    competition = replace(
        HOUSES, missing_values_of={"a": ("?", "-999"), "b": (), "c.1": ("x",), "SalePrice": ("0",)}
    )
    train = "Id,a,b,c,c,d,SalePrice\n1,?,NA,x,x,?,5\n2,-999,?,x,y,NA,6\n3,2,,y,y,NA,7\n"
    test = "Id,a,b,c,c,d\n4,-999.0,NA,x,x,?\n"
    tables = read(tmp_path, "\ufeff" + train, test, competition)
    np.testing.assert_array_equal(tables.train.features["a"], [np.nan, np.nan, 2.0])
    assert np.isnan(tables.test.features["a"][0])
    assert tables.train.features["b"].isna().tolist() == [False, False, True]
    assert tables.test.features["b"].tolist() == ["NA"]
    # Two columns of one name are told apart by number; the others have the file's markers.
    assert tables.train.features["c"].isna().tolist() == [False, False, False]
    assert tables.train.features["c.1"].isna().tolist() == [True, False, False]
    assert tables.train.features["d"].isna().tolist() == [False, True, True]
    with pytest.raises(DataError, match=r"'SalePrice' must be .* for Id 1"):
        read(tmp_path, train.replace(",5\n", ",0\n"), test, competition)


@pytest.mark.parametrize("column", ["Id", "LotArea", "SalePrice"])
def test_a_column_of_markers_must_be_there(tmp_path: Path, column: str) -> None:
    read(tmp_path, competition=replace(HOUSES, missing_values_of={column: ("?",)}))
    wrong = replace(HOUSES, missing_values_of={"LotAera": ("?",)})
    with pytest.raises(DataError, match=r"'LotAera'.*missing_values_of.*mean 'LotArea'"):
        read(tmp_path, competition=wrong)


def test_truth_values_are_categories_as_they_are_written(tmp_path: Path) -> None:
    """pandas alone reads the train column as bool, and would call TRUE `True` only there."""
    train = "Id,a,b,SalePrice\n1,TRUE,true,5\n2,FALSE,NA,6\n"
    tables = read(tmp_path, train, "Id,a,b\n4,TRUE,maybe\n5,MAYBE,true\n")
    assert tables.train.categorical_columns == ["a", "b"]
    assert tables.train.features["a"].tolist() == ["TRUE", "FALSE"]
    assert tables.train.features["b"].dropna().tolist() == ["true"]
    assert tables.test.features["a"].tolist() == ["TRUE", "MAYBE"]


def test_column_missing_throughout_one_file_takes_the_others_kind(tmp_path: Path) -> None:
    train = "Id,a,b,c,SalePrice\n1,x,1,NA,5\n2,y,2,NA,6\n"
    tables = read(tmp_path, train, "Id,a,b,c\n4,NA,NA,NA\n")
    for table in (tables.train, tables.test):
        assert table.categorical_columns == ["a"]
        assert table.numeric_columns == ["b", "c"]
    assert tables.test.features.isna().all(axis=None)


def test_log1p_allows_zero_and_none_allows_negatives(tmp_path: Path) -> None:
    values = with_target("0", "3.5", "1e3")
    counts = replace(HOUSES, target_transform="log1p")
    assert read(tmp_path, values, competition=counts).train.known_target.tolist() == [0, 3.5, 1000]
    plain = replace(HOUSES, target_transform="none")
    values = with_target("-3", "0", "7")
    assert read(tmp_path, values, competition=plain).train.known_target.tolist() == [-3, 0, 7]


def test_shape_counts_records_not_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('Id,note\n1,"two\nlines"\n\n2,x\n')
    assert read_shape(path) == (2, 2)
    with pytest.raises(MissingFileError):
        read_shape(tmp_path / "b.csv")


# What is refused: class of the error, and what its sentence must name


def as_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", TRAIN * 50)
    return buffer.getvalue()


HTML = """<!DOCTYPE html>
<html><head><title>Sign in, please</title></head>
<body>Terms, conditions, and more, of it</body></html>
"""
BAD_TRAIN: dict[str, tuple[str | bytes, list[str]]] = {
    "zip": (as_zip(), ["cannot be read as CSV"]),
    "binary": (bytes(range(256)) * 9, ["cannot be read as CSV"]),
    "latin-1": (TRAIN.replace("Pave", "Gepflästert").encode("latin-1"), ["cannot be read as CSV"]),
    "HTML": (HTML, ["is an HTML or XML page, not a CSV", "<!DOCTYPE html>"]),
    "HTML without commas": (
        "<html>\n<body>\n</body>\n",
        ["is an HTML or XML page, not a CSV", "'<html>'"],
    ),
    "empty": ("", ["is empty"]),
    "blank": ("\n\n", ["is empty"]),
    "header only": (TRAIN.splitlines()[0] + "\n", ["no rows"]),
    "no id": (TRAIN.replace("Id,", "Number,", 1), ["id column 'Id' is missing", "'Number'"]),
    "no target": (
        TRAIN.replace("SalePrice", "Price"),
        ["target column 'SalePrice' is missing", "'MasVnrType'"],
    ),
    "id column twice": (TRAIN.replace("Street", "Id", 1), ["column 'Id' stands twice"]),
    "id empty": (TRAIN.replace("\n12,", "\n,"), ["id column 'Id' is empty", "line 3"]),
    "target empty": (with_target("5", "", ""), ["nothing for Id 11", "(2 such rows)", "above 0"]),
    "target text": (with_target("5", "6", "cheap"), ["'cheap' for Id 12", "(1 such row)"]),
    "target truth value": (with_target("True", "False"), ["'False' for Id 11", '"log1p"']),
    "target infinite": (with_target("inf", "6"), ["'inf' for Id 10", "'SalePrice'"]),
    "target zero": (
        with_target("5", "0"),
        ["'0' for Id 11", "above 0", '"log1p"'],
    ),
    "target negative": (with_target("5", "-6"), ["'-6' for Id 11", "above 0"]),
    "text here, numbers there": (
        TRAIN.replace("9600", "large"),
        ["'LotArea' is text in", "'large'", "numbers in", "test.csv", "`missing_values`"],
    ),
    "truth here, numbers there": (
        "Id,LotArea,Street,MasVnrType,LotFrontage,SalePrice\n1,True,Pave,None,6,5\n",
        ["'LotArea' is text in", "'True'", "numbers in"],
    ),
    "huge whole numbers here, small there": (
        TRAIN.replace("9600", "9" * 30),
        ["'LotArea' is text in", "9" * 30, "numbers in"],
    ),
    "infinite feature": (TRAIN.replace("9600", "-inf"), ["'LotArea' is infinite", "line 3"]),
    "feature beyond any use": (TRAIN.replace("9600", "1e300"), ["'LotArea'", "line 3", "1e+100"]),
    "row too long": (TRAIN.replace("181500", "181500,9"), ["cannot be read as CSV", "line 3"]),
    "all rows too long": (
        "Id,LotArea,Street,MasVnrType,LotFrontage,SalePrice\n1,2,3,4,5,6,7\n2,3,4,5,6,7,8\n",
        ["cannot be read as CSV", "Length of header"],
    ),
}


@pytest.mark.parametrize("case", BAD_TRAIN)
def test_bad_training_file(case: str, tmp_path: Path) -> None:
    content, named = BAD_TRAIN[case]
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    assert type(caught.value) is DataError
    assert caught.value.exit_code == 3
    for part in ["train.csv", *named]:
        assert part in message
    assert message.endswith((".", "?"))
    assert "\n" not in message


BAD_TEST: dict[str, tuple[str, list[str]]] = {
    "target": (TRAIN, ["test.csv", "'SalePrice' must not", "training file?"]),
    "no common column": ("Id,x\n1,2\n", ["train.csv", "test.csv", "no feature columns"]),
    "no id": (TEST.replace("Id", "id", 1), ["test.csv", "id column 'Id'"]),
    "text here": (TEST.replace("14267", "large"), ["'LotArea' is text in", "'large'"]),
    "numbers here": (TEST.replace("Pave", "7"), ["'Street' is text in", "'Pave'", "numbers in"]),
    "infinite": (TEST.replace("80", "inf"), ["test.csv", "'LotFrontage' is infinite", "line 2"]),
    "header only": (TEST.splitlines()[0], ["test.csv", "no rows"]),
}


@pytest.mark.parametrize("case", BAD_TEST)
def test_bad_test_file(case: str, tmp_path: Path) -> None:
    content, named = BAD_TEST[case]
    with pytest.raises(DataError) as caught:
        read(tmp_path, test=content)
    for part in named:
        assert part in str(caught.value)


def test_columns_of_one_name(tmp_path: Path) -> None:
    notices: list[str] = []

    class Told(Silent):
        def notice(self, message: str) -> None:
            notices.append(message)

    for name, text in (
        ("train.csv", "Id,a,a,y\n1,2,3,4\n2,3,4,5\n"),
        ("test.csv", "Id,a,a\n3,6,7\n"),
    ):
        (tmp_path / name).write_text(text)
    toy = replace(HOUSES, id_column="Id", target_column="y", engineering=None)
    found = read_tables(toy, tmp_path / "train.csv", tmp_path / "test.csv", Told())
    assert list(found.train.features) == ["a", "a.1"]
    assert found.train.features["a.1"].tolist() == [3, 4]
    assert found.test.features["a.1"].tolist() == [7]
    assert sum("'a'" in notice for notice in notices) == 2


def test_a_decimal_comma_where_every_cell_looks_like_a_number(tmp_path: Path) -> None:
    """Of `1.200` alone pandas would make 1.2."""
    toy = replace(
        HOUSES, target_column="y", engineering=None, kinds={"a": "number ,", "y": "number ,"}
    )
    found = read(tmp_path, "Id,a,y\n1,1.200,2.500\n2,3.000,1.000\n", "Id,a\n3,1.250\n", toy)
    assert found.train.features["a"].tolist() == [1200, 3000]
    assert found.test.features["a"].tolist() == [1250]
    assert found.train.known_target.tolist() == [2500, 1000]


def test_errors_relative_to_a_target_of_zero(tmp_path: Path) -> None:
    houses = replace(HOUSES, metric="mape", target_transform="none")
    with pytest.raises(DataError, match=r"'SalePrice' is 0 for Id 11 \(1 such rows\); mape .*mae"):
        read(tmp_path, with_target("5", "0"), competition=houses)


@pytest.mark.parametrize("test", ["Id\n2\n", TEST], ids=["neither", "test alone"])
def test_no_feature_columns(test: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv and .*test\.csv share no feature columns"):
        read(tmp_path, "Id,SalePrice\n1,5\n", test)


@pytest.mark.parametrize("role", ["train", "test"])
def test_missing_file(role: str, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "test.csv").write_text(TEST)
    (tmp_path / f"{role}.csv").unlink()
    with pytest.raises(MissingFileError, match=rf"{role}\.csv does not exist"):
        read_tables(HOUSES, tmp_path / "train.csv", tmp_path / "test.csv")


def test_a_folder_is_not_a_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="directory"):
        read_tables(HOUSES, tmp_path, tmp_path)


MIXED = """Id,late,truth,digits,few,far,big,SalePrice
1,NA,NA,x,1,1,7,5
2,NA,NA,y,2,NA,7,6
3,007,TRUE,07,3,0.1,7,7
4,x,FALSE,7,4,1e9,7,8
5,7,NA,x,300,-2,99999999999,9
6,NA,true,x,70000,3,7,10
"""


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 100])
def test_kinds_do_not_depend_on_where_a_chunk_ends(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text late in a column, truth values, and digits alone in a chunk of texts, as written."""
    monkeypatch.setattr(column_module, "ROWS", rows)
    test = "\n".join(line.rsplit(",", 1)[0] for line in MIXED.splitlines()) + "\n"
    tables = read(tmp_path, MIXED, test)
    lines = list(csv.DictReader(io.StringIO(MIXED)))
    for table in (tables.train, tables.test):
        assert table.categorical_columns == ["late", "truth", "digits"]
        for name in table.features:
            column = table.features[name]
            shown = [line[name] for line in lines if line[name] != "NA"]
            assert column.isna().tolist() == [line[name] == "NA" for line in lines]
            numeric = name in table.numeric_columns
            assert column.dropna().tolist() == ([float(v) for v in shown] if numeric else shown)
        assert list(table.ids) == [line["Id"] for line in lines]
    assert tables.train.known_target.tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


def test_columns_have_the_smallest_types_and_levels_of_both_files(tmp_path: Path) -> None:
    tables = read(tmp_path)
    for table in (tables.train, tables.test):
        # 8450 to 14267, and areas of which some are missing.
        assert table.features["LotArea"].dtype == np.int16
        assert table.features["LotFrontage"].dtype in (np.float32, np.int8)
        assert list(table.features["MasVnrType"].cat.categories) == ["BrkFace", "None", "Stone"]
    # Texts of a fixed width, not objects: each of these takes many times the room of its digits.
    assert (tables.train.ids.dtype, tables.test.ids.dtype) == ("U4", "U4")


def test_engineered_columns_are_computed_in_float64(
    sample_tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole numbers of few bits would overflow where areas are multiplied by qualities."""
    monkeypatch.setattr(column_module, "ROWS", 97)
    add = ENGINEERINGS["ames"].load()
    for table in (sample_tables.train, sample_tables.test):
        made = table.engineered(COMPETITIONS["sample"]).features
        wide = table.features.astype(dict.fromkeys(table.numeric_columns, np.float64))
        expected = add(wide)
        pd.testing.assert_frame_equal(made, expected, check_dtype=False)
        # pandas alone takes 8 bytes per cell.
        assert made.memory_usage(index=False).sum() < 8 * made.size / 3
