"""Responses: predictions and probabilities in the form that a request asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    import numpy.typing as npt

    from score.payload.reader import Flags

Labels = Sequence[Any]
Probabilities: TypeAlias = "npt.ArrayLike"  # (n_rows, n_classes)
OUT_OF_RANGE = "X-Out-Of-Range"
UNSEEN = "X-Unseen-Values"
FLAGS: Mapping[str, str] = {
    OUT_OF_RANGE: "Columns with values outside of the range that training saw.",
    UNSEEN: "Columns with levels that no training row has.",
}
MAX_HEADER = 1000  # characters; proxies refuse headers of some thousands


class HttpReply(NamedTuple):
    """An HTTP response."""

    status: int
    body: bytes
    headers: dict[str, str]


def plain(predictions: Labels, probabilities: Probabilities | None, classes: Labels | None) -> dict[str, Any]:
    """Return the reply as one JSON object; ``probabilities`` are in the order of ``classes``."""
    import numpy as np

    reply: dict[str, Any] = {"predictions": list(predictions)}
    if probabilities is not None:
        reply["probabilities"] = np.asarray(probabilities).tolist()
    if classes is not None:
        reply["classes"] = list(classes)
    return reply


def article(predictions: Labels, probabilities: Probabilities | None) -> str:
    """Return the article's reply: JSON text, which HTTP encodes once more.

    ``proba`` is the probability of the second of two classes, as in the article; of more classes each row holds all,
    since that of the last alone would mean nothing. Without probabilities it is ``prediction``.
    """
    import numpy as np

    reply: dict[str, Any] = {"prediction": list(predictions)}
    if probabilities is not None:
        array = np.asarray(probabilities, dtype=np.float64)
        reply = {"proba": np.ascontiguousarray(array[:, 1]) if array.shape[1:] == (2,) else array}
    text = orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text.replace(":", ": ", 1)  # with the article's space, too


def encode(payload: Any) -> bytes:
    """Encode a payload, whose lists may be arrays, as JSON; numbers must be finite, as orjson writes null for others."""
    return orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY)


def flag_headers(flags: Flags) -> dict[str, str]:
    """Return the headers that name columns with values unlike training's; none for no columns.

    Names are percent-encoded, so that any name stands in a header and none holds a comma; too many end in ``...``.
    """
    headers = {OUT_OF_RANGE: _join_names(flags.outside), UNSEEN: _join_names(flags.unseen)}
    return {header: names for header, names in headers.items() if names}


def _join_names(columns: Iterable[str]) -> str:
    names: list[str] = []
    room = MAX_HEADER
    for column in columns:
        name = quote(column, safe="", errors="replace")
        room -= len(name) + 2
        names.append(name if room >= 0 else "...")
        if room < 0:
            break
    return ", ".join(names)
