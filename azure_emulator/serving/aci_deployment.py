"""Deployment of a web service on container instances: image build, files, start, and the outcome of the operation."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tarfile
from dataclasses import asdict
from pathlib import Path

from azure_emulator.common import errors
from azure_emulator.common.responses import EmulatorState
from azure_emulator.common.store import Document, now
from azure_emulator.containers import process
from azure_emulator.containers.image import ImageError
from azure_emulator.containers.instance import Instance, Spec
from azure_emulator.registry.assets_v2 import model_files
from azure_emulator.serving import launch, operations
from azure_emulator.storage.blobs import blob_file

_log = logging.getLogger("emulator")


class DeploymentError(Exception):
    """A failed deployment: Azure's failure document, and the resulting state of the service."""

    def __init__(self, state: str, document: Document) -> None:
        self.state = state
        self.document = document
        super().__init__(document["message"])


def resume(emulator: EmulatorState) -> None:
    """Continue interrupted deployments after a restart, and start instances that are gone."""
    for service in emulator.store.all("service"):
        operation = emulator.store.get("operation", service["operationId"])
        folder = instance_folder(emulator, service["name"])
        if operation and operation["state"] == "Running":
            _in_background(emulator, service["name"], operation)
        elif service["state"] == "Healthy" and process.find(folder) is None:
            launch.start(folder)


def _in_background(emulator: EmulatorState, name: str, operation: Document) -> None:
    emulator.deployments[name] = asyncio.create_task(_run(emulator, name, operation))


async def cancel(emulator: EmulatorState, service: Document) -> None:
    """Cancel the running deployment of the service, if there is one: another request replaces it."""
    task = emulator.deployments.pop(service["name"], None)
    if task and not task.done():
        task.cancel()
        await asyncio.wait([task])
        if operation := emulator.store.get("operation", service["operationId"]):
            operations.finish(
                emulator.store, operation, errors.failure(409, "Cancelled", "Another request took its place")
            )


def begin(emulator: EmulatorState, service: Document) -> Document:
    """Deploy ``service`` in the background; return the operation to poll."""
    operation = operations.begin(emulator.store, service["name"], "BuildEnvironment")
    service |= {"state": "Transitioning", "error": None, "operationId": operation["id"], "updatedTime": now()}
    emulator.store.put("service", service["name"], service)
    _in_background(emulator, service["name"], operation)
    return operation


async def _run(emulator: EmulatorState, name: str, operation: Document) -> None:
    """Deploy the service and record the outcome."""
    try:
        await _deploy(emulator, name, operation)
    except DeploymentError as error:
        _record(emulator, name, operation, error.state, error.document)
    except Exception as error:  # noqa: BLE001  # a bug, or a full disk: the SDK must not wait for ever
        _log.exception("the deployment of %s broke", name)
        _record(emulator, name, operation, "Failed", errors.failure(500, "InternalServerError", f"emulator: {error!r}"))
    else:
        _record(emulator, name, operation, "Healthy", None)


def _record(emulator: EmulatorState, name: str, operation: Document, state: str, error: Document | None) -> None:
    service = emulator.store.get("service", name)
    if service and service["operationId"] == operation["id"]:  # else it was deleted or replaced meanwhile
        emulator.store.put("service", name, service | {"state": state, "error": error, "updatedTime": now()})
    operations.finish(emulator.store, operation, error)


async def _deploy(emulator: EmulatorState, name: str, operation: Document) -> None:
    service = emulator.store.get("service", name)
    assert service is not None
    log = operations.BuildLog(emulator.folder, operation["id"])
    request = service["environmentImageRequest"]
    try:
        built = await launch.build_image(emulator, request.get("environment") or {}, log.write_line)
    except ImageError as error:
        raise DeploymentError("Failed", errors.build_failed(operation, str(error))) from error
    operations.step(emulator.store, operation, "DeployService")
    if emulator.faults.trigger("quota"):
        raise DeploymentError("Failed", errors.no_cores(service))
    fault_code, seconds = launch.startup_fault(emulator)
    folder = instance_folder(emulator, name)
    await asyncio.to_thread(process.stop, folder)  # as in Azure, an update stops the old instance first
    write_instance(emulator, service, folder, built, fault_code=fault_code)
    launch.start(folder)
    state = await launch.wait_until_healthy(folder, seconds)
    if state.state == "CrashLoopBackOff":
        raise DeploymentError("Failed", errors.crashed(Instance(folder).read_log()))
    if state.state != "Healthy":
        raise DeploymentError("Unhealthy", errors.timed_out())


def instance_folder(emulator: EmulatorState, name: str) -> Path:
    """Return the folder of a service's instance."""
    return emulator.folder / "services" / name


def write_instance(emulator: EmulatorState, service: Document, folder: Path, built: Path, fault_code: str = "") -> None:
    """Write the files of an instance in the layout of Azure's containers, with an empty log."""
    shutil.rmtree(folder, ignore_errors=True)
    app = folder / "app"
    app.mkdir(parents=True)
    request = service["environmentImageRequest"]
    driver = request["driverProgram"]
    for asset in request["assets"]:
        blob = blob_file(emulator.folder, asset["url"].removeprefix("aml://artifact/"))
        if asset.get("unpack"):
            with tarfile.open(blob) as archive:
                archive.extractall(app, filter="data")
        else:
            shutil.copyfile(blob, app / asset["id"])
    (app / driver).write_text(fault_code + (app / driver).read_text())
    models = [emulator.store.get("model", model_id) for model_id in request["modelIds"]]
    homes = [_put_model(emulator, app, model) for model in models if model]
    environment = (request.get("environment") or {}).get("environmentVariables") or {}
    # one model: its own folder; several: their parent
    environment |= {"AZUREML_MODEL_DIR": homes[0] if len(homes) == 1 else "azureml-models"}
    environment.pop("AZUREML_ENTRY_SCRIPT", None)  # set by newer base images, which start without a driver
    resources = service["containerResourceRequirements"]
    spec = Spec(
        image=str(built),
        app=str(app),
        driver=driver,
        environment=environment,
        memory_gb=resources["memoryInGB"],
        auth=bool(service["authEnabled"]),
        port=service["port"],
        server_port=launch.free_port(),
    )
    instance = Instance(folder)
    instance.write("spec.json", asdict(spec))
    instance.write("keys.json", service["keys"])


def _put_model(emulator: EmulatorState, app: Path, model: Document) -> str:
    home = f"azureml-models/{model['name']}/{model['version']}"
    for path, file in model_files(emulator, model).items():
        target = app / home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return home
