"""Which cause is chosen: the most specific and the last, before its consequences; none if two match."""

from __future__ import annotations

import re
import time

import pytest

from orchestrator.diagnostics import Evidence, diagnose
from orchestrator.diagnostics.matcher import ALL_RULES

CRASHED = '{"code": "AciDeploymentFailed", "details": [{"code": "CrashLoopBackOff", "message": "crashed"}]}'
DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"
FROM = "\nThe above exception was the direct cause of the following exception:\n\n"


def traceback(exception: str, code: str = "work()") -> str:
    return f'Traceback (most recent call last):\n  File "/app/score.py", line 3, in init\n    {code}\n{exception}\n'


def crashed(log: str, error: str = CRASHED, target: str = "aci") -> Evidence:
    return Evidence(target, "Failed", error, container_log=log)


def test_a_cause_in_the_log_comes_before_the_crash_that_follows_it() -> None:
    found = diagnose(crashed(traceback("ModuleNotFoundError: No module named 'shap'") + "Worker failed to boot.\n"))
    assert (found.kind, found.proof) == (
        "missing_package",
        "container log, line 4: ModuleNotFoundError: No module named 'shap'",
    )


@pytest.mark.parametrize(
    ("first", "link", "last", "kind"),
    [
        ("ModuleNotFoundError: No module named 'ujson'", DURING, "MemoryError", "out_of_memory"),
        ("ModuleNotFoundError: No module named 'ujson'", DURING, "ValueError: odd", "crash_loop"),
        ("MemoryError", FROM, "RuntimeError: the model does not load", "out_of_memory"),
        ("ValueError: odd", FROM, "ModuleNotFoundError: No module named 'shap'", "missing_package"),
        ("KeyError: 'a'", FROM, "x.UserScriptException: Caught an unhandled exception", "crash_loop"),
    ],
)
def test_the_last_unhandled_exception_of_a_chain_or_its_cause_counts(
    first: str, link: str, last: str, kind: str
) -> None:
    assert diagnose(crashed(traceback(first) + link + traceback(last))).kind == kind


def test_a_wrapper_is_never_the_proof() -> None:
    log = traceback("KeyError: 'a'") + FROM + traceback("x.UserScriptException: Caught an unhandled exception")
    assert diagnose(crashed(log)).proof.endswith("KeyError: 'a'")


def test_the_same_crash_again_and_again_is_one_cause() -> None:
    found = diagnose(crashed(traceback("ModuleNotFoundError: No module named 'shap'") * 5))
    assert found.kind == "missing_package"
    assert "line 4:" in found.proof


@pytest.mark.parametrize("second", ["MemoryError", "ValueError: odd"])
def test_two_causes_of_different_kinds_are_unknown(second: str) -> None:
    log = traceback("ModuleNotFoundError: No module named 'shap'") + "next try\n" + traceback(second)
    found = diagnose(crashed(log))
    assert found.kind == "unknown"
    assert [line.rpartition(": ")[2] for line in found.proof.splitlines()] == [
        "No module named 'shap'",
        second.rpartition(": ")[2],
    ]


def test_an_exception_before_a_successful_start_is_not_the_cause() -> None:
    log = traceback("ModuleNotFoundError: No module named 'shap'") + "Users's init has completed successfully\n"
    late = '{"code": "DeploymentTimedOut", "message": "The deployment operation polling has TimedOut."}'
    assert diagnose(crashed(log, late)).kind == "timeout_unhealthy"


def test_a_traceback_that_python_ignored_does_not_count() -> None:
    log = "Exception ignored in: <function f at 0x1>\n" + traceback("ModuleNotFoundError: No module named 'shap'")
    assert diagnose(crashed(log + traceback("MemoryError"))).kind == "out_of_memory"


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-22 11:03:23,889 I [8821] azmlinfsrv.print - ModuleNotFoundError: No module named 'shap'",
        "2026-11-22 11:03:23,889 INFO:     MemoryError",
        "warning: ModuleNotFoundError: No module named 'shap'",
    ],
)
def test_an_exception_name_in_a_message_is_no_exception(line: str) -> None:
    assert diagnose(crashed(f"{line}\n")).kind == "crash_loop"


def test_the_log_of_a_former_service_does_not_explain_a_refusal() -> None:
    log = traceback("ModuleNotFoundError: No module named 'shap'")
    refused = '{"code": "ServiceExists", "message": "already contains an ACI Container Group with name x"}'
    assert diagnose(crashed(log, refused)).kind == "name_conflict"


def test_a_build_that_failed_is_not_explained_by_a_container() -> None:
    evidence = Evidence(
        "aci",
        "Failed",
        '{"code": "EnvironmentBuildFailed"}',
        "ERROR: No matching distribution found for x==9\n",
        traceback("MemoryError"),
    )
    assert diagnose(evidence).kind == "image_build"


def test_a_workers_time_out_explains_the_kill_that_follows_it() -> None:
    killed = "Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n"
    assert diagnose(crashed(killed)).kind == "out_of_memory"
    assert diagnose(crashed(f"[CRITICAL] WORKER TIMEOUT (pid:7)\n{killed}")).kind == "timeout_unhealthy"


def test_a_port_that_became_free_is_no_cause() -> None:
    held = "Connection in use: ('0.0.0.0', 5001)\n"
    assert diagnose(crashed(held)).kind == "port_in_use"
    assert diagnose(crashed(f"{held}Listening at: http://0.0.0.0:5001 (8)\n")).kind == "crash_loop"


def test_a_warning_of_versions_alone_proves_nothing_but_explains_a_missing_attribute() -> None:
    warning = (
        "x/base.py:3: InconsistentVersionWarning: Trying to unpickle estimator A from version 1.0 when using 1.2\n"
    )
    missing = traceback("AttributeError: 'A' object has no attribute 'b'")
    assert diagnose(crashed(warning)).kind == "crash_loop"
    assert diagnose(crashed(missing)).kind == "crash_loop"
    assert diagnose(crashed(warning + missing)).kind == "version_mismatch"


def test_the_servers_module_is_azures_on_azure_only() -> None:
    log = traceback("ModuleNotFoundError: No module named 'flask'")
    assert diagnose(crashed(log)).kind == "missing_azureml_defaults"
    assert diagnose(crashed(log, "the container died while starting", "docker")).kind == "missing_package"


def test_only_a_cloud_is_throttled() -> None:
    assert diagnose(Evidence("aci", http_status=503)).kind == "throttled_or_server"
    assert diagnose(Evidence("docker", http_status=503)).kind == "unknown"


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [({"memory_gb": 4}, "deploy.memory_gb=8"), ({"memory_gb": 0.5}, "deploy.memory_gb=2"), ({}, "deploy.memory_gb=2")],
)
def test_a_remedy_starts_from_the_targets_own_settings(settings: dict[str, float], remedy: str) -> None:
    assert diagnose(Evidence("aci", "Failed", "OOMKilled", settings=settings)).remedy == remedy


def test_a_proof_holds_no_secret() -> None:
    error = "AADSTS7000215: Invalid client secret provided, client_secret=abc~def123 is not known"
    found = diagnose(Evidence("aci", error=error))
    assert found.kind == "auth_permission"
    assert "abc~def123" not in found.proof


def test_every_template_word_exists() -> None:
    # a misspelled group or word would raise only when its rule matches
    for rule in ALL_RULES:
        names = {*re.compile(rule.pattern).groupindex}
        used = {part.partition("}")[0] for text in (rule.cause, rule.remedy) for part in text.split("{")[1:]}
        assert used - names <= {
            *("quoted", "location_in_code", "list_below", "log_end", "last_line", "top", "target", "install"),
            *("other_version", "read_log", "command"),
            *("more_memory", "more_time", "free_port", "smaller", "other_name", "other_label", "good_name", "location"),
            *("install_pins", "fix", "network"),
            *("conflicts", "backtracked", "distribution", "build_error", "without_defaults"),
        }


def test_a_long_log_is_read_within_a_second_or_two() -> None:
    log = "2026-11-22 11:03:23,889 I [8821] azmlinfsrv - scored 12 rows, host='a', 'b' not here\n" * 5000
    before = time.perf_counter()
    assert diagnose(crashed(log)).kind == "crash_loop"
    assert time.perf_counter() - before < 5  # far above what it takes; a pattern that backtracks takes minutes


def built(log: str, target: str = "aci") -> str:
    return diagnose(Evidence(target, "Failed", '{"code": "EnvironmentBuildFailed"}', log)).cause


def test_a_conflict_names_both_sides() -> None:
    log = """ERROR: Cannot install -r requirements.txt (line 1) and fancy because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested numpy==2.4.6
    fancy 1.2 depends on numpy<2.3.3
    The user requested numpy==2.4.6
    fancy[extra] 1.1 depends on numpy<2

ERROR: ResolutionImpossible: for help visit https://pip.pypa.io
"""
    assert "(The user requested numpy==2.4.6; fancy 1.2 depends on numpy<2.3.3; fancy[extra] 1.1 depends on" in built(
        log
    )
    below = log.partition("\n\n")[2]  # where the line before it was cut off
    assert "The user requested numpy==2.4.6; fancy 1.2 depends on numpy<2.3.3" in built(below)


BACKTRACKING = """Collecting defaults (from -r requirements.txt (line 3))
Collecting runtime[fuse]~=1.62 (from defaults->-r requirements.txt (line 3))
INFO: pip is looking at multiple versions of runtime[fuse] to determine which version is compatible with other requirements. This could take a while.
Collecting runtime[fuse]~=1.1 (from defaults->-r requirements.txt (line 3))
INFO: pip is still looking at multiple versions of runtime[fuse] to determine which version is compatible with other requirements. This could take a while.
"""
BUILD_FAILURE = """  Downloading some-pkg-0.9.1.tar.gz (873 kB)
  error: subprocess-exited-with-error
  × Preparing metadata (pyproject.toml) did not run successfully.
  ╰─> [2 lines of output]
      Traceback (most recent call last):
      ImportError: cannot import name 'Log' from 'distutils.log'
      [end of output]
error: metadata-generation-failed
"""


def test_backtracking_names_the_requirement_and_the_failed_build() -> None:
    cause = built(BACKTRACKING + BUILD_FAILURE)
    assert (
        "older and older releases of runtime[fuse] (for defaults), and failed to build some-pkg 0.9.1 from source"
        in cause
    )
    assert cause.endswith("ImportError: cannot import name 'Log' from 'distutils.log'")
    assert built(BACKTRACKING + BUILD_FAILURE, "docker") == cause


def test_backtracking_may_fail_in_a_wheel_build_or_never_end() -> None:
    archives = "  Downloading old.pkg-0.14.2.tar.gz (9 kB)\n  Downloading other-1.0.tar.gz (9 kB)\n"
    output = (
        "  ╰─> [1 lines of output]\n      ModuleNotFoundError: No module named 'pkg_resources'\n      [end of output]\n"
    )
    for last in ("Failed building wheel for old-pkg", "Failed to build installable wheels for some projects (old-pkg)"):
        cause = built(f"{BACKTRACKING}{archives}{output}  ERROR: {last}\n")
        assert "releases of runtime[fuse] (for defaults), and failed to build old.pkg 0.14.2 from source" in cause
        assert cause.endswith("ModuleNotFoundError: No module named 'pkg_resources'")
        assert "could not be compiled" in built(f"{archives}{output}  ERROR: {last}\n")
    for last in ("error: resolution-too-deep", "pip._vendor.resolvelib.resolvers.ResolutionTooDeep: 200000"):
        assert built(f"{BACKTRACKING}{last}\n").endswith(
            "went back to older and older releases of runtime[fuse] (for defaults)"
        )


def test_a_failed_source_build_is_no_backtracking() -> None:
    assert built(BUILD_FAILURE).startswith(
        "some-pkg 0.9.1 has no wheel for this Python, and building it from source failed: ImportError"
    )
    named = BUILD_FAILURE.replace(
        "error: metadata-generation-failed", "ERROR: Failed to build 'other' when preparing metadata"
    )
    assert built(named).startswith("other has no wheel for this Python")
