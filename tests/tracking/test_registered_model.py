"""The order of champions, as tags of the versions hold it."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.tracking.registered_model import REPLACED, TURN, RegisteredEntry, RegisteredModel


def promoted(model: RegisteredModel, number: str) -> RegisteredModel:
    """Return the registry after a promotion."""
    tags = model.promotion_tags(number)
    entry = model.entries[number]
    entry = replace(entry, replaced=tags.get(REPLACED, entry.replaced), turn=int(tags.get(TURN, entry.turn)))
    return RegisteredModel.of({**model.entries, number: entry}, {"champion": number})


def history(*numbers: str) -> RegisteredModel:
    model = RegisteredModel.of({number: RegisteredEntry(f"f{number}") for number in "1234"}, {})
    for number in numbers:
        model = promoted(model, number)
    return model


def without(model: RegisteredModel, *numbers: str) -> RegisteredModel:
    """Return the registry after these versions were deleted, with their aliases."""
    left = {number: entry for number, entry in model.entries.items() if number not in numbers}
    return RegisteredModel.of(left, {"champion": model.champion} if model.champion in left else {})


def test_each_promotion_is_behind_the_others() -> None:
    assert history().previous is None
    assert history("1").previous is None
    assert history("1", "3").previous == ("1", "f1")
    assert history("1", "3", "1").previous == ("3", "f3")
    assert history("1", "3", "1").entries["1"].turn == 3


def test_a_second_promotion_of_the_champion_changes_nothing() -> None:
    assert history("1", "3").promotion_tags("3") == {}


def test_deleted_champions_leave_the_order_of_the_others() -> None:
    assert without(history("1", "2", "3"), "3").previous == ("2", "f2")
    assert without(history("1", "2", "3"), "3", "2").previous == ("1", "f1")
    assert without(history("3"), "3").previous is None
    again = promoted(without(history("1", "2", "3"), "3"), "2")
    assert (again.previous, again.entries["2"].turn) == (("1", "f1"), 3)
    newer = promoted(without(history("1", "2", "3"), "3"), "4")
    assert newer.previous == ("2", "f2")


def test_a_deleted_version_before_the_champion_is_still_named() -> None:
    left = without(history("1", "2", "3"), "2")
    assert (left.previous, left.promoted_before("3")) == (("2", "f2"), "1")


def test_a_command_that_was_killed_between_alias_and_turn_is_in_the_order() -> None:
    model = history("1", "2")
    moved = RegisteredModel.of(model.entries, {"champion": "3"})
    assert moved.previous == ("2", "f2")
    assert promoted(moved, "3").previous == ("2", "f2")


def test_a_registry_without_turns_names_what_the_champion_replaced() -> None:
    entries = {"1": RegisteredEntry("f1"), "2": RegisteredEntry("f2", replaced="1/f1")}
    assert RegisteredModel.of(entries, {"champion": "2"}).previous == ("1", "f1")
    assert promoted(RegisteredModel.of(entries, {"champion": "2"}), "1").previous == ("2", "f2")
