"""Competitions as records: files and their hashes, columns, target transform, metric.

Adding one is an entry in `COMPETITIONS`, or a TOML file given as `--competition FILE.toml`:

    name = "bike-sharing"
    id_column = "datetime"
    target_column = "count"     # or several: ["casual", "registered"]
    target_transform = "log1p"
    fold_scheme = "forward"     # how `cv` splits rows where no option says it
    fold_column = "datetime"
    [kinds]                     # of columns that are no plain numbers or categories
    datetime = "date"
    casual = "drop"
    [missing_values_of]         # where a column has markers of its own, in place of the file's
    windspeed = ["?", "-1"]
    [train]
    path = "train.csv"          # beside the TOML file, or absolute
    [test]
    path = "test.csv"

`kaggleprice init` writes such a file. Without an `id_column` rows are known by their number,
and without `[test]` a later file is predicted by `kaggleprice predict --test FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.competitions.engineering import ENGINEERINGS
from kaggleprice.competitions.metrics import METRIC_ALIASES, METRICS, TARGET_TRANSFORMS
from kaggleprice.core.errors import DataError, MissingFileError, UnknownNameError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.core.toml import parse_toml
from kaggleprice.settings.declaration import STRICT, read_record
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES

# A name in `KINDS`, `date FORMAT`, or the levels of an order, lowest first.
Kind: TypeAlias = str | tuple[str, ...]
NUMBER, CATEGORY, DATE, DROP = "number", "category", "date", "drop"
NUMBER_COMMA = "number ,"
TEXT, LATITUDE, LONGITUDE = "text", "latitude", "longitude"
KINDS = {
    NUMBER: "a number, as in `1,234.5`, `€ 12`, `12 kg`; `number ,` for `1.234,5`",
    CATEGORY: "one of several levels, whatever it looks like",
    DATE: "a date or time; `date %d/%m/%Y` names the format of `datetime.strptime`",
    TEXT: "free text: its length, and what its n-grams of characters have in common",
    LATITUDE: "degrees; with the next `longitude` a place: turned axes, distances to centres",
    LONGITUDE: "degrees; see `latitude`",
    DROP: "no feature",
}
# What describes the competition of a folder.
FILE_NAME = "competition.toml"
# What stands in for the id column where there is none.
ROW = "row"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_slug(slug: str) -> None:
    """Check that this can be a competition's name at kaggle.com.

    Raises:
        UsageError: where it cannot.
    """
    if not _SLUG.fullmatch(slug):
        raise UsageError(
            f"{slug!r} cannot be a competition at Kaggle: expected its name in "
            "https://www.kaggle.com/competitions/NAME, letters, digits, '-' and '_'."
        )


@dataclass(frozen=True)
class DataFile:
    """One CSV of a competition.

    Attributes:
        name: its name inside `<data-dir>/<competition>/`.
        mirrors: addresses to fetch it from, best first; empty where it is not downloadable.
            `package:PATH` is a file that ships inside the kaggleprice package.
        sha1, sha256: hexadecimal digests; None where they are not known.
        path: a file that lies elsewhere (competitions read from TOML); None in the cache.
    """

    name: str
    mirrors: tuple[str, ...] = ()
    sha1: str | None = None
    sha256: str | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        """Check the digests.

        Raises:
            DataError: for one that is not hexadecimal, or not of its algorithm's length.
        """
        for key, length in (("sha1", 40), ("sha256", 64)):
            digest = getattr(self, key)
            if digest is not None and not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", digest):
                raise DataError(f"{key!r} must be {length} hexadecimal digits, found {digest!r}")


@dataclass(frozen=True)
class Competition:
    """Everything that tells one tabular regression competition from another.

    Attributes:
        name: lower case, used for folders.
        title, page: for people.
        train: its training file.
        test: its test file; None where there is none yet.
        id_column: None where rows are known by their number, from 1. It is a feature only where it
            has a kind.
        target_column: never a feature; several targets are a tuple, predicted by networks of their
            own, and the score is the mean over them.
        target_transform: a name in `TARGET_TRANSFORMS`; networks train on the transformed target.
        metric: a name in `METRICS`.
        missing_values: the cell contents that mean "missing"; an empty cell always does.
        missing_values_of: column to the contents that mean it there, in place of those.
        engineering: a name in `kaggleprice.competitions.engineering.ENGINEERINGS`, or None.
        kinds: column to kind, as in `kaggleprice.competitions.kinds`.
        csv_format: how both files are written.
        prediction_column: what a submission calls the target, or each of several; None for the
            target's name.
        fold_scheme: a name in `FOLD_SCHEMES`: how rows are split where nothing else is said; None
            for what the settings say.
        fold_column: the column of that scheme, or None.
        weight_column: how much each training row counts, in scores and in training; None where all
            count the same. Never a feature.
        drop_missing_target: whether training rows without a target are left out, not refused.
        kaggle: its name in addresses at kaggle.com; None where it is not held there.
    """

    name: str
    title: str
    page: str
    train: DataFile
    test: DataFile | None
    id_column: str | None
    target_column: str | tuple[str, ...]
    target_transform: str = "log"
    metric: str = "log_rmse"
    missing_values: tuple[str, ...] = ("NA",)
    missing_values_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    engineering: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    csv_format: CsvFormat = field(default_factory=CsvFormat)
    drop_missing_target: bool = False
    prediction_column: str | tuple[str, ...] | None = None
    fold_scheme: str | None = None
    fold_column: str | None = None
    weight_column: str | None = None
    kaggle: str | None = None

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check names against the registries.

        Raises:
            UsageError: for a name that cannot be a folder or is in no registry.
            DataError: for no target, one that stands twice, or another number of their names in
                a submission.
        """
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise DataError("`target_column` must name one or more different columns")
        if len(self.prediction_names) != len(self.targets):
            raise DataError(
                f"`prediction_column` must name a column for each of {len(self.targets)} targets, "
                f"found {len(self.prediction_names)}"
            )
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"competition name {self.name!r} cannot be: expected lower-case letters, "
                "digits, '.', '_' and '-', as in 'house-prices'."
            )
        if self.kaggle is not None:
            check_slug(self.kaggle)
        look_up(TARGET_TRANSFORMS, self.target_transform, "target transform")
        object.__setattr__(self, "metric", METRIC_ALIASES.get(self.metric, self.metric))
        # By its shortest name: `pinball 0.50` is `pinball`.
        object.__setattr__(self, "metric", look_up(METRICS, self.metric, "metric").name)
        if self.weight_column is not None and self.weight_column in (
            *self.targets,
            self.id_column,
        ):
            raise UsageError(
                f"weight_column {self.weight_column!r} is the target or the id; expected a column "
                "of its own."
            )
        if self.engineering is not None:
            look_up(ENGINEERINGS, self.engineering, "engineering")
        if self.fold_scheme is not None:
            look_up(FOLD_SCHEMES, self.fold_scheme, "fold scheme")
        for column, kind in self.kinds.items():
            if isinstance(kind, str) and not (kind.startswith(f"{DATE} ") or kind == NUMBER_COMMA):
                look_up(KINDS, kind, f"kind of column {column!r}:")

    @property
    def id_name(self) -> str:
        """The name of the ids in files that are written."""
        return ROW if self.id_column is None else self.id_column

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of all target columns."""
        return as_tuple(self.target_column)

    @property
    def prediction_names(self) -> tuple[str, ...]:
        """The names of the predictions in a submission, one for each target."""
        return as_tuple(self.prediction_column or self.target_column)

    def of_target(self, name: str) -> Competition:
        """Return the competition that predicts one of the targets only.

        Raises:
            UnknownNameError: for a name that is no target.
        """
        if name not in self.targets:
            raise UnknownNameError("target", name, self.targets)
        calls = self.prediction_names[self.targets.index(name)]
        return replace(self, target_column=name, prediction_column=calls)

    def fold_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of folds that this competition has, and `given` does not change.

        Args:
            given: settings by name. Another scheme in it leaves out this competition's column.
        """
        scheme = given.get("fold_scheme", self.fold_scheme)
        found = {} if scheme is None else {"fold_scheme": scheme}
        if self.fold_column is not None and self.fold_scheme in (None, scheme):
            found["fold_column"] = self.fold_column
        return {name: value for name, value in found.items() if name not in given}

    @property
    def text_columns(self) -> list[str]:
        """Columns whose cells are texts, whatever they look like."""
        others = (NUMBER, LATITUDE, LONGITUDE, DROP)
        return [c for c, kind in self.kinds.items() if kind not in others]

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The training file and, where there is one, the test file."""
        return (self.train,) if self.test is None else (self.train, self.test)


def as_tuple(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name as a tuple of it, and several as they are."""
    return (names,) if isinstance(names, str) else tuple(names)


def _d2l_mirrors(name: str) -> tuple[str, ...]:
    bucket = "d2l-data.s3-accelerate.amazonaws.com"
    return f"https://{bucket}/{name}", f"http://{bucket}/{name}"


COMPETITIONS: dict[str, Competition] = {
    "house-prices": Competition(
        name="house-prices",
        title="House Prices - Advanced Regression Techniques",
        page="https://www.kaggle.com/competitions/house-prices-advanced-regression-techniques",
        train=DataFile(
            name="train.csv",
            mirrors=_d2l_mirrors("kaggle_house_pred_train.csv"),
            sha1="585e9cc93e70b39160e7921475f9bcd7d31219ce",
            sha256="1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
        ),
        test=DataFile(
            name="test.csv",
            mirrors=_d2l_mirrors("kaggle_house_pred_test.csv"),
            sha1="fa19780a7b011d9b009e8bff8e99922a8ee2eb90",
            sha256="8fdd3d829d4d986b58f845c9553b225e67dd8383624d90fb6ca1d4bed5798c1e",
        ),
        id_column="Id",
        target_column="SalePrice",
        engineering="ames",
        kaggle="house-prices-advanced-regression-techniques",
    ),
    "sample": Competition(
        name="sample",
        title="Sample: invented house prices that ship with kaggleprice",
        page="",
        train=DataFile(
            name="train.csv",
            mirrors=("package:data/sample/train.csv",),
            sha1="2039726c585d75391bbba00c958900000031b232",
            sha256="a1828df7044f0b34f2bb00c4d052c5bbb0c05f66f071628782b5d277005a59ee",
        ),
        test=DataFile(
            name="test.csv",
            mirrors=("package:data/sample/test.csv",),
            sha1="30d7f9e45e12b9fc7c755f73b03cbc5af724d807",
            sha256="6eb7d2178987caae309fa3e897a1a28934ad8b99f892c758d235152da835d738",
        ),
        id_column="Id",
        target_column="SalePrice",
        engineering="ames",
    ),
}

DEFAULT_COMPETITION = "house-prices"


def get_competition(name: str) -> Competition:
    """Return the competition of this name, or the one that a `.toml` file describes.

    A name that is not registered is looked for as `NAME.toml` in the working folder.

    Raises:
        UnknownNameError: for a name that is not registered.
        MissingFileError, DataError: for a TOML file that is absent or not a competition.
    """
    if name.endswith(".toml"):
        return read_competition(Path(name))
    if name not in COMPETITIONS and _NAME.fullmatch(name) and Path(f"{name}.toml").is_file():
        return read_competition(Path(f"{name}.toml"))
    return look_up(COMPETITIONS, name, "competition")


def _markers(written: Any) -> list[Any]:
    """Return one or several texts or numbers as texts; what is neither as it is."""
    several = written if isinstance(written, list) else [written]
    return [one if isinstance(one, list | dict) else str(one) for one in several]


@dataclass(frozen=True)
class _FileTable:
    """The table `[train]` or `[test]` of a TOML file."""

    path: str
    mirrors: tuple[str, ...] = ()
    sha1: str | None = None
    sha256: str | None = None

    __pydantic_config__ = STRICT


def read_competition(path: Path) -> Competition:
    """Read a competition from a TOML file (keys as in the module's docstring).

    Raises:
        MissingFileError: where the file is not there.
        DataError: where it is not TOML, or a key is missing, unknown or of the wrong type; where
            a kind, transform or metric is unknown.
    """
    try:
        record = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"competition file {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"competition file {path} cannot be read as TOML: {error}.") from None
    where = str(path)
    try:
        if "missing_values" in record:
            record["missing_values"] = _markers(record["missing_values"])
        if isinstance(own := record.get("missing_values_of"), dict):
            record["missing_values_of"] = {name: _markers(value) for name, value in own.items()}
        for role in {"train", "test"} & set(record):
            where = f"{path} [{role}]"
            table = read_record(_FileTable, record[role], DataError)
            location = path.parent / table.path
            file = DataFile(location.name, table.mirrors, table.sha1, table.sha256, location)
            record[role] = asdict(file)
        where = str(path)
        if "csv" in record:
            record["csv_format"] = record.pop("csv")
        slug = record.get("kaggle")
        page = f"https://www.kaggle.com/competitions/{slug}" if slug else ""
        return read_record(
            Competition,
            {"title": record.get("name"), "page": page, "id_column": None, "test": None, **record},
            DataError,
        )
    except (DataError, UsageError) as error:
        # The file calls it by a shorter name. Where it stands in a file, a name is a datum.
        message = str(error).replace("csv_format", "csv")
        raise DataError(
            f"{where}: {message}{'' if message.endswith(('.', '?')) else '.'}"
        ) from None
