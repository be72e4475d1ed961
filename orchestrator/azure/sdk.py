"""Call Azure's SDKs: capture what they print, and turn what they raise into errors of one line."""

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
from orchestrator.errors import OrchestratorError, one_line
from orchestrator.redaction import redact

INSTALL = "needs the Azure ML SDK; install it with: pip install -e '.[{extra}]'"
EXTRAS = {"azureml": "azure", "azure": "managed"}  # where the modules of SDK v1 and of azure-ai-ml come from
MANAGED = ("azure", "azure.ai", "azure.ai.ml", "azure.identity")
FOREIGN = {"azureml", "azure", "requests", "urllib3", "msrest", "msal", "adal", "mlflow"}


@contextlib.contextmanager
def translate_sdk_errors(
    error: type[OrchestratorError], at: str, take: Callable[[str], Any] = lambda _: None
) -> Iterator[None]:
    """Run the block with the SDK's output sent to ``take`` and its exceptions raised as ``error``, prefixed with ``at``."""
    try:
        with _captured(take):
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
    """Raise ``error`` now, and not after the training, if the SDK is not installed."""
    if missing(*modules):
        raise error(f"{at} {INSTALL.format(extra='managed' if modules else 'azure')}")


def _is_foreign(raised: BaseException) -> bool:
    """Return whether the SDK raised it: its own type, or a common one from inside it, such as for invalid JSON."""
    if type(raised).__module__.partition(".")[0] in FOREIGN:
        return True
    frames = traceback.walk_tb(raised.__traceback__)
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] in FOREIGN for frame, _ in frames)


def missing(*modules: str) -> bool:
    """Return whether the azure extra, or one of these modules, is not installed; parent packages come first."""
    return any(importlib.util.find_spec(name) is None for name in modules or ("azureml", "azureml.core"))


def cause(raised: BaseException) -> str:
    """Return the SDK's error as one redacted line: the service's error code and message where it sent any."""
    return redact(_message(raised))


def _message(raised: BaseException) -> str:
    text = str(getattr(raised, "message", None) or raised)
    document = _document(text)
    if document is None and (known := getattr(raised, "error", None)) is not None:  # azure-core has read the body
        text = f"{known.code}: {known.message}" if getattr(known, "code", None) else text
    if document is None:
        return one_line(text)[:1000] if text.split() else type(raised).__name__
    messages = [
        f"{one.get('code', 'error')}: {one.get('message', '')}" for one in (document, *(document.get("details") or []))
    ]
    return one_line(" | ".join(messages))


def remedy(raised: BaseException) -> str:
    """Return the diagnosis' remedy for an answer of Azure, to be appended to it; empty if there is none."""
    text = str(getattr(raised, "message", None) or raised)
    status = re.search(r"Response Code: (\d{3})", text)
    found = diagnose(Evidence("aci", error=text, http_status=int(status[1]) if status else None))
    return f"; {found.remedy}" if found.kind in {"auth_permission", "throttled_or_server"} else ""


def _document(text: str) -> dict[str, Any] | None:
    """Return the error document at the end of the SDK's text, which may hold an answer's body as Python bytes."""
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


class _ThreadStream:
    """A stream that sends what one thread writes to ``take``; other threads, such as a live line's, write as before.

    The dots that azure-ai-ml prints while it polls, in threads of its own, are dropped.
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
def _captured(take: Callable[[str], Any]) -> Iterator[None]:
    out, err = (cast("Any", _ThreadStream(stream, take)) for stream in (sys.stdout, sys.stderr))
    names = ("azureml", "azure", "msrest", "urllib3", "msal", "mlflow", "cli")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is raised as well
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
