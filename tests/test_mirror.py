"""Who changes a module finds its tests: a file of its name in the mirrored folder, or the README there names the suite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = {"orchestrator": "tests", "score": "tests/score", "azure_emulator": "tests/azure_emulator"}
LONGEST = 300
MODULES = [
    path.relative_to(ROOT)
    for tree in TESTS
    for path in sorted((ROOT / tree).rglob("*.py"))
    if path.name != "__init__.py"
]


def nearest_readme(folder: Path) -> Path:
    return next(at / "README.md" for at in (folder, *folder.parents) if (at / "README.md").exists())


def names(readme: Path) -> set[str]:
    """Return the names in backquotes, with and without the folders in front; `tables/*` names all modules of a folder."""
    quoted = re.findall(r"`([\w./*<>-]+)`", readme.read_text())
    return {part for name in quoted for part in (name, name.rpartition("/")[2]) if part != "*"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_its_tests_can_be_found(module: Path) -> None:
    inside = module.relative_to(module.parts[0])
    mirrored = ROOT / TESTS[module.parts[0]] / inside.parent
    readme = nearest_readme(mirrored)
    named = {inside.stem, inside.name, f"{inside.parent.name}/*"} & names(readme)
    assert (mirrored / f"test_{inside.name}").exists() or named, (
        f"write {mirrored.relative_to(ROOT)}/test_{inside.name}, or say in {readme.relative_to(ROOT)} what tests it"
    )


def test_no_module_is_longer_than_a_reader_takes_in() -> None:
    lengths = {str(module): (ROOT / module).read_text().count("\n") for module in MODULES}
    assert {module: lines for module, lines in lengths.items() if lines > LONGEST} == {}


@pytest.mark.parametrize("readme", sorted((ROOT / "tests").rglob("README.md")), ids=lambda path: path.parent.name)
def test_suites_that_a_readme_names_exist(readme: Path) -> None:
    suites = re.findall(r"`(?:\.\./)?([\w./]*test_\w+\.py)`", readme.read_text())
    known = [f"/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "tests").rglob("test_*.py")]
    real = [name for name in suites if "/x/" not in f"/{name}"]  # x/test_y.py explains the rule
    assert [name for name in real if not any(path.endswith(f"/{name}") for path in known)] == []
