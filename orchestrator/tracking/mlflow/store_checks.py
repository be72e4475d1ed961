"""What is asked of a store before anything is trained: is it MLflow 3, are its artifacts writable, is its address meant."""

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
from orchestrator.tracking.mlflow.retries import Client
from orchestrator.tracking.mlflow.server_errors import ProxyError, describe, no_mlflow, proxy_of

CONNECT_SECONDS = 5
OLDEST = 3  # major version of MLflow's server: logged models, which versions are made of, came with it
API = "/api/2.0/mlflow"
PORTS = {"http": 80, "https": 443}


def connect(uri: str) -> None:
    """Open a connection to a server's address, or to its proxy's, and close it: a wrong one is known at once.

    Whatever takes the connection is MLflow's to talk to; ``import mlflow`` alone takes two seconds.

    Raises:
        TrackingError: nothing is there.
    """
    proxy = proxy_of(uri)
    parts = urlsplit(proxy[1] if proxy else uri)
    if parts.scheme not in PORTS or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or PORTS[parts.scheme]), CONNECT_SECONDS).close()
    except TimeoutError:  # it may only be slow
        return
    except OSError as error:
        raised: OSError = ProxyError(error.errno, error.strerror) if proxy else error
        raise TrackingError(f"tracking store {uri}: {describe(raised, uri)}") from error


def check_server(client: Client, uri: str) -> None:
    """Ask a server for its version.

    Raises:
        NoMlflowError: it is another web application, or MLflow before version 3.
    """
    if not uri.startswith(("http://", "https://")):
        return  # a plugin's, or Databricks
    status, text = _asked(client, "/version")
    if re.fullmatch(r"\d+\.\d+\S*", text.strip()) and status == 200:
        version = text.strip()
    else:  # a gateway may let the API through and nothing else
        status, text = _asked(client, f"{API}/experiments/search?max_results=1")
        if status in {401, 403}:
            raise TrackingError(f"tracking store {uri}: {describe(Exception(f'failed with error code {status}'), uri)}")
        if not _is_mlflow(text):
            raise no_mlflow(uri, f"{_shown(text)} is answered where MLflow lists experiments ({status})")
        status, _ = _asked(client, f"{API}/logged-models/search", "POST")
        version = "2" if status == 404 else f"{OLDEST}"
    if int(version.partition(".")[0]) < OLDEST:
        raise TrackingError(
            f"tracking store {uri}: the server is MLflow {version}, which has no logged models; start it with "
            f"MLflow {OLDEST} or newer, or set tracking.tracking_uri to one that is"
        )


def check_artifacts(client: Client, experiment_id: str) -> None:
    """Write a small file where the runs of this experiment keep their files, and delete it.

    Raises:
        TrackingError: it cannot be written; the text names the location.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    location = client.get_experiment(experiment_id).artifact_location
    if (path := local_path(location)) is not None:
        check_folder(path, "the artifacts of this experiment")
        return
    name = f"orchestrator-check-{uuid4().hex}"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "writable")
        file.write_text("orchestrator")  # an empty file is sent in another way
        try:
            repository = get_artifact_repository(location, tracking_uri=client.patience.uri)
            client.patience.ask(lambda: repository.log_artifact(str(file), name))
        except TrackingError:
            raise
        except Exception as error:  # of any storage library, or the lack of one
            raise TrackingError(
                f"tracking: nothing can be written to the artifacts of this experiment, {location}: "
                f"{describe(error, client.patience.uri)}; give it another location (tracking.artifact_location with a "
                "new tracking.experiment_name)"
            ) from error
        with suppress(Exception):  # a store that keeps everything keeps an empty file, too
            repository.delete_artifacts(name)


def check_local(store: Path, experiment: str, location: str | None) -> None:
    """Look whether a store on this machine and its artifacts can be written, without importing mlflow.

    Raises:
        TrackingError: one cannot; the text names it.
    """
    check_folder(store.parent, "the tracking store")
    if store.is_dir():
        raise TrackingError(f"tracking.tracking_uri: {store} is a folder; name a file in it")
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        # an experiment keeps the location that it was made with; in another schema of MLflow's this finds nothing
        held = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)).fetchone()
        location = held[0] if held else location
    if location and (path := local_path(location)) is not None:
        check_folder(path, "the artifacts of this experiment")


def check_folder(folder: Path, what: str) -> None:
    """Look whether a file can be made in a folder, or in the nearest one above that is there."""
    there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    why = f"{there} is no folder" if not there.is_dir() else ""
    try:
        if not why:
            tempfile.TemporaryFile(dir=there).close()  # permissions do not say it: root may not write everywhere
    except OSError as error:
        why = f"{there}: {error.strerror}"
    if why:
        raise TrackingError(
            f"tracking: {what} cannot be written to {folder} ({why}); name another state_dir or "
            "tracking.artifact_location (a new tracking.experiment_name with it, if the experiment is there already), "
            "or let the server take artifacts (mlflow server --serve-artifacts)"
        )


def local_path(location: str) -> Path | None:
    """Return the folder of an artifact location on this machine; None for one elsewhere."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(location)


def notes(uri: str | None, experiment: str, params: Mapping[str, str]) -> Iterator[str]:
    """Yield what people should know before the run: variables that are not used, and values that are cut."""
    used = {"MLFLOW_EXPERIMENT_NAME": experiment}
    if uri:  # that of a workspace is not known yet
        used |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri}
    remedies = {
        "MLFLOW_TRACKING_URI": "write tracking=server to use it",
        "MLFLOW_REGISTRY_URI": "versions are registered where runs are tracked",
        "MLFLOW_EXPERIMENT_NAME": "set tracking.experiment_name to use it",
    }
    for name, value in used.items():
        found = os.environ.get(name, "").rstrip("/")
        if found and found != value.rstrip("/"):
            shown = re.sub(r"//[^/@]*@", "//", found)
            yield f"{name}={shown} is set and not used: this run has {value}; {remedies[name]}"
    for name, value in params.items():
        if len(value) > PARAM_LENGTH:
            yield f"{name} has {len(value):,} characters; MLflow keeps {PARAM_LENGTH:,} of them, the run's config.yaml all"


def _asked(client: Client, endpoint: str, method: str = "GET") -> tuple[int, str]:
    """Ask for a path below the server's address as MLflow asks: its credentials, certificates and proxies."""
    from mlflow.utils.rest_utils import http_request

    def ask(bare: Any) -> Any:
        credentials = bare._tracking_client.store.get_host_creds()  # noqa: SLF001 -- MLflow has no other way to them
        return http_request(credentials, endpoint, method, **({"json": {}} if method == "POST" else {}))

    answer = client.once(ask, lambda _: None)
    asked, answered = urlsplit(client.patience.uri), urlsplit(answer.url)
    if (asked.scheme, asked.netloc) != (answered.scheme, answered.netloc):  # a request that writes is not sent on
        raise no_mlflow(client.patience.uri, f"requests are sent on to {answered.scheme}://{answered.netloc}")
    return answer.status_code, answer.text


def _is_mlflow(text: str) -> bool:
    with suppress(ValueError):
        answer = json.loads(text)
        return answer == {} or (isinstance(answer, dict) and bool({"experiments", "error_code"} & set(answer)))
    return False


def _shown(text: str) -> str:
    """What another application answers, in a few words: a page by its title."""
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join((title[1] if title else text).split())[:60]
    return f"{'a page' if title else 'something'} {words!r}" if words else "nothing"
