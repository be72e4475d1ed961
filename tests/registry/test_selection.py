"""Which version a command selects: a table of what is registered, what is live and what the registry holds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.artifacts import ModelVersion, Package, Report
from orchestrator.deploy.in_memory import InMemoryTarget
from orchestrator.deploy.none import NoTarget
from orchestrator.deploy.target import Target
from orchestrator.errors import PackageError
from orchestrator.registry import versions
from orchestrator.registry.candidates import merge
from orchestrator.registry.selection import VersionSelector
from orchestrator.registry.versions import RegisteredVersion
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import RegisteredEntry, RegisteredModel, TrainingRecord

DEPLOY, BATCH = ("newest",), ("live", "champion")
ALL = RegisteredModel({number: number * 3 for number in "1234"}, champion="2")


def version(number: str, model: str = "m") -> ModelVersion:
    return ModelVersion(model, number, f"run-{number}", Package(Path(number), number * 3, model))


def one(
    number: str, score: float | None = None, sweep: str = "", refit: str = "roc_auc", data: str = "d"
) -> RegisteredVersion:
    return RegisteredVersion(version(number), "here", refit, score, data, sweep)


SINGLE = [one("1", 0.7), one("2", 0.9), one("3", 0.8)]
SWEEP = [one("1", 0.95), one("2", 0.7, "s"), one("3", 0.8, "s"), one("4", 0.75, "s")]


@dataclass(frozen=True)
class Tracking(NoTracking):
    registry: RegisteredModel | None = ALL

    def look_up(self, model: str) -> RegisteredModel | None:  # type: ignore[override]  # noqa: ARG002 -- NoTracking gives none
        return self.registry


@dataclass(frozen=True)
class Describing(Tracking):
    """A tracker whose registry holds packages; ``records`` are of the runs, by version."""

    records: Mapping[str, TrainingRecord] = field(default_factory=dict)

    def describe(self, model: str) -> Mapping[str, TrainingRecord]:  # noqa: ARG002 -- the boundary's signature
        return self.records

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Download nothing."""


def serving(number: str, model: str = "m") -> InMemoryTarget:
    target = InMemoryTarget(service_name="svc")
    target.deploy(version(number, model))
    return target


def test_a_fingerprint_that_leads_out_of_the_packages_is_no_package(tmp_path: Path) -> None:
    entries = {"1": RegisteredEntry("../../elsewhere"), "2": RegisteredEntry("ab12")}
    merged = merge([], RegisteredModel.of(entries, {}), tmp_path, "m", "registry")
    assert [one.version.version for one in merged] == ["2"]


def shared(
    *numbers: str, champion: str = "", replaced: str = "", challenger: str = "", promoted: str = ""
) -> RegisteredModel:
    """A registry that holds packages; each version was created at its number, and those promoted in that order."""
    entries = {
        number: RegisteredEntry(
            number * 3,
            f"run-{number}",
            float(number),
            5,
            replaced=replaced if number == champion else "",
            turn=promoted.rfind(number) + 1,
        )
        for number in numbers
    }
    aliases = {"champion": champion, "challenger": challenger}
    return RegisteredModel.of(entries, {alias: number for alias, number in aliases.items() if number})


def choose(
    registered: Sequence[RegisteredVersion],
    wanted: str | Sequence[str],
    registry: RegisteredModel | None = ALL,
    target: Target | None = None,
) -> tuple[str, str]:
    selector = VersionSelector("m", registered, Tracking(registry), target or NoTarget())
    selected = selector.select(wanted) if isinstance(wanted, str) else selector.select_first(wanted)
    return selected.version, selected.chosen


@pytest.mark.parametrize(
    ("registered", "wanted", "number", "why"),
    [
        (SINGLE, DEPLOY, "3", "registered last"),
        (SINGLE, "last", "3", "registered last"),
        (SINGLE, "best", "2", "best roc_auc (0.9000) of 3 versions trained on the same data"),
        (
            [*SINGLE, one("4", 0.5, data="other")],
            "best",
            "4",
            "best roc_auc (0.5000) of 1 version trained on the same data",
        ),
        (SINGLE, "champion", "2", "the champion"),
        (SINGLE, "1", "1", "as package.version says"),
        (SWEEP, DEPLOY, "3", "best roc_auc (0.8000) of 3 versions of the last sweep"),
        (SWEEP, "last", "4", "registered last"),
        ([*SWEEP, one("1", 0.95)], DEPLOY, "1", "registered last"),  # alone, after the sweep
        (
            [one("1", 0.9, "s"), one("2", 0.9, "s")],
            DEPLOY,
            "1",
            "best roc_auc (0.9000) of 2 versions of the last sweep",
        ),
        (
            [one("1", None, "s"), one("2", 0.1, "s")],
            DEPLOY,
            "2",
            "best roc_auc (0.1000) of 2 versions of the last sweep",
        ),
        ([one("2", 0.1), one("3", 0.5, "s")], DEPLOY, "3", "registered last"),  # a sweep of one version
        (SINGLE, BATCH, "2", "the champion; nothing is served with deploy=none"),
    ],
)
def test_which_version_is_selected_and_why(
    registered: Sequence[RegisteredVersion], wanted: str | Sequence[str], number: str, why: str
) -> None:
    assert choose(registered, wanted) == (number, why)


@pytest.mark.parametrize(
    ("registered", "wanted", "registry", "number", "why"),
    [
        ([], DEPLOY, shared(*"12"), "2", "registered last, on another machine"),
        ([], "1", shared(*"12"), "1", "as package.version says"),
        ([], "champion", shared(*"12", champion="1"), "1", "the champion"),
        ([], "challenger", shared(*"12", challenger="1"), "1", "the challenger"),
        ([], "previous", shared(*"12", champion="2", replaced="1/111"), "1", "the champion before version 2"),
        (
            [],
            "previous",
            shared(*"123", champion="3", replaced="1/111", promoted="123"),
            "1",
            "the champion before version 3",
        ),
        ([], "previous", shared(*"123", champion="2", promoted="123"), "3", "the champion before version 2"),
        (
            [],
            "previous",
            shared(*"12", promoted="12"),
            "2",
            "the last champion; the present one was deleted, or lost its alias",
        ),
        ([], BATCH, shared(*"12", champion="1"), "1", "the champion; nothing is served with deploy=none"),
        (SINGLE, "last", shared(*"1234"), "4", "registered last, on another machine"),
        (SINGLE, "last", shared(*"0123"), "3", "registered last"),
        ([replace(one("1"), at=9.0)], "last", shared(*"12"), "1", "registered last"),  # trained again after version 2
    ],
)
def test_versions_of_other_machines_count(
    registered: Sequence[RegisteredVersion],
    wanted: str | Sequence[str],
    registry: RegisteredModel,
    number: str,
    why: str,
) -> None:
    assert choose(registered, wanted, registry) == (number, why)


def test_the_best_of_a_sweep_on_another_machine_is_selected() -> None:
    records = {
        number: TrainingRecord({"mean_test_roc_auc": score}, "roc_auc", "t.csv", "d", sweep)
        for number, score, sweep in (("1", 0.9, ""), ("2", 0.8, "s"), ("3", 0.7, "s"))
    }
    selector = VersionSelector("m", [], Describing(shared(*"123"), records=records), NoTarget())
    selected = selector.select_first(DEPLOY)
    assert (selected.version, selected.chosen) == ("2", "best roc_auc (0.8000) of 2 versions of the last sweep")
    assert (selected.origin.data, selected.memory_bytes, selected.run_id) == ("t.csv", 5, "run-2")


def test_batch_selects_the_live_version_and_deploy_does_not() -> None:
    assert choose(SINGLE, BATCH, target=serving("1")) == ("1", "live for service 'svc'")
    assert choose(SINGLE, "live", target=serving("1")) == ("1", "live for service 'svc'")
    assert choose(SINGLE, DEPLOY, target=serving("1")) == ("3", "registered last")
    assert choose([], BATCH, target=serving("1")) == ("", "live for service 'svc'")  # another machine has registered it
    other = "the champion; service 'svc' serves another model, 'other'"
    assert choose(SINGLE, BATCH, target=serving("1", "other")) == ("2", other)


def test_a_live_version_deleted_from_the_registry_has_a_package_but_no_number() -> None:
    left = replace(ALL, versions={"2": "222"})
    message = "live for service 'svc', not in the registry any more"
    assert choose(SINGLE, BATCH, left, serving("1")) == ("", message)
    again = [*SINGLE, replace(one("4"), version=replace(version("4"), package=version("1").package))]
    assert choose(again, BATCH, RegisteredModel({"4": "111"}), serving("1"))[0] == "4"  # registered again


@pytest.mark.parametrize(
    ("registered", "wanted", "registry", "message"),
    [
        ([], DEPLOY, ALL, "package.model_name: no package of 'm' was registered on this machine; make one with"),
        ([], "last", ALL, "package.model_name: no package of 'm' was registered on this machine; make one with"),
        (
            SINGLE,
            BATCH,
            RegisteredModel(ALL.versions),
            (
                "package.version: nothing is served with deploy=none; 'm' has no champion; "
                "choose package.version=last or a number (3, 2, 1)"
            ),
        ),
        (
            SINGLE,
            BATCH,
            None,
            "without tracking there is no champion; choose package.version=last or a number (3, 2, 1)",
        ),
        (SINGLE, "live", ALL, "package.version: nothing is served with deploy=none; choose package.version=last"),
        (
            SINGLE,
            "4",
            ALL,
            "package.version: version 4 holds no package: another program registered it; choose package.version=last",
        ),
        (SINGLE, "9", ALL, "version 9 is not in the registry: it was deleted, or never registered; choose"),
        (SINGLE, "9", None, "version 9 was not registered from this machine; choose package.version=last or a number"),
        (SINGLE, "challenger", ALL, "package.version: 'm' has no challenger; choose package.version=last or a number"),
        (SINGLE, "challenger", None, "package.version: without tracking there is no challenger; choose"),
        (SINGLE, "previous", RegisteredModel(ALL.versions), "package.version: 'm' has no champion; choose"),
        (SINGLE, "previous", ALL, "package.version: no version of 'm' was the champion before version 2; choose"),
        (
            SINGLE,
            "previous",
            shared(*"23", champion="3", replaced="1/111"),
            "version 1, the champion before version 3, is no longer in the registry: it was deleted, or the model renamed",
        ),
        (
            SINGLE,
            "previous",
            shared(*"123", champion="3", replaced="4/444", promoted="1243"),
            "the model renamed, and before it version 2 was the champion; choose package.version=last or a number (3, 2, 1)",
        ),
        (
            SINGLE,
            "previous",
            shared(*"123", champion="3", replaced="1/999"),
            "version 1, the champion before version 3, is no longer in the registry",
        ),
        (
            SINGLE,
            "champion",
            RegisteredModel(ALL.versions, "4"),
            "the champion, version 4, holds no package: another program registered it",
        ),
        # deleted, or reused for another package
        (
            SINGLE,
            DEPLOY,
            RegisteredModel({"1": "111"}),
            "version 3 (registered last) is no longer in the registry: it was deleted",
        ),
        (
            SINGLE,
            "3",
            RegisteredModel({"3": "999", "1": "111"}),
            "no longer in the registry: it was deleted, or the model renamed",
        ),
        (SINGLE, DEPLOY, RegisteredModel({"1": "111"}), "choose package.version=a number (1)"),
        (SINGLE, DEPLOY, RegisteredModel({}), "or the model renamed; register one with stages=package"),
        (
            SWEEP,
            DEPLOY,
            RegisteredModel({"1": "111"}),
            "no version of the last sweep has a score and is in the registry",
        ),
        (
            [one("1", 0.1, "s", "f1"), one("2", 0.2, "s")],
            DEPLOY,
            ALL,
            "the versions of the last sweep were chosen by different metrics (f1, roc_auc) and cannot be compared",
        ),
    ],
)
def test_an_error_names_the_available_versions(
    registered: Sequence[RegisteredVersion], wanted: str | Sequence[str], registry: RegisteredModel | None, message: str
) -> None:
    with pytest.raises(PackageError) as caught:
        choose(registered, wanted, registry)
    assert message in str(caught.value)


def test_a_deleted_version_is_not_the_best() -> None:
    assert choose(SWEEP, DEPLOY, RegisteredModel({"2": "222", "4": "444"}))[0] == "4"


# The record on this machine


def report(params: Mapping[str, str], metrics: Mapping[str, float]) -> Report:
    return Report(params, {"data_fingerprint": "d"}, {}, metrics, (), {}, "")


def test_the_record_holds_every_version_the_last_one_last(tmp_path: Path) -> None:
    done = report({"search.refit": "f1"}, {"mean_test_f1": 0.5, "mean_test_roc_auc": 0.9})
    first = RegisteredVersion.of(version("1"), "here", done, "s")
    assert (first.refit, first.score, first.data, first.sweep) == ("f1", 0.5, "d", "s")
    failed = RegisteredVersion.of(
        version("2"), "here", report({"search.refit": "f1"}, {"mean_test_f1": float("nan")}), ""
    )
    assert failed.score is None
    for each in (first, failed, replace(first, where="there")):
        versions.add_version(tmp_path, each)
    assert versions.read_versions(tmp_path, "m") == [first, failed, replace(first, where="there")]
    versions.add_version(tmp_path, replace(first, sweep="another"))
    assert versions.read_versions(tmp_path, "m") == [
        failed,
        replace(first, where="there"),
        replace(first, sweep="another"),
    ]
    versions.move_to_end(tmp_path, failed.version)
    assert versions.read_versions(tmp_path, "m")[-1] == failed
    assert versions.read_versions(tmp_path, "other") == []


def test_older_records_of_one_version_are_read(tmp_path: Path) -> None:
    (tmp_path / "registered").mkdir()
    (tmp_path / "registered" / "m.json").write_text(
        '{"path": "1", "fingerprint": "111", "version": "1", "run_id": "run-1", "where": "here"}'
    )
    assert versions.read_versions(tmp_path, "m") == [RegisteredVersion(version("1"), "here")]


def add(state: Path, numbers: Sequence[int]) -> None:
    for number in numbers:
        versions.add_version(state, one(str(number)))


def test_processes_that_register_at_once_lose_no_version(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add, args=(tmp_path, range(start, 40, 4))) for start in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    recorded = versions.read_versions(tmp_path, "m")
    assert sorted(int(each.version.version) for each in recorded) == [*range(40)]
