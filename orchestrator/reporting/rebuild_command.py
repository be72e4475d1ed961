"""The command that rebuilds a package: the overrides of its run, without those that do not affect the result."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from orchestrator import invocation
from orchestrator.redaction import MASK, is_secret_name, redact

# sections of the configuration that do not affect a package
IRRELEVANT = {
    *("state_dir", "dry_run", "verbose", "batch", "gate", "report", "sweep", "azure", "tracking", "deploy", "hydra")
}
MAX_LENGTH = 8000  # of a command: it goes into an environment variable and a container label


def rebuild_command(overrides: Iterable[str]) -> str:
    """Return the command that makes the package of a run with these overrides again, without deploying it.

    "" if it is too long. Sections that do not affect the package, which may hold secrets, are left out; secrets in other
    overrides are redacted by name or by pattern. Paths stay as they were typed.
    """
    relevant = [_redact(override) for override in overrides if _affects_package(override)]
    command = shlex.join([*invocation.called_as().split(), *relevant, "deploy=none"])
    return command if len(command) <= MAX_LENGTH else ""


def _redact(override: str) -> str:
    key, equals, _ = override.partition("=")
    names = re.findall(r"\w+(?=\W*[:=])", override)  # keys of mappings in the value, too
    return f"{key}{equals}{MASK}" if any(map(is_secret_name, names)) else redact(override)


def _affects_package(override: str) -> bool:
    """Return whether an override affects the package; search=optuna concerns the sweep, and not one run of it."""
    key = override.lstrip("+~").partition("=")[0].strip("\"'")
    return key == "hydra.searchpath" or (re.split("[./@]", key)[0] not in IRRELEVANT and override != "search=optuna")
