"""The console: what a terminal, a pipe, a dumb terminal and a quiet user get."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.console.displays import Stages, amount_text, duration_text
from kaggleprice.cli.console.printing import print_error, print_json, print_view
from kaggleprice.cli.console.reporting import Reporter
from kaggleprice.cli.documents import ErrorDetails
from kaggleprice.cli.views.config import ConfigDocument
from kaggleprice.core.errors import UnknownNameError, UsageError

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7]|38|48)[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Use = Callable[[io.StringIO], io.StringIO]


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Use:
    def use(stream: io.StringIO) -> io.StringIO:
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return use


# Plain lines.


Told = tuple[float, str, int, int | None, str, str]


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        pytest.param(
            [(2.0, "training", e, 14, f"RMSE {e}", "epochs") for e in range(15)],
            [
                "training: 3 of 14 epochs, RMSE 3, about 20 s left",
                "training: 8 of 14 epochs, RMSE 8, about 10 s left",
                "training: 13 of 14 epochs, RMSE 13, about 2 s left",
                "training: 14 of 14 epochs, RMSE 14, 30 s in all",
            ],
            id="first after 5 s, then every 10 s",
        ),
        pytest.param(
            [
                *[(1.0, "training", e, 3, "RMSE 1", "epochs") for e in range(4)],
                (0.9, "scoring", 0, None, "", ""),
            ],
            [],
            id="a quick stage says nothing",
        ),
        pytest.param(
            [
                (0, "reading", 0, 10, "", ""),
                (6.0, "training", 0, 3, "", "epochs"),
                (2.0, "training", 1, 3, "", "epochs"),
            ],
            ["reading: 0 of 10, 6 s in all"],
            id="a stage ends where the next begins",
        ),
        pytest.param(
            [
                (3.0, "downloading", done * 1_000_000, size * 1_000_000, name, "bytes")
                for name, size in [("train.csv", 5), ("test.csv", 3)]
                for done in range(1, size + 1)
            ],
            [
                "downloading: 3.0 of 5.0 MB, train.csv, about 6 s left",
                "downloading: 5.0 of 5.0 MB, train.csv, 15 s in all",
                "downloading: 3.0 of 3.0 MB, test.csv, 6 s in all",
            ],
            id="the next file is a stage of its own",
        ),
        pytest.param(
            [
                (0, "training", 50, 60, "", "epochs"),
                (4.9, "training", 51, 60, "", "epochs"),
                (5.0, "training", 52, 60, "", "epochs"),
                (1.0, "scoring", 0, None, "", ""),
            ],
            [
                "training: 52 of 60 epochs, about 40 s left",
                "training: 52 of 60 epochs, 10 s in all",
            ],
            id="what a checkpoint had is not counted as speed",
        ),
        pytest.param([(1.0, "training", 0, 0, "", "")] * 2, [], id="nothing to do"),
    ],
)
def test_plain_lines(told: list[Told], lines: list[str], clock: Clock, stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with Reporter(clock=clock) as reporter:
        for seconds, *stage in told:
            clock.now += seconds
            reporter.advance(*stage)
    assert stream.getvalue().splitlines() == lines


def test_a_long_step_does_not_look_dead(clock: Clock, stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with Reporter(clock=clock, verbose=True) as reporter:
        reporter.advance("scoring", 0, None, "out of fold")
        for _ in range(16):
            clock.now += 1
            reporter.beat()
    assert stream.getvalue().splitlines() == [
        "scoring: out of fold, 5 s so far",
        "scoring: out of fold, 15 s so far",
        "scoring: out of fold, 15 s in all",
        "scoring took 16.0 s",
    ]


# Amounts and durations.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (8.4, "8 s"),
        (33.0, "35 s"),
        (58.0, "1 min"),
        (133.0, "2 min 10 s"),
        (1000.0, "17 min"),
        (4790.0, "1 h 20 min"),
        (90000.0, "25 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ((9, 60, "epochs"), "9 of 60 epochs"),
        ((9, 60, ""), "9 of 60"),
        ((0, None, ""), ""),
        ((7, None, "rows"), "7 rows"),
        ((12, 900, "bytes"), "12 of 900 bytes"),
        ((460_676, 911_000, "bytes"), "460.7 of 911.0 kB"),
        ((1_240_000, None, "bytes"), "1.2 MB"),
        ((20_000_000, 3_400_000_000, "bytes"), "0.0 of 3.4 GB"),
    ],
)
def test_amounts(amount: tuple[int, int | None, str], text: str) -> None:
    assert amount_text(*amount) == text


# Notices.


@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_notices(
    kind: type[io.StringIO], verbose: bool, monkeypatch: pytest.MonkeyPatch, stderr: Use
) -> None:
    """Each is one line; details are told with --verbose only; an event never has colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = ["word " * (10 if kind is Terminal else 100) + "[bold]end[/]"] + ["by the way"] * verbose
    for form in ("plain", "json"):
        stream = stderr(kind())
        with Reporter(form, verbose=verbose) as reporter:
            reporter.notice(said[0])
            reporter.detail("by the way")
        text = stream.getvalue()
        if form == "plain":
            assert ANSI.sub("", text).splitlines() == said
        else:
            head = {"schema_version": 1, "event": "notice"}
            levels = ["notice", "detail"][: len(said)]
            assert events(text) == [
                {**head, "message": message, "level": level}
                for message, level in zip(said, levels, strict=True)
            ]


def test_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="--quiet and --verbose"):
        Reporter(quiet=True, verbose=True)
    with pytest.raises(UnknownNameError, match="Did you mean 'json'"):
        Reporter("jsn")


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
@pytest.mark.parametrize(("form", "quiet", "text"), [("none", False, "one"), ("auto", True, "")])
def test_no_progress(
    kind: type[io.StringIO], form: str, quiet: bool, text: str, clock: Clock, stderr: Use
) -> None:
    stream = stderr(kind())
    with Reporter(form, quiet=quiet, clock=clock) as reporter:
        reporter.notice("one")
        for epoch in range(3):
            clock.now += 60
            reporter.advance("training", epoch, 3)
    assert ANSI.sub("", stream.getvalue()).strip() == text


# Bars.


Drawn = Callable[..., str]


@pytest.fixture
def drawn(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What a terminal of a width shows of a stage after some seconds, without codes."""

    def draw(width: int, seconds: float, name: str, done: int, total: Any, **more: str) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        screen = Console(file=io.StringIO(), highlight=False)
        stages = Stages(screen, clock)
        task = stages.add_task(name, total=total, **more)
        for part in (done // 2, done):
            clock.now += seconds / 2
            stages.update(task, completed=part)
        with screen.capture() as captured:
            screen.print(stages.get_renderable())
        return captured.get().rstrip("\n")

    return draw


DETAIL = {"detail": "validation RMSE 0.1385, 30 members", "unit": "epochs"}
BYTES = {"detail": "a_very_long_name_of_a_file.csv", "unit": "bytes"}
ENDLESS = {"detail": "recipes and networks", "unit": ""}


@pytest.mark.parametrize("width", [30, 60, 79, 80, 200])
@pytest.mark.parametrize(
    ("name", "done", "total", "more"),
    [
        ("training", 1234, 9999, DETAIL),
        ("downloading", 123_456_789, 987_654_321, BYTES),
        ("preparing", 0, None, ENDLESS),
    ],
)
def test_a_bar_is_one_line_of_any_terminal(
    width: int, name: str, done: int, total: int | None, more: dict[str, str], drawn: Drawn
) -> None:
    (line,) = drawn(width, 100.0, name, done, total, **more).splitlines()
    assert len(line) <= width
    assert line.startswith(name[:3])
    assert width < 60 or (name in line and re.search("(left|far) *$", line))
    assert width < 200 or more["detail"] in line


def test_at_80_columns_a_bar_tells_what_matters(drawn: Drawn) -> None:
    line = drawn(80, 100.0, "training", 10, 60, **DETAIL)
    for part in ("training", "━╸", "10/60 epochs", "validation RMSE", "about 8 min"):
        assert part in line
    assert drawn(80, 0.1, "training", 0, 9, **ENDLESS) == "", "it has just begun"


def test_a_terminal_gets_bars_that_go_away(clock: Clock, stderr: Use) -> None:
    """One after the other in the same place; the cursor comes back, also after an interruption."""
    stream = stderr(Terminal())

    def interrupted() -> None:
        with Reporter(clock=clock) as reporter:
            reporter.notice("before")
            for name, unit in [("training", "epochs"), ("base models", "models")]:
                for done in (0, 1, 2):
                    reporter.advance(name, done, 3, "RMSE 0.5", unit)
                    clock.now += 2
                    reporter._stages.refresh()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    text = stream.getvalue()
    for part in ("before", "2/3 epochs", "2/3 models", "RMSE 0.5", " left"):
        assert part in text
    assert "training: " not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("total", "line"),
    [(9, "training: 3 of 9 epochs, stopped after 8 s"), (None, "training: 3 epochs, stopped")],
)
def test_a_line_says_that_a_stage_was_left(
    clock: Clock, stderr: Use, total: int | None, line: str
) -> None:
    stream = stderr(io.StringIO())

    def interrupted() -> None:
        with Reporter(clock=clock) as reporter:
            for epoch in range(4):
                reporter.advance("training", epoch, total, unit="epochs")
                clock.now += 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().splitlines()[-1].startswith(line)
    assert "in all" not in stream.getvalue()


def talk(clock: Clock, form: str = "auto") -> None:
    """Six seconds of training, all told."""
    with Reporter(form, clock=clock) as reporter:
        for epoch in range(4):
            reporter.advance("training", epoch, 3, unit="epochs")
            clock.now += 2


@pytest.mark.parametrize(
    ("variable", "form", "kind"),
    [
        ("TERM=dumb", "auto", Terminal),
        ("TERM=unknown", "auto", Terminal),
        ("TERM=xterm", "plain", Terminal),
        ("FORCE_COLOR=1", "auto", io.StringIO),
    ],
)
def test_where_nothing_moves(
    variable: str,
    form: str,
    kind: type[io.StringIO],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    stderr: Use,
) -> None:
    monkeypatch.setenv(*variable.split("="))
    stream = stderr(kind())
    talk(clock, form)
    assert stream.getvalue() == "training: 3 of 3 epochs, 8 s in all\n"


# Events.


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_come_neither_too_often_nor_never(clock: Clock, stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with Reporter("json", clock=clock) as reporter:
        for epoch in range(21):
            reporter.advance("training", epoch, 20, f"RMSE {epoch}", "epochs")
            clock.now += 0.125
        for _ in range(30):
            clock.now += 1
            reporter.beat()
    told = [e for e in events(stream.getvalue()) if e["event"] == "progress"]
    assert [e["done"] for e in told] == [0, 4, 8, 12, 16, 20, 20, 20]
    seconds = [e["seconds"] for e in told]
    assert seconds[:4] == pytest.approx([0.0, 0.5, 1.0, 1.5])
    assert told[2]["seconds_left"] == pytest.approx(1.5, abs=1)
    assert told[2]["total"] == 20


@pytest.mark.parametrize("form", ["json", "auto"])
def test_a_library_s_warning_is_a_notice(form: str, stderr: Use) -> None:
    stream = stderr(io.StringIO())
    with warnings.catch_warnings(), Reporter(form):
        warnings.simplefilter("always")
        warnings.warn("beware\nof it", UserWarning, stacklevel=1)
    (line,) = stream.getvalue().splitlines()
    message = json.loads(line)["message"].replace("\n", r"\n") if form == "json" else line
    assert message.startswith(r"UserWarning: beware\nof it (")


# Streams that take nothing.


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("form", ["auto", "plain", "json", "none"])
def test_nobody_listens(form: str, clock: Clock, stderr: Use) -> None:
    stream = stderr(Broken())
    assert isinstance(stream, Broken)
    with Reporter(form, clock=clock) as reporter:
        reporter.notice("one")
        reporter.notice("two")
        reporter.advance("training", 1, 2)
        clock.now += 60
    say("x.", form)
    assert stream.writes == 2, "once for the reporter, once for the error"


# Errors and colours.


def say(message: str, form: str = "auto", trace: str = "") -> None:
    print_error(ErrorDetails("DataError", message, 3), form, trace)


def test_an_error_is_one_line_after_its_trace(stderr: Use) -> None:
    stream = stderr(io.StringIO())
    message = "a file named [red]x[/].csv" + " is long" * 50
    say(message, trace="Traceback\n  [line] 1\n")
    assert stream.getvalue() == f"Traceback\n  [line] 1\nerror: {message}\n"
    stream = stderr(io.StringIO())
    say("x.", "json", "Traceback\n")
    (event,) = events(stream.getvalue())
    error = {"type": "DataError", "message": "x.", "exit_code": 3, "traceback": "Traceback\n"}
    assert event == {"schema_version": 1, "event": "error", "error": error}


@pytest.mark.parametrize("plain", [True, False])
def test_no_color(plain: bool, monkeypatch: pytest.MonkeyPatch, stderr: Use) -> None:
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = stderr(Terminal())
    say("it went wrong.")
    with Reporter() as reporter:
        reporter.advance("training", 1, 3)
    assert bool(COLOR.search(stream.getvalue())) != plain


def test_sentences_are_broken_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, stderr: Use, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/".join(["folder"] * 20)
    stream = stderr(Terminal())
    say("word " * 40 + path + " more" * 5)
    with Reporter() as reporter:
        reporter.notice("notice " * 30)
    monkeypatch.setattr("sys.stdout", stream)
    print_view(Text("validation " * 20))
    lines = ANSI.sub("", stream.getvalue()).splitlines()
    assert path in [line.strip() for line in lines], "a path is not broken"
    assert max(len(line) for line in lines if path not in line) <= 80
    words = {word for line in lines for word in line.split()}
    assert words == {"error:", "word", "more", "notice", "validation", path}
    monkeypatch.undo()
    monkeypatch.delenv("COLUMNS")
    print_view(Text(f"{path * 2} and {path}"))
    assert capsys.readouterr().out == f"{path * 2} and {path}\n"


# Results.


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    document = ConfigDocument(of="é", file=None, options=[], notes=["a\nb"])
    print_json(document)
    out = capsys.readouterr().out
    assert json.loads(out) == asdict(document)
    assert out.isascii()
    with pytest.raises(ValueError, match="JSON"):
        print_json(replace(document, of=float("nan")))  # type: ignore[arg-type]


def test_lines_of_a_result_in_a_file_end_with_their_last_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(box=None)
    for name in ("left", "right"):
        table.add_column(name)
    table.add_row("a long cell, first", "1")
    table.add_row("b", "2")
    print_view(Group(table, Text(" "), Text("[x] and so on")))
    lines = capsys.readouterr().out.split("\n")
    assert [line.split() for line in lines[1:3]] == [
        ["a", "long", "cell,", "first", "1"],
        ["b", "2"],
    ]
    assert lines[3:] == ["", "[x] and so on", ""]
    assert lines == [line.rstrip() for line in lines]
