"""Which columns of a table are of which kind, and transformers of ordered categories and of free text.

They ship with every package beside ``score.transforms``, as a pickled pipeline names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

if TYPE_CHECKING:
    import pandas as pd

WORD = r"\w+"  # of one letter, too
MOST = 40  # distinct values of a column of categories, above which it has many
_SENTENCE = 3  # words of a value on average, from which a column is free text
_REPEATED = 0.5  # share of distinct texts among the rows, above which they may be free text
_SAMPLE = 1000  # distinct texts of which words are counted


class ColumnsOfKind:
    """Selects the columns of one kind, for a ``ColumnTransformer`` with a branch for each of some ``kinds``.

    A column is ``ordered`` by its dtype, ``text`` if most of its values are different and of several words,
    ``high_cardinality`` if it has more than ``most`` distinct values, and else ``categorical`` if it holds no numbers.
    A column whose kind has no branch takes the next one that fits, so that each column has one branch.
    """

    def __init__(self, kind: str, kinds: Sequence[str], most: int = MOST) -> None:
        self.kind, self.kinds, self.most = kind, tuple(kinds), most

    def __call__(self, X: pd.DataFrame) -> list[str]:
        """Return the names of the columns of this kind in ``X`` (n_rows, n_columns)."""
        others = X.select_dtypes(exclude="number")
        return [str(name) for name in others.columns if self.kind_of(X[name]) == self.kind]

    def kind_of(self, values: pd.Series) -> str:
        """Return the kind of a column (n_rows,) that holds no numbers; dates are of no other kind."""
        if values.dtype.kind == "M":
            return "datetime"
        return next((kind for kind in self._fitting(values) if kind in self.kinds), "categorical")

    def _fitting(self, values: pd.Series) -> Iterator[str]:
        if getattr(values.dtype, "ordered", False):
            yield "ordered"
        if not {"text", "high_cardinality"} & {*self.kinds}:
            return
        present = values.dropna()
        levels = present.nunique()
        if levels > self.most:
            if levels > _REPEATED * len(present) and _has_sentences(present):
                yield "text"
            yield "high_cardinality"


def _has_sentences(present: pd.Series) -> bool:
    if present.dtype == "category":
        return False
    texts = present.unique()[:_SAMPLE].tolist()
    return all(isinstance(text, str) for text in texts) and sum(len(text.split()) for text in texts) >= (
        _SENTENCE * len(texts)
    )


class OrderedToNumbers(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Replace ordered categories by their places 0, 1, 2 ... in the dtype's order; missing and unseen ones by NaN.

    ``OrdinalEncoder`` sorts the values of a column, and does not see the order that pandas keeps with the dtype.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> OrderedToNumbers:  # noqa: ARG002  # scikit-learn's signature
        """Remember the categories of each column of ``X`` (n_rows, n_columns).

        Raises:
            TypeError: a column is not of pandas' dtype of categories.
        """
        for name in X.columns:
            if X[name].dtype != "category":
                raise TypeError(f"OrderedToNumbers: column {name!r} is of dtype {X[name].dtype}, and not category")
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.categories_ = [X[name].cat.categories.to_numpy() for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        """Return the places (n_rows, n_columns) as float64."""
        import pandas as pd

        places = np.empty(X.shape)
        for place, (name, levels) in enumerate(zip(self.feature_names_in_, self.categories_, strict=True)):
            places[:, place] = pd.Index(levels, dtype=object).get_indexer(pd.Index(X[name], dtype=object))
        return np.where(places < 0, np.nan, places)


class CodesToCategories(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Make columns of pandas' dtype of categories from codes 0, 1, 2 ... of categories; what is no code is missing.

    The dtype has all codes of the training rows, whichever a request holds: some libraries take the place of a category in
    its dtype for the category.
    """

    def fit(self, X: Any, y: Any = None) -> CodesToCategories:  # noqa: ARG002  # scikit-learn's signature
        """Count the codes of each column of ``X`` (n_rows, n_columns)."""
        table = np.asarray(X, dtype=np.float64)
        self.n_features_in_ = table.shape[1]
        self.counts_ = [int(most) + 1 for most in np.nan_to_num(table, nan=-1).max(axis=0, initial=-1)]
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        return self

    def transform(self, X: Any) -> pd.DataFrame:
        """Return the columns (n_rows, n_columns) as categories."""
        import pandas as pd

        table = np.asarray(X, dtype=np.float64)
        made = {}
        for name, count, codes in zip(self.get_feature_names_out(), self.counts_, table.T, strict=True):
            known = np.isin(codes, np.arange(count))
            places = np.where(known, codes, -1).astype(np.int64)
            made[name] = pd.Categorical.from_codes(places, categories=pd.RangeIndex(count))
        return pd.DataFrame(made, index=getattr(X, "index", None))


class WordWeights(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Weigh the most frequent words of each column of text as scikit-learn's ``TfidfVectorizer`` does.

    Each column becomes at most ``max_features`` columns; a missing text has no words.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"max_features": [int]}

    def __init__(self, max_features: int = 100) -> None:
        self.max_features = max_features

    def fit(self, X: pd.DataFrame, y: Any = None) -> WordWeights:  # noqa: ARG002  # scikit-learn's signature
        """Count the words of each column of ``X`` (n_rows, n_columns)."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._validate_params()
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.vectorizers_ = []
        for name in X.columns:
            vectorizer = TfidfVectorizer(max_features=self.max_features, token_pattern=WORD, sublinear_tf=True)
            try:
                self.vectorizers_.append(vectorizer.fit(_texts(X[name])))
            except ValueError:  # not one word in the whole column
                self.vectorizers_.append(None)
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        """Return the weights (n_rows, n_words of all columns) as float64."""
        parts = [np.empty((len(X), 0))]
        for name, vectorizer in zip(self.feature_names_in_, self.vectorizers_, strict=True):
            if vectorizer is not None:
                parts.append(vectorizer.transform(_texts(X[name])).toarray())
        return np.hstack(parts)


def _texts(values: pd.Series) -> list[str]:
    return [value if isinstance(value, str) else "" for value in values]
