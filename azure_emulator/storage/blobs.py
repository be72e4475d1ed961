"""Blob storage: block blobs, written and read by signed address; kept as files in the folder ``blobs``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import uuid
from email.utils import formatdate
from pathlib import Path
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from azure_emulator.common.responses import get_emulator


def blob_file(folder: Path, path: str) -> Path:
    """Return the file of the blob ``origin/container/path``."""
    home = folder / "blobs"
    file = Path(os.path.normpath(home / path))
    if not file.is_relative_to(home) or file == home:
        raise ValueError(f"{path!r} leaves the blob folder")
    return file


async def _blob(request: Request) -> Response:
    path = request.path_params["path"]
    emulator = get_emulator(request)
    signature = request.query_params.get("sig", "")
    valid = (emulator.tokens.blob_signature(path), emulator.tokens.container_signature("azureml"))
    if not any(hmac.compare_digest(signature.encode(), other.encode()) for other in valid):
        return error_response(403, "AuthenticationFailed")
    try:
        file = blob_file(emulator.folder, path)
    except ValueError:
        return error_response(400, "InvalidUri")
    if request.method == "PUT":
        return await put_blob(request, file)
    if not _exists(file):
        return error_response(404, "BlobNotFound")
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-server-encrypted": "true", "x-ms-version": "2019-02-02"}
    return FileResponse(with_range_header(request, file), headers=headers, media_type="application/octet-stream")


def with_range_header(request: Request, file: Path) -> Path:
    """Return the file, after copying Azure's range header to the standard one, which FileResponse reads."""
    if requested_range := request.headers.get("x-ms-range"):
        request.scope["headers"] = [*request.scope["headers"], (b"range", requested_range.encode())]
    return file


async def put_blob(request: Request, file: Path) -> Response:
    """Store a blob, whole or in blocks."""
    digest: str | None = None
    blocks = file.parent / f".{file.name}.blocks"
    match request.query_params.get("comp"):
        case "block":  # a large file comes in blocks ...
            digest = await _receive(request, blocks / _block_name(request.query_params["blockid"]))
        case "blocklist":  # ... and then the list of them
            _join(blocks, await request.body(), file)
        case _:
            if request.headers.get("if-none-match") == "*" and _exists(file):
                return error_response(409, "BlobAlreadyExists")
            digest = await _receive(request, file)
    sent = request.headers.get("content-md5")
    if digest and sent and sent != digest:
        return error_response(400, "Md5Mismatch")
    headers = {"ETag": f'"0x{uuid.uuid4().hex[:15].upper()}"', "Last-Modified": formatdate(usegmt=True)}
    return Response(status_code=201, headers=headers | ({"Content-MD5": digest} if digest else {}))


def _exists(file: Path) -> bool:
    return file.is_file()


def _join(blocks: Path, listed: bytes, file: Path) -> None:
    partial = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    file.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as whole:  # an empty file is a list without a block
        for element in ET.fromstring(listed):  # noqa: S314  # from a local caller with a signed address
            with (blocks / _block_name(element.text or "")).open("rb") as block:
                shutil.copyfileobj(block, whole)
    partial.replace(file)
    if blocks.exists():
        shutil.rmtree(blocks)


async def _receive(request: Request, file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    digest = hashlib.md5(usedforsecurity=False)  # the protocol's own check
    try:
        with partial.open("wb") as sink:
            async for chunk in request.stream():
                digest.update(chunk)
                sink.write(chunk)
        encoded = base64.b64encode(digest.digest()).decode()
        if request.headers.get("content-md5") in {None, encoded}:
            partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return encoded


def _block_name(block_id: str) -> str:
    return hashlib.sha256(block_id.encode()).hexdigest()


def error_response(status: int, code: str) -> Response:
    """Return an error as blob storage sends it."""
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Response(body, status, {"x-ms-error-code": code}, media_type="application/xml")


routes = [Route("/azureml/{path:path}", _blob, methods=["GET", "PUT"])]
