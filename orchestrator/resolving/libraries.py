"""Check that the libraries of an image resolve; raise with a remedy if they do not.

With wheels only. A package without a wheel is built from source by pip: if the distribution installed here contains
compiled code, that is an error, since an image has no compiler; else it is a warning, and the other packages are
resolved without it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import DeployError
from orchestrator.files import write_atomic
from orchestrator.resolving.conflict import check_reachable, conflict, is_compiled
from orchestrator.resolving.pip_settings import environment
from orchestrator.resolving.requirement import rest, wanted
from orchestrator.resolving.resolver import Libraries, Resolver, UnresolvableError

__all__ = ["Libraries", "check"]


def check(libraries: Libraries, cache: Path) -> str:
    """Resolve the libraries; a solution is cached in the folder ``cache``.

    Returns:
        A warning in one line: why they were not checked, or what would be built from source; else empty.

    Raises:
        DeployError: some requirements exclude each other; the text says which, and how to solve it.
    """
    cached = cache / "resolved" / f"{_digest(libraries)}.json"
    try:
        return str(json.loads(cached.read_text())["warning"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        with tempfile.TemporaryDirectory() as scratch:
            resolve = Resolver(libraries, cache / "uv", Path(scratch))
            versions = _resolved(resolve, libraries)
    except UnresolvableError as unknown:
        return f"warning: the image's libraries were not checked: {unknown}"
    warning = _warning(resolve.built, libraries)
    cached.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(cached, json.dumps({"warning": warning, "versions": versions}, indent=1))
    return warning


def _resolved(resolve: Resolver, libraries: Libraries) -> Mapping[str, str]:
    lines = _bounded(resolve, libraries.lines)
    while True:
        answer = resolve(lines)
        if answer.versions:
            return answer.versions
        check_reachable(resolve, lines, answer)
        found = conflict(resolve, lines, answer)
        new = [name for name in found.sources if name not in resolve.built]
        if not new or any(map(is_compiled, new)):
            raise DeployError(f"deploy: the libraries of the image cannot be installed: {found.message(libraries)}")
        resolve.built += new


def _bounded(resolve: Resolver, lines: Sequence[str]) -> list[str]:
    """Require at least the newest version of each name that has none.

    Very old releases have few requirements and so conflict with nothing: pip backtracks to them, and an image of them
    does not build or does not serve.
    """
    bare = {line for line in wanted(lines) if not rest(line)}
    newest = {line: resolve.newest(line) for line in lines if line in bare}
    return [f"{line.strip()}>={newest[line]}" if newest.get(line) else line for line in lines]


def _digest(libraries: Libraries) -> str:
    own = {name: value for name, value in environment().items() if name.startswith(("PIP_", "UV_"))}
    question = [list(libraries.lines), libraries.python, libraries.machine, {**own, **libraries.settings}]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]


def _warning(built: Sequence[str], libraries: Libraries) -> str:
    if not built:
        return ""
    return (
        f"warning: there is no wheel of {', '.join(built)} for Python {libraries.python} on Linux: the image's build makes "
        "it from source"
    )
