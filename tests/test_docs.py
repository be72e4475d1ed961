"""README, docs/ and the settings beside them: links lead somewhere, and each command is the same wherever it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from check import CHECKS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HOW_TO = [page for page in PAGES if page.parent.name == "how_to" and page.stem != "index"]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked), link


def test_readme_is_short_and_leads_to_every_part() -> None:
    """The site's own menus lead to the other pages: ``tests/docs/test_site.py``."""
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    parts = [*(page.name for page in ROOT.glob("*.md")), "docs/how_to/index.md", "docs/tutorials/index.md"]
    assert [name for name in parts if f"({name})" not in readme and name != "README.md"] == []


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_page_has_one_task(page: Path) -> None:
    """What is needed, the commands, what they print, and at the end what can go wrong."""
    text = page.read_text()
    title, *_ = re.findall(r"^# (.*)$", text, re.MULTILINE)
    assert len(text.splitlines()) <= 80, "another task?"
    assert "**You need**" in text
    assert f"[{title}]({page.name})" in (page.parent / "index.md").read_text()


def test_each_folder_of_pages_leads_to_each_of_them() -> None:
    for folder in ("tutorials", "how_to", "explanation"):
        index = (ROOT / "docs" / folder / "index.md").read_text()
        pages = [page.name for page in (ROOT / "docs" / folder).glob("*.md") if page.name != "index.md"]
        assert [name for name in pages if f"({name}" not in index] == []


@pytest.mark.parametrize("name", re.findall(r"^start '([^']+)'$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
def test_readme_has_the_commands_that_ci_runs(name: str) -> None:
    _, block = re.findall(rf"<!-- {name} -->\n(```bash)\n(python3 .*)\n```", (ROOT / "README.md").read_text())[0]
    assert "pip install" in block


def test_pre_commit_runs_the_checks_of_check_py() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [shlex.split(hook["entry"].replace(" --force-exclude", "")) for hook in hooks]
    assert entries == [["python", *(argument for argument in command if argument != ".")] for command in CHECKS]
