"""Micro-batching: every request gets the prediction that it would get alone."""

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
from score.predict.batching import MAX_ROWS, MicroBatcher
from score.predict.predictor import Prediction, Predictor
from tests.score.conftest import Serve, port_of


class Doubles:
    """A predictor that remembers how many rows it was asked for, and fails for 13."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, bool]] = []

    def predict(self, columns: Any, *, labels: bool = True) -> Prediction:
        values = np.array(columns["a"], dtype=float)
        self.runs.append((len(values), labels))
        if 13 in values:
            raise ValueError("13")
        return Prediction((values * 2).tolist() if labels else [], np.column_stack([values, -values]))


def asked(
    model: Doubles, *requests: list[float], labels: Sequence[bool] = (), iterations: int = 1, batchable: bool = True
) -> list[Any]:
    """Return the prediction for each request; they arrive in ``iterations`` iterations of the event loop."""
    took: list[float] = []

    async def ask() -> list[Any]:
        predict = MicroBatcher(model.predict, batchable=batchable, report=took.append).predict
        wanted = [*labels, *[True] * len(requests)]
        calls = [predict({"a": values}, labels=label) for values, label in zip(requests, wanted, strict=False)]
        found: list[Any] = []
        for iteration in range(iterations):
            found += await asyncio.gather(*calls[iteration::iterations], return_exceptions=True)
        return found

    found = asyncio.run(ask())
    assert len(took) == iterations
    assert all(0 < seconds < 10 for seconds in took)
    return found


def test_requests_of_one_iteration_share_one_call() -> None:
    model = Doubles()
    found = asked(model, [1], [2, 3], [4])
    assert [(codes, shares.tolist()) for codes, shares in found] == [
        ([2], [[1, -1]]),
        ([4, 6], [[2, -2], [3, -3]]),
        ([8], [[4, -4]]),
    ]
    assert model.runs == [(4, True)]


def test_requests_of_two_iterations_are_two_calls() -> None:
    model = Doubles()
    asked(model, [1], [2], [3], iterations=2)
    assert model.runs == [(2, True), (1, True)]


def test_labels_are_predicted_if_any_request_wants_them() -> None:
    model = Doubles()
    asked(model, [1], [2], labels=(False, False))
    (first, _), (second, _) = asked(model, [1], [2], labels=(False, True))
    assert [first, second] == [[2], [4]]
    assert model.runs == [(2, False), (2, True)]


def test_batches_stay_small_and_a_long_request_is_its_own() -> None:
    model = Doubles()
    found = asked(model, *[[float(number)] for number in range(20, 20 + MAX_ROWS + 5)], [1.0] * (MAX_ROWS + 1), [2, 3])
    assert [codes for codes, _ in found[:3]] == [[40], [42], [44]]
    assert [len(codes) for codes, _ in found[-2:]] == [MAX_ROWS + 1, 2]
    assert model.runs == [(MAX_ROWS, True), (5, True), (MAX_ROWS + 1, True), (2, True)]


def test_a_failure_reaches_only_the_request_at_fault() -> None:
    model = Doubles()
    first, bad, last = asked(model, [1], [2, 13], [3])
    assert [first[0], last[0]] == [[2], [6]]
    assert isinstance(bad, ValueError)
    assert model.runs == [(4, True), (1, True), (2, True), (1, True)]


def test_the_reported_seconds_are_the_mean_of_an_iteration() -> None:
    class Slow(Doubles):
        def predict(self, columns: Any, *, labels: bool = True) -> Prediction:
            time.sleep(0.2)
            return super().predict(columns, labels=labels)

    took: list[float] = []

    async def ask() -> None:
        predict = MicroBatcher(Slow().predict, batchable=True, report=took.append).predict
        await asyncio.gather(*(predict({"a": [1.0]}) for _ in range(4)))

    began = time.perf_counter()
    asyncio.run(ask())
    assert 0.05 <= took[0] <= (time.perf_counter() - began) / 4


def test_without_batching_each_request_is_a_call() -> None:
    model = Doubles()
    found = asked(model, [1], [2, 3], [4], batchable=False)
    assert [codes for codes, _ in found] == [[2], [4, 6], [8]]
    assert model.runs == [(1, True), (2, True), (1, True)]


def test_a_cancelled_request_does_not_affect_the_others() -> None:
    model = Doubles()

    async def ask() -> Any:
        predict = MicroBatcher(model.predict, batchable=True, report=lambda _: None).predict
        gone, bad, stays = (asyncio.create_task(predict({"a": [value]})) for value in (1.0, 13.0, 2.0))
        await asyncio.sleep(0)
        gone.cancel()
        bad.cancel()
        return await stays

    codes, _ = asyncio.run(ask())
    assert codes == [4]


@pytest.fixture(scope="module")
def compiled_package(pima: Path, X: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with its compiled model."""
    folder = shutil.copytree(pima, tmp_path_factory.mktemp("compiled") / "package")
    scorer = Predictor.load(folder)
    assert isinstance(scorer.model, PickledModel)
    compile_pipeline(scorer.model.pipeline, scorer.contract, [X], []).write(folder)
    return folder


async def burst(port: int, bodies: Sequence[str], connections: int = 16) -> list[tuple[int, bytes]]:
    """Return the responses to bodies that are sent over all connections at the same time, round after round."""
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


def test_batched_responses_equal_those_of_single_requests(
    compiled_package: Path, X: pd.DataFrame, serve: Serve
) -> None:
    scorer = Predictor.load(compiled_package)
    assert isinstance(scorer.model, CompiledModel)
    assert scorer.model.batchable
    rows = X.to_dict("records")
    bodies = [json.dumps({"input": json.dumps([row])}) for row in rows[:400]]
    bodies += [json.dumps({"data": rows[start : start + 3]}) for start in range(0, 90, 3)]
    bodies += [json.dumps({"data": [row | {"BMI": "much"}]}) for row in rows[:20]]
    bodies = [bodies[place] for place in np.random.default_rng(0).permutation(len(bodies))]
    wanted = [scorer.answer(body)[:2] for body in bodies]
    assert {status for status, _ in wanted} == {200, 400}
    with serve(compiled_package) as (_, process):
        assert asyncio.run(burst(port_of(process), bodies)) == wanted
