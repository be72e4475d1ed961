"""Check that ``model.calibrate`` has a classifier to calibrate, and rows that can be split as the table is."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config.estimator_checks import unfitted
from orchestrator.config.evaluate_checks import OWN
from orchestrator.errors import Problem, SpecError
from orchestrator.spec.components import locate
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import UNCALIBRATED, ModelSpec
from orchestrator.spec.objects import code_of
from orchestrator.spec.search import SearchSpec

AT = "model.calibrate"


def problems(model: ModelSpec, data: DataSpec, search: SearchSpec) -> Iterator[Problem]:
    """Yield why the probabilities of a model cannot be calibrated."""
    if not model.calibrates:
        return
    if text := next(_refusals(model, data, search), ""):
        yield Problem(AT, text)


def _refusals(model: ModelSpec, data: DataSpec, search: SearchSpec) -> Iterator[str]:
    from sklearn.base import is_regressor
    from sklearn.calibration import CalibratedClassifierCV

    try:
        kind = locate(model.estimator, "model.estimator")
    except SpecError:  # reported there
        return
    made = unfitted(kind, model) if isinstance(kind, type) else None
    if data.task == "regression" or (made is not None and is_regressor(made)):
        yield "calibrates the probabilities of classes, and a regression has none; leave it out"
    (known,) = (each.options for each in CalibratedClassifierCV._parameter_constraints["method"])  # noqa: SLF001 - nothing public lists them
    if missing := [method for method in model.calibrate if method not in {UNCALIBRATED, *known}]:
        yield f"{missing[0]} needs scikit-learn 1.8 or newer; write sigmoid or isotonic"
    if model.early_stopping.rounds:
        yield (
            "and model.early_stopping would both set rows of a fit aside; write model.early_stopping.rounds=null and a "
            "number of trees, or leave calibration out"
        )
    named = {name.rpartition(".")[2] for name in (model.estimator, *code_of(model.params, model.param_grid))}
    if "CalibratedClassifierCV" in named:
        yield "the model has a CalibratedClassifierCV already; leave one of them out"
    if own := sorted(named & OWN):
        yield f"{own[0]} has a threshold of its own, which calibration would undo; leave one of them out"
    if made is not None and not any(hasattr(made, name) for name in ("predict_proba", "decision_function")):
        yield f"{kind.__name__} gives neither probabilities nor scores to calibrate; choose another estimator"
    if search.fit_on == "all" and data.split.rule in {"group", "time"}:
        yield (
            f"with data.split={data.split.rule} splits rows by '{data.split.by}', which hold-out rows have no more; write "
            "search.fit_on=training"
        )
