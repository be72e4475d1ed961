"""CONTRIBUTING.md prints the import order that import-linter enforces."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
Layers = dict[str, list[str]]


def contracts() -> list[dict[str, Any]]:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [contract for contract in linter["contracts"] if contract["type"] == "layers"]


def enforced() -> Layers:
    """Return the layers of each package; brackets mark a module that need not exist."""
    return {
        package: [re.sub(r"[()]", "", layer) for layer in contract["layers"]]
        for contract in contracts()
        for package in contract["containers"]
    }


def documented() -> Layers:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Import order\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^### `(\w+)`\n\n```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    return {package: lines.splitlines() for package, lines in blocks}


@pytest.mark.parametrize("package", sorted(documented()))
def test_contributing_prints_the_enforced_import_order(package: str) -> None:
    assert documented()[package] == enforced()[package]


def test_every_enforced_order_is_documented_and_exhaustive() -> None:
    assert set(enforced()) == set(documented()) >= {"orchestrator", "azure_emulator"}
    assert all(contract["exhaustive"] for contract in contracts())
