"""Find the requirements that conflict, and versions of them that do not."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.resolving.requirement import options, pinned, plain, unpinned, wanted
from orchestrator.resolving.resolver import Libraries, Resolution, Resolver, UnresolvableError

LONGEST = 700  # of the resolver's explanation
CHOOSE = "install versions here that go together (`pip install`), then run again: the package pins what is installed"
_SOURCES = re.compile(r"([\w.-]+)\S* ha(?:s|ve) no usable wheels")  # but a source distribution
_UNFIT = re.compile(r"([\w.-]+)\S* ha(?:s|ve) no wheels with a matching")  # and no source distribution
_ABSENT = re.compile(r"was not found in|there (?:is|are) no versions? of")


@dataclass(frozen=True)
class Conflict:
    """The fewest requirements without a solution, the resolver's reasons, and pins that would solve it, if any do."""

    lines: Sequence[str]
    text: str
    instead: Sequence[str] = ()

    @property
    def sources(self) -> list[str]:
        """The packages without a wheel that one requirement needs: pip would build them from source."""
        return list(dict.fromkeys(map(plain, _SOURCES.findall(self.text)))) if len(self.lines) == 1 else []

    @property
    def _unfit(self) -> list[str]:
        return list(dict.fromkeys(map(plain, _UNFIT.findall(self.text)))) if len(self.lines) == 1 else []

    @property
    def is_absent(self) -> bool:
        """Whether one requirement is on no package index."""
        return len(self.lines) == 1 and bool(_ABSENT.search(self.text))

    def message(self, libraries: Libraries) -> str:
        """Return the problem and a remedy in one line, and the resolver's reasons in another."""
        here = f"Python {libraries.python} on Linux ({libraries.machine})"
        if wheelless := list(filter(is_compiled, self.sources)) or self._unfit:
            what = f"{', '.join(wheelless)} has no wheel for {here}, which {' and '.join(self.lines)} needs"
        elif self.is_absent:
            what = f"no package index that this machine uses has {self.lines[0]}, or what it requires, for {here}"
        elif len(self.lines) == 1:
            what = f"{self.lines[0]} cannot be installed, even by itself"
        else:
            what = f"{' and '.join(self.lines) or 'requirements'} exclude each other"
        remedy = CHOOSE
        if self.instead:
            remedy = f"`pip install {' '.join(self.instead)}` and run again: the package pins what is installed"
        elif self.is_absent:
            remedy = "put it on an index that pip is set to use, or move its code into score/"
        shown = self.text if len(self.text) <= LONGEST else f"{self.text[:LONGEST]}..."
        return f"{what}; {remedy}\n  resolver: {shown}"


def conflict(resolve: Resolver, lines: Sequence[str], answer: Resolution) -> Conflict:
    """Return the conflict in lines that have no solution; without its details if the index stops answering."""
    clash: list[str] = []
    text = answer.text
    try:
        clash = _clash(resolve, lines, text)
        text = resolve([*options(lines), *(_exact(resolve, line) for line in clash)]).text or text
        return Conflict(clash, text, _instead(resolve, lines, clash))
    except UnresolvableError:
        return Conflict(clash, text)


def is_compiled(name: str) -> bool:
    """Return whether the installed distribution of this name contains compiled code."""
    try:
        files = importlib.metadata.files(name) or ()
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(file.suffix in {".so", ".pyd", ".dylib"} for file in files)


def check_reachable(resolve: Resolver, lines: Sequence[str], answer: Resolution) -> None:
    """Distinguish an index that refuses access, and so looks empty, from one without the package.

    Raises:
        UnresolvableError: nothing at all is found.
    """
    if _ABSENT.search(answer.text) and not any(resolve.newest(unpinned(line)) for line in wanted(lines)):
        raise UnresolvableError("the package index has none of them, or does not give this machine access")


def _clash(resolve: Resolver, lines: Sequence[str], text: str) -> list[str]:
    """Return a minimal set without a solution: drop each requirement whose absence does not give one."""
    fixed, left = options(lines), wanted(lines)
    named = [line for line in left if re.search(rf"(?<![\w.-]){re.escape(plain(line))}(?![\w-])", text)]
    if named and not resolve.fits([*fixed, *named]):
        left = named
    for line in list(left):
        fewer = [other for other in left if other != line]
        if fewer and not resolve.fits([*fixed, *fewer]):
            left = fewer
    return left


def _instead(resolve: Resolver, lines: Sequence[str], clash: Sequence[str]) -> list[str]:
    """Return pins that solve it, changing one conflicting pin, else all of those, else all pins; no older major versions."""
    pins = [line for line in wanted(lines) if pinned(line)]
    own = [line for line in pins if line in clash]
    for loosened in (*([line] for line in own), *([own] if len(own) > 1 else []), pins):
        versions = (
            resolve([unpinned(line) if line in loosened else line for line in lines]).versions if loosened else {}
        )
        changed = {
            line: versions[plain(line)] for line in loosened if versions.get(plain(line), "") not in {"", pinned(line)}
        }
        if changed and all(_major(version) >= _major(pinned(line)) for line, version in changed.items()):
            return [f"{plain(line)}=={version}" for line, version in changed.items()]
    return []


def _major(version: str) -> int:
    found = re.match(r"(?:\d+!)?(\d+)", version)
    return int(found[1]) if found else 0


def _exact(resolve: Resolver, line: str) -> str:
    """Replace a bound by its newest version, which makes the resolver's reasons short."""
    newest = "" if pinned(line) else resolve.newest(line)
    return unpinned(line, f"=={newest}") if newest else line
