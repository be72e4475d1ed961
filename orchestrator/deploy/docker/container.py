"""The container of one service: create it, wait until it is ready, publish its port, remove it."""

from __future__ import annotations

import contextlib
import io
import math
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.deploy.docker.labels import ContainerLabels
from orchestrator.deploy.failure import failure
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence
from orchestrator.errors import DeployError
from score.contract.deployment_info import ORIGIN
from score.privacy import TELEMETRY_OFF

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

KEYS = "/run/keys.json"
POLL_SECONDS = 0.3  # each check of a starting container runs a process in it
LOG_LINES = 5000


def arguments(served: ContainerLabels, image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that create a container; ``image`` is the configuration of its image."""
    [port] = image["ExposedPorts"]
    memory = int(served.memory_gb * 2**30)
    return {
        "image": served.image,
        "command": [*image["Cmd"], *(["--keys", KEYS] if served.auth else []), *served.limits.split()],
        "labels": served.labels(),
        "ports": {port: (served.host, served.port)},
        "network_mode": "none",  # until it is published
        "nano_cpus": int(served.cpu_cores * 1e9),
        "mem_limit": memory,
        "memswap_limit": memory,  # a service that swaps is worse than one that is restarted
        "environment": {
            "OMP_NUM_THREADS": str(math.ceil(served.cpu_cores)),  # libraries count the machine's instead
            ORIGIN: served.origin,
            **TELEMETRY_OFF,  # older packages' Dockerfiles do not set it
        },
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
    }


def start(
    client: DockerClient, name: str, served: ContainerLabels, keys: Path | None, seconds: float, home: ServiceDirectory
) -> Container:
    """Return a container that is ready, and is not reachable yet.

    Raises:
        DeployError: naming the cause; the container is removed and its log is in ``home``.
    """
    from docker.errors import APIError

    image = client.images.get(served.image).attrs["Config"]
    container = client.containers.create(name=name, **arguments(served, image))
    try:
        if keys is not None:
            container.put_archive("/", _archive(KEYS, keys.read_bytes(), int(image["User"])))
        container.start()
        _come_up(container, image["Healthcheck"]["Test"][1:], served, seconds, home)
    except BaseException:
        with contextlib.suppress(APIError):  # the next command finds it by its labels
            container.remove(force=True)
        raise
    return container


def publish(client: DockerClient, container: Container) -> None:
    """Publish the port of a running container. From here on this is the service, also if this process is killed now."""
    container.update(restart_policy={"Name": "unless-stopped"})
    client.networks.get("none").disconnect(container)
    client.networks.get("bridge").connect(container)  # the engine publishes ports as a container joins
    container.reload()
    if not published(container):  # an engine that does so only as it starts one
        container.restart()
        container.reload()


def published(container: Container) -> bool:
    """Return whether the engine has published its port."""
    return any(container.ports.values())


def discard(container: Container, home: ServiceDirectory) -> None:
    """Remove the container and save its log."""
    from docker.errors import NotFound

    with contextlib.suppress(NotFound):
        text = log_of(container)
        if text:
            home.new_log().write_text(text)
        container.remove(force=True)


def log_of(container: Container) -> str:
    """Return the newest lines of the container's log."""
    text: bytes = container.logs(tail=LOG_LINES)
    return text.decode(errors="replace")


def _come_up(
    container: Container, check: list[str], served: ContainerLabels, seconds: float, home: ServiceDirectory
) -> None:
    if not _ready(container, check, seconds):
        raise _diagnosed(container, served, seconds, home)


def _ready(container: Container, check: list[str], seconds: float) -> bool:
    """Wait until the image's health check passes, run inside the container, as it is not reachable yet."""
    from docker.errors import APIError

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        container.reload()
        if not container.attrs["State"]["Running"]:
            return False
        with contextlib.suppress(APIError):  # it has ended meanwhile
            if container.exec_run(check).exit_code == 0:
                return True
        time.sleep(POLL_SECONDS)
    return False


def _diagnosed(container: Container, served: ContainerLabels, seconds: float, home: ServiceDirectory) -> DeployError:
    """Return the error that says why the container does not come up."""
    container.reload()
    state = container.attrs["State"]
    what, how, at = "the service is not ready in time", "", str(state["Status"])
    if state["OOMKilled"]:
        what, at = "the service died while starting", f"{at} (OOMKilled, exit code {state['ExitCode']})"
    elif not state["Running"]:
        what, how = "the service died while starting", f" with exit code {state['ExitCode']}"
    settings = {**served.model_dump(include={"port", "cpu_cores", "memory_gb"}), "timeout_seconds": seconds}
    evidence = Evidence(
        "docker", at, what + how, container_log=log_of(container),
        settings={"service_name": served.service, **settings},
    )  # fmt: skip
    return failure(evidence, what, home)


def _archive(path: str, content: bytes, owner: int) -> bytes:
    """Return a tar file with one file that only its owner may read."""
    member = tarfile.TarInfo(path.lstrip("/"))
    member.size, member.mode, member.uid, member.gid = len(content), 0o400, owner, owner
    content_tar = io.BytesIO()
    with tarfile.open(fileobj=content_tar, mode="w") as archive:
        archive.addfile(member, io.BytesIO(content))
    return content_tar.getvalue()
