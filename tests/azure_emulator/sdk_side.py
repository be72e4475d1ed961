"""The SDK's side of the tests, in a process of its own whose environment directs the real SDK to the emulator.

Each public function is one call of a test, with plain data as arguments and result. ``python sdk_side.py`` reads calls as
lines of JSON and writes one line for each.
"""

from __future__ import annotations

import functools
import json
import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

_SCORE = """
import json, os, pickle, sys

def init():
    global model
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.pkl"), "rb") as file:
        model = pickle.load(file)

def run(data):
    given = json.loads(data)
    if given.get("where"):
        return {"model_dir": os.environ["AZUREML_MODEL_DIR"], "executable": sys.executable}
    if given.get("eat_gb"):
        global eaten
        eaten = bytearray(os.urandom(1024)) * int(given["eat_gb"] * 1024**2)
    return model.predict(given["data"]).tolist()
"""


@functools.cache
def _workspace() -> Any:
    from azureml.core import Workspace
    from azureml.core.authentication import ServicePrincipalAuthentication

    credentials = {name: os.environ[f"AZUREML_SERVICE_PRINCIPAL_{name}"] for name in ("TENANT_ID", "ID", "PASSWORD")}
    return Workspace.from_config(auth=ServicePrincipalAuthentication(*credentials.values()))


def workspace() -> dict[str, Any]:
    current = _workspace()
    return {"name": current.name, "location": current.location, "group": current.resource_group}


def wrong_password() -> None:
    from azureml.core.authentication import ServicePrincipalAuthentication

    tenant, client = (os.environ[f"AZUREML_SERVICE_PRINCIPAL_{name}"] for name in ("TENANT_ID", "ID"))
    ServicePrincipalAuthentication(tenant, client, "wrong", _enable_caching=False).get_authentication_header()


def other_workspace() -> None:
    from azureml.core import Workspace

    current = _workspace()
    Workspace.get(
        "another",
        auth=current._auth_object,
        subscription_id=current.subscription_id,
        resource_group=current.resource_group,
    )


def native_run() -> dict[str, Any]:
    from azureml.core import Experiment, Run

    experiment = Experiment(_workspace(), "native")
    run = experiment.start_logging(snapshot_directory=None, outputs=None)
    run.log("accuracy", 0.75)
    run.log("loss", 2.0)
    run.log("loss", 1.0)
    run.tag("kind", "parent")
    child = run.child_run("child")
    child.complete()
    Path("note.txt").write_text("hello " * 1000)
    run.upload_file("folder/note.txt", "note.txt")
    run.complete()
    again = Run(experiment, run.id)
    again.download_file("folder/note.txt", "back.txt")
    return {
        "status": again.get_status(),
        "metrics": again.get_metrics(),
        "tag": again.get_tags()["kind"],
        "files": again.get_file_names(),
        "same": Path("back.txt").read_text() == Path("note.txt").read_text(),
        "children": [one.id == child.id for one in again.get_children()],
        "listed": [one.id == run.id for one in experiment.get_runs(tags={"kind": "parent"})],
        "not_listed": len(list(experiment.get_runs(tags={"kind": "other"}))),
    }


def failed_run() -> dict[str, Any]:
    from azureml.core import Experiment

    run = Experiment(_workspace(), "native").start_logging(snapshot_directory=None, outputs=None)
    run.fail("it broke", "Broken")
    return {"status": run.get_status()}


def run_model() -> dict[str, Any]:
    from azureml.core import Experiment

    run = Experiment(_workspace(), "native").start_logging(snapshot_directory=None, outputs=None)
    Path("weights.bin").write_bytes(b"weights")
    run.upload_file("outputs/weights.bin", "weights.bin")
    model = run.register_model("from-run", model_path="outputs/weights.bin", tags={"a": "b"})
    run.complete()
    model.download("downloaded", exist_ok=True)
    return {
        "version": model.version,
        "run": model.run_id == run.id,
        "experiment": model.experiment_name,
        "content": Path("downloaded/weights.bin").read_text(),
    }


def models() -> dict[str, Any]:
    from azureml.core import Model

    folder = Path("many")
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    versions = [Model.register(_workspace(), str(folder), "many", tags={"n": str(n)}).version for n in range(3)]
    newest = Model(_workspace(), "many")
    newest.add_tags({"more": "yes"})
    first = Model(_workspace(), "many", version=1)
    first.delete()
    missing = ""
    try:
        Model(_workspace(), "many", version=1)
    except Exception as error:  # noqa: BLE001  # its text is the result
        missing = type(error).__name__
    return {
        "versions": versions,
        "newest": newest.version,
        "tags": Model(_workspace(), "many").tags,
        "listed": [one.version for one in Model.list(_workspace(), name="many", latest=False)],
        "by_tag": [one.version for one in Model.list(_workspace(), tags=[["n", "1"]])],
        "missing": missing,
    }


def paged_models() -> int:
    """List more than one page of models; they are posted to the registry directly, as 25 uploads are slow."""
    import requests
    from azureml.core import Model

    current = _workspace()
    scope = current.get_details()["id"]
    url = f"https://westeurope.api.azureml.ms/modelmanagement/v1.0{scope}/models"
    for _ in range(25):
        body = {"name": "paged", "url": "aml://asset/none"}
        requests.post(
            url, json=body, headers=current._auth_object.get_authentication_header(), timeout=10
        ).raise_for_status()
    return len({model.version for model in Model.list(current, name="paged", page_count=20)})


def environments() -> dict[str, Any]:
    from azureml.core import Environment

    def register(pin: str) -> str:
        conda = {"name": "e", "dependencies": ["python=3.11", {"pip": ["azureml-defaults", f"numpy=={pin}"]}]}
        Path("e.yaml").write_text(json.dumps(conda))
        return str(Environment.from_conda_specification("e", "e.yaml").register(_workspace()).version)

    versions = [register("1.0"), register("1.0"), register("2.0")]
    environment = Environment.get(_workspace(), "e", version="1")
    packages = list(environment.python.conda_dependencies.pip_packages)
    return {"versions": versions, "packages": packages, "listed": "e" in Environment.list(_workspace())}


def large_file(megabytes: int) -> dict[str, Any]:
    from azureml.core import Experiment

    run = Experiment(_workspace(), "native").start_logging(snapshot_directory=None, outputs=None)
    Path("large.bin").write_bytes(os.urandom(1024**2) * megabytes)
    run.upload_file("large.bin", "large.bin")
    run.download_file("large.bin", "large.back")
    return {"same": Path("large.back").read_bytes() == Path("large.bin").read_bytes()}


def tracking() -> dict[str, Any]:
    import mlflow
    from mlflow.entities import Metric, Param, RunTag

    mlflow.set_tracking_uri(_workspace().get_mlflow_tracking_uri())
    client = mlflow.MlflowClient()
    known = client.get_experiment_by_name("tracked")
    experiment = known.experiment_id if known else client.create_experiment("tracked")
    parent = client.create_run(experiment, run_name="parent").info.run_id
    child = client.create_run(experiment, run_name="child", tags={"mlflow.parentRunId": parent}).info.run_id
    metrics = [Metric("auc", value, 1700000000000 + step, step) for step, value in enumerate([0.5, 0.75])]
    client.log_batch(parent, metrics, [Param("depth", "7")], [RunTag("kind", "parent")])
    client.log_metric(child, "auc", 0.25)
    client.log_text(parent, "hello", "texts/hello.txt")
    Path("tree/sub").mkdir(parents=True, exist_ok=True)
    Path("tree/sub/model.pkl").write_bytes(b"model")
    client.log_artifacts(parent, "tree", "model")
    client.set_terminated(child)
    client.set_terminated(parent)
    run = client.get_run(parent)
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")
    best = client.search_runs([experiment], "metrics.auc > 0.2", order_by=["metrics.auc DESC"])
    if not client.search_registered_models("name = 'tracked-model'"):
        client.create_registered_model("tracked-model")
    version = client.create_model_version("tracked-model", f"{run.info.artifact_uri}/model", parent, tags={"a": "b"})
    return {
        "status": run.info.status,
        "name": run.info.run_name,
        "metric": run.data.metrics,
        "history": [point.value for point in client.get_metric_history(parent, "auc")],
        "params": run.data.params,
        "kind": run.data.tags["kind"],
        "children": [one.info.run_id == child for one in children],
        "best": best[0].info.run_id == parent,
        "artifacts": [one.path for one in client.list_artifacts(parent)],
        "text": Path(client.download_artifacts(parent, "texts/hello.txt", ".")).read_text(),
        "version": version.version,
        "version_run": version.run_id == parent,
        "found": [one.version for one in client.search_model_versions("name = 'tracked-model'")],
    }


def tracked_model_as_azure_sees_it() -> dict[str, Any]:
    from azureml.core import Model, Run

    model = Model(_workspace(), "tracked-model")
    model.download("tracked", exist_ok=True)
    run = Run(_workspace().experiments["tracked"], model.run_id)
    return {
        "experiment": model.experiment_name,
        "content": Path("tracked/model/sub/model.pkl").read_text(),
        "metrics": run.get_metrics(),
        "status": run.get_status(),
        "children": len(list(run.get_children())),
    }


def logged_models() -> str:
    import mlflow

    mlflow.set_tracking_uri(_workspace().get_mlflow_tracking_uri())
    client = mlflow.MlflowClient()
    try:
        client.create_logged_model(client.get_experiment_by_name("tracked").experiment_id)
    except mlflow.MlflowException as error:
        return str(error)
    return "there are logged models"


def _model() -> Any:
    import sklearn.linear_model
    from azureml.core import Model

    Path("model.pkl").write_bytes(pickle.dumps(sklearn.linear_model.LogisticRegression().fit([[0.0], [1.0]], [0, 1])))
    return Model.register(_workspace(), "model.pkl", "tiny")


def _inference(score: str, pip: list[str] | None, python: str) -> Any:
    import sklearn
    from azureml.core import Environment
    from azureml.core.model import InferenceConfig

    Path("src").mkdir(exist_ok=True)
    Path("src/score.py").write_text(score)
    pip = ["azureml-inference-server-http", f"scikit-learn=={sklearn.__version__}"] if pip is None else pip
    Path("conda.yaml").write_text(json.dumps({"name": "tiny", "dependencies": [f"python={python}", {"pip": pip}]}))
    environment = Environment.from_conda_specification("tiny", "conda.yaml").register(_workspace())
    return InferenceConfig(entry_script="score.py", source_directory="src", environment=environment)


def deploy(
    name: str = "tiny",
    score: str = _SCORE,
    pip: list[str] | None = None,
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}",
    memory: float = 1.0,
    cpu: float = 1.0,
    *,
    overwrite: bool = True,
) -> dict[str, Any]:
    """Deploy a service; return its state, and the text of the exception that the SDK raised as ``error``."""
    from azureml.core import Model
    from azureml.core.webservice import AciWebservice, Webservice

    configuration = AciWebservice.deploy_configuration(cpu, memory, auth_enabled=True, tags={"fingerprint": "1"})
    try:
        service = Model.deploy(
            _workspace(), name, [_model()], _inference(score, pip, python), configuration, overwrite=overwrite
        )
        service.wait_for_deployment(show_output=True)
    except Exception as error:  # noqa: BLE001  # its text is the result
        services = [other for other in Webservice.list(_workspace()) if other.name == name]
        logs = services[0].get_logs() if services else ""
        return {"error": str(error), "state": services[0].state if services else "absent", "logs": logs}
    return {
        "error": "",
        "state": service.state,
        "uri": service.scoring_uri,
        "keys": service.get_keys(),
        "tags": service.tags,
    }


def deploy_twice(name: str) -> dict[str, Any]:
    """Deploy again while the first deployment is running."""
    from azureml.core import Model
    from azureml.core.webservice import AciWebservice

    model, inference = _model(), _inference(_SCORE, None, f"{sys.version_info.major}.{sys.version_info.minor}")
    configuration = AciWebservice.deploy_configuration(1, 1, auth_enabled=True)
    first = Model.deploy(_workspace(), name, [model], inference, configuration, overwrite=True)
    second = Model.deploy(_workspace(), name, [model], inference, configuration, overwrite=True)
    second.wait_for_deployment()
    try:
        first.wait_for_deployment()
    except Exception as error:  # noqa: BLE001  # its text is the result
        return {"first": str(error), "second": second.state, "answered": second.run(json.dumps({"data": [[1.0]]}))}
    return {"first": ""}


def call(name: str, document: dict[str, Any]) -> Any:
    from azureml.core.webservice import Webservice

    try:
        return Webservice(_workspace(), name).run(json.dumps(document))
    except Exception as error:  # noqa: BLE001  # its text is the result
        return str(error)


def exists(name: str) -> bool:
    from azureml.core.webservice import Webservice

    return name in [one.name for one in Webservice.list(_workspace())]


def state(name: str) -> str:
    from azureml.core.webservice import Webservice

    return str(Webservice(_workspace(), name).state)


def read(url_in: str) -> str:
    """Return the content of the address in a message of the SDK."""
    import re

    import requests

    match = re.search(r"https://[^\s\"\\]+", url_in)
    assert match
    return requests.get(match[0], timeout=10).text


def logs(name: str) -> str:
    from azureml.core.webservice import Webservice

    return str(Webservice(_workspace(), name).get_logs())


def regenerate(name: str, value: str | None = None) -> dict[str, Any]:
    from azureml.core.webservice import Webservice

    service = Webservice(_workspace(), name)
    before = service.get_keys()
    service.regen_key("Primary", set_key=value)
    return {"before": before, "after": service.get_keys()}


def update(name: str) -> dict[str, Any]:
    """Change the tags, which takes effect in place, then the entry script, which restarts the container."""
    from azureml.core.webservice import Webservice

    service = Webservice(_workspace(), name)
    before = service.scoring_uri
    service.update(tags={"fingerprint": "2"})
    tags = Webservice(_workspace(), name).tags
    score = _SCORE.replace(".tolist()", ".tolist() + ['updated']")
    service.update(
        inference_config=_inference(score, None, f"{sys.version_info.major}.{sys.version_info.minor}"),
        models=[_model()],
    )
    service.wait_for_deployment()
    answered = service.run(json.dumps({"data": [[1.0]]}))
    return {"tags": tags, "same_uri": service.scoring_uri == before, "answered": answered}


def delete(name: str) -> list[str]:
    """Delete the service twice, through one object."""
    from azureml.core.webservice import Webservice

    service = Webservice(_workspace(), name)
    service.delete()
    service.delete()
    return [one.name for one in Webservice.list(_workspace())]


def main() -> None:
    """Serve calls until the input ends; the SDK's output goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            reply = {"value": globals()[name](**arguments)}
        except Exception as error:  # noqa: BLE001  # returned to the test
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
