"""Inputs that are made when they are asked for, and artifacts that end a run well before its last stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.caching.cache import Cache, cached, pure
from orchestrator.engine.planner import plan
from orchestrator.engine.runner import Artifacts, decide, run
from orchestrator.events import Event, RunFinished, StepFinished, StepSkipped
from orchestrator.flow import Lazy, Passed

calls: list[str] = []
events: list[Event] = []


@dataclass(frozen=True)
class Grape:
    count: int


@dataclass(frozen=True)
class Wine:
    litres: int


@dataclass(frozen=True)
class Tasted:
    ends: str = ""


@dataclass(frozen=True)
class Bottles:
    count: int


@pure()
def pick() -> Grape:
    calls.append("pick")
    return Grape(9)


@cached()
def press(grape: Grape) -> Wine:
    calls.append("press")
    return Wine(grape.count // 3)


def taste(wine: Wine, grape: Lazy[Grape]) -> Tasted:
    calls.append("taste")
    return Tasted("it is sour" if wine.litres == 3 and grape().count == 9 else "")


def like(wine: Wine, grape: Lazy[Grape]) -> Tasted:  # noqa: ARG001 -- not asked for
    calls.append("like")
    return Tasted()


def fill(wine: Wine, tasted: Passed[Tasted]) -> Bottles:
    calls.append(f"fill {tasted}")
    return Bottles(wine.litres)


def sell(bottles: Bottles) -> None:
    calls.append(f"sell {bottles.count}")


def praise(tasted: Tasted) -> str:
    calls.append("praise")
    return tasted.ends


MAKING: dict[str, Callable[..., Any]] = {"sell": sell, "fill": fill, "press": press, "pick": pick}


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    calls.clear()
    events.clear()


def go(cache: Cache | None = None, **more: Callable[..., Any]) -> Artifacts:
    return run(plan({**MAKING, **more}, {}), {}, [events.append], cache)


def test_an_input_that_no_stage_gives_is_none() -> None:
    go()
    assert calls == ["pick", "press", "fill None", "sell 3"]


def test_a_passed_input_orders_the_stages_and_lets_them_run() -> None:
    go(like=like)
    assert calls == ["pick", "press", "like", "fill Tasted(ends='')", "sell 3"]


def test_a_run_ends_well_and_skips_what_takes_from_a_skipped_stage() -> None:
    artifacts = go(taste=taste, praise=praise)
    assert calls == ["pick", "press", "taste", "praise"], "what takes the artifact for what it is runs"
    assert [(event.step.name, event.why) for event in events if isinstance(event, StepSkipped)] == [
        ("fill", "it is sour"),
        ("sell", "it is sour"),
    ]
    assert [event.error for event in events if isinstance(event, RunFinished)] == [None]
    assert Tasted in artifacts
    assert Bottles not in artifacts
    with pytest.raises(KeyError):
        artifacts[Bottles]
    assert calls[-1] == "praise", "asking for what was skipped makes nothing"


def test_a_skipped_artifact_that_is_passed_on_skips_what_takes_it() -> None:
    def check(bottles: Passed[Bottles]) -> None:
        calls.append(f"check {bottles}")

    go(taste=taste, check=check)
    assert calls == ["pick", "press", "taste"]
    assert [event.step.name for event in events if isinstance(event, StepSkipped)] == ["fill", "sell", "check"]


def test_a_lazy_input_is_made_only_where_it_is_asked_for(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    go(cache, like=like)
    calls.clear()
    go(cache, like=like)
    assert calls == ["like", "fill Tasted(ends='')", "sell 3"]
    calls.clear()
    events.clear()
    go(cache, taste=taste)
    assert calls == ["taste", "pick"], "it is made inside of the stage that asks"
    assert [event.step.name for event in events if isinstance(event, StepFinished)] == [
        "pick",
        "press",
        "pick",
        "taste",
    ]


def test_a_plan_names_lazy_and_passed_inputs() -> None:
    steps = plan({**MAKING, "taste": taste}, {})
    assert [step.name for step in steps] == ["pick", "press", "taste", "fill", "sell"]
    planned = {item.plan.name: item.plan.takes for item in decide(steps, {}, None)}
    assert planned["taste"] == ("Wine", "Grape")
    assert planned["fill"] == ("Wine", "Tasted")
