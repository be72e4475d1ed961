"""Stages that load the table and split off the hold-out rows."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Number
from typing import TYPE_CHECKING, Any

from orchestrator.artifacts import Dataset, Search, Split
from orchestrator.caching.cache import digest, pure
from orchestrator.errors import DataError, SpecError
from orchestrator.findings import FEW_ROWS
from orchestrator.modeling.dates import check_dates
from orchestrator.modeling.labels import UnknownLabelError, find_label, label_problems, sort_key
from orchestrator.modeling.one_hot import check_one_hot
from orchestrator.modeling.scorers import failing_metrics
from orchestrator.modeling.splitting import folds as splitting
from orchestrator.modeling.splitting.holdout import hold_out
from orchestrator.modeling.weights import check_classes, weigh
from orchestrator.reading.description import describe_table, find_lookalikes, format_lookalikes
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import Table, read_table
from orchestrator.reading.missing_target import rows_with_target
from orchestrator.reading.number_text import NOTATIONS
from orchestrator.reading.parts import describe_files
from orchestrator.reading.sample import draw_sample
from orchestrator.reading.second_table import append_held_out
from orchestrator.reading.split_column import take_split_column
from orchestrator.reading.weight_column import take_weight_column
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import Seed
from orchestrator.spec.messages import one_line
from score.contract.schema import Contract

if TYPE_CHECKING:
    import pandas as pd


@pure("pandas", "pyarrow")
def load(data: DataSpec, search: Search) -> Dataset:
    """Read the table, or a sample of ``data.rows``, and separate the target; labels become codes 0 to n_classes - 1.

    Raises:
        DataError: the target has missing values or does not suit the estimator, or a column has no JSON form.
        SpecError: a parameter names an unknown label.
    """
    from sklearn.base import is_classifier

    try:
        with draw_sample(data, classified=is_classifier(search.estimator.estimator)) as (drawn, sample):
            table, held_out, notes = read_table(drawn), 0, describe_files(data)
        if sample:
            table = replace(table, form=replace(table.form, encoding=data.table_format().encoding))
        if data.split.file is not None:
            table, held_out = append_held_out(table, data)
    except UnreadableTableError as error:
        raise DataError(f"data.{error.key}: {error}") from error
    except OSError as error:
        raise DataError(f"data.path: {data.path} cannot be read as {data.format}: {one_line(error)}") from error
    rows = len(table.frame)
    notes += [sample] if sample else []
    if data.duplicates == "drop":
        table = _without_duplicates(table)
        if repeated := rows - len(table.frame):
            notes += [f"{repeated:,} of {rows:,} rows repeat another one and are left out (data.duplicates=drop)"]
    X, y, note = _separate_target(table, data)
    notes += [note] if note else []
    first_held_out = rows - held_out if held_out else None
    X, split_by, table = take_split_column(X, table, data, first_held_out)
    X, weights, table = take_weight_column(X, table, data, first_held_out)
    X, y = X.reset_index(drop=True), y.reset_index(drop=True)
    split_by, weights = (None if each is None else each.reset_index(drop=True) for each in (split_by, weights))
    classes = None
    if is_classifier(search.estimator.estimator):
        with _hint_at_lookalikes(y.unique().tolist()):
            y, classes = _encode_labels(y, data)
        if problems := list(label_problems(search.estimator, classes)):
            raise SpecError(problems)
    else:
        _check_numbers(y, search, data)
    try:  # columns without a JSON form are reported now, and not after the training
        contract = Contract.describe(X, model_name="", task="regression")
    except ValueError as error:
        raise DataError(f"data.path: {error} (data.text_columns, data.drop)") from error
    reading = describe_table(table, contract.columns, X, table.frame[data.target])
    reading = replace(reading, notes=(*notes, *reading.notes))
    parts = data.cache_parts()
    contents = {"file": parts["data file"], "target": data.target}
    contents |= {"test file": parts["test file"]} if "test file" in parts else {}
    contents |= {"weight": data.weight} if data.weight else {}
    contents |= {"rows": sample} if sample else {}
    return Dataset(X, y, classes, digest(contents), reading, split_by, weights)


def _without_duplicates(table: Table) -> Table:
    """Return the table with the first of rows that are equal in every column; the index keeps their places."""
    frame = table.frame
    try:
        return replace(table, frame=frame.drop_duplicates())
    except TypeError:  # lists and mappings are not hashable
        return replace(table, frame=frame[~frame.astype(str).duplicated()])


@contextlib.contextmanager
def _hint_at_lookalikes(labels: Sequence[Any]) -> Iterator[None]:
    """Add to an error which labels differ in blanks or case only: that may be its cause."""
    try:
        yield
    except DataError as error:
        if hint := format_lookalikes(find_lookalikes(labels)):
            raise DataError(f"data.target: {hint}; as they are, {error}", error.kind) from error
        raise


def _separate_target(table: Table, data: DataSpec) -> tuple[pd.DataFrame, pd.Series, str]:
    """Return the features and the target of the rows that have one, and a note on the others."""
    if table.frame.empty:
        raise DataError(f"data.path: {data.path.name} has no rows besides its header")
    if table.frame.shape[1] == 1:
        raise DataError(f"data.path: {data.path.name} has no column besides the target '{data.target}'")
    frame, note = rows_with_target(table, data)
    return frame.drop(columns=data.target), frame[data.target], note


def _encode_labels(y: pd.Series, data: DataSpec) -> tuple[pd.Series, tuple[Any, ...]]:
    """Return codes and the labels in their order; of two labels the positive one gets code 1."""
    labels = sorted(y.unique().tolist(), key=sort_key)
    unsuited = [label for label in labels if not isinstance(label, str | int | float)]
    if unsuited:
        kind = type(unsuited[0]).__name__
        raise DataError(
            f"data.target: '{data.target}' holds values of type {kind}; make them text, numbers or booleans"
        )
    if len(labels) < 2:
        raise DataError(f"data.target: '{data.target}' holds only {labels!r}; a classifier needs at least two labels")
    if any(isinstance(label, float) and not label.is_integer() for label in labels):
        raise _continuous_error(data, labels)
    if data.task in {"binary", "multiclass"} and (data.task == "binary") != (len(labels) == 2):
        raise DataError(
            f"data.task: {data.task} is not the task of '{data.target}', which has {len(labels)} classes; write auto"
        )
    if data.positive is not None:
        positive = _find_positive(labels, data)
        labels.sort(key=lambda label: label is positive)
    codes = {label: code for code, label in enumerate(labels)}
    return y.map(codes).astype("int64"), tuple(labels)


def _find_positive(labels: Sequence[Any], data: DataSpec) -> Any:
    """Return the label that ``data.positive`` refers to."""
    with contextlib.suppress(UnknownLabelError):
        if len(labels) == 2:
            return find_label(data.positive, labels)
    listed = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
    raise DataError(f"data.positive: {data.positive!r} should be one of two labels and '{data.target}' holds {listed}")


def _check_numbers(y: pd.Series, search: Search, data: DataSpec) -> None:
    """Check that a regressor's target is numeric."""
    from pandas.api.types import is_numeric_dtype

    wrong = None if is_numeric_dtype(y) else next((value for value in y if not isinstance(value, Number)), None)
    if wrong is None:
        return
    regressor = type(search.estimator.estimator[-1]).__name__
    raise DataError(
        f"data.target: '{data.target}' holds {type(wrong).__name__} values such as {wrong!r} and {regressor} predicts "
        "numbers; choose a classifier (model.estimator, e.g. model=random_forest) and search=grid, with data.task=auto, or another target"
    )


def _continuous_error(data: DataSpec, labels: Sequence[Any]) -> DataError:
    return DataError(
        f"data.target: '{data.target}' holds {len(labels)} different numbers such as {labels[0]!r} and the model "
        "predicts classes; choose a regressor (model.estimator), or a model of both kinds such as model=linear, and "
        "data.task=auto"
    )


@pure("scikit-learn", "numpy")
def split(dataset: Dataset, data: DataSpec, search: Search, seed: Seed) -> Split:
    """Hold rows out by the rule of ``data.split``, and make the search's folds of the others by the same rule.

    Raises:
        DataError: the rows cannot be split so, a part would be too small for the search or have no weight, a metric does
            not suit the number of classes, or one-hot encoding would create too many columns.
    """
    check_dates(dataset.X, search.estimator.estimator)
    check_one_hot(dataset.X, search.estimator.estimator, data.max_one_hot)
    with _hint_at_lookalikes(dataset.classes or ()):
        return _split(dataset, data, search, seed)


def _split(dataset: Dataset, data: DataSpec, search: Search, seed: Seed) -> Split:
    classes, cv = dataset.classes, search.estimator.cv
    finite = functools.partial(failing_metrics, search.estimator.scoring)
    if classes is not None:
        _check_metrics(classes, search)
        if isinstance(cv, int) and data.split.rule == "random":
            _check_rows(dataset.y, classes, data, search, "rows")
    held = hold_out(dataset.y, dataset.split_by, data, seed, classified=classes is not None)
    X_train, X_test = dataset.X.iloc[held.train], dataset.X.iloc[held.test]
    y_train, y_test = dataset.y.iloc[held.train], dataset.y.iloc[held.test]
    folds, said = splitting.make_folds(cv, held, X_train, y_train, data.split, seed, classified=classes is not None)
    if classes is not None:
        if data.split.rule != "random":
            _check_learned(y_train, classes, data)
        if folds is None:  # scikit-learn makes them
            _check_rows(y_train, classes, data, search, "training rows")
        _check_held_out(y_train, y_test, classes, data, search)
        splitting.check_folds(folds or (), y_train, classes, finite)
    elif folds is None and len(y_train) < cv:
        raise DataError(f"search.cv: {len(y_train)} training rows are fewer than {cv} folds")
    notes = splitting.leaks(folds or (), held, data.split)
    weights = None
    if dataset.weights is not None:
        weights = weigh(str(data.weight), dataset.weights, held.train, held.test, folds or (), search.estimator)
        if classes is not None:
            check_classes(weights, y_train, classes, cv if folds is None else folds, finite)
            _check_held_out(y_train, y_test[weights.test > 0], classes, data, search)
        notes += weights.notes
    summary = replace(held.summary, folds=said, weight=data.weight, notes=(*held.summary.notes, *notes))
    origin = dataset.digest, dataset.reading
    return Split(X_train, X_test, y_train, y_test, classes, *origin, folds, summary, weights, held.keys, held.design)


def _check_learned(y_train: pd.Series, classes: tuple[Any, ...], data: DataSpec) -> None:
    """Check that every class has training rows: a rule may put all rows of a class into the hold-out part."""
    absent = sorted(set(range(len(classes))) - set(y_train.unique()))
    if absent:
        raise DataError(
            f"data.split.rule: with {data.split.rule} none of the {len(y_train)} training rows is of "
            f"{_name_classes(absent, classes)}; hold fewer rows out, leave the class out, or choose another rule"
        )


def _name_classes(codes: Sequence[int], classes: tuple[Any, ...]) -> str:
    """Return the first of some classes and the number of the others: class 'a' (and 3 more classes)."""
    others = len(codes) - 1
    return f"class {classes[codes[0]]!r}" + f" (and {others} more class{'es' * (others > 1)})" * (others > 0)


def _check_rows(y: pd.Series, classes: tuple[Any, ...], data: DataSpec, search: Search, what: str) -> None:
    """Check that every class has a row in every fold."""
    folds = search.estimator.cv
    counts = y.value_counts().to_dict()
    few = [code for code in range(len(classes)) if counts.get(code, 0) < folds]
    if few and len(few) > len(classes) / 2:  # nearly every value is unique
        if not isinstance(classes[0], str):
            raise _continuous_error(data, classes)
        numbers = (any(form.fullmatch(label) for form in NOTATIONS.values()) for label in classes)
        if data.target not in data.text_columns and all(numbers):
            raise DataError(
                f"data.target: '{data.target}' holds text such as {classes[0]!r}, which looks like a number; say how numbers "
                "are written (data.decimal, data.thousands)"
            )
    if few:
        fewest, rows = min(counts.get(code, 0) for code in few), counts.get(few[0], 0)
        fewer = f"use fewer folds (search.cv={fewest}), or " if fewest > 1 else ""  # a search needs two
        raise DataError(
            f"data.target: {_name_classes(few, classes)} has {rows} {what[:-1] if rows == 1 else what}, fewer than "
            f"search.cv={folds} folds; {fewer}leave the class out of the table",
            FEW_ROWS,
        )


def _check_held_out(
    y_train: pd.Series, y_test: pd.Series, classes: tuple[Any, ...], data: DataSpec, search: Search
) -> None:
    """Check that metrics that need rows of every class find them among the hold-out rows."""
    absent = sorted(set(range(len(classes))) - set(y_test.unique()))
    if absent and (unsuited := failing_metrics(search.estimator.scoring, y_train, y_test)):
        remedy = "" if data.stratify else ", data.stratify=true"
        raise DataError(
            f"data.test_size: none of the {len(y_test)} hold-out rows is of {_name_classes(absent, classes)}, and "
            f"{', '.join(unsuited)} cannot be computed without; hold more rows out{remedy}, leave the class out, or "
            "choose other metrics (search.scoring)"
        )


def _check_metrics(classes: tuple[Any, ...], search: Search) -> None:
    """Check that no metric of two classes is computed for more."""
    y = [0, 1, 2]
    if len(classes) != 2 and (unsuited := failing_metrics(search.estimator.scoring, y, y, finite=False)):
        raise DataError(
            f"search.scoring: {', '.join(unsuited)} are metrics of two classes and the target has {len(classes)}; "
            "use e.g. 'search.scoring=[roc_auc_ovr,f1_macro,accuracy]' search.refit=roc_auc_ovr"
        )
