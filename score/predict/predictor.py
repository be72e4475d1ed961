"""A loaded package and what it answers: versions checked, model loaded, requests in, payloads out."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property, wraps
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from score import privacy
from score.contract.schema import FILE, Contract
from score.models.base import FILE as PICKLE
from score.models.base import Columns, Model, PickledModel
from score.models.onnx import GRAPH, Compilation, CompiledModel
from score.payload.errors import PROBLEM, BadRequest, problem_document
from score.payload.reader import Flags, Form, Reader
from score.predict import response
from score.predict.batching import Predict, alone, at_once
from score.predict.request_context import seen

logger = logging.getLogger(__name__)
T = TypeVar("T")
FEW = 16  # numbers


class InitError(RuntimeError):
    """The package cannot be served here: one line with the remedy."""


class ScoringError(RuntimeError):
    """The pipeline failed on a valid request: our mistake, so status 500; the log has the cause."""

    status = 500

    def document(self) -> dict[str, Any]:
        """The reply's body, as RFC 9457 has it."""
        return problem_document(self.status, "Internal Server Error", str(self))


class HttpReply(NamedTuple):
    """What a request gets over HTTP."""

    status: int
    body: bytes
    headers: dict[str, str]


class ScoreResult(NamedTuple):
    """A payload, ready for JSON, and the headers that say more about it."""

    payload: Any
    headers: dict[str, str]


def _our_fault(method: Callable[..., Awaitable[T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Whatever goes wrong is a ScoringError with its cause in the log, unless the request was at fault."""

    @wraps(method)
    async def guarded(*args: Any) -> T:
        try:
            return await method(*args)
        except BadRequest:
            raise
        except Exception as error:
            logger.exception("scoring failed")
            raise ScoringError("the model failed on a valid request: see the service's log") from error

    return guarded


@dataclass(frozen=True)
class Predictor:
    """A loaded package; nothing in it changes, so that threads may share it."""

    contract: Contract
    model: Model
    reader: Reader

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load the package in ``folder``, after a look at the versions it needs.

        Raises:
            InitError: the contract, a version or the model does not fit.
        """
        privacy.disable_telemetry()  # here, since every process that serves or scores passes, and before anything is loaded
        try:
            contract = Contract.from_json((folder / FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise InitError(f"{folder}: no readable contract: {error}") from error
        _check_versions(contract)
        reader = Reader(contract)
        return cls(contract, _model(folder, contract, reader), reader)

    def score(self, body: bytes | str | dict[str, Any]) -> ScoreResult:
        """What answers a body.

        Raises:
            BadRequest: the body does not keep the contract.
            ScoringError: the pipeline failed.
        """
        return at_once(self._scored(body, alone(self.model)))

    def infer(self, given: Columns, labels: bool = True) -> tuple[list[Any], Any, Flags]:
        """See ``inferred``."""
        return at_once(self.inferred(given, labels, alone(self.model)))

    @_our_fault
    async def inferred(self, given: Columns, labels: bool, predict: Predict) -> tuple[list[Any], Any, Flags]:
        """Labels, and probabilities (n_rows, n_classes) where the model has them, for columns of one length.

        Where there are the latter, the former are left out on demand. And what the columns hold that training saw
        nothing like. ``predict`` is the model's. Raises as ``score``.
        """
        columns = self.reader.checked(given)
        seen(columns)
        found = await self._predicted(columns, predict, labels=labels or not self.probable)
        return *found, self.reader.flags(columns)

    @cached_property
    def probable(self) -> bool:
        """Whether the model gives probabilities."""
        return self.contract.classes is not None and self.model.classes is not None

    @property
    def compiled(self) -> bool:
        """Whether the pickle's twin answers."""
        return isinstance(self.model, CompiledModel)

    def reply(self, body: bytes | str | dict[str, Any]) -> Any:
        """The payload alone that answers a body; raises as ``score`` does."""
        return self.score(body).payload

    def answer(self, body: bytes | str) -> HttpReply:
        """The HTTP response to a request; bad input raises nothing."""
        return at_once(self.answered(body, alone(self.model)))

    async def answered(self, body: bytes | str, predict: Predict) -> HttpReply:
        """The same, with a ``predict`` that may have to be waited for."""
        try:
            payload, headers = await self._scored(body, predict)
        except (BadRequest, ScoringError) as error:
            return HttpReply(error.status, json.dumps(error.document()).encode(), {"Content-Type": PROBLEM})
        return HttpReply(200, response.encoded(payload), {"Content-Type": "application/json"} | headers)

    @_our_fault
    async def _scored(self, body: bytes | str | dict[str, Any], predict: Predict) -> ScoreResult:
        form, columns = self.reader.read(body)
        seen(columns)
        return ScoreResult(await self._payload(form, columns, predict), response.flagged(self.reader.flags(columns)))

    async def _payload(self, form: Form, columns: Columns, predict: Predict) -> Any:
        if form == "input":
            return response.article(*await self._predicted(columns, predict, labels=not self.probable))
        return response.plain(*await self._predicted(columns, predict), self.contract.classes)

    async def _predicted(self, columns: Columns, predict: Predict, *, labels: bool = True) -> tuple[list[Any], Any]:
        """A label (or a number in a regression) for each row, none where none are asked for, and the probabilities.

        These are an array (n_rows, n_classes) in the order of the contract's classes, or None.
        """
        if not len(next(iter(columns.values()), ())):  # scikit-learn refuses to predict nothing
            return [], self._spread(0) if self.probable else None
        codes, shares = await predict(columns, labels=labels)
        return self._labels(codes) if labels else [], self._probabilities(shares) if self.probable else None

    def _labels(self, predicted: Any) -> list[Any]:
        codes: list[Any] = _finite(predicted).tolist()
        if self.contract.classes is None:
            return codes
        labels = dict(enumerate(self.contract.classes))  # a list would take -1 for its last label
        return [labels[code] for code in codes]

    def _probabilities(self, given: Any) -> Any:
        if given.shape[1] == len(self.contract.classes or ()):
            return _finite(given)
        every = self._spread(len(given))  # a class that training rows lacked is never predicted
        every[:, list(self.model.classes or ())] = _finite(given)
        return every

    def _spread(self, rows: int) -> Any:
        import numpy as np

        return np.zeros((rows, len(self.contract.classes or ())))


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


def _model(folder: Path, contract: Contract, reader: Reader) -> Model:
    """The package's compiled twin if it was proven, else its pickled pipeline."""
    compilation = Compilation.read(folder)
    file = folder / (GRAPH if compilation.used else PICKLE)
    try:
        if compilation.used:
            return CompiledModel.load(folder, contract, compilation)
        return PickledModel.load(folder, reader)
    except Exception as error:
        what = f"needs module {error.name!r}" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        raise InitError(f"{file} {what}: install the package's requirements.txt, or build it again") from error


def _finite(values: Any) -> Any:
    """The array itself; raises ValueError if it holds NaN or infinity, which JSON does not have."""
    import numpy as np

    # for few numbers a call of numpy's takes longer than to look at each
    fine = all(map(isfinite, values.ravel().tolist())) if values.size <= FEW else np.isfinite(values).all()
    if not fine:
        raise ValueError("the model's output holds NaN or infinity")
    return values
