"""Versions in a registry as another machine finds them: champions, the one before, packages and training records."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.deploy.none import NoTarget
from orchestrator.errors import PackageError, TrackingError
from orchestrator.events import RunFinished, StepFinished
from orchestrator.registry.selection import select_version
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.mlflow.tracker import Mlflow
from score.contract.schema import FILE, Contract
from tests.tracking.kit import TRAIN, client_of, in_subprocess, report_of, whole_run
from tests.tracking.servers import mlflow_server

MakeTracker = Callable[..., Mlflow]
MODEL = "diabetes_model"


@pytest.fixture
def others(package: Package, tmp_path: Path) -> list[Package]:
    """Three packages that differ."""
    made = [package]
    for number in (2, 3):
        folder = tmp_path / f"package-{number}"
        shutil.copytree(package.path, folder)
        (folder / "golden.json").write_text(f'[{{"reply": {number}}}]')
        contract = Contract.from_json((folder / FILE).read_bytes()).write(folder)
        made.append(Package(folder, contract.fingerprint, MODEL))
    return made


def report(number: int) -> Report:
    """A Report that says where its data is from; each is another run."""
    made = report_of(1)
    params = {**made.params, "seed": str(number), "search.refit": "roc_auc", "data.path": "/data/people.csv"}
    return replace(made, params=params, tags={**made.tags, "data_fingerprint": "d" * 64})


def released(tracker: Mlflow, packages: list[Package]) -> list[ModelVersion]:
    """Register each package and make it the champion, one after another."""
    return [
        whole_run(tracker, one, Verification(one.fingerprint, 5, 10**8), StepFinished(TRAIN, 1.0, report(number)))
        for number, one in enumerate(packages)
    ]


def elsewhere(tracker: Mlflow, folder: Path) -> Mlflow:
    """The tracker of a machine that shares only the store."""
    return Mlflow(tracker.tracking_uri, tracker.experiment_name, folder)


def fetched(tracker: Mlflow, version: str) -> ModelVersion:
    spec, state = PackageSpec(model_name=MODEL, version=version), StateDir(tracker.state_dir)
    try:
        found = select_version(spec, state, tracker, NoTarget(), ())
    except BaseException as error:
        tracker(RunFinished(1.0, error))
        raise
    tracker(RunFinished(1.0))
    return found


def logged_model(tracker: Mlflow, version: str) -> str:
    return str(client_of(tracker).get_model_version(MODEL, version).source).removeprefix("models:/")


def promoted(tracker: Mlflow, version: ModelVersion) -> None:
    tracker.promote(version)
    tracker(RunFinished(1.0))


def test_another_machine_selects_and_downloads_versions(
    tracker: MakeTracker, others: list[Package], tmp_path: Path
) -> None:
    released(tracker(), others)
    client_of(tracker()).set_registered_model_alias(MODEL, "challenger", "1")
    for wanted, number in (("last", 3), ("champion", 3), ("previous", 2), ("challenger", 1), ("2", 2)):
        found = fetched(elsewhere(tracker(), tmp_path / wanted), wanted)
        assert (found.version, found.package.fingerprint) == (str(number), others[number - 1].fingerprint)
        assert found.package.is_intact()
        assert found.package.path.is_relative_to(tmp_path / wanted / "packages")
        assert (found.memory_bytes, bool(found.run_id)) == (10**8, True)
    again = elsewhere(tracker(), tmp_path / "last")
    assert again.known_registry(MODEL) == tracker().look_up(MODEL)  # the snapshot has everything


def test_the_champion_before_is_known_to_every_machine_and_swaps(
    tracker: MakeTracker, others: list[Package], tmp_path: Path
) -> None:
    released(tracker(), others)
    machine = elsewhere(tracker(), tmp_path / "other")
    for number in ("2", "3", "2"):
        promoted(machine, fetched(machine, "previous"))
        assert tracker().look_up(MODEL).champion == number
    client_of(tracker()).delete_model_version(MODEL, "3")
    with pytest.raises(PackageError) as caught:
        fetched(machine, "previous")
    assert str(caught.value).startswith(
        "package.version: version 3, the champion before version 2, is no longer in the registry: it was deleted, or the "
        "model renamed, and before it version 1 was the champion; choose package.version="
    )


@pytest.mark.nightly
def test_a_champion_that_is_deleted_takes_no_history_with_it(
    tracker: MakeTracker, others: list[Package], tmp_path: Path
) -> None:
    released(tracker(), others)
    client, machine = client_of(tracker()), elsewhere(tracker(), tmp_path / "other")
    client.delete_model_version(MODEL, "3")
    registry = tracker().look_up(MODEL)
    assert (registry.champion, registry.previous) == (None, ("2", others[1].fingerprint))
    found = fetched(machine, "previous")
    assert (found.version, found.chosen) == ("2", "the last champion; the present one was deleted, or lost its alias")
    promoted(machine, found)
    registry = tracker().look_up(MODEL)
    assert (registry.champion, registry.previous) == ("2", ("1", others[0].fingerprint))
    client.delete_model_version(MODEL, "2")
    assert fetched(machine, "previous").version == "1"


@pytest.mark.nightly
def test_an_alias_that_was_moved_by_hand_leaves_the_history(
    tracker: MakeTracker, others: list[Package], tmp_path: Path
) -> None:
    versions = released(tracker(), others)
    client_of(tracker()).set_registered_model_alias(MODEL, "champion", "2")  # which replaced version 1, once
    assert tracker().look_up(MODEL).previous == ("3", others[2].fingerprint)
    promoted(elsewhere(tracker(), tmp_path / "other"), versions[1])
    assert tracker().look_up(MODEL).previous == ("3", others[2].fingerprint)
    client_of(tracker()).delete_registered_model_alias(MODEL, "champion")
    assert fetched(elsewhere(tracker(), tmp_path / "third"), "previous").version == "2"


@pytest.mark.nightly
def test_the_first_champion_has_none_before_it(tracker: MakeTracker, package: Package, tmp_path: Path) -> None:
    released(tracker(), [package])
    with pytest.raises(PackageError, match="no version of 'diabetes_model' was the champion before version 1; choose"):
        fetched(elsewhere(tracker(), tmp_path / "other"), "previous")


def test_a_challenger_that_becomes_the_champion_is_no_challenger(tracker: MakeTracker, others: list[Package]) -> None:
    first, second = released(tracker(), others[:2])
    client_of(tracker()).set_registered_model_alias(MODEL, "challenger", first.version)
    promoted(tracker(), first)
    registry = tracker().look_up(MODEL)
    assert (registry.champion, registry.aliases) == ("1", {})
    assert registry.previous == (second.version, second.package.fingerprint)


def test_a_damaged_or_deleted_version_is_refused_by_name(
    tracker: MakeTracker, package: Package, tmp_path: Path
) -> None:
    mlflow = tracker()
    released(mlflow, [package])
    machine = elsewhere(mlflow, tmp_path / "other")
    files = next((mlflow.state_dir / "artifacts" / "models").glob("*/artifacts"))
    pickle = (files / "model.pkl").read_bytes()

    def refused() -> str:
        with pytest.raises((PackageError, TrackingError)) as caught:
            fetched(machine, "1")
        assert "register it again with stages=package" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert [path.suffix for path in (tmp_path / "other" / "packages").iterdir()] == [".lock"]
        return str(caught.value)

    damaged = (
        f"package.version: version 1 of '{MODEL}' in {mlflow.tracking_uri} is damaged: its files are not the package"
    )
    (files / "model.pkl").write_bytes(b"another model")
    assert damaged in refused()
    (files / "model.pkl").unlink()
    assert damaged in refused()
    (files / "model.pkl").write_bytes(pickle)
    files.rename(files.with_name("moved"))
    assert f"tracking: the files of version 1 of '{MODEL}' are not in {files}: they were deleted, or this" in refused()
    files.with_name("moved").rename(files)
    client_of(mlflow).delete_logged_model(logged_model(mlflow, "1"))
    assert f"tracking: the files of version 1 of '{MODEL}' are not in the store: they were deleted" in refused()


@pytest.mark.nightly
def test_the_runs_of_versions_are_described(tracker: MakeTracker, others: list[Package]) -> None:
    versions = released(tracker(), others[:2])
    client_of(tracker()).delete_run(versions[0].run_id)
    described = in_subprocess(tracker())
    records = described.describe(MODEL)
    described(RunFinished(1.0))
    assert sorted(records) == ["1", "2"]  # a deleted run can still be read
    record = records["2"]
    assert (record.refit, record.score, record.data, record.data_digest, record.sweep) == (
        "roc_auc",
        0.8,
        "people.csv",
        "d" * 64,
        "",
    )


@pytest.mark.nightly
@pytest.mark.slow
def test_machines_share_versions_through_a_server(others: list[Package], tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "server") as uri:
        released(Mlflow(uri, "diabetes", tmp_path / "trained"), others[:2])
        machine = in_subprocess(Mlflow(uri, "diabetes", tmp_path / "other"))
        found = fetched(machine, "previous")
        assert (found.version, found.package.fingerprint) == ("1", others[0].fingerprint)
        assert found.package.is_intact()
        promoted(machine, found)
        registry = machine.look_up(MODEL)
        machine(RunFinished(1.0))
        assert (registry.champion, registry.previous) == ("1", ("2", others[1].fingerprint))
        shutil.rmtree(next((tmp_path / "server" / "files").rglob(logged_model(machine, "2"))))
        with pytest.raises(TrackingError, match=r"the files of version 2 of 'diabetes_model' are not in mlflow-art"):
            fetched(machine, "2")
