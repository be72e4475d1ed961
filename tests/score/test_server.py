"""The server's process: its command line, its keys, how it stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from score import server

from .conftest import LOG, Serve


def test_empty_keys_are_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text('{"primary": "one", "secondary": ""}')
    with pytest.raises(ValueError, match="empty key"):
        server.read_keys(tmp_path / "keys")


def test_a_stop_finishes_what_is_under_way_and_logs_each_request(stub: Path, serve: Serve) -> None:
    with serve(stub) as (ask, process):
        os.mkfifo(stub / "gate")
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(ask("POST", "/score", b"wait")[0]))
        asking.start()
        while not (stub / "begun").exists():
            asking.join(0.01)
        assert ask("GET", "/")[0] == 200  # while scoring is busy
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        os.close(os.open(stub / "gate", os.O_WRONLY))
        asking.join()
        assert answers == [200]
        assert process.wait(10) == -15
        reported = [json.loads(line) for line in (stub / LOG).read_text().splitlines() if line.startswith("{")]
    assert ("POST", "/score", 200) in [(line["method"], line["path"], line["status"]) for line in reported]


def test_help_needs_no_model() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "score.server", "--help"], check=True, capture_output=True, text=True,
        cwd=Path(server.__file__).parents[1],
    )  # fmt: skip
    assert "--keys" in done.stdout


def test_importing_loads_no_orchestrator_module() -> None:
    text = Path(server.__file__).read_text()
    assert "import orchestrator" not in text
    assert "from orchestrator" not in text
