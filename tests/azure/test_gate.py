"""The gate on an emulated Azure: what it keeps back is registered in the workspace, and the service stays as it is."""

from __future__ import annotations

import functools
import re

import pytest

from tests.azure.conftest import EmulatedDesk, check_explained
from tests.gate_scenario import run_worse_equal_and_better

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


def test_the_articles_run_then_a_worse_an_equal_and_a_better_model(emulated: EmulatedDesk) -> None:
    better = run_worse_equal_and_better(functools.partial(emulated.run, "tracking=azureml"), emulated.desk.cwd)
    key = re.findall(r"primary: (\S+)", emulated.run("stages=keys").well().out)[0]
    check_explained(better.result["endpoint"]["url"], key, emulated.desk.cwd / "measured.csv")
    azure = emulated.read()
    tags = {str(model["version"]): model["tags"] for model in azure["models"]}
    assert {number: each.get("champion") for number, each in tags.items() if each.get("champion") == "true"} == {
        "4": "true"
    }
    assert tags["3"]["challenger"] == "true"
    assert tags["2"]["challenger"] == "false"
    runs = {run["id"]: run for run in azure["runs"] if run["parent"] is None}
    assert len(runs) == 4
    assert all("report.html" in run["files"] for run in runs.values())
    assert runs[better.result["run_id"]]["metrics"]["gate_p_value"] < 0.05
