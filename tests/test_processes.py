"""A process is found by its number and start time; one that does not release a lock is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from orchestrator.errors import PackageError
from orchestrator.processes import CLOCK_SECONDS, exclusive, find_holder, find_process, is_running

HOLDER = "import sys\nfrom filelock import FileLock\nwith FileLock(sys.argv[1]):\n    print(flush=True)\n    input()\n"


def test_a_process_with_another_start_time_is_another_one() -> None:
    created = psutil.Process().create_time()
    process = find_process(os.getpid(), created)
    assert process is not None
    assert process.pid == os.getpid()
    assert find_process(os.getpid(), created - 2 * CLOCK_SECONDS) is None
    assert find_process(0, created) is None


def test_a_zombie_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        process = psutil.Process(child.pid)
        created = process.create_time()
        while process.status() != psutil.STATUS_ZOMBIE:
            pass
        assert not is_running(process)
        assert find_process(child.pid, created) is None


def test_a_lock_that_is_not_released_is_one_line_which_names_its_holder(tmp_path: Path) -> None:
    file = tmp_path / "some.lock"
    script = tmp_path / "holder.py"
    script.write_text(HOLDER)
    command = [sys.executable, str(script), str(file), "password"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        lock = FileLock(file, timeout=0.1)
        with pytest.raises(PackageError) as caught, exclusive(lock, PackageError, "package: another command is busy"):
            pass
        text = str(caught.value)
        assert text.startswith(
            f"package: another command is busy, for 0.1 s now: process {other.pid} ({sys.executable} "
        )
        assert text.endswith(f"{script}) holds {file}; wait for it, or end it")
        other.communicate("\n")
    with exclusive(lock, PackageError, "package: another command is busy"):
        assert find_holder(file) == f"it holds {file}"  # only this process does
