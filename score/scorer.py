"""A loaded package and what it answers: versions checked, model loaded, requests in, payloads out."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from score import replies
from score.body import Reader, Request, read
from score.compiled import GRAPH, Compilation, CompiledModel
from score.contract import FILE, Contract
from score.models import FILE as PICKLE
from score.models import Columns, Model, PickledModel
from score.notes import seen
from score.problems import PROBLEM, BadRequest, problem_document

logger = logging.getLogger(__name__)


class InitError(RuntimeError):
    """The package cannot be served here: one line with the remedy."""


class ScoringError(RuntimeError):
    """The pipeline failed on a valid request: our mistake, so status 500; the log has the cause."""

    status = 500

    def document(self) -> dict[str, Any]:
        """The reply's body, as RFC 9457 has it."""
        return problem_document(self.status, "Internal Server Error", str(self))


class Answer(NamedTuple):
    """What a request gets over HTTP."""

    status: int
    body: bytes
    headers: dict[str, str]


class Scored(NamedTuple):
    """A payload, ready for JSON, and the headers that say more about it."""

    payload: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Scorer:
    """A loaded package; nothing in it changes, so that threads may share it."""

    contract: Contract
    model: Model
    reader: Reader

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Load the package in ``folder``, after a look at the versions it needs.

        Raises:
            InitError: the contract, a version or the model does not fit.
        """
        try:
            contract = Contract.from_json((folder / FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise InitError(f"{folder}: no readable contract: {error}") from error
        _check_versions(contract)
        reader = Reader(contract)
        return cls(contract, _model(folder, contract, reader), reader)

    def score(self, body: bytes | str | dict[str, Any]) -> Scored:
        """What answers a body.

        Raises:
            BadRequest: the body does not keep the contract.
            ScoringError: the pipeline failed.
        """
        with _our_fault():
            request = read(body)
            columns = self.reader.columns(request)
            seen(columns)
            return Scored(self._payload(request, columns), self._headers(columns))

    def infer(self, given: Mapping[str, list[Any]]) -> tuple[list[Any], list[list[float]] | None, dict[str, str]]:
        """Labels, probabilities where the model has them, and headers, for columns of one length; raises as ``score``."""
        with _our_fault():
            columns = self.reader.checked(given)
            seen(columns)
            return *self._predicted(columns), self._headers(columns)

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

    def answer(self, body: bytes | str) -> Answer:
        """The HTTP response to a request; bad input raises nothing."""
        try:
            payload, headers = self.score(body)
        except (BadRequest, ScoringError) as error:
            return Answer(error.status, json.dumps(error.document()).encode(), {"Content-Type": PROBLEM})
        return Answer(200, replies.encoded(payload), {"Content-Type": "application/json"} | headers)

    def _headers(self, columns: Columns) -> dict[str, str]:
        return replies.out_of_range(self.reader.outside(columns))

    def _payload(self, request: Request, columns: Columns) -> Any:
        if request.form == "input":
            return replies.article(*self._predicted(columns, labels=not self.probable))
        return replies.plain(*self._predicted(columns), self.contract.classes)

    def _predicted(self, columns: Columns, *, labels: bool = True) -> tuple[list[Any], list[list[float]] | None]:
        """A label (or a number in a regression) and probabilities for each row; no labels where none are asked for."""
        if not any(columns.values()):  # scikit-learn refuses to predict nothing
            return [], [] if self.probable else None
        codes, shares = self.model.predict(columns, labels=labels)
        return self._labels(codes) if labels else [], self._probabilities(shares) if self.probable else None

    def _labels(self, predicted: Any) -> list[Any]:
        """A label for each row, or a number in a regression."""
        codes = _finite(predicted)
        if self.contract.classes is None:
            return codes
        labels = dict(enumerate(self.contract.classes))  # a list would take -1 for its last label
        return [labels[code] for code in codes]

    def _probabilities(self, given: Any) -> list[list[float]]:
        """A probability for each row and class (n_rows, n_classes), in the order of the contract's classes."""
        import numpy as np

        classes = self.contract.classes or ()
        if given.shape[1] == len(classes):
            return _finite(given)
        every = np.zeros((len(given), len(classes)))  # a class that training rows lacked is never predicted
        every[:, list(self.model.classes or ())] = given
        return _finite(every)


@contextmanager
def _our_fault() -> Iterator[None]:
    """Whatever goes wrong is a ScoringError with its cause in the log, unless the request was at fault."""
    try:
        yield
    except BadRequest:
        raise
    except Exception as error:
        logger.exception("scoring failed")
        raise ScoringError("the model failed on a valid request: see the service's log") from error


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


def _finite(values: Any) -> list[Any]:
    """An array as lists; raises ValueError for NaN and infinity, which JSON does not have."""
    import numpy as np

    if not np.isfinite(values).all():
        raise ValueError("the model's output holds NaN or infinity")
    found: list[Any] = np.asarray(values).tolist()
    return found
