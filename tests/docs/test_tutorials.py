"""The tutorials, typed as they are printed: every line of their bash blocks runs, one after another."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, desk
from tests.docs.test_commands import blocks, named_files

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

LESSONS = (
    "churn_to_endpoint",
    "sweep_and_choose",
    "batch",
    "own_transformer",
)  # azure.md needs an environment of its own
SKIPPED = ("pip install", "search=optuna")
WRAPPER = """#!/bin/sh
case " $* " in
  " init "*|*" -m "*|*" stages=batch "*) exec {python} -m orchestrator "$@" ;;
  *) exec {python} -m orchestrator "$@" deploy.port={port} ;;
esac
"""


def test_the_tutorials_run_as_printed(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        programs = made.home / "bin"
        programs.mkdir()
        command = programs / "orchestrate"
        command.write_text(WRAPPER.format(python=shlex.quote(sys.executable), port=made.port))
        command.chmod(0o755)
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        folder = made.home
        for lesson in LESSONS:
            page = ROOT / "docs" / "tutorials" / f"{lesson}.md"
            for name, code in named_files(page).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(code)
            for _, block in blocks(page, "bash"):
                for line in block.splitlines():
                    if any(words in line for words in SKIPPED) or (lesson == LESSONS[0] and "stages=remove" in line):
                        continue  # the later lessons use the service
                    done = subprocess.run(
                        ["bash", "-euc", f"{line}\npwd"],
                        cwd=folder,
                        env=environment,
                        check=False,
                        capture_output=True,
                        text=True,
                    )
                    assert done.returncode == 0, f"{lesson}: {line}\n{done.stdout}\n{done.stderr}"
                    folder = Path(done.stdout.splitlines()[-1])
                    if re.match("cd ", line):
                        assert folder.name == "shop"
        rejected = (folder / "scored.rejected.csv").read_text()
        shown = re.findall(
            r"^```\n(row,.*?)```$", (ROOT / "docs/tutorials/batch.md").read_text(), re.DOTALL | re.MULTILINE
        )
        assert rejected.splitlines()[0] == shown[0].splitlines()[0]
        assert rejected.splitlines()[1].startswith("3,monthly_fee,")
