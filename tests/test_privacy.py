"""Privacy: commands contact no other machine and write no files elsewhere, as strace sees it, native code included.

Libraries send nothing where CI is set or under pytest, so the commands get an environment without either.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import privacy
from score.privacy import TELEMETRY_OFF
from tests.command import ROOT, SECONDS

CALLS = "connect,sendto,sendmsg,sendmmsg,openat,creat"
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
CREATED = re.compile(r'(?:openat\([^<,]*<([^>]*)>, |creat\()"([^"]*)".*\) += \d')
OWN = ("127.", "::1", "::ffff:127.")
DEVICES = ("/dev/", "/proc/")
SESSION = """
import http.client, json, os, subprocess, sys
run = [sys.executable, {run!r}, "state_dir=" + os.path.abspath("state"), "deploy.port={port}"]
subprocess.run(run, check=True)
row = {{"Pregnancies": 2, "Glucose": 56, "BloodPressure": 56, "SkinThickness": 28, "Insulin": 45, "BMI": 24.2,
       "DiabetesPedigreeFunction": 0.332, "Age": 22}}
for rows in [1] * 100 + [3000] * 3:
    connection = http.client.HTTPConnection("localhost", {port})
    connection.request("POST", "/score", json.dumps({{"data": [row] * rows}}))
    assert connection.getresponse().status == 200
    connection.close()
subprocess.run([*run, "stages=batch", "batch.input={data}", "batch.output=scored.csv"], check=True)
subprocess.run([*run, "stages=remove"], check=True)
"""


@dataclass(frozen=True)
class Traced:
    """The trace of a script that ran in an empty home, temporary and working folder."""

    home: Path
    tmp: Path
    cwd: Path
    lines: list[str]
    out: str

    @property
    def reached(self) -> set[str]:
        """The syscalls with an address of another machine, or of a name server anywhere."""
        calls = set()
        for line in self.lines:
            addresses = [a or b for a, b in ADDRESS.findall(line)]
            is_dns = "htons(53)" in line
            if is_dns or any(not address.startswith(OWN) for address in addresses):
                calls.add(line.partition(" ")[2])
        return calls

    @property
    def left(self) -> set[str]:
        """The files created outside the working folder that still exist."""
        made = (CREATED.search(line) for line in self.lines if "O_CREAT" in line or "creat(" in line)
        paths = (Path(match[1] or "/", match[2]) for match in made if match)
        here = {str(path) for path in paths if path.exists() and not path.is_relative_to(self.cwd)}
        here |= {str(path) for folder in (self.home, self.tmp) for path in folder.rglob("*")}
        return {path for path in here if not path.startswith(DEVICES)}


def traced(folder: Path, script: str, extra: Mapping[str, str] = {}) -> Traced:
    """Run a script and its child processes under strace; the script must end those that would outlive it."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-qq", "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is not installed, or may not trace here")
    home, tmp, cwd = (folder / name for name in ("home", "tmp", "cwd"))
    for path in (home, tmp, cwd):
        path.mkdir(parents=True)
    trace = folder / "trace"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [strace, "-f", "-y", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace),
         sys.executable, "-c", script],
        cwd=cwd, env={**env, "PYTHONDONTWRITEBYTECODE": "1", **extra}, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return Traced(home, tmp, cwd, trace.read_text(errors="replace").splitlines(), done.stdout)


def test_the_tracer_sees_connections_and_files(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    script = f"""
import os, socket, subprocess
open({str(outside)!r}, "w").close()
open(os.path.expanduser("~/mine"), "w").close()
for address in ("192.0.2.1", "127.0.0.53"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try: one.sendto(b"", (address, 53))
        except OSError: pass
subprocess.run(["true"])
"""
    seen = traced(tmp_path, script)
    assert len(seen.reached) == 2
    assert seen.left == {str(outside), str(seen.home / "mine")}


@pytest.mark.slow
def test_a_job_a_service_and_a_batch_reach_nothing_and_leave_nothing(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    seen = traced(tmp_path, SESSION.format(run=str(ROOT / "run.py"), port=port, data=ROOT / "data" / "diabetes.csv"))
    assert "✓ promote" in seen.out
    assert "fontManager" not in seen.out
    assert seen.reached == set()
    assert seen.left == set()
    assert {path.name for path in seen.cwd.iterdir() if not path.name.startswith("scored.")} == {"outputs", "state"}
    assert (seen.cwd / "state" / "cache" / "matplotlib").is_dir()


def test_settings_of_the_user_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*privacy.TELEMETRY_OFF, "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "the user's")
    privacy.disable_telemetry()
    privacy.keep_caches(Path("state"))
    assert {os.environ[name] for name in (*privacy.TELEMETRY_OFF, "MPLCONFIGDIR")} == {"the user's"}
    for name in privacy.TELEMETRY_OFF:
        monkeypatch.delenv(name)
    privacy.disable_telemetry()
    assert {name: os.environ[name] for name in privacy.TELEMETRY_OFF} == privacy.TELEMETRY_OFF
    assert TELEMETRY_OFF.items() <= privacy.TELEMETRY_OFF.items()


def test_telemetry_is_off_for_a_run_from_python(tmp_path: Path) -> None:
    code = (
        "from orchestrator import execute\ntry: execute({})\nexcept Exception: pass\nimport os; print(dict(os.environ))"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert privacy.TELEMETRY_OFF.items() <= ast.literal_eval(done.stdout).items()


@pytest.mark.parametrize(
    "loads",
    [
        "from score.score import init; init()",
        "from score.pyfunc import _load_pyfunc; _load_pyfunc(os.environ['AZUREML_MODEL_DIR'])",
        "from pathlib import Path; from score.predict.predictor import Predictor; Predictor.load(Path(os.environ['AZUREML_MODEL_DIR']))",
        "from pathlib import Path; from score.verify import verify; verify(Path(os.environ['AZUREML_MODEL_DIR']))",
    ],
)
def test_telemetry_is_off_before_a_package_is_loaded(tmp_path: Path, loads: str) -> None:
    (tmp_path / "model.pkl").touch()
    code = f"import os\ntry:\n    {loads.replace('; ', chr(10) + '    ')}\nexcept Exception: pass\nprint(os.environ.get('ORT_DISABLE_TELEMETRY'))"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AZUREML_MODEL_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
