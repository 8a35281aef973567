"""Model and cutoff tuned in one round of folds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 10))
Y = (X @ RNG.normal(size=(10, 4)) + RNG.logistic(size=(200, 4)) > 1).astype(int)
FOREIGN = OneVsRestClassifier(LogisticRegression(solver="liblinear"))
OURS = MultiLabelSGDClassifier(reduction="one_vs_rest", max_iter=5, random_state=0)
GRID = {"estimator__C": [0.01, 0.1, 1.0, 10.0]}


def tuned(estimator=FOREIGN, **params):
    return ThresholdedMultiLabel(estimator, **{"random_state": 0, **params})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"strategy": "per_label"},
        {"strategy": "adjusted"},
        {"strategy": "top_k"},
        {"strategy": "relative"},
        {"scoring": "f1_macro"},
        {"scoring": "f1_samples", "min_labels": 1, "max_labels": 3},
        {"scoring": "accuracy", "cv": 2},
        {"min_precision": 0.6},
        {"cv": 0.3, "refit": False},
        {"n_jobs": 2, "cv": 3},
    ],
    ids=str,
)
def test_is_the_best_of_separate_fits(params):
    """Every strategy, kind of scoring, limit, constraint and split: the same as one by one."""
    model = tuned(param_grid=GRID, **params).fit(X, Y)
    alone = [
        tuned(clone(FOREIGN).set_params(**one), **params).fit(X, Y) for one in ParameterGrid(GRID)
    ]
    scores = [one.best_score_ for one in alone]
    np.testing.assert_array_equal(model.search_results_["score"], scores)
    best = int(np.argmax(scores))
    assert model.best_index_ == best
    assert model.best_params_ == list(ParameterGrid(GRID))[best]
    np.testing.assert_array_equal(model.best_threshold_, alone[best].best_threshold_)
    np.testing.assert_array_equal(model.predict(X), alone[best].predict(X))
    assert model.estimator_.get_params()["estimator__C"] == model.best_params_["estimator__C"]


def test_results_are_a_table():
    pandas = pytest.importorskip("pandas")
    model = tuned(param_grid=[GRID, {"n_jobs": [1]}]).fit(X, Y)
    table = pandas.DataFrame(model.search_results_)
    assert len(table) == 5
    assert table.loc[model.best_index_, "rank_score"] == 1
    assert table["score"].max() == model.best_score_
    assert (table[["std_score", "mean_fit_time", "tune_time"]] > 0).all(axis=None)
    assert (table["std_score"] < 0.1).all()
    assert isinstance(model.search_results_["param_n_jobs"], np.ma.MaskedArray)
    assert table.loc[model.best_index_, "threshold"] == model.best_threshold_


@pytest.mark.parametrize(
    "grid",
    [
        ParameterGrid(GRID),
        ParameterSampler(GRID, 3, random_state=0),
        [{"estimator__C": 0.1}, {"estimator__C": 1.0}],
        ({"estimator__C": [0.1]}, {"estimator__C": [1.0]}),
        {"estimator": [LogisticRegression(C=0.1), LogisticRegression(C=1.0)]},
    ],
    ids=lambda grid: type(grid).__name__,
)
def test_forms_of_a_grid(grid):
    model = clone(tuned(param_grid=grid, cv=2)).fit(X, Y)
    assert model.search_results_["score"].shape == (len(model.search_results_["params"]),)
    assert clone(model).fit(X, Y).best_params_.keys() == model.best_params_.keys()


@pytest.mark.parametrize("pipeline", [False, True])
def test_auto_moves_the_penalty(pipeline):
    estimator = make_pipeline(StandardScaler(), OURS) if pipeline else OURS
    name = "multilabelsgdclassifier__alpha_scale" if pipeline else "alpha_scale"
    model = tuned(estimator, param_grid="auto", cv=3).fit(X, Y)
    scales = [params[name] for params in model.search_results_["params"]]
    assert sorted(scales[:5]) == [0.25, 0.5, 1, 2, 4]
    best = model.best_params_[name]
    # The best is not at an end: the grid was extended.
    assert min(scales) < best < max(scales) or best in (2.0**-12, 2.0**12)
    assert model.best_score_ == max(model.search_results_["score"])


def test_auto_extends_the_grid():
    """Labels that no feature explains want no weights at all."""
    y = np.random.default_rng(1).integers(0, 2, (200, 2))
    model = tuned(OURS, param_grid="auto", cv=2, scoring="accuracy").fit(X, y)
    assert len(model.search_results_["params"]) > 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"param_grid": "auto"}, "OneVsRestClassifier does not have"),
        ({"estimator": clone(OURS).set_params(alpha=0.1), "param_grid": "auto"}, "alpha='auto'"),
        ({"param_grid": GRID, "cv": "prefit"}, "cv='prefit'.*fitted already"),
        ({"param_grid": "auto", "cv": "prefit"}, "cv='prefit'.*fitted already"),
        ({"param_grid": iter([{}])}, "read just once"),
        ({"param_grid": []}, "at least one dict"),
        ({"param_grid": [1, 2]}, "at least one dict"),
        ({"param_grid": {"nonsense": [1]}}, "nonsense"),
        ({"param_grid": GRID, "refit": False}, "refit cannot be False"),
    ],
)
def test_bad_grids(params, message):
    with pytest.raises(ValueError, match=message):
        tuned(**params).fit(X, Y)


def test_classes_have_no_cutoff_to_judge_by():
    with pytest.raises(ValueError, match=r"1-D y.*GridSearchCV"):
        tuned(param_grid=GRID).fit(X, Y[:, 0])


def test_candidates_that_fail():
    grid = {"estimator__C": [-1.0, 1.0]}
    with pytest.warns(FitFailedWarning, match="1 of 2 candidates.*C"):
        model = tuned(param_grid=grid, cv=2).fit(X, Y)
    assert model.best_params_ == {"estimator__C": 1.0}
    assert np.isnan(model.search_results_["score"][0])
    with pytest.warns(FitFailedWarning):
        model = tuned(param_grid=grid, cv=2, error_score=-5.0).fit(X, Y)
    assert model.search_results_["score"][0] == -5
    for params in (
        {"param_grid": grid, "error_score": "raise"},
        {"param_grid": [grid | {"estimator__C": [-1.0]}]},
    ):
        with pytest.raises(ValueError, match="C"):
            tuned(**params).fit(X, Y)


def test_candidates_that_cannot_satisfy_the_constraint():
    # One says the same of every row: its precision is that of the most frequent label.
    grid = {"estimator": [DummyClassifier(), LogisticRegression()]}
    with pytest.warns(FitFailedWarning, match="InfeasibleError"):
        model = tuned(param_grid=grid, min_precision=0.85).fit(X, Y)
    assert model.best_index_ == 1
    assert np.isnan(model.search_results_["score"][0])


def test_choice_holds_on_new_rows():
    """The pooled score of the chosen one is near its score on rows that nothing has seen."""
    rng = np.random.default_rng(3)
    W = rng.normal(size=(10, 4))
    A = rng.normal(size=(4000, 10))
    y = (A @ W + rng.logistic(size=(4000, 4)) > 1).astype(int)
    model = tuned(OURS, param_grid="auto").fit(A[:1000], y[:1000])
    score = jaccard_score(y[1000:], model.predict(A[1000:]), average="micro")
    assert abs(score - model.best_score_) < 0.04


def test_number_of_fits():
    calls = []

    class Counted(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            calls.append(len(X))
            return super().fit(X, y)

    tuned(OneVsRestClassifier(Counted()), param_grid=GRID, cv=5).fit(X, Y)
    assert len(calls) == (4 * 5 + 1) * Y.shape[1]
