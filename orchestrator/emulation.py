"""azure=emulator: while a run lasts, this process meets the stand-in on this machine instead of Azure. Part of the wiring."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.azure.sdk import INSTALL, MANAGED, missing, translate_sdk_errors
from orchestrator.azure.workspace import forget
from orchestrator.errors import DeployError
from orchestrator.resolving.pip_settings import original_environment
from orchestrator.spec.run_spec import AzureSpec


@contextmanager
def emulated_azure(spec: AzureSpec, *, ends: bool) -> Iterator[None]:
    """Start the stand-in, or ask the one that runs for these faults; it lives on, unless the run ``ends`` it."""
    if spec.emulator is None:
        yield
        return
    if missing() and missing(*MANAGED):  # or nobody could end what is started here
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
        if not missing():  # deploy=managed does without SDK v1
            with translate_sdk_errors(DeployError, "azure"):
                importlib.import_module("azureml.core")  # it looks where HOME is now, and never again
        os.environ.update(
            {name: before[name] for name in ("HOME", "USERPROFILE") if name in before}
        )  # git's, matplotlib's
        with original_environment(before):  # the stand-in is no package index
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        forget()
    if ends:
        azure_emulator.stop(spec.emulator)
