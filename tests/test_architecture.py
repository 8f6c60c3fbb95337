"""The shape of the code: who imports whom, what is heavy, how large a module is."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import kaggleprice

PACKAGE = Path(kaggleprice.__file__).parent
HEAVY = {"numpy", "pandas", "scipy", "sklearn", "torch"}

# From the bottom to the top: a part imports only parts that stand before it. Three packages
# appear twice: their `__init__`, written `NAME.__init__`, is a light registry with settings,
# which everything may know; the code that it names comes later.
ORDER = [
    "errors",
    "registry",
    "progress",
    "metrics.__init__",
    "metrics",
    "engineering.__init__",
    "engineering",
    "competitions",
    "files",
    "download",
    "sample",
    "blocks",
    "tables",
    "sources",
    "folds",
    "preprocessing.__init__",
    "models.__init__",
    "training.__init__",
    "partners.__init__",
    "settings",
    "runs.__init__",
    "options",
    "preprocessing",
    "features",
    "models",
    "training",
    "partners",
    "submission",
    "ensemble",
    "voices",
    "scores",
    "crossval",
    "versions",
    "regressor",
    "runs",
    "comparison",
    "history",
    "gates",
    "workplace",
    "workflow",
    "plans",
    "extension",
    "reports",
    "notebook",
    "schemas",
    "measured",
    "configuration",
    "console",
    "views",
    "summary",
    "junit",
    "cli",
    "__main__",
]
LIGHT = [name for name in ORDER if name.endswith(".__init__")]

# Only these know torch beyond passing it on, each with its reason.
TORCH = {
    "models": "networks are torch",
    "training": "training is torch",
    "ensemble": "joins members' parameters",
    "crossval": "names the device and the precision of a run",
    "runs": "weights to and from safetensors",
    "versions": "says which torch it is",
}
RICH = {"console", "views", "cli"}
TYPER = {"cli"}
MOST_LINES = 400


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(name: str) -> str:
    """The line of ORDER that a module, named without `kaggleprice.`, belongs to."""
    first, _, rest = name.partition(".")
    init = f"{first}.__init__"
    return init if rest in ("", "__init__") and init in ORDER else first


def imports(path: Path) -> Iterator[str]:
    """Every module that a module imports anywhere, also inside functions and for types only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if _is_module(whole) else node.module


def _is_module(name: str) -> bool:
    place = PACKAGE.joinpath(*name.split(".")[1:])
    return name.startswith("kaggleprice.") and (
        place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
    )


def arrows() -> Iterator[tuple[str, str]]:
    """(importing part, imported part), within the package."""
    for path in modules():
        for name in imports(path):
            if name.startswith("kaggleprice."):
                yield part_of(dotted(path)), part_of(name.removeprefix("kaggleprice."))


def test_every_module_has_its_place() -> None:
    found = {part_of(dotted(path)) for path in modules()} - {"__init__"}
    assert found == set(ORDER)


def test_imports_point_one_way() -> None:
    wrong = {
        f"{importer} -> {imported}"
        for importer, imported in arrows()
        if importer != imported and ORDER.index(importer) < ORDER.index(imported)
    }
    assert not wrong


def test_the_order_is_no_longer_than_it_has_to_be() -> None:
    """The table would not be one if nothing were imported: the walk sees real arrows."""
    seen = set(arrows())
    assert {("cli", "workflow"), ("workflow", "runs"), ("runs", "ensemble")} <= seen
    assert {("cli", "views"), ("settings", "models.__init__"), ("registry", "errors")} <= seen


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("torch", set(TORCH)), ("safetensors", {"runs"}), ("rich", RICH), ("typer", TYPER)],
)
def test_libraries_stay_where_they_belong(library: str, allowed: set[str]) -> None:
    users = {
        dotted(path).split(".")[0]
        for path in modules()
        for name in imports(path)
        if name.split(".")[0] == library
    }
    assert users - allowed == set()
    assert allowed - users == set(), "an exception that nobody needs any more"


def test_no_drawers() -> None:
    names = {part for path in modules() for part in path.relative_to(PACKAGE).parts}
    assert not names & {"utils.py", "util.py", "helpers.py", "misc.py", "common.py", "utils"}


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_everything_public_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{path} has no docstring"
    mute = [node.name for node in public(tree(path).body) if not ast.get_docstring(node)]
    assert not mute


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_what_a_module_exports_exists(path: Path) -> None:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            assert names == sorted(names)
            defined = {
                alias.asname or alias.name
                for n in tree(path).body
                if isinstance(n, ast.ImportFrom)
                for alias in n.names
            } | {n.name for n in public(tree(path).body)}
            constants = {
                t.id
                for n in tree(path).body
                if isinstance(n, ast.Assign | ast.AnnAssign)
                for t in (n.targets if isinstance(n, ast.Assign) else [n.target])
                if isinstance(t, ast.Name)
            }
            assert set(names) <= defined | constants


def loaded(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nprint(*{{n.split('.')[0] for n in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_registries_load_nothing_heavy() -> None:
    light = ["settings", "options", "competitions", "errors", "progress", "cli"]
    light += [name.removesuffix(".__init__") for name in LIGHT]
    found = loaded("\n".join(f"import kaggleprice.{name}" for name in light))
    assert not found & {*HEAVY, "safetensors", "pooch", "requests", "tenacity"}
    # What makes the check a check.
    assert found & {"typer", "kaggleprice"} == {"typer", "kaggleprice"}


def test_every_registered_name_loads() -> None:
    """The light tables name code by text, which nothing else would hold against the code."""
    from kaggleprice.registry import Entry

    light = [*(name.removesuffix(".__init__") for name in LIGHT), "settings"]
    registries = {
        f"{module}.{name}": value
        for module in light
        for name, value in vars(importlib.import_module(f"kaggleprice.{module}")).items()
        if isinstance(value, dict) and value and isinstance(next(iter(value.values())), Entry)
    }
    # What makes the check a check.
    assert set(registries) >= {
        "metrics.METRICS",
        "metrics.TARGET_TRANSFORMS",
        "models.MODELS",
        "models.ACTIVATIONS",
        "models.EMBEDDINGS",
        "models.INITIALIZATIONS",
        "training.OPTIMIZERS",
        "training.SCHEDULES",
        "training.LOSSES",
        "partners.PARTNERS",
        "settings.COMBINES",
    }
    for registry in registries.values():
        for name, entry in registry.items():
            assert entry.load() is not None, name
            assert entry.help, name
            assert not entry.help.endswith("."), name
