"""Requests with ``explain=true``: the reply, what is refused, and that plain requests load nothing for them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest

from orchestrator.packaging.explanation import write_explanation
from orchestrator.packaging.refit import Shipped
from score import score as entry
from score.contract.schema import Contract
from score.explain import permutation
from score.explain.explainer import ARRAYS, FILE, Explanation, ExplanationRecord
from score.models.onnx import Compilation
from score.payload.errors import BadRequest
from score.predict import explaining
from score.predict.predictor import Predictor, ScoringError
from score.pyfunc import PackageModel, _load_pyfunc
from score.web.admission import Admission, Limits
from score.web.app import application


def with_explanations(package: Path, table: pd.DataFrame, folder: Path) -> Path:
    """Copy a package, and add what explains its pickle's answers."""
    shutil.copytree(package, folder)
    contract = Contract.from_json((folder / "contract.json").read_bytes())
    pipeline = Predictor.load(folder).model.pipeline  # type: ignore[attr-defined]  # of a pickle
    write_explanation(folder, Shipped(pipeline, table, table.iloc[:0]), contract, Compilation("not wanted"))
    return folder


@pytest.fixture(scope="module")
def package(pima: Path, X: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_explanations(pima, X, tmp_path_factory.mktemp("explained") / "package")


def ask(predictor: Predictor, body: Any, path: str = "/score", **query: Any) -> tuple[int, Any]:
    """POST, to score, in this process; return the status and the document of the reply."""

    async def run() -> tuple[int, Any]:
        app = application(predictor, Admission(Limits(), predictor))
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asked = urlencode(query, doseq=True).encode()
        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": asked}
        await app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    return asyncio.run(run())


def rows(table: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.head(count).to_numpy(dtype=object).tolist()]


def test_the_reply_says_what_each_column_adds(package: Path, X: pd.DataFrame) -> None:
    predictor = Predictor.load(package)
    status, plain = ask(predictor, {"data": rows(X, 3)})
    assert status == 200
    assert "_explainer" not in vars(predictor)  # nothing is loaded for plain requests
    split = {"columns": [*X.columns], "data": X.head(3).to_numpy().tolist()}
    assert ask(predictor, split, explain="false") == (200, plain)
    for body in ({"data": rows(X, 3)}, split):
        status, reply = ask(predictor, body, explain="true")
        assert status == 200
        [explanation] = reply.pop("explanations")
        assert reply == plain
        assert {**explanation, "values": [], "base": 0} == {"class": 1, "space": "probability", "base": 0, "values": []}
        assert [[*row] for row in explanation["values"]] == [[*X.columns]] * 3
        sums = [explanation["base"] + sum(row.values()) for row in explanation["values"]]
        np.testing.assert_allclose(sums, np.array(plain["probabilities"])[:, 1], rtol=0, atol=1e-9)
    assert ask(predictor, {"data": []}, explain="true")[1]["explanations"][0]["values"] == []


def test_several_classes_are_explained_each_with_errors_where_these_are(
    survey: Path, mixed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permutation, "PAIRS", 4)
    monkeypatch.setattr("orchestrator.packaging.explanation.describe_model", None)  # nothing is exact
    predictor = Predictor.load(with_explanations(survey, mixed, tmp_path / "package"))
    record: dict[str, Any] = {column.name: column.example for column in predictor.contract.columns}
    status, reply = ask(predictor, {"data": [record, record | {"age": 19, "city": None}]}, explain="true")
    assert status == 200
    assert [each["class"] for each in reply["explanations"]] == ["young", "middle", "old"]
    for place, each in enumerate(reply["explanations"]):
        sums = [each["base"] + sum(row.values()) for row in each["values"]]
        np.testing.assert_allclose(sums, np.array(reply["probabilities"])[:, place], atol=1e-12)
        assert [[*row] for row in each["errors"]] == [[*record]] * 2
    assert max(row["age"] for each in reply["explanations"] for row in each["errors"]) > 0


@pytest.mark.parametrize(
    ("value", "written"), [("yes", '"yes"'), ("True", '"True"'), ("", '""'), (["true", "false"], '"true" and "false"')]
)
def test_a_wrong_value_of_the_parameter_is_refused(package: Path, X: pd.DataFrame, value: Any, written: str) -> None:
    status, reply = ask(Predictor.load(package), {"data": rows(X, 1)}, explain=value)
    expected = f"the request: the query parameter 'explain' is {written}; expected true or false"
    assert (status, reply["detail"]) == (400, expected)


def test_what_cannot_be_explained_is_refused_with_a_remedy(package: Path, pima: Path, X: pd.DataFrame) -> None:
    predictor = Predictor.load(package)
    refusals = {
        "expected the rows as": {"input": rows(X, 1)},
        "101 rows are to be explained; expected at most 100 rows at a time": {"data": rows(X, 101)},
        'row 0, column "Age"': {"data": [{**rows(X, 1)[0], "Age": "old"}]},
    }
    for text, body in refusals.items():
        status, reply = ask(predictor, body, explain="true")
        assert status == 400
        assert text in reply["detail"]
    status, reply = ask(Predictor.load(pima), {"data": rows(X, 1)}, explain="true")
    assert (status, "the package was made without" in reply["detail"]) == (400, True)
    status, reply = ask(predictor, {}, f"/v2/models/{predictor.contract.model_name}/infer", explain="true")
    assert (status, "expected POST /score?explain=true" in reply["error"]) == (400, True)
    status, reply = ask(predictor, {"data": rows(X, 1)}, Explain="true")
    assert (status, "\"Explain\" is not known; expected 'explain'" in reply["detail"]) == (400, True)


def test_a_damaged_file_is_the_servers_fault_and_plain_requests_are_answered(
    package: Path, X: pd.DataFrame, tmp_path: Path
) -> None:
    shutil.copytree(package, tmp_path / "package")
    (tmp_path / "package" / ARRAYS).write_bytes(b"PK")
    predictor = Predictor.load(tmp_path / "package")
    assert ask(predictor, {"data": rows(X, 1)}, explain="true")[0] == 500
    assert ask(predictor, {"data": rows(X, 1)})[0] == 200
    with pytest.raises(ScoringError):
        explaining.score(predictor, {"data": rows(X, 1)})
    assert (tmp_path / "package" / FILE).exists()


def test_explained_requests_keep_away_from_the_event_loop_and_from_others_threads(
    package: Path, X: pd.DataFrame
) -> None:
    predictor = Predictor.load(package)

    async def run() -> bool:
        admission: Any = Admission(Limits(), predictor)
        admission._loop_allowed, admission._batcher, admission.small = True, None, None
        app = application(predictor, admission)
        messages = [{"type": "http.request", "body": json.dumps({"data": rows(X, 1)}).encode(), "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/score", "headers": [], "query_string": b"explain=true"}
        await app(scope, receive, send)
        return bool(sent[0]["status"] == 200 and admission._loop_allowed)

    assert asyncio.run(run())


def test_azure_mls_server_passes_the_query_on(package: Path, X: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(package))
    entry.init()
    body = json.dumps({"data": rows(X, 2)})
    usual = entry.run(body)
    asked = [("explain", "true")]
    fake: Any = ModuleType("flask")
    fake.has_request_context = lambda: True
    fake.request = SimpleNamespace(args=SimpleNamespace(items=lambda **_: asked))
    monkeypatch.setitem(sys.modules, "flask", fake)
    assert entry.run(body) == usual  # another server's query is not looked at
    monkeypatch.setitem(sys.modules, "azureml_inference_server_http", ModuleType("azureml_inference_server_http"))
    explained = entry.run(body)
    assert len(explained.pop("explanations")[0]["values"]) == 2
    assert explained == usual
    asked.clear()
    assert entry.run(body) == usual


# Explanations as columns of a table

COLUMNS = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]


def stub(method: Any, outputs: list[int] | None, classes: tuple[str, ...] | None) -> Any:
    """A predictor that explains three rows: the number of the output, then those of row and column."""
    count = len(outputs or [0])
    values = np.array(
        [[[100 * out + 10 * row + column for column in (1, 2)] for out in range(count)] for row in range(3)]
    )
    explanation = Explanation(np.arange(count) + 0.5, values, values / 1000 if method == "permutation" else None)
    record = ExplanationRecord(method, "", "probability", outputs)
    contract = SimpleNamespace(columns=COLUMNS, classes=classes)
    return SimpleNamespace(explanation=record, contract=contract, explain=lambda _: explanation)


@pytest.mark.parametrize(
    ("outputs", "classes", "predicted", "base", "a"),
    [
        ([0, 1, 2], ("x", "y", "z"), ["z", "x", "y"], [2.5, 0.5, 1.5], [201, 11, 121]),
        ([0, 2], ("x", "y", "z"), ["z", "x", "x"], [1.5, 0.5, 0.5], [101, 11, 21]),  # no training row is of y
        ([1], ("no", "yes"), ["no", "yes", "no"], [0.5] * 3, [1, 11, 21]),
        (None, None, [7.0, 8.0, 9.0], [0.5] * 3, [1, 11, 21]),
    ],
)
def test_of_several_classes_the_predicted_one_is_explained(
    outputs: Any, classes: Any, predicted: list[Any], base: list[float], a: list[float]
) -> None:
    predictor = stub("trees", outputs, classes)
    found = explaining.table_values(predictor, {}, predicted)
    assert found == [base, a, [each + 1 for each in a]]
    assert explaining.table_columns(predictor) == ["explain_base", "explain_a", "explain_b"]


def test_estimates_have_columns_of_errors() -> None:
    predictor = stub("permutation", [1], ("no", "yes"))
    assert explaining.table_columns(predictor)[3:] == ["explain_a_error", "explain_b_error"]
    assert explaining.table_values(predictor, {}, ["no"] * 3)[3:] == [[0.001, 0.011, 0.021], [0.002, 0.012, 0.022]]


def test_mlflows_loader_gives_them_beside_probabilities(package: Path, pima: Path, X: pd.DataFrame) -> None:
    model, table = _load_pyfunc(str(package)), X.head(3)
    explained = model.predict(table, {"explain": True})
    assert [*explained] == ["explain_base", *(f"explain_{name}" for name in X)]
    both = model.predict(table, {"explain": True, "probabilities": True})
    assert [*both] == [0, 1, *explained]
    np.testing.assert_allclose(explained.sum(axis=1), both[1], rtol=0, atol=1e-9)
    with pytest.raises(BadRequest, match="this package explains no answers: the package was made without"):
        _load_pyfunc(str(pima)).predict(table, {"explain": True})


def test_mlflows_loader_loses_no_column_whose_name_is_that_of_the_base() -> None:
    predictor = stub("trees", [1], ("no", "yes"))
    predictor.contract = SimpleNamespace(columns=[SimpleNamespace(name="base"), COLUMNS[1]], classes=("no", "yes"))
    predictor.parse = lambda _: SimpleNamespace(columns={})
    predictor.predict = lambda _: None
    predictor.respond = lambda *_: SimpleNamespace(payload={"predictions": ["no", "yes", "no"]})
    explained = PackageModel(predictor).predict(pd.DataFrame({"base": [0], "b": [0]}), {"explain": True})
    assert [*explained] == ["explain_base", "explain_base", "explain_b"]
    assert explained.iloc[1].tolist() == [0.5, 11, 12]
