"""deploy=managed as commands, with the real azure-ai-ml and an emulated Azure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import azure_emulator
from orchestrator.azure.sdk import missing
from tests.azure.conftest import SDK_V2, EmulatedDesk, check_explained, emulated_desk, score
from tests.command import desk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedDesk]:
    if missing(*SDK_V2):
        pytest.skip("the managed extra is not installed")
    tracked = [] if missing() else ["tracking=azureml"]  # with SDK v1
    with emulated_desk(tmp_path_factory.mktemp("managed"), "deploy=managed", *tracked) as made:
        yield made


def test_one_command_deploys_and_tests_and_no_dot_is_printed(emulated: EmulatedDesk) -> None:
    done = emulated.run().well()
    uploaded = list((emulated.folder / "containers" / "azureml-blobstore").rglob("model.pkl"))
    assert len(uploaded) == int(missing())  # a version that tracking registered is deployed without another upload
    assert done.result["endpoint"]["target"] == "managed"
    assert done.result["endpoint"]["auth"]
    assert done.result["probe"]["refused_without_key"]
    assert not re.search(r"^\.+", done.out, re.MULTILINE)
    assert "config file" not in done.out + done.err


@pytest.mark.nightly
def test_invalid_rows_and_wrong_keys_are_refused(emulated: EmulatedDesk) -> None:
    url = emulated.run("stages=status").well().out.split(" is healthy at ")[1].split()[0]
    key = re.findall(r"primary: (\S+)", emulated.run("stages=keys").well().out)[0]
    status, kind, problem = score(url, {"data": [{"Pregnancies": 2}]}, key)
    assert (status, kind) == (400, "application/problem+json")
    assert "Glucose" in problem["detail"]
    assert score(url, {"data": []}, "wrong")[0] == 401
    check_explained(url, key)


@pytest.mark.nightly
def test_an_unchanged_deploy_is_a_no_op_and_a_changed_size_makes_the_other_deployment(emulated: EmulatedDesk) -> None:
    before = emulated.run("stages=status").well().out
    assert "live: blue, Succeeded" in before
    assert "tested: yes" in before
    assert "is being made" not in emulated.run("stages=deploy").well().out
    assert emulated.run("stages=status").well().out.partition("healthy")[2] == before.partition("healthy")[2]
    emulated.run("stages=deploy", "deploy.instance_count=2").well()
    after = emulated.run("stages=status").well().out
    assert "live: green, Succeeded" in after
    assert "size: 2 x Standard_DS3_v2" in after
    assert "waiting: " not in after  # "still waiting for Azure" may be printed


@pytest.mark.nightly
def test_a_failure_is_diagnosed_and_the_previous_deployment_keeps_serving(emulated: EmulatedDesk) -> None:
    done = emulated.run("stages=deploy", "deploy.instance_count=3", "azure.faults=[crash_loop]")
    assert done.code == 1
    assert "proof: container log, line" in done.err
    assert "the former deployment was not touched" in done.err
    emulated.run("stages=probe").well()
    assert "waiting: " not in emulated.run("stages=status").well().out


@pytest.mark.nightly
def test_logs_and_keys_work_and_no_secret_is_written(emulated: EmulatedDesk) -> None:
    assert "Serving package" in emulated.run("stages=logs").well().out
    before = re.findall(r"(?:primary|secondary): (\S+)", emulated.run("stages=keys").well().out)
    after = re.findall(r"(?:primary|secondary): (\S+)", emulated.run("stages=rotate_keys").well().out)
    assert after[1] == before[0]
    done = emulated.run("stages=probe").well()
    secrets = [*before, *after, azure_emulator.environment(emulated.folder)["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]]
    assert not any(secret in done.out + done.err for secret in secrets)
    home = emulated.desk.home
    written = (path for path in home.rglob("*") if path.is_file() and emulated.folder not in path.parents)
    assert [path for path in written if any(secret.encode() in path.read_bytes() for secret in secrets)] == []


def test_remove_stops_the_endpoint_and_the_emulator(emulated: EmulatedDesk) -> None:
    emulated.run("stages=remove").well()
    assert azure_emulator.running(emulated.folder) is None
    assert not list((emulated.folder / "endpoints").rglob("process.json"))
    emulated.run("stages=remove").well()


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    hidden = tmp_path / "modules" / "azure" / "ai"
    hidden.mkdir(parents=True)
    for folder in (hidden, hidden.parent):
        (folder / "__init__.py").write_text("")  # hides the installed packages
    with desk(tmp_path, tmp_path / "modules") as own:
        done = own.run("deploy=managed", "stages=status", warm=False)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "install it with: pip install -e '.[managed]'" in done.err
