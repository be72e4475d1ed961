"""Rules by which one fit serves several candidates.

``RULES`` are ours. A search takes its rules from its class, so another set is a subclass of one line:

    class Mine(SharedGridSearchCV):
        rules = (*SharedGridSearchCV.rules, MyRule())
"""

from orchestrator.search.reuse.adaboost import AdaBoosts
from orchestrator.search.reuse.bagging import Baggings
from orchestrator.search.reuse.base import ReuseRule
from orchestrator.search.reuse.forests import Forests
from orchestrator.search.reuse.gradient_boosting import GradientBoostings
from orchestrator.search.reuse.hist_gradient_boosting import HistGradientBoostings
from orchestrator.search.reuse.neighbors import KDTrees

RULES: tuple[ReuseRule, ...] = (
    Forests(),
    GradientBoostings(),
    HistGradientBoostings(),
    AdaBoosts(),
    Baggings(),
    KDTrees(),
)

__all__ = ["RULES", "ReuseRule"]
