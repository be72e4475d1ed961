"""The reference pages: as the generator writes them, complete, and with links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from docs.generate import ROOT, main, pages
from orchestrator import errors
from orchestrator.cli.result_file import FIELDS
from orchestrator.diagnostics.evidence import MEANINGS, Kind
from orchestrator.diagnostics.matcher import ALL_RULES, ANY_EXCEPTION
from orchestrator.findings import KINDS

REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def texts() -> Mapping[str, str]:
    return pages()


def test_the_committed_pages_are_what_the_command_writes(texts: Mapping[str, str], tmp_path: Path) -> None:
    main(tmp_path / "new")
    assert {file.name: file.read_text() for file in (tmp_path / "new").iterdir()} == dict(texts)
    for name, text in texts.items():
        assert (REFERENCE / name).read_text() == text, f"{name}: run `python docs/generate.py`"


def test_links_lead_to_files_and_headings(texts: Mapping[str, str]) -> None:
    anchors = {name: {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
               for name, text in texts.items()}  # fmt: skip
    for name, text in texts.items():
        for link in re.findall(r"\]\(([^)]+)\)", text):
            file, _, anchor = link.partition("#")
            assert not file or (REFERENCE / file).exists(), link
            assert not anchor or anchor in anchors[file or name], link


def test_every_code_has_a_section(texts: Mapping[str, str]) -> None:
    headings = re.findall(r"^### (\S+)$", texts["errors.md"], re.MULTILINE)
    kinds = [kind for kind in errors.OrchestratorError.__subclasses__() if kind.__module__ == errors.__name__]
    codes = [*(kind.code for kind in kinds), errors.UNEXPECTED, errors.INTERRUPTED]
    assert len(kinds) == 8
    assert headings == [*codes, *KINDS, *map(errors.diagnosis_code, get_args(Kind))]
    assert set(MEANINGS) == {*get_args(Kind)} >= {rule.kind for rule in (*ALL_RULES, ANY_EXCEPTION)}
    assert (
        texts["errors.md"].count("How to fix: ") == len(codes) + len(KINDS) + 1
    )  # and of deploy-unknown; others have tables


def test_every_key_has_a_meaning(texts: Mapping[str, str]) -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| .* \| (.*) \|$", texts["configuration.md"], re.MULTILINE)
    assert len(rows) > 150
    assert [key for key, meaning in rows if not meaning.strip() and "param_grid=" not in key] == []


def test_every_field_of_the_result_is_explained(texts: Mapping[str, str]) -> None:
    example = re.findall(r"^  \"(\w+)\": ", texts["result.md"].partition("## After a failure")[0], re.MULTILINE)
    assert example == list(FIELDS)
