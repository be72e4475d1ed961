"""The stages of ``stages=rollback`` one after another, with a registry and a target in memory.

As a command: on this machine in ``registry/test_versions.py``, elsewhere in ``test_rollback_command.py`` (nightly).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.artifacts import ModelVersion, Package, Probe, Split, Trained
from orchestrator.deploy.in_memory import InMemoryTarget
from orchestrator.deploy.rollout import Rollout
from orchestrator.errors import PackageError
from orchestrator.events import Progress
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.stages.release import deploy, load_previous, load_version, promote
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import CHAMPION, REPLACED, TURN, RegisteredEntry, RegisteredModel
from tests.stages.conftest import Kit

MODEL = "toy_model"


@dataclass(frozen=True)
class Registry(NoTracking):
    """A registry that holds packages, in memory; the last one of ``states`` is the present one."""

    packages: Mapping[str, Package]
    states: list[RegisteredModel] = field(default_factory=list)

    def __post_init__(self) -> None:
        entries = {number: RegisteredEntry(one.fingerprint, "run") for number, one in self.packages.items()}
        self.states.append(RegisteredModel.of(entries, {}))

    @property
    def registry_name(self) -> str:
        return "memory"

    def look_up(self, model: str) -> RegisteredModel:  # type: ignore[override]  # noqa: ARG002 -- NoTracking gives none
        return self.states[-1]

    def describe(self, model: str) -> dict[str, object]:  # noqa: ARG002 -- the boundary's signature
        return {}

    def download(self, version: ModelVersion, folder: Path) -> None:
        shutil.copytree(self.packages[version.version].path, folder, dirs_exist_ok=True)

    def promote(self, version: ModelVersion) -> None:
        now = self.states[-1]
        tags, entry = now.promotion_tags(version.version), now.entries[version.version]
        entry = replace(entry, replaced=tags.get(REPLACED, entry.replaced), turn=int(tags.get(TURN, entry.turn)))
        self.states.append(RegisteredModel.of({**now.entries, version.version: entry}, {CHAMPION: version.version}))

    def delete_champion(self) -> None:
        now = self.states[-1]
        left = {number: entry for number, entry in now.entries.items() if number != now.champion}
        self.states.append(RegisteredModel.of(left, {}))


@dataclass(frozen=True)
class Machine:
    """Commands of one machine."""

    state: StateDir
    registry: Registry
    target: InMemoryTarget

    def release(self, load: Callable[..., ModelVersion], version: str = "auto") -> str:
        """Deploy and promote what the stage ``load`` selects; return why it was selected."""
        spec = PackageSpec(model_name=MODEL, version=version)
        chosen = load(spec, self.state, self.registry, self.target)
        with Rollout(self.target, self.state / "svc.rollout.json") as rollout:
            deploy(chosen, rollout, self.registry, Progress())
            promote(chosen, Probe(3, 1, 1, None), rollout, self.registry, self.state)
        assert self.target.endpoint().package.fingerprint == chosen.package.fingerprint
        assert self.registry.look_up(MODEL).champion == chosen.version
        return f"{chosen.version}: {chosen.chosen}"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, toy_package: Package, toy: tuple[Split, Trained]) -> Registry:
    other = Kit(tmp_path_factory.mktemp("other")).package(*toy, golden_rows=4)
    return Registry({"1": toy_package, "2": other})


def test_back_and_forth_and_after_the_champion_was_deleted(registry: Registry, tmp_path: Path) -> None:
    target = InMemoryTarget()
    here = Machine(StateDir(tmp_path / "here"), registry, target)
    with pytest.raises(
        PackageError, match=r"package\.version: 'toy_model' has no champion; choose package\.version=last"
    ):
        here.release(load_previous)
    for number in ("1", "2"):
        here.release(load_version, number)
    there = Machine(StateDir(tmp_path / "there"), registry, target)
    assert there.release(load_previous) == "1: the champion before version 2"
    assert here.release(load_previous) == "2: the champion before version 1"
    registry.delete_champion()
    assert there.release(load_previous) == "1: the last champion; the present one was deleted, or lost its alias"
    with pytest.raises(PackageError, match="version 2, the champion before version 1, is no longer in the registry"):
        there.release(load_previous)
