"""What would be created on ACI, without asking Azure anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.artifacts import Package
from orchestrator.config.compose import compose
from orchestrator.deploy import cors
from orchestrator.deploy.azure import aci_state
from orchestrator.deploy.azure.aci import Aci
from orchestrator.deploy.azure.aci_state import PreviousDeployment
from orchestrator.deploy.target import SupportsKeyRotation, Target
from orchestrator.errors import SpecError
from orchestrator.events import ReportsProgress
from orchestrator.spec.components import build
from orchestrator.spec.run_spec import RunSpec
from tests.found import found

CONDA = {"name": "m", "channels": ["conda-forge"], "dependencies": ["python=3.11.7", "pip", {"pip": ["numpy==1"]}]}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    (tmp_path / "conda.yaml").write_text(yaml.safe_dump(CONDA))
    return Package(tmp_path, "f" * 64, "model")


def aci(*overrides: str) -> Aci:
    spec = RunSpec.parse(compose("deploy=aci", *overrides).values)
    made: Aci = build(spec.deploy.target, spec.deploy.options, "deploy", Target)
    return made


def test_every_key_is_one_that_the_sdk_takes_and_every_one_it_takes_is_a_key() -> None:
    service = pytest.importorskip("azureml.core.webservice", exc_type=ImportError)
    import inspect

    taken = set(inspect.signature(service.AciWebservice.deploy_configuration).parameters)
    assert set(aci()._settings()) == taken - {"primary_key", "secondary_key"}  # secrets are in no configuration


def test_it_tells_and_rotates() -> None:
    assert isinstance(aci(), ReportsProgress)
    assert isinstance(aci(), SupportsKeyRotation)


def test_the_environment_is_the_packages_and_azures_server(package: Package) -> None:
    before = (package.path / "conda.yaml").read_bytes()
    made = aci_state.conda(package)
    assert made["dependencies"] == ["python=3.11.7", "pip", {"pip": ["numpy==1", "azureml-inference-server-http>=1.4"]}]
    assert (package.path / "conda.yaml").read_bytes() == before
    (package.path / "conda.yaml").write_text(yaml.safe_dump(made))
    assert aci_state.conda(package) == made  # one that names the server keeps its own


def test_pages_of_other_hosts_are_let_in_by_the_library_that_azures_server_needs_for_it(package: Package) -> None:
    target = aci("deploy.allow_origins=[HTTPS://App.example:443/,http://b:81]")
    assert target._settings()["allow_origins"] == ["https://app.example", "http://b:81"]
    assert target.libraries(package).lines == ["numpy==1", "azureml-inference-server-http>=1.4", "flask-cors"]
    assert cors.variables(target.allow_origins) == {"AML_CORS_ORIGINS": "https://app.example,http://b:81"}
    assert aci_state.shape(target._settings()) != aci_state.shape(aci()._settings())
    (package.path / "conda.yaml").write_text(yaml.safe_dump({"dependencies": [{"pip": ["Flask_Cors~=6.0"]}]}))
    assert aci_state.conda(package, ["*"])["dependencies"] == [{"pip": ["Flask_Cors~=6.0", aci_state.SERVER]}]


def test_the_variable_is_what_azures_server_reads() -> None:
    flask, flask_cors = (pytest.importorskip(name, exc_type=ImportError) for name in ("flask", "flask_cors"))
    asked = ("http://[::1]", "http://[::1]:81", "https://app.example")
    app = flask.Flask(__name__)
    flask_cors.CORS(app, origins=cors.variables(asked)["AML_CORS_ORIGINS"].split(","))  # as that server does
    for origin in (*asked, "http://[::1]:8", "http://[::1]:811", "https://other.example"):
        answered = app.test_client().get("/", headers={"PackageProvenance": origin}).headers
        assert answered.get("Access-Control-Allow-Origin") == (origin if origin in asked else None)


def test_a_service_is_told_apart_by_package_and_shape(package: Package) -> None:
    def tags(version: str = "1", **settings: Any) -> dict[str, str]:
        wanted = {"tags": {"team": "blue"}, "memory_gb": 1.5, "ssl_cert_pem_file": None, **settings}
        return aci_state.tags(package, version, wanted)

    assert tags()["team"] == "blue"
    assert aci_state.serves_like(tags("1"), tags("2"))
    assert not aci_state.serves_like(tags(memory_gb=2), tags())
    assert not aci_state.serves_like({**tags(), aci_state.FINGERPRINT: "0"}, tags())
    assert not aci_state.serves_like({}, tags())
    certificate = package.path / "cert.pem"
    certificate.write_text("old")
    before = tags(ssl_cert_pem_file=str(certificate))
    certificate.write_text("renewed")
    assert not aci_state.serves_like(before, tags(ssl_cert_pem_file=str(certificate)))


def service(package: str, *, tested: bool, former: PreviousDeployment | None = None) -> dict[str, str]:
    own = {aci_state.FINGERPRINT: package, aci_state.MODEL: "model", **(aci_state.PASSED if tested else {})}
    return {**own, **({aci_state.FORMER: former.tag()} if former else {})}


def of(live: dict[str, str]) -> PreviousDeployment:
    return PreviousDeployment.of(live, 1, 1.5, auth_enabled=True)


def test_what_is_worth_going_back_to() -> None:
    good, bad = of(service("good", tested=True)), of(service("bad", tested=False))

    def worth(live: dict[str, str], *, healthy: bool = True) -> str | None:
        found = aci_state.rollback_candidate(of(live), live, healthy=healthy)
        return found.fingerprint if found else None

    assert worth(service("new", tested=True, former=good)) == "new"
    assert worth(service("new", tested=True), healthy=False) == "new"  # it has only fallen over since
    assert worth(service("new", tested=False, former=good)) == "good"
    assert worth(service("new", tested=False, former=bad)) == "new"
    assert worth(service("new", tested=False, former=bad), healthy=False) == "bad"
    assert worth(service("new", tested=False)) == "new"
    assert worth(service("new", tested=False), healthy=False) is None


def test_a_former_service_fits_into_a_tag_and_comes_back_as_it_was() -> None:
    former = of({**service("f" * 64, tested=True), aci_state.VERSION: "12", aci_state.SHAPE: "0" * 16})
    assert len(former.tag()) < 256  # what Azure allows for a tag of a resource
    assert PreviousDeployment.read(former.tag()) == former
    assert aci_state.is_tested(former.tags())
    assert PreviousDeployment.read("") is None
    assert PreviousDeployment.read("[1]") is None


def test_the_settings_of_a_former_service_come_back_whole_where_they_are_known(tmp_path: Path) -> None:
    def settings(**keys: Any) -> dict[str, Any]:
        own = {
            "cpu_cores": 1,
            "memory_gb": 1.5,
            "auth_enabled": True,
            "location": None,
            "tags": {"team": "blue"},
            **keys,
        }
        return {**own, "tags": aci_state.tags(Package(tmp_path, "f" * 64, "model"), "1", own)}

    before, now = settings(location="westeurope"), {**settings(), "tags": {"team": "red"}, "location": "moon"}
    former = of({**before["tags"], **aci_state.PASSED})
    unknown = aci_state.recall(tmp_path, former, now)
    assert unknown["location"] == "moon"
    assert unknown["tags"][aci_state.SHAPE] == aci_state.shape(now) != former.shape  # what it really has
    aci_state.remember(tmp_path, before)
    assert aci_state.recall(tmp_path, former, now) == {**before, "tags": {**before["tags"], **aci_state.PASSED}}


@pytest.mark.parametrize(
    ("memory_bytes", "memory_gb", "warned"), [(0, 0.5, False), (200 * 10**6, 0.5, False), (400 * 10**6, 0.5, True)]
)
def test_a_package_that_does_not_fit_is_warned_of(memory_bytes: int, memory_gb: float, *, warned: bool) -> None:
    warning = aci_state.memory_warning(memory_bytes, memory_gb)
    assert warned == (f"deploy.memory_gb={memory_gb} may be too little" in warning)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("deploy.memory_gbs=2", "deploy.memory_gbs: Aci has no such option; did you mean 'memory_gb'?"),
        ("deploy.memory_gb=lots", "deploy.memory_gb: should be a number, got 'lots'"),
        ("deploy.memory_gb=0", "deploy.memory_gb: should be"),
        ("azure.resource_groups=x", "azure.resource_groups: there is no such key; did you mean 'resource_group'?"),
        ("azure.resource_group=x", "azure.subscription_id: is missing; name all of"),
        ("azure.auth=magic", "azure.auth: "),
        ("+azure.faults=[quota]", "azure.faults: only an emulator has faults; write azure=emulator"),
    ],
)
def test_a_mistake_is_told_once(override: str, told: str, tmp_path: Path) -> None:
    problems = [str(one) for one in found(f"state_dir={tmp_path}", "deploy=aci", override)]
    assert len(problems) == 1, problems
    assert problems[0].startswith(told)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "deploy.ssl_enabled=true",
            "missing: ssl_cert_pem_file (with ssl_enabled), ssl_key_pem_file (with ssl_enabled)",
        ),
        ("deploy.vnet_name=v", "missing: subnet_name (with vnet_name)"),
        (
            "deploy.cmk_key_name=k",
            "missing: cmk_vault_base_url (with cmk_key_name), cmk_key_version (with cmk_key_name)",
        ),
        ("deploy.ssl_cert_pem_file=/no.pem", "missing: the file /no.pem (ssl_cert_pem_file)"),
    ],
)
def test_what_belongs_together_is_told_before_anything_runs(override: str, told: str) -> None:
    with pytest.raises(SpecError) as raised:
        aci(override)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("live", "wanted", "named"),
    [
        ({"tracked_version": "1"}, "2", "m 2"),
        ({"tracked_version": "1"}, "-", "m 1"),  # without tracking no other version is known
        ({}, "2", "m 2"),
        ({}, "-", "m"),
    ],
)
def test_a_service_that_goes_on_names_the_version_that_there_is(live: dict[str, str], wanted: str, named: str) -> None:
    tags = {aci_state.MODEL: "m", "mine": "kept", **live}
    relabelled = aci_state.relabelled(tags, {**tags, aci_state.VERSION: wanted})
    assert aci_state.named(relabelled) == named
    assert relabelled["mine"] == "kept"
