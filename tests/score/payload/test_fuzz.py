"""Generated bodies: no 500, no wrong 200, no wrong 400, by the contract and by the OpenAPI document."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from score.api import openapi, v2
from score.contract.deployment_info import ORIGIN
from score.contract.schema import Contract
from score.models.base import PickledModel
from score.payload.reader import Reader
from score.predict.predictor import Predictor
from tests.nightly import at_night
from tests.score.conftest import Serve, infer_v2, port_of

GOOD = {"age": 30, "income": 1.5, "member": True, "city": "Oslo", "grade": "low", "level": 1, "note": "a"}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
# a whole float that may stand for several integers is refused where JSON Schema would take it: tested elsewhere
FLOATS = st.floats(-1e15, 1e15) | st.sampled_from([1e300, -1e300, math.inf, -math.inf, math.nan])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
USUAL = {name: st.just(value) for name, value in GOOD.items()}
NEAR = {
    "age": st.integers(-(2**64), 2**64) | FLOATS,
    "income": st.none() | FLOATS | st.integers(),
    "member": st.booleans(),
    "city": st.sampled_from(["Oslo", "Rome", "Kyiv", "Paris", None]),
    "grade": st.sampled_from(["low", "high", "middle", None]),
    "level": st.sampled_from([1, 2.0, 3, 4, True]),
    "note": TEXTS,
}


class Echo:
    """A model that predicts the age, so that a right answer is known for every row."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["age"].to_numpy()


@pytest.fixture(scope="module", params=["forbid", "ignore"])
def scorer(request: pytest.FixtureRequest, mixed: pd.DataFrame) -> Predictor:
    contract = Contract.describe(mixed, model_name="m", task="regression", extra_columns=request.param)
    reader = Reader(contract)
    return Predictor(contract, PickledModel(Echo(), reader), reader)


@st.composite
def rows(draw: st.DrawFn) -> Any:
    """Mostly a right row with one column changed, so that many are right."""
    changed = draw(st.sampled_from([*GOOD, "more"]))
    row: dict[str, Any] = draw(st.fixed_dictionaries(USUAL | {changed: NEAR.get(changed, VALUES) | VALUES}))
    if draw(st.integers(0, 9)) == 0:
        del row[draw(st.sampled_from(sorted(row)))]
    return row


def answered(scorer: Predictor, body: bytes) -> tuple[int, Any]:
    status, reply, _ = scorer.answer(body)
    return status, json.loads(reply, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def without_nan(value: Any) -> Any:
    """NaN means the same as null to us, and JSON Schema does not know it."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    return None if value != value else value  # noqa: PLR0124  # only NaN differs from itself


@given(table=st.lists(rows() | VALUES, max_size=3), form=st.sampled_from(["data", "input", "text"]))
def test_what_the_schema_takes_is_answered_right_and_nothing_else(
    scorer: Predictor, table: list[Any], form: str
) -> None:
    described = openapi.document(scorer.contract, probable=False, keyed=False)
    schema = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "components": described["components"]}
    body = {"data": table} if form == "data" else {"input": table if form == "input" else json.dumps(table)}
    status, reply = answered(scorer, json.dumps(body).encode())
    if not Draft202012Validator(schema).is_valid(without_nan(table)):
        assert status == 400
        assert {problem["row"] for problem in reply["problems"]} <= {*range(len(table)), None}
        return
    assert status == 200, reply
    found = (reply if form == "data" else json.loads(reply)).popitem()[1]
    assert found == [row["age"] for row in table]


@given(data=st.data(), form=st.integers(0, 3))
def test_a_damaged_body_is_refused_or_answered(scorer: Predictor, data: st.DataObject, form: int) -> None:
    tensors = [{"name": key, "datatype": "BYTES", "shape": [1], "data": [value]} for key, value in GOOD.items()]
    bodies = [{"data": [GOOD]}, {"input": json.dumps([GOOD])}, {"columns": list(GOOD), "data": [list(GOOD.values())]}]
    body = json.dumps([*bodies, {"inputs": tensors}][form]).encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 5)))
        pieces = [b"", b'"', b"[", b"]", b"{", b"}", b":", b",", b"\\", b"null", b"NaN", b"1e999", b"\xff", b"9" * 30]
        body = body[:start] + data.draw(st.sampled_from(pieces) | st.binary(max_size=3)) + body[end:]
    assert answered(scorer, body)[0] in (200, 400)
    status, reply, _ = infer_v2(scorer, body)
    assert status in (200, 400)
    assert status == 200 or list(json.loads(reply)) == ["error"]


@given(body=VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(["data", "columns", "index", "input"], VALUES)))
def test_no_value_as_a_body_makes_it_fail(scorer: Predictor, body: Any) -> None:
    assert answered(scorer, json.dumps(body).encode())[0] in (200, 400)
    assert infer_v2(scorer, json.dumps({"inputs": body}).encode()).status in (200, 400)


@given(
    rest=st.binary(max_size=20),
    sizes=st.lists(st.integers(-1, 12) | VALUES, min_size=1, max_size=3),
    datatype=st.sampled_from(v2.DATATYPES) | VALUES,
    shift=st.integers(-2, 2),
)
def test_no_bytes_as_tensors_make_it_fail(
    scorer: Predictor, rest: bytes, sizes: list[Any], datatype: Any, shift: int
) -> None:
    inputs = [
        {"name": name, "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": size}}
        for name, size in zip(GOOD, sizes, strict=False)
    ]
    text = json.dumps({"inputs": inputs}).encode()
    assert infer_v2(scorer, text + rest, str(len(text) + shift)).status == 400


@pytest.fixture(scope="module")
def address(survey: Path, serve: Serve) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ORIGIN, '{"version": "3"}')  # whose paths are described, too
        with serve(survey) as (_, process):
            yield f"http://127.0.0.1:{port_of(process)}/openapi.json"


@pytest.mark.parametrize(
    "chosen",
    [
        ["--exclude-path-regex", "/infer$"],
        # one schema cannot say that all tensors are there, and of one length
        at_night(["--include-path-regex", "/infer$", "--exclude-checks", "positive_data_acceptance"]),
    ],
    ids=["all but V2", "V2"],
)
def test_schemathesis_finds_nothing(address: str, chosen: list[str], tmp_path: Path) -> None:
    bounded = ["--max-examples", "15", "--seed", "1", "--request-timeout", "20", "--generation-database", "none"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", address, *bounded, *chosen],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout
