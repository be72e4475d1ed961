"""One fault for each code, found by a whole run; `python -m benchmarks.planted_faults` has the clean tables, too."""

from __future__ import annotations

import pytest

from benchmarks.planted_faults import faults, planted
from orchestrator.findings import KINDS


def test_each_code_has_a_fault() -> None:
    assert {*faults()} == {*KINDS}


@pytest.mark.nightly
def test_each_fault_is_found() -> None:
    assert [code for code, found in planted() if code not in found] == []
