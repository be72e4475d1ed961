"""Select the registered version that a command uses: ``package.version``, among this machine's and the registry's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from orchestrator.artifacts import ModelVersion
from orchestrator.deploy.none import describe_absence
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError, PackageError
from orchestrator.registry import versions
from orchestrator.registry.candidates import merge, with_training
from orchestrator.registry.download import ensure_package
from orchestrator.registry.versions import RegisteredVersion
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.registered_model import CHAMPION, RegisteredModel
from orchestrator.tracking.tracker import HoldsPackages, Tracker

LISTED = 10  # versions in an error


def select_version(
    spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target, auto: Sequence[str]
) -> ModelVersion:
    """Return the version that ``package.version`` selects; for ``auto`` the first of these kinds that exists.

    Its package is on this machine and intact: one that another machine registered is downloaded.

    Raises:
        PackageError: there is none, its package is gone or changed, or the registry no longer has it.
    """
    return ensure_package(find_version(spec, state_dir, tracker, target, auto), state_dir, tracker)


def find_version(
    spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target, auto: Sequence[str]
) -> ModelVersion:
    """Return the version as :func:`select_version` does, wherever its package is.

    Raises:
        PackageError: there is none, or the registry no longer has it.
    """
    recorded = versions.read_versions(state_dir, spec.model_name)
    known = known_versions(spec.model_name, state_dir, tracker)
    selector = VersionSelector(spec.model_name, known, tracker, target, state_dir)
    if recorded and not selector.registered:  # a version could be deployed, but not promoted
        raise PackageError(
            f"package.model_name: '{spec.model_name}' was registered in {recorded[-1].where or 'no registry'}, and this "
            f"run's tracking is {tracker.registry_name}; say `tracking=` as it was then, or tracking=none to leave the alias "
            "'champion' as it is"
        )
    return selector.select_first(auto) if spec.version == "auto" else selector.select(spec.version)


def known_versions(model: str, state_dir: StateDir, tracker: Tracker) -> Sequence[RegisteredVersion]:
    """Return the versions that this machine registered in the tracker's registry; without a registry all of them."""
    recorded = versions.read_versions(state_dir, model)
    return [each for each in recorded if tracker.registry_name in {"", each.where}]


def check_registered(version: ModelVersion, tracker: Tracker, instead: str) -> None:
    """Check that the registry still has a version before it is served; one without a registry passes.

    Raises:
        PackageError: it does not, so the version could not be promoted.
    """
    registry = tracker.look_up(version.name) if version.version else None
    if registry is not None and not registry.holds(version):
        raise PackageError(
            f"package.version: version {version.version} of '{version.name}' is no longer in the registry (it was "
            f"deleted, or the model renamed); nothing was changed: {instead}"
        )


class UnavailableError(Exception):
    """There is no such version; the text says why. Another one may be selected instead."""


@dataclass(frozen=True)
class VersionSelector:
    """Selects among one model's versions; ``recorded`` are those of this machine, in order of registration."""

    model: str
    recorded: Sequence[RegisteredVersion]
    tracker: Tracker
    target: Target
    state_dir: Path = Path()

    @cached_property
    def registry(self) -> RegisteredModel | None:
        """What the registry holds now, fetched once."""
        return self.tracker.look_up(self.model)

    @cached_property
    def registered(self) -> Sequence[RegisteredVersion]:
        """The versions of this machine and of all others, in order of registration."""
        return merge(self.recorded, self.registry, self.state_dir, self.model, self.tracker.registry_name)

    @cached_property
    def compared(self) -> Sequence[RegisteredVersion]:
        """The same with their scores and sweeps, for which the registry is asked only where other machines' count."""
        if self.registered[-1].elsewhere and isinstance(self.tracker, HoldsPackages):
            return with_training(self.registered, self.tracker.describe(self.model))
        return self.registered

    def select_first(self, kinds: Sequence[str]) -> ModelVersion:
        """Return the version of the first of these kinds that exists."""
        reasons = []
        for kind in kinds:
            try:
                version = self._find(kind)
            except UnavailableError as reason:
                reasons.append(str(reason))
                continue
            return replace(version, chosen="; ".join([version.chosen, *reasons]))
        raise self._selection_error("; ".join(reasons))

    def select(self, wanted: str) -> ModelVersion:
        """Return the version of this kind or number."""
        try:
            return self._find(wanted)
        except UnavailableError as reason:
            raise self._selection_error(str(reason)) from None

    def _find(self, wanted: str) -> ModelVersion:
        kinds: dict[str, Callable[[], ModelVersion]] = {
            "last": self._last,
            "best": self._best,
            "champion": partial(self._aliased, "champion"),
            "challenger": partial(self._aliased, "challenger"),
            "previous": self._previous,
            "live": self._live,
            "newest": self._newest,
        }
        return kinds[wanted]() if wanted in kinds else self._by_number(wanted, "as package.version says")

    def _newest(self) -> ModelVersion:
        """Return the version registered last or, if that was by a sweep, the sweep's best."""
        sweep = self.compared[-1].sweep if self.registered else ""
        return (
            self._best() if sweep and len([each for each in self.compared if each.sweep == sweep]) > 1 else self._last()
        )

    def _last(self) -> ModelVersion:
        self._require_any()
        last = self.registered[-1]
        return self._require_registered(last, f"registered last{', on another machine' if last.elsewhere else ''}")

    def _best(self) -> ModelVersion:
        """Return the best version of the last sweep; without a sweep, of all trained on the last one's table."""
        self._require_any()
        last = self.compared[-1]
        if last.sweep:
            group, of = [each for each in self.compared if each.sweep == last.sweep], "of the last sweep"
        else:
            group, of = [each for each in self.compared if each.data == last.data], "trained on the same data"
        if len({each.refit for each in group}) > 1:
            metrics = ", ".join(sorted({each.refit for each in group}))
            raise UnavailableError(
                f"the versions {of} were chosen by different metrics ({metrics}) and cannot be compared"
            )
        scores = {
            each.version: each.score for each in group if each.score is not None and self._is_registered(each.version)
        }
        if not scores:
            raise UnavailableError(f"no version {of} has a score and is in the registry")
        best = max(scores, key=scores.__getitem__)  # of equals, the one registered first
        among = f"{len(group)} version{'s' if len(group) > 1 else ''} {of}"
        return replace(best, chosen=f"best {last.refit} ({scores[best]:.4f}) of {among}")

    def _aliased(self, alias: str) -> ModelVersion:
        return self._by_number(self._number_of(alias), f"the {alias}")

    def _number_of(self, alias: str) -> str:
        if self.registry is None:
            raise UnavailableError(f"without tracking there is no {alias}")
        number = self.registry.champion if alias == CHAMPION else self.registry.aliases.get(alias)
        if number is None:
            raise UnavailableError(f"'{self.model}' has no {alias}")
        return number

    def _previous(self) -> ModelVersion:
        """Return the version that was the champion before the present one; without one, the last that was."""
        former = self.registry.previous if self.registry else None
        if self.registry is None or former is None:
            present = self._number_of(CHAMPION)
            raise UnavailableError(f"no version of '{self.model}' was the champion before version {present}")
        (number, fingerprint), champion = former, self.registry.champion
        if champion is None:
            return self._by_number(number, "the last champion; the present one was deleted, or lost its alias")
        if self.registry.versions.get(number) != fingerprint:
            earlier = self.registry.promoted_before(champion)
            raise UnavailableError(
                f"version {number}, the champion before version {champion}, is no longer in the registry: it was deleted, "
                f"or the model renamed{f', and before it version {earlier} was the champion' if earlier else ''}"
            )
        return self._by_number(number, f"the champion before version {champion}")

    def _live(self) -> ModelVersion:
        status = self.target.status()
        if status.state == "absent":
            raise UnavailableError(describe_absence(status))
        try:
            package = self.target.endpoint().package
        except DeployError as error:
            raise UnavailableError(f"service '{status.name}' is {status.state} ({error})") from error
        if package.model_name != self.model:
            raise UnavailableError(f"service '{status.name}' serves another model, '{package.model_name}'")
        alike = [each.version for each in self.registered if each.version.package.fingerprint == package.fingerprint]
        version = next(filter(self._is_registered, reversed(alike)), None)
        why = f"live for service '{status.name}'{', not in the registry any more' if alike and not version else ''}"
        return replace(version or ModelVersion(self.model, "", None, package), package=package, chosen=why)

    def _by_number(self, number: str, why: str) -> ModelVersion:
        """Return the version of this number; a registry may have given the number to several packages."""
        alike = [each for each in self.registered if each.version.version == number]
        if not alike:
            what = f"{why}, version {number}," if why.startswith("the ") else f"version {number}"
            if self.registry is None:
                raise UnavailableError(f"{what} was not registered from this machine")
            if number not in self.registry.versions:
                raise UnavailableError(f"{what} is not in the registry: it was deleted, or never registered")
            raise UnavailableError(f"{what} holds no package: another program registered it")
        return self._require_registered(
            next((each for each in alike if self._is_registered(each.version)), alike[-1]), why
        )

    def _require_registered(self, one: RegisteredVersion, why: str) -> ModelVersion:
        if not self._is_registered(one.version):
            raise UnavailableError(
                f"version {one.version.version} ({why}) is no longer in the registry: it was deleted, or the model renamed"
            )
        return replace(one.version, chosen=why)

    def _is_registered(self, version: ModelVersion) -> bool:
        return self.registry is None or self.registry.holds(version)

    def _require_any(self) -> None:
        if not self.registered:
            also = f", and {self.tracker.registry_name} has none" if isinstance(self.tracker, HoldsPackages) else ""
            raise PackageError(
                f"package.model_name: no package of '{self.model}' was registered on this machine{also}; make one with "
                "stages=package"
            )

    def _selection_error(self, why: str) -> PackageError:
        """Return an error with the reason and the versions that could be selected."""
        self._require_any()
        numbers = [
            each.version.version
            for each in self.registered
            if each.version.version and self._is_registered(each.version)
        ]
        available = [*dict.fromkeys(reversed(numbers))]
        listed = f"{', '.join(available[:LISTED])}{' ...' if len(available) > LISTED else ''}"
        last = ["last"] if self._is_registered(self.registered[-1].version) else []
        choices = " or ".join([*last, *([f"a number ({listed})"] if available else [])])
        advice = f"choose package.version={choices}" if choices else "register one with stages=package"
        return PackageError(f"package.version: {why}; {advice}")
