"""The gate in whole runs: what it keeps back is registered and not deployed, and the exit code says so."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.cli.main import main
from orchestrator.config.compose import compose
from tests.command import ROOT, Done, desk

FAST = ("model=logistic_regression", "model/param_grid=none", "search.cv=2", "package.compile=never")


def test_a_run_that_is_kept_back_ends_well_and_deploys_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ("gate=threshold", "gate.minimum.roc_auc=0.99", "tracking=none", f"state_dir={tmp_path}/state")
    outcome = main(compose(*FAST, *limits), tmp_path)
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

        def live() -> tuple[str, dict[str, str]]:
            versions = here.run("stages=versions").well().result["versions"]
            aliases = {alias: one["version"] for one in versions for alias in one["aliases"]}
            return next(one["version"] for one in versions if one["live"]), aliases

        def kept(done: Done, number: str) -> None:
            assert done.code == 3, done.out + done.err
            assert (done.result["gate"]["decision"], done.result["error"]) == ("kept", None)
            assert done.ran[-2:] == ["gate", "render"], "nothing is deployed"
            assert done.result["model"]["version"] == number
            assert live() == ("1", {"champion": "1", "challenger": number})

        assert here.run().well().result["gate"]["decision"] == "passed"
        assert here.run().well().result["gate"]["decision"] == "unchanged"
        worse = here.run("model=logistic_regression", "model.params.C=1e-5", "model/param_grid=none")
        kept(worse, "2")
        assert worse.result["gate"]["comparison"]["difference"] < 0
        equal = here.run("model.params.min_samples_leaf=2")
        kept(equal, "3")
        assert equal.result["gate"]["looks"] == 3
        assert equal.result["gate"]["comparison"]["interval"][0] < 0 < equal.result["gate"]["comparison"]["interval"][1]

        table = pd.read_csv(ROOT / "data" / "diabetes.csv")  # with one more measurement
        table["HbA1c"] = (5.5 + 1.5 * table["Outcome"] + table["Pregnancies"] % 3 - table.index % 4 / 2).round(1)
        table.to_csv(here.cwd / "measured.csv", index=False)
        better = here.run("data.path=measured.csv").well()
        assert better.result["gate"]["decision"] == "passed"
        assert better.result["gate"]["looks"] == 1, "other rows begin a new ledger"
        assert live() == ("4", {"champion": "4", "previous": "1", "challenger": "3"})
