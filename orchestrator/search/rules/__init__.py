"""Rules by which one fit serves several candidates.

``RULES`` are ours. A search takes its rules from its class, so another set is a subclass of one line:

    class Mine(SharedGridSearchCV):
        rules = (*SharedGridSearchCV.rules, MyRule())
"""

from orchestrator.search.rules.adaboost import AdaBoosts
from orchestrator.search.rules.bagging import Baggings
from orchestrator.search.rules.forests import Forests
from orchestrator.search.rules.gradient_boosting import GradientBoostings
from orchestrator.search.rules.hist_gradient_boosting import HistGradientBoostings
from orchestrator.search.rules.neighbors import KDTrees
from orchestrator.search.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    Forests(),
    GradientBoostings(),
    HistGradientBoostings(),
    AdaBoosts(),
    Baggings(),
    KDTrees(),
)

__all__ = ["RULES", "Rule"]
