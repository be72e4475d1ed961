"""Give a search parameters of its rows, such as weights, for the fits of the last step and for the scorers.

In a search of scikit-learn one method routes the parameters of ``fit`` to the estimator and the scorer; each fit and each
score then gets those of its rows. Without metadata routing a parameter of a step and one of the scorers cannot both be given
to ``fit``, and with it every step, nested estimator and scorer must request them beforehand. So the method's answer is
extended here: the scores are those of scikit-learn with metadata routing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def row_params(search: Any, fit: Mapping[str, Any], score: Mapping[str, Any]) -> Iterator[None]:
    """Make ``search.fit`` give each fit and each score its rows' part of these parameters, arrays (n_rows,) by name."""
    route = search._get_routed_params_for_fit  # noqa: SLF001 - scikit-learn has no public way

    def extended(params: Any) -> Any:
        routed = route(params)
        routed.estimator.fit = {**routed.estimator.fit, **fit}
        routed.scorer.score = {**routed.scorer.score, **score}
        return routed

    search._get_routed_params_for_fit = extended  # noqa: SLF001
    try:
        yield
    finally:
        del search._get_routed_params_for_fit  # noqa: SLF001
