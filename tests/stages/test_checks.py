"""The stages that look for what is wrong with the table and report it: from a file to the error of a strict run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.errors import DataError
from orchestrator.findings import CheckedTable, TableFindings
from orchestrator.registry.versions import RegisteredVersion, add_version
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import CheckLevel, Seed, StateDir
from orchestrator.spec.model import PreprocessSpec
from orchestrator.spec.package import PackageSpec
from orchestrator.stages.checks import check
from orchestrator.stages.data import load, split
from orchestrator.stages.warn import warn
from score.contract.schema import Contract

RNG = np.random.default_rng(0)
ROWS = 120
CLEAN = pd.DataFrame({"a": RNG.normal(size=ROWS).round(2), "y": RNG.integers(0, 2, ROWS)})
PLANTED = CLEAN.assign(
    id=RNG.permutation(9 * ROWS)[:ROWS],
    one="x",
    outcome=CLEAN["y"].map({0: "stayed", 1: "left"}),
    zip=[f"0{1000 + place}" for place in RNG.integers(0, 30, ROWS)],
    price=[f"{place},50" for place in RNG.integers(0, 50, ROWS)],
    signed=pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d"),
    account_id=[f"AC-{1000 + place // 3}" for place in range(ROWS)],
)


def found(kit: Any, table: pd.DataFrame | str, level: str = "warn", **keys: Any) -> TableFindings:
    data, search = kit.data(table, **keys), kit.search()
    dataset = load(data, search)
    parts = split(dataset, data, search, Seed(0))
    return check(dataset, parts, search, data, PreprocessSpec(), CheckLevel(level))


def warned(kit: Any, table: TableFindings, data: DataSpec, level: str = "warn") -> CheckedTable:
    package = PackageSpec(model_name="toy_model")
    tracker: Any = SimpleNamespace(registry_name="here")
    return warn(
        table, CheckLevel(level), data, package, StateDir(kit.folder / "state"), tracker
    )  # only its name is used


def test_everything_that_was_planted_is_found_in_a_csv_file(kit: Any) -> None:
    table = found(kit, PLANTED)
    assert {(finding.code, *finding.columns) for finding in table.findings} == {
        ("data-leak", "outcome"),
        ("data-group", "account_id"),
        ("data-time", "signed"),
        ("data-identifier", "id"),
        ("data-constant", "one"),
        ("data-leading-zeros", "zip"),
        ("data-number-text", "price"),
    }
    checked = warned(kit, table, kit.data(PLANTED))
    assert checked.remedy.startswith("'data.drop=[outcome,id,one]' data.split=group data.split.by=account_id ")
    assert checked.remedy.endswith(" 'data.text_columns=[zip]'")  # no data.decimal: 'a' has decimal points


def test_a_parquet_table_is_checked_alike(kit: Any) -> None:
    table = PLANTED.drop(columns=["zip"]).assign(price=PLANTED["price"].astype("string"))
    codes = {finding.code for finding in found(kit, table, format="parquet").findings}
    assert codes == {"data-leak", "data-group", "data-time", "data-identifier", "data-constant", "data-number-text"}


def test_the_remedies_leave_nothing_to_find(kit: Any) -> None:
    twice = pd.concat([PLANTED.drop(columns=["signed", "account_id", "id"])] * 2, ignore_index=True)
    changes: dict[str, Any] = {"drop": ("outcome", "one"), "text_columns": ("zip",), "separator": ";", "decimal": ","}
    text = twice.to_csv(index=False, sep=";", decimal=",")
    assert [finding.remedy for finding in found(kit, text, **changes).findings] == ["data.duplicates=drop"]
    assert found(kit, text, **changes, duplicates="drop").findings == ()


def test_repeated_rows_are_left_out_and_counted(kit: Any) -> None:
    dataset = load(kit.data(pd.concat([CLEAN, CLEAN]), duplicates="drop"), kit.search())
    assert len(dataset.X) == len(CLEAN.drop_duplicates())
    assert dataset.reading is not None
    assert f"of {2 * ROWS} rows repeat another one and are left out" in dataset.reading.notes[0]


def test_a_strict_run_ends_with_all_findings(kit: Any) -> None:
    table, data = found(kit, PLANTED), kit.data(PLANTED)
    with pytest.raises(DataError) as caught:
        warned(kit, table, data, "strict")
    assert caught.value.code == "data-findings"
    assert caught.value.findings == table.findings
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("data.checks: 7 findings; ")
    assert [line.partition(":")[0].strip() for line in lines[1:-1]] == [finding.code for finding in table.findings]
    assert lines[-1].startswith("  all at once: 'data.drop=[outcome,id,one]'")
    assert warned(kit, found(kit, CLEAN), data, "strict") == CheckedTable(())


def test_findings_are_accepted_or_not_looked_for(kit: Any) -> None:
    table = found(kit, PLANTED)
    accept = ("data-time", "data-group:account_id", "data-leak:other")
    checked = warned(kit, table, kit.data(PLANTED, accept=accept))
    assert {"data-time", "data-group"} & {finding.code for finding in checked.findings} == set()
    assert (len(checked.findings), checked.note) == (5, "2 accepted by data.accept")
    assert kit.data(CLEAN, checks=False).checks == "off"  # as YAML reads it without quotes
    off = found(kit, PLANTED, "off")
    assert (off.findings, off.searched) == ((), 0)
    assert warned(kit, off, kit.data(PLANTED), "off") == CheckedTable((), note="data.checks=off")
    with pytest.raises(ValueError, match=r"'data-tim' is no code of a finding; did you mean 'data-time'\?"):
        kit.data(CLEAN, accept=("data-tim",))


def test_types_are_compared_with_the_last_version_of_the_model(kit: Any, tmp_path: Path) -> None:
    text = CLEAN.assign(a=[f"A{place % 9}" for place in range(ROWS)])
    X = text.drop(columns="y")
    package = Package(tmp_path / "package", "f" * 32, "toy_model")
    package.path.mkdir()
    Contract.describe(X, model_name="toy_model", task="regression").write(package.path)
    add_version(kit.folder / "state", RegisteredVersion(ModelVersion("toy_model", "3", None, package), "here"))
    (finding,) = warned(kit, found(kit, CLEAN), kit.data(CLEAN)).findings
    assert (finding.code, finding.remedy) == ("data-type-changed", "'data.text_columns=[a]'")
    assert "column 'a' holds numbers and held text in version 3 of 'toy_model', such as 'A0'" in finding.text
    assert warned(kit, found(kit, text), kit.data(text)).findings == ()
    (package.path / "contract.json").unlink()
    assert warned(kit, found(kit, CLEAN), kit.data(CLEAN)).findings == ()


def test_a_class_with_fewer_rows_than_folds_has_a_code(kit: Any) -> None:
    rare = CLEAN.assign(y=["rare" if place < 2 else "often" for place in range(ROWS)])
    with pytest.raises(DataError, match=r"class 'rare' has 2 rows, fewer than search\.cv=3") as caught:
        split(load(kit.data(rare), kit.search(cv=3)), kit.data(rare), kit.search(cv=3), Seed(0))
    assert caught.value.code == "data-few-rows"
    assert "use fewer folds (search.cv=2)" in str(caught.value)
