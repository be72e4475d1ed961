"""The experiment's YAML holds whatever a column or a file is called."""

import random
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from orchestrator.errors import DataError
from orchestrator.project.experiment import _scalar
from orchestrator.project.scaffold import reference_table


@pytest.mark.parametrize(
    "text", ["\U000e0001tag", "\x85", "\u2028", "\x07", "on", "NaN", "1e5", "a: b #c", "\U0001f600"]
)
def test_a_text_is_read_as_it_was(text: str) -> None:
    assert OmegaConf.create(f"at: {_scalar(text)} # why").at == text


def test_backslashes_before_what_looks_like_an_interpolation_stay() -> None:
    draw = random.Random(3)
    for _ in range(500):
        text = "".join(draw.choice("\\${}ab'\"") for _ in range(draw.randint(1, 9)))
        assert OmegaConf.create(f"at: {_scalar(text)} # why").at == text


def test_a_file_whose_name_no_text_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data: the name .*l\\udce4.csv is not written in UTF-8; rename it"):
        reference_table(tmp_path / "l\udce4.csv", tmp_path)
