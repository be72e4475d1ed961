"""Make a package's explanations: exact ones where they can be shown to be right, else by permutation, with the reason."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.packaging import explanation_check, holdout_check
from orchestrator.packaging.explanation_features import feature_columns
from orchestrator.packaging.explanation_model import SINGLE, describe_model
from orchestrator.packaging.onnx.compile import convert_pipeline
from orchestrator.packaging.refit import Shipped
from orchestrator.spec.messages import one_line
from score.contract.columns import Columns
from score.contract.schema import Contract
from score.explain import permutation
from score.explain.explainer import (
    ARRAYS,
    Explainer,
    ExplanationRecord,
    Preparation,
    as_numbers,
    encoder,
    run_steps,
    transform,
)
from score.models.base import Model, PickledModel
from score.models.onnx import Compilation, CompiledModel
from score.payload.reader import Reader

if TYPE_CHECKING:
    import pandas as pd

ROWS = 16  # that are compared
TRIED = 1000  # training rows from which those that requests may hold are taken
MEAN_ROWS = 100_000  # training rows that a linear model's means are of
MEAN_CELLS = 2_000_000  # of the features of the rows that are transformed at once


def write_explanation(
    folder: Path, shipped: Shipped, contract: Contract, compilation: Compilation
) -> ExplanationRecord:
    """Write what explains the answers of the model in a package's folder, and return how it does."""
    reader = Reader(contract)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pipelines that are given mixed rows
        try:
            model = _load(folder, shipped, contract, compilation, reader)
            records = _training_records(shipped.fitted, contract)
            try:
                record, arrays = _exact(model, shipped, contract, compilation, reader, records[:ROWS])
            except Exception as error:  # noqa: BLE001  # of any estimator's parts: whatever it is, it is the reason
                record, arrays = _sampled(model, contract, records, one_line(error))
            base = Explainer.of(record, arrays, model, len(contract.columns), reader).base
        except Exception as error:  # noqa: BLE001
            record = ExplanationRecord(reason=one_line(error))
        else:
            record = replace(record, base=[float(each) for each in base])
            np.savez_compressed(folder / ARRAYS, allow_pickle=False, **arrays)
    record.write(folder)
    return record


def _load(folder: Path, shipped: Shipped, contract: Contract, compilation: Compilation, reader: Reader) -> Model:
    """Return the model that serves."""
    if compilation.used:
        return CompiledModel.load(folder, contract, compilation)
    return PickledModel(shipped.pipeline, reader)


def _training_records(fitted: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    """Return training rows as requests hold them, drawn at random."""
    drawn = fitted.iloc[np.random.default_rng(0).permutation(len(fitted))[:TRIED]]
    rows = max(ROWS, permutation.pairs(len(contract.columns)))
    return holdout_check.as_records(
        drawn.iloc[holdout_check.first_accepted(drawn, contract.columns, rows)], contract.columns
    )


def _read(reader: Reader, records: Sequence[Mapping[str, Any]]) -> Columns:
    return reader.read(json.dumps({"data": records})).columns


def _exact(
    model: Model,
    shipped: Shipped,
    contract: Contract,
    compilation: Compilation,
    reader: Reader,
    records: Sequence[Mapping[str, Any]],
) -> tuple[ExplanationRecord, dict[str, Any]]:
    """Return exact explanations that were compared with the pipeline on some rows.

    Raises:
        Exception: there are none; the text is the reason.
    """
    pipeline = shipped.pipeline
    additive = describe_model(getattr(pipeline, "steps", [("", pipeline)])[-1][1])
    columns = _read(reader, records)
    graph = _graph(pipeline, len(contract.columns), compilation) if compilation.used else b""
    pickled = PickledModel(pipeline, reader)
    last, table = pickled.transformed(pickled.frame(columns))
    made = run_steps(pipeline, table) if last is pipeline else table
    reference = as_numbers(made)
    owner = feature_columns(pipeline, [column.name for column in contract.columns], reference.shape[1])
    arrays = {**additive.arrays, "owner": owner, "graph": np.frombuffer(graph, dtype=np.uint8)}
    if additive.method == "linear":
        arrays["mean"] = _means(pipeline, shipped.fitted, reference.shape[1])
    encoded = explanation_check.check_encoding(encoder(model, graph), reference, columns, owner)
    record = ExplanationRecord(additive.method, "", additive.space, additive.outputs)
    explainer = Explainer.of(record, arrays, model, len(contract.columns), reader)
    base, values, _ = explainer.explain(columns)
    predicted, probabilities = pickled.answers(last, table)
    expected = predicted.reshape(-1, 1) if additive.outputs is None else probabilities
    tolerance = SINGLE if _is_single(made) else additive.tolerance
    explanation_check.check_sums(expected, additive.predicted(base + values.sum(axis=2)), tolerance)
    checked = f"{len(records)} rows add up to the prediction"
    if additive.method == "trees":
        prepare = Preparation(arrays)
        coalitions = explanation_check.check_coalitions(arrays, prepare.owner, prepare.extend(encoded[:2]))
        checked += f", {coalitions} coalitions of groups of columns give the same values"
    return replace(record, checked=checked), arrays


def _is_single(features: Any) -> bool:
    """Return whether features are float32, so that the estimator computes in it."""
    dtypes = features.dtypes if hasattr(features, "columns") else [features.dtype]
    return any(dtype == np.float32 for dtype in dtypes)


def _graph(pipeline: Any, width: int, compilation: Compilation) -> bytes:
    """Return the graph of the steps before the model; empty if there are none.

    Raises:
        ValueError: its codes of texts are not those of the compiled model.
    """
    if not any(hasattr(step, "transform") for _, step in pipeline.steps[:-1]):
        return b""
    graph, codes = convert_pipeline(pipeline[:-1], width)
    if any(compilation.codes.get(text) != code for text, code in codes.items()):
        raise ValueError("the steps have other codes of texts than the compiled model")
    return graph


def _means(pipeline: Any, fitted: pd.DataFrame, features: int) -> Any:
    """Return the mean of each feature over the training rows (n_features,), or over 100,000 of them."""
    rows = fitted
    if len(rows) > MEAN_ROWS:
        rows = fitted.iloc[np.sort(np.random.default_rng(0).choice(len(fitted), MEAN_ROWS, replace=False))]
    at_once = max(1, MEAN_CELLS // features)
    starts = range(0, len(rows), at_once)
    total = sum(transform(pipeline, rows.iloc[start : start + at_once]).sum(axis=0) for start in starts)
    return np.asarray(total, dtype=np.float64) / len(rows)


def _sampled(
    model: Model, contract: Contract, records: Sequence[Mapping[str, Any]], reason: str
) -> tuple[ExplanationRecord, dict[str, Any]]:
    """Return explanations by permutation, for which some training rows ship."""
    outputs: list[int] | None = None
    space = "prediction"
    if contract.classes is not None:
        codes = list(range(len(contract.classes))) if model.classes is None else [int(code) for code in model.classes]
        outputs = codes[1:] if len(codes) == 2 else codes
        space = "1 if the class is predicted, else 0" if model.classes is None else "probability"
    rows = json.dumps({"data": records[: permutation.pairs(len(contract.columns))]}).encode()
    arrays = {"background": np.frombuffer(rows, dtype=np.uint8)}
    return ExplanationRecord("permutation", reason, space, outputs), arrays
