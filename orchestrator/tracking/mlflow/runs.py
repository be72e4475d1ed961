"""Log a Report as an MLflow run, with one child run per candidate, and files beside it."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from orchestrator.artifacts import Candidate, ModelVersion, Report
from orchestrator.tracking.mlflow.datasets import log_dataset
from orchestrator.tracking.mlflow.limits import NAME_LENGTH, TAG_LENGTH, to_texts, truncate
from orchestrator.tracking.mlflow.store import CANDIDATE, ERROR, KEY, Store, owner_tags

RUN_NAME = "mlflow.runName"
REPORT, PARENT, SWEEP = "orchestrator.report", "mlflow.parentRunId", "orchestrator.sweep"
FILES = "orchestrator.files"  # the digest of the files beside a run
PER_BATCH = 100  # MLflow's own limit
T = TypeVar("T")


def to_plain_report(report: Report) -> Report:
    """Convert parameters to the text that MLflow stores, so that no object of a model is sent to other processes."""
    return replace(
        report,
        params=to_texts(report.params),
        tags=to_texts(report.tags),
        best_params=to_texts(report.best_params),
        metrics=_to_floats(report.metrics),
        candidates=tuple(
            replace(one, params=to_texts(one.params), mean=_to_floats(one.mean), std=_to_floats(one.std))
            for one in report.candidates
        ),
        figures=dict(report.figures),
    )


def open_run(store: Store, parent: str | None) -> str:
    """Create a run of this process; it is open until it is terminated."""
    return _create(store, owner_tags() | ({PARENT: parent} if parent else {}))


def _create(store: Store, tags: Mapping[str, str], name: str | None = None) -> str:
    """Create a run; if the answer was lost, return the one that was created."""
    key = uuid4().hex

    def make(client: Any) -> str:
        return str(client.create_run(store.experiment_id, tags={**tags, KEY: key}, run_name=name).info.run_id)

    def find(client: Any) -> str | None:
        found = client.search_runs([store.experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    run_id: str = store.client.create_once(make, find)
    return run_id


def get_sweep_run(store: Store, sweep_id: str, name: str | None) -> str:
    """Return the parent run of all jobs of a sweep, created by the first; FINISHED unless one of them fails.

    No job knows that it is the last, so this run is never left open.
    """
    if (found := find_sweep_run(store, sweep_id)) is not None:
        return found
    run_id = _create(store, owner_tags() | {SWEEP: sweep_id}, name)
    store.client.set_terminated(run_id)
    return run_id


def find_sweep_run(store: Store, sweep_id: str) -> str | None:
    """Return the parent run of the jobs of a sweep, if there is one."""
    found = store.client.search_runs([store.experiment_id], f"tags.`{SWEEP}` = '{sweep_id}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def log_sweep_file(store: Store, sweep_id: str, file: Path) -> None:
    """Log a file on the parent run of the jobs of a sweep, if there is one."""
    if (run_id := find_sweep_run(store, sweep_id)) is not None:
        location = store.client.get_run(run_id).info.artifact_uri
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, file.name).write_bytes(file.read_bytes())
            store.client.upload(location, Path(folder), lambda: store.client.log_artifacts(run_id, folder))


def end_sweep(store: Store, run_id: str, *, failed: bool) -> None:
    """Move the end of a sweep's run to the end of its latest job; one failed job makes it FAILED."""
    failed = failed or store.client.get_run(run_id).info.status == "FAILED"
    store.client.set_terminated(run_id, "FAILED" if failed else "FINISHED")


def find_run(store: Store, report: Report) -> str | None:
    """Return the finished run that holds exactly this Report."""
    wanted = f"attributes.status = 'FINISHED' and tags.`{REPORT}` = '{report_digest(report)}'"
    found = store.client.search_runs([store.experiment_id], wanted, max_results=1)
    return str(found[0].info.run_id) if found else None


def is_finished(store: Store, run_id: str) -> bool:
    """Return whether this run exists and ended well."""
    wanted = f"attributes.status = 'FINISHED' and attributes.run_id = '{run_id}'"
    return bool(store.client.search_runs([store.experiment_id], wanted, max_results=1))


def clear_failure(store: Store, run_id: str | None) -> None:
    """Turn a complete run that FAILED into a FINISHED one: a later run deployed its model.

    Its end time is unchanged. The error tag is deleted first: a run that is still FAILED is cleared the next time.
    """
    from mlflow.exceptions import MlflowException

    wanted = f"attributes.status = 'FAILED' and attributes.run_id = '{run_id}'"
    for run in store.client.search_runs([store.experiment_id], wanted, max_results=1):
        if REPORT in run.data.tags:
            if ERROR in run.data.tags:
                with suppress(MlflowException):  # already deleted: the answer was lost
                    store.client.delete_tag(run_id, ERROR)
            store.client.set_terminated(run_id, "FINISHED", run.info.end_time)


def log_report(store: Store, run_id: str, report: Report) -> None:
    """Log a Report. Its digest comes last: a run that has it is complete."""
    report = to_plain_report(report)
    best = {f"best_{name}": value for name, value in report.best_params.items()}
    tags = {RUN_NAME: run_name(report), **report.tags}
    log_values(
        store, run_id, params={**report.params, **best}, metrics={**report.metrics, **_bounds(report)}, tags=tags
    )
    log_dataset(store, run_id, report)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(report.config)
        if report.findings:
            listed = [finding.as_json() for finding in report.findings]
            Path(folder, "findings.json").write_text(json.dumps(listed, indent=1) + "\n")
        for name, png in report.figures.items():
            figure = Path(folder, "figures", name)
            figure.parent.mkdir(exist_ok=True)
            figure.write_bytes(png)
        _upload(store, run_id, folder)
    tags = owner_tags() | {PARENT: run_id, CANDIDATE: "true"}
    for candidate in report.candidates:
        _log_candidate(store, tags, candidate)
    log_values(store, run_id, tags={REPORT: report_digest(report)})


def attach(store: Store, run_id: str, files: Mapping[str, bytes]) -> None:
    """Write files beside a run, unless these are there already. Their digest comes last."""
    held = store.client.get_run(run_id).data.tags.get(FILES)
    if held == files_digest(files):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        _upload(store, run_id, folder)
    log_values(store, run_id, tags={FILES: files_digest(files)})


def files_digest(files: Mapping[str, bytes], version: ModelVersion | None = None) -> str:
    """Return the identity of files with these names and contents, and of the version that has them, too."""
    listed = [[name, hashlib.sha256(content).hexdigest()] for name, content in sorted(files.items())]
    listed += [] if version is None else [[version.name, version.version]]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _upload(store: Store, run_id: str, folder: str) -> None:
    location = store.client.get_run(run_id).info.artifact_uri
    store.client.upload(location, Path(folder), lambda: store.client.log_artifacts(run_id, folder))


def run_name(report: Report) -> str:
    """Name a run by what distinguishes the jobs of a sweep in a list: its model and its seed."""
    model = report.params.get("model.estimator", "run").rpartition(".")[2]
    return f"{model} seed={report.params.get('seed', '?')}"[:NAME_LENGTH]


def report_digest(report: Report) -> str:
    """Return the identity of a training result: Reports with equal content have equal digests."""
    report = to_plain_report(report)
    content: list[Any] = [report.params, report.tags, report.best_params, report.metrics, report.config]
    content += [[one.params, one.mean, one.std, one.rank, one.fit_seconds, one.resources] for one in report.candidates]
    content += [[name, value] for name, value in _bounds(report).items()]
    content += [[name, hashlib.sha256(png).hexdigest()] for name, png in sorted(report.figures.items())]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _bounds(report: Report) -> dict[str, float]:
    """Return the bounds of the hold-out metrics as metrics of their own."""
    each = report.intervals.items()
    return {
        f"holdout_{name}_{end}": float(getattr(interval, end)) for name, interval in each for end in ("low", "high")
    }


def _log_candidate(store: Store, tags: Mapping[str, str], candidate: Candidate) -> None:
    # Three calls, 12 ms in all over sqlite: a thousand candidates take 13 s, in parallel to the pipeline. In one
    # transaction through MLflow's own tables they would take 1.4 s, but depend on its private schema.
    name = ", ".join(f"{key}={value}" for key, value in candidate.params.items())[:NAME_LENGTH] or "defaults"
    failure = {ERROR: candidate.error[:TAG_LENGTH]} if candidate.error else {}
    run_id = _create(store, {**tags, **failure}, name)
    metrics = {f"mean_test_{key}": value for key, value in candidate.mean.items()}
    metrics |= {f"std_test_{key}": value for key, value in candidate.std.items()}
    metrics |= {"rank": candidate.rank, "fit_seconds": candidate.fit_seconds}
    if candidate.resources is not None:
        metrics["n_resources"] = candidate.resources
    measured = {key: value for key, value in metrics.items() if math.isfinite(value)}  # a failed candidate has none
    log_values(store, run_id, params=candidate.params, metrics=measured)
    store.client.set_terminated(run_id, "FAILED" if candidate.error else "FINISHED")


def log_values(
    store: Store,
    run_id: str,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Call ``log_batch`` once; more often only where MLflow's limits per batch are exceeded."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    batches = [
        list(_batches([Param(key, value) for key, value in (params or {}).items()])),
        list(_batches([Metric(key, value, now, 0) for key, value in (metrics or {}).items()])),
        list(_batches([RunTag(key, truncate(value, TAG_LENGTH)) for key, value in (tags or {}).items()])),
    ]
    for i in range(max(map(len, batches))):
        of_params, of_metrics, of_tags = ((kind[i] if i < len(kind) else []) for kind in batches)
        store.client.log_batch(run_id, metrics=of_metrics, params=of_params, tags=of_tags)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    half = PER_BATCH // 2  # params and tags share one limit
    return (items[i : i + half] for i in range(0, len(items), half))


def _to_floats(values: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items()}
