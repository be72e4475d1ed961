"""A search on joblib's backends: the same numbers, also on a Dask cluster over TCP that loses a worker on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

from orchestrator.search import SharedGridSearchCV
from orchestrator.search.backend import missing, running_on
from tests.deploy.conftest import unused_port

X, y = make_classification(n_samples=300, random_state=0)
GRID = {"max_depth": list(range(2, 12)), "n_estimators": [10, 30]}
# a cluster's own sockets and threads end a moment after it
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def search(**options: Any) -> SharedGridSearchCV:
    return SharedGridSearchCV(RandomForestClassifier(random_state=0), GRID, cv=4, **options)


@pytest.fixture(scope="module")
def plain() -> Any:
    return GridSearchCV(RandomForestClassifier(random_state=0), GRID, cv=4).fit(X, y)


def same(ours: Any, theirs: Any) -> bool:
    names = [name for name in theirs.cv_results_ if "test" in name]
    return all(np.array_equal(ours.cv_results_[name], theirs.cv_results_[name]) for name in names)


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
def test_the_numbers_do_not_depend_on_where_it_runs(backend: str, plain: Any) -> None:
    if missing(backend):
        pytest.skip(f"{missing(backend)} is not installed")
    with running_on(backend, None, 2):
        ours = search(n_jobs=2).fit(X, y)
    assert same(ours, plain)
    assert ours.work_ == (80, 40)  # one forest of 30 trees for both sizes, wherever it grows


def test_without_a_backend_nothing_is_started() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with running_on(None, None, None):
        pass
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert missing("loky") == missing(None) == ""


@contextmanager
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each a process of its own, that talk over TCP."""
    address = f"tcp://127.0.0.1:{(port := unused_port())}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    with ExitStack() as stack:
        started = []
        for one in ([*command, "--no-dashboard"], [*worker, "--no-dashboard"], [*worker, "--no-dashboard"]):
            process = stack.enter_context(subprocess.Popen(one, **quiet))  # type: ignore[call-overload]
            stack.callback(process.kill)
            started.append(process)
        yield address, started[1:]


def test_a_cluster_that_is_not_there_is_told() -> None:
    soon = pytest.importorskip("dask.config").set({"distributed.comm.timeouts.connect": "1s"})
    with soon, pytest.raises(OSError, match="Timed out"), running_on("dask", f"tcp://127.0.0.1:{unused_port()}", None):
        pytest.fail("nothing is fitted")


def test_a_cluster_that_loses_a_worker_gives_the_same_numbers(plain: Any) -> None:
    distributed = pytest.importorskip("distributed")
    with cluster() as (address, workers):
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=60)
        told: list[int] = []

        def tell(done: int, total: int, note: str) -> None:
            told.append(done)
            if 0 < done < total and len(workers) == 2:
                workers.pop().kill()
                assert note.startswith("best score")

        ours = search()
        ours.on_progress = tell
        with running_on("dask", address, None):
            ours.fit(X, y)
        assert len(workers) == 1
        assert told[-1] == 80
        assert same(ours, plain)
        assert workers[0].poll() is None
