"""Reports: what a finished run got right and wrong, as one HTML file and its figures as PNGs.

    rows         out-of-fold rows and their errors
    expected     the score to expect, with its uncertainty
    importance   permutation importance of the CSV's columns, on out-of-fold rows
    association  which columns tell of the target by themselves
    drift        columns whose values differ between training and test rows
    findings     all of these of one run
    style        colours of both themes, numbers on axes, figures as SVG and PNG
    wording      numbers and names as a report writes them
    panels       what several figures draw
    figures      the drawings
    page         the HTML
    making       `make_report`: a run in, files out

Only `style`, `panels`, `figures` and `page` need matplotlib, which comes with the extra `report`.
Nothing heavy is imported here.
"""

PAGE, FIGURES = "report.html", "figures"
DEFAULT_REPEATS, DEFAULT_COLUMNS = 3, 15
