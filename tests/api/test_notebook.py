"""The calls of a notebook: the commands' results, options and errors, and how they look."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from entry_point import TINY, EntryPoint
from reported import Parsed
from small import TEST_ROWS, write_small

import kaggleprice
from kaggleprice.api.results import ScoredRun, plain_ids
from kaggleprice.core import progress
from kaggleprice.core.errors import KagglePriceError, UnknownNameError, UsageError
from kaggleprice.core.progress import BYTES

OPTIONS: dict[str, Any] = {
    "epochs": 1,
    "portfolio": (),
    "seeds": 1,
    "k": 2,
    "hidden": 8,
    "threads": 1,
}
CALLS = ("cross_validate", "download", "predict", "preprocess", "report", "submit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def run(folder: Path) -> ScoredRun:
    """A run that a call trained; the last one of the sample competition in its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return kaggleprice.cross_validate("sample", quiet=True, **OPTIONS)


# The package itself


def test_the_package_loads_what_it_names_when_it_is_used() -> None:
    program = (
        "import sys, kaggleprice\n"
        "assert set(kaggleprice.__all__) <= set(dir(kaggleprice))\n"
        "heavy = {'numpy', 'pandas', 'torch', 'sklearn', 'typer', 'rich'}\n"
        "print(kaggleprice.__version__, heavy & set(sys.modules))\n"
        "from kaggleprice.core import errors\n"
        "print(heavy & set(sys.modules), errors.__name__)\n"
        "kaggleprice.KagglePriceRegressor\n"
        "print(heavy - {'rich'} <= set(sys.modules) | {'typer'}, 'typer' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        f"{kaggleprice.__version__} set()",
        "set() kaggleprice.core.errors",
        "True False",
    ]


def test_what_type_checkers_see_is_what_there_is() -> None:
    stub = Path(kaggleprice.__file__).with_suffix(".pyi")
    names: dict[str, str] = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name: str(node.module) for alias in node.names}
        elif isinstance(node, ast.Assign):
            assert set(ast.literal_eval(node.value)) == set(kaggleprice.__all__)
    assert set(kaggleprice.__all__) == {*names, "__version__"}
    for name, module in names.items():
        assert getattr(kaggleprice, name) is getattr(importlib.import_module(module), name)
        assert inspect.getdoc(getattr(kaggleprice, name))
    assert set(names) == {*CALLS, "KagglePriceRegressor"}


@pytest.mark.parametrize("name", [*CALLS, "KagglePriceRegressor"])
def test_no_module_takes_the_place_of_a_call(name: str) -> None:
    """Importing a module `kaggleprice.NAME` would put it where the function was."""
    assert importlib.util.find_spec(f"kaggleprice.{name}") is None


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'kaggleprice' has no attribute 'fit'"):
        kaggleprice.fit  # type: ignore[attr-defined] # noqa: B018


# The calls


def test_cross_validate_is_the_command(run: ScoredRun, folder: Path, entry: EntryPoint) -> None:
    elsewhere = folder / "elsewhere"
    done = entry(
        *["cv", "-c", "sample", *TINY, "--data-dir", "data", "--runs-dir", elsewhere, "--json"],
        cwd=folder,
    )
    assert done.code == 0, done.err
    assert run.score == done.json["scores"]["oof"]
    scores = {name: score for name, score in done.json["scores"].items() if name != "targets"}
    assert run.scores.to_dict() == scores
    assert run.folds.reset_index().to_dict("records") == done.json["folds"]
    for name in ("oof.csv", "history.csv", "weights.safetensors"):
        made = elsewhere / "sample" / done.json["run"] / name
        assert made.read_bytes() == (run.path / name).read_bytes()


def test_a_run_is_tables(run: ScoredRun) -> None:
    assert run.path == Path("runs/sample") / run.name
    assert (list(run.folds.index), list(run.folds)) == ([1, 2], ["train", "validation"])
    assert run.folds["validation"].mean() == pytest.approx(run.scores["fold_mean"])
    columns = ["fold", "seed", "epochs", "train", "validation", "target", "variant"]
    assert list(run.members) == columns
    assert list(run.history["epoch"]) == [1, 1]
    error = np.log(run.oof["predicted"] / run.oof["true"])
    assert run.score == pytest.approx(np.sqrt(np.mean(error**2)))
    assert list(run.oof["Id"][:3]) == [1, 2, 3]
    assert run.settings["hidden"] == (8,)
    assert run.settings["k"] == 2


def test_a_run_shows_its_score(run: ScoredRun) -> None:
    first, pooled, mean, *_, last = repr(run).splitlines()
    assert first == f"run {run.name} of sample, 2 networks"
    assert pooled == f"pooled out-of-fold RMSE between logs: {run.score:.4f}"
    assert mean.startswith(f"mean of folds: {run.scores['fold_mean']:.4f} ± ")
    assert last == f"saved in {run.path}"
    texts = [word.strip() for word in Parsed(run._repr_html_()).words if word.strip()]
    assert texts[:3] == [first, pooled, mean]
    assert f"{run.folds.loc[2, 'validation']:.4f}" in texts
    assert texts[-1] == str(run.path)


def test_predict_is_the_command(run: ScoredRun, folder: Path, entry: EntryPoint) -> None:
    submission = kaggleprice.predict("sample", run=run, quiet=True)
    assert submission.attrs == {"run": run.name}
    assert list(submission) == ["Id", "SalePrice"]
    assert pd.api.types.is_integer_dtype(submission["Id"])
    written = pd.read_csv("submission.csv")
    pd.testing.assert_frame_equal(submission, written)
    done = entry(
        *["predict", "-c", "sample", "--run", run.name, "--threads", "1", "-o", "command.csv"],
        cwd=folder,
    )
    assert done.code == 0, done.err
    assert (folder / "command.csv").read_bytes() == Path("submission.csv").read_bytes()


def test_predict_takes_a_run_by_name_object_or_time(tmp_path: Path) -> None:
    toml = str(write_small(tmp_path))
    place: dict[str, Any] = {"runs_dir": tmp_path / "runs", "quiet": True}
    output = {"output": tmp_path / "submission.csv", "quiet": True}
    first = kaggleprice.cross_validate(toml, run="first", **place, **OPTIONS)
    second = kaggleprice.cross_validate(toml, run="second", **place, **{**OPTIONS, "seed": 1})
    by_object = kaggleprice.predict(toml, run=first, **output)
    by_name = kaggleprice.predict(toml, run="first", runs_dir=place["runs_dir"], **output)
    latest = kaggleprice.predict(toml, runs_dir=place["runs_dir"], **output)
    pd.testing.assert_frame_equal(by_object, by_name)
    assert [frame.attrs["run"] for frame in (by_object, latest)] == ["first", second.name]
    assert len(latest) == TEST_ROWS
    assert not latest["Price"].equals(by_name["Price"])
    with pytest.raises(UnknownNameError, match="Did you mean 'first'"):
        kaggleprice.predict(toml, run="frist", runs_dir=place["runs_dir"], **output)


def test_predict_trains_where_there_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = str(write_small(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAGGLEPRICE_RUNS_DIR", "kept")
    submission = kaggleprice.predict(toml, preset="fast", **OPTIONS)
    assert Path("kept/small", submission.attrs["run"], "run.json").is_file()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("no run of small yet: training one first, as `cv` does\n")
    with pytest.raises(UsageError, match="was trained with epochs 1, not 3"):
        kaggleprice.predict(toml, quiet=True, epochs=3)
    again = kaggleprice.predict(toml, quiet=True, hidden=[8], combine="median")
    assert again.attrs == submission.attrs
    assert capsys.readouterr() == ("", "")


def test_preprocess_is_the_command(folder: Path, entry: EntryPoint) -> None:
    features = kaggleprice.preprocess(
        "sample", recipe="book", engineering=False, output="features.csv", quiet=True
    )
    options = ["--recipe", "book", "--output", "command.csv", "--json"]
    done = entry("preprocess", "-c", "sample", *options, cwd=folder)
    assert done.code == 0, done.err
    command, own = (folder / name for name in ("command.csv", "features.csv"))
    assert own.read_bytes() == command.read_bytes()
    # The book's recipe learns from the test rows, too.
    assert (features.fitted.rows, done.json["rows"]) == (900, 900)
    assert features.output == Path("features.csv")
    assert features.recipe_output == Path("features.recipe.json")
    both = pd.concat([features.train, features.test])
    written = pd.read_csv(command)
    assert list(both.index) == list(written["Id"])
    assert both.to_numpy() == pytest.approx(written[list(both)].to_numpy())
    numeric = {c["name"]: c["missing"] for c in done.json["numeric"]}
    columns = features.columns
    assert columns[columns["kind"] == "numeric"]["missing"].to_dict() == numeric
    assert columns["features"].sum() == features.train.shape[1] == done.json["features_out"]
    sentence = (
        f"{done.json['features_in']} columns became {features.train.shape[1]} features of "
        "600 training and 300 test rows"
    )
    assert repr(features).splitlines()[0] == sentence
    assert Parsed(features._repr_html_()).text.startswith(sentence)


def test_preprocess_applies_a_fitted_recipe() -> None:
    made = kaggleprice.preprocess("sample", output="kept.csv", min_rows=20, quiet=True)
    assert made.recipe_output is not None
    again = kaggleprice.preprocess("sample", apply=made.recipe_output, quiet=True)
    pd.testing.assert_frame_equal(made.train, again.train)
    with pytest.raises(UsageError, match="apply takes a fitted recipe as it is; leave clip away"):
        kaggleprice.preprocess("sample", apply=made.recipe_output, clip=3)
    with pytest.raises(UnknownNameError, match=r"unknown option 'epochs'; there are: .*always_"):
        kaggleprice.preprocess("sample", epochs=3)


def test_download_says_what_there_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: ScoredRun
) -> None:
    files = kaggleprice.download("sample", quiet=True)
    assert list(files.index) == ["train", "test"]
    assert list(files["rows"]) == [600, 300]
    assert list(files["columns"]) == [81, 80]
    assert files["sha256"].to_dict() == {
        role: run.run.record["data"][role]["sha256"] for role in ("train", "test")
    }
    monkeypatch.setenv("KAGGLEPRICE_DATA_DIR", str(tmp_path / "named"))
    copied = kaggleprice.download("sample", from_path=folder / "data" / "sample", quiet=True)
    assert copied.loc["test", "path"] == str(tmp_path / "named" / "sample" / "test.csv")
    other = kaggleprice.download("sample", data_dir=tmp_path / "given", quiet=True)
    assert other.loc["test", "path"] == str(tmp_path / "given" / "sample" / "test.csv")


def test_report_is_shown_below_its_cell(run: ScoredRun) -> None:
    report = kaggleprice.report("sample", run=run, permutations=1, output="page.html", quiet=True)
    assert report.page.parent == run.path
    assert repr(report) == f"report of run {run.name} in {report.page}"
    page = Path("page.html").read_text(encoding="utf-8")
    assert [f["srcdoc"] for f in Parsed(report._repr_html_()).named("iframe")] == [page]
    assert all(path.is_file() for path in report.figures.values())
    assert report.importance is not None
    assert report.importance["increase"].is_monotonic_decreasing
    raw = set(pd.read_csv("data/sample/train.csv", nrows=1)) - {"Id", "SalePrice"}
    assert set(report.importance.index) == set(report.drift.index) == raw
    oof = run.oof.set_index("Id")
    assert list(report.errors["true"]) == list(oof.loc[report.errors.index, "true"])
    residual = np.log(oof["predicted"] / oof["true"])
    assert report.errors.index[0] == residual.abs().idxmax()
    without = kaggleprice.report("sample", run=run.name, permutations=0, columns=3, quiet=True)
    assert without.importance is None


# What every call shares


def test_threads_are_those_of_the_call(tmp_path: Path) -> None:
    toml, before = str(write_small(tmp_path)), torch.get_num_threads()
    given = {**OPTIONS, "threads": before + 1, "runs_dir": tmp_path / "runs", "quiet": True}
    made = kaggleprice.cross_validate(toml, **given)
    assert made.run.record["threads"] == before + 1
    assert torch.get_num_threads() == before
    kaggleprice.predict(toml, run=made, threads=before + 1, output=tmp_path / "s.csv", quiet=True)
    assert torch.get_num_threads() == before


def test_an_option_without_effect_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = str(write_small(tmp_path))
    given = {**OPTIONS, "runs_dir": tmp_path / "runs"}
    kaggleprice.cross_validate(toml, base_model_share=0.3, **given)
    assert capsys.readouterr().err.startswith(
        "--base-model-share has no effect without --base-models."
    )


def test_a_time_limit_is_the_commands(tmp_path: Path) -> None:
    toml = str(write_small(tmp_path))
    given = {**OPTIONS, "epochs": 50, "runs_dir": tmp_path / "runs", "quiet": True}
    cut = kaggleprice.cross_validate(toml, time_limit=1e-9, **given)
    assert set(cut.members["epochs"]) == {1}
    with pytest.raises(UsageError, match="time_limit must be above 0 seconds"):
        kaggleprice.cross_validate(toml, time_limit=0, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sedes": 3}, "unknown option 'sedes'; there are: .* Did you mean 'seeds'"),
        ({"data_dri": "x"}, "unknown option 'data_dri'.* Did you mean 'data_dir'"),
        ({"preset": "fsat"}, "unknown preset 'fsat'.* Did you mean 'fast'"),
        ({"k": 2.5}, "k takes a whole number from 2; found 2.5"),
        ({"activation": "gleu/tanh"}, "unknown value 'gleu' of activation.* Did you mean 'gelu'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"threads": 0}, "threads must be from 1 to 1024"),
        ({"run": "a/b"}, "run name 'a/b' cannot be"),
    ],
)
@pytest.mark.parametrize("call", ["cross_validate", "predict"])
def test_what_cannot_be_is_one_sentence(
    call: str, given: dict[str, Any], message: str, run: ScoredRun
) -> None:
    """Also where `predict` has a run and needs none of these."""
    if call == "predict" and "run" in given:
        message = "unknown run of sample 'a/b'"
    before = set(Path("runs/sample").iterdir())
    with pytest.raises(KagglePriceError, match=message) as caught:
        getattr(kaggleprice, call)("sample", quiet=True, **given)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert set(Path("runs/sample").iterdir()) == before


def test_a_competition_is_a_name_a_file_or_a_record(tmp_path: Path) -> None:
    from kaggleprice.competitions.catalog import read_competition

    toml = write_small(tmp_path)
    named = kaggleprice.download(str(toml), quiet=True)
    for same in (toml, read_competition(toml)):
        pd.testing.assert_frame_equal(named, kaggleprice.download(same, quiet=True))
    with pytest.raises(UnknownNameError, match="Did you mean 'sample'"):
        kaggleprice.download("sampel")


def test_files_of_another_hash_are_taken_where_they_may_be(tmp_path: Path) -> None:
    kaggleprice.download("sample", data_dir=tmp_path, quiet=True)
    test = tmp_path / "sample" / "test.csv"
    test.write_text(test.read_text(encoding="utf-8").replace(",Pave,", ",Gravel,"), "utf-8")
    with pytest.raises(KagglePriceError, match=r"SHA-256"):
        kaggleprice.preprocess("sample", data_dir=tmp_path, quiet=True)
    taken = kaggleprice.preprocess("sample", data_dir=tmp_path, verify=False, quiet=True)
    assert len(taken.test) == 300


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["1", "20", "-3"], [1, 20, -3]),
        (["01", "2"], ["01", "2"]),
        (["1.0", "2"], ["1.0", "2"]),
        (["a", "2"], ["a", "2"]),
        (["1" * 30], ["1" * 30]),
        (["+1", " 2"], ["+1", " 2"]),
    ],
)
def test_ids_are_numbers_where_nothing_is_lost(texts: list[str], plain: list[Any]) -> None:
    made = plain_ids(np.array(texts, dtype=object), "Id")
    assert (list(made), made.name) == (plain, "Id")


def test_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "_clock", lambda: now)
    said = progress.Lines()
    said.notice("training on cpu")
    said.detail("nobody asked")
    for epoch in range(61):
        now = 0.5 * epoch
        said.advance("training", epoch, 60, "RMSE 0.1", "epochs")
    now = 40.0
    said.advance("getting", 0, None, unit=BYTES)
    now = 46.0
    said.advance("getting", 2_500_000, None, unit=BYTES)
    said.advance("reading", 0, 10)
    now = 60.0
    said.advance("reading", 5, 10, unit=BYTES)
    now = 70.0
    said.advance("reading", 7, None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "training on cpu",
        *[
            f"training: {epoch} of 60 epochs, RMSE 0.1, about {30 - epoch // 2} s left"
            for epoch in range(10, 60, 10)
        ],
        "training: 60 of 60 epochs, RMSE 0.1",
        "getting: 2.5 MB",
        "reading: 50 %, about 14 s left",
        "reading: 7",
    ]
