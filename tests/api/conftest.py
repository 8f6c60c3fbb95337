"""A small competition with one run of it, for each test a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small import OPTIONS, place_in, source_in, write_small

from kaggleprice.api import workflow
from kaggleprice.settings.run import make_settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_small(folder)
    settings = make_settings(options=OPTIONS)
    workflow.cross_validate(source_in(folder), settings, place_in(folder))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """The small competition and one run of it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path
