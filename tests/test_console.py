"""The console: what a terminal, a pipe, a dumb terminal and a quiet user get."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator

import pytest
from rich.text import Text

from kaggleprice import console

ANSI = re.compile(r"\x1b\[")
COLOR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7]|38|48)[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[io.StringIO], io.StringIO]]:
    def use(stream: io.StringIO) -> io.StringIO:
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return use


Use = Callable[[io.StringIO], io.StringIO]


def test_a_pipe_gets_a_plain_line_every_five_seconds(clock: Clock, stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with console.Reporter() as reporter:
        for epoch in range(1, 11):
            reporter.advance("training", epoch, 10, f"RMSE {epoch}")
            clock.now += 2
    assert stream.getvalue().splitlines() == [
        "training: 4 of 10 epochs, RMSE 4, about 9 s left",
        "training: 7 of 10 epochs, RMSE 7, about 5 s left",
        "training: 10 of 10 epochs, RMSE 10",
    ]


def test_a_quick_stage_is_one_line(clock: Clock, stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with console.Reporter() as reporter:
        for epoch in range(1, 4):
            reporter.advance("training", epoch, 3)
    assert stream.getvalue() == "training: 3 of 3 epochs\n"


def test_nothing_to_do_is_no_crash(clock: Clock, stderr: Use) -> None:
    stderr(io.StringIO())
    with console.Reporter() as reporter:
        reporter.advance("training", 0, 0)


def test_a_notice_is_one_line_however_long(stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with console.Reporter() as reporter:
        reporter.notice("word " * 100 + "[bold]end[/]")
    assert stream.getvalue() == "word " * 100 + "[bold]end[/]\n"


def test_a_terminal_gets_bars_that_go_away(stderr: Use) -> None:
    stream = stderr(Terminal())
    with console.Reporter() as reporter:
        reporter.notice("before")
        for epoch in range(1, 4):
            reporter.advance("training", epoch, 3, "RMSE 0.5")
    text = stream.getvalue()
    assert "before" in text
    assert "3/3 epochs" in text
    assert "RMSE 0.5" in text
    assert "left" in text
    assert "training: " not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor comes back"


def test_bars_end_with_an_error(stderr: Use) -> None:
    stream = stderr(Terminal())

    def interrupted() -> None:
        with console.Reporter() as reporter:
            reporter.advance("training", 1, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "\x1b[?25h" in stream.getvalue()


def test_a_second_stage_has_a_bar_of_its_own(stderr: Use) -> None:
    stream = stderr(Terminal())
    with console.Reporter() as reporter:
        reporter.advance("training", 1, 1)
        reporter.advance("tuning", 2, 7)
    assert "1/1 epochs" in stream.getvalue()
    assert "2/7 epochs" in stream.getvalue()


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_lines(
    term: str, monkeypatch: pytest.MonkeyPatch, stderr: Use
) -> None:
    monkeypatch.setenv("TERM", term)
    stream = stderr(Terminal())
    with console.Reporter() as reporter:
        reporter.advance("training", 3, 3)
    assert stream.getvalue() == "training: 3 of 3 epochs\n"


def test_forced_colour_is_no_animation(monkeypatch: pytest.MonkeyPatch, stderr: Use) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = stderr(io.StringIO())
    with console.Reporter() as reporter:
        reporter.advance("training", 3, 3)
    assert stream.getvalue() == "training: 3 of 3 epochs\n"


def test_no_color(monkeypatch: pytest.MonkeyPatch, stderr: Use) -> None:
    stream = stderr(Terminal())
    console.print_error("it went wrong.")
    assert COLOR.search(stream.getvalue())
    monkeypatch.setenv("NO_COLOR", "1")
    stream = stderr(Terminal())
    console.print_error("it went wrong.")
    with console.Reporter() as reporter:
        reporter.advance("training", 1, 3)
    assert "it went wrong." in stream.getvalue()
    assert not COLOR.search(stream.getvalue())


def test_quiet_says_nothing(stderr: Use) -> None:
    for stream in (stderr(io.StringIO()), stderr(Terminal())):
        with console.Reporter(quiet=True) as reporter:
            reporter.notice("something")
            reporter.advance("training", 3, 3)
        assert stream.getvalue() == ""


def test_an_error_is_one_line_and_no_markup(stderr: Use) -> None:
    stream = stderr(io.StringIO())
    console.print_error("a file named [red]x[/].csv " + "is long " * 50)
    text = stream.getvalue()
    assert text.startswith("error: a file named [red]x[/].csv")
    assert text.count("\n") == 1
    assert not ANSI.search(text)


def test_results_go_to_stdout_without_codes(capsys: pytest.CaptureFixture[str]) -> None:
    console.results().print(Text("bold", style="bold red"))
    captured = capsys.readouterr()
    assert captured.out == "bold\n"
    assert captured.err == ""


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"a": "é", "b": [1.5, None]})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": "é", "b": [1.5, None]}
    assert out.isascii()
    with pytest.raises(ValueError, match="JSON"):
        console.print_json({"a": float("nan")})


def test_error_document() -> None:
    document = console.error_document("DataError", "x.", 3)
    assert document == {
        "schema_version": 1,
        "error": {"type": "DataError", "message": "x.", "exit_code": 3},
    }


def test_a_reporter_is_a_progress() -> None:
    from kaggleprice.progress import SILENT, Progress

    reporters: list[Progress] = [console.Reporter(), SILENT]
    SILENT.notice("x")
    SILENT.advance("training", 1, 2)
    for reporter in reporters:
        assert callable(reporter.notice)
