"""Scripts in forks of one interpreter behave as in interpreters of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.warm_interpreter import warm_interpreter

SCRIPT = """
import os, sys, time
print(sys.argv[1:], os.getcwd(), os.environ.get("MINE"), __name__)
print("beside", file=sys.stderr)
print("orchestrator" in sys.modules, "pandas" in sys.modules)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


def run(folder: Path, *arguments: str, seconds: float = 60) -> tuple[int, str, str]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    env = {"MINE": "1", "PATH": os.environ["PATH"]}
    return warm_interpreter().run(script, arguments, env=env, cwd=folder, seconds=seconds)


def test_a_script_has_its_own_arguments_environment_folder_and_exit_code(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "0", "3")
    assert (code, err) == (3, "beside\n")
    assert out == f"['0', '3'] {tmp_path} 1 __main__\nFalse True\n"
    assert os.environ.get("MINE") is None
    assert str(tmp_path) not in sys.path


@pytest.mark.nightly
def test_a_script_that_does_not_end_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    run(tmp_path, "0", "0")
    with pytest.raises(TimeoutError):
        run(tmp_path, "600", "0", seconds=1)
    assert run(tmp_path, "0", "4")[0] == 4
