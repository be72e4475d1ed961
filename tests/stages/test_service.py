"""The stages for a service that is there, with the public fake."""

from __future__ import annotations

import pytest

from orchestrator.deploy.fake import Fake
from orchestrator.errors import DeployError
from orchestrator.products import ModelVersion, Package, Probe
from orchestrator.stages import service
from orchestrator.tracking.none import NoTracking


@pytest.fixture
def target(toy_package: Package) -> Fake:
    target = Fake(auth_enabled=True)
    target.deploy(toy_package, ModelVersion("toy_model", "1", None, toy_package))
    return target


def test_what_is_there_is_told(target: Fake) -> None:
    assert service.status(target, NoTracking()).state == "healthy"
    assert service.endpoint(target).package == service.endpoint(target).package
    assert service.logs(target).startswith("Serving package")
    assert service.keys(target).primary == "fake-primary"
    assert "fake-primary" not in repr(service.keys(target))


def test_what_is_removed_is_gone(target: Fake) -> None:
    service.remove(target)
    service.remove(target)  # taking down nothing is fine
    assert service.status(target, NoTracking()).state == "absent"
    with pytest.raises(DeployError):
        service.endpoint(target)


def test_a_check_leaves_the_service_as_it_is(target: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "probe_endpoint", lambda endpoint: Probe(5, 1, 2, endpoint.auth))
    assert service.check(service.endpoint(target)).refused_without_key
    assert target.calls == ["deploy"]
