"""The article's run, then a worse, an equal and a better model: the same in whole commands on every target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tests.command import ROOT, Done


def run_worse_equal_and_better(run: Callable[..., Done], folder: Path) -> Done:
    """Run the four commands, whose working directory is the folder, and check each decision; return the last one."""

    def live() -> tuple[str, dict[str, str]]:
        """Return the live version, of which the service gives the answers, and the aliases."""
        run("stages=probe").well()
        versions = run("stages=versions").well().result["versions"]
        aliases = {alias: one["version"] for one in versions for alias in one["aliases"]}
        return next(one["version"] for one in versions if one["live"]), aliases

    def kept(done: Done, number: str) -> None:
        assert done.code == 3, done.out + done.err
        assert (done.result["gate"]["decision"], done.result["error"]) == ("kept", None)
        assert done.ran[-2:] == ["gate", "render"]
        assert done.result["model"]["version"] == number
        assert live() == ("1", {"champion": "1", "challenger": number})

    assert run().well().result["gate"]["decision"] == "passed"
    assert run().well().result["gate"]["decision"] == "unchanged"
    worse = run("model=logistic_regression", "model.params.C=1e-5", "model/param_grid=none")
    kept(worse, "2")
    assert worse.result["gate"]["comparison"]["difference"] < 0
    equal = run("model.params.min_samples_leaf=2")
    kept(equal, "3")
    assert equal.result["gate"]["looks"] == 3
    assert equal.result["gate"]["comparison"]["interval"][0] < 0 < equal.result["gate"]["comparison"]["interval"][1]

    table = pd.read_csv(ROOT / "data" / "diabetes.csv")  # with one more measurement
    table["HbA1c"] = (5.5 + 1.5 * table["Outcome"] + table["Pregnancies"] % 3 - table.index % 4 / 2).round(1)
    table.to_csv(folder / "measured.csv", index=False)
    better = run("data.path=measured.csv").well()
    assert better.result["gate"]["decision"] == "passed"
    assert better.result["gate"]["looks"] == 1, "other rows begin a new ledger"
    assert live() == ("4", {"champion": "4", "previous": "1", "challenger": "3"})
    return better
