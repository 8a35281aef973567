"""Predictions of the SGD estimators that are not those of one kernel: the squared hinge's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmultireduce import (
    FixedThresholdMultiLabel,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    diagnose,
)
from skmultireduce._data.score_matrix import best_columns
from skmultireduce._training.predictions import kept_inside, nearest_simplex
from skmultireduce.metrics import jaccard_threshold_curve

HINGE = {"loss": "squared_hinge", "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return make_multilabel_classification(
        n_samples=300, n_features=20, n_classes=6, allow_unlabeled=False, random_state=0
    )


@pytest.mark.parametrize("reduction", ["one_vs_rest", "one_vs_rest_normalized"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
def test_probabilities_of_the_squared_hinge(data, kind, reduction, dtype):
    X, y = data
    model = kind(reduction=reduction, dtype=dtype, max_iter=5, **HINGE).fit(X, y)
    scores, proba = model.decision_function(X), model.predict_proba(X)
    assert proba.dtype == dtype
    assert np.all((proba > 0) & (proba < 1))  # strictly
    expected = np.clip((1 + scores) / 2, 0, 1)
    np.testing.assert_allclose(proba, expected, atol=1e-7, rtol=1e-5)
    assert np.all(np.isfinite(model.predict_log_proba(X)))
    np.testing.assert_array_equal(model.predict(X), scores >= 0)


def test_for_one_label_a_row_they_sum_to_one_and_agree_with_the_prediction(data):
    X, y = data
    classes = y.argmax(axis=1)
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", **HINGE).fit(X, classes)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert np.all((proba > 0) & (proba < 1))
    expected = nearest_simplex((1 + model.decision_function(X)) / 2)
    np.testing.assert_allclose(proba, expected, atol=1e-6)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), n=st.integers(1, 6), scale=st.sampled_from([0.1, 1, 10]))
def test_nearest_simplex(seed, n, scale):
    rng = np.random.default_rng(seed)
    values = scale * rng.normal(size=(5, n))
    found = nearest_simplex(values)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.min() >= 0
    # No other point of the simplex is nearer: the angle to each is at least a right one.
    for other in rng.dirichlet(np.ones(n), size=20):
        assert np.all(np.sum((values - found) * (other - found), axis=1) <= 1e-9 * scale)
    np.testing.assert_array_equal(found.argmax(axis=1), values.argmax(axis=1))
    np.testing.assert_allclose(nearest_simplex(found), found, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kept_inside(dtype):
    values = np.array([0, 1, -3, 7, 0.5], dtype=dtype)
    found = kept_inside(values)
    assert found is values
    assert np.all((found > 0) & (found < 1))
    assert found[4] == 0.5


def wrapped(kind):
    hinge = MultiLabelSGDClassifier(reduction="one_vs_rest", **HINGE)
    if kind == "pipeline":
        return make_pipeline(StandardScaler(), hinge)
    if kind == "search":
        return GridSearchCV(hinge, {"alpha": [1e-3]}, scoring="f1_micro", cv=2)
    if kind == "search of a pipeline":
        pipeline = make_pipeline(StandardScaler(), hinge)
        return GridSearchCV(pipeline, {}, scoring="f1_micro", cv=2)
    return hinge


@pytest.mark.parametrize("kind", ["alone", "pipeline", "search", "search of a pipeline"])
def test_cutoffs_are_taken_on_the_scores(data, kind):
    """Many entries have the same clipped probability; `auto` must not choose it."""
    X, y = data
    auto = ThresholdedMultiLabel(wrapped(kind), cv=2, random_state=0).fit(X, y)
    scores = ThresholdedMultiLabel(
        wrapped(kind), cv=2, response_method="decision_function", random_state=0
    ).fit(X, y)
    assert auto.best_threshold_ == scores.best_threshold_
    np.testing.assert_array_equal(auto.predict(X), scores.predict(X))
    fixed = FixedThresholdMultiLabel(wrapped(kind)).fit(X, y)
    np.testing.assert_array_equal(fixed.predict(X), fixed.estimator_.decision_function(X) > 0)
    # Asked for, it is the probability that is cut.
    asked = ThresholdedMultiLabel(
        wrapped(kind), cv=2, response_method="predict_proba", random_state=0
    ).fit(X, y)
    assert 0 < asked.best_threshold_ < 1
    # With the log loss nothing changes.
    logistic = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    assert 0 < ThresholdedMultiLabel(logistic, cv=2, random_state=0).fit(X, y).best_threshold_ < 1


def test_early_stopping_looks_at_the_scores(data):
    X, y = data
    parameters = {"reduction": "one_vs_rest", "early_stopping": True, "max_iter": 1, **HINGE}
    model = MultiLabelSGDClassifier(**parameters, eta0=2.0).fit(
        X[:200], y[:200], X_val=X[200:], y_val=y[200:]
    )
    scores, proba = model.decision_function(X[200:]), model.predict_proba(X[200:])
    best = jaccard_threshold_curve(y[200:], scores)[0].max()
    assert model.validation_scores_[-1] == pytest.approx(best)
    # Clipped, some true labels tie with false ones.
    assert jaccard_threshold_curve(y[200:], proba)[0].max() < best


def test_what_needs_marginals_can_use_them(data):
    X, y = data
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", **HINGE).fit(X, y)
    assert diagnose(model, X, y).jaccard > 0.3
    tuned = ThresholdedMultiLabel(model, cv="prefit", response_method="predict_proba").fit(X, y)
    assert 0 < tuned.best_threshold_ < 1
    assert tuned.best_score_ > 0.3


@pytest.mark.parametrize("k", [1, 17, 80, 128, 129, 299, 300, 400])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_best_columns_are_those_of_a_stable_sort(k, dtype):
    """Whatever the way for so many; most values come several times."""
    values = np.random.default_rng(0).integers(0, 6, size=(50, 300)).astype(dtype)
    found = best_columns(values, k)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.argsort(-values, axis=1, kind="stable")[:, :k])
