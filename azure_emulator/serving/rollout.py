"""Rollout of an online deployment: image build, files, start, traffic router, and the outcome of the operation."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from dataclasses import asdict
from pathlib import Path

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState
from azure_emulator.common.store import Document, Store
from azure_emulator.containers import process
from azure_emulator.containers.image import ImageError
from azure_emulator.containers.instance import Instance, Spec
from azure_emulator.management import resource_manager
from azure_emulator.registry.assets_v2 import code_files, model_files
from azure_emulator.serving import launch, operations
from azure_emulator.storage.blob_containers import ARTIFACTS

_log = logging.getLogger("emulator")
_TROUBLESHOOTING = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg"
_MEMORY = {"standard_ds1_v2": 3.5, "standard_ds2_v2": 7.0}  # GB
_DEFAULT_MEMORY = 14.0  # of Standard_DS3_v2; taken for every other type
_BYTES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ACCOUNT = addresses.BLOB_HOST.partition(".")[0]
_MODELS = "azureml-models"


class RolloutError(Exception):
    """A failed rollout: the error of the operation."""

    def __init__(self, code: str, message: str) -> None:
        self.document = resource_manager.error_document(code, message)
        super().__init__(message)


def deployment_key(endpoint: str, name: str) -> str:
    """Return the key of a deployment in the store."""
    return f"{endpoint}/{name}"


def deployments(store: Store, endpoint: str) -> list[Document]:
    """Return the deployments of an endpoint."""
    return store.all("deployment", deployment_key(endpoint, ""))


def endpoint_folder(emulator: EmulatorState, name: str) -> Path:
    """Return the folder of an endpoint's traffic router, with the instances of its deployments below."""
    return emulator.folder / "endpoints" / name


def instance_folder(emulator: EmulatorState, deployment: Document) -> Path:
    """Return the folder of a deployment's instance: one, however many were requested."""
    return endpoint_folder(emulator, deployment["endpoint"]) / str(deployment["name"])


def configure_router(emulator: EmulatorState, endpoint: Document) -> None:
    """Write the keys and routes of an endpoint's traffic router; start it if it does not run."""
    folder = endpoint_folder(emulator, endpoint["name"])
    folder.mkdir(parents=True, exist_ok=True)
    router = Instance(folder)
    router.write("keys.json", endpoint["keys"] if endpoint["properties"]["authMode"] == "Key" else {})
    ports = {deployment["name"]: deployment["port"] for deployment in deployments(emulator.store, endpoint["name"])}
    shares = {name: endpoint["properties"][name] for name in ("traffic", "mirrorTraffic")}
    router.write("route.json", {"port": endpoint["port"], "ports": ports, **shares})
    if process.find(folder) is None:
        process.start(folder, "azure_emulator.containers.traffic_router", str(folder), str(emulator.folder))


def resume(emulator: EmulatorState) -> None:
    """Continue interrupted rollouts after a restart, and start routers and instances that are gone."""
    for endpoint in emulator.store.all("endpoint"):
        configure_router(emulator, endpoint)
    for deployment in emulator.store.all("deployment"):
        folder = instance_folder(emulator, deployment)
        if resource_manager.is_running(emulator.store, deployment["operation"]):
            _in_background(emulator, deployment)
        elif deployment["properties"]["provisioningState"] == "Succeeded" and process.find(folder) is None:
            launch.start(folder)


def begin(emulator: EmulatorState, deployment: Document) -> str:
    """Roll ``deployment`` out in the background; return the id of the operation to poll."""
    deployment["operation"] = number = resource_manager.begin(emulator.store)
    emulator.store.put("deployment", deployment_key(deployment["endpoint"], deployment["name"]), deployment)
    _in_background(emulator, deployment)
    return number


def _in_background(emulator: EmulatorState, deployment: Document) -> None:
    name = deployment_key(deployment["endpoint"], deployment["name"])
    emulator.deployments[name] = asyncio.create_task(_run(emulator, deployment))


async def cancel(emulator: EmulatorState, deployment: Document) -> None:
    """Cancel the running rollout of the deployment, if there is one: another request replaces it."""
    task = emulator.deployments.pop(deployment_key(deployment["endpoint"], deployment["name"]), None)
    if task and not task.done():
        task.cancel()
        await asyncio.wait([task])
    resource_manager.finish(
        emulator.store,
        deployment["operation"],
        resource_manager.error_document("Cancelled", "Another request took its place"),
    )


async def delete(emulator: EmulatorState, deployment: Document) -> None:
    """Stop the deployment and delete everything that belongs to it."""
    await cancel(emulator, deployment)
    folder = instance_folder(emulator, deployment)
    await asyncio.to_thread(process.stop, folder)
    shutil.rmtree(folder, ignore_errors=True)
    emulator.store.delete("deployment", deployment_key(deployment["endpoint"], deployment["name"]))


async def _run(emulator: EmulatorState, deployment: Document) -> None:
    error = None
    try:
        await _roll_out(emulator, deployment)
    except RolloutError as failed:
        error = failed.document
    except Exception as broke:  # noqa: BLE001  # a bug, or a full disk: the SDK must not wait for ever
        _log.exception("the deployment of %s broke", deployment["name"])
        error = resource_manager.error_document("InternalServerError", f"emulator: {broke!r}")
    deployment["properties"]["provisioningState"] = "Failed" if error else "Succeeded"
    emulator.store.put("deployment", deployment_key(deployment["endpoint"], deployment["name"]), deployment)
    if endpoint := emulator.store.get("endpoint", deployment["endpoint"]):
        configure_router(emulator, endpoint)
    resource_manager.finish(emulator.store, deployment["operation"], error)


async def _roll_out(emulator: EmulatorState, deployment: Document) -> None:
    properties = deployment["properties"]
    if emulator.faults.trigger("quota"):
        if properties["endpointComputeType"] == "Kubernetes":
            nodes = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory"
            raise RolloutError("PodUnschedulable", f"The pod could not be scheduled: {nodes}. {_TROUBLESHOOTING}")
        kind = properties["instanceType"]
        text = (
            f"Not enough quota available for {kind} in SubscriptionId. Current usage/limit: 0/0. Additional needed: 4"
        )
        raise RolloutError("OutOfQuota", f"{text}. {_TROUBLESHOOTING}#error-outofquota")
    environment = emulator.store.get("environment", _asset_key(properties["environmentId"], "environments", "\n"))
    log = operations.BuildLog(emulator.folder, deployment["operation"])
    try:
        built = await launch.build_image(emulator, environment or {}, log.write_line)
    except ImageError as error:
        where = f"storage account '{_ACCOUNT}' in the container '{ARTIFACTS}' at the path '{log.path}'"
        text = f"Environment image build failed: {error}. The build log is under the {where}. {_TROUBLESHOOTING}"
        raise RolloutError("ImageBuildFailure", f"{text}#error-imagebuildfailure") from error
    fault_code, seconds = launch.startup_fault(emulator)
    folder = instance_folder(emulator, deployment)
    await asyncio.to_thread(process.stop, folder)
    _write_instance(emulator, deployment, built, fault_code)
    launch.start(folder)
    state = await launch.wait_until_healthy(folder, seconds)
    if state.state != "Healthy":
        text = "User container did not get ready in time: the readiness probe failed"
        if state.state == "CrashLoopBackOff":
            text = "User container has crashed or terminated"
        raise RolloutError("ResourceNotReady", f"{text}. {_TROUBLESHOOTING}#error-resourcenotready")


def _write_instance(emulator: EmulatorState, deployment: Document, built: Path, fault_code: str) -> None:
    """Write the files of an instance in the layout of Azure's containers, with an empty log."""
    folder = instance_folder(emulator, deployment)
    shutil.rmtree(folder, ignore_errors=True)
    app, properties = folder / "app", deployment["properties"]
    code = emulator.store.get("code", _asset_key(properties["codeConfiguration"]["codeId"], "codes", "\n")) or {}
    script = properties["codeConfiguration"]["scoringScript"]
    _copy(code_files(emulator, code), app)
    (app / script).write_text(_prepend(fault_code, (app / script).read_text()))
    model = emulator.store.get("model", _asset_key(properties["model"], "models", ":")) or {}
    home = f"{_MODELS}/{model['name']}/{model['version']}"
    _copy(model_files(emulator, model), app / home)
    spec = Spec(
        image=str(built),
        app=str(app),
        driver=script,
        environment={**(properties.get("environmentVariables") or {}), "AZUREML_MODEL_DIR": str(app / home)},
        memory_gb=_memory(properties),
        auth=False,  # the traffic router checks the key
        port=deployment["port"],
        server_port=launch.free_port(),
    )
    instance = Instance(folder)
    instance.write("spec.json", asdict(spec))
    instance.write("keys.json", {})


def _memory(properties: Document) -> float:
    """Return the memory limit in GiB: of the instance type, or from the container's limits on Kubernetes."""
    limits = (properties.get("containerResourceRequirements") or {}).get("containerResourceLimits") or {}
    if limit := re.fullmatch(r"([\d.]+)([KMGT]i|[kMGT]?)", str(limits.get("memory") or "")):
        return float(limit[1]) * _BYTES[limit[2]] / 2**30
    return _MEMORY.get(str(properties.get("instanceType")).lower(), _DEFAULT_MEMORY)


def _prepend(line: str, script: str) -> str:
    """Put code before a script, but after its ``__future__`` import."""
    future = "from __future__ import annotations\n"
    return f"{future}{line}{script.replace(future, '', 1)}" if line else script


def _copy(files: dict[str, Path], home: Path) -> None:
    for path, file in files.items():
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _asset_key(identifier: str, plural: str, separator: str) -> str:
    """Return the key in the store of ``.../models/name/versions/3``."""
    name, _, version = identifier.rpartition(f"/{plural}/")[2].partition("/versions/")
    return f"{name}{separator}{version}"
