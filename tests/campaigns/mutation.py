"""Small changes to the code, one at a time, each of which some test must notice.

    pytest --cov --cov-context=test --junit-xml=tests.xml -o junit_family=legacy
    python tests/campaigns/mutation.py --measured .coverage tests.xml --results mutants.jsonl
    python tests/campaigns/mutation.py --results mutants.jsonl --show      # the survivors

Needs `pip install cosmic-ray pytest-cov`. Cosmic Ray makes the mutants of preprocessing,
evaluation, metrics, runs and submission; a seed chooses some, in as many places of the code. Each
is written into a copy of the project, where the tests that run its lines are run up to the first
that fails. It may be interrupted: what has a line in the results is not tried again. At the end the
tests that failed pass once more without a mutant. `--again` tries survivors with all tests that are
named after their file.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import unified_diff
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from coverage import CoverageData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared import FaultError, parser_of, tell

ROOT = Path(__file__).resolve().parents[2]
MUTATED = (
    "preprocessing/*.py",
    "evaluation/*.py",
    "competitions/metrics.py",
    "competitions/submission.py",
    "runs/*.py",
)
# These need arguments of their own, or change nothing that runs.
_LEFT_OUT = ("core/VariableReplacer", "core/VariableInserter")
# What a mutant's tests may take, by their durations without it; how long they may hang.
_SECONDS, _LIMIT = 25.0, 120
# What this process has imported of the project itself, and its forks import from the copy.
_OURS = ("kaggleprice", "entry_point", "shared")
_PRELOADED = (
    "numpy pandas torch torch._dynamo scipy.stats pydantic typer rich jinja2 pyarrow "
    "sklearn.ensemble sklearn.linear_model sklearn.impute sklearn.inspection sklearn.svm optuna"
)


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        file: below `kaggleprice/`.
        line: where it is.
        operator: Cosmic Ray's name of it.
        occurrence: which of that operator's places in the file.
    """

    file: str
    line: int
    operator: str
    occurrence: int


def source_of(file: str) -> str:
    """Return the code of a file of the package."""
    return (ROOT / "kaggleprice" / file).read_text("utf-8")


def all_mutants(file: str) -> Iterator[tuple[tuple[int, int], Mutant]]:
    """Yield every mutant of a file, with its place; none of annotations, which nothing runs."""
    source = source_of(file)
    nodes = list(ast_nodes(get_ast(source)))
    silent = list(_silent(source))
    for name in operator_names():
        if name in _LEFT_OUT:
            continue
        operator, count = get_operator(name)(), 0
        for node in nodes:
            for start, _ in operator.mutation_positions(node):
                mutant = Mutant(file, start[0], name, count)
                count += 1
                if not any(first <= start < last for first, last in silent):
                    yield start, mutant


def _silent(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the spans of annotations, of type aliases, and of what only type checkers read."""
    for node in ast.walk(ast.parse(source)):
        found: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef):
            found = [node.returns]
            # Overloads and abstract methods have no code.
            if any(
                ast.unparse(one) in ("overload", "abstractmethod") for one in node.decorator_list
            ):
                found = [node, *node.decorator_list]
        elif isinstance(node, ast.arg | ast.AnnAssign):
            found = [node.annotation]
        elif isinstance(node, ast.Assign) and _is_alias(node.value):
            found = [node.value]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found = [node]
        for one in found:
            if one is not None:
                yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)


def _is_alias(value: ast.expr) -> bool:
    return isinstance(value, ast.Subscript) and ast.unparse(value.value) in (
        "NDArray",
        "Callable",
        "dict",
        "list",
        "tuple",
        "Literal",
        "Mapping",
    )


def chosen_mutants(count: int, seed: int) -> list[Mutant]:
    """Return mutants in as many places, chosen by a seed: one of those of each place."""
    there = defaultdict[tuple[str, int, int], list[Mutant]](list)
    for pattern in MUTATED:
        for path in sorted((ROOT / "kaggleprice").glob(pattern)):
            file = path.relative_to(ROOT / "kaggleprice").as_posix()
            for place, mutant in all_mutants(file):
                there[(file, *place)].append(mutant)
    generator = random.Random(seed)  # noqa: S311
    places = sorted(there)
    generator.shuffle(places)
    return [generator.choice(there[place]) for place in places[:count]]


def durations(junit: Path) -> dict[str, float]:
    """Return how long each test took, in seconds."""
    cases = ElementTree.parse(junit).iter("testcase")  # noqa: S314
    return {
        f"{case.get('file')}::{case.get('name')}": float(case.get("time") or 0) for case in cases
    }


class Measured:
    """Which tests run which lines, and how long each takes."""

    def __init__(self, coverage: Path, junit: Path) -> None:
        """Read what pytest wrote."""
        self._data = CoverageData(str(coverage))
        self._data.read()
        self._files = {
            Path(name).relative_to(ROOT / "kaggleprice").as_posix(): name
            for name in self._data.measured_files()
        }
        self.seconds = durations(junit)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that run a mutant's statement, as many as time allows.

        Those of its package come first, and of these the fastest. What is run when a module is
        imported, every test of that module runs.
        """
        first, last = _statement(source_of(mutant.file), mutant.line)
        by_line = self._contexts(mutant.file)
        found = {test for line in range(first, last + 1) for test in by_line.get(line, ())}
        if not found:
            stem = Path(mutant.file).stem
            found = {
                test for tests in by_line.values() for test in tests if f"test_{stem}." in test
            }
        if not found:
            found = {test for tests in by_line.values() for test in tests}
        package = f"tests/{mutant.file.split('/')[0]}/"

        def order(test: str) -> tuple[bool, float, str]:
            return not test.startswith(package), self.seconds[test], test

        total, chosen = 0.0, list[str]()
        for test in sorted(found & self.seconds.keys(), key=order):
            total += self.seconds[test]
            if total > _SECONDS and chosen:
                break
            chosen.append(test)
        return chosen

    @lru_cache(maxsize=64)  # noqa: B019 - one object in a process
    def _contexts(self, file: str) -> dict[int, set[str]]:
        if file not in self._files:
            return {}
        found = self._data.contexts_by_lineno(self._files[file])
        return {
            line: {name.rpartition("|")[0] for name in names if "|" in name}
            for line, names in found.items()
        }


def _statement(source: str, line: int) -> tuple[int, int]:
    """Return the lines of the innermost statement without a body of its own, or of a head."""
    best = (line, line)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        body = getattr(node, "body", None)
        end = body[0].lineno - 1 if body else node.end_lineno or line
        if node.lineno <= line <= end:
            best = (node.lineno, end)
    return best


def copy_project(place: Path) -> Path:
    """Copy what the tests need; compiled files are told from their sources by hash, not by time."""
    copy = place / "project"
    left_out = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".coverage*", ".venv")
    shutil.copytree(ROOT, copy, ignore=left_out)
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    subprocess.run([*command, "kaggleprice", "tests"], cwd=copy, check=True)
    return copy


def run_tests(
    copy: Path, tests: Sequence[str], scratch: Path, limit: int = _LIMIT
) -> tuple[str, str]:
    """Run tests of a copy in a fork of this process: `passed`, `failed` or `hung`, and by what."""
    out = scratch / "out"
    child = os.fork()
    if child == 0:
        try:
            _be_pytest(copy, tests, out, limit)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return "passed", ""
    if code == -signal.SIGALRM:
        return "hung", ""
    said = [
        line for line in out.read_text("utf-8").splitlines() if line.startswith(("FAILED", "ERROR"))
    ]
    return "failed", said[0].split(" - ")[0].partition(" ")[2] if said else f"exit code {code}"


def _be_pytest(copy: Path, tests: Sequence[str], out: Path, limit: int) -> None:
    os.setpgid(0, 0)
    signal.alarm(limit)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(copy))
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    stream = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(stream, number)
    import pytest

    options = ["-x", "-q", "-n0", "-rfE", "-p", "no:cacheprovider", "-p", "no:cov"]
    code = pytest.main([*options, *tests])
    sys.stdout.flush()
    os._exit(int(code))


def named_after(file: str) -> list[str]:
    """Return the test files that are named after a file of the package."""
    found = (ROOT / "tests").rglob(f"test_{Path(file).stem}.py")
    return [path.relative_to(ROOT).as_posix() for path in sorted(found)]


def worker(
    mutants: Sequence[Mutant], measured_in: Sequence[Path], results: Path, *, again: bool
) -> None:
    """Try mutants in turn; append a line of each."""
    # Coverage empties a file that a fork of the process that opened it reads.
    measured = Measured(*measured_in)
    with tempfile.TemporaryDirectory() as made:
        copy = copy_project(Path(made))
        for mutant in mutants:
            changed = mutate_code(
                source_of(mutant.file), get_operator(mutant.operator)(), mutant.occurrence
            )
            path = copy / "kaggleprice" / mutant.file
            tests = named_after(mutant.file) if again else measured.tests_of(mutant)
            path.write_text(changed, "utf-8")
            limit = 10 * _LIMIT if again else _LIMIT
            outcome, by = run_tests(copy, tests, Path(made), limit) if tests else ("passed", "")
            path.write_text(source_of(mutant.file), "utf-8")
            diff = [
                line
                for line in unified_diff(
                    source_of(mutant.file).splitlines(), changed.splitlines(), n=0, lineterm=""
                )
                if not line.startswith(("---", "+++", "@@"))
            ]
            line = {
                **asdict(mutant),
                "tests": len(tests),
                "outcome": outcome,
                "by": by,
                "diff": diff,
            }
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def read_results(path: Path) -> dict[Mutant, dict[str, object]]:
    """Return the lines of a results file by mutant."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    names = Mutant.__dataclass_fields__
    return {Mutant(**{name: line[name] for name in names}): line for line in lines}


def campaign(
    count: int,
    seed: int,
    workers: int,
    measured_in: Sequence[Path],
    results: Path,
    *,
    again: bool = False,
) -> Iterator[str]:
    """Try mutants; yield what came of them.

    Raises:
        FaultError: where a test that failed with a mutant fails without one, too.
    """
    known = read_results(results)
    alive = [one for one, line in known.items() if line["outcome"] == "passed"]
    mutants = [one for one in chosen_mutants(count, seed) if one not in known]
    mutants = alive if again else mutants
    yield f"{len(mutants)} mutants to be tried, {len(known)} have been"
    for name in _PRELOADED.split():
        importlib.import_module(name)
    sys.stdout.flush()
    children = []
    for number in range(workers):
        child = os.fork()
        if child == 0:
            worker(mutants[number::workers], measured_in, results, again=again)
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise FaultError("a worker ended before its time; run the command again")
    found = read_results(results)
    killers = sorted(
        {str(line["by"]) for line in found.values() if line["by"]}
        & durations(measured_in[1]).keys()
    )
    with tempfile.TemporaryDirectory() as made:
        outcome, by = run_tests(copy_project(Path(made)), killers, Path(made), limit=3600)
    if killers and outcome != "passed":
        raise FaultError(f"without a mutant the tests {outcome}: {by}")
    yield from summary(found)


def summary(found: dict[Mutant, dict[str, object]]) -> Iterator[str]:
    """Yield, by folder, how many were noticed."""
    counts = Counter((one.file.split("/")[0], line["outcome"]) for one, line in found.items())
    for folder in sorted({folder for folder, _ in counts}):
        total = sum(count for (where, _), count in counts.items() if where == folder)
        yield f"{folder}: {total - counts[folder, 'passed']} of {total} noticed"
    count = len(found)
    noticed = count - sum(line["outcome"] == "passed" for line in found.values())
    yield f"all: {noticed} of {count} noticed ({noticed / max(1, count):.1%})"


def survivors(found: dict[Mutant, dict[str, object]]) -> Iterator[str]:
    """Yield each mutant that no test noticed."""
    for one, line in sorted(found.items(), key=lambda item: (item[0].file, item[0].line)):
        if line["outcome"] == "passed":
            yield f"{one.file}:{one.line} ({line['tests']} tests)"
            yield from (f"    {text}" for text in line["diff"])  # type: ignore[attr-defined]


def main() -> int:
    """Run the campaign; return 1 where it cannot be trusted."""
    parser = parser_of(__doc__)
    parser.add_argument("--measured", nargs=2, type=Path, metavar=("COVERAGE", "JUNIT"))
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--count", type=int, default=500, help="%(default)s")
    parser.add_argument("--seed", type=int, default=1, help="%(default)s")
    parser.add_argument("--workers", type=int, default=2, help="%(default)s")
    parser.add_argument("--again", action="store_true", help="try those that no test noticed")
    parser.add_argument("--show", action="store_true", help="only list survivors")
    asked = parser.parse_args()
    if asked.show:
        return tell(
            [*survivors(read_results(asked.results)), *summary(read_results(asked.results))]
        )
    if asked.measured is None:
        parser.error("--measured is needed")
    sizes = asked.count, asked.seed, asked.workers
    return tell(campaign(*sizes, asked.measured, asked.results, again=asked.again))


if __name__ == "__main__":
    sys.exit(main())
