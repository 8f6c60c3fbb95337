"""The files of a competition: what is recorded of each, where it belongs, how it is recognised."""

from __future__ import annotations

import csv
import io
import shlex
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from filelock import FileLock

from kaggleprice.competitions.catalog import Competition, DataFile
from kaggleprice.competitions.download.content import Digests
from kaggleprice.core.errors import ChecksumError, DataError

Role = Literal["train", "test"]
ROLES: tuple[Role, Role] = ("train", "test")
Status = Literal["cached", "downloaded", "copied"]

# Characters: the names of some hundred thousand columns.
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class FetchSettings:
    """Limits on mirrors and files; all times in seconds.

    Attributes:
        timeout: the longest silence while connecting or reading, per attempt.
        deadline: how long an attempt may wait for an answer, and from when on it must have been
            as fast as `min_speed`; a mirror that is alive but slower is not asked again.
        min_speed: bytes per second, on average over the attempt.
        attempts: how often one mirror is asked before the next one is.
        backoff: the wait before the third attempt (there is none before the second); it doubles
            from there, plus jitter.
        longest_wait: no wait between attempts is longer, whatever the mirror asks for.
        lock_timeout: how long to wait for another process that fetches the same file.
        max_bytes: the largest file that is taken, unpacked.
        allow_http: whether a file without a recorded hash may come by plain http, where anybody
            on the way can change it. From this computer itself it always may.
    """

    timeout: float = 20.0
    deadline: float = 120.0
    min_speed: float = 50_000.0
    attempts: int = 4
    backoff: float = 0.5
    longest_wait: float = 30.0
    lock_timeout: float = 900.0
    max_bytes: int = 10 * 10**9
    allow_http: bool = False


DEFAULT_SETTINGS = FetchSettings()


@dataclass(frozen=True, kw_only=True)
class FetchedFile(Digests):
    """One file of a competition, present, with the digests found, whether recorded or not.

    Attributes:
        role: which of the competition's two files it is.
        name: its recorded name; `path` may have another one.
        path: where it is.
        status: whether it was there already, or how it came.
        verified: False where no hash is recorded or verification was switched off.
        backup: where the file that it replaced was put; None where it replaced nothing.
    """

    role: Role
    name: str
    path: Path
    status: Status
    verified: bool
    backup: Path | None = None


@dataclass(frozen=True)
class CompetitionFile:
    """One file of a competition; as text, its name.

    Attributes:
        competition: whose file.
        role: which of the two.
        record: its name, mirrors and hashes.
        path: where it belongs.
    """

    competition: Competition
    role: Role
    record: DataFile
    path: Path

    def __str__(self) -> str:
        return f"{self.record.name} of {self.competition.name}"

    @cached_property
    def lock(self) -> FileLock:
        """Held by the process that fetches it."""
        return FileLock(self.path.with_name(f".{self.path.name}.lock"))

    @property
    def staging(self) -> Path:
        """The folder of what is not verified yet."""
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def hashes(self) -> dict[str, str]:
        """The recorded digests by algorithm, the stronger one first."""
        recorded = {"SHA-256": self.record.sha256, "SHA-1": self.record.sha1}
        return {name: digest.lower() for name, digest in recorded.items() if digest}

    @property
    def pooch_hash(self) -> str | None:
        """The strongest recorded hash as pooch takes it, such as `sha256:1e18...`."""
        return next((f"{n.replace('-', '').lower()}:{d}" for n, d in self.hashes.items()), None)

    @property
    def command(self) -> str:
        """The command that fetches this competition's files to where they are looked for."""
        if self.record.path is not None:
            return "kaggleprice download --competition FILE.toml"
        data_dir = self.path.parents[1]
        elsewhere = [] if data_dir == Path("data") else ["--data-dir", str(data_dir)]
        named = ["--competition", self.competition.name]
        return shlex.join(["kaggleprice", "download", *named, *elsewhere])

    @property
    def advice(self) -> str:
        """What a person can do where no mirror gives the file."""
        page = f" from {self.competition.page}" if self.competition.page else ""
        return f"download the file yourself{page} and run `{self.command} --from PATH`"

    def mismatch(self, digests: Digests) -> str | None:
        """Return which recorded hash these digests are not; None where they are all of them."""
        found = {"SHA-256": digests.sha256, "SHA-1": digests.sha1}
        for name, expected in self.hashes.items():
            if found[name] != expected:
                return f"expected {name} {expected}, found {found[name]}"
        return None

    def check(self, path: Path, digests: Digests) -> None:
        """Check that `path` holds this file: by its hash or, without one, by its header.

        Raises:
            ChecksumError: for another hash than the recorded one.
            DataError: where no hash is recorded and it is no table with the competition's columns,
                such as the login page that some servers send in place of a file.
        """
        if mismatch := self.mismatch(digests):
            raise ChecksumError(mismatch)
        if not self.hashes:
            self._check_header(path)

    def _check_header(self, path: Path) -> None:
        written = self.competition.csv_format
        try:
            with path.open(encoding=written.codec, newline="") as stream:
                text = stream.read(_LONGEST_HEADER)
            header = next(
                csv.reader(io.StringIO(text, newline=""), delimiter=written.separator), []
            )
        except (UnicodeDecodeError, csv.Error):
            raise DataError("it is not a CSV: its beginning is not text in UTF-8") from None
        if text.lstrip().startswith("<"):
            raise DataError(f"it is an HTML or XML page, not a CSV; it begins with {text[:40]!r}")
        targets = self.competition.targets if self.role == "train" else ()
        for column in (self.competition.id_column, *targets):
            if column is not None and column not in header:
                raise DataError(f"it has no column {column!r}; it begins with {text[:40]!r}")

    def result(
        self, path: Path, digests: Digests, status: Status, *, verified: bool = True
    ) -> FetchedFile:
        """Describe the file at `path`; without a recorded hash it is never verified."""
        return FetchedFile(
            **asdict(digests),
            role=self.role,
            name=self.record.name,
            path=path,
            status=status,
            verified=verified and bool(self.hashes),
        )


def competition_files(competition: Competition, data_dir: Path) -> list[CompetitionFile]:
    """Return the training file and the test file, each with its place."""
    folder = data_dir / competition.name
    return [
        CompetitionFile(competition, role, record, record.path or folder / record.name)
        for role, record in zip(ROLES, competition.files, strict=False)
    ]
