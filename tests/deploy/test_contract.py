"""The contract of all targets, run in memory, locally, in containers and on the Azure emulator.

The policy of a rollback is pure and has its own table (tests/deploy/test_rollback.py). So in containers and on the
emulator only the test marked ``everywhere`` is part of the normal run: it shows that a target stores the policy's state
and follows it. The others run there at night.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.deploy.in_memory import InMemoryTarget, Service
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import RollbackResult, Target
from orchestrator.errors import DeployError
from tests.deploy.conftest import AT_NIGHT, ELSEWHERE

Make = Callable[..., Target]
MakePackage = Callable[..., Package]
Version = Callable[..., ModelVersion]


everywhere = pytest.mark.parametrize("make", ["fake", "local", *ELSEWHERE], indirect=True)


@pytest.fixture(params=["fake", "local", *AT_NIGHT])
def make(request: pytest.FixtureRequest) -> Make:
    """A fresh target object onto the same world each time, as each command makes its own."""
    services: dict[str, Service] = {}
    if request.param == "fake":
        return lambda **options: InMemoryTarget(services=services, **options)
    made: Make = request.getfixturevalue(f"make_{request.param}")
    return made


@pytest.fixture
def open_to_all(make: Make, request: pytest.FixtureRequest) -> Make:
    """The same, of targets that can serve without a key."""
    if {"managed", "aks"} & set(request.node.callspec.params.values()):
        pytest.skip("an online endpoint always asks for a key")
    return make


def test_deploy_serves_the_package(make: Make, make_package: MakePackage, version: Version) -> None:
    package = make_package("a")
    endpoint = make().deploy(version(package)).endpoint
    assert endpoint == make().endpoint()
    assert endpoint.package == package
    assert make().status().state == "healthy"
    assert make().status().url == endpoint.url


def test_unless_asked_for_it_needs_no_key(open_to_all: Make, make_package: MakePackage, version: Version) -> None:
    package = make_package("a")
    endpoint = open_to_all().deploy(version(package)).endpoint
    assert not endpoint.auth
    assert not endpoint.headers


def test_the_same_package_again_changes_nothing(make: Make, make_package: MakePackage, version: Version) -> None:
    package = make_package("a")
    first = make().deploy(version(package))
    first.accept()
    status = make().status()
    again = make().deploy(version(package))
    assert again.endpoint == first.endpoint
    assert make().status() == status
    assert again.rollback() is RollbackResult.NOTHING
    assert make().status() == status


def test_the_same_package_under_another_version_gets_its_label(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    deployment = make().deploy(version(a, "1"))
    deployment.accept()
    if not make().status().version:
        pytest.skip("the status of this target names no version")
    deployment = make().deploy(version(a, "2"))
    deployment.accept()
    assert (make().status().version, make().endpoint().package) == ("2", a)
    make().deploy(version(a, ""))  # without tracking no other is known
    assert make().status().version == "2"


def test_what_was_accepted_stays(make: Make, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    deployment = make().deploy(version(a))
    deployment.accept()
    assert deployment.rollback() is RollbackResult.NOTHING
    assert make().endpoint().package == a


# A command that is killed between its deployment and its test: another object carries on


def accepted(target: Target, package: Package, version: Version) -> None:
    target.deploy(version(package)).accept()


def test_what_a_killed_command_left_untested_is_rolled_back_by_the_next(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a, bad = make_package("a"), make_package("bad")
    accepted(make(), a, version)
    make().deploy(version(bad))
    deployment = make().deploy(version(bad))
    assert deployment.rollback() is RollbackResult.FORMER
    assert make().endpoint().package == a
    again = make().deploy(version(a))
    assert again.rollback() is RollbackResult.NOTHING  # it was accepted before it was put back
    assert make().endpoint().package == a


def test_an_untested_first_deployment_is_taken_down_by_the_next(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    bad = make_package("bad")
    make().deploy(version(bad))
    deployment = make().deploy(version(bad))
    assert deployment.rollback() is RollbackResult.REMOVED
    assert make().status().state == "absent"


def test_an_untested_service_that_is_tested_later_stays(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    accepted(make(), a, version)
    make().deploy(version(b))
    accepted(make(), b, version)
    deployment = make().deploy(version(b))
    assert deployment.rollback() is RollbackResult.NOTHING
    assert make().endpoint().package == b


def test_what_another_command_has_accepted_is_not_rolled_back(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    mine = make().deploy(version(a))
    accepted(make(), a, version)
    assert mine.rollback() is RollbackResult.NOTHING
    assert make().endpoint().package == a


def test_rollback_passes_over_what_was_never_tested(make: Make, make_package: MakePackage, version: Version) -> None:
    a, bad, worse, worst = (make_package(name) for name in ("a", "bad", "worse", "worst"))
    accepted(make(), a, version)
    make().deploy(version(bad))
    make().deploy(version(worse))
    deployment = make().deploy(version(worst))
    assert deployment.rollback() is RollbackResult.FORMER
    assert make().endpoint().package == a


def test_where_none_was_tested_the_one_before_comes_back(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a, b, bad = (make_package(name) for name in ("a", "b", "bad"))
    make().deploy(version(a))
    make().deploy(version(b))
    deployment = make().deploy(version(bad))
    assert deployment.rollback() is RollbackResult.FORMER
    assert make().endpoint().package == b
    again = make().deploy(version(b))
    assert again.rollback() is RollbackResult.REMOVED  # and never back to what has failed


def test_another_package_takes_its_place(make: Make, make_package: MakePackage, version: Version) -> None:
    a, b = make_package("a"), make_package("b")
    make().deploy(version(a))
    make().deploy(version(b))
    assert make().endpoint().package == b
    assert make().status().details["fingerprint"] == "b"


@everywhere
def test_rollback_brings_the_former_package_back(make: Make, make_package: MakePackage, version: Version) -> None:
    a, b = make_package("a"), make_package("b")
    make().deploy(version(a))
    deployment = make().deploy(version(b))
    assert deployment.rollback() is RollbackResult.FORMER
    assert make().endpoint().package == a
    assert make().status().state == "healthy"
    assert deployment.rollback() is RollbackResult.NOTHING
    assert make().endpoint().package == a


def test_rollback_of_the_first_deployment_leaves_nothing(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    deployment = make().deploy(version(a))
    assert deployment.rollback() is RollbackResult.REMOVED
    assert make().status().state == "absent"


def test_remove_twice(make: Make, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    make().remove()
    make().deploy(version(a))
    make().remove()
    make().remove()
    assert make().status().state == "absent"
    with pytest.raises(DeployError, match="deploy it first"):
        make().endpoint()


def test_nothing_there(make: Make) -> None:
    assert make().status().state == "absent"
    for method in (make().endpoint, make().logs, make().keys):
        with pytest.raises(DeployError, match="deploy it first"):
            method()


def test_logs_name_the_package(make: Make, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    make().deploy(version(a))
    logs = make().logs()
    assert "Serving package a" in logs
    if not isinstance(make(), InMemoryTarget):
        assert "the model of a is loaded" in logs  # what the service itself has written


def test_keys_open_the_endpoint_and_are_not_shown(make: Make, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    endpoint = make(auth_enabled=True).deploy(version(a)).endpoint
    keys = make().keys()
    assert endpoint.auth
    assert endpoint.headers == {"Authorization": f"Bearer {keys.primary}"} == make().endpoint().headers
    assert keys.primary != keys.secondary
    shown = f"{endpoint} {keys} {make().status()} {make().logs()}"
    assert keys.primary not in shown
    assert keys.secondary not in shown


def test_keys_without_auth_raise_with_the_remedy(
    open_to_all: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    open_to_all().deploy(version(a))
    with pytest.raises(DeployError, match=r"deploy\.auth_enabled=true"):
        open_to_all().keys()


def test_without_an_option_a_service_keeps_its_keys(
    open_to_all: Make, make_package: MakePackage, version: Version, tmp_path: Path
) -> None:
    a, b = make_package("a"), make_package("b")
    notes: list[str] = []

    def released(package: Package, *, auth_enabled: bool | None) -> Endpoint:
        with Rollout(open_to_all(auth_enabled=auth_enabled), tmp_path / "svc.rollout.json") as rollout:
            rollout.begin(version(package), notes.append)
            endpoint = rollout.deploy(version(package))
            rollout.commit()
        return endpoint

    first = released(a, auth_enabled=True)
    assert open_to_all().status().auth
    second = released(b, auth_enabled=None)
    assert second.auth
    assert second.headers == first.headers
    assert not released(b, auth_enabled=False).auth
    assert open_to_all().status().auth is False
    assert not released(a, auth_enabled=None).auth


def test_auth_turned_on_redeploys(open_to_all: Make, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    open_to_all().deploy(version(a))
    assert open_to_all(auth_enabled=True).deploy(version(a)).endpoint.auth
    assert not open_to_all(auth_enabled=False).deploy(version(a)).endpoint.auth
