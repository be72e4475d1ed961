"""What pip's log says about a resolution that failed: who asked for what, what pip went back for, and which build died."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.diagnostics.log_parser import Line
from orchestrator.diagnostics.rules import Finding

MOST = 6  # sides that are named
_SIDE = re.compile(r"^\s*(?P<side>The user requested .+|[\w.-]+(?:\[[^\]]*\])? \S+ depends on .+?)\s*$")
_LOOKING = re.compile(r"pip is (?:still )?looking at multiple versions of (?P<name>\S+) to")
_COLLECTED = re.compile(r"^(?:Collecting|Processing) (?P<what>\S+).*?(?:\(from (?P<chain>.+)\))?$")
_FILE = re.compile(
    r"(?:Downloading|Using cached|Processing) \S*?(?P<name>[\w.-]+?)-(?P<version>\d[\w.!+]*?)\.(?:tar\.\w+|zip)\b"
)
_FAILED = re.compile(
    r"(?:Failed to build '|Failed building wheel for |Could not build wheels for |Failed to build installable wheels for [^(]*\()"
    r"(?P<name>[^'\s,)]+)"
)
_RAISED = re.compile(r"^\s+(?P<said>(?:\w+\.)*\w*(?:Error|Exception|Exit)\b.*|error: .+)")


def words(finding: Finding, lines: Sequence[Line]) -> dict[str, str]:
    """Return the words about pip that a template may use."""
    own = [line for line in lines if line.source == finding.line.source]
    before = [line for line in own if line.number <= finding.line.number]
    sides = _sides(own)
    return {
        "sides": f" ({'; '.join(sides)})" if sides else "",
        "walked": " and ".join(_walked(own)) or "a requirement",
        "built": _built(finding, before),
        "died": f": {died}" if (died := _died(_output(finding, own))) else "",
        "without_defaults": _without_defaults(own),
    }


def _sides(lines: Sequence[Line]) -> list[str]:
    """What pip prints below "The conflict is caused by", each once."""
    found = [match["side"] for line in lines if (match := _SIDE.match(line.text))]
    return list(dict.fromkeys(found))[:MOST]


def _walked(lines: Sequence[Line]) -> list[str]:
    """What pip tried older and older releases of, with the requirement that it is for."""
    roots: dict[str, str] = {}
    for match in filter(None, (_COLLECTED.match(line.text) for line in lines)):
        *path, last = (match["chain"] or "").split("->")
        root = path[-1] if path and last.startswith("-") else last
        roots.setdefault(_name(match["what"]), "" if root.startswith("-") else root)
    names = dict.fromkeys(found["name"] for line in lines if (found := _LOOKING.search(line.text)))
    return [f"{name} (for {roots[_name(name)]})" if roots.get(_name(name)) else name for name in names]


def _built(finding: Finding, before: Sequence[Line]) -> str:
    """The distribution whose build died: the last source archive before it."""
    archives = [match for line in before if (match := _FILE.search(line.text))]
    named = _FAILED.search(finding.line.text)
    if named is not None:  # when wheels are built, all archives are there
        archives = [match for match in archives if _name(match["name"]) == _name(named["name"])]
    if archives:
        return f"{archives[-1]['name']} {archives[-1]['version']}"
    return named["name"] if named else "a distribution"


def _output(finding: Finding, lines: Sequence[Line]) -> list[Line]:
    """The lines up to the end of what the build printed, which follows the line that says that it failed, or precedes it."""
    ends = (line.number for line in lines if line.number > finding.line.number and "[end of output]" in line.text)
    end = next(ends, finding.line.number)
    return [line for line in lines if line.number <= end]


def _died(output: Sequence[Line]) -> str:
    """The last error of the build's own output."""
    found = [match["said"].strip() for line in output if (match := _RAISED.match(line.raw))]
    said = [
        text
        for text in found
        if "subprocess-exited-with-error" not in text and "metadata-generation-failed" not in text
    ]
    return said[-1] if said else ""


def _without_defaults(lines: Sequence[Line]) -> str:
    if not any(re.search(r"\bazureml[-_.]defaults\b", line.text) for line in lines):
        return ""
    return "name azureml-inference-server-http in conda.yaml in place of azureml-defaults, which holds others back; or "


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]*", requirement)
    return re.sub(r"[-_.]+", "-", found[0] if found else "").lower()
