"""The dataset of a run, as MLflow shows it among the run's inputs: the table's name, digest, place, columns and size.

The entity is made of the Report's texts, so that neither the table is read again nor pandas imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Report
from orchestrator.tracking.mlflow.server_errors import status_of
from orchestrator.tracking.mlflow.store import Store

CONTEXT, TRAINING = "mlflow.data.context", "training"
SPLIT = "data_split"  # a tag of the run and of its input
NAME_LENGTH, DIGEST_LENGTH, SOURCE_LENGTH, SCHEMA_LENGTH, TAG_LENGTH = (
    500,
    36,
    65_535,
    1_048_575,
    500,
)  # MLflow's limits
NO_SUCH_CALL = {404, 405, 501}
CONFLICT = "BAD_REQUEST"  # what MLflow makes of a violated constraint of its database
ATTEMPTS = 3
TYPES = {"int64": "long", "float64": "double", "float32": "float", "bool": "boolean"}  # other integers are "integer"


def log_dataset(store: Store, run_id: str, report: Report) -> None:
    """Log the table that a Report's training read as an input of its run; a server without inputs is noted.

    The call is idempotent: MLflow keeps one dataset of a name and digest, and one input of a run and a dataset.
    """
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    content = describe_dataset(report)
    if content is None:
        return
    tags = {CONTEXT: TRAINING, **({SPLIT: report.tags[SPLIT][:TAG_LENGTH]} if SPLIT in report.tags else {})}
    used = DatasetInput(MlflowDataset(**content), [InputTag(*tag) for tag in tags.items()])
    for attempt in range(1, ATTEMPTS + 1):
        try:
            store.client.log_inputs(run_id, [used])
        except MlflowException as error:
            if status_of(error) in NO_SUCH_CALL:
                store.client.budget.note(
                    "the tracking server takes no datasets as inputs; the run's tag data_fingerprint has the digest"
                )
            # MLflow looks for the dataset and then inserts it, without a lock: of two runs at once, one conflicts
            elif error.error_code == CONFLICT and attempt < ATTEMPTS:
                continue
            else:
                raise
        return


def describe_dataset(report: Report) -> dict[str, str | None] | None:
    """Return the fields of MLflow's Dataset; None for a Report that names no table."""
    path, digest = report.params.get("data.path"), report.tags.get("data_fingerprint")
    if not path or not digest:
        return None
    table, target = report.table or {}, report.params.get("data.target", "")
    columns, rows = table.get("columns", ()), table.get("rows", 0)
    schema = json.dumps({"mlflow_colspec": list(_column_specs(columns))}) if columns else ""
    profile = {"num_rows": rows, "num_elements": rows * (len(columns) + 1), "target": target}
    source = json.dumps({"uri": path})
    return {
        "name": Path(path).name[:NAME_LENGTH],
        "digest": digest[:DIGEST_LENGTH],
        "source_type": "local",
        "source": source if len(source) <= SOURCE_LENGTH else "{}",
        "schema": schema if 0 < len(schema) <= SCHEMA_LENGTH else None,
        "profile": json.dumps(profile) if columns else None,
    }


def _column_specs(columns: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield MLflow's column specs of the features."""
    for column in columns:
        dtype = str(column["dtype"]).lower()
        kind = TYPES.get(dtype, "integer" if "int" in dtype else "string")
        kind = "datetime" if dtype.startswith("datetime64") else kind
        yield {"type": kind, "name": column["name"], "required": not column["missing"]}
