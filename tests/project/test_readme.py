"""README is true: its commands parse, its blocks run, its tables are those that were measured."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from entry_point import SCRIPT, EntryPoint
from suite import SUITE, needs_suite

from benchmarks import peers, presets, suite
from kaggleprice.cli.program import app
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.core import errors
from kaggleprice.settings.portfolio import PORTFOLIO
from kaggleprice.settings.run import DEFAULT_PRESET, PRESETS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
# Small networks that still pass every gate that README sets.
QUICK = {
    "KAGGLEPRICE_PRESET": "fast",
    "KAGGLEPRICE_PORTFOLIO": "smooth",
    "KAGGLEPRICE_EPOCHS": "6",
}

# Name that a test uses → language and first line of the blocks; `test_every_block_is_covered`.
COVERS: dict[str, tuple[str, str]] = {
    "the first commands": ("sh", "python3 -m venv"),
    "the first commands on Windows": ("bat", "py -m venv"),
    "commands": ("sh", "kaggleprice "),
    "transcript": ("console", "$ kaggleprice cv --k 5 --lr 0.01\n"),
    "configuration": ("toml", "# kaggleprice.toml\n"),
    "presets": ("toml", "# presets in kaggleprice.toml\n"),
    "transcript of another": ("console", "$ kaggleprice init"),
    "competition": ("toml", "# competition.toml\n"),
    "workflow": ("yaml", "# .github/workflows/"),
    "pipeline": ("yaml", "# dvc.yaml\n"),
    "makefile": ("make", "# Makefile\n"),
    "program": ("python", ""),
}


def blocks(cover: str) -> list[str]:
    """The blocks of README with this name in `COVERS`."""
    language, beginning = COVERS[cover]
    found = [text for name, text in BLOCKS if name == language and text.startswith(beginning)]
    assert found, f"README has no block of {cover}"
    return found


def commands() -> list[str]:
    """Every `kaggleprice ...` that README tells a person to type."""
    lines = [line for _, text in BLOCKS for line in text.splitlines()]
    found = [re.search(r"(?:^|[\s/\\])kaggleprice (\w.*)$", line) for line in lines]
    texts = [m.group(1) for m in found if m] + re.findall(r"`kaggleprice (\w[^`]*)`", README)
    typed = {re.sub(r"\s+#.*|\s*>.*", "", text).strip() for text in texts}
    return sorted(typed - {"COMMAND --help", "runs", "config"})


def test_every_block_is_covered() -> None:
    for language, text in BLOCKS:
        covers = [c for c, (name, _) in COVERS.items() if name == language]
        covers = [c for c in covers if text.startswith(COVERS[c][1])]
        assert len(covers) == 1, f"{covers or 'no test'} for the block\n```{language}\n{text}"


def test_first_screen_has_exactly_the_two_commands() -> None:
    (text,) = blocks("the first commands")
    install = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt "
    assert text.splitlines() == [
        install + ". && .venv/bin/kaggleprice predict --competition sample",
        install + '".[test]" && .venv/bin/pytest',
    ]
    (windows,) = blocks("the first commands on Windows")
    there = windows.replace("py -m venv", "python3 -m venv").replace("Scripts\\", "bin\\")
    assert there.replace("\\", "/") == text


def test_there_are_commands() -> None:
    assert {"cv --k 5 --lr 0.01", "predict", "predict --competition sample"} <= set(commands())
    for text in blocks("commands"):
        lines = text.splitlines()
        assert all(line.startswith("kaggleprice ") for line in lines), lines


@pytest.mark.parametrize("command", commands())
def test_every_command_parses(command: str) -> None:
    if command == "--install-completion":
        return
    group: Any = typer.main.get_command(app)
    words, parents = shlex.split(command), []
    while words and hasattr(group, "commands"):
        with typer.Context(group, parent=parents[-1] if parents else None) as context:
            subcommand = group.get_command(context, words[0])
        assert subcommand is not None, words
        parents.append(context)
        group, words = subcommand, words[1:]
    group.make_context(group.name, words, parent=parents[-1])


def test_configuration_block_is_one(tmp_path: Path) -> None:
    (text,) = blocks("configuration")
    (tmp_path / "kaggleprice.toml").write_text(text, encoding="utf-8")
    shown = shell(tmp_path, "kaggleprice config --command predict --json 2> /dev/null")
    values = {option["option"]: option for option in json.loads(shown)["options"]}
    assert values["hidden"]["value"] == [128, 64]
    assert values["output"]["value"] == "best.csv"
    assert values["preset"]["source"] == "file"


def test_presets_block_is_one(entry: EntryPoint, tmp_path: Path) -> None:
    (text,) = blocks("presets")
    (tmp_path / "kaggleprice.toml").write_text(text, encoding="utf-8")
    shown = entry("config", "--preset", "mine", "--json", cwd=tmp_path)
    assert shown.code == 0, shown.err
    found = {option["option"]: option["value"] for option in shown.json["options"]}
    assert (found["portfolio"], found["seeds"]) == (["calm", "broad"], 2)


def test_competition_block_is_one(tmp_path: Path) -> None:
    (text,) = blocks("competition")
    path = tmp_path / "competition.toml"
    path.write_text(text, encoding="utf-8")
    competition = read_competition(path)
    assert (competition.name, competition.target_transform) == ("bike-sharing", "log1p")
    assert competition.train.path == tmp_path / "train.csv"


@pytest.mark.parametrize("text", blocks("program"))
def test_python_blocks_run(
    tmp_path: Path,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "README.md", "exec"), {})  # noqa: S102
    assert 0.1 < float(capsys.readouterr().out.split()[-1]) < 0.4


def shell(folder: Path, line: str, code: int = 0, **environment: str) -> str:
    """Run a line in a shell in a folder; return stdout, then stderr."""
    bash = shutil.which("bash")
    assert bash is not None
    path = os.pathsep.join([str(SCRIPT.parent), os.environ["PATH"]])
    done = subprocess.run(
        [bash, "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == code, f"{line}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def project(real_data: Path, tmp_path: Path) -> Path:
    """A folder with the real files where `kaggleprice download` puts them, and a configuration."""
    folder = tmp_path / "data" / "house-prices"
    folder.mkdir(parents=True)
    for role in ("train", "test"):
        shutil.copy(real_data / f"kaggle_house_pred_{role}.csv", folder / f"{role}.csv")
    (tmp_path / "kaggleprice.toml").write_text('competition = "house-prices"\n', encoding="utf-8")
    return tmp_path


def test_workflow_runs(project: Path) -> None:
    """Each step that runs kaggleprice, on the real files, with small networks."""
    (text,) = blocks("workflow")
    (job,) = yaml.safe_load(text)["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert steps[0].startswith("pip install -c constraints.txt")
    for step in steps[1:]:
        shell(project, step, GITHUB_STEP_SUMMARY=str(project / "summary.md"), **QUICK)
    uploaded = job["steps"][-1]["with"]["path"].split("\n")
    assert all(list(project.glob(name)) for name in uploaded), uploaded
    assert "pooled" in (project / "summary.md").read_text(encoding="utf-8")
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)


def test_makefile_runs(project: Path) -> None:
    (text,) = blocks("makefile")
    (project / "Makefile").write_text(text, encoding="utf-8")
    shell(project, "make", **QUICK)
    assert (project / "submission.csv").is_file()
    # Nothing is done twice.
    assert "is up to date" in shell(project, "make", **QUICK)
    # A gate that is missed leaves no cv.json that would count as made.
    (project / "cv.json").unlink()
    bad = {"KAGGLEPRICE_EPOCHS": "1", "KAGGLEPRICE_LR": "0.0001"}
    missed = shell(project, "make cv.json", code=2, **{**QUICK, **bad})
    assert "--fail-above 0.14" in missed
    assert not (project / "cv.json").exists()


def test_pipeline_runs(project: Path) -> None:
    """What DVC does, without DVC: the stages in their order, and the files that they name."""
    (text,) = blocks("pipeline")
    stages = yaml.safe_load(text)["stages"]
    for stage in stages.values():
        assert all((project / name).exists() for name in stage.get("deps", []))
        listed = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
        for command in listed:
            shell(project, command, **QUICK)
        metrics = [next(iter(metric)) for metric in stage.get("metrics", [])]
        assert all((project / name).exists() for name in [*stage["outs"], *metrics])


def test_exit_codes_are_those_of_the_errors() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.KagglePriceError)
    }
    assert listed == raised | {0, 130, 143}


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


def test_suite_table_is_what_was_measured() -> None:
    files = ("suite.jsonl", "suite-1-thread.jsonl")
    found = suite.read_results([Path(suite.__file__).with_name(file) for file in files])
    methods, seeds = [*suite.PEERS, "default", "best"], suite.FOLD_SEEDS
    assert marked("suite") == suite.overview(suite.compare(found, suite.CASES, methods, seeds))
    assert marked("tune") == suite.gains(found, suite.CASES, ["tune", "default"], 0)


# A row of a table: a label, then numbers. Progress lines and sentences are none.
ROW = re.compile(r"^ *(\w+)((?: +-?[\d,]+\.?\d*)+)$")
RULE = re.compile(r"^ *─+$")
POOLED = re.compile(r"^pooled out-of-fold .*?: ([\d.]+)")


def effort(part: float) -> pytest.MarkDecorator:
    """Run with a part of the training time; with all of it where slow tests are asked for.

    How close numbers are to the transcript's depends on it.
    """
    # Another machine's rounding moves networks, and scores in their third digit.
    whole = pytest.param(1.0, 0.05, id="all of it", marks=pytest.mark.slow)
    few = pytest.param(part, 0.25, id="a part of it")
    return pytest.mark.parametrize(("budget", "within"), [few, whole])


def number(text: str) -> float:
    return float(text.replace(",", ""))


def figures(shown: str) -> tuple[list[list[str]], dict[str, list[float]]]:
    """The columns of each table, and the numbers of each row and of the pooled score.

    Of a part of the portfolio what it scores alone: its weight is found in steps.
    """
    lines = shown.splitlines()
    heads = [lines[i - 1].split() for i, line in enumerate(lines) if RULE.match(line)]
    rows = {m[1]: [number(n) for n in m[2].split()] for m in map(ROW.match, lines) if m}
    pooled = [number(m[1]) for m in map(POOLED.match, lines) if m]
    parts = {name: rows[name][1:2] for name in PORTFOLIO if name in rows}
    return heads, {**rows, **parts, "pooled": pooled}


def transcribed(
    cover: str, entry: EntryPoint, folder: Path, budget: float, **environment: str
) -> tuple[str, str]:
    """What README says that the commands of a transcript print, and what they do print."""
    (transcript,) = blocks(cover)
    shown = ""
    for command in re.findall(r"^\$ kaggleprice (.*)$", transcript, flags=re.MULTILINE):
        preset = re.search(r"--preset (\w+)", command)
        own = PRESETS[preset[1] if preset else DEFAULT_PRESET].settings.training.budget
        environment["KAGGLEPRICE_BUDGET"] = str(budget * own)
        done = entry(*shlex.split(command), cwd=folder, COLUMNS="80", **environment)
        assert done.code == 0, done.err
        assert max(map(len, done.out.splitlines())) <= 80
        shown += done.out
    return transcript, shown


@effort(0.08)
def test_transcript_has_the_shape_of_what_is_printed(
    real_data: Path, tmp_path: Path, entry: EntryPoint, budget: float, within: float
) -> None:
    """Its commands run; they print the same tables with the same rows, and about the same scores.

    Sentences are not compared: they may be improved without a change here.
    """
    environment = {"KAGGLEPRICE_DATA_DIR": str(real_data)}
    transcript, shown = transcribed("transcript", entry, tmp_path, budget, **environment)
    (heads, rows), (heads_written, rows_written) = figures(shown), figures(transcript)
    assert heads == heads_written
    assert len(heads) == 3
    assert list(rows) == list(rows_written)
    assert {"1", "5", "mean", "sd", "all", "1461", "pooled"} <= set(rows)
    assert len(set(PORTFOLIO) & set(rows)) > 1
    for label, found in rows.items():
        # Less training brings the rows that are trained on less close.
        own = slice(1, 2) if budget < 1 and label in {*"12345", "mean"} else slice(None)
        close = pytest.approx(rows_written[label][own], rel=within, abs=0.003)
        assert found[own] == close, label
    submission = (tmp_path / "submission.csv").read_text(encoding="utf-8").splitlines()
    assert len(submission) == 1 + 1459
    assert (tmp_path / re.findall(r"saved as run mlp-001 in (\S+)", transcript)[0]).is_dir()


@needs_suite
@effort(0.25)
def test_the_walk_through_another_competition(
    tmp_path: Path, entry: EntryPoint, budget: float, within: float
) -> None:
    """Three commands from two files: the same guesses and tables, and about the same scores."""
    folder = tmp_path / "bike-sharing"
    folder.mkdir()
    for name in ("train.csv", "test.csv"):
        (folder / name).symlink_to(SUITE / "bike-sharing" / name)
    transcript, shown = transcribed("transcript of another", entry, folder, budget)
    (heads, rows), (heads_written, rows_written) = figures(shown), figures(transcript)
    assert heads == heads_written
    assert list(rows) == list(rows_written)
    for label in ("1", "5", "mean", "pooled"):
        own = slice(1, 2) if budget < 1 and label != "pooled" else slice(None)
        close = pytest.approx(rows_written[label][own], rel=within, abs=0.003)
        assert rows[label][own] == close, label
    submission = (folder / "submission.csv").read_text(encoding="utf-8").splitlines()
    assert len(submission) == 1 + 2860
