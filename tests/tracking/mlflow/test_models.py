"""Registered models: what a version holds, and what the registry holds after other users changed it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import pandas as pd
import pytest

from orchestrator.artifacts import Package, Report, Verification
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFinished
from orchestrator.tracking.mlflow.tracker import Mlflow
from orchestrator.tracking.registered_model import RegisteredModel
from tests.nightly import at_night
from tests.tracking.kit import REPO, client_of, in_subprocess, report_of, top_runs, whole_run

MakeTracker = Callable[..., Mlflow]


def test_look_up_returns_the_current_registry(
    new_tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    mlflow = new_tracker()
    assert mlflow.look_up("diabetes_model") == RegisteredModel({})
    assert not (mlflow.state_dir / "mlflow.db").exists(), "a look-up creates no store"
    first = whole_run(mlflow, package, verification, reported)
    held = RegisteredModel({"1": package.fingerprint}, "1")
    assert (new_tracker().known_registry("diabetes_model"), new_tracker().look_up("diabetes_model")) == (held, held)
    assert held.holds(first)
    assert not held.holds(replace(first, package=replace(package, fingerprint="another")))

    client_of(mlflow).delete_model_version("diabetes_model", "1")
    assert new_tracker().known_registry("diabetes_model") is None
    assert new_tracker().look_up("diabetes_model") == RegisteredModel({})
    second = whole_run(new_tracker(), package, verification, reported)
    assert second.version == "2"
    assert new_tracker().look_up("diabetes_model") == RegisteredModel({"2": package.fingerprint}, "2")
    client_of(mlflow).rename_registered_model("diabetes_model", "renamed")
    assert new_tracker().look_up("diabetes_model") == RegisteredModel({})


@pytest.mark.parametrize("what", [at_night("deleted"), at_night("renamed"), "another package under its number"])
def test_a_missing_version_is_not_promoted(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, what: str
) -> None:
    mlflow = tracker()
    version = whole_run(mlflow, package, verification, reported)
    client = client_of(mlflow)
    if what == "deleted":
        client.delete_model_version("diabetes_model", "1")
    elif what == "renamed":
        client.rename_registered_model("diabetes_model", "renamed")
    else:
        client.delete_registered_model("diabetes_model")
        other = replace(package, fingerprint="f" * 64)
        assert whole_run(tracker(), other, verification, replace(reported, artifact=report_of(2))).version == "1"
    again = tracker()
    with pytest.raises(
        TrackingError, match=r"tracking: version 1 of 'diabetes_model' is not in the registry, or is ano"
    ):
        again.promote(version)
    again(RunFinished(1.0))


@pytest.mark.nightly
def test_the_tracker_in_a_subprocess_looks_up_alike(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    whole_run(tracker(), package, verification, reported)
    held = RegisteredModel({"1": package.fingerprint}, "1")
    known = in_subprocess(tracker())
    assert known.look_up("diabetes_model") == held
    assert known._child is None, "the snapshot needs no process"
    client_of(tracker()).set_registered_model_tag("diabetes_model", "any", "thing")
    asked = in_subprocess(tracker())
    assert asked.look_up("diabetes_model") == held
    assert asked._child is not None
    asked(RunFinished(1.0))


def test_the_registered_model_predicts_with_pyfunc_and_sklearn_as_the_package_does(
    tracker: MakeTracker,
    package: Package,
    verification: Verification,
    reported: StepFinished,
    frame: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nowhere.invalid")  # only the tracker's own URI counts
    mlflow = tracker()
    version = whole_run(mlflow, package, verification, reported)
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://nowhere.invalid"

    held = client_of(mlflow).get_model_version_by_alias("diabetes_model", "champion")
    assert (str(held.version), held.run_id, held.status) == (version.version, version.run_id, "READY")
    assert held.tags["package_fingerprint"] == package.fingerprint
    # a fresh process: `score` must come from the model's own folder
    code = (
        "import sys, json, mlflow.sklearn, pandas as pd; uri, data = sys.argv[1:]; mlflow.set_tracking_uri(uri)\n"
        "pipeline = mlflow.sklearn.load_model('models:/diabetes_model@champion')\n"  # first: it finds its own code
        "model = mlflow.pyfunc.load_model('models:/diabetes_model@champion')\n"
        "frame = pd.DataFrame(json.loads(data)); import score\n"
        "example = list(model.predict(model.input_example))\n"
        "kinds = {c.name: [repr(c.type), c.required] for c in model.metadata.signature.inputs}\n"
        "probabilities = model.predict(frame, params={'probabilities': True})\n"
        "codes, shares = pipeline.predict(frame).tolist(), pipeline.predict_proba(frame).tolist()\n"
        "labels = [model.metadata.metadata['classes'][code] for code in codes]\n"
        "given = [list(probabilities), probabilities.to_numpy().tolist()]\n"
        "print(json.dumps([list(model.predict(frame)), example, kinds, score.__file__, labels, shares, given]))"
    )
    records = json.dumps(json.loads(frame.to_json(orient="records")))
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "MLFLOW_TRACKING_URI"}}
    done = subprocess.run(
        [sys.executable, "-c", code, mlflow.tracking_uri, records],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=mlflow.state_dir,
    )
    assert done.returncode == 0, done.stderr
    predicted, example, kinds, where, labels, shares, given = json.loads(done.stdout.splitlines()[-1])

    assert predicted == [["no", "yes"][code] for code in joblib.load(package.path / "model.pkl").predict(frame)]
    assert example == predicted[:1]
    assert labels == predicted
    assert given[0] == ["no", "yes"]
    assert given[1] == [pytest.approx(row, abs=1e-12) for row in shares]
    assert kinds == {
        "age": ["long", True],
        "mass": ["double", True],
        "partial": ["Any", True],
        "flag": ["boolean", True],
    }
    assert not where.startswith(str(REPO))
    for file in package.path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            kept = next(mlflow.state_dir.glob("artifacts/models/*/artifacts")) / file.relative_to(package.path)
            assert kept.read_bytes() == file.read_bytes()


def test_the_same_package_is_the_same_version(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    first = whole_run(tracker(), package, verification, reported)
    again = whole_run(tracker(), package, verification, reported)
    assert again == first
    assert len(client_of(tracker()).search_model_versions("name = 'diabetes_model'")) == 1


def test_the_alias_moves_and_comes_back(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    first = whole_run(tracker(), package, verification, reported)
    other = replace(package, fingerprint="f" * 64)
    second = whole_run(tracker(), other, verification, replace(reported, artifact=report_of(2)))
    assert (first.version, second.version) == ("1", "2")
    assert not tracker().is_champion(first)
    back = tracker()
    assert back.known_version(package) == first
    back.promote(first)
    back(RunFinished(1.0))
    assert tracker().is_champion(first)


def test_a_model_that_cannot_be_written_is_no_version(
    tracker: MakeTracker, package: Package, verification: Verification, report: Report, tmp_path: Path
) -> None:
    mlflow = tracker()
    with pytest.raises(TrackingError):
        mlflow.register(replace(package, path=tmp_path / "gone"), verification, report)
    mlflow(RunFinished(1.0, TrackingError("no package")))
    client = client_of(mlflow)
    assert client.search_model_versions("name = 'diabetes_model'") == []
    experiment = client.get_experiment_by_name("diabetes").experiment_id
    assert [model.status for model in client.search_logged_models([experiment])] == ["FAILED"]
    assert [run.info.status for run in top_runs(mlflow)] == ["FAILED"]


def test_long_parameters_of_a_version_are_cut_with_a_mark(
    tracker: MakeTracker, package: Package, verification: Verification, report: Report
) -> None:
    mlflow = tracker()
    params = {"transformers": "x" * 7000, "class_weight": "y" * 6000}
    mlflow.register(package, verification, replace(report, best_params=params, candidates=()))
    mlflow(RunFinished(1.0))
    client = client_of(mlflow)
    (model,) = client.search_logged_models([client.get_experiment_by_name("diabetes").experiment_id])
    assert model.params["class_weight"] == "y" * 6000
    assert len(model.params["transformers"]) == 6000
    assert model.params["transformers"].endswith("(cut; the run's config.yaml has all of it)")
