"""Large arrays: the numbers that were put in come out, wherever they lie."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kaggleprice.core import large_arrays
from kaggleprice.core.errors import OutputError
from kaggleprice.core.large_arrays import Arena, empty, memory

V1, V2 = "4:memory:/a/b\n3:cpu:/\n0::/\n", "0::/a/b\n"


def in_file(array: NDArray[np.generic]) -> bool:
    """Whether an array is a view of a mapped file."""
    base: object = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 kB: an array of 1 kB is large."""
    monkeypatch.setattr(large_arrays, "memory", lambda: 32_000)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("count", "large"), [(125, True), (124, False)])
def test_what_is_large_lies_in_a_file(count: int, large: bool) -> None:
    made = empty((count, 1), np.float64)
    made[:, 0] = np.arange(count)
    assert in_file(made) == large
    assert made.shape == (count, 1)
    assert made.sum() == count * (count - 1) / 2


@pytest.mark.usefixtures("little_memory")
def test_objects_stay_in_memory() -> None:
    assert not in_file(empty([1000], object))
    assert not in_file(Arena().keep(np.array(["a"] * 1000, dtype=object)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["int8", "int16", "float32", "float64", "U3"]),
            st.lists(st.integers(-100, 100), max_size=9),
        ),
        max_size=9,
    )
)
def test_an_arena_keeps_arrays_apart(arrays: list[tuple[str, list[int]]]) -> None:
    given_in = [np.array(values).astype(kind) for kind, values in arrays]
    arena = Arena()
    kept = [arena.keep(array) for array in given_in]
    for before, after in zip(given_in, kept, strict=True):
        assert after.dtype == before.dtype
        assert after.flags.aligned
        np.testing.assert_array_equal(after, before)
    numbers = [array for array in given_in if array.dtype.kind != "U"]
    if numbers:
        np.testing.assert_array_equal(arena.join(numbers), np.concatenate(numbers))


def test_a_disk_without_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file may be larger than 1 MB here, as on a full disk: the process must not die of it."""
    monkeypatch.setattr(large_arrays, "memory", lambda: 32_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, before[1]))
    try:
        with pytest.raises(OutputError, match="TMPDIR"):
            empty([10**7], np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (V2, {"memory.max": "max", "a/b/memory.max": "123456"}, [123456]),
        (V2, {"memory.max": "1000"}, [1000]),
        (V1, {"memory/a/b/memory.limit_in_bytes": "5000"}, [5000]),
        # What no limit looks like in version 1.
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712"}, []),
        (V2, {}, []),
    ],
)
def test_limits_of_a_control_group(
    groups: str, files: dict[str, str], expected: list[int], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    own = tmp_path / "own"
    own.write_text(groups)
    assert list(large_arrays._group_limits(tmp_path, own)) == expected


def test_no_control_groups(tmp_path: Path) -> None:
    assert list(large_arrays._group_limits(tmp_path, tmp_path / "none")) == []


@pytest.mark.parametrize("flag", ["-d", "-v"])
def test_limits_of_the_shell(flag: str) -> None:
    code = "from kaggleprice.core.large_arrays import memory; print(memory())"
    command = ["bash", "-c", f'ulimit {flag} 3000000; exec "$0" -c "$1"', sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == min(memory(), 3_000_000 * 1024)
