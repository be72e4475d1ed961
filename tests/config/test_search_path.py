"""Options are found in the project, in installed packages and in folders that a flag names."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from orchestrator import compose
from orchestrator.bundled import CONF, ROOT
from orchestrator.config.overrides import parse_leniently
from orchestrator.config.search_path import searched_folders
from tests.found import found

MODEL = "defaults:\n  - param_grid: none\n  - _self_\nestimator: {estimator}\nparams: {{}}\n"
PLUGIN = """
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class AcmeOptions(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("acme", "pkg://outside_acme.conf")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model of its own, and another one called like one of this tool."""
    model = tmp_path / "conf" / "model"
    model.mkdir(parents=True)
    (model / "mine.yaml").write_text(MODEL.format(estimator="sklearn.svm.SVC"))
    (model / "random_forest.yaml").write_text(MODEL.format(estimator="sklearn.ensemble.ExtraTreesClassifier"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_option_of_the_project_needs_no_flag(project: Path) -> None:
    composed = compose("model=mine", "deploy=none")
    assert composed.problems == []
    assert composed.values["model"]["estimator"] == "sklearn.svm.SVC"
    assert list(searched_folders()) == [project / "conf", CONF]


def test_the_option_of_the_project_is_found_first(project: Path) -> None:
    assert (project / "conf").is_dir()
    assert compose().values["model"]["estimator"] == "sklearn.ensemble.ExtraTreesClassifier"


def test_the_option_of_the_project_is_a_near_name(project: Path) -> None:
    assert project.is_dir()
    assert [problem.message for problem in found("model=mime")] == ["there is no option 'mime'; did you mean 'mine'?"]


def test_the_primary_config_of_another_program_is_named(project: Path) -> None:
    primary = project / "conf" / "config.yaml"
    primary.write_text("db: mysql\n")
    assert "conf/config.yaml" in {problem.at for problem in found()}
    primary.write_text((CONF / "config.yaml").read_text())
    assert not found("deploy=none")


def test_where_no_project_is_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (problem,) = found("experiment=churn")
    assert problem.message.startswith("there is no option 'churn'")
    assert problem.message.endswith(
        "This folder has no conf/: change to your project, or write one with orchestrate init"
    )
    assert [problem.message for problem in found("inti")] == ["'inti' changes nothing; did you mean 'init'?"]


def test_what_lasts_lies_in_the_project(project: Path) -> None:
    assert compose().values["state_dir"] == str(project / "state")
    assert compose("state_dir=~/elsewhere").values["state_dir"] == str(Path.home() / "elsewhere")


def test_a_clone_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert list(searched_folders()) == [CONF]


def test_another_hydra_app_of_the_process_does_not_get_the_options_of_the_project(project: Path) -> None:
    assert compose("model=mine").problems == []  # the plugin is registered now
    other = project / "other"
    (other / "model").mkdir(parents=True)
    (other / "config.yaml").write_text("defaults: [{model: mine}]\n")
    (other / "model" / "mine.yaml").write_text("size: 3\n")
    with initialize_config_dir(str(other), version_base="1.3"):
        assert hydra_compose("config") == {"model": {"size": 3}}


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two packages as a distribution installs them: one with options, and its plugin in Hydra's namespace."""
    site = tmp_path / "site"
    conf = site / "outside_acme" / "conf"
    (conf / "model").mkdir(parents=True)
    shutil.copy(CONF / "model" / "logistic_regression.yaml", conf / "model" / "anvil.yaml")
    for package in (conf.parent, conf):
        (package / "__init__.py").touch()
    plugin = site / "hydra_plugins" / "outside_acme_options.py"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    monkeypatch.syspath_prepend(site)
    found = importlib.import_module("hydra_plugins.outside_acme_options").AcmeOptions
    plugins = Plugins.instance().plugin_type_to_subclass_list[SearchPathPlugin]
    plugins.append(found)  # Hydra has looked for plugins already: tests/test_installed.py lets it find one
    yield conf
    plugins.remove(found)
    for name in [name for name in sys.modules if "outside_acme" in name]:
        del sys.modules[name]


def test_an_installed_package_adds_options_by_a_plugin(acme: Path) -> None:
    assert acme in list(searched_folders())
    assert compose("model=anvil", "model/param_grid=none").problems == []
    assert [problem.message for problem in found("model=anvi")] == ["there is no option 'anvi'; did you mean 'anvil'?"]


@pytest.mark.parametrize("flag", ["--config-dir", "-cd"])
def test_the_options_of_a_named_folder_are_known(flag: str, project: Path) -> None:
    other = (project / "conf").rename(project / "other")
    assert parse_leniently(["model=mine", flag, str(other)]) == ([flag, str(other), "model=mine"], [])
    _, problems = parse_leniently([flag, str(other), "model=mime"])
    assert [problem.message for problem in problems] == ["there is no option 'mime'; did you mean 'mine'?"]


def test_a_named_folder_that_is_not_there_is_reported(project: Path) -> None:
    _, problems = parse_leniently(["--config-dir", str(project / "no=where"), "seed=1"])
    assert [str(problem) for problem in problems] == [f"--config-dir: there is no folder {project}/no=where"]
