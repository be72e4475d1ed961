"""A package in an Azure ML workspace: its environment, the tags of what serves it, and its download.

What ACI and online endpoints share; nothing here calls Azure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.artifacts import BESIDE_PACKAGE, Package
from orchestrator.deploy import cors

ENTRY = "score/score.py"
# The server that runs score.py on Azure. Not azureml-defaults, which brings it together with the retired SDK: that one
# caps numpy and cloudpickle below what current scikit-learn and joblib need. From 1.4 on, the server's requirements fit
# today's libraries; older releases have few requirements, so a resolver would pick one of them.
SERVER = "azureml-inference-server-http>=1.4"
_SERVERS = re.compile(r"(?:azureml[-_.]inference[-_.]server[-_.]http|azureml[-_.]defaults)(?![\w.-])", re.IGNORECASE)
FINGERPRINT = "package_fingerprint"  # also on the versions that tracking=azureml registers
MODEL, VERSION, SHAPE = "package_model", "tracked_version", "deployment_shape"


def tags(package: Package, version: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a service: the user's own, and what identifies its package and settings on any machine."""
    own = {FINGERPRINT: package.fingerprint, MODEL: package.model_name, VERSION: version or "-"}
    return {**settings["tags"], **own, SHAPE: shape(settings)}


def shape(settings: Mapping[str, Any]) -> str:
    """Return the digest of a deployment's settings, with the content of the files that they name."""
    files = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in pem_files(settings).items()}
    return hashlib.sha256(json.dumps({**settings, **files}, sort_keys=True).encode()).hexdigest()[:16]


def pem_files(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that name a file."""
    return {name: path for name, path in settings.items() if name.endswith("_pem_file") and path}


def serves_like(live: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether two services with these tags serve the same package with the same settings, under any version."""
    return all(live.get(name) == wanted[name] for name in (FINGERPRINT, MODEL, SHAPE))


def identity(live: Mapping[str, str]) -> tuple[str, str, str]:
    """Return the model, the version and the fingerprint of what a service with these tags serves."""
    return live.get(MODEL, ""), live.get(VERSION, ""), live.get(FINGERPRINT, "")


def model_label(live: Mapping[str, str]) -> str:
    """Return the model and its version, as text for the user."""
    version = live.get(VERSION, "-")
    return f"{live.get(MODEL, 'of another project')} {version if version != '-' else ''}".strip()


def conda(package: Package, allow_origins: Sequence[str] = ()) -> dict[str, Any]:
    """Return the package's conda.yaml with Azure's server, and with the library that CORS needs there.

    The package itself stays as it was tested.
    """
    definition: dict[str, Any] = yaml.safe_load((package.path / "conda.yaml").read_text())
    dependencies = definition.get("dependencies") or []
    pip: list[str] = next((one["pip"] for one in dependencies if isinstance(one, dict) and "pip" in one), [])
    rest = [one for one in dependencies if not (isinstance(one, dict) and "pip" in one)]
    own = [] if any(_SERVERS.match(str(line)) for line in pip) else [SERVER]
    named = {re.split(r"[^\w.-]", str(line).strip())[0].lower().replace("_", "-") for line in pip}
    own += [cors.LIBRARY] if allow_origins and cors.LIBRARY not in named else []
    return {**definition, "dependencies": [*rest, {"pip": [*pip, *own]}]}


@contextlib.contextmanager
def copied(package: Package) -> Iterator[Path]:
    """Yield a copy of the package's files without the bytecode that a service on this machine may have left."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve() / "package"
        shutil.copytree(package.path, folder, ignore=shutil.ignore_patterns("__pycache__"))
        yield folder


def not_registered(package: Package) -> FileNotFoundError:
    """Return the error for a package that the workspace does not hold."""
    return FileNotFoundError(f"the workspace has no model '{package.model_name}' of package {package.short_id}")


def store(package: Package, download: Callable[[str], Path]) -> None:
    """Move what ``download`` fetches into a scratch folder to the package's path, if it is that package.

    Raises:
        OSError: its content is another one.
    """
    package.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=package.path.parent) as scratch:
        there = download(scratch)
        for name in BESIDE_PACKAGE:
            (there / name).unlink(missing_ok=True)
        if not Package(there, package.fingerprint, package.model_name).is_intact():
            raise OSError(f"'{package.model_name}' in the workspace is not the package {package.short_id}")
        there.rename(package.path)
