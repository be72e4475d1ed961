"""Read pip's log of a failed resolution: conflicting requirements, backtracking, and the build that failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.diagnostics.log_parser import Line
from orchestrator.diagnostics.rules import Finding

MAX_CONFLICTS = 6  # that are named
_CONFLICT = re.compile(r"^\s*(?P<requirement>The user requested .+|[\w.-]+(?:\[[^\]]*\])? \S+ depends on .+?)\s*$")
_BACKTRACKING = re.compile(r"pip is (?:still )?looking at multiple versions of (?P<name>\S+) to")
_COLLECTING = re.compile(r"^(?:Collecting|Processing) (?P<what>\S+).*?(?:\(from (?P<chain>.+)\))?$")
_SOURCE_ARCHIVE = re.compile(
    r"(?:Downloading|Using cached|Processing) \S*?(?P<name>[\w.-]+?)-(?P<version>\d[\w.!+]*?)\.(?:tar\.\w+|zip)\b"
)
_FAILED_WHEEL = re.compile(
    r"(?:Failed to build '|Failed building wheel for |Could not build wheels for |Failed to build installable wheels for [^(]*\()"
    r"(?P<name>[^'\s,)]+)"
)
_ERROR = re.compile(r"^\s+(?P<error>(?:\w+\.)*\w*(?:Error|Exception|Exit)\b.*|error: .+)")


def pip_values(finding: Finding, lines: Sequence[Line]) -> dict[str, str]:
    """Return the variables about pip that a template may use."""
    own = [line for line in lines if line.source == finding.line.source]
    before = [line for line in own if line.number <= finding.line.number]
    conflicts = _conflicts(own)
    return {
        "conflicts": f" ({'; '.join(conflicts)})" if conflicts else "",
        "backtracked": " and ".join(_backtracked(own)) or "a requirement",
        "distribution": _failed_distribution(finding, before),
        "build_error": f": {error}" if (error := _last_error(_build_output(finding, own))) else "",
        "without_defaults": _without_defaults(own),
    }


def _conflicts(lines: Sequence[Line]) -> list[str]:
    """Return what pip prints below "The conflict is caused by", each once."""
    requirements = [match["requirement"] for line in lines if (match := _CONFLICT.match(line.text))]
    return list(dict.fromkeys(requirements))[:MAX_CONFLICTS]


def _backtracked(lines: Sequence[Line]) -> list[str]:
    """Return the distributions of which pip tried older releases, with the requirement that needs them."""
    roots: dict[str, str] = {}
    for match in filter(None, (_COLLECTING.match(line.text) for line in lines)):
        *path, last = (match["chain"] or "").split("->")
        root = path[-1] if path and last.startswith("-") else last
        roots.setdefault(_normalize(match["what"]), "" if root.startswith("-") else root)
    names = dict.fromkeys(found["name"] for line in lines if (found := _BACKTRACKING.search(line.text)))
    return [f"{name} (for {roots[_normalize(name)]})" if roots.get(_normalize(name)) else name for name in names]


def _failed_distribution(finding: Finding, before: Sequence[Line]) -> str:
    """Return the distribution whose build failed: the last source archive before the error."""
    archives = [match for line in before if (match := _SOURCE_ARCHIVE.search(line.text))]
    named = _FAILED_WHEEL.search(finding.line.text)
    if named is not None:  # when wheels are built, all archives were downloaded before
        archives = [match for match in archives if _normalize(match["name"]) == _normalize(named["name"])]
    if archives:
        return f"{archives[-1]['name']} {archives[-1]['version']}"
    return named["name"] if named else "a distribution"


def _build_output(finding: Finding, lines: Sequence[Line]) -> list[Line]:
    """Return the lines up to the end of the build's output, which stands before or after the line of the failure."""
    ends = (line.number for line in lines if line.number > finding.line.number and "[end of output]" in line.text)
    end = next(ends, finding.line.number)
    return [line for line in lines if line.number <= end]


def _last_error(output: Sequence[Line]) -> str:
    """Return the last error of the build's own output."""
    printed = [match["error"].strip() for line in output if (match := _ERROR.match(line.raw))]
    errors = [
        text
        for text in printed
        if "subprocess-exited-with-error" not in text and "metadata-generation-failed" not in text
    ]
    return errors[-1] if errors else ""


def _without_defaults(lines: Sequence[Line]) -> str:
    if not any(re.search(r"\bazureml[-_.]defaults\b", line.text) for line in lines):
        return ""
    return "name azureml-inference-server-http in conda.yaml in place of azureml-defaults, which holds others back; or "


def _normalize(requirement: str) -> str:
    name = re.match(r"[\w.-]*", requirement)
    return re.sub(r"[-_.]+", "-", name[0] if name else "").lower()
