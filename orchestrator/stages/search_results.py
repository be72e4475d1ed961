"""What a fitted search found: candidates with their scores, and why some have none."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from orchestrator.artifacts import Candidate, Trained
from orchestrator.modeling.labels import MODEL, LabelEncoding, translate
from orchestrator.modeling.objects import as_text
from orchestrator.modeling.row_digests import score_folds


def collect_results(search: Any, coding: LabelEncoding, refit: str, rows_of: tuple[Any, Any] | None = None) -> Trained:
    """Return the best pipeline of a fitted search, and the scores of every candidate; of a halving one its last round.

    ``rows_of`` are the training rows and their targets, for what is kept of the folds.
    """
    from orchestrator.modeling.early_stopping import unwrap
    from orchestrator.search import fit_errors

    results, errors = search.cv_results_, fit_errors(search)
    single = search.scoring if isinstance(search.scoring, str) else refit
    names = {metric: metric for metric in search.scoring} if search.multimetric_ else {single: "score"}
    ranks: Any = results[f"rank_test_{names.get(search.refit, 'score')}"]
    rows, resources = [*range(len(results["params"]))], None
    if "iter" in results:
        rows, resources = _last_rounds(search), results["n_resources"]
        ranks = _ranks(rows, [(-results["iter"][index], ranks[index]) for index in rows])
    candidates = tuple(
        Candidate(
            params=as_written(results["params"][index], coding),
            mean={metric: float(results[f"mean_test_{name}"][index]) for metric, name in names.items()},
            std={metric: float(results[f"std_test_{name}"][index]) for metric, name in names.items()},
            rank=int(ranks[index]),
            fit_seconds=float(results["mean_fit_time"][index]),
            resources=None if resources is None else int(resources[index]),
            error=_failure_reason(errors[index] if index < len(errors) else "", results, names, index),
        )
        for index in rows
    )
    folds = None if rows_of is None else score_folds(search, *rows_of, names)
    finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
    pipeline, best = search.best_estimator_, rows.index(int(search.best_index_))
    return Trained(pipeline, best, candidates, finished, unwrap(pipeline), folds)


def _failure_reason(trace: str, results: Mapping[str, Any], names: Mapping[str, str], index: int) -> str:
    """Return why a candidate has no scores; "" if it has."""
    if trace:
        return last_error(trace)
    missing = [metric for metric, name in names.items() if math.isnan(results[f"mean_test_{name}"][index])]
    return f"{', '.join(missing)} could not be computed" if missing else ""


def as_written(params: Mapping[str, Any], coding: LabelEncoding) -> dict[str, Any]:
    """Return a candidate's parameters as in the configuration: without the step's prefix, and with labels for codes.

    Objects become text: what a report holds is plain data.
    """
    decoded = {
        name: translate(coding.decode, name, value) if coding.classes else value for name, value in params.items()
    }
    return {name.removeprefix(f"{MODEL}__"): as_text(value) for name, value in decoded.items()}


def _last_rounds(search: Any) -> list[int]:
    """Return the indices in a halving search's results of each candidate's last round."""
    params = search.cv_results_["params"]
    # the resource grows from round to round, and may be a parameter
    own = [{name: value for name, value in one.items() if name != search.resource} for one in params]
    return sorted({str(one): index for index, one in enumerate(own)}.values())


def _ranks(rows: Sequence[int], keys: Sequence[Any]) -> dict[int, int]:
    """Rank rows by ascending key; equal keys share a rank."""
    order = sorted(keys)
    return {index: 1 + bisect.bisect_left(order, key) for index, key in zip(rows, keys, strict=True)}


def last_error(trace: str) -> str:
    """Return the error at the end of a traceback in one line, without its module."""
    lines = trace.rstrip().splitlines()
    start = max((at for at, line in enumerate(lines) if line.startswith("  File ")), default=-1) + 1
    text = [line for line in lines[start:] if not line.startswith("    ")]
    return re.sub(r"^[\w.]+\.(?=\w+:)", "", " ".join(" ".join(text).split()))
