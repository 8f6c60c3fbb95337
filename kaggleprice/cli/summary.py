"""The summary: a cross-validated run as Markdown, for a CI job's page or a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from kaggleprice.cli.console.text import printable
from kaggleprice.cli.views.tables import score_text, threads_text
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.describe import changed_options, setting_text, typed_command
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.run import Run

_LITERAL = str.maketrans({sign: f"\\{sign}" for sign in "\\|`*_[]<>~#"})


def summarize(run: Run, gates: Sequence[Gate] = ()) -> str:
    """Return the summary: scores, gates, folds, settings, versions; GitHub's Markdown."""
    environment = Environment(  # noqa: S701 (Markdown is escaped by `finalize`, not as HTML)
        loader=PackageLoader("kaggleprice.cli", "."),
        # Only what the template declares safe has `__html__`.
        finalize=lambda value: value if hasattr(value, "__html__") else literal(str(value)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = score_text
    record, changed = run.record, changed_options(run.settings)
    return environment.get_template("summary.md.j2").render(
        run=run,
        record=record,
        scores=record["scores"],
        metric=METRICS[record["metric"]].help,
        gates=gates,
        missed=any(not gate.passed for gate in gates),
        changed={name: setting_text(name, value) for name, value in changed.items()},
        command=typed_command(run.settings, record["competition"]),
        threads=threads_text(record["threads"]),
    )


def summarize_failure(competition: str, message: str) -> str:
    """Return the summary of a cross-validation that ended with an error."""
    return f"## kaggleprice: {literal(competition)}, failed\n\n{literal(message)}\n"


def literal(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    return printable(text).translate(_LITERAL)
