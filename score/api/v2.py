"""The Open Inference Protocol (V2): a tensor for each column in, predictions and probabilities out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from score.api import v2_binary
from score.contract.columns import Columns, Values, listed, shown
from score.contract.schema import Column, Contract
from score.payload.errors import BadRequest, Problem
from score.payload.json_parser import InvalidJson
from score.payload.json_parser import parse as parse_json
from score.payload.typed_reader import LONG
from score.predict.predictor import Prediction, Predictor
from score.predict.response import HttpReply, encode, flag_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

BINARY = "tensors as the protocol's binary extension has them, or all as JSON"
_INTEGERS = [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
SERVER = "sklearn-orchestrator"
OUTPUTS = ("predictions", "probabilities")
_TYPES: Mapping[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **dict.fromkeys(_INTEGERS, frozenset({int})),
    **dict.fromkeys(("FP16", "FP32", "FP64"), frozenset({int, float})),
}
DATATYPES = tuple(_TYPES)
_KINDS = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}


def server(contract: Contract) -> dict[str, Any]:
    """Return the document of ``GET /v2``."""
    return {"name": SERVER, "version": contract.fingerprint, "extensions": [v2_binary.NAME]}


def metadata(
    contract: Contract, *, probable: bool, compiled: bool = False, version: str | None = None
) -> dict[str, Any]:
    """Return the document of ``GET /v2/models/{name}``: the input and output tensors, of any number of rows.

    ``version`` is the deployed one, here and in ``respond``; None, and left out, where it is not known.
    """
    inputs = [{"name": column.name, "datatype": _datatype(column), "shape": [-1]} for column in contract.columns]
    outputs = [{"name": "predictions", "datatype": _datatype_of(contract.classes), "shape": [-1]}]
    if probable:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(contract.classes or ())]})
    platform = "onnxruntime_onnx" if compiled else "sklearn_pickle"
    versions = {"versions": [version]} if version else {}
    return {"name": contract.model_name, **versions, "platform": platform, "inputs": inputs, "outputs": outputs}


class InferRequest(NamedTuple):
    """A parsed request.

    Attributes:
        columns: The checked columns.
        outputs: The wanted outputs, and whether each is sent in binary.
        id: The client's id for the request, sent back.
    """

    columns: Columns
    outputs: Mapping[str, bool]
    id: str | None

    @property
    def labels(self) -> bool:
        """Whether predictions are wanted, and not probabilities alone."""
        return OUTPUTS[0] in self.outputs


def parse(predictor: Predictor, body: bytes, length: str | None = None) -> InferRequest:
    """Parse and check the body of ``POST /v2/models/{name}/infer``.

    ``length`` is the value of the header ``v2_binary.HEADER``, None without it.

    Raises:
        BadRequest: it is not V2, or does not keep the contract.
    """
    request, rest = _request(body, length)
    outputs = _wanted(request, OUTPUTS if predictor.probable else OUTPUTS[:1])
    columns = predictor.reader.checked(_columns(request, rest))
    return InferRequest(columns, outputs, request.get("id"))


def respond(
    predictor: Predictor, request: InferRequest, prediction: Prediction, version: str | None = None
) -> HttpReply:
    """Return the response with the wanted outputs."""
    tensors = _outputs(predictor.contract.classes, *prediction)
    chosen, tail = [], b""
    for name, binary in request.outputs.items():
        tensor, data = v2_binary.pack(tensors[name]) if binary else (tensors[name], b"")
        chosen.append(tensor)
        tail += data
    head = {} if request.id is None else {"id": request.id}
    head |= {"model_name": predictor.contract.model_name} | ({"model_version": version} if version else {})
    text = encode(head | {"outputs": chosen})
    headers = {"Content-Type": "application/json"}
    if any(request.outputs.values()):
        headers = {"Content-Type": "application/octet-stream", v2_binary.HEADER: str(len(text))}
    return HttpReply(200, text + tail, headers | flag_headers(predictor.reader.flags(request.columns)))


def error_reply(status: int, detail: str) -> HttpReply:
    """Return an error in the protocol's own form."""
    return HttpReply(status, json.dumps({"error": detail}).encode(), {"Content-Type": "application/json"})


def _request(body: bytes, length: str | None) -> tuple[dict[str, Any], bytes]:
    """Return the request's JSON, and the bytes of its tensors after it."""
    try:
        text, rest = v2_binary.split(body, length)
        request = parse_json(text)
    except InvalidJson as error:
        raise _refused(f"the body {error}", "a JSON object") from None
    except ValueError as error:
        raise _refused(str(error), BINARY) from None
    if not isinstance(request, dict):
        raise _refused(f"the body is {shown(request)}", "an object with 'inputs'")
    if not isinstance(request.get("id", ""), str):
        raise _refused(f"'id' is {shown(request['id'])}", "text")
    return request, rest


def _columns(request: dict[str, Any], rest: bytes) -> dict[str, Values]:
    """Return the tensors' values by column; all of one length."""
    columns: dict[str, Values] = {}
    tensors = _objects(request.get("inputs"), "inputs")
    try:
        tensors = v2_binary.unpack(tensors, rest)
    except ValueError as error:
        raise _refused(str(error), BINARY) from None
    for tensor in tensors:
        name = _name(tensor)
        if name in columns:
            raise _refused("the tensor stands twice", "each tensor once", name)
        columns[name] = _values(tensor, name)
    counts = {len(values) for values in columns.values()}
    if len(counts) > 1:
        raise _refused(f"the tensors have {listed(sorted(counts))} rows", "one count of rows")
    return columns


def _values(tensor: dict[str, Any], name: str) -> Values:
    """Return the values (n_rows,) of a tensor of shape [n] or [n, 1], whose data may be nested or flat, or an array."""
    import numpy as np

    datatype, shape, data = (tensor.get(key) for key in ("datatype", "shape", "data"))
    if not isinstance(datatype, str) or datatype not in _TYPES:
        raise _refused(f"'datatype' is {shown(datatype)}", f"one of {', '.join(_TYPES)}", name)
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise _refused(f"'shape' is {shown(shape)}", "a list of counts", name)
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise _refused(f"'shape' is {shape[:3]}", "[n] or [n, 1]", name)
    if not isinstance(data, list | np.ndarray):
        raise _refused(f"'data' is {shown(data)}", "a list", name)
    if isinstance(data, list) and len(shape) == 2 and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    if len(data) != shape[0]:
        raise _refused(f"'data' has {len(data)} values", f"{shape[0]}, as 'shape' says", name)
    types = _TYPES[datatype] | {type(None)}  # null: a missing value
    if isinstance(data, np.ndarray):
        return data
    found = set(map(type, data))
    if found == {float} and len(data) >= LONG and float in types:
        return np.array(data)
    if found <= types:
        return data
    row, value = next((row, value) for row, value in enumerate(data) if type(value) not in types)
    raise BadRequest([Problem(row, name, f"the value is {shown(value)}", f"{datatype}, as 'datatype' says")])


def _outputs(classes: Sequence[Any] | None, predictions: list[Any], probabilities: Any) -> dict[str, dict[str, Any]]:
    """Return all output tensors; that of the predictions is empty where they were not asked for."""
    outputs = {"predictions": {"shape": [len(predictions)], "datatype": _datatype_of(classes), "data": predictions}}
    if probabilities is not None:
        outputs["probabilities"] = {
            "shape": list(probabilities.shape),
            "datatype": "FP64",
            "data": probabilities.ravel(),
        }
    return {name: {"name": name} | tensor for name, tensor in outputs.items()}


def _wanted(request: dict[str, Any], available: Sequence[str]) -> dict[str, bool]:
    """Return the outputs to send, all unless some are named, and whether each is sent in binary."""
    binary = _parameter(request, "binary_data_output")
    wanted = {
        _name(output): _parameter(output, "binary_data", otherwise=binary)
        for output in _objects(request.get("outputs", []), "outputs")
    }
    for name in wanted:
        if name not in available:
            raise _refused(f"there is no output {shown(name)}", f"one of {listed(available)}")
    return wanted or dict.fromkeys(available, binary)


def _parameter(item: dict[str, Any], name: str, *, otherwise: bool = False) -> bool:
    parameters = item.get("parameters")
    return parameters.get(name, otherwise) is True if isinstance(parameters, dict) else otherwise


def _objects(value: Any, key: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _refused(f"'{key}' is {shown(value)}", f"a list of objects under '{key}'")
    return value


def _name(item: dict[str, Any]) -> str:
    name = item.get("name")
    if not isinstance(name, str):
        raise _refused(f"'name' is {shown(name)}", "text")
    return name


def _datatype(column: Column) -> str:
    return _datatype_of(column.categories or ("",)) if column.kind == "category" else _KINDS[column.kind]


def _datatype_of(labels: Iterable[Any] | None) -> str:
    """Return the datatype that holds all labels; that of a regression's numbers for None."""
    types = {float} if labels is None else set(map(type, labels))
    if types == {bool}:
        return "BOOL"
    if types <= {int, float}:
        return "FP64" if float in types else "INT64"
    return "BYTES"


def _refused(problem: str, expected: str, column: str | None = None) -> BadRequest:
    return BadRequest([Problem(None, column, problem, expected)])
