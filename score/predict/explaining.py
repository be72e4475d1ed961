"""Explained answers: which requests get them, and what each column adds, in a reply or as columns of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from score.contract.columns import Columns, shown
from score.payload.errors import BadRequest, Problem
from score.predict import response
from score.predict.response import HttpReply

if TYPE_CHECKING:
    from score.payload.reader import Request
    from score.predict.predictor import Prediction, Predictor, ScoreResult

PARAMETER = "explain"  # of the query
VALUES = {"true": True, "false": False}
BASE = "explain_base"  # of a table's columns
MAX_ROWS = 100  # of a request


def is_wanted(query: Iterable[tuple[str, str]]) -> bool:
    """Return whether a query, parameters with their values, asks for explanations.

    Raises:
        BadRequest: the parameter stands twice, has another value, or is written in capitals.
    """
    asked = [(name, value) for name, value in query if name.lower() == PARAMETER]
    if not asked:
        return False
    if wrong := [name for name, _ in asked if name != PARAMETER]:
        raise _refused(f"the query parameter {shown(wrong[0])} is not known", f"'{PARAMETER}'")
    values = [value for _, value in asked]
    if len(values) > 1 or values[0] not in VALUES:
        written = " and ".join(map(shown, values))
        raise _refused(f"the query parameter '{PARAMETER}' is {written}", "true or false")
    return VALUES[values[0]]


def refuse_if_wanted(query: Iterable[tuple[str, str]]) -> None:
    """Check a query of a path whose replies have no place for explanations.

    Raises:
        BadRequest: it asks for them.
    """
    if is_wanted(query):
        raise _refused(
            f"replies of this path have no place for what '{PARAMETER}' asks for", "POST /score?explain=true"
        )


def parse(predictor: Predictor, body: bytes | str | dict[str, Any]) -> Request:
    """Return the checked columns of a body whose rows are to be explained.

    Raises:
        BadRequest: the body does not keep the contract, or cannot be explained.
    """
    request = predictor.parse(body)
    check_explains(predictor)
    if request.form == "input":
        raise _refused(
            f"a reply to 'input' has no place for what '{PARAMETER}' asks for", 'the rows as {"data": [{...}, ...]}'
        )
    rows = len(next(iter(request.columns.values()), ()))
    if rows > MAX_ROWS:
        raise _refused(f"{rows} rows are to be explained", f"at most {MAX_ROWS} rows at a time")
    return request


def respond(predictor: Predictor, request: Request, prediction: Prediction) -> HttpReply:
    """Return the HTTP response of a request that was scored, with its explanations."""
    explained, headers = _add(predictor, request, predictor.respond(request, prediction))
    return HttpReply(200, response.encode(explained), {"Content-Type": "application/json"} | headers)


def score(predictor: Predictor, body: bytes | str | dict[str, Any]) -> ScoreResult:
    """Parse, predict, explain and respond.

    Raises:
        BadRequest: as :func:`parse`.
        ScoringError: the model failed.
    """
    request = parse(predictor, body)
    return _add(predictor, request, predictor.respond(request, predictor.predict(request.columns)))


def _add(predictor: Predictor, request: Request, result: ScoreResult) -> ScoreResult:
    return result._replace(payload=result.payload | {"explanations": payload(predictor, request.columns)})


def payload(predictor: Predictor, columns: Columns) -> list[dict[str, Any]]:
    """Return an explanation for each explained class, or one of a regression; its values by column for each row."""
    record, classes = predictor.explanation, predictor.contract.classes
    names = [column.name for column in predictor.contract.columns]
    base, values, errors = predictor.explain(columns)
    explained: list[dict[str, Any]] = []
    for place, start in enumerate(base.tolist()):
        each: dict[str, Any] = {"space": record.space, "base": start, "values": _by_column(names, values[:, place])}
        if classes is not None and record.outputs is not None:
            each = {"class": classes[record.outputs[place]], **each}
        explained.append(each if errors is None else {**each, "errors": _by_column(names, errors[:, place])})
    return explained


def table_columns(predictor: Predictor) -> list[str]:
    """Return the names of a table's columns: the base, what each column adds to it, and of estimates the standard errors."""
    names = [f"explain_{column.name}" for column in predictor.contract.columns]
    return [
        BASE,
        *names,
        *([f"{name}_error" for name in names] if predictor.explanation.method == "permutation" else []),
    ]


def table_values(predictor: Predictor, columns: Columns, predictions: Sequence[Any]) -> list[list[float]]:
    """Return their values (n_rows,): of several classes those of the predicted one, of two of the second one.

    Raises:
        ScoringError: the model failed.
    """
    import numpy as np

    base, values, errors = predictor.explain(columns)
    outputs, classes = predictor.explanation.outputs, predictor.contract.classes
    if outputs is not None and classes is not None and len(outputs) > 1:
        place_of = {classes[code]: place for place, code in enumerate(outputs)}
        chosen = np.array([place_of[label] for label in predictions], dtype=np.intp)
    else:
        chosen = np.zeros(len(predictions), dtype=np.intp)
    rows = np.arange(len(chosen))
    parts = [base[chosen][:, None], values[rows, chosen], *([] if errors is None else [errors[rows, chosen]])]
    found: list[list[float]] = np.hstack(parts).T.tolist()
    return found


def check_explains(predictor: Predictor) -> None:
    """Check that the package explains its answers.

    Raises:
        BadRequest: it does not.
    """
    if predictor.explanation.method == "none":
        raise _refused(f"this package explains no answers: {predictor.explanation.reason}", f"no '{PARAMETER}'")


def _by_column(names: Sequence[str], values: Any) -> list[dict[str, float]]:
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]


def _refused(problem: str, expected: str) -> BadRequest:
    return BadRequest([Problem(None, None, problem, expected)])
