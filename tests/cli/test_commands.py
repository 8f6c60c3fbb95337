"""The command line: arguments to settings, help, JSON, streams, signals."""

from __future__ import annotations

import importlib.metadata
import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from entry_point import TINY, EntryPoint
from other_settings import OTHER
from small import TEST_ROWS, write_small

from kaggleprice import __version__, cli
from kaggleprice.core.errors import KagglePriceError
from kaggleprice.settings.recipe import RECIPES
from kaggleprice.settings.run import OPTIONS, flat_settings, make_settings

COMMANDS = ["download", "preprocess", "cv", "predict"]
HEAVY = {"numpy", "pandas", "scipy", "sklearn", "torch", "pooch", "requests"}
SMALL = ["--competition", "small.toml"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_small(tmp_path)
    return tmp_path


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> pytest.CaptureResult[str]:
    """Run `main` in this process: for what needs no process of its own."""
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)
    assert exited.value.code == code
    return capsys.readouterr()


# The script.


def test_the_script_is_main() -> None:
    """Other tests run `main`, in this process or a fork; the script does nothing else."""
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="kaggleprice")
    assert script.load() is cli.main


def test_the_main_job(entry: EntryPoint, tmp_path: Path) -> None:
    """The installed script, as the first lines of the README have it.

    It writes what `cv` and `predict` after it do, in processes that have imported all before.
    """
    done = entry("predict", "--competition", "sample", *TINY, cwd=tmp_path, fresh=True)
    assert done.code == 0, done.err
    assert "no run of sample yet: training one first" in done.err
    assert "Score to expect" in done.out
    lines = (tmp_path / "submission.csv").read_text(encoding="utf-8").splitlines()
    test = (tmp_path / "data" / "sample" / "test.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Id,SalePrice"
    assert [x.split(",")[0] for x in lines[1:]] == [x.split(",")[0] for x in test[1:]]
    other = tmp_path / "other"
    other.mkdir()
    for arguments in (["cv", *TINY], ["predict"]):
        assert entry(*arguments, "--competition", "sample", cwd=other).code == 0
    for name in ("oof.csv", "history.csv", "weights.safetensors", "submission.csv"):
        first, second = (f / "runs/sample/mlp-001" / name for f in (tmp_path, other))
        assert first.read_bytes() == second.read_bytes(), name


# Help.


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version").out == f"kaggleprice {__version__}\n"


# Arguments.


class SettingsError(KagglePriceError):
    """Carries settings out of a command before it works."""


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return the flat settings with which arguments reach the library."""
    from kaggleprice.api import prediction, workflow

    seen: list[dict[str, Any]] = []

    def cross_validate(source: Any, settings: Any, place: Any, **rest: Any) -> None:
        seen.append({**flat_settings(settings), "place": place, "source": source, **rest})
        raise SettingsError("seen.")

    def predict(source: Any, place: Any, asked: Any, **rest: Any) -> None:
        cross_validate(source, asked.settings, place, asked=asked, **rest)

    monkeypatch.setattr(workflow, "cross_validate", cross_validate)
    monkeypatch.setattr(prediction, "predict", predict)

    def settings(*arguments: str) -> dict[str, Any]:
        with pytest.raises(SystemExit):
            cli.main(arguments)
        return seen.pop()

    return settings


PLAIN: dict[str, dict[str, Any]] = {}


@pytest.mark.parametrize(
    ("command", "name"),
    # Both commands have all options from one class: some suffice for the second.
    [("cv", name) for name in OPTIONS] + [("predict", name) for name in list(OPTIONS)[::9]],
)
def test_every_option_reaches_the_library(
    settings_of: Callable[..., dict[str, Any]], command: str, name: str
) -> None:
    """It changes what it names and nothing else."""
    setting, value = OPTIONS[name], OTHER[name]
    plain = PLAIN.get(command) or PLAIN.setdefault(command, settings_of(command))
    assert plain[name] != value, "a value that is not the default shows a change"
    off = f"--no-{setting.flag[2:]}"
    if setting.is_switch:
        changed = settings_of(command, setting.flag if value else off)
        assert settings_of(command, off if value else setting.flag)[name] is not value
    else:
        changed = settings_of(command, setting.flag, setting.show(value))
    assert changed[name] == value
    # A recipe is a set of other options' values.
    own = set(vars(RECIPES["book"])) if name == "recipe" else set()
    # Settings of the portfolio that become the same stand once.
    assert set(changed["portfolio"]) <= set(plain["portfolio"])
    own |= {"portfolio"} if name in ("model", "dropout", "hidden") else set()
    names = set(flat_settings(make_settings())) - {name, *own}
    assert {other: changed[other] for other in names} == {other: plain[other] for other in names}


def test_presets_come_before_options(settings_of: Callable[..., dict[str, Any]]) -> None:
    book = settings_of("cv", "--preset", "book", "--epochs", "3")
    expected = flat_settings(make_settings("book", {"epochs": 3}))
    assert {n: book[n] for n in expected} == expected


def test_places_reach_the_library(settings_of: Callable[..., dict[str, Any]]) -> None:
    given = ["-c", "sample", "--data-dir", "d", "--runs-dir", "r", "--device", "cpu"]
    given += ["--threads", "2", "--folds", "f.csv"]
    seen = settings_of("cv", *given, "--run", "mine", "--no-verify")
    place, source = seen["place"], seen["source"]
    assert (place.runs_dir, place.device, place.threads) == (Path("r"), "cpu", 2)
    assert (source.competition.name, source.data_dir, source.verify) == ("sample", Path("d"), False)
    assert (seen["folds"], seen["name"]) == (Path("f.csv"), "mine")
    seen = settings_of("predict", *given, "--run", "mine", "-o", "out.csv")
    assert (seen["asked"].name, seen["asked"].folds) == ("mine", Path("f.csv"))
    assert seen["output"] == Path("out.csv")
    assert seen["source"].verify


def test_predict_without_options_asks_for_nothing(
    settings_of: Callable[..., dict[str, Any]],
) -> None:
    asked = settings_of("predict")["asked"]
    assert (asked.name, asked.preset, asked.options, asked.folds) == (None, None, {}, None)


# Errors.


@pytest.fixture
def fails_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Let `cv` fail with an error."""

    def install(error: Exception) -> None:
        from kaggleprice.api import workflow

        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(workflow, "cross_validate", fail)

    return install


@pytest.mark.parametrize(
    ("error", "amount"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"), "2.00 GiB"),
        (RuntimeError("can't allocate memory: you tried to allocate 4096 bytes."), "4096 bytes"),
        (MemoryError("Unable to allocate 30.5 MiB for an array with shape (2,)"), "30.5 MiB"),
        (MemoryError(), ""),
        (RuntimeError("can't start new thread"), ""),
    ],
)
def test_out_of_memory_is_an_error_like_others(
    capsys: pytest.CaptureFixture[str],
    fails_with: Callable[[Exception], None],
    error: Exception,
    amount: str,
) -> None:
    fails_with(error)
    shown = run(capsys, "cv", "-c", "sample", code=1)
    assert shown.err.startswith(f"error: out of memory{': ' if amount else ''}{amount}")
    assert "--seeds" in shown.err


@pytest.mark.parametrize("more", [[], ["--json"], ["--progress", "json"]])
def test_an_unexpected_error_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str], fails_with: Callable[[Exception], None], more: list[str]
) -> None:
    fails_with(RuntimeError("a bug\nof two lines"))
    out, err = run(capsys, "cv", "-c", "sample", *more, code=1)
    message = "unexpected RuntimeError: a bug of two lines; this is a fault of kaggleprice."
    told = {"type": "RuntimeError", "message": message, "exit_code": 1}
    if "--progress" in more:
        error = json.loads(err.splitlines()[-1])["error"]
        assert "in fail" in error.pop("traceback")
        assert error == told
    else:
        assert err.startswith("Traceback (most recent call last):")
        assert "in fail" in err
        assert err.endswith(f"error: {message}\n")
    assert out == "" if "--json" not in more else json.loads(out)["error"] == told


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        ("cv --lr nan", "UsageError", 2),
        ("cv --k two", "UsageError", 2),
        ("cv --epoch 2", "UsageError", 2),
        ("cvv", "UnknownNameError", 2),
        ("predict --model x", "UnknownNameError", 2),
        ("cv --device gpu", "DeviceError", 2),
        ("preprocess -c none.toml", "MissingFileError", 3),
        ("download -c none", "UnknownNameError", 2),
        ("download -c sample --from none", "MissingFileError", 3),
        ("cv -c sample --runs-dir file", "OutputError", 1),
    ],
)
def test_errors_as_json(
    entry: EntryPoint, tmp_path: Path, arguments: str, kind: str, code: int
) -> None:
    (tmp_path / "file").touch()
    done = entry(*arguments.split(), "--json", cwd=tmp_path)
    assert done.code == code
    assert done.json["error"] == {"type": kind, "message": done.error, "exit_code": code}


# JSON.


def test_json_of_download(entry: EntryPoint, tmp_path: Path) -> None:
    done = entry("download", "-c", "sample", "--json", cwd=tmp_path)
    document = done.json
    assert document["schema_version"] == 1
    assert (document["command"], document["competition"]) == ("download", "sample")
    assert [file["role"] for file in document["files"]] == ["train", "test"]
    for file in document["files"]:
        content = (tmp_path / file["path"]).read_bytes()
        assert file["bytes"] == len(content)
        assert file["rows"] == content.count(b"\n") - 1
        assert file["columns"] == content.splitlines()[0].count(b",") + 1
        assert file["verified"] is True
    again = entry("download", "-c", "sample", "--json", cwd=tmp_path).json["files"]
    assert [file["status"] for file in again] == ["cached", "cached"]


def test_json_of_cv_and_predict(entry: EntryPoint, small: Path) -> None:
    document = entry("cv", *SMALL, *TINY, "--seeds", "3", "--json", cwd=small).json
    folder = small / "runs" / "small" / "mlp-001"
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    shared = ("competition", "run", "scores", "folds", "base_models", "data", "device", "groups")
    assert {n: document[n] for n in shared} == {n: record[n] for n in shared}
    assert document["groups_cut_at"] == record["groups_cut_at"]
    assert (document["members"], len(record["members"])) == (6, 6)

    predicted = entry("predict", *SMALL, "--json", cwd=small).json
    assert (predicted["command"], predicted["run"]) == ("predict", "mlp-001")
    assert (predicted["submission"], predicted["rows"]) == ("submission.csv", TEST_ROWS)
    assert predicted["trained"] is False
    assert predicted["scores"] == document["scores"]
    lines = (small / "submission.csv").read_text(encoding="utf-8").splitlines()[1:]
    prices = [float(line.split(",")[1]) for line in lines]
    assert (predicted["smallest"], predicted["largest"]) == (min(prices), max(prices))


# Streams.


def test_results_and_notices_go_apart(entry: EntryPoint, small: Path) -> None:
    done = entry("cv", *SMALL, *TINY, cwd=small)
    assert done.code == 0
    assert done.err.splitlines()[0] == "training on cpu with 1 thread"
    assert "pooled out-of-fold RMSE between logs: " in done.out
    assert "training on" not in done.out
    assert "\x1b" not in done.out + done.err
    done = entry("predict", *SMALL, cwd=small)
    assert done.err == f"using run mlp-001 of {Path('runs') / 'small'}\n"
    assert f"{TEST_ROWS} rows written to submission.csv" in done.out


@pytest.mark.parametrize("flag", ["--quiet", "-q"])
def test_quiet(entry: EntryPoint, small: Path, flag: str) -> None:
    done = entry("predict", *SMALL, *TINY, flag, cwd=small)
    assert (done.code, done.err) == (0, "")
    assert "Score to expect" in done.out
    failed = entry("predict", *SMALL, "--run", "none", flag, cwd=small)
    assert failed.code == 2
    assert "unknown run" in failed.error


def test_forced_colour_in_a_pipe(entry: EntryPoint, small: Path) -> None:
    """As CI services do; a log gets colours then, and no moving bars."""
    done = entry("cv", *SMALL, *TINY, cwd=small, FORCE_COLOR="1")
    assert "training on cpu" in done.err
    assert "\x1b[?25l" not in done.err
    assert "\x1b[1m" in done.out
    plain = entry("cv", *SMALL, *TINY, cwd=small, FORCE_COLOR="1", NO_COLOR="1")
    assert not re.search(r"\x1b\[3\d", plain.out + plain.err)


linux = pytest.mark.skipif(sys.platform != "linux", reason="signals and pipes as Linux has them")


@linux
@pytest.mark.parametrize("more", [[], ["--json"], ["--help"]], ids=["table", "json", "help"])
def test_a_reader_that_leaves(entry: EntryPoint, small: Path, more: list[str]) -> None:
    """`kaggleprice cv | head -1` at its worst: gone before anything was written."""
    done = entry("cv", *SMALL, *TINY, "-q", *more, cwd=small, stdout="|")
    assert (done.code, done.err) == (1, "")
    assert (small / "runs" / "small" / "mlp-001" / "run.json").is_file() == (more != ["--help"])


@linux
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["table", "json"])
def test_a_full_disk_behind_stdout(entry: EntryPoint, small: Path, more: list[str]) -> None:
    done = entry("cv", *SMALL, *TINY, "-q", *more, cwd=small, stdout="/dev/full")
    assert done.code == 1
    assert done.err == "error: cannot print the result: No space left on device.\n"


@linux
def test_an_ascii_terminal(entry: EntryPoint, small: Path) -> None:
    """What it cannot show becomes '?': a result is no reason to fail."""
    done = entry("cv", *SMALL, *TINY, "-q", cwd=small, PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"mean of folds: [0-9.]+ \? [0-9.]+", done.out)


# Signals.

LONG = [*TINY, "--epochs", "1000000"]


@linux
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize(
    ("number", "word", "code"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_an_interruption(
    entry: EntryPoint, small: Path, more: list[str], number: int, word: str, code: int
) -> None:
    done = entry("cv", *SMALL, *LONG, *more, cwd=small, interrupt=number)
    assert done.code == code
    message = f"{word}; give the same command again to go on."
    assert done.err == f"training on cpu with 1 thread\nerror: {message}\n"
    told = {"type": "Interrupted", "message": message, "exit_code": code}
    assert done.json["error"] == told if more else done.out == ""
    assert not (small / "runs").exists()


# Twice the same.


def test_the_same_commands_write_the_same_bytes(entry: EntryPoint, tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        write_small(folder)
        for arguments in (["cv", *SMALL, *TINY, "--epochs", "3"], ["predict", *SMALL]):
            assert entry(*arguments, cwd=folder).code == 0
        written.append(
            {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file() and path.name != "run.json"
            }
        )
    assert written[0] == written[1]
    assert any(name.endswith("weights.safetensors") for name in written[0])
    assert "submission.csv" in written[0]
