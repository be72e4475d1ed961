"""docs/reference/errors.md: every code of an error, what it means, and how to fix it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

from docs.generators.markdown import NOTE, code, prose, table
from orchestrator import errors
from orchestrator.diagnostics.evidence import MEANINGS
from orchestrator.diagnostics.matcher import ALL_RULES
from orchestrator.diagnostics.rules import FailureRule
from orchestrator.findings import KINDS

FIX = "How to fix: "
INTRO = """# Errors

Every failure has a code that never changes its meaning. `result.json` has it as `error_code`. A printed error begins
with its kind, which is the code; where logs prove why a deployment failed, the code of the diagnosis ends the first line:

"""
EXAMPLE = """deploy failed: out of memory: MemoryError; deploy.memory_gb=2 [deploy-out-of-memory]
  proof: container log, line 3: MemoryError
  raw texts: state/services/diabetes-prediction-service.docker/failures/1
"""
FINDINGS = """
## Findings about the table and the model

Before training the table is looked at for what makes scores wrong or a model useless. Each finding is printed with its
code, and `result.json` lists them under `findings`; [a how-to](../how_to/check_the_table.md) explains the block. `data.checks=strict` ends
the run for a finding, `data.checks=off` looks for none. Codes that begin with `model-` are looked for after the training, whatever
`data.checks` says, and are in [the report](../how_to/read_and_send_the_report.md); they never end a run.

"""
REST = f"""
### {errors.UNEXPECTED}

An exception of a library or a defect of this project, in one line with the stage's name.

How to fix: read the text; the traceback is in a file beside `result.json`, and `HYDRA_FULL_ERROR=1` prints it.

### {errors.INTERRUPTED}

The run was ended by Ctrl-C.

How to fix: type the same command again. What was finished is taken from the cache.
"""
DIAGNOSES = """
## Diagnoses of failed deployments

The code is `deploy-` and the kind of cause. Build logs, container logs and the platform's answers are read by the rules
below; words in angle brackets come from them or from the target's own settings.

"""
VARIABLES = {
    "conflicts": " (the conflicting requirements)",
    "quoted": "the line of the log",
    "install": "install the library, or add it to the package's requirements",
    "install_pins": "install the package's pins",
    "fix": "fix it in score/ and build the package again",
    "read_log": "read its log",
    "more_memory": "give it more memory, such as deploy.memory_gb=2",
    "more_time": "raise deploy.timeout_seconds",
    "free_port": "stop that process, or choose another deploy.port",
    "smaller": "ask for less, such as less deploy.cpu_cores or deploy.memory_gb",
    "network": "check the network and the proxy of the build",
    "other_version": "install another version here and run again: the package pins what is installed",
    "log_end": "the end of its log",
    "list_below": "",
    "last_line": "",
    "location_in_code": "",
    "build_error": "",
    "without_defaults": "",
}


def page() -> str:
    """Return the text of the page."""
    kinds: list[type[errors.OrchestratorError]] = [errors.OrchestratorError, *errors.OrchestratorError.__subclasses__()]
    explained = [kind for kind in kinds if kind.__module__ == errors.__name__ and "How to fix" in (kind.__doc__ or "")]
    rows = [[f"[`{kind.code}`](#{kind.code})", f"`{kind.__name__}`", _meaning(kind)[0]] for kind in explained]
    listed = table(["code", "exception", "meaning"], rows)
    sections = "".join(_section(kind) for kind in explained)
    return (
        NOTE
        + INTRO
        + code(EXAMPLE)
        + "\n## Kinds of errors\n\n"
        + listed
        + "\n"
        + sections
        + REST.lstrip("\n")
        + FINDINGS
        + "".join(_findings())
        + DIAGNOSES
        + "".join(_diagnoses())
    )


def _meaning(kind: type[errors.OrchestratorError]) -> tuple[str, str]:
    """Return the first sentence of an exception, and how to fix it."""
    text, _, fix = (inspect.getdoc(kind) or "").partition(FIX)
    return prose(text.partition("\n")[0]), prose(" ".join(fix.split()))


def _section(kind: type[errors.OrchestratorError]) -> str:
    meaning, fix = _meaning(kind)
    return f"### {kind.code}\n\n{meaning}\n\n{FIX}{fix}\n\n"


def _findings() -> Iterator[str]:
    yield table(["code", "meaning"], [[f"[`{name}`](#{name})", prose(kind.meaning)] for name, kind in KINDS.items()])
    for name, kind in KINDS.items():
        yield f"\n### {name}\n\n{prose(kind.meaning)}\n\n{FIX}{prose(kind.fix)}\n"


def _diagnoses() -> Iterator[str]:
    yield table(
        ["code", "meaning"],
        [[f"[`{name}`](#{name})", MEANINGS[kind]] for kind in MEANINGS for name in [errors.diagnosis_code(kind)]],
    )
    for kind, meaning in MEANINGS.items():
        yield f"\n### {errors.diagnosis_code(kind)}\n\n{meaning}\n"
        rules = [rule for rule in ALL_RULES if rule.kind == kind]
        if rules:
            yield "\n" + table(["cause", "how to fix it", "where"], _rows(rules))
        else:
            yield f"\n{FIX}read the raw texts in the folder that the last line names, and fix what they name.\n"


def _rows(rules: Iterable[FailureRule]) -> Iterator[list[str]]:
    """Yield cause, remedy and targets; rules that differ in their pattern only are one row."""
    where: dict[tuple[str, str], set[str]] = {}
    for rule in rules:
        where.setdefault((_filled(rule.cause), _filled(rule.remedy)), set()).update(rule.targets or ["everywhere"])
    for (cause, remedy), targets in where.items():
        yield [cause, remedy, "everywhere" if "everywhere" in targets else ", ".join(sorted(targets))]


def _filled(template: str) -> str:
    """Return a rule's text with what a reader needs to know in place of its variables."""
    text = re.sub(r"\{(\w+)\}", lambda match: VARIABLES.get(match[1], f"<{match[1].replace('_', ' ')}>"), template)
    return prose(text.strip(" :"))
