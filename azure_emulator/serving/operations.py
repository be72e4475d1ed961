"""Long-running operations of model management: their state, and the build log that they stream."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState, get_emulator, json_response, management_error
from azure_emulator.common.store import Document, Store, now
from azure_emulator.storage.blobs import blob_file

_LINE = re.compile(r"(\d{14}) (.*)")


def begin(store: Store, service: str, step: str, state: str = "Running") -> Document:
    """Start an operation on ``service``; ``step`` is Azure's sub-operation."""
    operation_id = str(uuid.uuid4())
    operation = {
        "id": operation_id,
        "operationType": "Service",
        "state": state,
        "createdTime": now(),
        "endTime": None,
        "error": None,
        "resourceLocation": f"{addresses.WORKSPACE_PATH}/services/{service}",
        "operationDetails": {"operationId": operation_id, "subOperationType": step, "subOperationState": state},
    }
    return store.put("operation", operation_id, operation)


def step(store: Store, operation: Document, name: str) -> None:
    """Move on to the sub-operation ``name``."""
    operation["operationDetails"]["subOperationType"] = name
    store.put("operation", operation["id"], operation)


def finish(store: Store, operation: Document, error: Document | None = None) -> None:
    """End an operation: Succeeded, or Failed with ``error``."""
    state = "Failed" if error else "Succeeded"
    operation |= {"state": state, "error": error, "endTime": now()}
    operation["operationDetails"]["subOperationState"] = state
    store.put("operation", operation["id"], operation)


def accepted(operation: Document, body: Document | None = None) -> Response:
    """Return 202 and the address of the operation, of which the SDK uses the last part only."""
    location = f"/modelmanagement/v1.0{addresses.WORKSPACE_PATH}/operations/{operation['id']}"
    return json_response(body or {}, 202, {"Operation-Location": f"https://{addresses.SERVICES_HOST}{location}"})


class BuildLog:
    """The log of an image build: a growing blob of timestamped lines."""

    def __init__(self, folder: Path, operation_id: str) -> None:
        self.path = f"ImageLogs/{operation_id}/build.log"
        self._file = blob_file(folder, self.path)

    def write_line(self, line: str) -> None:
        """Append a line."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(timezone.utc):%Y%m%d%H%M%S} {line}\n")

    def stream(self, offset: int) -> str:
        """Return the log from ``offset`` on in the SDK's format ``yyyymmddHHMMSS|text#``; the text must contain neither sign."""
        if not self._file.exists():
            return ""
        lines = filter(None, map(_LINE.fullmatch, self._file.read_text(encoding="utf-8").splitlines()))
        return "".join(f"{line[1]}|{line[2].translate(_NO_SEPARATORS)}#" for line in lines)[offset:]


_NO_SEPARATORS = str.maketrans("|#", "/ ")


async def _get(request: Request) -> Response:
    emulator: EmulatorState = get_emulator(request)
    operation = emulator.store.get("operation", request.path_params["operation"])
    if operation is None:
        return management_error(404, "NotFound", f"Operation {request.path_params['operation']} was not found")
    log = BuildLog(emulator.folder, operation["id"])
    operation["operationLog"] = emulator.tokens.blob_address(log.path)
    operation["streamingOperationLog"] = log.stream(int(request.query_params.get("offset") or 0))
    return json_response(operation)


routes = [Route("/modelmanagement/v1.0/operations/{operation}", _get)]
