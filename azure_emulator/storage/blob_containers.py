"""Blob containers as the second SDK uses them: one signature opens a whole container; its blobs carry metadata."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from azure_emulator.common.responses import world
from azure_emulator.storage.blobs import put, ranged, refused

ARTIFACTS = "azureml"  # the first SDK's container: its blobs lie where ``blobs`` put them


def container_folder(folder: Path, container: str) -> Path:
    """Where the blobs of a container are kept."""
    return folder / "blobs" if container == ARTIFACTS else folder / "containers" / container


def contents(folder: Path, container: str, prefix: str) -> dict[str, Path]:
    """Path in the container -> file, of every blob whose path begins with ``prefix``."""
    home = container_folder(folder, container)
    files = (file for file in sorted(home.rglob("*")) if file.is_file() and not file.name.startswith("."))
    named = ((file.relative_to(home).as_posix(), file) for file in files)
    return {path: file for path, file in named if path.startswith(prefix)}


def _allowed(request: Request) -> bool:
    wanted = world(request).tokens.container_signature(request.path_params["container"])
    return hmac.compare_digest(request.query_params.get("sig", "").encode(), wanted.encode())


async def _container(request: Request) -> Response:
    if not _allowed(request):
        return refused(403, "AuthenticationFailed")
    if request.query_params.get("comp") != "list":
        return refused(400, "UnsupportedHttpVerb")
    here, container = world(request), request.path_params["container"]
    prefix = request.query_params.get("prefix", "")
    root = ET.Element("EnumerationResults", ContainerName=container)
    ET.SubElement(root, "Prefix").text = prefix
    root.append(_listing(contents(here.folder, container, prefix)))
    ET.SubElement(root, "NextMarker")
    return Response(ET.tostring(root, encoding="utf-8", xml_declaration=True), media_type="application/xml")


def _listing(found: dict[str, Path]) -> ET.Element:
    blobs = ET.Element("Blobs")
    for path, file in found.items():
        blob = ET.SubElement(blobs, "Blob")
        ET.SubElement(blob, "Name").text = path
        properties = ET.SubElement(blob, "Properties")
        for name, value in _properties(file).items():
            ET.SubElement(properties, name).text = value
        ET.SubElement(blob, "Metadata")
    return blobs


def _properties(file: Path) -> dict[str, str]:
    known = file.stat()
    return {
        "Content-Length": str(known.st_size),
        "Last-Modified": formatdate(known.st_mtime, usegmt=True),
        "Etag": f'"0x{known.st_mtime_ns:X}"',
        "BlobType": "BlockBlob",
    }


async def _blob(request: Request) -> Response:
    if not _allowed(request):
        return refused(403, "AuthenticationFailed")
    here, container = world(request), request.path_params["container"]
    path = unquote(request.path_params["path"])
    file = _file(container_folder(here.folder, container), path)
    if file is None:
        return refused(400, "InvalidUri")
    match request.method, request.query_params.get("comp"):
        case "PUT", "metadata":
            here.store.put("metadata", f"{container}/{path}", dict(_metadata(request)))
            return _read(request, file, {})
        case "PUT", _:
            return await put(request, file)
        case _:
            return _read(request, file, here.store.get("metadata", f"{container}/{path}") or {})


def _file(home: Path, path: str) -> Path | None:
    file = Path(os.path.normpath(home / path))
    return file if file.is_relative_to(home) and file != home else None


def _read(request: Request, file: Path, metadata: dict[str, str]) -> Response:
    if not file.is_file():
        return refused(404, "BlobNotFound")
    headers = {**_properties(file), "x-ms-blob-type": "BlockBlob", "x-ms-server-encrypted": "true", **metadata}
    if request.method == "PUT":
        return Response(headers={name: headers[name] for name in ("Etag", "Last-Modified")})
    if request.method == "HEAD":
        return Response(headers=headers)
    if request.headers.get("x-ms-range") and not file.stat().st_size:
        return refused(416, "InvalidRange")  # the client asks again, without
    return FileResponse(ranged(request, file), headers=headers, media_type="application/octet-stream")


def _metadata(request: Request) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in request.headers.items() if name.startswith("x-ms-meta-"))


routes = [
    Route("/{container}", _container, methods=["GET"]),
    Route("/{container}/{path:path}", _blob, methods=["GET", "HEAD", "PUT"]),
]
