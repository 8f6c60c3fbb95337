"""A search: its honest score, what it would have claimed in vain, and the settings that won."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.tuning import Tuning, Winner
from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Document
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.wording import percent, score
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.search import START


@dataclass(frozen=True)
class NestedScore:
    """What the settings that each fold chose score on rows that chose nothing."""

    fold_mean: Annotated[float, Doc("Mean of the folds.")]
    oof: Annotated[float, Doc("Of all out-of-fold predictions pooled.")]
    oof_error: Annotated[float | None, Doc("Standard error of `oof`; null: the metric has none.")]
    folds: Annotated[list[float], Doc("Of each fold.")]


@dataclass(frozen=True)
class Optimism:
    """What choosing and scoring on the same rows would have claimed in vain."""

    naive: Annotated[
        float, Doc("Score of the first networks of the chosen settings on the rows that chose.")
    ]
    nested: Annotated[float, Doc("Score of the very same networks on validation rows.")]
    optimism: Annotated[float, Doc("By how much `nested` is worse.")]


@dataclass(frozen=True)
class Gain:
    """What choosing gained: scores of the first networks alone, means of folds."""

    portfolio: Annotated[float, Doc("Of the portfolio as it was.")]
    tuned: Annotated[float, Doc("Of the settings that each fold chose.")]


@dataclass(frozen=True, kw_only=True)
class TuneDocument(Document):
    """A search over settings."""

    command: Annotated[Literal["tune"], COMMAND] = "tune"
    competition: documents.Competition
    metric: documents.MetricName
    preset: Annotated[str, Doc("Name of the preset that was found.")]
    file: Annotated[
        Path | None, Doc("The configuration that it was written to; null where it was not.")
    ]
    nested: Annotated[NestedScore, Doc("The honest score of the search.")]
    optimism: Annotated[Optimism, Doc("What a score on the rows that chose would have claimed.")]
    gain: Annotated[Gain, Doc("What choosing gained.")]
    trials: Annotated[
        documents.Positive,
        Doc("Settings that were tried in each fold, beside those of the portfolio."),
    ]
    complete: Annotated[bool, Doc("Whether all that were asked for were tried in time.")]
    winners: Annotated[list[Winner], Doc("The settings of the preset.")]
    storage: Annotated[str, Doc("URL of the database that has the studies.")]
    studies: Annotated[list[str], Doc("Name of each fold's study.")]
    page: Annotated[Path | None, Doc("The page that `--show` drew; null without.")]
    seconds: Annotated[documents.NotNegative, Doc("Seconds that the search took.")]


def tune_document(made: Tuning, file: Path | None, page: Path | None) -> TuneDocument:
    """Describe a search.

    Args:
        made: the search.
        file: that its preset was written to; None where it was not.
        page: that it was drawn on; None where it was not.
    """
    worse = METRICS[made.metric].worse_by(made.not_chosen_on, made.chosen_on)
    return TuneDocument(
        competition=made.competition,
        metric=made.metric,
        preset=made.preset,
        file=file,
        nested=NestedScore(made.fold_mean, made.oof, made.oof_error, made.folds),
        optimism=Optimism(made.chosen_on, made.not_chosen_on, worse),
        gain=Gain(made.untuned, made.tuned),
        trials=made.trials,
        complete=made.complete,
        winners=made.winners,
        storage=made.storage,
        studies=made.studies,
        page=page,
        seconds=made.seconds,
    )


def tune_view(document: TuneDocument, again: str | None = None) -> Group:
    """Show a search: the settings that won, and the scores.

    Args:
        document: of the search.
        again: options that say where the data are, as they were typed; None for no next step.
    """
    nested, optimism, gain = document.nested, document.optimism, document.gain
    rows = [
        (winner.name, percent(winner.weight, 0), f"{winner.folds}", _settings_text(winner.values))
        for winner in document.winners
    ]
    folds = len(nested.folds)
    which = "all that were asked for" if document.complete else "as many as time allowed"
    lines = [
        f"{document.trials} settings tried in each of {folds} folds ({which}), in "
        f"{document.seconds:.0f} s",
        f"{METRICS[document.metric].help}, nested (rows that chose no setting): "
        f"{score(nested.fold_mean)} mean of folds, {score(nested.oof, nested.oof_error)} pooled",
        f"the first networks alone: {score(gain.portfolio)} with the portfolio as it is, "
        f"{score(gain.tuned)} tuned",
        f"optimism: on the rows that chose them the settings score {score(optimism.naive)}, on "
        f"others {score(optimism.nested)}, with the very same networks",
    ]
    if document.file is not None:
        lines.append(f"preset {document.preset} written to {document.file}")
        if METRICS[document.metric].worse_by(gain.tuned, gain.portfolio) > 0:
            lines.append("nothing better than the portfolio was found: better do without it")
        elif again is not None:
            lines.append(f"next: kaggleprice cv --preset {document.preset} {again}".rstrip())
    if document.page is not None:
        lines.append(f"page: {document.page}")
    right = ("weight", "folds")
    return Group(make_table(("setting", *right, "values"), rows, right), *texts(*lines))


def _settings_text(values: dict[str, Any]) -> str:
    """Return a setting's values in a line: `smooth; lr 0.0123, dropout 0.1`."""
    rest = [f"{name} {show_value(value)}" for name, value in values.items() if name != START]
    return "; ".join([str(values[START]), *([", ".join(rest)] if rest else [])])
