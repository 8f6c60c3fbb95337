"""`kaggleprice runs`, gates, and what `cv` gives a CI server: through the real entry point."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from entry_point import SCRIPT, TINY, EntryPoint, Finished
from forged import forge, noisy
from small import write_small

from kaggleprice.cli.ci import annotation
from kaggleprice.runs.record import read_record

SMALL = ["-c", "small.toml"]
CV = ["cv", *SMALL, *TINY]


@pytest.fixture(scope="module")
def made(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: `bad` was trained for an epoch, `good` for 30, `leaky` as `bad` on other folds."""
    folder = tmp_path_factory.mktemp("made")
    write_small(folder)
    for name, *given in [
        ["bad"],
        ["good", "--epochs", "30", "--lr", "0.02"],
        ["leaky", "--k", "3", "--patience", "1", "--stop-on", "validation"],
    ]:
        done = entry(*CV, "--run", name, *given, cwd=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """The same, in a folder of the test's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def oof(folder: Path, name: str) -> float:
    return float(read_record(folder / "runs" / "small" / name)["scores"]["oof"])


def printed(done: Finished) -> str:
    """What a command that went well printed on stdout."""
    assert (done.code, done.err) == (0, ""), done.err
    return done.out


def cells(text: str) -> list[list[str]]:
    """The words of each line: of a table, its cells."""
    return [line.split() for line in text.splitlines()]


def damage(folder: Path, name: str) -> None:
    (folder / "runs" / "small" / name / "run.json").write_text("{", encoding="utf-8")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "runs" / "small").iterdir())


# The list.


def test_runs_alone_lists_them_best_first(entry: EntryPoint, made: Path) -> None:
    text = printed(entry("runs", cwd=made))
    assert text == printed(entry("runs", "list", cwd=made))
    rows = {line[0]: line for line in cells(text) if line and line[0] in names(made)}
    assert list(rows) == sorted(rows, key=lambda name: oof(made, name))
    assert next(iter(rows)) == "good"
    assert "[1]" in rows["leaky"]
    assert "[1] Optimistic: " in text
    assert "latest: leaky" in text


def test_the_list_as_a_document(entry: EntryPoint, made: Path) -> None:
    done = entry("runs", "--json", cwd=made)
    assert done.code == 0
    document = done.json
    assert (document["schema_version"], document["command"]) == (1, "runs list")
    found = {run["run"]: run for run in document["runs"]}
    assert set(found) == {"bad", "good", "leaky"}
    assert found["good"]["scores"]["oof"] == oof(made, "good")
    assert (found["good"]["state"], found["good"]["problem"]) == ("finished", None)
    assert found["good"]["preset"] == "default"
    changed = {"hidden": [8], "lr": 0.02, "epochs": 30, "portfolio": [], "k": 2, "seeds": 1}
    assert found["good"]["changed"] == changed
    assert found["leaky"]["notes"]
    assert done.json["runs"] == entry("runs", "list", *SMALL, "--json", cwd=made).json["runs"]


def test_damaged_and_unfinished_runs_are_listed_as_such(entry: EntryPoint, copied: Path) -> None:
    damage(copied, "bad")
    left = copied / "runs" / "small" / ".unfinished-00000000000000ab"
    left.mkdir()
    (left / "identity.json").write_text("{}", encoding="utf-8")
    text = printed(entry("runs", cwd=copied))
    assert "unreadable: bad" in text
    assert "unfinished: .unfinished-00000000000000ab" in text
    states = {r["run"]: r["state"] for r in entry("runs", "--json", cwd=copied).json["runs"]}
    assert states == {
        "good": "finished",
        "leaky": "finished",
        "bad": "unreadable",
        ".unfinished-00000000000000ab": "unfinished",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="signals are sent by the forking server")
def test_an_unfinished_run_says_how_it_was_asked_for(entry: EntryPoint, copied: Path) -> None:
    given = shlex.split("--portfolio none --epochs 20000 --seeds 2 --lr 0.02 --threads 1")
    given += ["--folds", "runs/small/leaky/folds.csv"]
    often = ["--checkpoint-every", "0.01"]
    ended = entry("cv", *SMALL, *given, *often, cwd=copied, interrupt=signal.SIGINT)
    assert ended.code == 130
    text = printed(entry("runs", cwd=copied))
    (row,) = [line for line in cells(text) if line[:1] and line[0].startswith(".unfinished-")]
    assert {"6", "0.02,", "20000,", "unfinished"} <= set(row)
    (left,) = [
        run
        for run in entry("runs", "--json", cwd=copied).json["runs"]
        if run["state"] == "unfinished"
    ]
    assert (left["members"], left["preset"]) == (6, "default")
    assert left["changed"] == {"lr": 0.02, "epochs": 20000, "portfolio": [], "seeds": 2}
    assert (left["scores"], left["finished"]) == (None, None)
    for name in ("bad", "good", "leaky"):
        shutil.rmtree(copied / "runs" / "small" / name)
    assert row in cells(printed(entry("runs", cwd=copied)))


def test_names_are_whole_at_80_columns(entry: EntryPoint, tmp_path: Path) -> None:
    name = "a-name-that-somebody-took-care-to-choose"
    forge(tmp_path / "runs" / "small" / name, noisy(1), options={"seeds": 20, "epochs": 99})
    text = printed(entry("runs", cwd=tmp_path, COLUMNS="80"))
    lines = text.splitlines()
    (head,) = [line for line in lines if "pooled" in line]
    assert name in "".join(line[: head.index("pooled")].strip() for line in lines[3:])
    assert all(len(line) <= 80 for line in lines)


def test_there_are_none_yet(entry: EntryPoint, tmp_path: Path) -> None:
    assert "no runs yet" in printed(entry("runs", cwd=tmp_path))
    assert entry("runs", "--json", cwd=tmp_path).json["runs"] == []


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(["-c", "smal"], "'small'"), (["lst"], "list"), (["show", "god"], "'good'")],
)
def test_names_that_are_none(
    entry: EntryPoint, made: Path, arguments: list[str], nearest: str
) -> None:
    done = entry("runs", *arguments, cwd=made)
    assert done.code == 2
    assert nearest in done.error


# One.


def test_show(entry: EntryPoint, made: Path) -> None:
    text = printed(entry("runs", "show", "good", cwd=made))
    assert f"{oof(made, 'good'):.4f}" in text
    given = "--hidden 8 --lr 0.02 --epochs 30 --portfolio none --k 2 --seeds 1"
    assert f"kaggleprice cv {given} -c FILE.toml" in text
    assert "oof.csv" in text
    assert ["epochs", "30"] in cells(text)
    assert "batch_size" not in text
    whole = cells(printed(entry("runs", "show", "good", "--all", cwd=made)))
    assert ["batch_size"] in [row[:1] for row in whole]
    assert ["epochs", "30", "yes"] in whole


def test_show_is_of_the_latest(entry: EntryPoint, made: Path) -> None:
    document = entry("runs", "show", "--json", cwd=made).json
    assert (document["command"], document["run"]) == ("runs show", "leaky")
    assert document["scores"]["oof"] == oof(made, "leaky")
    assert {file["state"] for file in document["files"]} == {"ok"}
    assert document["settings"]["k"] == 3


def test_show_notices_what_was_altered(entry: EntryPoint, copied: Path) -> None:
    (copied / "runs" / "small" / "bad" / "oof.csv").unlink()
    assert "MISSING" in printed(entry("runs", "show", "bad", cwd=copied))


def test_a_run_called_list(entry: EntryPoint, copied: Path) -> None:
    (copied / "runs" / "small" / "bad").rename(copied / "runs" / "small" / "list")
    assert entry("runs", "show", "list", "--json", cwd=copied).json["run"] == "list"
    assert "run list of small" not in printed(entry("runs", "list", cwd=copied))
    assert entry("runs", "compare", "list", "good", "--json", cwd=copied).code == 0


# Two.


def test_compare(entry: EntryPoint, made: Path) -> None:
    text = printed(entry("runs", "compare", "bad", "good", cwd=made))
    first, second = oof(made, "bad"), oof(made, "good")
    difference = second - first
    assert ["pooled", f"{first:.4f}", f"{second:.4f}", f"{difference:+.4f}"] in cells(text)
    assert ["epochs", "1", "30"] in cells(text)
    assert "24 rows" in text
    assert "2 folds" in text
    document = entry("runs", "compare", "bad", "good", "--json", cwd=made).json
    assert document["command"] == "runs compare"
    assert (document["same_folds"], document["same_data"]) == (True, True)
    assert document["by_row"]["difference"] == pytest.approx(difference)
    assert document["settings"]["epochs"] == {"first": 1, "second": 30}
    assert [fold["fold"] for fold in document["folds"]] == [1, 2]
    assert document["versions"] == {}


def test_compare_on_other_folds_warns(entry: EntryPoint, made: Path) -> None:
    text = printed(entry("runs", "compare", "bad", "leaky", cwd=made))
    assert "The folds differ" in text
    assert "leaky: Optimistic" in text
    document = entry("runs", "compare", "bad", "leaky", "--json", cwd=made).json
    assert (document["by_fold"], document["folds"], document["same_folds"]) == (None, [], False)
    assert document["by_row"]["count"] == 24


# Naming one.


TAKE_A_RUN = [
    ["predict", "--run"],
    ["predict", "--dry-run", "--run"],
    ["report", "--no-importance"],
    [*CV, "--tolerance", "9", "--baseline"],
    ["cv", "--threads", "1", "--add-seeds", "1", "--run"],
    ["runs", "show"],
]


@pytest.mark.parametrize(
    ("command", "name"),
    # One function finds a run by any of its names.
    [(command, "runs/small/good") for command in TAKE_A_RUN]
    + [(["runs", "show"], name) for name in ("good", "small/good", "{whole}")],
    ids=str,
)
def test_every_command_takes_a_run_as_it_is_printed(
    entry: EntryPoint, copied: Path, command: list[str], name: str
) -> None:
    name = name.format(whole=copied / "runs" / "small" / "good")
    if command[0] == "report":
        pytest.importorskip("matplotlib")
    done = entry(*command, name, *SMALL, "--quiet", cwd=copied)
    assert done.code == 0, done.err
    assert "good" in done.out


def test_a_run_of_another_competition(entry: EntryPoint, made: Path, tmp_path: Path) -> None:
    for name in ("small/good", "runs/small/good"):
        done = entry("predict", "-c", "house-prices", "--run", name, cwd=made)
        assert done.code == 2
        assert done.error == (
            f"{name} is a run of small, not of house-prices; say with -c whose it is."
        )
    # A folder elsewhere is a run as well: its record says whose it is.
    elsewhere = shutil.copytree(made / "runs" / "small" / "good", tmp_path / "kept" / "moved")
    done = entry("predict", *SMALL, "--run", elsewhere, cwd=made)
    assert done.code == 0
    assert (elsewhere / "submission.csv").is_file()
    done = entry("predict", *SMALL, "--run", "small/god", cwd=made)
    assert done.error.startswith("unknown run of small 'god'; there are: bad, good, leaky. Did")


# Removing.


@pytest.mark.parametrize(("given", "lacks"), [(["--keep", "1"], "--yes"), (["--yes"], "--keep N")])
def test_prune_has_to_know_what_and_that_it_is_meant(
    entry: EntryPoint, copied: Path, given: list[str], lacks: str
) -> None:
    """Without a terminal nobody can be asked."""
    done = entry("runs", "prune", *given, cwd=copied)
    assert (done.code, lacks in done.error) == (2, True)
    assert "bad" in names(copied)


def test_prune(entry: EntryPoint, copied: Path) -> None:
    text = printed(entry("runs", "prune", "--keep", "1", "--dry-run", cwd=copied))
    assert f"runs/small/bad (pooled {oof(copied, 'bad'):.4f})" in text
    assert "bad" in names(copied)
    document = entry("runs", "prune", "--keep", "1", "--yes", "--json", cwd=copied).json
    assert document["command"] == "runs prune"
    assert [run["run"] for run in document["removed"]] == ["bad"]
    assert names(copied) == ["good", "leaky"]
    assert "removed nothing" in printed(entry("runs", "prune", "--keep", "1", cwd=copied))


def test_prune_says_what_stays_and_why(entry: EntryPoint, copied: Path) -> None:
    (copied / "runs" / "small" / "bad" / "notes.txt").write_text("mine", encoding="utf-8")
    text = printed(entry("runs", "prune", "--keep", "1", "--yes", cwd=copied))
    assert "removed nothing" in text
    assert "runs/small/bad: it holds notes.txt" in text
    assert "bad" in names(copied)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("\n", 3)])
def test_prune_asks_on_a_terminal(copied: Path, answer: str, left: int) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, "runs", "prune", "--keep", "1"],
        cwd=copied,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    asked = b""
    while b"[y/N]" not in asked:
        asked += os.read(ours, 1000)
    assert b"runs/small/bad" in asked
    os.write(ours, answer.encode())
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert ("removed nothing" in out.decode()) is (left == 3)
    assert len(names(copied)) == left


# A damaged run is in nobody's way.


def test_predict_passes_over_a_damaged_run(entry: EntryPoint, copied: Path) -> None:
    damage(copied, "leaky")
    done = entry("predict", *SMALL, "--json", cwd=copied)
    assert done.code == 0, done.err
    assert done.json["run"] == "good"
    assert "leaky" in done.err


# Gates.


def test_a_missed_limit_ends_with_6_after_everything_else(entry: EntryPoint, copied: Path) -> None:
    given = ["--fail-above", "0.0001", "--junit", "ci/j.xml", "--summary", "ci/s.md", "--json"]
    done = entry(*CV, *given, "--run", "new", cwd=copied)
    assert done.code == 6
    document = done.json
    assert (document["command"], document["run"]) == ("cv", "new")
    score = oof(copied, "new")
    (gate,) = document["gates"]
    assert (gate["name"], gate["passed"], gate["comparison"]) == ("fail-above", False, None)
    assert (gate["limit"], gate["found"]) == (0.0001, score)
    assert "--fail-above 0.0001" in gate["reason"]
    assert done.error == gate["reason"]
    record = read_record(copied / "runs" / "small" / "new")
    assert document["folds_sha256"] == record["folds_sha256"]
    assert document["data"] == record["data"]
    root = ElementTree.parse(copied / "ci" / "j.xml").getroot()  # noqa: S314 (it was written here)
    failure = root.find(".//testcase[@name='fail-above']/failure")
    assert failure is not None
    assert failure.attrib["message"] == gate["reason"]
    assert "gate missed" in (copied / "ci" / "s.md").read_text(encoding="utf-8")


def test_the_same_command_is_no_worse_than_its_baseline(entry: EntryPoint, copied: Path) -> None:
    done = entry(*CV, "--baseline", "bad", "--fail-above", "99", "--json", cwd=copied)
    assert done.code == 0, done.err
    kept, gate = done.json["gates"]
    assert (kept["name"], kept["passed"]) == ("fail-above", True)
    assert (gate["found"], gate["limit"], gate["passed"]) == (0, 0, True)
    assert gate["comparison"]["unit"] == "row"
    # The document is a baseline too, by folds.
    (copied / "base.json").write_text(done.out, encoding="utf-8")
    again = entry(*CV, "--baseline", "base.json", "--json", cwd=copied)
    assert again.code == 0, again.err
    assert again.json["gates"][0]["comparison"]["unit"] == "fold"


@pytest.mark.parametrize(("tolerance", "code"), [("0.001", 6), ("0.02", 0)])
def test_a_missed_baseline_ends_with_6(
    entry: EntryPoint, copied: Path, tolerance: str, code: int
) -> None:
    """A baseline that is better by 0.01 in each fold: by the same everywhere, so without noise."""
    document = entry(*CV, "--json", cwd=copied).json
    document["scores"]["oof"] -= 0.01
    for fold in document["folds"]:
        fold["validation"] -= 0.01
    (copied / "base.json").write_text(json.dumps(document), encoding="utf-8")
    done = entry(*CV, "--baseline", "base.json", "--tolerance", tolerance, cwd=copied)
    assert done.code == code
    assert all(word in done.out for word in ("base.json", f"--tolerance {tolerance}"))
    assert "mlp-002" in names(copied)
    if code:
        assert done.error in done.out
        assert "0.01 worse" in done.error


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (["--fail-above", "0"], 2, "--fail-above"),
        (["--fail-above", "nan"], 2, "--fail-above"),
        (["--fail-below", "nan"], 2, "--fail-below"),
        (["--fail-below", "0.1"], 2, "lower is better; give --fail-above"),
        (["--fail-above", "low"], 2, "--fail-above"),
        (["--tolerance", "0.1"], 2, "--baseline"),
        (["--tolerance", "-1", "--baseline", "bad"], 2, "--tolerance"),
        (["--baseline", "bed"], 2, "Did you mean 'bad'?"),
        (["--baseline", "none.json"], 3, "none.json does not exist"),
        (["--baseline", "train.csv"], 3, "train.csv"),
        (["--baseline", "bad", "--k", "3"], 2, "--k 2"),
        (["--baseline", "bad", "--fold-seed", "1"], 2, "folds"),
        (["--junit", "train.csv/j.xml"], 1, "j.xml"),
        (["--summary", "runs"], 1, "runs"),
        (["--junit", "a", "--summary", "./a"], 2, "two files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_found_before_training(
    entry: EntryPoint, copied: Path, given: list[str], code: int, says: str
) -> None:
    done = entry(*CV, *given, "--json", cwd=copied)
    assert done.code == code
    assert says in done.error
    assert done.json["error"]["exit_code"] == code
    assert "training on" not in done.err
    assert names(copied) == ["bad", "good", "leaky"]


def test_more_seeds_are_held_against_fewer(entry: EntryPoint, copied: Path) -> None:
    """The run that is extended takes the baseline's place, which was read before."""
    given = ["--add-seeds", "1", "--run", "bad", "--baseline", "bad", "--threads", "1"]
    done = entry("cv", *SMALL, *given, "--tolerance", "9", "--json", cwd=copied)
    assert done.code == 0, done.err
    assert done.json["gates"][0]["comparison"]["baseline"] == "bad"
    assert done.json["members"] == 4


# Files of a failure.


def test_a_failure_is_reported_too(entry: EntryPoint, copied: Path) -> None:
    given = ["--lr", "1e30", "--optimizer", "sgd", "--junit", "j.xml", "--summary", "s.md"]
    done = entry(*CV, *given, cwd=copied, GITHUB_ACTIONS="true")
    assert done.code == 1
    root = ElementTree.parse(copied / "j.xml").getroot()  # noqa: S314 (it was written here)
    error = root.find(".//error")
    assert error is not None
    assert (error.attrib["type"], error.attrib["message"]) == ("DivergenceError", done.error)
    assert "small, failed" in (copied / "s.md").read_text(encoding="utf-8")
    assert f"::error title=kaggleprice::{done.error.replace('%', '%25')}" in done.err


# On GitHub.


@pytest.mark.parametrize(
    ("kind", "title", "message", "line"),
    [
        ("error", "gate", "worse.", "::error title=gate::worse."),
        ("error", "a: b, c", "d: e, f", "::error title=a%3A b%2C c::d: e, f"),
        ("warning", "5 %", "x\r\ny %0A", r"::warning title=5 %25::x\r\ny %250A"),
    ],
)
def test_annotations_are_escaped(kind: str, title: str, message: str, line: str) -> None:
    assert annotation(kind, title, message) == line


def test_github_gets_annotations_and_a_summary(entry: EntryPoint, copied: Path) -> None:
    step = copied / "step.md"
    step.write_text("# Before\n", encoding="utf-8")
    given = ["--fail-above", "0.0001", "--patience", "1", "--stop-on", "validation", "--json"]
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(step)}
    done = entry(*CV, *given, "--run", "new", "--summary", "s.md", cwd=copied, **github)
    assert done.code == 6
    assert done.json["run"] == "new"
    annotations = [line for line in done.err.splitlines() if line.startswith("::")]
    assert annotations[0].startswith("::warning title=run new::Optimistic: ")
    assert annotations[1] == f"::error title=gate fail-above missed::{done.error}"
    summary = (copied / "s.md").read_text(encoding="utf-8")
    assert step.read_text(encoding="utf-8") == f"# Before\n{summary}\n"


def test_the_step_summary_is_written_once_and_never_replaced(
    entry: EntryPoint, copied: Path
) -> None:
    step = copied / "step.md"
    step.write_text("# Before\n", encoding="utf-8")
    github = {"GITHUB_ACTIONS": "", "GITHUB_STEP_SUMMARY": str(step)}
    done = entry(*CV, "--summary", str(step), cwd=copied, **github)
    assert done.code == 0, done.err
    text = step.read_text(encoding="utf-8")
    assert text.startswith("# Before\n## kaggleprice: small")
    assert text.count("## kaggleprice") == 1
    assert "::" not in done.err, "not on GitHub"


def test_a_step_summary_that_cannot_be_written_costs_no_score(
    entry: EntryPoint, copied: Path
) -> None:
    nowhere = str(copied / "none" / "step.md")
    done = entry(*CV, "--json", cwd=copied, GITHUB_STEP_SUMMARY=nowhere)
    assert done.code == 0
    assert "$GITHUB_STEP_SUMMARY" in done.err
    assert done.json["command"] == "cv"
