"""Composed: a configuration as plain data, beside the command and the problems it was composed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import Problem


@dataclass(frozen=True)
class Composed:
    """A configuration before validation: ``values`` by group and key, without those that could not be resolved.

    ``text`` is the YAML with interpolations as written, since the environment may hold secrets. ``overrides`` are as
    typed; None for a configuration that was not composed. ``sources`` are the keys that the value at a path was
    interpolated from, ``problems`` what could not be read or resolved, ``notes`` what was changed in a derived value.
    ``sweep`` names the sweep that this run is a job of.
    """

    values: Mapping[str, Any]
    text: str = ""
    overrides: Sequence[str] | None = None
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
    sweep: str = ""
