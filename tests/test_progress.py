"""Heartbeats: what is noted at once, and what after a silence."""

from __future__ import annotations

import pytest

from orchestrator import progress
from orchestrator.progress import Heartbeat


def test_a_silence_ends_with_the_latest_line_or_the_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    heartbeat = Heartbeat(notes.append, "waiting")
    heartbeat.beat()
    assert notes == []
    heartbeat("building")
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0)
    heartbeat.beat()
    heartbeat.update("Step 1\n")
    heartbeat.update("\n")  # says nothing
    heartbeat.beat()
    heartbeat.begin("starting")
    heartbeat.beat()
    heartbeat.note("ready")
    assert notes == ["building", "0 s: building", "0 s: Step 1", "0 s: starting", "ready"]
