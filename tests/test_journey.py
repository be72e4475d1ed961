"""A user's way, typed with the wheel: a table, a project, an endpoint, a change, the way back, a second machine."""

from __future__ import annotations

import json
import re
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import free_port
from tests.installed import Installed, running, stopped_at_the_end
from tests.tracking.servers import mlflow_server

pytestmark = pytest.mark.slow

PLANS = ("basic", "plus", "pro")
SMALL = "'model.param_grid.n_estimators=[5]' 'model.param_grid.max_depth=[3]' search.cv=3"


@pytest.fixture
def home(venv: Path, tmp_path: Path) -> Iterator[Installed]:
    """A folder with a table, and an MLflow server that other machines could reach."""
    rows = [
        f"C{row:03},{PLANS[row % 3]},{20 + row * 7 % 50},{'yes' if row * 7 % 50 + 5 * (row % 3) < 25 else 'no'}"
        for row in range(120)
    ]
    (tmp_path / "churn.csv").write_text("\n".join(["customer,plan,age,left", *rows, ""]))
    shop, second = tmp_path / "shop", tmp_path / "second"
    with mlflow_server(tmp_path / "mlflow") as uri, stopped_at_the_end(shop, second):
        yield Installed(tmp_path, venv, {"MLFLOW_TRACKING_URI": uri})


def curl(printed: str, url: str = "") -> Any:
    """Send the request of the ``curl`` line that a run printed, there or to another endpoint."""
    line = re.search(r"^try it +curl (.+)$", printed, re.MULTILINE)
    assert line, printed
    words = shlex.split(line[1])
    body = words[words.index("-d") + 1].encode()
    request = urllib.request.Request(url or words[1], body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def served(port: int) -> str:
    """Return the fingerprint of the package that answers at a port."""
    with urllib.request.urlopen(f"http://localhost:{port}/meta", timeout=30) as response:
        return str(json.load(response)["fingerprint"])


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def listed(printed: str) -> dict[str, str]:
    """Return the alias of each version that ``stages=versions`` lists."""
    return dict(re.findall(r"^ (\d+) +(champion|previous)?", printed, re.MULTILINE))


@pytest.mark.nightly
def test_from_a_table_to_an_endpoint_and_back_and_to_a_second_machine(home: Installed) -> None:
    printed = home.bash("orchestrate init shop --data churn.csv --target left").splitlines()[-1].strip()
    assert printed == "cd shop && orchestrate experiment=churn"
    shop, experiment = home.folder / "shop", home.folder / "shop" / "conf" / "experiment" / "churn.yaml"
    own = re.search(r"(?:^# .*\n)+\Z", experiment.read_text(), re.MULTILINE)
    assert own
    replace(experiment, own[0], re.sub("^# ", "", own[0], flags=re.MULTILINE))  # uncomment what init wrote

    port = free_port()
    run = f"{printed} tracking=server deploy.port={port}"
    first = home.bash(f"{run} {SMALL}")
    assert "churn_model version 1" in first
    assert "not compiled: no converter for features.ClipOutliers" in first
    answer, package = curl(first), served(port)
    assert set(answer["predictions"]) <= {"yes", "no"}

    replace(shop / "features.py", "upper: float = 0.99", "upper: float = 0.6")
    changed = home.bash(f"{run} {SMALL} gate=none")
    assert re.search(r"✓ train .* changed: code features\n", changed)
    assert "churn_model version 2" in changed
    assert served(port) != package

    back = home.bash(f"{run} stages=rollback")
    assert "churn_model version 1: the champion before version 2" in back
    assert (served(port), curl(back)) == (package, answer)
    versions = home.bash(f"{run} stages=versions")
    assert listed(versions) == {"2": "previous", "1": "champion"}
    assert f"is healthy at http://localhost:{port}/score, with churn_model 1" in versions

    (home.folder / "second").mkdir()
    second, elsewhere = Installed(home.folder / "second", home.venv, home.settings), free_port()
    deploy = ("orchestrate", "name=churn", "tracking=server", f"deploy.port={elsewhere}", "stages=deploy")
    missing = second.try_to_run(*deploy, "package.version=99")
    assert missing.returncode == 1
    assert "version 99 is not in the registry" in missing.stderr
    fetched = second.run(*deploy, "package.version=champion")
    assert "downloading version 1 of 'churn_model'" in fetched
    assert (served(elsewhere), curl(fetched)) == (package, answer)
    assert {path.name for path in second.folder.iterdir()} == {"outputs", "state"}

    for folder, output in ((shop, back), (second.folder, fetched)):
        stop = re.search(r"^stop it +(.+)$", output, re.MULTILINE)
        assert stop
        Installed(folder, home.venv, home.settings).bash(stop[1])
    assert running(shop, second.folder) == []
