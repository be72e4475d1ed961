"""Browsers that show pages of other hosts: which of those pages may use the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from score.predict.response import FLAGS

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SECONDS = 600  # a browser asks again after so long
# what a script of such a page may read of an answer, beside its body
HEADERS = [
    "inference-header-content-length",
    "retry-after",
    "x-ms-client-request-id",
    "x-ms-request-id",
    "x-package-fingerprint",
    "x-request-id",
    *(name.lower() for name in FLAGS),
]


def allowing(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return the application for pages of these origins, too; ``*`` means all. Without origins the application itself."""
    if not origins:
        return app
    # A key is a header that a script sets by itself: no cookies, and so no credentials in the sense of CORS
    return CORSMiddleware(
        app, origins, allow_methods=["GET", "POST"], allow_headers=["*"], expose_headers=HEADERS, max_age=SECONDS
    )
