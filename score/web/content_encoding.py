"""Content-Encoding and charset: decompresses a body and checks its character set, as its headers declare."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException

CODINGS = "gzip, deflate"
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_CHARSET = re.compile(rb';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)
_GZIP, _ZLIB, _RAW = (
    31,
    15,
    -15,
)  # zlib's window bits for the three formats; some senders of "deflate" omit zlib's header
PIECE = 2**14  # bytes at a time, since the rest of a piece is copied for each member
MEMBERS = 4096  # of a gzip file: empty ones take time without adding length
_PLAIN = (None, b"application/json")


@dataclass(frozen=True)
class ContentEncoding:
    """A body that is not plain UTF-8 by its headers. ``coding`` is one of gzip and deflate, or None."""

    coding: str | None
    charset: str | None

    def read(self, body: bytes, limit: int) -> bytes | None:
        """Decompress the body and check that it is UTF-8; None if it is longer than ``limit``.

        Raises:
            HTTPException: 400 if it cannot be decompressed, 415 if it is in another character set.
        """
        plain = _decompressed(body, self.coding, limit) if self.coding else body
        if plain is None or self.charset is None or (plain.isascii() and b"\0" not in plain):
            return plain  # ASCII is the same in all common character sets
        raise HTTPException(
            415,
            f"the header Content-Type declares charset={self.charset}, and the body has bytes that are no ASCII: "
            "send JSON in UTF-8, without a charset or with charset=utf-8",
        )


def declared(headers: Mapping[bytes, bytes]) -> ContentEncoding | None:
    """Return what the headers declare; None for plain UTF-8.

    Raises:
        HTTPException: 415 if the compression is not supported.
    """
    coding, kind = headers.get(b"content-encoding"), headers.get(b"content-type")
    charset = None if kind in _PLAIN else _charset(kind or b"")
    if coding is None:
        return ContentEncoding(None, charset) if charset else None
    names = [name.strip().lower() for name in coding.decode("latin-1").split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if not codings:
        return ContentEncoding(None, charset) if charset else None
    if len(codings) > 1 or codings[0] not in _CODINGS:
        raise HTTPException(
            415,
            f"the header Content-Encoding names {', '.join(codings)[:100]!r}: send the body as it is, or in one of {CODINGS}",
            {"Accept-Encoding": CODINGS},
        )
    return ContentEncoding(_CODINGS[codings[0]], charset)


def _charset(kind: bytes) -> str | None:
    """Return the declared character set if it is neither UTF-8 nor a subset of it."""
    found = _CHARSET.search(kind)
    if found is None or found[1].lower() in (b"", b"utf-8", b"utf8"):
        return None
    name = found[1].decode("latin-1")[:100]
    try:
        return None if codecs.lookup(name).name in ("utf-8", "ascii") else name
    except LookupError:
        return name


def _decompressed(body: bytes, coding: str, limit: int) -> bytes | None:
    """Return the decompressed body; None if it is longer than ``limit``."""
    if coding == "gzip":
        wbits = _GZIP
    else:
        wbits = _ZLIB if len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0 else _RAW
    pieces: list[bytes] = []
    left, at = limit + 1, 0
    for _ in range(MEMBERS if coding == "gzip" else 1):  # a gzip file may have several members
        reader = zlib.decompressobj(wbits)
        while not reader.eof:
            if at == len(body):
                raise HTTPException(
                    400, f"the body ends before the {coding} in it does, which Content-Encoding declares"
                )
            try:
                pieces.append(reader.decompress(body[at : at + PIECE], left))
            except zlib.error as error:
                detail = f"the body is no {coding}, which the header Content-Encoding declares: {error}"
                raise HTTPException(400, detail) from None
            at = min(at + PIECE, len(body)) - len(reader.unused_data)
            left -= len(pieces[-1])
            if left <= 0:
                return None
        if at == len(body):
            return b"".join(pieces)
    raise HTTPException(400, f"the body has more bytes behind the end of the {coding} in it")
