"""What the registry holds of a model now: versions that were deleted, renamed or given anew by other hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.artifacts import Package, Proof, Registry
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFinished
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.tracking.kit import client_of, detached, report_of, whole_run

Make = Callable[..., Mlflow]


def test_the_registry_is_looked_up_as_it_is_now(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished
) -> None:
    mlflow = tracker()
    assert mlflow.look_up("diabetes_model") == Registry({})
    assert not (mlflow.state_dir / "mlflow.db").exists(), "asking makes no store"
    first = whole_run(mlflow, package, proof, reported)
    held = Registry({"1": package.fingerprint}, "1")
    assert (tracker().known_registry("diabetes_model"), tracker().look_up("diabetes_model")) == (held, held)
    assert held.holds(first)
    assert not held.holds(replace(first, package=replace(package, fingerprint="another")))

    client_of(mlflow).delete_model_version("diabetes_model", "1")
    assert tracker().known_registry("diabetes_model") is None
    assert tracker().look_up("diabetes_model") == Registry({})
    second = whole_run(tracker(), package, proof, reported)
    assert second.version == "2"
    assert tracker().look_up("diabetes_model") == Registry({"2": package.fingerprint}, "2")
    client_of(mlflow).rename_registered_model("diabetes_model", "renamed")
    assert tracker().look_up("diabetes_model") == Registry({})


@pytest.mark.parametrize("what", ["deleted", "renamed", "another package under its number"])
def test_a_version_that_is_gone_is_not_promoted(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished, what: str
) -> None:
    mlflow = tracker()
    version = whole_run(mlflow, package, proof, reported)
    client = client_of(mlflow)
    if what == "deleted":
        client.delete_model_version("diabetes_model", "1")
    elif what == "renamed":
        client.rename_registered_model("diabetes_model", "renamed")
    else:
        client.delete_registered_model("diabetes_model")
        other = replace(package, fingerprint="f" * 64)
        assert whole_run(tracker(), other, proof, replace(reported, product=report_of(2))).version == "1"
    again = tracker()
    with pytest.raises(
        TrackingError, match=r"tracking: version 1 of 'diabetes_model' is not in the registry, or is ano"
    ):
        again.promote(version)
    again(RunFinished(1.0))


def test_the_detached_tracker_looks_up_alike(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished
) -> None:
    whole_run(tracker(), package, proof, reported)
    held = Registry({"1": package.fingerprint}, "1")
    known = detached(tracker())
    assert known.look_up("diabetes_model") == held
    assert known._child is None, "what is certain needs no process"
    client_of(tracker()).set_registered_model_tag("diabetes_model", "any", "thing")
    asked = detached(tracker())
    assert asked.look_up("diabetes_model") == held
    assert asked._child is not None
    asked(RunFinished(1.0))
