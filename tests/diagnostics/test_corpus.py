"""Every excerpt of ``corpus/``, of which at least a third were recorded from real failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.diagnostics import Evidence, diagnose, format_diagnosis
from orchestrator.diagnostics.diagnose import MAX_SHOWN_LINES

CORPUS = {
    f"{file.stem}/{name}": case
    for file in sorted((Path(__file__).parent / "corpus").glob("*.yaml"))
    for name, case in yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)).items()  # noqa: S506 -- both are safe
}
UNSURE = {"unknown"}


def evidence_of(case: dict[str, Any]) -> Evidence:
    return Evidence(**case["evidence"])


def kinds() -> dict[str, tuple[str, str]]:
    return {name: (case["kind"], diagnose(evidence_of(case)).kind) for name, case in CORPUS.items()}


def test_the_corpus_is_large_enough_and_enough_of_it_is_real() -> None:
    real = sum(case["source"] == "real" for case in CORPUS.values())
    doubtful = sum(case["kind"] == "unknown" for case in CORPUS.values())
    assert len(CORPUS) >= 40
    assert real >= len(CORPUS) / 3
    assert doubtful >= 6


def test_nine_of_ten_are_right_and_none_is_confidently_wrong() -> None:
    found = kinds()
    wrong = {name: both for name, both in found.items() if both[0] != both[1]}
    assert {name: both for name, both in wrong.items() if both[1] not in UNSURE} == {}
    assert len(wrong) <= 0.1 * len(found), wrong


@pytest.mark.parametrize("name", CORPUS)
def test_the_proof_is_in_the_texts_and_the_remedy_is_named(name: str) -> None:
    case = CORPUS[name]
    evidence = evidence_of(case)
    found = diagnose(evidence)
    written = "\n".join(evidence.texts().values())
    for proof in found.proof.splitlines():
        assert proof.partition(": ")[2] in written or proof == "nothing was written"
    assert "{" not in found.remedy
    if found.kind == case["kind"] != "unknown":
        assert case["proof"] in found.proof
        assert case.get("remedy", "") in found.remedy
    if found.kind == "unknown":
        assert found.cause.startswith("Unknown")
        assert len(found.proof.splitlines()) <= MAX_SHOWN_LINES
    first = format_diagnosis(found, Path("failures")).splitlines()[0]
    assert first.startswith("deploy: ")
    assert len(first) < 900
