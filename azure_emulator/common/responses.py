"""The emulator's state as each service gets it, and the JSON shapes of Azure's responses."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from azure_emulator.common import addresses
from azure_emulator.common.errors import failure
from azure_emulator.common.faults import Faults
from azure_emulator.common.store import Store
from azure_emulator.common.tokens import Tokens

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class EmulatorState:
    """What the services of one emulator share."""

    folder: Path
    images: Path
    store: Store
    faults: Faults
    tokens: Tokens
    deployments: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # running deployments, by service
    building: asyncio.Lock = field(default_factory=asyncio.Lock)  # services of one definition share an image


def get_emulator(request: Request) -> EmulatorState:
    """Return the state of the emulator that serves this request."""
    emulator: EmulatorState = request.app.state.emulator
    return emulator


def get_store(request: Request) -> Store:
    """Return the store of the emulator that serves this request."""
    return get_emulator(request).store


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return JSONResponse(document, status, headers)


def service_error(status: int, code: str, message: str) -> Response:
    """Return an error as run history, artifacts, metrics, environments and Azure Resource Manager send it."""
    error = {"code": code, "message": message, "details": []}
    return json_response({"error": error, "correlation": _correlation(), "environment": addresses.LOCATION}, status)


def management_error(status: int, code: str, message: str, *details: Mapping[str, str]) -> Response:
    """Return an error as model management sends it."""
    return failure_response(failure(status, code, message, *details))


def failure_response(document: Mapping[str, Any]) -> Response:
    """Return a failure document as the response to a call."""
    return json_response({**document, "correlation": _correlation()}, document["statusCode"])


def _correlation() -> dict[str, str]:
    return {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]}
