"""What a reply looks like: predictions and probabilities in the form that a request asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
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


def plain(predictions: Labels, probabilities: Probabilities | None, classes: Labels | None) -> dict[str, Any]:
    """The reply as one JSON object; ``probabilities`` are in the order of ``classes``."""
    import numpy as np

    reply: dict[str, Any] = {"predictions": list(predictions)}
    if probabilities is not None:
        reply["probabilities"] = np.asarray(probabilities).tolist()
    if classes is not None:
        reply["classes"] = list(classes)
    return reply


def article(predictions: Labels, probabilities: Probabilities | None) -> str:
    """The article's reply: text, which HTTP encodes once more.

    ``proba`` is the probability of the second of two classes, as in the article; of more classes each row holds all,
    since that of the last alone would mean nothing. Without probabilities it is ``prediction``.
    """
    import numpy as np

    held: dict[str, Any] = {"prediction": list(predictions)}
    if probabilities is not None:
        shares = np.asarray(probabilities, dtype=np.float64)
        held = {"proba": np.ascontiguousarray(shares[:, 1]) if shares.shape[1:] == (2,) else shares}
    text = orjson.dumps(held, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text.replace(":", ": ", 1)  # with the article's space, too


def encoded(payload: Any) -> bytes:
    """A payload, whose lists may be arrays, as JSON; of finite numbers only, as orjson would write null for others."""
    return orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY)


def flagged(flags: Flags) -> dict[str, str]:
    """The headers that name columns with values that training saw nothing like; none for no columns.

    Names are percent-encoded, so that any name stands in a header and none holds a comma; too many end in ``...``.
    """
    named = {OUT_OF_RANGE: _names(flags.outside), UNSEEN: _names(flags.unseen)}
    return {header: names for header, names in named.items() if names}


def _names(columns: Iterable[str]) -> str:
    names: list[str] = []
    room = MAX_HEADER
    for column in columns:
        name = quote(column, safe="", errors="replace")
        room -= len(name) + 2
        names.append(name if room >= 0 else "...")
        if room < 0:
            break
    return ", ".join(names)
