"""A search that was interrupted resumes where it was, with the same results."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from orchestrator.search import SharedGridSearchCV, SharedHalvingGridSearchCV, fit_counts
from tests.nightly import at_night
from tests.search.conftest import same_scores

X, y = make_classification(n_samples=120, random_state=0)
FOREST = (RandomForestClassifier(random_state=0), {"n_estimators": [2, 4, 6], "max_depth": [2, 3]})
LINEAR = (make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1, 10]})
ALONE = (LogisticRegression(), {"C": [0.1, 1, 10], "fit_intercept": [True, False]})


class Interrupted(BaseException):
    """Like KeyboardInterrupt: no ``except Exception`` catches it."""


def interrupt_after(fits: int) -> Any:
    def interrupt(done: int, total: int, note: str) -> None:
        assert total >= done, note
        if done >= fits:
            raise Interrupted

    return interrupt


@pytest.mark.parametrize(
    ("estimator", "grid", "n_jobs"),
    [(*FOREST, 1), (*LINEAR, 1), (*ALONE, 1), (*FOREST, 2), at_night(*LINEAR, 2), at_night(*ALONE, 2)],
)
def test_finished_fits_are_not_repeated(estimator: Any, grid: Any, n_jobs: int, tmp_path: Path) -> None:
    first = SharedGridSearchCV(estimator, grid, n_jobs=n_jobs)
    first.checkpoint_folder, first.on_progress = tmp_path, interrupt_after(4)
    with pytest.raises(Interrupted):
        first.fit(X, y)
    second = SharedGridSearchCV(estimator, grid, n_jobs=n_jobs)
    second.checkpoint_folder = tmp_path
    second.fit(X, y)
    whole = SharedGridSearchCV(estimator, grid, n_jobs=n_jobs).fit(X, y)
    assert fit_counts(second).performed < fit_counts(whole).performed
    assert fit_counts(second).requested == fit_counts(whole).requested
    plain = GridSearchCV(estimator, grid).fit(X, y)
    assert same_scores(second, plain)
    assert second.best_params_ == plain.best_params_
    third = SharedGridSearchCV(estimator, grid)
    third.checkpoint_folder = tmp_path
    assert same_scores(third.fit(X, y), plain)
    assert fit_counts(third).performed == 0


def test_fits_of_other_rows_or_parameters_are_performed(tmp_path: Path) -> None:
    def search(grid: Any, rows: slice) -> Any:
        made = SharedGridSearchCV(LogisticRegression(), grid)
        made.checkpoint_folder = tmp_path
        return made.fit(X[rows], y[rows])

    search({"C": [1, 2]}, slice(120))
    assert fit_counts(search({"C": [2, 3, 1]}, slice(120))).performed == 5  # only C=3 is new
    assert fit_counts(search({"C": [1, 2]}, slice(100))).performed == 10


def test_the_fit_of_a_truncated_record_is_repeated(tmp_path: Path) -> None:
    search = SharedGridSearchCV(LogisticRegression(), {"C": [1, 2]})
    search.checkpoint_folder = tmp_path
    search.fit(X, y)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    assert fit_counts(search.fit(X, y)).performed == 1
    assert "checkpoint_folder" not in pickle.loads(pickle.dumps(search)).__dict__


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_fits_that_draw_from_the_global_state_are_not_resumed(n_jobs: int, tmp_path: Path) -> None:
    search = SharedGridSearchCV(RandomForestClassifier(n_estimators=3), {"max_depth": [2, 3]}, n_jobs=n_jobs)
    search.checkpoint_folder = tmp_path
    assert fit_counts(search.fit(X, y)).performed == 10
    assert fit_counts(search.fit(X, y)).performed == 10


def test_an_unwritable_folder_only_warns(tmp_path: Path) -> None:
    search = SharedGridSearchCV(LogisticRegression(), {"C": [1, 2]})
    search.checkpoint_folder = tmp_path / "file" / "below"
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="the search.s checkpoints are not saved"):
        search.fit(X, y)


def test_a_halving_search_resumes_in_its_round(tmp_path: Path) -> None:
    def search() -> Any:
        made = SharedHalvingGridSearchCV(*FOREST, factor=2, random_state=0)
        made.checkpoint_folder = tmp_path
        return made

    whole = SharedHalvingGridSearchCV(*FOREST, factor=2, random_state=0).fit(X, y)
    first = search()
    first.on_progress = interrupt_after(5 * whole.n_candidates_[0] + 4)
    with pytest.raises(Interrupted):
        first.fit(X, y)
    second = search().fit(X, y)
    assert (
        0 < fit_counts(second).performed < fit_counts(whole).performed - 2 * 5
    )  # none of the first round, where two forests served six
    assert same_scores(second, whole)
