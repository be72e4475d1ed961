"""Gate: the decision about one version, from limits, a dummy and the champion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from orchestrator.artifacts import ModelVersion, Report, Split, Trained
from orchestrator.events import Progress
from orchestrator.gate import ledger
from orchestrator.gate.champion import (
    Champion,
    NotComparableError,
    ask_champion,
    load_champion,
    overlap_note,
    target_note,
)
from orchestrator.gate.limits import check_dummy, check_limits
from orchestrator.gate.verdict import Level, LimitCheck, Verdict
from orchestrator.modeling.scorers import scorer_named
from orchestrator.spec.field_types import Seed, StateDir
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, RegisteredModel
from orchestrator.tracking.tracker import Tracker

if TYPE_CHECKING:
    from orchestrator.gate.predictions import Predictions
    from orchestrator.uncertainty.comparisons import PairedComparison


@dataclass(frozen=True)
class Gate:
    """Decides about ``version``; the hold-out rows and the fitted pipeline are asked for only where they are needed.

    ``chosen_from`` names the sweep whose best job it is.
    """

    spec: GateSpec
    search: SearchSpec
    named: PackageSpec
    seed: Seed
    report: Report
    version: ModelVersion
    split: Callable[[], Split]
    trained: Callable[[], Trained]
    tracker: Tracker
    state_dir: StateDir
    progress: Progress
    chosen_from: str = ""

    def decide(self) -> Verdict:
        """Return the verdict.

        Raises:
            TrackingError: the registry does not answer.
        """
        if self.spec.kind == "none":
            return self._by_limits(["gate=none lets every version pass"], binding=False)
        if self.spec.kind == "threshold":
            unlimited = not (self.spec.minimum or self.spec.maximum)
            return self._by_limits(["there are no limits (gate.minimum, gate.maximum)"] * unlimited, binding=True)
        registry = self.tracker.look_up(self.named.model_name)
        if registry is None or registry.champion is None:
            where = "without tracking no champion is known" if registry is None else "there is no champion yet"
            return self._by_limits([where], binding=False)
        if registry.versions.get(registry.champion) == self.version.package.fingerprint:
            entry = registry.entries.get(registry.champion)
            said = [f"this package is champion version {registry.champion} already"]
            return Verdict("unchanged", said, recorded=entry.gate if entry else "")
        return self._against_champion(registry)

    def _against_champion(self, registry: RegisteredModel) -> Verdict:
        number = str(registry.champion)
        self.progress.note(f"comparing with champion version {number}")
        try:
            champion = load_champion(self.named, self.state_dir, self.tracker)
            compared, notes = self._compare(champion)
        except NotComparableError as reason:
            return self._by_limits([f"champion version {number} cannot be compared with: {reason}"], binding=True)
        return self._judge(champion, compared, notes, 1 if self._was_first(champion, registry) else 0)

    def _was_first(self, champion: Champion, registry: RegisteredModel) -> bool:
        """Return whether the champion was scored on these hold-out rows and was compared with nothing."""
        entry = registry.entries.get(champion.version.version or "")
        compared = entry is not None and bool(entry.replaced)
        return not compared and champion.about.get("held_out") == self.report.tags.get(HOLDOUT_DIGEST)

    def _compare(self, champion: Champion) -> tuple[PairedComparison, list[str]]:
        """Compare by the metric that chooses: on the hold-out rows, or on the folds where the champion has seen these.

        Raises:
            NotComparableError: neither can be done.
        """
        from orchestrator.gate.predictions import HoldOutRows, compare
        from orchestrator.uncertainty.comparisons import compare_folds

        metric, split, folds = self.search.refit, self.split(), self.trained().folds
        its = champion.about.get("folds") or {}
        on_folds = folds is not None and its.get("digest") == folds.digest and metric in its.get("scores", {})
        if champion.about.get("fit_on") == "all" and folds is not None and on_folds and metric in folds.scores:
            note = (
                f"the {champion.said} was fitted on the hold-out rows, too (search.fit_on=all): its folds are compared"
            )
            return compare_folds(folds.scores[metric], its["scores"][metric], folds.test_share, folds.rows), [note]
        answers = ask_champion(champion, split)
        target = target_note(champion, self.report.params.get("data.target", ""))
        overlap = overlap_note(champion, split, self.report.tags.get(HOLDOUT_DIGEST, ""))
        notes = [*filter(None, [target, overlap]), *answers.notes]
        try:
            rows, own = HoldOutRows.of(split, answers.rows), self._own.take(answers.rows)
            return compare(rows, metric, self._scorer(metric), own, answers.predictions, self.seed), notes
        except ValueError as error:
            raise NotComparableError(str(error)) from error

    def _judge(self, champion: Champion, compared: PairedComparison, notes: list[str], undecided: int) -> Verdict:
        from orchestrator.gate import wording
        from orchestrator.uncertainty.comparisons import is_shown, needed_for

        spec, level = self.spec, self._level(undecided)
        shown = is_shown(compared, spec.rule, spec.margin, level.spent)
        said = wording.describe_comparison(compared, self.search.refit, spec.rule, spec.margin, level, shown=shown)
        needed = (
            ""
            if shown
            else wording.describe_needed(needed_for(compared, spec.rule, spec.margin, level.spent), compared)
        )
        checks = [*self._checks(level)]
        failed = [check.line for check in checks if not check.passed]
        return Verdict(
            "passed" if shown and not failed else "kept",
            [f"against {champion.said} {said}", *failed],
            [*filter(None, [wording.describe_level(level)]), *notes],
            checks,
            champion.version.version,
            self.search.refit,
            spec.rule,
            spec.margin,
            compared,
            level,
            needed,
        )

    def _by_limits(self, why: list[str], *, binding: bool) -> Verdict:
        """Decide by limits and the dummy; a dummy that is as good is only a warning unless ``binding``."""
        from orchestrator.gate import wording

        counted = binding or (self.spec.kind != "none" and self.spec.by == "bound")
        level = self._level() if counted else None
        checks = [*self._checks(level)]
        failed = [check.line for check in checks if not check.passed and (binding or check.kind != "dummy")]
        warned = [check.line for check in checks if not check.passed and check.line not in failed]
        passed = [check.line for check in checks if check.passed]
        used = wording.describe_level(level, tested=self.spec.by == "bound") if level else ""
        return Verdict(
            "refused" if failed else "passed",
            [*why, *(failed or passed)],
            [*warned, *([used] if used else [])],
            checks,
            metric=self.search.refit,
            level=level,
        )

    def _checks(self, level: Level | None) -> Iterator[LimitCheck]:
        by_bound = self.spec.by == "bound" and level is not None
        spent = level.spent if level is not None else self.spec.alpha

        def bound(metric: str, side: Literal["low", "high"]) -> float:
            low, high = self._bounds(metric, spent)
            return low if side == "low" else high

        def beats(metric: str) -> tuple[float, bool]:
            from orchestrator.gate.predictions import HoldOutRows, compare, predict
            from orchestrator.modeling.dummy import fit_dummy

            split = self.split()
            rows, scorer, dummy = HoldOutRows.of(split), self._scorer(metric), predict(fit_dummy(split), split.X_test)
            try:
                compared = compare(rows, metric, scorer, self._own, dummy, self.seed)
            except ValueError:  # too few rows of a class: nothing is known
                return math.nan, False
            return compared.lower_bound(spent), compared.p_value() <= spent

        yield from check_limits(self.spec, self.report.metrics, bound if by_bound else None)
        yield from check_dummy(self.search.refit, self.report.metrics, beats if by_bound else None)

    def _bounds(self, metric: str, alpha: float) -> tuple[float, float]:
        """Return the one-sided bounds of a score at level 1 - ``alpha``; NaN where it cannot be computed.

        They are those of its interval where that follows from counts or ranks, else of its difference from 0.
        """
        from orchestrator.gate.predictions import HoldOutRows, interval_of
        from orchestrator.uncertainty.comparisons import compare_by_bootstrap

        rows = HoldOutRows.of(self.split())
        try:
            exact = None if metric in self.search.scorers else interval_of(rows, metric, self._own, 1 - 2 * alpha)
            if exact is not None:
                return exact.low, exact.high
            score = rows.scores_of(metric, self._scorer(metric), self._own)
            units = len(set(rows.groups)) if rows.groups is not None else len(rows.y)
            found = compare_by_bootstrap(
                score, len(rows.y), differing=units, seed=self.seed, strata=rows.strata, groups=rows.groups
            )
        except ValueError:
            return math.nan, math.nan
        low = found.lower_bound(alpha)
        return low, 2 * found.difference - low

    def _level(self, undecided: int = 0) -> Level:
        looks = ledger.count_looks(self.report, self.tracker, self.state_dir, self.chosen_from)
        return ledger.level_for(self.spec.alpha, looks, undecided=undecided, swept=bool(self.chosen_from))

    @cached_property
    def _own(self) -> Predictions:
        """What the fit on the training rows predicts for the hold-out rows, also where another one ships."""
        from orchestrator.gate.predictions import predict
        from orchestrator.modeling.threshold import decided

        return predict(decided(self.trained().pipeline, self.report.decision), self.split().X_test)

    def _scorer(self, metric: str) -> object:
        return scorer_named(metric, self.search.scorers)
