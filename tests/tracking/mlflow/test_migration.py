from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.artifacts import Package, Verification
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFinished
from orchestrator.tracking.mlflow import migration
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.tracking.kit import notes_of, top_runs, whole_run

MakeTracker = Callable[..., Mlflow]
OLDER = "0584bdc529eb"  # of MLflow 2.x, before logged models


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.fixture
def tracker(new_tracker: MakeTracker) -> MakeTracker:
    return new_tracker


@pytest.fixture
def older(tracker: MakeTracker) -> Path:
    """Create a store as an older MLflow does, with its migrations up to that one."""
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    path = tracker().state_dir / "mlflow.db"
    path.parent.mkdir()
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = utils._get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLDER)
    engine.dispose()
    assert revision(path) == OLDER
    return path


def test_an_older_store_is_backed_up_and_migrated(
    older: Path, tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    before = older.read_bytes()
    mlflow = tracker()
    notes = notes_of(mlflow)
    version = whole_run(mlflow, package, verification, reported)
    copy = older.with_name(f"mlflow.db.{OLDER}.backup")
    with closing(sqlite3.connect(copy)) as kept, closing(sqlite3.connect(":memory:")) as wanted:
        wanted.deserialize(before)
        assert list(kept.iterdump()) == list(wanted.iterdump())
    assert revision(older) != OLDER
    assert [run.info.run_id for run in top_runs(mlflow)] == [version.run_id]
    (note,) = notes
    assert f"the store as it was is {copy}" in note
    whole_run(tracker(), package, verification, reported)
    assert len(list(older.parent.glob("*.backup"))) == 1


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    older: Path, tracker: MakeTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.db import utils

    def fail_halfway(engine: object) -> None:
        with closing(sqlite3.connect(older)) as connection, connection:
            connection.execute("CREATE TABLE half_done (x)")
        raise OSError(f"disk full: {engine}")

    monkeypatch.setattr(utils, "_upgrade_db", fail_halfway)
    monkeypatch.setattr(utils, "_safe_initialize_tables", fail_halfway)
    with pytest.raises(TrackingError, match=r"migrating it to MLflow .* failed \(disk full.*it is as it was"):
        tracker()._open()
    with closing(sqlite3.connect(older)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half_done'").fetchone()
    assert revision(older) == OLDER


def test_a_newer_store_is_not_changed(tracker: MakeTracker) -> None:
    mlflow = tracker()
    mlflow._open()
    mlflow(RunFinished(1.0))
    path = mlflow.state_dir / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(TrackingError, match=r"a newer MLflow wrote it \(schema ffffffffffff, unknown to "):
        tracker()._open()
    assert not list(path.parent.glob("*.backup"))


def test_a_store_of_this_mlflow_is_not_copied(tracker: MakeTracker) -> None:
    tracker()._open()
    path = tracker().state_dir / "mlflow.db"
    migration.migrate(path, f"sqlite:///{path}", pytest.fail)
    assert not list(path.parent.glob("*.backup"))
