"""Evaluate one work unit: the candidates of some groups in one fold, in any process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sklearn.base import clone

from orchestrator.search import random_state
from orchestrator.search.fast_scoring import FastScorer
from orchestrator.search.grouping import CandidateGroup, PipelineLayout
from orchestrator.search.preprocessing import FoldData, preprocess_groups
from orchestrator.search.shared_data import NotShareableError, is_unmodified, read_only_view
from orchestrator.search.sklearn_private import Fold, SearchJob

Result = tuple[int, dict[str, Any], int]  # the candidate, what _fit_and_score returns, how many fits it took


def run_unit(
    job: SearchJob, fold: Fold, groups: Sequence[CandidateGroup], candidates: Mapping[int, Any]
) -> Iterator[Result]:
    """Yield each candidate's result. A candidate whose shared work fails in any way is fitted by scikit-learn."""
    sharing = [group for group in groups if group.shares]
    if sharing:
        yield from _SharedUnit(job, fold, candidates).run(sharing)
    individual = [group for group in groups if not group.shares]
    yield from _fit_individually(job, fold, individual, candidates)


def _fit_individually(
    job: SearchJob, fold: Fold, groups: Sequence[CandidateGroup], candidates: Mapping[int, Any]
) -> Iterator[Result]:
    for group in groups:
        for member in group.members:
            yield member, job.fit_and_score(member, candidates[member], fold), 1


class _SharedUnit:
    """The groups of one fold that share work."""

    def __init__(self, job: SearchJob, fold: Fold, candidates: Mapping[int, Any]) -> None:
        self.job, self.fold, self.candidates = job, fold, candidates
        self.layout = PipelineLayout.from_estimator(job.estimator) or PipelineLayout((), "")
        self.scorer = FastScorer(job.options["scorer"])

    def run(self, groups: Sequence[CandidateGroup]) -> Iterator[Result]:
        X_train, y_train, X_test, self.y_test = self.job.split_data(self.fold)
        self.rows, self.n_test = (X.shape[0] if hasattr(X, "shape") else len(X) for X in (X_train, X_test))
        data = FoldData(X_train, y_train, X_test, X_train if self.job.options["return_train_score"] else None)
        del X_train, X_test
        for part, preprocessed in preprocess_groups(self.job.estimator, self.candidates, groups, data):
            for group in part:
                done = set()
                if preprocessed is not None:
                    for result in self._evaluate_group(group, preprocessed):
                        done.add(result[0])
                        yield result
                remaining = tuple(member for member in group.members if member not in done)
                yield from _fit_individually(self.job, self.fold, [replace(group, members=remaining)], self.candidates)

    def _evaluate_group(self, group: CandidateGroup, data: FoldData) -> Iterator[Result]:
        """Yield the results of those members whose shared work succeeds."""
        try:
            view = replace(data, test=read_only_view(data.test), train=read_only_view(data.train))
            fitted = self._fit_group(group, view)
        except Exception:  # noqa: BLE001 - whatever an estimator raises
            return
        for at, (member, (estimator, seconds)) in enumerate(fitted.items()):
            try:
                result = self._score(estimator, view)
                if not (is_unmodified(view.test, data.test) and is_unmodified(view.train, data.train)):
                    raise NotShareableError("the estimator changes what it predicts for")  # noqa: TRY301
            except Exception:  # noqa: BLE001, S112 - as above; the plain fit reports it
                continue
            result["fit_time"] = data.seconds + seconds
            yield member, result, int(at == 0)

    def _fit_group(self, group: CandidateGroup, data: FoldData) -> dict[int, tuple[Any, float]]:
        """Return a fitted estimator for each member and its seconds; those of a shared fit are divided equally."""
        started = time.perf_counter()
        members = {at: self.layout.build_final(self.job.estimator, self.candidates[at]) for at in group.members}
        rule = group.rule
        if rule is None or len(members) == 1:
            ((at, estimator),) = members.items()
            return {at: (self._fit(estimator, data), time.perf_counter() - started)}
        sizes = {at: rule.size(member) for at, member in members.items() if rule.applies(member, self.rows)}
        valid_sizes = {at: size for at, size in sizes.items() if size is not None}
        largest = self._fit(clone(members[max(valid_sizes, key=lambda at: valid_sizes[at])]), data)
        truncated = {at: rule.truncate_to(largest, members[at]) for at in valid_sizes}
        for X in (data.test, data.train):
            if X is not None:
                rule.memoize_prediction(largest, list(truncated.values()), X)
        seconds = (time.perf_counter() - started) / len(truncated)
        return {at: (estimator, seconds) for at, estimator in truncated.items()}

    def _fit(self, estimator: Any, data: FoldData) -> Any:
        params = self.job.params_for("fit_params", self.fold.train)
        if self.layout.final:
            params = {name.partition("__")[2]: value for name, value in params.items()}
        X, y = read_only_view(data.fit), read_only_view(data.y)
        with random_state.preserve_state(estimator):
            if y is None and not self.layout.final:
                return estimator.fit(X, **params)
            return estimator.fit(X, y, **params)

    def _score(self, estimator: Any, data: FoldData) -> dict[str, Any]:
        started = time.perf_counter()
        result: dict[str, Any] = {
            "fit_error": None,
            "test_scores": self._compute_scores(estimator, data.test, self.y_test, self.fold.test),
            "n_test_samples": self.n_test,
            "score_time": time.perf_counter() - started,
        }
        if data.train is not None:
            result["train_scores"] = self._compute_scores(estimator, data.train, data.y, self.fold.train)
        return result

    def _compute_scores(self, estimator: Any, X: Any, y: Any, rows: Any) -> Any:
        params = self.job.params_for("score_params", rows)
        labels = read_only_view(self.scorer.convert_labels(y))
        return self.scorer(estimator, X, labels, params)
