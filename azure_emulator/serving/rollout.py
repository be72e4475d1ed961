"""From a deployment that is asked for to a healthy instance behind its endpoint's entrance, or a failed operation."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from dataclasses import asdict
from pathlib import Path

from azure_emulator.common import addresses
from azure_emulator.common.responses import EmulatorState
from azure_emulator.common.store import Document, Store
from azure_emulator.containers import image, process
from azure_emulator.containers.image import ImageError
from azure_emulator.containers.instance import Instance, Spec
from azure_emulator.management import resource_manager
from azure_emulator.registry.assets_v2 import code_files, model_files
from azure_emulator.serving import operations
from azure_emulator.serving.aci_deployment import CRASH, FAULT_TIME, HANG, TIME, free_port, start
from azure_emulator.storage.blob_containers import ARTIFACTS

_log = logging.getLogger("emulator")
_GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg"
_MEMORY = {"standard_ds1_v2": 3.5, "standard_ds2_v2": 7.0}  # GB
_MOST_MEMORY = 14.0  # Standard_DS3_v2 and everything else: no machine of that size is needed here
_BYTES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ACCOUNT = addresses.BLOB_HOST.partition(".")[0]
_MODELS = "azureml-models"


class RolloutError(Exception):
    """Holds the error of the operation."""

    def __init__(self, code: str, message: str) -> None:
        self.document = resource_manager.problem(code, message)
        super().__init__(message)


def key(endpoint: str, name: str) -> str:
    """Of a deployment in the store."""
    return f"{endpoint}/{name}"


def deployments(store: Store, endpoint: str) -> list[Document]:
    """All of the endpoint."""
    return store.all("deployment", key(endpoint, ""))


def endpoint_folder(here: EmulatorState, name: str) -> Path:
    """Where the entrance of an endpoint lives, and below it the instances of its deployments."""
    return here.folder / "endpoints" / name


def instance_folder(here: EmulatorState, deployment: Document) -> Path:
    """Where the instance of a deployment lives; however many were asked for, here it is one."""
    return endpoint_folder(here, deployment["endpoint"]) / str(deployment["name"])


def open_entrance(here: EmulatorState, endpoint: Document) -> None:
    """Write down who may enter and where each request goes; start the entrance if it does not run."""
    folder = endpoint_folder(here, endpoint["name"])
    folder.mkdir(parents=True, exist_ok=True)
    entrance = Instance(folder)
    entrance.write("keys.json", endpoint["keys"] if endpoint["properties"]["authMode"] == "Key" else {})
    ports = {one["name"]: one["port"] for one in deployments(here.store, endpoint["name"])}
    shares = {name: endpoint["properties"][name] for name in ("traffic", "mirrorTraffic")}
    entrance.write("route.json", {"port": endpoint["port"], "ports": ports, **shares})
    if process.find(folder) is None:
        process.start(folder, "azure_emulator.containers.traffic_router", str(folder), str(here.folder))


def resume(here: EmulatorState) -> None:
    """After a restart: go on with what was interrupted, and start what is gone."""
    for endpoint in here.store.all("endpoint"):
        open_entrance(here, endpoint)
    for deployment in here.store.all("deployment"):
        folder = instance_folder(here, deployment)
        if resource_manager.under_way(here.store, deployment["operation"]):
            _in_background(here, deployment)
        elif deployment["properties"]["provisioningState"] == "Succeeded" and process.find(folder) is None:
            start(folder)


def begin(here: EmulatorState, deployment: Document) -> str:
    """Roll it out in the background; the operation tells how it goes."""
    deployment["operation"] = number = resource_manager.begin(here.store)
    here.store.put("deployment", key(deployment["endpoint"], deployment["name"]), deployment)
    _in_background(here, deployment)
    return number


def _in_background(here: EmulatorState, deployment: Document) -> None:
    name = key(deployment["endpoint"], deployment["name"])
    here.deployments[name] = asyncio.create_task(_run(here, deployment))


async def give_up(here: EmulatorState, deployment: Document) -> None:
    """End what is under way for the deployment, since something else is asked for now."""
    task = here.deployments.pop(key(deployment["endpoint"], deployment["name"]), None)
    if task and not task.done():
        task.cancel()
        await asyncio.wait([task])
    resource_manager.finish(
        here.store, deployment["operation"], resource_manager.problem("Cancelled", "Another request took its place")
    )


async def end(here: EmulatorState, deployment: Document) -> None:
    """Nothing is left of it."""
    await give_up(here, deployment)
    folder = instance_folder(here, deployment)
    await asyncio.to_thread(process.stop, folder)
    shutil.rmtree(folder, ignore_errors=True)
    here.store.delete("deployment", key(deployment["endpoint"], deployment["name"]))


async def _run(here: EmulatorState, deployment: Document) -> None:
    error = None
    try:
        await _roll_out(here, deployment)
    except RolloutError as failed:
        error = failed.document
    except Exception as broke:  # noqa: BLE001  # a mistake of ours, or a disk that is full: nobody must wait for ever
        _log.exception("the deployment of %s broke", deployment["name"])
        error = resource_manager.problem("InternalServerError", f"emulator: {broke!r}")
    deployment["properties"]["provisioningState"] = "Failed" if error else "Succeeded"
    here.store.put("deployment", key(deployment["endpoint"], deployment["name"]), deployment)
    if endpoint := here.store.get("endpoint", deployment["endpoint"]):
        open_entrance(here, endpoint)
    resource_manager.finish(here.store, deployment["operation"], error)


async def _roll_out(here: EmulatorState, deployment: Document) -> None:
    properties = deployment["properties"]
    if here.faults.strike("quota"):
        if properties["endpointComputeType"] == "Kubernetes":
            nodes = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory"
            raise RolloutError("PodUnschedulable", f"The pod could not be scheduled: {nodes}. {_GUIDE}")
        kind = properties["instanceType"]
        text = (
            f"Not enough quota available for {kind} in SubscriptionId. Current usage/limit: 0/0. Additional needed: 4"
        )
        raise RolloutError("OutOfQuota", f"{text}. {_GUIDE}#error-outofquota")
    asset = _asset(properties["environmentId"], "environments", "\n")
    recipe = image.read(here.store.get("environment", asset) or {})
    if here.faults.strike("image_build_failure"):
        recipe = image.Recipe(recipe.python, ("--no-index", "emulator-fault-image-build-failure==1.0"), recipe.conda)
    log = operations.BuildLog(here.folder, deployment["operation"])
    try:
        async with here.building:
            built = await image.build(recipe, here.images, log.tell)
    except ImageError as error:
        where = f"storage account '{_ACCOUNT}' in the container '{ARTIFACTS}' at the path '{log.path}'"
        text = f"Environment image build failed: {error}. The build log is under the {where}. {_GUIDE}"
        raise RolloutError("ImageBuildFailure", f"{text}#error-imagebuildfailure") from error
    hang, crash = here.faults.strike("time_out"), here.faults.strike("crash_loop")
    folder = instance_folder(here, deployment)
    await asyncio.to_thread(process.stop, folder)
    _lay_out(here, deployment, built, HANG if hang else CRASH if crash else "")
    start(folder)
    await _wait(Instance(folder), FAULT_TIME if hang else TIME)


async def _wait(instance: Instance, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(0.1)
        state = instance.state.state
        if state == "Healthy":
            return
        if state == "CrashLoopBackOff" or process.find(instance.folder) is None:
            text = "User container has crashed or terminated"
            raise RolloutError("ResourceNotReady", f"{text}. {_GUIDE}#error-resourcenotready")
    text = "User container did not get ready in time: the readiness probe failed"
    raise RolloutError("ResourceNotReady", f"{text}. {_GUIDE}#error-resourcenotready")


def _lay_out(here: EmulatorState, deployment: Document, built: Path, before_script: str) -> None:
    """Write the files of an instance as Azure lays them out in a container; the log starts anew."""
    folder = instance_folder(here, deployment)
    shutil.rmtree(folder, ignore_errors=True)
    app, properties = folder / "app", deployment["properties"]
    code = here.store.get("code", _asset(properties["codeConfiguration"]["codeId"], "codes", "\n")) or {}
    script = properties["codeConfiguration"]["scoringScript"]
    _copy(code_files(here, code), app)
    (app / script).write_text(_first(before_script, (app / script).read_text()))
    model = here.store.get("model", _asset(properties["model"], "models", ":")) or {}
    home = f"{_MODELS}/{model['name']}/{model['version']}"
    _copy(model_files(here, model), app / home)
    spec = Spec(
        image=str(built),
        app=str(app),
        driver=script,
        environment={**(properties.get("environmentVariables") or {}), "AZUREML_MODEL_DIR": str(app / home)},
        memory_gb=_memory(properties),
        auth=False,  # the entrance asks for the key
        port=deployment["port"],
        server_port=free_port(),
    )
    instance = Instance(folder)
    instance.write("spec.json", asdict(spec))
    instance.write("keys.json", {})


def _memory(properties: Document) -> float:
    """Return the GiB that the container may take: of a machine of this kind, or as its limits on Kubernetes say."""
    limits = (properties.get("containerResourceRequirements") or {}).get("containerResourceLimits") or {}
    if given := re.fullmatch(r"([\d.]+)([KMGT]i|[kMGT]?)", str(limits.get("memory") or "")):
        return float(given[1]) * _BYTES[given[2]] / 2**30
    return _MEMORY.get(str(properties.get("instanceType")).lower(), _MOST_MEMORY)


def _first(line: str, script: str) -> str:
    """What a fault does comes before everything, but for what Python wants to have at the very top."""
    future = "from __future__ import annotations\n"
    return f"{future}{line}{script.replace(future, '', 1)}" if line else script


def _copy(files: dict[str, Path], home: Path) -> None:
    for path, file in files.items():
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _asset(identifier: str, plural: str, separator: str) -> str:
    """The key in the store of ``.../models/name/versions/3``."""
    name, _, version = identifier.rpartition(f"/{plural}/")[2].partition("/versions/")
    return f"{name}{separator}{version}"
