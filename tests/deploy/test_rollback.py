"""The rollback policy as a table: what a deployment goes back to, by what it replaced."""

from __future__ import annotations

import pytest

from orchestrator.deploy.rollback import rollback_target


@pytest.mark.parametrize(
    ("replaced", "former", "accepted", "alive", "target"),
    [
        (None, None, "", False, None),  # the first deployment
        ("b", None, "b", True, "b"),
        ("b", "a", "ab", True, "b"),
        ("b", "a", "ab", False, "b"),  # accepted, and only stopped since
        ("b", None, "", True, "b"),  # no service was accepted yet
        ("b", None, "", False, None),  # it failed
        ("b", "a", "a", True, "a"),  # the last accepted one, also behind one that is alive
        ("b", "a", "a", False, "a"),
        ("b", "a", "", True, "b"),
        ("b", "a", "", False, "a"),
    ],
)
def test_rollback_target(
    replaced: str | None, former: str | None, accepted: str, target: str | None, *, alive: bool
) -> None:
    assert rollback_target(replaced, former, accepted.__contains__, alive=alive) == target
