"""`kaggleprice.competitions.download` against a real server on loopback."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from entry_point import EntryPoint
from filelock import FileLock
from members import Heard
from mirror import (
    Answer,
    Mirror,
    Request,
    dripping,
    dripping_headers,
    endless,
    hang_up,
    redirect,
    stalled,
    status,
    truncated,
    unmeasured,
    whole,
)

import kaggleprice
from kaggleprice.competitions import download
from kaggleprice.competitions.catalog import Competition, DataFile
from kaggleprice.competitions.download import FetchedFile, FetchSettings, Role
from kaggleprice.core.errors import (
    ChecksumError,
    DataError,
    MissingFileError,
    NetworkError,
    OutputError,
)

TRAIN = b"Id,Size,SalePrice\n" + b"".join(b"%d,%d,%d\n" % (i, i * 7, i * 991) for i in range(400))
TEST = b"Id,Size\n" + b"".join(b"%d,%d\n" % (i, i * 5) for i in range(401, 600))
WRONG = TRAIN.replace(b"1", b"2")
BROKEN = TRAIN[:2500]
ROLES: tuple[tuple[Role, bytes], ...] = (("train", TRAIN), ("test", TEST))

# Generous: on a busy machine, too, nothing but what is meant to runs into a limit.
SETTINGS = FetchSettings(
    timeout=30.0, deadline=60.0, attempts=3, backoff=0.01, longest_wait=0.1, lock_timeout=60.0
)
fetch = partial(download.fetch, settings=SETTINGS)
locate = partial(download.locate, settings=SETTINGS)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        yield server


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def record(name: str, content: bytes, *mirrors: str) -> DataFile:
    return DataFile(name, mirrors, sha1(content), sha256(content))


def unhashed(file: DataFile) -> DataFile:
    return replace(file, sha1=None, sha256=None)


def competition(train: DataFile, test: DataFile) -> Competition:
    return Competition("toy", "Toy", "https://example.org/toy", train, test, "Id", "SalePrice")


def served(mirror: Mirror, *answers: Answer) -> Competition:
    """A competition whose training file has one mirror with these answers."""
    address = mirror.serve("/train", *answers)
    return of(record("train.csv", TRAIN, address), mirror)


def of(train: DataFile, mirror: Mirror) -> Competition:
    """A competition with this training file and a test file that is no trouble."""
    return competition(train, record("test.csv", TEST, mirror.serve("/test", whole(TEST))))


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def seen(folder: Path) -> set[str]:
    """The names in a folder, but for locks."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


# --- from mirrors -----------------------------------------------------------------------------


def test_both_files_are_downloaded_verified_and_described(mirror: Mirror, data: Path) -> None:
    files = fetch(served(mirror, whole(TRAIN)), data)
    assert files == [
        FetchedFile(
            role=role,
            name=f"{role}.csv",
            path=data / "toy" / f"{role}.csv",
            bytes=len(content),
            sha1=sha1(content),
            sha256=sha256(content),
            status="downloaded",
            verified=True,
        )
        for role, content in ROLES
    ]
    assert [file.path.read_bytes() for file in files] == [TRAIN, TEST]
    assert seen(data / "toy") == {"train.csv", "test.csv"}
    # Not 600, as temporary files are.
    assert files[0].path.stat().st_mode == put(data / "any.csv", b"").stat().st_mode


def test_a_cached_file_is_neither_fetched_nor_locked_again(mirror: Mirror, data: Path) -> None:
    toy = served(mirror, whole(TRAIN))
    fetch(toy, data)
    mirror.requests.clear()
    with FileLock(data / "toy" / ".train.csv.lock"):
        for call in (fetch, locate):
            assert [file.status for file in call(toy, data)] == ["cached", "cached"]
    assert not mirror.requests


def test_nothing_is_printed(
    mirror: Mirror, data: Path, capfd: pytest.CaptureFixture[str], heard: Heard
) -> None:
    fetch(served(mirror, status(500), whole(TRAIN)), data, progress=heard)
    assert capfd.readouterr() == ("", "")
    assert any("HTTP 500; attempt 2 of 3" in notice for notice in heard.notices)


RECOVERED = {
    "500": status(500),
    "503": status(503),
    "429": status(429, Retry_After=0),
    "truncated": truncated(TRAIN, 3000),
    "nothing of the body": truncated(TRAIN, 0),
    "stalled": stalled(TRAIN, 3000),
    "hung up": hang_up,
    "length too long": whole(TRAIN, Content_Length=len(TRAIN) + 10),
    "Retry-After that is none": status(503, Retry_After="soon"),
}


FINAL = {
    "404": status(404),
    "403": status(403),
    "wrong bytes": whole(WRONG),
    "length too short": whole(TRAIN, Content_Length=len(TRAIN) - 10),
    "no length and not whole": unmeasured(BROKEN),
    "drips": dripping(TRAIN, 0.05),
    "drips headers": dripping_headers(0.05),
    "redirect to a 404": redirect("/nowhere"),
}


@pytest.mark.parametrize("name", FINAL)
def test_what_will_not_pass_goes_to_the_next_mirror_at_once(
    mirror: Mirror, data: Path, name: str
) -> None:
    bad, good = mirror.serve("/bad", FINAL[name]), mirror.serve("/good", whole(TRAIN))
    toy = of(record("train.csv", TRAIN, bad, good), mirror)
    settings = replace(SETTINGS, deadline=2.0) if name.startswith("drips") else SETTINGS
    train, _ = fetch(toy, data, settings=settings)
    assert (mirror.requests["/bad"], mirror.requests["/good"]) == (1, 1)
    assert train.path.read_bytes() == TRAIN
    assert seen(data / "toy") == {"train.csv", "test.csv"}


@pytest.mark.parametrize("name", RECOVERED)
def test_what_may_pass_is_asked_again_and_then_the_next_mirror(
    mirror: Mirror, data: Path, name: str
) -> None:
    settings = replace(SETTINGS, timeout=1.0) if name == "stalled" else SETTINGS
    bad, good = mirror.serve("/bad", RECOVERED[name]), mirror.serve("/good", whole(TRAIN))
    third = mirror.serve("/third", whole(TRAIN))
    fetch(of(record("train.csv", TRAIN, bad, good, third), mirror), data, settings=settings)
    assert [mirror.requests[path] for path in ("/bad", "/good", "/third")] == [3, 1, 0]
    again = mirror.serve("/again", RECOVERED[name], whole(TRAIN))
    toy = of(record("train.csv", TRAIN, again), mirror)
    assert fetch(toy, data / "other", settings=settings)[0].path.read_bytes() == TRAIN
    assert mirror.requests["/again"] == 2


ACCEPTED = {
    "length not a number": whole(TRAIN, Content_Length="many"),
    "no length": unmeasured(TRAIN),
    "packed for the way": whole(gzip.compress(TRAIN), Content_Encoding="gzip"),
    "redirect": redirect("/elsewhere"),
}


@pytest.mark.parametrize("answer", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_whole_is_taken(mirror: Mirror, data: Path, answer: Answer) -> None:
    mirror.serve("/elsewhere", whole(TRAIN))
    train, _ = fetch(served(mirror, answer), data)
    assert train.path.read_bytes() == TRAIN
    assert mirror.requests["/train"] == 1


def test_a_mirror_may_take_its_time_if_it_is_fast_enough(mirror: Mirror, data: Path) -> None:
    toy = served(mirror, dripping(TRAIN, 0.2, size=500))
    settings = replace(SETTINGS, deadline=2.0, min_speed=1)
    assert fetch(toy, data, settings=settings)[0].path.read_bytes() == TRAIN


def waits(heard: Heard) -> list[float]:
    """The seconds between attempts, as announced."""
    return [float(notice.split()[-2]) for notice in heard.notices if "attempt" in notice]


@pytest.mark.parametrize(("asked", "longest", "waited"), [(1, 5.0, 1.0), (100, 0.2, 0.2)])
def test_retry_after_is_respected_up_to_a_limit(
    mirror: Mirror, data: Path, heard: Heard, asked: int, longest: float, waited: float
) -> None:
    toy = served(mirror, status(429, Retry_After=asked), whole(TRAIN))
    started = time.monotonic()
    fetch(toy, data, settings=replace(SETTINGS, longest_wait=longest), progress=heard)
    assert waits(heard) == [waited]
    assert time.monotonic() - started >= waited


def test_waits_grow_exponentially(mirror: Mirror, data: Path, heard: Heard) -> None:
    settings = replace(SETTINGS, attempts=4, backoff=0.1, longest_wait=5.0)
    toy = served(mirror, *[status(500)] * 3, whole(TRAIN))
    fetch(toy, data, settings=settings, progress=heard)
    first, second, third = waits(heard)
    assert first == 0
    assert 0.2 <= second <= 0.35
    assert 0.4 <= third <= 0.55


def test_the_hash_that_is_recorded_is_the_one_checked(mirror: Mirror, data: Path) -> None:
    address = mirror.serve("/train", whole(WRONG))
    for file in (
        replace(record("train.csv", TRAIN, address), sha1=None),
        replace(record("train.csv", TRAIN, address), sha256=None),
        replace(record("train.csv", TRAIN, address), sha1=sha1(WRONG)),
        replace(record("train.csv", TRAIN, address), sha256=sha256(WRONG)),
    ):
        with pytest.raises(ChecksumError):
            fetch(of(file, mirror), data)
        assert seen(data / "toy") == set()


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_hashes_in_any_case(mirror: Mirror, data: Path, case: Callable[[str], str]) -> None:
    file = record("train.csv", TRAIN, mirror.serve("/train", whole(TRAIN)))
    for hashes in ({"sha256": case(sha256(TRAIN))}, {"sha1": case(sha1(TRAIN))}):
        toy = of(replace(unhashed(file), **hashes), mirror)
        assert fetch(toy, data)[0].verified


def test_without_a_recorded_hash_a_whole_download_is_taken_unverified(
    mirror: Mirror, data: Path
) -> None:
    address = mirror.serve("/train", *[truncated(TRAIN, 3000)] * SETTINGS.attempts, whole(TRAIN))
    file = unhashed(record("train.csv", TRAIN, address))
    with pytest.raises(NetworkError):
        fetch(of(file, mirror), data)
    assert seen(data / "toy") == set()
    first, again = (fetch(of(file, mirror), data)[0] for _ in range(2))
    assert (first.status, first.verified) == ("downloaded", False)
    assert (again.status, again.verified) == ("cached", False)


# --- what is refused --------------------------------------------------------------------------

PAGES = {
    "login page": b"\n<!DOCTYPE html>\n<html><title>Sign in</title>Id,SalePrice</html>",
    "JSON": b'{"Id": 1, "error": "SalePrice: sign in first"}',
    "another table": b"Name,Price\nx,3\n",
    "nothing": b"",
    "archive": gzip.compress(TRAIN),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
@pytest.mark.parametrize("local", [False, True], ids=["mirror", "folder"])
def test_without_a_recorded_hash_only_a_table_is_placed(
    mirror: Mirror, tmp_path: Path, data: Path, page: bytes, local: bool
) -> None:
    toy = of(unhashed(record("train.csv", TRAIN, mirror.serve("/train", whole(page)))), mirror)
    source = put(tmp_path / "source" / "train.csv", page).parent if local else None
    reason = r"train\.csv of toy .* it (is an HTML|is not a CSV|has no)"
    with pytest.raises(DataError, match=reason) as caught:
        fetch(toy, data, source=source)
    assert caught.value.exit_code == 3
    assert seen(data / "toy") == set()
    mirror.serve("/train", whole(TRAIN))
    assert fetch(toy, data)[0].path.read_bytes() == TRAIN


@pytest.mark.parametrize("role", ["train", "test"])
def test_a_wide_header_with_a_mark_is_a_table(mirror: Mirror, data: Path, role: str) -> None:
    columns = [f"column {i}" for i in range(20_000)] + ["SalePrice"] * (role == "train")
    body = b"\xef\xbb\xbf" + ",".join(["Id", *columns]).encode() + b"\n"
    files = {
        name: unhashed(record(f"{name}.csv", content, mirror.serve(f"/{name}", whole(content))))
        for name, content in {**dict(ROLES), role: body}.items()
    }
    paths = [file.path for file in fetch(competition(**files), data)]
    assert body in [path.read_bytes() for path in paths]


BLOCK = b"1,2,3\n" * 20_000
ENORMOUS = {
    "endless": endless(BLOCK),
    "gzip bomb": whole(gzip.compress(BLOCK * 40), Content_Encoding="gzip"),
    "announced": status(200, Content_Length=10**13),
}


@pytest.mark.parametrize("answer", ENORMOUS.values(), ids=ENORMOUS.keys())
@pytest.mark.parametrize("hashed", [True, False])
def test_size_is_bounded(mirror: Mirror, data: Path, answer: Answer, hashed: bool) -> None:
    file = record("train.csv", TRAIN, mirror.serve("/train", answer))
    settings = replace(SETTINGS, max_bytes=2_000_000)
    with pytest.raises(DataError, match=r"larger than 0\.002 GB .*--max-size"):
        fetch(of(file if hashed else unhashed(file), mirror), data, settings=settings)
    assert mirror.requests["/train"] == 1
    assert seen(data / "toy") == set()


def test_size_is_bounded_in_archives(tmp_path: Path, data: Path) -> None:
    source = archive(
        tmp_path / "bomb.zip", {"train.csv": BLOCK * 40, "x.csv": TRAIN, "test.csv": TEST}
    )
    settings = replace(SETTINGS, max_bytes=2_000_000)
    with pytest.raises(DataError, match="larger than"):
        fetch(offline(hashed=False), data, source=source, settings=settings)
    assert seen(data / "toy") == set()
    assert len(fetch(offline(), data, source=source, settings=settings)) == 2


def test_a_mirror_that_has_only_ipv6(mirror: Mirror, data: Path) -> None:
    try:
        other = Mirror("::1")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with other:
        address = other.serve("/train", whole(TRAIN))
        # Loopback as well: a file without a hash may come from there by plain http.
        files = fetch(of(unhashed(record("train.csv", TRAIN, address)), mirror), data)
    assert [file.status for file in files] == ["downloaded"] * 2
    assert files[0].path.read_bytes() == TRAIN


ELSEWHERES = {
    "a file": lambda _: "file:///etc/passwd",
    "ftp": lambda _: "ftp://127.0.0.1/train.csv",
    "no scheme that is one": lambda _: "data:text/csv,Id,SalePrice",
    "TLS that is none": lambda mirror: mirror.serve("/tls").replace("http:", "https:"),
    "itself": lambda _: "/bad",
    "no address": lambda _: "http://[",
    "a control character": lambda _: "http://127.0.0.1:1/\x1b[2J",
}


@pytest.mark.parametrize("name", ELSEWHERES)
def test_a_redirect_that_leads_nowhere_goes_to_the_next_mirror(
    mirror: Mirror, data: Path, name: str, heard: Heard
) -> None:
    bad = mirror.serve("/bad", redirect(ELSEWHERES[name](mirror)))
    good = mirror.serve("/good", whole(TRAIN))
    file = unhashed(record("train.csv", TRAIN, bad, good))
    train, _ = fetch(of(file, mirror), data, progress=heard)
    assert train.path.read_bytes() == TRAIN
    assert any("127.0.0.1" in notice for notice in heard.notices)
    assert seen(data / "toy") == {"train.csv", "test.csv"}


def test_another_host_does_not_learn_a_mirrors_password(mirror: Mirror, data: Path) -> None:
    heard = list[str | None]()

    def listening(request: Request) -> None:
        heard.append(request.headers.get("Authorization"))
        whole(TRAIN)(request)

    there = mirror.serve("/there", listening).replace("127.0.0.1", "localhost")
    address = mirror.serve("/train", redirect(there)).replace("//", "//ada:secret@")
    fetch(of(record("train.csv", TRAIN, address), mirror), data)
    assert heard == [None]


ELSEWHERE = "http://mirror.example/train.csv"


@pytest.fixture
def elsewhere(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror on another computer: a proxy gives its answers."""
    monkeypatch.setenv("http_proxy", mirror.serve("/").rstrip("/"))
    mirror.server.answers[ELSEWHERE] = [whole(TRAIN)]
    return mirror


@pytest.mark.parametrize("redirected", [False, True], ids=["direct", "redirected"])
def test_plain_http_without_a_hash_is_refused(
    elsewhere: Mirror, data: Path, redirected: bool
) -> None:
    address = elsewhere.serve("/train", redirect(ELSEWHERE)) if redirected else ELSEWHERE
    file = record("train.csv", TRAIN, address)
    with pytest.raises(NetworkError, match=r"https.*sha256.*--allow-http") as caught:
        fetch(of(unhashed(file), elsewhere), data)
    assert (type(caught.value), caught.value.exit_code) == (NetworkError, 4)
    assert elsewhere.requests[ELSEWHERE] == redirected
    assert seen(data / "toy") == set()
    assert fetch(of(file, elsewhere), data)[0].verified


def test_options_of_the_command(entry: EntryPoint, elsewhere: Mirror, tmp_path: Path) -> None:
    toml = f"""
        name = "toy"
        id_column = "Id"
        target_column = "SalePrice"
        train = {{ path = "train.csv", mirrors = ["{ELSEWHERE}"] }}
        test = {{ path = "test.csv", mirrors = ["{elsewhere.serve("/test", whole(TEST))}"] }}
    """
    (tmp_path / "toy.toml").write_text(textwrap.dedent(toml))
    arguments = ("download", "-c", "toy.toml", "--progress", "plain")
    for more, code, named in (
        ((), 4, "--allow-http"),
        (("--allow-http", "--max-size", "0"), 2, "--max-size"),
        (("--allow-http", "--max-size", "1"), 0, "downloaded, no hash"),
    ):
        done = entry(
            *arguments,
            *more,
            cwd=tmp_path,
            http_proxy=os.environ["http_proxy"],
            no_proxy="127.0.0.1",
        )
        assert done.code == code
        assert named in done.out + done.err
        assert "Traceback" not in done.err
        assert (tmp_path / "train.csv").exists() == (code == 0)


# --- no mirror works --------------------------------------------------------------------------


def test_failure_names_file_hosts_reasons_and_the_way_out(mirror: Mirror, data: Path) -> None:
    gone, down = mirror.serve("/gone", status(404)), mirror.serve("/down", status(503))
    hung = mirror.serve("/hung", hang_up)
    with Mirror() as other:
        closed = other.serve("/train", whole(TRAIN))
    secret = gone.replace("http://", "http://me:secret@")
    mirrors = [secret, down, hung, closed, "gopher://old.example/train.csv"]
    with pytest.raises(NetworkError) as caught:
        fetch(of(record("train.csv", TRAIN, *mirrors), mirror), data)
    message = str(caught.value)
    host = f"http://127.0.0.1:{mirror.server.server_port}"
    for part in (
        "train.csv of toy",
        f"{host}: HTTP 404; {host}: HTTP 503; {host}: Remote end closed connection",
        "Connection refused; gopher://old.example: ",
        "https://example.org/toy",
        f"`kaggleprice download --competition toy --data-dir {data} --from PATH`",
    ):
        assert part in message
    for part in ("secret", "\n", "object at 0x"):
        assert part not in message
    assert message.endswith(".")
    assert type(caught.value) is NetworkError
    assert seen(data / "toy") == set()


@pytest.mark.parametrize("call", [fetch, partial(locate, verify=False)])
def test_only_wrong_bodies_is_a_checksum_error(
    mirror: Mirror, data: Path, call: Callable[..., object]
) -> None:
    gone, wrong = mirror.serve("/gone", status(404)), mirror.serve("/wrong", whole(WRONG))
    with pytest.raises(ChecksumError) as caught:
        call(of(record("train.csv", TRAIN, gone, wrong), mirror), data)
    assert f"expected SHA-256 {sha256(TRAIN)}, found {sha256(WRONG)}" in str(caught.value)


def test_no_mirror_at_all(mirror: Mirror, data: Path) -> None:
    toy = of(record("train.csv", TRAIN), mirror)
    with pytest.raises(MissingFileError, match=r"toy/train\.csv is missing .* --from PATH"):
        locate(toy, data)
    put(data / "toy" / "train.csv", WRONG)
    with pytest.raises(ChecksumError, match="not the recorded file"):
        fetch(toy, data)


def test_a_folder_that_cannot_be_written(mirror: Mirror, tmp_path: Path) -> None:
    blocked = put(tmp_path / "file", b"") / "data"
    with pytest.raises(OutputError, match=r"cannot write .*train\.csv: Not a directory"):
        fetch(served(mirror, whole(TRAIN)), blocked)


def test_a_folder_in_the_place_of_the_file(mirror: Mirror, data: Path) -> None:
    (data / "toy" / "train.csv").mkdir(parents=True)
    with pytest.raises(OutputError, match="Is a directory"):
        fetch(served(mirror, whole(TRAIN)), data)
    assert seen(data / "toy") == {"train.csv"}


def test_a_full_disk_is_not_blamed_on_the_mirror(
    mirror: Mirror, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    genuine = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r": genuine(full if mode == "wb" else path, mode)
    )
    with pytest.raises(OutputError, match="No space left"):
        fetch(served(mirror, whole(TRAIN)), data)
    assert mirror.requests["/train"] == 1


# --- files that are there already -------------------------------------------------------------


def test_a_wrong_file_is_replaced_and_kept_beside(mirror: Mirror, data: Path, heard: Heard) -> None:
    put(data / "toy" / "train.csv", WRONG)
    train, test = fetch(served(mirror, whole(TRAIN)), data, progress=heard)
    backup = data / "toy" / f"train.csv.{sha256(WRONG)[:8]}.bak"
    assert (train.status, train.backup, test.backup) == ("downloaded", backup, None)
    assert (train.path.read_bytes(), backup.read_bytes()) == (TRAIN, WRONG)
    assert any(
        "is not the recorded" in notice and sha256(WRONG) in notice for notice in heard.notices
    )


@pytest.mark.parametrize("answer", [status(404), whole(BROKEN), truncated(TRAIN, 99)])
def test_a_wrong_file_stays_where_no_mirror_has_a_better_one(
    mirror: Mirror, data: Path, answer: Answer
) -> None:
    put(data / "toy" / "train.csv", WRONG)
    with pytest.raises(NetworkError):
        fetch(served(mirror, answer), data)
    assert (data / "toy" / "train.csv").read_bytes() == WRONG
    assert seen(data / "toy") == {"train.csv"}


def test_locate_never_replaces_a_wrong_file(mirror: Mirror, data: Path) -> None:
    toy = served(mirror, whole(TRAIN))
    path = put(data / "toy" / "train.csv", WRONG)
    put(data / "right.csv", TRAIN)
    with pytest.raises(ChecksumError) as caught:
        locate(toy, data)
    for part in (str(path), sha256(TRAIN), sha256(WRONG), "kaggleprice download", "--no-verify"):
        assert part in str(caught.value)
    assert path.read_bytes() == WRONG
    assert not mirror.requests


def test_locate_without_verification_takes_the_file_as_it_is(mirror: Mirror, data: Path) -> None:
    path = put(data / "toy" / "train.csv", WRONG)
    toy = served(mirror, whole(TRAIN))
    train, test = locate(toy, data, verify=False)
    assert (train.path, train.sha256, train.verified) == (path, sha256(WRONG), False)
    assert (train.status, test.status, test.verified) == ("cached", "downloaded", True)
    assert mirror.requests["/train"] == 0


def test_locate_fetches_what_is_missing_and_says_so(
    mirror: Mirror, data: Path, heard: Heard
) -> None:
    put(data / "toy" / "test.csv", TEST)
    toy = served(mirror, whole(TRAIN))
    train, test = locate(toy, data, progress=heard)
    assert (train.status, test.status) == ("downloaded", "cached")
    host = f"http://127.0.0.1:{mirror.server.server_port}"
    assert heard.notices == [f"getting train.csv of toy from {host}."]


@pytest.mark.parametrize("call", [fetch, locate])
def test_files_dropped_into_the_data_folder_are_found_by_hash(
    mirror: Mirror, data: Path, call: Callable[..., list[FetchedFile]]
) -> None:
    put(data / "aaa.csv", b"something else\n")
    put(data / "train.csv", TEST)
    dropped = put(data / "kaggle_train.CSV", TRAIN)
    toy = served(mirror, whole(TRAIN))
    train, test = call(toy, data)
    assert (train.status, train.path, train.verified) == ("cached", dropped, True)
    assert (test.status, test.path) == ("cached", data / "train.csv")
    assert not mirror.requests


def test_without_a_recorded_hash_dropped_files_are_left_alone(mirror: Mirror, data: Path) -> None:
    put(data / "train.csv", WRONG)
    file = unhashed(record("train.csv", TRAIN, mirror.serve("/train", whole(TRAIN))))
    train, _ = fetch(of(file, mirror), data)
    assert (train.status, train.path) == ("downloaded", data / "toy" / "train.csv")


def test_a_dropped_file_with_the_right_name_only_is_reported(
    mirror: Mirror, data: Path, heard: Heard
) -> None:
    dropped = put(data / "train.csv", WRONG)
    toy = served(mirror, whole(TRAIN))
    train, _ = locate(toy, data, progress=heard)
    assert train.path.read_bytes() == TRAIN
    assert dropped.read_bytes() == WRONG
    assert heard.notices[0].startswith(f"{dropped} is not the recorded train.csv of toy")


def test_a_dropped_file_replaces_a_wrong_one_without_the_network(
    mirror: Mirror, data: Path
) -> None:
    put(data / "toy" / "train.csv", WRONG)
    put(data / "download (1).csv", TRAIN)
    train, _ = fetch(served(mirror, whole(TRAIN)), data)
    assert (train.status, train.path) == ("copied", data / "toy" / "train.csv")
    assert train.path.read_bytes() == TRAIN
    assert mirror.requests["/train"] == 0


def test_a_file_with_a_path_is_used_and_fetched_there(mirror: Mirror, tmp_path: Path) -> None:
    address = mirror.serve("/train", whole(TRAIN))
    path = tmp_path / "mine" / "rows.csv"
    file = unhashed(replace(record("rows.csv", TRAIN, address), path=path))
    toy = of(file, mirror)
    assert locate(toy, tmp_path / "data")[0].path == path
    assert path.read_bytes() == TRAIN
    put(path, WRONG)
    train, _ = locate(toy, tmp_path / "data")
    assert (train.path, train.status, train.verified) == (path, "cached", False)


# --- files that ship with the package ---------------------------------------------------------


@pytest.mark.parametrize("where", ["kaggleprice/data/train.csv", "data/train.csv"])
def test_package_mirrors(
    mirror: Mirror, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    put(tmp_path / "checkout" / where, TRAIN)
    monkeypatch.setattr("importlib.resources.files", tmp_path.joinpath("checkout").joinpath)
    toy = of(record("train.csv", TRAIN, "package:data/train.csv"), mirror)
    train, _ = fetch(toy, data)
    assert (train.status, train.verified) == ("copied", True)
    assert train.path == data / "toy" / "train.csv"
    assert train.path.read_bytes() == TRAIN


@pytest.mark.parametrize(
    "relative", ["no/such.csv", "../out.csv", "../../out.csv", "/{}/out.csv", "data/../../out.csv"]
)
def test_package_mirrors_that_are_not_there_or_lead_out(
    mirror: Mirror, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: str
) -> None:
    package = tmp_path / "outside" / "checkout" / "kaggleprice"
    (package / "data").mkdir(parents=True)
    for folder in package.parents[:3]:
        put(folder / "out.csv", TRAIN)
    monkeypatch.setattr("importlib.resources.files", package.parent.joinpath)
    address = f"package:{relative.format(str(tmp_path).lstrip('/'))}"
    with pytest.raises(DataError, match="no file"):
        fetch(of(record("train.csv", TRAIN, address), mirror), data)
    good = mirror.serve("/train", whole(TRAIN))
    toy = of(record("train.csv", TRAIN, address, good), mirror)
    assert fetch(toy, data)[0].status == "downloaded"


# --- from a folder or an archive --------------------------------------------------------------


def offline(*, hashed: bool = True) -> Competition:
    files = record("train.csv", TRAIN), record("test.csv", TEST)
    return competition(*(files if hashed else map(unhashed, files)))


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


FOLDERS = {
    "plain": ("train.csv", "test.csv"),
    "renamed": ("a.txt", "b"),
    "one level down": ("raw/train.csv", "other/test.csv"),
}


@pytest.mark.parametrize(("train", "test"), FOLDERS.values(), ids=FOLDERS.keys())
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_a_source_is_recognised_by_hash_before_any_mirror(
    mirror: Mirror, tmp_path: Path, data: Path, train: str, test: str, zipped: bool
) -> None:
    members = {"sample_submission.csv": b"Id,SalePrice\n", train: TRAIN, test: TEST}
    source = tmp_path / "source"
    if zipped:
        archive(source, members)
    else:
        for name, content in members.items():
            put(source / name, content)
    files = fetch(served(mirror, whole(TRAIN)), data, source=source)
    assert not mirror.requests
    assert [(file.status, file.verified) for file in files] == [("copied", True)] * 2
    assert [file.path.read_bytes() for file in files] == [TRAIN, TEST]
    assert seen(data / "toy") == {"train.csv", "test.csv"}


def test_an_archive_cannot_write_out_of_its_place(tmp_path: Path, data: Path) -> None:
    members = {"../../train.csv": TRAIN, str(tmp_path / "evil" / "test.csv"): TEST}
    before = set(tmp_path.rglob("*"))
    source = archive(tmp_path / "evil.zip", members)
    fetch(offline(), data, source=source)
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.parent for path in written} == {tmp_path, data / "toy"}
    assert {path.name for path in written if path.parent == tmp_path} == {"evil.zip"}
    assert seen(data / "toy") == {"train.csv", "test.csv"}


def test_without_hashes_a_source_is_recognised_by_name(tmp_path: Path, data: Path) -> None:
    source = archive(
        tmp_path / "s.zip", {"__MACOSX/._train.csv": b"x", "x/train.csv": TRAIN, "test.csv": TEST}
    )
    files = fetch(offline(hashed=False), data, source=source)
    assert [file.path.read_bytes() for file in files] == [TRAIN, TEST]
    assert [file.verified for file in files] == [False, False]


def test_without_hashes_a_source_replaces_nothing_and_says_so(
    tmp_path: Path, data: Path, heard: Heard
) -> None:
    kept = put(data / "toy" / "train.csv", WRONG)
    source = archive(tmp_path / "s.zip", {"train.csv": TRAIN, "test.csv": TEST})
    fetch(offline(hashed=False), data, source=source, progress=heard)
    assert kept.read_bytes() == WRONG
    assert [notice for notice in heard.notices if "is kept" in notice and str(kept) in notice]


def test_a_source_with_the_right_name_and_another_hash(tmp_path: Path, data: Path) -> None:
    source = put(tmp_path / "source" / "train.csv", WRONG).parent
    with pytest.raises(ChecksumError) as caught:
        fetch(offline(), data, source=source)
    assert f"{source / 'train.csv'} is not the recorded train.csv of toy" in str(caught.value)
    assert f"expected SHA-256 {sha256(TRAIN)}, found {sha256(WRONG)}" in str(caught.value)
    assert seen(data / "toy") == set()


def test_a_source_without_the_file(tmp_path: Path, data: Path) -> None:
    source = archive(tmp_path / "s.zip", {f"{i}.csv": b"%d" % i for i in range(7)})
    with pytest.raises(MissingFileError) as caught:
        fetch(offline(), data, source=source)
    assert str(caught.value) == (
        f"{source} does not hold train.csv of toy: looked for SHA-256 {sha256(TRAIN)}, "
        "found 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more."
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    for found in ("no file", "rows.csv"):
        with pytest.raises(
            MissingFileError, match=rf"looked for the name train\.csv, found {found}\."
        ):
            fetch(offline(hashed=False), data, source=folder)
        put(folder / "rows.csv", TRAIN)


def test_a_source_that_holds_one_file_places_that_one(tmp_path: Path, data: Path) -> None:
    first = archive(tmp_path / "train.csv.zip", {"train.csv": TRAIN})
    second = archive(tmp_path / "test.csv.zip", {"test.csv": TEST})
    with pytest.raises(MissingFileError, match=r"test\.csv of toy"):
        fetch(offline(), data, source=first)
    assert [file.status for file in fetch(offline(), data, source=second)] == ["cached", "copied"]


def damaged(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("train.csv", TRAIN)
        opened.writestr("test.csv", TEST)
    return put(path, path.read_bytes().replace(b"1,7,991", b"1,7,992"))


def encrypted(path: Path) -> Path:
    content = bytearray(archive(path, {"train.csv": TRAIN}).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return put(path, bytes(content))


@pytest.mark.parametrize("hashed", [True, False])
def test_sources_that_cannot_be_read(tmp_path: Path, data: Path, hashed: bool) -> None:
    toy = offline(hashed=hashed)
    for source, kind, sentence in (
        (tmp_path / "nowhere", MissingFileError, "is not there; expected a folder or a zip"),
        (put(tmp_path / "x.csv", TRAIN), DataError, "neither a folder nor a whole zip archive"),
        (
            put(tmp_path / "c.zip", b"PK\x05\x06" + b"\xff" * 18),
            DataError,
            "cannot be read|neither",
        ),
        (damaged(tmp_path / "damaged.zip"), DataError, r"train\.csv in .* cannot be read: Bad CRC"),
        (encrypted(tmp_path / "e.zip"), DataError, "cannot be read: .*encrypted"),
    ):
        with pytest.raises(kind, match=sentence) as caught:
            fetch(toy, data, source=source)
        assert str(source) in str(caught.value)
        assert not data.exists() or seen(data / "toy") == set()


# --- several processes, and killed ones -------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from kaggleprice.competitions.catalog import Competition, DataFile
from kaggleprice.competitions.download import FetchSettings, fetch
data, train, train_hash, test, test_hash = sys.argv[1:]
toy = Competition(
    "toy", "Toy", "", DataFile("train.csv", (train,), sha256=train_hash),
    DataFile("test.csv", (test,), sha256=test_hash), "Id", "SalePrice",
)
for file in fetch(toy, Path(data), settings=FetchSettings(timeout=30)):
    print(file.status)
"""


def child(data: Path, mirror: Mirror, *answers: Answer) -> subprocess.Popen[str]:
    """Start a process that fetches both files."""
    addresses = mirror.serve("/train", *answers), mirror.serve("/test", whole(TEST))
    arguments = [data, addresses[0], sha256(TRAIN), addresses[1], sha256(TEST)]
    root = str(Path(kaggleprice.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_end_with_one_good_file(mirror: Mirror, data: Path) -> None:
    children = [child(data, mirror, whole(TRAIN, after=0.8)) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].split() for process in children]
    assert [process.returncode for process in children] == [0, 0]
    assert sorted(output[0] for output in outputs) == ["cached", "downloaded"]
    assert mirror.requests == {"/train": 1, "/test": 1}
    assert (data / "toy" / "train.csv").read_bytes() == TRAIN
    assert seen(data / "toy") == {"train.csv", "test.csv"}


@pytest.mark.parametrize("restored", [False, True], ids=["fetched", "cached"])
def test_what_a_killed_process_left_is_removed_by_the_next(
    mirror: Mirror, data: Path, restored: bool
) -> None:
    process = child(data, mirror, stalled(TRAIN, 3000), whole(TRAIN))
    part = data / "toy" / ".train.csv.part"
    until = time.monotonic() + 120
    while not (mirror.requests["/train"] and any(part.glob("*"))):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert seen(data / "toy") == {part.name}
    if restored:
        put(data / "toy" / "train.csv", TRAIN)
    toy = of(record("train.csv", TRAIN, mirror.serve("/train", whole(TRAIN))), mirror)
    assert fetch(toy, data)[0].path.read_bytes() == TRAIN
    assert seen(data / "toy") == {"train.csv", "test.csv"}


def test_what_a_live_process_is_writing_is_left_alone(mirror: Mirror, data: Path) -> None:
    put(data / "toy" / "train.csv", TRAIN)
    part = put(data / "toy" / ".train.csv.part" / "tmp", b"half")
    with FileLock(data / "toy" / ".train.csv.lock"):
        assert fetch(served(mirror, whole(TRAIN)), data)[0].status == "cached"
    assert part.exists()


def test_a_lock_that_is_never_released_is_not_waited_for_forever(
    mirror: Mirror, data: Path, heard: Heard
) -> None:
    (data / "toy").mkdir(parents=True)
    with FileLock(data / "toy" / ".train.csv.lock"), pytest.raises(OutputError, match="file lock"):
        fetch(
            served(mirror, whole(TRAIN)),
            data,
            settings=replace(SETTINGS, lock_timeout=0.1),
            progress=heard,
        )
    assert heard.notices == ["waiting for another process that is fetching train.csv of toy."]
    assert not mirror.requests
