"""The versions that a command can select from: those registered from this machine, and all others in the registry."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.artifacts import ModelVersion, Package, PackageProvenance
from orchestrator.registry.versions import RegisteredVersion
from orchestrator.tracking.registered_model import RegisteredModel, TrainingRecord

_FINGERPRINT = re.compile(r"\w+", re.ASCII)  # it names a folder, and anyone who writes to the registry may set the tag


def merge(
    recorded: Sequence[RegisteredVersion], registry: RegisteredModel | None, state_dir: Path, model: str, where: str
) -> Sequence[RegisteredVersion]:
    """Return all versions in order of registration; of a version that this machine registered, its own record.

    A version that is registered again, as it is trained again, counts from then; only its machine knows that.
    """
    entries = registry.entries if registry else {}
    known = {(one.version.version, one.version.package.fingerprint) for one in recorded}
    own, latest = [], 0.0
    for one in recorded:  # in their own order, whatever the clocks say
        entry = entries.get(one.version.version)
        latest = max(latest, one.at, entry.created if entry else 0.0)
        own.append(replace(one, at=latest))
    others = [
        RegisteredVersion(
            ModelVersion(
                model,
                number,
                entry.run_id,
                Package.stored(state_dir, entry.fingerprint, model),
                memory_bytes=entry.memory_bytes,
            ),
            where,
            at=entry.created,
            elsewhere=True,
        )
        for number, entry in entries.items()
        if _FINGERPRINT.fullmatch(entry.fingerprint) and (number, entry.fingerprint) not in known
    ]
    others.sort(key=lambda one: (one.at, int(one.version.version) if one.version.version.isdecimal() else 0))
    return sorted([*others, *own], key=lambda one: one.at)  # stable: without a time, this machine's come last


def with_training(
    versions: Sequence[RegisteredVersion], records: Mapping[str, TrainingRecord]
) -> Sequence[RegisteredVersion]:
    """Add to versions of other machines what their runs recorded."""
    return [
        _described(one, records[one.version.version]) if one.elsewhere and one.version.version in records else one
        for one in versions
    ]


def _described(one: RegisteredVersion, record: TrainingRecord) -> RegisteredVersion:
    version = replace(one.version, origin=PackageProvenance(data=record.data))
    return replace(
        one,
        version=version,
        refit=record.refit,
        score=record.score,
        data=record.data_digest,
        sweep=record.sweep,
    )
