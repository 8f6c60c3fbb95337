"""What the network, the operating system and archives complain of, in a few words."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from kaggleprice.core.errors import KagglePriceError

Complaints = tuple[type[Exception], ...]

FROM_SYSTEM: Complaints = (OSError,)
# RuntimeError: an encrypted member, or a compression that this Python lacks.
FROM_ARCHIVE: Complaints = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)


@contextmanager
def translated(
    kind: type[KagglePriceError], sentence: str, complaints: Complaints = FROM_SYSTEM
) -> Iterator[None]:
    """Turn a complaint into an error for people: the sentence, a colon, the reason."""
    try:
        yield
    except complaints as error:
        raise kind(f"{sentence}: {reason(error)}.") from error


def http_status(error: BaseException | None) -> int | None:
    """Return the status of a response that is an error; None for any other error."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return int(error.response.status_code)
    return None


def reason(error: BaseException | None) -> str:
    """Name an error's innermost cause: libraries wrap it several times over."""
    if status := http_status(error):
        return f"HTTP {status}"
    while error and not isinstance(error, KagglePriceError) and (inner := _inner(error)):
        error = inner
    strerror = getattr(error, "strerror", None)
    return (strerror or str(error) or type(error).__name__).removesuffix(".")


def _inner(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
