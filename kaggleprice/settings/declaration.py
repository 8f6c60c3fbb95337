"""How a setting is declared: one annotated field of a dataclass. Nothing heavy is imported.

    lr: Annotated[float, Gt(0), Doc("Learning rate, the highest of the schedule.")] = 0.01

is all there is to declare. It gives the flag `--lr` with its help, the variable `KAGGLEPRICE_LR`,
the key `lr` of a configuration file, the keyword `lr` in Python, and what each of them refuses. A
field without a `Doc` is recorded with a run, but is no option. Pydantic reads the values; it is
imported when the first value is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le, Lt

from kaggleprice.core.errors import KagglePriceError, UnknownNameError, UsageError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import (
        ConfigDict,
        GetCoreSchemaHandler,
        GetJsonSchemaHandler,
        TypeAdapter,
        ValidationInfo,
    )
    from pydantic_core import CoreSchema

    Declared = TypeVar("Declared", bound=DataclassInstance)

# What pydantic takes for a record of settings: no unknown key, no infinite number, no "1" for 1.
STRICT: ConfigDict = {"extra": "forbid", "allow_inf_nan": False, "strict": True}

_WORDS = {int: "whole number", float: "number", str: "name"}
# What pydantic calls a wrong type, or one type of several → what was expected.
_EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "dataclass_type": "a table",
    "str": "a text",
    "tuple[str, ...]": "a list of texts",
}
_BOUNDS = {Gt: "above {.gt}", Ge: "from {.ge}", Lt: "and below {.lt}", Le: "up to {.le}"}


# How much of a value that cannot be is shown.
_LONGEST = 200


class ConflictError(UsageError):
    """Settings of which each can be, but not all of them together.

    Attributes:
        names: of these settings.
    """

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


@dataclass(frozen=True, eq=False)
class Names:
    """Marks a text that is one of these names.

    Attributes:
        valid: the names, or a registry by name.
    """

    valid: Collection[str]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.valid)}

    def _check(self, name: str, info: ValidationInfo) -> str:
        if name not in self.valid:
            place = (info.context or {}).get("place", info.field_name)
            raise UnknownNameError("value", name, self.valid, f" of {place}")
        return name


@dataclass(frozen=True)
class Listed:
    """Marks several values: a list, a single one, or a text with separators between them.

    Attributes:
        separator: in a text.
        example: such a text.
        nested: whether each value is itself a list; a flat list stands for one of them.
    """

    separator: str
    example: str = ""
    nested: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self._split, handler(source))

    def _split(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            none = value.strip() in ("", "none")
            return () if none else tuple(part.strip() for part in value.split(self.separator))
        if not isinstance(value, list | tuple):
            return (value,)
        flat = self.nested and not any(isinstance(part, list | tuple | str) for part in value)
        return (value,) if flat and value else tuple(value)


@dataclass(frozen=True)
class Shown:
    """Marks how help shows a setting, where its type does not say enough.

    Attributes:
        value: what stands for a value, as in `W,W,...`; empty for what the type says.
        none: in words, what None means.
    """

    value: str = ""
    none: str = "none"


@dataclass(frozen=True)
class Searched:
    """Marks a setting that `kaggleprice tune` searches, and between which values.

    Attributes:
        low, high: bounds of a number, both of which can be.
        log: whether factors count, not differences.
        choices: of a setting that is no number, as they are typed; empty for a number.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[str, ...] = ()

    def has(self, value: Any) -> bool:
        """Tell whether a value is one of them."""
        return value in self.choices if self.choices else self.low <= value <= self.high


@dataclass(frozen=True)
class Setting:
    """One setting, as its field declares it.

    Attributes:
        name: of the field; `--batch-size` and `KAGGLEPRICE_BATCH_SIZE` of `batch_size`.
        declared: the field's type with its marks.
        panel: the group in which help shows it.
        default: its value in the default preset.
    """

    name: str
    declared: Any
    panel: str
    default: Any

    @cached_property
    def _unfolded(self) -> tuple[type, list[Any]]:
        """The innermost type and all marks: `None` and `...` mark an optional value and a list."""
        kind, marks = self.declared, list[Any]()
        while inner := get_args(kind):
            kind, more = inner[0], inner[1:]
            marks += more
        return kind, marks

    def _mark(self, kind: type) -> Any:
        return next((mark for mark in self._unfolded[1] if isinstance(mark, kind)), None)

    @property
    def help(self) -> str:
        """What it does, one line; empty for one that is no option."""
        doc = self._mark(Doc)
        return doc.documentation if doc else ""

    @property
    def help_text(self) -> str:
        """What it does, with the valid names."""
        return f"{self.help} One of {', '.join(self.names)}." if self.names else self.help

    @property
    def flag(self) -> str:
        """As in `--batch-size`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off: `--batch-norm`, `--no-batch-norm`."""
        return self._unfolded[0] is bool

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return Ellipsis in self._unfolded[1]

    @property
    def is_optional(self) -> bool:
        """Whether it may be None, in a text `none`."""
        return type(None) in self._unfolded[1]

    @property
    def names(self) -> tuple[str, ...]:
        """The valid names; empty where its values are none."""
        mark = self._mark(Names)
        return tuple(mark.valid) if mark else ()

    @property
    def separator(self) -> str:
        """What stands between several values in a text."""
        mark = self._mark(Listed)
        return mark.separator if mark else ""

    @property
    def searched(self) -> Searched | None:
        """Between which values it is searched; None for one that is not."""
        mark: Searched | None = self._mark(Searched)
        return mark

    @property
    def _shown(self) -> Shown:
        return self._mark(Shown) or Shown()

    @property
    def metavar(self) -> str:
        """What stands for the value in help."""
        base = {int: "N", float: "X", str: "NAME", bool: ""}[self._unfolded[0]]
        return (self._shown.value or base) + "|none" * self.is_optional

    @property
    def takes(self) -> str:
        """Say in words which values it takes: `a number above 0, or none`."""
        if self.is_switch:
            return "true or false"
        kind, marks = self._unfolded
        word = f"{_WORDS[kind]}s" if self.is_list else f"a {_WORDS[kind]}"
        bounds = [_BOUNDS[type(mark)].format(mark) for mark in marks if type(mark) in _BOUNDS]
        listed, ending = self._mark(Listed), ", or none" if self.is_optional else ""
        example = f", as in {listed.example}" if listed else ""
        return " ".join([word, *bounds]) + example + ending

    def show(self, value: Any) -> str:
        """Return a value as a configuration has it, or in words what None means."""
        if value is None:
            return self._shown.none
        return str(value).lower() if self.is_switch else show_value(value, self.separator)

    @property
    def default_text(self) -> str:
        """The default as help shows it; of a switch the flag."""
        flag = self.flag.removeprefix("--")
        if self.is_switch:
            return flag if self.default else f"no-{flag}"
        return self.show(self.default)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import ConfigDict, TypeAdapter

        return TypeAdapter(self.declared, config=ConfigDict(allow_inf_nan=False))

    def parse(self, value: Any, place: str = "") -> Any:
        """Read a value from a text, from TOML or from Python.

        Args:
            value: what was given.
            place: where it stands, as in `--lr` or `lr in kaggleprice.toml`; empty for the name.

        Raises:
            UsageError: for a value that cannot be.
            UnknownNameError: for a name that is not one of `names`.
        """
        from pydantic import ValidationError

        place, plain = place or self.name, _plain(value)
        if self.is_optional and plain == "none":
            return None
        try:
            # Pydantic would take true for 1, and a text for a switch.
            if _has_truth(plain) == self.is_switch:
                found = self._adapter.validate_python(plain, context={"place": place})
                if not _is_huge(found):
                    return found
        except ValidationError:
            pass
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown)} signs)"
        raise UsageError(f"{place} takes {self.takes}; found {shown}.")


def declared(
    kind: type[DataclassInstance], panel: str, defaults: Mapping[str, Any]
) -> Iterator[Setting]:
    """Yield the settings that a dataclass declares, in order."""
    for field in fields(kind):
        if field.name in defaults:
            yield Setting(field.name, field.type, panel, defaults[field.name])


def show_value(value: Any, separator: str = "/") -> str:
    """Return a setting's value as it is typed: `256,128`, `gelu/tanh`, `0.3/0.1,0.2`.

    Args:
        value: the setting.
        separator: between names, and between lists.
    """
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        outer = any(isinstance(part, tuple | str) for part in value)
        return (separator if outer else ",").join(show_value(part) for part in value)
    return str(value)


def read_record(
    kind: type[Declared], record: Any, refusal: type[KagglePriceError] = UsageError
) -> Declared:
    """Read a dataclass from plain data, as `dataclasses.asdict`, JSON or TOML has it.

    Raises:
        UsageError: or `refusal`, for a value that cannot be, and a key that is no field.
    """
    from pydantic import ValidationError

    try:
        found: Declared = _record_adapter(kind).validate_json(json.dumps(record, default=str))
    except ValidationError as error:
        raise refusal(_explain(kind, record, error.errors())) from None
    return found


def _explain(kind: type[DataclassInstance], record: Any, errors: Sequence[Any]) -> str:
    """Say of the first of pydantic's errors which key it is of, what it takes and what it holds."""
    first = errors[0]
    loc = _place(record, first["loc"])
    key = ".".join(map(str, loc))
    if first["type"].startswith("missing"):
        return f"the key {'.'.join(map(str, first['loc']))!r} is missing"
    if first["type"] == "unexpected_keyword_argument":
        valid = _field_names(kind, loc[:-1])
        hint = did_you_mean(str(loc[-1]), valid)
        return f"unknown key {key!r}; there are: {', '.join(valid)}{'.' if hint else ''}{hint}"
    # A value of several types has an error for each, under the type's name.
    same = [error for error in errors if error["loc"][: len(loc)] == loc]
    expected = " or ".join(
        dict.fromkeys(_expected(error, error["loc"][len(loc) :]) for error in same)
    )
    verb = "must" if expected.startswith("have ") else "must be"
    subject = repr(key) if key else "this"
    return f"{subject} {verb} {expected}; found {_at(record, loc)!r}"


def _place(record: Any, loc: Sequence[int | str]) -> tuple[int | str, ...]:
    """Return the part of a place in pydantic's words that is a place in a record."""
    for depth in range(len(loc)):
        try:
            _at(record, loc[: depth + 1])
        except (LookupError, TypeError):
            return tuple(loc[:depth])
    return tuple(loc)


def _at(record: Any, loc: Sequence[Any]) -> Any:
    for part in loc:
        record = record[part]
    return record


def _expected(error: Any, types: Sequence[Any]) -> str:
    word = _EXPECTED.get(types[0] if types else error["type"])
    return word or re.sub(r"^\w+ should (be )?", "", error["msg"])


def _field_names(kind: Any, loc: Sequence[Any]) -> list[str]:
    for part in loc:
        kind = get_type_hints(kind)[part]
    return [field.name for field in fields(kind)]


@cache
def _record_adapter(kind: type[Declared]) -> TypeAdapter[Declared]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _plain(value: Any) -> Any:
    """Return numbers of numpy, as searches draw them, as Python's."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _is_huge(value: Any) -> bool:
    """Whether a whole number is none that a computer counts with."""
    if isinstance(value, tuple):
        return any(map(_is_huge, value))
    return isinstance(value, int) and abs(value) >= 2**63


def _has_truth(value: Any) -> bool:
    return any(map(_has_truth, value)) if isinstance(value, list) else isinstance(value, bool)
