"""Label trees: against a NumPy twin, against brute force over all labels, and as an estimator."""

import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from twins import tree as twin

from skmultireduce import LabelTreeClassifier, MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce._data.label_sets import LabelSets
from skmultireduce._data.rows import to_rows
from skmultireduce._models import label_clusters, label_forest
from skmultireduce._models.label_clusters import (
    auto_branching,
    clustered_tree,
    tree_of_parents,
)
from skmultireduce._models.label_forest import LabelForest
from skmultireduce._models.label_tree import Chunks, LabelTreeModel, NodeOptions
from skmultireduce._reductions.targets import Targets
from skmultireduce._training.label_trees import TreeRows

NO_WEIGHT = np.empty(0, dtype=np.float32)
SMOOTHNESS = {"softmax": 0.5, "sigmoid": 0.25, "squared_hinge": 2.0}


def problem(n_rows=60, n_labels=12, n_features=15, seed=0, density=0.25):
    """Sparse rows and label sets that depend on them; some rows have no label."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_rows, n_labels)) < density).astype(np.int8)
    X = (Y @ rng.normal(size=(n_labels, n_features)) + rng.normal(size=(n_rows, n_features))) * (
        rng.random((n_rows, n_features)) < 0.6
    )
    X /= np.linalg.norm(X, axis=1, keepdims=True) + 1e-9
    return X.astype(np.float32), Y


def as_rows(X):
    return to_rows(sp.csr_array(X))


def as_sets(Y):
    csr = sp.csr_array(Y)
    return LabelSets(csr.indptr.astype(np.int64), csr.indices.astype(np.int32), Y.shape[1])


def random_parents(rng, n_labels, n_inner):
    """Parents of labels and inner nodes, leaves at several depths."""
    inner = n_labels + np.arange(n_inner)
    parents = np.full(n_labels + n_inner, -1)
    for i in range(1, n_inner):
        parents[inner[i]] = inner[rng.integers(i)]
    parents[:n_labels] = inner[rng.integers(n_inner, size=n_labels)]
    # Each inner node has a child.
    empty = np.setdiff1d(inner, parents)
    parents[rng.permutation(n_labels)[: len(empty)]] = empty
    while len(empty := np.setdiff1d(inner, parents)):
        parents[rng.permutation(n_labels)[: len(empty)]] = empty
    return parents


def train(tree, X, Y, *, loss="squared_hinge", kind="linear", n_threads=1, **changes):
    """A model and what the twin needs to follow it."""
    n_epochs = changes.pop("n_epochs", 3)
    rate = changes.pop("intercept_rate", 0.1)
    label_weight = changes.pop("label_weight", NO_WEIGHT)
    row_weight = changes.pop("row_weight", NO_WEIGHT)
    picks = changes.pop("picks", np.empty(0, dtype=np.int32))
    negatives = changes.pop("negatives", None)
    dtype = changes.pop("dtype", "float32")
    edges = np.linspace(1 / SMOOTHNESS[loss], 0, n_epochs + 1)
    steps = np.column_stack([edges[:-1], edges[1:]])
    form = {"alpha": 0.02, "min_magnitude": 0.0, "seed": 7} | changes
    weight = row_weight if len(row_weight) else np.ones(len(X))
    square = (X.astype(float) ** 2).sum(axis=1)
    max_step = 2 / np.maximum(SMOOTHNESS[loss] * weight * (square + rate), 1e-9)
    model = LabelTreeModel(tree, X.shape[1], kind)
    options = NodeOptions(loss, steps, intercept_rate=rate, **form)
    for level in range(tree.depth):
        model.train_level(
            level,
            as_rows(X),
            as_sets(Y),
            label_weight,
            row_weight,
            max_step.astype(np.float32),
            options,
            picks=picks,
            negatives=(negatives or {}).get(level),
            n_threads=n_threads,
            dtype=dtype,
        )
    follow = {"loss": loss, "steps": steps, "intercept_rate": rate, "max_step": max_step, **form}
    return model, follow


def dense_weights(model):
    """Weights of shape (n_features, n_nodes)."""
    tree = model.tree
    W = np.zeros((model.n_features, tree.n_nodes))
    for level, chunks in enumerate(model.chunks):
        first = int(tree.levels[level])
        for node in range(first, int(tree.levels[level + 1])):
            begin = int(model.first_chunk[node] - model.first_chunk[first])
            for i in range(model.first_chunk[node + 1] - model.first_chunk[node]):
                features, children, values = chunks.entries(begin + i)
                W[features, tree.first_child[node] + 64 * i + children] = values
    return W


# ------------------------------------------------------------------ shapes of trees
@pytest.mark.parametrize(("n_labels", "branching"), [(2, ()), (7, (3,)), (50, (4, 3)), (9, (20,))])
def test_clusters_are_balanced_and_hold_each_label_once(n_labels, branching):
    X, Y = problem(n_labels=n_labels)
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, branching, seed=0, n_threads=1)
    assert_array_equal(np.sort(tree.labels[tree.labels >= 0]), np.arange(n_labels))
    assert_array_equal(tree.labels[tree.leaves], np.arange(n_labels))
    assert tree.depth == len(branching) + 1
    sizes = np.diff(tree.first_child)
    for level in range(tree.depth):
        counts = sizes[tree.levels[level] : tree.levels[level + 1]]
        assert counts.min() >= 1
        if level == tree.depth - 1:
            assert counts.max() - counts.min() <= 1
        else:
            assert counts.max() <= branching[level]
    for v in range(1, tree.n_nodes):
        assert tree.first_child[tree.parents[v]] <= v < tree.first_child[tree.parents[v] + 1]


def test_planted_groups_are_found():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(8), 16))
    rows = rng.integers(128, size=4000)
    X = np.zeros((4000, 80))
    X[np.arange(4000), groups[rows] * 10 + rng.integers(10, size=4000)] = 1
    X += 0.05 * rng.random(X.shape)
    Y = np.zeros((4000, 128), dtype=np.int8)
    Y[np.arange(4000), rows] = 1
    rows = as_rows(X.astype(np.float32))
    tree = clustered_tree(rows, as_sets(Y), NO_WEIGHT, (8,), seed=0, n_threads=2)
    cluster = tree.parents[tree.leaves]
    pure = [np.bincount(groups[cluster == c]).max() for c in np.unique(cluster)]
    assert np.mean(pure) >= 14


@pytest.mark.parametrize("weighted", [False, True])
def test_label_vectors_are_sums_of_rows(weighted):
    X, Y = problem(n_rows=200, n_labels=30, n_features=40, density=0.1)
    weight = np.linspace(0.5, 2, 200).astype(np.float32) if weighted else NO_WEIGHT
    found = label_clusters._label_vectors(as_rows(X), as_sets(Y), weight, 1)
    indptr, indices, data = found
    V = sp.csr_array((data, indices, indptr), shape=(30, 40)).toarray()
    expected = twin.label_vectors(X * weight[:, None] if weighted else X, Y, 0.02, 128)
    assert_allclose(V, expected, atol=1e-5)


def test_auto_branching_grows_with_the_labels():
    assert auto_branching(1024) == ()
    assert auto_branching(10_000) == (160,)
    assert auto_branching(100_000) == (48, 48)
    for n in (1025, 5000, 60_000, 10**6):
        last = n / np.prod(auto_branching(n))
        assert 8 <= last <= 80


def test_given_parents():
    tree = tree_of_parents([6, 6, 5, 7, 7, -1, 5, 5], 5)
    assert tree.depth == 2
    assert_array_equal(tree.parents, [-1, 0, 0, 0, 2, 2, 3, 3])
    assert_array_equal(tree.labels, [-1, 2, -1, -1, 0, 1, 3, 4])
    assert_array_equal(tree.paths(np.array([2, 4])), [[1, 3], [-1, 7]])


@pytest.mark.parametrize(
    ("parents", "match"),
    [
        ([2, 2], "inner nodes behind them"),
        ([2.0, 2.0, -1.0], "integers"),
        ([2, 2, 2], "the root"),
        ([-1, 2, 3, 2], "the root"),
        ([2, 2, -1, 2], "each of the inner nodes"),
        ([2, 0, -1], "each of the inner nodes"),
        ([2, 3, -1, 4, 3], "below the root"),
    ],
)
def test_parents_that_are_no_tree(parents, match):
    with pytest.raises(ValueError, match=match):
        tree_of_parents(parents, 2)


# ------------------------------------------------------------------------- training
@pytest.mark.parametrize("loss", ["squared_hinge", "sigmoid", "softmax"])
@pytest.mark.parametrize("shape", ["flat", "two levels", "parents"])
def test_training_is_that_of_the_twin(loss, shape):
    X, Y = problem()
    if shape == "parents":
        tree = tree_of_parents(random_parents(np.random.default_rng(1), 12, 5), 12)
    else:
        branching = () if shape == "flat" else (3,)
        tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, branching, seed=0, n_threads=1)
    model, follow = train(tree, X, Y, loss=loss)
    W, b = twin.train_tree(tree, X.astype(float), Y.astype(float), **follow)
    assert_allclose(dense_weights(model), W, rtol=2e-4, atol=2e-5)
    assert_allclose(model.intercepts, b, rtol=2e-4, atol=2e-5)


def test_training_with_row_weights_and_label_weights():
    X, Y = problem(seed=3)
    rng = np.random.default_rng(0)
    values = Y * rng.uniform(0.5, 2, size=Y.shape)
    weight = rng.uniform(0, 2, size=len(X)).astype(np.float32)
    weight[:5] = 0
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (3,), seed=0, n_threads=1)
    label_weight = values[Y > 0].astype(np.float32)
    model, follow = train(tree, X, Y, loss="softmax", row_weight=weight, label_weight=label_weight)
    W, b = twin.train_tree(tree, X.astype(float), values, row_weight=weight, **follow)
    assert_allclose(dense_weights(model), W, rtol=5e-4, atol=5e-5)
    model, follow = train(tree, X, Y, row_weight=weight)
    W, b = twin.train_tree(tree, X.astype(float), Y.astype(float), row_weight=weight, **follow)
    assert_allclose(dense_weights(model), W, rtol=5e-4, atol=5e-5)
    assert_allclose(model.intercepts, b, rtol=5e-4, atol=5e-5)


def test_training_on_picks():
    X, Y = problem(seed=4)
    Y[:, 0] |= Y.sum(axis=1) == 0
    rng = np.random.default_rng(0)
    picks = np.array([[rng.choice(np.flatnonzero(row)) for row in Y] for _ in range(3)])
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (4,), seed=0, n_threads=1)
    model, follow = train(tree, X, Y, loss="softmax", picks=picks.astype(np.int32))
    W, _ = twin.train_tree(tree, X.astype(float), Y.astype(float), picks=picks, **follow)
    assert_allclose(dense_weights(model), W, rtol=5e-4, atol=5e-5)


def test_rows_without_labels_show_none():
    """Also the last row, behind whose labels there are no others."""
    X, Y = problem(seed=4)
    Y[[0, 5, len(Y) - 1]] = 0
    Y[1, 0] = Y[2, 0] = 1
    targets = Targets.build(
        as_sets(Y), reduction="pick_one", loss="log_loss", sample_weight=None, class_weight=None,
        dtype="float32",
    )  # fmt: skip
    rows = TreeRows.build(
        as_rows(X), targets, smoothness=0.5, intercept_square=1.0, epochs=range(2, 7), seed=3
    )
    assert rows.picks.shape == (5, len(Y))
    empty = Y.sum(axis=1) == 0
    assert (rows.picks[:, empty] == -1).all()
    shown = rows.picks[:, ~empty]
    assert Y[np.flatnonzero(~empty)[None, :], shown].all()
    start, _ = targets.shown(seed=3, epoch=4)
    assert_array_equal(rows.picks[2, ~empty], targets.label_sets.indices[start[~empty]])


def test_training_with_negatives():
    X, Y = problem(seed=5)
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (4,), seed=0, n_threads=1)
    cluster = tree.parents[tree.leaves]
    extra = {v: [i for i in range(9 * v) if not Y[i, cluster == v].any()] for v in range(1, 5)}
    pairs = sorted((i, v) for v, rows in extra.items() for i in rows)
    start = np.searchsorted([i for i, _ in pairs], np.arange(len(X) + 1)).astype(np.int64)
    negatives = {1: (start, np.array([v for _, v in pairs], dtype=np.int32))}
    model, follow = train(tree, X, Y, negatives=negatives)
    W, b = twin.train_tree(tree, X.astype(float), Y.astype(float), negatives=extra, **follow)
    assert_allclose(dense_weights(model), W, rtol=2e-4, atol=2e-5)
    assert_allclose(model.intercepts, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("loss", ["squared_hinge", "softmax"])
def test_nodes_of_more_than_one_chunk(loss):
    X, Y = problem(n_rows=120, n_labels=150, density=0.02)
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (), seed=0, n_threads=1)
    kind = "softmax" if loss == "softmax" else "linear"
    model, follow = train(tree, X, Y, loss=loss, kind=kind)
    assert model.chunks[0].n_chunks == 3
    W, b = twin.train_tree(tree, X.astype(float), Y.astype(float), **follow)
    assert_allclose(dense_weights(model), W, rtol=5e-4, atol=5e-5)
    P = LabelForest([model]).dense(as_rows(X), 1)
    assert_allclose(P, twin.label_probabilities(tree, X @ W + b, kind), atol=1e-4)


def test_small_weights_are_left_out():
    X, Y = problem()
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (3,), seed=0, n_threads=1)
    whole, _ = train(tree, X, Y)
    W = dense_weights(whole)
    pruned, _ = train(tree, X, Y, min_magnitude=0.2)
    expected = np.where(np.abs(W) >= 0.2, W, 0)
    assert_array_equal(dense_weights(pruned), expected)
    assert 0 < pruned.n_weights < whole.n_weights
    assert all((chunks.sizes > 0).all() for chunks in pruned.chunks)
    whole.prune(0.2, "float32")
    for one, two in zip(whole.chunks, pruned.chunks, strict=True):
        for name in Chunks.__dataclass_fields__:
            assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("loss", ["squared_hinge", "softmax"])
def test_threads_and_calls_change_no_bit(loss, monkeypatch):
    X, Y = problem(n_rows=300, n_labels=100, density=0.03)
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (6,), seed=0, n_threads=1)
    again = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (6,), seed=0, n_threads=3)
    assert_array_equal(tree.labels, again.labels)
    one, _ = train(tree, X, Y, loss=loss)
    monkeypatch.setattr("skmultireduce._models.label_tree._WORK_A_CALL", 1.0)
    two, _ = train(tree, X, Y, loss=loss, n_threads=3)
    assert_array_equal(dense_weights(one), dense_weights(two))
    assert_array_equal(one.intercepts, two.intercepts)


def test_loss_is_that_of_all_nodes():
    X, Y = problem()
    for kind in ({}, {"loss": "log_loss"}, {"reduction": "pick_all"}):
        model = LabelTreeClassifier(branching=(3,), max_iter=20, random_state=0, **kind)
        used = Y.sum(axis=1) > 0
        curve = model.fit(X[used], Y[used]).loss_curve_
        assert len(curve) == 20
        assert curve[-1] < 0.8 * curve[0]


# ------------------------------------------------------------------------ prediction
@pytest.mark.parametrize("kind", ["linear", "exponential", "logistic", "softmax"])
@pytest.mark.parametrize("normalized", [False, True])
def test_probabilities_are_those_of_the_twin(kind, normalized):
    X, Y = problem()
    tree = tree_of_parents(random_parents(np.random.default_rng(2), 12, 4), 12)
    model, _ = train(tree, 3 * X, Y)
    model.probability, model.normalized = kind, normalized
    scores = 3 * X @ dense_weights(model) + model.intercepts
    expected = twin.label_probabilities(tree, scores, kind, normalized)
    assert_allclose(LabelForest([model]).dense(as_rows(3 * X), 1), expected, rtol=1e-3, atol=1e-6)


def test_linear_probability_is_smooth_increasing_and_never_0_or_1():
    scores = np.linspace(-4, 4, 4001)
    p = twin.node_probabilities(scores[:, None], "linear")[:, 0]
    assert np.all(np.diff(p) >= 0)
    assert p[0] > 0
    assert p[-1] < 1
    inside = np.abs(scores) <= 0.9
    assert_allclose(p[inside], (1 + scores[inside]) / 2)
    assert np.abs(p - np.clip((1 + scores) / 2, 0, 1)).max() < 0.019


def forest_of(n_trees, seed, n_labels=40, **kwargs):
    X, Y = problem(n_rows=150, n_labels=n_labels, density=0.06, seed=seed)
    rng = np.random.default_rng(seed)
    models = []
    for number in range(n_trees):
        if number % 2:
            tree = tree_of_parents(random_parents(rng, n_labels, 8), n_labels)
        else:
            tree = clustered_tree(
                as_rows(X), as_sets(Y), NO_WEIGHT, (4, 2), seed=number, n_threads=1
            )
        models.append(train(tree, X, Y, **kwargs)[0])
    return LabelForest(models), as_rows(X)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_trees=st.integers(1, 3),
    kind=st.sampled_from(["linear", "exponential", "logistic", "softmax"]),
    k=st.integers(1, 45),
    data=st.data(),
)
def test_exact_search_is_brute_force(seed, n_trees, kind, k, data):
    forest, rows = forest_of(n_trees, seed, kind=kind, min_magnitude=0.3)
    P = forest.dense(rows, 1)
    found = forest.top(rows, k, None, 1)
    k = min(k, 40)
    assert found.labels.reshape(-1, k).tolist() == twin.best(P, k)
    assert_array_equal(found.values, P[found.rows, found.labels])
    threshold = data.draw(st.sampled_from([0.0, 1e-4, 0.02, 0.5, float(P[3, 4]), 1.0, 2.0]))
    found = forest.above(rows, threshold, 1)
    row, label = np.nonzero(~(threshold > P))
    assert_array_equal(found.rows, row)
    assert_array_equal(found.labels, label)
    assert_array_equal(found.values, P[row, label])


@pytest.mark.parametrize("k", [1, 2, 7, 40])
@pytest.mark.parametrize("beam_width", [None, 100])
def test_ties_go_to_the_smaller_label(k, beam_width):
    tree = tree_of_parents(random_parents(np.random.default_rng(0), 40, 8), 40)
    forest = LabelForest([LabelTreeModel(tree, 2, "linear")])
    rows = as_rows(np.zeros((1, 2), dtype=np.float32))
    P = forest.dense(rows, 1)
    assert len(np.unique(P)) < 8
    assert forest.top(rows, k, beam_width, 1).labels.tolist() == twin.best(P, k)[0]


def test_a_model_without_weights_is_whole():
    tree = tree_of_parents(random_parents(np.random.default_rng(0), 9, 3), 9)
    LabelTreeModel(tree, 2, "linear").check()


def test_wide_beam_is_exact_and_narrow_beam_is_not_better():
    forest, rows = forest_of(1, 0)
    exact = forest.top(rows, 5, None, 1)
    wide = forest.top(rows, 5, 100, 1)
    assert_array_equal(exact.labels, wide.labels)
    narrow = forest.top(rows, 5, 1, 1)
    assert len(narrow.rows) <= len(exact.rows)
    best = np.maximum.reduceat(exact.values, np.searchsorted(exact.rows, np.arange(150)))
    found = np.maximum.reduceat(narrow.values, np.searchsorted(narrow.rows, np.arange(150)))
    assert np.all(found <= best)
    assert np.any(found < best)


def test_mean_of_trees_completes_what_one_left_out():
    forest, rows = forest_of(3, 1)
    found = forest.top(rows, 5, 2, 1)
    P = forest.dense(rows, 1)
    assert_array_equal(found.values, P[found.rows, found.labels])


def test_blocks_and_threads_change_no_bit(monkeypatch):
    forest, rows = forest_of(2, 2)
    whole = [forest.top(rows, 5, 3, 1), forest.above(rows, 0.05, 1)]
    dense = forest.dense(rows, 1)
    monkeypatch.setattr(label_forest, "_LEAST_ROWS", 7)
    monkeypatch.setattr(label_forest, "_MOST_ROWS", 7)
    for expected, found in zip(
        whole, [forest.top(rows, 5, 3, 3), forest.above(rows, 0.05, 3)], strict=True
    ):
        for one, two in zip(expected, found, strict=True):
            assert_array_equal(one, two)
    assert_array_equal(forest.dense(rows, 2), dense)


def test_what_reaches_a_threshold_need_not_fit_into_one_call():
    tree = tree_of_parents(np.append(np.full(3000, 3000), -1), 3000)
    model = LabelTreeModel(tree, 2, "linear")
    model.intercepts[:] = np.random.default_rng(0).normal(size=3001)
    found = LabelForest([model]).above(as_rows(np.zeros((500, 2), dtype=np.float32)), 0.4, 1)
    p = twin.node_probabilities(model.intercepts[None, 1:].astype(float), "linear")[0]
    assert_array_equal(found.labels, np.tile(np.flatnonzero(p >= 0.4), 500))
    assert len(found.labels) > 500_000


def test_half_precision_is_numpys():
    X, Y = problem(n_rows=200, n_labels=60, density=0.05)
    tree = clustered_tree(as_rows(X), as_sets(Y), NO_WEIGHT, (4,), seed=0, n_threads=1)
    half, _ = train(tree, X, Y, dtype="float16")
    single = half.copy()
    single.chunks = [chunks.astype(np.float32) for chunks in half.chunks]
    assert half.chunks[0].values.dtype == np.float16
    # All finite half precision numbers, through the weights of one model.
    n = len(half.chunks[-1].values)
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    bits = bits[np.isfinite(bits)]
    for first in range(0, len(bits), n):
        values = np.resize(bits[first : first + n], n)
        half.chunks[-1].values[:] = values
        single.chunks[-1].values[:] = values
        one, two = (LabelForest([m]).dense(as_rows(X), 1) for m in (half, single))
        assert_array_equal(one, two)


# ------------------------------------------------------------------------- estimator
def labelled(n_samples=300, n_classes=30, seed=0, **kwargs):
    X, y = make_multilabel_classification(
        n_samples, n_features=40, n_classes=n_classes, n_labels=3, random_state=seed, **kwargs
    )
    return Normalizer().fit_transform(X), y


def test_scores_are_those_of_predict_proba():
    X, y = labelled()
    for n_trees in (1, 2):
        model = LabelTreeClassifier(
            branching=(6,), n_trees=n_trees, beam_width=None, random_state=0
        ).fit(X, y)
        P = model.predict_proba(X)
        top = model.predict_scores(X, top_k=4)
        assert top.shape == y.shape
        assert top.dtype == np.float32
        assert top.has_sorted_indices
        assert np.all(np.diff(top.indptr) == 4)
        rows = np.repeat(np.arange(len(X)), 4)
        assert_array_equal(top.data, P[rows, top.indices])
        assert top.indices.reshape(-1, 4).tolist() == twin.best(P, 4)
        above = model.predict_scores(X, threshold=0.2)
        assert_array_equal(above.toarray(), np.where(P >= 0.2, P, 0))
        both = model.predict_scores(X, top_k=4, threshold=0.2)
        assert_array_equal(both.toarray(), np.where(top.toarray() >= 0.2, top.toarray(), 0))
        assert_array_equal(model.predict(X), P >= 0.5)


@pytest.mark.parametrize(
    ("kind", "factor"),
    [
        ({"reduction": "one_vs_rest", "loss": "squared_hinge"}, 2),
        ({"reduction": "one_vs_rest", "loss": "log_loss"}, 1),
        ({"reduction": "pick_all_normalized"}, 1),
        ({"reduction": "pick_all"}, 1),
    ],
)
def test_penalty_follows_the_rule_of_flat_models(kind, factor):
    X, y = labelled()
    X, y = sp.csr_array(np.where(np.abs(X) < 0.2, 0, X)), y | (y.sum(axis=1, keepdims=True) == 0)
    # Neither the scale of X nor a few long rows change the model.
    X = sp.csr_array(sp.diags_array(np.r_[np.full(5, 100.0), np.ones(295)]) @ X)
    found = []
    for scale in (1, 32):
        model = LabelTreeClassifier(branching=(5,), random_state=0, **kind).fit(scale * X, y)
        flat = MultiLabelSGDClassifier(**kind, max_iter=1).fit(scale * X, y)
        assert_allclose(model.alpha_ * factor, flat.alpha_)
        assert_allclose(model.eta0_, flat.eta0_ * (1.5 if factor == 2 else 2))
        found.append((model.n_weights_, model.predict_proba(scale * X)))
    assert found[0][0] == found[1][0]
    assert_allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def test_scores_need_a_limit():
    X, y = labelled()
    model = LabelTreeClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="top_k"):
        model.predict_scores(X)
    with pytest.raises(ValueError, match="top_k"):
        model.predict_scores(X, top_k=0)


def test_predict_proba_is_for_few_labels():
    X, y = labelled()
    model = LabelTreeClassifier(random_state=0).fit(X, y)
    with config_context(working_memory=0), pytest.raises(ValueError, match="predict_scores"):
        model.predict_proba(X)


@pytest.mark.parametrize("reduction", ["pick_one", "pick_all_normalized", "pick_all"])
def test_softmax_trees_learn_what_flat_ones_do(reduction):
    rng = np.random.default_rng(0)
    kinds = rng.integers(4, size=12_000)
    law = np.array([[0.9, 0.1, 0.5, 0, 0.2, 0], [0, 0.8, 0, 0.6, 0, 0.3]] * 2)
    law[2:, :] = law[2:, ::-1]
    Y = (rng.random((12_000, 6)) < law[kinds]).astype(int)
    Y[Y.sum(axis=1) == 0, 1] = 1
    X = np.eye(4)[kinds]
    model = LabelTreeClassifier(
        reduction=reduction,
        branching=(3,),
        max_iter=30,
        eta0=0.5,
        min_magnitude=0,
        random_state=0,
    ).fit(X, Y)
    share = Y / Y.sum(axis=1, keepdims=True) if reduction != "pick_all" else Y
    for kind in range(4):
        expected = share[kinds == kind].mean(axis=0)
        found = model.predict_proba(np.eye(4)[[kind]])[0]
        assert_allclose(found, expected / expected.sum(), atol=0.04)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_binary_trees_learn_marginals(loss):
    rng = np.random.default_rng(1)
    kinds = rng.integers(3, size=6000)
    law = rng.random((3, 8)) * 0.8
    Y = (rng.random((6000, 8)) < law[kinds]).astype(int)
    X = np.eye(3)[kinds]
    model = LabelTreeClassifier(
        loss=loss, branching=(3,), max_iter=30, random_state=0, min_magnitude=0
    ).fit(X, Y)
    assert_allclose(model.predict_proba(np.eye(3)), law, atol=0.05)


def test_flat_tree_is_the_flat_model():
    X, y = labelled(n_samples=500)
    model = LabelTreeClassifier(branching=(), random_state=0).fit(X, y)
    assert model.trees_[0].depth == 1
    assert model.predict_scores(X, top_k=30).nnz == y.size


def test_partial_fit_is_fit_in_parts():
    X, y = labelled()
    for kind in ({"branching": (5,)}, {"branching": (5,), "reduction": "pick_one"}):
        kept = y.sum(axis=1) > 0
        whole = LabelTreeClassifier(min_magnitude=0, max_iter=4, random_state=0, **kind)
        whole.fit(X[kept], y[kept])
        parts = clone(whole)
        for _ in range(4):
            parts.partial_fit(X[kept], y[kept])
        assert parts.n_iter_ == 4
        assert_allclose(parts.predict_proba(X), whole.predict_proba(X), rtol=1e-4, atol=1e-6)
        n = parts.n_weights_
        parts.set_params(min_magnitude=0.2, dtype="float16").prune()
        assert parts.n_weights_ < n
        assert_allclose(parts.predict_proba(X), whole.predict_proba(X), atol=0.3)


def test_partial_fit_takes_new_features_and_other_rows():
    X, y = labelled()
    X[:100, :20] = 0
    model = LabelTreeClassifier(branching=(4,), random_state=0)
    model.partial_fit(X[:100], y[:100])
    before = pickle.dumps(model)
    model.partial_fit(X[100:], y[100:])
    assert np.any(dense_weights(model._forest.trees[0])[:20] != 0)
    with pytest.raises(ValueError, match="30 labels"):
        model.partial_fit(X, y[:, :7])
    after = model.predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full_like(X, np.nan), y)
    assert_array_equal(model.predict_proba(X), after)
    # What a copy has is its own.
    again = pickle.loads(before).partial_fit(X[100:], y[100:])
    assert_array_equal(again.predict_proba(X), after)


def test_warm_start_goes_on():
    X, y = labelled()
    model = LabelTreeClassifier(branching=(4,), warm_start=True, random_state=0).fit(X, y)
    labels, loss = model.trees_[0].labels, model.loss_curve_[-1]
    model.fit(X, y)
    assert model.n_iter_ == 10
    assert len(model.loss_curve_) == 10
    assert model.loss_curve_[-1] < loss
    assert_array_equal(model.trees_[0].labels, labels)
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ == 5


def test_negatives_of_the_tree_above_train_along():
    X, y = labelled(n_samples=600)
    plain = LabelTreeClassifier(branching=(6,), random_state=0).fit(X, y)
    model = clone(plain).set_params(n_matching_negatives=6).fit(X, y)
    assert_array_equal(plain.trees_[0].labels, model.trees_[0].labels)
    first = plain._forest.trees[0].chunks[0], model._forest.trees[0].chunks[0]
    assert_array_equal(first[0].values, first[1].values)
    # All rows at all nodes: products are those of nodes that have learned from all rows.
    assert model.predict_proba(X).sum() < plain.predict_proba(X).sum()


def test_dense_and_sparse_rows_give_the_same_bits():
    X, y = labelled()
    X[np.abs(X) < 0.05] = 0
    dense = LabelTreeClassifier(branching=(4,), random_state=0).fit(X, y)
    sparse = clone(dense).fit(sp.csr_array(X), sp.csr_array(y))
    assert_array_equal(dense.predict_proba(X), sparse.predict_proba(sp.csr_matrix(X)))
    wide = sp.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert_array_equal(clone(dense).fit(wide, y).predict_proba(wide), dense.predict_proba(X))
    assert sp.issparse(sparse.predict(X))


def test_a_path_explains_a_probability():
    X, y = labelled()
    model = LabelTreeClassifier(branching=(5, 2), random_state=0, min_magnitude=0.2).fit(X, y)
    P = model.predict_proba(X)
    for label in (0, 17):
        for row, path in enumerate(model.explain(X[:20], label, n_features=100)):
            assert len(path) == 3
            product = np.prod([step.probability for step in path])
            assert_allclose(product, P[row, label], rtol=1e-4)
            for step in path:
                assert_allclose(step.intercept + step.contributions.sum(), step.score, rtol=1e-5)
                assert_allclose(
                    twin.node_probabilities(np.array([[step.score]]), "linear")[0, 0],
                    step.probability,
                    rtol=1e-3,
                    atol=1e-6,
                )
    few = model.explain(X[:1], 3, n_features=2)[0][0]
    assert len(few.features) <= 2
    for wrong in ({"label": 30}, {"label": 0, "tree": 1}):
        with pytest.raises(ValueError, match="is not in 0 to"):
            model.explain(X[:1], **wrong)


def test_in_pipelines_searches_and_cutoffs():
    X, y = labelled()
    search = GridSearchCV(
        make_pipeline(Normalizer(), LabelTreeClassifier(max_iter=30, random_state=0)),
        {"labeltreeclassifier__branching": [(), (5,)]},
        scoring="f1_micro",
        cv=2,
    ).fit(X, y)
    assert search.best_score_ > 0.15
    tuned = ThresholdedMultiLabel(LabelTreeClassifier(branching=(5,), random_state=0), cv=2)
    tuned.fit(X, y)
    assert 0 < tuned.best_threshold_ < 1
    assert tuned.predict(X).shape == y.shape


def test_memory_mapped_model_stays_mapped(tmp_path):
    X, y = labelled()
    for dtype in ("float32", "float16"):
        model = LabelTreeClassifier(branching=(5,), dtype=dtype, random_state=0).fit(X, y)
        joblib.dump(model, tmp_path / "model.joblib")
        loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
        assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
        values = loaded._forest.trees[0].chunks[-1].values
        assert values.dtype == dtype
        assert isinstance(values, np.memmap)
        # Training goes on in memory of its own.
        assert loaded.partial_fit(X, y).n_iter_ == 6


def test_callbacks_see_levels():
    X, y = labelled()
    seen = []

    class Spy:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            seen.append(context.task_name)

        def on_fit_task_end(self, estimator, context, **kwargs):
            return False

    model = LabelTreeClassifier(branching=(3, 2), n_trees=2, random_state=0)
    model.set_callbacks(Spy())
    model.fit(X, y)
    assert seen.count("level") == 6


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"reduction": "pick_one", "loss": "squared_hinge"}, "squared_hinge"),
        ({"reduction": "one_vs_rest_normalized"}, "reduction"),
        ({"loss": "log_loss", "node_probability": "linear"}, "node_probability"),
        ({"reduction": "pick_all", "n_matching_negatives": 2}, "n_matching_negatives"),
        ({"branching": (1,)}, "branching"),
        ({"branching": (2.5,)}, "branching"),
        ({"parents": [1, 2], "n_trees": 2}, "parents"),
        ({"parents": [1, 2], "branching": (4,)}, "parents"),
        ({"parents": [1, 2]}, "parents"),
    ],
)
def test_parameters_that_contradict(changes, match):
    X, y = labelled()
    model = LabelTreeClassifier(**changes)
    with pytest.raises(ValueError, match=match):
        model.fit(X, y)
    assert not model.__sklearn_is_fitted__()


def test_no_labels_and_no_weights():
    X, y = labelled()
    with pytest.raises(ValueError, match="No row of y has a label"):
        LabelTreeClassifier().fit(X, np.zeros_like(y))
    with pytest.raises(ValueError, match="positive weight"):
        LabelTreeClassifier().fit(X, y, sample_weight=(y.sum(axis=1) == 0).astype(float))
    y[:3], y[3:, 0] = 0, 1
    with pytest.warns(UserWarning, match="3 of 300 rows have no label and are left out"):
        LabelTreeClassifier(reduction="pick_one").fit(X, y)


def test_one_label_for_each_row_will_do():
    X, _ = labelled()
    y = np.eye(30, dtype=int)[np.arange(300) % 30]
    assert LabelTreeClassifier(max_iter=1).fit(X, y).predict_proba(X).shape == y.shape


def test_large_steps_do_not_diverge():
    X, y = labelled()
    X[::7] *= 1e4
    model = LabelTreeClassifier(eta0=1e6, random_state=0).fit(X, y)
    assert np.all(np.isfinite(model.predict_proba(X)))
    for factor in (1e-25, 1e25):
        with pytest.raises(ValueError, match="Scale X"):
            LabelTreeClassifier().fit(X * factor, y)


def test_labels_without_rows_have_no_probability():
    X, y = labelled()
    y[:, 5:9] = 0
    model = LabelTreeClassifier(branching=(5,), min_magnitude=0, random_state=0).fit(X, y)
    P = model.predict_proba(X)
    assert P[:, 5:9].max() < 0.05


def test_there_is_no_stream():
    assert not hasattr(LabelTreeClassifier(), "fit_stream")
    with pytest.raises(AttributeError) as raised:
        LabelTreeClassifier().fit_stream([])
    assert "partial_fit" in f"{raised.value} {raised.value.__cause__}"


def test_there_is_no_onnx():
    pytest.importorskip("skl2onnx")
    from skmultireduce.onnx import to_onnx

    X, y = labelled()
    model = LabelTreeClassifier(random_state=0).fit(X, y)
    tuned = ThresholdedMultiLabel(model, cv="prefit").fit(X, y)
    with pytest.raises(ValueError, match="LabelTreeClassifier"):
        to_onnx(tuned, X[:1])


# ---------------------------------------------------------------------------- theory
@pytest.mark.parametrize("n_rows", [300, 3000])
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_10_5_regret_of_a_trained_tree_with_a_cutoff(n_rows, loss):
    # Four kinds of rows, labels that depend on each other; the law is known, the tree is not
    # told of it: what its nodes have missed bounds what the best cutoff on its scores loses.
    rng = np.random.default_rng(n_rows)
    n_labels, n_kinds = 8, 4
    bits = (np.arange(1 << n_labels)[:, None] >> np.arange(n_labels)) & 1
    tilt = bits @ rng.normal(-1, 1.5, size=(n_labels, n_kinds)) + 0.4 * bits.sum(axis=1)[:, None]
    laws = np.exp(tilt - tilt.max(axis=0))
    laws /= laws.sum(axis=0)
    kinds = rng.integers(n_kinds, size=n_rows)
    Y = np.array([bits[rng.choice(len(bits), p=laws[:, kind])] for kind in kinds])
    X = np.eye(n_kinds)
    model = LabelTreeClassifier(
        loss=loss, branching=(3,), max_iter=20, min_magnitude=0, random_state=0
    ).fit(X[kinds], Y)
    tree, m, guess = model.trees_[0], laws.T @ bits, model.predict_proba(X).astype(float)
    below = np.zeros((tree.n_nodes, n_labels), dtype=bool)
    below[tree.leaves, np.arange(n_labels)] = True
    for v in range(tree.n_nodes - 1, 0, -1):
        below[tree.parents[v]] |= below[v]
    meets = np.array([laws.T @ (bits @ below[v] > 0) for v in range(tree.n_nodes)])
    # P(no label at all) is the root's, which a tree takes to have some: its first nodes are
    # trained on rows with a label.
    error = np.zeros((n_kinds, n_labels))
    found = np.ones((tree.n_nodes, n_kinds))
    for label in range(n_labels):
        for kind, path in enumerate(model.explain(X, label)):
            for step in path:
                found[step.node, kind] = step.probability
    sizes = below.sum(axis=1)
    total = np.zeros(n_kinds)
    for v in range(tree.n_nodes):
        above = np.ones(n_kinds) if v == 0 else meets[tree.parents[v]]
        eta = meets[v] / above
        missed = above * np.abs(eta - found[v])
        total += sizes[v] * missed
        error[:, below[v]] += missed[:, None]
    assert np.all(np.abs(m - guess) <= error + 1e-5)
    mean_size = m.sum(axis=1).mean()
    apart = total.mean() / mean_size
    # Micro Jaccard of sets that are functions of the kind: E|h and Y| over E|h or Y|.
    values = np.unique(m)

    def jaccard(sets):
        hits = (m * sets).sum(axis=1).mean()
        return hits / (mean_size + sets.sum(axis=1).mean() - hits)

    best, theta = max((jaccard(m >= value), jaccard(m >= value)) for value in values)
    theta = best / (1 + best)
    a = np.maximum(m - guess, 0).sum(axis=1).mean() / mean_size
    b = np.maximum(guess - m, 0).sum(axis=1).mean() / mean_size
    assert a + b <= apart + 1e-5
    reached = jaccard(guess > theta)
    assert reached >= best * (theta - a) / (theta + b) - 1e-6
    assert best - reached <= (1 + best) * apart + 1e-6
    if n_rows == 3000:
        # Far from trivial: the bound is of use.
        assert apart < 0.5
