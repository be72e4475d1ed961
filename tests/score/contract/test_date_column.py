"""A column of dates in requests, the OpenAPI documents, the protocol's tensors, and the profile of its training values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from score.api import openapi, swagger, v2
from score.contract import distribution
from score.contract.cells import TableFormat
from score.contract.columns import rule_for
from score.contract.schema import Column, Contract
from score.payload.errors import BadRequest
from score.payload.reader import Reader, parse_body
from score.payload.typed_reader import LONG

DAYS = pd.Series(pd.date_range("2024-01-01", periods=40), name="day")


@pytest.fixture
def contract() -> Contract:
    """Days without a zone, some of which are missing, and times with one."""
    frame = pd.DataFrame(
        {"day": DAYS.astype("datetime64[us]").where(DAYS.dt.day != 2), "at": DAYS.dt.tz_localize("Asia/Tokyo")}
    )
    described = Contract.describe(frame, model_name="m", task="regression")
    return dataclasses.replace(described, table=TableFormat(missing=("", "NA")))


def records(*rows: Any) -> str:
    return json.dumps({"data": [dict(zip(("day", "at"), row, strict=True)) for row in rows]})


def test_the_contract_names_the_range_in_iso_8601(contract: Contract) -> None:
    day, at = contract.columns
    assert (day.kind, day.missing, day.minimum, day.maximum) == ("datetime", True, "2024-01-01", "2024-02-09")
    assert (at.kind, at.missing, at.example) == ("datetime", False, "2023-12-31T15:00:00Z")
    read = Contract.from_json(contract.to_json()).columns
    assert [(each.kind, each.minimum, each.dtype) for each in read] == [
        ("datetime", "2024-01-01", "datetime64[us]"),
        ("datetime", "2023-12-31T15:00:00Z", str(DAYS.dt.tz_localize("Asia/Tokyo").dtype)),
    ]


@pytest.mark.parametrize("rows", [1, LONG])
def test_every_reader_gives_seconds_and_the_frame_training_s_dtypes(contract: Contract, rows: int) -> None:
    body = records(*[("2024-01-05 06:00", "2024-01-05T06:00:00+01:00"), (None, "2024-01-05T05:00:00Z")] * rows)
    reader = Reader(contract)
    typed, general = reader.read(body).columns, reader.columns(parse_body(body))
    assert [list(typed["day"]), list(typed["at"])] == [list(general["day"]), list(general["at"])]
    frame = reader.frame(typed)
    assert frame["day"].tolist()[:2] == [pd.Timestamp("2024-01-05 06:00"), pd.NaT]
    assert set(frame["at"]) == {pd.Timestamp("2024-01-05 05:00", tz="UTC")}
    assert [str(dtype) for dtype in frame.dtypes] == [column.dtype for column in contract.columns]


def test_what_is_no_date_is_refused_with_its_place(contract: Contract) -> None:
    body = records(("NA", "2024-01-05T05:00:00Z"), ("2024-02-30", "2024-01-05"), (1704067200, None), (True, "x"))
    with pytest.raises(BadRequest) as refused:
        Reader(contract).read(body)
    found = {(each.row, each.column): each.problem for each in refused.value.problems}
    assert found == {
        (1, "day"): '"2024-02-30" is no date',
        (1, "at"): '"2024-01-05" has no time zone, and training\'s times have one',
        (2, "day"): "the value is 1704067200",
        (2, "at"): "the value is missing",
        (3, "day"): "true is a boolean",
        (3, "at"): '"x" is no date',
    }
    assert refused.value.problems[0].expected == 'a date in ISO 8601, such as "2024-01-01" or null'


def test_dates_outside_of_training_are_flagged(contract: Contract) -> None:
    reader = Reader(contract)
    request = reader.read(records(("2024-02-10", "2024-01-05T05:00:00Z"), (None, "2030-01-05T05:00:00Z")))
    assert reader.flags(request.columns).outside == {"day": 1, "at": 1}


def test_the_documents_name_the_format(contract: Contract) -> None:
    properties = openapi.document(contract, probable=False, keyed=False)["components"]["schemas"]["Row"]["properties"]
    assert (properties["at"]["type"], properties["at"]["format"]) == ("string", "date-time")
    assert (properties["day"]["type"], properties["day"]["format"]) == (["string", "null"], "date-time-local")
    old = swagger.document(contract, keyed=False)["definitions"]["ServiceInput"]["properties"]["data"]["items"]
    assert {name: each["format"] for name, each in old["properties"].items()} == {
        "day": "date-time-local",
        "at": "date-time",
    }
    assert [tensor["datatype"] for tensor in v2.metadata(contract, probable=False)["inputs"]] == ["BYTES", "BYTES"]


@pytest.mark.parametrize("value", [DAYS[3], DAYS[3].to_pydatetime(), DAYS[3].date(), "2024-01-04T00:00:00"])
def test_dates_of_tables_are_taken_as_well(contract: Contract, value: Any) -> None:
    rule = rule_for(contract.columns[0])
    assert rule.to_json(rule.coerce(value)) == "2024-01-04"
    with pytest.raises(ValueError, match="has a time zone"):
        rule.coerce(pd.Timestamp("2024-01-04", tz="UTC"))
    assert rule.coerce(pd.NaT) is None


def test_the_profile_has_tenths_and_drift(tmp_path: Path) -> None:
    days = DAYS.where(DAYS.dt.day != 2)
    contract = Contract.describe(days.to_frame(), model_name="m", task="regression")
    distribution.write(tmp_path, days.to_frame(), contract)
    profile = distribution.read(tmp_path)["day"]
    assert profile.bins[:3] == ["missing", "below", "2024-01-01 to 2024-01-05"]
    rule = rule_for(contract.columns[0])
    seconds = [rule.coerce(day) for day in days]
    assert profile.psi(profile.counted(seconds)) < 1e-9
    later = [None if each is None else each + 86400 * 30 for each in seconds]
    assert profile.psi(profile.counted(later)) > 0.5
    assert profile.outside(profile.counted(later)) > 0.5


def test_a_column_without_any_date_and_an_older_contract() -> None:
    empty = pd.DataFrame({"day": pd.Series([None, None], dtype="datetime64[us]")})
    (column,) = Contract.describe(empty, model_name="m", task="regression").columns
    assert (column.kind, column.example, column.minimum) == ("datetime", None, None)
    numbers = Contract("m", "regression", (Column("x", "number", "float64"),), table=TableFormat())
    assert "dates" not in json.loads(numbers.to_json())["table"]
    assert Contract.from_json(numbers.to_json()).table == TableFormat()
