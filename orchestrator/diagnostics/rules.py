"""A rule of the doctor: which line proves which cause, how much it proves, and what repairs it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from orchestrator.diagnostics.evidence import Kind
from orchestrator.diagnostics.log_parser import Line

CLOUD = ("aci", "managed", "aks")  # the targets behind a cloud's door


class Confidence(IntEnum):
    """How much a line proves. Only the heaviest lines found count."""

    SYMPTOM = 0  # what follows from any cause: the container crashed, the image is not there
    HINT = 1  # may be the cause, and may be something that everything else outlived
    EXCEPTION = 2  # what ended the process, though no rule knows why it was raised
    CAUSE = 3


@dataclass(frozen=True)
class FailureRule:
    """``cause`` and ``remedy`` are templates over the pattern's groups and the words of :mod:`.wording`.

    ``also`` must be found somewhere in the same text, ``frames`` in an exception's traceback; a later line that fits
    ``outlived`` shows that it went on. ``quiet``: warnings count too. ``targets``: the only ones it is about.
    """

    kind: Kind
    pattern: re.Pattern[str]
    cause: str
    remedy: str
    weight: Confidence = Confidence.CAUSE
    quiet: bool = False
    frames: re.Pattern[str] | None = None
    also: re.Pattern[str] | None = None
    outlived: re.Pattern[str] | None = None
    targets: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """A rule, the line that it was found in, and the frames of the traceback that ends with it."""

    rule: FailureRule
    line: Line
    match: re.Match[str]
    frames: str = ""


def line(
    kind: Kind,
    pattern: str,
    cause: str,
    remedy: str,
    *,
    weight: Confidence = Confidence.CAUSE,
    quiet: bool = False,
    also: str = "",
    outlived: str = "",
    targets: Sequence[str] = (),
) -> FailureRule:
    """A rule for a line that somebody wrote."""
    return FailureRule(
        kind,
        re.compile(pattern),
        cause,
        remedy,
        weight,
        quiet=quiet,
        also=_pattern(also),
        outlived=_pattern(outlived),
        targets=tuple(targets),
    )


def raised(
    kind: Kind,
    pattern: str,
    cause: str,
    remedy: str,
    *,
    frames: str = "",
    also: str = "",
    targets: Sequence[str] = (),
) -> FailureRule:
    """A rule for an exception that ended a process."""
    return replace(line(kind, pattern, cause, remedy, also=also, targets=targets), frames=_pattern(frames))


def _pattern(text: str) -> re.Pattern[str] | None:
    return re.compile(text) if text else None
