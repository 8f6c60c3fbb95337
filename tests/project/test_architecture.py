"""The shape of the code: who imports whom, what loads quickly, what is documented."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from entry_point import TINY
from small import write_small

import kaggleprice
from kaggleprice import settings
from kaggleprice.core.registry import Entry

PACKAGE = Path(kaggleprice.__file__).parent
ROOT = Path(__file__).parents[2]
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"numpy", "pandas", "pooch", "pydantic", "requests", "safetensors", "scipy", "sklearn"}
# Modules of names and settings only: `--help` and completion import them.
LIGHT = [
    "kaggleprice.cli.program",
    "kaggleprice.competitions.catalog",
    "kaggleprice.competitions.metrics",
    "kaggleprice.core.errors",
    "kaggleprice.core.progress",
    "kaggleprice.core.registry",
    *(f"kaggleprice.settings.{module.name}" for module in pkgutil.iter_modules(settings.__path__)),
]


def test_imports_point_one_way() -> None:
    """The contracts in pyproject.toml, which also name every package that there may be."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_light_modules_load_nothing_heavy() -> None:
    program = f"import sys, {', '.join(LIGHT)}\nprint(*{{n.split('.')[0] for n in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {*HEAVY, "torch"}
    assert {"kaggleprice", "typer"} <= loaded, "this test sees what is loaded"


def test_predicting_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    """A second command in a row is to start in a moment."""
    toml = str(write_small(tmp_path))
    program = (
        "import sys\nfrom kaggleprice.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    print('loaded', *sys.modules)"
    )

    def loaded(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, "-c", toml, "--quiet"],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        return set(done.stdout.partition("loaded ")[2].split())

    needless = {"sklearn", "scipy", "matplotlib", "torch._dynamo", "torch._inductor.compile_fx"}
    assert needless & loaded("cv", *TINY) >= {"sklearn", "scipy"}, "this test sees what is loaded"
    predicting = loaded("predict")
    assert not needless & predicting
    assert {"torch", "pandas"} <= predicting


def registries() -> dict[str, dict[str, Entry]]:
    """Every registry that names code by text, by its own name."""
    return {
        name: value
        for module in LIGHT
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, dict) and value and isinstance(next(iter(value.values())), Entry)
    }


def test_every_registered_name_loads() -> None:
    """A name is a text until it is used, so only this test holds it against the code."""
    found = registries()
    assert set(found) >= {
        "ACTIVATIONS",
        "COMBINES",
        "EMBEDDINGS",
        "INITIALIZATIONS",
        "LOSSES",
        "MODELS",
        "OPTIMIZERS",
        "SCHEDULES",
    }
    for registry in found.values():
        for name, entry in registry.items():
            assert entry.load() is not None, name
            assert re.fullmatch(r"\S.*[^\s.]", entry.help), name


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def test_everything_public_has_a_docstring() -> None:
    mute = []
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        place = path.relative_to(PACKAGE)
        mute += [] if ast.get_docstring(tree) else [f"{place}"]
        mute += [f"{place}: {n.name}" for n in _public(tree.body) if not ast.get_docstring(n)]
    assert mute == []


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.walk_packages([str(PACKAGE)], "kaggleprice.") if m.ispkg]
)
def test_what_a_package_exports_exists(module: str) -> None:
    package = importlib.import_module(module)
    exported = getattr(package, "__all__", [])
    assert list(exported) == sorted(exported)
    assert all(hasattr(package, name) for name in exported)


def test_the_python_interface_is_complete() -> None:
    """`__init__.pyi`, which a type checker reads, names what `__init__.py` gives."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {a.name for n in stub.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {*imported, "__version__"} == set(kaggleprice.__all__)
    assert all(getattr(kaggleprice, name) is not None for name in kaggleprice.__all__)
