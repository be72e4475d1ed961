"""A process is found by its number and start time."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from orchestrator.processes import CLOCK_SECONDS, find_process, is_running


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
