"""The words that a rule's templates take: the line itself, and remedies in terms of the target's own settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.diagnostics import pip_log
from orchestrator.diagnostics.evidence import Evidence
from orchestrator.diagnostics.log_parser import Line
from orchestrator.diagnostics.rules import Finding

LONGEST = 200
# Names under which a distribution is installed, where they differ from what is imported.
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


def words(finding: Finding, evidence: Evidence, lines: Sequence[Line]) -> dict[str, str]:
    """Every word that a template may use."""
    groups = {name: found or "" for name, found in finding.match.groupdict().items()}
    module = groups.get("module", "")
    return {
        "quoted": shortened(_core(finding)),
        "place": _place(finding.frames),
        "following": _following(finding, lines),
        "ending": _ending(lines)
        if evidence.target == "local"
        else f"the container crashes while starting; {_ending(lines)}",
        "loading": f" ({shortened(last)})" if (last := _last(lines)) else "",
        "top": module.partition(".")[0],
        "target": evidence.target,
        "install": _install(module, evidence),
        "another_pin": _another_pin(groups.get("what", "")),
        **pip_log.words(finding, lines),
        **_settings(evidence),
        **groups,
    }


def shortened(text: str) -> str:
    """The text without line breaks, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _core(finding: Finding) -> str:
    """What the line says: of a long one, such as a JSON document, the sentence around what was found."""
    text = re.sub(r'^(?:Message: |"\w+": ")|",?$', "", finding.line.text.strip())
    if len(text) <= LONGEST:
        return text
    at = max(text.find(finding.match.group()), 0)
    after = at + len(finding.match.group())
    start = max(text.rfind(mark, 0, at) + 1 for mark in '"{>')
    end = min(found for found in (text.find('"', after), text.find("\\n", after), len(text)) if found >= 0)
    return text[start:end].rstrip("\\")


def _settings(evidence: Evidence) -> dict[str, str]:
    settings = evidence.settings
    memory, cpu = _number(settings.get("memory_gb")), _number(settings.get("cpu_cores"))
    seconds, port = _number(settings.get("timeout_seconds")), _number(settings.get("port"))
    name = str(settings.get("service_name") or "my-service")
    label = str(settings.get("dns_name_label") or name)
    here = evidence.target == "local"
    more_memory = f"deploy.memory_gb={max(2.0, 2 * (memory or 1)):g}"
    less = [
        f"deploy.{key}={most:g}"
        for key, has, most in (("cpu_cores", cpu, 1), ("memory_gb", memory, 2))
        if (has or 9) > most
    ]
    region = str(settings.get("location") or "")
    near = any("westeurope" in text for text in (region, "" if region else evidence.error))
    words = {
        "more_memory": "free memory on this machine, or train a smaller model" if here else more_memory,
        "more_time": f"raise deploy.timeout_seconds, such as deploy.timeout_seconds={max(3 * (seconds or 60), 60):g}"
        + ("" if here else ", or give it more CPU: deploy.cpu_cores=2"),
        "free_port": f"stop that process, or deploy.port={port + 1:g}"
        if port
        else "stop that process, or choose another deploy.port",
        "smaller": " ".join(less) or "less deploy.cpu_cores or deploy.memory_gb",
        "network": "let the build reach it: deploy.network_mode=host, or PIP_INDEX_URL or a proxy in deploy.build_args"
        if evidence.target == "docker"
        else "check the network and the proxy of the machine that builds",
        "other_name": _suffixed(name),
        "other_label": _suffixed(label),
        "good_name": re.sub(r"^[^a-z]+|-+$", "", re.sub(r"[^a-z0-9-]+", "-", name.lower())[:32]) or "my-service",
        "location": "northeurope" if near else "westeurope",
        "install_pins": "pip install -r requirements.txt of the package"
        if here
        else "build the package again, whose conda.yaml pins them",
        "look": "read its log and mend score/"
        if here
        else "read its log; `python run.py deploy=local` runs the same package here",
        "mend": "mend it in score/ and build the package again"
        + ("" if here else "; `python run.py deploy=local` shows the same failure at once"),
    }
    own = {"managed": _machines, "aks": _cluster}.get(evidence.target)
    return words | (own(settings) if own else {})


def _machines(settings: Mapping[str, Any]) -> dict[str, str]:
    """Where whole machines are asked for, by the name of their kind: it has no cores, memory or place to set."""
    seconds = _number(settings.get("timeout_seconds")) or 60
    return {
        "more_memory": "deploy.instance_type=Standard_E4s_v3 (32 GB), or another with more memory",
        "more_time": f"raise deploy.timeout_seconds, such as deploy.timeout_seconds={3 * seconds:g}",
        "smaller": "deploy.instance_type=Standard_DS2_v2 deploy.instance_count=1",
        "location": "the workspace's: another region needs another workspace",
    }


def _cluster(settings: Mapping[str, Any]) -> dict[str, str]:
    """Where a container gets its share of a Kubernetes cluster: amounts are written as Kubernetes writes them."""
    seconds = _number(settings.get("timeout_seconds")) or 60
    limits = (settings.get("resources") or {}).get("limits") or {}
    found = re.fullmatch(r"([\d.]+)(\w*)", str(limits.get("memory") or "2Gi"))
    memory = f"{2 * float(found[1]):g}{found[2]}" if found else "4Gi"
    return {
        "more_memory": f"deploy.resources.limits.memory={memory}, or more",
        "more_time": f"raise deploy.timeout_seconds, such as deploy.timeout_seconds={3 * seconds:g}, "
        "or give it more CPU: deploy.resources.limits.cpu=2",
        "smaller": "less deploy.resources.requests or deploy.instance_count",
        "location": "the cluster's: another region needs another cluster",
    }


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _suffixed(name: str) -> str:
    return f"{name[:30]}-2"


def _install(module: str, evidence: Evidence) -> str:
    top = module.partition(".")[0]
    nested = ".".join(module.split(".")[:2])
    shared = top in {
        "azure",
        "azureml",
        "google",
    }  # folders of many distributions, which are called after what is below
    called = nested.replace(".", "-") if shared else top
    distribution = _DISTRIBUTIONS.get(nested) or _DISTRIBUTIONS.get(top) or called
    if evidence.target == "local":
        return f"pip install {distribution} (code of your own belongs into score/)"
    return f"add {distribution} to the package's requirements (install it here and import it in score/, which pins it); code of your own belongs into score/"


def _another_pin(requirement: str) -> str:
    name = re.split(r"[=<>!~\[; ]", requirement)[0]
    return f"install another version of {name} here and run again: the package pins what is installed"


def _place(frames: str) -> str:
    found = re.findall(r'File "(?:[^"]*/)?([^"/]+)", line (\d+)', frames)
    return f" ({found[-1][0]}, line {found[-1][1]})" if found else ""


def _following(finding: Finding, lines: Sequence[Line]) -> str:
    """The entries of the list below the line, as conda writes them."""
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


def _last(lines: Sequence[Line]) -> str:
    written = [line.text.strip() for line in lines if line.source == "container log" and line.text.strip()]
    return written[-1] if written else ""


def _ending(lines: Sequence[Line]) -> str:
    last = _last(lines)
    return f"its log ends with: {shortened(last)}" if last else "it wrote nothing to its log"
