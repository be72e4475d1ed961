"""Rules of the keys that say in which processes work is done: ``backend``, ``scheduler`` and ``n_jobs``."""

from __future__ import annotations


def some_jobs(n_jobs: int | None) -> int | None:
    """Return a number of processes.

    Raises:
        ValueError: it is zero.
    """
    if n_jobs == 0:
        raise ValueError("0 processes do nothing; write 1, or -1 for all cores")
    return n_jobs


def check_cluster(section: str, backend: str | None, scheduler: str | None, n_jobs: int | None) -> None:
    """Check what belongs to the address of a cluster.

    Raises:
        ValueError: there is no cluster for it, or processes are counted beside it; the text begins with the key.
    """
    if scheduler is not None and backend not in {"dask", "ray"}:
        raise ValueError(f"scheduler: is the address of a cluster; say of which: {section}.backend=dask or ray")
    if scheduler is not None and n_jobs not in {None, -1}:
        raise ValueError("n_jobs: counts processes of this machine; an existing cluster is used entirely: write null")
