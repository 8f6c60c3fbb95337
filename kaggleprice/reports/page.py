"""The page: findings and figures as one HTML file that needs nothing beside it.

Jinja2 escapes every value that the template shows, and the page's own policy forbids scripts and
anything fetched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from kaggleprice.reports import wording
from kaggleprice.reports.figures import MOST_CURVES, MOST_POINTS
from kaggleprice.reports.findings import Findings
from kaggleprice.reports.out_of_fold import SHARE
from kaggleprice.reports.style import template, to_svg
from kaggleprice.runs.leaderboard import read_leaderboard

_FILTERS = (wording.score, wording.signed, wording.amount, wording.percent, wording.cell)


def make_page(findings: Findings, figures: Mapping[str, Figure], columns: int) -> str:
    """Return the page.

    Args:
        findings: of the run.
        figures: by name, as `figures.draw` returns them.
        columns: how many to show, at most, where tables show columns.
    """
    record, rows, metric = findings.run.record, findings.rows, findings.run.metric
    true, predicted = rows.scaled
    target = findings.competition.targets[0]
    page = template("page.html.j2", **{filter_.__name__: filter_ for filter_ in _FILTERS})
    return page.render(
        vars(findings),
        title=f"{findings.run.name}, {findings.competition.name}",
        # The only markup among the values: matplotlib escapes the texts within.
        figures={name: to_svg(figure, name) for name, figure in figures.items()},
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
        medians=[
            np.median(predicted)
            for predicted in (rows.predicted, findings.predictions)
            if predicted is not None
        ],
        new="test" if findings.predictions is not None else "new",
        fold_rows=[len(validation) for _, validation in rows.split],
        share=SHARE,
        most_curves=MOST_CURVES,
        most_points=MOST_POINTS,
    )
