"""AzureSpec: which Azure ML workspace, and how to authenticate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import StrictStr, model_validator

from orchestrator.spec.section import Section


class Workspace(NamedTuple):
    """The three names of a workspace."""

    subscription_id: str
    resource_group: str
    workspace_name: str


class AzureSpec(Section):
    """Which Azure ML workspace, and how to authenticate: all three names, or a ``config.json``. Never a secret.

    ``emulator`` is the folder of an emulator on this machine that replaces Azure.
    """

    section = "azure"

    config_path: Path | None = None
    subscription_id: StrictStr | None = None
    resource_group: StrictStr | None = None
    workspace_name: StrictStr | None = None
    auth: Literal["auto", "service_principal", "managed_identity", "cli", "interactive"] = "auto"
    emulator: Path | None = None
    images: Path | None = None
    faults: tuple[StrictStr, ...] = ()

    def ids(self) -> Workspace | None:
        """Return the three names; None: a ``config.json`` has them, also where the environment has only some."""
        if self.subscription_id and self.resource_group and self.workspace_name:
            return Workspace(self.subscription_id, self.resource_group, self.workspace_name)
        return None

    @model_validator(mode="after")
    def _faults_are_emulated(self) -> AzureSpec:
        if self.faults and self.emulator is None:
            raise ValueError("faults: only an emulator has faults; write azure=emulator")
        return self
