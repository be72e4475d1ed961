"""The list of registered versions, with the in-memory target, and its table on the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.cli.version_table import version_table
from orchestrator.deploy.in_memory import InMemoryTarget
from orchestrator.errors import DeployError
from orchestrator.services import ServiceStatus
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.stages.versions import versions
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import RegisteredEntry, RegisteredModel, TrainingRecord

SPEC = PackageSpec(model_name="m")
RECORD = TrainingRecord({"mean_test_f1": 0.75, "holdout_f1": 0.5}, "f1", "people.csv", "abcdef0123456789")


@dataclass(frozen=True)
class Tracking(NoTracking):
    """A tracker with three versions; the run of the first one was deleted."""

    champion: str = "3"
    records: Mapping[str, TrainingRecord] = field(default_factory=lambda: {"2": RECORD, "3": RECORD})

    @property
    def registry_name(self) -> str:
        return "the registry"

    def look_up(self, model: str) -> RegisteredModel:  # type: ignore[override]  # noqa: ARG002 -- NoTracking gives none
        replaced = {"3": f"2/{'2' * 64}"}
        entries = {
            number: RegisteredEntry(
                number * 64, f"run-{number}", 1_700_000_000 + int(number), 0, replaced.get(number, "")
            )
            for number in "123"
        }
        return RegisteredModel.of(entries, {"champion": self.champion, "challenger": "1"})

    def describe(self, model: str) -> Mapping[str, TrainingRecord]:  # noqa: ARG002 -- the boundary's signature
        return self.records

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Download nothing: a list needs no package."""


@dataclass(frozen=True)
class Serving(InMemoryTarget):
    """A target whose service names version 3."""

    def status(self) -> ServiceStatus:
        return ServiceStatus("svc", "healthy", "http://fake", {}, "m", "3", "3" * 64)


@dataclass(frozen=True)
class Unreachable(InMemoryTarget):
    """A target that cannot be asked."""

    def status(self) -> ServiceStatus:
        raise DeployError("no engine answers")


def test_versions_are_listed_with_scores_data_aliases_and_what_is_live(tmp_path: Path) -> None:
    listing = versions(SPEC, StateDir(tmp_path), Tracking(), Serving())
    assert [one.version for one in listing.versions] == ["3", "2", "1"]
    assert [list(one.aliases) for one in listing.versions] == [["champion"], ["previous"], ["challenger"]]
    assert [one.live for one in listing.versions] == ["svc", "", ""]
    third, _, first = listing.versions
    assert (third.refit, third.metrics, third.data, third.data_digest) == (
        "f1",
        {"mean_test_f1": 0.75, "holdout_f1": 0.5},
        "people.csv",
        "abcdef0123456789",
    )
    assert (third.registered, third.here) == ("2023-11-14T22:13:23+00:00", False)
    assert (first.metrics, first.data) == (None, "")
    lines = version_table(listing).splitlines()
    assert lines[0] == "3 versions of 'm' in the registry"
    assert lines[3].split() == [
        *("3", "champion", "svc", "2023-11-14", "22:13", "f1", "0.7500", "0.5000", "people.csv", "abcdef01", "3" * 16)
    ]
    assert lines[-1] == "service 'svc' is healthy at http://fake, with m 3"


def test_a_target_that_cannot_be_asked_hides_no_version(tmp_path: Path) -> None:
    listing = versions(SPEC, StateDir(tmp_path), Tracking(), Unreachable())
    assert len(listing.versions) == 3
    assert version_table(listing).endswith("\nwhat is live is not known: no engine answers")


def test_a_model_without_versions_has_an_empty_list(tmp_path: Path) -> None:
    listing = versions(SPEC, StateDir(tmp_path), NoTracking(), InMemoryTarget())
    assert version_table(listing) == (
        "'m' has no version on this machine; make one with stages=package\nno service 'fake' is running"
    )


def test_the_same_package_is_listed_where_it_is_on_this_machine(tmp_path: Path) -> None:
    Package.stored(tmp_path, "2" * 64, "m").path.mkdir(parents=True)
    listing = versions(SPEC, StateDir(tmp_path), Tracking(), InMemoryTarget())
    assert [one.version for one in listing.versions if one.here] == ["2"]
