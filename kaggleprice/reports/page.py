"""The page: findings and figures as one HTML file that needs nothing beside it.

Jinja2 escapes every value that the template shows, and the page's own policy forbids scripts and
anything fetched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from kaggleprice.reports import wording
from kaggleprice.reports.figures import MOST_CURVES, MOST_POINTS
from kaggleprice.reports.findings import Findings
from kaggleprice.reports.out_of_fold import SHARE
from kaggleprice.reports.style import PALETTE, to_svg
from kaggleprice.runs.leaderboard import read_leaderboard

_FILTERS = (wording.score, wording.signed, wording.amount, wording.percent, wording.cell)


def make_page(findings: Findings, figures: Mapping[str, Figure], columns: int) -> str:
    """Return the page.

    Args:
        findings: of the run.
        figures: by name, as `figures.draw` returns them.
        columns: how many to show, at most, where tables show columns.
    """
    environment = Environment(
        loader=PackageLoader("kaggleprice.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {filter_.__name__: filter_ for filter_ in _FILTERS}
    record, rows, metric = findings.run.record, findings.rows, findings.run.metric
    true, predicted = rows.scaled
    target = findings.competition.targets[0]
    return environment.get_template("page.html.j2").render(
        vars(findings),
        # The only markup among the values: matplotlib escapes the texts within.
        figures={name: to_svg(figure, name) for name, figure in figures.items()},
        palette=PALETTE,
        record=record,
        scores=record["scores"],
        submitted=read_leaderboard(findings.run),
        metric=metric.help,
        direction=metric.direction,
        target=target,
        scale=findings.scale(target),
        numeric=set(findings.data.tables.train.numeric_columns),
        columns=columns,
        curve=findings.mean_curve.reset_index().to_dict("records"),
        correlation=np.corrcoef(true, predicted)[0, 1] if true.std() and predicted.std() else 0.0,
        quartiles=np.quantile(rows.residual, [0.25, 0.5, 0.75]),
        medians=[np.median(rows.predicted), np.median(findings.predictions)],
        fold_rows=np.bincount(rows.fold_of_row, minlength=len(record["folds"])),
        share=SHARE,
        most_curves=MOST_CURVES,
        most_points=MOST_POINTS,
    )
