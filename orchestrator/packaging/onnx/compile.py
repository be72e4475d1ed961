"""A compiled twin for a fitted pipeline, and the proof that it answers alike; or the reason why there is none."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
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
    """What came of compiling: the graph and, where requests of many rows are quicker so, its parts.

    Without a twin the graph is empty and the compilation has the reason.
    """

    compilation: Compilation
    graph: bytes = b""
    parts: SplitGraph | None = None

    def write(self, folder: Path) -> None:
        """Keep it with a package."""
        self.compilation.write(folder)
        if self.graph:
            (folder / GRAPH).write_bytes(self.graph)
        if self.parts is not None:
            self.parts.write(folder / PARTS)

    def models(self, contract: Contract) -> list[CompiledModel]:
        """A model for each way that rows may go through it: one by one, and many at once."""
        whole = CompiledModel(self.graph, contract, self.compilation)
        if self.parts is None:
            return [whole]
        return [whole, CompiledModel(self.graph, contract, self.compilation, self.parts, long=1)]


def compiled(
    pipeline: Any,
    contract: Contract,
    tables: Sequence[pd.DataFrame],
    requests: Sequence[Golden],
    progress: Progress | None = None,
) -> CompiledPipeline:
    """The twin, once it has answered every row of ``tables``, edge rows and golden requests as the pipeline does."""
    from orchestrator.packaging.onnx.equivalence import EquivalenceError
    from orchestrator.packaging.onnx.quickscorer import cut

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what is proved, and about the strange values that prove it
        try:
            graph, codes = convert(pipeline, len(contract.columns))
        except Exception as error:  # noqa: BLE001  # foreign code: whatever it is, it is the reason
            return CompiledPipeline(Compilation(_told(error)))
        classes = [int(code) for code in pipeline.classes_] if hasattr(pipeline, "predict_proba") else None
        twin = CompiledPipeline(Compilation(classes=classes, codes=codes), graph)
        with suppress(Exception):  # without it the twin is slower, and no worse
            parts = cut(graph)
            twin = proved(pipeline, replace(twin, parts=parts), contract, tables, requests, progress) if parts else twin
        if twin.parts is not None:
            return twin
        try:
            return proved(pipeline, twin, contract, tables, requests, progress)
        except EquivalenceError as error:
            return CompiledPipeline(Compilation(str(error)))
        except Exception as error:  # noqa: BLE001  # ONNX Runtime's, for a graph that it cannot run
            return CompiledPipeline(Compilation(f"ONNX Runtime cannot run it: {_told(error)}"))


def convert(pipeline: Any, width: int) -> tuple[bytes, dict[str, int]]:
    """A fitted pipeline as a graph of one float64 table (n_rows, width), and the codes that stand for texts in it.

    Raises:
        Exception: whatever a converter raises, most often that there is none.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    from orchestrator.packaging.onnx.category_codes import recoded
    from orchestrator.packaging.onnx.converters import converters
    from orchestrator.packaging.onnx.tree_converters import ML, ML_OPSET

    functions, shapes = converters()
    numeric, codes = recoded(pipeline)
    try:
        model = convert_sklearn(
            numeric,
            "twin",
            [("table", DoubleTensorType([None, width]))],
            target_opset=OPSETS,
            options={"zipmap": False} if hasattr(pipeline, "classes_") else None,
            custom_conversion_functions=functions,
            custom_shape_calculators=shapes,
        )
    except (MissingConverter, MissingShapeCalculator) as error:
        named = re.search(r"<class '(.+?)'>", str(error))
        raise NotImplementedError(f"no converter for {named[1] if named else error}") from error
    if any(node.op_type == "TreeEnsemble" for node in model.graph.node):
        (opset,) = (opset for opset in model.opset_import if opset.domain == ML)
        opset.version = ML_OPSET
    return model.SerializeToString(), codes


def proved(
    pipeline: Any,
    twin: CompiledPipeline,
    contract: Contract,
    tables: Sequence[pd.DataFrame],
    requests: Sequence[Golden],
    progress: Progress | None = None,
) -> CompiledPipeline:
    """The twin with what was tried; see :func:`compiled`.

    Raises:
        Unequal: an answer differs.
    """
    from orchestrator.packaging.onnx.comparison_rows import accepted
    from orchestrator.packaging.onnx.edge_cases import edge_rows, split_rows
    from orchestrator.packaging.onnx.equivalence import TOLERANCE as MOST
    from orchestrator.packaging.onnx.equivalence import Comparison, EquivalenceError, rowwise, same_together
    from score.payload.reader import Reader
    from score.predict.predictor import Predictor

    reader = Reader(contract)
    pickle, models = PickledModel(pipeline, reader), twin.models(contract)
    rows = accepted(tables, contract)
    beside, splits = split_rows(pipeline, contract, rows)
    edges = [*edge_rows(contract, rows), *beside]
    total = sum(map(len, [rows, *edges]))
    report = progress or Progress()
    comparison = Comparison(pickle, models, lambda done: report(done, total, "rows compared"))
    comparison.add([rows])
    real = comparison.count
    comparison.add(edges)
    tolerance = min(max(TOLERANCE, 10 * comparison.largest), MOST)
    for model, request in product(models, requests):
        answer = Predictor(contract, model, reader).answer(request.body)
        if different := replace(request, tolerance=tolerance).difference(answer.status, json.loads(answer.body)):
            raise EquivalenceError(f"golden request '{request.name}': {different}")
    found = replace(
        twin.compilation,
        tolerance=tolerance,
        rows=real,
        edges=comparison.count - real,
        splits=splits,
        forest=bool(twin.parts),
        batchable=rowwise(twin.graph) and same_together(models[0], [rows, *edges]),
    )
    return replace(twin, compilation=found)


def _told(error: Exception) -> str:
    """The first line of a foreign error."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, NotImplementedError) else f"{type(error).__name__}: {text}"
