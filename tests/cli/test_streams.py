"""A command whose output, terminal, working directory or disk fails: it goes on, or ends with one line."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from orchestrator.cli.streams import LossyOutput, plain_warnings
from tests.command import ROOT, SECONDS
from tests.nightly import at_night

pytestmark = pytest.mark.slow

TRAIN = (
    "stages=train",
    "tracking=none",
    "deploy=none",
    "model.param_grid.n_estimators=[3]",
    "~model.param_grid.max_depth",
)
WRONG = "The configuration is wrong; nothing was run:\n  "


def test_a_warning_is_one_line_and_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(), plain_warnings():
        warnings.simplefilter("always")
        for text in ("no value\nin 'x'", "other", "no value\nin 'x'"):
            warnings.warn(text, stacklevel=1)
    assert capsys.readouterr().err == "warning: no value in 'x'\nwarning: other\n"


def command(tmp_path: Path, *overrides: str) -> list[str]:
    folders = [f"state_dir={tmp_path / 'state'}", f"hydra.run.dir={tmp_path / 'run'}"]
    return [sys.executable, str(ROOT / "run.py"), *TRAIN, *folders, *overrides]


def shell(line: str, *command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as ``"$@"`` of a line of bash."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("line", "err"),
    [
        ('"$@" >&-', ""),
        ('"$@" <&- >&- 2>&-', ""),
        ('"$@" >/dev/full', "standard output: No space left on device; what follows is not shown\n"),
        ('"$@" | true; exit ${PIPESTATUS[0]}', ""),
    ],
)
def test_a_run_does_not_need_an_output(tmp_path: Path, line: str, err: str) -> None:
    done = shell(line, *command(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, err)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]


@pytest.mark.nightly
def test_nothing_that_is_printed_lands_in_a_file_of_the_run(tmp_path: Path) -> None:
    done = shell('"$@" >&-', *command(tmp_path), "tracking=local", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "state" / "mlflow.db").read_bytes().startswith(b"SQLite format 3\0")


def test_a_closed_terminal_ends_no_training(tmp_path: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, command(tmp_path))  # noqa: S606 - no shell is wanted
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        screen.read(10)  # the plan: it has begun
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]


def test_an_output_that_blocks_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    text = b"x" * 1_000_000  # more than a pipe holds
    reader = subprocess.Popen(["wc", "-c"], stdin=read, stdout=subprocess.PIPE, text=True)
    os.close(read)
    output, left = LossyOutput(write), memoryview(text)
    while left:
        left = left[output.write(left) :]
    os.close(write)
    assert int(reader.communicate(timeout=SECONDS)[0]) == len(text)


def test_a_deleted_working_directory_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell('cd "$0"; rmdir "$PWD"; exec "$@"'.replace("$0", str(gone)), *command(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "the working directory was deleted; change to one that exists\n")


def test_a_working_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    typed = [part for part in command(tmp_path) if not part.startswith("hydra.run.dir")]
    done = shell('cd /proc/self && exec "$@"', *typed, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("hydra.run.dir: outputs")
    assert done.stderr.count("\n") == 1
    assert "hydra.run.dir=/" in done.stderr


def test_a_run_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    done = shell('exec "$@"', *command(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "File exists" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.nightly
def test_a_link_to_the_command_finds_the_configuration(tmp_path: Path) -> None:
    link = tmp_path / "train"
    link.symlink_to(ROOT / "run.py")
    typed = command(tmp_path, "dry_run=true")
    done = shell('exec "$@"', typed[0], str(link), *typed[2:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing was run or changed" in done.stdout


@pytest.mark.nightly
def test_an_unquoted_path_is_read(tmp_path: Path) -> None:
    file = tmp_path / "käufer, (1)=.csv"
    shutil.copy(ROOT / "data" / "diabetes.csv", file)
    typed = command(tmp_path, "data=csv", f"data.path={file}", "data.target=Outcome")
    done = shell('exec "$@"', *typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("state", "message"),
    [
        at_night("", "state_dir: should name a folder, such as state"),
        at_night("{tmp}/a:b", "state_dir: {tmp}/a:b holds ':', at which PYTHONPATH is split; name another folder"),
        at_night("{tmp}/${{x}}", "state_dir: refers to 'x', and there is no such key"),
        at_night('"{tmp}/a\nb"', "state_dir: '{tmp}/a\\nb' holds letters that cannot be printed; name another folder"),
        at_night("{tmp}/wrong", "state_dir: {tmp}/wrong/packages should be a folder and is none; move it away"),
        ("{tmp}/other", "state_dir: {tmp}/other/services/x/lock should be a file and is none; move it away"),
    ],
)
def test_a_state_folder_that_cannot_be_used_is_one_line(tmp_path: Path, state: str, message: str) -> None:
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "packages").touch()
    (tmp_path / "other" / "services" / "x" / "lock").mkdir(parents=True)
    typed = command(tmp_path, f"state_dir={state.format(tmp=tmp_path)}")
    done = shell('exec "$@"', *typed, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"{WRONG}{message.format(tmp=tmp_path)}\n")


@pytest.mark.nightly
def test_letters_of_an_interpolation_may_be_in_a_path(tmp_path: Path) -> None:
    done = shell('exec "$@"', *command(tmp_path, rf"state_dir={tmp_path}/a\${{x}}%41 b"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a${x}%41 b" / "cache").is_dir()


LIBRARY = '''
from orchestrator.artifacts import Report, TrackedRun

def track(report: Report) -> TrackedRun:
    """Fail as a library does."""
    raise {error}
'''


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("KeyError('a column\\nof two lines')", r"KeyError: 'a column\nof two lines'"),
        at_night("OSError(28, 'No space left on device')", "No space left on device"),
        at_night("FileNotFoundError(2, 'No such file or directory', '/x/y')", "No such file or directory: /x/y"),
        at_night("RecursionError()", "RecursionError: RecursionError"),
    ],
)
def test_an_error_of_a_library_is_one_line_and_a_kept_traceback(tmp_path: Path, error: str, line: str) -> None:
    (tmp_path / "mine.py").write_text(LIBRARY.format(error=error))
    typed = command(tmp_path, "stages.track=mine.track")
    done = shell('exec "$@"', *typed, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    kept = tmp_path / "run" / "traceback.txt"
    assert (done.returncode, done.stderr) == (1, f"track failed: {line}; the traceback is in {kept}\n")
    assert "mine.py" in kept.read_text()
    done = shell('exec "$@"', *typed, cwd=tmp_path, PYTHONPATH=str(tmp_path), HYDRA_FULL_ERROR="1")
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.nightly
def test_a_second_signal_still_interrupts(tmp_path: Path) -> None:
    grid = "model.param_grid.n_estimators=[300,301,302,303,304,305]"
    process = subprocess.Popen(
        [*command(tmp_path), grid],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - as in a terminal
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "interrupted" in err


@pytest.mark.nightly
def test_a_result_that_cannot_be_written_does_not_hide_why_the_run_failed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LIBRARY.format(error="KeyError('the cause')"))
    (tmp_path / "run" / "result.json").mkdir(parents=True)  # as a full disk does
    done = shell('exec "$@"', *command(tmp_path, "stages.track=mine.track"), cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    unwritten, failed = done.stderr.splitlines()
    assert unwritten == f"{tmp_path}/run/result.json could not be written: Is a directory"
    assert failed.startswith("track failed: KeyError: 'the cause'; the traceback is in ")
    done = shell('exec "$@"', *command(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("run failed: Is a directory: ")
