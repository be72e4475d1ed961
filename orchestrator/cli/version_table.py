"""The table of ``stages=versions``: one row a version, the newest first."""

from __future__ import annotations

import io
import shutil
import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from orchestrator.artifacts import short_id
from orchestrator.registry.listing import ListedVersion, VersionListing

WIDE = 200  # characters where nothing limits the width: in a pipe
DIGEST = 8
LONGEST = 50  # versions that are shown; result.json has all


def version_table(listing: VersionListing) -> str:
    """Return the table as text, with a line about the service below it."""
    where = f" in {listing.registry}" if listing.registry else " on this machine"
    if not listing.versions:
        return f"'{listing.model}' has no version{where}; make one with stages=package\n{listing.service}".rstrip()
    shown = listing.versions[:LONGEST]
    names = [
        "version",
        "aliases",
        "live",
        "registered (UTC)",
        "metric",
        "cross-validated",
        "hold-out",
        "data",
        "package",
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in {"version", "package"})
    for one in shown:
        table.add_row(*_cells(one))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    text = io.StringIO()
    Console(file=text, width=width, color_system=None, markup=False, highlight=False).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    more = len(listing.versions) - len(shown)
    count = f"{len(listing.versions)} version{'s' if len(listing.versions) > 1 else ''} of '{listing.model}'{where}"
    return "\n".join([count, *lines, *([f"and {more} more in result.json"] if more else []), listing.service])


def _cells(one: ListedVersion) -> list[str]:
    return [
        one.version or "-",
        ", ".join(one.aliases),
        one.live,
        one.registered.replace("T", " ")[:16],
        one.refit,
        _score(one, "mean_test"),
        _score(one, "holdout"),
        " ".join(filter(None, (one.data, one.data_digest[:DIGEST]))),
        short_id(one.package),
    ]


def _score(one: ListedVersion, kind: str) -> str:
    value = (one.metrics or {}).get(f"{kind}_{one.refit}")
    return "" if value is None else f"{value:.4f}"
