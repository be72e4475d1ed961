"""Blue and green on a managed endpoint as it is emulated here, by the real azure-ai-ml."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import azure_emulator
from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.deploy.azure import online_sdk
from orchestrator.deploy.azure.managed import Managed
from orchestrator.deploy.azure.online_endpoint import DEPLOYMENT
from orchestrator.deploy.target import RollbackResult
from orchestrator.errors import DeployError
from orchestrator.spec.azure import AzureSpec
from score.contract import golden
from tests.nightly import at_night

# the SDK's own libraries leave sockets open and warn of deprecations, which this project cannot fix
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
Make = Callable[..., Managed]
MakePackage = Callable[..., Package]
Version = Callable[..., ModelVersion]


class ProgressMixin(list[str]):
    """The notes of a target."""

    def note(self, text: str) -> None:
        self.append(text)


def ask(endpoint: Endpoint, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(endpoint.url, b"{}", {**endpoint.headers, **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read()).get("answer")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, None


@contextmanager
def asking(endpoint: Endpoint) -> Iterator[list[tuple[int, Any]]]:
    """Send requests all the time; yield the answers."""
    answers: list[tuple[int, Any]] = []
    enough = threading.Event()

    def go_on() -> None:
        while not enough.is_set():
            answers.append(ask(endpoint))
            time.sleep(0.02)

    client = threading.Thread(target=go_on)
    client.start()
    try:
        yield answers
    finally:
        enough.set()
        client.join()


@pytest.mark.nightly
def test_no_request_is_refused_while_the_traffic_moves(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    first = make_managed().deploy(version(a))
    with asking(first.endpoint) as answers:
        first.accept()
        target = make_managed()
        notes = ProgressMixin()
        target.report_to(notes)  # type: ignore[arg-type]
        deployment = target.deploy(version(b))
        assert set(make_managed().status().details["waiting"].split(", ")) == {"blue", "Succeeded"}
        deployment.accept()
        assert "waiting" not in make_managed().status().details
        time.sleep(0.1)
    assert {status for status, _ in answers} == {200}
    assert [answer for index, (_, answer) in enumerate(answers) if answer != answers[index - 1][1]][-1:] == ["b"]
    assert "the traffic goes to green" in notes
    assert "deleting deployment blue" in notes
    assert all(note.strip() == note and note.isprintable() for note in notes)


@pytest.mark.nightly
def test_what_answers_wrongly_never_gets_a_request(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a, bad = make_package("a"), make_package("bad")
    golden.write(bad.path, [golden.Golden("one row", "{}", 200, {"answer": "right"})])
    good = make_managed().deploy(version(a))
    with asking(good.endpoint) as answers:
        good.accept()
        with pytest.raises(DeployError, match="before it had traffic") as raised:
            make_managed().deploy(version(bad))
    assert "the former deployment was not touched" in str(raised.value)
    assert set(answers) == {(200, "a")}
    assert make_managed().status().details["live"] == "blue, Succeeded"
    assert "waiting" not in make_managed().status().details


@pytest.mark.nightly
def test_a_failure_after_the_traffic_moved_moves_it_back(
    make_managed: Make, make_package: MakePackage, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make_package("a"), make_package("b")
    deployment = make_managed().deploy(version(a))
    deployment.accept()
    move = online_sdk.set_traffic

    def break_off(*arguments: Any) -> None:
        move(*arguments)
        monkeypatch.undo()
        raise TimeoutError("Azure has not finished in time")

    monkeypatch.setattr(online_sdk, "set_traffic", break_off)
    with pytest.raises(DeployError, match="the former deployment serves again"):
        make_managed().deploy(version(b))
    assert ask(make_managed().endpoint()) == (200, "a")
    assert "waiting" not in make_managed().status().details


@pytest.mark.nightly
def test_a_header_selects_one_deployment(make_managed: Make, make_package: MakePackage, version: Version) -> None:
    a, b = make_package("a"), make_package("b")
    make_managed().deploy(version(a))
    endpoint = make_managed().deploy(version(b)).endpoint
    assert ask(endpoint) == (200, "b")
    assert ask(endpoint, **{DEPLOYMENT: "blue"}) == (200, "a")
    assert ask(endpoint, Authorization="Bearer wrong")[0] == 401


@pytest.mark.nightly
def test_a_deployment_without_traffic_of_a_killed_command_is_replaced(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a, dead, b = make_package("a"), make_package("dead"), make_package("b")
    target = make_managed()
    deployment = target.deploy(version(a))
    deployment.accept()
    settings = {**target._settings(), "tags": {"deployment_number": "1"}}
    online_sdk.serve(lambda _: None, target._client(), "svc", "green", dead, settings, target._new_deployment, 100)
    again = make_managed().deploy(version(b))
    assert ask(again.endpoint) == (200, "b")
    assert again.rollback() is RollbackResult.FORMER
    assert ask(make_managed().endpoint()) == (200, "a")


@pytest.mark.nightly
def test_a_foreign_deployment_is_left_alone(make_managed: Make, make_package: MakePackage, version: Version) -> None:
    a = make_package("a")
    target = make_managed()
    target.deploy(version(a))
    settings = {**target._settings(), "tags": {}}
    online_sdk.serve(lambda _: None, target._client(), "svc", "foreign", a, settings, target._new_deployment, 100)
    with pytest.raises(
        DeployError, match=r"^deploy\.service_name: deployment 'foreign' .* was not made by this project"
    ):
        make_managed(instance_count=2).deploy(version(a))
    for refused in (target.remove, target.rotate_keys, target.keys, target.endpoint):
        with pytest.raises(DeployError, match="was not made by this project"):
            refused()
    online_sdk.delete(target._client(), "svc", "foreign", 100)


@pytest.mark.nightly
def test_remove_keeps_a_foreign_endpoint_and_deletes_its_deployments(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    a, target = make_package("a"), make_managed()
    client = target._client()
    client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="svc", auth_mode="key")).result()
    try:
        with pytest.raises(DeployError, match="was not made by this project"):
            target.remove()
        deployment = target.deploy(version(a))
        assert deployment.rollback() is RollbackResult.REMOVED
        assert client.online_endpoints.get("svc").name == "svc"
        assert list(client.online_deployments.list("svc")) == []
    finally:
        client.online_endpoints.begin_delete("svc").result()


@pytest.mark.nightly
def test_the_endpoints_own_settings_change_with_the_next_deployment(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    make_managed(tags={"team": "blue"}).deploy(version(a))
    target = make_managed(tags={"team": "red"}, description="predicts", public_network_access=False)
    target.deploy(version(a))
    endpoint = target._client().online_endpoints.get("svc")
    assert (endpoint.tags["team"], endpoint.description) == ("red", "predicts")
    assert endpoint.public_network_access.lower() == "disabled"
    assert endpoint.traffic == {"green": 100, "blue": 0}


@pytest.mark.nightly
def test_tokens_open_an_endpoint_that_has_no_keys(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    endpoint = make_managed(auth_mode="aml_token").deploy(version(a)).endpoint
    assert ask(endpoint) == (200, "a")
    assert ask(endpoint, Authorization="Bearer wrong")[0] == 401
    with pytest.raises(DeployError, match=r"deploy\.auth_mode=key"):
        make_managed(auth_mode="aml_token").keys()
    with pytest.raises(DeployError, match=r"^deploy\.auth_mode: .* would be locked out; remove it first"):
        make_managed().deploy(version(a))


def test_rotated_keys_open_and_the_former_primary_still_does(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a = make_package("a")
    endpoint = make_managed().deploy(version(a)).endpoint
    before, after = make_managed().keys(), make_managed().rotate_keys()
    assert (after.secondary, after) == (before.primary, make_managed().keys())
    for key, status in ((after.primary, 200), (before.primary, 200), (before.secondary, 401)):
        assert ask(endpoint, Authorization=f"Bearer {key}")[0] == status


@pytest.mark.nightly
def test_it_serves_without_the_emulator_and_is_found_again(
    make_managed: Make, make_package: MakePackage, version: Version, azure: AzureSpec
) -> None:
    a = make_package("a")
    endpoint = make_managed().deploy(version(a)).endpoint
    assert azure.emulator
    azure_emulator.stop(azure.emulator)
    assert ask(endpoint) == (200, "a")
    for running in (azure.emulator / "endpoints" / "svc", azure.emulator / "endpoints" / "svc" / "blue"):
        azure_emulator.containers.process.stop(running)  # as after a restart of the machine
    azure_emulator.start(azure.emulator, images=azure.images)
    until = time.monotonic() + 30
    while ask_patiently(endpoint) != (200, "a"):
        assert time.monotonic() < until
        time.sleep(0.2)


def ask_patiently(endpoint: Endpoint) -> tuple[int, Any]:
    try:
        return ask(endpoint)
    except OSError:
        return 0, None


@pytest.mark.parametrize("fault", [at_night("throttled_429:2"), at_night("server_5xx:2"), at_night("cut_upload:2")])
def test_the_sdk_retries(
    make_managed: Make, make_package: MakePackage, version: Version, azure: AzureSpec, fault: str
) -> None:
    package = make_package(fault.partition(":")[0].replace("_", "-"))
    emulator = azure_emulator.running(azure.emulator or Path())
    assert emulator
    emulator.faults([fault])
    make_managed().deploy(version(package))
    assert emulator.pending() == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash_loop", "RuntimeError: emulator: the fault crash_loop was asked for"),
        at_night("image_build_failure", "build log, line"),
        at_night("quota", "deploy.instance_type="),
        at_night("time_out", "deploy.timeout_seconds="),
    ],
)
def test_a_failure_is_diagnosed_and_nothing_is_left(
    make_managed: Make, make_package: MakePackage, version: Version, azure: AzureSpec, fault: str, message: str
) -> None:
    a = make_package("a")
    emulator = azure_emulator.running(azure.emulator or Path())
    assert emulator
    emulator.faults([fault])
    target = make_managed()
    with pytest.raises(DeployError) as raised:
        target.deploy(version(a))
    assert message in str(raised.value)
    assert str(raised.value).endswith("nothing of it is left in Azure")
    assert raised.value.code == f"deploy-{raised.value.kind.replace('_', '-')}" != "deploy-unknown"
    assert make_managed().status().state == "absent"
    kept = next(line for line in str(raised.value).splitlines() if "raw texts: " in line).rpartition(": ")[2]
    state = json.loads(Path(kept, "state.json").read_text())
    assert (state["target"], state["settings"]["service_name"]) == ("managed", "svc")
