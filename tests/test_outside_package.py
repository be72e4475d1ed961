"""The examples of CONTRIBUTING.md work as printed: its code blocks become the package ``acme``."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from score.predict.predictor import Predictor
from tests.command import ROOT, SECONDS, Desk, desk

pytestmark = pytest.mark.slow

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
SEARCH = "hydra.searchpath=[pkg://acme.conf]"
SMALL = ("model=logistic_regression", "model/param_grid=none")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("outside")
    modules = home / "modules"
    for name, text in BLOCKS.items():
        file = modules / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for package in (modules / "acme", modules / "acme" / "conf"):
        (package / "__init__.py").touch()
    shutil.copy(ROOT / "tests" / "outside" / "trouble.py", modules)
    with desk(home, modules) as made:
        yield made


class Host:
    """A host for the target of acme: it serves the package that the link points at."""

    def __init__(self, link: Path) -> None:
        host = self
        self.works = True
        load = lru_cache(Predictor.load)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, reply = load(link.resolve()).answer(body)[:2] if host.works else (500, b"{}")
                self.send_response(status)
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/score"


@contextmanager
def hosting(link: Path) -> Iterator[Host]:
    host = Host(link)
    thread = Thread(target=host.server.serve_forever)
    thread.start()
    try:
        yield host
    finally:
        host.server.shutdown()
        thread.join()
        host.server.server_close()


@pytest.mark.nightly
def test_a_model_is_yaml_only(at: Desk) -> None:
    (line,) = re.findall(r"^    python run\.py (.*)$", TEXT, re.MULTILINE)
    done = at.run(*shlex.split(line)).well()
    folder = Path(done.result["package"]["path"])
    assert done.result["best_params"]["n_estimators"] in (20, 40)
    assert done.result["endpoint"]["target"] == "local"
    assert json.loads((folder / "compiled.json").read_text())["reason"] == ""
    at.bash(f"{done.shown('stop it')} hydra.run.dir={at.home}/stop").well()


@pytest.mark.nightly
def test_a_target_is_a_class_and_yaml(at: Desk) -> None:
    link = at.state / "current"
    with hosting(link) as host:
        deployed = (SEARCH, "tracking=none", "deploy=link", f"deploy.url={host.url}")
        first = at.run(*deployed, *SMALL).well()
        assert first.result["endpoint"] == {"url": host.url, "target": "link", "auth": False}
        assert first.result["probe"]["requests"] >= 3
        assert link.resolve() == Path(first.result["package"]["path"])
        assert f"healthy at {host.url}" in at.run(*deployed, "stages=status").well().out
        at.bash(first.shown("try it")).well()

        host.works = False
        failed = at.run(*deployed, *SMALL, "seed=1", "gate=none")
        assert failed.code == 1
        assert "differently: status 500 instead of 200" in failed.err
        assert link.resolve() == Path(first.result["package"]["path"]), "the former one is back"
        assert failed.result["package"]["path"] != first.result["package"]["path"]

        logs = at.run(*deployed, "stages=logs")
        assert (logs.code, logs.err) == (1, "deploy failed: the host keeps the log\n")
        at.bash(f"{first.shown('stop it')} hydra.run.dir={at.home}/stop").well()
        assert not link.exists()
        assert "absent" in at.run(*deployed, "stages=status").well().out


@pytest.mark.nightly
def test_a_stage_is_a_function(at: Desk) -> None:
    explained = (SEARCH, "stages=explained", *SMALL)
    assert at.run(*explained).well().ran[-1] == "importance"
    again = at.run(*explained).well()
    assert again.ran == ["warn", "track"], "it prints the findings, asks the store where the run is, and nothing else"
    assert re.search(r"^· importance +cached$", again.out, re.MULTILINE)

    planned = at.run("stages=train", "+stages.importance=acme.stages.importance", *SMALL, "dry_run=true").well()
    assert re.search(r"^importance +Trained, Split, Seed → Importance +\[cached\]$", planned.out, re.MULTILINE)

    code = BLOCKS["notebook.py"].replace('"stages=explained"', ", ".join(map(repr, explained[1:])))
    code = code.replace("compose(", f"compose('state_dir={at.state}', ")
    process = at.popen(sys.executable, "-c", code)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    loss = ast.literal_eval(out)
    assert max(loss, key=loss.__getitem__) == "Glucose"

    source = at.home / "modules" / "acme" / "stages.py"
    source.write_text(source.read_text().replace("n_repeats=3", "n_repeats=4"))
    changed = at.run(*explained).well()
    assert changed.ran[-1] == "importance"
    assert "train" not in changed.ran
    assert "code acme.stages" in changed.out


def test_a_transformer_of_a_local_folder_is_refused_by_name(at: Desk) -> None:
    lost = ("tracking=none", "preprocess=none", "preprocess.steps.lost._target_=trouble.Lost")
    done = at.run(*SMALL, *lost, "stages=package", "deploy=none")
    assert done.code == 1
    assert re.fullmatch(
        r"The configuration .*\n  preprocess.steps.lost._target_: trouble.Lost: .*trouble.py lies outside .*\n",
        done.err,
    )
    assert done.out == ""  # nothing was run


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (
            ("model=extra_tree", "hydra.searchpath=[pkg://acme.conf,pkg://acne.conf]"),
            (
                "model: there is no option 'extra_tree'; did you mean 'extra_trees'?",
                "hydra.searchpath: pkg://acne.conf: there is no such package",
            ),
        ),
        (
            (
                "model=extra_trees",
                "model.param_grid.max_dept=[1]",
                "deploy=link",
                "deploy.ulr=x",
                "stages.a=acme.stages.importanc",
            ),
            (
                "model.param_grid.max_dept: ExtraTreesClassifier has no such parameter; did you mean 'max_depth'?",
                "deploy.ulr: Link has no such option; did you mean 'url'?",
                "stages.a: acme.stages has no 'importanc'; did you mean 'importance'?",
            ),
        ),
        (
            ("deploy._target_=trouble.Half", "stages=deploy"),
            ("deploy._target_: trouble.Half is no Target: it lacks endpoint()",),
        ),
    ],
    ids=["options", "keys", "kind"],
)
def test_a_mistake_in_outside_files_is_reported_with_its_place(
    at: Desk, overrides: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    search = () if any(override.startswith("hydra") for override in overrides) else (SEARCH,)
    done = at.run(*search, *overrides)
    assert done.code == 1
    assert [message for message in messages if message not in done.err] == [], done.err
    assert "Traceback" not in done.err
    assert not (done.folder / "result.json").exists()


def test_the_layout_names_what_is_there() -> None:
    layout = TEXT.partition("\norchestrator/\n")[2].partition("\nscore/")[0]
    named = [name for names in re.findall(r"^  (\S.*?)  ", layout, re.MULTILINE) for name in names.split(", ")]
    modules = {path.stem for path in (ROOT / "orchestrator").glob("[!_]*.py")}
    folders = {f"{path.parent.name}/" for path in (ROOT / "orchestrator").glob("*/__init__.py")}
    assert sorted(named) == sorted(modules | folders)
