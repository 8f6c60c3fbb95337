"""Starting up: whole commands against a typer app with the same options and empty bodies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import typer

from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.ratios import Timer, alternate, timed
from benchmarks.speeds.results import Line, Outcome, Reach, Table, at_most
from benchmarks.speeds.twin import source
from kaggleprice.cli.program import app
from kaggleprice.core.errors import RunError

TITLE = "Starting up"
MEANING = (
    "Whole processes, from the start of Python to its end. The typer app is generated: the same "
    "commands, options and texts, nothing done in them; *plain* has typer's help without rich. "
    "Both are started by a script like the one that pip installs."
)
HEAVY = ("torch", "pandas", "sklearn", "numpy", "scipy")
COMMANDS: dict[str, tuple[list[str], Reach | None]] = {
    "--version": (["--version"], None),
    "--help": (["--help"], at_most(1.15)),
    "cv --help": (["cv", "--help"], at_most(1.15)),
}
LEAST_PAIRS = 10
_SMALL = ["--portfolio", "none", "--k", "2", "--seeds", "1", "--epochs", "1", "--hidden", "8"]
CV = ["cv", "--competition", "sample", "--no-config", "--quiet", *_SMALL]
PREDICT = ["predict", "--competition", "sample", "--no-config", "--quiet"]
LIBRARIES, FEWER = "import torch, pandas, sklearn", "import torch, pandas"


def measure(effort: Effort) -> Outcome:
    """Time the commands, and see what they load."""
    pairs = effort.pairs if effort.quick else max(effort.pairs, LEAST_PAIRS)
    commands = {n: c for n, c in COMMANDS.items() if n == "cv --help" or not effort.quick}
    with tempfile.TemporaryDirectory(prefix="kaggleprice-speed-") as name:
        folder = Path(name)
        ours = script(folder, "ours", "from kaggleprice.cli import main as app")
        twins = {kind: twin(folder, kind) for kind in ("typer", "plain typer")}
        outcome = Outcome()

        def add(line: Line) -> None:
            outcome.lines.append(line)
            say(str(line))

        for command, (arguments, reach) in commands.items():
            own = process([ours, *arguments], folder)
            for kind, path in twins.items():
                base = process([path, *arguments], folder)
                against = f"a {kind} app with the same options"
                ratio = alternate(base, own, pairs, warm=not effort.quick).costs()
                add(Line(f"kaggleprice {command}", against, "times the seconds", ratio, 1, reach))
        rows = [[f"kaggleprice {c}", loads(arguments)] for c, (arguments, _) in commands.items()]
        outcome.tables.append(Table(f"Loaded of {', '.join(HEAVY)}", ["command", "loaded"], rows))
        own = process([ours, *CV], folder)
        base = process(["-c", LIBRARIES], folder)
        ratio = alternate(base, own, effort.pairs, warm=not effort.quick).costs()
        what, threads = "kaggleprice cv, one epoch of 2 tiny networks", torch.get_num_threads()
        add(Line(what, f"`{LIBRARIES}`", "times the seconds", ratio, threads))
        # The run that `cv` left predicts.
        own, base = process([ours, *PREDICT], folder), process(["-c", FEWER], folder)
        ratio = alternate(base, own, effort.pairs, warm=not effort.quick).costs()
        what = "kaggleprice predict of that run, 300 rows"
        add(Line(what, f"`{FEWER}`", "times the seconds", ratio, threads))
    outcome.notes.append(
        "One epoch of two networks of 8 units on 600 rows is some hundredths of a second: what "
        "`cv` takes beside it is what it takes beside any training."
    )
    return outcome


def script(folder: Path, name: str, imports: str) -> str:
    """Write a script like the one that pip makes; return its path."""
    # Not the name of a module: a script's folder comes first where modules are looked for.
    path = folder / f"start-{name}.py"
    path.write_text(f"import sys\n{imports}\nsys.exit(app())\n", encoding="utf-8")
    return str(path)


def twin(folder: Path, kind: str) -> str:
    """Write the typer app beside a script that imports it, as an installed one is imported."""
    module = kind.replace(" ", "_") + "_app"
    text = source(typer.main.get_command(app), rich=kind == "typer")
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return script(folder, module, f"from {module} import app")


def process(arguments: Sequence[str], folder: Path) -> Timer:
    """Return the timer of a Python process; a run that fails is an error."""

    def work() -> None:
        run([sys.executable, *arguments], folder)

    return timed(work)


def run(command: Sequence[str], folder: Path) -> str:
    """Run a command to its end; return what it said on stdout.

    Raises:
        RunError: where it fails.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={n: v for n, v in os.environ.items() if not n.startswith("KAGGLEPRICE_")},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunError(f"{' '.join(command[1:])} ended with {done.returncode}: {last.rstrip('.')}.")
    return done.stdout


def loads(arguments: Sequence[str]) -> str:
    """Return which heavy libraries a command loads, in one line; `none` is what should be."""
    program = (
        "import sys\n"
        "from kaggleprice.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "except SystemExit:\n"
        f"    print('loaded', *[n for n in {HEAVY!r} if n in sys.modules])\n"
    )
    said = run([sys.executable, "-c", program], Path.cwd()).splitlines()[-1]
    return said.removeprefix("loaded").strip() or "none"
