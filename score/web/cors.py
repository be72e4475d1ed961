"""CORS: which pages of other hosts may use the service in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from score.predict.response import FLAGS

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SECONDS = 600  # before a browser repeats its preflight request
# response headers that a script of such a page may read
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
    """Return the application with CORS for these origins; ``*`` means all. Without origins it is unchanged."""
    if not origins:
        return app
    # The key is a header that a script sets itself: no cookies, and so no credentials in the sense of CORS
    return CORSMiddleware(
        app, origins, allow_methods=["GET", "POST"], allow_headers=["*"], expose_headers=HEADERS, max_age=SECONDS
    )
