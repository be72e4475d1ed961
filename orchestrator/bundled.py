"""What comes with this tool beside its code: the options in ``conf/`` and the example table in ``data/``."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
ROOT = _PACKAGE.parent  # the clone, or site-packages: what holds orchestrator, score and azure_emulator
INSTALLED = (_PACKAGE / "conf").is_dir()  # a wheel puts conf/ and data/ into the package
BUNDLED = _PACKAGE if INSTALLED else ROOT
CONF = BUNDLED / "conf"
OWN_PACKAGES = ("orchestrator", "score", "azure_emulator")


def is_example(path: Path) -> bool:
    """Return whether a table is one that comes with this tool, and is no file of the project."""
    return path.is_relative_to(BUNDLED / "data") and not path.is_relative_to(Path.cwd())
