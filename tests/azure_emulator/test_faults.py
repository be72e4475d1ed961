"""Injected and real failures: the SDK reports what Azure would have reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from azure_emulator import FAULTS, Emulator, EmulatorError
from azure_emulator.common.faults import parse

Sdk = Any
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def clean(sdk: Sdk) -> Iterator[None]:
    yield
    if sdk("exists", name="faulty"):
        sdk("delete", name="faulty")


def _deploy(sdk: Sdk, **arguments: Any) -> dict[str, Any]:
    done: dict[str, Any] = sdk("deploy", name="faulty", **arguments)
    return done


def test_a_fault_is_a_name_a_count_and_calls_to_skip() -> None:
    assert parse("quota") == {"name": "quota", "times": 1, "skip": 0}
    assert parse("server_5xx:3@2") == {"name": "server_5xx", "times": 3, "skip": 2}
    assert parse("time_out:always") == {"name": "time_out", "times": None, "skip": 0}
    with pytest.raises(ValueError, match="is no fault of the emulator; there are crash_loop, "):
        parse("quote")


def test_an_unknown_fault_is_refused_and_known_ones_are_pending(emulator: Emulator) -> None:
    emulator.faults(FAULTS)
    assert emulator.pending() == list(FAULTS)
    with pytest.raises(EmulatorError, match="is no fault"):
        emulator.faults(["quote"])
    emulator.faults([])
    assert emulator.pending() == []


@pytest.mark.nightly
def test_crash_loop(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["crash_loop"])
    done = _deploy(sdk)
    assert "AciDeploymentFailed" in done["error"]
    assert "CrashLoopBackOff" in done["error"]
    assert done["state"] == "Failed"
    assert "the fault crash_loop was asked for" in done["logs"]
    assert _deploy(sdk)["error"] == ""  # the fault was for one deployment


@pytest.mark.nightly
def test_image_build_failure(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["image_build_failure"])
    done = _deploy(sdk)
    assert "EnvironmentBuildFailed" in done["error"]
    assert "/build.log?" in done["error"]
    assert "No matching distribution found" in sdk("read", url_in=done["error"])


@pytest.mark.nightly
def test_time_out(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["time_out"])
    done = _deploy(sdk)
    assert "DeploymentTimedOut" in done["error"]
    assert done["state"] == "Unhealthy"


def test_quota(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["quota"])
    assert "ContainerGroupQuotaReached" in _deploy(sdk)["error"]


def test_the_size_fault_exceeds_the_resource_limit(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["size"])
    assert "exceeded resource limitation" in _deploy(sdk)["error"]


def test_a_size_that_azure_does_not_have(sdk: Sdk) -> None:
    assert "exceeded resource limitation" in _deploy(sdk, cpu=4.0)["error"]
    assert "exceeded resource limitation" in _deploy(sdk, memory=16.0, overwrite=False)["error"]


def test_conflict(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["conflict_409"])
    done = _deploy(sdk)
    assert "409" in done["error"]
    assert "ServiceExists" in done["error"]


@pytest.mark.nightly
def test_a_token_that_expires_while_waiting(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["expired_token:always"])
    assert "ExpiredAuthenticationToken" in _deploy(sdk)["error"]


@pytest.mark.nightly
def test_throttling_and_server_errors_are_retried(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["throttled_429", "server_5xx"])
    assert _deploy(sdk)["error"] == ""
    assert emulator.pending() == []


@pytest.mark.nightly
def test_a_connection_cut_during_an_upload_is_retried(sdk: Sdk, emulator: Emulator) -> None:
    emulator.faults(["cut_upload"])
    assert sdk("large_file", megabytes=3) == {"same": True}
    assert emulator.pending() == []


@pytest.mark.nightly
def test_an_entry_script_that_cannot_be_imported(sdk: Sdk) -> None:
    done = _deploy(sdk, score="import no_such_module\n")
    assert "Error in entry script, ModuleNotFoundError: No module named 'no_such_module'" in done["error"]
    assert "CrashLoopBackOff" in done["error"]


@pytest.mark.nightly
def test_without_azmlinfsrv_the_container_does_not_start(sdk: Sdk) -> None:
    done = _deploy(sdk, pip=["idna"])
    assert "CrashLoopBackOff" in done["error"]
    assert "azmlinfsrv" in done["logs"]


@pytest.mark.nightly
def test_a_pin_that_does_not_exist(sdk: Sdk) -> None:
    done = _deploy(sdk, pip=["azureml-inference-server-http", "idna==0.0.0.1"])
    assert "No matching distribution found for idna==0.0.0.1" in sdk("read", url_in=done["error"])


@pytest.mark.nightly
def test_a_python_that_is_not_installed(sdk: Sdk) -> None:
    done = _deploy(sdk, python="3.7")
    assert "EnvironmentBuildFailed" in done["error"]
    assert "python=3.7" in sdk("read", url_in=done["error"])
