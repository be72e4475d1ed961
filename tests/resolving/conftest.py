"""A package index of this test's own, and what the image's libraries come to there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.resolving.libraries import Libraries, check
from tests.package_index import Index


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """The only index that pip is set to use."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    made = Index(tmp_path / "index")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    return made


Ask = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """The warning for these lines, or the error that is raised."""

    def ask(*lines: str, python: str = "3.11.7", **fields: object) -> str:
        return check(Libraries(lines, python, **fields), tmp_path / "cache")  # type: ignore[arg-type]  # a test's own fields

    return ask
