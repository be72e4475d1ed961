"""Select the registered version that a command uses: ``package.version``, checked against registry and local files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestrator.artifacts import ModelVersion, RegisteredModel
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError, PackageError
from orchestrator.registry import versions
from orchestrator.registry.versions import RegisteredVersion
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.tracker import Tracker

LISTED = 10  # versions in an error


def select_version(
    spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target, auto: Sequence[str]
) -> ModelVersion:
    """Return the version that ``package.version`` selects; for ``auto`` the first of these kinds that exists.

    Raises:
        PackageError: there is none, its package is gone or changed, or the registry no longer has it.
    """
    registered = versions.read_versions(state_dir, spec.model_name)
    candidates = [each for each in registered if tracker.registry_name in {"", each.where}]
    if registered and not candidates:  # a version could be deployed, but not promoted
        raise PackageError(
            f"package.model_name: '{spec.model_name}' was registered in {registered[-1].where or 'no registry'}, and this "
            f"run's tracking is {tracker.registry_name}; say `tracking=` as it was then, or tracking=none to leave the alias "
            "'champion' as it is"
        )
    selector = VersionSelector(spec.model_name, candidates, tracker, target)
    version = selector.select_first(auto) if spec.version == "auto" else selector.select(spec.version)
    if not version.package.is_intact():
        raise PackageError(
            f"package.model_name: {version.package.path} is not what was registered as '{version.name}'; make it again "
            "with stages=package"
        )
    return version


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
    """Selects among one model's versions; ``registered`` are those of this machine, in order of registration."""

    model: str
    registered: Sequence[RegisteredVersion]
    tracker: Tracker
    target: Target

    @cached_property
    def registry(self) -> RegisteredModel | None:
        """What the registry holds now, fetched once and only when needed."""
        return self.tracker.look_up(self.model)

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
            "champion": self._champion,
            "live": self._live,
            "newest": self._newest,
        }
        return kinds[wanted]() if wanted in kinds else self._by_number(wanted, "as package.version says")

    def _newest(self) -> ModelVersion:
        """Return the version registered last or, if that was by a sweep, the sweep's best."""
        sweep = self.registered[-1].sweep if self.registered else ""
        return (
            self._best()
            if sweep and len([each for each in self.registered if each.sweep == sweep]) > 1
            else self._last()
        )

    def _last(self) -> ModelVersion:
        self._require_any()
        return self._require_registered(self.registered[-1], "registered last")

    def _best(self) -> ModelVersion:
        """Return the best version of the last sweep; without a sweep, of all trained on the last one's table."""
        self._require_any()
        last = self.registered[-1]
        if last.sweep:
            group, of = [each for each in self.registered if each.sweep == last.sweep], "of the last sweep"
        else:
            group, of = [each for each in self.registered if each.data == last.data], "trained on the same data"
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

    def _champion(self) -> ModelVersion:
        if self.registry is None:
            raise UnavailableError("without tracking there is no champion")
        if self.registry.champion is None:
            raise UnavailableError(f"'{self.model}' has no champion")
        return self._by_number(self.registry.champion, "the champion")

    def _live(self) -> ModelVersion:
        status = self.target.status()
        if status.state == "absent":
            raise UnavailableError(f"no service '{status.name}' is running")
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
            what = f"the champion, version {number}," if why == "the champion" else f"version {number}"
            raise UnavailableError(f"{what} was not registered from this machine")
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
            raise PackageError(
                f"package.model_name: no package of '{self.model}' was registered on this machine; make one with "
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
