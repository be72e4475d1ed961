"""What a deployment to ACI is made of: the pure half, in which nothing is asked of Azure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.products import ModelVersion, Package

ENTRY = "score/score.py"
SERVER = "azureml-defaults"  # what Azure runs score.py with; the container only crashes without it
FINGERPRINT = "package_fingerprint"  # as the registered versions of tracking=azureml are tagged
MODEL, VERSION, SHAPE = "package_model", "tracked_version", "deployment_shape"
SERVER_BYTES = 150 * 10**6  # gunicorn and azureml-inference-server-http, beside what the proof measured


def tags(package: Package, version: ModelVersion, settings: Mapping[str, Any]) -> dict[str, str]:
    """What the service carries, so that any machine can tell what it serves; the user's own tags come along."""
    own = {FINGERPRINT: package.fingerprint, MODEL: package.model_name, VERSION: version.version or "-"}
    return {**settings["tags"], **own, SHAPE: shape(settings)}


def shape(settings: Mapping[str, Any]) -> str:
    """The name of these settings: the same package in another shape is deployed again. The files count, not their names."""
    files = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in _files(settings).items()}
    return hashlib.sha256(json.dumps({**settings, **files}, sort_keys=True).encode()).hexdigest()[:16]


def _files(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: path for name, path in settings.items() if name.endswith("_pem_file") and path}


def serves_like(live: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a service with the tags ``live`` is what is wanted; the version's number does not matter."""
    return all(live.get(name) == wanted[name] for name in (FINGERPRINT, MODEL, SHAPE))


def conda(package: Package) -> dict[str, Any]:
    """The package's conda.yaml and Azure's server. The package itself stays as it was tested."""
    definition: dict[str, Any] = yaml.safe_load((package.path / "conda.yaml").read_text())
    dependencies = definition.get("dependencies") or []
    pip: list[str] = next((one["pip"] for one in dependencies if isinstance(one, dict) and "pip" in one), [])
    rest = [one for one in dependencies if not (isinstance(one, dict) and "pip" in one)]
    own = [] if any(str(line).startswith(SERVER) for line in pip) else [SERVER]
    return {**definition, "dependencies": [*rest, {"pip": [*pip, *own]}]}


def memory_warning(memory_bytes: int, memory_gb: float) -> str:
    """What to say of a container that this package may not fit in; nothing if it does, or if nothing was measured."""
    needed = (memory_bytes + SERVER_BYTES) / 10**9
    if not memory_bytes or needed <= memory_gb:
        return ""
    return (
        f"warning: the package took {memory_bytes / 10**9:.2f} GB when it was proved, and with Azure's server about "
        f"{needed:.2f}; deploy.memory_gb={memory_gb} may be too little"
    )
