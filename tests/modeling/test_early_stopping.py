"""Boosting that stops by rows set aside of each fit: in the search, by the split's rule, and as it ships."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import StratifiedKFold, train_test_split

from orchestrator.artifacts import Split, Trained
from orchestrator.caching.cache import CheckpointDir
from orchestrator.cli.descriptions import describe
from orchestrator.errors import DataError
from orchestrator.events import Progress
from orchestrator.modeling.early_stopping import EarlyStopping, SetAside, refusal, set_trees
from orchestrator.packaging.pickling import round_trip
from orchestrator.packaging.refit import fit_again
from orchestrator.spec.model import EarlyStoppingSpec, ModelSpec, PreprocessSpec
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.section import Component
from orchestrator.spec.split import SplitSpec
from orchestrator.stages.train import build_search, train
from tests.nightly import at_night
from tests.stages.conftest import Kit

lightgbm = pytest.importorskip("lightgbm")
AT_RANDOM = SetAside(0.2, stratify=True, split=SplitSpec())
BY_GROUP = SetAside(0.2, stratify=True, split=SplitSpec(rule="group", by="person"))
BY_TIME = SetAside(0.2, stratify=True, split=SplitSpec(rule="time", by="day", gap=5))
SMALL: dict[str, Any] = {"min_child_samples": 5, "num_leaves": 4, "n_jobs": 1, "verbose": -1}
LIBRARIES: dict[str, tuple[str, dict[str, Any]]] = {
    "lightgbm": ("LGBMClassifier", {"n_estimators": 200, **SMALL}),
    "xgboost": ("XGBClassifier", {"n_estimators": 200, "n_jobs": 1}),
    "catboost": (
        "CatBoostClassifier",
        {
            "iterations": 200,
            "random_strength": 0,
            "bootstrap_type": "No",
            "depth": 3,
            "thread_count": 1,
            "verbose": False,
            "allow_writing_files": False,
        },
    ),
}


def rows(count: int = 240, classes: int = 2) -> tuple[pd.DataFrame, Any]:
    """Rows of which little can be learnt."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % classes
    return pd.DataFrame({"a": y + rng.normal(0, 1.5, count), "b": rng.normal(size=count)}), pd.Series(y)


@pytest.mark.parametrize("library", LIBRARIES)
def test_it_is_the_librarys_own_fit_on_the_other_rows(library: str, capfd: pytest.CaptureFixture[str]) -> None:
    kind, params = LIBRARIES[library]
    made = getattr(pytest.importorskip(library), kind)(**params, random_state=7)
    X, y = rows()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    model = clone(EarlyStopping(made, 5, AT_RANDOM))
    assert is_classifier(model)
    assert model.get_params() == made.get_params()
    fitted = model.fit(X, y, sample_weight=weights)
    assert fitted.classes_.tolist() == [0, 1]
    assert 0 < fitted.trees_ < 100
    fit, _ = train_test_split(np.arange(len(X)), test_size=0.2, random_state=7, stratify=y)
    as_many = clone(made)
    set_trees(as_many, fitted.estimator_, fitted.trees_)
    as_many.fit(X.iloc[fit], y.iloc[fit], sample_weight=weights[fit])
    np.testing.assert_allclose(fitted.predict_proba(X), as_many.predict_proba(X), atol=1e-6)
    again = clone(fitted).fit(X, y, sample_weight=weights)
    assert np.array_equal(again.predict_proba(X), pickle.loads(pickle.dumps(fitted)).predict_proba(X))
    assert capfd.readouterr() == ("", "")


def test_rows_are_set_aside_by_the_rule_of_the_split() -> None:
    X, y = rows()
    day, person = np.arange(len(X)) // 3, np.arange(len(X)) % 30 // 2
    by_group, by_time = (EarlyStopping(lightgbm.LGBMClassifier(**SMALL), 5, rule) for rule in (BY_GROUP, BY_TIME))
    fit, aside = by_group._sides(y, person)
    assert not {*person[fit]} & {*person[aside]}
    assert len(fit) + len(aside) == len(X)
    fit, aside = by_time._sides(y, day)
    assert day[fit].max() + 5 < day[aside].min()
    assert day[aside].max() == day.max()
    other = EarlyStopping(lightgbm.LGBMClassifier(random_state=1), 5, AT_RANDOM)
    drawn = [{*each._sides(y, None)[1]} for each in (other, EarlyStopping(lightgbm.LGBMClassifier(), 5, AT_RANDOM))]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("y", "rule", "keys", "text"),
    [
        (np.arange(240) // 200, BY_TIME, np.arange(240), r"no class|all that is of 1 of 2 classes; set fewer aside"),
        (np.arange(240) % 2, BY_GROUP, np.zeros(240), r"no rows to stop by among the 240 of a fit: 'person' has one group"),
        (np.append(np.arange(239) % 2, 2), AT_RANDOM, None, r"no rows to stop by among the 240 of a fit: 240 rows cannot"),
    ],
    ids=["a class is new", "one group", "one row of a class"],
)  # fmt: skip
def test_rows_that_cannot_be_set_aside_are_an_error(y: Any, rule: SetAside, keys: Any, text: str) -> None:
    X, _ = rows()
    with pytest.raises(DataError, match=rf"model\.early_stopping: .*{text}"):
        EarlyStopping(lightgbm.LGBMClassifier(**SMALL), 5, rule).fit(X, y, keys=keys)
    weights = np.zeros(len(X))
    with pytest.raises(DataError, match=r"data\.weight: is 0 in all 48 rows that model\.early_stopping sets aside"):
        EarlyStopping(lightgbm.LGBMClassifier(**SMALL), 5, AT_RANDOM).fit(X, np.arange(240) % 2, sample_weight=weights)


def stopped(kit: Kit, split: dict[str, Any], **keys: Any) -> tuple[Split, Trained, Any]:
    """Train through the stages, on rows of persons with weights."""
    X, y = rows(300)
    rng = np.random.default_rng(2)
    person = rng.permutation(np.arange(300) // 6)
    frame = X.assign(person=person, w=rng.uniform(0.5, 2, 300), y=np.where(y == 1, "yes", "no"))
    frame = frame if split else frame.drop(columns="person")
    spec = ModelSpec(
        estimator="lightgbm.LGBMClassifier",
        params={"n_estimators": 150, "random_state": 3, **SMALL},
        param_grid={"num_leaves": (3, 6), "learning_rate": (0.1, 0.3)},
        early_stopping=EarlyStoppingSpec(rounds=4, share=0.25),
    )
    scale = PreprocessSpec(steps={"scale": Component(_target_="sklearn.preprocessing.StandardScaler")})
    data = kit.data(frame, split=SplitSpec(**split), weight="w")
    scoring = {"scoring": ["roc_auc", "neg_log_loss"], "refit": "neg_log_loss", **keys}
    search = build_search(scale, spec, kit.search_spec(**scoring), NamedCode(), data)
    parts = kit.split(frame, search, split=split, weight="w")
    return parts, train(parts, search, kit.search_spec(**scoring), Progress(), CheckpointDir()), search


@pytest.mark.parametrize("split", [at_night({}), {"rule": "group", "by": "person"}], ids=["random", "group"])
def test_a_search_sets_rows_aside_of_each_fit_and_ships_the_librarys_estimator(
    tmp_path: Path, split: dict[str, Any]
) -> None:
    kit = Kit(tmp_path)
    parts, trained, search = stopped(kit, split)
    weights, keys = parts.weights.train.to_numpy(), parts.keys  # type: ignore[union-attr]
    folds = parts.folds or [*StratifiedKFold(2).split(parts.X_train, parts.y_train)]
    for candidate in trained.candidates:
        scores = []
        for fit, score in folds:
            pipeline = clone(search.estimator.estimator).set_params(
                **{f"model__{name}": value for name, value in candidate.params.items()}
            )
            own = {"model__sample_weight": weights[fit]} | ({"model__keys": keys[fit]} if split else {})
            pipeline.fit(parts.X_train.iloc[fit], parts.y_train.iloc[fit], **own)
            of_fold = parts.X_train.iloc[score], parts.y_train.iloc[score]
            scores.append(get_scorer("neg_log_loss")(pipeline, *of_fold, sample_weight=weights[score]))
        assert candidate.mean["neg_log_loss"] == pytest.approx(np.mean(scores), abs=1e-15)
    assert trained.trees
    assert f"; {trained.trees} trees by early stopping" in describe(trained)
    assert {name.partition(".")[0] for name in round_trip(trained.pipeline)[1]} & {"orchestrator", "score"} == set()
    made = kit.package(parts, trained, compile="required")
    shipped = joblib.load(made.path / "model.pkl")
    assert type(shipped[-1]) is lightgbm.LGBMClassifier
    np.testing.assert_array_equal(
        shipped.predict_proba(parts.X_test),
        trained.pipeline.predict_proba(parts.X_test),
    )
    again = fit_again(trained, parts, Progress()).pipeline
    assert again[-1].booster_.num_trees() == trained.trees


def test_it_is_for_libraries_that_add_trees() -> None:
    assert refusal(lightgbm.LGBMClassifier, {"boosting_type": "gbdt"}, {"num_leaves": (3, 4)}) == ""
    dart = refusal(lightgbm.LGBMClassifier, {}, {"boosting_type": ("gbdt", "dart")})
    assert dart.startswith("LGBMClassifier of dart weighs earlier trees anew")
    assert refusal(lightgbm.LGBMClassifier, {"boost": "dart"}, {}).startswith("LGBMClassifier of dart")
    assert refusal(lightgbm.LGBMClassifier, {"eval_metric": "auc"}, {}).endswith("write model.params.metric")
    for chosen in ({"metric": "None"}, {"metrics": ["custom"]}):
        none = refusal(lightgbm.LGBMClassifier, chosen, {})
        assert none.startswith("LGBMClassifier would have no score to stop by with model.params.metric")
    assert "model.param_grid.metric=None" in refusal(lightgbm.LGBMClassifier, {}, {"metric": ("auc", "None")})
    assert refusal(lightgbm.LGBMClassifier, {"metric": "auc"}, {"metrics": (None, "None,auc")}) == ""
    own = refusal(HistGradientBoostingClassifier, {}, {})
    assert own.endswith("is HistGradientBoostingClassifier; set model.params.early_stopping for one of its own")
    assert refusal(RandomForestClassifier, {}, {}).endswith("model.estimator is RandomForestClassifier; leave it out")
    xgboost = pytest.importorskip("xgboost")
    assert refusal(xgboost.XGBRFClassifier, {}, {}).startswith("XGBRFClassifier fits all its trees at once")


@pytest.mark.parametrize("name", ["n_estimators", "num_iterations", "max_iter"])
def test_as_many_trees_are_fitted_again_whatever_their_number_is_called(name: str) -> None:
    X, y = rows()
    made = lightgbm.LGBMClassifier(**SMALL, **{name: 50})
    set_trees(made, made, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM's own, of another name
        assert made.fit(X, y).booster_.num_trees() == 3


def test_a_model_that_does_not_stop_keeps_its_key() -> None:
    plain = ModelSpec(estimator="lightgbm.LGBMClassifier")
    assert not [key for key in plain.cache_parts() if "early_stopping" in key]
    stops = plain.model_copy(update={"early_stopping": EarlyStoppingSpec(rounds=9)})
    assert stops.cache_parts()["model.early_stopping.rounds"] == "9"
