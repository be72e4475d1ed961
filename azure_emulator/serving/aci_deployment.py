"""Deployments: from a service that is asked for to a healthy instance or a failed operation."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tarfile
import time
from dataclasses import asdict
from pathlib import Path

from azure_emulator.common import errors
from azure_emulator.common.responses import EmulatorState
from azure_emulator.common.store import Document, now
from azure_emulator.containers import image, process
from azure_emulator.containers.image import ImageError
from azure_emulator.containers.instance import Instance, Spec, State
from azure_emulator.registry.models import files
from azure_emulator.serving import operations
from azure_emulator.storage.blobs import blob_file

_log = logging.getLogger("emulator")
TIME = 180.0  # for an instance to get healthy; Azure waits longer, which no test should wait for
FAULT_TIME = 3.0
CRASH = 'raise RuntimeError("emulator: the fault crash_loop was asked for")\n'
HANG = 'import time\n\nprint("emulator: the fault time_out was asked for")\ntime.sleep(86400)\n'


class DeploymentError(Exception):
    """Holds the failure document of Azure, and the state of the service from now on."""

    def __init__(self, state: str, document: Document) -> None:
        self.state = state
        self.document = document
        super().__init__(document["message"])


def resume(here: EmulatorState) -> None:
    """After a restart: go on with what was interrupted, and start the instances that are gone."""
    for service in here.store.all("service"):
        operation = here.store.get("operation", service["operationId"])
        folder = instance_folder(here, service["name"])
        if operation and operation["state"] == "Running":
            _in_background(here, service["name"], operation)
        elif service["state"] == "Healthy" and process.find(folder) is None:
            start(folder)


def _in_background(here: EmulatorState, name: str, operation: Document) -> None:
    here.deployments[name] = asyncio.create_task(_run(here, name, operation))


async def give_up(here: EmulatorState, service: Document) -> None:
    """End what is under way for the service, since something else is asked for now."""
    task = here.deployments.pop(service["name"], None)
    if task and not task.done():
        task.cancel()
        await asyncio.wait([task])
        if operation := here.store.get("operation", service["operationId"]):
            operations.finish(here.store, operation, errors.failure(409, "Cancelled", "Another request took its place"))


def begin(here: EmulatorState, service: Document) -> Document:
    """Deploy ``service`` in the background; the operation tells how it goes."""
    operation = operations.begin(here.store, service["name"], "BuildEnvironment")
    service |= {"state": "Transitioning", "error": None, "operationId": operation["id"], "updatedTime": now()}
    here.store.put("service", service["name"], service)
    _in_background(here, service["name"], operation)
    return operation


async def _run(here: EmulatorState, name: str, operation: Document) -> None:
    """Build the image, start the instance, and write down how it went."""
    try:
        await _deploy(here, name, operation)
    except DeploymentError as error:
        _end(here, name, operation, error.state, error.document)
    except Exception as error:  # noqa: BLE001  # a mistake of ours, or a disk that is full: the SDK must not wait for ever
        _log.exception("the deployment of %s broke", name)
        _end(here, name, operation, "Failed", errors.failure(500, "InternalServerError", f"emulator: {error!r}"))
    else:
        _end(here, name, operation, "Healthy", None)


def _end(here: EmulatorState, name: str, operation: Document, state: str, error: Document | None) -> None:
    service = here.store.get("service", name)
    if service and service["operationId"] == operation["id"]:  # or it was deleted or replaced meanwhile
        here.store.put("service", name, service | {"state": state, "error": error, "updatedTime": now()})
    operations.finish(here.store, operation, error)


async def _deploy(here: EmulatorState, name: str, operation: Document) -> None:
    service = here.store.get("service", name)
    assert service is not None
    log = operations.BuildLog(here.folder, operation["id"])
    request = service["environmentImageRequest"]
    recipe = image.read(request.get("environment") or {})
    if here.faults.strike("image_build_failure"):
        recipe = image.Recipe(recipe.python, ("--no-index", "emulator-fault-image-build-failure==1.0"), recipe.conda)
    try:
        async with here.building:
            built = await image.build(recipe, here.images, log.tell)
    except ImageError as error:
        raise DeploymentError("Failed", errors.build_failed(operation, str(error))) from error
    operations.step(here.store, operation, "DeployService")
    if here.faults.strike("quota"):
        raise DeploymentError("Failed", errors.no_cores(service))
    hang = here.faults.strike("time_out")
    crash = here.faults.strike("crash_loop")
    folder = instance_folder(here, name)
    await asyncio.to_thread(process.stop, folder)  # as an update in Azure does: the old one goes first
    lay_out(here, service, folder, built, before_driver=HANG if hang else CRASH if crash else "")
    start(folder)
    await _wait(Instance(folder), FAULT_TIME if hang else TIME)


async def _wait(instance: Instance, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(0.1)
        state = instance.state
        if state.state == "Healthy":
            return
        if state.state == "CrashLoopBackOff" or process.find(instance.folder) is None:
            raise DeploymentError("Failed", errors.crashed(instance.read_log()))
    raise DeploymentError("Unhealthy", errors.timed_out())


def instance_folder(here: EmulatorState, name: str) -> Path:
    """Where the instance of a service lives."""
    return here.folder / "services" / name


def start(folder: Path) -> None:
    """Start the instance that is laid out in ``folder``."""
    instance = Instance(folder)
    instance.write("state.json", asdict(State("Starting")))
    process.start(folder, "azure_emulator.containers.supervisor", str(folder))


def lay_out(here: EmulatorState, service: Document, folder: Path, built: Path, before_driver: str = "") -> None:
    """Write the files of an instance as Azure lays them out in a container; the log starts anew."""
    shutil.rmtree(folder, ignore_errors=True)
    app = folder / "app"
    app.mkdir(parents=True)
    request = service["environmentImageRequest"]
    driver = request["driverProgram"]
    for asset in request["assets"]:
        blob = blob_file(here.folder, asset["url"].removeprefix("aml://artifact/"))
        if asset.get("unpack"):
            with tarfile.open(blob) as archive:
                archive.extractall(app, filter="data")
        else:
            shutil.copyfile(blob, app / asset["id"])
    (app / driver).write_text(before_driver + (app / driver).read_text())
    models = [here.store.get("model", model_id) for model_id in request["modelIds"]]
    homes = [_put_model(here, app, model) for model in models if model]
    environment = (request.get("environment") or {}).get("environmentVariables") or {}
    # one model: its own folder; several: the folder above them all
    environment |= {"AZUREML_MODEL_DIR": homes[0] if len(homes) == 1 else "azureml-models"}
    environment.pop("AZUREML_ENTRY_SCRIPT", None)  # newer base images start without the driver; here it is the driver
    resources = service["containerResourceRequirements"]
    spec = Spec(
        image=str(built),
        app=str(app),
        driver=driver,
        environment=environment,
        memory_gb=resources["memoryInGB"],
        auth=bool(service["authEnabled"]),
        port=service["port"],
        server_port=free_port(),
    )
    instance = Instance(folder)
    instance.write("spec.json", asdict(spec))
    instance.write("keys.json", service["keys"])


def _put_model(here: EmulatorState, app: Path, model: Document) -> str:
    home = f"azureml-models/{model['name']}/{model['version']}"
    for path, artifact in files(here, model).items():
        target = app / home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(blob_file(here.folder, artifact), target)
    return home


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
