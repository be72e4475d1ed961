"""What every service shares: the state of the stand-in, and the shapes of Azure's answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
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


@dataclass(frozen=True)
class EmulatorState:
    """All that the services stand on."""

    folder: Path
    images: Path
    store: Store
    faults: Faults
    tokens: Tokens
    deployments: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # what is under way, by service
    building: asyncio.Lock = field(default_factory=asyncio.Lock)  # two services of one definition share an image


def world(request: Request) -> EmulatorState:
    """The world of the request."""
    found: EmulatorState = request.app.state.world
    return found


def store(request: Request) -> Store:
    """The store of the request's world."""
    return world(request).store


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON."""
    return JSONResponse(document, status, headers)


def service_error(status: int, code: str, message: str) -> Response:
    """How run history, artifacts, metrics, environments and ARM refuse."""
    error = {"code": code, "message": message, "details": []}
    return answer({"error": error, "correlation": _correlation(), "environment": addresses.LOCATION}, status)


def management_error(status: int, code: str, message: str, *details: Mapping[str, str]) -> Response:
    """How model management refuses."""
    return refusal(failure(status, code, message, *details))


def refusal(document: Mapping[str, Any]) -> Response:
    """A failure document as the answer to a call."""
    return answer({**document, "correlation": _correlation()}, document["statusCode"])


def _correlation() -> dict[str, str]:
    return {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]}
