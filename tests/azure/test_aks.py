"""deploy=aks and stages=shift as commands, with the real azure-ai-ml and an emulated Azure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from orchestrator.azure.sdk import missing
from tests.azure.conftest import SDK_V2, EmulatedDesk, check_explained, emulated_desk

pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedDesk]:
    if missing(*SDK_V2):
        pytest.skip("the managed extra is not installed")
    with emulated_desk(tmp_path_factory.mktemp("aks"), "deploy=aks") as made:
        yield made


def test_a_package_is_deployed_and_tested_on_the_cluster(emulated: EmulatedDesk) -> None:
    wrong = emulated.run("deploy.compute=asks")
    assert "deploy.compute: the workspace has no compute 'asks'; did you mean 'aks'?" in wrong.err
    done = emulated.run("deploy.compute=aks").well()
    assert done.result["endpoint"]["target"] == "aks"
    assert done.result["probe"]["refused_without_key"]
    assert emulated.champion() == "1"


def test_the_champion_moves_when_the_new_package_has_all_requests(emulated: EmulatedDesk) -> None:
    done = emulated.run("deploy.compute=aks", "deploy.traffic=30", "seed=5", "gate=none").well()
    assert done.result["probe"]["share"] == 30
    assert "it gets 30 % of the requests, so the champion stays" in done.out
    assert emulated.champion() == "1"
    status = emulated.run("stages=status").well().out
    assert "live: blue, Succeeded, 70 % of the requests" in status
    assert "candidate: green, Succeeded, 30 % of the requests" in status
    half = emulated.run("stages=shift", "deploy.traffic=50").well().out
    assert "candidate: green, Succeeded, 50 % of the requests" in half
    assert emulated.champion() == "1"
    after = emulated.run("stages=shift").well().out
    assert "live: green, Succeeded\n" in after
    assert "candidate" not in after
    assert emulated.champion() == "2"
    emulated.run("stages=probe").well()


def test_keys_and_logs_are_shown_and_remove_ends_all(emulated: EmulatedDesk) -> None:
    assert "Serving package" in emulated.run("stages=logs").well().out
    before = re.findall(r"(?:primary|secondary): (\S+)", emulated.run("stages=keys").well().out)
    after = re.findall(r"(?:primary|secondary): (\S+)", emulated.run("stages=rotate_keys").well().out)
    assert after[1] == before[0]
    url = emulated.run("stages=deploy", "deploy.compute=aks").well().result["endpoint"]["url"]
    check_explained(url, after[0])
    single = emulated.run("stages=shift", "deploy.traffic=50")
    assert "deploy.traffic: endpoint 'diabetes-prediction-service' has no second deployment" in single.err
    emulated.run("stages=remove").well()
    assert not list((emulated.folder / "endpoints").rglob("process.json"))
