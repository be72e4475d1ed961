"""Check that ``evaluate.threshold`` and ``data.positive`` have two classes, and a threshold probabilities and no other one."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config.estimator_checks import unfitted
from orchestrator.errors import Problem, SpecError
from orchestrator.spec.components import locate
from orchestrator.spec.data import DataSpec
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.messages import format_value
from orchestrator.spec.model import UNCALIBRATED, ModelSpec
from orchestrator.spec.objects import code_of

AT = "evaluate.threshold"
OWN = {"FixedThresholdClassifier", "TunedThresholdClassifierCV"}  # of scikit-learn


def problems(evaluate: EvaluateSpec, model: ModelSpec, data: DataSpec) -> Iterator[Problem]:
    """Yield why a threshold cannot decide the labels of a model, and why there is no positive label."""
    others = {"regression": "a regression has no labels", "multiclass": "data.task is multiclass"}
    if data.task in others and data.positive is not None:
        yield Problem("data.positive", f"is for two classes, and {others[data.task]}; leave it out, or write null")
    if not evaluate.decides:
        return
    if data.task in others:
        yield Problem(AT, f"is for two classes, and {others[data.task]}; leave it out, or write 0.5")
        return
    try:
        kind = locate(model.estimator, "model.estimator")
    except SpecError:  # reported there
        return
    made = unfitted(kind, model) if isinstance(kind, type) else None
    if made is None:
        return
    named = {name.rpartition(".")[2] for name in (model.estimator, *code_of(model.params, model.param_grid))}
    if own := sorted(named & OWN):
        yield Problem(AT, f"{own[0]} has a threshold of its own, and a second one would undo it; leave one of them out")
    elif not hasattr(made, "predict_proba") and UNCALIBRATED in model.calibrate:
        remedy = "write model.calibrate=sigmoid, or 0.5 here"
        yield Problem(
            AT, f"{kind.__name__} gives no probabilities to compare with {format_value(evaluate.threshold)}; {remedy}"
        )
