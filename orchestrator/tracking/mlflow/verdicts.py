"""What the gate reads and writes in MLflow: which specs were scored on a hold-out set, and what was decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from orchestrator.artifacts import ModelVersion
from orchestrator.tracking.mlflow.limits import TAG_LENGTH, truncate
from orchestrator.tracking.mlflow.runs import PARENT, find_sweep_run, log_values
from orchestrator.tracking.mlflow.store import Store
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, HOLDOUT_PLACES, SPEC_HASH

PAGE = 1000  # runs per request


def read_looks(store: Store, holdout: str, sweep: str = "") -> Sequence[str]:
    """Return the hash of each spec of which a run was scored on these rows, failed and deleted runs included.

    Runs that are nested under that of ``sweep`` are left out.
    """
    from mlflow.entities import ViewType

    hashes: dict[str, None] = {}
    parent = find_sweep_run(store, sweep) if sweep else None
    for tag in (HOLDOUT_DIGEST, HOLDOUT_PLACES):
        wanted, token, first = f"tags.`{tag}` = '{holdout}'", None, True
        while first or token:
            page = store.client.search_runs(
                [store.experiment_id], wanted, run_view_type=ViewType.ALL, max_results=PAGE, page_token=token
            )
            others = [run.data.tags for run in page if parent is None or run.data.tags.get(PARENT) != parent]
            hashes |= dict.fromkeys(tags.get(SPEC_HASH, "") for tags in others)
            token, first = getattr(page, "token", None), False
    return [each for each in hashes if each]


def record_verdict(store: Store, version: ModelVersion, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
    """Write the decision to the run of a version and to the version."""
    if version.run_id:
        earlier = store.client.get_run(version.run_id).data.metrics
        stale = [name for name, value in earlier.items() if name.startswith("gate_") and not math.isnan(value)]
        metrics = {**dict.fromkeys(stale, math.nan), **metrics}  # MLflow deletes none
        log_values(store, version.run_id, metrics=metrics, tags=tags)
    for name, value in tags.items():
        store.client.set_model_version_tag(version.name, version.version, name, truncate(value, TAG_LENGTH))
