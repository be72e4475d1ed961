"""Which registered version an act takes: what ``package.version`` names, checked against the registry and this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestrator.artifacts import ModelVersion, Registry
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError, PackageError
from orchestrator.registry import versions
from orchestrator.registry.versions import Registered
from orchestrator.spec.run_spec import PackageSpec, StateDir
from orchestrator.tracking.tracker import Tracker

SHOWN = 10  # versions that a refusal names


def select_version(
    spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target, auto: Sequence[str]
) -> ModelVersion:
    """Return the version that ``package.version`` names, and why; for ``auto`` the first of these that there is.

    Raises:
        PackageError: there is none, its package is gone or was changed, or the registry does not hold it any more.
    """
    held = versions.versions(state_dir, spec.model_name)
    there = [one for one in held if tracker.where in {"", one.where}]
    if held and not there:  # it could be deployed, and then not promoted
        raise PackageError(
            f"package.model_name: '{spec.model_name}' was registered in {held[-1].where or 'no registry'}, and this "
            f"run's tracking is {tracker.where}; say `tracking=` as it was then, or tracking=none to leave the alias "
            "'champion' as it is"
        )
    choice = Choice(spec.model_name, there, tracker, target)
    version = choice.first(auto) if spec.version == "auto" else choice.named(spec.version)
    if not version.package.is_whole():
        raise PackageError(
            f"package.model_name: {version.package.path} is not what was registered as '{version.name}'; make it again "
            "with stages=package"
        )
    return version


def check_held(version: ModelVersion, tracker: Tracker, instead: str) -> None:
    """Check that the registry still holds a version that is to be served; one of no registry needs none.

    Raises:
        PackageError: it does not, so the version could not be promoted.
    """
    registry = tracker.look_up(version.name) if version.version else None
    if registry is not None and not registry.holds(version):
        raise PackageError(
            f"package.version: version {version.version} of '{version.name}' is no longer in the registry (it was "
            f"deleted, or the model renamed); nothing was changed: {instead}"
        )


class Unavailable(Exception):  # noqa: N818 - a finding: another version may be taken instead
    """There is no such version; the text says why."""


@dataclass(frozen=True)
class Choice:
    """The versions of one model among which is chosen; ``held`` are those registered from this machine, the last one last."""

    model: str
    held: Sequence[Registered]
    tracker: Tracker
    target: Target

    @cached_property
    def registry(self) -> Registry | None:
        """What the registry holds now; it is asked once, and only where that matters."""
        return self.tracker.look_up(self.model)

    def first(self, wanted: Sequence[str]) -> ModelVersion:
        """Return the first of these kinds of which there is one."""
        reasons = []
        for name in wanted:
            try:
                found = self._find(name)
            except Unavailable as reason:
                reasons.append(str(reason))
                continue
            return replace(found, chosen="; ".join([found.chosen, *reasons]))
        raise self._refused("; ".join(reasons))

    def named(self, wanted: str) -> ModelVersion:
        """Return the version of this kind or number."""
        try:
            return self._find(wanted)
        except Unavailable as reason:
            raise self._refused(str(reason)) from None

    def _find(self, wanted: str) -> ModelVersion:
        kinds: dict[str, Callable[[], ModelVersion]] = {
            "last": self._last,
            "best": self._best,
            "champion": self._champion,
            "live": self._live,
            "newest": self._newest,
        }
        return kinds[wanted]() if wanted in kinds else self._checked(wanted, "as package.version says")

    def _newest(self) -> ModelVersion:
        """What was registered last, or if that was a sweep its best."""
        sweep = self.held[-1].sweep if self.held else ""
        return self._best() if sweep and len([one for one in self.held if one.sweep == sweep]) > 1 else self._last()

    def _last(self) -> ModelVersion:
        self._need_some()
        return self._there(self.held[-1], "registered last")

    def _best(self) -> ModelVersion:
        """The best of the last sweep; without one, of all that were trained on the table of the last one."""
        self._need_some()
        last = self.held[-1]
        if last.sweep:
            alike, of = [one for one in self.held if one.sweep == last.sweep], "of the last sweep"
        else:
            alike, of = [one for one in self.held if one.data == last.data], "trained on the same data"
        if len({one.refit for one in alike}) > 1:
            metrics = ", ".join(sorted({one.refit for one in alike}))
            raise Unavailable(f"the versions {of} were chosen by different metrics ({metrics}) and cannot be compared")
        scores = {one.version: one.score for one in alike if one.score is not None and self._is_there(one.version)}
        if not scores:
            raise Unavailable(f"no version {of} has a score and is in the registry")
        best = max(scores, key=scores.__getitem__)  # of equals, the one that was registered first
        among = f"{len(alike)} version{'s' if len(alike) > 1 else ''} {of}"
        return replace(best, chosen=f"best {last.refit} ({scores[best]:.4f}) of {among}")

    def _champion(self) -> ModelVersion:
        if self.registry is None:
            raise Unavailable("without tracking there is no champion")
        if self.registry.champion is None:
            raise Unavailable(f"'{self.model}' has no champion")
        return self._checked(self.registry.champion, "the champion")

    def _live(self) -> ModelVersion:
        status = self.target.status()
        if status.state == "absent":
            raise Unavailable(f"no service '{status.name}' is running")
        try:
            package = self.target.endpoint().package
        except DeployError as error:
            raise Unavailable(f"service '{status.name}' is {status.state} ({error})") from error
        if package.model_name != self.model:
            raise Unavailable(f"service '{status.name}' serves another model, '{package.model_name}'")
        alike = [one.version for one in self.held if one.version.package.fingerprint == package.fingerprint]
        found = next(filter(self._is_there, reversed(alike)), None)
        why = f"live for service '{status.name}'{', not in the registry any more' if alike and not found else ''}"
        return replace(found or ModelVersion(self.model, "", None, package), package=package, chosen=why)

    def _checked(self, number: str, why: str) -> ModelVersion:
        """The version of this number; one that the registry gave anew is another."""
        alike = [one for one in self.held if one.version.version == number]
        if not alike:
            what = f"the champion, version {number}," if why == "the champion" else f"version {number}"
            raise Unavailable(f"{what} was not registered from this machine")
        return self._there(next((one for one in alike if self._is_there(one.version)), alike[-1]), why)

    def _there(self, one: Registered, why: str) -> ModelVersion:
        if not self._is_there(one.version):
            raise Unavailable(
                f"version {one.version.version} ({why}) is no longer in the registry: it was deleted, or the model renamed"
            )
        return replace(one.version, chosen=why)

    def _is_there(self, version: ModelVersion) -> bool:
        return self.registry is None or self.registry.holds(version)

    def _need_some(self) -> None:
        if not self.held:
            raise PackageError(
                f"package.model_name: no package of '{self.model}' was registered on this machine; make one with "
                "stages=package"
            )

    def _refused(self, why: str) -> PackageError:
        """The error that says why, and names what could be taken."""
        self._need_some()
        numbers = [one.version.version for one in self.held if one.version.version and self._is_there(one.version)]
        there = [*dict.fromkeys(reversed(numbers))]
        some = f"{', '.join(there[:SHOWN])}{' ...' if len(there) > SHOWN else ''}"
        last = ["last"] if self._is_there(self.held[-1].version) else []
        could = " or ".join([*last, *([f"a number ({some})"] if there else [])])
        way = f"choose package.version={could}" if could else "register one with stages=package"
        return PackageError(f"package.version: {why}; {way}")
