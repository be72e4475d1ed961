"""What Prometheus scrapes, read by Prometheus' own parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from score.contract import distribution
from score.contract.schema import Contract
from tests.nightly import at_night
from tests.score.conftest import Serve


def scraped(ask: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    status, headers, body = ask("GET", "/metrics")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    families = text_string_to_metric_families(body.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Any, name: str, **labels: str) -> float | None:
    got: float | None = found.get((name, frozenset(labels.items())))
    return got


@pytest.mark.parametrize("workers", [at_night("1"), "2"])
def test_what_was_asked_is_counted(pima: Path, X: pd.DataFrame, serve: Serve, workers: str) -> None:
    distribution.write(pima, X, Contract.from_json((pima / "contract.json").read_bytes()))
    rows = X.to_dict("records")
    with serve(pima, "--workers", workers) as (ask, _):
        for start in range(0, 600, 50):
            assert ask("POST", "/score", json.dumps({"data": rows[start : start + 50]}).encode())[0] == 200
        assert ask("POST", "/score", b"{")[0] == 400
        for name in ("else", "other"):
            assert ask("GET", f"/{name}")[0] == 404
        found = scraped(ask)
        assert value(found, "score_requests_total", path="/score", status="200") == 12
        assert value(found, "score_requests_total", path="/score", status="400") == 1
        assert value(found, "score_requests_total", path="other", status="404") == 2
        assert value(found, "score_request_seconds_count", path="/score") == 13
        assert value(found, "score_rows_total") == 600
        assert value(found, "score_requests_in_flight") == 1  # this one
        [info] = [labels for name, labels in found if name == "score_package_info"]
        assert dict(info) == {"model": "m", "version": "", "task": "classification", "fingerprint": json.loads(
            (pima / "contract.json").read_text())["fingerprint"]}  # fmt: skip
        assert value(found, "score_column_out_of_range_ratio", column="Age") == 0
        assert value(found, "score_column_psi", column="Age") < 0.05  # type: ignore[operator]
        older = [{**row, "Age": row["Age"] + 200} for row in rows[:200]]
        assert ask("POST", "/score", json.dumps({"data": older}).encode())[0] == 200
        found = scraped(ask)
        assert value(found, "score_column_out_of_range_ratio", column="Age") == 0.25
        assert value(found, "score_column_psi", column="Age") > 0.2  # type: ignore[operator]
        assert value(found, "score_column_psi", column="BMI") < 0.05  # type: ignore[operator]


def test_a_long_request_costs_no_more_than_a_bounded_one(pima: Path, X: pd.DataFrame, serve: Serve) -> None:
    distribution.write(pima, X, Contract.from_json((pima / "contract.json").read_bytes()))
    with serve(pima) as (ask, _):
        assert ask("POST", "/score", json.dumps({"data": X.to_dict("records") * 10}).encode())[0] == 200
        found = scraped(ask)
        counted = sum(n for (name, labels), n in found.items()
                      if name == "score_column_values_total" and ("column", "Age") in labels)  # fmt: skip
        assert 500 < counted <= 1000
        assert value(found, "score_rows_total") == 7680
        assert value(found, "score_column_psi", column="Age") < 0.2  # type: ignore[operator]
