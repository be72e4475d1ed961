"""The Open Inference Protocol, as a request's tensors and as a client of it sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from score.api import v2
from score.contract.deployment_info import ORIGIN
from score.payload.typed_reader import LONG
from score.predict.predictor import Predictor
from tests.nightly import at_night
from tests.score.conftest import Serve, infer_v2, port_of

MIXED = {"age": "INT64", "income": "FP64", "member": "BOOL", "city": "BYTES", "grade": "BYTES", "level": "INT64", "note": "BYTES"}  # fmt: skip


def tensors(frame: pd.DataFrame, datatypes: dict[str, str]) -> list[dict[str, Any]]:
    records = json.loads(frame.to_json(orient="columns", double_precision=15))
    return [
        {"name": name, "datatype": datatype, "shape": [len(frame)], "data": list(records[name].values())}
        for name, datatype in datatypes.items()
    ]


def infer(scorer: Predictor, body: Any) -> tuple[int, dict[str, Any]]:
    answer = infer_v2(scorer, body if isinstance(body, bytes) else json.dumps(body).encode())
    held: dict[str, Any] = json.loads(answer.body)
    return answer.status, held


def test_metadata_names_the_tensors(survey_scorer: Predictor, line: Path) -> None:
    reported = v2.metadata(survey_scorer.contract, probable=True)
    assert {tensor["name"]: tensor["datatype"] for tensor in reported["inputs"]} == MIXED
    assert reported["outputs"] == [
        {"name": "predictions", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
    ]
    (output,) = v2.metadata(Predictor.load(line).contract, probable=False)["outputs"]
    assert output == {"name": "predictions", "datatype": "FP64", "shape": [-1]}


def test_tensors_get_the_answers_that_rows_get(survey_scorer: Predictor, mixed: pd.DataFrame) -> None:
    rows = mixed.head(50)
    status, reply = infer(survey_scorer, {"id": "a", "inputs": tensors(rows, MIXED)})
    assert status == 200, reply
    expected = json.loads(
        survey_scorer.answer(json.dumps({"data": json.loads(rows.to_json(orient="records", double_precision=15))})).body
    )
    predictions, probabilities = reply["outputs"]
    assert (reply["id"], reply["model_name"]) == ("a", "m")
    assert predictions == {"name": "predictions", "shape": [50], "datatype": "BYTES", "data": expected["predictions"]}
    assert (probabilities["shape"], probabilities["datatype"]) == ([50, 3], "FP64")
    assert np.reshape(probabilities["data"], (50, 3)).tolist() == expected["probabilities"]


def test_nested_data_of_one_column_is_the_same(survey_scorer: Predictor, mixed: pd.DataFrame) -> None:
    inputs = tensors(mixed.head(3), MIXED)
    flat = infer(survey_scorer, {"inputs": inputs})
    standing = [tensor | {"shape": [3, 1]} for tensor in inputs]
    nested = [tensor | {"data": [[value] for value in tensor["data"]]} for tensor in standing]
    assert flat == infer(survey_scorer, {"inputs": standing}) == infer(survey_scorer, {"inputs": nested})
    assert flat[0] == 200


def test_many_rows_get_the_answers_that_few_get(survey_scorer: Predictor, mixed: pd.DataFrame) -> None:
    few = mixed.head(3)
    many = pd.concat([few] * LONG, ignore_index=True)
    datatypes = MIXED | {"age": "FP64"}  # as clients send numbers that are whole
    answers = []
    for rows in (few, many):
        inputs = tensors(rows, datatypes)
        for tensor in inputs:
            if tensor["name"] == "age":
                tensor["data"] = list(map(float, tensor["data"]))
        status, reply = infer(survey_scorer, {"inputs": inputs, "parameters": {"content_type": "pd"}})
        assert status == 200, reply
        answers.append([output["data"] for output in reply["outputs"]])
    assert answers[1] == [data * LONG for data in answers[0]]
    for wrong, reported in ((1.5, "the value is 1.5"), (True, "the value is true"), (2.0**60, "does not fit")):
        inputs[0]["data"][LONG] = wrong
        status, reply = infer(survey_scorer, {"inputs": inputs})
        assert status == 400
        assert f'row {LONG}, column "age": ' in reply["error"]
        assert reported in reply["error"]


@pytest.mark.parametrize("wrong", ['"\\ud800"', "1" * 400, "NaN, " + "1" * 31, "[" * 900 + "]" * 900])
def test_what_no_array_holds_is_refused(survey_scorer: Predictor, mixed: pd.DataFrame, wrong: str) -> None:
    count = LONG + 1 + wrong.count(",")
    (income,) = tensors(mixed.head(1), {"income": "FP64"})
    body = json.dumps({"inputs": [income | {"shape": [count], "data": [0.5] * LONG}]})
    status, reply = infer(survey_scorer, body.replace("0.5]", f"0.5, {wrong}]").encode())
    assert status == 400, reply


def test_outputs_may_be_chosen(survey_scorer: Predictor, mixed: pd.DataFrame) -> None:
    inputs = tensors(mixed.head(1), MIXED)
    _, reply = infer(survey_scorer, {"inputs": inputs, "outputs": [{"name": "probabilities"}]})
    _, every = infer(survey_scorer, {"inputs": inputs})
    assert reply["outputs"] == every["outputs"][1:]
    status, reply = infer(survey_scorer, {"inputs": inputs, "outputs": [{"name": "else"}]})
    assert (status, list(reply)) == (400, ["error"])
    assert infer(survey_scorer, {"inputs": inputs, "outputs": 0})[1]["error"].startswith("the request: 'outputs' is 0")
    assert 'there is no output "else"; expected one of "predictions", "probabilities"' in reply["error"]


@pytest.mark.parametrize(
    ("changed", "reported"),
    [
        ({"name": None}, "'name' is null"),
        ({"name": "aeg"}, 'column "age": the column is missing'),
        ({"datatype": "INT"}, 'column "age": \'datatype\' is "INT"; expected one of BOOL'),
        ({"datatype": ["INT64"]}, "'datatype' is a list"),
        ({"datatype": "BYTES"}, 'row 0, column "age": the value is 30; expected BYTES'),
        ({"data": [True]}, 'row 0, column "age": the value is true; expected INT64'),
        ({"data": [1.5]}, 'row 0, column "age": the value is 1.5'),
        ({"data": [None]}, 'row 0, column "age": the value is missing; expected an integer'),
        ({"data": [[1]]}, "the value is a list"),
        ({"data": [1, 2]}, "'data' has 2 values; expected 1, as 'shape' says"),
        ({"data": "x"}, "'data' is \"x\""),
        ({"shape": [1, 2]}, "'shape' is [1, 2]; expected [n] or [n, 1]"),
        ({"shape": []}, "'shape' is []"),
        ({"shape": [-1]}, "'shape' is a list"),
        ({"shape": [True]}, "'shape' is a list"),
        ({"shape": 1}, "'shape' is 1"),
        ({"shape": [2], "data": [1, 2]}, "the tensors have 1, 2 rows"),
    ],
)
def test_a_wrong_tensor_is_refused(
    survey_scorer: Predictor, mixed: pd.DataFrame, changed: dict[str, Any], reported: str
) -> None:
    age, *others = tensors(mixed.head(1).assign(age=30), MIXED)
    status, reply = infer(survey_scorer, {"inputs": [age | changed, *others]})
    assert (status, list(reply)) == (400, ["error"])
    assert reported in reply["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"inputs": 1}', b'{"inputs": [1]}', b'{"inputs": [], "id": 1}'])
def test_a_body_that_is_no_inference_request(survey_scorer: Predictor, body: bytes) -> None:
    assert infer(survey_scorer, body)[0] == 400


def test_of_a_repeated_key_the_last_one_counts(survey_scorer: Predictor, mixed: pd.DataFrame) -> None:
    inputs = json.dumps(tensors(mixed.head(1), MIXED))
    wanted = infer(survey_scorer, f'{{"inputs": {inputs}}}'.encode())
    assert wanted[0] == 200
    assert infer(survey_scorer, f'{{"inputs": [], "inputs": {inputs}}}'.encode()) == wanted
    named = inputs.replace('"name": "age"', '"name": "other", "name": "age"')
    assert infer(survey_scorer, f'{{"inputs": {named}}}'.encode()) == wanted


@pytest.fixture(scope="module")
def client(survey: Path, serve: Serve) -> Iterator[triton.InferenceServerClient]:
    with serve(survey) as (_, process):
        client = triton.InferenceServerClient(f"127.0.0.1:{port_of(process)}")
        yield client
        client.close()


def asked(frame: pd.DataFrame, *, binary: bool) -> list[triton.InferInput]:
    inputs = []
    for name, datatype in MIXED.items():
        values = frame[name].to_numpy(dtype=object if datatype == "BYTES" else None)
        tensor = triton.InferInput(name, list(values.shape), datatype)
        inputs.append(tensor.set_data_from_numpy(np.asarray(values), binary_data=binary))
    return inputs


def test_a_client_of_the_protocol_finds_its_way(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert not client.is_model_ready("else")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert {tensor["name"]: tensor["datatype"] for tensor in client.get_model_metadata("m")["inputs"]} == MIXED


@pytest.mark.parametrize("version", ["3", at_night(None)])
def test_a_client_may_ask_for_the_version_that_is_served(
    version: str | None, survey: Path, serve: Serve, mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ORIGIN, json.dumps({"version": version}))
    rows = mixed.dropna().head(2)
    with serve(survey) as (ask, process), triton.InferenceServerClient(f"127.0.0.1:{port_of(process)}") as client:
        plain = client.infer("m", asked(rows, binary=True)).get_response()
        assert plain.get("model_version") == version
        assert client.get_model_metadata("m").get("versions") == (version and [version])
        known = json.loads(ask("GET", "/openapi.json")[2])["paths"]
        assert ("/v2/models/m/versions/3/infer" in known) == (version is not None)
        if version:
            assert client.is_model_ready("m", version)
            assert client.get_model_metadata("m", version) == client.get_model_metadata("m")
            again = client.infer("m", asked(rows, binary=True), model_version=version)
            assert again.get_response() == plain
        here = 'only "3"' if version else "which one is here is not known: ask without a version"
        assert not client.is_model_ready("m", "2")
        with pytest.raises(InferenceServerException, match=f'no version "2" of model "m" here, .*{here}'):
            client.get_model_metadata("m", "2")
        with pytest.raises(InferenceServerException, match=here):
            client.infer("m", asked(rows, binary=True), model_version="2")
        with pytest.raises(InferenceServerException, match='no model "else" here'):
            client.infer("else", asked(rows, binary=True), model_version="3")


@pytest.mark.parametrize("sent", [False, True], ids=["json", "binary"])
@pytest.mark.parametrize("wanted", [False, True, None], ids=["json", "binary", "unsaid"])
def test_a_client_of_the_protocol_gets_the_pipelines_answers(
    sent: bool, wanted: bool | None, *, client: triton.InferenceServerClient, survey: Path, mixed: pd.DataFrame
) -> None:
    pipeline, rows = joblib.load(survey / "model.pkl"), mixed.dropna().head(20)
    names = ("probabilities", "predictions")
    outputs = None if wanted is None else [triton.InferRequestedOutput(name, binary_data=wanted) for name in names]
    result = client.infer("m", asked(rows, binary=sent), request_id="7", outputs=outputs)
    assert result.get_response()["id"] == "7"
    assert result.as_numpy("probabilities").tolist() == pipeline.predict_proba(rows).tolist()
    labels = [["young", "middle", "old"][code] for code in pipeline.predict(rows)]
    found = result.as_numpy("predictions").tolist()
    assert [label.decode() if isinstance(label, bytes) else label for label in found] == labels


def test_nan_in_a_binary_tensor_is_a_missing_value(
    client: triton.InferenceServerClient, survey: Path, mixed: pd.DataFrame
) -> None:
    pipeline, rows = joblib.load(survey / "model.pkl"), mixed.dropna(subset="city").head(50)
    assert rows["income"].isna().any()
    probabilities = client.infer("m", asked(rows, binary=True)).as_numpy("probabilities")
    assert probabilities.tolist() == pipeline.predict_proba(rows).tolist()


@pytest.mark.parametrize(
    ("length", "tensor", "rest", "reported"),
    [
        ("x", {}, b"", "Inference-Header-Content-Length does not fit"),
        ("-1", {}, b"", "Inference-Header-Content-Length does not fit"),
        ("9" * 5000, {}, b"", "Inference-Header-Content-Length does not fit"),
        (None, {"parameters": {"binary_data_size": 8}}, b"1234567", "binary_data_size does not fit 7 bytes"),
        (None, {"parameters": {"binary_data_size": -1}}, b"", "binary_data_size does not fit"),
        (None, {"parameters": {"binary_data_size": True}}, b"1", "binary_data_size does not fit"),
        (None, {"parameters": {"binary_data_size": 7}}, b"1234567", "buffer size must be a multiple"),
        (None, {"parameters": {"binary_data_size": 8}}, b"123456789", "there are 1 bytes more"),
        (None, {"parameters": {"binary_data_size": 1}, "datatype": "X"}, b"1", "none of the protocol's"),
        (None, {"parameters": {"binary_data_size": 3}, "datatype": "BYTES"}, b"abc", "length is cut off"),
        (None, {"parameters": {"binary_data_size": 5}, "datatype": "BYTES"}, b"\x02\0\0\0a", "a text is cut off"),
        (None, {"parameters": {"binary_data_size": 5}, "datatype": "BYTES"}, b"\x01\0\0\0\xff", "can't decode"),
    ],
)
def test_bytes_that_are_no_tensors_are_refused(
    length: str | None,
    tensor: dict[str, Any],
    rest: bytes,
    reported: str,
    *,
    survey_scorer: Predictor,
    mixed: pd.DataFrame,
) -> None:
    age, *others = tensors(mixed.head(1), MIXED)
    text = json.dumps({"inputs": [age | tensor, *others]}).encode()
    answer = infer_v2(survey_scorer, text + rest, length or str(len(text)))
    assert answer.status == 400
    assert reported in json.loads(answer.body)["error"]


def test_a_client_gets_the_reason_of_an_error(client: triton.InferenceServerClient, mixed: pd.DataFrame) -> None:
    rows = mixed.dropna().head(2)
    with pytest.raises(InferenceServerException, match="no category that training saw"):
        client.infer("m", asked(rows.assign(city="Paris"), binary=False))
    with pytest.raises(InferenceServerException, match="no category that training saw"):
        client.infer("m", asked(rows.assign(city="Paris"), binary=True))
    with pytest.raises(InferenceServerException, match='no model "else" here'):
        client.infer("else", asked(rows, binary=False))
