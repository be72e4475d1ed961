"""Whole sweeps of which the best job is deployed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.command import Desk, desk
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
FAILS = "model.params.C=1,-1,0.5"  # the second is no value of C
JOBS = ("-m", "model=logistic_regression", "model/param_grid=none", FAILS, "sweep.deploy_best=true")
SWEEP = (*JOBS, "hydra.sweeper.max_batch_size=1")  # the failed one is in a batch before the last


def versions(at: Desk) -> list[str]:
    return [str(each.version) for each in at.mlflow().search_model_versions("")]


def test_the_best_job_is_deployed_once_and_a_failed_one_is_skipped(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        done = at.run(*SWEEP, f"deploy.port={at.port}").well()
        with (done.folder / "sweep.csv").open() as file:
            jobs = {row["job"]: row for row in csv.DictReader(file)}
        assert jobs["1"]["verdict"].startswith("failed: ")
        chosen = "2"  # more regularised, and within one standard error
        assert jobs[chosen]["verdict"].startswith(("the best", "the simplest within one standard error"))
        assert f"deploying job {chosen}: " in done.out
        result = json.loads((done.folder / "best" / "result.json").read_text())
        assert result["endpoint"]["url"] == f"http://localhost:{at.port}/score"
        assert result["run_id"] == json.loads((done.folder / chosen / "result.json").read_text())["run_id"]
        assert versions(at) == ["1"]
        assert [stage["cached"] for stage in result["stages"] if stage["name"] == "train"] == [True]
        (parent,) = at.top_runs()
        assert [each.path for each in at.mlflow().list_artifacts(parent.info.run_id)] == ["sweep.csv"]


@pytest.mark.nightly
def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    slow = "model.param_grid={n_estimators:[100,200,300]}"
    sweep = ("-m", "model.params.min_samples_leaf=1,5,9", slow, "sweep.deploy_best=true")
    with desk(tmp_path) as at:
        killed = tmp_path / "killed"
        process = at.start(*sweep, f"hydra.sweep.dir={killed}", f"deploy.port={at.port}")
        wait_for((killed / "0" / "result.json").exists, 120)
        process.kill()
        process.communicate()
        done = at.run(*sweep, f"deploy.port={at.port}").well()
        first = json.loads((done.folder / "0" / "result.json").read_text())
        assert [stage["cached"] for stage in first["stages"] if stage["name"] == "train"] == [True]
        assert versions(at) == ["1"]


@pytest.mark.nightly
def test_a_failed_job_is_skipped_by_optuna_and_a_champion_meets_the_best_job_once(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        port = f"deploy.port={at.port}"
        at.run("model=logistic_regression", "model/param_grid=none", "model.params.C=1e-4").well()
        optuna = (
            "hydra/sweeper=optuna",
            "hydra.sweeper.n_trials=4",
            "hydra.sweeper.n_jobs=2",
            "+hydra.sweeper.sampler.seed=1",
        )
        done = at.run(*JOBS, *optuna, port)
        assert done.code in {0, 3}, done.out + done.err
        with (done.folder / "sweep.csv").open() as file:
            jobs = [*csv.DictReader(file)]
        assert len(jobs) == 4, "a failed one does not end the sweep"
        assert any(job["verdict"].startswith("failed: ") for job in jobs)
        gate = json.loads((done.folder / "best" / "result.json").read_text())["gate"]
        assert gate["looks"] == 2, "the champion's and that of the best job"
        assert "beside the jobs of this sweep" in " ".join(gate["notes"])
        later = at.run("model=logistic_regression", "model/param_grid=none", "model.params.C=0.3")
        assert later.result["gate"]["looks"] == 2 + len({job["overrides"] for job in jobs if job["mean_test"]})
