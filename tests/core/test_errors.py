"""The tree of errors: exit codes as documented, one root, its picture; wants of memory."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from kaggleprice.core import errors
from kaggleprice.core.errors import KagglePriceError, RunError, lacks_memory

TREE = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, KagglePriceError)
}
# From the architecture: 1 run failed, 2 usage, 3 data or schema, 4 network or checksum, 5 access,
# 6 a gate was missed.
CODES = {
    "RunError": 1,
    "DivergenceError": 1,
    "OutputError": 1,
    "ReplayError": 1,
    "UsageError": 2,
    "UnknownNameError": 2,
    "DeviceError": 2,
    "DataError": 3,
    "MissingFileError": 3,
    "RunFolderError": 3,
    "NetworkError": 4,
    "ChecksumError": 4,
    "AccessError": 5,
    "GateError": 6,
}


def test_exit_codes() -> None:
    assert {name: kind.exit_code for name, kind in TREE.items()} == {"KagglePriceError": 1, **CODES}


def test_picture_at_the_top_of_the_file_is_the_tree() -> None:
    depths: list[str] = []
    drawn = {}
    lines = (errors.__doc__ or "").splitlines()
    for line in lines:
        found = re.match(r"([│├└─ ]*)(\w+Error)\s+(\d)?", line)
        if found:
            depth = len(found[1]) // 4
            depths[depth:] = [found[2]]
            drawn[found[2]] = (depths[depth - 1] if depth else "Exception", found[3])
    assert drawn.keys() == TREE.keys()
    for name, (parent, code) in drawn.items():
        assert TREE[name].__bases__[0].__name__ == parent
        if code:
            assert TREE[name].exit_code == int(code)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(2**50),
        lambda: np.empty(2**50),
        lambda: bytearray(2**60),
    ],
    ids=["torch", "numpy", "python"],
)
def test_real_wants_of_memory_are_seen(ask: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert lacks_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("whatever"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
        (RunError("out of memory"), False),
    ],
)
def test_which_errors_are_about_memory(error: Exception, is_one: bool) -> None:
    assert lacks_memory(error) is is_one
