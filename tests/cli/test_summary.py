"""The Markdown summary: what it says, and that nothing in it is taken for Markdown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from forged import forge, noisy
from markdown_it import MarkdownIt

from kaggleprice.cli.ci_files import SUMMARY, literal, render, render_failure
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.record import read_record
from kaggleprice.runs.run import Run


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Run]:
    def call(**given: object) -> Run:
        path = forge(tmp_path / "small" / "mlp-001", noisy(1), **given)  # type: ignore[arg-type]
        return Run(path, read_record(path))

    return call


def cells(markdown: str) -> list[list[str]]:
    """The tables' rows, as a Markdown parser reads them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 4:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def test_summary(make: Callable[..., Run]) -> None:
    run = make(preset="book", options={"seeds": 2}, notes=["Optimistic: for a reason."])
    gates = [
        Gate("fail-above", 0.2, 0.1, True, "fine."),
        Gate("baseline", 0.01, 0.1, False, "worse."),
    ]
    text = render(SUMMARY, run, gates)
    heading = text.splitlines()[0]
    assert all(word in heading for word in ("## ", "small", "mlp-001", "gate missed"))
    assert f"{run.record['scores']['oof']:.4f} ± 0.0100**" in text
    assert "> Optimistic: for a reason." in text
    assert "`kaggleprice cv --preset book" in text
    assert "torch 2.13.0" in text
    rows = cells(text)
    assert ["fail-above", "passed", "fine."] in rows
    assert ["baseline", "missed", "worse."] in rows
    assert ["recipe", "book"] in rows
    for fold in run.record["folds"]:
        assert [str(fold["fold"]), "0.0500", f"{fold['validation']:.4f}"] in rows
    assert text.endswith(".\n")


def test_a_summary_without_gates_and_changes(make: Callable[..., Run]) -> None:
    text = render(SUMMARY, make(options={"k": 5}, fold=[1, 2, 3, 4, 5] * 8))
    assert "gate" not in text
    assert [row[0] for row in cells(text)] == ["fold", "1", "2", "3", "4", "5"]
    assert "`kaggleprice cv -c FILE.toml`" in text


@pytest.mark.parametrize(
    "text", ["a|b", "`a`", "*a* _b_", "<b>x</b>", "[a](b)", "a\\|b", "# a", "~~a~~", "{{ 1 }}"]
)
def test_texts_are_shown_as_they_are(make: Callable[..., Run], text: str) -> None:
    run = make(notes=[text])
    shown = render(SUMMARY, run, [Gate("baseline", 0.01, 0.1, False, text)])
    assert ["baseline", "missed", text] in cells(shown)
    assert "<" not in shown.replace("\\<", "")
    failure = MarkdownIt().parse(render_failure(SUMMARY, "small", "RunError", text))[4].children
    assert failure is not None
    assert "".join(child.content for child in failure) == text
    assert "\n" not in literal(f"{text}\n")
