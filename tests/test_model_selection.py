"""Stratified splits: invariants, quality against shuffled folds, scikit-learn's API."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.metadata_routing import get_routing_for_object
from twins import stratify as reference

from skmultireduce._data import stratify as _stratify
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.stratify import assign_folds, stratified_holdout
from skmultireduce.model_selection import (
    MultilabelStratifiedKFold,
    MultilabelStratifiedShuffleSplit,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def skewed(n_rows=400, n_labels=40, n_drawn=3, seed=0):
    """Indicator with frequencies as 1/rank and some rows without labels."""
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, n_labels + 1)
    sizes = rng.poisson(n_drawn, n_rows)
    y = np.zeros((n_rows, n_labels), dtype=np.int8)
    y[np.repeat(np.arange(n_rows), sizes), rng.choice(n_labels, sizes.sum(), p=p / p.sum())] = 1
    return y


def folds_of(splits, n_rows):
    folds = np.full(n_rows, -1)
    for fold, (_, test) in enumerate(splits):
        assert np.all(folds[test] == -1)
        folds[test] = fold
    assert np.all(folds >= 0)
    return folds


def deviations(y, folds, n_folds):
    """Of each label's rows in each fold from an equal share."""
    counts = np.stack([y[folds == fold].sum(axis=0, dtype=float) for fold in range(n_folds)])
    return np.abs(counts - y.sum(axis=0) / n_folds)


def unavoidable(y, n_folds):
    """Mean deviation of each label if its rows are spread as evenly as integers can be."""
    surplus = y.sum(axis=0) % n_folds
    return 2 * surplus * (n_folds - surplus) / n_folds**2


indicators = st.builds(
    skewed,
    n_rows=st.integers(2, 60),
    n_labels=st.integers(2, 12),
    n_drawn=st.sampled_from([0.0, 0.5, 1.5, 4.0]),
    seed=st.integers(0, 10**6),
)


@settings(max_examples=60, deadline=None)
@given(y=indicators, n_splits=st.integers(2, 6), shuffle=st.booleans())
def test_folds_are_a_partition_of_equal_sizes(y, n_splits, shuffle):
    n_splits = min(n_splits, len(y))
    cv = MultilabelStratifiedKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    splits = list(cv.split(y, y))
    assert len(splits) == cv.get_n_splits() == n_splits
    sizes = [len(test) for _, test in splits]
    assert max(sizes) - min(sizes) <= 1
    assert np.array_equal(np.sort(np.concatenate([t for _, t in splits])), np.arange(len(y)))
    for train, test in splits:
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
        assert np.all(np.diff(test) > 0)
        assert np.all(np.diff(train) > 0)


@settings(max_examples=60, deadline=None)
@given(
    y=indicators,
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    seed=st.none() | st.integers(0, 100),
    short=st.none() | st.integers(1, 60),
)
def test_kernel_does_what_its_twin_does(y, sizes, seed, short):
    # At least one row each, the others in proportion, those left over dealt out.
    n_rows, n_folds = len(y), len(sizes)
    assume(n_rows >= n_folds)
    weights = np.array(sizes) if seed is not None else np.ones(n_folds, dtype=int)
    sizes = 1 + (n_rows - n_folds) * weights // weights.sum()
    sizes[: n_rows - sizes.sum()] += 1
    placed, exchanged = [], []

    class Spy:
        @staticmethod
        def assign_folds(row_indptr, row_labels, label_indptr, label_rows, share, weight, *rest):
            wanted, room, folds = rest[:3]
            before = wanted.copy(), room.copy()
            kernel.assign_folds(
                row_indptr, row_labels, label_indptr, label_rows, share, weight, *rest
            )
            placed.append((row_indptr, row_labels, share, weight, *before, folds.copy()))

        @staticmethod
        def exchange_rows(row_indptr, row_labels, label_indptr, label_rows, *rest):
            wanted, folds, budget = rest
            budget = min(budget, short or budget)
            before = wanted.copy(), folds.copy(), budget
            kernel.exchange_rows(
                row_indptr, row_labels, label_indptr, label_rows, wanted, folds, budget
            )
            exchanged.append((*before, folds.copy()))

    kernel = _stratify.kernels
    _stratify.kernels = Spy
    try:
        rng = None if seed is None else np.random.default_rng(seed)
        out = assign_folds(read_labels(y)[0], sizes, rng)
    finally:
        _stratify.kernels = kernel
    ((indptr, labels, share, weight, wanted, room, folds),) = placed
    indicator = np.zeros((n_rows, len(wanted)), dtype=bool)
    indicator[np.repeat(np.arange(n_rows), np.diff(indptr)), labels] = True
    assert np.all(indicator.any(axis=1))
    assert np.array_equal(folds, reference.assign_folds(indicator, share, weight, wanted, room))
    ((wanted, before, budget, folds),) = exchanged
    assert np.array_equal(folds, reference.exchange_rows(indicator, wanted, before, budget))
    assert np.array_equal(np.bincount(out, minlength=len(sizes)), sizes)


def correlated(law, seed):
    """Indicator of 400 rows and 15 labels that go together."""
    rng = np.random.default_rng(seed)
    y = np.zeros((400, 15), dtype=np.int8)
    if law == "chain":
        y[:, 0] = rng.random(400) < 0.4
        for k in range(1, 15):
            y[:, k] = np.where(rng.random(400) < 0.8, y[:, k - 1], rng.random(400) < 0.3)
        return y
    factors, shift = {"one factor": (1, -1), "three factors": (3, -1), "dense": (3, 0)}[law]
    scores = rng.normal(size=(400, factors)) @ rng.normal(size=(factors, 15))
    return (scores + 0.7 * rng.normal(size=scores.shape) + shift > 0).astype(np.int8)


@pytest.mark.parametrize("law", ["one factor", "three factors", "chain", "dense"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_correlated_labels_are_spread_as_evenly_as_integers_can_be(law, shuffle):
    """Labels that go together: factors, chains, many labels a row; folds and a holdout."""
    for seed in range(4):
        y = correlated(law, seed)
        cv = MultilabelStratifiedKFold(5, shuffle=shuffle, random_state=0 if shuffle else None)
        largest = deviations(y, folds_of(cv.split(y, y), 400), 5).max()
        assert largest <= (1.4 if law == "dense" else 0.81)
        splits = MultilabelStratifiedShuffleSplit(3, test_size=0.2, random_state=seed)
        for _, test in splits.split(y, y):
            assert np.abs(y[test].sum(axis=0) - y.sum(axis=0) / 5).max() <= 2


@pytest.mark.parametrize("n_splits", [2, 5, 10])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("n_rows", "n_labels", "n_drawn"), [(400, 40, 3), (900, 300, 2)])
def test_labels_are_spread_better_than_by_shuffled_folds(
    n_rows, n_labels, n_drawn, n_splits, shuffle
):
    ours, plain, least, missing = [], [], [], []
    for seed in range(5):
        y = skewed(n_rows, n_labels, n_drawn, seed)
        X = np.zeros(len(y))
        cv = MultilabelStratifiedKFold(
            n_splits, shuffle=shuffle, random_state=seed if shuffle else None
        )
        folds = folds_of(cv.split(X, y), len(y))
        ours.append(deviations(y, folds, n_splits))
        kfold = KFold(n_splits, shuffle=True, random_state=seed)
        plain.append(deviations(y, folds_of(kfold.split(X), len(y)), n_splits))
        enough = y.sum(axis=0) >= n_splits
        in_all = np.all([y[folds == fold].any(axis=0) for fold in range(n_splits)], axis=0)
        missing.append(np.mean(~in_all[enough]))
        least.append(unavoidable(y, n_splits))
    assert np.mean(ours) - np.mean(least) < 0.1 * (np.mean(plain) - np.mean(least))
    assert np.max(ours) <= 4
    assert np.mean(missing) < 0.01


def test_every_label_is_in_every_fold_if_nothing_hinders():
    # One label a row: the best split is known, deviations below 1.
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), np.arange(5, 17))
    y = np.eye(13, dtype=int)[rng.permutation(labels)]
    for shuffle in (False, True):
        cv = MultilabelStratifiedKFold(5, shuffle=shuffle, random_state=0 if shuffle else None)
        folds = folds_of(cv.split(y, y), len(y))
        assert deviations(y, folds, 5).max() < 1


def test_rows_without_labels_are_spread():
    y = skewed(500, 20, 1, seed=3)
    empty = y.sum(axis=1) == 0
    assert 100 < empty.sum() < 400
    folds = folds_of(MultilabelStratifiedKFold(5).split(y, y), len(y))
    assert np.ptp(np.bincount(folds[empty])) <= 2
    nothing = np.zeros((11, 3), dtype=int)
    folds = folds_of(MultilabelStratifiedKFold(5).split(nothing, nothing), 11)
    assert sorted(np.bincount(folds)) == [2, 2, 2, 2, 3]


def test_containers_and_dtypes_of_y_do_not_matter():
    y = skewed()
    X = np.zeros(len(y))
    shuffled = sp.coo_array(y)
    for cv in (
        MultilabelStratifiedKFold(4),
        MultilabelStratifiedKFold(4, shuffle=True, random_state=1),
        MultilabelStratifiedShuffleSplit(2, test_size=0.3, random_state=1),
    ):
        expected = list(cv.split(X, y))
        weighted = y * np.linspace(0.5, 2, y.shape[1])
        for other in (
            y.astype(bool),
            y.astype(float),
            y.tolist(),
            sp.csr_array(y),
            sp.csc_matrix(y),
            shuffled,
            weighted,
        ):
            for (train, test), (train_2, test_2) in zip(expected, cv.split(X, other), strict=True):
                assert np.array_equal(train, train_2)
                assert np.array_equal(test, test_2)


def test_determinism_and_randomness():
    y = skewed()
    for make in (
        lambda seed: MultilabelStratifiedKFold(3, shuffle=True, random_state=seed),
        lambda seed: MultilabelStratifiedShuffleSplit(3, random_state=seed),
    ):
        cv = make(7)
        first, again, other = ([test for _, test in c.split(y, y)] for c in (cv, cv, make(8)))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    state = np.random.RandomState(0)
    cv = MultilabelStratifiedKFold(3, shuffle=True, random_state=state)
    assert not np.array_equal(next(cv.split(y, y))[1], next(cv.split(y, y))[1])
    # Without shuffling, twins of one row go to folds in the order of the rows.
    twins = np.ones((6, 2), dtype=int)
    folds = folds_of(MultilabelStratifiedKFold(3).split(twins, twins), 6)
    assert folds.tolist() == [0, 1, 2, 0, 1, 2]


@settings(max_examples=40, deadline=None)
@given(
    y=indicators.filter(lambda y: len(y) >= 10),
    test_size=st.sampled_from([None, 0.2, 0.5, 3]),
    train_size=st.sampled_from([None, 0.4, 2]),
    seed=st.integers(0, 99),
)
def test_shuffle_split_has_scikit_learn_sizes(y, test_size, train_size, seed):
    parameters = {"test_size": test_size, "train_size": train_size, "random_state": seed}
    cv = MultilabelStratifiedShuffleSplit(2, **parameters)
    assert cv.get_n_splits() == 2
    splits = list(cv.split(y, y))
    for (train, test), (train_2, test_2) in zip(
        splits, ShuffleSplit(2, **parameters).split(y), strict=True
    ):
        assert len(train) == len(train_2)
        assert len(test) == len(test_2)
        both = np.concatenate([train, test])
        assert len(np.unique(both)) == len(both)
        assert both.min() >= 0
        assert both.max() < len(y)


def test_shuffle_split_is_stratified_and_does_not_neglect_rare_labels():
    y = skewed(1000, 100, 2, seed=1)
    counts = y.sum(axis=0, dtype=float)
    # Labels with one to four rows: a tenth of them is below one half.
    rare = (counts > 0) & (counts < 5)
    assert rare.sum() >= 5
    cv = MultilabelStratifiedShuffleSplit(200, test_size=0.1, random_state=0)
    ours = np.array([y[test].sum(axis=0, dtype=float) for _, test in cv.split(y, y)])
    plain = ShuffleSplit(200, test_size=0.1, random_state=0)
    theirs = np.array([y[test].sum(axis=0, dtype=float) for _, test in plain.split(y)])
    share = counts * 0.1
    assert np.abs(ours - share).mean() < 0.5 * np.abs(theirs - share).mean()
    held_out = ours[:, rare].mean(axis=0).sum() / counts[rare].sum()
    assert 0.08 < held_out < 0.12
    # Every row has its turn about equally often; 5 standard deviations of a fair draw.
    turns = Counter(np.concatenate([test for _, test in cv.split(y, y)]).tolist())
    turns = np.array([turns[row] for row in range(len(y))]) / 200
    assert np.all(np.abs(turns - 0.1) < 5 * np.sqrt(0.09 / 200))


def test_shuffle_split_orders_are_random():
    # learning_curve takes the first rows of each training set.
    y = np.ones((200, 2), dtype=int)
    train, test = next(MultilabelStratifiedShuffleSplit(random_state=0).split(y, y))
    assert np.any(np.diff(train) < 0)
    assert np.any(np.diff(test) < 0)


@pytest.mark.parametrize("n_labels", [2, 30])
def test_holdout(n_labels):
    y = skewed(300, n_labels, 2)
    label_sets, _ = read_labels(y)
    train, held_out = stratified_holdout(label_sets, 0.1, 5)
    assert len(held_out) == 30
    assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(300))
    assert np.all(np.diff(held_out) > 0)
    assert np.array_equal(stratified_holdout(label_sets, 0.1, 5)[1], held_out)
    assert not np.array_equal(stratified_holdout(label_sets, 0.1, 6)[1], held_out)
    # Rounded up, and 1-D classes are spread as well.
    classes, _ = read_labels(np.repeat([0, 1, 2], [60, 30, 11]))
    _, held_out = stratified_holdout(classes, 0.1, 0)
    assert len(held_out) == 11
    counts = np.bincount(classes.indices[held_out], minlength=3)
    assert np.all(np.abs(counts - [6, 3, 1.1]) <= 1)


@pytest.mark.parametrize(("n_rows", "fraction"), [(1, 0.1), (5, 0.0), (5, 1.0), (5, 0.9)])
def test_holdout_needs_rows_on_both_sides(n_rows, fraction):
    label_sets, _ = read_labels(np.ones((n_rows, 2), dtype=int))
    with pytest.raises(ValueError, match="validation_fraction"):
        stratified_holdout(label_sets, fraction, 0)


def test_classes_go_to_scikit_learn():
    y = np.repeat(["a", "b", "c"], [20, 12, 8])
    X = np.zeros((40, 1))
    for ours, theirs in (
        (MultilabelStratifiedKFold(4), StratifiedKFold(4)),
        (
            MultilabelStratifiedKFold(4, shuffle=True, random_state=3),
            StratifiedKFold(4, shuffle=True, random_state=3),
        ),
        (
            MultilabelStratifiedShuffleSplit(3, test_size=0.2, random_state=3),
            StratifiedShuffleSplit(3, test_size=0.2, random_state=3),
        ),
    ):
        for a, b in zip(ours.split(X, y), theirs.split(X, y), strict=True):
            assert np.array_equal(a[0], b[0])
            assert np.array_equal(a[1], b[1])


def test_errors():
    y = skewed(20, 3, 1)
    with pytest.raises(ValueError, match="n_splits=1"):
        MultilabelStratifiedKFold(1)
    with pytest.raises(ValueError, match="Integral"):
        MultilabelStratifiedKFold(2.5)
    with pytest.raises(ValueError, match="random_state"):
        MultilabelStratifiedKFold(2, random_state=0)
    with pytest.raises(ValueError, match="n_splits=21 greater"):
        next(MultilabelStratifiedKFold(21).split(y, y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MultilabelStratifiedKFold(2).split(y[:-1], y)
    with pytest.raises(ValueError, match="Unknown label type"):
        MultilabelStratifiedKFold(2).split(y, -y)
    with pytest.raises(ValueError, match="target y is None"):
        MultilabelStratifiedShuffleSplit(2).split(y, None)
    with pytest.raises(ValueError, match="test_size=20"):
        next(MultilabelStratifiedShuffleSplit(2, test_size=20).split(y, y))
    for cv in (MultilabelStratifiedKFold(2), MultilabelStratifiedShuffleSplit(2)):
        with pytest.warns(UserWarning, match="groups parameter is ignored"):
            cv.split(y, y, groups=np.zeros(20))


def test_repr_and_metadata_routing():
    assert (
        repr(MultilabelStratifiedKFold(3))
        == "MultilabelStratifiedKFold(n_splits=3, random_state=None, shuffle=False)"
    )
    assert "test_size=0.2" in repr(MultilabelStratifiedShuffleSplit(3, test_size=0.2))
    for ours, theirs in (
        (MultilabelStratifiedKFold(), StratifiedKFold()),
        (MultilabelStratifiedShuffleSplit(), StratifiedShuffleSplit()),
    ):
        assert get_routing_for_object(ours).split.requests == (
            get_routing_for_object(theirs).split.requests
        )
        assert hasattr(ours, "set_split_request") == hasattr(theirs, "set_split_request")


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_cross_validation(container, routing):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = container((X[:, :3] + 0.3 * rng.normal(size=(80, 3)) > 0.2).astype(int))
    model = OneVsRestClassifier(LogisticRegression())
    with config_context(enable_metadata_routing=routing):
        for cv in (
            MultilabelStratifiedKFold(3),
            MultilabelStratifiedShuffleSplit(3, random_state=0),
        ):
            if not sp.issparse(y):  # cross_val_score does not take it
                # Without params, 1.6.0 fails with routing.
                scores = cross_val_score(model, X, y, cv=cv, scoring="f1_micro", params={})
                assert scores.shape == (3,)
                assert np.all(scores > 0.5)
            search = GridSearchCV(model, {"estimator__C": [0.1, 1.0]}, cv=cv, scoring="f1_micro")
            assert search.fit(X, y).n_splits_ == 3
            assert search.best_score_ > 0.5


def test_many_rows_and_labels_take_seconds():
    n_rows, n_labels = 100_000, 1_000
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, n_labels + 1)
    sizes = rng.poisson(5, n_rows)
    pairs = np.repeat(np.arange(n_rows), sizes), rng.choice(n_labels, sizes.sum(), p=p / p.sum())
    y = sp.csr_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(n_rows, n_labels))
    start = time.perf_counter()
    folds = folds_of(MultilabelStratifiedKFold(5).split(y, y), n_rows)
    # Takes a few hundredths; the bound is for busy machines.
    assert time.perf_counter() - start < 3
    assert deviations(y.astype(np.int64), folds, 5).max() < 2


@pytest.mark.skipif(not DATA.exists(), reason="development data are not here")
@pytest.mark.parametrize("name", ["bibtex", "tmc2007", "yeast"])
def test_real_data(name):
    y = sp.load_npz(DATA / f"{name}.Ytr.npz").astype(np.int64)
    folds = folds_of(MultilabelStratifiedKFold(5).split(y, y), y.shape[0])
    kfold = folds_of(KFold(5, shuffle=True, random_state=0).split(y), y.shape[0])
    assert deviations(y, folds, 5).mean() < 0.25 * deviations(y, kfold, 5).mean()
    for fold in range(5):
        assert np.all(y[folds == fold].sum(axis=0) > 0)


@pytest.mark.skipif(not DATA.exists(), reason="development data are not here")
@pytest.mark.parametrize("name", ["bibtex", "tmc2007", "yeast"])
def test_holdout_of_real_data_neglects_no_label(name):
    y = sp.load_npz(DATA / f"{name}.Yte.npz").astype(np.int64)
    label_sets, _ = read_labels(y)
    held_out = np.mean(
        [y[stratified_holdout(label_sets, 0.05, seed)[1]].sum(axis=0) for seed in range(30)],
        axis=0,
    )
    expected = 0.05 * y.sum(axis=0)
    # The label that comes last makes up for the errors of all others.
    assert np.max(np.abs(held_out - expected) / np.maximum(expected, 10)) < 0.5
    assert np.mean(np.abs(held_out - expected)) < 0.2
