"""The state of a service on ACI, as its tags hold it, and the checks of its settings; nothing here calls Azure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.deploy.azure.registered_package import FINGERPRINT, MODEL, SHAPE, VERSION, pem_files, shape
from orchestrator.files import write_private

DEPLOYMENT, FORMER, TEST = "deployment_id", "former_service", "endpoint_test"
PASSED = {TEST: "passed"}
OWN = (FINGERPRINT, MODEL, VERSION, SHAPE, DEPLOYMENT, FORMER, TEST)
CMK = ("cmk_vault_base_url", "cmk_key_name", "cmk_key_version")
SERVER_BYTES = 150 * 10**6  # gunicorn and azureml-inference-server-http, on top of what the proof measured


class PreviousDeployment(NamedTuple):
    """What it takes to restore a service; short enough for one tag of its successor."""

    fingerprint: str
    model: str
    version: str
    shape: str
    cpu_cores: float
    memory_gb: float
    auth_enabled: bool
    accepted: bool

    @classmethod
    def of(
        cls, live: Mapping[str, str], cpu_cores: float, memory_gb: float, *, auth_enabled: bool
    ) -> PreviousDeployment:
        """Describe a service with the tags ``live``."""
        named = (live[FINGERPRINT], live[MODEL], live.get(VERSION, "-"), live.get(SHAPE, ""))
        return cls(*named, cpu_cores, memory_gb, auth_enabled, is_tested(live))

    @classmethod
    def from_tag(cls, tag: str) -> PreviousDeployment | None:
        """Parse what :meth:`tag` wrote; None for anything else."""
        with contextlib.suppress(ValueError, TypeError):
            return cls(*json.loads(tag))
        return None

    def tag(self) -> str:
        """Return it as the value of one tag."""
        return json.dumps(self, separators=(",", ":"))

    def tags(self) -> dict[str, str]:
        """Return the tags that the service had."""
        own = {FINGERPRINT: self.fingerprint, MODEL: self.model, VERSION: self.version, SHAPE: self.shape}
        return {**own, **(PASSED if self.accepted else {})}

    def settings(self) -> dict[str, Any]:
        """Return the settings of its deployment that Azure reports."""
        return {"cpu_cores": self.cpu_cores, "memory_gb": self.memory_gb, "auth_enabled": self.auth_enabled}


def check(settings: Mapping[str, Any]) -> None:
    """Check that settings which need each other are all given.

    Raises:
        ValueError: naming every key that is missing, or whose file is.
    """
    groups = (
        ("ssl_enabled", ("ssl_cert_pem_file", "ssl_key_pem_file")),
        ("vnet_name", ("subnet_name",)),
        ("subnet_name", ("vnet_name",)),
        *((one, CMK) for one in CMK),
    )
    lacks = {
        f"{key} (with {one})": None for one, others in groups if settings[one] for key in others if not settings[key]
    }
    lacks |= {f"the file {path} ({key})": None for key, path in pem_files(settings).items() if not Path(path).is_file()}
    if lacks:
        raise ValueError(f"missing: {', '.join(lacks)}")


def save_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Save the settings under the digest of them: a rollback needs them all, and tags have no room for them."""
    file = folder / "shapes" / f"{settings['tags'][SHAPE]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, json.dumps(settings))


def load_settings(folder: Path, former: PreviousDeployment, now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a former service had.

    Where another machine deployed it, only those in its tag are known: the others are taken from ``now``.
    """
    with contextlib.suppress(OSError, ValueError):
        saved: dict[str, Any] = json.loads((folder / "shapes" / f"{former.shape}.json").read_text())
        users = {name: value for name, value in saved["tags"].items() if name not in OWN}
        return {**saved, "tags": {**users, **former.tags()}}
    settings = {**now, **former.settings()}
    return {**settings, "tags": {**now["tags"], **former.tags(), SHAPE: shape(settings)}}


def is_tested(live: Mapping[str, str]) -> bool:
    """Return whether this service passed its endpoint test."""
    return live.get(TEST) == PASSED[TEST]


def is_untested(live: Mapping[str, str], deployment: str) -> bool:
    """Return whether this service is still that deployment, and has not passed a test."""
    return live.get(DEPLOYMENT) == deployment and not is_tested(live)


def relabelled(live: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a service that stays, with the version that its package has now."""
    return {**live, **({VERSION: wanted[VERSION]} if wanted[VERSION] != "-" else {})}


def memory_warning(memory_bytes: int, memory_gb: float) -> str:
    """Return a warning if the package may not fit into the container; empty if it fits or was not measured."""
    needed = (memory_bytes + SERVER_BYTES) / 10**9
    if not memory_bytes or needed <= memory_gb:
        return ""
    return (
        f"warning: the package took {memory_bytes / 10**9:.2f} GB when it was verified, and with Azure's server about "
        f"{needed:.2f}; deploy.memory_gb={memory_gb} may be too little"
    )
