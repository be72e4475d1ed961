"""Credentials that were typed stop the command before anything is written, and are not repeated."""

from __future__ import annotations

import pytest

from orchestrator.config.typed_secrets import problems


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("data.path=https://host/x.csv?sig=c0ffee", "data.path: holds credentials"),
        ("+data.path='https://me:c0ffee@host/x.csv'", "data.path: holds credentials"),
        ("batch.input=https://host/x.csv?token=c0ffee", "batch.input: holds credentials"),
        ("data.connection_env=postgresql+psycopg2://me:c0ffee@host/db", "data.connection_env: a database's URL may"),
        ("data.path=postgresql://me:c0ffee@host/db", "data.path: a database's URL may hold a password"),
        ("data.storage.secret=c0ffee", "data.storage: holds credentials"),
        ("+data.storage={key: c0ffee}", "data.storage: holds credentials"),
    ],
)
def test_they_are_refused_and_not_repeated(argument: str, said: str) -> None:
    (problem,) = problems([argument, "data.storage.anon=true", "data.path=s3://b/x.csv", "data.path=env:TABLE_URL"])
    assert str(problem).startswith(said)
    assert "c0ffee" not in str(problem)
