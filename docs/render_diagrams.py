"""Draw the Mermaid diagrams of the Markdown files as SVG: ``python docs/render_diagrams.py mermaid.min.js``.

GitHub draws them itself; the site shows these pictures. It needs chromium, and Mermaid's script from
``npm pack mermaid``. Pictures of diagrams that no page has any more are deleted.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))
from repository_files import DIAGRAMS, DOCS, FENCE, ROOT, diagram_path

PAGE = """<!doctype html><meta charset="utf-8"><script src="{script}"></script><pre class="mermaid">{code}</pre>
<script>mermaid.initialize({{startOnLoad: true, htmlLabels: false, flowchart: {{htmlLabels: false}}}})</script>"""


def draw(code: str, script: Path) -> str:
    """Return the picture that Mermaid makes of a diagram."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(script=script.resolve().as_uri(), code=html.escape(code)))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
        command = ["chromium", *options, f"--user-data-dir={folder}/browser", "--dump-dom", page.as_uri()]
        dom = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    svg = re.search(r"<svg id=.*?</svg>", dom, re.DOTALL)
    if svg is None or 'aria-roledescription="error"' in svg[0]:
        raise SystemExit(f"Mermaid cannot draw:\n{code}")
    picture = re.sub(r"mermaid-\d{6,}", "mermaid", svg[0]).replace("<br>", "<br/>")
    width, height = re.findall(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', picture)[0]
    return picture.replace('width="100%"', f'width="{float(width):.0f}" height="{float(height):.0f}"', 1) + "\n"


def main() -> None:
    """Draw what is new and delete what is not used any more."""
    files = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    diagrams = {
        diagram_path(fence["code"]): fence["code"]
        for file in files
        for fence in FENCE.finditer(file.read_text())
        if fence["kind"] == "mermaid"
    }
    DIAGRAMS.mkdir(exist_ok=True)
    for path, code in diagrams.items():
        if not path.exists():
            path.write_text(draw(code, Path(sys.argv[1])))
    for path in DIAGRAMS.glob("*.svg"):
        if path not in diagrams:
            path.unlink()


if __name__ == "__main__":
    main()
