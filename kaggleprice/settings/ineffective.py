"""Options that were given and change nothing, because of what others say. Nothing heavy."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES
from kaggleprice.settings.model import MODELS
from kaggleprice.settings.run import SETTINGS, RunSettings


def ineffective_options(
    settings: RunSettings, given: Collection[str], folds: bool = False
) -> Iterator[str]:
    """Return a sentence on each option that was given and changes nothing.

    Args:
        settings: with every option.
        given: names of the options that were given for this run.
        folds: whether the folds come from a file.
    """
    model, training = settings.model, settings.training
    scheme = FOLD_SCHEMES[settings.fold_scheme]
    fixed, embedding = MODELS[model.model].fixed, model.resolved.embedding
    of_models = [name for entry in MODELS.values() for name in entry.own]
    effective = {*fixed, *MODELS[model.model].own}
    others = tuple(name for name in of_models if name not in effective)
    with_model = f"with --model {model.model}"
    with_embedding = with_model if "embedding" in fixed else f"with --embedding {embedding}"
    chosen = f"with --fold-scheme {settings.fold_scheme}"
    idle: list[tuple[tuple[str, ...], bool, str]] = [
        (("base_model_share",), not settings.base_models, "without --base-models"),
        (
            ("base_model_share",),
            bool(settings.base_models) and settings.learns_weights,
            "with --inner-blocks above 1: weights are learned",
        ),
        (
            ("fold_scheme", "fold_column", "fold_seed", "fold_gap", "hold_out", "repeats"),
            folds,
            "with --folds: the file says which rows are which fold",
        ),
        (("fold_column",), not scheme.takes_column and not folds, chosen),
        (("fold_gap",), not scheme.forward and not folds, chosen),
        (("hold_out",), not scheme.holds_out and not folds, chosen),
        (("k",), scheme.holds_out and not folds, f"{chosen}: it is one fold"),
        (
            ("fold_seed",),
            not scheme.seeded and not folds,
            f"{chosen}: no seed changes these folds",
        ),
        (tuple(fixed), True, with_model),
        (others, True, with_model),
        (("frequencies", "frequency_scale"), embedding != "periodic", with_embedding),
        (("bins",), embedding != "piecewise", with_embedding),
        (("stop_on", "stop_share"), training.patience is None, "without --patience"),
        (
            ("stop_share",),
            training.patience is not None and training.stop_on == "validation",
            "with --stop-on validation",
        ),
    ]
    for names, holds, why in idle:
        for name in names:
            if holds and name in given:
                yield f"{SETTINGS[name].flag} has no effect {why}."
    for name, turns in [("activation", model.activation), ("dropout", model.dropout)]:
        few = settings.seeds is not None and len(turns) > settings.seeds
        if name in given and few and name not in fixed:
            flag, taken = SETTINGS[name].flag, show_value(turns[: settings.seeds])
            starts = "start" if settings.seeds == 1 else "starts"
            yield (
                f"{flag} {show_value(turns)}: with {settings.seeds} random {starts} per fold "
                f"(--seeds), only {taken} is used."
            )
