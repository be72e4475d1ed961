"""Check an image's libraries against a local package index, with the real uv and real wheels."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DeployError
from orchestrator.resolving.pip_settings import original_environment

Index = Any
Ask = Any


def refused(ask: Ask, *lines: str, **fields: object) -> str:
    with pytest.raises(DeployError) as raised:
        ask(*lines, **fields)
    return str(raised.value)


def test_what_goes_together_is_resolved_once(index: Index, ask: Ask) -> None:
    index.wheel("model", "1.0", "base>=2")
    index.wheel("base", "2.1")
    assert ask("model==1.0", "base==2.1") == ""
    shutil.rmtree(index.folder)
    assert ask("model==1.0", "base==2.1") == ""  # kept
    assert ask("model==1.0") != ""  # another question


def test_two_pins_that_exclude_each_other_are_named_with_versions_that_do_not(index: Index, ask: Ask) -> None:
    index.wheel("server", "1.5", "middle")
    index.wheel("middle", "1.0", "base<2.3.3")
    index.wheel("other", "1.0")
    for version in ("2.3.2", "2.4.6"):
        index.wheel("base", version)
    message = refused(ask, "other==1.0", "base==2.4.6", "server>=1.4")
    first, reasons = message.splitlines()
    assert first == (
        "deploy: the libraries of the image cannot be installed: base==2.4.6 and server>=1.4 exclude each other; "
        "`pip install base==2.3.2` and run again: the package pins what is installed"
    )
    assert "middle" in reasons
    assert "base<2.3.3" in reasons


def test_two_pins_that_both_stand_in_the_way_are_both_replaced(index: Index, ask: Ask) -> None:
    index.wheel("server", "1.5", "base<2", "pickle>=1,<3")
    for name, version in (("base", "2.4"), ("base", "1.9"), ("pickle", "3.1"), ("pickle", "2.2")):
        index.wheel(name, version)
    index.wheel("jobs", "1.6", "pickle>=3")
    index.wheel("jobs", "1.5", "pickle")
    message = refused(ask, "base==1.9", "jobs==1.6", "server>=1.4")
    assert "jobs==1.6 and server>=1.4 exclude each other; `pip install jobs==1.5` and run again" in message
    message = refused(ask, "base==2.4", "jobs==1.6", "server>=1.4")
    assert "exclude each other" in message
    assert "server>=1.4" in message.splitlines()[0]


def test_a_release_of_years_ago_that_goes_with_everything_is_no_solution(index: Index, ask: Ask) -> None:
    index.wheel("defaults", "1.62", "base<2")
    index.wheel("defaults", "1.0")
    index.wheel("base", "2.4")
    index.wheel("base", "1.9")
    assert "base==2.4 and defaults>=1.62 exclude each other" in refused(ask, "base==2.4", "defaults")
    assert ask("base==2.4", "defaults>=1.0") == ""  # a bound says what is old enough


def test_markers_and_wheels_count_for_the_image_and_not_for_this_machine(index: Index, ask: Ask) -> None:
    index.wheel("model", "1.0", "away; sys_platform == 'darwin'", "late; python_version >= '3.12'")
    assert ask("model==1.0") == ""
    assert "late" in refused(ask, "model==1.0", python="3.12.1")
    index.wheel("apple", "1.0", tag="cp311-cp311-macosx_11_0_arm64")
    index.wheel("apple", "1.1")
    message = refused(ask, "model==1.0", "apple==1.0")
    assert "apple has no wheel for Python 3.11.7 on Linux (x86_64)" in message
    assert "`pip install apple==1.1`" in message
    index.wheel("arm", "1.0", tag="cp311-cp311-manylinux_2_28_aarch64")
    assert ask("arm==1.0", machine="aarch64") == ""


def test_sources_alone_are_warned_of_and_the_others_are_still_resolved(index: Index, ask: Ask) -> None:
    index.sources("plain", "3.0")
    index.wheel("model", "1.0", "plain>=3")
    index.wheel("base", "2.0")
    index.wheel("base", "1.9")
    warning = ask("model==1.0", "base==2.0")
    assert warning == (
        "warning: there is no wheel of plain for Python 3.11.7 on Linux: the image's build makes it from source"
    )
    assert ask("model==1.0", "base==2.0") == warning  # kept with the solution
    index.wheel("old", "1.0", "base<2")
    assert "base==2.0 and old==1.0 exclude each other" in refused(ask, "model==1.0", "base==2.0", "old==1.0")


def test_sources_of_what_is_known_to_be_compiled_are_refused(index: Index, ask: Ask) -> None:
    version = importlib.metadata.version("numpy")
    index.sources("numpy", version)
    index.wheel("model", "1.0", "numpy")
    assert "numpy has no wheel for Python 3.11.7 on Linux (x86_64), which model==1.0 needs" in refused(
        ask, "model==1.0"
    )
    index.wheel("numpy", f"{version}.post1")
    message = refused(ask, f"numpy=={version}", "model==1.0")
    assert f"`pip install numpy=={version}.post1` and run again" in message


def test_a_distribution_that_no_index_has_is_named(index: Index, ask: Ask) -> None:
    index.wheel("base", "2.0")
    message = refused(ask, "base==2.0", "acme==0.1")
    assert "no package index that this machine uses has acme==0.1" in message
    assert "put it on an index that pip is set to use, or move its code into score/" in message
    assert "`pip install base==2.0`" in refused(ask, "base==2.9")  # there are others of that name


def test_without_an_index_nothing_is_known_and_nothing_is_refused(
    index: Index, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "were not checked" in ask("base==2.0")  # an index that refuses to answer looks as empty as this one
    index.wheel("base", "2.0")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/simple")
        warning = ask("base==2.0")
    assert warning.startswith("warning: the image's libraries were not checked: ")
    assert "\n" not in warning
    assert "secret" not in warning
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert ask("base==2.0") == ""  # what is not known is not kept


def test_the_settings_of_the_build_come_before_those_of_this_machine(index: Index, ask: Ask, tmp_path: Path) -> None:
    other = type(index)(tmp_path / "other")
    other.wheel("base", "3.0")
    index.wheel("base", "2.0")
    assert ask("base==3.0", settings={"PIP_INDEX_URL": other.url}) == ""
    assert ask("base==3.0", settings={"PIP_EXTRA_INDEX_URL": other.url}) == ""
    assert "base==3.0" in refused(ask, "base==3.0")


def test_a_version_may_come_from_any_of_pips_places(
    index: Index, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, links = type(index)(tmp_path / "more"), type(index)(tmp_path / "links")
    index.wheel("base", "2.0")
    more.wheel("base", "3.0")
    links.wheel("flat", "1.0")
    settings = tmp_path / "pip.conf"
    settings.write_text(
        f"[global]\nextra-index-url =\n    {more.url}\n[install]\nfind-links = flat-links\n[download]\nno-index = true\n"
    )
    (tmp_path / "flat-links").symlink_to(links.folder / "flat")
    monkeypatch.chdir(tmp_path)  # pip takes a path from where it runs
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    assert ask("base==3.0", "flat==1.0") == ""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert ask("flat==1.0") == ""


def test_options_between_the_requirements_count(index: Index, ask: Ask, tmp_path: Path) -> None:
    more = type(index)(tmp_path / "more")
    more.wheel("base", "3.0")
    index.wheel("model", "1.0", "base<3")
    index.wheel("base", "2.0")
    lines = (
        f"--extra-index-url {more.url}",
        "# of the pickle",
        "Model == 1.0",
        "base[fast]==3.0 ; python_version > '3'",
    )
    assert "Model == 1.0 and base[fast]==3.0 ; python_version > '3' exclude each other" in refused(ask, *lines)


def test_the_emulator_does_not_change_the_package_index(
    index: Index, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("base", "2.0")
    with original_environment({**os.environ}):
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        assert ask("base==2.0") == ""
    assert "were not checked" in ask("base==2.0", "other==1.0")
