"""Golden requests: what the training process answered, kept as golden.json, and whether a reply is the same.

Whoever serves the package must give these replies: the proof in a clean process, and the test of every endpoint.
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
    """A request's body, and the status and reply it must get; only the status of a refusal counts.

    A package served by a compiled twin has the ``tolerance`` that the twin was proven to.
    """

    name: str
    body: str
    status: int
    reply: Any = None
    tolerance: float = TOLERANCE

    def difference(self, status: int, reply: Any) -> str:
        """What is different about a reply, for people; "" if it is the golden one."""
        if status != self.status:
            return f"status {status} instead of {self.status}: {_short(reply)}"
        if status != 200:
            return ""
        return _difference("reply", _opened(reply), _opened(self.reply), self.tolerance)


def repeated(request: Golden, rows: int) -> Golden:
    """A request in the form ``{"data": [...]}`` with its rows again and again, until they are so many at least."""
    data = json.loads(request.body)["data"]
    times = -(-rows // len(data))
    reply = {key: value if key == "classes" else value * times for key, value in request.reply.items()}
    return replace(request, name=f"{request.name}, {times} times", body=json.dumps({"data": data * times}), reply=reply)


def read(folder: Path) -> list[Golden]:
    """The golden requests of a package."""
    return [Golden(**item) for item in json.loads((folder / FILE).read_text(encoding="utf-8"))]


def write(folder: Path, requests: Sequence[Golden]) -> None:
    """Keep golden requests with a package."""
    text = json.dumps([asdict(request) for request in requests], indent=1, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _opened(reply: Any) -> Any:
    """The article's reply is JSON in a JSON string: compare the numbers and not their digits."""
    try:
        return json.loads(reply) if isinstance(reply, str) else reply
    except ValueError:
        return reply


def _difference(where: str, got: Any, wanted: Any, tolerance: float) -> str:
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted.keys() == got.keys():
        pairs = [(f"{where}.{key}", got[key], wanted[key]) for key in wanted]
        return next(filter(None, (_difference(*pair, tolerance) for pair in pairs)), "")
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = [(f"{where}[{index}]", *pair) for index, pair in enumerate(zip(got, wanted, strict=True))]
        return next(filter(None, (_difference(*pair, tolerance) for pair in pairs)), "")
    if isinstance(wanted, float) and isinstance(got, int | float) and not isinstance(got, bool):
        same = abs(got - wanted) <= tolerance * max(1.0, abs(wanted))
    else:
        same = got == wanted and type(got) is type(wanted)
    return "" if same else f"{where} is {_short(got)} instead of {_short(wanted)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) < 200 else text[:197] + "..."
