"""`kaggleprice.submit`: Kaggle's real command, sent by a call, against a stand-in of its API."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kaggle_server import KaggleServer
from small import TEST_ROWS, write_small

import kaggleprice
from kaggleprice.api.results import ScoredRun
from kaggleprice.core.errors import AccessError, KagglePriceError, UsageError
from kaggleprice.runs.leaderboard import FILE

pytestmark = pytest.mark.skipif(
    shutil.which("kaggle", path=str(Path(sys.executable).parent)) is None
    and not os.environ.get("KAGGLEPRICE_REQUIRE_REAL_DATA"),
    reason="Kaggle's command is not installed beside this Python (the extra `kaggle`)",
)
SLUG = "small-prices"
TINY: dict[str, Any] = {"epochs": 1, "portfolio": (), "seeds": 1, "k": 2, "hidden": 8}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    home = tmp_path / "home"
    home.mkdir()
    with KaggleServer() as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScoredRun:
    """A run without a submission, in the working folder."""
    monkeypatch.chdir(tmp_path)
    toml = write_small(tmp_path)
    toml.write_text(f'kaggle = "{SLUG}"\n{toml.read_text()}')
    return kaggleprice.cross_validate("small.toml", quiet=True, **TINY)


def test_a_call_sends_what_was_predicted(
    server: KaggleServer, run: ScoredRun, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="kaggleprice predict --run"):
        kaggleprice.submit("small.toml", message="first: try", yes=True, quiet=True)
    kaggleprice.predict("small.toml", run=run, quiet=True)
    with pytest.raises(UsageError, match=rf"{TEST_ROWS} rows.*'first: try'.*yes=True") as refused:
        kaggleprice.submit("small.toml", message="first: try", run=run, quiet=True)
    assert refused.value.exit_code == 2
    assert server.asked == []
    sent = kaggleprice.submit("small.toml", message="first: try", yes=True)
    assert f"{TEST_ROWS} rows" in capsys.readouterr().err
    assert server.uploaded == [Path("submission.csv").read_bytes()]
    assert server.submissions[0]["description"] == "first: try"
    assert (sent["sent"], sent["status"], sent["leaderboard"], sent["gap"]) == (
        *(True, "pending"),
        *(None, None),
    )
    # Sent before: nothing more is sent, so that there is nothing to confirm.
    scored = kaggleprice.submit("small.toml", message="again", run=run, wait=True, quiet=True)
    assert server.methods.count("CreateSubmission") == 1
    assert scored.drop(["sent", "status", "leaderboard", "gap"]).to_dict() == {
        "run": run.name,
        "kaggle": SLUG,
        "submission": str(run.path / "submission.csv"),
        "rows": TEST_ROWS,
        "ref": 4711,
        "oof": run.score,
    }
    assert (scored["sent"], scored["status"], scored["leaderboard"]) == (False, "complete", 0.14325)
    assert scored["gap"] == pytest.approx(0.14325 - run.score)
    assert (run.path / FILE).is_file()
    assert capsys.readouterr() == ("", "")


def test_what_kaggle_refuses_is_raised(server: KaggleServer, run: ScoredRun) -> None:
    kaggleprice.predict("small.toml", quiet=True)
    with pytest.raises(UsageError, match="UTF-8"):
        kaggleprice.submit("small.toml", message="\ud800", yes=True, quiet=True)
    server.faults["CreateSubmission"] = (403, "")
    with pytest.raises(AccessError, match=f"{SLUG}/rules"):
        kaggleprice.submit("small.toml", message="x", yes=True, quiet=True)
    assert not (run.path / FILE).exists()
    file = run.path / "submission.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(KagglePriceError, match="ids") as refused:
        kaggleprice.submit("small.toml", message="x", yes=True, quiet=True)
    assert refused.value.exit_code == 3
