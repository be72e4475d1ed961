"""What is said of the memory before a table is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator import compose
from orchestrator.config import memory_note as notes
from orchestrator.config.memory_note import memory_note
from orchestrator.modeling import memory
from orchestrator.reading.size import TableSize
from orchestrator.spec.run_spec import RunSpec

LARGE = TableSize(10_000_000, 18, [1000, 20], 200.0, 400.0)


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    monkeypatch.setattr(notes, "_SMALL", 0)
    monkeypatch.setattr(notes, "estimate_size", lambda _: LARGE)
    return RunSpec.parse(dict(compose().values))


def with_memory(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(notes, "available_bytes", lambda: gigabytes * 1e9)


def changed(spec: RunSpec, section: str, **keys: Any) -> RunSpec:
    return spec.model_copy(update={section: getattr(spec, section).model_copy(update=keys)})


def test_enough_memory_has_no_remedy(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 64)
    text = memory_note(spec)
    assert text.startswith("about 10,000,000 rows × 20 columns; training takes about ")
    assert text.endswith(" besides the models, and 64.0 GB are free")


def test_too_little_memory_has_a_sample_that_fits(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 4)
    parallel = changed(spec, "search", n_jobs=2)
    said = memory_note(parallel)
    assert "(2 processes)" in said
    assert "(search.n_jobs=1 search.backend=null)" in said
    assert "search.scheduler=tcp://host:8786" in said
    rows = int(said.partition("data.rows=")[2].partition(")")[0])
    assert 100_000 < rows < LARGE.rows
    fitting = memory_note(changed(parallel, "data", rows=rows))
    assert f", of which {rows:,} are used (data.rows)" in fitting
    assert "too much" not in fitting


def test_one_hot_columns_count(spec: RunSpec) -> None:
    plain = notes.needed_bytes(spec, LARGE)
    wide = RunSpec.parse(dict(compose("preprocess=tabular").values))
    assert notes.needed_bytes(wide, LARGE) > 10 * plain


def test_little_is_said_on_demand_alone() -> None:
    spec = RunSpec.parse(dict(compose().values))
    assert memory_note(spec) == ""
    assert memory_note(spec, always=True).startswith("about 768 rows × 8 columns; training takes about 0.4 GB")
    gone = changed(spec, "data", path=Path("gone.csv"))
    assert memory_note(gone, always=True) == ""


def test_a_container_may_have_less_than_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    whole = memory.available_bytes()
    for name, text in (("max", "1000000"), ("current", "900000"), ("stat", "anon 1\ninactive_file 300000")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory.available_bytes() == 400_000
    (tmp_path / "memory.max").write_text("max")
    assert memory.available_bytes() == pytest.approx(whole, rel=0.5)
