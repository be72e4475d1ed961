"""What the verifying process reports; the whole stage is tested in tests/stages/test_verify.py."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from score import verify


def test_local_modules_are_found_and_installed_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    files = {
        "mine": package / "score" / "mine.py",
        "foreign": tmp_path / "elsewhere.py",
        "apt": Path("/usr/lib/python3/dist-packages/apt/__init__.py"),
        "built_in": None,
    }
    for name, file in files.items():
        module = types.ModuleType(name)
        module.__file__ = None if file is None else str(file)
        monkeypatch.setitem(sys.modules, name, module)
    assert verify.foreign_modules(package, [*files, "json", "numpy", "sys", "_ctypes"]) == ["foreign"]


def test_memory_is_that_of_this_process_alone() -> None:
    code = "from score import verify; print(verify.peak_memory())"
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    command = [sys.executable, "-c", code]
    alone = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True).stdout
    assert 1 << 20 < int(alone) < 200 << 20
    assert verify.peak_memory() > 300 << 20


def test_a_failure_is_one_json_object_and_exit_code_1(pima: Path) -> None:
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path[0] = {str(pima)!r}; from score import verify; sys.exit(verify.main())",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    failure = json.loads(done.stdout)["failure"]
    assert failure.startswith("FileNotFoundError: ")
    assert "golden.json" in failure
    assert "\n" not in failure
