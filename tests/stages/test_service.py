"""The stages for an existing service, with the in-memory target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from orchestrator.artifacts import Endpoint, ModelVersion, Package, Probe
from orchestrator.deploy.in_memory import InMemoryTarget
from orchestrator.deploy.rollout import Rollout
from orchestrator.errors import DeployError, PackageError, ProbeError
from orchestrator.events import Event, Progress
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.stages import service
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import RegisteredEntry, RegisteredModel
from orchestrator.tracking.tracker import Tracker
from tests.stages.test_release import Tracking


@pytest.fixture
def target(toy_package: Package) -> InMemoryTarget:
    target = InMemoryTarget(auth_enabled=True)
    target.deploy(ModelVersion("toy_model", "1", None, toy_package))
    return target


def endpoint_of(target: InMemoryTarget, version: str = "auto", tracker: Tracker | None = None) -> Endpoint:
    spec = PackageSpec(model_name="toy_model", version=version)
    return service.endpoint(spec, StateDir(Path("no folder")), tracker or NoTracking(), target)


def test_a_live_service_is_described(target: InMemoryTarget) -> None:
    assert service.status(target, NoTracking()).state == "healthy"
    assert endpoint_of(target).package == endpoint_of(target).package
    assert service.logs(target).startswith("Serving package")
    assert service.keys(target).primary == "fake-primary"
    assert "fake-primary" not in repr(service.keys(target))


def test_removal_is_idempotent(target: InMemoryTarget) -> None:
    service.remove(target)
    service.remove(target)  # nothing is left to remove
    assert service.status(target, NoTracking()).state == "absent"
    with pytest.raises(DeployError):
        endpoint_of(target)


def test_a_probe_does_not_change_the_service(target: InMemoryTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "probe_endpoint", lambda endpoint: Probe(5, 1, 2, endpoint.auth))
    assert service.probe_live(endpoint_of(target)).refused_without_key
    assert target.calls == ["deploy"]


def test_a_probe_refuses_a_service_of_another_version(target: InMemoryTarget, toy_package: Package) -> None:
    entries = {"1": RegisteredEntry(toy_package.fingerprint), "2": RegisteredEntry("2" * 64)}
    tracker = Tracking(held=RegisteredModel.of(entries, {"champion": "1"}))
    assert endpoint_of(target, "champion", tracker).package == toy_package
    tracker = Tracking(held=RegisteredModel.of(entries, {"champion": "2"}))
    with pytest.raises(ProbeError, match=r"serves 'toy_model' version \w+, not 'toy_model' version 2 \(the champion\)"):
        endpoint_of(target, "champion", tracker)


@dataclass(frozen=True)
class Shared(InMemoryTarget):
    """A target that shifts traffic and returns the given version."""

    shifted: list[ModelVersion | None] = field(default_factory=list)

    def shift(self, check: Callable[[ModelVersion], None]) -> ModelVersion | None:
        for version in filter(None, self.shifted):
            check(version)
        self.calls.append("shift")
        return self.shifted[0]


def test_a_version_that_has_all_requests_becomes_the_champion(toy_package: Package, tmp_path: Path) -> None:
    version, tracker = ModelVersion("toy_model", "7", None, toy_package), Tracking()
    notes: list[Event] = []
    progress = Progress(notes.append)
    for shifted, promoted in ((None, []), (ModelVersion("toy_model", "", None, toy_package), []), (version, [version])):
        target = Shared(shifted=[shifted])
        with Rollout(target, tmp_path / "svc.rollout.json") as rollout:
            assert service.shift(target, tracker, rollout, progress).state == "absent"
        assert target.calls == ["shift"]
        assert tracker.promoted == promoted
    assert len(notes) == 1  # of the one that was deployed without tracking


@pytest.mark.parametrize("held", [{}, {"8": "another"}, {"7": "another"}])
def test_a_deleted_version_gets_no_more_requests(toy_package: Package, tmp_path: Path, held: dict[str, str]) -> None:
    target, tracker = (
        Shared(shifted=[ModelVersion("toy_model", "7", None, toy_package)]),
        Tracking(held=RegisteredModel(held)),
    )
    rollout = Rollout(target, tmp_path / "svc.rollout.json")
    with pytest.raises(PackageError, match="version 7 of 'toy_model' is no longer in the registry"), rollout:
        service.shift(target, tracker, rollout, Progress())
    assert (target.calls, tracker.promoted) == ([], [])


def test_other_commands_wait_for_a_shift(toy_package: Package, tmp_path: Path) -> None:
    version, other = ModelVersion("toy_model", "7", None, toy_package), FileLock(tmp_path / "svc.rollout.lock")
    target = Shared(shifted=[version])
    with Rollout(target, tmp_path / "svc.rollout.json") as rollout:
        service.shift(target, Tracking(), rollout, Progress())
        with pytest.raises(Timeout):
            other.acquire(timeout=0)
    other.acquire(timeout=0)
    other.release()


def test_a_target_of_one_package_has_nothing_to_shift(target: InMemoryTarget, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="serves one package at a time; deploy=managed and deploy=aks can share"):
        service.shift(target, Tracking(), Rollout(target, tmp_path / "svc.rollout.json"), Progress())
