"""Reading the table and holding rows out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from orchestrator.errors import DataError
from orchestrator.products import Dataset

REGRESSION: dict[str, Any] = {
    "estimator": "sklearn.linear_model.LinearRegression",
    "scoring": ["r2"],
    "refit": "r2",
}


def labels(values: list[Any], times: int = 10) -> pd.DataFrame:
    return pd.DataFrame({"x": range(len(values) * times), "y": values * times})


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no"], ("no", "yes")),
        ([1, 0], (0, 1)),
        ([3, 7, 5], (3, 5, 7)),
        ([1.0, 2.0], (1.0, 2.0)),
        ([True, False], (False, True)),
        (["b", "a", "c"], ("a", "b", "c")),
    ],
)
def test_labels_become_codes_in_their_order(kit: Any, values: list[Any], classes: tuple[Any, ...]) -> None:
    dataset: Dataset = kit.load(labels(values))
    assert dataset.classes == classes
    assert list(map(type, dataset.classes or ())) == list(map(type, classes))
    assert [classes[code] for code in dataset.y] == values * 10
    assert dataset.y.dtype == "int64"
    assert list(dataset.X.columns) == ["x"]


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [(["good", "bad"], "bad", ("good", "bad")), ([0, 1], 0, (1, 0)), ([True, False], False, (True, False))],
)
def test_the_positive_label_gets_code_1(kit: Any, values: list[Any], positive: Any, classes: tuple[Any, ...]) -> None:
    assert kit.load(labels(values), positive=positive).classes == classes


@pytest.mark.parametrize(
    ("values", "keys", "message"),
    [
        (["a", "b"], {"positive": "c"}, r"data\.positive: 'c' should be one of two labels and 'y' holds 'a', 'b'"),
        (["a", "b", "c"], {"positive": "a"}, r"data\.positive: 'a' should be one of two labels .* 'a', 'b', 'c'"),
        ([1, None], {}, r"data\.target: 'y' is missing in 10 of 20 rows; fill or remove them"),
        (["a", "a"], {}, r"data\.target: 'y' holds only \['a'\]; there is nothing to tell apart"),
        ([0.5, 1.5, 2.0], {}, r"holds 3 different numbers such as 0\.5 .* predicts classes; choose a regressor"),
        ([1.0, float("inf")], {}, r"holds 2 different numbers .* choose a regressor"),
    ],
)
def test_a_target_that_does_not_suit_is_told(kit: Any, values: list[Any], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        kit.load(labels(values), **keys)


def test_dates_are_no_labels(kit: Any) -> None:
    table = labels([pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")])
    with pytest.raises(DataError, match=r"holds values of type Timestamp; make them text, numbers or booleans"):
        kit.load(table, format="parquet")


def test_a_regression_keeps_its_numbers(kit: Any) -> None:
    dataset = kit.load(labels([0.5, 1.5]), kit.search(**REGRESSION))
    assert dataset.classes is None
    assert dataset.y.tolist() == [0.5, 1.5] * 10


def test_a_target_alone_is_not_enough(kit: Any) -> None:
    with pytest.raises(DataError, match=r"data\.path: table\.csv has no column besides the target 'y'"):
        kit.load("y\n1\n0\n")
    with pytest.raises(DataError, match="no column besides"):
        kit.load("id,y\n1,1\n2,0\n", drop=("id",))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("id;ä;y\n1;ö;1\n2;ü;0\n", {"separator": ";"}),
        ("id\tä\ty\n1\tö\t1\n2\tü\t0\n", {"separator": "\t"}),
        ("id  ä   y\n1  ö 1\n2   ü 0\n", {"separator": r"\s+"}),
        ("id,ä,y\n1,ö,1\n2,ü,0\n", {"encoding": "latin-1"}),
        ("\ufeffid,ä,y\n1,ö,1\n2,ü,0\n", {"encoding": "utf-8-sig"}),
    ],
)
def test_other_separators_and_encodings(kit: Any, text: str, keys: dict[str, str]) -> None:
    encoding = keys.get("encoding", "utf-8").removesuffix("-sig")
    dataset = kit.load(text.encode(encoding), drop=("id",), **keys)
    assert dataset.X["ä"].tolist() == ["ö", "ü"]
    assert dataset.y.tolist() == [1, 0]


def test_strings_that_mean_missing(kit: Any) -> None:
    dataset = kit.load("x,y\n-,1\n2,0\nNA,1\n", missing_values=("-",))
    assert dataset.X["x"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("table", "keys"),
    [(b"x,y\n\xff,1\n", {}), (b"", {}), (b'x,y\n"1,2\n', {}), (b"no parquet", {"format": "parquet"})],
)
def test_what_cannot_be_read_is_told_in_one_line(kit: Any, table: bytes, keys: dict[str, Any]) -> None:
    with pytest.raises(
        DataError, match=r"data\.path: .*table\.(csv|parquet) cannot be read as (csv|parquet): "
    ) as caught:
        kit.load(table, **keys)
    assert "\n" not in str(caught.value)


def test_parquet_keeps_its_types(kit: Any, mixed: pd.DataFrame) -> None:
    table = mixed.assign(city=mixed["city"].astype("category"), whole=mixed["whole"].astype("Int64"))
    dataset = kit.load(table, format="parquet")
    assert dataset.X.dtypes.to_dict() == table.drop(columns="y").dtypes.to_dict()


def test_columns_of_several_types_are_read_without_a_warning(kit: Any) -> None:
    rows = ["x,y", *(f"{number},{number % 2}" for number in range(300_000)), "word,1"]
    assert kit.load("\n".join(rows)).X["x"].map(type).eq(str).all()


# --- split


def test_rows_are_held_out_as_scikit_learn_does(kit: Any, numbers: pd.DataFrame) -> None:
    parts = kit.split(numbers, seed=3)
    X, y = numbers[["a", "b"]], numbers["y"]
    wanted = train_test_split(X, y, test_size=0.25, random_state=3, stratify=y)
    pd.testing.assert_frame_equal(parts.X_train, wanted[0])
    pd.testing.assert_series_equal(parts.y_test, wanted[3])
    plain = kit.split(numbers, seed=3, stratify=False)
    assert plain.X_test.index.tolist() == train_test_split(X, y, test_size=0.25, random_state=3)[1].index.tolist()
    assert not set(plain.X_train.index) & set(plain.X_test.index)


def test_a_regression_is_split_without_strata(kit: Any) -> None:
    parts = kit.split(labels([0.5, 1.5, 2.5]), kit.search(**REGRESSION))
    assert len(parts.y_test) == 8
    with pytest.raises(DataError, match=r"search\.cv: 2 training rows are fewer than 3 folds"):
        kit.split(labels([0.5, 1.5, 2.5], 1), kit.search(cv=3, **REGRESSION))


def rare(count: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(30), "y": ["a"] * (30 - count) + ["b"] * count})


@pytest.mark.parametrize(
    ("table", "keys", "message"),
    [
        (rare(2), {}, r"data\.target: class 'b' has 2 rows, fewer than search\.cv=3 folds; use fewer folds, or leave"),
        (rare(3), {}, r"data\.target: class 'b' has 2 training rows, fewer than search\.cv=3 folds"),
        (labels(["a", "b", "c", "d"], 2), {}, r"class 'a' \(and 3 more classes\) has 2 rows, fewer than"),
        (labels(list(range(50)), 2), {}, r"holds 50 different numbers such as 0 .* choose a regressor"),
        (rare(10), {"test_size": 0.01, "stratify": True}, r"data\.test_size: 30 rows cannot be split so: "),
    ],
)
def test_too_few_rows_are_told(kit: Any, table: pd.DataFrame, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        kit.split(table, kit.search(cv=3), **keys)


@pytest.mark.parametrize("scoring", [["roc_auc", "accuracy"], ["f1", "accuracy"], ["precision", "recall", "accuracy"]])
def test_metrics_of_two_classes_are_refused_for_three(kit: Any, scoring: list[str]) -> None:
    unsuited = ", ".join(scoring[:-1])
    message = rf"search\.scoring: {unsuited} tell two classes apart and the target has 3; use e\.g\. 'search\.scoring="
    with pytest.raises(DataError, match=message):
        kit.split(labels([0, 1, 2]), kit.search(scoring=scoring))


def test_metrics_of_many_classes_suit_two_and_three(kit: Any) -> None:
    scoring = ["accuracy", "roc_auc_ovr", "f1_macro", "neg_log_loss", "balanced_accuracy"]
    for values in ([0, 1], [0, 1, 2]):
        assert kit.split(labels(values), kit.search(scoring=scoring)).classes == tuple(values)


def few(count: int, classes: int) -> pd.DataFrame:
    """Labels of which the last has so many rows among 300."""
    return pd.DataFrame(
        {"x": range(300), "y": [f"c{row % (classes - 1)}" for row in range(300 - count)] + ["rare"] * count}
    )


@pytest.mark.parametrize(
    ("classes", "scoring", "keys", "message"),
    [
        (3, "roc_auc_ovr", {}, "none of the 15 hold-out rows is of class 'rare', and roc_auc_ovr cannot be computed"),
        (2, "roc_auc", {}, "class 'rare', and roc_auc cannot be computed without; hold more rows out, leave the class"),
        (
            3,
            "neg_log_loss",
            {"stratify": False},
            "neg_log_loss cannot be computed without; hold more rows out, data.stratify",
        ),
    ],
)
def test_a_class_that_the_hold_out_rows_do_not_have_is_named(
    kit: Any, classes: int, scoring: str, keys: dict[str, Any], message: str
) -> None:
    search = kit.search(scoring=[scoring, "accuracy"])
    with pytest.raises(DataError) as caught:
        kit.split(few(4, classes), search, test_size=0.05, **keys)
    assert message in str(caught.value)
    assert set(kit.split(few(4, classes), kit.search(), test_size=0.05, **keys).y_test.unique()) <= {0, 1}


def test_missing_categories_and_infinite_features_are_the_estimators_business(kit: Any) -> None:
    table = labels([0, 1]).assign(x=np.inf)
    assert kit.split(table).X_train["x"].eq(np.inf).all()
