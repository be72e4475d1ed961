"""Script that reads a workspace with the SDK alone, in a process of its own; prints one line of JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

PREFIX = "AZUREML_SERVICE_PRINCIPAL_"


def main(config: str) -> dict[str, Any]:
    """Return the runs, the model versions, and the files of the newest version."""
    from azureml.core import Model, Workspace
    from azureml.core.authentication import ServicePrincipalAuthentication

    auth = ServicePrincipalAuthentication(*(os.environ[PREFIX + name] for name in ("TENANT_ID", "ID", "PASSWORD")))
    workspace = Workspace.from_config(config, auth=auth)
    import mlflow

    mlflow.set_tracking_uri(workspace.get_mlflow_tracking_uri())
    client = mlflow.MlflowClient()
    runs = []
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=100):
            parent = run.data.tags.get("mlflow.parentRunId")
            files = [file.path for file in client.list_artifacts(run.info.run_id)] if parent is None else []
            runs.append(
                {
                    "id": run.info.run_id,
                    "experiment": experiment.name,
                    "status": run.info.status,
                    "parent": parent,
                    "metrics": run.data.metrics,
                    "params": run.data.params,
                    "files": files,
                }
            )
    models = [
        {
            "name": model.name,
            "version": str(model.version),
            "run": model.run_id,
            "experiment": model.experiment_name,
            "tags": model.tags,
        }
        for model in Model.list(workspace)
    ]
    with tempfile.TemporaryDirectory() as folder:
        newest = Path(Model.list(workspace)[0].download(folder, exist_ok=True))
        contents = {
            str(path.relative_to(newest)): path.read_bytes().hex() for path in newest.rglob("*") if path.is_file()
        }
    return {"runs": runs, "models": models, "files": contents}


if __name__ == "__main__":
    answer = main(sys.argv[1])
    print(json.dumps(answer))  # noqa: T201 - the output
