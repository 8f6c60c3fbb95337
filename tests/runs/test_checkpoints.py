"""Checkpoints: found again by the same command alone, one owner at a time, gone when done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from kaggleprice.core.errors import DivergenceError, OutputError, UsageError
from kaggleprice.runs import UNFINISHED, checkpoints
from kaggleprice.runs.checkpoints import Checkpoint, key_of
from kaggleprice.training.loop import TrainingState

IDENTITY = {"settings": {"lr": 0.01}, "data": "ab"}
# A member's slice is not contiguous in memory; what is kept is.
STATE = TrainingState(3, {"weight": torch.arange(12.0).reshape(3, 4).T, "step": torch.tensor(7.0)})


@dataclass
class Heard:
    """Remembers notices."""

    notices: list[str] = field(default_factory=list)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def detail(self, message: str) -> None: ...
    def advance(self, *_: object, **__: object) -> None: ...


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(checkpoints, "_clock", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def interrupted(parent: Path) -> Checkpoint:
    heard = Heard()
    checkpoint = Checkpoint(parent, IDENTITY, 0, progress=heard)
    with pytest.raises(KeyboardInterrupt), checkpoint:
        end(checkpoint, KeyboardInterrupt())
    assert heard.notices == ["training is kept up to epoch 3: the same command goes on there"]
    return checkpoint


def end(checkpoint: Checkpoint, how: BaseException) -> None:
    """Keep a state, then fail."""
    assert checkpoint.go_on(3, lambda: STATE)
    raise how


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    left, heard = interrupted(tmp_path), Heard()
    assert left.kept == 3
    with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as again:
        state = again.resume()
        assert state is not None
        assert state.epoch == 3
        assert torch.equal(state.tensors["weight"], STATE.tensors["weight"])
        assert state.tensors["step"].item() == 7
    assert heard.notices == ["going on after epoch 3, where this run was left"]
    # It is finished now, and leaves nothing.
    assert list(tmp_path.iterdir()) == []


def test_another_run_does_not(tmp_path: Path) -> None:
    left = interrupted(tmp_path)
    with Checkpoint(tmp_path, {**IDENTITY, "data": "cd"}, 0) as other:
        assert other.folder != left.folder
        assert other.resume() is None
    assert left.kept


def test_keys_tell_every_value_apart() -> None:
    identities = [IDENTITY, {**IDENTITY, "data": "b"}, {**IDENTITY, "settings": {"lr": 0.02}}, {}]
    keys = [key_of(identity) for identity in identities]
    assert len(set(keys)) == len(keys)
    assert key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})


def test_one_process_at_a_time_has_it(tmp_path: Path) -> None:
    heard = Heard()
    with Checkpoint(tmp_path, IDENTITY, 0) as first:
        assert first.go_on(1, lambda: STATE)
        # One that comes while the first has it, and one that came before the first kept anything.
        with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as second:
            assert second.resume() is None
            assert second.go_on(2, lambda: pytest.fail("the second keeps nothing"))
        # The second leaves the first's alone.
        assert first.kept
    assert "another process trains this very run" in heard.notices[0]


def test_what_diverged_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(DivergenceError), Checkpoint(tmp_path, IDENTITY, 0) as checkpoint:
        end(checkpoint, DivergenceError("diverged."))
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_cannot_be_is_not_told_to_be_given_again(tmp_path: Path) -> None:
    heard = Heard()
    checkpoint = Checkpoint(tmp_path, IDENTITY, 0, progress=heard)
    with pytest.raises(UsageError), checkpoint:
        end(checkpoint, UsageError("there is a run 'mine' already."))
    assert heard.notices == [
        "training is kept up to epoch 3: the same command with another --run goes on there"
    ]
    assert checkpoint.kept == 3


def test_an_interruption_before_the_first_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path, IDENTITY, 0):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_without_checkpoints_nothing_is_written(tmp_path: Path) -> None:
    with Checkpoint(tmp_path, IDENTITY, None) as checkpoint:
        assert checkpoint.resume() is None
        assert checkpoint.go_on(1, lambda: pytest.fail("nothing is kept"))
        assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_so_many_seconds_apart(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    kept: list[int] = []

    def state(epoch: int) -> Callable[[], TrainingState]:
        return lambda: (kept.append(epoch), STATE)[1]

    with Checkpoint(tmp_path, IDENTITY, 10) as checkpoint:
        for epoch in range(1, 9):
            clock(4)
            assert checkpoint.go_on(epoch, state(epoch))
    assert kept == [3, 6]


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!"])
def test_a_damaged_checkpoint_is_told_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    left, heard = interrupted(tmp_path), Heard()
    (left.folder / "checkpoint.safetensors").write_bytes(content)
    with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as again:
        assert again.resume() is None
    assert left.kept is None
    assert "is damaged" in heard.notices[0]
    assert "training begins anew" in heard.notices[0]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checkpoint = Checkpoint(tmp_path / "file", IDENTITY, 0)
    with checkpoint, pytest.raises(OutputError, match="cannot write a checkpoint"):
        checkpoint.go_on(1, lambda: STATE)


def test_a_run_shorter_than_the_first_checkpoint_makes_no_folder(tmp_path: Path) -> None:
    with Checkpoint(tmp_path, IDENTITY, 1000) as checkpoint:
        assert checkpoint.resume() is None
        assert checkpoint.go_on(1, lambda: pytest.fail("it is not time"))
        assert list(tmp_path.iterdir()) == []


def test_names_are_those_of_unfinished_runs(tmp_path: Path) -> None:
    assert interrupted(tmp_path).folder.name.startswith(UNFINISHED)


@pytest.mark.parametrize(("limit", "epochs"), [(1, 1), (10, 3), (11, 3), (12, 4), (100, 6)])
def test_time_limit_leaves_out_the_epoch_that_would_not_fit(
    tmp_path: Path, clock: Callable[[float], None], limit: float, epochs: int
) -> None:
    """Epochs of 3 seconds; at least one is trained."""
    heard = Heard()
    checkpoint = Checkpoint(tmp_path, IDENTITY, None, limit, heard)
    with checkpoint:
        checkpoint.resume()
        for epoch in range(1, 7):
            clock(3)
            if not checkpoint.go_on(epoch, lambda: STATE):
                break
    assert epoch == epochs
    assert heard.notices == ([] if epochs == 6 else [f"time is up after epoch {epochs}: " + END])


END = "training ends here"
