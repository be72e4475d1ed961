"""The one connection to the workspace: made on first use, then shared by everything in this process."""

from __future__ import annotations

import threading
from typing import Any

from orchestrator.azure.auth import NoWayInError, authentication
from orchestrator.azure.talk import cause
from orchestrator.config.spec import AzureSpec

_made: dict[AzureSpec, Any] = {}  # by value: tracking and deployment name the same section
_lock = threading.Lock()
REMEDY = (
    "put the workspace's config.json (the portal offers it) where the command runs, or set azure.subscription_id, "
    "azure.resource_group and azure.workspace_name"
)


def workspace(spec: AzureSpec) -> Any:
    """The ``azureml.core.Workspace`` of this section; call it inside :func:`~orchestrator.azure.talk.talking`.

    Raises:
        NoWorkspaceError: nothing says which workspace, nothing authenticates, or Azure does not let us in.
    """
    with _lock:
        if spec not in _made:
            _made[spec] = _open(spec)
        return _made[spec]


def forget() -> None:
    """Let the next use make a connection of its own."""
    with _lock:
        _made.clear()


class NoWorkspaceError(OSError):
    """There is no connection; the text says why, and what would help."""


def _open(spec: AzureSpec) -> Any:
    from azureml.core import Workspace
    from azureml.exceptions import AzureMLException, UserErrorException

    ids = spec.ids()
    try:
        auth = authentication(spec.auth)
        if ids:
            return Workspace.get(
                ids.workspace_name, auth=auth, subscription_id=ids.subscription_id, resource_group=ids.resource_group
            )
        return Workspace.from_config(path=spec.config_path and str(spec.config_path), auth=auth)
    except NoWayInError as error:
        raise NoWorkspaceError(str(error)) from error
    except UserErrorException as error:
        text = cause(error)
        raise NoWorkspaceError(f"azure: {REMEDY}" if "config.json" in text else text) from error
    except AzureMLException as error:
        raise NoWorkspaceError(f"azure: {cause(error)}") from error
