"""Where competitions say that their files can be had: web addresses and our own package."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import IO, Any

import pooch
import requests
import tenacity

from kaggleprice.competitions.download.complaints import http_status, reason
from kaggleprice.competitions.download.content import copy
from kaggleprice.competitions.download.records import FetchSettings, Origin, Wanted
from kaggleprice.core.errors import DataError
from kaggleprice.core.progress import BYTES, Progress

_PACKAGE = "package:"
_SECONDS_BETWEEN = 0.05
_TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,  # a body that ends before it is whole
)


def mirror_origins(wanted: Wanted, settings: FetchSettings, progress: Progress) -> Iterator[Origin]:
    """Yield a file's mirrors, in their order."""
    for address in wanted.file.mirrors:
        if address.startswith(_PACKAGE):
            opener = partial(_open_shipped, address)
            yield Origin(address, "copied", partial(copy, opener, wanted.file.name, progress))
        else:
            mirror = _Mirror(address, settings, wanted.file.name, progress)
            yield Origin(mirror.label, "downloaded", mirror.save)


def _open_shipped(address: str) -> AbstractContextManager[IO[bytes]]:
    """Open a file of the installed package, or of the checkout around it.

    Raises:
        DataError: where it is in neither, or the address leads out of them.
    """
    relative = PurePosixPath(address.removeprefix(_PACKAGE))
    package = resources.files("kaggleprice")
    folders: tuple[Traversable, ...] = (package, Path(str(package)).parent)
    for folder in folders:
        shipped = folder.joinpath(str(relative))
        if not relative.is_absolute() and ".." not in relative.parts and shipped.is_file():
            return shipped.open("rb")
    raise DataError(f"this installation of kaggleprice has no file {relative}.")


@dataclass(frozen=True)
class _Mirror:
    url: str
    settings: FetchSettings
    name: str
    progress: Progress

    @property
    def label(self) -> str:
        """Scheme and host, without the credentials that an address may carry."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"

    def save(self, part: Path) -> None:
        """Write what the address gives to `part`, asking again where that may help.

        Raises:
            requests.RequestException: of the last attempt.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.settings.attempts),
            retry=tenacity.retry_if_exception(_is_transient),
            wait=self._wait,
            before_sleep=self._announce,
            reraise=True,
        )
        retrying(self._attempt, part)

    def _attempt(self, part: Path) -> None:
        # The stream is opened and closed here: an attempt that was given up can write no more.
        with part.open("wb") as stream:
            counted = _Counted(stream, self.name, self.progress)
            try:
                work = partial(_stream, self.url, counted, self.settings.timeout)
                _within(self.settings.deadline, work)
            except TimeoutError:
                late = f"not the whole file within {self.settings.deadline:g} s"
                raise requests.RequestException(late) from None
            finally:
                counted.given_up = True

    def _wait(self, state: tenacity.RetryCallState) -> float:
        backoff = tenacity.wait_exponential(multiplier=self.settings.backoff)
        jitter = tenacity.wait_random(0, self.settings.backoff)
        wait = max(backoff(state) + jitter(state), _retry_after(_error(state)))
        return min(wait, self.settings.longest_wait)

    def _announce(self, state: tenacity.RetryCallState) -> None:
        wait = state.next_action.sleep if state.next_action else 0.0
        attempt = f"attempt {state.attempt_number + 1} of {self.settings.attempts}"
        self.progress.notice(f"{self.label}: {reason(_error(state))}; {attempt} in {wait:.1f} s.")


class _Counted:
    """A file that tells how much was written to it.

    Attributes:
        total: how many bytes are to come; None where the server does not say.
        given_up: whether nobody waits for it any more; then it tells nothing.
    """

    def __init__(self, stream: IO[bytes], name: str, progress: Progress) -> None:
        self._stream, self._name, self._progress = stream, name, progress
        self._done, self._due = 0, 0.0
        self.total: int | None = None
        self.given_up = False

    def write(self, block: bytes) -> None:
        """Write, and tell."""
        self._stream.write(block)
        self._done += len(block)
        now = time.monotonic()
        # A chunk is a kilobyte, of which there may be millions.
        if (now >= self._due or self._done == self.total) and not self.given_up:
            self._due = now + _SECONDS_BETWEEN
            self._progress.advance("downloading", self._done, self.total, self._name, BYTES)

    def flush(self) -> None:
        """Flush the file."""
        self._stream.flush()


def _stream(url: str, stream: _Counted, timeout: float) -> None:
    with ExitStack() as stack:

        def look(response: requests.Response, **_: Any) -> None:
            # pooch leaves open what it does not read to the end.
            stack.callback(response.close)
            length = response.headers.get("Content-Length", "")
            # What is packed for the way is longer once it has arrived.
            whole = length.isdecimal() and "Content-Encoding" not in response.headers
            stream.total = int(length) if whole else None

        download = pooch.HTTPDownloader(timeout=(timeout, timeout), hooks={"response": look})
        download(url, stream, None)


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Run `work`, but wait no longer than `seconds` for it.

    A socket's timeout starts anew with each byte, so that a server that drips is never late
    for it. The thread is a daemon: one that is given up cannot hold up the exit.

    Raises:
        TimeoutError: where `work` is not done in time; it is left to itself.
    """
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # for the caller, who gets it from `result`
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    Thread(target=run, daemon=True).start()
    outcome.result(timeout=seconds)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _is_transient(error: BaseException) -> bool:
    if status := http_status(error):
        return status == requests.codes.too_many_requests or status >= 500
    return isinstance(error, _TRANSIENT)


def _retry_after(error: BaseException | None) -> float:
    """Return the seconds that a mirror asks to be left alone; 0 for none, or for a date."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        asked = error.response.headers.get("Retry-After", "")
        return float(asked) if asked.isdecimal() else 0.0
    return 0.0
