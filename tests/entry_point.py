"""Run `kaggleprice ARGUMENTS` in a process of its own.

A server process imports everything once and forks for each command: real arguments, working
folder, environment, file descriptors and exit code, at a tenth of the price. The installed script
runs in its place where a test asks for a fresh process, and on systems other than Linux.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import pkgutil
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import kaggleprice

SCRIPT = Path(sysconfig.get_path("scripts")) / "kaggleprice"
TINY = shlex.split("--portfolio none --epochs 1 --seeds 1 --k 2 --hidden 8 --threads 1")
_SECONDS, _SECONDS_FRESH = 120, 600
# pytest's variable of the test that runs.
_TEST = "PYTEST_CURRENT_TEST"
# Events of `sys.addaudithook` that change files, beside opening one to write.
_CHANGES = {
    f"os.{name}"
    for name in ("rename", "remove", "rmdir", "mkdir", "link", "symlink", "truncate", "utime")
}
# What the commands import beside this package, so that no child has to.
_IMPORTED = shlex.split("""
torch._dynamo sklearn.impute sklearn.ensemble sklearn.inspection sklearn.linear_model scipy.stats
matplotlib.figure matplotlib.backends.backend_agg matplotlib.backends.backend_svg jinja2
pandas.io.formats.csvs pyarrow.pandas_compat pydantic.dataclasses typer._adapters
encodings.unicode_escape encodings.utf_8_sig resource
multiprocessing.dummy multiprocessing.pool
""")


@dataclass(frozen=True)
class Finished:
    """What a finished command left: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON; fails where anything else stands there."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one sentence that ends stderr of a failed command, without `error: `."""
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self.err
        assert self.err.splitlines()[-1] == errors[0], self.err
        assert errors[0].endswith((".", "?")), errors[0]
        assert "Traceback" not in self.err + self.out
        return errors[0].removeprefix("error: ")


class EntryPoint:
    """Runs commands; `close` ends the server."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._server: subprocess.Popen[str] | None = None

    def __call__(
        self,
        *arguments: str | Path,
        cwd: Path,
        fresh: bool = False,
        stdout: str = "",
        stderr: str = "",
        interrupt: int = 0,
        at: tuple[int, int] | None = None,
        **environment: str,
    ) -> Finished:
        """Run a command in `cwd` to its end.

        Args:
            arguments: what follows `kaggleprice`.
            cwd: the working folder.
            fresh: run the installed script, in a process that has imported nothing.
            stdout: a file or terminal to print to, "|" for a pipe whose reader has gone, "-" for a
                stream that is closed; only on Linux, and not in a fresh process.
            stderr: likewise.
            interrupt: the signal to send as soon as the command trains; likewise.
            at: the signal that the command sends itself, after the number of the change to files
                below `cwd`, counted from 1, that it comes before; 0 counts them; likewise.
            environment: variables to set.
        """
        given = [str(argument) for argument in arguments]
        environment |= {name: os.environ[name] for name in [_TEST] if name in os.environ}
        if fresh or sys.platform != "linux":
            return _run_script(given, cwd, environment)
        out, err = self._scratch / "stdout", self._scratch / "stderr"
        for path in (out, err):
            path.write_bytes(b"")
        streams = [stdout or str(out), stderr or str(err)]
        code = self._ask(json.dumps([interrupt, at, given, str(cwd), environment, *streams]))
        return Finished(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def _ask(self, request: str) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(request + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.communicate()


def _run_script(arguments: list[str], cwd: Path, environment: dict[str, str]) -> Finished:
    done = subprocess.run(
        [SCRIPT, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_SECONDS_FRESH,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def load_everything() -> None:
    """Import all that commands need, so that no child of this process has to."""
    own = (module.name for module in pkgutil.walk_packages(kaggleprice.__path__, "kaggleprice."))
    for name in [*_IMPORTED, *own]:
        if name != "kaggleprice.__main__":
            import_module(name)
    _prepare()
    # What is made up to here is no child's to collect, which would copy the memory that holds it.
    gc.collect()
    gc.freeze()


def _serve() -> None:
    """Answer each request, a line of JSON, with the exit code of the command."""
    load_everything()
    for line in sys.stdin:
        interrupt, at, *request = json.loads(line)
        child = os.fork()
        if child == 0:
            if at is not None:
                _signal_at(*at, Path(request[1]))
            become(*request)
        if interrupt:
            _send(interrupt, child, Path(request[1]), Path(request[-1]))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _prepare() -> None:
    """Make what every child would make first: click's commands, pydantic's schemas."""
    from kaggleprice.cli import program
    from kaggleprice.runs.run import Run
    from kaggleprice.settings.run import OPTIONS

    program.command()
    for setting in OPTIONS.values():
        if setting.default is not None:
            setting.parse(setting.default)
    Run.read(Path(__file__).parent / "runs/golden/schema-2/sample/golden")


def _send(number: int, child: int, cwd: Path, stderr: Path) -> None:
    """Send a signal to a command that is training, once it has kept something, if it does soon."""
    deadline = time.monotonic() + _SECONDS
    while "training on" not in stderr.read_text(encoding="utf-8"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    # Workers of a cluster have to start first.
    cluster = "joined a Ray cluster" in stderr.read_text(encoding="utf-8")
    deadline = time.monotonic() + (30.0 if cluster else 1.0)
    while time.monotonic() < deadline and not _has_kept(cwd):
        time.sleep(0.05)
    os.kill(child, number)


def _has_kept(cwd: Path) -> bool:
    try:
        return any(cwd.rglob(".unfinished-*/*.safetensors"))
    except OSError:
        # A folder went while it was looked into.
        return False


def _signal_at(number: int, code: int, cwd: Path) -> None:
    """Send this process a signal before a change to files below a folder; or count changes."""
    count = itertools.count(1)

    def hear(event: str, given: tuple[Any, ...]) -> None:
        if event not in _CHANGES and not (event == "open" and _writes(given)):
            return
        if not isinstance(given[0], str | bytes | os.PathLike):
            return
        if not (cwd / os.fsdecode(given[0])).is_relative_to(cwd):
            return
        current = next(count)
        if not number:
            print(f"change {current}: {event} {given[0]!r}", file=sys.stderr)
        elif current == number:
            os.kill(os.getpid(), code)

    sys.addaudithook(hear)


def _writes(given: tuple[Any, ...]) -> bool:
    _, mode, flags = given
    return bool(set(mode or "") & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR))


def _count_for(test: str) -> None:
    """Let coverage, where it measures this process, know which test runs the command."""
    coverage = sys.modules.get("coverage")
    if test and coverage is not None and (measuring := coverage.Coverage.current()) is not None:
        measuring.switch_context(f"{test}|run")


def become(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Be the command, and end with its code. What is not SystemExit ends with a traceback."""
    from kaggleprice.cli import main

    _count_for(env.get(_TEST, "").partition(" (")[0])
    signal.alarm(_SECONDS)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.update(env)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path, stream in [(out, sys.stdout), (err, sys.stderr)]:
        if path == "-":
            # As the interpreter starts where the shell says `>&-`.
            os.close(stream.fileno())
            setattr(sys, "stdout" if stream is sys.stdout else "stderr", None)
            continue
        if path == "|":
            reading, opened = os.pipe()
            os.close(reading)
        else:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        number, name = (1, "stdout") if stream is sys.stdout else (2, "stderr")
        os.dup2(opened, number)
        # As the interpreter makes them, which never saw the server's own streams.
        by_line = number == 2 or os.isatty(number)
        encoding = env.get("PYTHONIOENCODING", "utf-8")
        buffering = 1 if by_line else -1
        made = open(number, "w", buffering, encoding)  # noqa: PTH123, SIM115
        setattr(sys, name, made)
    sys.argv = ["kaggleprice", *arguments]
    try:
        main()
    except SystemExit as ended:
        # As the interpreter does, which would also spend a second on freeing torch.
        code = ended.code if isinstance(ended.code, int) else 0
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = 120
        os._exit(code)


if __name__ == "__main__":
    _serve()
