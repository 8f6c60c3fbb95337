"""The page: findings and figures as one HTML file that needs nothing beside it.

Everything that comes from data, names or settings is escaped, and the page's own policy forbids
scripts and anything fetched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.figures import Drawn
from kaggleprice.reports.findings import Findings
from kaggleprice.reports.out_of_fold import SHARE, Expected
from kaggleprice.reports.style import PALETTE, to_svg
from kaggleprice.reports.wording import amount, cell, listed, score, share, signed
from kaggleprice.settings.declaration import show_value

_NARROW = {"predictions"}


def make_page(findings: Findings, figures: Sequence[Drawn], columns: int) -> str:
    """Return the page.

    Args:
        findings: of the run.
        figures: in the order of the page.
        columns: how many to show, at most, where tables show columns.
    """
    drawn = {figure.name: _figure(figure) for figure in figures}
    parts = [
        _head(findings),
        *(
            drawn[name]
            for name in ("learning-curves", "predictions", "residuals", "residuals-by-column")
        ),
        _errors(findings),
        drawn.get("importance", ""),
        _importance(findings, columns),
        drawn["distributions"],
        _drift(findings, columns),
        _folds(findings),
        _settings(findings),
        _origin(findings),
    ]
    return _template("page.html").substitute(
        title=escape(f"{findings.run.name}, {findings.competition.name}"),
        style=_template("page.css").substitute(light=_colours(0), dark=_colours(1)),
        content="\n".join(part for part in parts if part),
    )


def _template(name: str) -> Template:
    return Template(resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8"))


def _colours(theme: int) -> str:
    return "\n".join(f"  --{role}: {colours[theme]};" for role, colours in PALETTE.items())


def _section(name: str, title: str, *parts: str) -> str:
    inner = "\n".join(parts)
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(title)}</h2>\n'
        f"{inner}\n</section>"
    )


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>"


def _figure(drawn: Drawn) -> str:
    alt = escape(drawn.alt)
    svg = to_svg(drawn.figure, drawn.name).replace(
        "<svg ", f'<svg role="img" aria-label="{alt}" ', 1
    )
    narrow = " narrow" if drawn.name in _NARROW else ""
    # Where a wide figure has to be scrolled, the keyboard can do it.
    held = (
        f'<div class="scroll{narrow}" tabindex="0" role="group" '
        f'aria-label="{escape(drawn.title)}">{svg}</div>'
    )
    return _section(
        f"figure-{drawn.name}",
        drawn.title,
        f"<figure>\n{held}\n<figcaption>{escape(drawn.caption)}</figcaption>\n</figure>",
    )


def _table(
    name: str,
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    text: Sequence[str] = (),
) -> str:
    """Return a table whose first column names its rows.

    Args:
        name: unique on the page.
        caption: what it is.
        header: the columns.
        rows: their cells.
        text: columns that are not numbers, beside the first one.
    """
    kinds = [
        "" if i == 0 or name in text else ' class="n"' for i, name in enumerate(header)
    ]  # fmt: skip
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for kind, name in zip(kinds, header, strict=True)
    )
    lines = []
    for first, *rest in rows:
        cells = "".join(
            f"<td{kind}>{escape(value)}</td>" for kind, value in zip(kinds[1:], rest, strict=True)
        )
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    body = "\n".join(lines)
    # Not a <caption>: that would be as wide as the table, and scroll with it.
    return (
        f'<p class="caption" id="{name}">{escape(caption)}</p>\n'
        f'<div class="scroll" tabindex="0" role="group" aria-labelledby="{name}">\n'
        f'<table aria-labelledby="{name}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _head(findings: Findings) -> str:
    record, competition = findings.run.record, findings.competition
    scores, metric = record["scores"], METRICS[competition.metric].help
    expected = findings.expected
    shown = [
        ("Pooled out-of-fold score", score(scores["oof"]), metric),
        (
            "Mean of folds ± sd",
            f"{score(scores['fold_mean'])} ± {score(scores['fold_sd'])}",
            f"{len(record['folds'])} folds",
        ),
        (
            "Score to expect",
            f"{score(expected.low)} to {score(expected.high)}",
            f"in {share(SHARE, 0)} of draws, sd {score(expected.sd)}",
        ),
        (
            "Networks",
            str(len(record["members"])),
            f"pooled score alone {score(scores['networks_oof'])}",
        ),
    ]
    shown += [
        (f"Partner {partner['name']}", score(partner["oof"]), "pooled score alone")
        for partner in record["partners"]
    ]
    items = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in shown
    )
    notes = "\n".join(_paragraph(note) for note in record["notes"])
    return "\n".join(
        [
            "<header>",
            f"<h1>Run {escape(findings.run.name)}</h1>",
            _paragraph(f"{competition.title} ({competition.name})", "lead"),
            f'<dl class="scores">\n{items}\n</dl>',
            f'<div class="notes" role="note">{notes}</div>' if notes else "",
            _paragraph(expectation(expected)),
            "</header>",
        ]
    )


def expectation(expected: Expected) -> str:
    """Say what score to expect of the test file, and how that was found."""
    return (
        f"On {expected.rows:,} test rows that come from where the training rows came from, "
        f"the score of one fold's members lies between {score(expected.low)} and "
        f"{score(expected.high)} in {share(SHARE, 0)} of {expected.draws:,} bootstrap draws: each "
        "draws the training rows with replacement, then as many test rows from those, and scores "
        "their out-of-fold predictions. The submission averages the members of all folds and is "
        "usually better; a leaderboard that uses only part of the test rows scatters more."
    )


def _errors(findings: Findings) -> str:
    target = findings.competition.target_column
    logarithmic = findings.transform.logarithmic
    columns = list(findings.errors[0].columns) if findings.errors else []
    numeric = set(findings.data.tables.train.numeric_columns)
    fixed = [
        findings.competition.id_column,
        "true",
        "predicted",
        "residual",
        "error",
        "fold",
    ]
    lines = [
        [
            error.id,
            amount(error.true),
            amount(error.predicted),
            signed(error.residual, 3),
            "" if error.relative is None else f"{100 * error.relative:+.1f} %",
            str(error.fold),
            *(cell(value) for value in error.columns.values()),
        ]
        for error in findings.errors
    ]
    kind = "most important" if findings.importance else "most telling"
    unit = "between logs" if logarithmic else f"in {target}"
    table = _table(
        "table-errors",
        f"True and predicted {target}, out of fold, of the rows with the largest absolute residual "
        f"({unit}, predicted less true), and their values of the {kind} columns.",
        [*fixed, *columns],
        lines,
        text=[name for name in columns if name not in numeric],
    )
    return _section("largest-errors", "Largest errors", table)


def _importance(findings: Findings, columns: int) -> str:
    importance = findings.importance
    if importance is None:
        return ""
    rows = [
        [
            column.column,
            _or_nothing(column.increase),
            _or_nothing(column.repeat_sd, sign=False),
            _or_nothing(column.member_mean),
            _or_nothing(column.member_sd, sign=False),
        ]
        for column in importance.columns[:columns]
    ]
    metric = METRICS[findings.competition.metric].help
    header = ["column", "increase", "sd over repeats", "members' mean", "sd over members"]
    table = _table(
        "table-importance",
        f"Increase of the {metric} by permuting a column; {len(rows)} of "
        f"{len(importance.columns)} columns.",
        header,
        rows,
    )
    names = [partner["name"] for partner in findings.run.record["partners"]]
    only = []
    if names:
        said = (
            f"This is the importance of the networks alone: of partners ({listed(names)}) a run "
            "keeps predictions, which cannot be made again from changed rows."
        )
        only.append(_paragraph(said))
    return _section(
        "importance-table",
        "Importance, column by column",
        *only,
        table,
    )


def _or_nothing(value: float | None, *, sign: bool = True) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "undefined"
    return signed(value) if sign else score(value)


def _drift(findings: Findings, columns: int) -> str:
    shown = findings.drift[:columns]
    above = sum(drift.excess > 0 for drift in findings.drift)
    rows = [
        [
            drift.column,
            drift.kind,
            f"{drift.statistic:.3f}",
            f"{drift.by_chance:.3f}",
            "yes" if drift.excess > 0 else "no",
            share(drift.missing_train),
            share(drift.missing_test),
            f"{100 * (drift.missing_test - drift.missing_train):+.1f}",
        ]
        for drift in shown
    ]
    header = [
        "column",
        "kind",
        "distance",
        "by chance",
        "more than chance",
        "missing, train",
        "missing, test",
        "difference, points",
    ]
    words = (
        "Distance is from 0 (alike) to 1: of numbers, the two-sample Kolmogorov-Smirnov statistic "
        "of the values that are there; of categories, the total variation distance between their "
        "shares, where missing is a category. “By chance” is what 95 of 100 splits of a single "
        f"population stay below: of {len(findings.drift)} columns about "
        f"{max(1, round(0.05 * len(findings.drift)))} would lie above it even then; here "
        f"{above} {'does' if above == 1 else 'do'}."
    )
    table = _table(
        "table-drift",
        f"Training against test rows, column by column; {len(rows)} of {len(findings.drift)} "
        "columns.",
        header,
        rows,
        text=["kind", "more than chance"],
    )
    return _section("drift", "Drift between training and test rows", _paragraph(words), table)


def _folds(findings: Findings) -> str:
    counts = {fold + 1: int((findings.rows.fold_of_row == fold).sum())
              for fold in range(len(findings.run.record["folds"]))}  # fmt: skip
    scores = findings.run.record["scores"]
    rows = [
        [
            str(fold["fold"]),
            f"{counts[fold['fold']]:,}",
            score(fold["train"]),
            score(fold["validation"]),
        ]
        for fold in findings.run.record["folds"]
    ]
    rows.append(["mean", "", score(scores["train_mean"]), score(scores["fold_mean"])])
    rows.append(["sd", "", "", score(scores["fold_sd"])])
    metric = METRICS[findings.competition.metric].help
    table = _table(
        "table-folds",
        f"{metric} of each fold's members together, on the rows they train on and on those they "
        "never see.",
        ["fold", "validation rows", "train", "validation"],
        rows,
    )
    return _section("folds", "Folds", table)


def _settings(findings: Findings) -> str:
    changes = findings.changes
    if not changes:
        shown = _paragraph("Those of the default preset, all of them.")
    else:
        shown = _table(
            "table-settings",
            "Settings that differ from the default preset.",
            ["setting", "this run", "default"],
            [[name, own, default] for name, default, own in changes],
            text=["this run", "default"],
        )
    return _section("settings", "Settings", shown)


def _origin(findings: Findings) -> str:
    record = findings.run.record
    versions = _table(
        "table-versions",
        "Versions that computed the run.",
        ["package", "version"],
        [[name, show_value(version)] for name, version in record["versions"].items()],
        text=["version"],
    )
    files = _table(
        "table-files",
        "Data files.",
        ["role", "file", "rows", "SHA-256"],
        [
            [role, file["name"], f"{file['rows']:,}", file["sha256"]]
            for role, file in record["data"].items()
        ],
        text=["file", "SHA-256"],
    )
    timing = record["timing"]
    words = (
        f"Finished at {timing['finished'][:16].replace('T', ' ')} UTC, after "
        f"{timing['seconds']:.1f} s on {record['device']} with {record['threads']} "
        f"thread{'s' * (record['threads'] != 1)}."
    )
    return _section("origin", "Versions and data", _paragraph(words), versions, files)
