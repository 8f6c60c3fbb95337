"""One process at a time changes a run; the next command clears away what dead ones left."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from pathlib import Path

import pytest
from forged import forge, noisy
from members import Heard

from kaggleprice.core.errors import OutputError
from kaggleprice.core.files import sha256, take_lock, working_folder
from kaggleprice.core.progress import SILENT
from kaggleprice.runs import listing
from kaggleprice.runs.exclusive import (
    changing,
    changing_at_once,
    has_run,
    recover,
    unchanged,
)
from kaggleprice.runs.run import FINISHED

KEY = ".unfinished-00000000000000ab"


def names(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


@pytest.fixture
def small(runs_dir: Path) -> Path:
    return runs_dir / "small"


def test_a_run_that_a_dead_process_put_aside_is_put_back(small: Path, runs_dir: Path) -> None:
    before = (small / "b" / "run.json").read_bytes()
    left = small / ".unfinished-abcd1234"
    (left / ".new").mkdir(parents=True)
    (left / ".new" / "run.json").write_text("{}", encoding="utf-8")
    shutil.move(small / "b", left / "b")
    found = listing.find_run(runs_dir, "small", "b")
    assert found.state == FINISHED
    assert (small / "b" / "run.json").read_bytes() == before
    assert names(small) == ["a", "b", "c"]


def test_a_run_that_was_replaced_already_stays(small: Path) -> None:
    left = small / ".unfinished-abcd1234"
    forge(left / "b", noisy(9))
    before = (small / "b" / "run.json").read_bytes()
    recover(small)
    assert (small / "b" / "run.json").read_bytes() == before
    assert names(small) == ["a", "b", "c"]


def test_a_run_that_cannot_be_put_back_is_not_lost(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = small / ".unfinished-abcd1234"
    left.mkdir()
    shutil.move(small / "b", left / "b")

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"put back run b.*Permission denied"):
        recover(small)
    assert (left / "b" / "run.json").is_file()


@pytest.mark.parametrize("kind", [".pruned-abcd1234", ".changing-b"])
def test_what_others_left_goes(small: Path, kind: str) -> None:
    shutil.move(small / "a", small / kind / "a")
    assert not has_run(small, "a")
    assert names(small) == ["b", "c"]


def test_what_is_being_written_stays(small: Path) -> None:
    with working_folder(small, ".unfinished-") as beside:
        recover(small)
        assert beside.is_dir()
    assert names(small) == ["a", "b", "c"]


@pytest.mark.parametrize("written", [False, True])
def test_a_checkpoint_goes_once_its_run_is_there(small: Path, written: bool) -> None:
    (small / KEY).mkdir()
    (small / KEY / "identity.json").write_text("{}", encoding="utf-8")
    content = sha256(small / "b" / "run.json") if written else "another"
    (small / KEY / "written").write_text(f"b {content}", encoding="utf-8")
    recover(small)
    assert (small / KEY).exists() != written


@pytest.mark.parametrize("text", [b"z 00", b"../b 00", b"\xff", b"a\0b 00", b"x" * 5000])
def test_a_checkpoint_that_says_nothing_of_a_run_stays(small: Path, text: bytes) -> None:
    (small / KEY).mkdir()
    (small / KEY / "identity.json").write_text("{}", encoding="utf-8")
    (small / KEY / "written").write_bytes(text)
    recover(small)
    assert (small / KEY).exists()


def test_half_of_a_checkpoint_goes(small: Path) -> None:
    """It was being removed when its process died."""
    (small / KEY).mkdir()
    (small / KEY / "members-0-4.safetensors").write_bytes(b"")
    recover(small)
    assert not (small / KEY).exists()


def test_a_run_that_is_still_what_it_was(small: Path) -> None:
    digest = json.loads((small / "a" / "run.json").read_text())["digest"]
    with unchanged(small / "a", digest, SILENT) as same:
        assert same
    with unchanged(small / "b", digest, SILENT) as same:
        assert not same
    shutil.rmtree(small / "a")
    with unchanged(small / "a", digest, SILENT) as same:
        assert not same
    assert names(small) == ["b", "c"]


def test_what_another_process_changes_is_not_taken(small: Path) -> None:
    with changing(small / "a", SILENT):
        with changing_at_once(small / "a") as ours:
            assert not ours
        with changing_at_once(small / "b") as ours:
            assert ours
    with changing_at_once(small / "a") as ours:
        assert ours


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_nothing_is_written_through_links(small: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in (".changing-a", ".unfinished-abcd1234", ".pruned-abcd1234"):
        (small / name).symlink_to(elsewhere)
    (small / KEY).mkdir()
    (small / KEY / "members-0-1.safetensors").symlink_to(elsewhere / "file")
    recover(small)
    with pytest.raises(OutputError, match="it is a link"), changing(small / "a", SILENT):
        pytest.fail("it is not ours")
    with pytest.raises(OSError, match="holds one"):
        take_lock(small / KEY)
    assert list(elsewhere.iterdir()) == []


def test_one_waits_for_the_other(small: Path) -> None:
    heard, order = Heard(), list[str]()

    def second() -> None:
        with changing(small / "a", heard):
            order.append("second")

    with changing(small / "a", SILENT):
        other = threading.Thread(target=second)
        other.start()
        while not heard.notices:
            pass
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert heard.notices == ["waiting for another process that changes run a"]
    assert names(small) == ["a", "b", "c"]
