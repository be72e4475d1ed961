"""The command with libraries that exclude each other: the conflict is found before anything is registered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command import desk
from tests.package_index import Index

pytestmark = pytest.mark.slow


@pytest.mark.nightly
def test_a_conflict_registers_nothing_and_an_index_that_is_away_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(tmp_path / "index")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with desk(tmp_path) as made:
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
        done = made.run("stages=package", "deploy=docker").well()
        assert "warning: the image's libraries were not checked: " in done.out
        assert [one.version for one in made.mlflow().search_model_versions()] == [1]
        for line in (Path(done.result["package"]["path"]) / "requirements.txt").read_text().splitlines():
            name, _, version = line.partition("==")
            index.wheel(name.lower(), version, *(["numpy<2"] if name == "joblib" else []))
        index.wheel("numpy", "1.26.4")
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        done = made.run("stages=package", "deploy=docker", "seed=7")
        assert done.code == 1
        first, reasons = done.err.splitlines()
        assert first.startswith("deploy failed: the libraries of the image cannot be installed: joblib==")
        assert " and numpy==" in first
        assert "numpy<2" in reasons
        assert [one.version for one in made.mlflow().search_model_versions()] == [1]
