"""Findings: their overrides are what Hydra reads, and several are pasted at once."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from orchestrator.findings import KINDS, TableFinding, format_overrides, merge_changes


@pytest.mark.parametrize(
    "value",
    [
        ["a", "b_1"],
        ["with blank", 'a "quoted" one', "it's", "é", "null", "2020", "a:b", "a,b", "[x]", "true", "a-b"],
        ".",
        ",",
        "drop",
        20,
        False,
    ],
)
def test_an_override_is_read_as_it_was_meant(value: object) -> None:
    (typed,) = shlex.split(format_overrides({"data.drop": value}))
    assert OverridesParser.create().parse_override(typed).value() == value


def test_changes_of_several_findings_are_one_command() -> None:
    drops = [TableFinding("data-identifier", "", (name,), {"data.drop": ["old", name]}) for name in ("a", "b")]
    others = [TableFinding("data-thousands", "", changes={"data.decimal": sign}) for sign in (",", "'")]
    assert merge_changes([*drops, *others]) == {"data.drop": ["old", "a", "b"], "data.decimal": ","}
    assert drops[0].as_json() == {
        "code": "data-identifier",
        "columns": ["a"],
        "text": "",
        "remedy": "'data.drop=[old,a]'",
    }
    assert TableFinding("data-spelling", "").as_json()["remedy"] is None


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [((), False), (("data-leak",), True), (("data-leak:a",), False), (("data-leak:a", "data-leak:b"), True)],
)
def test_findings_are_accepted_by_code_or_by_each_column(accept: tuple[str, ...], accepted: bool) -> None:
    assert TableFinding("data-leak", "", ("a", "b")).is_accepted(accept) is accepted
    assert not TableFinding("data-duplicates", "").is_accepted(accept)


def test_every_code_has_a_meaning_and_a_fix() -> None:
    assert all(code.startswith(("data-", "model-")) and kind.meaning and kind.fix for code, kind in KINDS.items())
