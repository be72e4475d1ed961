"""Register a package as a version in MLflow's model registry."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.tracking.mlflow.mlmodel import write_mlmodel
from orchestrator.tracking.mlflow.runs import to_plain_report
from orchestrator.tracking.mlflow.store import KEY, Store, owner_tags
from orchestrator.tracking.registered_model import MEMORY

FINGERPRINT = "package_fingerprint"
RECENT = 100  # versions that a snapshot holds


def registered_versions(store: Store, model: str, fingerprint: str | None = None) -> dict[str, tuple[str, str]]:
    """Return package fingerprint -> (version, run_id), for the versions whose run still exists."""
    wanted = f"name = '{model}'" + (f" and tags.{FINGERPRINT} = '{fingerprint}'" if fingerprint else "")
    found = store.client.search_model_versions(wanted, max_results=RECENT)
    ids = ", ".join(f"'{one.run_id}'" for one in found if one.run_id)
    if not ids:
        return {}
    runs = store.client.search_runs([store.experiment_id], f"attributes.run_id IN ({ids})", max_results=RECENT)
    alive = {run.info.run_id for run in runs}
    registered = [one for one in found if FINGERPRINT in one.tags and one.run_id in alive and one.status == "READY"]
    return {one.tags[FINGERPRINT]: (str(one.version), str(one.run_id)) for one in sorted(registered, key=_number)}


def create_version(
    store: Store, package: Package, verification: Verification, report: Report, run_id: str
) -> ModelVersion:
    """Create a version: the model is uploaded and READY first; the version appears last and complete, with its tag."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    client, name = store.client, package.model_name
    model = _create_model(store, name, run_id, package.fingerprint, to_plain_report(report).best_params)
    try:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(package.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            write_mlmodel(Path(folder), name, run_id, model.model_id)
            location = model.artifact_location
            client.upload(location, Path(folder), lambda: client.log_model_artifacts(model.model_id, folder))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    output = LoggedModelOutput(model.model_id, step=0)
    client.create_once(
        lambda bare: bare.log_outputs(run_id, [output]), lambda bare: _has_output(bare, run_id, model.model_id)
    )
    with suppress(MlflowException):  # it exists already; the next call reports any other problem
        client.create_registered_model(name)
    key = uuid4().hex
    with use_as_default(store.uri):
        client.create_once(
            lambda bare: bare.create_model_version(
                name,
                source=f"models:/{model.model_id}",
                run_id=run_id,
                model_id=model.model_id,
                tags={FINGERPRINT: package.fingerprint, MEMORY: str(verification.memory_bytes), KEY: key},
                description=f"Package {package.short_id}; {verification.requests} golden requests answered in a clean process",
            ),
            lambda bare: next(iter(bare.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'")), None),
        )
    return _keep_first_version(store, package, key)


def _create_model(store: Store, name: str, run_id: str, fingerprint: str, params: Mapping[str, Any]) -> Any:
    """Create a logged model; if the answer was lost, return the one that was created."""
    key = uuid4().hex
    tags = owner_tags() | {FINGERPRINT: fingerprint, KEY: key}
    return store.client.create_once(
        lambda bare: bare.create_logged_model(
            store.experiment_id, name=name, source_run_id=run_id, tags=tags, params=params
        ),
        lambda bare: next(iter(bare.search_logged_models([store.experiment_id], f"tags.`{KEY}` = '{key}'")), None),
    )


def _has_output(client: Any, run_id: str, model_id: str) -> bool | None:
    outputs = client.get_run(run_id).outputs
    return True if outputs and model_id in {one.model_id for one in outputs.model_outputs} else None


def _keep_first_version(store: Store, package: Package, key: str) -> ModelVersion:
    """Return the first version of this package: of two that are registered concurrently, the later one is deleted."""
    from mlflow.exceptions import MlflowException

    wanted = f"name = '{package.model_name}' and tags.`{FINGERPRINT}` = '{package.fingerprint}'"
    registered = list(store.client.search_model_versions(wanted, max_results=RECENT))
    made = next(one for one in registered if one.tags.get(KEY) == key)
    # ignore versions that are not ready or whose run was deleted
    alive = [one for one in registered if one is made or (one.status == "READY" and _is_alive(store, one.run_id))]
    first = min(alive, key=_number)
    if first is not made:
        with suppress(MlflowException):  # without the permission to delete there are two versions
            store.client.delete_model_version(package.model_name, made.version)
            store.client.delete_logged_model(made.model_id)
    return ModelVersion(package.model_name, str(first.version), str(first.run_id), package)


def _is_alive(store: Store, run_id: str | None) -> bool:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        return bool(run_id) and store.client.get_run(run_id).info.lifecycle_stage == "active"
    return False


@contextmanager
def use_as_default(uri: str) -> Iterator[None]:
    """Make ``uri`` MLflow's default: its sqlite registry looks a version's model up there, whatever its own URI is."""
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        with _use_tracking_uri(uri):
            yield
    finally:  # it also sets the variable, and does not restore it
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _number(version: Any) -> int:
    return int(version.version)
