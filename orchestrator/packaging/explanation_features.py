"""Which column of the table each feature of a fitted pipeline's last step was made from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.category_codes import branch_positions


def feature_columns(pipeline: Any, columns: Sequence[str], features: int) -> Any:
    """Return the position of the column that each feature (n_features,) was made from.

    Raises:
        NotImplementedError: a step makes a feature from several columns, or is not known.
    """
    owners = _through(list(range(len(columns))), [step for _, step in getattr(pipeline, "steps", [])[:-1]])
    if len(owners) != features:
        raise NotImplementedError(f"{len(owners)} features of the steps are {features} of the model")
    return np.array(owners, dtype=np.int64)


def _through(owners: list[int], steps: Sequence[Any]) -> list[int]:
    for step in steps:
        if step is not None and step != "passthrough" and hasattr(step, "transform"):
            owners = _after(owners, step)
    return owners


def _after(owners: list[int], step: Any) -> list[int]:
    """Return the column of each output of a fitted step, from the column of each input."""
    for kinds, derive in _rules():
        if isinstance(step, kinds):
            found: list[int] | None = derive(owners, step)
            if found is not None:
                return found
    if hasattr(step, "output_to_input_") and len(step.feature_names_in_) == len(owners):  # skrub's
        places = dict(zip(step.feature_names_in_, owners, strict=True))
        return [places[step.output_to_input_[name]] for name in step.get_feature_names_out()]
    if len(set(owners)) == 1:  # whatever it does
        return owners[:1] * len(step.get_feature_names_out())
    raise NotImplementedError(f"{type(step).__name__} may make a feature from several columns")


def _rules() -> list[tuple[Any, Any]]:
    """Return classes of steps with the function of owners and step, which gives None where it does not know; first match."""
    from sklearn import compose, feature_selection, impute, pipeline, preprocessing
    from sklearn.base import OneToOneFeatureMixin

    from score import column_transforms, transforms

    return [
        (pipeline.Pipeline, lambda owners, step: _through(owners, [each for _, each in step.steps])),
        (compose.ColumnTransformer, _branches),
        (pipeline.FeatureUnion, _union),
        (impute.SimpleImputer, _imputed),
        (preprocessing.OneHotEncoder, lambda owners, step: _repeated(owners, step._n_features_outs)),  # noqa: SLF001 - no public name
        (preprocessing.TargetEncoder, lambda owners, step: _repeated(owners, _even(owners, len(step.encodings_)))),
        (preprocessing.KBinsDiscretizer, _bins),
        (preprocessing.SplineTransformer, lambda owners, step: _repeated(owners, _even(owners, step.n_features_out_))),
        (transforms.DateParts, _date_parts),
        (column_transforms.WordWeights, _words),
        (feature_selection.SelectorMixin, lambda owners, step: list(compress(owners, step.get_support()))),
        (preprocessing.Normalizer, lambda *_: None),
        ((OneToOneFeatureMixin, column_transforms.OrderedToNumbers), lambda owners, _: owners),
        (preprocessing.FunctionTransformer, _function),
    ]


def _union(owners: list[int], step: Any) -> list[int]:
    """Return the columns of a FeatureUnion's outputs."""
    parts = [each for _, each in step.transformer_list if each != "drop"]
    return [owner for each in parts for owner in (owners if each == "passthrough" else _after(owners, each))]


def _even(owners: list[int], outputs: int) -> list[int]:
    return [outputs // len(owners)] * len(owners)


def _bins(owners: list[int], step: Any) -> list[int]:
    return owners if step.encode == "ordinal" else _repeated(owners, step.n_bins_)


def _date_parts(owners: list[int], step: Any) -> list[int]:
    counts = [len(step._names(name)) if name in step.dates_ else 1 for name in step.feature_names_in_]  # noqa: SLF001
    return _repeated(owners, counts)


def _words(owners: list[int], step: Any) -> list[int]:
    return _repeated(owners, [0 if each is None else len(each.vocabulary_) for each in step.vectorizers_])


def _function(owners: list[int], step: Any) -> list[int] | None:
    return owners if step.func is None or step.feature_names_out == "one-to-one" else None


def _branches(owners: list[int], step: Any) -> list[int]:
    """Return the columns of a ColumnTransformer's outputs."""
    found = [-1] * max(part.stop for part in step.output_indices_.values())
    for name, inner, keys in step.transformers_:
        part = step.output_indices_[name]
        if part.start == part.stop:
            continue
        taken = [owners[place] for place in branch_positions(step, keys)]
        made = taken if isinstance(inner, str) else _after(taken, inner)
        if len(made) != part.stop - part.start:
            raise NotImplementedError(f"the branch {name} has {part.stop - part.start} features, and not {len(made)}")
        found[part] = made
    return found


def _imputed(owners: list[int], step: Any) -> list[int]:
    """Return the columns of a SimpleImputer's outputs: it drops those without values, and may add where some were missing."""
    empty = [isinstance(value, float) and np.isnan(value) for value in step.statistics_]
    kept = [owner for owner, lost in zip(owners, empty, strict=True) if step.keep_empty_features or not lost]
    return kept + [owners[place] for place in (step.indicator_.features_ if step.add_indicator else ())]


def _repeated(owners: list[int], counts: Any) -> list[int]:
    return [owner for owner, count in zip(owners, counts, strict=True) for _ in range(count)]
