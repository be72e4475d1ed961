"""The report's stages: what is accepted is left out, and the page is kept where files can be kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.artifacts import ModelVersion, Package, PackageProvenance, Report, Split
from orchestrator.findings import CheckedTable, TableFinding
from orchestrator.gate.verdict import Verdict
from orchestrator.modeling.row_digests import rows_digest
from orchestrator.registry.versions import RegisteredVersion, add_version
from orchestrator.report.inspection import Inspection, ReportPage
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.field_types import Seed, StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.report import CardSpec, ReportSpec
from orchestrator.stages.report import inspect, render
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, RegisteredModel
from score.contract import distribution, training_info
from score.contract.schema import Contract
from tests.report.trainings import Training, two_classes

EDGE = TableFinding("model-grid-edge", "C=1 is at the edge", (), {"model.param_grid.C": [1, 2]})


class Keeping(NoTracking):
    """A tracker that keeps files, in memory."""

    def attach(self, report: Report, files: Mapping[str, bytes], version: ModelVersion | None = None) -> None:  # noqa: ARG002
        held.update(files)


held: dict[str, bytes] = {}


def made(
    training: Training,
    tracker: NoTracking,
    *,
    accept: tuple[str, ...] = (),
    verdict: Verdict | None = None,
    state: Path = Path(),
    loads: bool = False,
    **report: object,
) -> ReportPage:
    spec = ReportSpec.model_validate(report)
    seen: Inspection = inspect(
        training.split,
        training.trained,
        training.evaluation,
        training.data,
        training.model,
        training.search,
        spec,
        Seed(0),
    )
    data = training.data.model_copy(update={"accept": accept})
    provenance = RunProvenance(Path(), "", PackageProvenance(rebuild="orchestrate model=x"))
    seen = dataclasses.replace(seen, findings=(EDGE,))
    checked = CheckedTable((), note="data.checks=off")

    def split() -> Split:
        assert loads
        return training.split

    parts = training.split
    tags = {"data_fingerprint": parts.digest, HOLDOUT_DIGEST: rows_digest(parts.X_test, parts.y_test)}
    given = (provenance, PackageSpec(model_name="m"), split, tracker, StateDir(state), checked, verdict)
    return render(training.report(tags=tags), seen, data, spec, *given)


def test_the_page_is_kept_beside_the_run_with_its_card_and_groups() -> None:
    held.clear()
    page = made(two_classes(), Keeping(), slices="city", card={"limits": "None known."})
    assert held == {"report.html": page.html.encode()}
    for said in ("None known.", "Hold-out scores by the values of city", "orchestrate model=x", "data.checks=off"):
        assert said in page.html
    assert ([finding.code for finding in page.findings], page.remedy) == (
        ["model-grid-edge"],
        "'model.param_grid.C=[1,2]'",
    )


def test_an_accepted_finding_is_left_out_and_without_a_store_nothing_is_kept() -> None:
    page = made(two_classes(), NoTracking(), accept=("model-grid-edge",), card=CardSpec().model_dump())
    assert page.findings == ()
    assert "C=1 is at the edge" not in page.html


def test_the_gates_decision_is_said_with_its_reasons() -> None:
    kept = Verdict(
        "kept",
        ["no evidence that it is better", "roc_auc 0.8 is better"],
        ["these rows were used 3 times"],
        champion="7",
        needed="500 rows",
    )
    page = made(two_classes(), NoTracking(), verdict=kept)
    for said in (
        "Champion version 7 stays; this version is registered and not deployed.",
        "No evidence that it is better.",
        "These rows were used 3 times.",
        "500 rows.",
        "roc_auc 0.8 is better.",
    ):
        assert said in page.html


def test_of_a_version_that_is_champion_already_the_former_decision_is_said() -> None:
    already = Verdict("unchanged", ["this package is champion version 2 already"], recorded="passed: better by 0.1")
    page = made(two_classes(), NoTracking(), verdict=already)
    assert "Decided before: passed: better by 0.1." in page.html


def champion_of(parts: Split, folder: Path) -> NoTracking:
    """Write what a package says of its training, and return a registry whose champion it is."""
    (folder / "package").mkdir()
    contract = Contract.describe(parts.X_train, model_name="m", task="classification", classes=parts.classes)
    distribution.write(folder / "package", parts.X_train, contract)
    held_out = rows_digest(parts.X_test, parts.y_test)
    rows = (len(parts.y_train), len(parts.y_test))
    about = training_info.About("x", {}, {}, *rows, parts.digest, "y", held_out=held_out)
    training_info.write(folder / "package", about, {})
    package = Package(folder / "package", contract.write(folder / "package").fingerprint, "m")
    add_version(StateDir(folder), RegisteredVersion(ModelVersion("m", "3", None, package), "memory"))

    class Registry(NoTracking):
        registry_name = "memory"

        def look_up(self, model: str) -> RegisteredModel:  # type: ignore[override]  # noqa: ARG002
            return RegisteredModel({"3": package.fingerprint}, "3")

    return Registry()


def test_the_data_is_compared_with_the_champions_whatever_the_gate_is(tmp_path: Path) -> None:
    today = two_classes()
    assert "no champion whose training data" in made(today, NoTracking()).html
    tracker = champion_of(today.split, tmp_path)
    page = made(today, tracker, state=tmp_path).html  # without the rows: a cached run needs not load them
    assert "the champion version 3 was trained on the same rows of the same table" in page
    other = two_classes(400, seed=1)
    other.split = dataclasses.replace(other.split, digest="1" * 64)
    other.split.X_train["a"] += 9
    page = made(other, tracker, state=tmp_path, loads=True).html
    assert "Against the training data of champion version 3: 150 rows then, 300 now." in page
    assert "Of 3 columns 1 changed." in page
    (tmp_path / "package").rename(tmp_path / "gone")
    assert "its package is not on this machine" in made(other, tracker, state=tmp_path).html


@pytest.mark.parametrize("file", ["profile.json", "contract.json"])
def test_a_damaged_package_of_the_champion_is_no_error(tmp_path: Path, file: str) -> None:
    tracker = champion_of(two_classes(seed=3).split, tmp_path)
    (tmp_path / "package" / file).write_text("{")
    assert (
        "The data was not compared with that of champion version 3" in made(two_classes(), tracker, state=tmp_path).html
    )
