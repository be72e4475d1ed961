"""Versions that are in MLflow's model registry: look them up, move the champion, download a package, add files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.artifacts import ModelVersion
from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow.models import FINGERPRINT
from orchestrator.tracking.mlflow.runs import PARENT
from orchestrator.tracking.mlflow.store import Store
from orchestrator.tracking.registered_model import (
    CHALLENGER,
    CHAMPION,
    GATE,
    GATE_REASON,
    MEMORY,
    REPLACED,
    REPORT,
    TURN,
    RegisteredEntry,
    RegisteredModel,
    TrainingRecord,
)

PAGE = 1000  # versions per request
RUNS = 100  # runs per request
LOGGED_MODEL = "models:/"  # the source of a version, before the id of its logged model


def get_champion(store: Store, model: str) -> Any:
    """Return the version that the alias points at, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version_by_alias(model, CHAMPION)
    except MlflowException:  # no such model, or no such alias
        return None


def look_up(store: Store, model: str) -> RegisteredModel:
    """Return every version of the model with its package, whether or not its run still exists."""
    from mlflow.exceptions import MlflowException

    entries: dict[str, RegisteredEntry] = {}
    page, token = None, None
    while page is None or token:
        page = store.client.search_model_versions(f"name = '{model}'", max_results=PAGE, page_token=token)
        entries |= {str(one.version): entry_of(one) for one in page}
        token = page.token
    aliases: Mapping[str, Any] = {}
    if entries:
        with suppress(MlflowException):  # it was deleted or renamed meanwhile
            aliases = store.client.get_registered_model(model).aliases or {}
    # before 3.17 MLflow leaves the alias of a version that is deleted
    left = {name: str(number) for name, number in aliases.items() if str(number) in entries}
    return RegisteredModel.of(entries, left)


def entry_of(version: Any) -> RegisteredEntry:
    """Return what one of MLflow's versions says of itself."""
    memory, turn = version.tags.get(MEMORY, ""), version.tags.get(TURN, "")
    return RegisteredEntry(
        version.tags.get(FINGERPRINT, ""),
        str(version.run_id) if version.run_id else None,
        (version.creation_timestamp or 0) / 1000,
        int(memory) if memory.isdecimal() else 0,
        version.tags.get(REPLACED, ""),
        int(turn) if turn.isdecimal() else 0,
        ": ".join(version.tags[name] for name in (GATE, GATE_REASON) if name in version.tags),
    )


def describe(store: Store, registry: RegisteredModel, *, one_by_one: bool = False) -> dict[str, TrainingRecord]:
    """Return what the runs of the versions recorded, by the version's number; a version without its run is left out.

    ``one_by_one`` is for a server that finds no runs by a list of ids.
    """
    run_ids = {number: entry.run_id for number, entry in registry.entries.items() if entry.run_id}
    wanted = sorted(set(filter(None, run_ids.values())))
    runs = {run.info.run_id: run for run in _runs(store, wanted, RUNS if not one_by_one else 0)}
    return {number: _training(runs[run_id]) for number, run_id in run_ids.items() if run_id in runs}


def _runs(store: Store, run_ids: list[str], page: int) -> Iterator[Any]:
    """Yield these runs, ``page`` with one request; deleted ones and those of other experiments are fetched one by one."""
    from mlflow.exceptions import MlflowException

    found = set()
    for start in range(0, len(run_ids), page) if page else ():
        names = ", ".join(f"'{run_id}'" for run_id in run_ids[start : start + page])
        for run in store.client.search_runs([store.experiment_id], f"attributes.run_id IN ({names})", max_results=page):
            found.add(run.info.run_id)
            yield run
    for run_id in (one for one in run_ids if one not in found):
        with suppress(MlflowException):  # it was deleted for good
            yield store.client.get_run(run_id)


def _training(run: Any) -> TrainingRecord:
    params, tags = run.data.params, run.data.tags
    return TrainingRecord(
        dict(run.data.metrics),
        params.get("search.refit", ""),
        Path(params.get("data.path", "")).name,
        tags.get("data_fingerprint", ""),
        tags.get(PARENT, ""),
    )


def promote(store: Store, version: ModelVersion) -> None:
    """Point the alias at this version, if it does not already; its tags say which one was the champion before it.

    Raises:
        TrackingError: the registry does not hold the version, or another package under its number.
    """
    registry = look_up(store, version.name)
    if not registry.holds(version):
        raise TrackingError(missing_version_message(version))
    tags = dict(registry.promotion_tags(version.version))
    turn = tags.pop(TURN, "")
    for name, value in tags.items():
        store.client.set_model_version_tag(version.name, version.version, name, value)
    if registry.champion != version.version:
        store.client.set_registered_model_alias(version.name, CHAMPION, version.version)
    if turn:
        store.client.set_model_version_tag(version.name, version.version, TURN, turn)
    if registry.aliases.get(CHALLENGER) == version.version:
        store.client.delete_registered_model_alias(version.name, CHALLENGER)


def get_version(store: Store, model: str, number: str) -> Any:
    """Return the version of this number, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version(model, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def missing_version_message(version: ModelVersion) -> str:
    """Format the error of a version that the registry does not hold."""
    return (
        f"tracking: version {version.version} of '{version.name}' is not in the registry, or is another package there "
        "(deleted, or the model was renamed?); register it again with stages=package"
    )


def download(store: Store, version: ModelVersion, folder: Path) -> None:
    """Download the version's files into an existing, empty folder.

    Raises:
        TrackingError: the version, its files or the place where they lie cannot be found.
    """
    registered = get_version(store, version.name, version.version)
    if registered is None:
        raise TrackingError(missing_version_message(version))
    location = _location(store, registered)
    if location:
        store.client.download(location, folder)
    if not location or not any(folder.iterdir()):
        raise TrackingError(
            f"tracking: the files of version {version.version} of '{version.name}' are not in "
            f"{location or 'the store'}: they were deleted, or this machine cannot reach them; register it again with "
            "stages=package where it was trained, or choose another package.version"
        )


def attach(store: Store, version: ModelVersion, run_id: str, files: Mapping[str, bytes]) -> None:
    """Write files beside the package of a version, where it is a logged model, and tag it with the first one of its run."""
    registered = get_version(store, version.name, version.version)
    if registered is None:  # deleted meanwhile
        return
    source, location = str(registered.source), _location(store, registered)
    if location and location != source:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            whole = partial(store.client.log_model_artifacts, source.removeprefix(LOGGED_MODEL), folder)
            store.client.upload(location, Path(folder), whole)
    store.client.set_model_version_tag(version.name, version.version, REPORT, f"runs:/{run_id}/{next(iter(files))}")


def _location(store: Store, version: Any) -> str:
    """Return where the files of a version lie; empty if its logged model was deleted."""
    from mlflow.exceptions import MlflowException

    source = str(version.source)
    model_id = source.removeprefix(LOGGED_MODEL)
    if model_id == source:  # as in Azure ML, which has no logged models
        return source
    try:
        return str(store.client.get_logged_model(model_id).artifact_location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return ""
