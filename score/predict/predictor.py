"""A loaded package as one synchronous path: ``parse`` a request, ``predict`` its columns, ``respond`` with a payload.

Batch scoring, pyfunc, verify, Azure ML's inference server and our own server all take these three steps; the server puts
admission, micro-batching and logging around them.
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from score import privacy
from score.contract.columns import Columns
from score.contract.schema import FILE, Contract
from score.explain.explainer import Explainer, Explanation, ExplanationRecord
from score.models.base import FILE as PICKLE
from score.models.base import Model, PickledModel
from score.models.onnx import GRAPH, Compilation, CompiledModel
from score.models.own_code import OwnCodeError
from score.payload.errors import PROBLEM, BadRequest, problem_document
from score.payload.reader import Reader, Request
from score.predict import response
from score.predict.decision import decide
from score.predict.response import HttpReply

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
SMALL_ARRAY = 16  # numbers; up to here plain Python is faster than a numpy call


class InitError(RuntimeError):
    """The package cannot be served here: one line with the remedy."""


class ScoringError(RuntimeError):
    """The model failed on a valid request: the server's fault, so status 500; ``__cause__`` is the reason."""

    status = 500

    def document(self) -> dict[str, Any]:
        """Return the reply's body, a problem document of RFC 9457."""
        return problem_document(self.status, "Internal Server Error", str(self))


class Prediction(NamedTuple):
    """The model's output for some rows.

    Attributes:
        labels: A label, or a number in a regression, for each row; empty where none were asked for.
        probabilities: An array (n_rows, n_classes) in the order of the contract's classes, or None.
    """

    labels: list[Any]
    probabilities: Any


class ScoreResult(NamedTuple):
    """A payload, ready for JSON, and the headers that go with it."""

    payload: Any
    headers: dict[str, str]


def _raise_scoring_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Turn every exception but BadRequest into a ScoringError with its cause."""

    @wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (BadRequest, ScoringError):
            raise
        except Exception as error:
            raise ScoringError("the model failed on a valid request: see the service's log") from error

    return guarded


@dataclass(frozen=True)
class Predictor:
    """A loaded package; immutable, so that threads may share it."""

    contract: Contract
    model: Model
    reader: Reader
    folder: Path | None = None  # of the package; without one nothing is explained

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load the package in ``folder`` after comparing the versions that it needs.

        Raises:
            InitError: the contract, a version or the model does not fit.
        """
        privacy.disable_telemetry()  # here, as every process that scores passes before it loads a library
        try:
            contract = Contract.from_json((folder / FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise InitError(f"{folder}: no readable contract: {error}") from error
        _check_versions(contract)
        reader = Reader(contract)
        return cls(contract, _load_model(folder, contract, reader), reader, folder)

    @cached_property
    def probable(self) -> bool:
        """Whether the model gives probabilities."""
        return self.contract.classes is not None and self.model.classes is not None

    @property
    def compiled(self) -> bool:
        """Whether the compiled model answers, and not the pickle."""
        return isinstance(self.model, CompiledModel)

    @cached_property
    def explanation(self) -> ExplanationRecord:
        """How answers are explained."""
        return ExplanationRecord() if self.folder is None else ExplanationRecord.read(self.folder)

    @cached_property
    def _explainer(self) -> Explainer:
        """What explains them, loaded by the first row that is explained."""
        if self.folder is None:
            raise ValueError(self.explanation.reason)
        return Explainer.load(self.folder, self.model, self.contract, self.reader)

    @_raise_scoring_errors
    def explain(self, columns: Columns) -> Explanation:
        """Explain the answers to checked columns.

        Raises:
            ScoringError: the package has no explanations, its file is damaged, or the model failed or gave NaN or infinity.
        """
        explained = self._explainer.explain(columns)
        _check_finite(explained.values)
        return explained

    @_raise_scoring_errors
    def parse(self, body: bytes | str | dict[str, Any]) -> Request:
        """Return the checked columns of a body.

        Raises:
            BadRequest: the body does not keep the contract.
        """
        return self.reader.read(body)

    @_raise_scoring_errors
    def predict(self, columns: Columns, *, labels: bool = True) -> Prediction:
        """Predict checked columns; without ``labels`` they are left out where there are probabilities.

        Raises:
            ScoringError: the model failed, or gave NaN, infinity or an unknown class.
        """
        labels = labels or not self.probable
        if not len(next(iter(columns.values()), ())):  # scikit-learn refuses to predict no rows
            return Prediction([], self._zeros(0) if self.probable else None)
        threshold = self.contract.threshold
        codes, probabilities = self.model.predict(columns, labels=labels and threshold is None)
        probabilities = self._all_classes(probabilities) if self.probable else None
        if labels and threshold is not None:
            codes = decide(probabilities, threshold)
        return Prediction(self._decode(codes) if labels else [], probabilities)

    @_raise_scoring_errors
    def respond(self, request: Request, prediction: Prediction) -> ScoreResult:
        """Return the payload in the request's form, and headers that name columns unlike training's."""
        payload: Any = (
            response.article(*prediction)
            if request.form == "input"
            else response.plain(*prediction, self.contract.classes)
        )
        return ScoreResult(payload, response.flag_headers(self.reader.flags(request.columns)))

    def respond_http(self, request: Request, prediction: Prediction) -> HttpReply:
        """Return the HTTP response of a request that was scored."""
        payload, headers = self.respond(request, prediction)
        return HttpReply(200, response.encode(payload), {"Content-Type": "application/json"} | headers)

    def score(self, body: bytes | str | dict[str, Any]) -> ScoreResult:
        """Parse, predict and respond.

        Raises:
            BadRequest: the body does not keep the contract.
            ScoringError: the model failed.
        """
        request = self.parse(body)
        return self.respond(request, self.predict(request.columns, labels=request.labels))

    def answer(self, body: bytes | str) -> HttpReply:
        """Return the HTTP response to a body; errors become problem documents."""
        try:
            request = self.parse(body)
            return self.respond_http(request, self.predict(request.columns, labels=request.labels))
        except (BadRequest, ScoringError) as error:
            log_failure(error)
            return HttpReply(error.status, json.dumps(error.document()).encode(), {"Content-Type": PROBLEM})

    def _decode(self, predicted: Any) -> list[Any]:
        """Return the labels of class codes, or the numbers of a regression."""
        codes: list[Any] = _check_finite(predicted).tolist()
        if self.contract.classes is None:
            return codes
        labels = dict(enumerate(self.contract.classes))  # a list would take -1 for its last label
        return [labels[code] for code in codes]

    def _all_classes(self, probabilities: Any) -> Any:
        """Add a column of zeros for each class that no training row had."""
        if probabilities.shape[1] == len(self.contract.classes or ()):
            return _check_finite(probabilities)
        filled = self._zeros(len(probabilities))
        filled[:, list(self.model.classes or ())] = _check_finite(probabilities)
        return filled

    def _zeros(self, rows: int) -> Any:
        import numpy as np

        return np.zeros((rows, len(self.contract.classes or ())))


def log_failure(error: Exception) -> None:
    """Log the cause of a ScoringError; a refused request is the client's fault and leaves no traceback."""
    if isinstance(error, ScoringError):
        logger.error("scoring failed", exc_info=error.__cause__)


def _check_versions(contract: Contract) -> None:
    """Refuse other libraries before unpickling: a model of another version may load and score without any error."""
    wrong = []
    for name, wanted in contract.versions.items():
        try:
            running = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            running = "none"
        same = running == wanted if name == "scikit-learn" else running.split(".")[0] == wanted.split(".")[0]
        if not same:
            wrong.append(f"{name} {wanted} (here: {running})")
    if wrong:
        remedy = "install the package's requirements.txt, or train again here"
        raise InitError(f"the model was trained with {', '.join(wrong)}: {remedy}")


def _load_model(folder: Path, contract: Contract, reader: Reader) -> Model:
    """Return the package's compiled model if it passed its equivalence check, else its pickled pipeline."""
    compilation = Compilation.read(folder)
    file = folder / (GRAPH if compilation.used else PICKLE)
    try:
        if compilation.used:
            return CompiledModel.load(folder, contract, compilation)
        return PickledModel.load(folder, reader)
    except OwnCodeError as error:
        raise InitError(str(error)) from error
    except Exception as error:
        what = f"needs module {error.name!r}" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        raise InitError(f"{file} {what}: install the package's requirements.txt, or build it again") from error


def _check_finite(values: Any) -> Any:
    """Return the array itself.

    Raises:
        ValueError: it holds NaN or infinity, which JSON does not have.
    """
    import numpy as np

    finite = all(map(isfinite, values.ravel().tolist())) if values.size <= SMALL_ARRAY else np.isfinite(values).all()
    if not finite:
        raise ValueError("the model's output holds NaN or infinity")
    return values
