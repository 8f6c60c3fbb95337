"""Settings of a run, presets, and how single options change them. Nothing heavy."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Self

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le, Lt

from kaggleprice.core.errors import UsageError
from kaggleprice.core.registry import Entry, look_up
from kaggleprice.settings.base_models import BASE_MODELS, best_base_models
from kaggleprice.settings.declaration import (
    STRICT,
    ConflictError,
    Listed,
    Names,
    Setting,
    Shown,
    declared,
    read_record,
)
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES
from kaggleprice.settings.model import ModelSettings
from kaggleprice.settings.portfolio import PORTFOLIO, Change, Variant, vary
from kaggleprice.settings.recipe import DEFAULT_RECIPE, RECIPES, Recipe
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


Seed = Annotated[int, Ge(0), Le(2**32 - 1)]


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides what a run computes, beside the data."""

    __pydantic_config__ = STRICT

    recipe_name: str = DEFAULT_RECIPE
    recipe: Recipe = RECIPES[DEFAULT_RECIPE]
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    # What members have in place of `model` and `training`; where there are none, they have these.
    portfolio: tuple[Variant, ...] = ()
    # Name of the preset of the user's own that they come from, and how its settings were chosen.
    own_preset: str = ""
    tuned: str = ""
    # Names of the settings that were given by hand, which no variant changes.
    fixed: tuple[str, ...] = ()
    # How many random starts leave rows out, of all settings; the later ones train on all rows, and
    # only of the settings that count. None where the data are not known yet.
    scouts: int | None = None
    inner_blocks: Annotated[
        int,
        Ge(1),
        Doc(
            "Into so many parts a fold's training rows are cut; the weights of settings and base "
            "models are learned on those that the first networks leave out. 1: all count the same."
        ),
    ] = 8
    k: Annotated[int, Ge(2), Doc("How many folds, 2 or more.")] = 5
    fold_scheme: Annotated[
        Annotated[str, Names(FOLD_SCHEMES)], Doc("How rows are split into folds.")
    ] = "shuffled"
    fold_column: Annotated[
        str | None,
        Doc(
            "Column of the training file: its equal values stay in one fold (grouped), or it is "
            "the time that orders rows (forward)."
        ),
    ] = None
    fold_gap: Annotated[
        int,
        Ge(0),
        Doc(
            "Moments of --fold-column, or rows without one, left out before each validation block "
            "(forward)."
        ),
    ] = 0
    hold_out: Annotated[float, Gt(0), Lt(1), Doc("Share of the rows that validate (hold-out).")] = (
        0.2
    )
    repeats: Annotated[
        int, Ge(1), Doc("How often rows are split anew: repeats x k folds, each with its networks.")
    ] = 1
    seeds: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown(none="4 to 1, by rows"),
        Doc("Networks per fold and setting of the portfolio, each from its own random start."),
    ] = None
    seed: Annotated[Seed, Doc("Drives everything random; a whole number.")] = 0
    fold_seed: Annotated[
        Seed | None,
        Shown(none="as --seed"),
        Doc("Drives the folds alone; a whole number."),
    ] = None
    combine: Annotated[
        Annotated[str, Names(COMBINES)] | None,
        Shown(none="geometric for log targets, else arithmetic"),
        Doc("How members' predictions are averaged."),
    ] = None
    bound: Annotated[bool, Doc("Keep predictions inside the range of the training target.")] = True
    base_models: Annotated[
        tuple[Annotated[str, Names(BASE_MODELS)], ...],
        Listed(",", "trees,svm"),
        Shown("NAMES|none"),
        Doc("Other models, averaged with the networks."),
    ] = ()
    base_model_share: Annotated[
        float,
        Gt(0),
        Lt(1),
        Doc("Weight, between 0 and 1, of all base models together."),
    ] = 0.4

    def __post_init__(self) -> None:
        """Check that base models differ, and that only folds of a seed are repeated.

        Raises:
            ConflictError: where a base model is named twice; for repeats of the same folds.
        """
        if self.repeats > 1 and not FOLD_SCHEMES[self.fold_scheme].seeded:
            raise ConflictError(
                f"fold scheme {self.fold_scheme!r} makes the same folds each time; leave --repeats "
                "away, or take another scheme.",
                "repeats",
                "fold_scheme",
            )
        if len(set(self.base_models)) < len(self.base_models):
            raise ConflictError(
                f"base models must differ; found {', '.join(self.base_models)}.", "base_models"
            )

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The settings of members, by `Member.variant`."""
        return self.portfolio or (Variant("", self.model, self.training),)

    def of_variants(self, numbers: Sequence[int]) -> Self:
        """Return the settings of members of some variants, counted from 0, as if alone.

        What all of them share stands in `model` and `training`.
        """
        own = tuple(self.variants[number] for number in numbers)
        first, portfolio = own[0], own if len(own) > 1 else ()
        return replace(self, model=first.model, training=first.training, portfolio=portfolio)

    def for_data(self, rows: int, features: int) -> Self:
        """Return the settings with all that follows from the data, where they do not say it.

        The more rows there are, the longer a network takes, and the less it depends on its start.

        Args:
            rows: that a fold trains on.
            features: that its networks are given.
        """
        starts = min(4, max(2, round(4.2 - 0.8 * math.log2(max(1.0, rows / 1000)))))
        tried = [v.suits(rows / features) for v in self.portfolio]
        if not any(tried):
            tried = [True] * len(tried)
        pairs = zip(self.portfolio, tried, strict=True)
        portfolio = tuple(replace(variant, tried=is_tried) for variant, is_tried in pairs)
        found = replace(
            self, seeds=self.seeds or starts, scouts=max(1, starts - 2), portfolio=portfolio
        )
        # Rows are left out for nothing where nothing is learned from them.
        return found if found.learns_weights else replace(found, inner_blocks=1)

    @property
    def starts(self) -> int:
        """Random starts, of settings whose data are known.

        Raises:
            ValueError: of others.
        """
        if self.seeds is None:
            raise ValueError("nobody said how many rows and features there are")
        return self.seeds

    @property
    def learns_weights(self) -> bool:
        """Whether members and base models count what rows that they left out teach."""
        tried = sum(variant.tried for variant in self.variants)
        several = tried > 1 or bool(self.base_models)
        return several and self.inner_blocks != 1 and self.combine != "median"

    @property
    def equal_weights(self) -> tuple[float, float]:
        """Weights of one network and of one base model in a fold, where none are learned."""
        share = self.base_model_share if self.base_models else 0.0
        networks = self.starts * sum(variant.tried for variant in self.variants)
        return (1 - share) / networks, share / max(1, len(self.base_models))

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
        if self.tuned:
            found.append(
                f"Optimistic where the same rows chose the settings: preset '{self.own_preset}' is "
                f"that of `kaggleprice tune` on {self.tuned}."
            )
        return found


@dataclass(frozen=True)
class Preset:
    """A named set of settings.

    Attributes:
        help: one line for people.
        settings: what it stands for.
        changes: what the names of its portfolio mean.
    """

    help: str
    settings: RunSettings
    changes: Mapping[str, Change] = field(default_factory=lambda: PORTFOLIO)


_SHORT = TrainingSettings(budget=0.7)
_everything = vary(PORTFOLIO, ModelSettings(), TrainingSettings())
_few = {name: PORTFOLIO[name] for name in ("piecewise", "smooth", "robust")}

PRESETS: dict[str, Preset] = {
    "fast": Preset(
        "one to three settings of the portfolio, one network of each, trained for less long",
        RunSettings(
            portfolio=vary(_few, ModelSettings(), _SHORT),
            training=_SHORT,
            seeds=1,
        ),
    ),
    "default": Preset(
        "a portfolio of unlike networks, whose weights are learned inside each fold",
        RunSettings(portfolio=_everything),
    ),
    "best": Preset(
        "four starts of each, boosted trees (those of CatBoost and LightGBM too, if installed) and "
        "a support vector machine, weighted in the same way",
        RunSettings(portfolio=_everything, seeds=4, base_models=best_base_models()),
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
                loss="mse",
                weight_decay=0.0,
                target_scale="none",
            ),
            fold_scheme="contiguous",
            seeds=1,
            combine="arithmetic",
            bound=False,
        ),
    ),
}

DEFAULT_PRESET = "default"

# Options change fields of these parts; no two parts have a field of the same name.
_PARTS = ("recipe", "model", "training")
_NO_SETTINGS = {"help", "recipe_name", "fixed", "scouts", "own_preset", "tuned"}


def flat_settings(settings: RunSettings) -> dict[str, Any]:
    """Return every setting's name and value; recipe and portfolio by name."""
    record = asdict(settings)
    flat: dict[str, Any] = {"recipe": record["recipe_name"]}
    record["portfolio"] = tuple(variant.name for variant in settings.portfolio)
    for part in _PARTS:
        flat |= record.pop(part)
    return {k: v for k, v in {**flat, **record}.items() if k not in _NO_SETTINGS}


def _declared() -> Iterator[Setting]:
    defaults = flat_settings(PRESETS[DEFAULT_PRESET].settings)
    by_name = ("recipe", "model", "portfolio")
    own = {name: defaults[name] for name in defaults if name not in by_name}
    yield from declared(RunSettings, "Folds and members", own)
    portfolio = Annotated[
        tuple[Annotated[str, Names(PORTFOLIO)], ...],
        Listed(",", "wide,fine"),
        Shown("NAMES|none"),
        Doc("Unlike settings, of each of which --seeds networks are trained in each fold."),
    ]
    yield Setting("portfolio", portfolio, "Folds and members", defaults["portfolio"])
    yield from declared(ModelSettings, "Network", defaults)
    yield from declared(TrainingSettings, "Training", defaults)
    recipe = Annotated[str, Names(RECIPES), Doc("Preprocessing.")]
    yield Setting("recipe", recipe, "Recipe", defaults["recipe"])
    yield from declared(Recipe, "Recipe", defaults)


SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _declared()}
# Those that a user may set; the others make a recipe what it is.
OPTIONS: dict[str, Setting] = {name: s for name, s in SETTINGS.items() if s.help}


def make_settings(
    preset: str | Preset = DEFAULT_PRESET, options: Mapping[str, Any] | None = None
) -> RunSettings:
    """Return a preset's settings with some options changed.

    Args:
        preset: a name in `PRESETS`, or one of the user's own.
        options: name in `SETTINGS` → value, as Python, TOML or the command line has it.

    Raises:
        UnknownNameError, UsageError: for an unknown name or a value that cannot be.
    """
    found = look_up(PRESETS, preset, "preset") if isinstance(preset, str) else preset
    settings = found.settings
    given = (options or {}).items()
    values = {name: look_up(SETTINGS, name, "option").parse(value) for name, value in given}
    names = values.pop("portfolio", tuple(variant.name for variant in settings.portfolio))
    changes = {name: {**PORTFOLIO, **found.changes}[name] for name in names}
    # What variants of a portfolio differ in.
    varied = {name for change in found.changes.values() for name in change.values}
    changed_by_hand = tuple(sorted(name for name in values if name in varied))
    if "recipe" in values:
        name = values.pop("recipe")
        settings = replace(settings, recipe_name=name, recipe=RECIPES[name])
    for part in _PARTS:
        before = getattr(settings, part)
        changed = {f.name: values.pop(f.name) for f in fields(before) if f.name in values}
        settings = replace(settings, **{part: replace(before, **changed)})
    portfolio = vary(changes, settings.model, settings.training, changed_by_hand)
    fixed = changed_by_hand if portfolio else ()
    return replace(settings, **values, portfolio=portfolio, fixed=fixed)


def settings_to_record(settings: RunSettings) -> dict[str, Any]:
    """Return the settings as nested plain data, for JSON."""
    return asdict(settings)


def settings_from_record(record: Mapping[str, Any]) -> RunSettings:
    """Read what `settings_to_record` wrote, before or after JSON.

    Raises:
        UsageError: where the record is not one.
    """
    lacking = [part for part in _PARTS if part not in record]
    if lacking:
        raise UsageError(f"there is no {lacking[0]!r}")
    # A record that does not speak of bounds or inner blocks is older than they are.
    return read_record(RunSettings, {"bound": False, "inner_blocks": 1, **record})
