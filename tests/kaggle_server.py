"""A stand-in of Kaggle's API on loopback, for Kaggle's real command.

    with KaggleServer() as server:
        server.archives["rents"] = zipped({"train.csv": b"..."})
        done = entry("download", ..., **server.environment)

The command has a setting for a local server, which fixes its address: http://localhost, port 80.
It is asked through a proxy, which is this server, so that any free port does: no rights are needed,
and tests can run side by side. Addresses and messages are those that Kaggle's own API has.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

TOKEN = "KGAT_an-invented-token-that-must-not-be-seen"  # noqa: S105 - opens nothing
_API = "/api/v1/"


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


class _Request(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self._body() or b"{}")
        path = urlsplit(self.path).path
        assert path.startswith(_API), path
        method = path.rpartition("/")[2]
        owner = self.server.owner
        owner.asked.append((method, body))
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if method == "IntrospectToken":
            token = body["token"] == TOKEN
            self._answer({"active": token, "username": "ada"})
        elif not known:
            self._answer({"code": 401, "message": "Unauthenticated"}, 401)
        elif method in owner.faults:
            status, message = owner.faults[method]
            if status == 0:
                owner.ending.wait(30)
            elif message:
                self._answer({"code": status, "message": message}, status)
            else:
                self._send(b"", status, "text/html")
        else:
            getattr(self, f"_{method}")(body)

    def _DownloadDataFiles(self, body: Any) -> None:  # noqa: N802 - the API's name
        slug = body["competitionName"]
        if slug not in self.server.owner.archives:
            self._answer({"code": 404, "message": "NotFound"}, 404)
            return
        self.send_response(302)
        self.send_header("Location", f"http://localhost/signed/{slug}.zip?X-Goog-Signature=secret")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _StartSubmissionUpload(self, body: Any) -> None:  # noqa: N802
        self._answer({"token": "blob", "createUrl": "http://localhost/upload?signature=secret"})

    def _CreateSubmission(self, body: Any) -> None:  # noqa: N802
        self._answer({"message": "Successfully submitted", "ref": self.server.owner.take(body)})

    def _ListSubmissions(self, body: Any) -> None:  # noqa: N802
        self._answer({"submissions": self.server.owner.listed()})

    def _GetSubmission(self, body: Any) -> None:  # noqa: N802
        entries = [e for e in self.server.owner.submissions if e["ref"] == body["ref"]]
        self._answer(entries[0])

    def do_GET(self) -> None:
        owner, name = self.server.owner, Path(urlsplit(self.path).path).name
        found = owner.archives[name.removesuffix(".zip")]
        self._send(found, owner.archive_status, "application/zip")

    def do_PUT(self) -> None:
        self.server.owner.uploaded.append(self._body())
        self._answer({}, self.server.owner.upload_status)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _answer(self, content: Any, status: int = 200) -> None:
        self._send(json.dumps(content).encode(), status, "application/json")

    def _send(self, body: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the test's output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: KaggleServer) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.owner = owner

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the script."""


class KaggleServer:
    """The server, what it is to answer, and what it was asked.

    Attributes:
        archives: by competition, the zip of its files.
        faults: by method of the API, status and message to refuse with; status 0 for no answer.
        upload_status: of the upload of a file.
        archive_status: of the address at which the files are.
        polls: how often a submission is pending before it is scored.
        verdict: fields of a submission that is scored.
        asked: method and body of each request.
        uploaded: files that were sent.
        submissions: as the API lists them.
    """

    def __init__(self) -> None:
        self.archives: dict[str, bytes] = {}
        self.faults: dict[str, tuple[int, str]] = {}
        self.upload_status = self.archive_status = 200
        self.polls = 1
        self.verdict: dict[str, Any] = {"status": "COMPLETE", "publicScore": "0.14325"}
        self.asked: list[tuple[str, Any]] = []
        self.uploaded: list[bytes] = []
        self.submissions: list[dict[str, Any]] = []
        self.ending = Event()
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def methods(self) -> list[str]:
        """What was asked, without the questions who asks."""
        return [method for method, _ in self.asked if method != "IntrospectToken"]

    def environment(self, home: Path, token: str = TOKEN) -> dict[str, str]:
        """Return what leads the command here, and nowhere else."""
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        return {
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy),
            **dict.fromkeys(("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"), ""),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": token,
            "KAGGLE_CONFIG_DIR": str(home),
            "HOME": str(home),
        }

    def take(self, body: Any) -> int:
        """Take a submission; return its number."""
        ref = 4711 + len(self.submissions)
        entry = {"ref": ref, "description": body.get("submissionDescription"), "status": "PENDING"}
        self.submissions.insert(0, {**entry, "fileName": "submission.csv", "publicScore": ""})
        return ref

    def listed(self) -> list[dict[str, Any]]:
        """Return the submissions; the latest is scored after so many questions."""
        if self.polls == 0 and self.submissions:
            self.submissions[0] |= self.verdict
        self.polls = max(0, self.polls - 1)
        return self.submissions

    def __enter__(self) -> KaggleServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
