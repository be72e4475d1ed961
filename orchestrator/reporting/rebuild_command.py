"""The command that makes a package again: what was typed, without what only says where things go."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from orchestrator.redaction import MASK, is_secret_name, redact

# sections of the configuration that say where things go and not what they are
ELSEWHERE = {"state_dir", "dry_run", "verbose", "batch", "azure", "tracking", "deploy", "hydra"}
LENGTH = 8000  # of a command: it goes into an environment, and into a label of a container


def rebuilding(overrides: Iterable[str]) -> str:
    """The command that makes the package of a run with these overrides again and deploys nothing; "" if it is too long.

    What says only where things go is left out, and with it the places where a secret may stand; one that stands
    elsewhere all the same is masked, by its name or by its looks. A path is told as it was typed.
    """
    kept = [_shown(override) for override in overrides if _decides(override)]
    command = shlex.join(["python", "run.py", *kept, "deploy=none"])
    return command if len(command) <= LENGTH else ""


def _shown(override: str) -> str:
    key, equals, _ = override.partition("=")
    names = re.findall(r"\w+(?=\W*[:=])", override)  # of mappings in the value, too
    return f"{key}{equals}{MASK}" if any(map(is_secret_name, names)) else redact(override)


def _decides(override: str) -> bool:
    """Whether an override has a say in what is made; Optuna leads the sweep that a run was a job of, and no run."""
    key = override.lstrip("+~").partition("=")[0].strip("\"'")
    return key == "hydra.searchpath" or (re.split("[./@]", key)[0] not in ELSEWHERE and override != "search=optuna")
