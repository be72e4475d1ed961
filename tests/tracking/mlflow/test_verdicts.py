"""What the gate reads and writes, in a real store."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from orchestrator.artifacts import ModelVersion, Package, Verification
from orchestrator.events import RunFinished, StepFinished
from orchestrator.tracking.mlflow.tracker import Mlflow
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, HOLDOUT_PLACES, SPEC_HASH
from tests.tracking.kit import STARTED, TRAIN, client_of, in_subprocess, report_of

MakeTracker = Callable[..., Mlflow]
TAGS, METRICS = {"gate": "kept", "gate_reason": "no evidence; " + "x" * 9000}, {"gate_p_value": 0.2}


def registered(tracker: Mlflow, package: Package, spec: str, seed: str) -> ModelVersion:
    """Do a run of this spec that was scored on the rows "rows"."""
    made = report_of(1)
    tags = {**made.tags, HOLDOUT_DIGEST: "rows", HOLDOUT_PLACES: f"places of {seed}", SPEC_HASH: spec}
    report = replace(made, tags=tags, params={**made.params, "seed": seed})
    tracker(STARTED)
    tracker(StepFinished(TRAIN, 1.0, report))
    return tracker.register(package, Verification(package.fingerprint, 5, 1), report)


def test_looks_are_counted_once_a_spec_and_a_verdict_is_recorded(tracker: MakeTracker, package: Package) -> None:
    mlflow = tracker()
    version = registered(mlflow, package, "first", "0")
    mlflow(RunFinished(1.0))
    for spec, seed in (("second", "1"), ("second", "2")):
        registered(mlflow, package, spec, seed)
        mlflow(RunFinished(1.0))
    client = client_of(mlflow)
    client.delete_run(version.run_id)
    assert sorted(mlflow.looks("rows")) == ["first", "second"], "a deleted run was a look, too"
    assert mlflow.looks("places of 2") == ["second"]
    assert mlflow.looks("other rows") == []
    job = tracker(sweep_id="a sweep")
    registered(job, package, "third", "3")
    job(RunFinished(1.0))
    assert len(job.looks("rows")) == 3
    assert sorted(job.looks("rows", "a sweep")) == ["first", "second"], "its jobs do not count for its best one"
    assert len(job.looks("rows", "another sweep")) == 3
    client.restore_run(version.run_id)

    mlflow.record_verdict(version, TAGS, METRICS, "challenger")
    mlflow(RunFinished(1.0))
    run = client.get_run(version.run_id)
    assert (run.data.tags["gate"], run.data.metrics["gate_p_value"]) == ("kept", 0.2)
    held = client.get_model_version_by_alias(version.name, "challenger")
    assert (str(held.version), held.tags["gate"]) == (version.version, "kept")
    assert mlflow.look_up(version.name).entries[version.version].gate.startswith("kept: no evidence; xx")
    mlflow(RunFinished(1.0))
    again = in_subprocess(mlflow)
    again.record_verdict(version, TAGS, METRICS, "challenger")
    assert again._child is None, "what is recorded is not written again"
    mlflow.record_verdict(version, {**TAGS, "gate": "passed"}, {"gate_looks": 2.0}, "")
    run = client.get_run(version.run_id)
    assert run.data.tags["gate"] == "passed"
    assert math.isnan(run.data.metrics["gate_p_value"]), "that decision compared nothing"
    mlflow.promote(version)
    assert mlflow.look_up(version.name).aliases == {}, "a champion is no challenger"
    mlflow(RunFinished(1.0))
