"""Help: complete, teaching, sane at any width, instant; and what a slip is told."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import typer

from kaggleprice import cli
from kaggleprice.cli import program
from kaggleprice.cli.config_file import leaves
from kaggleprice.cli.help import long_name
from kaggleprice.settings.model import MODELS

HEAVY = {"numpy", "pandas", "scipy", "sklearn", "torch", "safetensors", "pooch", "requests"}
HEAVY |= {"rich", "pydantic"}
ROOT: Any = typer.main.get_command(program.app)


# Every command that does something, by the words that name it.
LEAVES = {tuple(path.split()): command for path, command in leaves(ROOT)}
PATHS = [pytest.param(path, id=" ".join(path)) for path in LEAVES]


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)
    assert exited.value.code == code
    return capsys.readouterr()


def examples(command: Any) -> list[str]:
    return re.findall(r"\[bold\]kaggleprice ?(.*?)\[/\]", command.epilog or "")


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("path", PATHS)
def test_each_option_has_a_line_with_its_default(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    path: tuple[str, ...],
    flag: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    shown = run(capsys, *path, flag)
    assert shown.err == ""
    assert shown.out.startswith(f"Usage: kaggleprice {' '.join(path)} ")
    lines = [line.strip() for line in shown.out.splitlines()]
    for parameter in LEAVES[path].params:
        if parameter.param_type_name != "option":
            assert any(line.startswith(str(parameter.metavar or "")) for line in lines)
            continue
        (line,) = [x for x in lines if re.match(rf"(-\w, )?--{long_name(parameter)}[ /]", x)]
        assert line.count("  ") >= 1, f"{line} says nothing"
        switch = parameter.is_flag and not parameter.secondary_opts
        always = "default: " in line or parameter.required or parameter.multiple
        if path[0] in ("cv", "predict", "preprocess", "download"):
            assert switch or always or parameter.name == "add_seeds", f"{line} names no default"


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("path", [pytest.param((), id="all"), *PATHS])
def test_no_line_is_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    path: tuple[str, ...],
    width: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(capsys, *path, "--help").out.splitlines()
    assert not [line for line in lines if len(line) > width]
    # Descriptions have at least half of the line: long names stand above them.
    starts = [len(line) - len(line.lstrip()) for line in lines if line.startswith(" " * 6)]
    assert max(starts, default=0) <= width / 2


@pytest.mark.parametrize("path", PATHS)
def test_two_examples_each_on_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = run(capsys, *path, "--help").out.splitlines()
    assert len(examples(LEAVES[path])) >= 2
    for example in examples(LEAVES[path]):
        whole = f"kaggleprice {example}".strip()
        assert len(f"Examples: {whole}") <= 80
        assert [x for x in lines if x.removeprefix("Examples:").strip() == whole]


@pytest.mark.parametrize("path", PATHS)
def test_every_example_is_of_its_command_and_parses(path: tuple[str, ...]) -> None:
    for example in examples(LEAVES[path]):
        words = tuple(example.split())
        named = words[: len(path)] == path
        assert named or words[: len(path) - 1] == path[:-1], example
        rest = list(words[len(path) if named else len(path) - 1 :])
        LEAVES[path].make_context(path[-1], rest, parent=typer.Context(ROOT))


def loaded(arguments: list[str], **more: Any) -> set[str]:
    """The packages that a command has loaded when it ends; it prints something."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"from kaggleprice.cli import main\nmain({arguments!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, **more
    )
    assert done.stdout.split()
    modules = {name.split(".")[0] for name in done.stderr.split()}
    assert "kaggleprice" in modules
    return modules


@pytest.mark.parametrize("arguments", [["--help"], ["cv", "--help"], ["config"]], ids=str)
def test_help_is_light(arguments: list[str]) -> None:
    """Not even rich, which alone would take as long as all the rest; but for a table."""
    allowed = {"rich", "pydantic"} if arguments == ["config"] else set()
    assert not loaded(arguments) & (HEAVY - allowed)


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["--help"]], ids=" ".join)
def test_alone_it_shows_every_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    shown = run(capsys, *arguments).out
    for name in ROOT.commands:
        assert re.search(rf"^  {name}  +\S", shown, re.MULTILINE)
    assert "kaggleprice.toml" in shown


def test_help_of_a_command_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "help", "cv").out == run(capsys, "cv", "--help").out


# Slips.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("cv --epoch 3", "No such option: --epoch; did you mean --epochs?"),
        ("cv -lr 0.1", "No such option: -lr; did you mean --lr?"),
        ("cv --weight_decay 0", "No such option: --weight_decay; did you mean --weight-decay?"),
        (
            "download --head 3",
            "No such option: --head of `kaggleprice download`; `kaggleprice preprocess` has it.",
        ),
        (
            "--lr 0.1 cv",
            "No such option: --lr; it stands after a command, as in `kaggleprice cv --lr`.",
        ),
        (
            "cv --xyzzy",
            "No such option: --xyzzy; `kaggleprice cv --help` lists those there are.",
        ),
        ("cv --k two", "--k takes a whole number from 2; found 'two'."),
        ("cv --threads two", "--threads takes a whole number from 1 up to 1024; found 'two'."),
        ("preprocess --head -3", "--head takes a whole number from 0; found '-3'."),
        (
            "predict mlp-001",
            "unexpected argument 'mlp-001' after `kaggleprice predict`; "
            "`kaggleprice predict --help` says what it takes.",
        ),
        (
            "cv epochs=3",
            "unexpected argument 'epochs=3' after `kaggleprice cv`; did you mean --epochs?",
        ),
        ("cv --lr", "Option '--lr' requires an argument."),
        (
            "cv --dropout 0.3/2",
            "--dropout takes numbers from 0 and below 1, as in 0.3 or 0.3/0.1,0.2; found '0.3/2'.",
        ),
        (
            "cv --base-models none,ridge",
            "unknown value 'none' of --base-models; there are: boosting, catboost, lightgbm, "
            "ridge, svm, trees.",
        ),
        (
            "cv --model mpl",
            f"value 'mpl' of --model; there are: {', '.join(sorted(MODELS))}. Did you mean 'mlp'?",
        ),
        ("config --command cvv", "Did you mean 'cv'?"),
        ("predcit", "Did you mean 'predict'?"),
    ],
)
def test_a_slip(capsys: pytest.CaptureFixture[str], arguments: str, sentence: str) -> None:
    shown = run(capsys, *arguments.split(), code=2)
    assert shown.out == ""
    # The library is loaded with a sign of life, where a slip shows only then.
    assert shown.err.splitlines()[-1].endswith(sentence)
    assert shown.err.count("error: ") == 1
