"""The console script's `main`, run in a process of its own without importing torch each time.

A server process imports everything once and forks for each command: real arguments, working
folder, environment, file descriptors and exit code, at a tenth of the price. Elsewhere
than on Linux the installed script runs instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(sysconfig.get_path("scripts")) / "kaggleprice"
TINY = ["--epochs", "1", "--seeds", "1", "--k", "2", "--hidden", "8", "--threads", "1"]
_SECONDS = 120


@dataclass(frozen=True)
class Finished:
    """What a finished command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON: fails where anything else stands there."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one sentence that a failed command says last, held to its form."""
        said = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(said) == 1, self.err
        assert self.err.splitlines()[-1] == said[0], self.err
        assert said[0].endswith((".", "?")), said[0]
        assert "Traceback" not in self.err
        assert "Traceback" not in self.out
        return said[0].removeprefix("error: ")


class EntryPoint:
    """Runs `kaggleprice ARGUMENTS`."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._server: subprocess.Popen[str] | None = None

    def __call__(
        self,
        *arguments: str | Path,
        cwd: Path,
        stdout: str = "",
        stderr: str = "",
        interrupt: int = 0,
        **environment: str,
    ) -> Finished:
        """Run a command in `cwd` to its end.

        Args:
            arguments: what follows `kaggleprice`.
            cwd: the working folder.
            stdout: a file or terminal to print to, "|" for a pipe whose reader has gone, "-" for a
                stream that is closed; only on Linux.
            stderr: likewise.
            interrupt: the signal to send as soon as the command trains; only on Linux.
            environment: variables to set.
        """
        given = [str(argument) for argument in arguments]
        out, err = self._scratch / "stdout", self._scratch / "stderr"
        for path in (out, err):
            path.write_bytes(b"")
        if sys.platform == "linux":  # forking a process with torch in it is safe here
            streams = [stdout or str(out), stderr or str(err)]
            request = [interrupt, given, str(cwd), environment, *streams]
            code = self._ask(json.dumps(request))
        else:
            with out.open("wb") as output, err.open("wb") as errors:
                code = subprocess.run(
                    [SCRIPT, *given],
                    cwd=cwd,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    timeout=_SECONDS,
                    check=False,
                ).returncode
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


def _serve() -> None:
    """Answer each request, a line of JSON, with the exit code of the command."""
    # What the commands import, so that no child has to.
    import sklearn.impute  # noqa: F401
    import torch._dynamo  # noqa: F401

    import kaggleprice.cli.views.cv
    import kaggleprice.cli.views.predict  # noqa: F401

    for line in sys.stdin:
        interrupt, *request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(*request)
        if interrupt:
            _send(interrupt, child, Path(request[-1]))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _send(number: int, child: int, stderr: Path) -> None:
    """Send a signal to a command that is training."""
    while "training on" not in stderr.read_text(encoding="utf-8"):
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(child, number)


def _become(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Be the command, and end with its code. What is not SystemExit ends with a traceback."""
    from kaggleprice.cli import main

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
