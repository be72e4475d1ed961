"""Rollouts of one service by several commands: one at a time, and the last one is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import progress
from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.image_builder import ImageCheck
from orchestrator.deploy.in_memory import InMemoryTarget
from orchestrator.deploy.rollout import Rollout, serves
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys
from pathlib import Path
from orchestrator.deploy.image_builder import ImageCheck
from orchestrator.deploy.in_memory import InMemoryTarget
from orchestrator.deploy.rollout import Rollout
from orchestrator.artifacts import ModelVersion, Package

rollout = Rollout(InMemoryTarget(), Path(sys.argv[1]))
rollout.begin(ModelVersion("m", "7", None, Package(Path("p"), "f" * 64, "m")), print)
print("holds", flush=True)
sys.stdin.read(1)
rollout.commit()
"""


def version(number: str) -> ModelVersion:
    return ModelVersion("m", number, None, Package(Path("p"), number * 64, "m"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "services" / "svc.rollout.json"


@contextmanager
def another(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another command in the midst of its rollout of version 7."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDS, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "holds\n"
        yield process
        if process.poll() is None:
            process.communicate("x", timeout=60)


def release(number: str, rollout: Rollout, note: Callable[[str], None] = print) -> None:
    with rollout:
        rollout.begin(version(number), note)
        rollout.deploy(version(number))
        rollout.commit()


def test_a_rollout_waits_for_another_and_names_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.05)
    notes: list[str] = []
    heard = threading.Event()

    def note(text: str) -> None:
        notes.append(text)
        heard.set()

    mine = Rollout(InMemoryTarget(), file)
    with another(file) as process:
        begun = threading.Thread(target=release, args=("8", mine, note))
        begun.start()
        assert heard.wait(60)
        assert mine.target.calls == []  # type: ignore[attr-defined]  # a InMemoryTarget's
        process.communicate("x", timeout=60)
        begun.join()
    assert f"waiting for another command, which deploys m version 7 (process {process.pid})" in notes[0]
    assert mine.target.calls == ["deploy", "accept"]  # type: ignore[attr-defined]  # a InMemoryTarget's
    assert json.loads(file.read_text())["version"] == "8"


def test_a_command_that_is_killed_leaves_no_command_waiting(file: Path) -> None:
    with another(file) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        release("8", Rollout(InMemoryTarget(), file))
    assert json.loads(file.read_text())["committed"] is True


def test_superseded_names_the_later_command(file: Path) -> None:
    mine, other = Rollout(InMemoryTarget(), file), Rollout(InMemoryTarget(), file)
    release("1", mine)
    assert mine.superseded() == ""
    other.begin(version("2"), print)
    assert mine.superseded() == f"m version 2 (process {os.getpid()}) is taking the place of this one"
    other.deploy(version("2"))
    other.commit()
    assert mine.superseded() == f"m version 2 (process {os.getpid()}) has taken the place of this one"
    assert other.superseded() == ""


@pytest.mark.parametrize("fails", ["", "no room"])
def test_a_failed_rollout_supersedes_nothing(file: Path, fails: str) -> None:
    mine, other = Rollout(InMemoryTarget(), file), Rollout(InMemoryTarget(fails=fails), file)
    release("1", mine)

    def broken() -> None:
        with other:
            other.begin(version("2"), print)
            other.deploy(version("2"))
            raise DeployError("no room")

    with pytest.raises(DeployError, match="no room"):
        broken()
    assert mine.superseded() == other.superseded() == ""
    assert json.loads(file.read_text())["version"] == "1"
    assert other.target.calls == (["deploy"] if fails else ["deploy", "rollback"])  # type: ignore[attr-defined]  # a InMemoryTarget's
    release("3", Rollout(InMemoryTarget(), file))  # and no lock is held


def test_a_rollout_without_a_deployment_calls_nothing(file: Path) -> None:
    target = InMemoryTarget()
    with Rollout(target, file):
        pass
    assert target.calls == []
    assert not file.exists()


def looks(package: Package, check_image: ImageCheck) -> None: ...


def status(target: Target) -> None: ...


def deploys(rollout: Rollout) -> None: ...


def trains(package: Package) -> None: ...


@pytest.mark.parametrize(("stage", "served"), [(looks, False), (status, True), (deploys, True), (trains, False)])
def test_which_stages_take_a_target_or_rollout(stage: Callable[..., None], *, served: bool) -> None:
    assert serves(stage) is served
