"""The table of seeded mistakes: what is typed or written, and every line that must come of it."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from orchestrator import compose
from orchestrator.bundled import CONF
from orchestrator.config.composed import Composed
from orchestrator.config.validate import validate
from orchestrator.errors import Problem, SpecError
from orchestrator.search import backend
from tests.command import Desk, desk
from tests.found import found
from tests.nightly import at_night


class Row(NamedTuple):
    """A mistake: overrides, and for each problem that must be reported "place: words | more words"."""

    typed: str
    expected: Sequence[str]
    edits: Mapping[str, tuple[str, str]] = {}  # of conf files: text that is there, and what it becomes
    nightly: bool = False


def row(typed: str, *expected: str, **edits: tuple[str, str]) -> Row:
    return Row(typed, expected, {name.replace("__", "/"): edit for name, edit in edits.items()})


def alike(typed: str, *expected: str) -> Row:
    """Return a mistake for the nightly run: another row shows the same kind, at another key or with another value."""
    return Row(typed, expected, nightly=True)


KEYS = [
    row("sead=1", "sead: no such key | did you mean 'seed'"),
    alike("experment=article", "experment: no such key | did you mean 'experiment'"),
    alike("modle=random_forest", "modle: no such key | did you mean 'model'"),
    row("data.tagret=Outcome", "data.tagret: no such key | did you mean 'target'"),
    alike("data.seperator=|", "data.seperator: no such key | did you mean 'separator'"),
    alike("preprocess.stpes={}", "preprocess.stpes: no such key | did you mean 'steps'"),
    row(
        "preprocess=tabular preprocess.branches.numeric.colums=numeric",
        "preprocess.branches.numeric.colums: no such key | did you mean 'columns'",
    ),
    row("model.parms.max_depth=3", "model.parms: no such key | did you mean 'params'"),
    alike("search.scorng=[f1]", "search.scorng: no such parameter | did you mean 'scoring'"),
    alike("package.golden_row=3", "package.golden_row: no such key | did you mean 'golden_rows'"),
    row("deploy.prot=80", "deploy.prot: Local has no such option | did you mean 'port'"),
    alike("tracking.tracking_url=x", "tracking.tracking_url: Mlflow has no such option | did you mean 'tracking_uri'"),
    row("+typo.deep.er=1", "typo: no such key | there are: azure, batch, data, deploy"),
    alike("++data.typo=1", "data.typo: no such key"),
    row("", "seeed: no such key | did you mean 'seed'", config=("seed: 0 #", "seed: 0\nseeed: 1 #")),
    row(
        "",
        "search.jobs: no such parameter | did you mean 'n_jobs'",
        search__grid=("n_jobs: null", "n_jobs: 1\njobs: 1"),
    ),
    row("", "deploy.hst: did you mean 'host'", deploy__local=("host:", "host: 127.0.0.1\nhst:")),
    row(
        "preprocess=tabular",
        "preprocess.branches.numeric.stepz: did you mean 'steps'",
        preprocess__tabular=("    columns: numeric\n", "    columns: numeric\n    stepz: {}\n"),
    ),
]

GROUPS = [
    alike("model=svm", "model: no option 'svm' | there are: catboost, hist_gradient_boosting, lightgbm, linear"),
    row("model=random_florest", "model: no option | did you mean 'random_forest'"),
    row("deploy=locl", "deploy: no option 'locl' | did you mean 'local'"),
    alike("stages=ful", "stages: no option | did you mean 'full'"),
    alike("experiment=artcle", "experiment: no option | did you mean 'article'"),
    row("+experiment=artcle", "experiment: no option | did you mean 'article'"),
    alike("model/param_grid=randomforest", "model/param_grid: no option | did you mean 'random_forest'"),
    row("model/paramgrid=none", "model/paramgrid: no such group | did you mean 'model/param_grid'"),
    row("hydra/launcher=joblb", "hydra/launcher: no option 'joblb' | did you mean 'joblib'"),
    row("model=xgbost model.params.eta=1", "model: no option"),  # eta may be right for the one that was meant
]

TOP_LEVEL = [
    row("seed=abc", "seed: should be a whole number, got 'abc'"),
    row("+package.unseen_columns.Agee=missing", "package.unseen_columns.Agee: is no column of | did you mean 'Age'"),
    row(
        "'package.unseen_columns={Age: mising}'",
        "package.unseen_columns.Age: should be | got 'mising' | did you mean 'missing'",
    ),
    alike("seed=-1", "seed: should be at least 0, got -1"),
    alike("seed=1.5", "seed: should be a whole number, got 1.5"),
    row("seed=None", "seed: should be a whole number | write null for none"),
    row("seed=4294967296", "seed: should be below 4294967296"),
    alike("seed=true", "seed: should be a whole number, got true"),
    row("name=My-Model", "name: should be lower case letters | got 'My-Model'"),
    row("name='a b'", "name: got 'a b'"),  # reported once, though the model and the service are called after it
    alike("name=3", "name: should be text, got 3; write it in quotes"),
    row("name=???", "name: is missing"),
    alike("dry_run=maybe", "dry_run: should be true or false, got 'maybe'"),
    alike("state_dir=7", "state_dir: should be a path, got 7"),
    row("state_dir={tmp}/people.csv/state", "state_dir: people.csv is a file | name a folder"),
    alike("data=5", "data: no option '5'"),
]

DATA = [
    row("data=csv", "data.path: is missing", "data.target: is missing"),
    row("data.path=data/diabets.csv", "data.path: no file | did you mean 'diabetes.csv'"),
    row("data.path=score", "data.path: has no file that ends in .csv"),
    alike("data.path=5", "data.path: should be a path, got 5"),
    row("data.path={tmp}/empty.csv", "data.path: cannot be read as csv: the file is empty"),
    row(
        "data.path={tmp}/semicolons.csv data.target=paid preprocess=tabular",
        "data.separator: semicolons.csv seems to be separated by ';', not by ','",
    ),
    alike("'data.separator=\";\"'", "data.separator: separated by ',', not by ';'"),
    alike("'data.separator=\"\"'", "data.separator: should not be empty"),
    row(
        "data.path={tmp}/latin.csv data.target=paid preprocess=tabular", "data.encoding: not written in utf-8 | latin-1"
    ),
    row("data.encoding=utf-9", "data.encoding: no encoding 'utf-9' | did you mean"),
    alike("data=parquet data.path={tmp}/people.csv data.target=paid", "data.format: CSV file; use data=csv"),
    row("data=csv data.path={tmp}/people.parquet data.target=paid", "data.format: Parquet file; use data=parquet"),
    row("data=parquet data.path={tmp}/fake.parquet data.target=paid", "data.path: cannot be read as parquet"),
    row("data.format=excel", "data.format: should be 'csv', 'parquet', 'sql' or 'delta', got 'excel'"),
    row("data.target=outcome", "data.target: no column 'outcome' | did you mean 'Outcome'"),
    alike("data.target=5", "data.target: should be text, got 5; write it in quotes"),
    row("data.drop=[Outcome]", "data.drop: 'Outcome' is the target, which cannot be dropped"),
    alike("data.drop=[agee]", "data.drop: no column 'agee' | did you mean 'Age'"),
    row("data.drop=BMI", "data.drop: should be a list such as [a, b], got 'BMI'"),
    alike("data.drop=[1]", "data.drop[0]: should be text, got 1"),
    row("data.drop=[Age]", "preprocess.steps.cast.columns: 'Age' is dropped by data.drop"),
    row("data.path={tmp}/twice.csv data.target=paid preprocess=tabular", "data.path: two columns 'age'"),
    row("data.path={tmp}/alone.csv data.target=paid preprocess=tabular", "data.path: no column to learn from"),
    row("data.test_size=1.5", "data.test_size: should be a share between 0 and 1, such as 0.2, got 1.5"),
    alike("data.test_size=20", "data.test_size: should be a share between 0 and 1 | got 20"),
    alike("data.test_size=half", "data.test_size: should be a number, got 'half'"),
    alike("data.stratify=yes", "data.stratify: should be true or false, got 'yes'"),
    row("data.positive=[1]", "data.positive: should be one label of the target, got [1]"),
    alike("data.missing_values=NA", "data.missing_values: should be a list"),
    row("data.separator=ab", "data.separator: should be one character such as ';' | got 'ab'"),
    alike("'data.separator=\"\\t+\"'", "data.separator: should be one character"),
    row("'data.decimal=\";\"'", "data.decimal: should be '.' or ',', got ';'"),
    row("'data.thousands=\".\"'", "data.thousands: '.' is data.decimal already"),
    alike("data.text_columns=[agee]", "data.text_columns: no column 'agee' | did you mean 'Age'"),
    row("data.index=dorp", "data.index: should be 'auto', 'keep' or 'drop', got 'dorp' | did you mean 'drop'"),
    row("data.path={tmp}/book.xlsx", "data.path: book.xlsx is an Excel workbook; save its sheet as a CSV file"),
    alike("data.path={tmp}/packed.csv", "data.path: packed.csv is a zip archive; unpack it"),
    row(
        "data.path={tmp}/wide.csv data.target=paid preprocess=tabular data.encoding=latin-1",
        "data.encoding: wide.csv begins with the byte order mark of UTF-16; write utf-16, not latin-1",
    ),
]

TWO_STEPS = """\
    columns: numeric
    steps:
      impute:
        _target_: sklearn.impute.SimpleImputer
        strategy: median
        add_indicator: true
      scale:
        _target_: sklearn.preprocessing.StandardScaler
"""

PREPROCESS = [
    alike("preprocess.remainder=keep", "preprocess.remainder: should be 'drop' or 'passthrough', got 'keep'"),
    row(
        "preprocess.steps.zeros_to_missing.columns=[Glucse,BMI]",
        "preprocess.steps.zeros_to_missing.columns: 'Glucse' is no column | did you mean 'Glucose'",
    ),
    row("preprocess.steps.cast.columns=[Outcome]", "preprocess.steps.cast.columns: 'Outcome' is the target"),
    alike("preprocess.steps.cast.columns=Age", "preprocess.steps.cast.columns: should be a list or null, got 'Age'"),
    alike(
        "preprocess=tabular preprocess.branches.numeric.columns=[Agee]",
        "preprocess.branches.numeric.columns: 'Agee' is no column | did you mean 'Age'",
    ),
    row(
        "preprocess=tabular preprocess.branches.numeric.columns=numbers",
        "preprocess.branches.numeric.columns: 'ordered' or 'text', got 'numbers'; did you mean 'numeric'",
    ),
    row(
        "preprocess.steps.impute._target_=sklearn.impute.SimpleImputr",
        "preprocess.steps.impute._target_: sklearn.impute has no 'SimpleImputr'; did you mean 'SimpleImputer'",
    ),
    row(
        "preprocess.steps.impute._target_=sklearn.linear_model.LogisticRegression",
        "preprocess.steps.impute._target_: a transformer class with fit and transform",
    ),
    row("preprocess.steps.impute.stratgy=mean", "preprocess.steps.impute.stratgy: SimpleImputer | 'strategy'"),
    row("preprocess.steps.impute.strategy=meen", "preprocess.steps.impute.strategy: 'most_frequent' | mean 'mean'"),
    alike("preprocess.steps.impute.strategy=None", "preprocess.steps.impute.strategy: write null for none"),
    row("~preprocess.steps.zeros_to_missing.columns", "preprocess.steps.zeros_to_missing.columns: is missing"),
    row("preprocess.steps.scale=standard", "preprocess.steps.scale: should be a mapping of names to values"),
    alike("preprocess.steps.scale.with_mean=true", "preprocess.steps.scale._target_: is missing"),
    row(
        "preprocess.steps.model._target_=sklearn.preprocessing.StandardScaler",
        "preprocess.steps.model: has a step of this name already",
    ),
    row(
        "preprocess=tabular preprocess.branches.categorical.steps.encode.handle_unknown=ignor",
        "preprocess.branches.categorical.steps.encode.handle_unknown: did you mean 'ignore'",
    ),
    row(
        "preprocess=tabular",
        "preprocess.branches.numeric.steps: should not be empty",
        preprocess__tabular=(TWO_STEPS, "    columns: numeric\n    steps:\n      {}\n"),
    ),
]

MODEL = [
    row("model.estimator=RandomForest", "model.estimator: a dotted path such as 'package.module.Name'"),
    alike("model.estimator=3", "model.estimator: a dotted path | got 3"),
    row(
        "model.estimator=sklearn.ensemble.RandomForestClasifier",
        "model.estimator: sklearn.ensemble has no | did you mean 'RandomForestClassifier'",
    ),
    alike(
        "model.estimator=sklearn.ensembl.Forest", "model.estimator: sklearn has no 'ensembl'; did you mean 'ensemble'"
    ),
    row("model.estimator=nowhere.Model", "model.estimator: there is no module 'nowhere'; is its package installed?"),
    alike("model.estimator=sklearn.preprocessing.StandardScaler", "model.estimator: class with fit and predict"),
    row("model.estimator=os.system", "model.estimator: class with fit and predict, got 'os.system'"),
    row("model.estimator=outside_broken.Model", "model.estimator: importing outside_broken failed: SyntaxError"),
    alike("model.estimator=outside_leaving.Model", "model.estimator: importing outside_leaving failed: SystemExit"),
    row("model.params.n_job=2", "model.params.n_job: RandomForestClassifier has no such parameter | 'n_jobs'"),
    row("model.params.max_depth=0", "model.params.max_depth: an int in the range [1, inf) or null, got 0"),
    alike("model.params.max_depth='\"7\"'", "model.params.max_depth: got '7'"),
    row(
        "model.params.criterion=ginni", "model.params.criterion: 'entropy', 'gini' or 'log_loss' | did you mean 'gini'"
    ),
    alike("model.params.max_features=None", "model.params.max_features: 'sqrt' or null | write null for none"),
    alike("model.params.bootstrap=1", "model.params.bootstrap: should be true or false, got 1"),
    alike("model.params.random_state=x", "model.params.random_state: or null, got 'x'"),
    row("model.param_grid.n_estimator=[10]", "model.param_grid.n_estimator: no such parameter | 'n_estimators'"),
    alike("model.param_grid.max_depth=[2,0]", "model.param_grid.max_depth: [1, inf) or null, got 0"),
    row("model.param_grid.max_depth=[2,None]", "model.param_grid.max_depth: got 'None' (write null for none)"),
    alike(
        "'+model.param_grid.max_features={a: 5}'",
        "model.param_grid.max_features: should be a list such as [a, b], got {",
    ),
    row("model.param_grid.max_depth=[]", "model.param_grid.max_depth: should not be empty"),
    alike("model.param_grid=5", "model.param_grid: should be a mapping of names to values"),
    row("model.param_grid=[5]", "model.param_grid: cannot become [5]"),
    row(
        "model=logistic_regression model/param_grid=random_forest",
        "model.param_grid.n_estimators: LogisticRegression has no such parameter",
        "model.param_grid.max_depth: LogisticRegression has no such parameter",
    ),
    alike("model=logistic_regression model.param_grid.C=[1,-1]", "model.param_grid.C: (0.0, inf], got -1"),
    row(
        "model.estimator=xgboost.XGBClassifier model/param_grid=none model.params.max_dept=3",
        "model.params.max_dept: XGBClassifier has no such parameter; did you mean 'max_depth'",
    ),
    row(
        "model.estimator=sklearn.ensemble.BaggingClassifier model/param_grid=none "
        "'model.params.estimator={_target_:sklearn.tree.DecisionTreeClasifier}'",
        "model.params.estimator._target_: sklearn.tree has no | did you mean 'DecisionTreeClassifier'",
    ),
    row(
        "model=hist_gradient_boosting model.early_stopping.rounds=9",
        "model.early_stopping: is for LightGBM, XGBoost and CatBoost | set model.params.early_stopping",
    ),
    row(
        "preprocess=native",
        "preprocess.branches.categorical.steps.categories: RandomForestClassifier takes their codes for numbers",
    ),
    row(
        "preprocess=tabular preprocess.output=pandas",
        "preprocess.branches.ordered.steps.encode: OrderedToNumbers gives no names of columns | output=default",
        "preprocess.branches.text.steps.encode: WordWeights gives no names of columns",
    ),
    row("preprocess=none preprocess.output=pandas", "preprocess.output: is what the branches give, and there are none"),
    row(
        "model.estimator=sklearn.ensemble.StackingClassifier model/param_grid=none ~model.params.random_state "
        "'++model.params.estimators=[[a,{_target_:sklearn.svm.SVC,C:-1}],[b,{_target_:subprocess.Popen}]]'",
        "model.params.estimators[0][1].C: got -1",
        "model.params.estimators[1][1]._target_: should name a class of an estimator | got 'subprocess.Popen'",
    ),
    row(
        "model=logistic_regression 'model.param_grid={penalty:[l1,l2],solver:[lbfgs,liblinear]}'",
        "model.param_grid: LogisticRegression refuses penalty=l1, solver=lbfgs | search.on_error=skip leaves out",
    ),
    row(
        "",
        "model.params.max_dept: did you mean 'max_depth'",
        model__random_forest=("random_state: ${seed}", "random_state: ${seed}\n  max_dept: 3"),
    ),
]

EVALUATE = [
    row("model.calibrate=sigmoids", "model.calibrate[0]: 'sigmoid' | got 'sigmoids'"),
    row("model.calibrate=[sigmoid,sigmoid]", "model.calibrate: 'sigmoid' stands twice"),
    row(
        "model.calibrate=sigmoid model=linear data.target=Age data.task=regression search=grid_regression preprocess=tabular",
        "model.calibrate: a regression has none",
    ),
    row(
        "model.calibrate=sigmoid data.split=group data.split.by=Age search.fit_on=all preprocess=tabular",
        "model.calibrate: with data.split=group | 'Age' | search.fit_on=training",
    ),
    row(
        "model.calibrate=sigmoid model.estimator=sklearn.calibration.CalibratedClassifierCV model/param_grid=none "
        "'~model.params.random_state'",
        "model.calibrate: has a CalibratedClassifierCV already",
    ),
    row(
        "evaluate.threshold=max_f2",
        "evaluate.threshold: a number between 0 and 1 | got 'max_f2' | did you mean 'max_f1'",
    ),
    row("evaluate.threshold=1", "evaluate.threshold: a number between 0 and 1 | got 1"),
    row("evaluate.threshold=true", "evaluate.threshold: a number between 0 and 1 | got true"),
    row("evaluate.recall=0.8", "evaluate.recall: is read with evaluate.threshold=recall_at alone"),
    row("evaluate.cost.false_negative=9", "evaluate.cost: is read with evaluate.threshold=cost alone"),
    row(
        "evaluate.threshold=cost evaluate.cost.false_negative=0 'evaluate.cost={fp: 1}'",
        "evaluate.cost.false_negative: should be above 0",
        "evaluate.cost.fp: no such key | there are: false_negative, false_positive",
    ),
    row(
        "evaluate.threshold=0.3 model.estimator=sklearn.svm.LinearSVC model/param_grid=none",
        "evaluate.threshold: LinearSVC gives no probabilities",
    ),
    row(
        "evaluate.threshold=0.3 data.positive=1 model=linear data.target=Age data.task=regression search=grid_regression "
        "preprocess=tabular",
        "data.positive: is for two classes, and a regression has no labels",
        "evaluate.threshold: a regression has no labels",
    ),
    row(
        "evaluate.threshold=max_f1 data.positive=1 data.task=multiclass search.scoring=accuracy search.refit=accuracy",
        "data.positive: is for two classes, and data.task is multiclass",
        "evaluate.threshold: is for two classes",
    ),
    row(
        "evaluate.threshold=max_f1 model.estimator=sklearn.model_selection.TunedThresholdClassifierCV model/param_grid=none "
        "'+model.params.estimator={_target_: sklearn.linear_model.LogisticRegression}'",
        "evaluate.threshold: TunedThresholdClassifierCV has a threshold of its own",
    ),
]

SEARCH = [
    row("search.cv=1", "search.cv: should be at least 2, got 1"),
    alike("search.cv=five", "search.cv: should be a whole number, got 'five'"),
    row("search.n_jobs=0", "search.n_jobs: 0 processes do nothing; write 1, or -1"),
    alike("search.n_jobs=all", "search.n_jobs: should be a whole number"),
    row("search.scheduler=tcp://host:8786", "search.scheduler: say of which: search.backend=dask or ray"),
    row(
        "search.backend=dask search.scheduler=tcp://host:8786 search.n_jobs=1",
        "search.n_jobs: counts processes of this machine; an existing cluster is used entirely: write null",
    ),
    row("search.scoring=[roc_auc,acuracy]", "search.scoring: no scorer 'acuracy'; did you mean 'accuracy'"),
    alike("search.scoring=[]", "search.scoring: should not be empty"),
    alike("search.refit=f2", "search.refit: scikit-learn has no scorer 'f2'"),
    row("search.refit=roc_acu", "search.refit: did you mean 'roc_auc'"),
    row(
        "search.scoring=[accuracy,f1] search.refit=f2",
        "search.refit: 'f2' is not one of search.scoring; there are: accuracy, f1",
    ),
    row(
        "search=grid_regression",
        "search.scoring: 'r2', 'neg_mean_absolute_error' | score numbers | search=grid"
        " | choose a regressor such as model.estimator=sklearn.ensemble.RandomForestRegressor",
    ),
    alike("search.on_error=ignore", "search.on_error: should be 'stop' or 'skip', got 'ignore'"),
    row("search.error_score=0", "search.error_score: is decided by search.on_error"),
    row(
        "model.estimator=sklearn.ensemble.RandomForestRegressor search.scoring=[roc_auc]",
        "search.scoring: 'roc_auc' | scores classes and RandomForestRegressor predicts numbers; leave them out",
    ),
    alike("+search.n_iter=3", "search.n_iter: SharedGridSearchCV has no such parameter"),
    alike("search.bakend=dask", "search.bakend: SharedGridSearchCV has no such parameter; did you mean 'backend'?"),
    row("search=random search.n_iter=null", "search.n_iter: should be an int in the range [1, inf), got null"),
    alike(
        "search=halving search.facto=2",
        "search.facto: SharedHalvingGridSearchCV has no such parameter; did you mean 'factor'?",
    ),
    alike("search=halving search.factor=0", "search.factor: should be a float in the range (0.0, inf), got 0"),
    row("search=grid,optuna", "search: optuna runs a sweep and cannot be one of its jobs"),
    row("model.param_grid.max_depth=[2,3,2]", "model.param_grid.max_depth: 2 stands twice"),
    row("search=halving search.factor=1", "search.factor: should be above 1"),
    alike(
        "search=halving search.resource=n_estimator", "search.resource: got 'n_estimator' | did you mean 'n_estimators'"
    ),
    row("+search.param_grid=3", "search.param_grid: is decided by model.param_grid"),
    alike("search._target_=sklearn.model_selection.GridSearch", "search._target_: did you mean 'GridSearchCV'"),
]

PATHS = [
    row("tracking._target_=orchestrator.tracking.mlflow.tracker.MLflow", "tracking._target_: did you mean 'Mlflow'"),
    alike("tracking._target_=5", "tracking._target_: a dotted path | got 5"),
    row("tracking._target_=orchestrator.deploy.none.NoTarget", "tracking._target_: NoTarget is no Tracker"),
    alike("deploy._target_=orchestrator.deploy.locl.target.Local", "deploy._target_: no 'locl' | did you mean 'local'"),
    row("deploy._target_=orchestrator.tracking.none.NoTracking", "deploy._target_: is no Target: it lacks deploy()"),
    row("stages.load=orchestrator.stages.data.laod", "stages.load: has no 'laod'; did you mean 'load'"),
    alike("stages.load=orchestrator.artifacts.Dataset", "stages.load: should name a function"),
    alike("stages.load=5", "stages.load: a dotted path | got 5"),
    row("stages.mine=nowhere.stage", "stages.mine: no module 'nowhere'"),
    alike("'stages.mine={_target_: 5}'", "stages.mine._target_: a dotted path | got 5"),
    row("'stages.a b=orchestrator.stages.data.load'", "stages.a b: cannot be read"),
    row(
        "package.model_name=my.model",
        "package.model_name: MLflow takes no '.' in the name of a model; write 'my_model'",
    ),
    alike("package.model_name=a.b.c stages=package", "package.model_name: MLflow takes no '.' | write 'a_b_c'"),
    row("'tracking.experiment_name=\"\"'", "tracking.experiment_name: should be a name of 1 to 500 characters, got ''"),
    alike(f"tracking.experiment_name={'x' * 501}", "tracking.experiment_name: should be a name of 1 to 500 characters"),
    row(
        "model.estimator=xgboost.XGBClassifier",
        "model.params.gain (%): MLflow refuses a parameter of this name: only letters, digits",
        model__random_forest=("params:", "params:\n  gain (%): 1 #"),
    ),
    row("tracking.tracking_uri=postgresql://me:pw@db/mlflow", "tracking.tracking_uri: is a database | `mlflow server"),
    alike("tracking.tracking_uri=mysql+pymysql://db/mlflow", "tracking.tracking_uri: is a database | `mlflow server"),
    row("tracking=server tracking.timeout_seconds=0", "tracking.timeout_seconds: should be"),
    row("state_dir={tmp}/a%41b", "tracking.tracking_uri: '%41' in a path means something else | state_dir"),
    alike("'state_dir={tmp}/why?'", "tracking.tracking_uri: '?' in a path means something else | state_dir"),
    row("~tracking.tracking_uri", "tracking.tracking_uri: is missing; SubprocessMlflow needs this option"),
]

DEPLOY = [
    row("deploy.port=99999", "deploy.port: should be at most 65535, got 99999"),
    alike("deploy.port=0", "deploy.port: should be at least 1, got 0"),
    alike("deploy.port=http", "deploy.port: should be a whole number, got 'http'"),
    row("deploy.allow_origins=[app.example]", "deploy.allow_origins: 'app.example' is no origin | scheme://host"),
    alike("deploy.allow_origins=[http://a,http://b/c]", "deploy.allow_origins: 'http://b/c' is no origin"),
    alike("deploy.allow_origins=[http://a:65536]", "deploy.allow_origins: 'http://a:65536' is no origin"),
    alike("deploy=docker deploy.allow_origins=[ftp://a]", "deploy.allow_origins: 'ftp://a' is no origin"),
    alike("deploy.allow_origins=http://a", "deploy.allow_origins: should be a list"),
    row("deploy.timeout_seconds=0", "deploy.timeout_seconds: should be above 0, got 0"),
    alike("deploy.timeout_seconds=soon", "deploy.timeout_seconds: should be a number, got 'soon'"),
    alike("deploy.auth_enabled=on_demand", "deploy.auth_enabled: should be true or false"),
    row("deploy.service_name=My_Service", "deploy.service_name: got 'My_Service'"),
    alike("deploy.service_name=ab", "deploy.service_name: got 'ab'"),
    alike("deploy.service_name=ends-with-", "deploy.service_name: got 'ends-with-'"),
    alike("deploy.service_name=a-name-of-more-than-thirty-two-characters", "deploy.service_name: 3 to 32"),
    row("package.model_name='a b'", "package.model_name: got 'a b'"),
    alike("package.golden_rows=0", "package.golden_rows: should be at least 1, got 0"),
    alike("package.extra_columns=drop", "package.extra_columns: should be 'forbid' or 'ignore'"),
    row("package.extra_columns=forbidden", "package.extra_columns: did you mean 'forbid'"),
    row(
        "package.version=latest",
        "package.version: should be auto, last, champion, challenger, previous, live, best or | did you mean 'last'",
    ),
    alike("stages=rollback package.version=chalenger", "package.version: should be auto, | did you mean 'challenger'?"),
    alike("package.version=0", "package.version: the number of a version, got 0"),
    alike("package.version=true", "package.version: the number of a version, got true"),
    row(
        "package.version=2",
        "package.version: this run trains a version of its own; write stages=deploy or stages=batch",
    ),
    alike("stages=package package.version=best", "package.version: this run trains a version of its own"),
    alike("package.compile=maybe", "package.compile: should be 'auto', 'never' or 'required'"),
]

SCORED = "stages=batch batch.input={tmp}/people.csv batch.output={tmp}/scored.csv"
BATCH = [
    row("stages=batch", "batch.input: is missing", "batch.output: is missing"),
    row("batch.input={tmp}/people.csv batch.output={tmp}/x.csv", "batch: none of the stages scores | stages=batch"),
    row("stages=batch batch.input={tmp}/peple.csv batch.output={tmp}/x.csv", "batch.input: no file | 'people.csv'"),
    row(
        "stages=batch batch.input={tmp}/people.csv batch.output={tmp}/latin.csv", "batch.output: there already; remove"
    ),
    row(f"{SCORED} batch.output=x.xlsx", "batch.output: should end in .csv or .parquet | got 'x.xlsx'"),
    alike(f"{SCORED} batch.input=x.json", "batch.input: there is no file"),
    row(f"{SCORED} batch.otput=x.csv", "batch.otput: no such key | did you mean 'output'"),
    alike(f"{SCORED} batch.chunk_rows=0", "batch.chunk_rows: should be at least 1, got 0"),
    row(f"{SCORED} batch.n_jobs=2", "batch.n_jobs: this process has none; write batch.backend=loky"),
    alike(f"{SCORED} batch.backend=loky batch.n_jobs=0", "batch.n_jobs: 0 processes do nothing"),
    alike(f"{SCORED} batch.scheduler=tcp://host:8786", "batch.scheduler: say of which: batch.backend=dask or ray"),
    alike(f"{SCORED} batch.keep=id", "batch.keep: should be a list"),
    row(
        f"{SCORED} batch.keep=[jobb,age,x]",
        "batch.keep: people.csv has no column 'jobb' | did you mean 'job'",
        "batch.keep: people.csv has no column 'x' | there are: age, job, paid",
    ),
    row(f"{SCORED} batch.input={{tmp}}/people.parquet batch.keep=[Age]", "batch.keep: did you mean 'age'"),
    row(f"{SCORED} batch.input={{tmp}}/twice.csv batch.keep=[age]", "batch.keep: has 2 columns 'age'; rename one"),
    alike(f"{SCORED} batch.input={{tmp}}/fake.parquet batch.keep=[age] seed=x", "seed: whole number"),
    alike(f"{SCORED} 'batch.separator=\"ab\"'", "batch.separator: should be one character such as ';' | got 'ab'"),
    row(f"{SCORED} batch.encoding=utf-9 seed=abc", "batch.encoding: no encoding 'utf-9'", "seed: should be a whole"),
]

HYDRA = [
    row("'name=${nam}'", "name: refers to 'nam' | did you mean 'name'"),
    alike("'data.path=${data.pth}'", "data.path: refers to 'data.pth' | did you mean 'data.path'"),
    row("'model.params={'", "model.params: '{' cannot be read; close every bracket and quote"),
    alike("'data.separator=;'", "data.separator: seems to be separated by ','"),
    row("'data.path=/nowhere/[x.csv'", "data.path: '/nowhere/[x.csv' cannot be read; close every bracket"),
    row("data.path=/nowhere/käufer.csv", "data.path: there is no file /nowhere/käufer.csv"),
    alike("'data.path=/nowhere/a (1)=b&c.csv'", "data.path: there is no file /nowhere/a (1)=b&c.csv"),
    alike("'data.path=/nowhere/it's.csv'".replace("'s", "'\"'\"'s"), "data.path: there is no file /nowhere/it's.csv"),
    row("seed", ": 'seed' changes nothing; write key=value"),
    row("~nothing", "nothing: cannot be removed: there is no such key"),
    row("'name=a, b'", "name: has a comma, so that it may be several values: quote text ('name=\"...\"')"),
    alike("~deploy.prot", "deploy.prot: cannot be removed | did you mean 'deploy.port'"),
    row("hydra.job.chdr=1", "hydra.job.chdr: Hydra has no such key"),
    row("hydra.searchpath=[pkg://nowhere.conf]", "hydra.searchpath: pkg://nowhere.conf: there is no such package"),
    row("hydra.searchpath=[file://{tmp}/nowhere]", "hydra.searchpath: there is no such folder"),
    row("", ": random_forest.yaml", model__random_forest=("params:", "params: [")),
]

SEVERAL = [
    row(
        "seed=abc deplo=aci model=xgbost",
        "seed: whole number",
        "deplo: did you mean 'deploy'",
        "model: no option 'xgbost'",
    ),
    row(
        "data.target=outcome deploy.port=abc model.params.max_depth=0 search.scoring=[roc_auc,acuracy] sead=1",
        "data.target: did you mean 'Outcome'",
        "deploy.port: whole number",
        "model.params.max_depth: got 0",
        "search.scoring: did you mean 'accuracy'",
        "sead: did you mean 'seed'",
    ),
    row(
        "~nothing 'model.params={' hydra.job.chdr=1 stages=ful model.param_grid.max_depth=[2,None] data.drop=[agee]",
        "nothing: cannot be removed",
        "model.params: cannot be read",
        "hydra.job.chdr: Hydra has no such key",
        "stages: did you mean 'full'",
        "model.param_grid.max_depth: write null for none",
        "data.drop: did you mean 'Age'",
    ),
    row(
        "model.param_grid.max_depth=[0,-1] model.params.n_job=1 preprocess.steps.impute.strategy=meen search.cv=1",
        "model.param_grid.max_depth: got 0",
        "model.param_grid.max_depth: got -1",
        "model.params.n_job: did you mean 'n_jobs'",
        "preprocess.steps.impute.strategy: did you mean 'mean'",
        "search.cv: at least 2",
    ),
    alike("search.scoring=r2", "search.scoring: 'r2' scores numbers"),
    alike(
        "data.test_size=2 data.target=outcome data.drop=[agee,bmii]",
        "data.test_size: share between 0 and 1",
        "data.target: did you mean 'Outcome'",
        "data.drop: did you mean 'Age'",
        "data.drop: did you mean 'BMI'",
    ),
]

HOSTILE = [
    row(f"deploy._target_=subprocess.Popen {args}", "deploy._target_: subprocess.Popen is no Target")
    for args in ("'deploy.args=[touch,{tmp}/hostile]'", "")
] + [
    row("tracking._target_=subprocess.Popen 'tracking.args=[touch,{tmp}/hostile]'", "tracking._target_: is no Tracker"),
    row("'stages.x={_target_: subprocess.Popen, args: [touch,{tmp}/hostile]}'", "stages.x._target_: is no Stage"),
    alike("search._target_=subprocess.Popen", "search._target_: a search estimator"),
    row(
        "model.estimator=subprocess.Popen 'model.params={args: [touch,{tmp}/hostile]}'",
        "model.estimator: fit and predict",
    ),
    row(
        "'preprocess.steps.x={_target_: subprocess.Popen, args: [touch,{tmp}/hostile]}'",
        "preprocess.steps.x._target_: fit and transform",
    ),
]

TABLE = [
    *(KEYS + GROUPS + TOP_LEVEL + DATA + PREPROCESS),
    *(MODEL + EVALUATE + SEARCH + PATHS + DEPLOY + BATCH + HYDRA + SEVERAL + HOSTILE),
]


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data files that are wrong in some way."""
    folder = tmp_path_factory.mktemp("data")
    people = pd.DataFrame({"age": [30, 40], "job": ["cook", "smith"], "paid": [0, 1]})
    people.to_csv(folder / "people.csv", index=False)
    people.to_csv(folder / "semicolons.csv", sep=";", index=False)
    people.to_parquet(folder / "people.parquet")
    people[["paid"]].to_csv(folder / "alone.csv", index=False)
    (folder / "twice.csv").write_text("age,age,paid\n1,2,0\n")
    (folder / "latin.csv").write_bytes("größe,paid\n1,0\n".encode("latin-1"))
    (folder / "empty.csv").touch()
    (folder / "fake.parquet").write_text("no parquet")
    (folder / "wide.csv").write_text("age,paid\n1,0\n", encoding="utf-16")
    for name, member in (("packed.csv", "people.csv"), ("book.xlsx", "xl/workbook.xml")):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(member, "age,paid\n1,0\n")
    (folder / "outside_broken.py").write_text("class Model\n")
    (folder / "outside_leaving.py").write_text("import sys\nsys.exit(3)\n")
    return folder


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ to make mistakes in."""
    copy = shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr("orchestrator.config.compose.CONF", copy)
    return copy


def fits(problem: Problem, expected: str) -> bool:
    place, _, words = expected.partition(": " if not expected.startswith(":") else ":")
    return problem.at == place and all(word.strip() in problem.message for word in words.split(" | "))


@pytest.mark.parametrize(
    "mistake",
    [at_night(mistake) if mistake.nightly else mistake for mistake in TABLE],
    ids=lambda mistake: mistake.typed or str(*mistake.edits),
)
def test_a_mistake_is_reported(
    mistake: Row, tmp: Path, tmp_path: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp)
    for name, (there, becomes) in mistake.edits.items():
        file = conf / f"{name}.yaml"
        assert there in file.read_text()
        file.write_text(file.read_text().replace(there, becomes, 1))
    typed = shlex.split(mistake.typed.replace("{tmp}", str(tmp)))
    state = [] if any(override.startswith("state_dir=") for override in typed) else [f"state_dir={tmp_path}/state"]

    problems = found(*state, *typed)

    lines = "\n".join(map(str, problems))
    assert len(problems) == len(mistake.expected), lines
    for expected in mistake.expected:
        assert any(fits(problem, expected) for problem in problems), f"{expected}\nis not reported by\n{lines}"
    assert all(str(problem).isprintable() for problem in problems), lines
    assert not (tmp / "hostile").exists()


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 45
    assert sum(len(mistake.expected) >= 3 for mistake in TABLE) >= 3


# What the command prints, and what is imported before that.

HEAVY = {"sklearn", "pandas", "numpy", "scipy", "matplotlib", "mlflow", "pyarrow", "xgboost"}
REPORTING_IMPORTS = """
import sys
sys.path.insert(0, {root!r})
heavy = {heavy!r}
class Reporting:
    written = False
    def write(self, text):
        if text.strip():
            self.written = True
            sys.__stdout__.write("after " + " ".join(sorted(heavy & set(sys.modules))) + ": " + text.strip() + "\\n")
            sys.__stdout__.flush()
    def flush(self):
        if self.written:
            sys.__stdout__.write("flushed\\n")
            sys.__stdout__.flush()
        self.written = False
sys.stderr = Reporting()
sys.argv = ["run.py", *{typed!r}]
import runpy
try:
    runpy.run_path({root!r} + "/run.py", run_name="__main__")
except SystemExit as error:
    print("exit", error.code)
print("in the end", *sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("here")) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["seed=abc", "deplo=aci", "model=xgbost"], ["model: ", "seed: ", "deplo: "]),
        at_night(["~nothing", "model.params={"], ["model.params: ", "nothing: "]),
        at_night(["name=${nam}"], ["name: "]),
        at_night(["+deploy._target_=subprocess.Popen"], ["deploy._target_: "]),
        at_night(["model.params.max_depth=0", "data.target=outcome"], ["data.target: ", "model.params.max_depth: "]),
        at_night(["-m", "model=random_forest,xgbost"], ["model: "]),
    ],
)
def test_the_command_prints_one_line_a_mistake(typed: Sequence[str], expected: Sequence[str], here: Desk) -> None:
    done = here.run(*typed)
    heading, *lines = done.err.splitlines()
    assert done.code == 1
    assert done.out == ""
    assert heading == "The configuration is wrong; nothing was run:"
    assert len(lines) == len(expected), done.err
    for line, place in zip(lines, expected, strict=True):
        assert line.startswith(f"  {place}")
        assert line.isprintable()
    remembered = {"checks", "task"}
    written = [path for path in here.state.rglob("*") if path.is_file() and not remembered & {*path.parts}]
    assert written == []


def imports(state: Path, *typed: str) -> list[str]:
    """Return what was written and flushed, each with the libraries imported by then."""
    made = desk(state.parent)
    with made as place:
        root = str(CONF.parent)
        run = [*typed, f"state_dir={state}", f"hydra.run.dir={state.parent}/run"]
        process = place.popen(sys.executable, "-c", REPORTING_IMPORTS.format(root=root, heavy=HEAVY, typed=run))
        out, err = process.communicate(timeout=60)
    assert err == "", err
    return out.splitlines()


@pytest.mark.slow
def test_a_mistake_is_reported_before_the_estimator_is_imported(tmp_path: Path) -> None:
    lines = imports(tmp_path / "state", "sead=1", "model.params.max_depth=0")
    assert lines[0] == "after : The configuration is wrong; nothing was run:"
    assert lines[1].startswith("after : sead:")
    assert lines[2] == "flushed"
    assert re.match(r"after .*sklearn.*: model\.params\.max_depth:", lines[3])
    assert lines[-2:][0] == "exit 1"
    assert "mlflow" not in lines[-1]
    assert "matplotlib" not in lines[-1]


@pytest.mark.nightly
@pytest.mark.slow
def test_passed_checks_need_no_import_the_next_time(tmp_path: Path) -> None:
    first = imports(tmp_path / "state", "sead=1")
    assert "sklearn" in first[-1]
    again = imports(tmp_path / "state", "sead=1", "deploy.port=http")
    assert [line.split(":")[1].strip() for line in again if line.startswith("after")][1:] == ["sead", "deploy.port"]
    assert again[-2:] == ["exit 1", "in the end"]


def test_a_damaged_entry_of_passed_checks_is_a_miss(tmp_path: Path) -> None:
    assert found(f"state_dir={tmp_path}") == []
    remembered = list((tmp_path / "cache" / "checks").iterdir())
    assert len(remembered) == 1
    (remembered[0] / "manifest.json").write_text("{")
    assert found(f"state_dir={tmp_path}") == []


def test_a_dry_run_remembers_nothing(tmp_path: Path) -> None:
    assert found(f"state_dir={tmp_path}/state", "dry_run=true") == []
    assert list(tmp_path.iterdir()) == []


def test_validate_returns_the_spec_or_raises_every_problem(tmp_path: Path) -> None:
    config = compose(f"state_dir={tmp_path}", "stages=status")
    assert validate(config).spec.seed == 0
    with pytest.raises(SpecError) as caught:
        validate(Composed(dict(config.values) | {"seed": -1, "name": ""}))
    assert {problem.at for problem in caught.value.problems} >= {"seed", "name"}


def test_stages_that_do_not_train_need_neither_data_nor_estimator(tmp_path: Path) -> None:
    typed = ["stages=status", "data.path=nowhere.csv", "model.estimator=nowhere.Model"]
    assert found(f"state_dir={tmp_path}", *typed) == []


def test_a_backend_that_is_not_installed_is_reported_after_checks_that_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backend.EXTRAS, "dask", "no_such_module")
    for typed in (
        ["search.backend=dask"],
        ["model=logistic_regression", "model/param_grid=none", "search.backend=dask"],
    ):
        assert found(f"state_dir={tmp_path}", *typed[:-1]) == []
        (problem,) = found(f"state_dir={tmp_path}", *typed)
        assert str(problem).startswith("search.backend: dask needs no_such_module; install it with: ")
