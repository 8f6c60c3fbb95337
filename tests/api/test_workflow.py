"""The commands as a library: the same calls from a notebook, silent and without a console."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small import OPTIONS, content, place_in, source_in, write_small

from kaggleprice.api import prediction, workflow
from kaggleprice.api.workflow import DatasetRef, RuntimeConfig
from kaggleprice.competitions import csv_reader
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.transforms import LOG, LOG1P
from kaggleprice.core import large_arrays
from kaggleprice.core.errors import DataError, OutputError
from kaggleprice.evaluation import ensemble
from kaggleprice.settings.run import make_settings


def test_folds_of_a_run_reproduce_it(folder: Path) -> None:
    first = folder / "runs" / "small" / "mlp-001"
    settings, own = make_settings(options=OPTIONS), first / "folds.csv"
    run, _ = workflow.cross_validate(source_in(folder), settings, place_in(folder), folds=own)
    assert run.name == "mlp-002"
    for name in ("folds.csv", "oof.csv", "weights.safetensors"):
        assert (run.path / name).read_bytes() == (first / name).read_bytes()


def test_preprocess_writes_both_files_or_none(folder: Path) -> None:
    (folder / "features.recipe.json").mkdir()
    with pytest.raises(OutputError, match=r"features\.recipe\.json"):
        workflow.preprocess(source_in(folder), output=folder / "features.csv")
    assert not (folder / "features.csv").exists()


def test_a_failed_command_makes_no_folder(folder: Path) -> None:
    (folder / "train.csv").write_bytes(b"")
    new = RuntimeConfig(folder / "new" / "runs", "cpu")
    with pytest.raises(DataError):
        workflow.cross_validate(source_in(folder), make_settings(), new)
    assert not (folder / "new").exists()


def test_a_library_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, place = source_in(folder), place_in(folder)
    workflow.download(DatasetRef(COMPETITIONS["sample"], folder / "data"))
    workflow.preprocess(source, output=folder / "features.npz")
    workflow.cross_validate(source, make_settings(options=OPTIONS), place)
    prediction.predict(source, place, output=folder / "submission.csv")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_geometric_means_of_prices_from_zero_on() -> None:
    assert ensemble.combine(np.log1p([[0.0], [3.0]]), LOG1P, None) == pytest.approx([1.0])


def test_an_overflow_is_infinite_and_no_warning() -> None:
    assert np.isinf(ensemble.combine(np.array([[1e4]]), LOG, "arithmetic")).all()


def test_the_same_bytes_where_everything_lies_in_files(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine whose memory the data do not fit into."""
    write_small(tmp_path)
    mapped, in_file = list[int](), large_arrays._in_file
    # The file has more than an eighth of this, and no array less than a 32nd.
    monkeypatch.setattr(large_arrays, "memory", lambda: 30)
    monkeypatch.setattr(csv_reader, "memory", lambda: 30)
    monkeypatch.setattr(large_arrays, "_SEGMENT", 64)
    monkeypatch.setattr(large_arrays, "_in_file", lambda n: mapped.append(n) or in_file(n))
    settings = make_settings(options=OPTIONS)
    run, _ = workflow.cross_validate(source_in(tmp_path), settings, place_in(tmp_path))
    prediction.predict(source_in(tmp_path), place_in(tmp_path), output=tmp_path / "submission.csv")
    assert len(mapped) > 20
    (alone,) = (trained / "runs" / "small").iterdir()
    assert content(alone) == {
        name: text for name, text in content(run.path).items() if name != "submission.csv"
    }
