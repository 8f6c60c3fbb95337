"""The options that change a run's settings: one line each, for every command that takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kaggleprice.errors import UsageError
from kaggleprice.models import (
    ACTIVATIONS,
    EMBEDDINGS,
    INITIALIZATIONS,
    MODELS,
    PARAMETRIZATIONS,
)
from kaggleprice.partners import PARTNERS
from kaggleprice.preprocessing import IMPUTES, RECIPES, SCALES
from kaggleprice.settings import COMBINES, PRESETS, flat_settings
from kaggleprice.training import DTYPES, LOSSES, OPTIMIZERS, SCHEDULES, STOP_ON, TARGET_SCALES


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: as in `kaggleprice.settings.flat_settings`.
        type: as typer reads it.
        panel: the group in which help shows it.
        help: one line.
        names: the valid values where it is a name.
        shown_value: what stands for the value in help, where the type does not say enough.
        reader: from the text to the value, where typer's type is not enough.
        separator: between several names.
    """

    name: str
    type: type
    panel: str
    help: str
    names: tuple[str, ...] = ()
    shown_value: str | None = None
    reader: Callable[[str, str], Any] | None = None
    separator: str = "/"

    @property
    def flags(self) -> list[str]:
        """How it is typed."""
        flag = self.name.replace("_", "-")
        return [f"--{flag}/--no-{flag}"] if self.type is bool else [f"--{flag}"]

    @property
    def typed_as(self) -> Any:
        """What typer reads: flags are flags, all else is read by `parse`, with its own words."""
        return bool if self.type is bool else str

    @property
    def metavar(self) -> str:
        """What stands for the value in help."""
        if self.shown_value is not None or self.names:
            return self.shown_value or "NAME"
        return {int: "N", float: "X", bool: ""}[self.type]

    @property
    def help_text(self) -> str:
        """What help says: the line, the valid names, the default preset's value."""
        names = f" One of {', '.join(self.names)}." if self.names else ""
        return f"{self.help}{names} [dim](default: {self._default_text()})[/]"

    def _default_text(self) -> str:
        value = _DEFAULTS[self.name]
        if isinstance(value, tuple):
            return show_value(value, self.separator)
        if isinstance(value, bool):
            return self.flags[0].split("/")[0 if value else 1].removeprefix("--")
        return _UNSET.get(self.name, "none") if value is None else f"{value}"

    def parse(self, value: Any) -> Any:
        """Turn what typer gives into what the settings take.

        Raises:
            UsageError: for a text that cannot be read.
        """
        flag = f"--{self.name.replace('_', '-')}"
        if self.reader is not None:
            return self.reader(flag, value)
        if self.type in (int, float):
            return _number(flag, value, self.type)
        return value


def show_value(value: Any, separator: str = "/") -> str:
    """Return a setting's value as it is typed: `256,128`, `gelu/tanh`, `0.3/0.1,0.2`.

    Args:
        value: the setting.
        separator: between names and between what random starts take in turn.
    """
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        outer = any(isinstance(part, (tuple, str)) for part in value)
        return (separator if outer else ",").join(show_value(part) for part in value)
    return str(value)


def _number(flag: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number, as in 0.01"
        raise UsageError(f"{flag} takes {wanted}; found {text!r}.") from None


def _numbers(kind: type[int] | type[float]) -> Callable[[str, str], Any]:
    def read(flag: str, text: str) -> tuple[Any, ...]:
        try:
            return tuple(kind(part) for part in text.split(",") if part.strip())
        except ValueError:
            raise UsageError(
                f"{flag} takes numbers separated by commas, as in {flag} "
                f"{'256,128' if kind is int else '0.2,0.1'}; found {text!r}."
            ) from None

    return read


def _turns(read: Callable[[str, str], Any]) -> Callable[[str, str], tuple[Any, ...]]:
    """Read what random starts take in turn: `A/B`."""
    return lambda flag, text: tuple(read(flag, part) for part in text.split("/"))


def _names_or_none(flag: str, text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(part.strip() for part in text.split(","))


def _or_none(flag: str, text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{flag} takes a number or `none`, found {text!r}.") from None


_DEFAULTS = flat_settings(PRESETS["default"].settings)
_UNSET = {
    "fold_seed": "as --seed",
    "combine": "geometric for log targets, else arithmetic",
    "patience": "never",
    "history_every": "about 12 lines",
}


def _named(name: str, panel: str, help_text: str, names: Iterable[str]) -> Option:
    return Option(name, str, panel, help_text, names=tuple(names))


_FOLDS, _NETWORK, _TRAINING, _RECIPE = "Folds and members", "Network", "Training", "Recipe"

OPTIONS: tuple[Option, ...] = (
    Option("k", int, _FOLDS, "Folds."),
    Option("shuffle", bool, _FOLDS, "Shuffle rows into folds; otherwise folds are contiguous."),
    Option("seeds", int, _FOLDS, "Networks per fold, each from its own random start."),
    Option("seed", int, _FOLDS, "Drives everything random."),
    Option("fold_seed", int, _FOLDS, "Drives the folds alone."),
    Option(
        "partners",
        str,
        _FOLDS,
        "scikit-learn models that vote beside the networks.",
        names=tuple(PARTNERS),
        shown_value="NAMES|none",
        reader=_names_or_none,
        separator=",",
    ),
    Option("partner_share", float, _FOLDS, "Part of the vote that all partners have together."),
    _named("combine", _FOLDS, "How members' predictions are averaged.", COMBINES),
    _named("model", _NETWORK, "Architecture.", MODELS),
    _named("embedding", _NETWORK, "What is made of each number, beside itself.", EMBEDDINGS),
    Option("frequencies", int, _NETWORK, "Cosines per number in a periodic embedding."),
    Option(
        "frequency_scale",
        float,
        _NETWORK,
        "Deviation of first frequencies, in periods per standard deviation of the number.",
    ),
    Option(
        "soft_bound",
        str,
        _NETWORK,
        "Numbers bend smoothly towards this bound, in standard deviations.",
        shown_value="SD|none",
        reader=_or_none,
    ),
    Option(
        "hidden",
        str,
        _NETWORK,
        "Widths of the hidden layers.",
        shown_value="W,W,...",
        reader=_numbers(int),
    ),
    Option("feature_scales", bool, _NETWORK, "A learned factor for each feature."),
    Option(
        "activation",
        str,
        _NETWORK,
        "Between layers; of several, as in gelu/tanh, random starts take one in turn.",
        names=tuple(ACTIVATIONS),
        shown_value="NAME/...",
        reader=_turns(lambda flag, text: text.strip()),
    ),
    Option(
        "dropout",
        str,
        _NETWORK,
        "Rate, one for all hidden layers or one each; as in 0.3/0.1,0.2, in turn.",
        shown_value="P,.../...",
        reader=_turns(_numbers(float)),
    ),
    _named("init", _NETWORK, "Initial weights.", INITIALIZATIONS),
    _named("parametrization", _NETWORK, "How layers scale with width.", PARAMETRIZATIONS),
    Option("batch_norm", bool, _NETWORK, "Batch normalization in hidden layers."),
    Option("lr", float, _TRAINING, "Learning rate."),
    Option("epochs", int, _TRAINING, "Passes over the training rows."),
    Option("batch_size", int, _TRAINING, "Rows per step and member."),
    _named("optimizer", _TRAINING, "Optimizer.", OPTIMIZERS),
    _named("schedule", _TRAINING, "Learning rate over time.", SCHEDULES),
    _named("loss", _TRAINING, "Loss on the scaled target.", LOSSES),
    Option("weight_decay", float, _TRAINING, "Decoupled with adamw, else L2; weights only."),
    Option("l1", float, _TRAINING, "L1 penalty on weights."),
    Option(
        "clip_norm",
        str,
        _TRAINING,
        "Bound of each member's gradient norm.",
        shown_value="N|none",
        reader=_or_none,
    ),
    _named("target_scale", _TRAINING, "Target of a member's own training rows.", TARGET_SCALES),
    Option("patience", int, _TRAINING, "Epochs without improvement until a member stops."),
    _named(
        "stop_on", _TRAINING, "Rows that stopping watches; `validation` is optimistic.", STOP_ON
    ),
    Option("stop_share", float, _TRAINING, "Share of training rows held for stopping."),
    Option("history_every", int, _TRAINING, "Epochs between lines of history.csv."),
    _named("dtype", _TRAINING, "Precision.", DTYPES),
    _named("recipe", _RECIPE, "Preprocessing.", RECIPES),
    Option("engineering", bool, _RECIPE, "Add the competition's own features first."),
    _named("scale", _RECIPE, "Numeric columns.", SCALES),
    _named("impute", _RECIPE, "Missing numbers.", IMPUTES),
    Option("indicators", bool, _RECIPE, "A 0/1 feature where a number was missing."),
    Option(
        "clip",
        str,
        _RECIPE,
        "Bound numbers, in standard deviations from the mean.",
        shown_value="SD|none",
        reader=_or_none,
    ),
    Option(
        "log_skew",
        str,
        _RECIPE,
        "Take log(1+x) of amounts more skewed than this.",
        shown_value="SKEW|none",
        reader=_or_none,
    ),
    Option("min_rows", int, _RECIPE, "Categories in fewer rows share one feature."),
)
