"""Checks of a store before anything is trained: is it MLflow 3, are its artifacts writable, is its address intended."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow.limits import PARAM_LENGTH
from orchestrator.tracking.mlflow.retries import RetryingClient
from orchestrator.tracking.mlflow.server_errors import ProxyError, describe_error, not_mlflow_error, proxy_of

CONNECT_SECONDS = 5
OLDEST_SERVER = 3  # major version of the server: it introduced logged models, which versions are made of
API = "/api/2.0/mlflow"
DEFAULT_PORTS = {"http": 80, "https": 443}


def check_connection(uri: str) -> None:
    """Open a connection to a server's address, or to its proxy's, and close it, so that a wrong one is known at once.

    MLflow talks to the server later; ``import mlflow`` alone takes two seconds.

    Raises:
        TrackingError: the address cannot be reached.
    """
    proxy = proxy_of(uri)
    parts = urlsplit(proxy[1] if proxy else uri)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]), CONNECT_SECONDS).close()
    except TimeoutError:  # the server may only be slow
        return
    except OSError as error:
        raised: OSError = ProxyError(error.errno, error.strerror) if proxy else error
        raise TrackingError(f"tracking store {uri}: {describe_error(raised, uri)}") from error


def check_server(client: RetryingClient, uri: str) -> None:
    """Request the server's version.

    Raises:
        NotMlflowError: it is another web application, or MLflow before version 3.
    """
    if not uri.startswith(("http://", "https://")):
        return  # of a plugin, or Databricks
    status, text = _request(client, "/version")
    if re.fullmatch(r"\d+\.\d+\S*", text.strip()) and status == 200:
        version = text.strip()
    else:  # a gateway may pass the API only
        status, text = _request(client, f"{API}/experiments/search?max_results=1")
        if status in {401, 403}:
            raise TrackingError(
                f"tracking store {uri}: {describe_error(Exception(f'failed with error code {status}'), uri)}"
            )
        if not _is_mlflow(text):
            raise not_mlflow_error(uri, f"{_summarize(text)} is answered where MLflow lists experiments ({status})")
        status, _ = _request(client, f"{API}/logged-models/search", "POST")
        version = "2" if status == 404 else f"{OLDEST_SERVER}"
    if int(version.partition(".")[0]) < OLDEST_SERVER:
        raise TrackingError(
            f"tracking store {uri}: the server is MLflow {version}, which has no logged models; start it with "
            f"MLflow {OLDEST_SERVER} or newer, or set tracking.tracking_uri to one that is"
        )


def check_artifacts(client: RetryingClient, experiment_id: str) -> None:
    """Write a small file where the runs of this experiment store their files, and delete it.

    Raises:
        TrackingError: it cannot be written; the text names the location.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    location = client.get_experiment(experiment_id).artifact_location
    if (path := local_path(location)) is not None:
        check_writable(path, "the artifacts of this experiment")
        return
    name = f"orchestrator-check-{uuid4().hex}"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "writable")
        file.write_text("orchestrator")  # an empty file is uploaded differently
        try:
            repository = get_artifact_repository(location, tracking_uri=client.budget.uri)
            client.budget.call(lambda: repository.log_artifact(str(file), name))
        except TrackingError:
            raise
        except Exception as error:  # of any storage library, or because it is missing
            raise TrackingError(
                f"tracking: nothing can be written to the artifacts of this experiment, {location}: "
                f"{describe_error(error, client.budget.uri)}; give it another location (tracking.artifact_location with a "
                "new tracking.experiment_name)"
            ) from error
        with suppress(Exception):  # a store without deletion keeps this small file
            repository.delete_artifacts(name)


def check_local_store(store: Path, experiment: str, location: str | None) -> None:
    """Check that a store on this machine and its artifacts can be written, without importing mlflow.

    Raises:
        TrackingError: one cannot; the text names it.
    """
    check_writable(store.parent, "the tracking store")
    if store.is_dir():
        raise TrackingError(f"tracking.tracking_uri: {store} is a folder; name a file in it")
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        # an experiment keeps the location of its creation; in another schema of MLflow this finds nothing
        row = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)).fetchone()
        location = row[0] if row else location
    if location and (path := local_path(location)) is not None:
        check_writable(path, "the artifacts of this experiment")


def check_writable(folder: Path, what: str) -> None:
    """Check that a file can be created in a folder, or in its nearest existing parent."""
    existing = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    why = f"{existing} is no folder" if not existing.is_dir() else ""
    try:
        if not why:
            tempfile.TemporaryFile(dir=existing).close()  # permissions are not enough: root may not write everywhere
    except OSError as error:
        why = f"{existing}: {error.strerror}"
    if why:
        raise TrackingError(
            f"tracking: {what} cannot be written to {folder} ({why}); name another state_dir or "
            "tracking.artifact_location (a new tracking.experiment_name with it, if the experiment is there already), "
            "or let the server take artifacts (mlflow server --serve-artifacts)"
        )


def local_path(location: str) -> Path | None:
    """Return the folder of an artifact location on this machine; None for a remote one."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(location)


def iter_warnings(uri: str | None, experiment: str, params: Mapping[str, str]) -> Iterator[str]:
    """Yield warnings before the run: environment variables that are ignored, and values that are truncated."""
    effective = {"MLFLOW_EXPERIMENT_NAME": experiment}
    if uri:  # a workspace's is not known yet
        effective |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri}
    remedies = {
        "MLFLOW_TRACKING_URI": "write tracking=server to use it",
        "MLFLOW_REGISTRY_URI": "versions are registered where runs are tracked",
        "MLFLOW_EXPERIMENT_NAME": "set tracking.experiment_name to use it",
    }
    for name, value in effective.items():
        variable = os.environ.get(name, "").rstrip("/")
        if variable and variable != value.rstrip("/"):
            shown = re.sub(r"//[^/@]*@", "//", variable)
            yield f"{name}={shown} is set and not used: this run has {value}; {remedies[name]}"
    for name, value in params.items():
        if len(value) > PARAM_LENGTH:
            yield f"{name} has {len(value):,} characters; MLflow keeps {PARAM_LENGTH:,} of them, the run's config.yaml all"


def _request(client: RetryingClient, endpoint: str, method: str = "GET") -> tuple[int, str]:
    """Request a path below the server's address as MLflow does: with its credentials, certificates and proxies."""
    from mlflow.utils.rest_utils import http_request

    def request(bare: Any) -> Any:
        credentials = bare._tracking_client.store.get_host_creds()  # noqa: SLF001 -- MLflow has no public way to them
        return http_request(credentials, endpoint, method, **({"json": {}} if method == "POST" else {}))

    answer = client.create_once(request, lambda _: None)
    asked, answered = urlsplit(client.budget.uri), urlsplit(answer.url)
    if (asked.scheme, asked.netloc) != (answered.scheme, answered.netloc):  # HTTP libraries do not redirect a POST
        raise not_mlflow_error(client.budget.uri, f"requests are sent on to {answered.scheme}://{answered.netloc}")
    return answer.status_code, answer.text


def _is_mlflow(text: str) -> bool:
    with suppress(ValueError):
        body = json.loads(text)
        return body == {} or (isinstance(body, dict) and bool({"experiments", "error_code"} & set(body)))
    return False


def _summarize(text: str) -> str:
    """Return the answer of another application in a few words: a page by its title."""
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join((title[1] if title else text).split())[:60]
    return f"{'a page' if title else 'something'} {words!r}" if words else "nothing"
