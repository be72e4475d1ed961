"""Types that changed against a registered version."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.checks.contract import find_changed_types
from score.contract.schema import Column


@pytest.mark.parametrize(
    ("before", "now", "remedy"),
    [
        ("category", "numbers", "'data.text_columns=[zip,x]'"),
        ("string", "booleans", "'data.text_columns=[zip,x]'"),
        ("integer", "categories", "'data.drop=[x]'"),
        ("boolean", "numbers", "'data.drop=[x]'"),
        ("integer", "numbers", None),
        ("string", "categories", None),
        ("category", "text", None),
    ],
)
def test_another_type_is_found(checker: Any, before: str, now: str, remedy: str | None) -> None:
    registered = [Column("x", before, "object", example="007"), Column("gone", "number", "float64")]
    data = checker.data(text_columns=("zip",))
    found = list(find_changed_types({"x": now, "new": "numbers"}, registered, "version 3 of 'm'", data))
    assert [finding.remedy for finding in found] == ([remedy] if remedy else [])
    assert not found or f"holds {now.replace('categories', 'text')} and held " in found[0].text
