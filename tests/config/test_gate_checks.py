"""Mistakes in ``gate``, found before data is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.config.gate_checks import problems
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.search import SearchSpec

SEARCH = SearchSpec(_target_="x.Y", cv=2, scoring=("roc_auc", "recall"), refit="roc_auc")


def test_a_limit_needs_a_metric_that_is_scored() -> None:
    gate = GateSpec(minimum={"rok_auc": 0.8, "recall": 0.9}, maximum={"f1": 0.9, "recall": 0.5})
    assert [str(problem) for problem in problems(gate, SEARCH)] == [
        "gate.minimum.rok_auc: is not one of search.scoring; did you mean 'roc_auc'?",
        "gate.maximum.f1: is not one of search.scoring; there are: recall, roc_auc",
        "gate.minimum.recall: 0.9 is above gate.maximum.recall, 0.5",
    ]
    assert not [*problems(GateSpec(minimum={"recall": 0.5}), SEARCH)]
    printed = GateSpec(maximum={"brier_score": 0.2})
    remedy = (
        "add neg_brier_score to search.scoring, and type gate.minimum.neg_brier_score=-0.2 for a score of at most that"
    )
    assert [str(problem) for problem in problems(printed, SEARCH)] == [
        f"gate.maximum.brier_score: is not scored by the search; {remedy}"
    ]


def test_a_limit_that_decides_nothing_is_refused() -> None:
    scored = SEARCH.model_copy(update={"scoring": ("roc_auc", "neg_log_loss")})
    wrong = GateSpec(minimum={"roc_auc": 80.0, "neg_log_loss": 0.5}, maximum={"neg_log_loss": 0.5}, margin=2.0)
    negated = "as neg_log_loss is at most 0; a loss of at most 0.5 is gate.minimum.neg_log_loss=-0.5"
    assert [str(problem) for problem in problems(wrong, scored)] == [
        "gate.minimum.roc_auc: 80 decides nothing: no model reaches it, as roc_auc is at most 1",
        f"gate.minimum.neg_log_loss: 0.5 decides nothing: no model reaches it, {negated}",
        f"gate.maximum.neg_log_loss: 0.5 decides nothing: every model keeps it, {negated}",
        "gate.margin: 2 is in units of roc_auc, which is between 0 and 1, as in 0.02",
    ]
    right = GateSpec(minimum={"roc_auc": 0.9, "neg_log_loss": -0.5}, maximum={"roc_auc": 0.99}, margin=0.02)
    assert not [*problems(right, scored)]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"rule": "not_worse"}, "margin: should be above 0"),
        ({"kind": "none", "minimum": {"f1": 0.5}}, "kind: none checks no limits"),
        ({"kind": "threshold", "margin": 0.1}, "kind: threshold compares with no champion"),
        ({"alpha": 0.0}, "greater than 0"),
        ({"minimum": {"f1": float("nan")}}, "finite number"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        GateSpec(**keys)
