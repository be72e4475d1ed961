"""Stages that make the package, a self-contained folder, and prove it in a clean process."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator import compiling, dockerfile, pickles, swagger_ui
from orchestrator.cache import cached
from orchestrator.config.spec import ROOT, PackageSpec, StateDir
from orchestrator.errors import PackageError
from orchestrator.products import Evaluation, Package, Proof, Split, Trained
from score import about, distribution, golden, replies
from score.body import Reader, Request
from score.compiled import Compilation
from score.contract import Contract, json_value
from score.models import FILE as PICKLE
from score.privacy import TELEMETRY_OFF

if TYPE_CHECKING:
    import pandas as pd

SHIPS = ROOT / "score"
RUNTIME = "onnxruntime"  # what only a package with a compiled twin imports
PROOF_SECONDS = 300  # loading a model takes seconds; this ends a process that hangs


@cached(
    "scikit-learn", "numpy", "scipy", "pandas", "joblib",
    "anyio", "flask-swagger-ui", "httptools", "msgspec", "orjson", "prometheus-client", "starlette", "uvicorn", "uvloop",
    "onnx", "onnxruntime", "skl2onnx",
    packages=[SHIPS.name],
)  # fmt: skip
def package(trained: Trained, split: Split, evaluation: Evaluation, spec: PackageSpec, state_dir: StateDir) -> Package:
    """Write the package to ``state_dir/packages/<fingerprint>``; the same contents are the same folder.

    Raises:
        PackageError: the pickle needs code that does not ship, a column cannot be told in JSON, or there is no
            compiled twin and one is required.
    """
    home = state_dir / "packages"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=home, ignore_cleanup_errors=True) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        _write_about(new, trained, split, evaluation)
        fingerprint = _write(new, trained.pipeline, split, spec).fingerprint
        made = Package(home / fingerprint[:16], fingerprint, spec.model_name)
        if not made.is_whole():  # one that is there and whole may be being served: it stays
            with contextlib.suppress(OSError):
                made.path.rename(Path(scratch, "old"))
            new.rename(made.path)
    return made


def _write(folder: Path, pipeline: Any, split: Split, spec: PackageSpec) -> Contract:
    shutil.copytree(SHIPS, folder / SHIPS.name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    swagger_ui.copy(folder / SHIPS.name)
    copy, names = pickles.reloaded(pipeline)
    pickles.refuse_local(names, SHIPS.name)
    pickles.dump(copy, folder / PICKLE)  # the copy: the same whether the pipeline was just fitted or was cached
    try:
        contract = Contract.describe(
            split.X_train,
            model_name=spec.model_name,
            task="regression" if split.classes is None else "classification",
            classes=split.classes,
            extra_columns=spec.extra_columns,
        )
        distribution.write(folder, split.X_train, contract)
        requests = _golden(pipeline, split, contract, spec.golden_rows)
    except ValueError as error:  # a name, a dtype or a value that JSON does not have
        raise PackageError(f"data: {error}") from error
    twin = _compile(folder, pipeline, split, contract, requests, spec)
    if twin.tolerance is not None:
        requests = [replace(request, tolerance=twin.tolerance) for request in requests]
    golden.write(folder, requests)
    unused = {SHIPS.name} if twin.used else {SHIPS.name, RUNTIME}
    tops = {name.partition(".")[0] for name in names} | pickles.imports_of(SHIPS)
    needed = pickles.pins(tops - unused)  # what ships needs no pin, also where this project is installed
    _write_environment(folder, needed, spec.model_name)
    (folder / dockerfile.FILE).write_text(dockerfile.text(platform.python_version()))
    return replace(contract, versions={"python": platform.python_version(), **needed}).write(folder)


def _compile(
    folder: Path,
    pipeline: Any,
    split: Split,
    contract: Contract,
    requests: list[golden.Golden],
    spec: PackageSpec,
) -> Compilation:
    """Write the compiled twin if there is to be one, and what came of it."""
    if spec.compile == "never":
        twin = compiling.Twin(Compilation("package.compile is never"))
    else:
        twin = compiling.compiled(pipeline, contract, (split.X_train, split.X_test), requests)
    reason = twin.compilation.reason
    if reason and spec.compile == "required":
        raise PackageError(f"package.compile: is 'required', and the pickle must serve this model: {reason}")
    twin.write(folder)
    return twin.compilation


def _write_about(folder: Path, trained: Trained, split: Split, evaluation: Evaluation) -> None:
    """What people are told of the training. No time and no run: the same training makes the same package."""
    about.write(
        folder,
        about.About(
            estimator=type(trained.pipeline[-1]).__name__,
            params={name: str(value) for name, value in trained.best.params.items()},
            metrics={name: float(f"{value:.6g}") for name, value in evaluation.metrics.items() if math.isfinite(value)},
            training_rows=len(split.y_train),
            held_out_rows=len(split.y_test),
            data=split.digest,
            target=str(split.y_train.name),
        ),
        evaluation.figures,
    )


def _write_environment(folder: Path, needed: dict[str, str], name: str) -> None:
    requirements = [f"{distribution}=={version}" for distribution, version in needed.items()]
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    environment = {
        "name": name,
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements}],
    }
    (folder / "conda.yaml").write_text(yaml.safe_dump(environment, sort_keys=False))


def _golden(pipeline: Any, split: Split, contract: Contract, rows: int) -> list[golden.Golden]:
    """Requests in every form and what the training process answers; two that must be refused."""
    frame, records = _accepted(split, contract, rows)
    columns = list(frame.columns)
    table = {"columns": columns, "data": [[record[name] for name in columns] for record in records]}
    article = {"input": json.dumps(records[:1])}
    incomplete = [{name: value for name, value in records[0].items() if name != columns[0]}]
    reply = replies.plain(*_answers(pipeline, frame, split.classes), split.classes)
    article_reply = replies.article(*_answers(pipeline, frame.head(1), split.classes))
    return [
        golden.Golden("the article's form", json.dumps(article), 200, article_reply),
        golden.Golden(golden.RECORDS, json.dumps({"data": records}), 200, reply),
        golden.Golden("split", json.dumps(table), 200, reply),
        golden.Golden("a column is missing", json.dumps({"data": incomplete}), 400),
        golden.Golden("no JSON", "{", 400),
    ]


def _accepted(split: Split, contract: Contract, rows: int) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Rows that the contract lets in, as a frame and as records; of the hold-out rows, as training did not see them.

    One with a category, or a gap in a column, that training never saw is refused by every endpoint.
    """
    reader = Reader(contract)
    for frame in (split.X_test, split.X_train):
        positions: list[int] = []
        records: list[dict[str, Any]] = []
        for position in range(len(frame)):
            with contextlib.suppress(ValueError):
                record = _record(frame.iloc[[position]])
                reader.columns(Request("data", [record]))
                positions.append(position)
                records.append(record)
            if len(positions) == rows:
                break
        if positions:
            return frame.iloc[positions], records
    raise ValueError("no row has values that JSON knows: remove the infinite numbers")


def _record(row: pd.DataFrame) -> dict[str, Any]:
    values, missing = row.to_dict("records")[0], row.isna().to_dict("records")[0]
    return {str(name): None if missing[name] else json_value(value) for name, value in values.items()}


def _answers(pipeline: Any, frame: pd.DataFrame, classes: tuple[Any, ...] | None) -> tuple[list[Any], Any]:
    """Labels and probabilities (None without them) straight from the pipeline: what its server must give, too."""
    predicted = pipeline.predict(frame).tolist()
    if classes is None:
        return predicted, None
    labels = [classes[code] for code in predicted]
    return labels, pipeline.predict_proba(frame).tolist() if hasattr(pipeline, "predict_proba") else None


@cached("scikit-learn", "numpy", "scipy", "pandas", "joblib")
def prove(package: Package) -> Proof:
    """Load the package in a fresh isolated process and compare its answers with the training process's.

    The process runs in an empty folder and finds nothing but the package and what is installed.

    Raises:
        PackageError: naming the global, the file or the value that is at fault.
    """
    where = str(package.path)
    code = f"import sys, runpy; sys.path.insert(0, {where!r}); runpy.run_module('score.prove', run_name='__main__')"
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-B", "-c", code],
                cwd=empty,
                env=_clean_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PROOF_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PackageError(f"the package gave no answer within {PROOF_SECONDS} s in a clean process") from error
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["nothing was printed"])[-1]
        raise PackageError(f"the clean process that loads {where} ended with code {done.returncode}: {last}") from None
    if "failure" in result:
        raise PackageError(f"the package fails in a clean process: {result['failure']}")
    return Proof(package.fingerprint, result["requests"], result["memory_bytes"])


def _clean_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in (*kept, *TELEMETRY_OFF) if name in os.environ}
