"""Versions that decide a search's numbers besides data and seeds: Python, libraries and this package's own source.

A cluster's workers have their own environment, and scikit-learn's results differ between versions. So a worker refuses
work from a process whose versions differ from its own, instead of returning numbers that cannot be compared.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import socket
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy
import sklearn

from orchestrator.caching.fingerprints import file_digest
from orchestrator.errors import TrainError


@functools.cache
def local_versions() -> Mapping[str, str]:
    """Return the versions in this process, as they were at the first call."""
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "orchestrator.search": f"source {_digest_sources(Path(__file__).parent)[:12]}",
    }


def check_versions(sender: Mapping[str, str]) -> None:
    """Compare this worker's versions to those of the process that sends the work.

    Raises:
        TrainError: they differ.
    """
    local = local_versions()
    differing = [name for name in sender if local.get(name) != sender[name]]
    if differing:
        here, there = (", ".join(f"{name} {of.get(name)}" for name in differing) for of in (local, sender))
        raise TrainError(
            f"search: the worker on {socket.gethostname()} has {here}, and this machine has {there}: the scores might "
            "differ; install the same on both and start the worker again"
        )


def _digest_sources(folder: Path) -> str:
    """Hash relative paths and contents, so that an installed copy equals a checkout (the cache's keys do not)."""
    sources = sorted((file.relative_to(folder).as_posix(), file_digest(file)) for file in folder.rglob("*.py"))
    return hashlib.sha256(repr(sources).encode()).hexdigest()
