"""A real HTTP server on loopback whose answer to each request is scripted.

    with Mirror() as mirror:
        address = mirror.serve("/train.csv", status(500), whole(b"Id,SalePrice\n"))
        ...
        assert mirror.requests["/train.csv"] == 2

The last answer of a path is repeated; a path without answers is a 404.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread


class Request(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.answer_to(self.path)(self)

    def begin(self, code: int, **headers: str | int) -> None:
        """Send the status and the headers."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the test's output clean."""


Answer = Callable[[Request], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, 0), Request)
        self.answers: dict[str, list[Answer]] = {}
        self.requests: Counter[str] = Counter()
        self.ending = Event()
        self.lock = Lock()

    def answer_to(self, path: str) -> Answer:
        with self.lock:
            number = self.requests[path]
            self.requests[path] += 1
        answers = self.answers.get(path, [status(404)])
        return answers[min(number, len(answers) - 1)]

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the script."""


class Mirror:
    """The server and its thread."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.server = Server(host)
        self.host = f"[{host}]" if ":" in host else host
        self.requests = self.server.requests
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def serve(self, path: str, *answers: Answer) -> str:
        """Answer requests for `path` with these, in turn; return the address."""
        self.server.answers[path] = list(answers)
        return f"http://{self.host}:{self.server.server_port}{path}"

    def __enter__(self) -> Mirror:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.ending.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def whole(body: bytes, *, after: float = 0.0, **headers: str | int) -> Answer:
    """Answer with all of `body`, after some seconds; headers may lie."""
    return _sending(body, {"Content_Length": len(body), **headers}, before=after)


def truncated(body: bytes, at: int) -> Answer:
    """Promise all of `body`, send the beginning, hang up."""
    return _sending(body[:at], {"Content_Length": len(body)})


def unmeasured(body: bytes) -> Answer:
    """Send `body` without its length, as an HTTP/1.0 server may."""
    return _sending(body, {})


def stalled(body: bytes, at: int) -> Answer:
    """Promise all of `body`, send the beginning, then nothing more for as long as it takes."""
    return _sending(body[:at], {"Content_Length": len(body)}, behind=60)


def _sending(
    body: bytes, headers: dict[str, str | int], before: float = 0.0, behind: float = 0.0
) -> Answer:
    def answer(request: Request) -> None:
        request.server.ending.wait(before)
        request.begin(200, **headers)
        request.wfile.write(body)
        request.server.ending.wait(behind)

    return answer


def dripping(body: bytes, every: float, size: int = 1) -> Answer:
    """Send `size` bytes at a time, with `every` seconds before each."""

    def answer(request: Request) -> None:
        request.begin(200, Content_Length=len(body))
        _drip(request, body, every, size)

    return answer


def endless(block: bytes) -> Answer:
    """Send a block again and again, without a length."""

    def answer(request: Request) -> None:
        request.begin(200)
        while not request.server.ending.is_set():
            request.wfile.write(block)

    return answer


def dripping_headers(every: float) -> Answer:
    """Send a header one byte at a time and never come to its end."""

    def answer(request: Request) -> None:
        request.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        _drip(request, b"x" * 60_000, every)

    return answer


def _drip(request: Request, body: bytes, every: float, size: int = 1) -> None:
    for start in range(0, len(body), size):
        if request.server.ending.wait(every):
            return
        request.wfile.write(body[start : start + size])


def status(code: int, **headers: str | int) -> Answer:
    """Answer with a bare status."""
    return lambda request: request.begin(code, **{"Content_Length": 0, **headers})


def redirect(address: str) -> Answer:
    """Send the client elsewhere."""
    return status(302, Location=address)


def hang_up(request: Request) -> None:
    """Close the connection without an answer."""
