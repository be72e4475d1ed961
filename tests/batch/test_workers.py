"""Scoring by workers: the parts that this process would make, in the table's order, also if a worker is lost."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor

from orchestrator.artifacts import BatchResult, ModelVersion
from orchestrator.batch import workers
from orchestrator.batch.tables import Block
from orchestrator.errors import DataError, PackageError
from orchestrator.events import Event, Progress, StepNote, StepProgress
from orchestrator.search.backend import missing_module
from orchestrator.spec.batch import BatchSpec
from orchestrator.stages.batch import batch
from tests.command import free_port
from tests.nightly import at_night
from tests.stages.conftest import TABULAR, Kit

Run = Callable[..., BatchResult]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Rows of which some are refused, with a text that has quotes, line breaks and separators."""
    rng, n = np.random.default_rng(0), 90
    y = rng.integers(0, 2, n)
    rows = pd.DataFrame({"a": y + rng.normal(0, 0.4, n), "city": rng.choice(["Oslo", "Rome"], n), "y": y})
    rows["note"] = [['5" pipe', "two\nlines", "a,b", "plain"][i // 20 % 4] for i in range(n)]
    return rows


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> ModelVersion:
    kit = Kit(tmp_path_factory.mktemp("workers"))
    package = kit.package(*kit.train(table.drop(columns="note"), kit.search(preprocess=TABULAR)))
    return ModelVersion("toy_model", "1", None, package)


@pytest.fixture
def run(tmp_path: Path, version: ModelVersion, table: pd.DataFrame) -> Run:
    """Scores the table in chunks of seven rows."""
    wrong = table.drop(columns="y")
    wrong.loc[::9, "a"] = np.inf
    wrong.to_csv(tmp_path / "new.csv", index=False)
    wrong.to_parquet(tmp_path / "new.parquet", row_group_size=20)
    text = (tmp_path / "new.csv").read_text()
    (tmp_path / "new.csv").write_text(f"{text}\n\n1,Oslo\n  \n2,Rome,end\n")

    def run(observer: Callable[[Event], None] = lambda _: None, **keys: Any) -> BatchResult:
        paths = {"input": tmp_path / keys.pop("input", "new.csv"), "output": tmp_path / keys.pop("output")}
        return batch(version, BatchSpec(**paths, **{"chunk_rows": 7} | keys), Progress(observer))

    return run


def contents(scored: BatchResult) -> tuple[bytes, bytes]:
    return Path(scored.path).read_bytes(), Path(str(scored.reasons)).read_bytes()


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run joblib's work in two threads instead of processes, through the same code."""
    monkeypatch.setattr("orchestrator.search.backend.use_backend", lambda *_: parallel_config("threading", n_jobs=2))
    monkeypatch.setattr(workers, "BLOCKS_PER_WORKER", 2)


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_output_is_that_of_this_process_to_the_last_byte(run: Run, ending: str) -> None:
    here = run(input=f"new.{ending}", output=f"here.{ending}")
    scored = run(input=f"new.{ending}", output=f"scored.{ending}", backend="loky")
    assert contents(scored) == contents(here)
    assert (scored.rows, scored.refused) == (here.rows, here.refused)
    assert scored.refused == 10 + (ending == "csv")


@pytest.mark.usefixtures("in_threads")
def test_a_killed_run_goes_on_behind_its_parts_with_another_backend(run: Run) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done > 30:
            raise KeyboardInterrupt

    notes: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(kill, output="scored.csv", backend="loky")
    scored = run(lambda event: notes.append(event.text) if isinstance(event, StepNote) else None, output="scored.csv")
    assert len(notes) == 1
    assert "rows are scored; continuing after them" in notes[0]
    assert contents(scored) == contents(run(output="whole.csv"))


@pytest.mark.usefixtures("in_threads")
def test_a_table_that_cannot_be_read_ends_the_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"a,city\n" + b"1,Oslo\n" * 5000 + b"1,K\xf6ln\n")
    with pytest.raises(DataError, match=r"^batch\.encoding: latin\.csv is not written in utf-8"):
        run(input="latin.csv", output="scored.csv", backend="loky", chunk_rows=1000)


@pytest.mark.parametrize("backend", ["loky", at_night("dask"), at_night("ray")])
@pytest.mark.filterwarnings("ignore")  # a cluster's own sockets and threads end a moment after it
def test_the_rows_of_a_lost_worker_are_scored_again(backend: str, run: Run) -> None:
    if missing_module(backend):
        pytest.skip(f"{missing_module(backend)} is not installed")
    notes, killed = list[str](), list[psutil.Process]()
    get_reusable_executor().shutdown(wait=True, kill_workers=True)  # another test's workers would be taken over
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    def kill(event: Event) -> None:
        if isinstance(event, StepNote):
            notes.append(event.text)
        if isinstance(event, StepProgress) and not killed:
            mine = [each for each in psutil.Process().children(recursive=True) if each.pid not in before]
            killed.extend(each for each in mine if is_worker(each))
            os.kill(killed[-1].pid, signal.SIGKILL)

    scored = run(kill, output="scored.csv", backend=backend, n_jobs=2, chunk_rows=1)
    assert killed
    assert contents(scored) == contents(run(output="whole.csv"))
    if backend == "loky":  # Dask has its own way
        assert [note for note in notes if note.startswith("a worker was lost; scoring again from row ")]


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_at_an_address_scores_the_same_and_may_lose_a_worker(run: Run) -> None:
    distributed = pytest.importorskip("distributed")
    lost: list[int] = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:

        def kill(event: Event) -> None:
            if isinstance(event, StepProgress) and not lost:
                lost.append(cluster.workers[0].pid)
                os.kill(lost[0], signal.SIGKILL)

        for ending in ("csv", "parquet"):
            keys = {"input": f"new.{ending}", "backend": "dask", "scheduler": cluster.scheduler_address}
            scored = run(kill, output=f"scored.{ending}", chunk_rows=1, **keys)
            assert contents(scored) == contents(run(input=f"new.{ending}", output=f"whole.{ending}"))
        assert lost[0] not in {worker.pid for worker in cluster.workers.values()}  # the cluster itself lives on


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_at_an_address_scores_the_same_and_may_lose_a_worker(run: Run) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    client, lost = free_port(), list[int]()
    head = {"num_cpus": 2, "include_dashboard": False, "ray_client_server_port": client}
    cluster = Cluster(initialize_head=True, head_node_args=head)

    def kill(event: Event) -> None:
        if isinstance(event, StepProgress) and not lost:
            mine = psutil.Process().children(recursive=True)
            lost.extend([each.pid for each in mine if "ray::PoolActor" in " ".join(each.cmdline())][:1])
            os.kill(lost[0], signal.SIGKILL)

    try:
        for address in (cluster.address, f"ray://127.0.0.1:{client}"):
            for ending in ("csv", "parquet"):
                keys = {"input": f"new.{ending}", "backend": "ray", "scheduler": address}
                scored = run(kill, output=f"scored.{ending}", chunk_rows=1, **keys)
                assert contents(scored) == contents(run(input=f"new.{ending}", output=f"whole.{ending}"))
            assert lost.pop()  # and the cluster itself lives on
    finally:
        cluster.shutdown()


def is_worker(process: psutil.Process) -> bool:
    command = " ".join(process.cmdline())
    return "popen_loky" in command or "multiprocessing.spawn" in command or "ray::" in command


def job(version: ModelVersion, **keys: Any) -> Any:
    spec = BatchSpec(input=Path("new.csv"), output=Path("scored.csv"), backend="loky")
    return workers.Job(version.package.path, "", None, spec, None, **keys)  # type: ignore[arg-type]


def test_workers_that_are_lost_again_and_again_end_the_run(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise BrokenProcessPool

    notes: list[str] = []
    monkeypatch.setattr(workers, "_score_block", die)
    with (
        parallel_config("threading", n_jobs=2),
        pytest.raises(PackageError, match=r"loky lost 3 .* from 70 on; .*n_jobs"),
    ):
        list(workers.score_in_workers(job(version), iter([Block(70, 71, "", 0)]), notes.append))
    assert notes == ["a worker was lost; scoring again from row 70 on"] * 2


def test_a_worker_on_another_machine_says_what_it_lacks(version: ModelVersion, tmp_path: Path) -> None:
    other = workers._score_block(job(version, code="other"), Block(0, 1, "", 0))
    assert "has another version of this project" in str(other)
    workers._load(version.package.path, "", workers.code_digest())
    moved = ModelVersion("", "", None, type(version.package)(tmp_path / "gone", "", ""))
    assert "put state_dir where all machines see it" in str(workers._score_block(job(moved), Block(0, 1, "", 0)))


def test_errors_can_be_sent() -> None:
    for error in (DataError("a", "kind"), PackageError("b")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
