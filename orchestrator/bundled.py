"""What comes with this tool beside its code: the options in ``conf/`` with their schema, and the table in ``data/``."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
ROOT = _PACKAGE.parent  # the clone, or site-packages: what holds orchestrator, score and azure_emulator
INSTALLED = (_PACKAGE / "conf").is_dir()  # a wheel puts conf/ and data/ into the package
BUNDLED = _PACKAGE if INSTALLED else ROOT
CONF = BUNDLED / "conf"
OWN_PACKAGES = ("orchestrator", "score", "azure_emulator")
SCHEMA_FILE = "schema.json"  # in a configuration folder: the JSON Schema of its files
SCHEMA_PLACE = (
    "#/definitions"  # not $defs: editors find a part by `schema.json#/definitions/data`, and some encode the $
)
SCHEMA_LINE = "# yaml-language-server: $schema="


def schema_line(part: str, depth: int = 1) -> str:
    """Return the line by which an editor finds the schema of a file ``depth`` folders below its configuration folder."""
    return f"{SCHEMA_LINE}{'../' * depth}{SCHEMA_FILE}{SCHEMA_PLACE}/{part}"


def is_example(path: object) -> bool:
    """Return whether a table is one that comes with this tool, and is no file of the project."""
    return isinstance(path, Path) and path.is_relative_to(BUNDLED / "data") and not path.is_relative_to(Path.cwd())
