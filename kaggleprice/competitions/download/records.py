"""What is wanted, how it is recognised, where it may come from, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaggleprice.competitions.catalog import DEFAULT_COMPETITION, Competition, DataFile
from kaggleprice.competitions.download.content import Digests

Role = Literal["train", "test"]
Status = Literal["cached", "downloaded", "copied"]


@dataclass(frozen=True)
class FetchSettings:
    """How patient to be with mirrors; all times in seconds.

    Attributes:
        timeout: the longest silence while connecting or reading, per attempt.
        deadline: the longest that one attempt may take altogether; a mirror that is alive
            but slower than this is not asked again.
        attempts: how often one mirror is asked before it is the next one's turn.
        backoff: the wait before the second attempt; it doubles from there, plus jitter.
        longest_wait: no wait between attempts is longer, whatever the mirror asks for.
        lock_timeout: how long to wait for another process that fetches the same file.
    """

    timeout: float = 20.0
    deadline: float = 120.0
    attempts: int = 4
    backoff: float = 0.5
    longest_wait: float = 30.0
    lock_timeout: float = 900.0


DEFAULT_SETTINGS = FetchSettings()


@dataclass(frozen=True)
class FetchedFile:
    """One file of a competition, present and read once from end to end.

    Attributes:
        role: which of the competition's two files it is.
        name: its recorded name; `path` may bear another one.
        path: where it lies.
        bytes: its size.
        sha1: the digest found, whether or not one is recorded.
        sha256: likewise.
        status: whether it was there already, or how it came.
        verified: False where no hash is recorded or verification was switched off.
        backup: where the file that it replaced was put; None where it replaced nothing.
    """

    role: Role
    name: str
    path: Path
    bytes: int
    sha1: str
    sha256: str
    status: Status
    verified: bool
    backup: Path | None = None


@dataclass(frozen=True)
class Wanted:
    """One file of a competition and the place where it belongs; as text, its name."""

    competition: Competition
    role: Role
    file: DataFile
    target: Path

    def __str__(self) -> str:
        return f"{self.file.name} of {self.competition.name}"

    @property
    def hashes(self) -> dict[str, str]:
        """The recorded digests by algorithm, the stronger one first."""
        recorded = {"SHA-256": self.file.sha256, "SHA-1": self.file.sha1}
        return {name: digest.lower() for name, digest in recorded.items() if digest}

    @property
    def advice(self) -> str:
        """What a person can do where the file cannot be had."""
        page = f" from {self.competition.page}" if self.competition.page else ""
        return f"download the file yourself{page} and run `{self.command} --from PATH`"

    @property
    def command(self) -> str:
        """The command that fetches this competition's files."""
        chosen = self.competition.name if self.file.path is None else "FILE.toml"
        return "kaggleprice download" + (
            "" if chosen == DEFAULT_COMPETITION else f" --competition {chosen}"
        )

    def problem(self, digests: Digests) -> str | None:
        """Say which recorded hash these digests miss; None where they miss none."""
        found = {"SHA-256": digests.sha256, "SHA-1": digests.sha1}
        for name, expected in self.hashes.items():
            if found[name] != expected:
                return f"expected {name} {expected}, found {found[name]}"
        return None

    def result(
        self, path: Path, digests: Digests, status: Status, *, verified: bool = True
    ) -> FetchedFile:
        """Describe the file at `path`; without a recorded hash it is never verified."""
        return FetchedFile(
            role=self.role,
            name=self.file.name,
            path=path,
            bytes=digests.bytes,
            sha1=digests.sha1,
            sha256=digests.sha256,
            status=status,
            verified=verified and bool(self.hashes),
        )


def wanted_files(competition: Competition, data_dir: Path) -> list[Wanted]:
    """Name the training file and the test file, each with its place."""
    folder = data_dir / competition.name
    roles: tuple[tuple[Role, DataFile], ...] = (
        ("train", competition.train),
        ("test", competition.test),
    )
    return [
        Wanted(competition, role, file, file.path or folder / file.name) for role, file in roles
    ]


@dataclass(frozen=True)
class Origin:
    """A place to get one file from.

    Attributes:
        label: its name in messages.
        status: what a file that comes from here is called.
        save: writes the file's content to a path.
    """

    label: str
    status: Status
    save: Callable[[Path], None]


Origins = Callable[[Wanted], Iterable[Origin]]
