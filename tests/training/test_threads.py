"""Groups of members in threads on the CPU: the same members, and one thread's end is all's."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from test_train import CPU, MIXED, STOPPING, Keeping, assert_equal, problem, tables

from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import DivergenceError
from kaggleprice.evaluation.cross_validation import Problem
from kaggleprice.training import placement
from kaggleprice.training.engine import Training
from kaggleprice.training.loop import HaltedError
from kaggleprice.training.placement import MOST_GROUPS, lay_out
from kaggleprice.training.threads import Threads

__all__ = ["tables"]


@pytest.fixture(autouse=True)
def two() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "training leaves the number of threads as it was"
    torch.set_num_threads(before)


def laid_out(given: Problem, turns: int = 1) -> Threads:
    course = lay_out(given.work, given.network, CPU, turns)
    assert isinstance(course, Threads)
    return course


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    "options",
    [{}, MIXED, {"batch_norm": True, **MIXED}, {**STOPPING, **MIXED}, {"batch_size": 17}],
    ids=lambda options: "-".join(map(str, options)) or "plain",
)
def test_threads_train_what_one_batch_does(tables: Tables, options: dict[str, Any]) -> None:
    whole, spread = problem(tables, **options), problem(tables, **options)
    expected = whole.training().run()
    found = spread.train()
    assert found.groups == (8,)
    assert_equal(expected, whole.network, found, spread.network)


@pytest.mark.parametrize(
    ("threads", "turns", "groups", "expected"),
    [
        (1, 1, [8], [1]),
        (2, 1, [4, 4], [1, 1]),
        (3, 1, [3, 2, 3], [1, 1, 1]),
        (9, 1, [2] * MOST_GROUPS, [3, 2, 2, 2]),
        (2, 3, [8], [2]),
    ],
)
@pytest.mark.parametrize("worth", [True, False], ids=["large", "small"])
def test_how_members_are_laid_out(
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    turns: int,
    groups: list[int],
    expected: list[int],
    worth: bool,
) -> None:
    given = problem(tables)
    if worth:
        monkeypatch.setattr(placement, "LEAST_OPERATIONS", 1)
    torch.set_num_threads(threads)
    with closing(laid_out(given, turns)) as course:
        assert [span.stop - span.start for span in course.spans] == groups
        shares = [pool.submit(torch.get_num_threads).result() for pool in course._pools]
        assert len(course.groups) == course.turns == turns
    assert shares == (expected if worth else [1] * len(groups))
    assert torch.get_num_threads() == threads
    torch.set_num_threads(2)


def test_too_few_members_stay_together(tables: Tables) -> None:
    with closing(laid_out(problem(tables, k=3, seeds=1))) as course:
        assert course.spans == [slice(0, 3)]


def test_the_groups_weights_are_those_of_the_network_of_all(tables: Tables) -> None:
    """No copy is made, however many members there are."""
    given = problem(tables)
    places = {value.untyped_storage().data_ptr() for value in given.network.state_dict().values()}
    with closing(laid_out(given)) as course:
        parts = [part.network.state_dict() for part in course._courses.values()]
        found = {v.untyped_storage().data_ptr() for state in parts for v in state.values()}
    assert found == places


def test_a_kept_state_is_taken_up_to_the_last_bit(tables: Tables) -> None:
    keeper, options = Keeping(cut_at=2), {**MIXED, **STOPPING, "patience": 5}
    problem(tables, **options).train(keeper)
    straight, resumed = problem(tables, **options), problem(tables, **options)
    expected = straight.train()
    keeper.cut_at = None
    found = resumed.train(keeper)
    assert found.resumed_from == 2
    assert_equal(expected, straight.network, found, resumed.network, within=0)


def test_members_of_the_second_thread_diverge_by_name(tables: Tables) -> None:
    options = {"target_scale": "none", "optimizer": "sgd", "lr": 1e-3}
    with pytest.raises(DivergenceError) as alone:
        spoilt(tables, **options).training().run()
    with pytest.raises(DivergenceError) as spread:
        spoilt(tables, **options).train()
    assert str(spread.value) == str(alone.value)


def spoilt(tables: Tables, **options: Any) -> Problem:
    """Members whose fold is the last have targets that are too large for the numbers."""
    given = problem(tables, **options)
    given.work.target[given.work.fold_of_row == given.work.members[-1].fold] = 1e200
    return given


def test_an_error_in_one_thread_ends_the_others_at_their_next_step(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise they would take their whole epoch, of which there may be minutes."""
    steps: dict[int, int] = {}
    ended, whole = [], Training._pass

    def step(training: Training, *_: Any) -> torch.Tensor:
        first = training.members[0] == given.work.members[0]
        steps[first] = steps.get(first, 0) + 1
        if first and steps[first] == 3:
            raise ZeroDivisionError("in the first group")
        time.sleep(0.01)
        return torch.zeros(len(training.members))

    def watched(training: Training, epoch: int) -> Any:
        try:
            return whole(training, epoch)
        except HaltedError as error:
            ended.append(error)
            raise

    monkeypatch.setattr(Training, "_step", step)
    monkeypatch.setattr(Training, "_pass", watched)
    before, given = names(), problem(tables, batch_size=1)
    with pytest.raises(ZeroDivisionError, match="in the first group"):
        given.train()
    assert len(ended) == 1
    assert 1 <= steps[False] < 10 < len(given.training().batches)
    assert names() == before


@pytest.mark.parametrize("what", ["training", "scoring"])
def test_ctrl_c_ends_all_threads_in_the_middle_of_an_epoch(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    given, before, begun = problem(tables, batch_size=1), names(), threading.Event()

    def slow(*_: Any) -> Any:
        begun.set()
        time.sleep(0.05)
        return torch.zeros(4)

    def press() -> None:
        begun.wait(60)
        signal.raise_signal(signal.SIGINT)

    if what == "training":
        monkeypatch.setattr(Training, "_step", slow)
    else:
        chunks = ((slice(0, 1), np.zeros((4, 1))) for _ in iter(slow, None))
        monkeypatch.setattr("kaggleprice.training.engine._predictions", lambda *_: chunks)
    presser = threading.Thread(target=press)
    presser.start()
    started = time.perf_counter()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            given.train()
    finally:
        signal.signal(signal.SIGINT, handler)
        presser.join()
    # An epoch of 68 steps, or scoring without an end, would take longer.
    assert time.perf_counter() - started < 3
    assert names() == before


def test_the_slowest_group_is_timed(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem(tables)
    last = given.work.members[-1]
    monkeypatch.setattr(Training, "time_step", lambda t, _: 1.0 + (last in t.members))
    with closing(laid_out(given)) as course:
        assert course.time_step(0.01) == 2.0
    with closing(laid_out(given, turns=2)) as course:
        assert course.time_step(0.01) == 3.0
