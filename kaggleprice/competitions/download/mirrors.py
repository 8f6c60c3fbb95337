"""Mirrors: the addresses that a competition records, on the web or inside our own package."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import IO, ClassVar
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.util import Retry

from kaggleprice.competitions.download.content import (
    CHUNK,
    Chunks,
    check_size,
    reason,
    reported,
    write,
)
from kaggleprice.competitions.download.local_files import LocalFile
from kaggleprice.competitions.download.records import CompetitionFile, FetchSettings, Status
from kaggleprice.core.errors import DataError, NetworkError
from kaggleprice.core.progress import Progress

_PACKAGE = "package:"
# requests wraps the errors of connecting; those of reading a body are urllib3's own.
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
_TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.ProtocolError,  # a body that ends before it is whole
)


def mirror_origins(
    file: CompetitionFile, settings: FetchSettings, progress: Progress
) -> Iterator[LocalFile | Mirror]:
    """Yield a file's mirrors, in their order."""
    for address in file.record.mirrors:
        if address.startswith(_PACKAGE):
            opener = partial(_open_shipped, address.removeprefix(_PACKAGE))
            yield LocalFile(address, file.record.name, None, opener, settings, progress)
        else:
            yield Mirror(address, file, settings, progress)


def _open_shipped(name: str) -> AbstractContextManager[IO[bytes]]:
    """Open a file of the installed package, or of the checkout around it.

    Raises:
        DataError: where it is in neither, or the name leads out of them.
    """
    package = Path(str(resources.files("kaggleprice")))
    for folder in (package, package.parent):
        # Links are not followed: some installers link every file of a package.
        shipped = Path(os.path.normpath(folder / name))
        if shipped.is_relative_to(folder) and shipped.is_file():
            return shipped.open("rb")
    raise DataError(f"this installation of kaggleprice has no file {name}.")


@dataclass(frozen=True)
class Mirror:
    """A web address of one file."""

    url: str
    file: CompetitionFile
    settings: FetchSettings
    progress: Progress
    status: ClassVar[Status] = "downloaded"

    @property
    def label(self) -> str:
        """Scheme and host, without the credentials that an address may carry."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"

    def save(self, path: Path) -> None:
        """Write what the address gives to `path`, asking again where that may help.

        urllib3's `Retry` counts the attempts and knows the waits. It is driven from here and not
        mounted on the session, where it would see answers but no body that breaks off.

        Raises:
            requests.RequestException, urllib3.exceptions.HTTPError: of the last attempt.
            NetworkError: for plain http where it is not allowed.
            DataError: where there is more than the largest size allowed.
        """
        settings = self.settings
        retry = Retry(
            total=settings.attempts - 1,
            backoff_factor=settings.backoff,
            backoff_jitter=settings.backoff,
            backoff_max=settings.longest_wait,
        )
        while True:
            try:
                return write(self._chunks(), path, settings.max_bytes)
            except NETWORK_ERRORS as error:
                if not (retry.total and _is_transient(error)):
                    raise
                retry = retry.increment("GET", self.url)
                wait = min(_seconds(retry, error), settings.longest_wait)
                attempt = f"attempt {settings.attempts - int(retry.total or 0)}"
                self.progress.notice(
                    f"{self.label}: {reason(error)}; {attempt} of {settings.attempts} "
                    f"in {wait:.1f} s."
                )
            time.sleep(wait)

    def _chunks(self) -> Chunks:
        """Ask once, and yield the body as it arrives, unpacked."""
        self._refuse_plain_http(self.url)
        started = time.monotonic()
        with requests.Session() as session:
            get = partial(session.get, self.url, stream=True, timeout=self.settings.timeout)
            with _within(self.settings.deadline, get) as response:
                for answer in (*response.history, response):
                    self._refuse_plain_http(answer.url)
                if not response.ok:
                    raise requests.HTTPError(f"HTTP {response.status_code}", response=response)
                # What is packed for the way is longer once it has arrived.
                length = "" if "Content-Encoding" in response.headers else "Content-Length"
                announced = response.headers.get(length, "")
                size = int(announced) if announced.isdecimal() else None
                check_size(size or 0, self.settings.max_bytes)
                chunks = self._body(response, started)
                name = self.file.record.name
                yield from reported(chunks, self.progress, "downloading", name, size)

    def _body(self, response: requests.Response, started: float) -> Chunks:
        """Yield the body, unless it comes too slowly: each byte sets a socket's timeout back."""
        done, settings = 0, self.settings
        # `read1` returns what has arrived; `read` would wait for a whole chunk.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            yield chunk
            done += len(chunk)
            seconds = time.monotonic() - started
            if seconds > settings.deadline and done < settings.min_speed * seconds:
                raise requests.RequestException(
                    f"too slow, only {done / 1e3:.1f} kB within {seconds:.0f} s"
                )

    def _refuse_plain_http(self, url: str) -> None:
        """Refuse an address whose content others could change unnoticed.

        Raises:
            NetworkError: for plain http to another computer, where no hash is recorded.
        """
        parts = urlsplit(url)
        safe = parts.scheme != "http" or _is_loopback(parts.hostname or "")
        if not (safe or self.file.hashes or self.settings.allow_http):
            raise NetworkError(
                "by plain http anybody on the way could change the file, and no hash is recorded "
                "that would tell; use https, record its sha256, or pass `--allow-http` to "
                f"`{self.file.command}`"
            )


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _within(seconds: float, get: Callable[[], requests.Response]) -> requests.Response:
    """Call `get`, but wait no longer than `seconds` for the beginning of an answer.

    A socket's timeout starts anew with each byte, so that headers that drip never exceed it. The
    thread is a daemon: one that is given up cannot delay the exit.

    Raises:
        requests.RequestException: where there is no answer in time, and as `get`.
    """
    outcome: Future[requests.Response] = Future()

    def run() -> None:
        try:
            outcome.set_result(get())
        except BaseException as error:  # raised again for the caller, by `result`
            outcome.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError:
        outcome.add_done_callback(_close_late)
        raise requests.RequestException(f"no answer within {seconds:g} s") from None


def _close_late(outcome: Future[requests.Response]) -> None:
    if outcome.exception() is None:
        outcome.result().close()


def _answer(error: Exception) -> requests.Response | None:
    return error.response if isinstance(error, requests.HTTPError) else None


def _is_transient(error: Exception) -> bool:
    if (answer := _answer(error)) is None:
        return isinstance(error, _TRANSIENT)
    return answer.status_code == requests.codes.too_many_requests or answer.status_code >= 500


def _seconds(retry: Retry, error: Exception) -> float:
    """Return how long to wait: as the mirror asks (Retry-After) or, if longer, as `retry` says."""
    requested = None
    if (answer := _answer(error)) is not None:
        with suppress(urllib3.exceptions.InvalidHeader):
            requested = retry.get_retry_after(answer.raw)
    return max(requested or 0.0, retry.get_backoff_time())
