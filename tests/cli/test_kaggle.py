"""To Kaggle and back, as typed: Kaggle's real command against a stand-in of its API."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from entry_point import SCRIPT, TINY, EntryPoint, Finished
from kaggle_server import TOKEN, KaggleServer, zipped
from small import TEST_ROWS, write_small

from kaggleprice import cli
from kaggleprice.cli.schemas import json_schema, name_of
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.runs.leaderboard import FILE

COMMAND = shutil.which("kaggle", path=str(Path(sys.executable).parent))
# Several processes of Kaggle's command beside each other take long to start.
pytestmark = pytest.mark.skipif(
    COMMAND is None and not os.environ.get("KAGGLEPRICE_REQUIRE_REAL_DATA"),
    reason="Kaggle's command is not installed beside this Python (the extra `kaggle`)",
)
SLUG = "small-prices"
SEND = ["submit", "-m", "first: try", "-c", "small.toml", "--yes"]
Kaggleprice = Callable[..., Finished]


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    with KaggleServer() as server:
        yield server


@pytest.fixture(scope="module")
def trained(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a competition at Kaggle, a run and its submission. Never changed."""
    folder = tmp_path_factory.mktemp("trained")
    toml = write_small(folder)
    toml.write_text(f'kaggle = "{SLUG}"\n{toml.read_text()}')
    for line in (["cv", *TINY, "-c", "small.toml"], ["predict", "-c", "small.toml"]):
        done = entry(*line, cwd=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "here")


@pytest.fixture
def kaggleprice(entry: EntryPoint, server: KaggleServer, tmp_path: Path) -> Kaggleprice:
    """The command, led to the stand-in; what it prints never holds a credential."""

    def run(*arguments: str, cwd: Path, **environment: str) -> Finished:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        done = entry(*arguments, cwd=cwd, **{**server.environment(home), **environment})
        assert TOKEN not in done.out + done.err
        return done

    return run


def checked(done: Finished) -> Any:
    """The document that was printed, held against its schema."""
    assert done.code == 0, done.err
    jsonschema.Draft202012Validator(json_schema(name_of(done.json))).validate(done.json)
    return done.json


def test_a_submission_is_sent_and_its_score_noted(
    kaggleprice: Kaggleprice, server: KaggleServer, folder: Path
) -> None:
    run = folder / "runs/small/mlp-001"
    record = (run / "run.json").read_bytes()
    done = kaggleprice(*SEND, "--wait", "--json", cwd=folder)
    document = checked(done)
    assert server.uploaded == [(run / "submission.csv").read_bytes()]
    assert server.submissions[0]["description"] == "first: try"
    assert (document["sent"], document["ref"], document["status"]) == (True, 4711, "complete")
    assert (document["kaggle"], document["rows"]) == (SLUG, TEST_ROWS)
    assert document["leaderboard"] == 0.14325
    assert document["gap"] == pytest.approx(0.14325 - document["oof"])
    # What would be sent is shown, also where nobody is asked.
    for word in ("submission.csv", f"{TEST_ROWS} rows", SLUG, "first: try"):
        assert word in done.err
    noted = json.loads((run / FILE).read_text())
    assert (noted["public_score"], noted["ref"], noted["kaggle"]) == (0.14325, 4711, SLUG)
    assert (run / "run.json").read_bytes() == record
    assert {path.name for path in run.iterdir()} >= {FILE, "run.json"}
    assert not [path for path in run.iterdir() if path.name.startswith(".")]
    assert TOKEN not in "".join(p.read_text(errors="replace") for p in run.rglob("*.json"))


def test_listings_and_the_report_name_the_leaderboard(
    kaggleprice: Kaggleprice, entry: EntryPoint, folder: Path
) -> None:
    assert "leaderboard" not in entry("runs", cwd=folder).out
    done = kaggleprice(*SEND, "--wait", cwd=folder)
    assert done.code == 0, done.err
    assert "0.1432" in done.out
    assert "gap" in done.out
    listed = checked(entry("runs", "list", "--json", cwd=folder))["runs"][0]
    assert listed["leaderboard"] == 0.14325
    assert listed["gap"] == pytest.approx(0.14325 - listed["scores"]["oof"])
    shown = checked(entry("runs", "show", "-c", "small.toml", "--json", cwd=folder))
    assert shown["submitted"]["public_score"] == 0.14325
    assert shown["gap"] == listed["gap"]
    gap = f"{listed['gap']:+.4f}"
    for line in (["runs"], ["runs", "show", "-c", "small.toml"]):
        text = entry(*line, cwd=folder).out
        assert "0.1432" in text
        assert gap in text
    done = entry("report", "--permutations", "1", "-c", "small.toml", cwd=folder)
    assert done.code == 0, done.err
    page = (folder / "runs/small/mlp-001/report.html").read_text()
    assert "Public leaderboard</dt><dd>0.1432" in page
    assert gap in page


def test_the_same_file_is_not_sent_again(
    kaggleprice: Kaggleprice, server: KaggleServer, folder: Path
) -> None:
    first = checked(kaggleprice(*SEND, "--json", cwd=folder))
    assert (first["status"], first["leaderboard"], first["gap"]) == ("pending", None, None)
    second = kaggleprice(*SEND, cwd=folder)
    assert "not again" in second.out
    third = checked(kaggleprice(*SEND, "--wait", "--json", cwd=folder))
    assert (third["sent"], third["ref"], third["leaderboard"]) == (False, 4711, 0.14325)
    assert server.methods.count("CreateSubmission") == 1
    # Another file is another submission.
    file = folder / "runs/small/mlp-001/submission.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], f"{lines[-1].partition(',')[0]},60000"]) + "\n")
    assert checked(kaggleprice(*SEND, "--json", cwd=folder))["ref"] == 4712


def test_a_file_that_kaggle_would_refuse_is_not_sent(
    kaggleprice: Kaggleprice, server: KaggleServer, folder: Path
) -> None:
    file = folder / "runs/small/mlp-001/submission.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    done = kaggleprice(*SEND, cwd=folder)
    assert done.code == 3
    assert "ids" in done.error
    file.unlink()
    done = kaggleprice(*SEND, cwd=folder)
    assert done.code == 2
    assert "kaggleprice predict --run mlp-001" in done.error
    assert server.asked == []


def test_without_a_terminal_yes_is_needed(
    kaggleprice: Kaggleprice, server: KaggleServer, folder: Path
) -> None:
    done = kaggleprice(*SEND[:-1], cwd=folder)
    assert done.code == 2
    assert "--yes" in done.error
    assert "submission.csv" in done.error
    assert server.asked == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a terminal of its own")
@pytest.mark.parametrize(("answer", "sent"), [("\n", 0), ("y\n", 1)])
def test_a_terminal_is_asked(
    server: KaggleServer, folder: Path, tmp_path: Path, answer: str, sent: int
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, *SEND[:-1], "--quiet"],
        cwd=folder,
        env={**os.environ, **server.environment(tmp_path)},
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    asked = b""
    while b"[y/N]" not in asked:
        asked += os.read(ours, 4096)
    os.write(ours, answer.encode())
    out, _ = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert server.methods.count("CreateSubmission") == sent
    assert ("nothing was sent" in out) == (not sent)
    assert SLUG.encode() in asked


FAULTS = [
    (401, "Unauthenticated", 5, ["401", "kaggle auth login"]),
    (403, "", 5, ["403", f"https://www.kaggle.com/competitions/{SLUG}/rules"]),
    (403, "You must accept this competition's rules before you continue", 5, [f"{SLUG}/rules"]),
    (404, "NotFound", 5, ["404", SLUG]),
    (429, "", 5, ["429", "wait"]),
    (400, "Submission not allowed: the competition deadline has passed.", 5, ["closed"]),
    (403, "This competition is closed", 5, ["closed"]),
    (
        400,
        "Submission not allowed: your team has used its daily submission allowance (5 of 5).",
        5,
        ["limit", "midnight", "5 of 5"],
    ),
    (
        400,
        "Evaluation: column \x1b[31m'Price' missing",
        5,
        ["rejects", "submission.csv", "'Price'"],
    ),
    (500, "", 4, ["later"]),
]


@pytest.mark.parametrize(("status", "message", "code", "words"), FAULTS)
def test_faults_of_a_submission(
    kaggleprice: Kaggleprice,
    server: KaggleServer,
    folder: Path,
    status: int,
    message: str,
    code: int,
    words: list[str],
) -> None:
    server.faults["CreateSubmission"] = (status, message)
    done = kaggleprice(*SEND, cwd=folder)
    assert done.code == code
    for word in words:
        assert word in done.error
    assert "\x1b" not in done.err
    assert not (folder / "runs/small/mlp-001" / FILE).exists()


@pytest.mark.parametrize(("status", "message", "code", "words"), FAULTS[:5])
def test_faults_of_a_download(
    kaggleprice: Kaggleprice,
    server: KaggleServer,
    tmp_path: Path,
    status: int,
    message: str,
    code: int,
    words: list[str],
) -> None:
    server.faults["DownloadDataFiles"] = (status, message)
    done = kaggleprice("download", "--source", "kaggle", "-c", SLUG, cwd=tmp_path)
    assert done.code == code
    for word in words:
        assert word in done.error
    assert list(tmp_path.rglob("*.csv")) == []


def test_a_rejection_comes_with_its_reason(
    kaggleprice: Kaggleprice, server: KaggleServer, folder: Path
) -> None:
    reason = "Submission must have 8 rows,\nfound 9"
    server.verdict = {"status": "ERROR", "errorDescription": reason}
    done = kaggleprice(*SEND, "--wait", cwd=folder)
    assert done.code == 5
    assert "Submission must have 8 rows, found 9" in done.error
    shown = json.loads((folder / "runs/small/mlp-001" / FILE).read_text())
    assert (shown["status"], shown["public_score"]) == ("error", None)
    # It may be tried again.
    server.verdict, server.polls = {"status": "COMPLETE", "publicScore": "0.2"}, 1
    assert checked(kaggleprice(*SEND, "--wait", "--json", cwd=folder))["ref"] == 4712


def test_no_credentials(kaggleprice: Kaggleprice, folder: Path) -> None:
    done = kaggleprice(*SEND, cwd=folder, KAGGLE_API_TOKEN="")
    assert done.code == 5
    assert "https://www.kaggle.com/settings/api" in done.error


def test_a_talkative_command_tells_no_credentials(
    kaggleprice: Kaggleprice, server: KaggleServer, folder: Path
) -> None:
    """With VERBOSE, Kaggle's command prints the headers of its requests."""
    server.faults["CreateSubmission"] = (400, "no")
    done = kaggleprice(*SEND, "--verbose", cwd=folder, VERBOSE="true", VERBOSE_OUTPUT="true")
    assert done.code == 5
    assert done.error.endswith("it says 'no'.")


def test_an_upload_that_fails(kaggleprice: Kaggleprice, server: KaggleServer, folder: Path) -> None:
    server.upload_status = 403
    done = kaggleprice(*SEND, cwd=folder)
    assert done.code == 4
    assert server.methods == ["StartSubmissionUpload"]


def test_a_signed_address_is_not_shown(
    kaggleprice: Kaggleprice, server: KaggleServer, tmp_path: Path
) -> None:
    server.archives[SLUG], server.archive_status = b"", 403
    done = kaggleprice("download", "--source", "kaggle", "-c", SLUG, cwd=tmp_path)
    assert done.code == 5
    assert f"signed/{SLUG}.zip" in done.error
    assert "secret" not in done.error


def test_nobody_answers(kaggleprice: Kaggleprice, folder: Path) -> None:
    # Nothing listens on the discard port.
    nowhere = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    done = kaggleprice(*SEND, cwd=folder, **nowhere)
    assert done.code == 4
    assert "reached" in done.error


def test_the_command_is_not_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(SystemExit) as ended:
        cli.main(SEND)
    assert ended.value.code == 5
    assert 'pip install "kaggleprice[kaggle]"' in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="finds a process by /proc")
@pytest.mark.parametrize("whom", ["both", "kaggle"])
def test_an_interruption_is_none_of_success(
    server: KaggleServer, folder: Path, tmp_path: Path, whom: str
) -> None:
    """Kaggle's command ends with 0 when it is interrupted."""
    server.faults["CreateSubmission"] = (0, "")
    process = subprocess.Popen(
        [SCRIPT, *SEND],
        cwd=folder,
        env={**os.environ, **server.environment(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while "CreateSubmission" not in server.methods:
        assert process.poll() is None
        time.sleep(0.05)
    if whom == "both":
        os.killpg(process.pid, signal.SIGINT)
    else:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "interrupted" in err
    assert not (folder / "runs/small/mlp-001" / FILE).exists()


@pytest.mark.parametrize(
    ("slug", "word"), [("../else", "cannot be"), ("-rf", "cannot be"), ("a b", "cannot be")]
)
def test_a_name_that_cannot_be(
    kaggleprice: Kaggleprice, server: KaggleServer, tmp_path: Path, slug: str, word: str
) -> None:
    done = kaggleprice("download", "--source=kaggle", f"--competition={slug}", cwd=tmp_path)
    assert done.code == 2
    assert word in done.error
    assert server.asked == []


@pytest.mark.parametrize("competition", ["sample", "unnamed.toml"])
def test_a_competition_that_is_not_at_kaggle(
    kaggleprice: Kaggleprice, folder: Path, competition: str
) -> None:
    text = (folder / "small.toml").read_text()
    (folder / "unnamed.toml").write_text(text.replace(f'kaggle = "{SLUG}"', ""))
    done = kaggleprice("submit", "-m", "x", "-c", competition, cwd=folder)
    assert done.code == 2
    assert 'kaggle = "NAME"' in done.error


@pytest.mark.parametrize("content", ["", "{}", '{"ref": "x"}', "[1, 2"])
def test_a_damaged_note(entry: EntryPoint, folder: Path, content: str) -> None:
    (folder / "runs/small/mlp-001" / FILE).write_text(content)
    assert checked(entry("runs", "list", "--json", cwd=folder))["runs"][0]["leaderboard"] is None
    done = entry("runs", "show", "-c", "small.toml", cwd=folder)
    assert done.code == 3
    assert FILE in done.error


def rents() -> dict[str, bytes]:
    """The files of a competition that nobody knows: train, test and sample submission."""
    rows = range(60)
    lines = [f"{i},{30 + i % 17},{'abc'[i % 3]}" for i in rows]
    train = "\n".join(
        ["Id,area,town,rent", *(f"{t},{500 + 7 * (i % 17)}" for i, t in enumerate(lines))]
    )
    test = "\n".join(["Id,area,town", *(f"{100 + i},{30 + i},b" for i in range(5))])
    sample = "\n".join(["Id,rent", *(f"{100 + i},0" for i in range(5))])
    texts = {"train.csv": train, "test.csv": test, "sample_submission.csv": sample}
    return {name: f"{text}\n".encode() for name, text in texts.items()}


def test_any_competition_from_kaggle_and_back(
    kaggleprice: Kaggleprice, server: KaggleServer, tmp_path: Path
) -> None:
    slug = "RentsInTown"
    server.archives[slug] = zipped(rents())
    here = tmp_path / "here"
    here.mkdir()
    done = kaggleprice("download", "--source", "kaggle", "-c", slug, "--yes", cwd=here)
    assert done.code == 0, done.err
    assert f"kaggleprice cv -c {slug}" in done.out
    found = read_competition(here / "data" / slug / "competition.toml")
    assert (found.kaggle, found.target_column, found.id_column) == (slug, "rent", "Id")
    assert found.page == f"https://www.kaggle.com/competitions/{slug}"
    for line in (["cv", *TINY], ["predict"], ["submit", "-m", "x", "--wait", "--yes"]):
        done = kaggleprice(*line, "-c", slug, cwd=here)
        assert done.code == 0, done.err
    assert server.uploaded[0].splitlines()[0] == b"Id,rent"
    # Described, it is fetched as any other one.
    again = checked(kaggleprice("download", "--source=kaggle", "-c", slug, "--json", cwd=here))
    assert [file["status"] for file in again["files"]] == ["cached", "cached"]


def test_without_a_terminal_it_says_what_is_next(
    kaggleprice: Kaggleprice, server: KaggleServer, tmp_path: Path
) -> None:
    server.archives["rents"] = zipped(
        {**rents(), "../../escaped.csv": b"a,b\n1,2\n", "big.bin": b""}
    )
    line = ["download", "--source", "kaggle", "-c", "rents"]
    document = checked(kaggleprice(*line, "--json", cwd=tmp_path))
    folder = tmp_path / "data/rents"
    names = {"train.csv", "test.csv", "sample_submission.csv", "escaped.csv"}
    assert {Path(name).name for name in document["files"]} == names
    assert {path.name for path in folder.iterdir()} == names | {"rents.zip"}
    done = kaggleprice(*line, cwd=tmp_path)
    assert "kaggleprice init data/rents --kaggle rents" in done.out
    assert server.methods == ["DownloadDataFiles"] * 2


def test_a_registered_competition_is_known_by_its_hashes(
    kaggleprice: Kaggleprice, server: KaggleServer, tmp_path: Path, real_data: Path
) -> None:
    slug = "house-prices-advanced-regression-techniques"
    files = {
        f"{role}.csv": (real_data / f"kaggle_house_pred_{role}.csv").read_bytes()
        for role in ("train", "test")
    }
    server.archives[slug] = zipped(files)
    document = checked(
        kaggleprice("download", "--source=kaggle", "-c", "house-prices", "--json", cwd=tmp_path)
    )
    assert [file["verified"] for file in document["files"]] == [True, True]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"house-prices"}
    server.archives[slug] = zipped({**files, "train.csv": files["train.csv"] + b"\n"})
    shutil.rmtree(tmp_path / "data")
    done = kaggleprice("download", "--source=kaggle", "-c", "house-prices", cwd=tmp_path)
    assert done.code == 4
    assert "SHA" in done.error


def test_source_and_from_exclude_each_other(entry: EntryPoint, tmp_path: Path) -> None:
    done = entry("download", "--source", "kaggle", "--from", "x.zip", cwd=tmp_path)
    assert done.code == 2
    assert "--from" in done.error
    done = entry("download", "--source", "kagle", cwd=tmp_path)
    assert done.code == 2
    assert "kaggle" in done.error
