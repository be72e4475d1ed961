"""The documents that describe the service: valid, whole, and true of what the service takes and gives."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV31SpecValidator
from starlette.routing import Route

from score.api import openapi, swagger
from score.contract.cells import TableFormat
from score.contract.deployment_info import ORIGIN
from score.payload.reader import Reader
from score.predict.predictor import Predictor
from score.web.admission import Admission, Limits
from score.web.app import application
from tests.score.conftest import infer_v2


@pytest.fixture(params=["pima", "survey", "line"])
def scorer(request: pytest.FixtureRequest) -> Predictor:
    folder: Path = request.getfixturevalue(request.param)
    return Predictor.load(folder)


@pytest.fixture
def described(scorer: Predictor) -> dict[str, Any]:
    return openapi.document(scorer.contract, probable=scorer.probable, keyed=False)


def checker(described: dict[str, Any], name: str) -> Any:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": described["components"]})


@pytest.mark.parametrize("keyed", [False, True])
def test_both_documents_are_valid(scorer: Predictor, keyed: bool) -> None:
    OpenAPIV31SpecValidator(openapi.document(scorer.contract, probable=scorer.probable, keyed=keyed)).validate()
    OpenAPIV2SpecValidator(swagger.document(scorer.contract, keyed=keyed)).validate()


def test_all_routes_are_there(scorer: Predictor, described: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ORIGIN, '{"version": "7"}')
    routes = [route for route in application(scorer, Admission(Limits(), scorer)).routes if isinstance(route, Route)]
    there = {route.path.replace("{name}", scorer.contract.model_name).replace("{version}", "7") for route in routes}
    deployed = openapi.document(scorer.contract, probable=scorer.probable, keyed=False, version="7")
    assert there == deployed["paths"].keys()
    assert {path for path in there if "/versions/" not in path} == described["paths"].keys()


def test_keys_are_asked_for_where_they_are_needed(scorer: Predictor) -> None:
    paths = openapi.document(scorer.contract, probable=True, keyed=True)["paths"]
    assert {path for path, item in paths.items() if "security" not in next(iter(item.values()))} == openapi.OPEN


def test_its_examples_are_answered_as_it_says(scorer: Predictor, described: dict[str, Any]) -> None:
    for path, answer, request, reply in [
        ("/score", scorer.answer, "Request", "Reply"),
        ("/v2/models/m/infer", lambda body: infer_v2(scorer, body), "InferenceRequest", "InferenceReply"),
    ]:
        content = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            checker(described, request).validate(example["value"])
            status, body, _ = answer(json.dumps(example["value"]).encode())
            assert status == 200, body
            checker(described, reply).validate(json.loads(body))
    (row,) = swagger.document(scorer.contract, keyed=False)["definitions"]["ServiceInput"]["example"]["data"]
    assert scorer.answer(json.dumps({"data": [row]})).status == 200


def test_refusals_are_as_it_says(scorer: Predictor, described: dict[str, Any]) -> None:
    for body in (b"", b'{"data": [1]}', json.dumps({"data": [{}] * 500}).encode()):
        status, reported, _ = scorer.answer(body)
        assert status == 400
        checker(described, "Problem").validate(json.loads(reported))
        checker(described, "Error").validate(json.loads(infer_v2(scorer, body).body))


@pytest.mark.parametrize(
    ("column", "value", "right"),
    [
        ("age", 30, True), ("age", 30.0, True), ("age", 2**63, False), ("age", None, False), ("age", "30", False),
        ("income", None, True), ("income", 7, True), ("income", 1e300, False),
        ("member", True, True), ("member", 1, False),
        ("city", "Oslo", True), ("city", None, True), ("city", "Paris", False), ("grade", None, False),
        ("level", 2, True), ("level", 4, False), ("note", "x", True), ("note", 1, False), ("more", 1, False),
    ],
)  # fmt: skip
def test_a_rows_schema_and_the_rules_agree(survey_scorer: Predictor, column: str, value: Any, right: bool) -> None:
    described = openapi.document(survey_scorer.contract, probable=True, keyed=False)
    body = {"data": [openapi.example(survey_scorer.contract) | {column: value}]}
    assert checker(described, "Request").is_valid(body) is right
    assert (survey_scorer.answer(json.dumps(body)).status == 200) is right


def test_text_that_means_missing_is_no_text_where_none_may_be_missing(survey_scorer: Predictor) -> None:
    contract = dataclasses.replace(survey_scorer.contract, table=TableFormat())
    scorer = dataclasses.replace(survey_scorer, contract=contract, reader=Reader(contract))
    described = openapi.document(contract, probable=True, keyed=False)
    for note, right in (("x", True), ("", False), ("NA", False)):
        body = {"data": [openapi.example(contract) | {"note": note}]}
        assert checker(described, "Request").is_valid(body) is right
        assert (scorer.answer(json.dumps(body)).status == 200) is right
