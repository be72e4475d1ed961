"""What the console shows of the SDK's output and errors: useful lines only, and one line per error."""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator import progress
from orchestrator.azure.progress import clean_sdk_output, run_with_progress
from orchestrator.azure.sdk import cause, translate_sdk_errors
from orchestrator.errors import DeployError, TrackingError

CRASHED = {
    "code": "AciDeploymentFailed",
    "statusCode": 400,
    "message": "Aci Deployment failed\nwith exception: no module named 'x'",
    "details": [{"code": "CrashLoopBackOff", "message": "Your container application crashed."}],
}


@pytest.mark.parametrize("error", [DeployError, TrackingError])
@pytest.mark.parametrize(
    ("module", "extra"), [("azureml.core", "azure"), ("azure.ai", "managed"), ("azure", "managed")]
)
def test_without_the_extra_one_line_says_what_to_install(
    module: str, extra: str, error: type[DeployError | TrackingError]
) -> None:
    line = rf"^deploy needs the Azure ML SDK; install it with: pip install -e '\.\[{extra}\]'$"
    with pytest.raises(error, match=line), translate_sdk_errors(error, "deploy"):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    with pytest.raises(ModuleNotFoundError), translate_sdk_errors(error, "deploy"):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")


def test_sdk_output_is_captured_and_other_threads_print(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with translate_sdk_errors(DeployError, "deploy", lines.append):
        sys.stdout.write("Registering model")
        sys.stderr.write("Warning")
        warnings.warn("old", FutureWarning, stacklevel=1)
        other = threading.Thread(target=sys.stdout.write, args=("progress",))
        waiting = threading.Thread(target=sys.stdout.write, args=(".",), name="LROPoller(1)")  # azure-core's
        for thread in (other, waiting):
            thread.start()
            thread.join()
    assert lines == ["Registering model", "Warning"]
    assert capsys.readouterr() == ("progress", "")


def test_project_errors_and_bugs_pass_unchanged() -> None:
    with pytest.raises(TrackingError, match=r"^as it is$"), translate_sdk_errors(DeployError, "deploy"):
        raise TrackingError("as it is")
    with pytest.raises(ZeroDivisionError), translate_sdk_errors(DeployError, "deploy"):
        raise ZeroDivisionError
    with pytest.raises(DeployError, match=r"^deploy: refused$"), translate_sdk_errors(DeployError, "deploy"):
        raise ConnectionError("refused")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            f"Service deployment polling reached ...\nError:\n{json.dumps(CRASHED, indent=2)}",
            (
                "AciDeploymentFailed: Aci Deployment failed with exception: no module named 'x' "
                "| CrashLoopBackOff: Your container application crashed."
            ),
        ),
        (f"Response Code: 409\nContent: b'{json.dumps({'code': 'Conflict', 'message': 'taken'})}'", "Conflict: taken"),
        (r"""Content: b'{"code":"BadRequest","message":"asked: \'4.1\' CPU"}'""", "BadRequest: asked: '4.1' CPU"),
        ('{"error": {"code": "UserError", "message": "no"}}', "UserError: no"),
        ("two\n lines {of no JSON}", "two lines {of no JSON}"),
        ("", "Exception"),
    ],
)
def test_an_error_is_one_line(text: str, line: str) -> None:
    assert cause(Exception(text)) == line


def test_an_error_of_azure_core_is_not_repeated() -> None:
    class ReadError(Exception):
        message = "(ResourceNotReady) It crashed\nCode: ResourceNotReady\nMessage: It crashed"
        error = SimpleNamespace(code="ResourceNotReady", message="It\ncrashed")

    assert cause(ReadError()) == "ResourceNotReady: It crashed"


def test_only_useful_lines_are_kept() -> None:
    text = "Tips: buy\n....\n2026-11-22 11:37:45+00:00 Step 1: pip install\n\nRunning...\n"
    assert clean_sdk_output(text) == ["Step 1: pip install", "Running"]


def test_a_heartbeat_fills_silence_and_lines_arrive_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.3)
    notes: list[str] = []

    def work(say: Any) -> int:
        say("uploaded")
        time.sleep(1)
        sys.stdout.write("done.\n")
        return 7

    assert run_with_progress(work, "deploy", notes.append) == 7
    assert notes[0] == "uploaded"
    assert notes[-1] == "done"
    assert any("s: still waiting for Azure" in note for note in notes)


def test_an_error_in_the_thread_is_raised_in_the_caller() -> None:
    def work(say: Any) -> None:
        say("x")
        raise ConnectionError("cut")

    with pytest.raises(DeployError, match=r"^deploy: cut$"):
        run_with_progress(work, "deploy", lambda _: None)
