"""The connections to workspaces: opened on first use, then shared in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from orchestrator.azure.auth import NoCredentialError, authentication, credential
from orchestrator.azure.sdk import cause
from orchestrator.spec.azure import AzureSpec

# keyed by value: tracking and deployment have equal sections
_made: dict[tuple[AzureSpec, Callable[[AzureSpec], Any]], Any] = {}
_lock = threading.Lock()
QUIET = {"show_progress": False, "enable_telemetry": False}  # the SDK sends telemetry from notebooks
REMEDY = (
    "put the workspace's config.json (the portal offers it) where the command runs, or set azure.subscription_id, "
    "azure.resource_group and azure.workspace_name"
)


def workspace(spec: AzureSpec) -> Any:
    """Return the ``azureml.core.Workspace`` of this section; call it inside :func:`~orchestrator.azure.sdk.translate_sdk_errors`.

    Raises:
        NoWorkspaceError: no workspace is configured, there is no credential, or Azure refuses it.
    """
    return _once(spec, _open)


def client(spec: AzureSpec) -> Any:
    """Return the ``azure.ai.ml.MLClient`` of this section, the connection of SDK v2.

    Raises:
        NoWorkspaceError: no workspace is configured, or there is no credential.
    """
    return _once(spec, _open_client)


def _once(spec: AzureSpec, make: Callable[[AzureSpec], Any]) -> Any:
    with _lock:
        if (spec, make) not in _made:
            _made[spec, make] = make(spec)
        return _made[spec, make]


def forget() -> None:
    """Drop the cached connections: the next use opens new ones."""
    with _lock:
        _made.clear()


class NoWorkspaceError(OSError):
    """There is no connection; the text says why, and what to do."""


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
    except NoCredentialError as error:
        raise NoWorkspaceError(str(error)) from error
    except UserErrorException as error:
        text = cause(error)
        raise NoWorkspaceError(f"azure: {REMEDY}" if "config.json" in text else text) from error
    except AzureMLException as error:
        raise NoWorkspaceError(f"azure: {cause(error)}") from error


def _open_client(spec: AzureSpec) -> Any:
    from azure.ai.ml import MLClient
    from azure.ai.ml.exceptions import ValidationException

    logging.getLogger("azure.ai.ml").setLevel(
        logging.CRITICAL
    )  # it has set INFO itself; what matters is raised as well
    try:
        way_in = credential(spec.auth)
        if ids := spec.ids():
            return MLClient(way_in, *ids, **QUIET)
        return MLClient.from_config(way_in, path=spec.config_path and str(spec.config_path), **QUIET)
    except NoCredentialError as error:
        raise NoWorkspaceError(str(error)) from error
    except ValidationException as error:
        raise NoWorkspaceError(f"azure: {REMEDY}") from error
