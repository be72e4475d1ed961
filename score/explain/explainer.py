"""The explanations of a package: what its files hold, and how rows of checked columns are explained by them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from score.explain.linear import LinearExplainer
from score.explain.permutation import PermutationExplainer
from score.explain.trees import TreeArrays, TreeExplainer
from score.models.base import PickledModel
from score.models.onnx import CompiledModel, OnnxGraph

if TYPE_CHECKING:
    from score.contract.columns import Columns
    from score.contract.schema import Contract
    from score.models.base import Model
    from score.payload.reader import Reader

FILE = "explanation.json"
ARRAYS = "explanation.npz"
Method = Literal["trees", "linear", "permutation", "none"]


@dataclass(frozen=True)
class ExplanationRecord:
    """How a package explains its answers, stored as explanation.json and shown at ``/meta``.

    Attributes:
        method: "trees" and "linear" are exact, "permutation" is an estimate with a standard error.
        reason: Why it is not exact; empty if it is.
        space: What the values add up to, such as "probability" or "log-odds".
        outputs: The codes of the classes that are explained, of two classes the second one only; None in a regression.
        base: What the values of each output are added to.
        checked: What was compared when the package was made.
    """

    method: Method = "none"
    reason: str = "the package was made without"
    space: str = ""
    outputs: Sequence[int] | None = None
    base: Sequence[float] = ()
    checked: str = ""

    @classmethod
    def read(cls, folder: Path) -> ExplanationRecord:
        """Read a package's."""
        path = folder / FILE
        return cls(**json.loads(path.read_bytes())) if path.is_file() else cls()

    def write(self, folder: Path) -> None:
        """Write it into a package's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


class Explanation(NamedTuple):
    """The explanation of some rows.

    Attributes:
        base: Of each output (n_outputs,).
        values: What each column adds (n_rows, n_outputs, n_columns).
        errors: The standard errors of the values, of the same shape; None if they are exact.
    """

    base: Any
    values: Any
    errors: Any


class Explainer:
    """Explains rows; immutable, so that threads may share it."""

    def __init__(self, record: ExplanationRecord, explain: Callable[[Columns], tuple[Any, Any]], base: Any) -> None:
        self.record, self.base = record, base
        self._explain = explain

    @classmethod
    def load(cls, folder: Path, model: Model, contract: Contract, reader: Reader) -> Explainer:
        """Load a package's arrays.

        Raises:
            ValueError: the file is missing or damaged.
        """
        import numpy as np

        record = ExplanationRecord.read(folder)
        try:
            with (folder / ARRAYS).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = dict(file)
        except Exception as error:  # whatever numpy, zipfile and zlib raise for it
            raise ValueError(f"{ARRAYS} is missing or damaged") from error
        return cls.of(record, arrays, model, len(contract.columns), reader)

    @classmethod
    def of(
        cls, record: ExplanationRecord, arrays: Mapping[str, Any], model: Model, columns: int, reader: Reader
    ) -> Explainer:
        """Return the explainer of a record with these arrays for a model of a contract's ``columns``."""
        if record.method == "permutation":
            background = reader.read(arrays["background"].tobytes()).columns
            sampled = PermutationExplainer(answers(model, record.outputs), background)
            return cls(record, sampled.explain, sampled.base)
        exact: TreeExplainer | LinearExplainer
        encode = encoder(model, arrays["graph"].tobytes())
        prepare = Preparation(arrays)
        if record.method == "trees":
            exact = TreeExplainer(TreeArrays.of(arrays), prepare.owner, columns, arrays["start"])
        else:
            coef, intercept, mean = (arrays[name] for name in ("coef", "intercept", "mean"))
            exact = LinearExplainer(coef, intercept, mean, prepare.owner, columns)
        return cls(record, lambda rows: (exact.explain(prepare.extend(encode(rows))), None), exact.base)

    def explain(self, columns: Columns) -> Explanation:
        """Explain checked columns."""
        import numpy as np

        if not len(next(iter(columns.values()), ())):  # which no model predicts
            none = np.zeros((0, len(self.base), len(columns)))
            return Explanation(self.base, none, none if self.record.method == "permutation" else None)
        return Explanation(self.base, *self._explain(columns))


class Preparation:
    """Encoded rows as trees compare them: rounded, and with a further column for each set of a split on categories."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        import numpy as np

        self._narrow = bool(arrays.get("narrow", False))
        self._sets = arrays.get("set_members")  # (n_sets, n_codes): whether a set has a code
        self._of = arrays.get("set_feature", np.zeros(0, dtype=np.int64))  # the feature of each set
        self.owner = np.concatenate([arrays["owner"], arrays["owner"][self._of]])

    def extend(self, rows: Any) -> Any:
        """Return the rows (n_rows, n_features) as float64, with the further columns: 0 in the set, 1 outside of it."""
        import numpy as np

        if self._narrow:
            rows = rows.astype(np.float32).astype(np.float64)
        if self._sets is None or not len(self._of):
            return rows
        values = rows[:, self._of]
        codes = np.clip(np.nan_to_num(values, nan=-1), -1, self._sets.shape[1])
        known = (codes >= 0) & (codes < self._sets.shape[1]) & (codes == np.floor(codes))
        inside = known & self._sets[np.arange(len(self._of)), np.where(known, codes, 0).astype(np.intp)]
        return np.hstack([rows, np.where(np.isnan(values), np.nan, ~inside)])


def encoder(model: Model, graph: bytes) -> Callable[[Columns], Any]:
    """Return what encodes checked columns for the last step of the pipeline (n_rows, n_features), as float64.

    ``graph`` is that of the steps before it, for a compiled model; empty if there are none.
    """
    if isinstance(model, CompiledModel):
        if not graph:
            return model.table
        session = OnnxGraph(graph)
        return lambda columns: session.run(model.table(columns))[0]
    if not isinstance(model, PickledModel):
        raise TypeError(f"{type(model).__name__} has no steps")
    pickled = model
    return lambda columns: transform(pickled.pipeline, pickled.frame(columns))


def transform(pipeline: Any, frame: Any) -> Any:
    """Return rows of a table (n_rows, n_columns) as the last step of a fitted pipeline gets them, as float64."""
    return as_numbers(run_steps(pipeline, frame))


def as_numbers(made: Any) -> Any:
    """Return features in whatever a step made of them (n_rows, n_features), as float64."""
    import numpy as np

    if hasattr(made, "toarray"):
        made = made.toarray()
    return made.to_numpy(np.float64) if hasattr(made, "to_numpy") else np.asarray(made, dtype=np.float64)


def run_steps(pipeline: Any, frame: Any) -> Any:
    """Return rows of a table (n_rows, n_columns) as the last step of a fitted pipeline gets them, in its types."""
    for _, step in getattr(pipeline, "steps", [])[:-1]:
        if hasattr(step, "transform"):  # not "passthrough", and not what draws rows for a fit
            frame = step.transform(frame)
    return frame


def answers(model: Model, outputs: Sequence[int] | None) -> Callable[[Columns], Any]:
    """Return the function of checked columns that is explained (n_rows, n_outputs).

    It gives the probabilities of these classes, or numbers in a regression. Without probabilities a class has 1 where it is
    predicted, else 0.
    """
    import numpy as np

    def answer(columns: Columns) -> Any:
        labels, probabilities = model.predict(columns, labels=model.classes is None)
        if outputs is None:
            return np.asarray(labels, dtype=np.float64)[:, None]
        if model.classes is None:
            return (np.asarray(labels)[:, None] == np.asarray(outputs)).astype(np.float64)
        return np.asarray(probabilities, dtype=np.float64)[:, [list(model.classes).index(code) for code in outputs]]

    return answer
