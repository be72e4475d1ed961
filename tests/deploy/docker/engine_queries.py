"""What tests of the docker target ask its services and the engine."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from orchestrator.deploy.docker.labels import PREFIX
from orchestrator.deploy.docker.target import Docker

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


def ask(port: int, timeout: float = 20, headers: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/score", b"{}", {"Connection": "close", **headers})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def containers_of(engine: DockerClient, target: Docker) -> list[Container]:
    found: list[Container] = engine.containers.list(all=True, filters={"label": f"{PREFIX}owner={target.state_dir}"})
    return found


def nameless(engine: DockerClient) -> set[str]:
    return {it.id for it in engine.images.list(filters={"dangling": True})}


def only(engine: DockerClient, target: Docker) -> Container:
    [container] = containers_of(engine, target)
    return container
