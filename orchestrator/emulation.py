"""azure=emulator: for the time of a run, direct this process to the emulator on this machine instead of Azure."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from pydantic import ValidationError

from orchestrator.azure.sdk import INSTALL, MANAGED, missing, translate_sdk_errors
from orchestrator.azure.workspace import forget
from orchestrator.errors import DeployError
from orchestrator.locations.urls import Url
from orchestrator.locations.workspace_files import is_in_workspace
from orchestrator.resolving.pip_settings import original_environment
from orchestrator.spec.azure import AzureSpec


@contextmanager
def emulated_azure(spec: AzureSpec, *, ends: bool) -> Iterator[None]:
    """Start the emulator, or set these faults in the one that runs; it keeps running, unless the run ``ends`` it."""
    if spec.emulator is None:
        yield
        return
    if missing() and missing(*MANAGED):  # else the emulator could not be stopped again
        raise DeployError(f"azure=emulator {INSTALL.format(extra='azure')}")
    import azure_emulator

    try:
        azure_emulator.start(spec.emulator, spec.faults, spec.images)
    except (azure_emulator.EmulatorError, ValueError) as error:
        raise DeployError(f"azure: {error}") from error
    (spec.emulator / "config.json").write_text(json.dumps(azure_emulator.workspace_config()))
    before = dict(os.environ)
    os.environ.update(azure_emulator.environment(spec.emulator))
    forget()
    try:
        if not missing():  # deploy=managed needs no SDK v1
            with translate_sdk_errors(DeployError, "azure"):
                importlib.import_module("azureml.core")  # it reads HOME once, when it is imported
        os.environ.update(
            {name: before[name] for name in ("HOME", "USERPROFILE") if name in before}
        )  # git's, matplotlib's
        with original_environment(before):  # the emulator is no package index
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        forget()
    if ends:
        azure_emulator.stop(spec.emulator)


@contextmanager
def emulated_tables(values: Mapping[str, Any]) -> Iterator[None]:
    """Do so while a configuration is validated whose tables lie in the emulator's workspace: their columns are looked at."""
    data, batch, azure = (_mapping(values.get(section)) for section in ("data", "batch", "azure"))
    places = [data.get("path"), _mapping(data.get("split")).get("file"), batch.get("input"), batch.get("output")]
    spec = AzureSpec()
    if any(is_in_workspace(Url(place)) for place in places if isinstance(place, str)):
        with suppress(ValidationError):  # what is wrong there is then reported
            spec = AzureSpec.model_validate({**azure, "faults": ()})  # which are the run's
    with emulated_azure(spec, ends=False):
        yield


def _mapping(section: object) -> Mapping[str, Any]:
    """Return a section; nothing for what is none, which validation reports."""
    return section if isinstance(section, Mapping) else {}
