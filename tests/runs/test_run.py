"""A run read back: an old one, forged ones, and links that lead out of its folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import EntryPoint
from forged import ROWS, forge, noisy, write_record

from kaggleprice.cli.views.runs import list_document, list_view, show_document, show_view
from kaggleprice.core.errors import OutputError, RunFolderError
from kaggleprice.runs.listing import find_run, list_runs
from kaggleprice.runs.run import FINISHED, UNREADABLE, Run

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def old(tmp_path: Path) -> Run:
    """A run that version 0.1.0 wrote, base models included, in a folder of the test's own."""
    shutil.copytree(GOLDEN / "schema-2", tmp_path / "runs")
    return Run.read(tmp_path / "runs" / "sample" / "golden")


def test_a_member_of_a_setting_that_is_not_there(old: Run) -> None:
    record = json.loads((old.path / "run.json").read_text(encoding="utf-8"))
    del record["digest"]
    record["ensemble"]["members"][0]["variant"] = 99
    write_record(old.path, record)
    with pytest.raises(RunFolderError, match=r"run golden: .*run\.json has a member of a setting"):
        Run.read(old.path).ensemble()


@pytest.mark.parametrize(("id_column", "rows"), [("Id", ROWS), ("row", ROWS // 2)])
def test_ids_that_repeat_are_one_row_where_they_number_rows(
    tmp_path: Path, id_column: str, rows: int
) -> None:
    """As they do where the files have no id; other ids may be shared by rows."""
    ids = [str(i // 2) for i in range(ROWS)]
    run = Run.read(forge(tmp_path / "small" / "a", noisy(0), ids=ids, id_column=id_column))
    assert len(run.predictions) == rows


# Written by an earlier version.


def test_an_old_run_is_read(old: Run) -> None:
    assert [run.state for run in list_runs(old.path.parent.parent)] == [FINISHED]
    assert {file.state for file in old.stored_files()} == {"ok", "later"}
    assert (old.competition, old.metric.name, old.members) == ("sample", "log_rmse", 3)
    assert old.settings.base_models == ("boosting",)
    assert [len(validation) for _, validation in old.folds()] == [200, 200, 200]
    assert [line.epoch for line in old.history()] == [1, 1, 1, 2, 2, 2]
    # Before there were several targets, and a portfolio.
    members = show_document(old, ()).members
    assert {(member.target, member.variant) for member in members} == {(1, 1)}
    base_models = old.base_models()
    assert base_models is not None
    assert base_models.train.shape == (1, 3, 600)
    error = np.log(old.predictions["predicted"] / old.predictions["true"])
    assert np.sqrt(np.mean(error**2)) == pytest.approx(old.oof, rel=1e-12)


@pytest.mark.parametrize(("shuffle", "scheme"), [(True, "shuffled"), (False, "contiguous")])
def test_an_old_run_said_whether_rows_were_shuffled(old: Run, shuffle: bool, scheme: str) -> None:
    record = json.loads((old.path / "run.json").read_text(encoding="utf-8"))
    del record["digest"]
    record["settings"]["shuffle"] = shuffle
    write_record(old.path, record)
    assert Run.read(old.path).settings.fold_scheme == scheme


def test_an_old_run_is_shown_and_predicts_what_it_did(old: Run, entry: EntryPoint) -> None:
    folder = old.path.parents[2]
    assert entry("runs", "list", cwd=folder).code == 0
    shown = entry("runs", "show", "golden", "-c", "sample", "--json", cwd=folder)
    assert shown.json["scores"]["oof"] == old.oof
    before = pd.read_csv(old.path / "submission.csv")
    done = entry("predict", "-c", "sample", "--run", "golden", cwd=folder)
    assert done.code == 0
    after = pd.read_csv(folder / "submission.csv")
    assert list(after["Id"]) == list(before["Id"])
    np.testing.assert_allclose(after["SalePrice"], before["SalePrice"], rtol=1e-6)


# Forged: sealed with a digest of its own.


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document below its top."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def changed(record: Any, path: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> Any:
    document = json.loads(json.dumps({k: v for k, v in record.items() if k != "digest"}))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return document


def replaced_by(value: Any) -> Callable[[Any, Any], None]:
    return lambda inner, key: inner.__setitem__(key, value)


FORGERIES: dict[str, Callable[[Any, Any], None]] = {
    "removed": lambda inner, key: inner.__delitem__(key),
    **{
        repr(value): replaced_by(value)
        for value in (None, True, -1, 1.5, 10**400, "", "x", [], {}, [[1]], {"a": {}})
    },
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_forged_field_is_a_traceback(old: Run, forgery: str) -> None:
    """Whatever stands in a field: the run can be listed and shown, or one error says why not."""
    for path in places(old.record):
        if path in (("digest",), ("schema_version",)):
            continue
        write_record(old.path, changed(old.record, path, FORGERIES[forgery]))
        (run,) = list_runs(old.path.parent.parent)
        list_document([run])
        list_view([run])
        if run.state == FINISHED:
            show_document(run, [])
            show_view(show_document(run, []), run, everything=True)
        else:
            assert "run.json" in run.problem, path


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("scores", "oof"), "low", "scores.oof"),
        (("folds", 1, "validation"), None, "folds.1.validation"),
        (("ensemble", "target_scale"), [1.0], "ensemble.target_scale"),
        (("ensemble", "members", 0, "fold"), 7, "ensemble.members"),
        (("ensemble", "recipes", 0), "../../secret.json", "ensemble.recipes.0"),
        (("files", "/etc/passwd"), "0" * 64, "files./etc/passwd"),
        (("metric",), "luck", "metric"),
        (("members",), [], "members"),
        (("timing", "finished"), "yesterday", "timing.finished"),
    ],
)
def test_an_error_names_file_and_field(
    old: Run, path: tuple[str | int, ...], value: Any, field: str
) -> None:
    write_record(old.path, changed(old.record, path, replaced_by(value)))
    with pytest.raises(RunFolderError) as raised:
        Run.read(old.path)
    assert f"{old.path / 'run.json'} is damaged: {field}: " in str(raised.value)
    assert Run.describe(old.path).state == UNREADABLE


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "[" * 100_000, '{"schema_version": NaN}', '{"digest": 1e999}']
)
def test_files_that_are_no_record(old: Run, text: str) -> None:
    (old.path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"run\.json is damaged"):
        Run.read(old.path)


# Links.

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@needs_links
@pytest.mark.parametrize("name", ["run.json", "oof.csv", "weights.safetensors", "recipes"])
def test_nothing_is_read_from_outside(old: Run, tmp_path: Path, name: str) -> None:
    outside = (old.path / name).rename(tmp_path / "outside")
    (old.path / name).symlink_to(outside)
    with pytest.raises(RunFolderError, match="is a link"):
        Run.read(old.path).ensemble()
    if name == "oof.csv":
        assert {f.name: f.state for f in old.stored_files()}[name] == "altered"


@needs_links
def test_nothing_is_written_through_a_link(old: Run, tmp_path: Path, entry: EntryPoint) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (old.path / "submission.csv").unlink()
    (old.path / "submission.csv").symlink_to(victim)
    done = entry("predict", "-c", "sample", "--run", "golden", cwd=tmp_path)
    assert done.code == OutputError.exit_code
    assert "submission.csv: it is a link" in done.error
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "submission.csv").exists()
    (old.path / "figures").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is a link"):
        old.output("figures/victim")


@needs_links
def test_the_folder_itself_may_be_a_link(old: Run, tmp_path: Path) -> None:
    moved = old.path.rename(tmp_path / "elsewhere")
    old.path.symlink_to(moved)
    assert find_run(tmp_path / "runs", "sample", "golden").base_models() is not None
    assert old.output("submission.csv") == old.path / "submission.csv"


# What is not loaded.


def test_a_list_of_runs_loads_nothing_heavy() -> None:
    """It is looked at often: no torch and no pandas, also once runs have been read."""
    program = (
        "import sys; from pathlib import Path; from kaggleprice.runs import pruning, listing;"
        f"runs = listing.list_runs(Path({str(GOLDEN / 'schema-2')!r}));"
        "assert runs[0].rank and runs[0].members == 3; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert "kaggleprice.core.files" in found
    assert not found & {"numpy", "pandas", "torch", "sklearn", "scipy"}
