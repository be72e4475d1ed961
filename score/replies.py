"""What a reply looks like: predictions and probabilities in the form that a request asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    import numpy.typing as npt

Labels = Sequence[Any]
Probabilities: TypeAlias = "npt.ArrayLike"  # (n_rows, n_classes)
OUT_OF_RANGE = "X-Out-Of-Range"
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


def out_of_range(columns: Iterable[str]) -> dict[str, str]:
    """The header that names columns with values that training never saw the like of; none for no columns.

    Names are percent-encoded, so that any name stands in a header and none holds a comma; too many end in ``...``.
    """
    names: list[str] = []
    room = MAX_HEADER
    for column in columns:
        name = quote(column, safe="", errors="replace")
        room -= len(name) + 2
        names.append(name if room >= 0 else "...")
        if room < 0:
            break
    return {OUT_OF_RANGE: ", ".join(names)} if names else {}
