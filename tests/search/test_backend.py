"""A search on joblib's backends: the same numbers, also on a Dask cluster over TCP that loses a worker on the way."""

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
from orchestrator.search import SharedGridSearchCV, work_of, worker_versions
from orchestrator.search import backend as backends
from orchestrator.search.backend import missing, running_on
from orchestrator.spec.field_types import ROOT
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


@pytest.mark.parametrize("backend", ["loky", "threading", "dask", "ray"])
def test_the_numbers_do_not_depend_on_where_it_runs(backend: str, plain: Any) -> None:
    if missing(backend):
        pytest.skip(f"{missing(backend)} is not installed")
    told: list[int] = []
    ours = search(n_jobs=2)
    ours.on_progress = lambda done, *_: told.append(done)
    with running_on(backend, None, 2):
        ours.fit(X, y)
        assert any(0 < done < 80 for done in told)
    assert same(ours, plain)
    assert work_of(ours) == (80, 40)  # one forest of 30 trees for both sizes, wherever it grows


class WhereItWasFitted(DecisionTreeClassifier):  # type: ignore[misc]
    """Does its fit in parts, as a forest does, and keeps where."""

    def fit(self, X: Any, y: Any) -> WhereItWasFitted:
        self.pids_ = set(Parallel()(delayed(os.getpid)() for _ in range(3)))
        super().fit(X, y)
        return self


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
def test_the_refit_is_done_here(backend: str) -> None:
    if missing(backend):
        pytest.skip(f"{missing(backend)} is not installed")
    ours = SharedGridSearchCV(WhereItWasFitted(random_state=0), {"max_depth": [1, 2]}, n_jobs=2)
    with running_on(backend, None, 2) as only_the_refit_is_left:
        ours.before_refit = only_the_refit_is_left
        ours.fit(X, y)
    assert ours.best_estimator_.pids_ == {os.getpid()}


def test_without_a_backend_nothing_is_started() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with running_on(None, None, None):
        pass
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert missing("loky") == missing(None) == ""


@contextmanager
def cluster(workers: int = 2, folder: Path = ROOT) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers, each a process of its own, that talk over TCP; what they import is looked for in ``folder`` first."""
    address = f"tcp://127.0.0.1:{(port := unused_port())}"
    there = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(folder)}}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **there}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    with ExitStack() as stack:
        started = []
        for one in ([*command, "--no-dashboard"], *([[*worker, "--no-dashboard"]] * workers)):
            process = stack.enter_context(subprocess.Popen(one, **quiet))  # type: ignore[call-overload]
            stack.callback(process.kill)
            started.append(process)
        yield address, started[1:]


def test_a_cluster_that_is_not_there_is_told() -> None:
    soon = pytest.importorskip("dask.config").set({"distributed.comm.timeouts.connect": "1s"})
    with soon, pytest.raises(OSError, match="Timed out"), running_on("dask", f"tcp://127.0.0.1:{unused_port()}", None):
        pytest.fail("nothing is fitted")


def test_a_cluster_without_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(backends, "WORKERS_SECONDS", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(TimeoutError, match="no worker after 1 s"),
        running_on("dask", empty.scheduler_address, None),
    ):
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


def _another_scikit_learn(folder: Path) -> str:
    (folder / "sitecustomize.py").write_text("import sklearn\nsklearn.__version__ = '0.1'\n")
    return rf"scikit-learn 0\.1, and this machine has scikit-learn {re.escape(sklearn.__version__)}:"


def _another_checkout(folder: Path) -> str:
    shutil.copytree(ROOT / "orchestrator", folder / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "orchestrator" / "search" / "reuse" / "forests.py").open("a") as source:
        source.write("# edited\n")
    ours = re.escape(worker_versions.versions()["orchestrator.search"])
    return rf"orchestrator\.search (?!{ours})source \w+, and this machine has orchestrator\.search {ours}:"


@pytest.mark.parametrize("differing", [_another_scikit_learn, _another_checkout])
def test_a_worker_that_is_not_as_this_machine_is_told(differing: Callable[[Path], str], tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    said = f"^search: the worker on {re.escape(socket.gethostname())} has {differing(tmp_path)}"
    with (
        cluster(1, tmp_path) as (address, _),
        running_on("dask", address, None),
        pytest.raises(TrainError, match=said),
    ):
        search().fit(X, y)


def test_the_versions_of_all_that_decides_the_numbers_are_compared() -> None:
    ours = worker_versions.versions()
    assert ours.keys() == {"Python", "scikit-learn", "numpy", "scipy", "orchestrator.search"}
    worker_versions.check(ours)
    with pytest.raises(TrainError, match=f"numpy {np.__version__}, and this machine has Python 2.7, numpy 1.0:"):
        worker_versions.check({**ours, "Python": "2.7", "numpy": "1.0"})
