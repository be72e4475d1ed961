"""Names are unique: no module shadows one that others import, and one class name has one meaning in a package tree.

A folder of this project may be the first on ``sys.path``, so a module named like an installed one would replace it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# run.py, check.py and `-m` put the root on the path, `python benchmarks/x.py` that folder, Azure ML's server score/
PACKAGES = ["score", "orchestrator", "azure_emulator", "benchmarks", "tests"]


def public_classes(folder: Path) -> Counter[str]:
    """Count the classes of each name that modules define at their top level."""
    return Counter(
        node.name
        for path in folder.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


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


def test_no_benchmark_hides_a_package() -> None:
    assert not {path.stem for path in (ROOT / "benchmarks").glob("*.py")} & set(PACKAGES)


@pytest.mark.parametrize("package", ["orchestrator", "score", "azure_emulator"])
def test_no_two_public_classes_of_one_package_share_a_name(package: str) -> None:
    counts = public_classes(ROOT / package)
    assert counts
    assert not {name for name, count in counts.items() if count > 1}
