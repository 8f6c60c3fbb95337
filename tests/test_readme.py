"""README says what is so: its commands parse, its blocks run, its numbers are measured."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from benchmarks import peers, presets
from kaggleprice import errors
from kaggleprice.cli import app
from kaggleprice.competitions import read_competition

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def commands() -> list[str]:
    """Every `kaggleprice ...` that README tells a person to type."""
    lines = [line for _, text in BLOCKS for line in text.splitlines()]
    found = [re.search(r"(?:^|[\s/\\])kaggleprice (\w.*)$", line) for line in lines]
    texts = [m.group(1) for m in found if m] + re.findall(r"`kaggleprice (\w[^`]*)`", README)
    return sorted(
        {re.sub(r"\s+#.*|\s*>.*", "", text).strip() for text in texts} - {"COMMAND --help"}
    )


def test_first_screen_has_exactly_the_two_commands() -> None:
    lines = blocks("sh")[0].splitlines()
    install = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt "
    assert lines == [
        install + ". && .venv/bin/kaggleprice predict --competition sample",
        install + '".[test]" && .venv/bin/pytest',
    ]


def test_there_are_commands() -> None:
    assert {"cv --k 5 --lr 0.01", "predict", "predict --competition sample"} <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_every_command_parses(command: str) -> None:
    name, *arguments = shlex.split(command)
    group = typer.main.get_command(app)
    with typer.Context(group) as context:
        subcommand = group.get_command(context, name)
        assert subcommand is not None, name
        subcommand.make_context(name, arguments, parent=context)


def test_toml_block_is_a_competition(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    path = tmp_path / "bike-sharing.toml"
    path.write_text(text, encoding="utf-8")
    competition = read_competition(path)
    assert (competition.name, competition.target_transform) == ("bike-sharing", "log1p")
    assert competition.train.path == tmp_path / "train.csv"


def test_python_block_runs(tmp_path: Path) -> None:
    (text,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert 0.1 < float(done.stdout) < 0.4
    assert (tmp_path / "submission.csv").read_text().startswith("Id,SalePrice\n")


def test_exit_codes_are_those_of_the_errors() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.KagglePriceError)
    }
    # 5 and 6 are reserved: no command raises them yet.
    assert listed == (raised - {5, 6}) | {0, 130}


def marked(name: str) -> list[str]:
    """The lines between `<!-- name -->` and `<!-- /name -->`."""
    _, _, rest = README.partition(f"<!-- {name} -->\n")
    text, _, _ = rest.partition(f"<!-- /{name} -->")
    return text.splitlines()


def test_presets_table_is_what_was_measured() -> None:
    assert marked("presets") == presets.table()


def test_peers_table_is_what_was_measured() -> None:
    found = peers.measured(peers.FOLDER)
    measured = {seed for _, seed in found}
    assert set(peers.CONFIRMATION) <= measured
    assert marked("peers") == peers.table(found, peers.CONFIRMATION)


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README


def shown(label: str) -> float:
    found = re.search(rf"{label}: ([\d.]+)", README)
    assert found is not None, label
    return float(found.group(1))


def test_shown_scores_are_what_the_real_competition_gives(
    real_data: Path, tmp_path: Path, kaggleprice: Callable[..., object]
) -> None:
    """The card's two commands, by the real entry point, on the real files, twice."""
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    environment = {"KAGGLEPRICE_DATA_DIR": str(real_data), "OMP_NUM_THREADS": "2"}
    cv = kaggleprice(
        "cv", "--k", "5", "--lr", "0.01", "--json", cwd=tmp_path / "first", **environment
    )
    assert cv.code == 0, cv.err
    scores = cv.json["scores"]
    assert scores["fold_mean"] < 0.135
    # Another machine's rounding moves the networks a little, and the score in its third digit.
    assert scores["oof"] == pytest.approx(shown("pooled out-of-fold RMSE between logs"), abs=0.002)
    predict = kaggleprice("predict", "--json", cwd=tmp_path / "first", **environment)
    assert predict.code == 0, predict.err
    assert predict.json["run"] == cv.json["run"]
    # `predict` alone trains the same run, and everything it writes is the same.
    alone = kaggleprice("predict", "--json", cwd=tmp_path / "second", **environment)
    assert alone.code == 0, alone.err
    run = Path("runs") / "house-prices" / cv.json["run"]
    for name in ("oof.csv", "history.csv", "weights.safetensors", "submission.csv"):
        first, second = (tmp_path / folder / run / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), name
