"""The schema accepts what ships, finds typing errors at their place, and is the one that the command writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from orchestrator.bundled import CONF
from orchestrator.config.compose import compose
from orchestrator.schema.__main__ import main, text_of
from orchestrator.schema.document import FILE, document, schema_line

FILES = sorted(file for file in CONF.rglob("*.yaml") if "local" not in file.relative_to(CONF).parts[:-1])
LOCAL = "orchestrator.deploy.local.target.Local"
TARGET = """\
from dataclasses import dataclass

@dataclass(frozen=True)
class Link:
    url: str
    retries: int = 3
"""


# of a schema, what this project says, whatever version of a library writes types and lists options of its own
SAID = {"description", "enum", "const", "$ref", "pattern", "minimum", "maximum", "exclusiveMinimum"}


@pytest.fixture(scope="module")
def committed() -> Any:
    return json.loads((CONF / FILE).read_text())


@pytest.fixture(scope="module")
def fresh() -> Any:
    """The schema as the libraries that are installed make it."""
    return document()


@pytest.fixture(scope="module", params=["committed", "fresh"])
def schema(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def said(schema: Any) -> set[tuple[str, str, str]]:
    """Return what this project says of each key of a schema, without the options of libraries that conf/ has not."""
    found: set[tuple[str, str, str]] = set()

    def walk(part: Any, at: str) -> None:
        below = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, value in below:
            if key in SAID:
                found.add((at, str(key), json.dumps(value)))
            else:
                walk(value, at)

    for name, definition in schema["definitions"].items():
        for key, value in definition.get("properties", {}).items():
            listed = name.startswith("search.") and "description" not in value
            if not listed:
                found.add((f"{name}.{key}", "key", ""))
                walk(value, f"{name}.{key}")
        walk({key: value for key, value in definition.items() if key != "properties"}, name)
    return found


def mistakes(schema: Any, part: str, values: Any) -> list[str]:
    """Return place and text of each mistake."""
    checker = Draft202012Validator({**schema, "$ref": f"#/definitions/{part}"})
    found = [best_match([error]) for error in checker.iter_errors(json.loads(json.dumps(values)))]
    return sorted(f"{error.json_path}: {error.message}" for error in found)


def test_the_committed_schema_is_what_the_command_writes(committed: Any, fresh: Any) -> None:
    """To the letter with the libraries that wrote it; with others all that this project says."""
    Draft202012Validator.check_schema(committed)
    Draft202012Validator.check_schema(fresh)
    if committed["$comment"] == fresh["$comment"]:
        assert (CONF / FILE).read_text() == text_of(fresh), "run `python -m orchestrator.schema`"
    assert said(committed) ^ said(fresh) == set(), "run `python -m orchestrator.schema`"


def test_another_version_of_a_library_breaks_no_test(fresh: Any) -> None:
    newer = json.loads(json.dumps(fresh))
    definitions = newer["definitions"]
    definitions["search.SharedGridSearchCV"]["properties"]["error_handling"] = {}
    definitions["search.any"]["properties"]["error_handling"] = {}
    definitions["deploy.Local"]["properties"]["port"]["anyOf"][0]["format"] = "int64"
    definitions["data"]["unevaluatedProperties"] = False
    assert said(newer) == said(fresh)


@pytest.mark.parametrize(
    ("part", "key", "changed"),
    [
        ("deploy.Local", "prot", {"type": "integer"}),
        ("deploy.Local", "port", {"description": "another text"}),
        ("package", "version", {"enum": ["last"]}),
        ("search.any", "cv", {"description": "folds"}),
    ],
)
def test_what_this_project_says_otherwise_is_found(fresh: Any, part: str, key: str, changed: Any) -> None:
    older = json.loads(json.dumps(fresh))
    older["definitions"][part]["properties"][key] = changed
    assert said(older) != said(fresh)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CONF).as_posix())
def test_each_file_names_its_schema_and_keeps_to_it(file: Path, schema: Any) -> None:
    line = schema_line(file, CONF)
    # Hydra reads @package from the first lines only
    assert next(each for each in file.read_text().splitlines()[:2] if not each.startswith("# @package")) == line
    place, _, part = line.rpartition("#/definitions/")
    assert (file.parent / place.partition("$schema=")[2]).resolve() == CONF / FILE
    assert mistakes(schema, part, yaml.safe_load(file.read_text())) == []
    assert not re.search(r": \d+_\d", file.read_text())  # text in YAML 1.2, which editors read


@pytest.mark.parametrize(
    ("part", "values", "mistake"),
    [
        ("config", "deplo: {}", "$: Additional properties are not allowed ('deplo' was unexpected)"),
        ("config", "search: {n_jbos: 2}", "$.search: Additional properties are not allowed ('n_jbos' was unexpected)"),
        ("config", "deploy: {prot: 80}", "$.deploy: Additional properties are not allowed ('prot' was unexpected)"),
        ("config", "seed: abc", "$.seed: 'abc' "),
        ("config", "name: Mine", "$.name: 'Mine' is not valid"),
        ("config", "stages: {train: train}", "$.stages.train: 'train' does not match"),
        ("config", "data: {index: kep}", "$.data.index: 'kep' is not valid"),
        ("config", "preprocess: {branches: {a: {column: b}}}", "$.preprocess.branches.a: Additional properties"),
        (
            "config",
            "preprocess: {steps: {a: {_target_: score.transforms.ToFloat, colums: [b]}}}",
            "$.preprocess.steps.a: Additional properties are not allowed ('colums' was unexpected)",
        ),
        ("search", "{_target_: orchestrator.search.SharedGridSearchCV, n_iter: 3}", "$: Additional properties"),
        ("search", "cv: 1", "$.cv: 1 is less than the minimum of 2"),
        ("deploy", f"{{_target_: {LOCAL}, port: 70000}}", "$.port: 70000 is greater than the maximum of 65535"),
        ("deploy", f"{{_target_: {LOCAL}, cpu_cores: 1}}", "$: Additional properties"),
        ("deploy", "resources: {limits: {cpus: 1}}", "$.resources.limits: Additional properties"),
        ("tracking", "timeout: 3", "$: Additional properties"),
        ("model", "estimators: a.B", "$: Additional properties"),
        ("model", "estimator: Forest", "$.estimator: 'Forest' is not valid"),
        ("model", "param_grid: [1]", "$.param_grid: "),
        (
            "model",
            "params: {estimators: {a: {_target_: Tree}}}",
            "$.params.estimators.a['_target_']: 'Tree' is not valid",
        ),
        ("param_grid", "estimator: [{_target_: 5}]", "$.estimator[0]['_target_']: 5 is not valid"),
        (
            "config",
            "preprocess: {steps: {a: {_target_: acme.Select, estimator: {_target_: Tree}}}}",
            "$.preprocess.steps.a.estimator['_target_']: 'Tree' is not valid",
        ),
        ("search", "scorers: {f2: {_target_: f2}}", "$.scorers.f2['_target_']: 'f2' is not valid"),
        ("param_grid", "max_depth: {a: 1}", "$.max_depth: {'a': 1} is not of type"),
        ("param_grid", "max_depth: []", "$.max_depth: [] should be non-empty"),
        ("data", "defaults: csv", "$.defaults: 'csv' is not of type 'array'"),
        ("package", "version: newest", "$.version: 'newest' is not valid"),
        ("azure", "auth: az", "$.auth: 'az' is not valid"),
    ],
)
def test_a_typing_error_is_found_at_its_place(schema: Any, part: str, values: str, mistake: str) -> None:
    (found,) = mistakes(schema, part, yaml.safe_load(values))
    assert found.startswith(mistake)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("config", "{seed: '${oc.env:SEED}', name: '???', dry_run: '${a}', data: '${b}', stages: {train: null}}"),
        ("config", "{defaults: [override /data: csv, _self_], hydra: {run: {dir: x}}, batch: {input: a.csv}}"),
        ("config", "{model: {params: {any: {name: 1}}, param_grid: {a: 5, b: [null, {c: 1}], c: '${d}'}}}"),
        ("config", "preprocess: {steps: {a: {_target_: acme.Step, anything: 1}}, branches: {b: {columns: [x]}}}"),
        ("model", "params: {estimators: [[a, {_target_: '${tree}', depth: 2}]], cv: {_target_: acme.Folds}}"),
        ("search", "{_target_: acme.Search, anything: 1}"),
        ("search", "{scoring: f1, n_jobs: '${n}', n_iter: 3}"),
        ("deploy", "{_target_: acme.Target, anything: 1}"),
        ("deploy", f"{{_target_: {LOCAL}, port: '${{port}}', allow_origins: ['${{host}}'], state_dir: '???'}}"),
        ("deploy", "{resources: {limits: {cpu: 2, memory: 1Gi}}, autoscale: null}"),
        ("data", "{separator: null, positive: 1}"),
        ("package", "version: 3"),
        ("stages", "{mine: {_target_: acme.Stage, top: 3}}"),
    ],
)
def test_what_is_right_is_accepted(schema: Any, part: str, values: str) -> None:
    assert mistakes(schema, part, yaml.safe_load(values)) == []


@pytest.mark.parametrize("line", ["", "deploy=aks deploy.compute=x", "search=halving tracking=server", "deploy=none"])
def test_a_composed_configuration_is_complete(schema: Any, line: str) -> None:
    values = dict(compose(*line.split()).values)
    assert mistakes(schema, "composed", values) == []
    del values["seed"], values["data"]["target"]
    assert mistakes(schema, "composed", values) == [
        "$.data: 'target' is a required property",
        "$: 'seed' is a required property",
    ]


def test_an_experiment_of_a_project_composes_with_the_line_below_its_package(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    file.write_text("# @package _global_\n")
    file.write_text(f"# @package _global_\n{schema_line(file, tmp_path)}\npackage: {{golden_rows: 7}}\n")
    composed = compose(f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    assert composed.values["package"]["golden_rows"] == 7
    assert file.read_text().splitlines()[1].endswith("$schema=../schema.json#/definitions/config")


def test_the_command_adds_the_classes_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf" / "deploy").mkdir(parents=True)
    (tmp_path / "conf" / "deploy" / "link.yaml").write_text("_target_: linked.Link\nurl: x # where it is\n")
    (tmp_path / "linked.py").write_text(TARGET)
    monkeypatch.chdir(tmp_path)
    assert main([]) == 1
    assert capsys.readouterr().err == "_target_: there is no module 'linked'; is its package installed?\n"
    monkeypatch.syspath_prepend(tmp_path)
    assert main([]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'conf' / FILE}\n"
    written = json.loads((tmp_path / "conf" / FILE).read_text())
    assert mistakes(written, "deploy", {"_target_": "linked.Link", "url": "y", "retries": 1}) == []
    assert mistakes(written, "deploy", {"_target_": "linked.Link", "url": 5, "retry": 1}) == [
        "$.url: 5 is not of type 'string'",
        "$: Additional properties are not allowed ('retry' was unexpected)",
    ]
    assert written["definitions"]["deploy.linked.Link"]["properties"]["url"]["description"] == "where it is"
    for name, text in {"odd": "_target_: ${target}\n", "nothing": "# @package _global_\ndeploy: null\n"}.items():
        (tmp_path / "conf" / "deploy" / f"{name}.yaml").write_text(text)
    assert main([]) == 0
    (tmp_path / "conf" / "deploy" / "odd.yaml").write_text("a: [\n")
    assert main([]) == 1
    (tmp_path / "conf" / "deploy" / "odd.yaml").write_text("[a]\n")
    assert main([]) == 1
    no_yaml, no_keys = capsys.readouterr().err.splitlines()
    assert no_yaml.startswith(f"{tmp_path}/conf/deploy/odd.yaml: is no YAML: while parsing")
    assert no_keys == f"{tmp_path}/conf/deploy/odd.yaml: should hold keys and values"
    assert main(["--help"]) == 2
    assert main(["nowhere/schema.json", "more"]) == 2
