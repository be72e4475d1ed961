"""Stages that make the package, a self-contained folder, and verify it in a clean process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.artifacts import Evaluation, Package, Split, Trained, Verification
from orchestrator.bundled import ROOT
from orchestrator.caching.cache import cached
from orchestrator.errors import PackageError
from orchestrator.events import Progress
from orchestrator.modeling.decision import Decision
from orchestrator.modeling.row_digests import FoldScores, rows_digest
from orchestrator.packaging import dockerfile, holdout_check, own_code, pickling, swagger_ui, unseen_categories
from orchestrator.packaging.clean_process import run_package
from orchestrator.packaging.explanation import write_explanation
from orchestrator.packaging.onnx.compile import CompiledPipeline, compile_pipeline
from orchestrator.packaging.refit import Shipped, fit_again
from orchestrator.spec.field_types import FitOn, StateDir
from orchestrator.spec.package import PackageSpec
from score.contract import distribution, golden, training_info
from score.contract.schema import Contract, Levels, json_value
from score.models.base import FILE as PICKLE
from score.models.base import PickledModel
from score.models.onnx import Compilation
from score.payload.reader import Reader
from score.predict import response
from score.predict.decision import decide

if TYPE_CHECKING:
    import pandas as pd

SHIPS = ROOT / "score"
RUNTIME = "onnxruntime"  # imported only by a package with a compiled model
NATIVE = "score.native_catboost."  # imported only by a package whose pickle needs it


@cached(
    "scikit-learn", "numpy", "scipy", "pandas", "joblib",
    "anyio", "flask-swagger-ui", "httptools", "msgspec", "orjson", "prometheus-client", "starlette", "uvicorn", "uvloop",
    "onnx", "onnxruntime", "skl2onnx",
    packages=[SHIPS.name],
)  # fmt: skip
def package(
    trained: Trained,
    split: Split,
    evaluation: Evaluation,
    spec: PackageSpec,
    fit_on: FitOn,
    state_dir: StateDir,
    progress: Progress,
) -> Package:
    """Write the package to ``state_dir/packages/<fingerprint>``; equal contents share one folder.

    With ``fit_on`` "all" the pipeline is fitted again on all rows: contract, profile, golden requests and the comparison
    with the compiled model are then of that fit. What the hold-out rows are to show (metrics, figures, refused rows) is of
    the fit that had not seen them.

    Raises:
        PackageError: its endpoint would refuse more than ``package.max_refused`` of rows like the hold-out rows, the
            pickle needs code that cannot ship, a column has no JSON form, or compilation is required and fails.
    """
    shipped = Shipped(trained.pipeline, split.X_train, split.X_test)
    contract = _contract(shipped, split, spec, evaluation.decision)
    refusals = holdout_check.check_rows(split.X_test, holdout_check.unseen_row_columns(contract)).refusals
    holdout_check.enforce_max_refused(refusals, spec.max_refused)
    if fit_on == "all":
        shipped = fit_again(trained, split, progress)
        contract = _contract(shipped, split, spec, evaluation.decision)
    home = state_dir / "packages"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=home, ignore_cleanup_errors=True) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        _write_about(new, trained, split, evaluation, fit_on)
        fingerprint = _write(new, shipped, split, contract, spec, progress).fingerprint
        made = Package.stored(state_dir, fingerprint, spec.model_name, refusals)
        if not made.is_intact():  # an existing whole package stays, as it may be in service
            with contextlib.suppress(OSError):
                made.path.rename(Path(scratch, "old"))
            new.rename(made.path)
    return made


def _contract(shipped: Shipped, split: Split, spec: PackageSpec, decision: Decision | None) -> Contract:
    """Return the contract of all rows of the table, with the ranges of the rows that the pipeline was fitted on."""
    try:
        contract = Contract.describe(
            shipped.fitted,
            model_name=spec.model_name,
            task="regression" if split.classes is None else "classification",
            classes=split.classes,
            extra_columns=spec.extra_columns,
            held_out=shipped.others,
            levels=Levels(spec.category_share, spec.max_categories),
        )
    except ValueError as error:  # a name, a dtype or a value without a JSON form
        raise PackageError(f"data: {error}") from error
    contract = replace(contract, threshold=None if decision is None else decision.threshold)
    return unseen_categories.decide_unseen(shipped.pipeline, contract, shipped.fitted, split.X_test, spec)


def _write(
    folder: Path, shipped: Shipped, split: Split, contract: Contract, spec: PackageSpec, progress: Progress
) -> Contract:
    shutil.copytree(SHIPS, folder / SHIPS.name, ignore=shutil.ignore_patterns("__pycache__", ".*", "py.typed"))
    swagger_ui.copy_assets(folder / SHIPS.name)
    copy, names = pickling.round_trip(shipped.pipeline)
    own = own_code.collect_or_refuse(names, spec.code or ())
    own.copy_to(folder)
    pickling.dump(copy, folder / PICKLE)  # the copy has the same bytes for a fitted and for a cached pipeline
    distribution.write(folder, shipped.fitted, contract)
    requests = _golden(shipped.pipeline, split, contract, spec.golden_rows)
    compilation = _compile(folder, shipped, contract, requests, spec, progress)
    if compilation.tolerance is not None:
        requests = [replace(request, tolerance=compilation.tolerance) for request in requests]
    golden.write(folder, requests)
    write_explanation(folder, shipped, contract, compilation)
    ships = pickling.imported_modules(SHIPS) - (set() if compilation.used else {RUNTIME})
    ships -= set() if any(name.startswith(NATIVE) for name in names) else {"catboost"}
    tops = {name.partition(".")[0] for name in [*names, *own.imports]} | ships
    # shipped code needs no pin, also where this project is installed
    needed = pickling.pin_versions(tops - {SHIPS.name, *(name.partition(".")[0] for name in own.modules)})
    _write_environment(folder, needed, spec.model_name)
    (folder / dockerfile.DOCKERFILE).write_text(dockerfile.render_dockerfile(platform.python_version(), own.tops()))
    contract = replace(contract, table=split.reading.form if split.reading else None)
    return replace(contract, versions={"python": platform.python_version(), **needed}).write(folder)


def _compile(
    folder: Path,
    shipped: Shipped,
    contract: Contract,
    requests: list[golden.Golden],
    spec: PackageSpec,
    progress: Progress,
) -> Compilation:
    """Write the compiled model, if it is wanted and possible, and the record of the compilation."""
    if spec.compile == "never":
        compiled = CompiledPipeline(Compilation("package.compile is never"))
    else:
        compiled = compile_pipeline(shipped.pipeline, contract, shipped.tables, requests, progress)
    reason = compiled.compilation.reason
    if reason and spec.compile == "required":
        raise PackageError(f"package.compile: is 'required', and the pickle must serve this model: {reason}")
    compiled.write(folder)
    return compiled.compilation


def _write_about(folder: Path, trained: Trained, split: Split, evaluation: Evaluation, fit_on: FitOn) -> None:
    """Write the training information; without times and run ids, so that the same training makes the same package."""
    from orchestrator.modeling import calibration

    training_info.write(
        folder,
        training_info.About(
            estimator=calibration.name_of(trained.pipeline[-1], trained.unfitted),
            params={name: str(value) for name, value in trained.best.params.items()},
            metrics={
                name: float(f"{value:.6g}")
                for name, value in {**evaluation.metrics, **evaluation.calibration}.items()
                if math.isfinite(value)
            },
            training_rows=len(split.y_train),
            held_out_rows=len(split.y_test),
            data=split.digest,
            target=str(split.y_train.name),
            split=None if split.summary is None else split.summary.about(),
            fit_on=fit_on,
            held_out=rows_digest(split.X_test, split.y_test),
            folds=None if trained.folds is None else _folds(trained.folds),
            intervals={
                name: one.as_json() | {"low": float(f"{one.low:.6g}"), "high": float(f"{one.high:.6g}")}
                for name, one in evaluation.intervals.items()
            },
            decision=None if evaluation.decision is None else evaluation.decision.as_json(),
            target_profile=_target_profile(split),
        ),
        evaluation.figures,
    )


def _target_profile(split: Split) -> dict[str, Any] | None:
    """Return the shares of the target's values among the training rows; None for more classes than a profile has."""
    if split.classes is None:
        made = distribution.Profile.describe(split.y_train, "number", None)
    else:
        labels = [json_value(label) for label in split.classes]
        made = distribution.Profile.describe(split.y_train.map(dict(enumerate(labels))), "category", labels)
    return None if made is None else dataclasses.asdict(made)


def _folds(folds: FoldScores) -> dict[str, Any]:
    scores = {
        name: [float(f"{value:.6g}") for value in each]
        for name, each in folds.scores.items()
        if all(map(math.isfinite, each))
    }
    return {"digest": folds.digest, "test_share": float(f"{folds.test_share:.6g}"), "scores": scores}


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
    """Return requests in every form with the training process's answers, and two that must be refused."""
    chosen = split.X_test.iloc[holdout_check.first_accepted(split.X_test, contract.columns, rows)]
    frame = unseen_categories.as_scored(chosen, contract)
    records = holdout_check.as_records(chosen, contract.columns)
    columns = list(frame.columns)
    table = {"columns": columns, "data": [[record[name] for name in columns] for record in records]}
    article = {"input": json.dumps(records[:1])}
    incomplete = [{name: value for name, value in records[0].items() if name != columns[0]}]
    reply = response.plain(*_answers(pipeline, frame, split.classes, contract), split.classes)
    article_reply = response.article(*_answers(pipeline, frame.head(1), split.classes, contract))
    return [
        golden.Golden("the article's form", json.dumps(article), 200, article_reply),
        golden.Golden(golden.RECORDS, json.dumps({"data": records}), 200, reply),
        golden.Golden("split", json.dumps(table), 200, reply),
        golden.Golden("a column is missing", json.dumps({"data": incomplete}), 400),
        golden.Golden("no JSON", "{", 400),
    ]


def _answers(
    pipeline: Any, frame: pd.DataFrame, classes: tuple[Any, ...] | None, contract: Contract
) -> tuple[list[Any], Any]:
    """Return the pipeline's labels and probabilities (None without them), which its server must reproduce."""
    pickle = PickledModel(pipeline, Reader(contract))
    predicted, probabilities = pickle.answers(*pickle.transformed(frame))
    if classes is None:
        return predicted.tolist(), None
    codes = predicted if contract.threshold is None else decide(probabilities, contract.threshold)
    labels = [classes[code] for code in codes.tolist()]
    return labels, None if probabilities is None else probabilities.tolist()


@cached("scikit-learn", "numpy", "scipy", "pandas", "joblib")
def verify(package: Package) -> Verification:
    """Load the package in a fresh isolated process and compare its answers with the training process's.

    The process runs in an empty folder and can import only the package and installed distributions.

    Raises:
        PackageError: the text names the global, the file or the value at fault.
    """
    result = run_package(package.path, "import runpy; runpy.run_module('score.verify', run_name='__main__')")
    if "failure" in result:
        raise PackageError(f"the package fails in a clean process: {result['failure']}")
    return Verification(package.fingerprint, result["requests"], result["memory_bytes"])
