"""``sweep.deploy_best=true`` in this process; the whole command is in ``tests/test_sweeps.py``."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig

from orchestrator import compose
from orchestrator.bundled import CONF
from orchestrator.cli import best_job
from orchestrator.cli.sweep_jobs import SweepJob
from orchestrator.config.compose import isolated_hydra
from orchestrator.config.overrides import HYDRA
from orchestrator.config.search_path import register_project
from orchestrator.errors import OrchestratorError


def sweep(*typed: str) -> DictConfig:
    """The configuration that Hydra gives to callbacks before the first job."""
    fixed = [each for each in typed if "," not in each]
    with isolated_hydra(), initialize_config_dir(str(CONF), version_base=HYDRA):
        register_project()
        config = hydra_compose("config", fixed, return_hydra_config=True)
    config.hydra.overrides.task = list(typed)
    config.hydra.job.config_name = "config"
    config.hydra.runtime.config_sources = []
    return config


@pytest.fixture(autouse=True)
def _nothing_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best_job, "undeployed", [False])


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (["seed=1,2"], "the jobs differ in seed, so their scores are of other rows"),
        (["evaluate.threshold=0.3,max_f1"], "the jobs differ in evaluate.threshold, so their scores"),
        (["data.test_size=0.1,0.2"], "differ in data.test_size"),
        (["data=pima,csv"], "differ in data, "),
        (["search.cv=3,5"], "differ in search.cv"),
        (["model=linear,random_forest", "deploy=none"], "deploy=none deploys nothing"),
        (["model=linear,random_forest", "stages=train"], "no stage of this run deploys"),
    ],
)
def test_what_has_no_best_job_is_refused_before_any_job(typed: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as refused:
        best_job.prepare(sweep("sweep.deploy_best=true", *typed))
    assert text in str(refused.value.code)


def test_the_deployment_is_validated_before_any_job(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        best_job.prepare(sweep("sweep.deploy_best=true", "model=linear,random_forest", "++deploy.prt=1"))
    assert "deploy.prt: Local has no such option; did you mean 'port'?" in capsys.readouterr().err


def test_only_a_sweep_that_asks_for_it_deploys() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        typed = ["model=linear,random_forest", "sweep.choose=best", f"deploy.port={port}"]
        assert not best_job.prepare(sweep(*typed)).rule
        with pytest.raises(SystemExit, match=f"deploy.port: {port} is in use by"):
            best_job.prepare(sweep(*typed, "sweep.deploy_best=true"))
    assert best_job.prepare(sweep(*typed, "sweep.deploy_best=true")).rule == "best"


def test_jobs_only_train_and_keep_stages_that_were_replaced() -> None:
    values = compose("sweep.deploy_best=true", "stages.load=acme.load", "deploy.port=1234").values
    stages = best_job.only_training(values)["stages"]
    assert "package" not in stages
    assert "deploy" not in stages
    assert stages["load"] == "acme.load"
    assert best_job.only_training(compose().values)["stages"] == compose().values["stages"]


@pytest.mark.parametrize("other", [{"rows": "x"}, {"metric": "f1"}, {"folds": 3}])
def test_jobs_of_other_rows_metrics_or_folds_are_not_compared(other: dict[str, Any]) -> None:
    same: dict[str, Any] = {"metric": "roc_auc", "mean": 0.5, "std": 0.1, "folds": 5, "rows": "y"}
    jobs = [SweepJob("0", [], **same), SweepJob("1", [], **{**same, **other})]
    with pytest.raises(OrchestratorError, match="nothing is deployed"):
        best_job.choose_job(jobs, "best")
    failed = SweepJob("1", [], **{**same, **other}, error="burnt")
    assert best_job.choose_job([jobs[0], failed], "best") is jobs[0]
