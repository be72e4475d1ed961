"""The engine with toy artifacts: no scikit-learn, no pandas, nothing that takes time."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NewType

import pytest

from orchestrator.caching.cache import Cache, Entry, cached, pure
from orchestrator.engine.planner import plan
from orchestrator.engine.runner import Artifacts, decide, run
from orchestrator.errors import PlanError
from orchestrator.events import (
    Event,
    Progress,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgress,
    StepStarted,
)

Seed = NewType("Seed", int)


@dataclass(frozen=True)
class Flour:
    grams: int


@dataclass(frozen=True)
class Dough:
    grams: int


@dataclass(frozen=True)
class Bread:
    grams: int


class Oven:
    """A given that is no plain value: its value may change unnoticed."""


calls: list[str] = []
seen: list[str] = []
errors: list[BaseException] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    for log in (calls, seen, errors):
        log.clear()


@pure()
def mill(seed: Seed) -> Flour:
    calls.append("mill")
    return Flour(seed)


@cached()
def knead(flour: Flour) -> Dough:
    calls.append("knead")
    return Dough(flour.grams * 2)


@cached()
def bake(dough: Dough, progress: Progress) -> Bread:
    calls.append("bake")
    progress(1, 2, "half")
    if errors:
        raise errors[0]
    return Bread(dough.grams - 1)


def sell(bread: Bread) -> None:
    calls.append(f"sell {bread.grams}")


@dataclass(frozen=True)
class Weigh:
    """A stage with options."""

    unit: str = "g"
    hidden: int = field(default=0, repr=False)

    def __call__(self, bread: Bread) -> str:
        calls.append("weigh")
        return f"{bread.grams} {self.unit}"


CachedWeigh = cached()(type("CachedWeigh", (Weigh,), {}))
STAGES: dict[str, Callable[..., Any]] = {"sell": sell, "bake": bake, "knead": knead, "mill": mill}
GIVEN = {Seed: Seed(3)}


def record(event: Event) -> None:
    step = getattr(event, "step", None)
    flag = " cached" if isinstance(event, StepFinished) and event.step.cached else ""
    error = getattr(event, "error", None)
    text = f" {error!r}" if error is not None else ""
    seen.append(f"{type(event).__name__}{f' {step.name}' if step else ''}{flag}{text}")


def go(
    cache: Cache | None = None,
    stages: dict[str, Callable[..., Any]] | None = None,
    given: dict[Any, Any] | None = None,
    observers: tuple[Callable[[Event], None], ...] = (record,),
) -> Artifacts:
    given = given or GIVEN
    return run(plan(stages or STAGES, given), given, observers, cache)


def reasons(cache: Cache, stages: Any = None, given: Any = None) -> dict[str, str]:
    given = given or GIVEN
    planned = [item.plan for item in decide(plan(stages or STAGES, given), given, cache)]
    return {step.name: ("" if step.cached else "runs: ") + step.why for step in planned}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def the_file(cache: Cache, stage: str, name: str = "product.pkl") -> Path:
    (path,) = cache.root.glob(f"{stage}/*/{name}")
    return path


# --- plan


def test_order_comes_from_data_alone_and_else_from_the_list() -> None:
    assert [step.name for step in plan(STAGES, GIVEN)] == ["mill", "knead", "bake", "sell"]

    def one() -> int:
        return 1

    def two() -> str:
        return ""

    assert [step.name for step in plan({"two": two, "one": one}, {})] == ["two", "one"]
    assert [step.name for step in plan({"one": one, "two": two}, {})] == ["one", "two"]


def test_a_parameter_with_a_default_is_no_input() -> None:
    def stage(seed: Seed, times: int = 2) -> str:
        return "x" * seed * times

    assert go(stages={"stage": stage})[str] == "xxxxxx"


def test_a_parameter_that_may_be_none_is_an_input_where_something_gives_it() -> None:
    def show(flour: Flour, bread: Bread | None = None) -> str:
        return f"{flour.grams} {bread and bread.grams}"

    assert go(stages={"show": show, "mill": mill})[str] == "3 None"
    assert go(stages={"show": show, **STAGES})[str] == "3 5"


def test_a_stage_may_be_an_object_with_options_or_a_method() -> None:
    artifacts = go(stages={**STAGES, "weigh": Weigh("kg")})
    assert artifacts[str] == "5 kg"
    assert go(stages={**STAGES, "weigh": Weigh("t").__call__})[str] == "5 t"


def unannotated(x) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    return int(x)


def no_return(seed: Seed):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return seed


def any_number(*seeds: Seed) -> int:
    return len(seeds)


def unknown_name(seed: Nowhere) -> int:  # type: ignore[name-defined]  # noqa: F821
    return int(seed)


@pure()
def egg(hen: Dough) -> Flour:
    return Flour(hen.grams)


@pure()
def warm(oven: Oven) -> int:
    return id(oven)


def buy() -> Flour:
    return Flour(1)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"a": unannotated}, r"stages\.a: should take 'x' by name, with the type of an artifact"),
        ({"a": no_return}, r"stages\.a: its return type is not annotated; say what it gives, or None"),
        ({"a": any_number}, r"stages\.a: should take '\*seeds: .*' by name"),
        ({"a": unknown_name}, r"stages\.a: its annotations name 'Nowhere', which its module does not import"),
        ({"a": knead}, r"stages\.a: takes Flour, which nothing gives; add the stage .* \(there are: .*Dough.*Seed\)"),
        ({"a": mill, "b": buy}, r"stages\.b: gives Flour, which stages\.a gives already"),
        ({"a": lambda: None}, r"stages\.a: its return type is not annotated"),
        ({"a": warm}, r"stages\.a: is marked as pure and takes Oven, which is no plain value"),
        (
            {"a": buy, "b": knead},
            r"stages\.b: .* takes Flour, which stages\.a gives and that is not; mark both or none",
        ),
    ],
)
def test_every_misfit_is_reported(stages: dict[str, Callable[..., Any]], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(stages, {Seed: 1, Oven: Oven()})


def test_a_stage_must_not_give_what_is_given() -> None:
    def seeds() -> Seed:
        return Seed(1)

    with pytest.raises(PlanError, match=r"stages\.a: gives Seed, which the run itself gives already"):
        plan({"a": seeds}, {Seed: 1})


def test_a_circle_is_named_without_those_that_only_wait_for_it() -> None:
    with pytest.raises(PlanError, match=r"stages: knead → egg → knead: each takes what the next one gives"):
        plan({"sell": sell, "bake": bake, "knead": knead, "egg": egg}, {})


def test_all_misfits_are_reported_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        plan({"a": unannotated, "b": no_return}, {Seed: 1})
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(PlanError) as caught:
        plan({"a": knead, "b": sell, "c": warm}, {Oven: Oven()})
    assert len(str(caught.value).splitlines()) == 3


# --- run and events


def test_events_of_a_run_come_in_order() -> None:
    artifacts = go()
    assert artifacts[Bread] == Bread(5)
    assert artifacts[Seed] == 3
    assert Oven not in artifacts
    assert calls == ["mill", "knead", "bake", "sell 5"]
    assert seen == [
        "RunStarted",
        *("StepStarted mill", "StepFinished mill"),
        *("StepStarted knead", "StepFinished knead"),
        *("StepStarted bake", "StepProgress", "StepFinished bake"),
        *("StepStarted sell", "StepFinished sell"),
        "RunFinished",
    ]


def test_events_carry_the_plan_the_artifacts_and_the_progress() -> None:
    events: list[Event] = []
    go(observers=(events.append,))
    started = events[0]
    assert isinstance(started, RunStarted)
    assert [(step.name, step.takes, step.gives) for step in started.steps] == [
        ("mill", ("Seed",), "Flour"),
        ("knead", ("Flour",), "Dough"),
        ("bake", ("Dough",), "Bread"),  # Progress is no input
        ("sell", ("Bread",), "nothing"),
    ]
    assert StepProgress(1, 2, "half") in events
    assert [event.artifact for event in events if isinstance(event, StepFinished)] == [
        Flour(3),
        Dough(6),
        Bread(5),
        None,
    ]


@pytest.mark.parametrize("error", [ValueError("burnt"), KeyboardInterrupt(), SystemExit(2)])
def test_a_failed_step_sends_an_event_and_raises_its_error_unchanged(error: BaseException, cache: Cache) -> None:
    errors.append(error)
    with pytest.raises(type(error)) as caught:
        go(cache)
    assert caught.value is error
    assert seen[-3:] == ["StepProgress", f"StepFailed bake {error!r}", f"RunFinished {error!r}"]
    assert calls == ["mill", "knead", "bake"]
    assert not (cache.root / "bake").exists()
    errors.clear()
    assert reasons(cache)["bake"] == "runs: not in the cache yet"
    assert reasons(cache)["knead"] == ""


@pytest.mark.parametrize("kind", [RunStarted, StepStarted, StepProgress, StepFinished, RunFinished])
@pytest.mark.parametrize("error", [RuntimeError("full"), KeyboardInterrupt()])
def test_a_failing_observer_fails_the_run_and_all_hear_how_it_ended(kind: type, error: BaseException) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, kind):
            raise error

    with pytest.raises(type(error)):
        go(observers=(fail, record))
    assert seen[-1] == ("RunFinished" if kind is RunFinished else f"RunFinished {error!r}")
    assert sum(line.startswith("RunFinished") for line in seen) == 1


@pytest.mark.parametrize("kind", [StepFailed, RunFinished])
def test_a_failing_observer_does_not_hide_why_a_run_failed(kind: type, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, kind):
            raise OSError("the observer's own")

    errors.append(ValueError("burnt"))
    with pytest.raises(ValueError, match="burnt"):
        go(observers=(fail, record))
    assert seen[-1] == "RunFinished ValueError('burnt')"
    assert "the observer's own" in caplog.text


# --- the cache


def test_a_cached_artifact_is_not_made_again_and_one_without_takers_is_not_made(cache: Cache) -> None:
    go(cache)
    calls.clear()
    seen.clear()
    go(cache)
    assert calls == ["sell 5"]
    assert seen == [
        "RunStarted",
        *("StepFinished mill cached", "StepFinished knead cached", "StepFinished bake cached"),
        *("StepStarted sell", "StepFinished sell"),
        "RunFinished",
    ]
    assert reasons(cache) == {
        "mill": "nothing that runs takes it",
        "knead": "",
        "bake": "",
        "sell": "runs: every time",
    }


def test_reasons_before_anything_was_kept(cache: Cache) -> None:
    assert reasons(cache) == {
        "mill": "runs: knead takes it",
        "knead": "runs: not in the cache yet",
        "bake": "runs: not in the cache yet",
        "sell": "runs: every time",
    }
    assert not cache.root.exists()  # looking changes nothing


def test_a_kept_artifact_is_loaded_only_when_it_is_asked_for(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    go(cache)
    loaded: list[str] = []
    original = Cache.load

    def load(self: Cache, entry: Entry) -> Any:
        loaded.append(entry.folder.parent.name)
        return original(self, entry)

    monkeypatch.setattr(Cache, "load", load)
    artifacts = go(cache)
    assert loaded == ["bake"]
    assert artifacts[Dough] == Dough(6)
    assert artifacts[Dough] == Dough(6)
    assert loaded == ["bake", "knead"]


def test_what_was_not_needed_is_made_quietly_when_it_is_asked_for_later(cache: Cache) -> None:
    go(cache)
    artifacts = go(cache)
    seen.clear()
    calls.clear()
    assert artifacts[Flour] == Flour(3)
    assert calls == ["mill"]
    assert seen == []  # RunFinished was sent: nothing comes after it


def test_a_run_without_effects_makes_what_is_last(cache: Cache) -> None:
    stages = {name: stage for name, stage in STAGES.items() if name != "sell"}
    assert go(cache, stages)[Bread] == Bread(5)
    calls.clear()
    assert go(cache, stages)[Bread] == Bread(5)
    assert calls == []


def test_without_a_cache_everything_runs() -> None:
    go()
    go()
    assert calls == ["mill", "knead", "bake", "sell 5"] * 2


def test_another_seed_is_another_key_and_the_reason_is_named_downstream_too(cache: Cache) -> None:
    go(cache)
    other = {Seed: Seed(4)}
    assert reasons(cache, given=other)["bake"] == "runs: changed: seed"
    assert go(cache, given=other)[Bread] == Bread(7)
    assert reasons(cache, given=other)["bake"] == ""
    assert reasons(cache)["bake"] == ""  # what was kept of the first seed is still there


def test_options_are_part_of_the_key_those_that_are_not_shown_too(cache: Cache) -> None:
    def stages(**options: Any) -> dict[str, Callable[..., Any]]:
        return {**STAGES, "weigh": CachedWeigh(**options)}

    assert go(cache, stages(unit="kg"))[str] == "5 kg"
    assert reasons(cache, stages(unit="kg"))["weigh"] == ""
    assert reasons(cache, stages(unit="t"))["weigh"] == "runs: changed: stages.weigh.unit"
    assert reasons(cache, stages(unit="kg", hidden=1))["weigh"] == "runs: changed: stages.weigh.hidden"
    assert go(cache, stages(unit="t"))[str] == "5 t"


@cached()
def knead_twice(flour: Flour) -> Dough:
    return Dough(flour.grams * 4)


def test_another_stage_of_the_same_module_in_the_same_place_is_another_key(cache: Cache) -> None:
    go(cache)
    stages: dict[str, Callable[..., Any]] = {**STAGES, "knead": knead_twice}
    assert reasons(cache, stages)["bake"] == "runs: changed: stages.knead"
    assert go(cache, stages)[Bread] == Bread(11)


def test_another_version_is_another_key(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    @cached("toaster")
    def toast(seed: Seed) -> str:
        return str(seed)

    version = {"toaster": "1"}
    monkeypatch.setattr("orchestrator.caching.fingerprints._version", lambda name: version.get(name, ""))
    go(cache, {"toast": toast})
    assert reasons(cache, {"toast": toast})["toast"] == ""
    version["toaster"] = "2"
    assert reasons(cache, {"toast": toast})["toast"] == "runs: changed: toaster"


def test_another_python_is_another_key(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    go(cache)
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    assert reasons(cache)["knead"] == "runs: changed: python"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "product.pkl is not what was written"),
        (lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:]), "product.pkl is not what was written"),
        (lambda path: path.unlink(), "product.pkl cannot be read (No such file or directory)"),
        (lambda path: path.with_name("manifest.json").unlink(), "its manifest cannot be read (No such file or dir"),
        (lambda path: path.with_name("manifest.json").write_text("{"), "its manifest is not what was written"),
        (lambda path: path.with_name("manifest.json").write_text("[]"), "its manifest is not what was written"),
        (lambda path: path.with_name("manifest.json").write_text("\0\xff"), "its manifest is not what was written"),
        (
            lambda path: path.with_name("manifest.json").write_text('{"parts": {}, "files": {}}'),
            "its manifest is not what was written",
        ),
        (
            lambda path: path.with_name("manifest.json").write_text('{"parts": {}, "files": {"product.pkl": 1}}'),
            "product.pkl is not what was written",
        ),
    ],
)
def test_a_damaged_entry_is_a_miss_and_replaced(cache: Cache, damage: Callable[[Path], None], reason: str) -> None:
    go(cache)
    calls.clear()
    damage(the_file(cache, "bake"))
    assert reasons(cache)["bake"].startswith(f"runs: its cache entry is damaged: {reason}")
    assert go(cache)[Bread] == Bread(5)
    assert calls == ["bake", "sell 5"]
    assert reasons(cache)["bake"] == ""


def test_an_artifact_that_does_not_load_any_more_is_made_again(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    go(cache)
    events: list[Event] = []
    calls.clear()
    seen.clear()
    monkeypatch.setattr("orchestrator.caching.cache.pickle.loads", _loader({Dough, Bread}))
    assert go(cache, observers=(record, events.append))[Bread] == Bread(5)
    assert calls == ["mill", "knead", "bake", "sell 5"]
    assert seen[1:7] == [
        *("StepFinished mill cached", "StepFinished knead cached"),
        *("StepStarted mill", "StepFinished mill", "StepStarted knead", "StepFinished knead"),
    ]
    why = {event.step.name: event.step.why for event in events if isinstance(event, StepStarted)}
    assert why["bake"] == "its cache entry is damaged: it does not load (AttributeError: it moved)"
    assert why["mill"] == "asked for after all"


def _loader(broken: set[type]) -> Callable[[bytes], Any]:
    original = pickle.loads

    def loads(data: bytes) -> Any:
        artifact = original(data)
        if type(artifact) in broken:
            raise AttributeError("it moved")
        return artifact

    return loads


def test_a_damage_found_after_the_run_is_logged_and_replaced(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go(cache)
    artifacts = go(cache)
    monkeypatch.setattr("orchestrator.caching.cache.pickle.loads", _loader({Dough}))
    assert artifacts[Dough] == Dough(6)
    assert "knead: its cache entry is damaged: it does not load" in caplog.text


@cached()
def unpicklable(seed: Seed) -> Callable[[], int]:
    return lambda: seed


def test_what_cannot_be_kept_fails_no_run(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    artifacts = go(cache, {"stage": unpicklable}, observers=(events.append,))
    assert artifacts[Callable[[], int]]() == 3
    finished = next(event for event in events if isinstance(event, StepFinished))
    assert "not in the cache yet; not kept: " in finished.step.why

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Cache, "save", full)
    assert go(cache)[Bread] == Bread(5)


def test_what_changed_while_a_step_ran_is_not_kept(cache: Cache) -> None:
    class Weather:
        def __init__(self) -> None:
            self.now = "sun"

        def cache_parts(self) -> dict[str, str]:
            return {"weather": self.now}

    @cached()
    def look(weather: Weather) -> str:
        weather.now = "rain"
        return weather.now

    look.__annotations__["weather"] = Weather
    events: list[Event] = []
    go(cache, {"look": look}, {Weather: Weather()}, observers=(events.append,))
    assert not (cache.root / "look").exists()
    finished = next(event for event in events if isinstance(event, StepFinished))
    assert finished.step.why.endswith("not kept: its inputs or its code changed meanwhile")


def test_the_engine_needs_no_machine_learning() -> None:
    code = (
        "import sys; import orchestrator.engine.runner; "
        "heavy = {'sklearn', 'pandas', 'numpy', 'mlflow', 'matplotlib', 'hydra', 'pydantic'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_wiring_imports_nothing_heavy() -> None:
    code = (
        "import sys; import orchestrator.pipeline; "
        "heavy = {'sklearn', 'pandas', 'numpy', 'mlflow', 'matplotlib', 'hydra'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
