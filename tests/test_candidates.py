"""Cutoffs on scores of some labels of each row, against dense ones and brute force."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, fbeta_score, jaccard_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from twins import cutoff as twins

from skmultireduce import (
    FixedThresholdMultiLabel,
    LabelTreeClassifier,
    MultiClassReduction,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    diagnose,
)
from skmultireduce._cutoff.counters import Search, keys_of
from skmultireduce._cutoff.scores import CandidateScores, DenseScores, Pool, csr_blocks
from skmultireduce._cutoff.search import find
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.score_matrix import score_matrix, select_scores
from skmultireduce._kernels import cutoff as kernels
from skmultireduce.inspection import top_labels
from skmultireduce.plotting import ThresholdCurveDisplay

STRATEGIES = ["global", "per_label", "adjusted", "top_k", "relative"]
AVERAGES = ["micro", "samples", "macro"]


class Proba(ClassifierMixin, BaseEstimator):
    """X is the probabilities, of all labels or of the best."""

    def fit(self, X, y):
        self.classes_ = np.arange(y.shape[1])
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict_scores(self, X, *, top_k=None, threshold=None):
        X = np.asarray(X)
        return score_matrix([select_scores(X, top_k, threshold)], X.shape[1])


class OnlyScores(ClassifierMixin, BaseEstimator):
    """X is decision values; there is no dense array of them."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict_scores(self, X, *, top_k=None, threshold=None):
        X = np.asarray(X)
        return sp.csr_array(score_matrix([select_scores(X, top_k, threshold)], X.shape[1]))


def problem(seed, n_rows=40, n_labels=6, dtype=np.float64):
    """Scores in (0, 1) with ties, some rows without labels."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n_rows, n_labels)) < rng.choice([0.1, 0.3])).astype(int)
    scores = np.clip(rng.random(y.shape) * 0.6 + 0.4 * y * rng.random(y.shape), 0.01, 0.99)
    if rng.random() < 0.5:
        scores = np.round(scores, 1)
    return np.maximum(scores, 0.01).astype(dtype), y


def tuned(inner, scores, y, **params):
    """The fitted estimator, or what is said instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ThresholdedMultiLabel(inner, **params).fit(scores, y)
        except ValueError as error:
            return str(error)


# --- all scores are there ---


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([np.float32, np.float64]),
    strategy=st.sampled_from(STRATEGIES),
    scoring=st.sampled_from(
        [f"{metric}_{average}" for metric in ("jaccard", "f1", "recall") for average in AVERAGES]
        + [make_scorer(fbeta_score, beta=2, average="micro")]
    ),
    bounds=st.sampled_from([{}, {"min_precision": 0.4}, {"min_recall": 0.3}]),
    limits=st.sampled_from([(0, None), (1, None), (0, 2), (2, 2), (1, 4)]),
    cv=st.sampled_from(["prefit", 2]),
)
def test_all_scores_give_what_dense_ones_give(seed, dtype, strategy, scoring, bounds, limits, cv):
    """Every strategy, scoring, constraint, limit, with folds and without."""
    scores, y = problem(seed, dtype=dtype)
    params = {
        "strategy": strategy, "scoring": scoring, "min_labels": limits[0],
        "max_labels": limits[1], "cv": cv if cv == "prefit" else KFold(cv), **bounds,
        "min_positives": 2,
    }  # fmt: skip
    inner = Proba().fit(scores, y)
    dense = tuned(inner, scores, y, response_method="predict_proba", **params)
    found = tuned(inner, scores, y, response_method="predict_scores", n_candidates=6, **params)
    if isinstance(dense, str):
        assert found == dense
        return
    np.testing.assert_array_equal(found.best_threshold_, dense.best_threshold_)
    np.testing.assert_array_equal(found.fold_thresholds_, dense.fold_thresholds_)
    assert found.best_score_ == pytest.approx(dense.best_score_, abs=1e-14)
    assert found.best_score_stderr_ == pytest.approx(dense.best_score_stderr_, nan_ok=True)
    np.testing.assert_array_equal(found.predict(scores), dense.predict(scores))
    np.testing.assert_allclose(found.decision_function(scores), dense.decision_function(scores))


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("strategy", ["global", "adjusted", "top_k"])
def test_stored_curve_is_that_of_dense_scores(strategy, average):
    scores, y = problem(3)
    params = {"strategy": strategy, "scoring": f"f1_{average}", "cv": 2, "random_state": 0}
    curves = [
        tuned(Proba(), scores, y, response_method=method, store_cv_results=True, **params)
        .cv_results_
        for method in ("predict_proba", "predict_scores")
    ]  # fmt: skip
    for name, values in curves[0].items():
        np.testing.assert_allclose(curves[1][name], values, err_msg=name)


# --- some are ---


def brute_force(y, masked, function):
    """Best metric over all cuts of a dense array whose other scores are never predicted."""
    return twins.best_cut(y, masked, function)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 5),
    strategy=st.sampled_from(["global", "top_k", "relative"]),
    metric=st.sampled_from(["jaccard", "f1"]),
    average=st.sampled_from(AVERAGES),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_search_among_candidates_equals_brute_force(seed, k, strategy, metric, average, dtype):
    """Positives that are no candidates count as missed."""
    scores, y = problem(seed, n_rows=12, dtype=dtype)
    model = tuned(
        Proba().fit(scores, y), scores, y, cv="prefit", response_method="predict_scores",
        n_candidates=k, strategy=strategy, scoring=f"{metric}_{average}",
    )  # fmt: skip
    order = np.argsort(-scores, axis=1, kind="stable")
    rank = np.argsort(order, axis=1)
    masked = {"global": scores, "top_k": -rank.astype(float),
              "relative": scores / scores.max(axis=1, keepdims=True)}[strategy]  # fmt: skip
    masked = np.where(rank < k, masked, -np.inf)
    function = {"jaccard": jaccard_score, "f1": f1_score}[metric]
    best = brute_force(
        y, masked, lambda a, b: function(a, b.astype(int), average=average, zero_division=0)
    )
    assert model.best_score_ == pytest.approx(best)
    predicted = model.predict(scores)
    value = function(y, predicted, average=average, zero_division=0)
    assert value == pytest.approx(best)
    assert not predicted[rank >= k].any()


def test_labels_among_candidates_equal_brute_force():
    for seed, average in itertools.product(range(6), ("micro", "macro")):
        scores, y = problem(seed, n_rows=5, n_labels=3)
        model = tuned(
            Proba().fit(scores, y), scores, y, cv="prefit", response_method="predict_scores",
            n_candidates=2, strategy="per_label", min_positives=0, scoring=f"f1_{average}",
        )  # fmt: skip
        rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
        masked = np.where(rank < 2, scores, -np.inf)
        options = [[*np.unique(column[np.isfinite(column)]), np.inf] for column in masked.T]
        best = max(
            f1_score(y, masked >= np.array(cuts), average=average, zero_division=0)
            for cuts in itertools.product(*options)
        )
        assert model.best_score_ == pytest.approx(best)


def ragged(seed, dtype=np.float32):
    """Scores of 0 to 5 labels of each row, stored zeros and negative values among them."""
    rng = np.random.default_rng(seed)
    stored = rng.random((30, 5)) < rng.random((30, 1))
    values = rng.integers(-3, 4, (30, 5)) / 4
    rows, labels = np.nonzero(stored)
    matrix = sp.csr_array((values[stored].astype(dtype), (rows, labels)), shape=(30, 5))
    return matrix, np.where(stored, values, -np.inf).astype(dtype)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("step", [None, 4])
def test_rows_of_any_size(step, average):
    """Empty rows, stored zeros, negative values; blocks of any number of rows."""
    for seed in range(4):
        matrix, dense = ragged(seed)
        y = (np.random.default_rng(seed).random((30, 5)) < 0.3).astype(int)
        sets = read_labels(y)[0]
        found = find(Search([Pool(csr_blocks(matrix, step), sets)], average=average))
        best = brute_force(
            y, dense, lambda a, b: jaccard_score(a, b, average=average, zero_division=0)
        )
        assert found.score == pytest.approx(best)


def test_long_rows_do_not_widen_the_others():
    sizes = np.ones(20000, int)
    sizes[::500] = 100_000
    indptr = np.append(0, np.cumsum(sizes))
    indices = np.concatenate([np.arange(size) for size in sizes])
    matrix = sp.csr_array((np.ones(len(indices), np.float32), indices, indptr), (20000, 100_000))
    blocks = list(csr_blocks(matrix)())
    assert sum(scores.values.size for _, scores in blocks) < 3 * len(indices)
    assert sum(scores.n_rows for _, scores in blocks) == 20000


def test_values_and_labels_of_candidates():
    for seed in range(5):
        matrix, dense = ragged(seed)
        scores = next(csr_blocks(matrix)())[1]
        assert isinstance(scores, CandidateScores)
        assert (scores.n_rows, scores.n_labels) == dense.shape
        rows, labels = np.indices(dense.shape).reshape(2, -1)
        np.testing.assert_array_equal(scores.of(rows, labels), dense.reshape(-1))
        np.testing.assert_array_equal(scores.dense(scores.values, -np.inf), dense)
        y = np.random.default_rng(seed).integers(0, 2, dense.shape)
        sets = read_labels(y)[0]
        hits = np.where(scores.values > -np.inf, scores.hits(sets), False)
        np.testing.assert_array_equal(scores.dense(hits.astype(int), 0), y * np.isfinite(dense))
        chosen = scores.values >= 0
        weight = np.arange(30.0)
        np.testing.assert_allclose(scores.count_labels(chosen, weight), weight @ (dense >= 0))
        vector = np.arange(5.0)
        np.testing.assert_allclose(scores.sum_labels(chosen, vector), (dense >= 0) @ vector)
        part = scores.part(3, 9)
        np.testing.assert_array_equal(part.dense(part.values, -np.inf), dense[3:9])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_kernels_of_candidates_equal_the_dense_ones(dtype, weighted):
    rng = np.random.default_rng(0)
    for seed in range(10):
        matrix, dense = ragged(seed, dtype)
        scores, full = next(csr_blocks(matrix)())[1], DenseScores(dense)
        weight = rng.random(30) if weighted else None
        slots = np.tile(keys_of(np.array([0, -0.5, 0.0, 0.5], dtype)), (5, 1))
        slots[:, 0] = 0
        first = np.arange(6, dtype=np.int64) * 4
        counts = [np.zeros(20, float if weighted else np.int64) for _ in range(2)]
        for own, found in zip((scores, full), counts, strict=True):
            own.add_label_bins(weight, first, slots.reshape(-1), found)
        # Slot 0 counts what is not there as well, and is no cut.
        for found in counts:
            found.reshape(5, 4)[:, 0] = 0
        np.testing.assert_allclose(*counts)
        value = rng.integers(-2, 3, 5).astype(dtype) / 4
        sides = [np.full((3, 5), -np.inf, dtype) for _ in range(2)]
        for found in sides:
            found[0] = np.inf
        predicted = [
            own.add_cut(value, *found) for own, found in zip((scores, full), sides, strict=True)
        ]
        np.testing.assert_array_equal(*predicted)
        np.testing.assert_array_equal(*sides)
        common = [np.array([np.inf, -np.inf, -np.inf], dtype) for _ in range(2)]
        predicted = [
            own.add_common_cut(value[:1], found)
            for own, found in zip((scores, full), common, strict=True)
        ]
        np.testing.assert_array_equal(*predicted)
        np.testing.assert_array_equal(*common)
        full.add_cut(np.full(5, value[0]), *sides[1])
        np.testing.assert_array_equal(common[0][[0, 2]], [sides[1][0].min(), sides[1][2].max()])


def test_one_cut_of_wide_rows():
    rng = np.random.default_rng(0)
    for n_labels in (1, 15, 16, 17, 50):
        dense = rng.choice([0.5, 1, 2, -np.inf, np.inf, -1], (7, n_labels))
        for value in (0.5, 1.5, np.inf):
            sides = np.array([np.inf, -np.inf, -np.inf])
            predicted = np.empty(7, np.int64)
            kernels.add_common_cut(dense, np.array([value]), sides, predicted)
            np.testing.assert_array_equal(predicted, (dense >= value).sum(axis=1))
            finite = dense[np.isfinite(dense)]
            below = dense[(dense < value)]
            assert sides[0] == finite.min(initial=np.inf)
            assert sides[1] == below.max(initial=-np.inf)
            assert sides[2] == finite.max(initial=-np.inf)


# --- estimators ---


def test_response_method_is_chosen():
    """Auto, by name, through pipelines and searches."""
    scores, y = problem(0)
    step = FunctionTransformer()
    for inner, method in (
        (Proba(), "predict_proba"),
        (OnlyScores(), "predict_scores"),
        (make_pipeline(step, Proba()), "predict_proba"),
        (make_pipeline(step, OnlyScores()), "predict_scores"),
        (make_pipeline(step, make_pipeline(step, OnlyScores())), "predict_scores"),
        (GridSearchCV(OnlyScores(), {}, cv=2, scoring=lambda *_: 0), "predict_scores"),
        (make_pipeline(step, GridSearchCV(OnlyScores(), {}, cv=2, scoring=lambda *_: 0)),
         "predict_scores"),
    ):  # fmt: skip
        model = ThresholdedMultiLabel(inner, cv=2, n_candidates=3, random_state=0).fit(scores, y)
        assert model._rule.source.method == method
        found = model.predict_scores(scores, top_k=2)
        assert np.diff(found.indptr).max() == 2
    piped = make_pipeline(step, Proba())
    model = ThresholdedMultiLabel(
        piped, response_method="predict_scores", n_candidates=3, cv=2, random_state=0
    ).fit(scores, y)
    expected = clone(model).set_params(estimator=Proba()).fit(scores, y)
    assert model.best_threshold_ == expected.best_threshold_
    np.testing.assert_array_equal(model.predict(scores), expected.predict(scores))


def test_scores_that_are_no_matrix_are_refused():
    scores, y = problem(0)

    class Wrong(Proba):
        def predict_scores(self, X, *, top_k=None, threshold=None):
            return self.answer(X)

    for answer, message in (
        (lambda X: X, "SciPy CSR array"),
        (lambda X: sp.csr_array(X[:, :3]), "y has 6 labels"),
    ):
        inner = Wrong().fit(scores, y)
        inner.answer = answer
        with pytest.raises(ValueError, match=message):
            ThresholdedMultiLabel(inner, response_method="predict_scores", cv="prefit").fit(
                scores, y
            )
    with pytest.raises(ValueError, match="min_labels=4 is larger than n_candidates=3"):
        ThresholdedMultiLabel(OnlyScores(), n_candidates=3, min_labels=4).fit(scores, y)


def test_the_lower_end_of_the_range_is_told():
    scores, y = problem(0)
    inner = Proba().fit(scores, y)
    params = {"response_method": "predict_scores", "n_candidates": 2, "cv": "prefit"}
    model = ThresholdedMultiLabel(inner, **params).fit(scores, y)
    assert model.lowest_candidate_ == np.sort(scores, axis=1)[:, -2].min()
    with pytest.warns(UserWarning, match="below all of the 2 candidates"):
        model.set_params(scoring="recall_micro").fit(scores, np.ones_like(y))
    ranks = tuned(inner, scores, y, strategy="top_k", **params)
    assert ranks.lowest_candidate_ == 2
    assert not hasattr(
        ThresholdedMultiLabel(inner, cv="prefit").fit(scores, y), "lowest_candidate_"
    )


def test_labels_without_positives_are_no_candidates():
    scores, y = problem(1)
    y[:, 2], scores[:, 2] = 0, 0.99
    for limits in ({}, {"min_labels": 2}, {"min_labels": 3, "max_labels": 3}):
        model = ThresholdedMultiLabel(
            Proba(), response_method="predict_scores", n_candidates=3, cv=2, random_state=0,
            **limits,
        ).fit(scores, sp.csr_array(y))  # fmt: skip
        assert model.predict(scores)[:, [2]].nnz == 0


def test_given_cutoff_on_candidates():
    scores, y = problem(2)
    model = FixedThresholdMultiLabel(
        Proba().fit(scores, y), threshold=0.3, response_method="predict_scores", n_candidates=2
    )
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    inner = model.estimator
    inner.predict = lambda X: (X > 0.5).astype(int)
    np.testing.assert_array_equal(model.predict(scores), (scores > 0.3) & (rank < 2))
    auto = FixedThresholdMultiLabel(OnlyScores(), n_candidates=2).fit(scores - 0.5, y)
    np.testing.assert_array_equal(auto.predict(scores - 0.5), (scores > 0.5) & (rank < 2))


# --- predict_scores of threshold estimators ---


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    top_k=st.sampled_from([None, 1, 2, 6, 9, 200]),
    threshold=st.sampled_from([None, 0.3, 0.5, -1.0, 2.0]),
    n_labels=st.sampled_from([1, 6, 150]),
)
def test_selected_scores(seed, top_k, threshold, n_labels):
    """The highest of each row, ties by label, of those at or above the threshold."""
    if top_k is None and threshold is None:
        return
    values = np.round(np.random.default_rng(seed).random((5, n_labels)), 1)
    found = score_matrix([select_scores(values, top_k, threshold)], n_labels)
    rank = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1)
    kept = np.ones_like(values, dtype=bool)
    if top_k is not None:
        kept &= rank < top_k
    if threshold is not None:
        kept &= values >= threshold
    rows, labels = np.nonzero(kept)
    np.testing.assert_array_equal(found.indices, labels)
    np.testing.assert_array_equal(np.repeat(np.arange(5), np.diff(found.indptr)), rows)
    np.testing.assert_array_equal(found.data, values[kept])


@pytest.mark.parametrize("method", ["predict_proba", "predict_scores"])
def test_predict_scores_of_threshold_estimators(method):
    scores, y = problem(0)
    model = ThresholdedMultiLabel(Proba(), cv=2, response_method=method, random_state=0)
    model.fit(scores, y)
    for request in ({"top_k": 2}, {"threshold": 0.4}, {"top_k": 3, "threshold": 0.5}):
        found = model.predict_scores(scores, **request)
        expected = Proba().predict_scores(scores, **request)
        assert (found != expected).nnz == 0
        assert found.nnz == expected.nnz
    decisions = ThresholdedMultiLabel(OnlyScores(), cv=2, n_candidates=3, random_state=0)
    decisions.fit(scores - 0.5, y)
    found = decisions.predict_scores(scores - 0.5, top_k=2)
    dense = decisions.decision_function(scores - 0.5)
    rows = np.repeat(np.arange(len(scores)), np.diff(found.indptr))
    np.testing.assert_allclose(found.data, dense[rows, found.indices])
    with pytest.raises(ValueError, match="top_k=4 is more than n_candidates=3"):
        decisions.predict_scores(scores, top_k=4)
    for wrong, message in (
        ({}, "top_k"),
        ({"top_k": 0}, "at least 1"),
        ({"threshold": np.nan}, "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict_scores(scores, **wrong)
    for wrong in ({"top_k": 1.5}, {"top_k": True}, {"threshold": "high"}):
        with pytest.raises(TypeError, match="must be a number"):
            model.predict_scores(scores, **wrong)


# --- classifiers of this package, and names ---


@pytest.fixture(scope="module")
def named():
    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.random((60, 5)) * (rng.random((60, 5)) < 0.6))
    y = pd.DataFrame((X.toarray()[:, :4] > 0.4).astype(int), columns=["a", "b", "c", "d"])
    y.loc[y.sum(axis=1) == 0, "a"] = 1
    return X, y


@pytest.mark.parametrize(
    "model",
    [
        MultiLabelSGDClassifier(random_state=0, max_iter=3),
        MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0, max_iter=3),
        MultiLabelSGDClassifier(
            reduction="one_vs_rest", loss="squared_hinge", random_state=0, max_iter=3
        ),
        MultiLabelMLPClassifier(random_state=0, max_iter=3),
        MultiClassReduction(LogisticRegression()),
        MultiClassReduction(LinearSVC()),
        MultiClassReduction(LogisticRegression(), size_model="joint"),
        ThresholdedMultiLabel(MultiLabelSGDClassifier(random_state=0, max_iter=3), cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("kind", ["multilabel", "classes"])
def test_scores_are_those_of_dense_arrays(model, named, kind):
    """All classifiers, multi-label and single-label y; top_k, threshold and both."""
    X, y = named
    if kind == "classes":
        y = np.array(["x", "y", "z"])[np.arange(60) % 3]
    model = clone(model).fit(X, y)
    name = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
    dense = getattr(model, name)(X)
    middle = float(np.median(dense))
    for request in ({"top_k": 2}, {"threshold": middle}, {"top_k": 2, "threshold": middle}):
        with config_context(working_memory=0.01):
            found = model.predict_scores(X, **request)
        expected = score_matrix(
            [select_scores(dense, request.get("top_k"), request.get("threshold"))], dense.shape[1]
        )
        np.testing.assert_array_equal(found.indptr, expected.indptr)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.data, expected.data, rtol=1e-6)
    with pytest.raises(ValueError, match="top_k"):
        model.predict_scores(X)


def test_the_tree_has_candidates(named):
    X, y = named
    model = ThresholdedMultiLabel(
        LabelTreeClassifier(random_state=0, max_iter=3), response_method="predict_scores",
        n_candidates=4, cv=2, random_state=0,
    ).fit(X, y.to_numpy())  # fmt: skip
    dense = clone(model).set_params(response_method="predict_proba").fit(X, y.to_numpy())
    assert model.best_threshold_ == pytest.approx(dense.best_threshold_, rel=1e-5)


def test_top_labels_have_names(named):
    """Lists and frames, of raw texts in a pipeline, of any estimator with scores."""
    X, y = named
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    proba = model.predict_proba(X)
    best = top_labels(model, X, k=2)
    order = np.argsort(-proba, axis=1, kind="stable")[:, :2]
    names = [[found.label for found in row] for row in best]
    assert names == np.array(list("abcd"))[order].tolist()
    assert best[3][1].score == pytest.approx(proba[3, order[3, 1]])
    frame = top_labels(model, X, k=3, threshold=0.5, as_frame=True)
    assert frame.columns.tolist() == ["row", "rank", "label", "score"]
    assert (frame["score"] >= 0.5).all()
    assert (frame.groupby("row")["rank"].first() == 1).all()
    assert len(frame) == np.minimum((proba >= 0.5).sum(axis=1), 3).sum()
    texts = ["wine red", "beer", "wine beer", "red beer"] * 10
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 1]] * 10)
    for inner in (OneVsRestClassifier(LogisticRegression()), KNeighborsClassifier(3),
                  OneVsRestClassifier(LinearSVC())):  # fmt: skip
        pipe = make_pipeline(CountVectorizer(), inner).fit(texts, labels)
        found = top_labels(pipe, ["wine red"], k=1, label_names=["Wine", "Beer"])
        assert found[0][0].label == "Wine"
        assert top_labels(pipe, ["beer"], k=1)[0][0].label == 1
    with pytest.raises(ValueError, match=r"label_names has 3 names, .* 4 labels"):
        top_labels(model, X, label_names=["a", "b", "c"])


def test_displays_and_diagnosis_take_candidates(named):
    scores, y = problem(0)
    inner = OnlyScores().fit(scores, y)
    display = ThresholdCurveDisplay.from_predictions(y, inner.predict_scores(scores, top_k=6))
    dense = ThresholdCurveDisplay.from_predictions(y, scores)
    np.testing.assert_allclose(display.scores, dense.scores)
    own = ThresholdCurveDisplay.from_estimator(inner, scores, y)
    np.testing.assert_allclose(own.scores, dense.scores)
    assert diagnose(inner, scores, y).jaccard == pytest.approx(dense.best_score)
