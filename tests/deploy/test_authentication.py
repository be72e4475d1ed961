"""Without an option a deployment asks for a key as the service does that it replaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.authentication import keep_authentication
from orchestrator.deploy.in_memory import InMemoryTarget, Service
from orchestrator.deploy.none import NoTarget
from orchestrator.events import Event, Progress, ProgressMixin, StepNote

VERSION = ModelVersion("m", "1", None, Package(Path("p"), "f" * 64, "m"))


@dataclass(frozen=True)
class AsksForKeys(InMemoryTarget):
    """A target whose new services ask for a key, as on ACI."""

    @property
    def asks_for_key(self) -> bool:
        return self.auth_enabled is not False


@pytest.mark.parametrize("kind", [InMemoryTarget, AsksForKeys])
@pytest.mark.parametrize("live", [True, False, None])
@pytest.mark.parametrize("option", [True, False, None])
def test_an_option_decides_else_the_service_else_the_target(
    kind: type[InMemoryTarget], live: bool | None, option: bool | None
) -> None:
    services: dict[str, Service] = {}
    if live is not None:
        kind(services=services, auth_enabled=live).deploy(VERSION)
    notes: list[str] = []
    target = kind(services=services, auth_enabled=option)
    kept = keep_authentication(target, notes.append)
    by_itself = kind is AsksForKeys
    wanted = option if option is not None else live if live is not None else by_itself
    assert kept.asks_for_key is wanted
    assert kept.deploy(VERSION).endpoint.auth is wanted
    assert target.auth_enabled is option
    assert len(notes) == (option is None and live not in {None, by_itself})


def test_the_note_says_what_would_change_it() -> None:
    services: dict[str, Service] = {}
    InMemoryTarget(services=services, auth_enabled=True).deploy(VERSION)
    notes: list[str] = []
    keep_authentication(InMemoryTarget(services=services), notes.append)
    assert notes == ["the service keeps asking for a key; deploy.auth_enabled=false would let everyone in"]


@dataclass(frozen=True)
class Noting(ProgressMixin, InMemoryTarget):
    """A target that notes what it does."""


def test_what_is_kept_reports_to_the_same_progress() -> None:
    services: dict[str, Service] = {}
    InMemoryTarget(services=services, auth_enabled=True).deploy(VERSION)
    events: list[Event] = []
    target = Noting(services=services)
    target.report_to(Progress(events.append))
    kept = keep_authentication(target, lambda _: None)
    assert kept is not target
    kept._note("seen")
    assert events == [StepNote("seen")]


def test_a_target_without_keys_stays_as_it_is() -> None:
    target = NoTarget()
    assert keep_authentication(target, lambda _: None) is target
