"""The files that a CI server shows: a cross-validated run as JUnit XML and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_eval_context, select_autoescape
from jinja2.nodes import EvalContext

from kaggleprice.cli.console.text import printable
from kaggleprice.cli.views.tables import threads_text
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.wording import score
from kaggleprice.runs.describe import changed_options, setting_text, typed_command
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.run import Run

JUNIT, SUMMARY = "junit.xml.j2", "summary.md.j2"
_LITERAL = str.maketrans({sign: f"\\{sign}" for sign in "\\|`*_[]<>~#"})


def render(form: str, run: Run, gates: Sequence[Gate] = ()) -> str:
    """Return the file of a run and the gates that it was held against.

    Args:
        form: `JUNIT`, or `SUMMARY` in GitHub's Markdown: scores, gates, folds, settings, versions.
        run: a finished one.
        gates: its gates.
    """
    record, changed = run.record, changed_options(run.settings)
    return _render(
        form,
        run.competition,
        run=run,
        record=record,
        scores=record["scores"],
        metric=METRICS[record["metric"]].help,
        gates=gates,
        missed=sum(not gate.passed for gate in gates),
        changed={name: setting_text(name, value) for name, value in changed.items()},
        command=typed_command(run.settings, record["competition"]),
        threads=threads_text(record["threads"]),
    )


def render_failure(form: str, competition: str, kind: str, message: str) -> str:
    """Return the file of a cross-validation that ended with an error.

    Args:
        form: as for `render`.
        competition: its name.
        kind: the name of the error's class.
        message: one sentence.
    """
    return _render(form, competition, error=(kind, message))


def _render(form: str, competition: str, **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("kaggleprice.cli", "."),
        autoescape=select_autoescape(["xml.j2"]),
        finalize=_shown,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = score
    template = environment.get_template(form)
    return template.render({"competition": competition, "error": None, **values})


@pass_eval_context
def _shown(context: EvalContext, value: Any) -> Any:
    """Return a value as text on one line that shows it as it is; Jinja escapes what is XML."""
    if hasattr(value, "__html__"):  # declared safe by the template
        return value
    return printable(str(value)) if context.autoescape else literal(str(value))


def literal(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    return printable(text).translate(_LITERAL)
