"""A search on joblib's backends: the same results, also on a Dask cluster over TCP that loses a worker meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import sklearn
from joblib import delayed
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.parallel import Parallel

from orchestrator.errors import TrainError
from orchestrator.search import SharedGridSearchCV, fit_counts, worker_versions
from orchestrator.search import backend as backends
from orchestrator.search.backend import missing_module, use_backend
from orchestrator.spec.field_types import ROOT
from tests.deploy.conftest import unused_port
from tests.nightly import at_night
from tests.search.conftest import same_scores

X, y = make_classification(n_samples=300, random_state=0)
GRID = {"max_depth": list(range(2, 12)), "n_estimators": [10, 30]}
# a cluster's own sockets and threads end a moment after it
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def search(**options: Any) -> SharedGridSearchCV:
    return SharedGridSearchCV(RandomForestClassifier(random_state=0), GRID, cv=4, **options)


@pytest.fixture(scope="module")
def plain() -> Any:
    return GridSearchCV(RandomForestClassifier(random_state=0), GRID, cv=4).fit(X, y)


@pytest.mark.parametrize("backend", ["loky", "threading", at_night("dask"), "ray"])
def test_results_do_not_depend_on_the_backend(backend: str, plain: Any) -> None:
    if missing_module(backend):
        pytest.skip(f"{missing_module(backend)} is not installed")
    reports: list[int] = []
    shared = search(n_jobs=2)
    shared.on_progress = lambda done, *_: reports.append(done)
    with use_backend(backend, None, 2):
        shared.fit(X, y)
        assert any(0 < done < 80 for done in reports)
    assert same_scores(shared, plain)
    assert fit_counts(shared) == (80, 40)  # one forest of 30 trees for both sizes, wherever it grows


class RecordsProcess(DecisionTreeClassifier):  # type: ignore[misc]
    """Fits in parts, as a forest does, and records in which processes."""

    def fit(self, X: Any, y: Any) -> RecordsProcess:
        self.pids_ = set(Parallel()(delayed(os.getpid)() for _ in range(3)))
        super().fit(X, y)
        return self


@pytest.mark.parametrize("backend", ["loky", "threading", at_night("dask")])
def test_the_refit_runs_in_this_process(backend: str) -> None:
    if missing_module(backend):
        pytest.skip(f"{missing_module(backend)} is not installed")
    shared = SharedGridSearchCV(RecordsProcess(random_state=0), {"max_depth": [1, 2]}, n_jobs=2)
    with use_backend(backend, None, 2) as only_refit_remains:
        shared.before_refit = only_refit_remains
        shared.fit(X, y)
    assert shared.best_estimator_.pids_ == {os.getpid()}


def test_no_process_is_started_without_a_backend() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with use_backend(None, None, None):
        pass
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert missing_module("loky") == missing_module(None) == ""


@contextmanager
def cluster(workers: int = 2, folder: Path = ROOT) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and workers as processes that communicate over TCP and import from ``folder`` first."""
    address = f"tcp://127.0.0.1:{(port := unused_port())}"
    environment = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(folder)}}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **environment}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    with ExitStack() as stack:
        started = []
        for one in ([*command, "--no-dashboard"], *([[*worker, "--no-dashboard"]] * workers)):
            process = stack.enter_context(subprocess.Popen(one, **quiet))  # type: ignore[call-overload]
            stack.callback(process.kill)
            started.append(process)
        yield address, started[1:]


def test_an_unreachable_cluster_is_reported() -> None:
    pytest.importorskip("distributed")  # first, since it adds its defaults to the configuration
    soon = pytest.importorskip("dask.config").set({"distributed.comm.timeouts.connect": "1s"})
    with soon, pytest.raises(OSError, match="Timed out"), use_backend("dask", f"tcp://127.0.0.1:{unused_port()}", None):
        pytest.fail("nothing is fitted")


def test_a_cluster_without_workers_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(backends, "FIRST_WORKER_TIMEOUT_SECONDS", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(TimeoutError, match="no worker after 1 s"),
        use_backend("dask", empty.scheduler_address, None),
    ):
        pytest.fail("nothing is fitted")


@pytest.mark.nightly
def test_a_cluster_that_loses_a_worker_gives_the_same_results(plain: Any) -> None:
    distributed = pytest.importorskip("distributed")
    with cluster() as (address, workers):
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=60)
        reports: list[int] = []

        def report(done: int, total: int, note: str) -> None:
            reports.append(done)
            if 0 < done < total and len(workers) == 2:
                workers.pop().kill()
                assert note.startswith("best score")

        shared = search()
        shared.on_progress = report
        with use_backend("dask", address, None):
            shared.fit(X, y)
        assert len(workers) == 1
        assert reports[-1] == 80
        assert same_scores(shared, plain)
        assert workers[0].poll() is None


def _another_scikit_learn(folder: Path) -> str:
    (folder / "sitecustomize.py").write_text("import sklearn\nsklearn.__version__ = '0.1'\n")
    return rf"scikit-learn 0\.1, and this machine has scikit-learn {re.escape(sklearn.__version__)}:"


def _another_checkout(folder: Path) -> str:
    shutil.copytree(ROOT / "orchestrator", folder / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "orchestrator" / "search" / "reuse" / "forests.py").open("a") as source:
        source.write("# edited\n")
    shared = re.escape(worker_versions.local_versions()["orchestrator.search"])
    return rf"orchestrator\.search (?!{shared})source \w+, and this machine has orchestrator\.search {shared}:"


@pytest.mark.nightly
@pytest.mark.parametrize("differing", [_another_scikit_learn, _another_checkout])
def test_a_worker_with_other_versions_is_reported(differing: Callable[[Path], str], tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    expected = f"^search: the worker on {re.escape(socket.gethostname())} has {differing(tmp_path)}"
    with (
        cluster(1, tmp_path) as (address, _),
        use_backend("dask", address, None),
        pytest.raises(TrainError, match=expected),
    ):
        search().fit(X, y)


def test_versions_of_everything_that_decides_results_are_compared() -> None:
    shared = worker_versions.local_versions()
    assert shared.keys() == {"Python", "scikit-learn", "numpy", "scipy", "orchestrator.search"}
    worker_versions.check_versions(shared)
    with pytest.raises(TrainError, match=f"numpy {np.__version__}, and this machine has Python 2.7, numpy 1.0:"):
        worker_versions.check_versions({**shared, "Python": "2.7", "numpy": "1.0"})
