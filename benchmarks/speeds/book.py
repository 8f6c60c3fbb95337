"""Against the book's way: the same networks in a `DataLoader` loop, fold after fold."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.loops import book_loop, lone_members
from benchmarks.speeds.problems import dense_problem, make_problem, train
from benchmarks.speeds.ratios import Timer, alternate, timed
from benchmarks.speeds.results import Line, Outcome, at_least
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.training.devices import taking_threads

TITLE = "Against the book's way"
MEANING = (
    "The same networks, as many epochs, the same batch size, in a plain torch `DataLoader` loop: "
    "one member after the other. Seconds are per epoch of all members. The loop trains one epoch "
    "and looks at nothing; kaggleprice's side is a whole training of five epochs, with its "
    "beginning, its end and a line of history for every five epochs, as `cv` has it. The rest of "
    "the loop's epochs are like its first, so the ratio per epoch is that of a whole training."
)
MEMBERS, QUICK_MEMBERS = (1, 5, 20, 64), (1, 5)
EPOCHS = 5
# The default networks of `cv`, at 20 members.
REACH = at_least(8)


def measure(effort: Effort) -> Outcome:
    """Time both ways for every number of members."""
    tables, competition = effort.load().tables, effort.source.competition
    options, size = ({"hidden": (8,)}, (200, 30)) if effort.quick else ({}, ())
    kinds: dict[str, Callable[[int], PreparedRun]] = {
        "default networks": lambda m: make_problem(competition, tables, m, options),
        "dense 313-256-128-1": lambda m: dense_problem(m, 64, *size),
    }
    outcome, count = Outcome(), torch.get_num_threads()
    for kind, make in kinds.items():
        for members in QUICK_MEMBERS if effort.quick else MEMBERS:
            problem = make(members)
            _add(outcome, kind, problem, effort, count)
            if count > 1 and members == 20:
                _add(outcome, kind, problem, effort, 1)
    return outcome


def _add(
    outcome: Outcome, kind: str, problem: PreparedRun, effort: Effort, loop_threads: int
) -> None:
    lone, members = lone_members(problem), len(problem.task.members)

    def loop() -> None:
        for one in lone:
            book_loop(one, 1)

    base = _with_threads(timed(loop, least=effort.least), loop_threads)
    own = timed(lambda: train(problem, EPOCHS, EPOCHS), units=EPOCHS, least=effort.least)
    count = torch.get_num_threads()
    outcome.lines.append(
        Line(
            f"{kind}, {members} member{'s' * (members != 1)}",
            "the book's loop" + (" on 1 thread" if loop_threads < count else ""),
            "times as fast",
            alternate(base, own, effort.pairs).faster(),
            count,
            REACH if kind == "default networks" and members == 20 else None,
        )
    )
    say(str(outcome.lines[-1]))


def _with_threads(timer: Timer, count: int) -> Timer:
    def limited() -> float:
        with taking_threads(count):
            return timer()

    return limited
