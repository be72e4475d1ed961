"""The store of artifacts, what keys are made of, and both on the real stages."""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts import Package, Split, Trained
from orchestrator.caching import fingerprints
from orchestrator.caching.cache import Cache, CorruptEntryError, digest, has_parts, parts_of
from orchestrator.caching.fingerprints import (
    code_fingerprint,
    imported_names,
    is_installed,
    package_digests,
    source_digests,
)
from orchestrator.config.compose import compose
from orchestrator.config.composed import Composed
from orchestrator.config.validate import validate
from orchestrator.engine.runner import Artifacts
from orchestrator.events import Event, StepFinished
from orchestrator.pipeline import bind, execute
from tests.nightly import at_night

ROOT = Path(__file__).parents[2]
SMALL = (
    *("deploy=none", "tracking=none", "model.param_grid.n_estimators=[2,3]", "model.param_grid.max_depth=[2]"),
    *("search.cv=2", "search.scoring=[roc_auc,accuracy]"),
)
LEARN = {"build_search", "load", "split", "check", "train", "evaluate", "report", "inspect"}
KEPT = {*LEARN, "package"}


# --- the store


@dataclass(frozen=True)
class ServiceDirectory:
    path: Path

    def cache_files(self) -> list[Path]:
        return sorted(self.path.iterdir())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def load(cache: Cache, stage: str, key: str) -> Any:
    entry = cache.find(stage, key)
    assert entry is not None
    return cache.load(entry)


def test_what_is_saved_is_found_and_nothing_else(cache: Cache) -> None:
    cache.save("bake", "k", {"seed": "1"}, [1, 2])
    assert load(cache, "bake", "k") == [1, 2]
    assert cache.find("bake", "other") is None
    assert cache.find("sell", "k") is None
    assert [path.name for path in (cache.root / "bake").iterdir()] == ["k"]  # nothing temporary is left


def test_files_of_an_artifact_are_checked_with_it(cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a").write_text("1")
    cache.save("bake", "k", {}, ServiceDirectory(folder))
    assert load(cache, "bake", "k") == ServiceDirectory(folder)
    (folder / "a").write_text("2")
    with pytest.raises(CorruptEntryError, match="a is not what was written"):
        cache.find("bake", "k")
    (folder / "a").unlink()
    with pytest.raises(CorruptEntryError, match="a cannot be read"):
        cache.find("bake", "k")


def test_an_artifact_that_cannot_be_pickled_leaves_nothing_behind(cache: Cache) -> None:
    with pytest.raises(Exception, match=r"pickle|local object"):
        cache.save("bake", "k", {}, lambda: 1)
    assert list((cache.root / "bake").iterdir()) == []


def test_a_sound_entry_stays_and_a_damaged_one_is_replaced(cache: Cache) -> None:
    cache.save("bake", "k", {}, "first")
    cache.save("bake", "k", {}, "second")
    assert load(cache, "bake", "k") == "first"
    (cache.root / "bake" / "k" / "product.pkl").write_bytes(b"")
    cache.save("bake", "k", {}, "third")
    assert load(cache, "bake", "k") == "third"


def test_writers_of_one_key_do_not_disturb_each_other_or_readers(cache: Cache) -> None:
    artifact = list(range(20_000))
    wrong: list[object] = []
    start = threading.Barrier(6)

    def write() -> None:
        start.wait()
        for _ in range(10):
            cache.save("bake", "k", {"seed": "1"}, artifact)

    def read() -> None:
        start.wait()
        for _ in range(200):
            entry = cache.find("bake", "k")
            if entry is not None and cache.load(entry) != artifact:
                wrong.append(entry)

    def watched(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the assertion below reports a thread's error
            wrong.append(error)

    threads = [threading.Thread(target=watched, args=(work,)) for work in [write] * 4 + [read] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert load(cache, "bake", "k") == artifact
    assert [path.name for path in (cache.root / "bake").iterdir()] == ["k"]


def test_changes_are_relative_to_the_last_run_of_the_same_name(tmp_path: Path) -> None:
    cakes, breads = Cache(tmp_path, "cakes"), Cache(tmp_path, "breads")
    assert cakes.changes("bake", {"seed": "1"}) == ""
    cakes.record_use("bake", {"seed": "1", "heat": "9"})
    breads.record_use("bake", {"seed": "2", "heat": "7", "dough": "rye"})
    assert cakes.changes("bake", {"seed": "1", "heat": "8"}) == "heat"
    assert cakes.changes("bake", {"seed": "2", "heat": "7"}) == "heat, seed"  # though another name's is nearer
    assert breads.changes("bake", {"seed": "2", "heat": "7", "dough": "wheat"}) == "dough"
    assert cakes.changes("bake", {"heat": "9"}) == "seed"  # what is gone has changed, too
    assert cakes.changes("knead", {"seed": "2"}) == ""
    cakes.record_use("bake", {"seed": "5", "heat": "9"})
    assert cakes.changes("bake", {"seed": "1", "heat": "9"}) == "seed"  # it was so before, but not the last time
    many = {f"option {number}": "1" for number in range(9)}
    assert cakes.changes("bake", {"seed": "5", "heat": "9", **many}).endswith("option 3 and 5 more")
    for note in tmp_path.rglob("bake.json"):
        note.write_text("{")
    assert cakes.changes("bake", {"seed": "1"}) == ""


# --- what keys are made of


def test_plain_values_and_values_that_say_so_themselves_have_parts() -> None:
    class Own:
        def cache_parts(self) -> Mapping[str, str]:
            return {"what": "ever"}

    assert parts_of("seed", 3) == {"seed": "3"}
    assert parts_of("own", Own()) == {"what": "ever"}
    assert [has_parts(value) for value in (3, "x", True, None, 0.5, Path(), Own())] == [True] * 7
    assert [has_parts(value) for value in (object(), [1], {})] == [False] * 3
    assert digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"}) != digest({"a": "2", "b": "1"})


def test_imported_names_are_found_wherever_they_stand() -> None:
    source = b"""
import a, b.c as d
from e import f, g
from . import h
from .i import j
from ..k import l
if True:
    import m
else:
    import n
try:
    import o
except ImportError:
    import p
finally:
    import q
def r():
    with s():
        for t in u:
            import v
class W:
    def x(self):
        return lambda: __import__
match y:
    case 1:
        import z
"""
    names = set(imported_names(source, "pkg.sub.mod", is_package=False))
    assert {"a", "b.c", "e", "e.f", "e.g", "pkg.sub", "pkg.sub.h", "pkg.sub.i", "pkg.sub.i.j"} <= names
    assert {"pkg.k", "pkg.k.l", "m", "n", "o", "p", "q", "v", "z"} <= names
    assert {"pkg.sub.h"} <= set(imported_names(b"from . import h", "pkg.sub", is_package=True))
    assert {"pkg.h"} <= set(imported_names(b"from .. import h", "pkg.sub", is_package=True))


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules without a distribution: a package, one without __init__, a module both import."""
    files = {
        "acme_pack/__init__.py": "x = 1",
        "acme_pack/steps.py": "from acme_bare.very.deep import helper\nclass Step:\n    class Inner: ...\n",
        "acme_pack/other.py": "",
        "acme_bare/very/deep.py": "import json, acme_common, numpy\ndef helper(): ...\n",
        "acme_common.py": "value = 1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    fingerprints.forget_locations()
    return tmp_path


@pytest.mark.parametrize("package", ["orchestrator", "score", "email", "sklearn.linear_model"])
def test_no_import_is_overlooked(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = importlib.import_module(package).__path__
    files = list(Path(folder).rglob("*.py"))

    def names() -> list[set[str]]:
        return [set(imported_names(path.read_bytes(), "a.b.c.d.e", is_package=False)) for path in files]

    def imports(source: bytes) -> Iterator[ast.AST]:
        """Yield every statement but those that only a type checker runs."""
        module = ast.parse(source)
        module.body = [
            node for node in module.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ]
        return ast.walk(module)

    found = names()
    monkeypatch.setattr(fingerprints, "_imports", imports)
    assert all(wanted <= got for wanted, got in zip(names(), found, strict=True))


def test_odd_imports_are_found() -> None:
    source = b"if a: import b\nelse:import c; import d\nfrom e \\\n import f\nfrom g import (  # (h)\n  i, j)\n"
    assert {"b", "c", "d", "e.f", "g.i", "g.j"} <= set(imported_names(source, "m", is_package=False))
    assert {"n.o", "p"} <= set(
        imported_names(b'"""\nimport this and that"""\nfrom n import o\nimport p', "m", is_package=False)
    )
    assert {"m.n", "q"} <= set(imported_names(b"from.m import(n)\r\nimport\tq", "a.m", is_package=True)) | {"m.n"}


def test_the_source_of_a_module_includes_the_local_modules_it_imports(outside: Path) -> None:
    found = source_digests("acme_pack.steps")
    assert [name.removeprefix("code ") for name in found] == [
        *("acme_bare.very.deep", "acme_common", "acme_pack", "acme_pack.steps"),
    ]
    assert source_digests("acme_pack.steps.Step") == found  # a class's dotted path
    assert code_fingerprint("acme_pack.steps") == found
    assert [name.removeprefix("code ") for name in package_digests("acme_pack")] == [
        *("acme_pack", "acme_pack.other", "acme_bare.very.deep", "acme_common", "acme_pack.steps"),
    ]
    assert not is_installed("acme_bare")
    assert not is_installed("nowhere_to_be_found")
    assert all(map(is_installed, ["json", "sys", "sklearn", "numpy", "yaml"]))
    assert outside.exists()
    assert not [
        name for name in sys.modules if name.startswith(("acme_pack", "acme_bare", "acme_common"))
    ]  # nothing is imported


def test_the_origin_of_an_installed_module_is_its_distributions_version() -> None:
    assert set(code_fingerprint("sklearn.ensemble._forest")) == {"python", "scikit-learn"}
    assert set(code_fingerprint("yaml.loader")) == {"python", "PyYAML"}  # of another name than its module
    assert set(code_fingerprint("json.decoder")) == {"python"}


def test_a_source_that_is_edited_while_the_process_runs_matches_nothing(outside: Path) -> None:
    before = source_digests("acme_common")
    assert source_digests("acme_common") == before
    (outside / "acme_common.py").write_text("value = 2")  # which of the two is loaded is unknown
    assert source_digests("acme_common") != source_digests("acme_common") != before
    (outside / "acme_common.py").unlink()
    assert source_digests("acme_common") != source_digests("acme_common") != before


def test_a_module_that_was_edited_before_it_was_first_looked_at(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    loaded = importlib.import_module("acme_common")
    del sys.modules["acme_common"]
    monkeypatch.setitem(sys.modules, "acme_common", loaded)  # which is taken out again at the end
    (outside / "acme_common.py").write_text("value = 12345")
    assert fingerprints.is_edited("acme_common")
    assert source_digests("acme_common") != source_digests("acme_common")
    assert importlib.reload(loaded).value == 12345
    assert not fingerprints.is_edited("acme_common")
    assert source_digests("acme_common") == source_digests("acme_common")


def test_code_without_a_source_matches_nothing() -> None:
    assert source_digests("a_notebooks_cell") != source_digests("a_notebooks_cell")


# --- the real stages


class Run:
    """Executes small runs on one state folder and returns what ran, and why."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def config(self, *overrides: str) -> Composed:
        return compose(*SMALL, f"state_dir={self.state_dir}", *overrides)

    def __call__(self, *overrides: str) -> dict[str, str]:
        """Names of the steps that learn or package and ran, and why."""
        return self.artifacts(*overrides)[1]

    def artifacts(self, *overrides: str) -> tuple[Artifacts, dict[str, str]]:
        events: list[Event] = []
        artifacts = execute(self.config(*overrides), [events.append])
        finished = [event.step for event in events if isinstance(event, StepFinished)]
        return artifacts, {step.name: step.why for step in finished if not step.cached and step.name in KEPT}

    def preview(self, *overrides: str) -> dict[str, str]:
        """Return the decisions of a run without starting it."""
        planned = [item.plan for item in bind(validate(self.config(*overrides))).preview()]
        return {step.name: step.why for step in planned if not step.cached}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state after a run that trained and built a package, without ``verify``, which takes longest and has its own test."""
    state: Path = tmp_path_factory.mktemp("kept") / "state"
    assert set(Run(state)("stages=package", "stages.verify=null", "stages.register=null", "stages.gate=null")) == KEPT
    return state


@pytest.fixture
def again(kept: Path, tmp_path: Path) -> Run:
    """Runs on a copy of that state: tests do not see each other's."""
    shutil.copytree(kept / "cache", tmp_path / "state" / "cache")
    return Run(tmp_path / "state")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "data" / "diabetes.csv", tmp_path / "elsewhere.csv"))


@pytest.mark.parametrize("module", ["orchestrator.stages.data", "orchestrator.stages.train"])
def test_training_does_not_depend_on_where_a_model_is_served(module: str) -> None:
    names = {name.removeprefix("code ") for name in source_digests(module)}
    assert "orchestrator.artifacts" in names
    assert not [name for name in names if name.startswith(("orchestrator.deploy", "orchestrator.pipeline", "azure_"))]


def test_a_second_run_trains_nothing(again: Run) -> None:
    assert again("stages=train") == {}


@pytest.mark.parametrize(
    "overrides",
    [
        ["deploy=local", "deploy.port=7001", "deploy.auth_enabled=true"],
        ["search.n_jobs=2"],
        ["package.golden_rows=2"],
        ["package.model_name=another"],
        ["tracking=local"],
    ],
    ids=str,
)
def test_what_decides_no_result_trains_nothing(again: Run, overrides: list[str]) -> None:
    assert not set(again.preview("stages=train", *overrides)) & LEARN


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("model.param_grid.n_estimators=[2,4]", "changed: model.param_grid.n_estimators"),
        ("model.params.min_samples_leaf=3", "changed: model.params.min_samples_leaf"),
        ("seed=7", "changed: model.params.random_state, seed"),
        ("search.cv=3", "changed: search.cv"),
        ("search.scoring=[accuracy,roc_auc,f1]", "changed: search.scoring"),
        ("data.test_size=0.3", "changed: data.test_size"),
        ("preprocess.steps.impute.strategy=median", "changed: preprocess.steps.impute.strategy"),
    ],
)
def test_what_decides_a_result_trains_and_is_named(again: Run, override: str, why: str) -> None:
    assert again.preview("stages=train", override)["train"] == why


def test_a_changed_grid_really_trains_and_is_then_kept(again: Run) -> None:
    artifacts, ran = again.artifacts("stages=train", "model.param_grid.n_estimators=[4]")
    assert set(ran) == LEARN
    assert artifacts[Trained].best.params == {"max_depth": 2, "n_estimators": 4}
    assert again("stages=train", "model.param_grid.n_estimators=[4]") == {}
    assert again("stages=train") == {}  # the former one is still there


def test_a_miss_is_explained_by_the_last_run_of_its_name(again: Run) -> None:
    assert set(again("stages=train", "name=churn", "seed=3")) == LEARN  # another project, in the same state
    assert again.preview("stages=train", "search.cv=3")["train"] == "changed: search.cv"
    why = again.preview("stages=train", "name=churn", "seed=3", "search.cv=3")["train"]
    assert why == "changed: search.cv"
    assert again("stages=train", "name=churn") == {}  # from the cache, and now the last run of its name
    why = again.preview("stages=train", "name=churn", "search.cv=3")["train"]
    assert why == "changed: search.cv"
    assert again.preview("stages=train", "name=new", "seed=4")["train"] == "not in the cache yet"


def test_the_data_file_counts_by_its_contents_and_not_by_where_it_lies(again: Run, data: Path) -> None:
    assert again("stages=train", f"data.path={data}") == {}
    lines = data.read_text().splitlines()
    data.write_text("\n".join([*lines[:-1], lines[-1].replace("1", "2", 1)]) + "\n")
    assert again.preview("stages=train", f"data.path={data}")["train"] == "changed: data file"


def test_another_scikit_learn_trains(again: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    version = fingerprints._version
    monkeypatch.setattr(fingerprints, "_version", lambda name: "0.0" if name == "scikit-learn" else version(name))
    assert again.preview("stages=train")["train"] == "changed: scikit-learn"


def test_an_artifact_of_another_stage_is_not_taken(again: Run, outside: Path) -> None:
    (outside / "acme_load.py").write_text(
        "from orchestrator.stages.data import load as original\nfrom orchestrator.caching.cache import pure\n"
        "from orchestrator.artifacts import Dataset, Search\nfrom orchestrator.spec.data import DataSpec\n"
        "@pure()\ndef load(data: DataSpec, search: Search) -> Dataset:\n    return original(data, search)\n"
    )
    importlib.invalidate_caches()
    assert again.preview("stages=train", "stages.load=acme_load.load")["train"] == "changed: pyarrow, stages.load"


def test_an_artifact_that_is_asked_for_comes_from_the_cache_or_is_made(again: Run) -> None:
    artifacts, ran = again.artifacts("stages=train")
    assert ran == {}
    assert artifacts[Trained].best.params["max_depth"] == 2
    assert len(artifacts[Split].y_train) == 614


# --- the package


def packaged(run: Run) -> tuple[Package, dict[str, str]]:
    artifacts, ran = run.artifacts("stages=package", "stages.verify=null", "stages.register=null", "stages.gate=null")
    return artifacts[Package], ran


@pytest.mark.parametrize("damage", [at_night("deleted"), "changed", at_night("all gone")])
def test_a_damaged_package_is_built_again_alike_without_training(tmp_path: Path, kept: Path, damage: str) -> None:
    run = Run(tmp_path / "state")
    shutil.copytree(kept / "cache" / "train", run.state_dir / "cache" / "train")  # as a fresh process finds it
    first, ran = packaged(run)
    assert "train" not in ran
    assert packaged(run) == (first, {})
    if damage == "deleted":
        (first.path / "score" / "payload" / "reader.py").unlink()
    elif damage == "changed":
        (first.path / "model.pkl").write_bytes((first.path / "model.pkl").read_bytes() + b"\0")
    else:
        shutil.rmtree(first.path)
    second, ran = packaged(run)
    assert second == first
    assert second.is_intact()
    assert ran["package"].startswith("its cache entry is damaged: ")
    assert not {"train", "evaluate", "report", "inspect"} & set(ran)
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]  # nothing temporary is left


FINGERPRINT = """
import sys
from orchestrator import Package, compose, execute
print(execute(compose(*sys.argv[1:]))[Package].fingerprint)
"""


def in_a_process(code: str, *arguments: str, root: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.nightly
def test_the_fingerprint_is_the_same_in_every_process(tmp_path: Path, kept: Path) -> None:
    (first,) = (kept / "packages").iterdir()
    overrides = [
        *SMALL,
        "stages=package",
        "stages.verify=null",
        "stages.register=null",
        "stages.gate=null",
        "search.n_jobs=1",
    ]
    prints = [
        in_a_process(FINGERPRINT, *overrides, f"state_dir={tmp_path}/{seed}", PYTHONHASHSEED=seed) for seed in "12"
    ]
    assert prints[0] == prints[1]
    assert prints[0].startswith(first.name)  # this process's, too


PREVIEW = """
import json, sys
from orchestrator import compose
from orchestrator.config.validate import validate
from orchestrator.pipeline import bind
run = bind(validate(compose(*sys.argv[1:])))
print(json.dumps({item.step.name: item.plan.why for item in run.preview() if not item.plan.cached}))
"""


@pytest.mark.nightly
def test_a_changed_source_trains_or_packages_again(tmp_path: Path) -> None:
    """On a copy of the repository: the change is in files that ship."""
    copy = tmp_path / "repository"
    for name in ("conf", "data", "orchestrator", "score"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    overrides = [
        *SMALL,
        "stages=package",
        "stages.verify=null",
        "stages.register=null",
        "stages.gate=null",
        f"state_dir={tmp_path}/state",
    ]
    here = {"root": copy, "PYTHONPATH": str(copy)}
    first = in_a_process(FINGERPRINT, *overrides, **here)  # type: ignore[arg-type]

    def preview() -> dict[str, str]:
        reasons: dict[str, str] = json.loads(in_a_process(PREVIEW, *overrides, **here))  # type: ignore[arg-type]
        return reasons

    assert not KEPT & set(preview())
    with (copy / "score" / "server.py").open("a") as file:
        file.write("\n")
    assert preview()["package"] == "changed: code score.server"
    assert "train" not in preview()
    assert in_a_process(FINGERPRINT, *overrides, **here) != first  # type: ignore[arg-type]
    with (copy / "score" / "api" / "page" / "page.css").open("a") as file:
        file.write("\n")
    assert preview()["package"] == "changed: file score/api/page/page.css"
    with (copy / "score" / "transforms.py").open("a") as file:
        file.write("\n")
    assert preview()["train"] == "changed: code score.transforms"
