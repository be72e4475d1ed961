"""Template variables of a rule: the line that matched, and remedies in terms of the target's own settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import invocation
from orchestrator.diagnostics import pip_log
from orchestrator.diagnostics.evidence import Evidence
from orchestrator.diagnostics.log_parser import Line
from orchestrator.diagnostics.rules import Finding

MAX_LENGTH = 200
# Imported name -> name of the distribution, where they differ.
_DISTRIBUTIONS = {
    "azureml.ai": "azureml-ai-monitoring",
    "bs4": "beautifulsoup4",
    "category_encoders": "category-encoders",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "imblearn": "imbalanced-learn",
    "PIL": "pillow",
    "ruamel": "ruamel.yaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def template_values(finding: Finding, evidence: Evidence, lines: Sequence[Line]) -> dict[str, str]:
    """Return every variable that a template may use."""
    groups = {name: text or "" for name, text in finding.match.groupdict().items()}
    module = groups.get("module", "")
    return {
        "quoted": _shorten(_message_of(finding)),
        "location_in_code": _location_in_code(finding.frames),
        "list_below": _list_below(finding, lines),
        "log_end": _log_end(lines)
        if evidence.target == "local"
        else f"the container crashes while starting; {_log_end(lines)}",
        "last_line": f" ({_shorten(last)})" if (last := _last_line(lines)) else "",
        "top": module.partition(".")[0],
        "target": evidence.target,
        "install": _install_command(module, evidence),
        "other_version": _other_version(groups.get("what", "")),
        **pip_log.pip_values(finding, lines),
        **_settings_values(evidence),
        **groups,
    }


def _shorten(text: str) -> str:
    """Remove line breaks and truncate."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."


def _message_of(finding: Finding) -> str:
    """Return the line; of a long one, such as a JSON document, the sentence around the match."""
    text = re.sub(r'^(?:Message: |"\w+": ")|",?$', "", finding.line.text.strip())
    if len(text) <= MAX_LENGTH:
        return text
    begin = max(text.find(finding.match.group()), 0)
    after = begin + len(finding.match.group())
    start = max(text.rfind(mark, 0, begin) + 1 for mark in '"{>')
    end = min(at for at in (text.find('"', after), text.find("\\n", after), len(text)) if at >= 0)
    return text[start:end].rstrip("\\")


def _settings_values(evidence: Evidence) -> dict[str, str]:
    settings = evidence.settings
    memory, cpu = _positive(settings.get("memory_gb")), _positive(settings.get("cpu_cores"))
    seconds, port = _positive(settings.get("timeout_seconds")), _positive(settings.get("port"))
    name = str(settings.get("service_name") or "my-service")
    label = str(settings.get("dns_name_label") or name)
    local = evidence.target == "local"
    more_memory = f"deploy.memory_gb={max(2.0, 2 * (memory or 1)):g}"
    reductions = [
        f"deploy.{key}={limit:g}"
        for key, current, limit in (("cpu_cores", cpu, 1), ("memory_gb", memory, 2))
        if (current or 9) > limit
    ]
    region = str(settings.get("location") or "")
    in_west_europe = any("westeurope" in text for text in (region, "" if region else evidence.error))
    values = {
        "command": invocation.called_as(),
        "more_memory": "free memory on this machine, or train a smaller model" if local else more_memory,
        "more_time": f"raise deploy.timeout_seconds, such as deploy.timeout_seconds={max(3 * (seconds or 60), 60):g}"
        + ("" if local else ", or give it more CPU: deploy.cpu_cores=2"),
        "free_port": f"stop that process, or deploy.port={port + 1:g}"
        if port
        else "stop that process, or choose another deploy.port",
        "smaller": " ".join(reductions) or "less deploy.cpu_cores or deploy.memory_gb",
        "network": "let the build reach it: deploy.network_mode=host, or PIP_INDEX_URL or a proxy in deploy.build_args"
        if evidence.target == "docker"
        else "check the network and the proxy of the machine that builds",
        "other_name": _suffixed(name),
        "other_label": _suffixed(label),
        "good_name": re.sub(r"^[^a-z]+|-+$", "", re.sub(r"[^a-z0-9-]+", "-", name.lower())[:32]) or "my-service",
        "location": "northeurope" if in_west_europe else "westeurope",
        "install_pins": "pip install -r requirements.txt of the package"
        if local
        else "build the package again, whose conda.yaml pins them",
        "read_log": "read its log and fix score/"
        if local
        else f"read its log; `{invocation.called_as()} deploy=local` runs the same package here",
        "fix": "fix it in score/ and build the package again"
        + ("" if local else f"; `{invocation.called_as()} deploy=local` shows the same failure at once"),
    }
    target_values = {"managed": _managed_values, "aks": _aks_values}.get(evidence.target)
    return values | (target_values(settings) if target_values else {})


def _managed_values(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return those for managed endpoints: an instance type decides cores and memory, the workspace the region."""
    seconds = _positive(settings.get("timeout_seconds")) or 60
    return {
        "more_memory": "deploy.instance_type=Standard_E4s_v3 (32 GB), or another with more memory",
        "more_time": f"raise deploy.timeout_seconds, such as deploy.timeout_seconds={3 * seconds:g}",
        "smaller": "deploy.instance_type=Standard_DS2_v2 deploy.instance_count=1",
        "location": "the workspace's: another region needs another workspace",
    }


def _aks_values(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return those for a Kubernetes cluster, with quantities in its notation."""
    seconds = _positive(settings.get("timeout_seconds")) or 60
    limits = (settings.get("resources") or {}).get("limits") or {}
    quantity = re.fullmatch(r"([\d.]+)(\w*)", str(limits.get("memory") or "2Gi"))
    memory = f"{2 * float(quantity[1]):g}{quantity[2]}" if quantity else "4Gi"
    return {
        "more_memory": f"deploy.resources.limits.memory={memory}, or more",
        "more_time": f"raise deploy.timeout_seconds, such as deploy.timeout_seconds={3 * seconds:g}, "
        "or give it more CPU: deploy.resources.limits.cpu=2",
        "smaller": "less deploy.resources.requests or deploy.instance_count",
        "location": "the cluster's: another region needs another cluster",
    }


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _suffixed(name: str) -> str:
    return f"{name[:30]}-2"


def _install_command(module: str, evidence: Evidence) -> str:
    top = module.partition(".")[0]
    nested = ".".join(module.split(".")[:2])
    is_namespace = top in {"azure", "azureml", "google"}  # distributions are named after the packages in it
    default = nested.replace(".", "-") if is_namespace else top
    distribution = _DISTRIBUTIONS.get(nested) or _DISTRIBUTIONS.get(top) or default
    if evidence.target == "local":
        return f"pip install {distribution} (code of your own belongs into score/)"
    return f"add {distribution} to the package's requirements (install it here and import it in score/, which pins it); code of your own belongs into score/"


def _other_version(requirement: str) -> str:
    name = re.split(r"[=<>!~\[; ]", requirement)[0]
    return f"install another version of {name} here and run again: the package pins what is installed"


def _location_in_code(frames: str) -> str:
    locations = re.findall(r'File "(?:[^"]*/)?([^"/]+)", line (\d+)', frames)
    return f" ({locations[-1][0]}, line {locations[-1][1]})" if locations else ""


def _list_below(finding: Finding, lines: Sequence[Line]) -> str:
    """Return the entries of the list below the line, as conda writes them."""
    below = [
        line.text.strip() for line in lines if line.number > finding.line.number and line.source == finding.line.source
    ]
    entries = []
    for text in below[:8]:
        if text.startswith("- "):
            entries.append(text[2:])
        elif entries:
            break
    return f" {', '.join(entries)}" if entries else ""


def _last_line(lines: Sequence[Line]) -> str:
    written = [line.text.strip() for line in lines if line.source == "container log" and line.text.strip()]
    return written[-1] if written else ""


def _log_end(lines: Sequence[Line]) -> str:
    last = _last_line(lines)
    return f"its log ends with: {_shorten(last)}" if last else "it wrote nothing to its log"
