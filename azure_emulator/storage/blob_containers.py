"""Blob containers as SDK v2 uses them: one signature for a whole container, and blobs with metadata."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from azure_emulator.common.responses import get_emulator
from azure_emulator.storage.blobs import error_response, put_blob, with_range_header

ARTIFACTS = "azureml"  # the container of SDK v1, shared with ``blobs``


def container_folder(folder: Path, container: str) -> Path:
    """Return the folder of a container's blobs."""
    return folder / "blobs" if container == ARTIFACTS else folder / "containers" / container


def contents(folder: Path, container: str, prefix: str) -> dict[str, Path]:
    """Return path -> file of the blobs whose path starts with ``prefix``."""
    home = container_folder(folder, container)
    files = (file for file in sorted(home.rglob("*")) if file.is_file() and not file.name.startswith("."))
    named = ((file.relative_to(home).as_posix(), file) for file in files)
    return {path: file for path, file in named if path.startswith(prefix)}


def _is_authorized(request: Request) -> bool:
    expected = get_emulator(request).tokens.container_signature(request.path_params["container"])
    return hmac.compare_digest(request.query_params.get("sig", "").encode(), expected.encode())


async def _container(request: Request) -> Response:
    if not _is_authorized(request):
        return error_response(403, "AuthenticationFailed")
    query, emulator, container = request.query_params, get_emulator(request), request.path_params["container"]
    if query.get("comp") != "list":  # a container's own signature is for its blobs
        return error_response(403, "AuthorizationPermissionMismatch")
    prefix, marker = query.get("prefix", ""), query.get("marker", "")
    files = _by_folder(contents(emulator.folder, container, prefix), prefix, query.get("delimiter", ""))
    names = [name for name in files if name > marker]
    shown = names[: int(query.get("maxresults", 5000))]
    root = ET.Element("EnumerationResults", ContainerName=container)
    ET.SubElement(root, "Prefix").text = prefix
    root.append(_listing({name: files[name] for name in shown}))
    ET.SubElement(root, "NextMarker").text = shown[-1] if len(shown) < len(names) else None
    return Response(ET.tostring(root, encoding="utf-8", xml_declaration=True), media_type="application/xml")


def _by_folder(files: Mapping[str, Path], prefix: str, delimiter: str) -> dict[str, Path | None]:
    """Return the names with their files, in order; with a delimiter, what lies deeper is one name without a file."""
    shown: dict[str, Path | None] = {}
    for path, file in files.items():
        folder, found, _ = path.removeprefix(prefix).partition(delimiter) if delimiter else ("", "", "")
        shown[f"{prefix}{folder}{found}" if found else path] = None if found else file
    return dict(sorted(shown.items()))


def _listing(files: Mapping[str, Path | None]) -> ET.Element:
    blobs = ET.Element("Blobs")
    for path, file in files.items():
        blob = ET.SubElement(blobs, "BlobPrefix" if file is None else "Blob")
        ET.SubElement(blob, "Name").text = path
        if file is None:
            continue
        properties = ET.SubElement(blob, "Properties")
        for name, value in _properties(file).items():
            ET.SubElement(properties, name).text = value
        ET.SubElement(blob, "Metadata")
    return blobs


def _properties(file: Path) -> dict[str, str]:
    status = file.stat()
    return {
        "Content-Length": str(status.st_size),
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
        "Etag": f'"0x{status.st_mtime_ns:X}"',
        "BlobType": "BlockBlob",
    }


async def _blob(request: Request) -> Response:
    if not _is_authorized(request):
        return error_response(403, "AuthenticationFailed")
    emulator, container = get_emulator(request), request.path_params["container"]
    path = unquote(request.path_params["path"])
    file = _blob_path(container_folder(emulator.folder, container), path)
    if file is None:
        return error_response(400, "InvalidUri")
    match request.method, request.query_params.get("comp"):
        case "PUT", "metadata":
            emulator.store.put("metadata", f"{container}/{path}", dict(_metadata(request)))
            return _blob_response(request, file, {})
        case "PUT", _:
            return await put_blob(request, file)
        case "DELETE", _:
            return _delete(file)
        case _:
            return _blob_response(request, file, emulator.store.get("metadata", f"{container}/{path}") or {})


def _delete(file: Path) -> Response:
    if not file.is_file():
        return error_response(404, "BlobNotFound")
    file.unlink()
    return Response(status_code=202)


def _blob_path(home: Path, path: str) -> Path | None:
    file = Path(os.path.normpath(home / path))
    return file if file.is_relative_to(home) and file != home else None


def _blob_response(request: Request, file: Path, metadata: dict[str, str]) -> Response:
    if not file.is_file():
        return error_response(404, "BlobNotFound")
    headers = {**_properties(file), "x-ms-blob-type": "BlockBlob", "x-ms-server-encrypted": "true", **metadata}
    if request.method == "PUT":
        return Response(headers={name: headers[name] for name in ("Etag", "Last-Modified")})
    if request.method == "HEAD":
        return Response(headers=headers)
    if request.headers.get("x-ms-range") and not file.stat().st_size:
        return error_response(416, "InvalidRange")  # the client retries without a range
    return FileResponse(with_range_header(request, file), headers=headers, media_type="application/octet-stream")


def _metadata(request: Request) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in request.headers.items() if name.startswith("x-ms-meta-"))


routes = [
    Route("/{container}", _container, methods=["GET"]),
    Route("/{container}/{path:path}", _blob, methods=["GET", "HEAD", "PUT", "DELETE"]),
]
