"""The endpoint test, by golden requests over HTTP, and the health check of servers on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from orchestrator.artifacts import Endpoint, Probe
from orchestrator.deploy import ports
from orchestrator.errors import ProbeError
from score.contract import golden

ROUNDS = 40  # timed requests: enough that one slow answer does not decide the p95
TIMEOUT_SECONDS = 30
HEALTH_SECONDS = 10  # for an answer without a prediction


def probe_endpoint(endpoint: Endpoint) -> Probe:
    """Send every golden request and compare the answers; with auth, also without and with a wrong key; then time one row.

    Raises:
        ProbeError: an answer differs from the package's, or a request without the key is accepted.
    """
    requests = golden.read(endpoint.package.path)
    connection = _connection(endpoint.url)
    try:
        for request in requests:
            difference = request.difference(*_post(connection, endpoint.url, request.body, endpoint.headers))
            if difference:
                raise ProbeError(f"{endpoint.url} answers golden request '{request.name}' differently: {difference}")
        refused = _refuses_wrong_keys(connection, endpoint, requests[0].body) if endpoint.auth else None
        seconds = [_timed(connection, endpoint, requests[0].body) for _ in range(ROUNDS)]
    except (OSError, http.client.HTTPException) as error:
        raise ProbeError(f"{endpoint.url} does not answer: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    centiles = quantiles(seconds, n=20, method="inclusive")
    return Probe(len(requests), centiles[9] * 1000, centiles[18] * 1000, refused, endpoint.share)


def is_healthy(host: str, port: int, fingerprint: str = "") -> bool:
    """Return whether a server on this machine answers there, and serves the package of this fingerprint if given."""
    connection = http.client.HTTPConnection(ports.reachable(host), port, timeout=HEALTH_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        return response.status == 200 and fingerprint in ("", response.getheader("x-package-fingerprint"))


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "localhost", parts.port, timeout=TIMEOUT_SECONDS)


def _post(connection: http.client.HTTPConnection, url: str, body: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    connection.request("POST", urlsplit(url).path, body.encode(), {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, text


def _refuses_wrong_keys(connection: http.client.HTTPConnection, endpoint: Endpoint, body: str) -> bool:
    for what, headers in (("without a key", {}), ("with a wrong key", {"Authorization": "Bearer wrong"})):
        status, _ = _post(connection, endpoint.url, body, headers)
        if status != 401:
            raise ProbeError(f"{endpoint.url} answers a request {what} with {status} instead of 401")
    return True


def _timed(connection: http.client.HTTPConnection, endpoint: Endpoint, body: str) -> float:
    started = time.perf_counter()
    _post(connection, endpoint.url, body, endpoint.headers)
    return time.perf_counter() - started
