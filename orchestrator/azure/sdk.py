"""Talking to Azure's SDK: its chatter stays off the console, and what it raises becomes one line."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import logging
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

from orchestrator.diagnostics import Evidence, diagnose
from orchestrator.errors import OrchestratorError
from orchestrator.redaction import redact

INSTALL = "needs the Azure ML SDK; install it with: pip install -e '.[{extra}]'"
EXTRAS = {"azureml": "azure", "azure": "managed"}  # where the modules of SDK v1 and of azure-ai-ml come from
MANAGED = ("azure", "azure.ai", "azure.ai.ml", "azure.identity")
FOREIGN = {"azureml", "azure", "requests", "urllib3", "msrest", "msal", "adal", "mlflow"}


@contextlib.contextmanager
def translate_sdk_errors(
    error: type[OrchestratorError], at: str, take: Callable[[str], Any] = lambda _: None
) -> Iterator[None]:
    """Call the SDK in here: what it prints goes to ``take``, what it raises becomes ``error`` with ``at`` before it."""
    try:
        with _aside(take):
            yield
    except OrchestratorError:
        raise
    except ImportError as raised:
        if extra := EXTRAS.get((raised.name or "").partition(".")[0]):
            raise error(f"{at} {INSTALL.format(extra=extra)}") from raised
        raise
    except Exception as raised:
        if isinstance(raised, OSError) or _is_foreign(raised):
            raise error(f"{at}: {cause(raised)}{remedy(raised)}") from raised
        raise


def check_installed(error: type[OrchestratorError], at: str, *modules: str) -> None:
    """Say at once what is not installed, and not after an hour of training."""
    if missing(*modules):
        raise error(f"{at} {INSTALL.format(extra='managed' if modules else 'azure')}")


def _is_foreign(raised: BaseException) -> bool:
    """Whether it is the SDK's own, or something common that was raised inside of it, such as JSON that is none."""
    if type(raised).__module__.partition(".")[0] in FOREIGN:
        return True
    frames = traceback.walk_tb(raised.__traceback__)
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] in FOREIGN for frame, _ in frames)


def missing(*modules: str) -> bool:
    """Whether the azure extra is not installed; or one of these modules, the packages above them named first."""
    return any(importlib.util.find_spec(name) is None for name in modules or ("azureml", "azureml.core"))


def cause(raised: BaseException) -> str:
    """What the SDK's error says in one line: the service's own code and words where there are some, and no secret."""
    return redact(_said(raised))


def _said(raised: BaseException) -> str:
    text = str(getattr(raised, "message", None) or raised)
    document = _document(text)
    if document is None and (known := getattr(raised, "error", None)) is not None:  # azure-core has read the body
        text = f"{known.code}: {known.message}" if getattr(known, "code", None) else text
    if document is None:
        return " ".join(text.split())[:1000] or type(raised).__name__
    told = [
        f"{one.get('code', 'error')}: {one.get('message', '')}" for one in (document, *(document.get("details") or []))
    ]
    return " ".join(" | ".join(told).split())


def remedy(raised: BaseException) -> str:
    """What the doctor would do about an answer of Azure, to follow its text; nothing if it does not know."""
    text = str(getattr(raised, "message", None) or raised)
    status = re.search(r"Response Code: (\d{3})", text)
    found = diagnose(Evidence("aci", error=text, http_status=int(status[1]) if status else None))
    return f"; {found.remedy}" if found.kind in {"auth_permission", "throttled_or_server"} else ""


def _document(text: str) -> dict[str, Any] | None:
    """The JSON that the SDK put into its text, of which nothing follows; an answer's body is written as Python bytes."""
    if body := re.search(r"""b(['"]).*\1\s*$""", text, re.DOTALL):
        with contextlib.suppress(ValueError, SyntaxError):
            text = ast.literal_eval(body[0].strip()).decode(errors="replace")
    for start in re.finditer(r"\{", text):
        piece = text[start.start() :]
        with contextlib.suppress(ValueError):
            found = json.loads(piece)
            inner = found.get("error", found) if isinstance(found, dict) else None
            return inner if isinstance(inner, dict) and "message" in inner else None
    return None


class _Aside:
    """A stream that hands what one thread writes to ``take``; every other thread, such as a live line's, goes on.

    azure-ai-ml waits for Azure in threads of its own, which print dots: those are nobody's.
    """

    def __init__(self, stream: Any, take: Callable[[str], Any]) -> None:
        self._stream, self._take, self._thread = stream, take, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("LROPoller"):
            return len(text)
        if threading.get_ident() != self._thread:
            return int(self._stream.write(text))
        self._take(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _aside(take: Callable[[str], Any]) -> Iterator[None]:
    out, err = (cast("Any", _Aside(stream, take)) for stream in (sys.stdout, sys.stderr))
    names = ("azureml", "azure", "msrest", "urllib3", "msal", "mlflow", "cli")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters, it raises too
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
