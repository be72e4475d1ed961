"""The gate with real packages: the champion's answers come from a clean process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.artifacts import ModelVersion, Package, Report, Split, Trained
from orchestrator.events import Progress
from orchestrator.gate.champion import MOST_REFUSED, Champion, target_note
from orchestrator.gate.ledger import spend
from orchestrator.gate.verdict import Verdict
from orchestrator.modeling.row_digests import rows_digest
from orchestrator.registry.versions import RegisteredVersion, add_version
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.field_types import Seed, Serves, StateDir
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.package import PackageSpec
from orchestrator.stages.gate import gate
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, SPEC_HASH, RegisteredModel
from orchestrator.uncertainty.design import HoldOutDesign
from orchestrator.uncertainty.shares import wilson
from score.contract.schema import FILE, Contract
from tests.stages.conftest import Kit

LINEAR = "sklearn.linear_model.LogisticRegression"
NAMED = PackageSpec(model_name="toy_model")


@dataclass(frozen=True)
class Registry(NoTracking):
    """A registry in memory; ``held`` are packages by version, the first one is the champion."""

    held: Mapping[str, Package]
    seen: Sequence[str] = ()
    recorded: list[tuple[ModelVersion, Any, Any, str]] = field(default_factory=list)

    @property
    def registry_name(self) -> str:
        return "memory"

    def look_up(self, model: str) -> RegisteredModel | None:  # type: ignore[override]  # noqa: ARG002
        return RegisteredModel(
            {number: one.fingerprint for number, one in self.held.items()}, next(iter(self.held), None)
        )

    def looks(self, holdout: str, sweep: str = "") -> Sequence[str]:  # noqa: ARG002
        return [] if sweep else self.seen

    def record_verdict(self, version: ModelVersion, tags: Any, metrics: Any, alias: str) -> None:
        self.recorded.append((version, tags, metrics, alias))


@dataclass(frozen=True)
class Model:
    """A trained model with its package, and what the gate gets of it."""

    parts: Split
    trained: Trained
    package: Package
    score: float

    def report(self, spec: str) -> Report:
        tags = {HOLDOUT_DIGEST: rows_digest(self.parts.X_test, self.parts.y_test), SPEC_HASH: spec}
        return Report({}, tags, {}, {"holdout_accuracy": self.score, "dummy_accuracy": 0.5}, (), {}, "")


class Shop:
    """Makes models in a folder and lets the gate decide about them."""

    def __init__(self, folder: Path) -> None:
        self.kit, self.state = Kit(folder), StateDir(folder / "state")

    def model(self, table: pd.DataFrame, C: float = 1.0, fit_on: str = "training", **keys: Any) -> Model:
        parts, trained = self.kit.train(table, self.kit.search(LINEAR, params={"C": C}), **keys)
        package = self.kit.package(parts, trained, fit_on, compile="never")
        return Model(parts, trained, package, float(trained.pipeline.score(parts.X_test, parts.y_test)))

    def decide(
        self,
        new: Model,
        tracker: NoTracking,
        spec: GateSpec | None = None,
        *,
        sweep: str = "",
        serves: bool = True,
        scoring: str = "accuracy",
        asked: bool = True,
    ) -> Verdict:
        for number, package in getattr(tracker, "held", {}).items():
            add_version(self.state, RegisteredVersion(ModelVersion("toy_model", number, None, package), "memory"))
        return gate(
            ModelVersion("toy_model", "7", "run", new.package),
            new.report("this"),
            spec or GateSpec(),
            self.kit.search_spec(scoring=[scoring], refit=scoring),
            NAMED,
            Seed(0),
            Serves(serves),
            (lambda: new.parts) if asked else unasked,
            (lambda: new.trained) if asked else unasked,
            tracker,
            self.state,
            RunProvenance(Path(), "", sweep=sweep),
            Progress(),
        )


def unasked() -> Any:
    raise AssertionError("nothing is made or read")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two labels, a column that separates them, and one that does not."""
    random = np.random.default_rng(0)
    y = random.permutation(np.repeat([0, 1], 100))
    return pd.DataFrame({"signal": y + random.normal(0, 0.4, 200), "noise": random.normal(size=200), "y": y})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def good(shop: Shop, table: pd.DataFrame) -> Model:
    return shop.model(table)


@pytest.fixture(scope="module")
def bad(shop: Shop, table: pd.DataFrame) -> Model:
    """It knows one column, which says nothing of the label."""
    return shop.model(table.drop(columns="signal"))


def test_what_is_better_passes(shop: Shop, good: Model, bad: Model) -> None:
    tracker = Registry({"3": bad.package}, seen=("a", "b"))
    verdict = shop.decide(good, tracker)
    assert verdict.decision == "passed"
    assert verdict.reasons[0].startswith("against champion version 3 better: accuracy ")
    assert verdict.comparison is not None
    assert verdict.comparison.second == pytest.approx(bad.score), "the package answers as the pipeline did"
    assert (verdict.level, verdict.champion) == (replace(verdict.level, looks=3), "3")  # type: ignore[type-var]
    assert any("trained on another table" in note for note in verdict.notes)
    assert verdict.level is not None
    assert verdict.level.spent == spend(0.05, 3), "the champion's look is not among the three: it saw other rows"
    ((version, tags, metrics, alias),) = tracker.recorded
    assert (version.version, tags["gate"], metrics["gate_looks"], alias) == ("7", "passed", 3, "")


def test_what_is_worse_keeps_the_champion_and_says_what_is_needed(shop: Shop, good: Model, table: pd.DataFrame) -> None:
    tracker = Registry({"3": good.package}, seen=("a", "b"))
    worse = shop.model(table, C=1e-9)
    verdict = shop.decide(worse, tracker)
    assert verdict.decision == "kept"
    assert "no evidence that it is better" in verdict.reasons[0]
    assert verdict.needed.startswith("needed: a difference of +0.")
    assert "hold-out rows if" not in verdict.needed, "no number of rows shows that a worse model is better"
    assert not [note for note in verdict.notes if "was trained on" in note], (
        "both are scored on rows that are new to them"
    )
    assert tracker.recorded[0][3] == "challenger"
    assert verdict.level is not None
    assert verdict.level.spent == spend(0.05, 2), "nothing was decided by the champion's look"


def test_the_champion_itself_is_not_compared(shop: Shop, good: Model) -> None:
    tracker = Registry({"7": good.package})
    verdict = shop.decide(good, tracker, asked=False)
    assert (verdict.decision, verdict.ends, tracker.recorded) == ("unchanged", "", [])


@pytest.mark.parametrize("tracker", [Registry({}), NoTracking()], ids=["no champion", "no tracking"])
def test_without_a_champion_a_dummy_that_is_as_good_is_a_warning(tracker: NoTracking, shop: Shop, bad: Model) -> None:
    useless = replace(bad, score=0.5)
    verdict = shop.decide(useless, tracker)
    assert verdict.decision == "passed"
    assert verdict.notes == ["accuracy 0.5 is no better than a dummy's 0.5"]
    assert verdict.alarming
    assert shop.decide(useless, tracker, GateSpec(kind="none")).line == "passed: gate=none lets every version pass"
    refused = shop.decide(useless, tracker, GateSpec(kind="threshold"))
    unlimited = "there are no limits (gate.minimum, gate.maximum)"
    assert refused.line == f"refused: {unlimited}; accuracy 0.5 is no better than a dummy's 0.5"


def test_limits_refuse_by_the_score_or_by_its_bound(shop: Shop, good: Model) -> None:
    limit = {"accuracy": round(good.score - 0.01, 3)}
    assert shop.decide(good, NoTracking(), GateSpec(kind="threshold", minimum=limit)).decision == "passed"
    by_bound = shop.decide(good, NoTracking(), GateSpec(kind="threshold", minimum=limit, by="bound"))
    assert by_bound.decision == "refused"
    minimum, dummy = by_bound.checks
    assert 0.6 < minimum.value < minimum.limit
    assert dummy.passed, "both are compared on the same rows"
    assert shop.decide(good, Registry({}), GateSpec(maximum={"accuracy": 0.5})).decision == "refused"


def test_a_bound_is_not_1_because_a_few_rows_are_right(shop: Shop, good: Model) -> None:
    def decide(positives: int, scoring: str) -> Verdict:
        X, y = good.parts.X_test, good.parts.y_test
        right = good.trained.pipeline.predict(X) == y.to_numpy()
        at = [*np.flatnonzero(right & (y == 0))[:6], *np.flatnonzero(right & (y == 1))[:positives]]
        few = replace(good, parts=replace(good.parts, X_test=X.iloc[at], y_test=y.iloc[at]), score=1.0)
        limited = GateSpec(kind="threshold", minimum={scoring: 0.9}, by="bound")
        return shop.decide(few, NoTracking(), limited, scoring=scoring)

    minimum, dummy = decide(4, "accuracy").checks
    assert minimum.value == pytest.approx(wilson(10, 10, 0.95).low)
    assert not dummy.passed, "four rows that a dummy has wrong are no evidence at 0.025"
    one = decide(1, "roc_auc")
    assert (one.decision, json.loads(json.dumps(one.as_json()))["checks"][0]["value"]) == ("refused", None)


def test_a_champion_of_another_target_is_named(good: Model) -> None:
    contract = Contract.from_json((good.package.path / FILE).read_bytes())
    champion = Champion(ModelVersion("toy_model", "3", None, good.package), contract, {"target": "left"})
    assert target_note(champion, "moved") == "the champion version 3 predicts 'left', and this version 'moved'"
    assert target_note(champion, "left") == target_note(champion, "") == ""


def test_a_sweep_that_deploys_nothing_decides_nothing(shop: Shop, good: Model, bad: Model) -> None:
    tracker = Registry({"3": bad.package})
    assert shop.decide(good, tracker, sweep="s1", serves=False).decision == "open"
    assert tracker.recorded == []


# What makes a champion hard to compare with


@pytest.mark.nightly
def test_a_champion_of_another_contract_leaves_limits_and_the_dummy(shop: Shop, good: Model, bad: Model) -> None:
    verdict = shop.decide(bad, Registry({"3": good.package}))
    assert verdict.reasons[0] == (
        "champion version 3 cannot be compared with: it needs columns that this table has not: 'signal'"
    )
    assert verdict.decision == ("passed" if bad.score > 0.5 else "refused")
    other = replace(good, parts=replace(good.parts, classes=(0, 2)))
    assert (
        "its classes are '0', '1', and those of this table '0', '2'"
        in shop.decide(other, Registry({"3": bad.package})).reasons[0]
    )


@pytest.mark.nightly
def test_a_champion_whose_files_are_gone_or_broken_is_said(shop: Shop, good: Model, bad: Model, tmp_path: Path) -> None:
    gone = Package(tmp_path / "gone", "f" * 64, "toy_model")
    assert "its package cannot be used" in shop.decide(good, Registry({"3": gone})).reasons[0]
    folder = tmp_path / "old"
    shutil.copytree(bad.package.path, folder)
    (folder / "score" / "score.py").write_text("raise ImportError('no such library')\n")
    from score.contract.schema import FILE, Contract

    sealed = Contract.from_json((folder / FILE).read_bytes()).write(folder)
    broken = Package(folder, sealed.fingerprint, "toy_model")
    assert "it fails on this machine" in shop.decide(good, Registry({"4": broken})).reasons[0]


@pytest.mark.nightly
def test_a_champion_of_another_split_looks_better_than_it_is(shop: Shop, good: Model, table: pd.DataFrame) -> None:
    elsewhere = shop.model(table, seed=5)
    verdict = shop.decide(good, Registry({"3": elsewhere.package}))
    assert any("about 75% of these hold-out rows were among its training rows" in note for note in verdict.notes)


@pytest.mark.nightly
def test_a_champion_fitted_on_all_rows_is_compared_on_the_folds(shop: Shop, good: Model, table: pd.DataFrame) -> None:
    shipped = shop.model(table, C=1e-9, fit_on="all")
    verdict = shop.decide(good, Registry({"3": shipped.package}))
    assert verdict.comparison is not None
    assert verdict.comparison.method == "corrected t-test on 2 folds"
    assert "its folds are compared" in verdict.notes[-1]


@pytest.mark.nightly
def test_rows_that_the_champion_refuses_are_left_out(shop: Shop, table: pd.DataFrame) -> None:
    """A tree scores missing cells; the champion's contract has no column with some."""
    champion = shop.model(table)
    holes = table.copy()
    holes.loc[holes.sample(frac=0.05, random_state=0).index, "signal"] = np.nan
    parts, trained = shop.kit.train(holes, shop.kit.search())
    new = Model(parts, trained, replace(champion.package, fingerprint="0" * 64), 0.9)
    refused = int(parts.X_test["signal"].isna().sum())
    assert 0 < refused <= MOST_REFUSED * 50
    verdict = shop.decide(new, Registry({"3": champion.package}))
    assert verdict.comparison is not None
    assert verdict.comparison.rows == 50 - refused
    assert f"refuses {refused} hold-out rows" in verdict.notes[-1]


@pytest.mark.nightly
def test_areas_are_compared_by_delong_and_groups_as_a_whole(shop: Shop, good: Model, bad: Model) -> None:
    by_area = shop.decide(good, Registry({"3": bad.package}), scoring="roc_auc")
    assert by_area.comparison is not None
    assert (by_area.decision, by_area.comparison.method) == ("passed", "DeLong's test")
    rows = len(good.parts.y_test)
    grouped = replace(good, parts=replace(good.parts, design=HoldOutDesign(groups=np.arange(rows) // 5)))
    compared = shop.decide(grouped, Registry({"3": bad.package}), scoring="roc_auc").comparison
    assert compared is not None
    assert compared.method == "paired bootstrap of whole groups"
    assert compared.degrees == rows // 5 - 1


@pytest.mark.nightly
def test_a_model_that_is_not_worse_may_replace_the_champion(shop: Shop, good: Model, table: pd.DataFrame) -> None:
    equal = shop.model(table, C=1.001)
    champion = Registry({"3": good.package})
    assert shop.decide(equal, champion).decision == "kept"
    assert shop.decide(equal, champion, GateSpec(rule="not_worse", margin=0.05)).decision == "passed"
