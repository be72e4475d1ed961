"""Models: a package as a version in MLflow's model registry, loadable by ``mlflow.pyfunc``."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from orchestrator.artifacts import ModelVersion, Package, Proof, Registry, Report
from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow.runs import plain
from orchestrator.tracking.mlflow.store import KEY, Store, owner

FINGERPRINT, CHAMPION = "package_fingerprint", "champion"
TYPES: dict[type, str] = {bool: "boolean", int: "long", float: "double", str: "string"}
KINDS = {"integer": "long", "number": "double", "boolean": "boolean", "string": "string"}
RECENT = 100  # versions that a memo remembers
PAGE = 1000  # versions that are asked for at once


def versions(store: Store, model: str, fingerprint: str | None = None) -> dict[str, tuple[str, str]]:
    """Package fingerprint -> (version, run_id), of the versions whose run is still there."""
    wanted = f"name = '{model}'" + (f" and tags.{FINGERPRINT} = '{fingerprint}'" if fingerprint else "")
    found = store.client.search_model_versions(wanted, max_results=RECENT)
    ids = ", ".join(f"'{one.run_id}'" for one in found if one.run_id)
    if not ids:
        return {}
    runs = store.client.search_runs([store.experiment_id], f"attributes.run_id IN ({ids})", max_results=RECENT)
    alive = {run.info.run_id for run in runs}
    held = [one for one in found if FINGERPRINT in one.tags and one.run_id in alive and one.status == "READY"]
    return {one.tags[FINGERPRINT]: (str(one.version), str(one.run_id)) for one in sorted(held, key=_number)}


def champion(store: Store, model: str) -> Any:
    """The version that the alias points at, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version_by_alias(model, CHAMPION)
    except MlflowException:  # no such model, or no such alias
        return None


def look_up(store: Store, model: str) -> Registry:
    """Every version of the model with its package, whether or not its run is still there."""
    held: dict[str, str] = {}
    page, token = None, None
    while page is None or token:
        page = store.client.search_model_versions(f"name = '{model}'", max_results=PAGE, page_token=token)
        held |= {str(one.version): one.tags.get(FINGERPRINT, "") for one in page}
        token = page.token
    best = champion(store, model) if held else None
    return Registry(held, str(best.version) if best is not None else None)


def promote(store: Store, version: ModelVersion) -> None:
    """Point the alias at this version, if it does not yet.

    Raises:
        TrackingError: the registry does not hold the version, or another package under its number.
    """
    from mlflow.exceptions import MlflowException

    held = champion(store, version.name)
    moves = held is None or str(held.version) != version.version
    if moves:
        try:
            held = store.client.get_model_version(version.name, version.version)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            held = None
    if held is None or held.tags.get(FINGERPRINT) != version.package.fingerprint:
        raise TrackingError(gone(version))
    if moves:
        store.client.set_registered_model_alias(version.name, CHAMPION, version.version)


def gone(version: ModelVersion) -> str:
    """What is wrong with a version that the registry does not hold."""
    return (
        f"tracking: version {version.version} of '{version.name}' is not in the registry, or is another package there "
        "(deleted, or the model was renamed?); register it again with stages=package"
    )


def create(store: Store, package: Package, proof: Proof, report: Report, run_id: str) -> ModelVersion:
    """A new version: the model is written and READY first, the version appears last and whole, its tag with it."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    client, name = store.client, package.model_name
    params = {key: value[:250] for key, value in plain(report).best_params.items()}
    model = _create_model(store, name, run_id, package.fingerprint, params)
    try:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(package.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            describe(Path(folder), name, run_id, model.model_id)
            location = model.artifact_location
            client.upload(location, Path(folder), lambda: client.log_model_artifacts(model.model_id, folder))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    output = LoggedModelOutput(model.model_id, step=0)
    client.once(lambda bare: bare.log_outputs(run_id, [output]), lambda bare: _has_output(bare, run_id, model.model_id))
    with suppress(MlflowException):  # there already; what else may be wrong, the next call tells
        client.create_registered_model(name)
    key = uuid4().hex
    with as_default(store.uri):
        client.once(
            lambda bare: bare.create_model_version(
                name,
                source=f"models:/{model.model_id}",
                run_id=run_id,
                model_id=model.model_id,
                tags={FINGERPRINT: package.fingerprint, KEY: key},
                description=f"Package {package.short_id}; {proof.requests} golden requests proven in a clean process",
            ),
            lambda bare: next(iter(bare.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'")), None),
        )
    return _settled(store, package, key)


def _create_model(store: Store, name: str, run_id: str, fingerprint: str, params: Mapping[str, str]) -> Any:
    """A new logged model; where the answer of its creation was lost, the one that was created."""
    key = uuid4().hex
    tags = owner() | {FINGERPRINT: fingerprint, KEY: key}
    return store.client.once(
        lambda bare: bare.create_logged_model(
            store.experiment_id, name=name, source_run_id=run_id, tags=tags, params=params
        ),
        lambda bare: next(iter(bare.search_logged_models([store.experiment_id], f"tags.`{KEY}` = '{key}'")), None),
    )


def _has_output(client: Any, run_id: str, model_id: str) -> bool | None:
    outputs = client.get_run(run_id).outputs
    return True if outputs and model_id in {one.model_id for one in outputs.model_outputs} else None


def _settled(store: Store, package: Package, key: str) -> ModelVersion:
    """The first version of this package: two users may register it at the same moment, and the later one gives way."""
    from mlflow.exceptions import MlflowException

    wanted = f"name = '{package.model_name}' and tags.`{FINGERPRINT}` = '{package.fingerprint}'"
    held = list(store.client.search_model_versions(wanted, max_results=RECENT))
    made = next(one for one in held if one.tags.get(KEY) == key)
    # a version that is not ready, or whose run was deleted, has no part in it
    alive = [one for one in held if one is made or (one.status == "READY" and _is_alive(store, one.run_id))]
    first = min(alive, key=_number)
    if first is not made:
        with suppress(MlflowException):  # without the right to delete there are two versions of it
            store.client.delete_model_version(package.model_name, made.version)
            store.client.delete_logged_model(made.model_id)
    return ModelVersion(package.model_name, str(first.version), str(first.run_id), package)


def _is_alive(store: Store, run_id: str | None) -> bool:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        return bool(run_id) and store.client.get_run(run_id).info.lifecycle_stage == "active"
    return False


@contextmanager
def as_default(uri: str) -> Iterator[None]:
    """Make ``uri`` MLflow's default, where its sqlite registry looks a version's model up whatever its own URI is."""
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        with _use_tracking_uri(uri):
            yield
    finally:  # it sets the variable too, and does not put it back
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def describe(folder: Path, name: str, run_id: str, model_id: str | None) -> None:
    """Add to a package's files what makes the folder an MLflow model: ``MLmodel`` and its input example."""
    from mlflow import pyfunc
    from mlflow.models import Model

    contract = json.loads((folder / "contract.json").read_text())
    columns = contract["columns"]
    frame = {"columns": [one["name"] for one in columns], "data": [[one.get("example") for one in columns]]}
    (folder / "input_example.json").write_text(json.dumps(frame))
    (folder / "serving_input_example.json").write_text(json.dumps({"dataframe_split": frame}))
    example = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }
    model = Model(
        artifact_path=name,
        run_id=run_id,
        model_id=model_id,
        signature=_signature(contract),
        saved_input_example_info=example,
        metadata={"contract": contract.get("fingerprint", "")},
    )
    pyfunc.add_to_model(model, loader_module="score.pyfunc", data=".", code=".", conda_env="conda.yaml")
    model.save(str(folder / "MLmodel"))


def _signature(contract: Mapping[str, Any]) -> Any:
    """The contract in MLflow's words."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    def type_of(column: Mapping[str, Any]) -> Any:
        if column["kind"] == "category":
            return _common(column["categories"], AnyType())
        if column["missing"]:  # MLflow knows no missing whole number or boolean
            return {"integer": "double", "boolean": AnyType()}.get(column["kind"], KINDS[column["kind"]])
        return KINDS[column["kind"]]

    inputs = [ColSpec(type_of(one), one["name"], required=not one["missing"]) for one in contract["columns"]]
    return ModelSignature(
        inputs=Schema(inputs), outputs=Schema([ColSpec(_common(contract["classes"] or [0.0], "string"))])
    )


def _common(values: Sequence[Any], otherwise: Any) -> Any:
    """MLflow's type of values that are all of one kind."""
    kinds = {type(value) for value in values}
    return TYPES.get(kinds.pop(), otherwise) if len(kinds) == 1 else otherwise


def _number(version: Any) -> int:
    return int(version.version)
