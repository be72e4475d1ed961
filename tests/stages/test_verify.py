"""Verification of a package in a clean process: each fault is found and named."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from orchestrator.artifacts import Package
from orchestrator.errors import PackageError
from orchestrator.packaging import clean_process
from orchestrator.stages.package import verify
from score.contract import golden
from score.contract.schema import Contract
from score.models.onnx import Compilation

from .conftest import Kit

Copy = Callable[[Package], Package]


def test_verification_uses_this_package_and_its_own_process(toy_package: Package) -> None:
    ballast = np.ones(60_000_000)  # 480 MB that are this process's and not the service's
    proof = verify(toy_package)
    assert ballast[0] == 1
    assert (proof.fingerprint, proof.requests) == (toy_package.fingerprint, 5)
    assert 50e6 < proof.memory_bytes < 450e6
    assert toy_package.is_intact()  # nothing was written into it


def test_the_clean_process_sees_neither_the_environment_nor_the_folder(
    toy_package: Package, copy_of: Copy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.chdir(tmp_path)
    package = copy_of(toy_package)
    with (package.path / "score" / "__init__.py").open("a") as file:
        file.write("\nimport os\nassert 'A_SECRET' not in os.environ and not os.listdir()\n")
    assert verify(package).requests == 5


def test_a_package_in_a_folder_of_any_name_is_verified(toy_package: Package, tmp_path: Path) -> None:
    path = tmp_path / "it's a 'package' — \"odd\" \\ name"
    path.symlink_to(toy_package.path)
    assert verify(replace(toy_package, path=path)).requests == 5


def served_by_its_pickle(package: Package) -> None:
    Compilation("for this test").write(package.path)


def another_model(package: Package) -> None:
    served_by_its_pickle(package)
    pipeline = joblib.load(package.path / "model.pkl")
    pipeline.named_steps["model"].estimators_.pop()
    joblib.dump(pipeline, package.path / "model.pkl")


def truncated_model(package: Package) -> None:
    served_by_its_pickle(package)
    file = package.path / "model.pkl"
    file.write_bytes(file.read_bytes()[:-100])


def truncated_graph(package: Package) -> None:
    file = package.path / "model.onnx"
    file.write_bytes(file.read_bytes()[:-100])


def another_reply(package: Package) -> None:
    requests = golden.read(package.path)
    reply = requests[1].reply
    reply["probabilities"][1][0] += 1e-9
    golden.write(package.path, [requests[0], replace(requests[1], reply=reply), *requests[2:]])


def another_label(package: Package) -> None:
    requests = golden.read(package.path)
    reply = requests[1].reply
    reply["predictions"][0] = 1 - reply["predictions"][0]
    golden.write(package.path, [requests[0], replace(requests[1], reply=reply), *requests[2:]])


def no_golden(package: Package) -> None:
    (package.path / "golden.json").unlink()


def no_model(package: Package) -> None:
    (package.path / "model.pkl").unlink()


def another_scikit_learn(package: Package) -> None:
    contract = Contract.from_json((package.path / "contract.json").read_bytes())
    versions = {**contract.versions, "scikit-learn": "0.24.0"}
    (package.path / "contract.json").write_text(replace(contract, versions=versions).to_json())


def local_import(package: Package) -> None:
    code = f"import sys; sys.path.append({os.fspath(Path(__file__).parents[2])!r}); import orchestrator.errors\n"
    (package.path / "score" / "transforms.py").write_text(code)
    with (package.path / "score" / "score.py").open("a") as file:
        file.write("\nimport score.transforms\n")


def dies(package: Package) -> None:
    (package.path / "score" / "contract" / "golden.py").write_text("import os\nos._exit(7)\n")


def noisy(package: Package) -> None:
    (package.path / "score" / "contract" / "golden.py").write_text("raise SystemExit('not today')\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            another_model,
            r"golden request 'the article's form': reply\.proba\[0\] is 0\.\d+ instead of 0\.\d+|'records'",
        ),
        (truncated_model, r"model\.pkl does not load: .*: install the package's requirements\.txt, or build it again"),
        (truncated_graph, r"model\.onnx does not load: .*: install the package's requirements\.txt, or build it again"),
        (another_reply, r"golden request 'records': reply\.probabilities\[1\]\[0\] is .* instead of "),
        (another_label, r"golden request 'records': reply\.predictions\[0\] is [01] instead of [01]"),
        (no_golden, r"FileNotFoundError: .*golden\.json"),
        (no_model, r"no model\.pkl"),
        (another_scikit_learn, r"the model was trained with scikit-learn 0\.24\.0 \(here: .*\): install the package's"),
        (local_import, r"the package needs orchestrator, orchestrator\.errors, local code that does not ship"),
        (dies, r"ended with code 7: nothing was printed"),
        (noisy, r"ended with code 1: not today"),
    ],
)
def test_verification_names_the_fault(
    toy_package: Package, copy_of: Copy, change: Callable[[Package], None], message: str
) -> None:
    package = copy_of(toy_package)
    change(package)
    with pytest.raises(PackageError, match=message) as caught:
        verify(package)
    assert "\n" not in str(caught.value)


def test_verification_finds_a_package_without_its_transforms(kit: Kit, numbers: pd.DataFrame) -> None:
    steps = {"cast": {"_target_": "score.transforms.ToFloat", "columns": ["a"]}}
    package = kit.package(*kit.train(numbers, kit.search(preprocess={"steps": steps})), compile="never")
    (package.path / "score" / "transforms.py").unlink()
    # with an editable install of this project the module is found there: then it is local code that does not ship
    missing = r"model\.pkl needs module 'score\.transforms': install the package's"
    with pytest.raises(
        PackageError, match=rf"{missing}|the package needs score\.transforms, local code that does not ship"
    ):
        verify(package)


def test_verification_covers_requests_of_many_rows(kit: Kit, numbers: pd.DataFrame) -> None:
    package = kit.package(*kit.train(numbers, kit.search()), compile="required")
    file = package.path / "model.npz"
    with np.load(file) as file_arrays:
        arrays = dict(file_arrays)
    arrays["0.values"] = arrays["0.values"] + 0.01
    np.savez(file, **arrays)
    with pytest.raises(PackageError, match=r"golden request 'records, \d+ times': reply.probabilities\[0\]\[0\] is"):
        verify(package)


def test_verification_of_a_hanging_package_times_out(
    toy_package: Package, copy_of: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy_of(toy_package)
    (package.path / "score" / "contract" / "golden.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(clean_process, "SECONDS", 1)
    with pytest.raises(PackageError, match="gave no answer within 1 s in a clean process"):
        verify(package)
