"""What a run prints: report mistakes, print a plan or run it, say where the results are."""

from __future__ import annotations

import math
import shlex
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import invocation
from orchestrator.artifacts import Endpoint, ModelVersion, Package, Report, Trained
from orchestrator.bundled import is_example
from orchestrator.cli.console import Console
from orchestrator.cli.descriptions import curl_line
from orchestrator.cli.result_file import Result
from orchestrator.cli.streams import plain_warnings
from orchestrator.config.composed import Composed
from orchestrator.config.memory_note import memory_note
from orchestrator.config.validate import ValidConfig, validate
from orchestrator.emulation import emulated_tables
from orchestrator.engine.runner import Artifacts
from orchestrator.errors import DataError, DeployError, OrchestratorError, Problem, SpecError
from orchestrator.gate.verdict import Verdict
from orchestrator.invocation import wants_traceback
from orchestrator.modeling.halving import is_halving
from orchestrator.modeling.splitting.splitters import describe_folds, describe_rule, fold_count
from orchestrator.pipeline import Run, bind
from orchestrator.report.inspection import FILE as REPORT
from orchestrator.report.inspection import ReportPage
from orchestrator.reporting.scores import score_table
from orchestrator.spec.messages import one_line
from orchestrator.spec.run_spec import RunSpec

# overrides that later commands about the same service need too
ABOUT_THE_SERVICE = (
    "hydra.searchpath=",
    "experiment=",
    "name=",
    "state_dir=",
    "deploy=",
    "deploy.",
    "azure=",
    "azure.",
)
RESULT = "result.json"
KEPT_BACK = 3  # the exit code of a run that ended well and whose version the gate did not let be deployed
FAULTS = "azure.faults="  # of the emulator: later commands should not repeat them


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: the best candidate's ``score``, 0 if nothing was trained, None on failure.

    ``kept_back``: it ended well, and the gate let its version not be deployed.
    """

    score: float | None
    kept_back: bool = False


def main(composed: Composed, folder: Path, *, compared: bool = False) -> RunOutcome:
    """Validate and run a configuration.

    ``folder`` gets result.json. The scores of jobs that are ``compared`` at the end of a sweep have no table of their
    own.
    """
    valid = validate_or_report(composed)
    if valid is None:
        return RunOutcome(None)
    result = Result()
    run: Run | None = None
    artifacts: Any = {}
    try:
        run = bind(valid)
        console = Console(verbose=run.spec.verbose)
        if run.spec.dry_run:
            steps = tuple(item.plan for item in run.preview())
            trains = any(step.gives == Trained.__name__ and not step.cached for step in steps)
            console.plan(steps, _preview(run, trains=trains))
            return RunOutcome(0.0)
        try:
            with plain_warnings():
                artifacts = run.start([console, result])
        except BaseException:
            _write_anyway(result, folder / RESULT)
            raise
        result.write(folder / RESULT, artifacts)
        if Report in artifacts and not compared:
            console.table(score_table(artifacts[Report]))
        console.where(_where(run.spec, artifacts, folder, composed.overrides or ()))
    except OrchestratorError as error:
        sys.stderr.write(f"{_heading(error)}\n")
        return RunOutcome(None)
    except Exception as error:
        if wants_traceback():
            raise
        sys.stderr.write(f"{result.failed or 'run'} failed: {one_line_of(error)}{_write_traceback(error, folder)}\n")
        return RunOutcome(None)
    kept_back = Verdict in artifacts and bool(artifacts[Verdict].ends)
    score = artifacts[Report].metrics[f"mean_test_{run.spec.search.refit}"] if Report in artifacts else 0.0
    return RunOutcome(score, kept_back)


def _write_anyway(result: Result, file: Path) -> None:
    """Write the result of a failed run; where that fails as well, the run's own error is still the one to report."""
    try:
        result.write(file, {})
    except OSError as error:
        sys.stderr.write(f"{file} could not be written: {error.strerror}\n")


def one_line_of(error: BaseException) -> str:
    """Return the kind and the text of a library's error, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {one_line(error)}"


def _write_traceback(error: Exception, folder: Path) -> str:
    """Write the traceback to a file and return a note about it."""
    file = folder / "traceback.txt"
    try:
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return " (HYDRA_FULL_ERROR=1 shows the traceback)"
    return f"; the traceback is in {file}"


class ProblemWriter:
    """Writes each problem to standard error at once: those that need no estimator do not wait for its import."""

    def __init__(self) -> None:
        self._found = False

    def __call__(self, problem: Problem) -> None:
        """Write one problem, the first below a heading."""
        if not self._found:
            sys.stderr.write("The configuration is wrong; nothing was run:\n")
        self._found = True
        sys.stderr.write(f"  {problem}\n")
        sys.stderr.flush()


def report(problems: Iterable[Problem]) -> None:
    """Write problems that are known already."""
    write = ProblemWriter()
    for problem in problems:
        write(problem)


def validate_or_report(composed: Composed) -> ValidConfig | None:
    """Validate a configuration; write its mistakes and return None if there are any."""
    try:
        with emulated_tables(composed.values):
            return validate(composed, ProblemWriter())
    except SpecError:
        return None
    except OrchestratorError as error:  # the emulator does not start
        sys.stderr.write(f"{_heading(error)}\n")
        return None


def _heading(error: OrchestratorError) -> str:
    kind = "configuration" if isinstance(error, SpecError) else type(error).__name__.removesuffix("Error").lower()
    first, end, rest = str(error).removeprefix(f"{kind}: ").partition("\n")  # many begin with their kind
    diagnosed = f" [{error.code}]" if isinstance(error, DeployError | DataError) and error.kind else ""
    return f"{kind} failed: {first}{diagnosed}{end}{rest}"


def _preview(run: Run, *, trains: bool) -> dict[str, str]:
    spec = run.spec
    candidates = spec.search.candidates(math.prod(map(len, spec.model.param_grid.values())))
    first = "in the first round, then fewer on more rows, " if trains and is_halving(spec.search.target) else ""
    options = spec.deploy.options
    served = ", ".join(f"{name}={options[name]}" for name in ("service_name", "port") if name in options)
    folds, split = fold_count(spec.search, spec.data.split), spec.data.split
    fits = f"{candidates * folds} " if folds else ""
    again = ", which ships fitted again on all rows" if spec.search.fit_on == "all" else ""
    said = f"{fits}({candidates} candidates × {describe_folds(spec.search, split)}) {first}and one of the best{again}"
    rows = describe_rule(split, spec.data.test_size, stratified=spec.data.stratify)
    return {
        **({"task": run.config.task} if run.config.task else {}),
        **({"splits": rows} if "train" in spec.stages else {}),
        **({"weights": f"by '{spec.data.weight}'"} if trains and spec.data.weight else {}),
        **({"memory": memory_note(spec, always=True)} if trains else {}),
        **({"scores": f"{', '.join(spec.search.scoring)}; the best by {spec.search.refit}"} if trains else {}),
        "fits": said if trains else "none",
        **(run.search_notes(fits=True) if trains else {}),
        "writes": str(spec.state_dir),
        "tracks": run.tracker.registry_name or "nothing",
        "deploys": f"{spec.deploy.target.rpartition('.')[2].lower()} {served}".strip()
        if spec.stages.get("deploy")
        else "nothing",
    }


def _where(spec: RunSpec, artifacts: Artifacts, folder: Path, overrides: Sequence[str]) -> dict[str, str]:
    again = command(*filter(_about_the_service, overrides))
    notes: dict[str, str] = {}
    if "train" in spec.stages and is_example(spec.data.path):
        notes["table"] = f"{spec.data.path.name}, the example; for yours: {_own_table()}"
    if Endpoint in artifacts:
        endpoint = artifacts[Endpoint]
        notes["scoring URI"] = endpoint.url
        notes["try it"] = curl_line(endpoint, f"{again} stages=keys")
        if endpoint.auth:
            notes["keys"] = f"{again} stages=keys"
        notes["stop it"] = f"{again} stages=remove"
    if Verdict in artifacts and artifacts[Verdict].ends and spec.stages.get("deploy"):
        notes["deploy it anyway"] = f"{again} stages=deploy"
    if Package in artifacts or ModelVersion in artifacts:
        package = artifacts[Package] if Package in artifacts else artifacts[ModelVersion].package
        notes["package"] = str(package.path)
    if ReportPage in artifacts:
        notes["report"] = str(folder / REPORT)
    uri = spec.tracking.options.get("tracking_uri")
    if uri and "train" in spec.stages:
        local = shlex.join([invocation.python(), "-m", "mlflow", "ui", "--backend-store-uri", str(uri)])
        notes["MLflow UI"] = local if str(uri).startswith("sqlite") else str(uri)
    if notes:
        notes["result"] = str(folder / RESULT)
    return notes


def _own_table() -> str:
    """Return what to type for a table of one's own: the project's experiment, or how to make a project."""
    experiments = sorted(path.stem for path in Path("conf/experiment").glob("*.yaml"))
    return command(
        *([f"experiment={experiments[0]}"] if experiments else ["init", "--data", "FILE", "--target", "COLUMN"])
    )


def _about_the_service(override: str) -> bool:
    return override.startswith(ABOUT_THE_SERVICE) and not override.startswith(FAULTS)


def command(*overrides: str) -> str:
    """Return the line to type for another run."""
    return shlex.join([*invocation.to_type(), *overrides])
