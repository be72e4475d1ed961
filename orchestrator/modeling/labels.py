"""Labels in parameters: the configuration uses the target's labels, and estimators are fitted on their codes.

Every parameter of scikit-learn, and of libraries with its interface, that names labels or depends on their order is in
one of the three sets below. :class:`LabelEncoding` encodes its values for the estimator and decodes them for reports.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Problem
from orchestrator.spec.messages import format_value, suggest_or_list
from orchestrator.spec.objects import PAIRS

MODEL = "model"  # the estimator's pipeline step; its parameters are searched as model__<name>
BY_LABEL = {"class_weight", "class_weights", "sampling_strategy"}  # a mapping with labels for keys, or a list of such
IN_ORDER = {"priors", "class_prior", "class_weights"}  # a list of numbers, one for each label in sorted order
ONE_LABEL = {"pos_label", "outlier_label", "constant", "sampling_strategy"}  # a label, or a list of labels
# values of these parameters that are no labels
KEYWORDS = {"most_frequent", "minority", "majority", "not minority", "not majority", "all", "auto"}
GRIDS = ("param_grid", "param_distributions")  # where a search keeps its grid
YES_NO = {True: {"true", "yes", "on"}, False: {"false", "no", "off"}}  # YAML reads all of these as booleans
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class UnknownLabelError(Exception):
    """A value does not fit the labels; its text says why."""


def find_label(written: Any, labels: Sequence[Any]) -> Any:
    """Return the label that a value in the configuration refers to: 1, 1.0 and "1" mean the label 1 if none is nearer.

    Raises:
        UnknownLabelError: there is no such label, or more than one.
    """
    for matches in (_is_same, _reads_same, _means_same):
        candidates = [label for label in labels if matches(written, label)]
        if len(candidates) == 1:
            return candidates[0]
    raise UnknownLabelError(
        f"{format_value(written)} is no label of the target{suggest_or_list(str(written), map(str, labels))}"
    )


def _is_same(written: Any, label: Any) -> bool:
    return isinstance(written, str) == isinstance(label, str) and bool(written == label)


def _reads_same(written: Any, label: Any) -> bool:
    return str(written).strip() == str(label).strip()


def _means_same(written: Any, label: Any) -> bool:
    if isinstance(written, bool) and isinstance(label, str):
        return label.strip().casefold() in YES_NO[written]
    return bool(_value(written) == _value(label))


def _value(written: Any) -> Any:
    """Parse a number or a boolean that may be written as text."""
    if not isinstance(written, str):
        return written
    text = written.strip()
    if NUMBER.fullmatch(text):
        return float(text) if re.search(r"[.eE]", text) else int(text)
    return {"true": True, "false": False}.get(text.casefold(), text)


@dataclass(frozen=True)
class LabelEncoding:
    """The labels of a target in the order of their codes."""

    classes: tuple[Any, ...]

    def encode(self, name: str, value: Any) -> Any:
        """Return a parameter's value with codes in place of labels, and numbers in the order of codes.

        Raises:
            UnknownLabelError: it names an unknown label, or one label twice, or has another length.
        """
        return self._translate(name, value, self._code, self._encoded_order)

    def decode(self, name: str, value: Any) -> Any:
        """Invert :meth:`encode`."""
        return self._translate(name, value, self._label, self._decoded_order)

    def _translate(self, name: str, value: Any, one: Callable[[Any], Any], order: Callable[[list[Any]], Any]) -> Any:
        bare = name.rpartition("__")[2]
        if value is None or (isinstance(value, str) and value in KEYWORDS):
            return value
        if bare in BY_LABEL and isinstance(value, Mapping):
            return _mapping(value, one)
        many = isinstance(value, list | tuple)
        if bare in BY_LABEL and many and value and all(isinstance(each, Mapping) for each in value):
            return [_mapping(each, one) for each in value]
        if bare in IN_ORDER and isinstance(value, Mapping):
            labels = ", ".join(map(str, sorted(self.classes, key=sort_key)[:10]))
            raise UnknownLabelError(f"should be a list of numbers in the order of the labels ({labels}), got a mapping")
        if bare in IN_ORDER and many:
            return order(list(value))
        if bare in ONE_LABEL and many:
            return [self._translate(name, each, one, order) for each in value]
        is_share = bare == "sampling_strategy" and isinstance(value, float)
        return one(value) if bare in ONE_LABEL and not is_share else value

    def _code(self, written: Any) -> int:
        label = find_label(written, self.classes)
        return next(code for code, each in enumerate(self.classes) if each is label)

    def _label(self, code: Any) -> Any:
        return self.classes[code]

    @functools.cached_property
    def _sorted(self) -> Sequence[int]:
        """The codes in the order of the sorted labels, which is scikit-learn's order."""
        return sorted(range(len(self.classes)), key=lambda code: sort_key(self.classes[code]))

    def _encoded_order(self, numbers: list[Any]) -> list[Any]:
        if len(numbers) != len(self.classes):
            labels = ", ".join(map(str, sorted(self.classes, key=sort_key)[:10]))
            raise UnknownLabelError(
                f"should have one number for each of the {len(self.classes)} labels, in their order ({labels}), "
                f"got {len(numbers)}"
            )
        by_code = dict(zip(self._sorted, numbers, strict=True))
        return [by_code[code] for code in range(len(numbers))]

    def _decoded_order(self, numbers: list[Any]) -> list[Any]:
        return [numbers[code] for code in self._sorted]


def sort_key(label: Any) -> tuple[str, Any]:
    """Return a key that sorts labels as scikit-learn does, and labels of several types by type."""
    return str(type(label)), label


def _mapping(value: Mapping[Any, Any], one: Callable[[Any], Any]) -> dict[Any, Any]:
    translated: dict[Any, Any] = {}
    for written, setting in value.items():
        key = one(written)
        if key in translated:
            raise UnknownLabelError(f"{format_value(written)} and another key mean the same label")
        translated[key] = setting
    return translated


def encode_search(search: Any, classes: tuple[Any, ...] | None) -> None:
    """Replace labels by codes in the pipeline and the grid of an unfitted search; None: it is no classification."""
    if classes is None:
        return
    coding = LabelEncoding(classes)
    search.estimator.set_params(
        **{name: coding.encode(name, value) for name, value in _parameters(search.estimator).items()}
    )
    for grid in _grids(search):
        setattr(
            search,
            grid,
            {
                name: [translate(coding.encode, name, value) for value in values]
                for name, values in getattr(search, grid).items()
            },
        )


def translate(one: Callable[[str, Any], Any], name: str, value: Any) -> Any:
    """Return a searched value encoded (or decoded); of an estimator a copy with the parameters that name labels so."""
    if names_labels(name):
        return one(name, value)
    if not (found := _labels_inside(value)):
        return value
    from sklearn.base import clone

    return clone(value).set_params(**{inner: one(f"{MODEL}__{inner}", each) for inner, each in found.items()})


def _labels_inside(value: Any) -> dict[str, Any]:
    """Return the parameters of a searched estimator that name labels; of any other value none."""
    if not hasattr(value, "get_params") or isinstance(value, type):
        return {}
    found = value.get_params(deep=True).items()
    return {name: each for name, each in found if each is not None and names_labels(f"{MODEL}__{name}")}


def label_problems(search: Any, classes: tuple[Any, ...] | None) -> Iterator[Problem]:
    """Yield every parameter of a search's pipeline and grid that does not fit the labels."""
    if classes is None:
        return
    parts = search.estimator.get_params(deep=True)
    for name, value in _parameters(search.estimator).items():
        yield from _problems(_config_path(name, parts), name, value, classes, parts)
    for grid in _grids(search):
        for name, values in getattr(search, grid).items():
            at = f"model.param_grid.{name.removeprefix(f'{MODEL}__')}"
            for place, value in enumerate(values):
                if names_labels(name):
                    yield from _problems(at, name, value, classes, parts)
                for inner, each in _labels_inside(value).items():
                    around = {
                        **parts,
                        name: value,
                        **{f"{name}__{k}": v for k, v in value.get_params(deep=True).items()},
                    }
                    path = f"{at}[{place}].{_path_in(value, inner)}"
                    yield from _problems(path, f"{name}__{inner}", each, classes, around)


def _problems(at: str, name: str, value: Any, classes: tuple[Any, ...], parts: Mapping[str, Any]) -> Iterator[Problem]:
    if isinstance(value, Mapping | list | tuple) and (owner := _relabels(name, parts)):
        text = f"{owner} fits on labels of its own, which the target's are not; write balanced, or null"
        yield Problem(at, text)
        return
    try:
        LabelEncoding(classes).encode(name, value)
    except UnknownLabelError as error:
        yield Problem(at, str(error))


def _relabels(name: str, parts: Mapping[str, Any]) -> str:
    """Return the class, around the estimator of a parameter, that fits it on other labels than the target's; else ""."""
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier

    names = name.split("__")
    around = [parts.get("__".join(names[:depth])) for depth in range(1, len(names) - 1)]
    kinds = (OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier)
    return next((type(each).__name__ for each in around if isinstance(each, kinds)), "")


def names_labels(name: str) -> bool:
    """Return whether a parameter names labels or depends on their order."""
    step, _, rest = name.partition("__")
    # ONE_LABEL only in the model: a transformer's `constant`, for example, is no label
    return rest.rpartition("__")[2] in BY_LABEL | IN_ORDER | (ONE_LABEL if step == MODEL else set())


def _parameters(pipeline: Any) -> dict[str, Any]:
    """Return the parameters of all parts of the pipeline that name labels."""
    return {
        name: value
        for name, value in pipeline.get_params(deep=True).items()
        if "__" in name and value is not None and names_labels(name)
    }


def _grids(search: Any) -> list[str]:
    return [name for name in GRIDS if isinstance(getattr(search, name, None), Mapping)]


def _config_path(name: str, parts: Mapping[str, Any]) -> str:
    """Return the path of a pipeline's parameter in the configuration; ``parts`` are all of its parameters."""
    step, _, rest = name.partition("__")
    if step == MODEL:
        return f"model.params.{_path_in(parts.get(MODEL), rest)}"
    if step == "branches":
        branch, _, rest = rest.partition("__")
        inner, _, rest = rest.partition("__")
        return f"preprocess.branches.{branch}.steps.{inner}.{rest}"
    return f"preprocess.steps.{step}.{_path_in(parts.get(step), rest)}"


def _path_in(estimator: Any, name: str) -> str:
    """Return where a parameter at any depth is written: ``estimator.class_weight``, ``estimators.forest.class_weight``."""
    first, _, rest = name.partition("__")
    own = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {first: None}
    inner: Any = own.get(first)
    if first not in own:
        pairs = [(key, each) for key in PAIRS for each in own.get(key) or () if each[0] == first]
        if not pairs:
            return name
        (key, pair), *_ = pairs
        first, inner = f"{key}.{first}", pair[1]
    return f"{first}.{_path_in(inner, rest)}" if rest else first
