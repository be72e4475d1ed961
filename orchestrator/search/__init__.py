"""Grid, randomized and halving search with scikit-learn's results, from less work: what candidates share is done once.

``estimators`` are the searches, ``plan`` groups the candidates that share something, ``unit`` does one part of the
work (maybe in another process), ``prefix`` and ``rules`` are what can be shared, and ``seam`` is all that is known of
scikit-learn's inside.
"""

from orchestrator.search.estimators import (
    UPDATES,
    SharedGridSearchCV,
    SharedHalvingGridSearchCV,
    SharedRandomizedSearchCV,
    errors_of,
    work_of,
)
from orchestrator.search.reuse import RULES, ReuseRule

__all__ = [
    "RULES",
    "UPDATES",
    "ReuseRule",
    "SharedGridSearchCV",
    "SharedHalvingGridSearchCV",
    "SharedRandomizedSearchCV",
    "errors_of",
    "work_of",
]
