"""Credentials in a YAML file of one's own are refused, and are in no file that Hydra writes (see also ``test_command.py``)."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from orchestrator.cli.run_copies import holds_credentials


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"data": {"path": "https://host/x.csv?sig=c0ffee"}}, True),
        ({"data": {"split": {"file": "ftp://me:c0ffee@host/x.csv"}}}, True),
        ({"data": {"storage": {"client_kwargs": {"aws_secret_access_key": "c0ffee"}}}}, True),
        ({"batch": {"output_storage": {"key": "c0ffee"}, "input": "???"}}, True),
        ({"data": {"connection_env": "postgresql://me:c0ffee@host/db"}}, True),
        ({"data": {"path": "env:TABLE_URL", "storage": {"anon": True}, "target": "${name}"}, "batch": None}, False),
    ],
)
def test_credentials_are_found_in_the_composed_values(values: dict[str, object], found: bool) -> None:
    assert holds_credentials(OmegaConf.create(values)) is found
