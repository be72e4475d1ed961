"""The gate in whole runs: what it keeps back is registered and not deployed, and the exit code says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from orchestrator.config.compose import compose
from tests.command import desk, free_port
from tests.gate_scenario import run_worse_equal_and_better

FAST = ("model=logistic_regression", "model/param_grid=none", "search.cv=2", "package.compile=never")


def test_a_run_that_is_kept_back_ends_well_and_deploys_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ("gate=threshold", "gate.minimum.roc_auc=0.99", "tracking=none", f"state_dir={tmp_path}/state")
    outcome = main(compose(*FAST, *limits, f"deploy.port={free_port()}"), tmp_path)
    assert outcome.kept_back
    assert outcome.score == pytest.approx(0.83, abs=0.02)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["gate"]["decision"] == "refused"
    assert [check["passed"] for check in result["gate"]["checks"]] == [False, True]
    assert (result["gate"]["looks"], result["endpoint"], result["error"]) == (1, None, None)
    skipped = {stage["name"]: stage.get("skipped") for stage in result["stages"]}
    assert skipped["register"] is None
    assert {skipped[name] for name in ("deploy", "probe", "promote")} == {"the gate refuses this version"}
    shown = capsys.readouterr()
    assert "roc_auc 0.87 is below 0.99 (gate.minimum)" in shown.out.replace("0.8735", "0.87")
    assert "deploy it anyway  " in shown.out
    assert shown.err == ""
    assert not (tmp_path / "state" / "services").exists()


@pytest.mark.slow
@pytest.mark.nightly
def test_the_articles_run_then_a_worse_an_equal_and_a_better_model(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        run_worse_equal_and_better(here.run, here.cwd)
