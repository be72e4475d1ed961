"""Where a search's fits run: one of joblib's backends, with a Dask or Ray cluster for as long as the search lasts."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from joblib import parallel_config

from orchestrator.errors import one_line

EXTRAS = {"dask": "distributed", "ray": "ray"}  # backend -> the module it needs besides joblib
FIRST_WORKER_TIMEOUT_SECONDS = 60
RAY_AUTH_MODE = "RAY_AUTH_MODE"  # of the environment


def missing_module(backend: str | None) -> str:
    """Return the module that this backend needs and that is not installed; "" if the backend can be used."""
    module = EXTRAS.get(backend or "", "")
    return module if module and importlib.util.find_spec(module) is None else ""


def needs(backend: str | None) -> str:
    """Return what to install for this backend; "" if it can be used."""
    module = missing_module(backend)
    return f"{backend} needs {module}; install it with: pip install -e '.[{backend}]'" if module else ""


@contextmanager
def use_backend(backend: str | None, scheduler: str | None, n_jobs: int | None) -> Iterator[Callable[[], Any]]:
    """Run joblib's work on this backend; a search whose ``n_jobs`` is None uses all of its workers.

    Call the yielded function when only the refit is left: that single fit then runs in threads of this process, and
    its parts (the trees of a forest) are not sent to other machines.

    ``scheduler`` is the address of a running cluster (``tcp://host:8786`` of Dask, ``ray://host:10001``); without
    one, a local cluster of ``n_jobs`` processes lives as long as the block.
    """
    if backend is None:
        yield lambda: None
        return
    with ExitStack() as stack:
        workers = _CLUSTERS[backend](stack, scheduler, n_jobs) if backend in _CLUSTERS else backend
        stack.enter_context(parallel_config(workers, n_jobs=n_jobs or -1))
        yield lambda: stack.enter_context(parallel_config("threading", n_jobs=n_jobs or -1))


def _connect_dask(stack: ExitStack, scheduler: str | None, n_jobs: int | None) -> Any:
    import distributed
    from joblib._dask import DaskDistributedBackend

    logging.getLogger("distributed").setLevel(logging.ERROR)  # else each worker logs its start and its end

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        """Joblib's backend, also with one worker: joblib would then compute here, though more workers may join."""

        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(int(super().effective_n_jobs(n_jobs)), 2)

    if scheduler is None:
        # one thread a process: BLAS and OpenMP get one core each, as in joblib's own backend
        processes = _process_count(n_jobs)
        cluster = distributed.LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None)
        stack.enter_context(cluster)
        stack.enter_context(distributed.Client(cluster))
        return Backend()
    client = stack.enter_context(distributed.Client(scheduler))
    try:  # an adaptive cluster starts its first worker for this task
        client.submit(os.getpid, pure=False).result(timeout=FIRST_WORKER_TIMEOUT_SECONDS)
    except distributed.TimeoutError:
        raise TimeoutError(f"it has no worker after {FIRST_WORKER_TIMEOUT_SECONDS} s") from None
    return Backend()


def _connect_ray(stack: ExitStack, scheduler: str | None, n_jobs: int | None) -> Any:
    import ray
    from ray.util.joblib.ray_backend import RayBackend

    class Backend(RayBackend):  # type: ignore[misc]
        """Ray's backend; its pool returns each result when it is done, which it does not declare to joblib."""

        supports_return_generator = True

    size = {} if scheduler else {"num_cpus": _process_count(n_jobs), "include_dashboard": False}
    try:
        ray.init(address=scheduler or "local", log_to_driver=False, logging_level=logging.ERROR, **size)
    except Exception as error:
        if not scheduler or os.environ.get(RAY_AUTH_MODE) == "token":
            raise
        # Ray does not say that a token is missing; `ray start` asks for one where ~/.ray/auth_token exists
        raise ConnectionError(
            f"{one_line(error)}; a cluster that asks for a token needs {RAY_AUTH_MODE}=token"
        ) from error
    stack.callback(ray.shutdown)
    return Backend()


_CLUSTERS = {"dask": _connect_dask, "ray": _connect_ray}


def _process_count(n_jobs: int | None) -> int:
    cores = os.cpu_count() or 1
    return cores if n_jobs is None else n_jobs if n_jobs > 0 else max(cores + 1 + n_jobs, 1)
