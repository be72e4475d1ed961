"""No module is called like one that others import: a folder of this project may be the first on the path."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# run.py, check.py and `-m` put the root on the path, `python benchmarks/x.py` that folder, Azure ML's server score/
PACKAGES = ["score", "orchestrator", "azure_emulator", "benchmarks", "tests"]


def modules(folder: Path) -> set[str]:
    """Return the names of modules and packages at any depth, in lower case, as some file systems ignore case."""
    files = {path.stem.lower() for path in folder.rglob("*.py")}
    return (files | {path.parent.name.lower() for path in folder.rglob("*.py")}) - {"__init__", "__main__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_called_like_one_of_the_standard_library(package: str) -> None:
    found = modules(ROOT / package)
    assert found
    assert not found & {name.lower() for name in sys.stdlib_module_names}


def test_no_file_beside_the_packages_is_called_like_one_of_the_standard_library() -> None:
    found = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {"run", "check", "score"} <= found
    assert not found & sys.stdlib_module_names


def test_no_module_that_ships_is_called_like_an_installed_one() -> None:
    installed = {top for top in importlib.metadata.packages_distributions() if top not in PACKAGES}
    assert {"numpy", "onnxruntime"} <= installed
    assert not {path.stem for path in (ROOT / "score").iterdir() if path.suffix in {"", ".py"}} & installed
