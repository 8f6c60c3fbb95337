"""Files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kaggleprice.core.errors import OutputError
from kaggleprice.core.files import (
    check_writable,
    remove_abandoned,
    replacing,
    sha256,
    take_lock,
    working_folder,
)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def test_file_is_replaced_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.csv"
    for old, new in [(None, "old"), ("old", "new")]:
        with replacing(path) as beside:
            beside.write_text(new)
            assert (path.read_text() if path.exists() else None) == old
            assert (beside.parent.parent, beside.name) == (path.parent, path.name)
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


# What dead processes left.


def test_the_next_writer_removes_what_a_dead_one_left(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from kaggleprice.core.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as beside:\n"
        "    beside.write_text('half of it'); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "a.csv"
    subprocess.run([sys.executable, "-c", program, path], check=False)
    assert any(name.endswith("a.csv") for name in everything(tmp_path))
    with replacing(path) as beside:
        beside.write_text("new")
    assert everything(tmp_path) == {"a.csv": b"new"}
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_living_one_makes_stays_and_so_does_what_is_nobodys(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".kaggleprice-link").symlink_to(elsewhere)
    (tmp_path / ".kaggleprice-file").write_text("a file")
    with working_folder(tmp_path) as living:
        (living / "a").write_text("x")
        remove_abandoned(tmp_path)
        assert (living / "a").read_text() == "x"
        assert take_lock(living) is None
    assert not living.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".kaggleprice-file",
        ".kaggleprice-link",
        "elsewhere",
    ]


def test_many_writers_at_once(tmp_path: Path) -> None:
    """Each clears away before it writes, and none takes another's folder for a dead one's."""

    def write(number: int) -> None:
        with replacing(tmp_path / f"{number % 4}.csv") as beside:
            beside.write_text(str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(80)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.csv", "1.csv", "2.csv", "3.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="names may be longer there")
def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 251}.csv"
    with replacing(path) as beside:
        beside.write_text("x")
    assert path.read_text() == "x"
