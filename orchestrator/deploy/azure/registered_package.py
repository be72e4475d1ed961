"""A registered model that another machine packaged, as this machine's package folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from orchestrator.artifacts import MLFLOW_FILES, Package


def keep(package: Package, download: Callable[[str], Path]) -> None:
    """Put what ``download`` fetches into a scratch folder where ``package`` says; nothing of one that was changed.

    Raises:
        OSError: it is not what was packaged.
    """
    package.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=package.path.parent) as scratch:
        there = download(scratch)
        for name in MLFLOW_FILES:
            (there / name).unlink(missing_ok=True)
        if not Package(there, package.fingerprint, package.model_name).is_intact():
            raise OSError(f"'{package.model_name}' in the workspace is not the package {package.fingerprint[:16]}")
        there.rename(package.path)
