"""Calls that fail on their way to Azure: what passes is outlived, and what lasts is told."""

from __future__ import annotations

import pytest

from tests.azure.conftest import EmulatedDesk

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", ["expired_token", "throttled_429", "server_5xx", "cut_upload"])
def test_a_fault_that_passes_is_outlived(registered: EmulatedDesk, fault: str) -> None:
    registered.run("stages=remove").well()
    done = registered.run("stages=deploy", f"azure.faults=[{fault}]").well()
    assert ("Answer 401 to a request for the service's state; trying again" in done.out) == (fault == "expired_token")


@pytest.mark.parametrize(
    ("fault", "told"),
    [("server_5xx", "run the same command again"), ("cut_upload", "Azure could not be reached from here")],
)
def test_a_fault_that_lasts_is_told_and_the_next_run_succeeds(registered: EmulatedDesk, fault: str, told: str) -> None:
    registered.run("stages=remove").well()
    done = registered.run("stages=deploy", f"azure.faults=[{fault}:always]")
    assert done.code == 1
    assert told in done.err
    assert "is absent" in registered.run("stages=status").well().out
    registered.run("stages=deploy").well()
