"""The router in front of deployments passes on what a request asks for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from azure_emulator.containers import traffic_router


def test_the_query_goes_on_to_the_deployment_and_to_its_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    route = {"ports": {"blue": 1, "green": 2}, "traffic": {"blue": 100}, "mirrorTraffic": {"green": 100}}
    (tmp_path / "route.json").write_text(json.dumps(route))
    sent: list[tuple[int, str]] = []

    def send(port: int, _method: str, path: str, *_: Any) -> tuple[int, dict[str, str], bytes]:
        sent.append((port, path))
        return 200, {}, b"{}"

    monkeypatch.setattr(traffic_router, "send_request", send)
    monkeypatch.setattr(traffic_router, "_is_authorized", lambda *_: True)
    tokens: Any = None
    app = traffic_router.traffic_router_app(tmp_path, tokens)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ignore(_message: Any) -> None:
        return None

    async def ask() -> None:
        scope = {"type": "http", "method": "POST", "path": "/score", "headers": [], "query_string": b"explain=true"}
        await app({**scope, "server": ("127.0.0.1", 1), "scheme": "http"}, receive, ignore)
        while len(sent) < 2:  # noqa: ASYNC110 - the mirrored one is a task that nothing waits for
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(ask(), 20))
    assert sorted(sent) == [(1, "/score?explain=true"), (2, "/score?explain=true")]
