"""Decision: the threshold of two labels and how it was chosen, as plain data that loads without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

THRESHOLD = "evaluate.threshold"  # the key of the rule; the others are what it is given


@dataclass(frozen=True)
class LabelScores:
    """What labels at a threshold are worth on some rows, counted by their weights; a ratio without rows is 0."""

    precision: float
    recall: float
    f1: float
    cost: float | None = None  # a row, where evaluate.cost decides


@dataclass(frozen=True)
class Decision:
    """The ``threshold`` of the positive label's probability, and the ``rule`` that chose it ("fixed" if it was typed).

    ``rows`` is the number of out-of-fold predictions that the rule saw, ``chosen`` what they are worth at the threshold and
    ``at_half`` at 0.5; 0 and None of a typed one. ``params`` are the keys of the configuration that decided, and ``line`` is all
    of it in words.
    """

    threshold: float
    rule: str
    positive: str
    rows: int = 0
    chosen: LabelScores | None = None
    at_half: LabelScores | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The whole in one line."""
        said = f"'{self.positive}' from a probability of {self.threshold:.6g}"
        if self.chosen is None or self.at_half is None:
            return f"{said} (evaluate.threshold)"
        name = {"max_f1": "f1", "cost": "cost", "recall_at": "recall"}[self.rule]
        new, old = (getattr(each, name) for each in (self.chosen, self.at_half))
        what = "cost a row" if name == "cost" else name
        given = [f"{key.rpartition('.')[2]}={float(text):g}" for key, text in self.params.items() if key != THRESHOLD]
        rule = " with ".join(filter(None, [self.rule, ", ".join(given)]))
        return f"{said} ({rule} on {self.rows:,} out-of-fold predictions: {what} {new:.3g}, at 0.5 {old:.3g})"

    def as_json(self) -> Mapping[str, Any]:
        """Return everything as plain data."""
        plain = asdict(self)
        del plain["params"]
        return {"line": self.line, **plain}
