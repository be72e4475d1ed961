"""One real package: the same golden requests, replies and refusals wherever it is served."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.target import Target
from tests.deploy.conftest import AT_NIGHT, ELSEWHERE

ROW = {"a": 3, "b": 1.5}
BODIES: dict[str, Any] = {
    "well": {"data": [ROW, {**ROW, "a": 39}]},
    "a missing column": {"data": [{"a": 3}]},
    "text for a number": {"data": [{**ROW, "b": "lots"}]},
    "a missing value that training had none of": {"data": [ROW, {**ROW, "b": None}]},
    "another form": {"rows": [ROW]},
    "no rows": {"data": []},
    "no JSON": "{",
}


def answers(endpoint: Endpoint) -> dict[str, tuple[int, Any]]:
    """Return the answer to each body; a list of rows and the article's text are both JSON."""
    return {
        name: _answer(endpoint, body if isinstance(body, str) else json.dumps(body)) for name, body in BODIES.items()
    }


def _answer(endpoint: Endpoint, body: str) -> tuple[int, Any]:
    where = urlsplit(endpoint.url)  # not by urllib, which keeps the proxies that an emulator had set at its first call
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", where.path, body.encode(), {"Content-Type": "application/json", **endpoint.headers})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("where", [AT_NIGHT[0], ELSEWHERE[1], *AT_NIGHT[2:]])  # docker: see docker/test_target.py, too
def test_every_target_gives_the_same_answers(
    where: str,
    real: Package,
    make_local: Callable[..., Target],
    other_port: int,
    version: Callable[..., ModelVersion],
    request: pytest.FixtureRequest,
) -> None:
    here = answers(make_local(port=other_port).deploy(version(real)).endpoint)
    assert {name: status for name, (status, _) in here.items()} == {
        name: 200 if name in {"well", "no rows"} else 400 for name in BODIES
    }
    target: Target = request.getfixturevalue(f"make_{where}")(auth_enabled=True)
    deployment = target.deploy(version(real))
    endpoint = deployment.endpoint
    assert answers(endpoint) == here
    probe = probe_endpoint(endpoint)
    assert (probe.requests, probe.refused_without_key) == (5, True)
    deployment.accept()
