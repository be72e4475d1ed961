"""End-to-end tests of commands. The first tests share one main job; each takes the service as it finds it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import psutil
import pytest

from orchestrator import pipeline as wiring
from orchestrator.reporting.scores import LOSSES
from tests.command import ROOT, SECONDS, Desk, Done, desk, listing
from tests.nightly import at_night
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

TRAINING = ["build_search", "load", "split", "check", "warn", "train", "evaluate", "report", "inspect"]
STAGES = [*TRAINING, "package", "verify", "register", "gate", "render", "deploy", "probe", "promote"]
KEYS = ["run_id", "model", "best_params", "best", "positive", "threshold", "refit", "fit_on", "failed", "metrics"]
KEYS += [
    "intervals",
    "package",
    "holdout",
    "gate",
    "endpoint",
    "probe",
    "data",
    "findings",
    "report",
    "split",
    "batch",
    "versions",
    "stages",
    "error",
    "error_code",
]
METRICS = ["roc_auc", "precision", "recall", "f1", "accuracy"]
LONG = "model.param_grid.n_estimators=[300,301,302,303,304,305]"  # half a minute and more


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("here"), ROOT / "tests" / "outside") as made:
        yield made


@pytest.fixture(scope="module")
def first(here: Desk) -> Done:
    """The main job, cold."""
    return here.run()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """For runs that fail or are killed."""
    with desk(tmp_path_factory.mktemp("elsewhere")) as made:
        yield made


def post(url: str, body: object, key: str = "") -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def meta(here: Desk) -> Any:
    with urllib.request.urlopen(f"http://localhost:{here.port}/meta", timeout=10) as response:
        return json.load(response)


def rows(count: int = 1) -> pd.DataFrame:
    return pd.read_csv(ROOT / "data" / "diabetes.csv").drop(columns="Outcome").head(count)


def score(url: str) -> Any:
    return post(url, {"data": json.loads(rows(3).to_json(orient="records"))})


# The main job


def test_the_main_job_prints_one_line_a_stage_and_no_control_codes(first: Done) -> None:
    first.well()
    assert first.err == ""
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", first.out)
    assert re.findall(r"^✓ (\w+)", first.out, re.MULTILINE) == STAGES
    lines = [line for line in first.out.split("\n\n")[0].splitlines() if not re.match(r"  (still |\d+ s: )", line)]
    assert len(lines) == 3 + len(STAGES), "the task, the plan, what the rows can show, and the stages"


def test_result_json_has_what_was_promised(here: Desk, first: Done) -> None:
    result = first.result
    assert list(result) == KEYS
    assert result["error"] is None
    assert result["model"] == {"name": "diabetes_model", "version": "1"}
    assert set(result["best_params"]) == {"n_estimators", "max_depth"}
    wanted = {f"{kind}_{name}" for kind in ("mean_test", "std_test", "holdout", "dummy") for name in METRICS}
    wanted |= {f"{kind}_{name}" for kind in ("holdout", "dummy") for name in LOSSES}
    assert set(result["metrics"]) == wanted
    assert result["metrics"]["mean_test_roc_auc"] > 0.78
    assert set(result["package"]) == {"path", "fingerprint"}
    assert Path(result["package"]["path"]).is_relative_to(here.state)
    url = f"http://localhost:{here.port}/score"
    assert result["endpoint"] == {"url": url, "target": "local", "auth": False}
    assert set(result["probe"]) == {"requests", "p50_ms", "p95_ms", "refused_without_key"}
    assert [stage["name"] for stage in result["stages"]] == STAGES
    assert all(set(stage) == {"name", "seconds", "cached"} for stage in result["stages"])
    assert first.shown("result") == str(first.folder / "result.json")
    assert first.shown("scoring URI") == url
    assert f"mlflow ui --backend-store-uri sqlite:///{here.state}/mlflow.db" in first.shown("MLflow UI")


def test_a_table_is_scored_as_the_service_answers(here: Desk, first: Done) -> None:
    rows(3).assign(Age=[50, 31, "old"]).to_csv(here.cwd / "new.csv", index=False)
    done = here.run("stages=batch", "batch.input=new.csv", "batch.output=scored.csv").well()
    output, reasons = here.cwd / "scored.csv", here.cwd / "scored.rejected.csv"
    expected = {"path": str(output), "rows": 2, "refused": 1, "reasons": str(reasons), "out_of_range": {}, "unseen": {}}
    assert done.result["batch"] == expected
    assert f"2 rows in {output}; 1 refused, see {reasons}" in done.out
    _, answer = score(first.shown("scoring URI"))
    scored = pd.read_csv(output)
    assert scored["prediction"].tolist() == answer["predictions"][:2]
    assert scored[["probability_0", "probability_1"]].to_numpy().tolist() == answer["probabilities"][:2]
    again = here.run("stages=batch", "batch.input=new.csv", "batch.output=scored.csv")
    assert "batch.output: " in again.err
    assert "is there already" in again.err


@pytest.mark.nightly
def test_a_killed_batch_goes_on_where_it_was(here: Desk, first: Done) -> None:
    first.well()
    rows(768).assign(BMI=500, Age=[200, *[30] * 767]).to_csv(here.cwd / "rows.csv", index=False)
    command = ["stages=batch", "batch.input=rows.csv", "batch.output=again.csv", "batch.chunk_rows=1"]
    process = here.start(*command, f"hydra.run.dir={here.home}/killed_batch")
    wait_for(lambda: len(list(here.cwd.glob("again.csv.part/*.part"))) > 5)
    process.kill()
    process.communicate()
    assert not (here.cwd / "again.csv").exists()
    there = len(list(here.cwd.glob("again.csv.part/*.part")))
    again = here.run(*command, "batch.chunk_rows=100").well()
    assert f"the first {there} rows are scored; continuing after them" in again.out
    assert "again.csv; values beyond training's range: BMI 768, Age 1\n" in again.out
    assert again.result["batch"]["out_of_range"] == {"BMI": 768, "Age": 1}
    here.run("stages=batch", "batch.input=rows.csv", "batch.output=once.csv").well()
    assert (here.cwd / "again.csv").read_bytes() == (here.cwd / "once.csv").read_bytes()


@pytest.mark.nightly
def test_the_service_reports_the_command_that_makes_its_package_again(here: Desk, first: Done, tmp_path: Path) -> None:
    info = meta(here)
    assert (info["run_id"], info["version"], info["data"]) == (first.result["run_id"], "1", "diabetes.csv")
    assert info["rebuild"] == "python run.py deploy=none"
    here.bash(f"cd {ROOT} && {info['rebuild']} state_dir={tmp_path}/state hydra.run.dir={tmp_path}").well()
    assert json.loads((tmp_path / "result.json").read_text())["package"]["fingerprint"] == info["fingerprint"]


@pytest.mark.nightly
def test_the_time_of_training_stays_through_later_deployments(here: Desk, first: Done) -> None:
    info = meta(here)
    (run,) = here.top_runs()
    assert datetime.fromisoformat(info["trained"]).timestamp() < run.info.end_time / 1000
    done = here.run("deploy.max_queued_requests=100", "search.n_jobs=2").well()
    assert "train" not in done.ran
    assert meta(here) == info | {"rebuild": "python run.py search.n_jobs=2 deploy=none"}
    assert done.result["model"] == first.result["model"]
    here.run("stages=deploy").well()
    assert meta(here)["trained"] == info["trained"]


def test_the_curl_line_works_when_pasted(here: Desk, first: Done) -> None:
    done = here.bash(first.shown("try it")).well()
    reply = json.loads(done.out)
    assert reply["classes"] == [0, 1]
    assert sum(reply["probabilities"][0]) == pytest.approx(1)


def test_the_service_outlives_the_command(here: Desk, first: Done) -> None:
    first.well()
    with urllib.request.urlopen(f"http://localhost:{here.port}/", timeout=10) as response:
        assert response.read() == b"Healthy"


def test_the_articles_client_gets_its_doubly_encoded_answer(first: Done) -> None:
    requests: Any = pytest.importorskip("requests")
    X, url = rows(), first.result["endpoint"]["url"]
    pipeline = joblib.load(Path(first.result["package"]["path"]) / "model.pkl")
    # as the article has it
    test_sample = json.dumps({"input": X.head(1).to_json(orient="records")})
    response = requests.post(url, data=test_sample, headers={"Content-Type": "application/json"}, timeout=10)
    response.close()
    assert response.status_code == 200
    assert re.fullmatch(r'"\{\\"proba\\": \[[0-9.]+\]\}"', response.text)
    (proba,) = json.loads(response.json())["proba"]
    assert proba == pytest.approx(pipeline.predict_proba(X)[0, 1], abs=1e-12)


def test_mlflow_holds_one_finished_run_with_its_candidates_and_the_champion(here: Desk, first: Done) -> None:
    result, client = first.result, here.mlflow()
    (run,) = here.top_runs()
    assert (run.info.run_id, run.info.status) == (result["run_id"], "FINISHED")
    assert client.get_experiment(run.info.experiment_id).name == "diabetes-sklearn"
    children = [other for other in here.runs() if other.data.tags.get("mlflow.parentRunId") == run.info.run_id]
    assert len(children) == 9
    assert {child.info.status for child in children} == {"FINISHED"}
    assert {f"mean_test_{name}" for name in METRICS} <= set(children[0].data.metrics)
    assert {"n_estimators", "max_depth"} <= set(children[0].data.params)
    assert run.data.params["model.estimator"] == "sklearn.ensemble.RandomForestClassifier"
    assert run.data.params["best_max_depth"] == str(result["best_params"]["max_depth"])
    assert {name: run.data.metrics[name] for name in result["metrics"]} == pytest.approx(result["metrics"])
    assert {"data_fingerprint", "mlflow.source.git.commit"} <= set(run.data.tags)
    artifacts = [one.path for one in client.list_artifacts(run.info.run_id)]
    assert "config.yaml" in artifacts
    figures = [Path(one.path) for one in client.list_artifacts(run.info.run_id, "figures")]
    assert len(figures) == 5
    assert {figure.suffix for figure in figures} == {".png"}
    version = client.get_model_version_by_alias("diabetes_model", "champion")
    assert (version.version, version.run_id) == (int(result["model"]["version"]), run.info.run_id)
    assert version.tags["package_fingerprint"] == result["package"]["fingerprint"]


def test_mlflow_loads_the_model_with_its_signature_and_example(here: Desk, first: Done, tmp_path: Path) -> None:
    client = here.mlflow()
    version = client.get_model_version("diabetes_model", first.result["model"]["version"])
    client.download_artifacts(first.result["run_id"], "config.yaml", str(tmp_path))
    assert "n_estimators" in (tmp_path / "config.yaml").read_text()
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    folder = Path(model.artifact_location)
    assert (folder / "model.pkl").read_bytes() == (Path(first.result["package"]["path"]) / "model.pkl").read_bytes()
    described = (folder / "MLmodel").read_text()
    assert "signature" in described
    assert (folder / "input_example.json").is_file()


def test_the_second_run_trains_nothing(here: Desk, first: Done) -> None:
    second = here.run().well()
    assert second.ran == ["warn", "register", "gate", "render", "deploy", "probe", "promote"]
    assert "cached" in second.out
    for name in ("run_id", "model", "best_params", "metrics", "package", "endpoint", "data"):
        assert first.result[name]
        assert second.result[name] == first.result[name]
    assert len(here.top_runs()) == 1


def test_a_dry_run_changes_nothing(here: Desk, first: Done) -> None:
    first.well()
    folders = (here.state, here.cwd, first.folder)
    before = listing(*folders)
    done = here.bash(f"python {ROOT}/run.py state_dir={here.state} deploy.port={here.port} dry_run=true").well()
    assert re.search(r"^train .*→ Trained +\[cached\]$", done.out, re.MULTILINE)
    assert re.search(r"^deploys +local service_name=", done.out, re.MULTILINE)
    changed = here.bash(f"python {ROOT}/run.py state_dir={here.state} dry_run=true model.params.max_features=2").well()
    assert re.search(r"^train .*→ Trained +\[runs: changed: .*\]$", changed.out, re.MULTILINE)
    assert "45 (9 candidates × 5 folds)" in changed.out
    assert listing(*folders) == before
    new = here.home / "not there"
    here.bash(f"python {ROOT}/run.py 'state_dir={new}' dry_run=true").well()
    assert not new.exists()
    assert listing(*folders) == before


@pytest.mark.nightly
def test_a_service_that_answers_differently_is_rolled_back(here: Desk, first: Done) -> None:
    url, package = first.result["endpoint"]["url"], first.result["package"]["path"]
    before = score(url)
    done = here.run(
        "seed=1",
        "gate=none",
        "search.n_jobs=2",
        "model/param_grid=none",
        "deploy._target_=trouble.Mistaken",
        f"deploy.claims={package}",
    )
    assert done.code == 1
    assert re.fullmatch(
        r"probe failed: \S+ answers golden request '.*' differently: .*; the former service was put back.*\n", done.err
    )
    assert score(url) == before
    (latest, *_) = here.mlflow().search_model_versions("name='diabetes_model'")
    assert here.mlflow().get_model_version_by_alias("diabetes_model", "champion").version == 1
    assert latest.version == 2
    assert "differently" in done.result["error"]


# The service


def test_keys_are_needed_and_are_in_no_file_but_their_own(here: Desk, first: Done) -> None:
    done = here.run("deploy.auth_enabled=true").well()
    assert "train" not in done.ran
    assert done.result["endpoint"]["auth"] is True
    assert done.result["probe"]["refused_without_key"] is True
    url, body = done.shown("scoring URI"), {"data": json.loads(rows().to_json(orient="records"))}
    assert post(url, body)[0] == post(url, body, "wrong")[0] == 401
    printed = here.bash(done.shown("keys")).well().out
    keys = [re.search(rf"{name}: (\S+)", printed)[1] for name in ("primary", "secondary")]  # type: ignore[index]
    assert len(set(keys)) == 2
    assert [post(url, body, key)[0] for key in keys] == [200, 200]
    probed = here.run("stages=probe", "deploy.auth_enabled=true").well()
    holders = [
        path
        for path in here.home.rglob("*")
        if path.is_file() and any(key.encode() in path.read_bytes() for key in keys)
    ]
    assert [holder.name for holder in holders] == ["keys.json"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    assert not any(key in text for key in keys for text in (done.out, done.err, probed.out, first.out))
    assert json.loads(here.bash(done.shown("try it")).well().out)["classes"] == [0, 1], "it asks for the key itself"


def test_status_logs_and_probe_report_on_the_service(here: Desk, first: Done) -> None:
    here.run("deploy.auth_enabled=false").well()
    status = here.run("stages=status").well().out
    assert re.search(rf"diabetes-prediction-service is healthy at http://localhost:{here.port}/score", status)
    assert first.result["package"]["fingerprint"][:12] in status
    assert "Serving package" in here.run("stages=logs").well().out
    probed = here.run("stages=probe").well()
    assert probed.result["probe"]["requests"] == first.result["probe"]["requests"]
    keys = here.run("stages=keys")
    assert keys.code == 1
    assert "deploy.auth_enabled" in keys.err


@pytest.mark.nightly
def test_the_stop_line_works_when_pasted_and_twice(here: Desk, first: Done) -> None:
    for _ in range(2):
        here.bash(f"{first.shown('stop it')} hydra.run.dir={here.home}/stop").well()
        with pytest.raises(OSError, match="refused"):
            post(f"http://localhost:{here.port}/score", {})
    assert "absent" in here.run("stages=status").well().out


def test_what_was_registered_is_deployed_again_without_data(here: Desk, first: Done) -> None:
    url = first.result["endpoint"]["url"]
    here.run().well()
    wanted = score(url)
    here.run("stages=remove").well()
    done = here.run("stages=deploy", "data.path=/nowhere/at/all.csv").well()
    assert score(url) == wanted
    assert done.result["model"] == first.result["model"]
    assert done.ran == ["load_version", "deploy", "probe", "promote"]
    here.run("stages=remove").well()


# Runs that end early


@pytest.mark.nightly
def test_a_failing_run_ends_with_one_line_and_its_run_failed(elsewhere: Desk) -> None:
    table = elsewhere.home / "one.csv"
    table.write_text("a,label\n" + "1,no\n" * 40)
    done = elsewhere.run("data=csv", f"data.path={table}", "data.target=label", "preprocess=none", "deploy=none")
    assert done.code == 1
    assert done.err == "data failed: data.target: 'label' holds only ['no']; a classifier needs at least two labels\n"
    (run,) = elsewhere.top_runs()
    assert run.info.status == "FAILED"
    assert "holds only ['no']" in run.data.tags["error"]
    assert "holds only" in done.result["error"]
    assert done.result["run_id"] is None


@pytest.mark.nightly
def test_ctrl_c_ends_a_search_at_once(elsewhere: Desk) -> None:
    kept = listing(elsewhere.state / "cache" / "train")
    process = searching(elsewhere)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert re.fullmatch("interrupted.*\n", err)
    assert listing(elsewhere.state / "cache" / "train") == kept
    assert not statuses(elsewhere, "RUNNING")
    assert "KeyboardInterrupt" in elsewhere.top_runs()[0].data.tags["error"]


@pytest.mark.nightly
def test_a_killed_run_is_failed_and_the_next_one_completes(elsewhere: Desk) -> None:
    process = searching(elsewhere)
    failed = len(statuses(elsewhere, "FAILED"))
    process.kill()
    process.communicate()
    wait_for(lambda: len(statuses(elsewhere, "FAILED")) == failed + 1)

    process = searching(elsewhere)
    for child in psutil.Process(process.pid).children(recursive=True):  # no process is left to record it
        child.kill()
    process.kill()
    process.communicate()
    (open_run,) = statuses(elsewhere, "RUNNING")

    done = elsewhere.run("model=logistic_regression", "model/param_grid=none", "stages=package", "deploy=none").well()
    assert not statuses(elsewhere, "RUNNING")
    assert open_run in statuses(elsewhere, "FAILED")
    assert done.result["run_id"] in statuses(elsewhere, "FINISHED")


@pytest.mark.nightly
def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    grid = ("model.param_grid.n_estimators=[50]", "model.param_grid.max_depth=[2,3,4,5,6,7,8,9]", "stages=train")
    with desk(tmp_path) as at:
        unfinished = at.state / "cache" / ".unfinished" / "train"
        process = at.start(*grid, "deploy=none", "tracking=none", f"hydra.run.dir={at.home}/killed")
        wait_for(lambda: sum(file.stat().st_size for file in unfinished.glob("*/*.fits")) > 1000)
        process.kill()
        process.communicate()
        assert list(unfinished.glob("*/*.fits"))
        resumed = at.run(*grid, "deploy=none", "tracking=none").well()
        assert not list(unfinished.iterdir())
    (tmp_path / "fresh").mkdir()
    with desk(tmp_path / "fresh") as at:
        assert at.run(*grid, "deploy=none", "tracking=none").well().result["metrics"] == resumed.result["metrics"]


def searching(at: Desk) -> subprocess.Popen[str]:
    """Start a run and wait until its long search has begun."""
    known = set(statuses(at, "RUNNING"))
    process = at.start(LONG, "deploy=none", f"hydra.run.dir={at.home}/long")
    assert process.stdout
    assert any(line.startswith("✓ warn") for line in process.stdout)
    wait_for(lambda: set(statuses(at, "RUNNING")) - known)
    return process


def statuses(at: Desk, status: str) -> list[str]:
    """Return the runs of this status, read without mlflow, which is too slow to poll ten times a second."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(at.state / "mlflow.db")) as connection:
        return [run for (run,) in connection.execute("SELECT run_uuid FROM runs WHERE status = ?", [status])]
    return []


# Sweeps


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param((), id="basic", marks=pytest.mark.nightly),
        pytest.param(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), id="joblib", marks=pytest.mark.nightly),
    ],
)
def test_a_sweep_is_nested_under_one_run(tmp_path: Path, launcher: tuple[str, ...]) -> None:
    with desk(tmp_path) as at:
        done = at.run("-m", "model=random_forest,logistic_regression", "model/param_grid=none", *launcher).well()
        results = [json.loads((done.folder / str(job) / "result.json").read_text()) for job in range(2)]
        assert "deploys nothing" in done.out
        (parent,) = at.top_runs()
        jobs = [run for run in at.runs() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert {run.info.run_id for run in jobs} == {result["run_id"] for result in results}
        assert {run.info.status for run in (parent, *jobs)} == {"FINISHED"}
        assert {run.data.params["model.estimator"].rpartition(".")[2] for run in jobs} == {
            "RandomForestClassifier",
            "LogisticRegression",
        }
        assert {result["model"]["version"] for result in results} == {"1", "2"}


@pytest.mark.nightly
def test_optuna_runs_a_sweep_and_its_best_is_one_command_away(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    with desk(tmp_path) as at:
        space = (
            "model=hist_gradient_boosting",
            "model.param_grid.max_iter=range(5,40)",
            "model.param_grid.max_depth=3",
        )
        done = at.run("-m", "search=optuna", "hydra.sweeper.n_trials=2", *space).well()
        results = [json.loads((done.folder / str(job) / "result.json").read_text()) for job in range(2)]
        (parent,) = at.top_runs()
        jobs = [run for run in at.runs() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert {run.info.run_id for run in jobs} == {result["run_id"] for result in results}
        scores = [run.data.metrics["mean_test_roc_auc"] for run in jobs]
        assert f"best roc_auc {max(scores):.4f} of 2 trials" in done.out
        shown = done.shown("deploy the best trial:")
        best = max(jobs, key=lambda run: run.data.metrics["mean_test_roc_auc"]).data.params
        assert f"model.param_grid.max_iter={best['best_max_iter']}" in shown
        after = at.bash(f"{shown} deploy=none hydra.run.dir={tmp_path}/after").well()
        assert re.search(r"train +(cached|not needed)", after.out)
        assert json.loads((tmp_path / "after" / "result.json").read_text())["model"]["version"] == "1"


@pytest.mark.nightly
@pytest.mark.parametrize(
    "grid",
    [
        pytest.param(["model.param_grid={max_depth:[2,7],n_estimators:[5,9],min_samples_leaf:[1,4]}"], id="mapping"),
        pytest.param(
            ["model.param_grid.max_depth=[2,7]", "+model.param_grid.min_samples_leaf=[1,4]"],
            id="lists",
        ),
        pytest.param(
            ["~model.param_grid", "+model.param_grid={max_depth:[2,7],n_estimators:[5,9],min_samples_leaf:[1,4]}"],
            id="another",
        ),
    ],
)
def test_a_trial_measures_one_candidate_of_a_typed_grid(elsewhere: Desk, grid: list[str]) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    done = elsewhere.run("-m", "search=optuna", "hydra.sweeper.n_trials=3", *grid, "seed=11", "tracking=none").well()
    results = [json.loads((done.folder / str(job) / "result.json").read_text()) for job in range(3)]
    assert done.out.count("1 candidate, 5 fits") >= 1
    assert "candidates, 20 fits" not in done.out
    best = max(results, key=lambda result: result["metrics"]["mean_test_roc_auc"])
    assert f"best roc_auc {best['metrics']['mean_test_roc_auc']:.4f} of 3 trials" in done.out
    shown = done.shown("deploy the best trial:")
    assert set(best["best_params"]) == {"max_depth", "n_estimators", "min_samples_leaf"}
    assert all(f"'model.param_grid.{name}=[{value}]'" in shown for name, value in best["best_params"].items())


@pytest.mark.nightly
def test_a_trial_that_fails_leaves_the_sweep_alone(elsewhere: Desk) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    options = ("model=logistic_regression", "model.param_grid.C=[0.1]", "stages=train", "tracking=none", "seed=1")
    grid = "model.param_grid={solver:[lbfgs,newton-cg,liblinear],dual:[true,false]}"
    done = elsewhere.run("-m", "search=optuna", "hydra.sweeper.n_trials=6", *options, grid).well()
    assert "refuses solver=" in done.err
    assert "jobs, best first:" in done.out
    assert re.search(r"^ +\d+ +failed .*dual=\[true\]", done.out, re.MULTILINE)
    none = elsewhere.run(
        "-m", "search=optuna", "hydra.sweeper.n_trials=1", *options, "model.param_grid={solver:[lbfgs],dual:[true]}"
    )
    assert none.code == 1
    assert none.err.endswith("search=optuna: every trial failed, as written above\n")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["search=optuna"], "search: Optuna runs a sweep of jobs: write python run.py -m"),
        at_night(["-m", "search=optuna", "model/param_grid=none"], "there is nothing to choose"),
        at_night(["-m", "search=optuna", "model=random_forest,logistic_regression"], "one model"),
        (["-m", "search=optuna", "search.cv=1"], "search.cv: should be at least 2"),
    ],
)
def test_what_optuna_cannot_do_is_reported(elsewhere: Desk, typed: list[str], message: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    done = elsewhere.run(*typed)
    assert done.code == 1
    assert message in done.err
    assert "plan:" not in done.out


@pytest.mark.nightly
def test_a_job_that_fails_leaves_the_others_alone(elsewhere: Desk) -> None:
    options = ("model=logistic_regression", "model/param_grid=none", "stages=train", "seed=9")
    done = elsewhere.run("-m", *options, "search.cv=400,5")
    assert done.code != 0
    assert "search.cv=400 folds" in done.err
    assert re.search(
        r"jobs, best first:\n.*\n1 +1 +roc_auc .* search.cv=5\n +0 +failed +search.cv=400$", done.out, re.MULTILINE
    )
    failed, well = (json.loads((done.folder / job / "result.json").read_text()) for job in "01")
    assert "400" in failed["error"]
    assert well["error"] is None
    assert well["metrics"]
    latest, *_ = sorted(elsewhere.top_runs(), key=lambda run: -run.info.start_time)
    jobs = [run for run in elsewhere.runs() if run.data.tags.get("mlflow.parentRunId") == latest.info.run_id]
    assert sorted(run.info.status for run in jobs) == ["FAILED", "FINISHED"]
    assert latest.info.status == "FAILED"


# From Python


@pytest.mark.nightly
def test_the_two_lines_of_the_python_api(elsewhere: Desk) -> None:
    lines = [line.strip() for line in str(wiring.__doc__).splitlines() if line.startswith("    ")]
    assert len(lines) == 2
    state = f'"state_dir={elsewhere.state}", "model/param_grid=none"'
    code = "\n".join(lines).replace('"deploy=none"', f'"deploy=none", {state}')
    show = "from orchestrator.artifacts import Trained; print(type(artifacts[Trained].pipeline[-1]).__name__)"
    process = elsewhere.popen(sys.executable, "-c", f"{code}\n{show}")
    out, err = process.communicate(timeout=SECONDS)
    assert (out.strip(), process.returncode) == ("LogisticRegression", 0), err
    assert os.listdir(elsewhere.cwd) == []  # noqa: PTH208
