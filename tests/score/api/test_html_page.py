"""The page at /, as HTTP sees it: who gets it, what it may load, and what needs the key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from score.api.html_page import PAGE
from score.contract import training_info
from score.contract.schema import FILE, Contract, fingerprint_of
from tests.score.conftest import Request, Serve

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ABOUT = training_info.About("RandomForestClassifier", {"max_depth": "7"}, {"roc_auc": 0.8}, 614, 154, "abc", "Outcome")
FIGURE = b"\x89PNG a figure"
KEY = {"Authorization": "Bearer one"}


@pytest.fixture(scope="module")
def package(pima: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "package"
    shutil.copytree(pima, folder, ignore=shutil.ignore_patterns("__pycache__"))
    training_info.write(folder, ABOUT, {"roc_curve.png": FIGURE})
    (folder / "keys.json").write_text('{"primary": "one", "secondary": "two"}')
    return folder


@pytest.fixture(scope="module")
def ask(package: Path, serve: Serve) -> Iterator[Request]:
    with serve(package, "--keys", "keys.json") as (ask, _):
        yield ask


@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}, {"Accept": "text/plain"}, {"Accept": "application/json"}])
def test_other_clients_get_the_health_text(ask: Request, accept: dict[str, str]) -> None:
    status, headers, body = ask("GET", "/", **accept)
    assert (status, headers["vary"], body) == (200, "Accept", b"Healthy")


def test_a_browser_gets_a_page_of_this_server_alone(ask: Request) -> None:
    status, headers, body = ask("GET", "/", Accept=BROWSER)
    assert (status, headers["content-type"], headers["vary"]) == (200, "text/html; charset=utf-8", "Accept")
    assert body == (PAGE / "page.html").read_bytes()
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    for path in PAGE.iterdir():
        assert "://" not in path.read_text(), "nothing is loaded from elsewhere"


@pytest.mark.parametrize(("name", "kind"), [("page.css", "text/css"), ("page.js", "text/javascript")])
def test_style_and_script_need_no_key(ask: Request, name: str, kind: str) -> None:
    status, headers, body = ask("GET", f"/page/{name}")
    assert (status, headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert body == (PAGE / name).read_bytes()


def test_what_the_page_shows_needs_the_key(ask: Request, package: Path) -> None:
    for path in ("/page/model.json", "/page/figures/roc_curve.png"):
        assert ask("GET", path)[0] == ask("GET", path, Authorization="Bearer three")[0] == 401
    shown = json.loads(ask("GET", "/page/model.json", **KEY)[2])
    contract = Contract.from_json((package / FILE).read_bytes())
    assert [column["name"] for column in shown["columns"]] == [column.name for column in contract.columns]
    assert shown["training"] == json.loads(json.dumps(vars(ABOUT)))
    assert (shown["figures"], shown["keyed"], shown["classes"]) == (["roc_curve.png"], True, [0, 1])
    assert ask("GET", "/page/figures/roc_curve.png", **KEY)[2] == FIGURE


@pytest.mark.parametrize("path", ["page.html", "model", "../score.py", "%2e%2e/score.py", "..%2fcontract.py", ""])
def test_no_other_file_is_given_away(ask: Request, path: str) -> None:
    assert ask("GET", f"/page/{path}")[0] == ask("GET", f"/page/figures/{path}", **KEY)[0] == 404


def test_a_package_without_training_has_a_page_too(pima: Path) -> None:
    assert training_info.read(pima) is None
    assert training_info.figures(pima) == {}


def test_training_info_is_part_of_the_fingerprint(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "copy")
    before = fingerprint_of(tmp_path / "copy")
    assert before == fingerprint_of(package)
    (tmp_path / "copy" / training_info.FOLDER / training_info.FILE).write_text("{}")
    assert fingerprint_of(tmp_path / "copy") != before
