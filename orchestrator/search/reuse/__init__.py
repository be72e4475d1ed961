"""Rules by which one fit serves several candidates.

A search takes its rules from its class, so another set is a subclass of one line:

    class MySearch(SharedGridSearchCV):
        rules = (*SharedGridSearchCV.rules, MyRule())
"""

from orchestrator.search.reuse.adaboost import AdaBoostRule
from orchestrator.search.reuse.bagging import BaggingRule
from orchestrator.search.reuse.base import ReuseRule
from orchestrator.search.reuse.forests import ForestRule
from orchestrator.search.reuse.gradient_boosting import GradientBoostingRule
from orchestrator.search.reuse.hist_gradient_boosting import HistGradientBoostingRule
from orchestrator.search.reuse.neighbors import KDTreeRule

REUSE_RULES: tuple[ReuseRule, ...] = (
    ForestRule(),
    GradientBoostingRule(),
    HistGradientBoostingRule(),
    AdaBoostRule(),
    BaggingRule(),
    KDTreeRule(),
)

__all__ = ["REUSE_RULES", "ReuseRule"]
