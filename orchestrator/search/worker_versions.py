"""What decides a search's numbers besides data and seeds: Python, the libraries below, and this package's own source.

A cluster's workers have an environment of their own. scikit-learn's results differ between versions, so a worker that
is not as the process that sends it work says so, in place of numbers that nobody could tell apart.
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
def versions() -> Mapping[str, str]:
    """Those of this process, as it was when it was first asked."""
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "orchestrator.search": f"source {_digest(Path(__file__).parent)[:12]}",
    }


def check(sent: Mapping[str, str]) -> None:
    """Compare this process to the one that ``sent`` work here.

    Raises:
        TrainError: they differ.
    """
    here = versions()
    differing = [name for name in sent if here.get(name) != sent[name]]
    if differing:
        theirs, ours = (", ".join(f"{name} {of.get(name)}" for name in differing) for of in (here, sent))
        raise TrainError(
            f"search: the worker on {socket.gethostname()} has {theirs}, and this machine has {ours}: the scores might "
            "differ; install the same on both and start the worker again"
        )


def _digest(folder: Path) -> str:
    """Of files alone, wherever they lie: an installed copy and a checkout of it are the same (not so in our cache)."""
    sources = sorted((file.relative_to(folder).as_posix(), file_digest(file)) for file in folder.rglob("*.py"))
    return hashlib.sha256(repr(sources).encode()).hexdigest()
