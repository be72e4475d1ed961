"""The entry script of Azure ML's inference server and of our own: ``init()`` once, then ``run(data)``.

Azure ML executes this file without adding it to ``sys.modules``, where dataclasses look for their module: classes
belong in the other files.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


def _claim_name() -> None:
    """Make ``score`` mean this folder, under whichever name this file is loaded.

    The pickle's classes live in ``score.transforms``. Servers load this file by its path, with the package last on
    ``sys.path`` (another ``score`` may come first) or with this very folder on it (``score`` is then this file).
    """
    if __name__ == "score":
        globals()["__path__"] = [str(_HERE)]  # a module with a path is a package
        return
    spec = None if "score" in sys.modules else find_spec("score")
    places = (spec.submodule_search_locations if spec else getattr(sys.modules.get("score"), "__path__", None)) or []
    # a process that uses another copy of this code keeps it: two copies of one class would not be equal
    if "score.contract.schema" in sys.modules or _HERE in [Path(place).resolve() for place in places]:
        return
    sys.modules.pop("score", None)
    sys.path.insert(0, str(_HERE.parent))


_claim_name()

from score import memory_tuning  # noqa: E402  # only now does the name mean this folder
from score.payload.errors import PROBLEM, BadRequest  # noqa: E402
from score.predict import explaining  # noqa: E402
from score.predict.predictor import InitError, Predictor, ScoringError, log_failure  # noqa: E402

__all__ = ["BadRequest", "InitError", "Predictor", "ScoringError", "init", "loaded", "run"]

_AZURE_SERVER = "azureml_inference_server_http"  # the module of Azure ML's server
_predictor: Predictor | None = None


def init() -> None:
    """Load the package: the one below ``AZUREML_MODEL_DIR`` if that is set, else the folder that holds ``score/``."""
    global _predictor  # noqa: PLW0603  # Azure ML's contract: init and run share a module's state
    _predictor = Predictor.load(_model_folder())
    if _AZURE_SERVER in sys.modules:  # in any other process, such as a notebook, the collector is left as it is
        memory_tuning.freeze_gc()


def run(data: str | bytes | dict[str, Any]) -> Any:
    """Return the payload that answers a request, which Azure ML's server then encodes as JSON.

    With ``explain=true`` in that server's query it explains the answers, too. Under that server a refusal, and a payload with headers, is a response of the server's own type.

    Raises:
        BadRequest, ScoringError: under any other server.
    """
    azure = _AZURE_SERVER in sys.modules
    try:
        explained = azure and explaining.is_wanted(_query())
        payload, headers = explaining.score(loaded(), data) if explained else loaded().score(data)
    except (BadRequest, ScoringError) as error:
        if not azure:
            raise
        log_failure(error)
        # there an exception would become a bare 500; the server's own response type carries the status
        return _response(error.document(), error.status, {"Content-Type": PROBLEM})
    return _response(payload, 200, {"Content-Type": "application/json"} | headers) if azure and headers else payload


def loaded() -> Predictor:
    """Return the package that ``init`` loaded."""
    if _predictor is None:
        raise InitError("no model is loaded: call init() first")
    return _predictor


def _query() -> list[tuple[str, str]]:
    """Return the query's parameters of the request that Azure ML's server, made with Flask, is answering."""
    flask = sys.modules.get("flask")
    return [*flask.request.args.items(multi=True)] if flask is not None and flask.has_request_context() else []


def _response(payload: Any, status: int, headers: dict[str, str]) -> Any:
    """Return a response of Azure ML's server."""
    response = importlib.import_module(f"{_AZURE_SERVER}.api.aml_response").AMLResponse
    return response(json.dumps(payload), status, headers)


def _model_folder() -> Path:
    """Return the package's folder; below ``AZUREML_MODEL_DIR`` it may be at any depth, beside models that are no packages."""
    named = os.environ.get("AZUREML_MODEL_DIR")
    folder = Path(named) if named else _HERE.parent
    found = [path.parent for path in (sorted(folder.rglob("model.pkl")) if named else folder.glob("model.pkl"))]
    packages = [path for path in found if (path / "contract.json").is_file()]
    found = packages if named and packages else found
    if len(found) > 1:
        found = [path for path in found if _is_own(path)] or found
    if len(found) == 1:
        return found[0]
    where = "AZUREML_MODEL_DIR" if named else "the folder above score.py"
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) if folder.is_dir() else "no such folder"
    names = ", ".join(str(path.relative_to(folder)) for path in found)
    many = f"model.pkl in {names}" if found else "no model.pkl"
    raise InitError(f"{where} ({folder}) should hold one package: {many}; there: {there or 'nothing'}")


def _is_own(package: Path) -> bool:
    """Return whether this file belongs to a package, or to a copy of it."""
    own = _HERE.parent / "contract.json"
    return own.is_file() and own.read_bytes() == (package / "contract.json").read_bytes()
