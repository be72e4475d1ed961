"""When a reply is the golden one, and how a difference is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from score.contract.golden import Golden, read, repeated, write

REPLY = {"predictions": ["ill", "healthy"], "probabilities": [[0.25, 0.75], [1.0, 0.0]], "classes": ["healthy", "ill"]}


def changed(**keys: Any) -> dict[str, Any]:
    return {**REPLY, **keys}


@pytest.mark.parametrize(
    "got",
    [
        REPLY,
        changed(probabilities=[[0.25 + 1e-13, 0.75], [1, 0]]),  # 1.0 may be written as 1
    ],
)
def test_the_same_reply_is_the_same_within_the_last_digits(got: Any) -> None:
    assert Golden("records", "", 200, REPLY).difference(200, got) == ""


@pytest.mark.parametrize(
    ("got", "difference"),
    [
        (changed(probabilities=[[0.25, 0.75], [1.0, 1e-11]]), "reply.probabilities[1][1] is 1e-11 instead of 0.0"),
        (changed(probabilities=[[0.25, None], [1.0, 0.0]]), "reply.probabilities[0][1] is null instead of 0.75"),
        (changed(probabilities=[[0.25, float("nan")], [1.0, 0.0]]), "reply.probabilities[0][1] is NaN instead of 0.75"),
        (changed(probabilities=[[0.25, 0.75], [True, 0.0]]), "reply.probabilities[1][0] is true instead of 1.0"),
        (changed(predictions=["ill", "ill"]), "reply.predictions[1] is ill instead of healthy"),
        (changed(predictions=["ill"]), 'reply.predictions is ["ill"] instead of ["ill", "healthy"]'),
        ({"predictions": []}, 'reply is {"predictions": []} instead of {"predictions": ["ill"'),
        ([], "reply is [] instead of {"),
        (None, "reply is null instead of {"),
        ("no JSON {", "reply is no JSON { instead of {"),
    ],
)
def test_a_difference_is_reported_with_its_place(got: Any, difference: str) -> None:
    found = Golden("records", "", 200, REPLY).difference(200, got)
    assert found.startswith(difference)
    assert len(found) < 500


@pytest.mark.parametrize(("wanted", "got"), [(1, True), (1, 1.0), ("1", 1), (None, 0), (True, 1)])
def test_labels_are_compared_with_their_types(wanted: Any, got: Any) -> None:
    assert Golden("x", "", 200, {"predictions": [wanted]}).difference(200, {"predictions": [got]})


def test_large_numbers_are_compared_relatively() -> None:
    request = Golden("x", "", 200, {"predictions": [1e9]})
    assert request.difference(200, {"predictions": [1e9 + 1e-4]}) == ""
    assert request.difference(200, {"predictions": [1e9 + 1e-2]})


def test_the_articles_reply_is_compared_by_its_numbers() -> None:
    request = Golden("article", "", 200, json.dumps({"proba": [0.5]}))
    assert request.difference(200, '{"proba":[0.5000000000000001]}') == ""
    assert request.difference(200, '{"proba":[0.6]}') == "reply.proba[0] is 0.6 instead of 0.5"
    assert request.difference(200, '{"proba":') == 'reply is {"proba": instead of {"proba": [0.5]}'


def test_of_a_refusal_only_the_status_counts() -> None:
    request = Golden("no JSON", "{", 400)
    assert request.difference(400, {"detail": "whatever"}) == ""
    assert request.difference(200, {"x": 1}) == 'status 200 instead of 400: {"x": 1}'
    assert Golden("x", "", 200, REPLY).difference(500, "a" * 900).endswith("...")


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    requests = [Golden("records", '{"ä": 1}', 200, REPLY), Golden("no JSON", "{", 400)]
    write(tmp_path, requests)
    assert read(tmp_path) == requests
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path, [Golden("x", "", 200, float("nan"))])


def test_many_rows_are_few_ones_again_and_again() -> None:
    rows = [{"a": 1}, {"a": 2}]
    many = repeated(Golden("records", json.dumps({"data": rows}), 200, REPLY, tolerance=1e-9), 5)
    assert json.loads(many.body) == {"data": rows * 3}
    assert many.reply == changed(predictions=["ill", "healthy"] * 3, probabilities=[[0.25, 0.75], [1.0, 0.0]] * 3)
    assert (many.name, many.status, many.tolerance) == ("records, 3 times", 200, 1e-9)
