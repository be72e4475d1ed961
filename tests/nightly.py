"""Parameters that only the nightly run takes: ``python -m pytest -m ''`` runs all."""

from __future__ import annotations

from typing import Any

import pytest


def at_night(*values: object) -> Any:
    """Return the parameters marked as nightly."""
    return pytest.param(*values, marks=pytest.mark.nightly)
