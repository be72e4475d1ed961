"""Components are located, checked, then called; each failure has a message that names its cause."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

import pytest
from pydantic import Field

from orchestrator.errors import DeployError, SpecError
from orchestrator.spec.components import component_problems, construct, locate, value_problems
from orchestrator.spec.messages import format_path, format_value, suggest, suggest_or_list

HERE = __name__


class Target(Protocol):
    """A kind to be of."""

    def deploy(self) -> str: ...


class Callable(Protocol):
    def __call__(self) -> None: ...


@dataclass(frozen=True)
class Good:
    """A target; ``made`` counts how often one was made."""

    folder: Path
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    tags: tuple[str, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    sibling: Path | None = None
    _state: list[str] = field(default_factory=list, init=False)
    made: ClassVar[list[Any]] = []

    def __post_init__(self) -> None:
        self.made.append(self)

    def deploy(self) -> str:
        return str(self.folder)


class Careless:
    """Called before it is checked, it would do harm."""

    called: ClassVar[list[Any]] = []

    def __init__(self, *args: Any, **options: Any) -> None:
        self.called.append((args, options))


class Open:
    """Takes any option."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def deploy(self) -> str:
        return ""


class Picky:
    """Refuse the arguments with an error of its own."""

    def __init__(self, how: str) -> None:
        if how == "other":
            raise DeployError("deploy.how: no")
        raise ValueError("not\nlike this")

    def deploy(self) -> str:
        return ""


@dataclass
class Foreign:
    """Fields of types that only their own module knows."""

    thing: Careless | None = None
    absent: "NoSuchName" = None  # type: ignore[name-defined]  # noqa: F821, UP037


def said(path: str) -> str:
    with pytest.raises(SpecError) as caught:
        locate(path, "at")
    (problem,) = caught.value.problems
    assert problem.at == "at"
    return problem.message


@pytest.mark.parametrize("path", ["pathlib.Path", "collections.abc.Mapping", f"{HERE}.Good.deploy", "os.path.join"])
def test_a_module_a_class_and_what_is_in_it_are_found(path: str) -> None:
    assert locate(path, "at").__name__ == path.rpartition(".")[2]


@pytest.mark.parametrize(("library", "extra"), [("catboost", "boosting"), ("skrub", "skrub")])
def test_an_optional_library_that_is_not_there_is_named_with_the_command(
    library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # an import fails as if it were not installed
    said = rf"{library} is not installed; install it with: pip install {library} \(the extra: .*\[{extra}\]'\)$"
    with pytest.raises(SpecError, match=said):
        locate(f"{library}.AnyClass", "model.estimator")


def test_a_module_is_found_behind_a_name_that_hides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "outside_hiding"
    package.mkdir()
    (package / "__init__.py").write_text("from outside_hiding.train import train\n")
    (package / "train.py").write_text("def train(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert locate("outside_hiding.train.train", "at").__name__ == "train"


def test_a_module_of_the_project_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside_features.py").touch()
    monkeypatch.chdir(tmp_path)
    assert said("outside_feature.Name") == "there is no module 'outside_feature'; did you mean 'outside_features'?"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Path", "should be a dotted path such as 'package.module.Name', got 'Path'"),
        ("", "should be a dotted path such as 'package.module.Name', got ''"),
        ("a..b", "should be a dotted path"),
        ("pathlib.Path()", "should be a dotted path"),
        ("nowhere.Name", "there is no module 'nowhere'; is its package installed?"),
        ("pathlib.Pathh", "pathlib has no 'Pathh'; did you mean 'Path'?"),
        ("collections.abcd.Mapping", "collections has no 'abcd'; did you mean 'abc'?"),
        (f"{HERE}.Good.deplo", f"{HERE}.Good has no 'deplo'; did you mean 'deploy'?"),
    ],
)
def test_a_missing_name_is_reported_with_a_similar_one(path: str, message: str) -> None:
    assert said(path).startswith(message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import nowhere_to_be_found",
            "importing {name} failed: No module named 'nowhere_to_be_found'; is it installed?",
        ),
        ("1 / 0", "importing {name} failed: ZeroDivisionError: division by zero"),
        ("raise SystemExit('bye')", "importing {name} failed: SystemExit: bye"),
        ("class Model", "importing {name} failed: SyntaxError: expected ':'"),
        (
            "def __getattr__(name):\n    raise ImportError('needs more')",
            "importing {name}.Model failed: ImportError: needs more",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_reported(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    name = f"outside_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert said(f"{name}.Model").startswith(message.format(name=name))
    sys.modules.pop(name, None)


def problems_of(path: str, options: dict[str, Any], kind: type) -> list[str]:
    return [str(problem) for problem in component_problems(locate(path, "deploy"), options, "deploy", kind)]


def test_it_is_made_from_what_yaml_can_hold(tmp_path: Path) -> None:
    made = construct(Good, {"folder": str(tmp_path), "tags": ["a"], "sibling": None}, "deploy")
    assert isinstance(made, Good)
    assert (made.folder, made.tags, made.sibling) == (tmp_path, ("a",), None)


@pytest.mark.parametrize("kind", [Target, Callable])
def test_nothing_is_called_that_is_not_of_its_kind(kind: type) -> None:
    (careless,) = problems_of(f"{HERE}.Careless", {"args": ["touch"]}, kind)
    assert careless.startswith(f"deploy._target_: {HERE}.Careless is no {kind.__name__}")
    (popen,) = problems_of("subprocess.Popen", {"args": ["touch"]}, kind)
    assert popen.startswith("deploy._target_: subprocess.Popen is no")
    assert Careless.called == []


def test_nothing_is_called_with_wrong_options() -> None:
    before = len(Good.made)
    assert problems_of(f"{HERE}.Good", {"prot": 1, "port": 0, "tags": "a", "mode": "fats"}, Target) == [
        "deploy.prot: Good has no such option; did you mean 'port'?",
        "deploy.port: should be at least 1, got 0",
        "deploy.tags: should be a list such as [a, b], got 'a'",
        "deploy.mode: should be 'fast' or 'slow', got 'fats'; did you mean 'fast'?",
        "deploy.folder: is missing; Good needs this option",
    ]
    assert len(Good.made) == before


def test_a_function_is_no_component() -> None:
    assert problems_of("os.path.join", {}, Target) == ["deploy._target_: should name a class, got 'join'"]


def test_a_class_may_take_any_option() -> None:
    assert problems_of(f"{HERE}.Open", {"any": 1}, Target) == []
    assert construct(Open, {"any": 1}, "deploy").options == {"any": 1}


def test_what_a_class_refuses_is_reported_in_one_line() -> None:
    with pytest.raises(SpecError, match=r"^deploy: Picky refuses these options: not like this$"):
        construct(Picky, {"how": "its own"}, "deploy")
    with pytest.raises(DeployError, match=r"^deploy\.how: no$"):
        construct(Picky, {"how": "other"}, "deploy")


def test_classes_that_do_not_say_what_they_take_are_not_judged() -> None:
    assert component_problems(dict, {"a": 1}, "at") == []
    assert component_problems(Foreign, {"thing": 1, "absent": 2}, "at") == []


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, 1, None),
        (int, True, "should be a whole number, got true"),
        (int, "1", "should be a whole number, got '1'"),
        (float, 1, None),
        (float, "1", "should be a number, got '1'"),
        (bool, "yes", "should be true or false, got 'yes'"),
        (str, 5, "should be text, got 5; write it in quotes"),
        (str | None, None, None),
        (int, "None", "should be a whole number, got 'None' (write null for none)"),
        (Path, "a/b", None),
        (Path, 3, "should be text, got 3; write it in quotes"),
        (tuple[int, ...], [1, 2], None),
        (dict[str, int], {"a": 1}, None),
        (dict[str, int], [1], "should be a mapping of names to values, got [1]"),
        (Annotated[str, Field(min_length=1)], "", "should not be empty, got ''"),
        (Careless, {}, None),
    ],
)
def test_values_are_held_against_their_hints(hint: Any, value: Any, message: str | None) -> None:
    assert [problem.message for problem in value_problems(hint, value, "at")] == ([message] if message else [])


def test_near_names() -> None:
    assert suggest_or_list("sead", ["seed", "name"]) == "; did you mean 'seed'?"
    assert suggest_or_list("OUTCOME", ["Outcome", "Age"]) == "; did you mean 'Outcome'?"
    assert suggest_or_list("x", ["b", "a"]) == "; there are: a, b"
    assert suggest_or_list("x", []) == ""
    assert suggest_or_list("x", map(str, range(21))) == ""
    assert suggest("x", ["b", "a"]) == ""


def test_values_and_places_are_written_as_they_are_typed() -> None:
    assert [format_value(value) for value in (None, True, 1.5, "a", [1, "b"])] == [
        "null",
        "true",
        "1.5",
        "'a'",
        '[1, "b"]',
    ]
    assert len(format_value("x" * 100)) == 60
    assert format_path("stages", "[path]", "a", "[key]") == "stages.a"
    assert format_path("data", "drop", 0) == "data.drop[0]"
