"""The page of a search: its history, which settings matter, and how the score depends on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from kaggleprice.competitions.metrics import Metric
from kaggleprice.core.errors import UsageError
from kaggleprice.evaluation.studies import load_optuna
from kaggleprice.reports.style import FIRST, MUTED, SECOND, drawing, template, to_svg

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes

_WIDTH, _ACROSS = 8.0, 3
# Scores beyond this quantile would leave no room for the others.
_SHOWN = 0.9
# Levels of a setting that is no number are spread by so much.
_JITTER = 0.2


@dataclass(frozen=True)
class Trial:
    """One proposal of a fold.

    Attributes:
        fold, number: counted from 1.
        values: setting → value.
        distributions: setting → what it was drawn from.
        short: its score after the short training.
        long: its score after the whole training; None where it did not go on.
    """

    fold: int
    number: int
    values: dict[str, Any]
    distributions: dict[str, Any]
    short: float
    long: float | None


def read_trials(studies: Sequence[optuna.Study]) -> list[Trial]:
    """Return the proposals of all folds that could be scored, fold by fold."""
    return [
        Trial(
            fold,
            trial.number + 1,
            trial.params,
            trial.distributions,
            trial.intermediate_values[0],
            trial.value,
        )
        for fold, study in enumerate(studies, 1)
        for trial in study.get_trials(deepcopy=False)
        if 0 in trial.intermediate_values
    ]


def make_page(
    studies: Sequence[optuna.Study], metric: Metric, title: str, lines: Sequence[str]
) -> str:
    """Return the page of a search.

    Args:
        studies: of each fold.
        metric: which they are scored by.
        title: of the page.
        lines: that stand above the figures.

    Raises:
        UsageError: where nothing was tried that could be scored.
    """
    trials = read_trials(studies)
    if not trials:
        raise UsageError("no setting could be scored in this search; make a longer one.")
    best = "highest" if metric.greater_is_better else "lowest"
    with drawing():
        made = [
            (
                "history",
                "History",
                _history(trials, metric),
                "The score of each setting on rows that it left out, in the order of proposals: "
                "small after the short training, large after the whole. The line is the best so "
                f"far (the {best}), by fold.",
            ),
            (
                "importance",
                "Which settings matter",
                _importance(trials, metric),
                "How unlike the best tenth of all proposals is to the rest, by setting (PED-ANOVA, "
                "Watanabe et al. 2023); of the scores after the short training, which all have, "
                "ranked within each fold. They sum to 1.",
            ),
            (
                "slices",
                "The score by setting",
                _slices(trials, metric),
                "The score after the short training of every proposal of every fold, by the value "
                "of each setting. What lies far off is not shown.",
            ),
        ]
        for _, _, figure, _ in made:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
    figures = [
        {"name": name, "title": heading, "svg": to_svg(figure, name), "caption": caption}
        for name, heading, figure, caption in made
    ]
    return template("tuning.html.j2").render(title=title, lines=lines, figures=figures)


def _figure(height: float) -> Figure:
    return Figure((_WIDTH, height), layout="constrained")


def _history(trials: Sequence[Trial], metric: Metric) -> Figure:
    figure = _figure(3.2)
    panel = figure.subplots()
    panel.scatter(
        [trial.number for trial in trials], [trial.short for trial in trials], s=6, color=MUTED
    )
    for fold in sorted({trial.fold for trial in trials}):
        own = [t for t in trials if t.fold == fold and t.long is not None]
        numbers, scores = [t.number for t in own], np.array([t.long for t in own], dtype=float)
        panel.scatter(numbers, scores, s=18, color=FIRST)
        so_far = np.maximum if metric.greater_is_better else np.minimum
        panel.step(numbers, so_far.accumulate(scores), where="post", color=SECOND, lw=1.0)
    _limit(panel, [t.short for t in trials] + [t.long for t in trials if t.long is not None])
    panel.set(xlabel="number of the proposal", ylabel=metric.help)
    return figure


def importance(trials: Sequence[Trial], metric: Metric) -> dict[str, float]:
    """Return how much each setting matters, the most important first; they sum to 1.

    Scores count by their rank among those of their fold, since folds differ in what is hard.
    """
    found = load_optuna()
    distributions = trials[0].distributions
    names = [name for name, own in distributions.items() if not own.single()]
    pooled = found.create_study()
    for fold in sorted({trial.fold for trial in trials}):
        own = [trial for trial in trials if trial.fold == fold]
        ranks = np.argsort(np.argsort([metric.rank(trial.short) for trial in own]))
        for trial, rank in zip(own, ranks.tolist(), strict=True):
            pooled.add_trial(
                found.trial.create_trial(
                    params={name: trial.values[name] for name in names},
                    distributions={name: distributions[name] for name in names},
                    value=rank / len(own),
                )
            )
    evaluator = found.importance.PedAnovaImportanceEvaluator()
    shares: dict[str, float] = found.importance.get_param_importances(pooled, evaluator=evaluator)
    return shares


def _importance(trials: Sequence[Trial], metric: Metric) -> Figure:
    shares = importance(trials, metric)
    figure = _figure(0.7 + 0.24 * max(1, len(shares)))
    panel = figure.subplots()
    panel.barh(list(shares), list(shares.values()), color=FIRST)
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("share of what matters")
    return figure


def _slices(trials: Sequence[Trial], metric: Metric) -> Figure:
    distributions = trials[0].distributions
    rows = -(-len(distributions) // _ACROSS)
    figure = _figure(2.2 * rows)
    panels = figure.subplots(rows, _ACROSS, squeeze=False, sharey=True).flatten()
    scores = [trial.short for trial in trials]
    for panel, (name, drawn_from) in zip(panels, distributions.items(), strict=False):
        own = [trial.values[name] for trial in trials]
        if hasattr(drawn_from, "choices"):
            levels = list(drawn_from.choices)
            spread = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(own))
            panel.scatter(spread + [levels.index(v) for v in own], scores, s=6, color=FIRST)
            panel.set_xticks(range(len(levels)), levels, rotation=30, ha="right")
        else:
            panel.scatter(own, scores, s=6, color=FIRST)
            if drawn_from.log:
                panel.set_xscale("log")
                panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
                panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                panel.xaxis.set_minor_locator(NullLocator())
        panel.set_title(name)
        _limit(panel, scores)
    for panel in panels[::_ACROSS]:
        panel.set_ylabel(metric.help)
    for panel in panels[len(distributions) :]:
        panel.set_visible(False)
    return figure


def _limit(panel: Axes, scores: Sequence[float]) -> None:
    """Leave out what lies so far off that the rest would be a line."""
    low, high = np.quantile(scores, [1 - _SHOWN, _SHOWN])
    inside = [score for score in scores if low - 2 * (high - low) <= score <= high]
    if min(inside) < max(inside):
        room = 0.05 * (max(inside) - min(inside))
        panel.set_ylim(min(inside) - room, max(inside) + room)
