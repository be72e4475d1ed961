"""What a reply looks like: predictions and probabilities in the form that a request asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Labels = Sequence[Any]
Probabilities = Sequence[Sequence[float]]


def plain(predictions: Labels, probabilities: Probabilities | None, classes: Labels | None) -> dict[str, Any]:
    """The reply as one JSON object; ``probabilities`` (n_rows, n_classes) are in the order of ``classes``."""
    reply: dict[str, Any] = {"predictions": list(predictions)}
    if probabilities is not None:
        reply["probabilities"] = [list(row) for row in probabilities]
    if classes is not None:
        reply["classes"] = list(classes)
    return reply


def article(predictions: Labels, probabilities: Probabilities | None) -> str:
    """The article's reply: text, which HTTP encodes once more.

    ``proba`` is the probability of the second of two classes, as in the article; of more classes each row holds all,
    since that of the last alone would mean nothing. Without probabilities it is ``prediction``.
    """
    if probabilities is None:
        return json.dumps({"prediction": list(predictions)})
    return json.dumps({"proba": [row[-1] if len(row) == 2 else list(row) for row in probabilities]})
