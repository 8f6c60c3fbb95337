"""Checkpoints: found again by the same command alone, one owner at a time, gone when done."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from members import Heard

from kaggleprice.core.errors import DivergenceError, OutputError, UsageError
from kaggleprice.core.files import replacing
from kaggleprice.runs import checkpoints
from kaggleprice.runs.checkpoints import Checkpoint, key_of
from kaggleprice.training.loop import Group, Moment, TimeLimit

IDENTITY = {"settings": {"lr": 0.01}, "data": "ab"}
FIRST, SECOND, WHOLE = Group(0, 2), Group(2, 2), Group(0, 4)


class Loop:
    """Stands in for a `TrainingLoop`: an epoch, and a tensor with members first."""

    def __init__(self, group: Group = FIRST) -> None:
        self.group, self.epoch, self.loaded = group, 0, list[int]()
        # A member's slice is not contiguous in memory; what is kept is.
        self.weight = torch.arange(12.0).reshape(3, 4).T

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"epoch": torch.tensor(self.epoch), "weight": self.weight}

    def load_state_dict(self, state: dict[str, torch.Tensor], first: int) -> None:
        assert torch.equal(state["weight"], self.weight)
        self.epoch = int(state["epoch"])
        self.loaded.append(first)


def keep(checkpoint: Checkpoint, epoch: int, group: Group = FIRST) -> None:
    """End an epoch of a group, as its loop does."""
    loop: Any = Loop(group)
    loop.epoch = epoch
    for callback in checkpoint.callbacks:
        callback.on_epoch_end(loop)


def end(checkpoint: Checkpoint, how: BaseException, epoch: int = 3) -> None:
    """End an epoch, then fail."""
    keep(checkpoint, epoch)
    raise how


def resume(checkpoint: Checkpoint, group: Group = FIRST) -> Loop:
    """Begin to train a group."""
    loop: Any = Loop(group)
    for callback in checkpoint.callbacks:
        callback.on_train_begin(loop)
    return loop


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


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    left, heard = interrupted(tmp_path), Heard()
    assert left.kept == {FIRST: 3}
    with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as again:
        assert resume(again).epoch == 3
        assert resume(again, SECOND).loaded == []
    assert heard.notices == ["going on after epoch 3, where this run was left"]
    # It is finished now, and leaves nothing.
    assert list(tmp_path.iterdir()) == []


def test_what_a_stage_of_a_search_predicted_is_kept(tmp_path: Path) -> None:
    """Then its networks' states are of no use; those of other stages stay."""
    made = np.arange(6.0).reshape(2, 3)

    def search(checkpoint: Checkpoint) -> None:
        keep(checkpoint, 3)
        assert np.array_equal(checkpoint.keep_stage(1, lambda: made), made)
        assert checkpoint.kept == {FIRST: 3}
        assert np.array_equal(checkpoint.keep_stage(0, lambda: 2 * made), 2 * made)
        assert checkpoint.kept == {}
        end(checkpoint, KeyboardInterrupt())

    def fail() -> np.ndarray:
        raise AssertionError("it was made before")

    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path, IDENTITY, 0) as checkpoint:
        search(checkpoint)
    with Checkpoint(tmp_path, IDENTITY, 0) as again:
        assert np.array_equal(again.keep_stage(0, fail), 2 * made)
        assert np.array_equal(again.keep_stage(1, fail), made)


def end_both(checkpoint: Checkpoint) -> None:
    keep(checkpoint, 4, SECOND)
    end(checkpoint, KeyboardInterrupt(), 9)


def test_groups_are_kept_apart(tmp_path: Path) -> None:
    heard = Heard()
    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path, IDENTITY, 0) as checkpoint:
        end_both(checkpoint)
    with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as again:
        assert [resume(again, group).epoch for group in (FIRST, SECOND)] == [9, 4]
        # Parts of it were trained, so there was no room for all of them.
        with pytest.raises(MemoryError):
            resume(again, WHOLE)
    assert heard.notices == ["going on after epoch 4 to 9 of 2 groups, where this run was left"]


@pytest.mark.parametrize("group", [FIRST, SECOND])
def test_there_was_no_room_where_one_part_was_trained(tmp_path: Path, group: Group) -> None:
    with Checkpoint(tmp_path, IDENTITY, 0) as checkpoint:
        keep(checkpoint, 4, group)
        with pytest.raises(MemoryError):
            resume(checkpoint, WHOLE)


def test_a_part_takes_up_the_state_of_the_whole(tmp_path: Path) -> None:
    with Checkpoint(tmp_path, IDENTITY, 0) as checkpoint:
        keep(checkpoint, 5, WHOLE)
        assert resume(checkpoint, SECOND).loaded == [2]
        keep(checkpoint, 6, SECOND)
        assert resume(checkpoint, SECOND).epoch == 6
        assert resume(checkpoint, FIRST).epoch == 5


def test_keys_tell_every_value_apart() -> None:
    identities = [IDENTITY, {**IDENTITY, "data": "b"}, {**IDENTITY, "settings": {"lr": 0.02}}, {}]
    keys = [key_of(identity) for identity in identities]
    assert len(set(keys)) == len(keys)
    assert key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})


def test_one_process_at_a_time_has_it(tmp_path: Path) -> None:
    heard = Heard()
    with Checkpoint(tmp_path, IDENTITY, 0) as first:
        keep(first, 1)
        with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as second:
            assert second.callbacks == []
            assert (first.own, second.own) == (first.folder, None)
        # The second leaves the first's alone.
        assert first.kept
    assert "another process trains this very run" in heard.notices[0]


@pytest.mark.parametrize(
    ("how", "every"),
    [(DivergenceError("diverged."), 0), (KeyboardInterrupt(), 1000)],
    ids=["diverged", "before the first checkpoint"],
)
def test_what_nobody_can_go_on_with_leaves_nothing(
    tmp_path: Path, how: BaseException, every: float
) -> None:
    with pytest.raises(type(how)), Checkpoint(tmp_path, IDENTITY, every) as checkpoint:
        end(checkpoint, how)
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_cannot_be_is_not_told_to_be_given_again(tmp_path: Path) -> None:
    heard = Heard()
    checkpoint = Checkpoint(tmp_path, IDENTITY, 0, progress=heard)
    with pytest.raises(UsageError), checkpoint:
        end(checkpoint, UsageError("there is a run 'mine' already."))
    assert heard.notices == [
        "training is kept up to epoch 3: the same command with another --run goes on there"
    ]
    assert checkpoint.kept == {FIRST: 3}


def test_without_checkpoints_nothing_is_written(tmp_path: Path) -> None:
    with Checkpoint(tmp_path, IDENTITY, None) as checkpoint:
        assert checkpoint.callbacks == []
        assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_so_many_seconds_apart(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    loop: Any = Loop()
    with Checkpoint(tmp_path, IDENTITY, 10) as checkpoint:
        (callback,), kept = checkpoint.callbacks, list[int]()
        for loop.epoch in range(1, 9):
            clock(4)
            callback.on_epoch_end(loop)
            kept.append(checkpoint.kept.get(FIRST, 0))
        # A group that has ended waits for the others: what it has is kept in any case.
        callback.on_train_end(loop)
        assert checkpoint.kept == {FIRST: 8}
    assert kept == [0, 0, 3, 3, 3, 6, 6, 6]


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!"])
def test_a_damaged_checkpoint_is_told_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    left, heard = interrupted(tmp_path), Heard()
    (file,) = left.folder.glob("members-*")
    file.write_bytes(content)
    assert left.kept == {}
    with Checkpoint(tmp_path, IDENTITY, 0, progress=heard) as again:
        assert resume(again).loaded == []
    (notice,) = heard.notices
    assert file.name in notice
    assert "is damaged" in notice


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot write a checkpoint"),
        Checkpoint(tmp_path / "file", IDENTITY, 0),
    ):
        pass


def test_a_folder_that_goes_while_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is the folder, not the file in it that was being written."""
    checkpoint = Checkpoint(tmp_path, IDENTITY, 0)

    @contextmanager
    def removed(path: Path) -> Iterator[Path]:
        with replacing(path) as beside:
            yield beside
            shutil.rmtree(path.parent)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "replacing", removed)
        with pytest.raises(OutputError) as caught, checkpoint:
            pass
    assert re.fullmatch(rf"{checkpoint.folder}, .* removed .* again\.", str(caught.value))
    with Checkpoint(tmp_path, IDENTITY, 0) as again:
        keep(again, 1)
        assert again.kept == {FIRST: 1}


def test_a_folder_that_goes_while_a_run_is_trained(tmp_path: Path) -> None:
    """It is made again, for a stage of a search as well."""
    with Checkpoint(tmp_path, IDENTITY, 0) as checkpoint:
        (callback,) = checkpoint.callbacks
        shutil.rmtree(checkpoint.folder)
        assert isinstance(callback, checkpoints.GroupCheckpoint)
        assert callback.of_stage(1).folder.is_dir()
        keep(checkpoint, 2)
        assert checkpoint.kept == {FIRST: 2}


def test_a_time_limit_counts_from_the_beginning(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY, None, 7)
    clock(50)
    with checkpoint:
        assert checkpoint.callbacks == [TimeLimit(Moment(107.0))]
