"""The tree of errors: exit codes as documented, one root, and its picture up to date."""

from __future__ import annotations

import inspect
import re

from kaggleprice.core import errors
from kaggleprice.core.errors import KagglePriceError

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
