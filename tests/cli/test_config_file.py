"""Configuration: file, environment, flags; who wins, what is refused, what a run makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from entry_point import TINY, EntryPoint
from other_settings import OTHER
from small import write_small
from test_help import LEAVES, ROOT

from kaggleprice import cli
from kaggleprice.api import prediction, workflow
from kaggleprice.cli.config_file import (
    all_options,
    configurable,
    environment_name,
    find_configuration,
    read_configuration,
)
from kaggleprice.core.errors import KagglePriceError, UsageError
from kaggleprice.settings.base_models import best_base_models
from kaggleprice.settings.model import MODELS
from kaggleprice.settings.run import OPTIONS, flat_settings, make_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "kaggleprice.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class SeenError(KagglePriceError):
    """Ends a command where it would begin to work."""

    exit_code = 77


@pytest.fixture
def seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Run a command up to the library; return what reaches it, or the error's sentence."""
    found: dict[str, Any] = {}

    def cross_validate(source: Any, settings: Any, place: Any, **rest: Any) -> None:
        found.update(flat_settings(settings), source=source, place=place, **rest)
        raise SeenError("seen.")

    def predict(source: Any, place: Any, asked: Any, **rest: Any) -> None:
        cross_validate(source, asked.settings, place, asked=asked, **rest)

    monkeypatch.setattr(workflow, "cross_validate", cross_validate)
    monkeypatch.setattr(prediction, "predict", predict)

    def see(*arguments: str) -> Any:
        found.clear()
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        said = capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")
        assert exited.value.code == (77 if found else 2)
        return dict(found) if found else said

    return see


# Files.


def test_which_file_is_read(folder: Path) -> None:
    """Its own before the project's; none of a folder above."""
    write(folder, '[project]\nname = "other"\n', "pyproject.toml")
    assert find_configuration(folder) is None
    write(folder, "[tool.kaggleprice]\nlr = 1\n[tool.other]\nlr = 2\n", "pyproject.toml")
    project = find_configuration(folder)
    assert project is not None
    assert project.content == {"lr": 1}
    assert str(project) == f"[tool.kaggleprice] of {folder / 'pyproject.toml'}"
    # Some editors put a byte order mark first.
    (folder / "kaggleprice.toml").write_bytes(b"\xef\xbb\xbflr = 3\n")
    own = find_configuration(folder)
    assert own is not None
    assert own.content == {"lr": 3}
    (folder / "below").mkdir()
    assert find_configuration(folder / "below") is None


def test_values_of_a_command(folder: Path) -> None:
    text = "lr = 1\nbatch_size = 2\n[cv]\nlr = 3\n[runs.list]\nquiet = true\n"
    found = read_configuration(write(folder, text))
    path = folder / "kaggleprice.toml"
    assert found.values_of(["cv"], ROOT) == {
        "lr": (3, f"lr in [cv] of {path}"),
        "batch-size": (2, f"batch_size in {path}"),
    }
    assert found.values_of(["runs", "list"], ROOT)["quiet"] == (
        True,
        f"quiet in [runs.list] of {path}",
    )
    assert found.values_of(["runs", "list"], ROOT)["lr"][0] == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lrr = 3", "unknown key 'lrr' in FILE; did you mean lr?"),
        ("batch_szie = 3", "unknown key 'batch_szie' in FILE; did you mean batch-size?"),
        ("xyzzy = 3", "unknown key 'xyzzy' in FILE; `kaggleprice COMMAND --help` lists the "),
        ("[cvv]", "unknown table [cvv] in FILE; did you mean [cv]?"),
        ("[xyzzy]", "unknown table [xyzzy] in FILE; there are: [config], [cv], [download], "),
        ("[cv.x]", "unknown table [x] in [cv] of FILE: it is the table of a command that has "),
        ("[cv]\nkeep = 1", "unknown key 'keep' in [cv] of FILE; it is an option of runs."),
        ("[runs.list]\nquite = 1", "unknown key 'quite' in [runs.list] of FILE; did you mean q"),
        ("lr = {a = 1}", "lr in FILE takes a value; found a table."),
        ("batch-size = 1\nbatch_size = 2", "batch-size stands twice in FILE, with '-' and with"),
    ],
)
def test_keys_that_are_none(folder: Path, text: str, sentence: str) -> None:
    path = write(folder, text)
    with pytest.raises(UsageError) as caught:
        read_configuration(path).values_of([], ROOT)
    assert str(caught.value).startswith(sentence.replace("FILE", str(path)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a = 1\nlr = ", "FILE is not TOML: Invalid value (at "),
        (b"a = 1\nb = [1,,]", "FILE is not TOML: Invalid value (at line 2, column 8); mend it"),
        (b"\xff\xfe", "FILE is not UTF-8 (byte 0); mend it, or leave it out with --no-config."),
    ],
)
def test_files_that_cannot_be_read(folder: Path, content: bytes, sentence: str) -> None:
    path = folder / "kaggleprice.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        find_configuration(folder)
    assert str(caught.value).startswith(sentence.replace("FILE", str(path)))
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        find_configuration(folder)


# What reaches the library.


def test_which_value_counts(
    seen: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flag, then environment, then file, then preset, then default."""
    assert seen("cv")["epochs"] == make_settings().training.epochs
    assert seen("cv", "--preset", "book")["epochs"] == 10
    write(folder, 'epochs = 11\npreset = "book"\nseeds = 3\n')
    found = seen("cv")
    assert (found["epochs"], found["model"], found["seeds"]) == (11, "linear", 3)
    assert seen("cv", "--preset", "best")["base_models"] == best_base_models()
    write(folder, "epochs = 11\n[cv]\nepochs = 12\n[predict]\nepochs = 99\n")
    assert (seen("cv")["epochs"], seen("predict")["epochs"]) == (12, 99)
    monkeypatch.setenv("KAGGLEPRICE_EPOCHS", "13")
    assert seen("cv")["epochs"] == 13
    assert seen("cv", "--epochs", "14")["epochs"] == 14
    assert seen("cv", "--no-config")["epochs"] == 13
    monkeypatch.setenv("KAGGLEPRICE_EPOCHS", "")
    assert seen("cv")["epochs"] == 12, "an empty variable says nothing"


def test_places_and_flags(
    seen: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 'competition = "sample"\ndata-dir = "d"\nruns_dir = "r"\nthreads = 2\n')
    found = seen("cv")
    assert found["source"].competition.name == "sample"
    assert (found["source"].data_dir, found["place"].runs_dir) == (Path("d"), Path("r"))
    assert found["place"].threads == 2
    monkeypatch.setenv("KAGGLEPRICE_DATA_DIR", "there")
    assert seen("cv")["source"].data_dir == Path("there")
    assert seen("cv", "--data-dir", "here")["source"].data_dir == Path("here")
    write(folder, "no-verify = true\n")
    assert not seen("cv")["source"].verify


@pytest.mark.parametrize("setting", OPTIONS.values(), ids=lambda setting: setting.name)
def test_every_setting_has_a_variable_and_a_key(
    seen: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch, setting: Any
) -> None:
    """The default of another preset, by the environment, then by the file."""
    name, key = setting.name, setting.flag[2:]
    value = flat_settings(make_settings("book"))[name]
    if value == setting.default:
        value = OTHER[name]
    text = "none" if value is None else setting.show(value)
    monkeypatch.setenv(environment_name(key), text)
    assert seen("cv")[name] == value
    monkeypatch.delenv(environment_name(key))
    write(folder, f"{key} = {text if setting.is_switch else json.dumps(text)}\n")
    assert seen("cv")[name] == value


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('lr = "high"', "lr in kaggleprice.toml takes a number above 0; found 'high'."),
        ("lr = true", "lr in kaggleprice.toml takes a number above 0; found True."),
        ("k = [2]", "k in kaggleprice.toml takes a whole number from 2; found [2]."),
        ('batch_norm = "yes"', "batch_norm in kaggleprice.toml takes true or false; found 'yes'."),
        (
            "[cv]\nthreads = 2.5",
            "threads in [cv] of kaggleprice.toml takes a whole number from 1 up to 1024; found",
        ),
        ("threads = true", "threads in kaggleprice.toml takes one value, as it is typed; found"),
        ("data-dir = [1]", "data-dir in kaggleprice.toml takes one value, as it is typed; found"),
        ("no-verify = 1", "no-verify in kaggleprice.toml takes true or false; found 1."),
        ('loss = "hubr"', "unknown value 'hubr' of loss in kaggleprice.toml; there are: huber,"),
        ('preset = "lsit"', "unknown preset 'lsit' from preset in kaggleprice.toml; there are: "),
        ("lrr = 1", "unknown key 'lrr' in kaggleprice.toml; did you mean lr?"),
    ],
)
def test_values_that_are_refused(
    seen: Callable[..., Any], folder: Path, line: str, sentence: str
) -> None:
    write(folder, line)
    assert seen("cv").startswith(sentence)
    assert isinstance(seen("cv", "--no-config"), dict)


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("LR", "x", "KAGGLEPRICE_LR takes a number above 0; found 'x'."),
        ("THREADS", "x", "KAGGLEPRICE_THREADS takes a whole number from 1 up to 1024; found 'x'."),
        ("BATCH_NORM", "maybe", "KAGGLEPRICE_BATCH_NORM takes true or false; found 'maybe'."),
        (
            "MODEL",
            "mpl",
            f"unknown value 'mpl' of KAGGLEPRICE_MODEL; there are: {', '.join(sorted(MODELS))}. D",
        ),
        ("PRESET", "bok", "unknown preset 'bok' from KAGGLEPRICE_PRESET; there are: best, book,"),
    ],
)
@pytest.mark.parametrize("command", ["cv", "predict", "config"])
def test_variables_that_are_refused(
    seen: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    variable: str,
    text: str,
    sentence: str,
) -> None:
    monkeypatch.setenv(f"KAGGLEPRICE_{variable}", text)
    assert seen(command).startswith(sentence)


def test_only_the_value_that_is_refused_is_named(seen: Callable[..., Any], folder: Path) -> None:
    """A value that a flag replaces is not read."""
    write(folder, "lr = 0.02\nk = 1\nclip = 0\n")
    assert "--seeds takes" in seen("cv", "--seeds", "0", "--k", "3", "--clip", "1")
    assert "clip in kaggleprice.toml takes" in seen("preprocess", "-c", "sample")
    assert "`--preset list` shows them" in seen("cv", "--preset", "lsit", "--no-config")


def test_settings_that_contradict_each_other_say_where_they_stand(
    seen: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "lr = 0.02\nhidden = [8, 8]\n")
    monkeypatch.setenv("KAGGLEPRICE_DROPOUT", "0.1,0.1,0.1")
    refused = "dropout takes one rate, or one per hidden layer (2); found 3; from "
    assert seen("cv") == f"{refused}KAGGLEPRICE_DROPOUT and hidden in kaggleprice.toml."
    assert seen("config", "--no-config") == f"{refused}KAGGLEPRICE_DROPOUT."
    assert isinstance(seen("cv", "--hidden", "8,8,8"), dict)


# Variables that are of no option.


UNKNOWN = "the environment variable KAGGLEPRICE_EPOCH is of no option; did you mean KAGGLEPRICE_EPO"


@pytest.mark.parametrize("command", [["cv", *TINY, "-c", "small.toml"], ["runs", "list", "--json"]])
def test_a_misspelled_variable_is_told_once(
    entry: EntryPoint, tmp_path: Path, command: list[str]
) -> None:
    write_small(tmp_path)
    done = entry(*command, cwd=tmp_path, KAGGLEPRICE_EPOCH="3")
    assert done.code == 0, done.err
    assert done.err.count("KAGGLEPRICE_EPOCH ") == 1
    assert done.err.startswith(UNKNOWN)
    assert "KAGGLEPRICE" not in done.out
    quiet = entry(*command, "--quiet", cwd=tmp_path, KAGGLEPRICE_EPOCH="3")
    assert (quiet.code, quiet.err) == (0, "")


def test_variables_that_are_known_are_not_told(entry: EntryPoint, tmp_path: Path) -> None:
    write(tmp_path, "", "other.toml")
    known = ["DATA_DIR", "RUNS_DIR", "EPOCHS", "REAL_DATA", "REQUIRE_REAL_DATA", "NO_VERIFY"]
    variables = {f"KAGGLEPRICE_{name}": "1" for name in known}
    variables["KAGGLEPRICE_CONFIG"] = "other.toml"
    done = entry("runs", cwd=tmp_path, **variables)
    assert (done.code, done.err) == (0, "")
    assert entry("config", "--json", cwd=tmp_path, **variables).json["notes"] == []
    # Nothing is near: the sentence ends there.
    told = entry("runs", cwd=tmp_path, KAGGLEPRICE_XYZZY="1").err
    assert told == "the environment variable KAGGLEPRICE_XYZZY is of no option.\n"
    assert entry("cv", "--help", cwd=tmp_path, KAGGLEPRICE_XYZZY="1").err == ""


def test_a_named_file(
    seen: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "epochs = 11\n")
    write(folder, "epochs = 12\n", "other.toml")
    assert seen("cv", "--config", "other.toml")["epochs"] == 12
    monkeypatch.setenv("KAGGLEPRICE_CONFIG", "other.toml")
    assert seen("cv")["epochs"] == 12
    assert seen("cv", "--no-config")["epochs"] != 12
    monkeypatch.setenv("KAGGLEPRICE_NO_CONFIG", "1")
    assert seen("cv", "--config", "kaggleprice.toml")["epochs"] == 11
    assert "exclude each other" in seen("cv", "--no-config", "--config", "other.toml")
    assert "exclude each other" in seen("cv", "--config", "other.toml", "--no-config")
    assert seen("cv", "--config", "none.toml") == "configuration file none.toml does not exist."
    write(folder, "[tool.x]\n", "pyproject.toml")
    assert "has no table [tool.kaggleprice]" in seen("cv", "--config", "pyproject.toml")


def test_a_broken_file_does_not_keep_help_away(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, "lr = ")
    with pytest.raises(SystemExit) as exited:
        cli.main(["cv", "--help"])
    assert exited.value.code == 0
    assert "Usage: kaggleprice cv" in capsys.readouterr().out


def test_every_option_of_every_command_has_its_variable() -> None:
    for command in LEAVES.values():
        for key, option in configurable(command).items():
            assert option.envvar == environment_name(key)
    assert {"lr", "output", "head", "json"} <= all_options(ROOT)


# `predict` and others beside a run that is there.


def test_configured_options_do_not_contradict_a_run(entry: EntryPoint, tmp_path: Path) -> None:
    """They say how runs are trained; a flag speaks of this run."""
    write_small(tmp_path)
    small = ["--competition", "small.toml"]
    assert entry("cv", *small, *TINY, "--preset", "fast", cwd=tmp_path).code == 0
    write(tmp_path, 'lr = 0.5\npreset = "book"\nfolds = "none.csv"\nrecipe = "book"\n')
    done = entry("predict", *small, "--json", cwd=tmp_path, KAGGLEPRICE_EPOCHS="77")
    assert (done.code, done.json["trained"]) == (0, False), done.err
    # What is typed is compared, and alone.
    kept = entry("predict", *small, "--preset", "fast", *TINY, "--json", cwd=tmp_path)
    assert (kept.code, kept.json["trained"]) == (0, False), kept.err
    refused = entry("predict", *small, "--lr", "0.5", cwd=tmp_path)
    assert refused.code == 2
    assert "was trained with lr 0.01, not 0.5; leave that option away" in refused.error
    refused = entry("predict", *small, "--folds", "none.csv", cwd=tmp_path)
    assert "has its folds already; leave --folds away" in refused.error


def test_how_predictions_are_combined_may_be_configured(entry: EntryPoint, tmp_path: Path) -> None:
    small = ["--competition", write_small(tmp_path)]
    assert entry("cv", *small, *TINY, "--seeds", "3", cwd=tmp_path).code == 0
    for how in ("geometric", "median"):
        write(tmp_path, f'[predict]\ncombine = "{how}"\noutput = "{how}.csv"\n')
        assert entry("predict", *small, cwd=tmp_path).code == 0
    geometric, median = (tmp_path / f"{how}.csv" for how in ("geometric", "median"))
    assert geometric.read_bytes() != median.read_bytes()


def test_a_fitted_recipe_is_applied_whatever_is_configured(
    entry: EntryPoint, tmp_path: Path
) -> None:
    write_small(tmp_path)
    small = ["--competition", "small.toml"]
    assert entry("preprocess", *small, "-o", "a.csv", cwd=tmp_path).code == 0
    write(tmp_path, 'scale = "robust"\n')
    given = ["preprocess", *small, "--apply", "a.recipe.json"]
    assert entry(*given, "-o", "b.csv", cwd=tmp_path).code == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert "leave --scale away" in entry(*given, "--scale", "none", cwd=tmp_path).error


def test_json_may_be_configured(entry: EntryPoint, tmp_path: Path) -> None:
    write(tmp_path, "json = true\n[cv]\nk = 1\n")
    assert entry("config", "--k", "2", cwd=tmp_path).json["command"] == "config"
    done = entry("cv", "-c", "sample", cwd=tmp_path)
    assert (done.code, done.json["error"]["type"]) == (2, "UsageError")


# `kaggleprice config`.


def test_config_says_where_each_value_came_from(entry: EntryPoint, tmp_path: Path) -> None:
    write(tmp_path, 'lr = 0.5\npreset = "best"\n[cv]\nhidden = [64, 32]\n')
    document = entry(
        "config", "--json", "--recipe", "book", "--k", "3", cwd=tmp_path, KAGGLEPRICE_EPOCHS="7"
    ).json
    assert (document["of"], document["file"]) == ("cv", "kaggleprice.toml")
    found = {o.pop("option"): o for o in document["options"]}
    expected = {
        "k": (3, "flag", "--k"),
        "epochs": (7, "environment", "KAGGLEPRICE_EPOCHS"),
        "lr": (0.5, "file", "lr in kaggleprice.toml"),
        "hidden": ([64, 32], "file", "hidden in [cv] of kaggleprice.toml"),
        "seeds": (4, "preset", "preset best"),
        "base-models": ([*best_base_models()], "preset", "preset best"),
        "impute": ("mean", "preset", "recipe book"),
        "preset": ("best", "file", "preset in kaggleprice.toml"),
        "batch-size": (None, "default", "default"),
        "data-dir": ("data", "default", "default"),
        "patience": (None, "default", "default"),
    }
    for name, (value, source, where) in expected.items():
        assert found[name] == {"value": value, "source": source, "where": where}
    settings = flat_settings(
        make_settings(
            "best", {"lr": 0.5, "hidden": (64, 32), "epochs": 7, "recipe": "book", "k": 3}
        )
    )
    for name, value in settings.items():
        key = name.replace("_", "-")
        if key in found:
            assert found[key]["value"] == json.loads(json.dumps(value))


def test_config_for_a_person(entry: EntryPoint, tmp_path: Path) -> None:
    write(tmp_path, "hidden = [64, 32]\n")
    done = entry("config", cwd=tmp_path, KAGGLEPRICE_EPOCH="3")
    assert (done.code, done.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.strip()}
    assert rows["hidden"] == ["64,32", "kaggleprice.toml"]
    assert rows["lr"] == ["0.01", "default"]
    assert "kaggleprice.toml is read." in done.out
    assert "did you mean KAGGLEPRICE_EPOCHS?" in done.out
    none = entry("config", "--no-config", cwd=tmp_path).out
    assert "no kaggleprice.toml and no [tool.kaggleprice] in pyproject.toml is read." in none


@pytest.mark.parametrize("command", ["predict", "preprocess", "download", "runs list"])
def test_config_of_other_commands(entry: EntryPoint, tmp_path: Path, command: str) -> None:
    write(tmp_path, '[predict]\noutput = "best.csv"\n')
    document = entry("config", "--command", command, "--json", cwd=tmp_path).json
    found = {o["option"]: o["value"] for o in document["options"]}
    assert ("output" in found) == (command in ("predict", "preprocess"))
    assert found.get("output") == ("best.csv" if command == "predict" else None)
    # A group of commands has no options of its own.
    assert "runs list" in entry("config", "--command", "runs", cwd=tmp_path).error


def test_config_shows_the_folds_of_the_competition_file(entry: EntryPoint, tmp_path: Path) -> None:
    text = 'name = "a"\ntarget_column = "y"\nfold_scheme = "grouped"\nfold_column = "who"\n'
    (tmp_path / "competition.toml").write_text(text + '[train]\npath = "train.csv"\n')
    (tmp_path / "other.toml").write_text(text.replace("who", "place") + '[train]\npath = "a.csv"\n')

    def folds(*options: str) -> list[tuple[str, str, str]]:
        document = entry("config", "--json", *options, cwd=tmp_path).json
        return [
            (option["value"], option["source"], option["where"])
            for option in document["options"]
            if option["option"] in ("fold-scheme", "fold-column")
        ]

    assert folds() == [
        ("grouped", "file", "fold_scheme in competition.toml"),
        ("who", "file", "fold_column in competition.toml"),
    ]
    assert folds("-c", "other.toml")[1] == ("place", "file", "fold_column in other.toml")
    shuffled, column = folds("--fold-scheme", "shuffled")
    assert shuffled == ("shuffled", "flag", "--fold-scheme")
    assert column == (None, "default", "default")
    (tmp_path / "competition.toml").write_text("name = 3")
    done = entry("config", "--json", cwd=tmp_path)
    assert done.code == 0
    assert any("competition.toml" in note for note in done.json["notes"])
