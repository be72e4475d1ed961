"""RegisteredModel: what a model registry holds of one model, and what the runs say of its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.artifacts import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"  # aliases; Azure ML has tags of these names instead
REPLACED = "replaced_champion"  # the tag of a version that says which one was the champion before it
# The tag with a version's place in the order of champions, 1 for the first. It is the version's own: deleting the champion,
# or moving the alias by hand, leaves it at the others, whereas what the deleted one says of its predecessor goes with it.
TURN = "champion_turn"
# Tags of a run: the rows that it was scored on, by their cells and by their places in the table, and what it is
HOLDOUT_DIGEST, HOLDOUT_PLACES, SPEC_HASH = "holdout_digest", "holdout_places", "spec_hash"
GATE, GATE_REASON = "gate", "gate_reason"  # tags of a run and of a version
REPORT = "report"  # the tag of a version with the address of its report
MEMORY = "package_memory_bytes"  # the tag with what the verification measured


@dataclass(frozen=True)
class RegisteredEntry:
    """One version in the registry; ``created`` is in seconds since 1970, 0 if unknown."""

    fingerprint: str
    run_id: str | None = None
    created: float = 0.0
    memory_bytes: int = 0
    replaced: str = ""  # as format_replaced() writes it
    turn: int = 0  # when it was promoted last, in the order of champions; 0: never
    gate: str = ""  # what the gate decided about it, and why


@dataclass(frozen=True)
class TrainingRecord:
    """What the run of a version recorded; ``data`` is the table's file, ``sweep`` the id of the sweep's run."""

    metrics: Mapping[str, float]
    refit: str = ""
    data: str = ""
    data_digest: str = ""
    sweep: str = ""

    @property
    def score(self) -> float | None:
        """The mean of the metric ``refit`` over the folds."""
        return self.metrics.get(f"mean_test_{self.refit}")


@dataclass(frozen=True)
class RegisteredModel:
    """One model in the registry: the package fingerprint of each version, and the champion's version.

    ``aliases`` are the others, such as ``challenger``. ``entries`` has more of each version.
    """

    versions: Mapping[str, str]
    champion: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, RegisteredEntry] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, entries: Mapping[str, RegisteredEntry], aliases: Mapping[str, str]) -> RegisteredModel:
        """Make it of every version and every alias."""
        others = {name: version for name, version in aliases.items() if name != CHAMPION}
        fingerprints = {number: entry.fingerprint for number, entry in entries.items()}
        return cls(fingerprints, aliases.get(CHAMPION), others, entries)

    def holds(self, version: ModelVersion) -> bool:
        """Return whether the version exists and is the same package: a store may reuse numbers."""
        return self.versions.get(version.version) == version.package.fingerprint

    @property
    def previous(self) -> tuple[str, str] | None:
        """The number and the fingerprint of the version that was the champion before; None if there was none.

        It may be deleted since. Where the champion itself was deleted, or its alias was moved by hand, it is the version
        that was promoted last.
        """
        last = self.promoted_before(None)
        if last is not None and last != self.champion:
            return last, self.versions[last]
        champion = self.entries.get(self.champion or "")
        number, _, fingerprint = (champion.replaced if champion else "").partition("/")
        return (number, fingerprint) if fingerprint else None

    def promoted_before(self, number: str | None) -> str | None:
        """Return the version that was promoted last but for this one, of those that are held; None if none was."""
        turns = {held: entry.turn for held, entry in self.entries.items() if entry.turn and held != number}
        return max(turns, key=turns.__getitem__) if turns else None

    def promotion_tags(self, number: str) -> Mapping[str, str]:
        """Return the tags that record that this version becomes the champion; none if it is recorded as the present one.

        To be written in this order, :data:`TURN` after the alias: so a command that is killed in between has changed
        neither the champion nor the one before, or both.
        """
        if self.champion == number and self.promoted_before(None) == number:
            return {}
        former = self.previous
        if self.champion is not None and self.champion != number:
            former = self.champion, self.versions.get(self.champion, "")
        latest = max((entry.turn for entry in self.entries.values()), default=0)
        replaced = {REPLACED: format_replaced(*former)} if former and former[0] != number else {}
        return {**replaced, TURN: str(latest + 1)}

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RegisteredModel:
        """Return what :meth:`as_json` wrote."""
        entries = {number: RegisteredEntry(**entry) for number, entry in values["entries"].items()}
        return cls(values["versions"], values["champion"], values["aliases"], entries)


def format_replaced(number: str, fingerprint: str) -> str:
    """Return the value of the tag REPLACED: a store may give the number of a deleted version to another package."""
    return f"{number}/{fingerprint}"
