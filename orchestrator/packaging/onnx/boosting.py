"""What is read from a model of LightGBM, XGBoost or CatBoost: its trees, and how their sums become answers.

Public converters of these libraries store thresholds in the wrong precision (onnxmltools issues 708 and 728), or leave
out the value that sums start from (671). Here each library's own dump is read, with its rules for missing values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.modeling.boosting_libraries import library_of
from orchestrator.packaging.onnx.category_splits import CategorySplits
from orchestrator.packaging.onnx.trees import Tree

Link = Literal["identity", "exp", "sigmoid", "softmax", "sigmoids"]


@dataclass(frozen=True)
class Boosting:
    """The trees of a model.

    Attributes:
        trees: In the order in which the library adds them.
        targets: The output that each tree adds to.
        base: The value that the sum of each output starts from (n_outputs,).
        compares: The dtype that rows are rounded to before they are compared with thresholds.
        sums: The dtype that leaves are added in.
        link: The function of the sums that the model returns.
        scale: The factor of the sums within the link.
        categories: The sets of splits on categories.
    """

    trees: list[Tree]
    targets: list[int]
    base: Any
    compares: type[Any]
    sums: type[Any]
    link: Link
    scale: float = 1.0
    categories: CategorySplits | None = None


def find_reader(estimator: Any) -> Callable[[Any], Boosting] | None:
    """Return what reads a fitted estimator; None for one of another library.

    The returned function raises NotImplementedError for a model with parts that have no translation.
    """
    library = library_of(type(estimator))
    if library == "lightgbm":
        from orchestrator.packaging.onnx.lightgbm_trees import read_lightgbm

        return read_lightgbm
    if library == "xgboost":
        from orchestrator.packaging.onnx.xgboost_trees import read_xgboost

        return read_xgboost
    if library == "catboost":
        from orchestrator.packaging.onnx.catboost_trees import read_catboost

        return read_catboost
    return None
