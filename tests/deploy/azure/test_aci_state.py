"""The state and settings of ACI, without calling Azure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.artifacts import Package
from orchestrator.deploy import cors
from orchestrator.deploy.azure import aci_state, registered_package
from orchestrator.deploy.azure.aci import Aci
from orchestrator.deploy.azure.aci_state import PreviousDeployment
from orchestrator.deploy.target import SupportsKeyRotation
from orchestrator.errors import SpecError
from orchestrator.events import ReportsProgress
from tests.deploy.conftest import bound_target
from tests.found import found

CONDA = {"name": "m", "channels": ["conda-forge"], "dependencies": ["python=3.11.7", "pip", {"pip": ["numpy==1"]}]}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    (tmp_path / "conda.yaml").write_text(yaml.safe_dump(CONDA))
    return Package(tmp_path, "f" * 64, "model")


def aci(*overrides: str) -> Aci:
    made: Aci = bound_target("deploy=aci", *overrides)
    return made


@pytest.mark.slow  # the SDK is in the environment of the Azure tests only
def test_every_key_is_one_that_the_sdk_takes_and_every_one_it_takes_is_a_key() -> None:
    service = pytest.importorskip("azureml.core.webservice", exc_type=ImportError)
    import inspect

    taken = set(inspect.signature(service.AciWebservice.deploy_configuration).parameters)
    assert set(aci()._settings()) == taken - {"primary_key", "secondary_key"}  # secrets are in no configuration


def test_it_reports_progress_and_rotates_keys() -> None:
    assert isinstance(aci(), ReportsProgress)
    assert isinstance(aci(), SupportsKeyRotation)


def test_the_environment_is_the_packages_and_azures_server(package: Package) -> None:
    before = (package.path / "conda.yaml").read_bytes()
    made = registered_package.conda(package)
    assert made["dependencies"] == ["python=3.11.7", "pip", {"pip": ["numpy==1", "azureml-inference-server-http>=1.4"]}]
    assert (package.path / "conda.yaml").read_bytes() == before
    (package.path / "conda.yaml").write_text(yaml.safe_dump(made))
    assert registered_package.conda(package) == made  # one that names the server keeps its own


def test_cors_adds_the_library_that_azures_server_needs(package: Package) -> None:
    target = aci("deploy.allow_origins=[HTTPS://App.example:443/,http://b:81]")
    assert target._settings()["allow_origins"] == ["https://app.example", "http://b:81"]
    assert target.libraries(package).lines == ["numpy==1", "azureml-inference-server-http>=1.4", "flask-cors"]
    assert cors.variables(target.allow_origins) == {"AML_CORS_ORIGINS": "https://app.example,http://b:81"}
    assert registered_package.shape(target._settings()) != registered_package.shape(aci()._settings())
    (package.path / "conda.yaml").write_text(yaml.safe_dump({"dependencies": [{"pip": ["Flask_Cors~=6.0"]}]}))
    assert registered_package.conda(package, ["*"])["dependencies"] == [
        {"pip": ["Flask_Cors~=6.0", registered_package.SERVER]}
    ]


def test_the_variable_is_what_azures_server_reads() -> None:
    flask, flask_cors = (pytest.importorskip(name, exc_type=ImportError) for name in ("flask", "flask_cors"))
    asked = ("http://[::1]", "http://[::1]:81", "https://app.example")
    app = flask.Flask(__name__)
    flask_cors.CORS(app, origins=cors.variables(asked)["AML_CORS_ORIGINS"].split(","))  # as that server does
    for origin in (*asked, "http://[::1]:8", "http://[::1]:811", "https://other.example"):
        answered = app.test_client().get("/", headers={"Origin": origin}).headers
        assert answered.get("Access-Control-Allow-Origin") == (origin if origin in asked else None)


def test_services_differ_by_package_and_settings(package: Package) -> None:
    def tags(version: str = "1", **settings: Any) -> dict[str, str]:
        wanted = {"tags": {"team": "blue"}, "memory_gb": 1.5, "ssl_cert_pem_file": None, **settings}
        return registered_package.tags(package, version, wanted)

    assert tags()["team"] == "blue"
    assert registered_package.serves_like(tags("1"), tags("2"))
    assert not registered_package.serves_like(tags(memory_gb=2), tags())
    assert not registered_package.serves_like({**tags(), registered_package.FINGERPRINT: "0"}, tags())
    assert not registered_package.serves_like({}, tags())
    certificate = package.path / "cert.pem"
    certificate.write_text("old")
    before = tags(ssl_cert_pem_file=str(certificate))
    certificate.write_text("renewed")
    assert not registered_package.serves_like(before, tags(ssl_cert_pem_file=str(certificate)))


def service(package: str, *, tested: bool, former: PreviousDeployment | None = None) -> dict[str, str]:
    own = {
        registered_package.FINGERPRINT: package,
        registered_package.MODEL: "model",
        **(aci_state.PASSED if tested else {}),
    }
    return {**own, **({aci_state.FORMER: former.tag()} if former else {})}


def of(live: dict[str, str]) -> PreviousDeployment:
    return PreviousDeployment.of(live, 1, 1.5, auth_enabled=True)


def test_a_former_service_fits_into_a_tag_and_comes_back_as_it_was() -> None:
    former = of(
        {**service("f" * 64, tested=True), registered_package.VERSION: "12", registered_package.SHAPE: "0" * 16}
    )
    assert len(former.tag()) < 256  # what Azure allows for a tag of a resource
    assert PreviousDeployment.from_tag(former.tag()) == former
    assert aci_state.is_tested(former.tags())
    assert PreviousDeployment.from_tag("") is None
    assert PreviousDeployment.from_tag("[1]") is None


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
        return {**own, "tags": registered_package.tags(Package(tmp_path, "f" * 64, "model"), "1", own)}

    before, now = settings(location="westeurope"), {**settings(), "tags": {"team": "red"}, "location": "moon"}
    former = of({**before["tags"], **aci_state.PASSED})
    unknown = aci_state.load_settings(tmp_path, former, now)
    assert unknown["location"] == "moon"
    assert (
        unknown["tags"][registered_package.SHAPE] == registered_package.shape(now) != former.shape
    )  # what it really has
    aci_state.save_settings(tmp_path, before)
    assert aci_state.load_settings(tmp_path, former, now) == {**before, "tags": {**before["tags"], **aci_state.PASSED}}


@pytest.mark.parametrize(
    ("memory_bytes", "memory_gb", "warned"), [(0, 0.5, False), (200 * 10**6, 0.5, False), (400 * 10**6, 0.5, True)]
)
def test_a_package_that_does_not_fit_is_warned_of(memory_bytes: int, memory_gb: float, *, warned: bool) -> None:
    warning = aci_state.memory_warning(memory_bytes, memory_gb)
    assert warned == (f"deploy.memory_gb={memory_gb} may be too little" in warning)


@pytest.mark.parametrize(
    ("override", "message"),
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
def test_a_mistake_is_reported_once(override: str, message: str, tmp_path: Path) -> None:
    problems = [str(one) for one in found(f"state_dir={tmp_path}", "deploy=aci", override)]
    assert len(problems) == 1, problems
    assert problems[0].startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
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
def test_incomplete_settings_are_reported_before_anything_runs(override: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        aci(override)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("live", "wanted", "named"),
    [
        ({"tracked_version": "1"}, "2", "m 2"),
        ({"tracked_version": "1"}, "-", "m 1"),  # without tracking no other version is known
        ({}, "2", "m 2"),
        ({}, "-", "m"),
    ],
)
def test_a_service_that_stays_names_the_current_version(live: dict[str, str], wanted: str, named: str) -> None:
    tags = {registered_package.MODEL: "m", "mine": "kept", **live}
    relabelled = aci_state.relabelled(tags, {**tags, registered_package.VERSION: wanted})
    assert registered_package.model_label(relabelled) == named
    assert relabelled["mine"] == "kept"
