"""Presets as a person sees them: listed, with what was measured, and honest about it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from entry_point import EntryPoint

from benchmarks import presets as benchmark
from kaggleprice.cli.documents import SCHEMA_VERSION
from kaggleprice.cli.views.presets import PresetLine, presets_document
from kaggleprice.settings import base_models, preset_benchmarks
from kaggleprice.settings.preset_benchmarks import read_measurements
from kaggleprice.settings.run import PRESETS


def test_every_preset_is_measured() -> None:
    found = read_measurements()
    assert found.presets.keys() == PRESETS.keys()
    for name, preset in PRESETS.items():
        settings = preset.settings
        # Where settings are tried first, only some of them get all their starts.
        most = settings.k * len(settings.variants) * (settings.seeds or 4)
        networks = found.presets[name].networks
        assert networks == most or (settings.learns_weights and networks < most)
        assert 0 < found.presets[name].oof < 1
        assert found.presets[name].seconds > 0


def test_more_work_scores_better() -> None:
    """Or nobody should choose it. Only `best` has base models."""
    found = read_measurements().presets
    fast, default, best = (found[name] for name in ("fast", "default", "best"))
    assert best.oof < default.oof < fast.oof < found["book"].oof
    assert best.seconds > default.seconds > fast.seconds
    assert [name for name, preset in PRESETS.items() if preset.settings.base_models] == ["best"]


@pytest.mark.parametrize(
    ("installed", "extra"),
    [
        ([], ()),
        (["catboost"], ("catboost",)),
        (["lightgbm"], ("lightgbm",)),
        (["lightgbm", "catboost"], ("catboost", "lightgbm")),
    ],
)
def test_best_has_an_extras_trees_where_they_are_installed(
    installed: list[str], extra: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_models, "find_spec", lambda name: name in installed or None)
    assert base_models.best_base_models() == ("trees", "svm", *extra)


@pytest.mark.parametrize("command", ["cv", "predict"])
def test_list(entry: EntryPoint, command: str, tmp_path: Path) -> None:
    shown = entry(command, "--preset", "list", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    document = entry(command, "--preset", "list", "--json", cwd=tmp_path).json
    assert (document["schema_version"], document["command"]) == (SCHEMA_VERSION, "presets")
    assert [preset["name"] for preset in document["presets"]] == list(PRESETS)
    for preset in document["presets"]:
        values = read_measurements().presets[preset["name"]]
        assert preset["measured"]["oof"] == values.oof
        (line,) = [x for x in shown.out.splitlines() if x.split()[:1] == [preset["name"]]]
        assert f"{values.fold_mean:.4f}" in line
        assert f"{values.oof:.4f}" in line
    assert list(tmp_path.iterdir()) == []


def test_a_new_preset_is_listed_before_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "new", replace(PRESETS["fast"], help="something new"))
    names = [preset.name for preset in presets_document({}).presets]
    assert "new" in names
    assert presets_document({}).presets[-1] == PresetLine("new", "something new", None)


def test_the_benchmark_writes_what_the_list_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the committed competition, with a preset small enough for a test."""
    sample = benchmark.COMPETITIONS["sample"]
    monkeypatch.setitem(benchmark.COMPETITIONS, "house-prices", sample)
    monkeypatch.setenv("KAGGLEPRICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path / "preset_benchmarks.json")
    benchmark.main("book")
    written = json.loads((tmp_path / "preset_benchmarks.json").read_text(encoding="utf-8"))
    assert written.keys() == {"machine", "presets"}
    book = preset_benchmarks.Measured(**written["presets"]["book"])
    assert book.networks == 5
    assert 0.1 < book.oof < 1
