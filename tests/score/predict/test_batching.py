"""Rows of several requests in one run of the model: who asks what gets what, as if nobody else had asked."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.packaging.onnx.compile import compile_pipeline
from score.models.base import PickledModel
from score.models.onnx import CompiledModel
from score.predict.batching import MOST, MicroBatcher, alone, at_once
from score.predict.predictor import Predictor
from tests.score.conftest import Serve, port_of


class Doubles:
    """A model that remembers how many rows it was asked for; 13 brings it bad luck."""

    classes = (0, 1)

    def __init__(self, *, together: bool = True) -> None:
        self.together = together
        self.runs: list[tuple[int, bool]] = []

    def predict(self, columns: Any, *, labels: bool = True) -> tuple[Any, Any]:
        values = np.array(columns["a"], dtype=float)
        self.runs.append((len(values), labels))
        if 13 in values:
            raise ValueError("13")
        return values * 2 if labels else None, np.column_stack([values, -values])


def asked(model: Doubles, *requests: list[float], labels: Sequence[bool] = (), turns: int = 1) -> list[Any]:
    """What each request gets, and all of them come in as many turns."""
    took: list[float] = []

    async def ask() -> list[Any]:
        predict = MicroBatcher(model, took.append).predict
        wanted = [*labels, *[True] * len(requests)]
        calls = [predict({"a": values}, labels=label) for values, label in zip(requests, wanted, strict=False)]
        found: list[Any] = []
        for turn in range(turns):
            found += await asyncio.gather(*calls[turn::turns], return_exceptions=True)
        return found

    found = asyncio.run(ask())
    assert len(took) == turns
    assert all(0 < seconds < 10 for seconds in took)
    return found


def test_what_comes_in_one_turn_is_one_run() -> None:
    model = Doubles()
    found = asked(model, [1], [2, 3], [4])
    assert [(codes.tolist(), shares.tolist()) for codes, shares in found] == [
        ([2], [[1, -1]]),
        ([4, 6], [[2, -2], [3, -3]]),
        ([8], [[4, -4]]),
    ]
    assert model.runs == [(4, True)]


def test_what_comes_in_two_turns_is_two() -> None:
    model = Doubles()
    asked(model, [1], [2], [3], turns=2)
    assert model.runs == [(2, True), (1, True)]


def test_labels_are_predicted_if_anybody_wants_them() -> None:
    model = Doubles()
    asked(model, [1], [2], labels=(False, False))
    (first, _), (second, _) = asked(model, [1], [2], labels=(False, True))
    assert [first.tolist(), second.tolist()] == [[2], [4]]
    assert model.runs == [(2, False), (2, True)]


def test_runs_stay_short_and_a_long_request_is_its_own() -> None:
    model = Doubles()
    found = asked(model, *[[float(number)] for number in range(20, 20 + MOST + 5)], [1.0] * (MOST + 1), [2, 3])
    assert [codes.tolist() for codes, _ in found[:3]] == [[40], [42], [44]]
    assert [len(codes) for codes, _ in found[-2:]] == [MOST + 1, 2]
    assert model.runs == [(MOST, True), (5, True), (MOST + 1, True), (2, True)]


def test_a_failure_is_told_to_whom_it_belongs() -> None:
    model = Doubles()
    first, bad, last = asked(model, [1], [2, 13], [3])
    assert [first[0].tolist(), last[0].tolist()] == [[2], [6]]
    assert isinstance(bad, ValueError)
    assert model.runs == [(4, True), (1, True), (2, True), (1, True)]


def test_even_an_end_that_no_future_takes_is_told() -> None:
    class Ended(Doubles):
        def predict(self, columns: Any, *, labels: bool = True) -> tuple[Any, Any]:
            try:
                return super().predict(columns, labels=labels)
            except ValueError:
                raise StopIteration("13") from None

    first, bad, last = asked(Ended(), [1], [13], [3])
    assert [first[0].tolist(), last[0].tolist()] == [[2], [6]]
    assert isinstance(bad, RuntimeError)


def test_what_a_request_took_is_its_share_of_the_turn() -> None:
    class Slow(Doubles):
        def predict(self, columns: Any, *, labels: bool = True) -> tuple[Any, Any]:
            time.sleep(0.2)
            return super().predict(columns, labels=labels)

    took: list[float] = []

    async def ask() -> None:
        predict = MicroBatcher(Slow(), took.append).predict
        await asyncio.gather(*(predict({"a": [1.0]}) for _ in range(4)))

    began = time.perf_counter()
    asyncio.run(ask())
    assert 0.05 <= took[0] <= (time.perf_counter() - began) / 4


def test_a_model_that_is_not_proven_is_asked_for_each_alone() -> None:
    model = Doubles(together=False)
    found = asked(model, [1], [2, 3], [4])
    assert [codes.tolist() for codes, _ in found] == [[2], [4, 6], [8]]
    assert model.runs == [(1, True), (2, True), (1, True)]


def test_who_has_gone_stops_nobody() -> None:
    model = Doubles()

    async def ask() -> Any:
        predict = MicroBatcher(model, lambda _: None).predict
        gone, bad, stays = (asyncio.create_task(predict({"a": [value]})) for value in (1.0, 13.0, 2.0))
        await asyncio.sleep(0)
        gone.cancel()
        bad.cancel()
        return await stays

    codes, _ = asyncio.run(ask())
    assert codes.tolist() == [4]


def test_outside_of_a_loop_nobody_waits() -> None:
    model = Doubles()

    async def ask(predict: Any) -> Any:
        return await predict({"a": [1.0]}, labels=False)

    codes, shares = at_once(ask(alone(model)))
    assert (codes, shares.tolist()) == (None, [[1, -1]])
    with pytest.raises(RuntimeError, match="waits for something"):
        at_once(asyncio.sleep(0))


@pytest.fixture(scope="module")
def twin(pima: Path, X: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with its compiled twin."""
    folder = shutil.copytree(pima, tmp_path_factory.mktemp("twin") / "package")
    scorer = Predictor.load(folder)
    assert isinstance(scorer.model, PickledModel)
    compile_pipeline(scorer.model.pipeline, scorer.contract, [X], []).write(folder)
    return folder


async def burst(port: int, bodies: Sequence[str], connections: int = 16) -> list[tuple[int, bytes]]:
    """The answers to bodies of which so many come at the same moment, again and again."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    found = []
    for start in range(0, len(bodies), connections):
        some = bodies[start : start + connections]
        for (_, writer), body in zip(streams, some, strict=False):
            writer.write(f"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        for reader, _ in streams[: len(some)]:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head)
            assert length is not None
            found.append((int(head.split()[1]), await reader.readexactly(int(length[1]))))
    for _, writer in streams:
        writer.close()
        await writer.wait_closed()
    return found


def test_a_server_answers_many_at_once_as_it_answers_each(twin: Path, X: pd.DataFrame, serve: Serve) -> None:
    scorer = Predictor.load(twin)
    assert isinstance(scorer.model, CompiledModel)
    assert scorer.model.together
    rows = X.to_dict("records")
    bodies = [json.dumps({"input": json.dumps([row])}) for row in rows[:400]]
    bodies += [json.dumps({"data": rows[start : start + 3]}) for start in range(0, 90, 3)]
    bodies += [json.dumps({"data": [row | {"BMI": "much"}]}) for row in rows[:20]]
    bodies = [bodies[place] for place in np.random.default_rng(0).permutation(len(bodies))]
    wanted = [scorer.answer(body)[:2] for body in bodies]
    assert {status for status, _ in wanted} == {200, 400}
    with serve(twin) as (_, process):
        assert asyncio.run(burst(port_of(process), bodies)) == wanted
