"""Hydra's flags among the arguments of a command: which words are flags or their values, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_NAME = "config"  # of the primary config
CONFIG_DIR = ("--config-dir", "-cd")
CONFIG_NAME = ("--config-name", "-cn")
RERUN = ("--experimental-rerun",)
COMPLETION = ("--shell-completion", "-sc")
SWEEP = ("--multirun", "-m")
_WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", *CONFIG_DIR, *CONFIG_NAME, *RERUN}
_INFO = {"--info", "-i"}  # whose value may be left out


@dataclass(frozen=True)
class Arguments:
    """The arguments of a command: Hydra's ``flags`` with their values, and ``overrides``."""

    flags: Sequence[str]
    overrides: Sequence[str]

    def has(self, flag: Sequence[str]) -> bool:
        """Return whether a flag is there, under any of its names."""
        return any(argument in flag or argument.startswith(f"{flag[0]}=") for argument in self.flags)

    def value(self, flag: Sequence[str]) -> str | None:
        """Return a flag's value, behind any of its names."""
        for argument, behind in zip(self.flags, [*self.flags[1:], None], strict=False):
            if argument in flag:
                return behind
            if argument.startswith(f"{flag[0]}="):
                return argument.partition("=")[2]
        return None


def split(arguments: Sequence[str]) -> Arguments:
    """Separate flags from overrides: Hydra finds flags only in front of all overrides, or behind all of them."""
    flags: list[str] = []
    overrides: list[str] = []
    before = ""
    for argument in arguments:
        is_value = before in _WITH_VALUE or (before in _INFO and "=" not in argument)
        (flags if argument.startswith("-") or is_value else overrides).append(argument)
        before = "" if is_value else argument
    return Arguments(flags, overrides)
