"""The command reference: made from the commands, complete, and not stale."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from test_help import LEAVES, PATHS, examples, run

from kaggleprice.cli import program
from kaggleprice.cli.config_file import configurable
from kaggleprice.cli.reference import reference
from kaggleprice.core import errors

FILE = Path(__file__).parents[2] / "docs" / "reference.md"


@pytest.fixture(scope="module")
def text() -> str:
    return reference()


def section(text: str, path: tuple[str, ...]) -> str:
    title = f"## `kaggleprice {' '.join(path)}`\n"
    assert text.count(title) == 1
    return text.split(title)[1].split("\n## ")[0]


def test_it_is_not_stale_and_no_terminal_changes_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kaggleprice.cli.reference"],
        env={**os.environ, "COLUMNS": "40", "FORCE_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    again = "run `python -m kaggleprice.cli.reference > docs/reference.md`"
    assert FILE.read_text(encoding="utf-8") == done.stdout, again


@pytest.mark.parametrize("path", PATHS)
def test_what_help_shows_stands_there(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    path: tuple[str, ...],
) -> None:
    """Held against the help that is printed, line by line, and not against what makes both."""
    monkeypatch.setenv("COLUMNS", "1000")
    printed = run(capsys, *path, "--help").out
    there = section(text, path).replace("\\", "")
    rows = [line for line in printed.splitlines() if re.match(r"  (-\w, )?--", line)]
    assert len(rows) == len(re.findall(r"^\| `(?:-\w, )?--", there, re.MULTILINE))
    for row in rows:
        declared, says = re.split(r" {2,}", row.strip(), maxsplit=1)
        assert f"| `{declared}` | " in there
        assert says in there
    purpose = printed.split("\n\n")[1]
    assert purpose.replace("\n", " ") in there


@pytest.mark.parametrize("path", PATHS)
def test_keys_variables_and_examples_stand_there(text: str, path: tuple[str, ...]) -> None:
    there = section(text, path)
    for key, option in configurable(LEAVES[path]).items():
        assert f"| `{key}` | `{option.envvar}` |" in there
    for example in examples(LEAVES[path]):
        assert f"\nkaggleprice {example}".rstrip() + "\n" in there


def test_every_exit_code_stands_there(text: str) -> None:
    codes = {e.exit_code for e in vars(errors).values() if hasattr(e, "exit_code")}
    table = re.findall(r"^\| (\d+) \| \S", text.split("## Exit codes")[1], re.MULTILINE)
    assert sorted(map(int, table)) == sorted({0, 130, *codes})


def test_the_example_file_is_one(text: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "kaggleprice.toml"
    path.write_text(block, encoding="utf-8")
    assert tomllib.loads(block)["predict"]
    root: Any = typer.main.get_command(program.app)
    context = root.commands["cv"].make_context(
        "cv", ["--config", str(path)], parent=typer.Context(root)
    )
    assert context.params["hidden"] == (128, 64)
    assert context.params["dropout"] == ((0.3,), (0.1, 0.2))
