"""The documentation site: it builds offline without a warning, and shows what the repository holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("sphinx")

ROOT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
        values = dict(attrs)
        if tag in names and values.get("rel") not in {"canonical", "prev", "next"}:
            self.loaded.append(values.get(names[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as its host does, but for the notebook, which has a test of its own."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-D", "nb_execution_mode=off", "-d", str(folder / "doctrees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder / "html")],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "html"


def test_a_page_loads_only_files_of_the_site(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if "_static" not in page.parts]  # there are the theme's templates
    assert len(pages) > 30
    for page in pages:
        links = Links()
        links.feed(page.read_text())
        for link in filter(None, links.loaded):
            file = unquote(re.split(r"[?#]", link)[0])
            assert (page.parent / file).exists(), f"{page.relative_to(site)} loads {link}"


def test_every_page_of_the_repository_is_reachable(site: Path) -> None:
    menus = "".join(page.read_text() for page in site.rglob("index.html"))
    for file in (ROOT / "docs").rglob("*.md"):
        page = file.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / page).exists()
        assert page.name in menus or page.parent.name == "reference", page


def test_llms_txt_names_pages_as_they_are_written(site: Path) -> None:
    text = (site / "llms.txt").read_text()
    sources = re.findall(r"\]\(/?(_sources/\S+)\)", text)
    pages = {f"_sources/{file.relative_to(ROOT / 'docs')}.txt" for file in (ROOT / "docs").rglob("*.md")}
    assert pages <= {*sources}
    assert all((site / source).exists() for source in sources)
    assert "## [0.1.0]" in (site / "_sources" / "changelog.md.txt").read_text()


def test_links_to_files_of_the_repository_lead_to_pages(site: Path) -> None:
    page = (site / "how_to" / "try_azure_on_this_machine.html").read_text()
    assert 'href="../explanation/emulator.html"' in page
    assert 'href="../contributing.html#tests"' in page
    assert "mermaid" not in (site / "explanation" / "architecture.html").read_text().replace("images/mermaid", "")
