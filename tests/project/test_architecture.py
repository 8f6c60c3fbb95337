"""The shape of the code: who imports whom, and what is heavy."""

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
ROOT = Path(__file__).parents[2]
HEAVY = {"numpy", "pandas", "scipy", "sklearn", "torch"}

# Modules that hold names and settings only, so that help and completion are quick.
LIGHT = [
    "cli",
    "competitions.catalog",
    "competitions.engineering",
    "competitions.metrics",
    "core.errors",
    "core.progress",
    "core.registry",
    "settings.base_models",
    "settings.model",
    "settings.declaration",
    "settings.ineffective",
    "settings.recipe",
    "settings.run",
    "settings.training",
]
# Only these packages know torch beyond passing it on, each with its reason.
TORCH = {
    "models": "networks are torch",
    "training": "training is torch",
    "evaluation": "joins members' parameters; names the device and the precision of a run",
    "runs": "weights to and from safetensors",
    "core": "says which version of torch it is",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


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


def test_imports_point_one_way() -> None:
    """The contract in pyproject.toml, which also names every package that there may be."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("torch", set(TORCH)), ("safetensors", {"runs"}), ("rich", {"cli"}), ("typer", {"cli"})],
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
    found = loaded("\n".join(f"import kaggleprice.{name}" for name in LIGHT))
    assert not found & {*HEAVY, "safetensors", "pooch", "requests"}
    # What makes the check a check.
    assert found & {"typer", "kaggleprice"} == {"typer", "kaggleprice"}


def test_every_registered_name_loads() -> None:
    """The light tables name code by text, which nothing else would hold against the code."""
    from kaggleprice.core.registry import Entry

    registries = {
        f"{module}.{name}": value
        for module in LIGHT
        for name, value in vars(importlib.import_module(f"kaggleprice.{module}")).items()
        if isinstance(value, dict) and value and isinstance(next(iter(value.values())), Entry)
    }
    # What makes the check a check.
    assert set(registries) >= {
        "competitions.metrics.TARGET_TRANSFORMS",
        "settings.model.MODELS",
        "settings.model.ACTIVATIONS",
        "settings.model.EMBEDDINGS",
        "settings.model.INITIALIZATIONS",
        "settings.training.OPTIMIZERS",
        "settings.training.SCHEDULES",
        "settings.training.LOSSES",
        "settings.base_models.PARTNERS",
        "settings.run.COMBINES",
    }
    for registry in registries.values():
        for name, entry in registry.items():
            assert entry.load() is not None, name
            assert entry.help, name
            assert not entry.help.endswith("."), name
