"""Grid, randomized and halving search with scikit-learn's exact results, computing what candidates share once.

Start reading at ``estimators``; ``grouping`` finds the candidates that share work, ``runner`` and ``worker`` do it,
``preprocessing`` and ``reuse`` hold what can be shared, and ``sklearn_private`` is all that depends on private API.
"""

from orchestrator.search.estimators import (
    UPDATES,
    SharedGridSearchCV,
    SharedHalvingGridSearchCV,
    SharedRandomizedSearchCV,
    fit_counts,
    fit_errors,
)
from orchestrator.search.reuse import REUSE_RULES, ReuseRule

__all__ = [
    "REUSE_RULES",
    "UPDATES",
    "ReuseRule",
    "SharedGridSearchCV",
    "SharedHalvingGridSearchCV",
    "SharedRandomizedSearchCV",
    "fit_counts",
    "fit_errors",
]
