"""Where a search's fits run: one of joblib's backends, and the cluster behind it for as long as the search lasts."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from joblib import parallel_config

EXTRAS = {"dask": "distributed", "ray": "ray"}  # what a backend needs besides joblib
WORKERS_SECONDS = 60  # for a cluster to have its first worker


def missing(backend: str | None) -> str:
    """The module that is not installed and this backend needs; empty if it can be used."""
    module = EXTRAS.get(backend or "", "")
    return module if module and importlib.util.find_spec(module) is None else ""


@contextmanager
def running_on(backend: str | None, scheduler: str | None, n_jobs: int | None) -> Iterator[Callable[[], Any]]:
    """Joblib's workers are of this backend meanwhile; a search whose ``n_jobs`` is None uses all there are.

    What it gives is to be called when only the refit is left: one fit is done in threads of this process, and its
    parts (the trees of a forest) are not sent around.

    ``scheduler`` is the address of a cluster that is there (``tcp://host:8786`` of Dask, ``ray://host:10001``); without
    one, a local cluster lives as long as the block, with ``n_jobs`` processes.
    """
    if backend is None:
        yield lambda: None
        return
    with ExitStack() as stack:
        workers = _BACKENDS[backend](stack, scheduler, n_jobs) if backend in _BACKENDS else backend
        stack.enter_context(parallel_config(workers, n_jobs=n_jobs or -1))
        yield lambda: stack.enter_context(parallel_config("threading", n_jobs=n_jobs or -1))


def _dask(stack: ExitStack, scheduler: str | None, n_jobs: int | None) -> Any:
    import distributed
    from joblib._dask import DaskDistributedBackend

    logging.getLogger("distributed").setLevel(logging.ERROR)  # each worker says hello and goodbye otherwise

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        """Joblib's own, also for one worker: the rest may be about to join, and joblib would do its work right here."""

        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(int(super().effective_n_jobs(n_jobs)), 2)

    if scheduler is None:
        # processes of one thread: BLAS and OpenMP have a core each, as in joblib's own
        processes = _processes(n_jobs)
        cluster = distributed.LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None)
        stack.enter_context(cluster)
        stack.enter_context(distributed.Client(cluster))
        return Backend()
    client = stack.enter_context(distributed.Client(scheduler))
    try:  # a cluster that grows with its work starts its first worker for this
        client.submit(os.getpid, pure=False).result(timeout=WORKERS_SECONDS)
    except distributed.TimeoutError:
        raise TimeoutError(f"it has no worker after {WORKERS_SECONDS} s") from None
    return Backend()


def _ray(stack: ExitStack, scheduler: str | None, n_jobs: int | None) -> Any:
    import ray
    from ray.util.joblib.ray_backend import RayBackend

    class Backend(RayBackend):  # type: ignore[misc]
        """Ray's own; its pool gives each result as it is done, which joblib has to be told."""

        supports_return_generator = True

    size = {} if scheduler else {"num_cpus": _processes(n_jobs), "include_dashboard": False}
    ray.init(address=scheduler or "local", log_to_driver=False, logging_level=logging.ERROR, **size)
    stack.callback(ray.shutdown)
    return Backend()


_BACKENDS = {"dask": _dask, "ray": _ray}


def _processes(n_jobs: int | None) -> int:
    cores = os.cpu_count() or 1
    return cores if n_jobs is None else n_jobs if n_jobs > 0 else max(cores + 1 + n_jobs, 1)
