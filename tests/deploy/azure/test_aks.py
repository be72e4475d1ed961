"""deploy=aks: keys and rules without Azure; computes, sizes and failures by the real azure-ai-ml on the emulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import azure_emulator
from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.azure.aks import Aks
from orchestrator.deploy.azure.aks_options import Autoscale, Resources, amount
from orchestrator.deploy.target import SupportsKeyRotation, SupportsTrafficShift
from orchestrator.errors import DeployError
from orchestrator.spec.azure import AzureSpec
from score.privacy import TELEMETRY_OFF
from tests.deploy.conftest import bound_target
from tests.found import found
from tests.nightly import at_night

MakeAks = Callable[..., Aks]
MakePackage = Callable[..., Package]
Version = Callable[..., ModelVersion]


def aks(*overrides: str) -> Aks:
    made: Aks = bound_target("deploy=aks", "deploy.compute=aks", *overrides)
    return made


def test_it_rotates_and_shifts() -> None:
    assert isinstance(aks(), SupportsKeyRotation)
    assert isinstance(aks(), SupportsTrafficShift)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("500m", 0.5), ("0.5", 0.5), ("2Gi", 2**31), ("2G", 2e9), ("64Mi", 2**26), ("2GB", None), ("", None)],
)
def test_amounts_are_read_as_kubernetes_reads_them(text: str, number: float | None) -> None:
    assert amount(text) == number


def test_share_and_copies_are_no_part_of_the_shape() -> None:
    assert aks()._settings() == aks("deploy.traffic=10")._settings()
    assert aks()._settings() != aks("deploy.resources.limits.cpu=2")._settings()
    assert aks("deploy.resources=null", "deploy.autoscale={max_instances: 3}")._settings()["autoscale"] == {
        "min_instances": 1,
        "max_instances": 3,
        "target_utilization_percentage": 70,
        "polling_interval": 1,
    }


def test_variables_switch_telemetry_off_and_cors_on() -> None:
    def variables(*overrides: str) -> object:
        return aks(*overrides)._settings()["environment_variables"]

    assert variables() == dict(TELEMETRY_OFF)
    assert variables("deploy.environment_variables={ORT_DISABLE_TELEMETRY: '0', A: b}") == {
        **TELEMETRY_OFF,
        "ORT_DISABLE_TELEMETRY": "0",
        "A": "b",
    }
    assert variables("deploy.allow_origins=[http://a,http://b]") == {
        **TELEMETRY_OFF,
        "AML_CORS_ORIGINS": "http://a,http://b",
    }


WRONG = [
    ("deploy=aks", "compute: is missing; name a Kubernetes compute that is attached to the workspace"),
    ("deploy.instance_typ=x", "instance_typ: Aks has no such option; did you mean 'instance_type'?"),
    ("deploy.instance_count=0", "instance_count: should be above 0, got 0"),
    ("deploy.auth_enabled=false", "auth_enabled: an endpoint on Kubernetes always asks for a key or a token"),
    ("deploy.request_timeout_ms=300001", "request_timeout_ms: should be at most 300000"),
    ("deploy.resources.limit.cpu=2", "resources.limit: there is no such key; did you mean 'limits'?"),
    ("deploy.resources.limits.cpus=2", "resources.limits.cpus: there is no such key; did you mean 'cpu'?"),
    ("deploy.resources.limits.cpu=2Gi", "resources.limits.cpu: should be a number of cores such as 0.5 or 500m"),
    ("deploy.resources.limits.cpu=true", "resources.limits.cpu: should be a number of cores such as 0.5 or 500m"),
    ("deploy.resources.limits.memory=2", "resources.limits.memory: is less than a server needs; should have a unit"),
    ("deploy.resources.limits.memory=512m", "resources.limits.memory: should be an amount of memory such as 512Mi"),
    ("deploy.resources.limits.memory=2GB", "resources.limits.memory: should be an amount of memory such as 512Mi"),
    ("deploy.resources.requests.cpu=2", "resources.requests.cpu: should be at most limits.cpu, which is 1, got 2"),
    ("deploy.resources.requests.memory=3G", "resources.requests.memory: should be at most limits.memory"),
    ("deploy.resources.requests.gpu=1", "resources.requests.gpu: should be the same as limits.gpu"),
    ("deploy.resources.limits.gpu=half", "resources.limits.gpu: should be a whole number of GPUs"),
    ("deploy.autoscale={min_instances: 2}", "autoscale.max_instances: is missing"),
    ("deploy.autoscale={max_instances: 0}", "autoscale.max_instances: should be at least 1, got 0"),
    (
        "deploy.autoscale={min_instances: 3, max_instances: 2}",
        "autoscale.min_instances: should be at most max_instances, which is 2, got 3",
    ),
    (
        "deploy.autoscale={max_instances: 2, target_utilization_percentage: 101}",
        "autoscale.target_utilization_percentage: should be at most 100",
    ),
    (
        "deploy.instance_count=2 deploy.autoscale={max_instances: 2}",
        "instance_count: autoscale decides how many replicas there are; leave out one of the two",
    ),
    ("deploy.traffic=101", "traffic: should be at most 100, got 101"),
    ("deploy.traffic=-1", "traffic: should be at least 0, got -1"),
    ("deploy.traffic=0.2", "traffic: should be a whole number, got 0.2"),
    (
        "deploy.mirror=10",
        "mirror: Azure mirrors requests on managed endpoints only; leave it 0, or write deploy=managed",
    ),
    ("deploy=managed deploy.mirror=51", "mirror: should be at most 50, got 51"),
    ("deploy=managed deploy.mirror=-1", "mirror: should be at least 0, got -1"),
    (
        "deploy=managed deploy.mirror=10 deploy.traffic=10",
        "mirror: a deployment answers requests or gets copies of them, not both; leave deploy.traffic out",
    ),
    ("deploy.allow_origins=[app.example]", "allow_origins: 'app.example' is no origin; write scheme://host"),
    (
        "deploy=managed deploy.allow_origins=[http://a/b]",
        "allow_origins: 'http://a/b' is no origin; write scheme://host",
    ),
    ("deploy=aci deploy.allow_origins=http://a", "allow_origins: should be a list"),
    (
        "deploy=managed deploy.allow_origins=[http://a] deploy.environment_variables={AML_CORS_ORIGINS: b}",
        "environment_variables.AML_CORS_ORIGINS: says the same as deploy.allow_origins; leave out one of the two",
    ),
    ("deploy=local deploy.traffic=10", "traffic: Local has no such option"),
]


# another value or place of a kind that is there already
ALIKE = re.compile(
    r"limits\.cpu=true|cpus=|limits\.memory=(2|2GB)$|requests\.(memory|gpu)|limits\.gpu|autoscale=\{max_instances: 0"
    r"|percentage|traffic=(-1|0)|mirror=(51|-1)|allow_origins=(\[http://a/b|http://a$)|deploy=local"
)
ROWS = [at_night(line, expected) if ALIKE.search(line) else (line, expected) for line, expected in WRONG]


@pytest.mark.parametrize(("line", "expected"), ROWS, ids=[line for line, _ in WRONG])
def test_a_mistake_is_reported_once_at_its_key(line: str, expected: str, tmp_path: Path) -> None:
    overrides = _split(line)
    kind = [] if overrides[0].startswith("deploy=") else ["deploy=aks", "deploy.compute=aks"]
    problems = [str(one) for one in found(f"state_dir={tmp_path}", *kind, *overrides)]
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"deploy.{expected}")


def _split(line: str) -> list[str]:
    return [part for part in line.replace(" deploy", "\ndeploy").split("\n") if part]


def test_mistakes_in_one_mapping_are_reported_together(tmp_path: Path) -> None:
    line = ("deploy.resources.limits.cpu=x", "deploy.resources.limits.memory=1", "deploy.resources.requests.gpu=x")
    places = [one.at for one in found(f"state_dir={tmp_path}", "deploy=aks", "deploy.compute=aks", *line)]
    assert sorted(places) == [
        "deploy.resources.limits.cpu",
        "deploy.resources.limits.memory",
        "deploy.resources.requests.gpu",
    ]


def test_contradictions_are_reported_with_wrong_values(tmp_path: Path) -> None:
    line = ("deploy.mirror=10", "deploy.traffic=101", "deploy.instance_count=2", "deploy.autoscale={max_instances: 2}")
    places = [one.at for one in found(f"state_dir={tmp_path}", "deploy=aks", *line)]
    assert places == ["deploy.traffic", "deploy.mirror", "deploy.instance_count", "deploy.compute"]


@pytest.mark.parametrize("stages", ["status", "logs", "keys", "remove", "shift"])
def test_only_a_deployment_needs_to_name_the_compute(stages: str, tmp_path: Path) -> None:
    assert found(f"state_dir={tmp_path}", "deploy=aks", f"stages={stages}") == []


def test_valid_numbers_are_accepted(tmp_path: Path) -> None:
    fine = (
        ["deploy=aks", "deploy.compute=aks", "deploy.traffic=0", "deploy.instance_count=3"],
        ["deploy=aks", "deploy.compute=aks", "deploy.resources=null", "deploy.autoscale={max_instances: 5}"],
        ["deploy=aks", "deploy.compute=aks", "deploy.resources.limits={cpu: 1.5, memory: 4Gi, gpu: 1}"],
        ["deploy=managed", "deploy.mirror=50"],
        ["deploy=managed", "deploy.mirror=1", "deploy.traffic=0"],
        ["deploy=managed", "deploy.traffic=100"],
    )
    assert [found(f"state_dir={tmp_path}", *overrides) for overrides in fine] == [[]] * len(fine)


@pytest.fixture
def package(make_package: MakePackage) -> Package:
    return make_package("a")


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_unsuitable_compute_is_refused_before_anything_is_sent(
    make_aks: MakeAks, package: Package, version: Version
) -> None:
    from azure.ai.ml.entities import AmlCompute, KubernetesCompute

    client = make_aks()._client()
    with pytest.raises(
        DeployError, match=r"^deploy\.compute: the workspace has no compute 'akss'; did you mean 'aks'\?$"
    ):
        make_aks(compute="akss").deploy(version(package))
    client.compute.begin_create_or_update(AmlCompute(name="nodes", size="Standard_DS3_v2")).result()
    with pytest.raises(DeployError, match="'nodes' is of the kind amlcompute, not kubernetes; there are: aks"):
        make_aks(compute="nodes").deploy(version(package))
    with pytest.raises(DeployError, match=r"^deploy\.compute: is missing"):
        make_aks(compute=None).deploy(version(package))
    assert make_aks().status().state == "absent"

    make_aks().deploy(version(package))
    client.compute.begin_attach(KubernetesCompute(name="other", resource_id="/subscriptions/x")).result()
    with pytest.raises(DeployError, match=r"^deploy\.compute: endpoint 'svc' stands on 'aks' and cannot move"):
        make_aks(compute="other").deploy(version(package))


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_sizes_arrive_in_azure_and_another_size_is_another_deployment(
    make_aks: MakeAks, make_managed: Callable[..., Any], package: Package, version: Version
) -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    target = make_aks(
        resources=Resources.model_validate({"requests": {"cpu": "250m"}, "limits": limits}), instance_count=2
    )
    deployment = target.deploy(version(package))
    deployment.accept()
    held = target._client().online_deployments.get("blue", "svc")
    assert (held.resources.requests.cpu, held.resources.limits.memory) == ("250m", "1Gi")
    assert (held.scale_settings.type, held.instance_count) == ("default", 2)
    assert TELEMETRY_OFF.items() <= held.environment_variables.items()
    assert make_aks().status().details["size"] == "2 x the default instance type"

    scaled = make_aks(autoscale=Autoscale(min_instances=2, max_instances=4), instance_type="small")
    scaled.deploy(version(package))
    held = target._client().online_deployments.get("green", "svc")
    assert (held.scale_settings.type, held.scale_settings.max_instances) == ("target_utilization", 4)
    assert make_aks().status().details["size"] == "2 to 4 x small"

    with pytest.raises(
        DeployError, match="endpoint 'svc' stands on Kubernetes; write deploy=aks, or choose another name"
    ):
        make_managed().deploy(version(package))
    make_aks().remove()  # before the fixture of the other kind looks


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("crash_loop", "RuntimeError: emulator: the fault crash_loop was asked for"),
        at_night("quota", "less deploy.resources.requests"),
    ],
)
def test_a_failure_is_diagnosed_and_nothing_is_left(
    make_aks: MakeAks, package: Package, version: Version, azure: AzureSpec, fault: str, expected: str
) -> None:
    emulator = azure_emulator.running(azure.emulator or Path())
    assert emulator
    emulator.faults([fault])
    with pytest.raises(DeployError) as raised:
        make_aks().deploy(version(package))
    assert expected in str(raised.value)
    assert str(raised.value).endswith("nothing of it is left in Azure")
    assert raised.value.code == f"deploy-{raised.value.kind.replace('_', '-')}" != "deploy-unknown"
    assert make_aks().status().state == "absent"
