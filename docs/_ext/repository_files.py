"""A Sphinx extension that lets pages be read on GitHub and on the site alike.

Links to files of the repository become links to the site's pages, and Mermaid diagrams the pictures that
``docs/render_diagrams.py`` has drawn of them, so that neither the build nor a reader needs the network.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
DIAGRAMS = DOCS / "images" / "diagrams"
PAGES = {  # what stands elsewhere in the repository: the page that includes or replaces it
    ROOT / "CHANGELOG.md": DOCS / "changelog.md",
    ROOT / "CONTRIBUTING.md": DOCS / "contributing.md",
    ROOT / "README.md": DOCS / "index.md",
    ROOT / "SECURITY.md": DOCS / "explanation" / "security.md",
    ROOT / "azure_emulator" / "README.md": DOCS / "explanation" / "emulator.md",
    ROOT / "conf": DOCS / "reference.md",
    ROOT / "examples" / "diabetes.ipynb": DOCS / "tutorials" / "diabetes.ipynb",
}
FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<kind>[^\n]*)\n(?P<code>.*?)^(?P=fence)$\n?", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)")


def diagram_path(code: str) -> Path:
    """Return where the picture of a Mermaid diagram lies; another text is another picture."""
    return DIAGRAMS / f"{hashlib.sha256(code.encode()).hexdigest()[:12]}.svg"


def adapt(text: str, file: Path, page: Path) -> str:
    """Return the Markdown text of a file as the page that shows it needs it."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [_adapt_links(text[end : fence.start()], file, page), _adapt_fence(fence, file, page)]
        end = fence.end()
    return "".join([*parts, _adapt_links(text[end:], file, page)])


def _adapt_fence(fence: re.Match[str], file: Path, page: Path) -> str:
    if fence["kind"] == "mermaid":
        picture = os.path.relpath(diagram_path(fence["code"]), page.parent)
        return f"[![A diagram; click to see it in full size]({picture})]({picture})\n"
    if fence["fence"].startswith(":"):  # text, and no code
        inner = adapt(fence["code"], file, page)
        return f"{fence['fence']}{fence['kind']}\n{inner}{fence['fence']}\n"
    language, _, name = fence["kind"].partition(" ")
    if name and not language.startswith("{"):  # as CONTRIBUTING.md names the file of an example
        return f"```{{code-block}} {language}\n:caption: {name}\n\n{fence['code']}```\n"
    return fence[0]


def _adapt_links(text: str, file: Path, page: Path) -> str:
    def adapted(link: re.Match[str]) -> str:
        target, anchor = Path(os.path.normpath(file.parent / link[1])), link[2] or ""
        if (target, anchor) == (ROOT / "README.md", "#tests"):
            target = DOCS / "contributing.md"
        elif target in PAGES and target.name == "README.md":
            anchor = ""
        return f"]({os.path.relpath(PAGES.get(target, target), page.parent)}{anchor})"

    return LINK.sub(adapted, text)


def _copy_notebooks(_app: Sphinx, _config: Config) -> None:
    """Copy the notebooks to where Sphinx looks for pages; git ignores the copies."""
    for file, page in PAGES.items():
        if page.suffix == ".ipynb" and not (page.exists() and filecmp.cmp(file, page, shallow=False)):
            shutil.copyfile(file, page)


def _read_source(app: Sphinx, name: str, content: list[str]) -> None:
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md":
        content[0] = adapt(content[0], page, page)


def _read_included(app: Sphinx, path: Path, _parent: str, content: list[str]) -> None:
    if path.suffix == ".md":
        page = Path(app.env.doc2path(app.env.docname))  # MyST says the parent without its folder
        content[0] = adapt(content[0], (Path(app.srcdir) / path).resolve(), page)


def _write_included_sources(app: Sphinx, _error: Exception | None) -> None:
    """Replace the sources of pages that only include a file by its text: llms.txt names them."""
    for file, page in PAGES.items():
        source = Path(app.outdir, "_sources", page.relative_to(DOCS)).with_suffix(f"{page.suffix}.txt")
        if source.exists() and file.suffix == ".md" and "{include}" in source.read_text():
            source.write_text(file.read_text())


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("config-inited", _copy_notebooks)
    app.connect("source-read", _read_source)
    app.connect("include-read", _read_included)
    app.connect("build-finished", _write_included_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
