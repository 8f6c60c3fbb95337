"""Settings of a run, presets, and how single options change them. Nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from kaggleprice.core.errors import UsageError
from kaggleprice.core.registry import Entry, look_up
from kaggleprice.settings.base_models import PARTNERS
from kaggleprice.settings.model import ModelSettings
from kaggleprice.settings.recipe import DEFAULT_RECIPE, RECIPES, Recipe, get_recipe
from kaggleprice.settings.training import TrainingSettings

COMBINES: dict[str, Entry] = {
    "geometric": Entry(
        "mean of the logs: for targets trained on as logs",
        "kaggleprice.evaluation.ensemble:geometric",
    ),
    "arithmetic": Entry(
        "mean in the target's own unit", "kaggleprice.evaluation.ensemble:arithmetic"
    ),
    "median": Entry("the middle member", "kaggleprice.evaluation.ensemble:median"),
}


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides what a run computes, beside the data.

    Attributes:
        recipe_name, recipe: how columns become numbers.
        model: the architecture.
        training: how members are trained.
        k: number of folds.
        shuffle: whether rows are shuffled into folds, or folds are contiguous.
        seeds: networks per fold.
        seed: drives everything random.
        fold_seed: drives the folds; None for `seed`.
        combine: a name in `COMBINES`; None for geometric where the target is trained on as a
            log, arithmetic otherwise.
        partners: names in `PARTNERS`: scikit-learn models that vote beside the networks.
        partner_share: what part of the vote the partners have together.
    """

    recipe_name: str = DEFAULT_RECIPE
    recipe: Recipe = RECIPES[DEFAULT_RECIPE]
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    k: int = 5
    shuffle: bool = True
    seeds: int = 6
    seed: int = 0
    fold_seed: int | None = None
    combine: str | None = None
    partners: tuple[str, ...] = ()
    partner_share: float = 0.4

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UnknownNameError, UsageError: for a value that cannot be.
        """
        if self.combine is not None:
            look_up(COMBINES, self.combine, "combination")
        for name in self.partners:
            look_up(PARTNERS, name, "partner")
        if len(set(self.partners)) < len(self.partners):
            raise UsageError(f"partners must differ, found {', '.join(self.partners)}.")
        if not 0 < self.partner_share < 1:
            raise UsageError(
                f"partner_share must be above 0 and below 1, found {self.partner_share}; "
                "for no partners use `--partners none`."
            )
        if self.k < 2:
            raise UsageError(f"k must be 2 folds or more, found {self.k}.")
        if self.seeds < 1:
            raise UsageError(f"seeds must be 1 or more networks per fold, found {self.seeds}.")
        for name, value in [("seed", self.seed), ("fold_seed", self.fold_seed or 0)]:
            if not 0 <= value < 2**32:
                raise UsageError(f"{name} must lie between 0 and 2**32 - 1, found {value}.")

    @property
    def fold_scheme(self) -> str:
        """How rows become folds: a name in `kaggleprice.evaluation.folds.FOLD_SCHEMES`."""
        return "shuffled" if self.shuffle else "contiguous"

    @property
    def weights(self) -> tuple[float, float] | None:
        """Weight of one network and of one partner in a fold's vote; None without partners."""
        if not self.partners:
            return None
        share = self.partner_share
        return (1 - share) / self.seeds, share / len(self.partners)

    @property
    def notes(self) -> list[str]:
        """Sentences that must stand wherever the score is shown."""
        found = []
        if self.training.optimistic:
            found.append(
                "Optimistic: members stopped by their validation rows (stop_on = validation)."
            )
        if self.recipe.scope == "all":
            found.append(
                f"Recipe '{self.recipe_name}' has seen the features of validation and test rows."
            )
        return found


@dataclass(frozen=True)
class Preset:
    """A named set of settings.

    Attributes:
        help: one line for people.
        settings: what it stands for.
    """

    help: str
    settings: RunSettings


PRESETS: dict[str, Preset] = {
    "fast": Preset(
        "two starts per fold, half the epochs: for trying things out",
        RunSettings(seeds=2, training=TrainingSettings(epochs=30)),
    ),
    "default": Preset("six starts per fold of two kinds of networks", RunSettings()),
    "best": Preset(
        "ten starts per fold, and boosted trees as a partner with 0.4 of the vote",
        RunSettings(seeds=10, partners=("boosting",)),
    ),
    "book": Preset(
        "the d2l.ai chapter: linear model, plain SGD, 10 epochs, contiguous folds",
        RunSettings(
            recipe_name="book",
            recipe=RECIPES["book"],
            model=ModelSettings(
                model="linear",
                embedding="none",
                soft_bound=None,
                feature_scales=False,
                activation=("relu",),
                dropout=((0.0,),),
                init="normal",
                parametrization="standard",
            ),
            training=TrainingSettings(
                lr=0.01,
                epochs=10,
                batch_size=64,
                optimizer="sgd",
                schedule="constant",
                weight_decay=0.0,
                target_scale="none",
            ),
            shuffle=False,
            seeds=1,
            combine="arithmetic",
        ),
    ),
}

DEFAULT_PRESET = "default"

# Options change fields of these parts; no two parts have a field of the same name.
_PARTS = ("recipe", "model", "training")
_NOT_OPTIONS = {"help", "recipe_name"}


def make_settings(
    preset: str = DEFAULT_PRESET, options: Mapping[str, Any] | None = None
) -> RunSettings:
    """Return a preset's settings with some options changed.

    Args:
        preset: a name in `PRESETS`.
        options: option name → value, names as in `flat_settings`; `recipe` is a name.

    Raises:
        UnknownNameError, UsageError: for an unknown name or a value that cannot be.
    """
    changes = dict(options or {})
    settings = look_up(PRESETS, preset, "preset").settings
    if "recipe" in changes:
        name = changes.pop("recipe")
        settings = replace(settings, recipe_name=name, recipe=get_recipe(name))
    for part in _PARTS:
        own = {f.name for f in fields(getattr(settings, part))} & (set(changes) - _NOT_OPTIONS)
        changed = {name: changes.pop(name) for name in own}
        if changed:
            settings = replace(settings, **{part: replace(getattr(settings, part), **changed)})
    known = {f.name for f in fields(RunSettings)} - {*_PARTS, *_NOT_OPTIONS}
    for name in changes:
        look_up(dict.fromkeys(sorted(known | set(flat_settings(settings)))), name, "option")
    return replace(settings, **changes)


def flat_settings(settings: RunSettings) -> dict[str, Any]:
    """Return every option's name and value; `recipe` is the recipe's name."""
    record = asdict(settings)
    flat: dict[str, Any] = {"recipe": record["recipe_name"]}
    for part in _PARTS:
        flat |= record.pop(part)
    return {k: v for k, v in {**flat, **record}.items() if k not in _NOT_OPTIONS}


def settings_to_record(settings: RunSettings) -> dict[str, Any]:
    """Return the settings as nested plain data, for JSON."""
    return asdict(settings)


def settings_from_record(record: Mapping[str, Any]) -> RunSettings:
    """Read what `settings_to_record` wrote, before or after JSON.

    Raises:
        KeyError, TypeError: where the record is not one.
    """
    nested = dict(record)
    model = {**nested.pop("model")}
    model["hidden"], model["activation"] = tuple(model["hidden"]), tuple(model["activation"])
    model["dropout"] = tuple(tuple(rates) for rates in model["dropout"])
    nested["partners"] = tuple(nested["partners"])
    return RunSettings(
        recipe=Recipe(**nested.pop("recipe")),
        model=ModelSettings(**model),
        training=TrainingSettings(**nested.pop("training")),
        **nested,
    )
