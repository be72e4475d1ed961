"""Where a search's fits run: one of joblib's backends, and the cluster behind it for as long as the search lasts."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from joblib import parallel_config

EXTRAS = {"dask": "distributed", "ray": "ray"}  # what a backend needs besides joblib
WORKERS_SECONDS = 60  # for a cluster to have its first worker


def missing(backend: str | None) -> str:
    """The module that is not installed and this backend needs; empty if it can be used."""
    module = EXTRAS.get(backend or "", "")
    return module if module and importlib.util.find_spec(module) is None else ""


@contextmanager
def running_on(backend: str | None, scheduler: str | None, n_jobs: int | None) -> Iterator[None]:
    """Joblib's workers are of this backend meanwhile; a search whose ``n_jobs`` is None uses all there are.

    ``scheduler`` is the address of a cluster that is there (``tcp://host:8786`` of Dask, ``ray://host:10001``); without
    one, a local cluster lives as long as the block, with ``n_jobs`` processes. Ray gives its results at the end only: there
    is no progress before, and nothing is kept of a search that is killed.
    """
    if backend is None:
        yield
        return
    with ExitStack() as stack:
        if backend == "dask":
            _dask(stack, scheduler, n_jobs)
            stack.enter_context(parallel_config(backend, n_jobs=n_jobs or -1, wait_for_workers_timeout=WORKERS_SECONDS))
        elif backend == "ray":
            _ray(stack, scheduler, n_jobs)
            stack.enter_context(parallel_config(backend, n_jobs=n_jobs or -1))
        else:
            stack.enter_context(parallel_config(backend, n_jobs=n_jobs or -1))
        yield


def _dask(stack: ExitStack, scheduler: str | None, n_jobs: int | None) -> None:
    from distributed import Client, LocalCluster

    if scheduler is None:
        # processes of one thread: BLAS and OpenMP have a core each, as in joblib's own
        cluster = LocalCluster(n_workers=_processes(n_jobs), threads_per_worker=1, dashboard_address=None)
        stack.enter_context(cluster)
        stack.enter_context(Client(cluster))
    else:
        stack.enter_context(Client(scheduler))


def _ray(stack: ExitStack, scheduler: str | None, n_jobs: int | None) -> None:
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    size = {} if scheduler else {"num_cpus": _processes(n_jobs), "include_dashboard": False}
    ray.init(address=scheduler, log_to_driver=False, **size)
    stack.callback(ray.shutdown)


def _processes(n_jobs: int | None) -> int:
    cores = os.cpu_count() or 1
    return cores if n_jobs is None else n_jobs if n_jobs > 0 else max(cores + 1 + n_jobs, 1)
