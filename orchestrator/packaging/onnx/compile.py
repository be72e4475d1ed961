"""Compile a fitted pipeline, and keep the result only if it gives the pipeline's answers; else say why not."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.events import Progress
from score.contract.golden import TOLERANCE, Golden
from score.contract.schema import Contract
from score.models.base import PickledModel
from score.models.onnx import GRAPH, PARTS, Compilation, CompiledModel
from score.models.quickscorer import SplitGraph

if TYPE_CHECKING:
    import pandas as pd

OPSETS = {"": 18, "ai.onnx.ml": 3}  # the most that skl2onnx knows


@dataclass(frozen=True)
class CompiledPipeline:
    """The compiled model: a graph and, where that is faster for requests of many rows, its parts around QuickScorer.

    Without a compiled model the graph is empty and the compilation has the reason.
    """

    compilation: Compilation
    graph: bytes = b""
    parts: SplitGraph | None = None

    def write(self, folder: Path) -> None:
        """Write the compiled model into a package's folder."""
        self.compilation.write(folder)
        if self.graph:
            (folder / GRAPH).write_bytes(self.graph)
        if self.parts is not None:
            self.parts.write(folder / PARTS)

    def models(self, contract: Contract) -> list[CompiledModel]:
        """Return a model for each path that rows may take: the whole graph and, if there are any, its parts."""
        whole = CompiledModel(self.graph, contract, self.compilation)
        if self.parts is None:
            return [whole]
        return [whole, CompiledModel(self.graph, contract, self.compilation, self.parts, long=1)]


def compile_pipeline(
    pipeline: Any,
    contract: Contract,
    tables: Sequence[pd.DataFrame],
    requests: Sequence[Golden],
    progress: Progress | None = None,
) -> CompiledPipeline:
    """Compile the pipeline and compare both on every row of ``tables``, on edge rows and on the golden requests."""
    from orchestrator.packaging.onnx.equivalence import EquivalenceError
    from orchestrator.packaging.onnx.quickscorer import split_graph

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of converters, and of pipelines that are given edge values
        try:
            graph, codes = convert_pipeline(pipeline, len(contract.columns))
        except Exception as error:  # noqa: BLE001  # foreign code: whatever it is, it is the reason
            return CompiledPipeline(Compilation(_first_line(error)))
        classes = [int(code) for code in pipeline.classes_] if hasattr(pipeline, "predict_proba") else None
        whole = CompiledPipeline(Compilation(classes=classes, codes=codes), graph)
        with suppress(Exception):  # without the parts the compiled model is slower, and no worse
            if parts := split_graph(graph):
                return check_equivalence(pipeline, replace(whole, parts=parts), contract, tables, requests, progress)
        try:
            return check_equivalence(pipeline, whole, contract, tables, requests, progress)
        except EquivalenceError as error:
            return CompiledPipeline(Compilation(str(error)))
        except Exception as error:  # noqa: BLE001  # ONNX Runtime's, for a graph that it cannot run
            return CompiledPipeline(Compilation(f"ONNX Runtime cannot run it: {_first_line(error)}"))


def convert_pipeline(pipeline: Any, width: int) -> tuple[bytes, dict[str, int]]:
    """Convert a fitted pipeline to a graph of one float64 table (n_rows, width); return it and the codes for texts.

    Raises:
        NotImplementedError: a step has no converter.
        Exception: whatever else a converter raises.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    from orchestrator.packaging.onnx import boosting_converters, nested_converters, nested_parts
    from orchestrator.packaging.onnx.category_codes import encode_categories, iterate_steps
    from orchestrator.packaging.onnx.converters import custom_converters
    from orchestrator.packaging.onnx.tree_converters import ML, ML_OPSET

    functions, shapes = custom_converters()
    functions[nested_parts.Combination] = nested_parts.convert_combination
    shapes[nested_parts.Combination] = nested_parts.combination_shape
    numeric, codes = encode_categories(pipeline)
    parsers = nested_converters.parsers(numeric) | boosting_converters.parsers(numeric)
    try:
        model = convert_sklearn(
            numeric,
            "pipeline",
            [("table", DoubleTensorType([None, width]))],
            target_opset=OPSETS,
            options={"zipmap": False} if hasattr(pipeline, "classes_") else None,
            custom_conversion_functions=functions,
            custom_shape_calculators=shapes,
            custom_parsers=parsers,
        )
    except (MissingConverter, MissingShapeCalculator) as error:
        unknown = re.search(r"<class '(.+?)'>", str(error))
        raise NotImplementedError(f"no converter for {unknown[1] if unknown else error}") from error
    except Exception as error:  # skl2onnx goes on behind a step that it does not know, and fails at the next one
        if unknown_step := next(
            (kind for kind in map(type, iterate_steps(numeric)) if not _is_known(kind, {*functions, *parsers})), None
        ):
            name = f"{unknown_step.__module__}.{unknown_step.__qualname__}"
            raise NotImplementedError(f"no converter for {name}") from error
        raise
    if any(node.op_type == "TreeEnsemble" for node in model.graph.node):
        (opset,) = (opset for opset in model.opset_import if opset.domain == ML)
        opset.version = ML_OPSET
    return model.SerializeToString(), codes


def _is_known(kind: type, functions: Container[type]) -> bool:
    from skl2onnx import get_model_alias

    if kind in functions:
        return True
    try:
        return bool(get_model_alias(kind))
    except RuntimeError:
        return False


def check_equivalence(
    pipeline: Any,
    candidate: CompiledPipeline,
    contract: Contract,
    tables: Sequence[pd.DataFrame],
    requests: Sequence[Golden],
    progress: Progress | None = None,
) -> CompiledPipeline:
    """Return the compiled pipeline with a record of the comparison; see :func:`compile_pipeline`.

    Raises:
        EquivalenceError: an answer differs.
    """
    from orchestrator.packaging.onnx.comparison_rows import accepted_rows
    from orchestrator.packaging.onnx.edge_cases import edge_rows
    from orchestrator.packaging.onnx.equivalence import (
        MAX_TOLERANCE,
        Comparison,
        EquivalenceError,
        is_batch_invariant,
        is_rowwise,
    )
    from orchestrator.packaging.onnx.row_sample import RowSample
    from orchestrator.packaging.onnx.threshold_rows import ThresholdSearch
    from score.payload.reader import Reader
    from score.predict.predictor import Predictor

    reader = Reader(contract)
    pickle, models = PickledModel(pipeline, reader), candidate.models(contract)
    sample = RowSample.draw(tables)
    rows = accepted_rows(sample.rows, contract)
    thresholds = ThresholdSearch(pipeline, contract, rows)
    edges = edge_rows(contract, rows)
    report = progress or Progress()

    def report_count(done: int) -> None:
        report(done, sum(map(len, [rows, *edges])), "rows compared")

    comparison = Comparison(pickle, models, report_count, contract.threshold, thresholds.width)
    comparison.add([rows], thresholds.see)
    table_rows = comparison.count
    near, splits = thresholds.near(sample)
    edges += near
    comparison.add(edges)
    tolerance = min(max(TOLERANCE, 10 * comparison.largest), MAX_TOLERANCE)
    for model, request in product(models, requests):
        answer = Predictor(contract, model, reader).answer(request.body)
        if different := replace(request, tolerance=tolerance).difference(answer.status, json.loads(answer.body)):
            raise EquivalenceError(f"golden request '{request.name}': {different}")
    compilation = replace(
        candidate.compilation,
        tolerance=tolerance,
        rows=table_rows,
        edges=comparison.count - table_rows,
        splits=splits,
        forest=bool(candidate.parts),
        batchable=is_rowwise(candidate.graph) and is_batch_invariant(models[0], [rows, *edges]),
    )
    return replace(candidate, compilation=compilation)


def _first_line(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, NotImplementedError) else f"{type(error).__name__}: {text}"
