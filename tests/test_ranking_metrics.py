from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier

from skmultireduce.metrics import precision_at_k_score, recall_at_k_score

METRICS = [precision_at_k_score, recall_at_k_score]


def hits_by_all_orders(y_true, y_score, k):
    """Mean hits over all orders of the labels that are sorted by score."""
    out = []
    for truth, score in zip(y_true, y_score, strict=True):
        orders = [
            order
            for order in itertools.permutations(range(len(score)))
            if all(score[a] >= score[b] for a, b in itertools.pairwise(order))
        ]
        out.append(np.mean([sum(truth[i] for i in order[:k]) for order in orders]))
    return np.array(out)


def random_problem(seed, n_samples=6, n_labels=5, levels=3):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, (n_samples, n_labels))
    y_true[:, 0] |= y_true.sum(axis=1) == 0
    return y_true, rng.integers(-1, levels - 1, (n_samples, n_labels)) / 2


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 5), weighted=st.booleans())
def test_equals_the_mean_over_all_ways_to_break_ties(seed, k, weighted):
    y_true, y_score = random_problem(seed)
    weight = np.random.default_rng(seed).integers(1, 4, len(y_true)) if weighted else None
    hits = hits_by_all_orders(y_true, y_score, k)
    sizes = y_true.sum(axis=1)
    w = np.ones(len(hits)) if weight is None else weight
    for average in ("samples", "micro"):
        found = precision_at_k_score(y_true, y_score, k=k, average=average, sample_weight=weight)
        assert found == pytest.approx((w @ hits) / (k * w.sum()))
    found = recall_at_k_score(y_true, y_score, k=k, sample_weight=weight)
    assert found == pytest.approx(w @ (hits / sizes) / w.sum())
    found = recall_at_k_score(y_true, y_score, k=k, average="micro", sample_weight=weight)
    assert found == pytest.approx((w @ hits) / (w @ sizes))


def test_does_not_depend_on_the_order_of_the_labels():
    y_true, y_score = random_problem(0, n_samples=50)
    order = np.random.default_rng(0).permutation(5)
    for metric in METRICS:
        assert metric(y_true, y_score, k=2) == pytest.approx(
            metric(y_true[:, order], y_score[:, order], k=2)
        )
    constant = np.zeros_like(y_score)
    assert precision_at_k_score(y_true, constant, k=2) == pytest.approx(y_true.mean())


def test_recall_with_predictions_in_place_of_scores_is_that_of_sklearn():
    # One label predicted for each row: the top label of the one-hot scores.
    y_true, _ = random_problem(1, n_samples=80)
    predicted = np.eye(5, dtype=int)[np.random.default_rng(1).integers(0, 5, 80)]
    for average in ("samples", "micro"):
        assert recall_at_k_score(y_true, predicted, average=average) == pytest.approx(
            recall_score(y_true, predicted, average=average)
        )


def every_score(y_score):
    """CSR that stores zeros too: what is not stored is lower than all that is."""
    n_rows, n_labels = y_score.shape
    indices = np.tile(np.arange(n_labels), n_rows)
    indptr = np.arange(n_rows + 1) * n_labels
    return sp.csr_array((y_score.reshape(-1), indices, indptr), shape=y_score.shape)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("average", ["samples", "micro"])
def test_containers(metric, average):
    y_true, y_score = random_problem(2, n_samples=30)
    expected = metric(y_true, y_score, k=2, average=average)
    truths = [
        y_true.astype(bool),
        y_true.astype(np.int8),
        y_true.astype(float),
        y_true.tolist(),
        pd.DataFrame(y_true),
        sp.csr_matrix(y_true),
        sp.csc_array(y_true),
        sp.coo_array(y_true),
    ]
    scores = [
        y_score.astype(np.float32),
        np.asfortranarray(y_score),
        y_score.tolist(),
        pd.DataFrame(y_score),
        every_score(y_score),
        every_score(y_score).tocsc(),
    ]
    for truth in truths:
        assert metric(truth, y_score, k=2, average=average) == pytest.approx(expected)
    for score in scores:
        assert metric(y_true, score, k=2, average=average) == pytest.approx(expected)


def test_working_memory_does_not_change_the_result():
    y_true, y_score = random_problem(3, n_samples=500)
    for metric in METRICS:
        expected = metric(y_true, y_score, k=3)
        with config_context(working_memory=0.001):
            assert metric(y_true, y_score, k=3) == expected
            assert metric(y_true, every_score(y_score), k=3) == expected


def test_inputs_are_not_changed():
    y_true, y_score = random_problem(4)
    for array in (y_true, y_score):
        array.flags.writeable = False
    before = y_score.copy()
    precision_at_k_score(y_true, y_score, k=2)
    assert np.array_equal(before, y_score)


UNLABELED = (np.array([[1, 1, 0], [0, 0, 0]]), np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]]))


def test_rows_without_labels():
    y_true, y_score = UNLABELED
    assert precision_at_k_score(y_true, y_score) == 0.5
    assert precision_at_k_score(y_true, y_score, zero_division=1.0) == 1.0
    assert precision_at_k_score(y_true, y_score, zero_division=np.nan) == 1.0
    for metric, expected in ((precision_at_k_score, 0.5), (recall_at_k_score, 0.25)):
        with pytest.warns(UndefinedMetricWarning, match="1 rows without") as caught:
            assert metric(y_true, y_score, zero_division="warn") == expected
        assert len(caught) == 1
        assert caught[0].filename == __file__
    assert recall_at_k_score(y_true, y_score, zero_division=0.0) == 0.25
    assert recall_at_k_score(y_true, y_score, zero_division=1.0) == 0.75
    assert recall_at_k_score(y_true, y_score, zero_division=np.nan) == 0.5
    assert recall_at_k_score(y_true, y_score, average="micro") == 0.5  # without a warning


def test_no_labels_at_all():
    y_true, y_score = np.zeros((2, 3), dtype=int), UNLABELED[1]
    for metric in METRICS:
        assert metric(y_true, y_score, zero_division=1.0) == 1.0
        with pytest.warns(UndefinedMetricWarning, match="left out"):
            assert np.isnan(metric(y_true, y_score, zero_division=np.nan))
    with pytest.warns(UndefinedMetricWarning, match="2 rows"):
        assert recall_at_k_score(y_true, y_score, average="micro") == 0.0
    assert np.isnan(recall_at_k_score(y_true, y_score, average="micro", zero_division=np.nan))


@pytest.mark.parametrize("metric", METRICS)
def test_errors(metric):
    y_true, y_score = random_problem(5)
    with pytest.raises(ValueError, match="k=6 is more than the 5 labels"):
        metric(y_true, y_score, k=6)
    with pytest.raises(ValueError, match="top_k_accuracy_score"):
        metric(y_true[:, 0], y_score)
    with pytest.raises(ValueError, match=r"y_score has the shape \(6, 4\)"):
        metric(y_true, y_score[:, :4])
    with pytest.raises(ValueError, match="shape"):
        metric(y_true, y_score[:4])
    with pytest.raises(ValueError, match="y_score contains NaN"):
        metric(y_true, np.where(y_score > 0, np.nan, y_score))
    with pytest.raises(ValueError, match="y_true must be"):
        metric(y_true * 3, y_score)
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        metric(y_true, y_score, sample_weight=np.zeros(6))
    for wrong in ({"k": 0}, {"k": 1.5}, {"average": "weighted"}, {"zero_division": 2}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            metric(y_true, y_score, **wrong)


def test_in_scikit_learn_searches():
    X, y = make_multilabel_classification(n_samples=120, n_classes=4, random_state=0)
    y[y.sum(axis=1) == 0, 0] = 1
    scorer = make_scorer(
        precision_at_k_score, response_method=("predict_proba", "decision_function"), k=2
    )
    model = OneVsRestClassifier(LogisticRegression(max_iter=300))
    expected = cross_val_score(model, X, y, scoring=scorer, cv=3)
    several = MultiOutputClassifier(LogisticRegression(max_iter=300))
    np.testing.assert_allclose(cross_val_score(several, X, y, scoring=scorer, cv=3), expected)
    # By hand
    model.fit(X[40:], y[40:])
    assert scorer(model, X[:40], y[:40]) == pytest.approx(
        precision_at_k_score(y[:40], model.predict_proba(X[:40]), k=2)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(
            model,
            {"estimator__C": [0.1, 1.0]},
            scoring={
                "p": scorer,
                "r": make_scorer(recall_at_k_score, response_method="predict_proba", k=3),
            },
            refit="p",
            cv=3,
        ).fit(X, y)
    assert set(search.cv_results_) >= {"mean_test_p", "mean_test_r"}
