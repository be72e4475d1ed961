"""The text of an error: one line that says it all, then the proof and where the raw texts are."""

from __future__ import annotations

from pathlib import Path

from orchestrator.diagnostics import Diagnosis, Evidence, diagnose, tell


def test_the_first_line_says_what_why_and_what_to_do() -> None:
    found = Diagnosis(
        "out of memory: MemoryError", "container log, line 3: MemoryError", "deploy.memory_gb=2", "out_of_memory"
    )
    assert tell(found, Path("state/failures/1")) == (
        "deploy: out of memory: MemoryError; deploy.memory_gb=2\n"
        "  proof: container log, line 3: MemoryError\n"
        "  raw texts: state/failures/1"
    )


def test_what_happened_is_not_said_twice() -> None:
    found = Diagnosis("the service is not ready in time", "error, line 1: x", "raise it", "timeout_unhealthy")
    assert tell(found, Path("x"), "the service is not ready in time").startswith(
        "deploy: the service is not ready in time; raise it\n"
    )


def test_the_unknown_shows_the_first_error_lines() -> None:
    error = "Something went wrong\nerror 1\nerror 2\nerror 2\nfailed: 3\nfatal: 4\nerror 5\nerror 6\n"
    assert tell(diagnose(Evidence("aci", "Failed", error)), Path("raw")).splitlines() == [
        "deploy: Unknown, here are the first error lines",
        "    error, line 2: error 1",
        "    error, line 3: error 2",
        "    error, line 5: failed: 3",
        "    error, line 6: fatal: 4",
        "    error, line 7: error 5",
        "  read the raw texts, and mend what they name: raw",
    ]


def test_a_line_of_a_whole_document_is_cut() -> None:
    found = diagnose(Evidence("aci", "Failed", '{"code": "ServiceExists", "message": "' + "x" * 9000 + '"}'))
    assert max(map(len, tell(found, Path("raw")).splitlines())) < 700
