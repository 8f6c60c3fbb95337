"""Shell completion, by the protocol that shells speak: names, also of runs, and nothing heavy."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from entry_point import SCRIPT
from small import write_small
from test_help import HEAVY, loaded

from kaggleprice import cli
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.runs import RECORD
from kaggleprice.settings.run import OPTIONS, PRESETS


@pytest.fixture
def complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Return what bash offers after these words, of which the last is incomplete."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("_KAGGLEPRICE_COMPLETE", "complete_bash")

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["kaggleprice", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit) as exited:
            cli.main([])
        assert exited.value.code == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        return shown.out.split()

    return offered


def make_run(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / RECORD).touch()


def test_commands_and_options(complete: Callable[..., list[str]]) -> None:
    assert {"cv", "predict", "config"} <= set(complete(""))
    assert complete("dow") == ["download"]
    assert complete("cv", "--ep") == ["--epochs"]
    assert complete("predict", "--outp") == ["--output"]


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("--competition", COMPETITIONS),
        ("-c", COMPETITIONS),
        ("--preset", [*PRESETS, "list"]),
        ("--device", ["auto", "cpu", "cuda", "mps"]),
        *((setting.flag, setting.names) for setting in OPTIONS.values() if setting.names),
    ],
)
def test_names(complete: Callable[..., list[str]], option: str, names: list[str]) -> None:
    assert sorted(complete("cv", option, "")) == sorted(names)
    first = min(names)
    assert first in complete("cv", option, first[:2])
    assert complete("cv", option, "xyzzy") == []


def test_the_next_of_several(complete: Callable[..., list[str]]) -> None:
    assert complete("cv", "--activation", "gelu/ta") == ["gelu/tanh"]
    assert complete("cv", "--base-models", "boosting,r") == ["boosting,ridge"]


def test_competitions_that_are_files(complete: Callable[..., list[str]], tmp_path: Path) -> None:
    write_small(tmp_path)
    (tmp_path / "kaggleprice.toml").touch()
    assert sorted(complete("cv", "-c", "s")) == ["sample", "small.toml"]
    assert complete("cv", "-c", "k") == []


def test_runs_of_the_competition(complete: Callable[..., list[str]], tmp_path: Path) -> None:
    assert complete("predict", "--run", "") == []
    make_run(tmp_path / "runs" / "house-prices", "mlp-001", "mlp-002")
    make_run(tmp_path / "runs" / "sample", "wide")
    make_run(tmp_path / "elsewhere" / "sample", "narrow")
    (tmp_path / "runs" / "house-prices" / "notes").mkdir()
    assert complete("predict", "--run", "") == ["mlp-001", "mlp-002"]
    assert complete("predict", "--run", "mlp-002") == ["mlp-002"]
    assert complete("predict", "-c", "sample", "--run", "") == ["wide"]
    given = ["-c", "sample", "--runs-dir", "elsewhere"]
    assert complete("predict", *given, "--run", "") == ["narrow"]
    write_small(tmp_path)
    make_run(tmp_path / "runs" / "small", "own")
    assert complete("predict", "-c", "small.toml", "--run", "") == ["own"]


def test_configuration_counts(
    complete: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "runs" / "sample", "wide")
    make_run(tmp_path / "elsewhere" / "sample", "narrow")
    (tmp_path / "kaggleprice.toml").write_text('competition = "sample"\n', encoding="utf-8")
    assert complete("predict", "--run", "") == ["wide"]
    monkeypatch.setenv("KAGGLEPRICE_RUNS_DIR", "elsewhere")
    assert complete("predict", "--run", "") == ["narrow"]


@pytest.mark.parametrize(
    ("file", "table"), [("kaggleprice.toml", ""), ("pyproject.toml", "tool.kaggleprice.")]
)
def test_presets_of_ones_own(
    complete: Callable[..., list[str]], tmp_path: Path, file: str, table: str
) -> None:
    """Those of the file that applies, but none that has the name of another or cannot have one."""
    names = ["mine", "book", "my own"]
    tables = "".join(f'[{table}presets."{name}"]\nseeds = 2\n' for name in names)
    (tmp_path / file).write_text(tables, encoding="utf-8")
    assert sorted(complete("cv", "--preset", "")) == sorted([*PRESETS, "list", "mine"])
    assert complete("predict", "--preset", "mi") == ["mine"]
    assert complete("cv", "--no-config", "--preset", "mi") == []
    (tmp_path / "other.toml").write_text("[presets.yours]\n", encoding="utf-8")
    assert complete("cv", "--config", "other.toml", "--preset", "yo") == ["yours"]


@pytest.mark.parametrize("content", ["presets = 3", "[presets.mine", "xyzzy = 1\n[presets.mine]"])
def test_presets_of_a_broken_file(
    complete: Callable[..., list[str]], tmp_path: Path, content: str
) -> None:
    (tmp_path / "kaggleprice.toml").write_text(content, encoding="utf-8")
    assert sorted(complete("cv", "--preset", "")) == sorted([*PRESETS, "list"])


@pytest.mark.parametrize("words", ["", "cv --model ", "cv --preset ", "predict -c sample --run "])
def test_nothing_heavy_is_loaded(tmp_path: Path, words: str) -> None:
    make_run(tmp_path / "runs" / "sample", "wide")
    (tmp_path / "kaggleprice.toml").write_text("[presets.mine]\nseeds = 2\n", encoding="utf-8")
    line = f"kaggleprice {words}"
    environment = {
        **os.environ,
        "_KAGGLEPRICE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    assert not loaded([], cwd=tmp_path, env=environment) & (HEAVY - {"pydantic"})


def test_a_line_that_is_wrong(complete: Callable[..., list[str]], tmp_path: Path) -> None:
    """It offers what there is without the wrong part."""
    for line in ("cv --xyzzy 3 --run", "predict -c nothing --run", "predict -c none.toml --run"):
        assert complete(*line.split(), "") == []
    assert "predict" in complete("predcit", "--x", "")
    (tmp_path / "kaggleprice.toml").write_text("lr = ", encoding="utf-8")
    assert complete("cv", "--preset", "bo") == ["book"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_word_on_each_name(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "kaggleprice cv --preset ")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_KAGGLEPRICE_COMPLETE", f"complete_{shell}")
    with pytest.raises(SystemExit):
        cli.main([])
    assert "settings of the portfolio" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_in_a_real_bash(tmp_path: Path) -> None:
    """The script that `--show-completion` prints, sourced; then TAB, by the function it defines."""

    def printed(command: list[str | Path], **variables: str) -> str:
        environment = {**os.environ, **variables}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    script = printed([SCRIPT], _KAGGLEPRICE_COMPLETE="source_bash")
    tab = (
        "COMP_WORDS=(kaggleprice cv --preset bo); COMP_CWORD=3\n"
        '_kaggleprice_completion kaggleprice bo --preset; echo "${COMPREPLY[@]}"'
    )
    path = f"{Path(SCRIPT).parent}{os.pathsep}{os.environ['PATH']}"
    bash = shutil.which("bash") or ""
    assert printed([bash, "--norc", "-c", f"{script}\n{tab}"], PATH=path).split() == ["book"]
