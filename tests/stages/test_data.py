"""Reading the table and holding rows out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from orchestrator.artifacts import Dataset
from orchestrator.errors import DataError

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
        (
            [1, None],
            {"missing_target": "refuse"},
            r"data\.target: 'y' is missing in 10 of 20 rows; fill or remove them",
        ),
        (["a", "a"], {}, r"data\.target: 'y' holds only \['a'\]; a classifier needs at least two labels"),
        ([0.5, 1.5, 2.0], {}, r"holds 3 different numbers such as 0\.5 .* predicts classes; choose a regressor"),
        ([1.0, float("inf")], {}, r"holds 2 different numbers .* choose a regressor"),
    ],
)
def test_an_unsuitable_target_is_refused(kit: Any, values: list[Any], keys: dict[str, Any], message: str) -> None:
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


@pytest.mark.parametrize(
    ("typed", "character"),
    [(r"\t", "\t"), (r"\\t", "\t"), (r"\x1f", "\x1f"), ("|", "|"), (";", ";")],
)
def test_an_escaped_separator_keeps_empty_first_cells_and_quotes(kit: Any, typed: str, character: str) -> None:
    rows = [["a", "b", "y"], ["", '"p, q"', "1"], ["2", "r", "0"], ["", "s", "1"]]
    dataset = kit.load("\n".join(map(character.join, rows)), separator=typed)
    assert dataset.X["a"].isna().tolist() == [True, False, True]
    assert dataset.X["b"].tolist() == ["p, q", "r", "s"]
    assert dataset.y.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,1,\n3,4,0,\n", r"line 2 \(row 1\) has 4 cells and the header 3; remove the separator at the end"),
        ('a,b,y\n"r1",1,2,1\n"r2",3,4,0\n', r"line 2 \(row 1\) has 4 cells and the header 3; .* write its name"),
        ("a,b,y\n1,2,1\n\n3,4,0,5\n", r"line 4 \(row 2\) has 4 cells and the header 3; put a cell .* in quotes"),
        ("a,b,y\n1,2,1\n3,4\n", r"line 3 \(row 2\) has 2 cells and the header 3; complete the row, or remove it"),
        ('a,b,y\n"1\n1",2,1\n3,4,0,,\n', r"line 4 \(row 2\) has 5 cells and the header 3; remove the separator"),
    ],
)
def test_a_row_of_another_width_is_named(kit: Any, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"^data\.path: table\.csv, {message}"):
        kit.load(text)


def test_a_separator_at_the_end_of_every_line_makes_no_column(kit: Any) -> None:
    dataset = kit.load("a,y,\n1,1,\n2,0,\n")
    assert dataset.X.columns.tolist() == ["a"]
    assert dataset.reading.left_out == {"Unnamed: 2": "it has no name and is empty"}


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        ([*range(30)], False),
        ([*range(1, 31)], False),
        ([*map(float, range(30))], False),
        ([*range(15, 30), *range(15)], False),
        ([*range(15), *range(15)], False),
        ([0, 1] * 15, True),
        ([5] * 30, True),
        ([*range(10), 3, *range(11, 30)], True),
        ([f"r{i}" for i in range(30)], True),
        ([i / 2 for i in range(30)], True),
    ],
)
def test_an_unnamed_first_column_that_only_numbers_rows_is_no_feature(kit: Any, index: list[Any], kept: bool) -> None:
    table = pd.DataFrame({"a": range(30), "y": [0, 1] * 15}, index=index).to_csv()
    assert ("Unnamed: 0" in kit.load(table).X) is kept
    assert "Unnamed: 0" in kit.load(table, index="keep").X
    assert "Unnamed: 0" not in kit.load(table, index="drop").X
    assert "Unnamed: 0" not in kit.load(table, index="keep", drop=("Unnamed: 0",)).X
    assert len(kit.load(table).reading.notes) == (not kept)


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ({"decimal": ",", "thousands": "."}, [1234567.5, 0.25, -12.0]),
        ({"decimal": ","}, ["1.234.567,5", "0,25", "-12"]),
    ],
)
def test_numbers_in_another_notation(kit: Any, keys: dict[str, Any], values: list[Any]) -> None:
    dataset = kit.load("x;y\n1.234.567,5;1\n0,25;0\n-12;1\n", separator=";", **keys)
    assert dataset.X["x"].tolist() == values


@pytest.mark.parametrize("cell", ["01.02.2024", "1.2.3", "12.34", "1234.567"])
def test_a_thousands_sign_makes_no_number_of_something_else(kit: Any, cell: str) -> None:
    dataset = kit.load(f"x;y\n1.234;1\n{cell};0\n", separator=";", decimal=",", thousands=".")
    assert dataset.X["x"].tolist() == ["1.234", cell]
    assert dataset.reading.notes == (f"column 'x' is read as text: '{cell}' is no number with data.thousands='.'",)


def test_text_columns_keep_their_zeros_in_both_formats(kit: Any) -> None:
    table = pd.DataFrame({"zip": [12, 7, None], "x": [1, 2, 3], "y": [0, 1, 0]}).astype({"zip": "Int64"})
    assert kit.load("zip,x,y\n012,1,0\n007,2,1\nNA,3,0\n", text_columns=("zip",)).X["zip"].tolist()[:2] == [
        "012",
        "007",
    ]
    dataset = kit.load(table, format="parquet", text_columns=("zip",))
    assert dataset.X["zip"].tolist()[:2] == ["12", "7"]
    assert dataset.X["zip"].isna().tolist() == [False, False, True]


def test_texts_that_usually_mean_missing_may_be_values(kit: Any) -> None:
    text = "x,n,y\nNA,1,None\n,2,no\nNone,,None\n-,4,no\n"
    dataset = kit.load(text, keep_default_na=False, missing_values=("-",))
    assert dataset.X["x"].fillna("?").tolist() == ["NA", "?", "None", "?"]
    assert dataset.X["n"].dtype == "float64"
    assert dataset.classes == ("None", "no")
    with pytest.raises(
        DataError, match=r"'None' in 2 rows of 'y' reads as missing and may be a class: write data\.keep_def"
    ):
        kit.load(text)


def test_labels_that_differ_in_blanks_or_case_are_reported(kit: Any) -> None:
    text = "x,y\n1,No\n2,No \n3,Yes\n"
    with pytest.raises(
        DataError, match=r"data\.target: 'No' and 'No ' differ in blanks or case only; .* data\.positive: "
    ):
        kit.load(text, positive="Yes")
    with pytest.raises(DataError, match=r"data\.target: 'No' and 'No ' differ .* search\.scoring: roc_auc are"):
        kit.split(text, kit.search(scoring=["roc_auc"], refit="roc_auc"))
    with pytest.raises(DataError, match=r"data\.target: 'No' and 'No ' differ .* class 'No ' .*has 1 row,"):
        kit.split(text.replace("No \n", "No\n") + "9,No \n")


def test_strings_that_mean_missing(kit: Any) -> None:
    dataset = kit.load("x,y\n-,1\n2,0\nNA,1\n", missing_values=("-",))
    assert dataset.X["x"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("table", "keys", "message"),
    [
        (b"x,y\n\xff,1\n", {}, r"data\.encoding: table\.csv is not written in utf-8 \(.*\); name its encoding"),
        (b"", {}, r"data\.path: .*table\.csv cannot be read as csv: the file is empty"),
        (b'x,y\n1,1\n"1,2\n', {}, r"data\.path: table\.csv, line 3 \(row 2\) has 1 cell .*; close the quote in it"),
        (b"x,y\n", {}, r"data\.path: table\.csv has no rows besides its header"),
        (
            f"x,y\n{2**70},1\n1,0\n".encode(),
            {},
            r"'x' is of integers beyond 64 bits: .* \(data\.text_columns, data\.drop\)",
        ),
        (b"no parquet", {"format": "parquet"}, r"data\.path: .*table\.parquet cannot be read as parquet: "),
    ],
)
def test_an_unreadable_table_is_an_error_of_one_line(
    kit: Any, table: bytes, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        kit.load(table, **keys)
    assert "\n" not in str(caught.value)


def test_a_parquet_table_is_read_as_the_same_table_in_csv(kit: Any, mixed: pd.DataFrame) -> None:
    """Nullable and Arrow types, None, NaN and pd.NA are one kind of missing value; decimals are numbers."""
    n = len(mixed)
    whole = mixed["whole"].astype("Int64").where(pd.Series(range(n)) % 4 > 0)
    table = mixed.assign(
        whole=whole,
        arrow=whole.astype("int32[pyarrow]"),
        flag=mixed["flag"].astype("boolean").where(pd.Series(range(n)) % 3 > 0),
        sure=mixed["flag"].astype("bool[pyarrow]"),
        city=mixed["city"].astype("string"),
        note=pd.Series(["x", None] * (n // 2), dtype=object),
        price=pd.Series([Decimal(i) / 4 if i % 5 else None for i in range(n)], dtype=object),
        small=mixed["b"].astype("Float64"),
        nothing=pd.Series([None] * n, dtype=object),
    )
    as_parquet, as_csv = kit.load(table, format="parquet"), kit.load(table)
    pd.testing.assert_frame_equal(as_parquet.X, as_csv.X)
    missing = [value for column in as_parquet.X for value in as_parquet.X[column][as_parquet.X[column].isna()]]
    assert set(map(type, missing)) == {float}
    kinds = [(column.kind, column.missing) for column in as_parquet.reading.columns]
    assert kinds == [(column.kind, column.missing) for column in as_csv.reading.columns]


def test_categories_of_a_parquet_table_stay_categories(kit: Any, mixed: pd.DataFrame) -> None:
    table = mixed.assign(city=mixed["city"].astype(pd.CategoricalDtype(["Rome", "Oslo"], ordered=True)))
    dtype = kit.load(table, format="parquet").X["city"].dtype
    assert (str(dtype), dtype.ordered, list(dtype.categories)) == ("category", True, ["Rome", "Oslo"])


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
        (
            rare(2),
            {},
            r"data\.target: class 'b' has 2 rows, fewer than search\.cv=3 folds; use fewer folds \(search\.cv=2\), or leave",
        ),
        (rare(3), {}, r"data\.target: class 'b' has 2 training rows, fewer than search\.cv=3 folds"),
        (labels(["a", "b", "c", "d"], 2), {}, r"class 'a' \(and 3 more classes\) has 2 rows, fewer than"),
        (
            labels(["-0,65", "1,5", "2", "3,25"], 2),
            {},
            r"'y' holds text such as '-0,65', .* \(data\.decimal, data\.thousands\)",
        ),
        (labels(list(range(50)), 2), {}, r"holds 50 different numbers such as 0 .* choose a regressor"),
        (rare(10), {"test_size": 0.01, "stratify": True}, r"data\.test_size: 30 rows cannot be split so: "),
    ],
)
def test_too_few_rows_are_refused(kit: Any, table: pd.DataFrame, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        kit.split(table, kit.search(cv=3), **keys)


@pytest.mark.parametrize("scoring", [["roc_auc", "accuracy"], ["f1", "accuracy"], ["precision", "recall", "accuracy"]])
def test_metrics_of_two_classes_are_refused_for_three(kit: Any, scoring: list[str]) -> None:
    unsuited = ", ".join(scoring[:-1])
    message = rf"search\.scoring: {unsuited} are metrics of two classes and the target has 3; use e\.g\. 'search"
    with pytest.raises(DataError, match=message):
        kit.split(labels([0, 1, 2]), kit.search(scoring=scoring))


def test_metrics_of_many_classes_suit_two_and_three(kit: Any) -> None:
    scoring = ["accuracy", "roc_auc_ovr", "f1_macro", "neg_log_loss", "balanced_accuracy"]
    for values in ([0, 1], [0, 1, 2]):
        assert kit.split(labels(values), kit.search(scoring=scoring)).classes == tuple(values)


def few(count: int, classes: int) -> pd.DataFrame:
    """Return a table of 300 labels of which the last has ``count`` rows."""
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


def test_missing_categories_and_infinite_features_reach_the_estimator(kit: Any) -> None:
    table = labels([0, 1]).assign(x=np.inf)
    assert kit.split(table).X_train["x"].eq(np.inf).all()


# --- one-hot columns


def coded(**encoder: Any) -> dict[str, Any]:
    """Preprocessing that encodes the columns of text."""
    options = {"_target_": "sklearn.preprocessing.OneHotEncoder", "handle_unknown": "ignore", **encoder}
    return {"branches": {"text": {"columns": "categorical", "steps": {"encode": options}}}}


@pytest.mark.parametrize(
    ("bound", "encoder", "most"),
    [
        (62, {}, ""),
        (61, {}, "id"),
        (12, {"max_categories": 10}, ""),
        (11, {"max_categories": 10}, "id"),
        (3, {"min_frequency": 2}, ""),
        (2, {"min_frequency": 0.1}, "sex"),
    ],
)
def test_one_hot_columns_are_limited(kit: Any, bound: int, encoder: dict[str, Any], most: str) -> None:
    table = pd.DataFrame({"id": [f"c{i}" for i in range(60)], "sex": ["f", "m"] * 30, "y": [0, 1] * 30})
    search = kit.search(preprocess=coded(**encoder))
    if not most:
        assert len(kit.split(table, search, max_one_hot=bound).X_train) == 45
        return
    with pytest.raises(DataError) as caught:
        kit.split(table, search, max_one_hot=bound)
    assert str(caught.value).startswith("data.max_one_hot: one-hot encoding would make ")
    assert "'id' has 60 distinct values" in str(caught.value)
    assert f"data.drop=[{most}]" in str(caught.value)


def test_one_hot_columns_inside_of_a_stack_are_limited_by_the_widest_member(kit: Any) -> None:
    encoder = {"_target_": "sklearn.preprocessing.OneHotEncoder", "handle_unknown": "ignore"}
    tree = {"_target_": "sklearn.tree.DecisionTreeClassifier"}
    member = {"_target_": "sklearn.pipeline.Pipeline", "steps": {"encode": encoder, "tree": tree}}
    table = pd.DataFrame({"id": [f"c{i}" for i in range(60)], "y": [0, 1] * 30})
    params = {"estimators": {"one": member, "other": member}}
    search = kit.search("sklearn.ensemble.StackingClassifier", params=params)
    assert len(kit.split(table, search, max_one_hot=60).X_train) == 45
    with pytest.raises(DataError, match="one-hot encoding would make 60 columns of the table"):
        kit.split(table, search, max_one_hot=59)


def test_numbers_and_a_table_without_encoder_are_not_limited(kit: Any) -> None:
    table = pd.DataFrame({"id": range(60), "y": [0, 1] * 30})
    assert len(kit.split(table, kit.search(preprocess=coded()), max_one_hot=1).X_train) == 45
    assert len(kit.split(table, max_one_hot=1).X_train) == 45
