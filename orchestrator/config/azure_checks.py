"""Check that a run on Azure names one workspace: by all three names, or by a ``config.json``."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

from orchestrator.errors import Problem
from orchestrator.spec.azure import AzureSpec

NAMES = {
    "subscription_id": "AZURE_SUBSCRIPTION_ID",
    "resource_group": "AZURE_RESOURCE_GROUP",
    "workspace_name": "AZUREML_WORKSPACE_NAME",
}
FILES = ("config.json", ".azureml/config.json", "aml_config/config.json")  # as both SDKs look for it


def problems(azure: AzureSpec, interpolated: Container[str]) -> Iterator[Problem]:
    """Yield what is missing where only some of the names are given.

    ``interpolated`` are the keys whose value comes from the environment: a ``config.json`` wins over those.
    """
    missing = [name for name in NAMES if not getattr(azure, name)]
    some = [name for name in NAMES if name not in missing]
    if not (missing and some) or azure.emulator is not None:
        return
    typed = [name for name in some if f"azure.{name}" not in interpolated]
    if typed or not has_file(azure.config_path):
        given = ", ".join(name if name in typed else f"${NAMES[name]}" for name in some)
        yield Problem(
            f"azure.{missing[0]}",
            f"is missing; name all of {', '.join(NAMES)}, or none for a config.json (given: {given})",
        )


def has_file(start: Path | None) -> bool:
    """Return whether there is a ``config.json``: this file, or one in this folder (null: the working one) or above."""
    at = (start or Path()).expanduser().absolute()
    return at.is_file() or any((folder / name).is_file() for folder in (at, *at.parents) for name in FILES)
