"""The summary: a cross-validated run as Markdown, for a CI job's page or a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from kaggleprice.cli.views.tables import score_text, threads_text
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.describe import changed_options, setting_text, typed_command
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.run import Run

_LITERAL = str.maketrans({sign: f"\\{sign}" for sign in "\\|`*_[]<>~#"} | {"\n": " "})


def summarize(run: Run, gates: Sequence[Gate] = ()) -> str:
    """Return the summary: scores, gates, folds, settings, versions; GitHub's Markdown."""
    record, scores = run.record, run.record["scores"]
    metric = METRICS[record["metric"]].help
    failed = any(not gate.passed for gate in gates)
    found = scores.get("oof_error")
    error = "" if found is None else f" ± {score_text(found)}"
    parts = [
        f"## kaggleprice: {literal(record['competition'])}, run {literal(run.name)}"
        + (" — gate missed" if failed else ""),
        f"**Pooled out-of-fold {literal(metric)}: {score_text(scores['oof'])}{error}**, mean of "
        f"folds {score_text(scores['fold_mean'])} ± {score_text(scores['fold_sd'])}",
        *[f"> {literal(note)}" for note in record["notes"]],
    ]
    if gates:
        rows = [
            [gate.name, "passed" if gate.passed else "**missed**", gate.reason] for gate in gates
        ]
        parts.append(table(["gate", "result", "why"], rows, keep=(1,)))
    rows = [
        [str(f["fold"]), score_text(f["train"]), score_text(f["validation"])]
        for f in record["folds"]
    ]
    parts.append(table(["fold", "train", "validation"], rows, right=(0, 1, 2)))
    changed = changed_options(run.settings)
    if changed:
        rows = [[name, setting_text(name, value)] for name, value in changed.items()]
        parts.append(table(["changed setting", "value"], rows))
    asked = typed_command(run.settings, record["competition"])
    versions = ", ".join(f"{literal(n)} {literal(v)}" for n, v in record["versions"].items())
    parts += [
        f"Settings as of `{asked}`; {len(record['members'])} members in "
        f"{record['timing']['seconds']:.1f} s on {literal(record['device'])} "
        f"({threads_text(record['threads'])}).",
        f"Versions: {versions}.",
    ]
    return "\n\n".join(parts) + "\n"


def summarize_failure(competition: str, message: str) -> str:
    """Return the summary of a cross-validation that ended with an error."""
    return f"## kaggleprice: {literal(competition)}, failed\n\n{literal(message)}\n"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    keep: Sequence[int] = (),
) -> str:
    """Return a Markdown table.

    Args:
        head: titles of the columns.
        rows: texts, as many as titles each.
        right: columns that hold numbers.
        keep: columns that are Markdown already; all others are taken literally.
    """
    rule = ["---:" if column in right else "---" for column in range(len(head))]
    cells = [[c if i in keep else literal(c) for i, c in enumerate(row)] for row in rows]
    lines = [head, rule, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def literal(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    return text.translate(_LITERAL)
