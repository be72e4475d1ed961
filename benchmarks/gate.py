"""The gate's decisions on pairs of models whose truth is known: ``python benchmarks/gate.py [--pairs 200] [--looks 1000]``.

Equally good: two models whose scores come from the same distribution (simulated), and two logistic regressions of one table
(data/diabetes.csv), each fitted on its own random half of the training rows; neither is better in expectation. Better: the
same with a gain. The gains follow a rule that is fixed before anything is run: the difference that the plan's formula
(``orchestrator.uncertainty.detectable``) says is found with a probability of 0.8, which is what the plan prints, and of 0.9, at
the level of a first decision, on as many hold-out rows and with the champion that the equal pairs have. On the real table the
champion knows only two columns. Beside the gate stands the plain rule "a higher score on the hold-out rows". A gate that promotes
equally good models in 5 % of the pairs at most is right: the rate may exceed that by the error of so many pairs.

The ledger: one hold-out set, a champion that cannot be improved, and proposals one after another that add weights of columns of
noise. Each proposal changes the present champion; what is promoted becomes the champion. What counts is the champion's true
area under the ROC curve at the end, which is computed from 20,000 rows that no rule sees.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from scipy.optimize import brentq  # noqa: E402
from scipy.special import expit, ndtr, ndtri  # noqa: E402
from scipy.stats import rankdata  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import StratifiedKFold, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from orchestrator.gate.ledger import spend  # noqa: E402
from orchestrator.uncertainty.comparisons import (  # noqa: E402
    PairedComparison,
    by_rows,
    compare_aucs,
    compare_by_bootstrap,
    compare_folds,
    is_shown,
)
from orchestrator.uncertainty.detectable import POWER, smallest_difference  # noqa: E402

ALPHA, POSITIVE, DISTANCE = 0.05, 0.35, 1.2  # the share of positive rows, and the distance of the champion's classes
FIRST = spend(ALPHA, 1)  # the level of the first comparison on a hold-out set
Pairs = Iterator[PairedComparison]


def auc(y: Any, scores: Any) -> float:
    """Return the area under the ROC curve, without scikit-learn's checks."""
    positives = int(y.sum())
    ranks = rankdata(scores)[y == 1].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * (len(y) - positives)))


def f1(y: Any, labels: Any) -> float:
    """Return F1, without scikit-learn's checks."""
    return float(2 * (y * labels).sum() / (y.sum() + labels.sum()))


def simulated(random: Any, pairs: int, rows: int, gain: float) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (y, first, second): scores of two models whose classes are ``DISTANCE`` + ``gain`` and ``DISTANCE`` apart.

    Half of the variance of their errors is shared, as of models of the same table.
    """
    for _ in range(pairs):
        y = (random.random(rows) < POSITIVE).astype(int)
        shared, own, other = random.normal(size=(3, rows)) * np.sqrt(0.5)
        yield y, (DISTANCE + gain) * y + shared + own, DISTANCE * y + shared + other


def true_auc(distance: float) -> float:
    """Return the area under the ROC curve of scores whose classes are so far apart."""
    return float(ndtr(distance / np.sqrt(2)))


def true_f1(distance: float) -> float:
    """Return F1 of the labels that are cut in the middle between the classes."""
    right = ndtr(distance / 2)
    return float(2 * POSITIVE * right / (POSITIVE * right + (1 - POSITIVE) * (1 - right) + POSITIVE))


def gain_for(metric: str, rows: int, power: float) -> tuple[float, str]:
    """Return the gain in distance that the plan's formula says is found with this power, and the scores with and without it."""
    positives = round(POSITIVE * rows)
    planned = smallest_difference(metric, [rows - positives, positives])
    assert planned is not None
    level = ndtri(1 - FIRST)
    difference = planned * (level + ndtri(power)) / (level + ndtri(POWER))
    score = true_auc if metric == "roc_auc" else true_f1
    champion = score(DISTANCE)
    gain = float(brentq(lambda extra: score(DISTANCE + extra) - champion - difference, 0.0, 20.0))
    return gain, f"{champion + difference:.3f} for {champion:.3f}"


def by_auc(random: Any, pairs: int, rows: int, gain: float = 0.0) -> Pairs:
    """Compare simulated models by DeLong's test."""
    for y, first, second in simulated(random, pairs, rows, gain):
        yield compare_aucs(y, first, second)


def by_f1(random: Any, pairs: int, rows: int, gain: float = 0.0) -> Pairs:
    """Compare the labels of simulated models, cut at the middle between the classes, by the bootstrap of F1."""
    for y, first, second in simulated(random, pairs, rows, gain):
        labels = [(first > (DISTANCE + gain) / 2).astype(int), (second > DISTANCE / 2).astype(int)]

        def score(at: Any, y: Any = y, labels: Any = labels) -> tuple[float, float]:
            return f1(y[at], labels[0][at]), f1(y[at], labels[1][at])

        differing = int((labels[0] != labels[1]).sum())
        yield compare_by_bootstrap(by_rows(score), rows, differing=differing, seed=0, strata=y)


def table() -> tuple[Any, Any]:
    """Return the features and the target of the bundled table."""
    import pandas as pd

    read = pd.read_csv(ROOT / "data" / "diabetes.csv")
    return read.drop(columns="Outcome").to_numpy(), read["Outcome"].to_numpy()


def fitted(X: Any, y: Any) -> Any:
    """Return a fitted logistic regression."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)


def real_by_auc(random: Any, pairs: int, *, better: bool = False) -> Pairs:
    """Compare two fits of the real table, each on its own half of the training rows, on 154 hold-out rows.

    ``better``: the second one knows only the two columns that say least (blood pressure and skin thickness).
    """
    X, y = table()
    for _ in range(pairs):
        train, test = train_test_split(
            np.arange(len(y)), test_size=0.2, stratify=y, random_state=random.integers(2**31)
        )
        order = random.permutation(train)
        halves = np.array_split(order, 2)
        columns = [np.arange(X.shape[1]), np.array([2, 3]) if better else np.arange(X.shape[1])]
        models = [fitted(X[half][:, known], y[half]) for half, known in zip(halves, columns, strict=True)]
        scores = [each.decision_function(X[test][:, known]) for each, known in zip(models, columns, strict=True)]
        yield compare_aucs(y[test], *scores)


def by_folds(random: Any, pairs: int) -> Pairs:
    """Compare by the corrected t-test on five folds of simulated rows: each model lacks one of two equal columns."""
    for _ in range(pairs):
        X = random.normal(size=(300, 4))
        y = (random.random(300) < expit(X[:, :2].sum(axis=1))).astype(int)
        found: list[list[float]] = [[], []]
        for train, test in StratifiedKFold(5).split(X, y):
            for scores, known in zip(found, ([0, 2], [1, 3]), strict=True):
                scores.append(auc(y[test], fitted(X[train][:, known], y[train]).decision_function(X[test][:, known])))
        yield compare_folds(found[0], found[1], test_share=0.25, rows=300)


def report(name: str, pairs: Pairs, level: float = FIRST) -> None:
    """Print how often the first of two models is promoted, by the gate and by the plain rule."""
    began = time.perf_counter()
    compared = list(pairs)
    gate = np.mean([is_shown(each, "better", 0.0, level) for each in compared])
    plain = np.mean([each.difference > 0 for each in compared])
    error = np.sqrt(gate * (1 - gate) / len(compared))
    seconds = time.perf_counter() - began
    print(f"{name:<64} {gate:6.1%} ± {error:.1%}   {plain:6.1%}   {seconds:5.1f} s", flush=True)


# The ledger

Rule = Callable[[Any, Any, Any, int], bool]  # (y, proposal, champion, k) -> whether it is promoted


def plain_rule(y: Any, proposal: Any, champion: Any, _k: int) -> bool:
    """Promote a higher score."""
    return auc(y, proposal) > auc(y, champion)


def fixed_level(y: Any, proposal: Any, champion: Any, _k: int) -> bool:
    """Promote what a test shows at the same level each time."""
    return is_shown(compare_aucs(y, proposal, champion), "better", 0.0, ALPHA)


def spent_level(y: Any, proposal: Any, champion: Any, k: int) -> bool:
    """Promote what a test shows at the level that is left: the gate's rule."""
    return is_shown(compare_aucs(y, proposal, champion), "better", 0.0, spend(ALPHA, k))


def bonferroni(looks: int) -> Rule:
    """Return the rule for a number of looks that is known in advance."""
    return lambda y, proposal, champion, _k: is_shown(compare_aucs(y, proposal, champion), "better", 0.0, ALPHA / looks)


class Thresholdout:
    """Dwork et al. (2015): answer by the training score, and by the noisy hold-out score where the two differ."""

    def __init__(self, random: Any, training: Callable[[Any], float], threshold: float, noise: float) -> None:
        self.random, self.training, self.threshold, self.noise = random, training, threshold, noise
        self.best = -np.inf

    def __call__(self, weights: Any, held_out: float) -> bool:
        """Return whether the answer is the best so far."""
        known = self.training(weights)
        draw = self.random.laplace
        far = abs(known - held_out) > self.threshold + draw(scale=4 * self.noise)
        answer = held_out + draw(scale=self.noise) if far else known
        promoted = answer > self.best
        self.best = max(self.best, answer)
        return bool(promoted)


def rows_of(random: Any, rows: int, truth: Any) -> tuple[Any, Any]:
    """Return features and classes."""
    X = random.normal(size=(rows, len(truth)))
    return X, (random.random(rows) < expit(X @ truth)).astype(int)


def spoil(rule: Rule | None, looks: int, held_out: int, seed: int) -> tuple[float, float, int]:
    """Return the champion's true score before and after so many proposals, and the number of promotions.

    Without a rule Thresholdout decides.
    """
    random = np.random.default_rng(seed)
    truth = np.concatenate([[1.0, 0.7, 0.5], np.zeros(57)])
    X, y = rows_of(random, held_out, truth)
    X_train, y_train = rows_of(random, 4 * held_out, truth)
    X_true, y_true = rows_of(random, 20_000, truth)
    reusable = Thresholdout(random, lambda weights: auc(y_train, X_train @ weights), 0.04, 0.01)
    champion, promoted = truth, 0
    before = auc(y_true, X_true @ champion)
    reusable(champion, auc(y, X @ champion))
    for k in range(1, looks + 1):
        proposal = champion + np.concatenate([np.zeros(3), random.normal(scale=0.05, size=57)])
        scores = X @ proposal
        better = reusable(proposal, auc(y, scores)) if rule is None else rule(y, scores, X @ champion, k)
        if better:
            champion, promoted = proposal, promoted + 1
    return before, auc(y_true, X_true @ champion), promoted


def report_ledger(looks: int, held_out: int, repeats: int) -> None:
    """Print what each rule leaves of the champion."""
    rules: dict[str, Rule | None] = {
        "a higher score (no gate)": plain_rule,
        "a test at 0.05 each time (no ledger)": fixed_level,
        "the gate: 0.05 / (k (k + 1)) at the k-th look": spent_level,
        f"Bonferroni for {looks} looks known in advance": bonferroni(looks),
        "Thresholdout (threshold 0.04, noise 0.01)": None,
    }
    print(f"\n{looks} random proposals, {held_out} hold-out rows, mean of {repeats} repeats")
    print(f"{'':<50} {'true AUC before':>16} {'after':>8} {'change':>9} {'promotions':>11}")
    for name, rule in rules.items():
        found = np.array([spoil(rule, looks, held_out, seed) for seed in range(repeats)])
        before, after, promoted = found.mean(axis=0)
        print(f"{name:<50} {before:16.4f} {after:8.4f} {after - before:+9.4f} {promoted:11.1f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--looks", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    pairs, random = arguments.pairs, np.random.default_rng(0)
    print(f"{'promoted, of ' + str(pairs) + ' pairs':<64} {'gate':>13}   {'plain':>6}")
    report("equal, simulated, 154 rows, AUC (DeLong)", by_auc(random, pairs, 154))
    report("equal, simulated, 1,000 rows, AUC (DeLong)", by_auc(random, pairs, 1000))
    report("equal, simulated, 154 rows, F1 (paired bootstrap)", by_f1(random, pairs, 154))
    report("equal, simulated, 154 rows, AUC, alone at level 0.05", by_auc(random, pairs, 154), ALPHA)
    report("equal, simulated, five folds of 300 rows (corrected t-test)", by_folds(random, pairs), ALPHA)
    report("equal, diabetes.csv, 154 rows, AUC (DeLong)", real_by_auc(random, pairs))
    for power in (POWER, 0.9):
        for rows in (154, 1000):
            gain, scores = gain_for("roc_auc", rows, power)
            report(f"better: AUC {scores}, {rows:,} rows, power {power} planned", by_auc(random, pairs, rows, gain))
        gain, scores = gain_for("f1", 154, power)
        report(f"better: F1 {scores}, 154 rows, power {power} planned", by_f1(random, pairs, 154, gain))
    report("better: diabetes.csv, all columns for two, 154 rows (DeLong)", real_by_auc(random, pairs, better=True))
    report_ledger(arguments.looks, 154, arguments.repeats)


if __name__ == "__main__":
    main()
