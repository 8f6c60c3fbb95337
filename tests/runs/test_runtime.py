"""What runs are trained with, and whether a finished one is what would be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forged import forge, noisy
from members import Heard
from small import write_small

from kaggleprice.competitions.catalog import read_competition
from kaggleprice.competitions.data import DatasetRef
from kaggleprice.core.errors import UsageError
from kaggleprice.runs.checkpoints import key_of
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import RuntimeConfig, check_identity, source_of


def test_an_address_needs_a_cluster() -> None:
    assert RuntimeConfig(engine="ray", address="127.0.0.1:1").address == "127.0.0.1:1"
    with pytest.raises(UsageError, match="--engine ray"):
        RuntimeConfig(address="127.0.0.1:1")


@pytest.mark.parametrize(
    ("changes", "time_limit", "says"),
    [
        ({}, None, None),
        ({"identity": "other"}, None, "of other data"),
        ({"cut_at": 3}, None, "ended by a time limit"),
        ({"cut_at": 3}, 60.0, None),
    ],
)
def test_whether_a_run_is_what_would_be_trained(
    tmp_path: Path, changes: dict[str, Any], time_limit: float | None, says: str | None
) -> None:
    own: dict[str, Any] = {"identity": key_of({"data": 1}), **changes}
    run = Run.read(forge(tmp_path / "small" / "a", noisy(1), **own))
    runtime = RuntimeConfig(tmp_path, time_limit=time_limit)
    if says is None:
        check_identity(run, {"data": 1}, runtime)
        return
    with pytest.raises(UsageError, match=f"run 'a' .*{says}.*another name"):
        check_identity(run, {"data": 1}, runtime)


def test_a_run_reads_columns_as_it_was_trained(tmp_path: Path) -> None:
    source = DatasetRef(read_competition(write_small(tmp_path)), tmp_path)
    run, heard = Run.read(forge(tmp_path / "small" / "a", noisy(1))), Heard()
    assert source_of(run, source, heard).competition.kinds == {}
    assert heard.notices == []
    today = replace(source, competition=replace(source.competition, kinds={"Area": "drop"}))
    assert source_of(run, today, heard).competition.kinds == {}
    (notice,) = heard.notices
    assert "'Area'" in notice
