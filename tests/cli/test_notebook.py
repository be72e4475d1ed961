"""A notebook shows the run below the cell; a script shows nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import compose, execute
from orchestrator.cli.notebook import _notebook_console

REPO = Path(__file__).parents[2]
SMALL = ("model=logistic_regression", "model/param_grid=none", "stages=train", "tracking=none", "deploy=none")
UNTRAINED = [f"stages.{name}=null" for name in ("train", "evaluate", "report", "inspect", "render", "track")]


def test_a_script_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _notebook_console() == []
    execute(compose(*SMALL, f"state_dir={tmp_path}", *UNTRAINED))
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPO), *filter(None, sys.path)]))
    overrides = [*SMALL, f"state_dir={tmp_path}", *UNTRAINED]
    cells = [
        f"from orchestrator import compose, execute; config = compose(*{overrides!r}); found = execute(config)",
        "found = execute(config, [])",
        "from orchestrator import Evaluation; Evaluation({'f1': 0.5}, {})",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    run, silent, shown = (cell.outputs for cell in book.cells)
    text = "".join(_text(output) for output in run)
    assert "plan: build_search → load → split" in text
    assert "✓ split" in text
    assert "614 training rows, 154 held out" in text
    assert silent == []
    assert "<td>f1</td><td>0.5</td>" in shown[0]["data"]["text/html"]


def _text(output: Any) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
