"""The Open Inference Protocol (V2): a tensor for each column in, predictions and probabilities out, all as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from score.contract import Column, Contract
from score.parsing import NotJson, Repeated, parse
from score.problems import BadRequest, Problem
from score.replies import encoded
from score.scorer import Answer, Scorer, ScoringError
from score.values import listed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

BINARY = "Inference-Header-Content-Length"  # a request with this header brings its tensors as bytes
_INTEGERS = [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
_TYPES: Mapping[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **dict.fromkeys(_INTEGERS, frozenset({int})),
    **dict.fromkeys(("FP16", "FP32", "FP64"), frozenset({int, float})),
}
DATATYPES = tuple(_TYPES)
_KINDS = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "string": "BYTES"}


def server(contract: Contract) -> dict[str, Any]:
    """What ``GET /v2`` tells: this service speaks JSON only, so no extension."""
    return {"name": contract.model_name, "version": contract.fingerprint, "extensions": []}


def metadata(contract: Contract, *, probable: bool) -> dict[str, Any]:
    """What ``GET /v2/models/{name}`` tells: the tensors that go in and come out; any number of rows."""
    inputs = [{"name": column.name, "datatype": _datatype(column), "shape": [-1]} for column in contract.columns]
    outputs = [{"name": "predictions", "datatype": _datatype_of(contract.classes), "shape": [-1]}]
    if probable:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(contract.classes or ())]})
    return {"name": contract.model_name, "platform": "sklearn_pickle", "inputs": inputs, "outputs": outputs}


def infer(scorer: Scorer, body: bytes, *, binary: bool = False) -> Answer:
    """The response to ``POST /v2/models/{name}/infer``; bad input raises nothing."""
    try:
        if binary:
            raise _refused("tensors in binary", "them as JSON (in tritonclient: binary_data=False)")
        request = _request(body)
        given = _columns(request)
        predictions, probabilities, headers = scorer.infer(given)
        outputs = _outputs(scorer.contract.classes, predictions, probabilities)
        chosen = [outputs[name] for name in _wanted(request, outputs)]
    except (BadRequest, ScoringError) as error:
        return refusal(error.status, str(error))
    reply = {"model_name": scorer.contract.model_name, "outputs": chosen}
    named = {"id": request["id"]} if "id" in request else {}
    return Answer(200, encoded(named | reply), {"Content-Type": "application/json"} | headers)


def refusal(status: int, detail: str) -> Answer:
    """An error in the protocol's own form."""
    return Answer(status, json.dumps({"error": detail}).encode(), {"Content-Type": "application/json"})


def _request(body: bytes) -> dict[str, Any]:
    try:
        request = parse(body)
    except NotJson as error:
        raise _refused(f"the body {error}", "a JSON object") from None
    if not isinstance(request, dict):
        raise _refused(f"the body is {shown(request)}", "an object with 'inputs'")
    if isinstance(request, Repeated):
        raise _refused(f"key {shown(request.twice[0])} stands twice", "each key once")
    if not isinstance(request.get("id", ""), str):
        raise _refused(f"'id' is {shown(request['id'])}", "text")
    return request


def _columns(request: dict[str, Any]) -> dict[str, list[Any]]:
    """The tensors' values by column; all of one length."""
    columns: dict[str, list[Any]] = {}
    for tensor in _objects(request.get("inputs"), "inputs"):
        name = _name(tensor)
        if name in columns:
            raise _refused("the tensor stands twice", "each tensor once", name)
        columns[name] = _values(tensor, name)
    counts = {len(values) for values in columns.values()}
    if len(counts) > 1:
        raise _refused(f"the tensors have {listed(sorted(counts))} rows", "one count of rows")
    return columns


def _values(tensor: dict[str, Any], name: str) -> list[Any]:
    """The values (n_rows,) of a tensor of shape [n] or [n, 1], whose data may be nested or flat."""
    datatype, shape, data = (tensor.get(key) for key in ("datatype", "shape", "data"))
    if not isinstance(datatype, str) or datatype not in _TYPES:
        raise _refused(f"'datatype' is {shown(datatype)}", f"one of {', '.join(_TYPES)}", name)
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise _refused(f"'shape' is {shown(shape)}", "a list of counts", name)
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise _refused(f"'shape' is {shape[:3]}", "[n] or [n, 1]", name)
    if not isinstance(data, list):
        raise _refused(f"'data' is {shown(data)}", "a list", name)
    if len(shape) == 2 and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    if len(data) != shape[0]:
        raise _refused(f"'data' has {len(data)} values", f"{shape[0]}, as 'shape' says", name)
    for row, value in enumerate(data):
        if value is not None and type(value) not in _TYPES[datatype]:  # null: a value that is missing
            raise BadRequest([Problem(row, name, f"the value is {shown(value)}", f"{datatype}, as 'datatype' says")])
    return data


def _outputs(
    classes: Sequence[Any] | None, predictions: list[Any], probabilities: list[list[float]] | None
) -> dict[str, dict[str, Any]]:
    n, outputs = len(predictions), {}
    outputs["predictions"] = {"shape": [n], "datatype": _datatype_of(classes), "data": predictions}
    if probabilities is not None:
        flat = [value for row in probabilities for value in row]
        outputs["probabilities"] = {"shape": [n, len(classes or ())], "datatype": "FP64", "data": flat}
    return {name: {"name": name} | tensor for name, tensor in outputs.items()}


def _wanted(request: dict[str, Any], there: Iterable[str]) -> list[str]:
    """The names of the outputs to send: all, unless some are asked for."""
    wanted = [_name(output) for output in _objects(request.get("outputs", []), "outputs")]
    for name in wanted:
        if name not in there:
            raise _refused(f"there is no output {shown(name)}", f"one of {listed(there)}")
    return wanted or list(there)


def _objects(value: Any, key: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _refused(f"'{key}' is {shown(value)}", f"a list of objects under '{key}'")
    for item in value:
        if isinstance(item, Repeated):
            raise _refused(f"key {shown(item.twice[0])} stands twice in '{key}'", "each key once")
    return value


def _name(item: dict[str, Any]) -> str:
    name = item.get("name")
    if not isinstance(name, str):
        raise _refused(f"'name' is {shown(name)}", "text")
    return name


def _datatype(column: Column) -> str:
    return _datatype_of(column.categories) if column.kind == "category" else _KINDS[column.kind]


def _datatype_of(labels: Iterable[Any] | None) -> str:
    """The datatype that holds all labels; numbers of a regression where there are none."""
    types = {float} if labels is None else set(map(type, labels))
    if types == {bool}:
        return "BOOL"
    if types <= {int, float}:
        return "FP64" if float in types else "INT64"
    return "BYTES"


def _refused(problem: str, expected: str, column: str | None = None) -> BadRequest:
    return BadRequest([Problem(None, column, problem, expected)])
