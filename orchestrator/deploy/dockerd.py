"""The connection to a Docker engine, with what it refuses told in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient

SILENCE_SECONDS = 900  # the longest that the engine may say nothing, as while a build downloads one large wheel
HOW = (
    "install one (https://docs.docker.com/engine/install/) or start it (`systemctl start docker`, Docker Desktop), or "
    "set DOCKER_HOST to the engine that `docker context inspect` names; deploy=local needs none"
)
NOT_ALLOWED = "this user may not use it: `sudo usermod -aG docker $USER`, then log in again"


@contextlib.contextmanager
def connected() -> Iterator[DockerClient]:
    """A client of the engine that ``DOCKER_HOST`` names, or of this machine's; it lives as long as the block.

    Raises:
        DeployError: no SDK, no engine, or a request in the block that the engine refuses.
    """
    try:
        from docker import from_env
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
    except ImportError as error:
        raise DeployError(
            f"deploy=docker needs the Docker SDK for Python ({error}); pip install -e '.[docker]'"
        ) from error
    try:
        client = from_env(timeout=SILENCE_SECONDS)
    except DockerException as error:
        remedy = NOT_ALLOWED if "Permission denied" in str(error) else HOW
        raise DeployError(f"deploy: no Docker engine answers ({one_line(error)}); {remedy}") from error
    with contextlib.closing(client):
        try:
            yield client
        except APIError as error:
            raise DeployError(f"deploy: the Docker engine refuses: {one_line(error.explanation or error)}") from error
        except RequestException as error:
            raise DeployError(
                f"deploy: the Docker engine went away ({one_line(error)}); start it and run again"
            ) from error


def one_line(error: object) -> str:
    """An error's text as part of a line."""
    return " ".join(str(error).split())
