"""V2's extension for binary tensors: the bytes of numpy arrays after the JSON, in its order."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from score.contract.columns import Values

HEADER = "Inference-Header-Content-Length"  # the length of the JSON
NAME = "binary_tensor_data"
SIZE = "binary_data_size"
_NUMPY = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"} | {
    f"{sign}INT{bits}": f"<{'u' if sign else 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)
}


def split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """Split a body into JSON and tensors; ``length`` is the header's value, None without it."""
    if length is None:
        return body, b""
    if not (length.isascii() and length.isdigit()) or len(length) > 20 or int(length) > len(body):
        raise ValueError(f"{HEADER} does not fit a body of {len(body)} bytes")
    return body[: int(length)], body[int(length) :]


def unpack(tensors: list[dict[str, Any]], rest: bytes) -> list[dict[str, Any]]:
    """Return the tensors with their data as lists, or numbers as arrays.

    Raises:
        ValueError: sizes, datatypes and bytes do not fit each other.
    """
    found, start = [], 0
    for tensor in tensors:
        parameters = tensor.get("parameters")
        size = parameters.get(SIZE) if isinstance(parameters, dict) else None
        if size is None:
            found.append(tensor)
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - start:
            raise ValueError(f"{SIZE} does not fit {len(rest)} bytes of tensors")
        found.append(tensor | {"data": decode(tensor.get("datatype"), rest[start : start + size])})
        start += size
    if start < len(rest):
        raise ValueError(f"there are {len(rest) - start} bytes more than the tensors need")
    return found


def pack(tensor: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return a tensor's entry in the JSON, and its bytes."""
    data = encode(tensor["datatype"], tensor["data"])
    entry = {key: value for key, value in tensor.items() if key != "data"}
    return entry | {"parameters": {SIZE: len(data)}}, data


def decode(datatype: Any, data: bytes) -> Values:
    """Return the values in a tensor's bytes; raises ValueError if they are not of this type."""
    import numpy as np

    if datatype != "BYTES":
        if not isinstance(datatype, str) or datatype not in _NUMPY:
            raise ValueError("a tensor's 'datatype' is none of the protocol's")
        values = np.frombuffer(data, _NUMPY[datatype])  # ValueError: not a whole count of values
        return values.tolist() if datatype == "BOOL" else values
    texts, start = [], 0
    while start < len(data):
        if len(data) - start < 4:
            raise ValueError("a text's length is cut off")
        (length,) = struct.unpack_from("<I", data, start)
        start += 4 + length
        if start > len(data):
            raise ValueError("a text is cut off")
        texts.append(data[start - length : start].decode())  # UnicodeDecodeError is a ValueError
    return texts


def encode(datatype: str, values: Sequence[Any]) -> bytes:
    """Return the bytes of a tensor's values."""
    import numpy as np

    if datatype != "BYTES":
        return np.asarray(values, _NUMPY[datatype]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
