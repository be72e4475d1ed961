"""Stages that read the table and hold some rows out."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

from orchestrator.artifacts import Dataset, Search, Split
from orchestrator.caching.cache import digest, pure
from orchestrator.errors import DataError, SpecError
from orchestrator.modeling.labels import UnknownLabelError, find_label, label_problems, sort_key
from orchestrator.modeling.one_hot import check_one_hot
from orchestrator.reading.description import describe_table, find_lookalikes, format_lookalikes
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import Table, read_table
from orchestrator.spec.messages import one_line
from orchestrator.spec.run_spec import DataSpec, Seed
from score.contract.schema import Contract

if TYPE_CHECKING:
    import pandas as pd


@pure("pandas", "pyarrow")
def load(data: DataSpec, search: Search) -> Dataset:
    """Read the table and take the target apart; labels of a classification become codes 0 to n_classes - 1.

    Raises:
        DataError: the target has missing values or does not suit the estimator, or a column has no JSON.
        SpecError: a parameter names what is no label.
    """
    from sklearn.base import is_classifier

    try:
        table = read_table(data)
    except UnreadableTableError as error:
        raise DataError(f"data.{error.key}: {error}") from error
    except OSError as error:
        raise DataError(f"data.path: {data.path} cannot be read as {data.format}: {one_line(error)}") from error
    X, y = _apart(table, data)
    classes = None
    if is_classifier(search.estimator.estimator):
        with _meant_as_one(y.unique().tolist()):
            y, classes = _coded(y, data)
        if problems := list(label_problems(search.estimator, classes)):
            raise SpecError(problems)
    else:
        _check_numbers(y, search, data)
    try:  # what its endpoint could not be asked in JSON is told now, and not after the training
        contract = Contract.describe(X, model_name="", task="regression")
    except ValueError as error:
        raise DataError(f"data.path: {error} (data.text_columns, data.drop)") from error
    reading = describe_table(table, contract.columns, X, table.frame[data.target])
    parts = data.cache_parts()
    return Dataset(X, y, classes, digest({"file": parts["data file"], "target": data.target}), reading)


@contextlib.contextmanager
def _meant_as_one(labels: Sequence[Any]) -> Iterator[None]:
    """Say of labels that do not fit which of them differ in blanks or case only: that may be all that is wrong."""
    try:
        yield
    except DataError as error:
        if alike := format_lookalikes(find_lookalikes(labels)):
            raise DataError(f"data.target: {alike}; as they are, {error}") from error
        raise


def _apart(table: Table, data: DataSpec) -> tuple[pd.DataFrame, pd.Series]:
    """The features and the target; every row must have the latter."""
    X, y = table.frame.drop(columns=data.target), table.frame[data.target]
    if y.empty:
        raise DataError(f"data.path: {data.path.name} has no rows besides its header")
    if X.shape[1] == 0:
        raise DataError(f"data.path: {data.path.name} has no column besides the target '{data.target}'")
    if missing := int(y.isna().sum()):
        words = [word for word in table.missing(data.target) if word]
        hint = f"; {', '.join(map(repr, words))} stands for missing (data.keep_default_na=false: for itself)"
        text = f"'{data.target}' is missing in {missing} of {len(y)} rows; fill or remove them"
        raise DataError(f"data.target: {text}{hint if words else ''}")
    return X, y


def _coded(y: pd.Series, data: DataSpec) -> tuple[pd.Series, tuple[Any, ...]]:
    """Codes and the labels they stand for; of two labels the positive one gets code 1."""
    labels = sorted(y.unique().tolist(), key=sort_key)
    odd = [label for label in labels if not isinstance(label, str | int | float)]
    if odd:
        kind = type(odd[0]).__name__
        raise DataError(
            f"data.target: '{data.target}' holds values of type {kind}; make them text, numbers or booleans"
        )
    if len(labels) < 2:
        raise DataError(f"data.target: '{data.target}' holds only {labels!r}; there is nothing to tell apart")
    if any(isinstance(label, float) and not label.is_integer() for label in labels):
        raise _continuous(data, labels)
    if data.positive is not None:
        positive = _positive(labels, data)
        labels.sort(key=lambda label: label is positive)
    codes = {label: code for code, label in enumerate(labels)}
    return y.map(codes).astype("int64"), tuple(labels)


def _positive(labels: Sequence[Any], data: DataSpec) -> Any:
    """The label that ``data.positive`` means."""
    with contextlib.suppress(UnknownLabelError):
        if len(labels) == 2:
            return find_label(data.positive, labels)
    shown = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
    raise DataError(f"data.positive: {data.positive!r} should be one of two labels and '{data.target}' holds {shown}")


def _check_numbers(y: pd.Series, search: Search, data: DataSpec) -> None:
    """A regressor needs numbers."""
    from pandas.api.types import is_numeric_dtype

    odd = None if is_numeric_dtype(y) else next((value for value in y if not isinstance(value, Number)), None)
    if odd is None:
        return
    regressor = type(search.estimator.estimator[-1]).__name__
    raise DataError(
        f"data.target: '{data.target}' holds {type(odd).__name__} values such as {odd!r} and {regressor} predicts "
        "numbers; choose a classifier (model.estimator, e.g. model=random_forest) and search=grid, or another target"
    )


def _continuous(data: DataSpec, labels: Sequence[Any]) -> DataError:
    return DataError(
        f"data.target: '{data.target}' holds {len(labels)} different numbers such as {labels[0]!r} and the model "
        "predicts classes; choose a regressor (model.estimator) and search=grid_regression"
    )


@pure("scikit-learn", "numpy")
def split(dataset: Dataset, data: DataSpec, search: Search, seed: Seed) -> Split:
    """Hold ``data.test_size`` of the rows out.

    Raises:
        DataError: a part would be too small for the search, a metric does not suit the number of classes, or one-hot
            encoding would make too many columns.
    """
    check_one_hot(dataset.X, search.estimator.estimator, data.max_one_hot)
    with _meant_as_one(dataset.classes or ()):
        return _split(dataset, data, search, seed)


def _split(dataset: Dataset, data: DataSpec, search: Search, seed: Seed) -> Split:
    from sklearn.model_selection import train_test_split

    classes = dataset.classes
    if classes is not None:
        _check_metrics(classes, search)
        _check_rows(dataset.y, classes, data, search, "rows")
    stratify = dataset.y if data.stratify and classes is not None else None
    try:
        X_train, X_test, y_train, y_test = train_test_split(
            dataset.X, dataset.y, test_size=data.test_size, random_state=seed, stratify=stratify
        )
    except ValueError as error:
        raise DataError(f"data.test_size: {len(dataset.y)} rows cannot be split so: {error}") from error
    if classes is not None:
        _check_rows(y_train, classes, data, search, "training rows")
        _check_held_out(y_train, y_test, classes, data, search)
    elif len(y_train) < search.estimator.cv:
        raise DataError(f"search.cv: {len(y_train)} training rows are fewer than {search.estimator.cv} folds")
    return Split(X_train, X_test, y_train, y_test, classes, dataset.digest, dataset.reading)


def _check_rows(y: pd.Series, classes: tuple[Any, ...], data: DataSpec, search: Search, what: str) -> None:
    """Every class must have a row in every fold."""
    folds = search.estimator.cv
    counts = y.value_counts().to_dict()
    few = [code for code in range(len(classes)) if counts.get(code, 0) < folds]
    if few and len(few) > len(classes) / 2 and not isinstance(classes[0], str):
        raise _continuous(data, classes)  # nearly every value stands in a row of its own
    if few:
        others = f" (and {len(few) - 1} more classes)" if len(few) > 1 else ""
        raise DataError(
            f"data.target: class {classes[few[0]]!r}{others} has {counts.get(few[0], 0)} {what}, fewer than search.cv="
            f"{folds} folds; use fewer folds, or leave the class out"
        )


def _check_held_out(
    y_train: pd.Series, y_test: pd.Series, classes: tuple[Any, ...], data: DataSpec, search: Search
) -> None:
    """A metric that needs rows of every class must find them among the hold-out rows; scikit-learn itself knows which."""
    from sklearn.dummy import DummyClassifier
    from sklearn.metrics import get_scorer

    absent = sorted(set(range(len(classes))) - set(y_test.unique()))
    if not absent:
        return
    guess = DummyClassifier().fit([[0]] * len(y_train), y_train)
    unsuited = []
    for name in search.estimator.scoring:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                computed = math.isfinite(get_scorer(name)(guess, [[0]] * len(y_test), y_test))
            except ValueError:
                computed = False
        unsuited += [] if computed else [name]
    if unsuited:
        others = f" (and {len(absent) - 1} more classes)" if len(absent) > 1 else ""
        remedy = "" if data.stratify else ", data.stratify=true"
        raise DataError(
            f"data.test_size: none of the {len(y_test)} hold-out rows is of class {classes[absent[0]]!r}{others}, and "
            f"{', '.join(unsuited)} cannot be computed without; hold more rows out{remedy}, leave the class out, or "
            "choose other metrics (search.scoring)"
        )


def _check_metrics(classes: tuple[Any, ...], search: Search) -> None:
    """A metric that tells two classes apart must not be asked about more; scikit-learn itself knows which do."""
    from sklearn.dummy import DummyClassifier
    from sklearn.metrics import get_scorer

    if len(classes) == 2:
        return
    y = [0, 1, 2]
    guess = DummyClassifier().fit([[0]] * 3, y)
    unsuited = []
    for name in search.estimator.scoring:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                get_scorer(name)(guess, [[0]] * 3, y)
        except ValueError:
            unsuited.append(name)
    if unsuited:
        raise DataError(
            f"search.scoring: {', '.join(unsuited)} tell two classes apart and the target has {len(classes)}; use e.g. "
            "'search.scoring=[roc_auc_ovr,f1_macro,accuracy]' search.refit=roc_auc_ovr"
        )
