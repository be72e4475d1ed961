"""Deployments that fail in Azure, by fault injection: the message, the clean-up, and the next run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.azure.conftest import EmulatedDesk

pytestmark = [pytest.mark.slow, pytest.mark.nightly]  # tests/deploy/azure has one of managed and of aks


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash_loop", "RuntimeError: emulator: the fault crash_loop was asked for; fix it in score/"),
        ("image_build_failure", "the package index has no emulator-fault-image-build-failure==1.0"),
        ("time_out", "the service is not ready in time"),
        ("quota", "there is no quota or no room left: container group quota 'StandardCores' exceeded"),
        ("size", "more CPU or memory than one container group may have"),
        ("conflict_409", "the name is taken"),
    ],
)
def test_a_fault_is_reported_and_cleaned_up_and_the_next_run_succeeds(
    registered: EmulatedDesk, fault: str, message: str
) -> None:
    registered.run("stages=remove").well()
    done = registered.run("stages=deploy", f"azure.faults=[{fault}]")
    assert done.code == 1
    assert message in done.err
    assert "is absent" in registered.run("stages=status").well().out
    registered.run("stages=deploy").well()


def test_a_failure_is_reported_with_proof_and_raw_texts(registered: EmulatedDesk) -> None:
    registered.run("stages=remove").well()
    done = registered.run("stages=deploy", "azure.faults=[crash_loop]")
    cause, proof, raw, left = done.err.splitlines()
    assert cause.startswith("deploy failed: RuntimeError: emulator: ")
    assert proof.startswith("  proof: container log, line ")
    assert left == "  the service was taken down; no former one is known"
    folder = Path(raw.removeprefix("  raw texts: "))
    assert {path.name for path in folder.iterdir()} == {"build.log", "container.log", "error.txt", "state.json"}
    assert "CrashLoopBackOff" in (folder / "error.txt").read_text()
    assert proof.partition(": RuntimeError")[2] in (folder / "container.log").read_text()


def test_ctrl_c_during_a_deployment_ends_at_once_and_says_what_continues(registered: EmulatedDesk) -> None:
    registered.run("stages=remove").well()
    process = registered.start("stages=deploy", "azure.faults=[time_out]")
    assert process.stdout
    while "Running" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Azure continues to deploy service 'diabetes-prediction-service'" in out
    assert err.startswith("interrupted")
    registered.run("stages=remove").well()
    assert "is absent" in registered.run("stages=status").well().out


def test_a_failure_rolls_back_to_the_previous_service(registered: EmulatedDesk) -> None:
    before = registered.run("stages=deploy").well().result["endpoint"]
    done = registered.run("stages=deploy", "deploy.memory_gb=2", "azure.faults=[crash_loop]")
    assert done.code == 1
    assert "the former service was put back" in done.err
    assert registered.run("stages=probe").well().result["endpoint"] == before
    assert "1.5 GB" in registered.run("stages=status").well().out
