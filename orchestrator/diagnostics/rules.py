"""A failure rule: which line shows which cause, with how much confidence, and what repairs it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from orchestrator.diagnostics.evidence import Kind
from orchestrator.diagnostics.log_parser import Line

CLOUD = ("aci", "managed", "aks")  # the targets whose platform can refuse a request


class Confidence(IntEnum):
    """How much a line proves. Only the findings of the highest confidence count."""

    SYMPTOM = 0  # follows from any cause: the container crashed, the image is not there
    HINT = 1  # may be the cause, or something that the service survived
    EXCEPTION = 2  # ended the process, though no rule knows why it was raised
    CAUSE = 3


@dataclass(frozen=True)
class FailureRule:
    """``cause`` and ``remedy`` are templates over the pattern's groups and the variables of :mod:`.remedies`.

    Patterns are regular expressions. ``requires`` must match somewhere in the same text, ``frames`` in an exception's
    traceback; a later line that matches ``unless_later`` shows that the service went on. ``match_warnings``: lines
    below the level of errors count too. ``targets``: the only ones that the rule applies to.
    """

    kind: Kind
    pattern: str
    cause: str
    remedy: str
    confidence: Confidence = Confidence.CAUSE
    match_warnings: bool = False
    frames: str = ""
    requires: str = ""
    unless_later: str = ""
    targets: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """A rule, the line that it matches, and the frames of the traceback that ends with this line."""

    rule: FailureRule
    line: Line
    match: re.Match[str]
    frames: str = ""
