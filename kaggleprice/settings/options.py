"""The options that change a run's settings: one line each, for every command that takes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.settings.base_models import PARTNERS
from kaggleprice.settings.model import (
    ACTIVATIONS,
    EMBEDDINGS,
    INITIALIZATIONS,
    MODELS,
    PARAMETRIZATIONS,
)
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES
from kaggleprice.settings.run import COMBINES, PRESETS, RunSettings, flat_settings
from kaggleprice.settings.training import (
    DTYPES,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    STOP_ON,
    TARGET_SCALES,
)


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: as in `kaggleprice.settings.run.flat_settings`.
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
    def flag(self) -> str:
        """How it is typed, as in `--batch-size`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> list[str]:
        """How it is declared; one that is on or off has a second flag."""
        return [f"{self.flag}/--no-{self.flag[2:]}"] if self.type is bool else [self.flag]

    @property
    def several(self) -> bool:
        """Whether its value is a list."""
        return isinstance(_DEFAULTS[self.name], tuple)

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
        if isinstance(value, bool):
            return self.flags[0].split("/")[0 if value else 1].removeprefix("--")
        return self.show(value)

    def show(self, value: Any) -> str:
        """Return a value as a configuration has it, or in words what stands for none."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return show_value(value, self.separator)
        return _UNSET.get(self.name, "none") if value is None else f"{value}"

    def parse(self, value: Any, said: str | None = None) -> Any:
        """Turn what typer gives into what the settings take.

        Args:
            value: a text, or a flag's truth.
            said: where the text stands, as in `KAGGLEPRICE_LR`; None for the flag. The settings
                refuse an unknown name that was typed; one that was not typed is refused here, so
                that the sentence says where it stands.

        Raises:
            UsageError: for a text that cannot be read.
            UnknownNameError: for a name that is not among `names`, where `said` is given.
        """
        flag = said or self.flag
        if self.type is bool:
            return value
        if self.reader is not None:
            value = self.reader(flag, value)
        elif self.type in (int, float):
            value = _number(flag, value, self.type)
        if said is not None and self.names:
            for name in [value] if isinstance(value, str) else value:
                if name not in self.names:
                    raise UnknownNameError("value", name, self.names, f" of {said}")
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
                f"{flag} takes numbers separated by commas, as in "
                f"{'256,128' if kind is int else '0.2,0.1'}; found {text!r}."
            ) from None

    return read


def _turns(read: Callable[[str, str], Any]) -> Callable[[str, str], tuple[Any, ...]]:
    """Read what random starts take in turn: `A/B`."""
    return lambda flag, text: tuple(read(flag, part) for part in text.split("/"))


def _rates(flag: str, text: str) -> tuple[float, ...]:
    rates: tuple[float, ...] = _numbers(float)(flag, text)
    if not rates or not all(0 <= rate < 1 for rate in rates):
        raise UsageError(
            f"{flag} takes rates from 0 up to, not including, 1, as in 0.3 or 0.3/0.1,0.2; "
            f"found {text.strip()!r}."
        )
    return rates


def _names_or_none(flag: str, text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if names == ("none",):
        return ()
    if "none" in names or "" in names:
        raise UsageError(
            f"{flag} takes names separated by commas, or `none` alone; found {text!r}."
        )
    return names


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
    Option("k", int, _FOLDS, "How many folds, 2 or more."),
    Option("shuffle", bool, _FOLDS, "Shuffle rows into folds; otherwise folds are contiguous."),
    Option("seeds", int, _FOLDS, "Networks per fold, each from its own random start."),
    Option("seed", int, _FOLDS, "Drives everything random; a whole number."),
    Option("fold_seed", int, _FOLDS, "Drives the folds alone; a whole number."),
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
    Option(
        "partner_share",
        float,
        _FOLDS,
        "Part of the vote, from 0 to 1, that all partners have together.",
    ),
    _named("combine", _FOLDS, "How members' predictions are averaged.", COMBINES),
    _named("model", _NETWORK, "Architecture.", MODELS),
    _named("embedding", _NETWORK, "What is made of each number, beside itself.", EMBEDDINGS),
    Option("frequencies", int, _NETWORK, "Cosines per number in a periodic embedding."),
    Option(
        "frequency_scale",
        float,
        _NETWORK,
        "Spread of the first frequencies, in periods per standard deviation of the number.",
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
        "Units of each hidden layer.",
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
        "Share of units left out: one for all hidden layers or one each; 0.3/0.1,0.2 in turn.",
        shown_value="P,.../...",
        reader=_turns(_rates),
    ),
    _named("init", _NETWORK, "Initial weights.", INITIALIZATIONS),
    _named(
        "parametrization", _NETWORK, "How outputs and rates scale with width.", PARAMETRIZATIONS
    ),
    Option("batch_norm", bool, _NETWORK, "Batch normalization in hidden layers."),
    Option("lr", float, _TRAINING, "Learning rate, the highest of the schedule."),
    Option("epochs", int, _TRAINING, "Passes over the training rows."),
    Option("batch_size", int, _TRAINING, "Training rows per step, of each network."),
    _named("optimizer", _TRAINING, "Optimizer.", OPTIMIZERS),
    _named("schedule", _TRAINING, "Learning rate over time.", SCHEDULES),
    _named("loss", _TRAINING, "Loss on the scaled target.", LOSSES),
    Option(
        "weight_decay",
        float,
        _TRAINING,
        "Factor of weight decay, decoupled with adamw, else L2; weights only.",
    ),
    Option("l1", float, _TRAINING, "Factor of the L1 penalty on weights."),
    Option(
        "clip_norm",
        str,
        _TRAINING,
        "Bound of the norm of each network's gradient.",
        shown_value="N|none",
        reader=_or_none,
    ),
    _named(
        "target_scale",
        _TRAINING,
        "How the target is scaled, by a network's own training rows.",
        TARGET_SCALES,
    ),
    Option("patience", int, _TRAINING, "Epochs without improvement until a network stops."),
    _named(
        "stop_on", _TRAINING, "Rows that stopping watches; `validation` is optimistic.", STOP_ON
    ),
    Option(
        "stop_share",
        float,
        _TRAINING,
        "Share of the training rows, from 0 to 1, held back to decide when to stop.",
    ),
    Option("history_every", int, _TRAINING, "Epochs between lines of history.csv."),
    _named("dtype", _TRAINING, "Precision of all arithmetic.", DTYPES),
    _named("recipe", _RECIPE, "Preprocessing.", RECIPES),
    Option("engineering", bool, _RECIPE, "Add the competition's own features first."),
    _named("scale", _RECIPE, "How numeric columns are scaled.", SCALES),
    _named("impute", _RECIPE, "What stands for missing numbers.", IMPUTES),
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
        "Take log(1+x) of amounts whose skewness exceeds this.",
        shown_value="SKEW|none",
        reader=_or_none,
    ),
    Option("min_rows", int, _RECIPE, "Categories seen in fewer rows share one feature."),
)

OPTIONS_BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}

_HIDDEN_LAYERS = ("hidden", "activation", "dropout", "batch_norm")
_NUMBERS = ("embedding", "frequencies", "frequency_scale", "soft_bound", "feature_scales")


def ineffective_options(
    settings: RunSettings, typed: Collection[str], folds: bool = False
) -> Iterator[str]:
    """Return a sentence on each option that was typed and changes nothing.

    Args:
        settings: with every option.
        typed: names of the options that somebody typed for this run.
        folds: whether the folds come from a file.
    """
    model, training = settings.model, settings.training
    idle: list[tuple[tuple[str, ...], bool, str]] = [
        (("partner_share",), not settings.partners, "without --partners"),
        (("shuffle", "fold_seed"), folds, "with --folds: the file says which rows are which fold"),
        (
            ("fold_seed",),
            not settings.shuffle and not folds,
            "with --no-shuffle: folds are contiguous",
        ),
        ((*_HIDDEN_LAYERS, *_NUMBERS), model.model == "linear", "with --model linear"),
        (
            ("frequencies", "frequency_scale"),
            model.model != "linear" and model.embedding == "none",
            "with --embedding none",
        ),
        (("stop_on", "stop_share"), training.patience is None, "without --patience"),
        (
            ("stop_share",),
            training.patience is not None and training.stop_on == "validation",
            "with --stop-on validation",
        ),
    ]
    for names, holds, why in idle:
        for name in names:
            if holds and name in typed:
                yield f"{OPTIONS_BY_NAME[name].flag} has no effect {why}."
    for name, turns in [("activation", model.activation), ("dropout", model.dropout)]:
        if name in typed and len(turns) > settings.seeds and model.model != "linear":
            flag, taken = OPTIONS_BY_NAME[name].flag, show_value(turns[: settings.seeds])
            starts = "start" if settings.seeds == 1 else "starts"
            yield (
                f"{flag} {show_value(turns)}: with {settings.seeds} random {starts} per fold "
                f"(--seeds), only {taken} is used."
            )
