"""Two packages behind one endpoint: shares, copies, shifting and rollback, by the real azure-ai-ml on the emulator."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.deploy.azure.blue_green import BlueGreen
from orchestrator.deploy.azure.online_endpoint import DEPLOYMENT
from orchestrator.deploy.target import RollbackResult, SupportsTrafficShift
from orchestrator.errors import DeployError
from score.contract import golden
from tests.nightly import at_night

# the SDK's own libraries leave sockets open and warn of deprecations
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
Make = Callable[..., BlueGreen]
MakePackage = Callable[..., Package]
Version = Callable[..., ModelVersion]


@pytest.fixture(params=["managed", at_night("aks")])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.getfixturevalue(f"make_{request.param}")
    return made


def accepted(target: BlueGreen, version: ModelVersion) -> Endpoint:
    deployment = target.deploy(version)
    deployment.accept()
    return deployment.endpoint


def answers(endpoint: Endpoint, times: int, **headers: str) -> Counter[Any]:
    """Count the answers of each package to requests that name no deployment."""
    key = {"Authorization": endpoint.headers["Authorization"], **headers}
    counts: Counter[Any] = Counter()
    for _ in range(times):
        with urllib.request.urlopen(urllib.request.Request(endpoint.url, b"{}", key), timeout=30) as reply:
            counts[json.loads(reply.read())["answer"]] += 1
    return counts


def test_a_share_goes_to_the_new_package_until_it_has_all(
    make: Make, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b")
    accepted(make(), version(a))
    endpoint = accepted(make(traffic=20), version(b, "7"))
    assert (endpoint.package, endpoint.share) == (b, 20)
    counts = answers(endpoint, 200)
    assert 10 <= counts["b"] <= 80  # 20 percent of them, by chance
    assert counts["a"] + counts["b"] == 200
    details = make().status().details
    assert details["live"] == "blue, Succeeded, 80 % of the requests"
    assert details["candidate"] == "green, Succeeded, 20 % of the requests"
    assert (details["fingerprint"], details["candidate fingerprint"]) == ("a", "b")
    assert make().endpoint().package == a  # the one that a rollback would bring back
    assert all(f"the model of {name} is loaded" in make().logs() for name in "ab")

    target = make(traffic=70)
    assert isinstance(target, SupportsTrafficShift)
    assert target.shift(print) is None
    assert make().status().details["candidate"].endswith("70 % of the requests")
    assert make().shift(print) == ModelVersion("model", "7", None, b)
    status = make().status()
    assert status.details["live"] == "green, Succeeded"
    assert (status.version, status.fingerprint, status.details["model"]) == ("7", "b", f"{status.model} 7")
    assert not {"candidate", "waiting"} & set(make().status().details)
    assert answers(endpoint, 10) == {"b": 10}
    assert make().shift(print) == ModelVersion("model", "7", None, b)  # a command that was killed can be run again
    with pytest.raises(DeployError, match=r"^deploy\.traffic: endpoint 'svc' has no second deployment"):
        make(traffic=50).shift(print)


@pytest.mark.nightly
def test_a_rollback_sets_the_traffic_back(make_managed: Make, make_package: MakePackage, version: Version) -> None:
    a, b = make_package("a"), make_package("b")
    accepted(make_managed(), version(a))
    deployment = make_managed(traffic=30).deploy(version(b))
    assert deployment.rollback() is RollbackResult.FORMER
    assert answers(deployment.endpoint, 10) == {"a": 10}
    assert not {"candidate", "waiting"} & set(make_managed().status().details)

    accepted(make_managed(traffic=30), version(b))
    deployment = make_managed(traffic=90).deploy(version(b))
    assert deployment.endpoint.share == 90  # the same package again, with another share
    assert deployment.rollback() is RollbackResult.FORMER
    assert make_managed().status().details["candidate"].endswith("30 % of the requests")
    again = make_managed(traffic=30).deploy(version(b))
    assert again.rollback() is RollbackResult.NOTHING  # nothing was changed

    golden.write(b.path, [golden.Golden("one row", "{}", 200, {"answer": "right"})])
    with pytest.raises(DeployError, match="failed its test and keeps its share"):
        make_managed().shift(print)
    assert make_managed().status().details["live"].endswith("70 % of the requests")


@pytest.mark.nightly
def test_a_killed_command_and_a_newer_package_give_way(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a, b, c = (make_package(name) for name in "abc")
    notes: list[str] = []
    first = make_managed(traffic=10)
    first.report_to(type("ProgressMixin", (), {"note": lambda _, text: notes.append(text)})())
    assert accepted(first, version(a)).share == 100
    assert "there is no former deployment to share the requests with: this one gets them all" in notes
    make_managed(traffic=10).deploy(version(b))  # killed before its test
    assert make_managed().status().details["candidate tested"] == "no"
    deployment = make_managed(traffic=40).deploy(version(c))
    endpoint = deployment.endpoint
    assert make_managed().status().details["candidate fingerprint"] == "c"
    assert deployment.rollback() is RollbackResult.FORMER
    assert answers(endpoint, 5) == {"a": 5}

    accepted(make_managed(traffic=0), version(c))
    assert answers(endpoint, 5) == {"a": 5}
    assert make_managed().status().details["candidate"] == "green, Succeeded, 0 % of the requests"
    assert accepted(make_managed(), version(a)).share == 100  # the former one after all
    assert not {"candidate", "waiting"} & set(make_managed().status().details)


@pytest.mark.nightly
def test_copies_go_to_the_new_package_and_answers_come_from_the_former(
    make_managed: Make, make_package: MakePackage, version: Version
) -> None:
    a, b = make_package("a"), make_package("b", answer='print("asked", flush=True)')
    accepted(make_managed(), version(a))
    endpoint = accepted(make_managed(mirror=50), version(b))
    assert (endpoint.package, endpoint.share) == (b, 0)
    assert answers(endpoint, 20, **{DEPLOYMENT: "blue"}) == {"a": 20}  # who names a deployment is not copied
    assert make_managed().logs().count("asked") == 0
    assert answers(endpoint, 60) == {"a": 60}
    assert 5 <= make_managed().logs().count("asked") <= 55
    assert make_managed().status().details["candidate"].endswith("0 % of the requests, a copy of 50 %")

    assert make_managed(traffic=10).shift(print) is None
    assert make_managed().status().details["candidate"].endswith(", 10 % of the requests")  # and no more copies
    assert make_managed(traffic=0, mirror=20).shift(print) is None
    assert make_managed().status().details["live"].endswith("100 % of the requests")
    target = make_managed(traffic=0)
    target.deploy(version(b))
    assert make_managed().status().details["candidate"] == "green, Succeeded, 0 % of the requests"
    make_managed().shift(print)
    assert answers(endpoint, 5) == {"b": 5}
