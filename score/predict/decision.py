"""The decision threshold: which of two classes a probability means. Every label that a threshold decides is decided here."""

from __future__ import annotations

from typing import Any

# Forests and ONNX Runtime add in different orders: 30 of 100 trees may give 0.3 or the number just below it
SLACK = 1e-9


def decide(probabilities: Any, threshold: float) -> Any:
    """Return the class codes (n_rows,) of probabilities (n_rows, 2): 1 where the second one reaches the threshold."""
    return (probabilities[:, 1] >= threshold - SLACK).astype("int64")
