"""Metrics at k, with propensities, over labels; the report; against other definitions."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import (
    classification_report,
    f1_score,
    jaccard_score,
    make_scorer,
    ndcg_score,
    precision_score,
    recall_score,
)
from sklearn.model_selection import cross_val_score

from conftest import random_csr
from skmultireduce import MultiLabelSGDClassifier
from skmultireduce._cutoff import report
from skmultireduce.metrics import (
    coverage_at_k_score,
    f1_at_k_score,
    jaccard_threshold_curve,
    label_propensities,
    multilabel_report,
    ndcg_at_k_score,
    precision_at_k_score,
    psndcg_at_k_score,
    psprecision_at_k_score,
    psrecall_at_k_score,
    recall_at_k_score,
)

PS = [psprecision_at_k_score, psrecall_at_k_score, psndcg_at_k_score]
AT_K = [
    precision_at_k_score, recall_at_k_score, f1_at_k_score, ndcg_at_k_score, coverage_at_k_score,
    *PS,
]  # fmt: skip


def problem(seed=0, n_rows=60, n_labels=8, ties=False):
    rng = np.random.default_rng(seed)
    y = (rng.random((n_rows, n_labels)) < 0.3).astype(int)
    y[0], y[1] = 1, 0
    scores = rng.random(y.shape) + 0.5 * y
    return y, np.maximum(np.round(scores, 1), 0.1) if ties else scores


def stored(scores, kept):
    """CSR of the kept scores; with all of them kept, of the same meaning as the array."""
    rows, labels = np.nonzero(kept)
    return sp.csr_array((scores[kept], (rows, labels)), shape=scores.shape)


def in_order(scores, k):
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def chosen(scores, k):
    out = np.zeros(scores.shape, dtype=int)
    np.put_along_axis(out, in_order(scores, k), 1, axis=1)
    return out


# --- against other definitions ---


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_is_that_of_scikit_learn(k, ties):
    """With ties, weights, rows without labels; dense and sparse, stored in part."""
    y, scores = problem(ties=ties)
    weight = np.random.default_rng(1).random(len(y))
    for w in (None, weight):
        expected = ndcg_score(y, scores, k=k, sample_weight=w)
        assert ndcg_at_k_score(y, scores, k=k, sample_weight=w) == pytest.approx(
            expected, abs=1e-12
        )
        every = stored(scores, np.ones_like(y, bool))
        assert ndcg_at_k_score(sp.csr_array(y), every, k=k, sample_weight=w) == pytest.approx(
            expected, abs=1e-12
        )
        part = stored(scores, np.random.default_rng(2).random(y.shape) < 0.4)
        # All scores are positive, so that the zeros of the array are the lowest.
        assert ndcg_at_k_score(y, part, k=k, sample_weight=w) == pytest.approx(
            ndcg_score(y, part.toarray(), k=k, sample_weight=w), abs=1e-12
        )


def of_napkinxc(y, scores, k, inverse):
    """Propensity-scored metrics as napkinxc.metrics computes them: places one by one."""
    found, best = np.zeros((2, 3))
    for truth, row in zip(y, scores, strict=True):
        true = np.flatnonzero(truth)
        top = np.argsort(-row, kind="stable")[:k]
        logs = 1 / np.log2(np.arange(2, k + 2))
        ranked = -np.sort(-inverse[true])[:k]
        gains = np.where(truth[top] == 1, inverse[top], 0)
        sums = [gains.sum(), gains.sum(), gains @ logs]
        most = [ranked.sum(), ranked.sum(), ranked @ logs[: len(ranked)]]
        below = [k, max(len(true), 1), logs[: min(k, len(true))].sum() or 1.0]
        found += np.divide(sums, below)
        best += np.divide(most, below)
    return found, best


@pytest.mark.parametrize("k", [1, 3, 5])
def test_propensity_scored_metrics(k):
    np.testing.assert_array_equal(label_propensities([[1, 0], [1, 1]]), 1)
    y, scores = problem(3)
    propensities = label_propensities(y)
    n, counts = len(y), y.sum(axis=0)
    c = (np.log(n) - 1) * 2.5**0.55
    np.testing.assert_allclose(1 / propensities, 1 + c * (counts + 1.5) ** -0.55, rtol=1e-12)
    found, best = of_napkinxc(y, scores, k, 1 / propensities)
    for metric, own, most in zip(PS, found, best, strict=True):
        assert metric(y, scores, k=k) == pytest.approx(own / most, abs=1e-12)
        plain = metric(y, scores, k=k, propensities=propensities, normalize=False)
        assert plain == pytest.approx(own / n, abs=1e-12)
        twice = metric(np.tile(y, (2, 1)), np.tile(scores, (2, 1)), k=k, propensities=propensities)
        weighted = metric(y, scores, k=k, propensities=propensities, sample_weight=np.full(n, 2.0))
        assert twice == pytest.approx(weighted) == pytest.approx(own / most)
    ones = np.ones(y.shape[1])
    assert psprecision_at_k_score(y, scores, k=k, propensities=ones, normalize=False) == (
        pytest.approx(precision_at_k_score(y, scores, k=k))
    )
    with pytest.raises(ValueError, match="propensities must be 8 numbers"):
        psprecision_at_k_score(y, scores, propensities=[0.5] * 7)
    with pytest.raises(ValueError, match="propensities must be"):
        psprecision_at_k_score(y, scores, propensities=[0.0] * 8)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("average", ["samples", "micro", "macro"])
def test_metrics_at_k_are_those_of_predictions(k, average):
    """Precision, recall and F1 of the k best labels as a prediction, with weights."""
    y, scores = problem(4)
    predicted = chosen(scores, k)
    weight = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)
    for metric, function in (
        (precision_at_k_score, precision_score), (recall_at_k_score, recall_score),
        (f1_at_k_score, f1_score),
    ):  # fmt: skip
        for w in (None, weight):
            options = {"average": average, "sample_weight": w}
            expected = function(y, predicted, zero_division=0, **options)
            more = {} if metric is f1_at_k_score else {"zero_division": 0.0}
            assert metric(y, scores, k=k, **options, **more) == pytest.approx(expected)
            every = stored(scores, np.ones_like(y, bool))
            assert metric(y, every, k=k, **options, **more) == pytest.approx(expected)
            best = stored(scores, predicted == 1)
            assert metric(y, best, k=k, **options, **more) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_ties_and_missing_scores_are_shared(k):
    """The mean over ways to break ties, by trying many; rows with few stored scores."""
    rng = np.random.default_rng(0)
    y, scores = problem(5, n_rows=6, ties=True)
    part = stored(scores, rng.random(y.shape) < 0.4)
    full = np.where(part.toarray() != 0, part.toarray(), -1.0)
    tried = {metric: [] for metric in (f1_at_k_score, recall_at_k_score)}
    for _ in range(250):
        broken = full + rng.random(full.shape) * 1e-6
        for metric, values in tried.items():
            values.append(metric(y, broken, k=k, average="micro"))
    for metric, values in tried.items():
        assert metric(y, part, k=k, average="micro") == pytest.approx(np.mean(values), abs=0.03)
        dense = metric(y, full, k=k, average="macro")
        assert metric(y, part, k=k, average="macro") == pytest.approx(dense)
    precision = precision_at_k_score(y, part, k=k, average="macro")
    assert precision == pytest.approx(precision_at_k_score(y, full, k=k, average="macro"))
    assert coverage_at_k_score(y, part, k=k) == pytest.approx(coverage_at_k_score(y, full, k=k))


def test_coverage():
    y, scores = problem(6, n_rows=10)
    for k in (1, 2, 8):
        hit = (chosen(scores, k) * y).sum(axis=0) > 0
        assert coverage_at_k_score(y, scores, k=k) == pytest.approx(hit[y.any(axis=0)].mean())
    weight = np.arange(10) % 2
    expected = coverage_at_k_score(y[1::2], scores[1::2], k=2)
    assert coverage_at_k_score(y, scores, k=2, sample_weight=weight) == pytest.approx(expected)
    assert coverage_at_k_score(y * 0, scores) == 0


def test_negative_scores_that_are_stored_are_above_those_that_are_not():
    y = np.array([[0, 1, 0], [1, 0, 0]])
    scores = sp.csr_array(([-2.0, -3.0], ([0, 1], [1, 0])), shape=(2, 3))
    for metric in AT_K:
        assert metric(y, scores, k=1) == 1.0
    assert jaccard_threshold_curve(y, scores)[0].max() == 1.0


@pytest.mark.parametrize("metric", AT_K)
def test_errors_and_scorers(metric):
    y, scores = problem()
    for wrong, message in (
        ({"k": 9}, "k=9 is more than the 8 labels"),
        ({"y_score": scores[:, :4]}, "y_score has the shape"),
        ({"y_true": y[:, 0]}, "y_true is 1-D"),
        ({"sample_weight": -np.ones(len(y))}, "(?i)negative"),
    ):
        with pytest.raises(ValueError, match=message):
            metric(**{"y_true": y, "y_score": scores, **wrong})
    X, y = make_multilabel_classification(n_samples=60, allow_unlabeled=False, random_state=0)
    scorer = make_scorer(metric, response_method="predict_proba", k=2)
    model = MultiLabelSGDClassifier(random_state=0, max_iter=3)
    assert (cross_val_score(model, X, y, scoring=scorer, cv=2, error_score="raise") > 0).all()


@pytest.mark.filterwarnings("ignore:Recall at k is ill-defined")
def test_memory_is_that_of_stored_entries():
    rng = np.random.default_rng(0)
    shape = (2000, 100_000)
    y = random_csr(rng, shape, 3e-5)
    y.data[:] = 1
    indices = np.sort(rng.integers(0, shape[1], (shape[0], 20)), axis=1)
    scores = sp.csr_array(
        (rng.random(40_000), indices.reshape(-1), np.arange(2001) * 20), shape=shape
    )
    tracemalloc.start()
    for metric in AT_K:
        metric(y, scores, k=5)
    multilabel_report(y, scores > 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


# --- the report ---


@pytest.mark.parametrize("weighted", [False, True])
def test_report_is_that_of_scikit_learn(weighted):
    """Labels and averages, with weights, labels without rows, rows without labels."""
    y, scores = problem(7)
    y[:, 3] = 0
    predicted = (scores > 0.8).astype(int)
    weight = np.random.default_rng(0).integers(1, 4, len(y)).astype(float) if weighted else None
    options = {"sample_weight": weight, "zero_division": 0}
    theirs = classification_report(y, predicted, output_dict=True, **options)
    ours = multilabel_report(
        sp.csr_array(y), sp.csc_matrix(predicted), sample_weight=weight, output="dict"
    )
    assert set(theirs) == set(ours) - {"groups"}
    for row, columns in theirs.items():
        for name, value in columns.items():
            assert ours[row][name] == pytest.approx(value), (row, name)
    for average in ("micro", "macro", "samples", "weighted"):
        expected = jaccard_score(y, predicted, average=average, **options)
        assert ours[f"{average} avg"]["jaccard"] == pytest.approx(expected)
    counts = predicted.sum(axis=0) if weight is None else weight @ predicted
    assert [ours[str(i)]["predicted"] for i in range(8)] == pytest.approx(counts.tolist())


def test_report_in_each_form():
    y, scores = problem(8)
    predicted = (scores > 0.8).astype(int)
    frame = pd.DataFrame(y, columns=list("abcdefgh"))
    table = multilabel_report(frame, predicted, thresholds=0.8, output="frame")
    assert table.index.tolist() == [*"abcdefgh", "micro avg", "macro avg", "weighted avg",
                                    "samples avg"]  # fmt: skip
    assert table.loc["a", "cutoff"] == 0.8
    text = multilabel_report(y, predicted, names=list("stuvwxyz"), thresholds=np.arange(8) / 10)
    assert "z" in text.split()
    assert "0.7" in text.split()
    assert multilabel_report(y, predicted, max_labels=8) == multilabel_report(y, predicted)
    short = multilabel_report(y, predicted, max_labels=3)
    assert "8 labels with 10 to 99 rows" in short
    groups = multilabel_report(y, predicted, output="dict")["groups"]
    assert sum(group["labels"] for group in groups.values()) == 8
    assert sum(group["support"] for group in groups.values()) == y.sum()
    only = groups["10 to 99 rows"]
    f1 = f1_score(y, predicted, average=None, zero_division=0)
    assert only["f1-score"] == pytest.approx(f1.mean())


def test_report_refuses():
    y, _ = problem()
    for wrong, message in (
        ({"y_pred": y[:, :3]}, "y_pred has the shape"),
        ({"y_pred": y * 0.5}, "y_pred"),
        ({"y_pred": np.arange(len(y)) % 8}, "y_pred"),
        ({"y_true": np.arange(len(y)) % 8}, "y_true"),
        ({"names": ["a"]}, "names has the shape"),
        ({"thresholds": [0.1, 0.2]}, "shape"),
        ({"output": "html"}, "output"),
    ):
        with pytest.raises(ValueError, match=message):
            multilabel_report(**{"y_true": y, "y_pred": y, **wrong})


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (1, 1, "1 row"),
        (2, 2, "2 rows"),
        (1, 9, "1 to 9 rows"),
        (10, np.inf, "10 rows or more"),
    ],
)
def test_groups_of_labels_are_named_by_their_rows(low, high, name):
    assert report._group_name(low, high) == name
