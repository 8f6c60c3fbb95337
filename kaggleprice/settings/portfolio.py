"""The portfolio: unlike settings whose networks are trained side by side. Nothing heavy.

No setting of networks is the best for every competition: data without noise want no dropout, places
want fine frequencies, few rows strong regularization. So members of each fold differ, and what each
of them counts is learned inside the fold (`kaggleprice.evaluation.weighting`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from kaggleprice.settings.model import MODELS, ModelSettings
from kaggleprice.settings.training import TrainingSettings


@dataclass(frozen=True)
class Change:
    """A line of `PORTFOLIO`.

    Attributes:
        help: one line for people.
        values: settings of the network and of its training, by name.
        factors: what numbers among these settings are multiplied by, by name.
        rows_per_feature: of fewer training rows for each feature it is not tried: it would learn
            them by heart.
        most_rows_per_feature: of more it is not tried: it learns too little of them. None: of any.
    """

    help: str
    values: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    rows_per_feature: float = 0.0
    most_rows_per_feature: float | None = None


@dataclass(frozen=True)
class Variant:
    """One setting of a run's portfolio.

    Attributes:
        name: in `PORTFOLIO`.
        model: its networks.
        training: how they are trained.
        rows_per_feature, most_rows_per_feature: as in `Change`.
        tried: whether there are enough of them; settled where the data are known.
    """

    name: str
    model: ModelSettings
    training: TrainingSettings
    rows_per_feature: float = 0.0
    most_rows_per_feature: float | None = None
    tried: bool = True

    @property
    def batch(self) -> tuple[Any, ...]:
        """What is equal of settings whose members can be trained as one batched network."""
        return (self.model.resolved.shape, self.training.shared)

    def suits(self, rows_per_feature: float) -> bool:
        """Tell whether it is worth trying, given the training rows for each feature."""
        most = self.most_rows_per_feature
        return self.rows_per_feature <= rows_per_feature and (
            most is None or rows_per_feature <= most
        )


# Rows for each feature: of fewer than the first networks learn by heart, of more than the second
# or third those do not learn enough that pass over them less often, or are held back.
_FEW, _MANY, _VERY_MANY = 8.0, 400.0, 1000.0
_COARSE = {"frequencies": 4, "frequency_scale": 0.1}

PORTFOLIO: dict[str, Change] = {
    "fine": Change("as the settings say", rows_per_feature=_FEW),
    "wide": Change(
        "twice as wide, at twice the rate, for longer",
        {"hidden": (256, 256), "frequencies": 8},
        {"lr": 2.0, "budget": 1.5},
        _FEW,
    ),
    "piecewise": Change(
        "numbers in bins in place of frequencies, twice as wide, at twice the rate",
        {"embedding": "piecewise", "hidden": (256, 256)},
        {"lr": 2.0},
        _FEW,
    ),
    "smooth": Change(
        "few low frequencies",
        _COARSE,
        rows_per_feature=_FEW,
        most_rows_per_feature=_VERY_MANY,
    ),
    "robust": Change(
        "few low frequencies, strong dropout, a loss that bends early, fewer passes",
        {**_COARSE, "dropout": ((0.3,),), "loss": "huber 0.3"},
        {"budget": 0.5},
        most_rows_per_feature=_MANY,
    ),
    "tanh": Change(
        "few low frequencies, bounded activations, a loss that bends early, fewer passes",
        {**_COARSE, "activation": ("tanh",), "loss": "huber 0.3"},
        {"budget": 0.5},
        most_rows_per_feature=_MANY,
    ),
    "shallow": Change(
        "as robust, but of one wide hidden layer",
        {**_COARSE, "dropout": ((0.3,),), "loss": "huber 0.3", "hidden": (512,)},
        {"budget": 0.5},
        most_rows_per_feature=_MANY,
    ),
}


def vary(
    changes: Mapping[str, Change],
    model: ModelSettings,
    training: TrainingSettings,
    fixed: Collection[str] = (),
) -> tuple[Variant, ...]:
    """Return the variants of a portfolio, those that are the same once.

    Args:
        changes: by the variants' names.
        model: the network that they change.
        training: how it is trained.
        fixed: names of settings that they do not change.
    """
    found: list[Variant] = []
    kept_by_all = {*fixed}
    if "dropout" in kept_by_all and any(len(rates) > 1 for rates in model.dropout):
        # A rate for each hidden layer is said of these layers.
        kept_by_all.add("hidden")
    for name, change in changes.items():
        kept = kept_by_all | {*MODELS[change.values.get("model", model.model)].fixed}
        values = {key: value for key, value in change.values.items() if key not in kept}
        of_model = {f.name: values[f.name] for f in fields(model) if f.name in values}
        rest = {key: value for key, value in values.items() if key not in of_model}
        rest |= {key: getattr(training, key) * by for key, by in change.factors.items()}
        own = Variant(
            name,
            replace(model, **of_model),
            replace(training, **rest),
            change.rows_per_feature,
            change.most_rows_per_feature,
        )
        if (own.model, own.training) not in [(v.model, v.training) for v in found]:
            found.append(own)
    return tuple(found)
