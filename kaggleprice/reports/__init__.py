"""Reports: what a finished run got right and wrong, as one HTML file and its figures as PNGs.

    out_of_fold   out-of-fold rows, their errors, and the score to expect
    importance    permutation importance of the CSV's columns, and what each explains by itself
    drift         columns whose values differ between training and test rows
    findings      all of these of one run
    wording       numbers and names as a report writes them
    style         colours of both themes, matplotlib's settings, figures as SVG and PNG
    figures       the drawings
    page          the HTML, from `page.html.j2` and `page.css`
    making        `make_report`: a run in, files out
    tuning        the page of a search, from `tuning.html.j2`

Only `style`, `figures` and `page` need matplotlib, which comes with the extra `report`. Nothing
heavy is imported here.
"""

import importlib.util

from kaggleprice.core.errors import UsageError

PAGE, FIGURES = "report.html", "figures"
DEFAULT_REPEATS, DEFAULT_COLUMNS = 3, 15


def require_matplotlib() -> None:
    """Check that figures can be drawn.

    Raises:
        UsageError: where matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "a report needs matplotlib, which is not installed; install it with "
            '`pip install "kaggleprice[report]"`.'
        )
