from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.spec.components import component_problems
from orchestrator.tracking.mlflow import uri
from orchestrator.tracking.mlflow.subprocess_tracker import SubprocessMlflow
from orchestrator.tracking.mlflow.tracker import Mlflow
from orchestrator.tracking.mlflow.uri import store_uri
from orchestrator.tracking.tracker import Tracker

TARGET = f"{SubprocessMlflow.__module__}.{SubprocessMlflow.__name__}"
HIDDEN = "s3cr3tpw"
REFUSED = "holds a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"


def options(tracking_uri: str) -> dict[str, str]:
    return {"tracking_uri": tracking_uri, "experiment_name": "diabetes", "state_dir": "/state"}


@pytest.mark.parametrize(
    "fine",
    [
        "sqlite:////state/mlflow.db",
        "sqlite:////home/me@work/mlflow.db?timeout=9",
        "sqlite:////state/a b/a:b/100%/#1/mlflow.db",
        "http://localhost:5000",
        "https://mlflow.example.com/under/a/path",
        "databricks",
        "databricks://profile",
    ],
)
def test_a_valid_uri_is_unchanged(fine: str) -> None:
    assert store_uri(fine) == fine
    assert component_problems(SubprocessMlflow, options(fine), "tracking", Tracker) == []


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (f"http://me:{HIDDEN}@localhost:7820", REFUSED),
        (f"https://{HIDDEN}@mlflow.example.com", REFUSED),
        (f"sqlite://me:{HIDDEN}@host/mlflow.db", REFUSED),
        (f"http://me:{HIDDEN}@[::1", "is no URI"),
        (f"htp://me:{HIDDEN}@x", "got one of 'htp'; did you mean 'http'?"),
        (
            f"postgresql://me:{HIDDEN}@host/db",
            "is a database, and its URI would hold the password: start `mlflow server",
        ),
        (f"mysql+pymysql://me:{HIDDEN}@host/db", "is a database"),
        (f"mssql+pyodbc://me:{HIDDEN}@host/db", "is a database"),
        (f"redis://me:{HIDDEN}@host/0", "should be a URI of sqlite, http, https, databricks or of a plugin"),
        ("sqlite:////state/a%41b/mlflow.db", "'%41' in a path means something else in the URI of a store"),
        ("sqlite:////state/100%20/mlflow.db", "'%20' in a path"),
        ("sqlite:////state/why?/mlflow.db", "'?' in a path"),
        ("sqlite:////state/a?b=c/mlflow.db", "'?' in a path"),
        ("localhost:5000", "got one of 'localhost'"),
        ("http:localhost", "names no server; write one such as http://localhost:5000"),
        ("sqlite:mlflow.db", "should be sqlite:////absolute/path/mlflow.db"),
        ("sqlite:///mlflow.db", f"relative and would make a store in every folder; write 'sqlite:///{Path.cwd()}/mlf"),
        ("/state/mlruns", "is a folder, where MLflow keeps no runs any more; write sqlite:////absolute"),
        ("file:///state/mlruns", "is a folder"),
        ("", "is a folder"),
    ],
)
def test_a_refused_uri_is_reported_in_one_line(wrong: str, expected: str) -> None:
    (problem,) = component_problems(SubprocessMlflow, options(wrong), "tracking", Tracker)
    assert str(problem).startswith("tracking.tracking_uri: ")
    assert expected in str(problem)
    assert HIDDEN not in str(problem)


def test_a_tracker_made_in_python_is_as_strict() -> None:
    with pytest.raises(ValueError, match=REFUSED) as raised:
        Mlflow(f"http://me:{HIDDEN}@localhost", "diabetes", Path("state"))
    assert HIDDEN not in str(raised.value)


def test_a_plugins_store_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = "azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/x"
    monkeypatch.setattr(uri, "_plugins", set)
    with pytest.raises(ValueError, match="that is installed, got one of 'azureml'"):
        store_uri(azure)
    monkeypatch.setattr(uri, "_plugins", lambda: {"azureml"})
    assert store_uri(azure) == azure
