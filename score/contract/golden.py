"""Golden requests: what the training process answered, stored as golden.json, and the comparison with a reply.

Every server of the package must give these replies: verification in a clean process and the probe of an endpoint check.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FILE = "golden.json"
RECORDS = "records"  # the request of several rows, each an object
TOLERANCE = 1e-12  # of a number in a reply, absolute and relative above 1: the same arithmetic, written as JSON


@dataclass(frozen=True)
class Golden:
    """A request's body, and the status and reply it must get; of a refusal only the status counts.

    ``tolerance`` is the largest accepted difference of a number: a compiled model's is that of its equivalence check.
    """

    name: str
    body: str
    status: int
    reply: Any = None
    tolerance: float = TOLERANCE

    def difference(self, status: int, reply: Any) -> str:
        """Describe how a reply differs from the golden one; empty if it does not."""
        if status != self.status:
            return f"status {status} instead of {self.status}: {_short(reply)}"
        if status != 200:
            return ""
        return _difference("reply", _opened(reply), _opened(self.reply), self.tolerance)


def repeated(request: Golden, rows: int) -> Golden:
    """Repeat the rows of a request in the form ``{"data": [...]}`` until there are at least ``rows``."""
    data = json.loads(request.body)["data"]
    times = -(-rows // len(data))
    reply = {key: value if key == "classes" else value * times for key, value in request.reply.items()}
    return replace(request, name=f"{request.name}, {times} times", body=json.dumps({"data": data * times}), reply=reply)


def read(folder: Path) -> list[Golden]:
    """Read the golden requests of a package."""
    return [Golden(**item) for item in json.loads((folder / FILE).read_text(encoding="utf-8"))]


def write(folder: Path, requests: Sequence[Golden]) -> None:
    """Write golden requests into a package."""
    text = json.dumps([asdict(request) for request in requests], indent=1, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _opened(reply: Any) -> Any:
    """Parse the article's reply, JSON in a JSON string, so that numbers are compared and not their digits."""
    try:
        return json.loads(reply) if isinstance(reply, str) else reply
    except ValueError:
        return reply


def _difference(where: str, actual: Any, expected: Any, tolerance: float) -> str:
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        pairs = [(f"{where}.{key}", actual[key], expected[key]) for key in expected]
        return next(filter(None, (_difference(*pair, tolerance) for pair in pairs)), "")
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [(f"{where}[{index}]", *pair) for index, pair in enumerate(zip(actual, expected, strict=True))]
        return next(filter(None, (_difference(*pair, tolerance) for pair in pairs)), "")
    if isinstance(expected, float) and isinstance(actual, int | float) and not isinstance(actual, bool):
        same = abs(actual - expected) <= tolerance * max(1.0, abs(expected))
    else:
        same = actual == expected and type(actual) is type(expected)
    return "" if same else f"{where} is {_short(actual)} instead of {_short(expected)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) < 200 else text[:197] + "..."
