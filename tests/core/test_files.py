"""Files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from kaggleprice.core.errors import OutputError
from kaggleprice.core.files import check_writable, replacing, sha256


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def test_file_is_replaced_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.csv"
    for old, new in [(None, "old"), ("old", "new")]:
        with replacing(path) as beside:
            beside.write_text(new)
            assert (path.read_text() if path.exists() else None) == old
            assert (beside.parent, beside.suffix) == (path.parent, ".csv")
    assert everything(tmp_path) == {str(Path("deep") / "er" / "a.csv"): b"new"}


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (RuntimeError(), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(28, "No space left on device"), OutputError),
    ],
)
def test_failure_leaves_the_old_file_and_no_litter(
    tmp_path: Path, error: BaseException, seen: type[BaseException]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as beside:
            beside.write_text("half of it")
            raise error

    with pytest.raises(seen, match=r"a\.csv: No space left" if seen is OutputError else None):
        fail()
    assert everything(tmp_path) == {"a.csv": b"old"}


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits are POSIX's")
@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, mask: int, expected: int) -> None:
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "a.csv") as beside:
            beside.write_text("x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == expected


def test_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    path = tmp_path / "taken" / "deeper" / "a.csv"
    with pytest.raises(OutputError, match=r"cannot write .*a\.csv"):
        check_writable(path)
    with pytest.raises(OutputError, match=r"cannot write .*a\.csv"), replacing(path):
        pytest.fail("nothing can be written here")
    assert everything(tmp_path) == {"taken": b"a file"}


def test_place_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        check_writable(tmp_path / "folder")
    with pytest.raises(OutputError), replacing(tmp_path / "folder") as beside:
        beside.write_text("x")
    assert everything(tmp_path) == {}


def test_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("old")
    for path in ("a.csv", "new.csv", "not/yet/there.csv"):
        check_writable(Path(path))
        check_writable(tmp_path / path)
    assert [p.name for p in tmp_path.rglob("*")] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_sha256_is_hashlibs(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "real" / "target.csv")
    with replacing(link) as beside:
        beside.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "real" / "target.csv").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    # Both ends, so that nobody waits for the other.
    reading = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        with replacing(pipe) as beside:
            beside.write_text("said")
        assert os.read(reading, 10) == b"said"
    finally:
        os.close(reading)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_failure_writes_nothing_to_a_device() -> None:
    with pytest.raises(ValueError, match="no"), replacing(Path(os.devnull)) as beside:
        int("no")
    assert not beside.exists()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
