"""Migrate the sqlite store of an older MLflow to the installed one's schema, after a backup."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator.errors import TrackingError


def migrate(path: Path, uri: str, note: Callable[[str], None]) -> None:
    """Migrate the store if its schema is older; leave it unchanged otherwise.

    Raises:
        TrackingError: a newer MLflow wrote it, or the migration failed; the store is then restored.
    """
    revision = _revision(path)
    if revision is None:
        return  # a database without MLflow's tables: MLflow creates them
    from mlflow import __version__
    from mlflow.store.db import utils

    if revision == utils._get_latest_schema_revision():  # noqa: SLF001 -- MLflow compares the same
        return
    if not _is_known(utils, revision):
        raise TrackingError(
            f"tracking store {path}: a newer MLflow wrote it (schema {revision}, unknown to {__version__}); install that one"
        )
    copy = path.with_name(f"{path.name}.{revision}.backup")
    if not copy.exists():
        _copy(path, copy)
    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    try:
        utils._safe_initialize_tables(engine) if not utils._all_tables_exist(engine) else utils._upgrade_db(engine)  # noqa: SLF001
    except Exception as error:
        engine.dispose()
        _copy(copy, path)
        raise TrackingError(
            f"tracking store {path}: migrating it to MLflow {__version__} failed ({str(error).splitlines()[0]}); it is as "
            "it was: use the MLflow that wrote it, or another state_dir"
        ) from error
    finally:
        engine.dispose()
    note(f"tracking store {path}: migrated from an older MLflow to {__version__}; the store as it was is {copy}")


def _revision(path: Path) -> str | None:
    """Return the revision of a store's schema, as MLflow's migrations name it."""
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
    return str(row[0]) if row else None


def _is_known(utils: Any, revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        script = ScriptDirectory.from_config(utils._get_alembic_config(""))  # noqa: SLF001 -- where MLflow keeps them
        return script.get_revision(revision) is not None
    except CommandError:
        return False


def _copy(source: Path, target: Path) -> None:
    """Copy a database completely, also while others read it; sqlite takes its own locks."""
    destination = target if target.exists() else target.with_name(f"{target.name}.{os.getpid()}.new")
    with closing(sqlite3.connect(source, timeout=20)) as old, closing(sqlite3.connect(destination, timeout=20)) as new:
        old.backup(new)
    if destination != target:
        destination.replace(target)
