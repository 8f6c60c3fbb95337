"""Every error that kaggleprice raises on purpose, each with its exit code.

KagglePriceError            root: catch this one to catch them all
├── RunError                1  the run itself failed
│   ├── DivergenceError     1  training left the finite numbers
│   ├── OutputError         1  a result could not be written
│   └── ReplayError         1  a run that was trained again came out differently
├── UsageError              2  an option has a value that it cannot have
│   ├── UnknownNameError    2  a name that is in no registry
│   └── DeviceError         2  a device that this machine does not have
├── DataError               3  a file's content is not what the competition says
│   ├── MissingFileError    3  a file that should be there is not
│   └── RunFolderError      3  a run folder is incomplete or was altered
├── NetworkError            4  a file could not be fetched
│   └── ChecksumError       4  a file's hash is not the recorded one
├── AccessError             5  Kaggle refuses, or its command is not there
└── GateError               6  a limit set by the user was missed

An interrupted command ends with 130, a terminated one with 143, as shells expect.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KagglePriceError(Exception):
    """The root of the tree. `str(error)` is one sentence that a person can act on."""

    exit_code = 1


class RunError(KagglePriceError):
    """The run itself failed: divergence, memory, disk."""

    exit_code = 1


class DivergenceError(RunError):
    """Training diverged: numbers of at least one member became NaN or infinite."""


class OutputError(RunError):
    """A result could not be written where it was wanted."""


class ReplayError(RunError):
    """A run that was trained again came out differently."""


class UsageError(KagglePriceError):
    """An option has a value that it cannot have."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is in no registry; the message lists the valid ones and the nearest of them."""

    def __init__(
        self, kind: str, name: str, valid: Iterable[str], where: str = "", more: str = ""
    ) -> None:
        """Make the message.

        Args:
            kind: what the name should be the name of, such as `preset`.
            name: the name that was given.
            valid: the names that there are.
            where: follows the name in the message, such as ` in kaggleprice.toml`.
            more: follows the list of valid names.
        """
        self.kind, self.name, self.valid = kind, name, sorted(valid)
        listed = f"there are: {', '.join(self.valid)}" if self.valid else "there are none yet"
        hint = did_you_mean(name, self.valid)
        super().__init__(f"unknown {kind} {name!r}{where}; {listed}{more}.{hint}")


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return ` Did you mean 'NAME'?` with the nearest valid name; empty where none is near."""
    near = nearest(name, valid)
    return "" if near is None else f" Did you mean {near!r}?"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that is nearest to what was found; None where none is near.

    Of near names one of the same letters is nearest: letters are swapped more often than lost.
    Whether they are capitals does not count.
    """
    named = {known.casefold(): known for known in sorted(valid, reverse=True)}
    close = difflib.get_close_matches(name.casefold(), sorted(named))
    swapped = [near for near in close if sorted(near) == sorted(name.casefold())]
    return named[(swapped or close)[0]] if close else None


class DeviceError(UsageError):
    """A device that this machine does not have."""


class DataError(KagglePriceError):
    """A file's content is not what the competition says."""

    exit_code = 3


class MissingFileError(DataError):
    """A file that should be there is not."""


class RunFolderError(DataError):
    """A run folder is incomplete or was altered."""


class NetworkError(KagglePriceError):
    """A file could not be fetched."""

    exit_code = 4


class ChecksumError(NetworkError):
    """A file's hash is not the recorded one."""


class AccessError(KagglePriceError):
    """Kaggle refuses: credentials, rules, limits, a file; or its own command is not installed."""

    exit_code = 5


class GateError(KagglePriceError):
    """A limit set by the user was missed."""

    exit_code = 6


# What torch and the libraries below it say, in lower case: a GPU's allocator, the CPU's, C++, CUDA,
# oneDNN (which says no more where there is no room for the code that it makes), Python's threads.
_SIGNS = (
    *("out of memory", "allocate memory", "bad_alloc", "alloc_failed"),
    *("could not create a primitive", "could not create a memory"),
    *("can't start new thread", "outofmemoryerror"),
)


def lacks_memory(error: BaseException) -> bool:
    """Tell whether an error, which may be of any library, says that memory has run out."""
    if isinstance(error, MemoryError):
        return True
    # torch's own error is known by its name: not every command loads torch.
    words = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, RuntimeError) and any(sign in words for sign in _SIGNS)
