"""Privacy: switch the telemetry of libraries off, and keep their caches inside ``state_dir``.

docs/how_to/know_what_leaves_the_machine.md has a line for each library; those without a switch here have nothing to
switch off.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from score import privacy

TELEMETRY_OFF: Mapping[str, str] = {
    **privacy.TELEMETRY_OFF,
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def disable_telemetry() -> None:
    """Switch the telemetry of all libraries off, for this process and those it starts, unless the user has set it."""
    privacy.disable_telemetry(TELEMETRY_OFF)


def keep_caches(folder: Path) -> None:
    """Keep matplotlib's font cache in ``folder``, unless the user has set another, and silence its note about it."""
    os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
    logging.getLogger("matplotlib.font_manager").setLevel(logging.WARNING)
