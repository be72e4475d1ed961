"""Version selection by commands, with a real store, a real service, and several commands at once."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator import compose, execute
from tests.command import ROOT, SECONDS, Desk, Done, desk

pytestmark = [pytest.mark.slow, pytest.mark.nightly]  # tracking/mlflow/test_model_versions.py selects without commands

FAST = (
    "model=logistic_regression",
    "model/param_grid=none",
    "search.cv=2",
    "package.compile=never",
    "gate=none",
    "name=quick",
)
SERVICE = "quick-prediction-service"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("here"), ROOT / "tests" / "outside") as made:
        yield made


@pytest.fixture(scope="module")
def swept(here: Desk) -> Done:
    """Three versions of one sweep, the second of which is the best."""
    return here.run("-m", *FAST, "model.params.C=1e-5,1,1e-3").well()


def run(here: Desk, *overrides: str) -> Done:
    return here.run("name=quick", *overrides)


def about(here: Desk) -> Any:
    with urllib.request.urlopen(f"http://localhost:{here.port}/meta", timeout=10) as response:
        return json.load(response)


def champion(here: Desk) -> str:
    return str(here.mlflow().get_model_version_by_alias("quick_model", "champion").version)


def recorded(here: Desk) -> str:
    return str(json.loads((here.state / "registered" / "quick_model.json").read_text())["version"])


def scored(here: Desk, name: str, *overrides: str) -> tuple[Done, list[float]]:
    """Run a batch, and return it with its probabilities."""
    rows = pd.read_csv(ROOT / "data" / "diabetes.csv").drop(columns="Outcome").head(5)
    rows.to_csv(here.cwd / "rows.csv", index=False)
    output = here.cwd / f"{name}.csv"
    done = run(here, "stages=batch", "batch.input=rows.csv", f"batch.output={output}", *overrides)
    return done, pd.read_csv(output)["probability_1"].tolist() if output.exists() else []


def served(here: Desk) -> list[float]:
    rows = json.loads(pd.read_csv(here.cwd / "rows.csv").to_json(orient="records"))
    body = json.dumps({"data": rows}).encode()
    request = urllib.request.Request(f"http://localhost:{here.port}/score", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return [row[1] for row in json.load(response)["probabilities"]]


def first_line(done: Done) -> str:
    """Return the first stage's line."""
    return done.out.splitlines()[1]


def test_after_a_sweep_the_best_is_deployed(here: Desk, swept: Done) -> None:
    results = [json.loads((swept.folder / str(job) / "result.json").read_text()) for job in range(3)]
    scores = [result["metrics"]["mean_test_roc_auc"] for result in results]
    best = results[scores.index(max(scores))]["model"]["version"]
    assert best != results[-1]["model"]["version"]
    done = run(here, "stages=deploy").well()
    message = f"quick_model version {best}: best roc_auc ({max(scores):.4f}) of 3 versions of the last sweep"
    assert first_line(done).endswith(message)
    assert (about(here)["version"], champion(here), done.result["model"]["version"]) == (best, best, best)
    last = run(here, "stages=deploy", "package.version=last").well()
    assert first_line(last).endswith(f"version {results[-1]['model']['version']}: registered last")
    chosen = run(here, "stages=deploy", f"package.version={best}").well()
    assert first_line(chosen).endswith(f"version {best}: as package.version says")
    assert about(here)["version"] == champion(here) == best


@pytest.mark.usefixtures("swept")
def test_batch_scores_with_the_live_version_and_not_the_last_registered(here: Desk) -> None:
    run(here, "stages=deploy").well()
    newer = here.run(*FAST, "stages=package", "model.params.C=1e-4").well().result["model"]["version"]
    live = about(here)["version"]
    assert newer != live
    done, answers = scored(here, "live")
    assert first_line(done.well()).endswith(f"quick_model version {live}: live for service '{SERVICE}'")
    assert answers == served(here)
    last, others = scored(here, "last", "package.version=last")
    assert first_line(last.well()).endswith(f"version {newer}: registered last")
    assert others != answers
    run(here, "stages=remove").well()
    left, same = scored(here, "champion")
    assert first_line(left.well()).endswith(f"version {live}: the champion; no service '{SERVICE}' is running")
    assert same == answers
    here.mlflow().delete_registered_model_alias("quick_model", "champion")
    refused, _ = scored(here, "refused")
    assert refused.code == 1
    message = (
        f"package failed: package.version: no service '{SERVICE}' is running; 'quick_model' has no champion; choose"
    )
    assert refused.err.startswith(message)
    assert f"package.version=last or a number ({newer}, " in refused.err


@pytest.mark.usefixtures("swept")
def test_a_machine_that_never_trained_rolls_back_and_lists(here: Desk, tmp_path: Path) -> None:
    for number in ("1", "2"):
        execute(
            compose(
                *("name=quick", "stages=deploy", f"package.version={number}"),
                *(f"state_dir={here.state}", f"deploy.port={here.port}"),
            )
        )
    shared = ("name=quick", f"tracking.tracking_uri=sqlite:///{here.state}/mlflow.db")
    with desk(tmp_path) as other:
        done = other.run(*shared, "stages=rollback").well()
        assert "quick_model version 1: the champion before version 2" in done.out
        assert done.result["probe"]["requests"] >= 3
        assert Path(done.result["package"]["path"]).is_relative_to(other.state / "packages")
        assert (about(other)["version"], champion(here)) == ("1", "1")
        listed = {one["version"]: one for one in other.run(*shared, "stages=versions").well().result["versions"]}
        assert (listed["1"]["aliases"], listed["2"]["aliases"]) == (["champion"], ["previous"])
        assert (listed["1"]["live"], listed["2"]["live"]) == (SERVICE, "")
        assert (listed["1"]["data"], listed["1"]["refit"]) == ("diabetes.csv", "roc_auc")
        assert 0.5 < listed["1"]["metrics"]["mean_test_roc_auc"] < 1


@pytest.mark.usefixtures("swept")
def test_a_deleted_version_is_not_deployed(here: Desk) -> None:
    bad = here.run(*FAST, "stages=package", "model.params.C=1e-6").well().result["model"]["version"]
    run(here, "stages=deploy", "package.version=1").well()
    here.mlflow().delete_model_version("quick_model", bad)
    for wanted in (f"package.version={bad}", "package.version=last", "package.version=auto"):
        done = run(here, "stages=deploy", wanted)
        assert done.code == 1
        assert "no longer in the registry: it was deleted, or the model renamed; choose package.version=" in done.err
        assert done.err.count("\n") == 1
        assert (about(here)["version"], champion(here)) == ("1", "1")


@pytest.mark.usefixtures("swept")
def test_a_service_names_only_versions_in_the_registry(here: Desk) -> None:
    first = here.run(*FAST, "model.params.C=10").well().result["model"]["version"]
    assert about(here)["version"] == first
    here.mlflow().delete_model_version("quick_model", first)
    status = run(here, "stages=status").well().out
    assert f"model: quick_model, of a version that is not in the registry any more (it was {first})" in status
    again = here.run(*FAST, "model.params.C=10").well().result["model"]["version"]
    assert again != first
    assert about(here)["version"] == champion(here) == recorded(here) == again
    assert f"model: quick_model {again}\n" in run(here, "stages=status").well().out
    with urllib.request.urlopen(f"http://localhost:{here.port}/v2/models/quick_model", timeout=10) as response:
        assert json.load(response)["versions"] == [again]


@pytest.mark.usefixtures("swept")
def test_a_failed_promotion_is_rolled_back(here: Desk) -> None:
    run(here, "stages=deploy", "package.version=1").well()
    done = here.run(
        *FAST,
        "model.params.C=100",
        "deploy._target_=trouble.Withdrawn",
        f"deploy.store=sqlite:///{here.state}/mlflow.db",
    )
    assert done.code == 1
    message = (
        "is not in the registry, or is another package there (deleted, or the model was renamed?); register it again"
    )
    assert message in done.err
    assert done.err.endswith("; the former service was put back\n")
    assert (about(here)["version"], champion(here)) == ("1", "1")


@pytest.mark.usefixtures("swept")
def test_commands_that_deploy_at_once_agree_on_one_version(here: Desk) -> None:
    jobs = [(*FAST, f"model.params.C={value}") for value in ("1e-5", "1", "1e-3")]
    for round_ in range(3):
        processes = [
            here.start(*job, f"hydra.run.dir={here.home}/at_once/{round_}/{number}") for number, job in enumerate(jobs)
        ]
        ended = [process.communicate(timeout=SECONDS) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], ended
        live = about(here)["version"]
        assert live == champion(here) == recorded(here), ended
        results = [
            json.loads((here.home / "at_once" / str(round_) / str(number) / "result.json").read_text())
            for number in range(3)
        ]
        assert live in {result["model"]["version"] for result in results}


def test_a_port_in_use_is_reported_before_anything_is_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        at = Desk(tmp_path, other.getsockname()[1])
        done = at.run(*FAST)
        assert done.code == 1
        assert done.err.startswith(f"deploy failed: deploy.port: {at.port} is in use by ")
        assert "plan:" not in done.out
        assert not (at.state / "mlflow.db").exists()
        assert at.run(*FAST, "stages=train").well().ran[-1] == "track"  # which needs no port
