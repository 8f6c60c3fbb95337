"""pyproject.toml and constraints.txt name what the code imports, and what is installed here."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import kaggleprice

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(text) for text in texts]
    for name, texts in PROJECT["optional-dependencies"].items()
}
DECLARED = [*CORE, *chain(*EXTRAS.values())]


def pins(name: str) -> dict[str, str]:
    """The version of each distribution that a file of constraints pins."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    parts = (line.partition("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): pin for name, _, pin in parts}


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from nodes(node)


def imported() -> set[str]:
    """The distributions that the package imports, anywhere in it."""
    names = set()
    for path in Path(kaggleprice.__file__).parent.rglob("*.py"):
        for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    names -= {*sys.stdlib_module_names, "kaggleprice"}
    distributions = packages_distributions()
    return {canonicalize_name(one) for name in names for one in distributions.get(name, [name])}


def test_what_is_imported_is_declared() -> None:
    shipped = {name for name in EXTRAS if name != "test"}
    declared = {canonicalize_name(r.name) for r in CORE}
    optional = {canonicalize_name(r.name) for name in shipped for r in EXTRAS[name]}
    found = imported()
    # pydantic requires these two exactly, and its own documentation imports from them.
    companions = {"pydantic-core", "typing-extensions"} if "pydantic" in declared else set()
    assert found - declared - optional - companions == set()
    # urllib3 is named for its version: `requests` imports it.
    assert declared - found <= {"urllib3"}


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_constraints_pin_what_is_declared(requirement: Requirement) -> None:
    assert pins("constraints.txt")[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_the_oldest_constraints_are_where_the_ranges_begin(requirement: Requirement) -> None:
    (begin,) = requirement.specifier
    assert begin.operator == ">="
    oldest = pins("constraints-oldest.txt")[canonicalize_name(requirement.name)]
    assert Version(oldest) == Version(begin.version)


def test_the_installed_version_is_the_codes() -> None:
    assert version("kaggleprice") == kaggleprice.__version__
