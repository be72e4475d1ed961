"""A search that was ended in the middle goes on where it was, with the same numbers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from orchestrator.search import SharedGridSearchCV, SharedHalvingGridSearchCV, work_of

X, y = make_classification(n_samples=120, random_state=0)
FOREST = (RandomForestClassifier(random_state=0), {"n_estimators": [2, 4, 6], "max_depth": [2, 3]})
LINEAR = (make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1, 10]})
ALONE = (LogisticRegression(), {"C": [0.1, 1, 10], "fit_intercept": [True, False]})


class Ended(BaseException):
    """As Ctrl-C ends a process: nothing may catch it."""


def ended_after(fits: int) -> Any:
    def tell(done: int, total: int, note: str) -> None:
        assert total >= done, note
        if done >= fits:
            raise Ended

    return tell


def scores(search: Any) -> dict[str, Any]:
    return {name: values for name, values in search.cv_results_.items() if "score" in name and "time" not in name}


def same(ours: Any, theirs: Any) -> bool:
    both = scores(ours), scores(theirs)
    return both[0].keys() == both[1].keys() and all(np.array_equal(both[0][name], both[1][name]) for name in both[0])


@pytest.mark.parametrize(("estimator", "grid"), [FOREST, LINEAR, ALONE], ids=["shared", "prefix", "alone"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_was_finished_is_not_done_again(estimator: Any, grid: Any, n_jobs: int, tmp_path: Path) -> None:
    first = SharedGridSearchCV(estimator, grid, n_jobs=n_jobs)
    first.unfinished, first.on_progress = tmp_path, ended_after(4)
    with pytest.raises(Ended):
        first.fit(X, y)
    second = SharedGridSearchCV(estimator, grid, n_jobs=n_jobs)
    second.unfinished = tmp_path
    second.fit(X, y)
    whole = SharedGridSearchCV(estimator, grid, n_jobs=n_jobs).fit(X, y)
    assert work_of(second).done < work_of(whole).done
    assert work_of(second).asked == work_of(whole).asked
    plain = GridSearchCV(estimator, grid).fit(X, y)
    assert same(second, plain)
    assert second.best_params_ == plain.best_params_
    third = SharedGridSearchCV(estimator, grid)
    third.unfinished = tmp_path
    assert same(third.fit(X, y), plain)
    assert work_of(third).done == 0


def test_other_rows_or_parameters_are_done(tmp_path: Path) -> None:
    def search(grid: Any, rows: slice) -> Any:
        made = SharedGridSearchCV(LogisticRegression(), grid)
        made.unfinished = tmp_path
        return made.fit(X[rows], y[rows])

    search({"C": [1, 2]}, slice(120))
    assert work_of(search({"C": [2, 3, 1]}, slice(120))).done == 5  # only C=3 is new
    assert work_of(search({"C": [1, 2]}, slice(100))).done == 10


def test_a_torn_record_is_done_again(tmp_path: Path) -> None:
    search = SharedGridSearchCV(LogisticRegression(), {"C": [1, 2]})
    search.unfinished = tmp_path
    search.fit(X, y)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    assert work_of(search.fit(X, y)).done == 1
    assert "unfinished" not in pickle.loads(pickle.dumps(search)).__dict__


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_draws_from_the_global_state_is_not_put_together(n_jobs: int, tmp_path: Path) -> None:
    search = SharedGridSearchCV(RandomForestClassifier(n_estimators=3), {"max_depth": [2, 3]}, n_jobs=n_jobs)
    search.unfinished = tmp_path
    assert work_of(search.fit(X, y)).done == 10
    assert work_of(search.fit(X, y)).done == 10


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    search = SharedGridSearchCV(LogisticRegression(), {"C": [1, 2]})
    search.unfinished = tmp_path / "file" / "below"
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="what the search finishes is not kept"):
        search.fit(X, y)


def test_a_halving_search_goes_on_in_the_round_where_it_was(tmp_path: Path) -> None:
    def search() -> Any:
        made = SharedHalvingGridSearchCV(*FOREST, factor=2, random_state=0)
        made.unfinished = tmp_path
        return made

    whole = SharedHalvingGridSearchCV(*FOREST, factor=2, random_state=0).fit(X, y)
    first = search()
    first.on_progress = ended_after(5 * whole.n_candidates_[0] + 4)
    with pytest.raises(Ended):
        first.fit(X, y)
    second = search().fit(X, y)
    assert (
        0 < work_of(second).done < work_of(whole).done - 2 * 5
    )  # none of the first round, where two forests served six
    assert same(second, whole)
