"""Doing one unit of work: the results of its candidates in one fold, in whatever process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sklearn.base import clone

from orchestrator.search import preprocessing, random_state
from orchestrator.search.fast_scoring import Scoring
from orchestrator.search.grouping import Group, Layout
from orchestrator.search.shared_data import Unshareable, is_unmodified, read_only_view
from orchestrator.search.sklearn_private import Fold, Job

Result = tuple[int, dict[str, Any], int]  # the candidate, what _fit_and_score would give, how many fits it took


def work(job: Job, fold: Fold, groups: Sequence[Group], candidates: Mapping[int, Any]) -> Iterator[Result]:
    """Each candidate's result. Whatever goes wrong in sharing is left behind: scikit-learn fits that candidate."""
    alone = [group for group in groups if not group.shares]
    sharing = [group for group in groups if group.shares]
    if sharing:
        yield from _Sharing(job, fold, candidates).results(sharing)
    yield from _plainly(job, fold, alone, candidates)


def _plainly(job: Job, fold: Fold, groups: Sequence[Group], candidates: Mapping[int, Any]) -> Iterator[Result]:
    for group in groups:
        for member in group.members:
            yield member, job.plain(member, candidates[member], fold), 1


class _Sharing:
    """One fold of a search, as far as it is shared."""

    def __init__(self, job: Job, fold: Fold, candidates: Mapping[int, Any]) -> None:
        self.job, self.fold, self.candidates = job, fold, candidates
        self.layout = Layout.of(job.estimator) or Layout((), "")
        self.scoring = Scoring(job.options["scorer"])

    def results(self, groups: Sequence[Group]) -> Iterator[Result]:
        X_train, y_train, X_test, self.y_test = self.job.parts(self.fold)
        self.rows, self.n_test = (X.shape[0] if hasattr(X, "shape") else len(X) for X in (X_train, X_test))
        data = preprocessing.FoldData(
            X_train, y_train, X_test, X_train if self.job.options["return_train_score"] else None
        )
        del X_train, X_test
        for part, prepared in preprocessing.leaves(self.job.estimator, self.candidates, groups, data):
            for group in part:
                done = set()
                if prepared is not None:
                    for result in self._together(group, prepared):
                        done.add(result[0])
                        yield result
                left = tuple(member for member in group.members if member not in done)
                yield from _plainly(self.job, self.fold, [replace(group, members=left)], self.candidates)

    def _together(self, group: Group, data: preprocessing.FoldData) -> Iterator[Result]:
        """The results of those members that could be had; the others are left to plain fitting."""
        try:
            lent = replace(data, test=read_only_view(data.test), train=read_only_view(data.train))
            fitted = self._fitted(group, lent)
        except Exception:  # noqa: BLE001 - among them all that an estimator may raise
            return
        for at, (member, (estimator, seconds)) in enumerate(fitted.items()):
            try:
                result = self._scored(estimator, lent)
                if not (is_unmodified(lent.test, data.test) and is_unmodified(lent.train, data.train)):
                    raise Unshareable("the estimator changes what it predicts for")  # noqa: TRY301
            except Exception:  # noqa: BLE001, S112 - as above; plain fitting says what there is to say
                continue
            result["fit_time"] = data.seconds + seconds
            yield member, result, int(at == 0)

    def _fitted(self, group: Group, data: preprocessing.FoldData) -> dict[int, tuple[Any, float]]:
        """A fitted estimator for each member, and the seconds it took: those of a shared fit in equal parts."""
        started = time.perf_counter()
        members = {at: self.layout.last_of(self.job.estimator, self.candidates[at]) for at in group.members}
        rule = group.rule
        if rule is None or len(members) == 1:
            ((at, estimator),) = members.items()
            return {at: (self._fit(estimator, data), time.perf_counter() - started)}
        sizes = {at: rule.size(member) for at, member in members.items() if rule.applies(member, self.rows)}
        good = {at: size for at, size in sizes.items() if size is not None}
        largest = self._fit(clone(members[max(good, key=lambda at: good[at])]), data)
        cut = {at: rule.cut(largest, members[at]) for at in good}
        for X in (data.test, data.train):
            if X is not None:
                rule.memoize_prediction(largest, list(cut.values()), X)
        seconds = (time.perf_counter() - started) / len(cut)
        return {at: (estimator, seconds) for at, estimator in cut.items()}

    def _fit(self, estimator: Any, data: preprocessing.FoldData) -> Any:
        params = self.job.params_for("fit_params", self.fold.train)
        if self.layout.last:
            params = {name.partition("__")[2]: value for name, value in params.items()}
        X, y = read_only_view(data.fit), read_only_view(data.y)
        with random_state.unmoved_by(estimator):
            if y is None and not self.layout.last:
                return estimator.fit(X, **params)
            return estimator.fit(X, y, **params)

    def _scored(self, estimator: Any, data: preprocessing.FoldData) -> dict[str, Any]:
        started = time.perf_counter()
        result: dict[str, Any] = {
            "fit_error": None,
            "test_scores": self._scores(estimator, data.test, self.y_test, self.fold.test),
            "n_test_samples": self.n_test,
            "score_time": time.perf_counter() - started,
        }
        if data.train is not None:
            result["train_scores"] = self._scores(estimator, data.train, data.y, self.fold.train)
        return result

    def _scores(self, estimator: Any, X: Any, y: Any, rows: Any) -> Any:
        params = self.job.params_for("score_params", rows)
        labels = read_only_view(self.scoring.labels(y))
        return self.scoring(estimator, X, labels, params)
