"""``python docs/generate.py [FOLDER]``: write the reference pages from the code, by default to ``docs/reference``.

The pages are committed, so that they can be read without a build; ``tests/docs`` compares them with what this writes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `python docs/generate.py`

from docs.generators import configuration, errors, http_api, result  # noqa: E402 - found by the line above

PAGES = {"configuration": configuration, "errors": errors, "http_api": http_api, "result": result}


def pages() -> Mapping[str, str]:
    """Return the text of each page by the name of its file."""
    return {f"{name}.md": module.page() for name, module in PAGES.items()}


def main(folder: Path = ROOT / "docs" / "reference") -> None:
    """Write the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
