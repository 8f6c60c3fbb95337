"""Competitions: every record is well-formed; TOML files are read or refused with a reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kaggleprice.competitions.catalog import (
    COMPETITIONS,
    Competition,
    DataFile,
    get_competition,
    read_competition,
)
from kaggleprice.core.errors import DataError, MissingFileError, UnknownNameError, UsageError
from kaggleprice.core.files import sha256

BIKES = """
name = "bike-sharing"
title = "Bikes"
page = "https://example.org/bikes"
id_column = "datetime"
target_column = "count"
target_transform = "log1p"
metric = "log1p_rmse"
missing_values = ["?", -1]
missing_values_of = {windspeed = "calm", "count" = [0, "?"], weather = []}
[train]
path = "given/train.csv"
sha1 = "585E9CC93E70B39160E7921475F9BCD7D31219CE"
mirrors = ["https://example.org/train.csv"]
[test]
path = "/elsewhere/test.csv"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "bikes.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    return path


# Conformance: a new entry joins by being registered


@pytest.mark.parametrize("name", COMPETITIONS)
def test_record_is_well_formed(name: str) -> None:
    competition = COMPETITIONS[name]
    assert competition.name == name
    assert competition.title.strip()
    assert not competition.page or competition.page.startswith("https://")
    assert competition.id_column != competition.target_column
    assert competition.files == (competition.train, competition.test)
    assert competition.train.name != competition.test.name
    assert "" not in competition.missing_values


@pytest.mark.parametrize(
    ("name", "file"), [(n, f) for n, c in COMPETITIONS.items() for f in c.files]
)
def test_registered_file_is_well_formed(name: str, file: DataFile) -> None:
    assert Path(file.name).name == file.name
    assert file.name.endswith(".csv")
    assert file.sha1
    assert file.sha256
    assert file.mirrors
    for mirror in file.mirrors:
        assert re.match(r"https?://[\w.-]+/\S+$|package:\S+$", mirror)
    # Encrypted first.
    assert not file.mirrors[0].startswith("http://")
    assert file.path is None


def test_house_prices_hashes_are_the_books_and_those_of_the_real_files(real_data: Path) -> None:
    houses = COMPETITIONS["house-prices"]
    assert houses.train.sha1 == "585e9cc93e70b39160e7921475f9bcd7d31219ce"
    assert houses.test.sha1 == "fa19780a7b011d9b009e8bff8e99922a8ee2eb90"
    assert sha256(real_data / "kaggle_house_pred_train.csv") == houses.train.sha256
    assert sha256(real_data / "kaggle_house_pred_test.csv") == houses.test.sha256


def test_sample_hashes_are_those_of_the_shipped_files(sample_folder: Path) -> None:
    for file in COMPETITIONS["sample"].files:
        assert sha256(sample_folder / file.name) == file.sha256


# Names


def test_unknown_name_lists_the_valid_ones_and_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        get_competition("house-price")
    message = str(caught.value)
    assert "unknown competition 'house-price'" in message
    assert ", ".join(sorted(COMPETITIONS)) in message
    assert message.endswith("Did you mean 'house-prices'?")


@pytest.mark.parametrize("name", ["", "Houses", "a/b", "../up", ".hidden", "two words"])
def test_name_that_cannot_be_a_folder(name: str) -> None:
    with pytest.raises(UsageError, match="competition name"):
        Competition(name, "", "", DataFile("a.csv"), DataFile("b.csv"), "Id", "y")


# TOML


def test_toml_is_read_whole(tmp_path: Path) -> None:
    competition = get_competition(str(write(tmp_path, BIKES)))
    assert competition == Competition(
        name="bike-sharing",
        title="Bikes",
        page="https://example.org/bikes",
        train=DataFile(
            "train.csv",
            ("https://example.org/train.csv",),
            sha1="585E9CC93E70B39160E7921475F9BCD7D31219CE",
            path=tmp_path / "given" / "train.csv",
        ),
        test=DataFile("test.csv", path=Path("/elsewhere/test.csv")),
        id_column="datetime",
        target_column="count",
        target_transform="log1p",
        metric="log1p_rmse",
        missing_values=("?", "-1"),
        missing_values_of={"windspeed": ("calm",), "count": ("0", "?"), "weather": ()},
    )


def test_shortest_toml_has_the_defaults(tmp_path: Path) -> None:
    text = 'name="a"\nid_column="Id"\ntarget_column="y"\ntrain={path="1.csv"}\ntest={path="2.csv"}'
    competition = read_competition(write(tmp_path, text))
    assert (competition.title, competition.page) == ("a", "")
    assert (competition.target_transform, competition.metric) == ("log", "log_rmse")
    assert competition.missing_values == ("NA",)
    assert competition.train.path == tmp_path / "1.csv"


def test_missing_toml(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.toml does not exist"):
        get_competition(str(tmp_path / "none.toml"))


KIND_TABLE = "\n[kinds]\nsold = {}\n[train]"
BAD: dict[str, tuple[str, str, type[Exception], str]] = {
    "not text": ("Bikes", "Bik\udcffs", DataError, "cannot be read as TOML"),
    "not TOML": ('name = "bike', "name = bike", DataError, "cannot be read as TOML"),
    "key missing": ('target_column = "count"\n', "", DataError, "key 'target_column' is missing"),
    "key unknown": ("title", "titel", DataError, "unknown key 'titel'; there are: .*title"),
    "key of a wrong type": (
        '"count"',
        "7",
        DataError,
        "'target_column' must be a text or a list of texts; found 7",
    ),
    "file without path": (
        "path = ",
        "mirror = ",
        DataError,
        r"\[train\]: .*('path' is missing|unknown key 'mirror')",
    ),
    "file's key unknown": ("sha1", "sha512", DataError, r"\[train\]: unknown key 'sha512'"),
    "no file": ("[test]", "[toast]", DataError, "'test' is missing|unknown key 'toast'"),
    "hash too short": ("585E9C", "", DataError, "'sha1' must be 40 hexadecimal digits"),
    "hash not hexadecimal": ("585E9C", "XXXXXX", DataError, "'sha1' must be 40 hexadecimal"),
    "mirrors not texts": ('["https://example.org/train.csv"]', "[7]", DataError, r"mirrors\.0"),
    "unknown transform": ('"log1p"', '"log2p"', DataError, "transform 'log2p'.*mean 'log1p'"),
    "unknown metric": (
        '"log1p_rmse"',
        '"rmslo"',
        DataError,
        "unknown metric 'rmslo'.*mean 'rmsle'",
    ),
    "unknown fold scheme": (
        "metric =",
        'fold_scheme = "forwards"\nmetric =',
        DataError,
        "fold scheme 'forwards'.*mean 'forward'",
    ),
    "key nearly right": ("title", "titel", DataError, "Did you mean 'title'"),
    "kind a number": (
        "[train]",
        KIND_TABLE.format(3),
        DataError,
        "'kinds.sold' must be a text or a list of texts; found 3",
    ),
    "kind numbers": (
        "[train]",
        KIND_TABLE.format("[1, 2]"),
        DataError,
        r"'kinds.sold' must be a text or a list of texts; found \[1, 2\]",
    ),
    "kind unknown": (
        "[train]",
        KIND_TABLE.format('"dat"'),
        DataError,
        "column 'sold'.*Did you mean 'date'",
    ),
    "no table": ("[train]", "kinds = 'date'\n[train]", DataError, "'kinds' must be a table"),
    "markers no table": (
        "{windspeed",
        '"?" #',
        DataError,
        r"'missing_values_of' must be a table; found '\?'",
    ),
    "marker a table": (
        '"?", -1',
        "{a = 1}",
        DataError,
        "'missing_values.0' must be a text; found {'a': 1}",
    ),
    "marker of a column a list": (
        '[0, "?"]',
        '[["?"]]',
        DataError,
        r"'missing_values_of.count.0' must be a text; found \['\?'\]",
    ),
    "switch a text": (
        "[train]",
        "drop_missing_target = 'yes'\n[train]",
        DataError,
        "'drop_missing_target' must be true or false; found 'yes'",
    ),
    "separator too long": (
        "[train]",
        "csv = {separator = ';;'}\n[train]",
        DataError,
        "'csv.separator' must have at most 1 character; found ';;'",
    ),
    "csv's key unknown": (
        "[train]",
        "csv = {separater = ';'}\n[train]",
        DataError,
        "unknown key 'csv.separater'; there are: .*Did you mean 'separator'",
    ),
    "encoding": (
        "[train]",
        "csv = {encoding = 'utf-9'}\n[train]",
        DataError,
        "'csv.encoding' must be an encoding.*found 'utf-9'",
    ),
    "name": ('"bike-sharing"', '"../bikes"', DataError, "competition name"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_toml(case: str, tmp_path: Path) -> None:
    old, new, error, message = BAD[case]
    assert old in BIKES
    with pytest.raises(error, match=message) as caught:
        read_competition(write(tmp_path, BIKES.replace(old, new, 1)))
    assert "bikes.toml" in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


def test_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    """The TOML file in the module's docstring."""
    from kaggleprice.competitions import catalog

    lines: list[Any] = (catalog.__doc__ or "").splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    "))
    assert read_competition(write(tmp_path, example)).name == "bike-sharing"


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        ((None, None), {}, {}),
        (("grouped", "who"), {}, {"fold_scheme": "grouped", "fold_column": "who"}),
        (("grouped", "who"), {"fold_scheme": "shuffled"}, {}),
        (("grouped", "who"), {"fold_scheme": "forward"}, {}),
        (("grouped", "who"), {"fold_scheme": "grouped"}, {"fold_column": "who"}),
        (("grouped", "who"), {"fold_column": "where"}, {"fold_scheme": "grouped"}),
        (("forward", None), {"k": 3}, {"fold_scheme": "forward"}),
        ((None, "who"), {"fold_scheme": "grouped"}, {"fold_column": "who"}),
    ],
)
def test_folds_of_a_competition_come_before_no_option(
    own: tuple[str | None, str | None], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    scheme, column = own
    competition = replace(COMPETITIONS["sample"], fold_scheme=scheme, fold_column=column)
    assert {k: v for k, v in competition.fold_options(given).items() if v} == expected
