"""What a deployment to ACI is made of: the pure half, in which nothing is asked of Azure."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from orchestrator.artifacts import Package
from orchestrator.deploy import cors
from orchestrator.deploy.local.state import write_private

ENTRY = "score/score.py"
# What Azure runs score.py with; the container only crashes without it. Not azureml-defaults, which brings it along with
# the retired SDK: that one holds numpy and cloudpickle below what current scikit-learn and joblib need. From 1.4 on, its
# requirements go with those of today; an older one would go with everything.
SERVER = "azureml-inference-server-http>=1.4"
_SERVERS = re.compile(r"(?:azureml[-_.]inference[-_.]server[-_.]http|azureml[-_.]defaults)(?![\w.-])", re.IGNORECASE)
FINGERPRINT = "package_fingerprint"  # as the registered versions of tracking=azureml are tagged
MODEL, VERSION, SHAPE = "package_model", "tracked_version", "deployment_shape"
DEPLOYMENT, FORMER, TEST = "deployment_id", "former_service", "endpoint_test"
PASSED = {TEST: "passed"}
OWN = (FINGERPRINT, MODEL, VERSION, SHAPE, DEPLOYMENT, FORMER, TEST)
CMK = ("cmk_vault_base_url", "cmk_key_name", "cmk_key_version")
SERVER_BYTES = 150 * 10**6  # gunicorn and azureml-inference-server-http, beside what the proof measured


class PreviousDeployment(NamedTuple):
    """A service of ours as its successor remembers it: all that is needed to put it back, short enough for one tag."""

    fingerprint: str
    model: str
    version: str
    shape: str
    cpu_cores: float
    memory_gb: float
    auth_enabled: bool
    tested: bool

    @classmethod
    def of(
        cls, live: Mapping[str, str], cpu_cores: float, memory_gb: float, *, auth_enabled: bool
    ) -> PreviousDeployment:
        """A service with the tags ``live``."""
        named = (live[FINGERPRINT], live[MODEL], live.get(VERSION, "-"), live.get(SHAPE, ""))
        return cls(*named, cpu_cores, memory_gb, auth_enabled, is_tested(live))

    @classmethod
    def read(cls, tag: str) -> PreviousDeployment | None:
        """What :meth:`tag` wrote; None for anything else."""
        with contextlib.suppress(ValueError, TypeError):
            return cls(*json.loads(tag))
        return None

    def tag(self) -> str:
        """As the value of one tag."""
        return json.dumps(self, separators=(",", ":"))

    def tags(self) -> dict[str, str]:
        """The tags that it had."""
        own = {FINGERPRINT: self.fingerprint, MODEL: self.model, VERSION: self.version, SHAPE: self.shape}
        return {**own, **(PASSED if self.tested else {})}

    def settings(self) -> dict[str, Any]:
        """Of its deployment's settings, those that a service tells."""
        return {"cpu_cores": self.cpu_cores, "memory_gb": self.memory_gb, "auth_enabled": self.auth_enabled}


def tags(package: Package, version: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """What the service carries, so that any machine can tell what it serves; the user's own tags come along."""
    own = {FINGERPRINT: package.fingerprint, MODEL: package.model_name, VERSION: version or "-"}
    return {**settings["tags"], **own, SHAPE: shape(settings)}


def check(settings: Mapping[str, Any]) -> None:
    """What one key needs of another.

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
    lacks |= {f"the file {path} ({key})": None for key, path in _files(settings).items() if not Path(path).is_file()}
    if lacks:
        raise ValueError(f"missing: {', '.join(lacks)}")


def remember(folder: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of a shape: a service's tags have no room for them, and going back needs them all."""
    file = folder / "shapes" / f"{settings['tags'][SHAPE]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, json.dumps(settings))


def recall(folder: Path, former: PreviousDeployment, now: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a former service had; as far as its tag tells, where another machine deployed it.

    Then the rest is as it is ``now``, and the shape is what that comes to.
    """
    with contextlib.suppress(OSError, ValueError):
        kept: dict[str, Any] = json.loads((folder / "shapes" / f"{former.shape}.json").read_text())
        return {**kept, "tags": {**_users(kept["tags"]), **former.tags()}}
    settings = {**now, **former.settings()}
    return {**settings, "tags": {**now["tags"], **former.tags(), SHAPE: shape(settings)}}


def _users(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name not in OWN}


def is_tested(live: Mapping[str, str]) -> bool:
    """Whether this service passed its endpoint test."""
    return live.get(TEST) == PASSED[TEST]


def is_untested(live: Mapping[str, str], deployment: str) -> bool:
    """Whether this service is still that deployment, and nobody has tested it."""
    return live.get(DEPLOYMENT) == deployment and not is_tested(live)


def rollback_candidate(
    service: PreviousDeployment, live: Mapping[str, str], *, healthy: bool
) -> PreviousDeployment | None:
    """What a successor is to remember of this service: the last one that was tested, else the last that was healthy."""
    before = PreviousDeployment.read(live.get(FORMER, ""))
    if service.tested or (healthy and not (before and before.tested)):
        return service
    return before


def shape(settings: Mapping[str, Any]) -> str:
    """The name of these settings: the same package in another shape is deployed again. The files count, not their names."""
    files = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in _files(settings).items()}
    return hashlib.sha256(json.dumps({**settings, **files}, sort_keys=True).encode()).hexdigest()[:16]


def _files(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: path for name, path in settings.items() if name.endswith("_pem_file") and path}


def serves_like(live: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a service with the tags ``live`` is what is wanted; the version's number does not matter."""
    return all(live.get(name) == wanted[name] for name in (FINGERPRINT, MODEL, SHAPE))


def relabelled(live: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The tags of a service that is what is wanted, with the version's number that the package has now."""
    return {**live, **({VERSION: wanted[VERSION]} if wanted[VERSION] != "-" else {})}


def named(live: Mapping[str, str]) -> str:
    """The model and its version as a service's tags name them."""
    version = live.get(VERSION, "-")
    return f"{live.get(MODEL, 'not ours')} {version if version != '-' else ''}".strip()


def conda(package: Package, allow_origins: Sequence[str] = ()) -> dict[str, Any]:
    """The package's conda.yaml and Azure's server, with what that needs to let in pages of other hosts.

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


def memory_warning(memory_bytes: int, memory_gb: float) -> str:
    """What to say of a container that this package may not fit in; nothing if it does, or if nothing was measured."""
    needed = (memory_bytes + SERVER_BYTES) / 10**9
    if not memory_bytes or needed <= memory_gb:
        return ""
    return (
        f"warning: the package took {memory_bytes / 10**9:.2f} GB when it was proved, and with Azure's server about "
        f"{needed:.2f}; deploy.memory_gb={memory_gb} may be too little"
    )
