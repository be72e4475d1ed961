"""The stages for a service that is there, with the public fake."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from orchestrator.deploy.fake import Fake
from orchestrator.errors import DeployError
from orchestrator.events import Event, Progress
from orchestrator.products import ModelVersion, Package, Probe
from orchestrator.stages import service
from tests.stages.test_release import Tracking


@pytest.fixture
def target(toy_package: Package) -> Fake:
    target = Fake(auth_enabled=True)
    target.deploy(toy_package, ModelVersion("toy_model", "1", None, toy_package))
    return target


def test_what_is_there_is_told(target: Fake) -> None:
    assert service.status(target).state == "healthy"
    assert service.endpoint(target).package == service.endpoint(target).package
    assert service.logs(target).startswith("Serving package")
    assert service.keys(target).primary == "fake-primary"
    assert "fake-primary" not in repr(service.keys(target))


def test_what_is_removed_is_gone(target: Fake) -> None:
    service.remove(target)
    service.remove(target)  # taking down nothing is fine
    assert service.status(target).state == "absent"
    with pytest.raises(DeployError):
        service.endpoint(target)


def test_a_check_leaves_the_service_as_it_is(target: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "probe_endpoint", lambda endpoint: Probe(5, 1, 2, endpoint.auth))
    assert service.check(service.endpoint(target)).refused_without_key
    assert target.calls == ["deploy"]


@dataclass(frozen=True)
class Shared(Fake):
    """A fake that shares requests: what shifting gives is what it was made with."""

    shifted: list[ModelVersion | None] = field(default_factory=list)

    def shift(self) -> ModelVersion | None:
        self.calls.append("shift")
        return self.shifted[0]


def test_a_version_that_has_all_requests_becomes_the_champion(toy_package: Package) -> None:
    version, tracker = ModelVersion("toy_model", "7", None, toy_package), Tracking()
    notes: list[Event] = []
    progress = Progress(notes.append)
    for shifted, promoted in ((None, []), (ModelVersion("toy_model", "", None, toy_package), []), (version, [version])):
        target = Shared(shifted=[shifted])
        assert service.shift(target, tracker, progress).state == "absent"
        assert target.calls == ["shift"]
        assert tracker.promoted == promoted
    assert len(notes) == 1  # of the one that was deployed without tracking


def test_a_target_of_one_package_has_nothing_to_shift(target: Fake) -> None:
    with pytest.raises(DeployError, match="serves one package at a time; deploy=managed and deploy=aks can share"):
        service.shift(target, Tracking(), Progress())
