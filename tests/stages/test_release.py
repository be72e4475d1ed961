"""Register, deploy, test, promote; load what was registered. With the public fake target and a small real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts import (
    Endpoint,
    ModelVersion,
    Package,
    PackageProvenance,
    Probe,
    Report,
    Verification,
)
from orchestrator.deploy.image_builder import ImageBuilder, ImageCheck
from orchestrator.deploy.in_memory import InMemoryTarget, Service
from orchestrator.deploy.none import NoTarget
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import Deployment, RollbackResult, Target
from orchestrator.errors import DeployError, PackageError, ProbeError, TrackingError
from orchestrator.events import Progress
from orchestrator.gate.verdict import Verdict
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.resolving.libraries import Libraries
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.stages.release import deploy, load_version, probe, promote, register
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import RegisteredModel
from score.contract import golden

REPORT = Report({}, {}, {}, {}, (), {}, "", "2026-11-22T18:00:00+00:00")
PROVENANCE = RunProvenance(Path(), "", PackageProvenance("toy.csv", spec_hash="abc", rebuild="python run.py data=toy"))

NO_IMAGE = ImageCheck(NoTarget())


@dataclass(frozen=True)
class Tracking(NoTracking):
    """Registers version ``number`` and records promotions; ``held`` is the registry, ``down`` the error of promoting."""

    promoted: list[ModelVersion] = field(default_factory=list)
    name: str = "here"
    number: str = "7"
    held: RegisteredModel | None = None
    down: str = ""

    @property
    def registry_name(self) -> str:
        return self.name

    def register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:  # noqa: ARG002
        return ModelVersion(package.model_name, self.number, "run-1", package)

    def look_up(self, model: str) -> RegisteredModel | None:  # type: ignore[override]  # noqa: ARG002 -- NoTracking gives none
        return self.held

    def promote(self, version: ModelVersion) -> None:
        if self.down:
            raise TrackingError(self.down)
        self.promoted.append(version)


PASSED = Probe(5, 1, 2, None)


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


@pytest.fixture
def registered(toy_package: Package, state_dir: StateDir) -> ModelVersion:
    return register(
        toy_package, Verification(toy_package.fingerprint, 5, 1), REPORT, Tracking(), state_dir, PROVENANCE, NO_IMAGE
    )


@pytest.fixture
def rollout_of(tmp_path: Path) -> Callable[[Target], Rollout]:
    return lambda target: Rollout(target, tmp_path / "services" / "toy.rollout.json")


RolloutOf = Callable[[Target], Rollout]
SPEC = PackageSpec(model_name="toy_model")


def put(version: ModelVersion, rollout: Rollout, tracker: Tracking | None = None) -> Endpoint:
    return deploy(version, rollout, tracker or Tracking(), Progress())


def tried(version: ModelVersion, rollout: Rollout, endpoint: Endpoint) -> None:
    """Deploy and probe, as a run does."""
    with rollout:
        put(version, rollout)
        probe(endpoint, rollout)


def released(version: ModelVersion, rollout: Rollout, state_dir: StateDir, tracker: Tracking | None = None) -> None:
    """Deploy and promote, as a run does."""
    with rollout:
        put(version, rollout)
        promote(version, PASSED, rollout, tracker or Tracking(), state_dir)


def test_a_registered_version_is_loaded(registered: ModelVersion, state_dir: StateDir) -> None:
    found = load_version(SPEC, state_dir, Tracking(), InMemoryTarget())
    assert found == registered
    assert (found.version, found.run_id) == ("7", "run-1")
    assert found.origin == replace(PROVENANCE.origin, trained=REPORT.trained_at)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (None, ""),
        (Verdict("passed", ["it is better"]), "passed: it is better"),
        (Verdict("unchanged", ["the champion"], recorded="passed: it was better"), "passed: it was better"),
    ],
)
def test_a_service_is_given_why_the_gate_let_it_pass(
    registered: ModelVersion, rollout_of: RolloutOf, verdict: Verdict | None, said: str
) -> None:
    deployed: list[ModelVersion] = []

    class Listening(InMemoryTarget):
        def deploy(self, version: ModelVersion) -> Deployment:
            deployed.append(version)
            return super().deploy(version)

    with rollout_of(Listening()) as rollout:
        deploy(registered, rollout, Tracking(), Progress(), verdict)
        rollout.passed()
    assert deployed[0].origin == replace(registered.origin, gate=said)


def test_another_registry_is_refused_before_anything_is_deployed(registered: ModelVersion, state_dir: StateDir) -> None:
    message = r"'toy_model' was registered in here, and this run's tracking is there; say `tracking=` as it was then"
    with pytest.raises(PackageError, match=message):
        load_version(SPEC, state_dir, Tracking(name="there"), InMemoryTarget())
    assert load_version(SPEC, state_dir, NoTracking(), InMemoryTarget()) == registered


def test_a_proof_of_another_package_registers_nothing(toy_package: Package, state_dir: StateDir) -> None:
    with pytest.raises(PackageError, match="the verification in the cache is of another package"):
        register(toy_package, Verification("another", 5, 1), REPORT, Tracking(), state_dir, PROVENANCE, NO_IMAGE)
    assert not state_dir.exists()


class Imaging(ImageBuilder, NoTarget):
    """Builds an image of two requirements of the same distribution."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def libraries(self, package: Package) -> Libraries:  # noqa: ARG002 -- the same for every package
        return Libraries(["numpy==2.4.6", "numpy<2"], "3.11.7")


def test_libraries_that_cannot_be_installed_are_found_before_anything_is_registered_or_deployed(
    toy_package: Package, state_dir: StateDir, registered: ModelVersion, rollout_of: RolloutOf
) -> None:
    target = Imaging(state_dir / "elsewhere")
    before = sorted(state_dir.rglob("*.json"))
    verification = Verification(toy_package.fingerprint, 5, 1)
    message = "numpy==2.4.6 and numpy<2 exclude each other"
    with pytest.raises(DeployError, match=message):
        register(toy_package, verification, REPORT, Tracking(name="there"), state_dir, PROVENANCE, ImageCheck(target))
    with pytest.raises(DeployError, match=message):
        put(registered, rollout_of(target))
    assert sorted(state_dir.rglob("*.json")) == before
    assert load_version(SPEC, state_dir, Tracking(), InMemoryTarget()) == registered


def test_without_a_registration_there_is_nothing_to_load(registered: ModelVersion, state_dir: StateDir) -> None:
    for spec, where in ((PackageSpec(model_name="other"), state_dir), (SPEC, StateDir(state_dir / "elsewhere"))):
        with pytest.raises(PackageError, match=r"no package of '\w+' was registered on this machine; make one with"):
            load_version(spec, where, Tracking(), InMemoryTarget())
    (state_dir / "registered" / "toy_model.json").write_text("{")
    with pytest.raises(PackageError, match="was registered on this machine; make one with stages=package"):
        load_version(SPEC, state_dir, Tracking(), InMemoryTarget())
    assert registered.package.is_intact()


def test_a_package_that_was_changed_since_is_not_loaded(
    toy_package: Package, copy_of: Callable[[Package], Package], state_dir: StateDir
) -> None:
    package = copy_of(toy_package)
    register(package, Verification(package.fingerprint, 5, 1), REPORT, Tracking(), state_dir, PROVENANCE, NO_IMAGE)
    (package.path / "model.pkl").write_bytes(b"another")
    with pytest.raises(
        PackageError, match=r"copy is not what was registered as 'toy_model'; make it again with stages"
    ):
        load_version(SPEC, state_dir, Tracking(), InMemoryTarget())


def test_deploy_and_promote_reach_the_target_and_the_tracker(
    registered: ModelVersion, state_dir: StateDir, rollout_of: RolloutOf
) -> None:
    target, tracker = InMemoryTarget(), Tracking()
    with rollout_of(target) as rollout:
        endpoint = put(registered, rollout, tracker)
        assert endpoint.package == registered.package
        assert target.calls == ["deploy"]
        promote(registered, PASSED, rollout, tracker, state_dir)
    assert tracker.promoted == [registered]
    assert target.calls == ["deploy", "accept"]


@pytest.mark.parametrize("share", [0, 20, 99])
def test_a_version_that_answers_a_share_of_the_requests_is_no_champion(
    registered: ModelVersion, state_dir: StateDir, rollout_of: RolloutOf, share: int
) -> None:
    target, tracker = InMemoryTarget(), Tracking()
    with rollout_of(target) as rollout:
        put(registered, rollout, tracker)
        promote(registered, replace(PASSED, share=share), rollout, tracker, state_dir)
    assert tracker.promoted == []
    assert target.calls == ["deploy", "accept"]


def test_a_version_missing_from_the_registry_is_not_deployed(registered: ModelVersion, rollout_of: RolloutOf) -> None:
    for held in ({}, {"8": registered.package.fingerprint}, {"7": "another package"}):
        target = InMemoryTarget()
        message = r"version 7 of 'toy_model' is no longer in the registry .*; nothing was changed"
        with pytest.raises(PackageError, match=message), rollout_of(target) as rollout:
            put(registered, rollout, Tracking(held=RegisteredModel(held)))
        assert target.calls == []
    with rollout_of(InMemoryTarget()) as rollout:
        put(registered, rollout, Tracking(held=RegisteredModel({"7": registered.package.fingerprint})))


def test_a_version_that_cannot_be_promoted_is_rolled_back(
    registered: ModelVersion, state_dir: StateDir, rollout_of: RolloutOf
) -> None:
    target, tracker = InMemoryTarget(), Tracking(down="tracking: the alias cannot be moved")
    old = replace(registered, package=replace(registered.package, fingerprint="old"))
    released(old, rollout_of(target), state_dir)
    with pytest.raises(TrackingError, match="cannot be moved; the former service was put back"):
        released(registered, rollout_of(target), state_dir, tracker)
    assert target.endpoint().package == old.package


def test_a_service_that_another_machine_has_replaced_is_not_promoted(
    registered: ModelVersion, state_dir: StateDir, rollout_of: RolloutOf
) -> None:
    target, tracker = InMemoryTarget(), Tracking()
    other = replace(registered.package, fingerprint="another's")
    message = r"another command has deployed 'toy_model', package another's, meanwhile.*; the service was left as it is"
    rollout = rollout_of(target)
    put(registered, rollout)
    InMemoryTarget(services=target.services).deploy(replace(registered, package=other))
    with pytest.raises(DeployError, match=message):
        promote(registered, PASSED, rollout, tracker, state_dir)
    assert tracker.promoted == []
    assert target.endpoint().package == other


def test_a_run_that_fails_between_test_and_promotion_is_rolled_back(
    registered: ModelVersion, rollout_of: RolloutOf, serve: Serve
) -> None:
    def interrupted(rollout: Rollout) -> None:
        with rollout:
            put(registered, rollout)
            probe(serve()[1], rollout)
            raise KeyboardInterrupt

    target = InMemoryTarget()
    with pytest.raises(KeyboardInterrupt):
        interrupted(rollout_of(target))
    assert target.status().state == "absent"


def test_without_a_promotion_what_passed_its_test_is_accepted(
    registered: ModelVersion, rollout_of: RolloutOf, serve: Serve
) -> None:
    target = InMemoryTarget()
    tried(registered, rollout_of(target), serve()[1])
    assert target.calls == ["deploy", "accept"]


def test_the_record_follows_what_is_deployed_by_the_run_that_registered_it(
    toy_package: Package, state_dir: StateDir, rollout_of: RolloutOf
) -> None:
    verification = Verification(toy_package.fingerprint, 5, 1)
    first, second = (
        register(toy_package, verification, REPORT, Tracking(number=number), state_dir, PROVENANCE, NO_IMAGE)
        for number in "12"
    )
    assert load_version(SPEC, state_dir, Tracking(), InMemoryTarget()).version == "2"
    released(first, rollout_of(InMemoryTarget()), state_dir)
    assert load_version(SPEC, state_dir, Tracking(), InMemoryTarget()).version == "1"
    again = load_version(PackageSpec(model_name="toy_model", version="2"), state_dir, Tracking(), InMemoryTarget())
    assert again == second
    released(again, rollout_of(InMemoryTarget()), state_dir)
    assert (
        load_version(SPEC, state_dir, Tracking(), InMemoryTarget()).version == "1"
    )  # it was chosen, and not registered by this run


# --- the endpoint test


@dataclass
class Server:
    """Gives the package's answers unless configured otherwise."""

    package: Package
    key: str = ""
    wrong: dict[str, Any] = field(default_factory=dict)
    status: int = 0
    asks_for_the_key: bool = True
    requests: list[str] = field(default_factory=list)

    def reply(self, body: str, key: str) -> tuple[int, Any]:
        self.requests.append(body)
        if self.key and key != f"Bearer {self.key}" and self.asks_for_the_key:
            return 401, {"detail": "no key"}
        request = next(request for request in golden.read(self.package.path) if request.body == body)
        if self.status:
            return self.status, {"detail": "broken"}
        return request.status, self.wrong.get(request.name, request.reply)


@pytest.fixture
def serve(toy_package: Package) -> Iterator[Callable[..., tuple[Server, Endpoint]]]:
    started: list[ThreadingHTTPServer] = []

    def start(**options: Any) -> tuple[Server, Endpoint]:
        server = Server(toy_package, **options)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet a reply

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, reply = server.reply(body, self.headers.get("Authorization", ""))
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(http)
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        url = f"http://127.0.0.1:{http.server_port}/score"
        return server, Endpoint(url, "fake", bool(server.key), toy_package, headers)

    yield start
    for http in started:
        http.shutdown()
        http.server_close()


Serve = Callable[..., tuple[Server, Endpoint]]


def test_an_endpoint_that_answers_alike_passes(serve: Serve, rollout_of: RolloutOf) -> None:
    target = InMemoryTarget()
    server, endpoint = serve()
    result = probe(endpoint, rollout_of(target))
    assert result.requests == 5
    assert 0 < result.p50_ms <= result.p95_ms
    assert result.refused_without_key is None
    assert target.calls == []
    assert {request.body for request in golden.read(endpoint.package.path)} == set(server.requests)


def test_with_keys_it_must_refuse_requests_without_one(serve: Serve, rollout_of: RolloutOf) -> None:
    _, endpoint = serve(key="k")
    assert probe(endpoint, rollout_of(InMemoryTarget())).refused_without_key
    _, endpoint = serve(key="k", asks_for_the_key=False)
    target = InMemoryTarget()
    with pytest.raises(
        ProbeError, match=r"answers a request without a key with 200 instead of 401; the service was taken"
    ):
        tried(ModelVersion("toy_model", "1", None, endpoint.package), rollout_of(target), endpoint)
    assert target.calls == ["deploy", "rollback"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"wrong": {"records": {"predictions": [1, 1, 1]}}},
            r"answers golden request 'records' differently: reply is ",
        ),
        ({"wrong": {"the article's form": "{oops"}}, r"'the article's form' differently: reply is \{oops instead of"),
        ({"status": 500}, r"'the article's form' differently: status 500 instead of 200: .*broken"),
    ],
)
def test_an_endpoint_that_answers_differently_is_rolled_back(
    serve: Serve, rollout_of: RolloutOf, options: dict[str, Any], message: str
) -> None:
    target = InMemoryTarget()
    _, endpoint = serve(**options)
    with pytest.raises(ProbeError, match=message) as caught:
        tried(ModelVersion("toy_model", "1", None, endpoint.package), rollout_of(target), endpoint)
    assert str(caught.value).endswith("; the service was taken down; no former one is known")
    assert target.calls == ["deploy", "rollback"]


def test_the_error_has_the_result_of_the_rollback(serve: Serve, rollout_of: RolloutOf, state_dir: StateDir) -> None:
    target = InMemoryTarget()
    server, endpoint = serve()
    old = ModelVersion("toy_model", "1", None, replace(endpoint.package, fingerprint="old"))
    released(old, rollout_of(target), state_dir)
    server.status = 500
    with pytest.raises(ProbeError, match=r"; the former service was put back$"):
        tried(ModelVersion("toy_model", "2", None, endpoint.package), rollout_of(target), endpoint)
    with pytest.raises(ProbeError, match=r"; the service was left as it is: it passed its test before, or another run"):
        tried(old, rollout_of(target), endpoint)
    assert target.endpoint().package == old.package


def test_an_unreachable_endpoint_is_rolled_back(serve: Serve, rollout_of: RolloutOf) -> None:
    target = InMemoryTarget()
    _, endpoint = serve()
    away = replace(endpoint, url="http://127.0.0.1:9/score")
    with pytest.raises(ProbeError, match="does not answer: ConnectionRefusedError"):
        tried(ModelVersion("toy_model", "1", None, endpoint.package), rollout_of(target), away)
    assert target.calls == ["deploy", "rollback"]


class Stuck(InMemoryTarget):
    """A target whose rollback fails."""

    def _rollback(self, deployed: Service) -> RollbackResult:
        super()._rollback(deployed)
        raise DeployError("the disk is full")


def test_a_failing_rollback_does_not_hide_its_cause(serve: Serve, rollout_of: RolloutOf) -> None:
    _, endpoint = serve(status=500)
    with pytest.raises(
        ProbeError, match=r"status 500 instead of 200.*; putting the former service back failed: the disk"
    ):
        tried(ModelVersion("toy_model", "1", None, endpoint.package), rollout_of(Stuck()), endpoint)


def test_ctrl_c_rolls_back_an_untested_endpoint(
    serve: Serve, rollout_of: RolloutOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Endpoint) -> Probe:
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.stages.release.probe_endpoint", interrupted)
    target = InMemoryTarget()
    _, endpoint = serve()
    with pytest.raises(KeyboardInterrupt):
        tried(ModelVersion("toy_model", "1", None, endpoint.package), rollout_of(target), endpoint)
    assert target.calls == ["deploy", "rollback"]
