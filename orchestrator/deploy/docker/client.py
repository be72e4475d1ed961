"""The connection to a Docker engine; what it or the SDK refuses becomes a DeployError of one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.errors import DeployError, one_line

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.errors import APIError

CONNECT_SECONDS = 10  # a healthy engine reports its version at once
READ_SECONDS = 900  # the longest pause in its output later, as while a build downloads one large wheel
HOW = (
    "install one (https://docs.docker.com/engine/install/) or start it (`systemctl start docker`, Docker Desktop), or "
    "set DOCKER_HOST to the engine that `docker context inspect` names; deploy=local needs none"
)
REMEDIES = {  # by a part of the SDK's message
    "Permission denied": "this user may not use it: `sudo usermod -aG docker $USER`, then log in again",
    "timed out": (
        "something listens there and does not answer: restart the engine (`systemctl restart docker`, Docker Desktop), or "
        "see that DOCKER_HOST names one"
    ),
}


@contextlib.contextmanager
def connected() -> Iterator[DockerClient]:
    """Yield a client of the engine that ``DOCKER_HOST`` names, or of this machine's.

    Raises:
        DeployError: no SDK, no engine, or a request in the block that the engine refuses or the SDK cannot make.
    """
    try:
        from docker import from_env
        from docker.credentials.errors import StoreError
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
    except ImportError as error:
        raise DeployError(
            f"deploy=docker needs the Docker SDK for Python ({error}); pip install -e '.[docker]'"
        ) from error
    try:
        client = from_env(timeout=CONNECT_SECONDS)  # requests the engine's version
    except DockerException as error:
        remedy = next((known for said, known in REMEDIES.items() if said in str(error)), HOW)
        raise DeployError(f"deploy: no Docker engine answers ({one_line(error)}); {remedy}") from error
    client.api.timeout = READ_SECONDS
    with contextlib.closing(client):
        try:
            yield client
        except APIError as error:
            raise refusal(error) from error
        except RequestException as error:
            raise DeployError(
                f"deploy: the Docker engine went away ({one_line(error)}); start it and run again"
            ) from error
        except (
            DockerException,
            StoreError,
        ) as error:  # a credential helper's error is wrapped by a pull, not by a build
            if isinstance(error, StoreError) or isinstance(error.__cause__, StoreError):
                raise _no_credentials(error) from error
            raise DeployError(f"deploy: the Docker SDK cannot do it: {one_line(error)}") from error


def refusal(error: APIError) -> DeployError:
    """Return the error for what the engine refuses, in its own words."""
    return DeployError(f"deploy: the Docker engine refuses: {one_line(error.explanation or error)}")


def _no_credentials(error: Exception) -> DeployError:
    """Return the error for a credential helper of Docker's settings that is missing or fails."""
    from docker.utils.config import find_config_file

    return DeployError(
        f"deploy: the registries' passwords cannot be read ({one_line(error)}); correct or remove `credsStore` or "
        f"`credHelpers` in {find_config_file() or '~/.docker/config.json'}"
    )
