"""Composition: Hydra's grammar, with unknown keys accepted and unknown options reported."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.version import getbase as hydra_version
from omegaconf import OmegaConf

from orchestrator.bundled import CONF
from orchestrator.config.compose import compose, to_composed
from orchestrator.config.overrides import build_argv, parse_leniently
from orchestrator.errors import SpecError
from orchestrator.spec.field_types import ROOT


def at(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = config[name]
    return config


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        ("seed=7", "++seed=7"),
        ("+seed=7", "++seed=7"),
        ("++seed=7", "++seed=7"),
        ("unknown.key=1", "++unknown.key=1"),
        ("model.param_grid.max_depth=[2,null]", "++model.param_grid.max_depth=[2,null]"),
        ("data.path='a=b.csv'", "++data.path='a=b.csv'"),
        ("seed=1,2", "++seed=1,2"),
        ("seed=range(1,4)", "++seed=range(1,4)"),
        ("model=logistic_regression", "model=logistic_regression"),
        ("model=random_forest,logistic_regression", "model=random_forest,logistic_regression"),
        ("model/param_grid=none", "model/param_grid=none"),
        ("+experiment=article", "+experiment=article"),
        ("experiment=null", "experiment=null"),
        ("~model.param_grid.max_depth", "~model.param_grid.max_depth"),
        ("~stages.deploy", "~stages.deploy"),
        ("hydra.run.dir=x", "hydra.run.dir=x"),
        ("hydra/launcher=joblib", "hydra/launcher=joblib"),
        ("hydrated=1", "++hydrated=1"),
        ("-m", "-m"),
        ("--cfg", "--cfg"),
    ],
)
def test_what_hydra_is_given(typed: str, passed: str) -> None:
    assert parse_leniently([typed]) == ([passed], [])


def test_what_hydra_cannot_read_is_reported_with_the_quotes_it_needs() -> None:
    passed, problems = parse_leniently(["data.target=a=(b", "data.path='x", "+model.params={a: [1}", "seed=1"])
    assert passed == ["++seed=1"]
    assert [problem.at for problem in problems] == ["data.target", "data.path", "model.params"]
    assert problems[0].message.endswith("""put other text in quotes: 'data.target="..."'""")


@pytest.mark.parametrize(
    "text",
    ["käufer.csv", "a=b", "x (1).csv", "a & b", "O'Hara", 'say "no"', "end\\", 'ö\\"', "~/x", "日本", ";", "a{1}"],
)
def test_text_that_hydra_cannot_read_is_quoted(text: str) -> None:
    passed, problems = parse_leniently([f"data.target={text}"])
    assert problems == []
    assert OverridesParser.create().parse_override(passed[0]).value() == text


def test_the_path_of_a_file_with_a_comma_is_no_sweep(tmp_path: Path) -> None:
    file = tmp_path / "a,b.csv"
    file.touch()
    assert parse_leniently([f"data.path={file}", f"data.target={file}.x"])[0] == [
        f'++data.path="{file}"',
        f"++data.target={file}.x",
    ]


def test_what_belongs_to_a_flag_is_left_alone() -> None:
    typed = ["--cfg", "job", "-p", "model", "seed=1"]
    assert parse_leniently(typed) == ([*typed[:-1], "++seed=1"], [])


@pytest.mark.parametrize(
    ("typed", "path", "value"),
    [
        ("data.target='a=b, c'", "data.target", "a=b, c"),
        ("data.target='\"quoted\"'", "data.target", '"quoted"'),
        ("data.separator=';'", "data.separator", ";"),
        ("data.drop=[a,'b c',\"d,e\"]", "data.drop", ["a", "b c", "d,e"]),
        ("data.positive=null", "data.positive", None),
        ("model.params.class_weight={0: 1.0, 1: 2.5}", "model.params.class_weight", {0: 1.0, 1: 2.5}),
        ("model.params={max_depth: 3}", "model.params", {"random_state": 0, "max_depth": 3}),
        ("model/param_grid=none", "model.param_grid", {}),
        ("model=logistic_regression", "model.param_grid", {"C": [0.01, 0.1, 1.0, 10.0]}),
        (
            "~model.param_grid.max_depth",
            "model.param_grid",
            {"n_estimators": [{"classification": [10, 20, 30]}, {"regression": [50, 100]}]},
        ),
        ("model.param_grid.max_depth=[null,2]", "model.param_grid.max_depth", [None, 2]),
        ("preprocess.steps.impute.strategy=median", "preprocess.steps.impute.strategy", "median"),
        ("preprocess.steps.new._target_=a.B", "preprocess.steps.new", {"_target_": "a.B"}),
        ("deploy.port=80", "deploy.port", 80),
        ("deploy=none", "deploy", {"_target_": "orchestrator.deploy.none.NoTarget"}),
        ("stages.load=acme.load", "stages.load", "acme.load"),
        ("name=${seed}x", "package.model_name", "0x_model"),
        ("seed=${data.test_size}", "model.params.random_state", 0.2),
    ],
)
def test_what_comes_of_it(typed: str, path: str, value: object) -> None:
    assert at(compose(typed).values, path) == value


def test_a_typed_grid_joins_the_one_of_the_model_or_takes_its_place() -> None:
    assert set(at(compose("model.param_grid={max_depth: [3,5]}").values, "model.param_grid")) == {
        "max_depth",
        "n_estimators",
    }
    alone = compose("model/param_grid=none", "model.param_grid.max_depth=[3,5]")
    assert at(alone.values, "model.param_grid") == {"max_depth": [3, 5]}


def test_the_state_is_absolute_wherever_it_is_named() -> None:
    config = compose("state_dir=there").values
    assert config["state_dir"] == str(ROOT / "there")
    assert at(config, "tracking.tracking_uri") == f"sqlite:///{ROOT}/there/mlflow.db"
    assert at(config, "deploy.state_dir") == str(ROOT / "there")


def test_it_is_plain_data() -> None:
    config = compose().values
    assert yaml.safe_load(yaml.safe_dump(dict(config))) == config


def test_what_is_missing_is_left_out() -> None:
    assert "target" not in compose("data=csv", "data.path=x.csv").values["data"]


def test_options_that_do_not_exist_are_reported_with_every_other_mistake() -> None:
    with pytest.raises(SpecError) as caught:
        compose("model=xgbost,random_forest", "stages=ful", "seed=abc", "sead=1")
    assert [problem.at for problem in caught.value.problems] == ["model", "stages", "seed", "sead"]


def test_values_are_set_where_they_have_a_place() -> None:
    config = OmegaConf.create({"tracking": {"sweep_id": None}, "other": 1})
    settings = {"tracking.sweep_id": "s", "tracking.more": "x", "nowhere.key": "x"}
    assert to_composed(config, settings=settings).values == {
        "tracking": {"sweep_id": "s"},
        "other": 1,
    }


def test_sources_say_what_a_value_was_made_from() -> None:
    config = to_composed(OmegaConf.create({"a": 1, "b": "${a}x", "c": {"d": ["${b}", 2]}, "e": "${nowhere}"}))
    assert config.values == {"a": 1, "b": "1x", "c": {"d": ["1x", 2]}}
    assert config.sources == {"b": {"a"}, "c.d[0]": {"a", "b"}, "e": {"nowhere"}}
    assert [problem.at for problem in config.problems] == ["e"]


def test_values_that_refer_to_each_other_in_a_circle_are_reported() -> None:
    config = to_composed(OmegaConf.create({"a": "${b}", "b": "${a}", "c": 1}))
    assert config.values == {"c": 1}
    assert {problem.at for problem in config.problems} == {"a", "b"}


def test_environment_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:1")
    assert at(compose("tracking=server").values, "tracking.tracking_uri") == "http://there:1"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with groups of its own."""
    conf = tmp_path / "outside_pkg" / "conf"
    (conf / "model").mkdir(parents=True)
    (conf / "extra").mkdir()
    shutil.copy(CONF / "model" / "random_forest.yaml", conf / "model" / "mine.yaml")
    (conf.parent / "__init__.py").touch()
    (conf / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return conf


@pytest.mark.parametrize(
    "form", ["[pkg://outside_pkg.conf]", "[file://{conf}]", "['file://{conf}',pkg://outside_pkg.conf]"]
)
def test_options_of_an_outside_package_are_known(form: str, outside: Path) -> None:
    path = f"hydra.searchpath={form.replace('{conf}', str(outside))}"
    assert parse_leniently([path, "model=mine"]) == ([path, "model=mine"], [])
    assert parse_leniently([path, "model=min"])[1][0].message == "there is no option 'min'; did you mean 'mine'?"
    assert "RandomForestClassifier" in str(at(compose(path, "model=mine").values, "model.estimator"))


def test_a_search_path_that_is_not_there_is_reported(tmp_path: Path) -> None:
    passed, problems = parse_leniently(
        [f"hydra.searchpath=[pkg://nowhere.conf,pkg://nowhere,file://{tmp_path}/nowhere]"]
    )
    assert passed == []
    assert [problem.at for problem in problems] == ["hydra.searchpath"] * 3


def test_a_sweep_that_does_not_say_where_deploys_nothing() -> None:
    assert build_argv(["++seed=1,2", "-m"], "/scratch") == (["-m", "++seed=1,2", "deploy=none"], True)
    assert build_argv(["-m", "deploy=local"], "/scratch") == (["-m", "deploy=local"], False)
    assert build_argv(["--multirun", "stages=train"], "/scratch") == (["--multirun", "stages=train"], False)
    assert build_argv(["++seed=1"], "/scratch") == (["++seed=1"], False)


def test_a_dry_run_leaves_its_run_folder_in_the_scratch() -> None:
    arguments, _ = build_argv(["++dry_run=true"], "/scratch")
    assert {"hydra.run.dir=/scratch", "hydra.sweep.dir=/scratch", "hydra.output_subdir=null"} <= {*arguments}


def test_the_text_of_a_configuration_keeps_what_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://secret.example")
    config = compose("tracking=server")
    assert config.values["tracking"]["tracking_uri"] == "http://secret.example"
    assert "secret.example" not in config.text
    assert "oc.env:MLFLOW_TRACKING_URI" in config.text


def test_threads_compose_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        seeds = [config.values["seed"] for config in pool.map(lambda seed: compose(f"seed={seed}"), range(16))]
    assert seeds == list(range(16))


@pytest.mark.parametrize("typed", ["seed=3", "seed=abc", "model=xgbost"])
def test_a_hydra_of_the_program_is_left_alone(tmp_path: Path, typed: str) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        before = GlobalHydra.instance()
        with contextlib.suppress(SpecError):
            compose(typed)
        assert GlobalHydra.instance() is before
        assert str(hydra_version()) == "1.2"
        assert hydra_compose("other") == {"a": 1}
    assert not GlobalHydra.instance().is_initialized()


def test_an_asyncio_program_composes() -> None:
    async def main() -> object:
        return compose("seed=3").values["seed"]

    assert asyncio.run(main()) == 3
