"""Failing calls to Azure: transient faults are retried, lasting ones reported."""

from __future__ import annotations

import pytest

from tests.azure.conftest import EmulatedDesk

# tests/azure_emulator/test_faults.py shows the same retries and errors of the SDK without a whole command
pytestmark = [pytest.mark.slow, pytest.mark.nightly]


@pytest.mark.parametrize("fault", ["expired_token", "throttled_429", "server_5xx", "cut_upload"])
def test_a_transient_fault_is_retried(registered: EmulatedDesk, fault: str) -> None:
    registered.run("stages=remove").well()
    done = registered.run("stages=deploy", f"azure.faults=[{fault}]").well()
    assert ("Answer 401 to a request for the service's state; trying again" in done.out) == (fault == "expired_token")


@pytest.mark.parametrize(
    ("fault", "message"),
    [("server_5xx", "run the same command again"), ("cut_upload", "Azure could not be reached from here")],
)
def test_a_lasting_fault_is_reported_and_the_next_run_succeeds(
    registered: EmulatedDesk, fault: str, message: str
) -> None:
    registered.run("stages=remove").well()
    done = registered.run("stages=deploy", f"azure.faults=[{fault}:always]")
    assert done.code == 1
    assert message in done.err
    assert "is absent" in registered.run("stages=status").well().out
    registered.run("stages=deploy").well()
