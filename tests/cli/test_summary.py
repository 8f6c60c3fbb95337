"""The Markdown summary: what it says, and that nothing in it is taken for Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from forged import forge, noisy
from markdown_it import MarkdownIt

from kaggleprice.cli.summary import literal, summarize, summarize_failure, table
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.reading import Run
from kaggleprice.runs.records import read_record

PASSED = Gate("fail-above", 0.2, 0.1, True, "pooled score 0.1 is not above --fail-above 0.2.")
MISSED = Gate("baseline", 0.01, 0.1, False, "worse | by *far*.")


def made(folder: Path, **given: object) -> Run:
    path = forge(folder / "small" / "mlp-001", noisy(1), **given)  # type: ignore[arg-type]
    return Run(path, read_record(path))


def cells(markdown: str) -> list[list[str]]:
    """The tables' rows, as a Markdown parser reads them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 4:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def test_summary(tmp_path: Path) -> None:
    run = made(tmp_path, preset="book", options={"seeds": 2}, notes=["Optimistic: for a reason."])
    text = summarize(run, [PASSED, MISSED])
    assert text.startswith("## kaggleprice: small, run mlp-001 — gate missed\n\n")
    assert f"RMSE between logs: {run.record['scores']['oof']:.4f} ± 0.0100**" in text
    assert "> Optimistic: for a reason." in text
    assert "`kaggleprice cv --preset book" in text
    assert "kaggleprice 0.1.0, torch 2.13.0." in text
    rows = cells(text)
    assert ["fail-above", "passed", PASSED.reason] in rows
    assert ["baseline", "missed", MISSED.reason] in rows
    for fold in run.record["folds"]:
        assert [str(fold["fold"]), "0.0500", f"{fold['validation']:.4f}"] in rows
    assert ["recipe", "book"] in rows
    assert text.endswith("\n")


def test_a_plain_summary(tmp_path: Path) -> None:
    text = summarize(made(tmp_path, options={"k": 5}, fold=[1, 2, 3, 4, 5] * 8))
    assert "gate" not in text
    assert "changed setting" not in text
    assert "Settings as of `kaggleprice cv -c FILE.toml`;" in text


def test_a_failure() -> None:
    text = summarize_failure("small", "learning rate 1e9 | is *too* high.")
    assert text.startswith("## kaggleprice: small, failed\n")
    (paragraph,) = MarkdownIt().parse(text)[4:5]
    assert paragraph.children is not None
    assert "".join(c.content for c in paragraph.children) == "learning rate 1e9 | is *too* high."


@pytest.mark.parametrize(
    "text", ["a|b", "`a`", "*a* _b_", "<b>x</b>", "[a](b)", "a\\|b", "# a", "~~a~~"]
)
def test_texts_are_shown_as_they_are(text: str) -> None:
    assert cells(table(["x", "y"], [[text, "z"]]))[1] == [text, "z"]
    assert "<" not in literal(text).replace("\\<", "")


def test_a_text_stays_on_its_line() -> None:
    assert literal("a\nb") == r"a\\nb"
