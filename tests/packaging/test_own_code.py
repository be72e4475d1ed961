"""The project's own modules: what is found, what is copied, and what cannot ship."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PackageError
from orchestrator.packaging.own_code import collect, collect_or_refuse
from orchestrator.packaging.project_path import make_project_importable

FILES = {
    "own_features.py": (
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "import numpy as np\n"
        "from own_helpers import scaling\n"
        "if TYPE_CHECKING:\n    import nothing_like_it\n"
        "try:\n    import no_such_library\nexcept ImportError:\n    no_such_library = None\n"
        "class Ratio:\n    def transform(self, X):\n        from own_helpers.late import shift\n        return shift(X)\n"
        "if __name__ == '__main__':\n    import orchestrator\n"
    ),
    "own_helpers/__init__.py": "",
    "own_helpers/scaling.py": "from .names import NAMES\nfrom . import words\n",
    "own_helpers/names.py": "NAMES = []\n",
    "own_helpers/words.py": "import yaml\n",
    "own_helpers/late.py": "def shift(X):\n    return X + 1\n",
    "own_helpers/unused.py": "import own_notebook\n",
    "own_helpers/words.txt": "a\n",
    "own_helpers/tests/test_words.py": "import pytest\n",
    "own_notebook.py": "",
}


def test_the_modules_that_a_global_imports_are_found_and_no_others(project: Any) -> None:
    project.write(FILES)
    code, faults = collect(["own_features.Ratio", "sklearn.pipeline.Pipeline", "score.transforms.ToFloat"])
    assert faults == []
    inside = ["own_helpers", *(f"own_helpers.{name}" for name in ("late", "names", "scaling", "words"))]
    assert sorted(code.modules) == ["own_features", *inside]
    assert code.modules["own_helpers"] == project.folder / "own_helpers" / "__init__.py"
    assert code.files == {}
    assert {"numpy", "yaml"} <= code.imports
    assert not {"orchestrator", "pytest", "no_such_library", "nothing_like_it"} & code.imports


def test_a_named_folder_is_whole_but_for_its_tests(project: Any) -> None:
    project.write(FILES)
    code, faults = collect(["own_features.Ratio"], ["own_helpers/"])
    assert faults == []
    assert {"own_features", "own_helpers.unused", "own_notebook"} <= code.modules.keys()
    assert list(code.files) == ["own_helpers/words.txt"]
    assert "own_helpers.tests.test_words" not in code.modules
    assert code.tops() == {"own_features.py", "own_helpers", "own_notebook.py"}


def test_the_files_lie_beside_score_by_the_names_they_are_imported_with(project: Any, tmp_path: Path) -> None:
    project.write({"src/own_lib/__init__.py": "", "src/own_lib/steps.py": "", "own_plain/inner.py": ""})
    sys.path.insert(0, str(project.folder / "src"))
    code, faults = collect(["own_lib.steps.Step", "own_plain.inner.f"], ["src/own_lib"])
    assert faults == []
    code.copy_to(tmp_path)
    modules = {
        "own_lib": "own_lib/__init__.py",
        "own_lib.steps": "own_lib/steps.py",
        "own_plain.inner": "own_plain/inner.py",
    }
    assert json.loads((tmp_path / "code.json").read_text()) == {"modules": modules}
    assert all((tmp_path / path).is_file() for path in modules.values())


def test_without_own_code_nothing_is_written(project: Any, tmp_path: Path) -> None:  # noqa: ARG001 - the folder
    collect(["sklearn.pipeline.Pipeline"])[0].copy_to(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ({}, "__main__.Mine", r"__main__.Mine: no server can import a script or a notebook; move it to a module"),
        ({}, "orchestrator.search.X", r"orchestrator.search.X: orchestrator is there only where models are trained"),
        ({}, "own_by_hand.f", r"own_by_hand.f: it has no source file; move it to a module of the project"),
        ({"own_a.py": "def f(:\n"}, "own_a.f", r"own_a.py: it is no Python: .*, line 1"),
        (
            {"own_a.py": "def f():\n    import own_halpers\n", "own_helpers/x.py": ""},
            "own_a.f",
            r"own_a.py: it imports 'own_halpers', which is not installed; did you mean 'own_helpers'\?; install it, or",
        ),
        (
            {"own_a.py": "import own_b.c\n", "own_b/__init__.py": ""},
            "own_a.f",
            r"own_a.py: it imports 'own_b.c', which",
        ),
        ({"own_a.py": "import orchestrator\n"}, "own_a.f", r"own_a.py: it imports orchestrator, .*where the run is"),
        (
            {"own_a.py": "import own_outside\n"},
            "own_a.f",
            r"own_a.py: it imports 'own_outside', and .*own_outside.py lies outside of the project .*; move it there, or",
        ),
        ({}, "own_outside.f", r"own_outside.f: .*own_outside.py lies outside of the project"),
        ({"about.py": ""}, "about.f", r"about.py: 'about' is the name of about/, which every package holds; rename it"),
    ],
)
def test_what_cannot_ship_is_named(
    project: Any, tmp_path: Path, files: Mapping[str, str], name: str, message: str
) -> None:
    project.write(files)
    (tmp_path / "own_outside.py").write_text("")
    sys.path.append(str(tmp_path))
    _, faults = collect([name])
    assert [fault for fault in faults if re.match(message, fault.format())] == list(faults)
    assert len(faults) == 1


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["own_feature.py"], "own_feature.py: there is no such file or folder; did you mean 'own_features.py'?"),
        (["../elsewhere.py"], "../elsewhere.py: lies outside of the project"),
        (["link.py"], "link.py: lies outside of the project"),
        (["."], ".: is the whole project; name the modules that the model needs"),
        (["own_helpers/words.txt"], "own_helpers/words.txt: should be a Python file or a folder of them"),
        (["texts"], "texts: holds no Python file"),
        (["my-lib"], "my-lib: 'my-lib' is no name that Python can import; rename it with letters, digits and _"),
        (["both.py", "both"], "both.py: 'both' is imported from "),
        (["a/twice.py", "b/twice.py"], "b/twice.py: is 'twice', and so is a/twice.py; rename one"),
        (["json.py"], "json.py: 'json' is the name of a module of Python's standard library; rename it"),
        (["yaml.py"], "yaml.py: 'yaml' is the name of the installed module "),
        (["score.py"], "score.py: 'score' is the name of score/, which every package holds; rename it"),
        (["orchestrator.py"], "orchestrator.py: 'orchestrator' is the name of orchestrator, which runs the training"),
    ],
)
def test_a_path_that_cannot_ship_is_named(project: Any, tmp_path: Path, named: Sequence[str], message: str) -> None:
    project.write(FILES)
    project.write(dict.fromkeys(["texts/a.txt", "my-lib/a.py", "both.py", "both/__init__.py"], ""))
    project.write(dict.fromkeys(["a/twice.py", "b/twice.py", "json.py", "yaml.py", "score.py", "orchestrator.py"], ""))
    (tmp_path / "elsewhere.py").write_text("")
    (project.folder / "link.py").symlink_to(tmp_path / "elsewhere.py")
    sys.path += [str(project.folder / "a"), str(project.folder / "b")]
    _, faults = collect([], named)
    assert faults[0].format().startswith(message)
    assert len(faults) == 1


def test_all_that_is_at_fault_is_in_one_line(project: Any) -> None:
    project.write({"own_a.py": "import own_halp\nimport orchestrator\n"})
    with pytest.raises(
        PackageError, match=r"model.pkl needs __main__.f, which does not ship .*; own_a.py: .*; own_a"
    ) as caught:
        collect_or_refuse(["__main__.f", "own_a.f"])
    assert "\n" not in str(caught.value)


def test_a_module_of_a_loaded_package_is_not_taken_for_the_projects(project: Any, tmp_path: Path) -> None:
    project.write({"own_features.py": "A = 1\n"})
    (tmp_path / "own_features.py").write_text("A = 2\n")
    sys.path.insert(0, str(tmp_path))
    import own_features  # type: ignore[import-not-found]

    sys.path.remove(str(tmp_path))
    assert own_features.A == 2
    (fault,) = collect(["own_features.f"])[1]
    assert "lies outside of the project" in fault.reason
    copy = project.folder / "state"
    project.write({"state/own_features.py": "A = 2\n"})
    own_features.__file__ = own_features.__spec__.origin = str(copy / "own_features.py")
    make_project_importable()
    (fault,) = collect(["own_features.f"])[1]
    assert fault.reason.startswith("this process has loaded 'own_features' from")


def test_a_module_that_was_edited_after_it_was_loaded_cannot_ship_until_it_is_reloaded(project: Any) -> None:
    project.write({"own_edit.py": "def f(X):\n    return X\n"})
    make_project_importable()
    own_edit = importlib.import_module("own_edit")
    assert not collect(["own_edit.f"])[1]
    project.write({"own_edit.py": "def f(X):\n    return X + 1\n"})
    (fault,) = collect(["own_edit.f"])[1]
    assert fault.format().startswith("own_edit.py: it was edited after this process loaded it; run again in a new one")
    importlib.reload(own_edit)
    assert not collect(["own_edit.f"])[1]


def test_a_file_that_was_missing_is_found_once_it_is_written(project: Any) -> None:
    assert collect(["own_late.f"])[1]
    project.write({"own_late.py": ""})
    make_project_importable()
    assert not collect(["own_late.f"])[1]
