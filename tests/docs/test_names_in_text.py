"""Keys, options and stages that running text, tables and YAML blocks name exist, wherever a page does not print a command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.test_commands import ALL, FENCED, INLINE, PAGES, ROOT, arguments, named_files

CONF = ROOT / "conf"
OPEN = (
    "data.storage.",
    "batch.storage.",
    "batch.output_storage.",
    "data.storage.",
    "model.params.",
    "model.param_grid.",
    "preprocess.steps.",
    "preprocess.branches.",
    "search.scorers.",
    "stages.",
    "hydra.",
)
NO_KEYS = {
    "model.pkl",
    "model.onnx",
    "model.npz",
    "model.metadata",
    "search.space",
    "report.html",
    "sweep.csv",
}  # files, and objects of Python
OVERRIDE = re.compile(r"[+~]?(?P<name>[a-z_]+(?:[./][a-z_]\w*)*)=(?P<value>.*)")
DOTTED = re.compile(r"[+~]?(?P<name>[a-z_]+(?:\.[a-z_]\w*)+)")
REFERENCE = ROOT / "docs" / "reference" / "configuration.md"  # generated
TEXTS = [page for page in PAGES if page != REFERENCE]
TEXTS += [ROOT / "SECURITY.md", ROOT / "azure_emulator" / "README.md"]


@cache
def options() -> Mapping[str, frozenset[str]]:
    """Return the options of each group: this tool's, those that pages show, and that of ``orchestrate init``."""
    shown = [Path(name.rpartition("conf/")[2]) for page in PAGES for name in named_files(page) if "conf/" in name]
    files = [*(file.relative_to(CONF) for file in CONF.rglob("*.yaml")), *shown, Path("experiment/churn.yaml")]
    groups = {str(file.parent) for file in files}
    found = {group: frozenset(file.stem for file in files if str(file.parent) == group) for group in groups}
    return {**found, "data.split": found["data/split"]}  # an override may write it as a key


@cache
def keys() -> frozenset[str]:
    """Return the name of each key of the generated reference and of the files below conf/, with the mappings above them."""
    found = {*re.findall(r"`([a-z_]+\.[\w.]+)`", REFERENCE.read_text())}
    for file in CONF.rglob("*.yaml"):
        text = file.read_text()
        group = "" if text.startswith("# @package _global_") else ".".join(file.relative_to(CONF).parent.parts)
        found.update(_flat(yaml.safe_load(text) or {}, group))
    return frozenset(found)


def _flat(values: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in values.items():
        name = f"{above}.{key}" if above else str(key)
        if key != "defaults":
            yield name
            if isinstance(value, dict):
                yield from _flat(value, name)


def unknown(name: str) -> bool:
    """Return whether a name begins as a key does and is none."""
    first = name.split(".", maxsplit=1)[0]
    is_key = first in options() or first in keys()
    return is_key and name not in {*keys(), *options(), *NO_KEYS} and not f"{name}.".startswith(OPEN)


def faults(code: str) -> Iterator[str]:
    """Yield what a piece of inline code names and does not exist."""
    for word in code.replace("'", "").split():
        override, dotted = OVERRIDE.fullmatch(word), DOTTED.fullmatch(word)
        if override and override["name"] in options():
            values = re.split(r"[|,]", override["value"])
            known = {*options()[override["name"]], "null", "..."}
            yield from (
                f"{word}: no option {value}" for value in values if value and value not in known and "<" not in value
            )
        elif (found := override or dotted) and unknown(found["name"]):
            yield f"{word}: no key {found['name']}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    assert [fault for code in INLINE.findall(FENCED.sub("", text)) for fault in faults(code)] == []
    blocks = [yaml.safe_load(code) for kind, code in FENCED.findall(text) if kind == "yaml"]
    roots = [block for block in blocks if isinstance(block, dict) and {*block} <= {*options(), *keys()}]
    assert [name for block in roots for name in _flat(block, "") if unknown(name)] == []


def test_the_check_finds_what_does_not_exist() -> None:
    wrong = "stages=deploi deploy.prot=80 batch.kep package.versio=3 model=random_forest,linea"
    assert [fault.split(": ")[1] for fault in faults(wrong)] == [
        "no option deploi",
        "no key deploy.prot",
        "no key batch.kep",
        "no key package.versio",
        "no option linea",
    ]
    assert list(faults("stages=deploy|batch package.version=<number> model.params.alpha=1 score.verify")) == []


def test_each_option_that_a_page_shows_is_chosen_by_a_command() -> None:
    typed = {word for command in ALL for word in arguments(command) or () if "=" in word}
    for name in (name for page in PAGES for name in named_files(page) if name.startswith("conf/")):
        file = Path(name)
        group = str(file.parent.relative_to("conf"))
        assert f"{group}={file.stem}" in typed, name
