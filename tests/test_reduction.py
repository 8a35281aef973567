"""MultiClassReduction: exact on known laws, and a citizen of scikit-learn."""

from __future__ import annotations

import pickle
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skmultireduce._reductions.fmeasure import f_optimal_sets
from skmultireduce.reduction import MultiClassReduction

DATA = Path(__file__).parents[2] / "shared" / "data"
SAMPLED = ["pick_one", "pick_all_normalized", "pick_all"]


# Known laws ---------------------------------------------------------------------------


def label_sets(n_labels, *, empty=False):
    sets = np.array(list(product([0, 1], repeat=n_labels)))
    return sets if empty else sets[sets.any(axis=1)]


class Law:
    """P(x), P(Y | x) by table; `tree` learns such a law without bias."""

    def __init__(self, sets, law, x_proba=None):
        self.sets = np.asarray(sets)
        self.law = np.atleast_2d(law)
        n_x = len(self.law)
        self.x_proba = np.full(n_x, 1 / n_x) if x_proba is None else np.asarray(x_proba)
        self.X = np.arange(n_x)[:, None].astype(float)
        size = self.sets.sum(axis=1)
        self.size = size
        self.marginals = self.law @ self.sets
        self.picked = self.law @ (self.sets / np.maximum(size, 1)[:, None])
        self.mean_size = self.law @ size

    def delta(self, sizes):
        return np.stack([self.law @ (self.sets * (self.size == s)[:, None]) for s in sizes], 2)

    def size_proba(self, sizes):
        return np.stack([self.law @ (self.size == s) for s in sizes], 1)

    def sample(self, n, seed=0):
        rng = np.random.default_rng(seed)
        x = rng.choice(len(self.law), size=n, p=self.x_proba)
        # One draw by the inverse distribution function of each x.
        cumulated = np.cumsum(self.law, axis=1)
        u = rng.uniform(size=n)
        index = (u[:, None] > cumulated[x]).sum(axis=1).clip(max=self.law.shape[1] - 1)
        return x[:, None].astype(float), self.sets[index]

    def expected_f1(self, chosen):
        hits = chosen @ self.sets.T
        bottom = chosen.sum(axis=1)[:, None] + self.size[None, :]
        f1 = np.where(bottom > 0, 2 * hits / np.maximum(bottom, 1), 1.0)
        return (self.law * f1).sum(axis=1)


def random_law(n_labels=4, n_x=5, seed=0, *, empty=False, concentration=0.3):
    sets = label_sets(n_labels, empty=empty)
    rng = np.random.default_rng(seed)
    return Law(sets, rng.dirichlet(np.full(len(sets), concentration), size=n_x))


def tree(**kwargs):
    return MultiClassReduction(DecisionTreeClassifier(random_state=0), random_state=0, **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "truth"),
    [
        ({"reduction": "pick_one"}, "picked"),
        ({"reduction": "pick_one", "n_draws": 3}, "picked"),
        ({"reduction": "pick_all_normalized"}, "picked"),
        ({"reduction": "pick_all"}, "share"),
        *(
            ({"reduction": reduction, "size_model": model, "max_size": None}, "marginals")
            for reduction in SAMPLED
            for model in ("expected", "joint")
        ),
        ({"size_model": "expected", "size_estimator": "regressor"}, "marginals"),
    ],
    ids=str,
)
def test_estimates_converge_to_the_truth(kwargs, truth):
    law = random_law()
    expected = law.marginals / law.mean_size[:, None] if truth == "share" else getattr(law, truth)
    if kwargs.get("size_estimator") == "regressor":
        from sklearn.tree import DecisionTreeRegressor

        kwargs = {**kwargs, "size_estimator": DecisionTreeRegressor(random_state=0)}

    def error(n):
        # A mean over samples, so that the rate can be seen.
        return np.mean(
            [
                np.abs(tree(**kwargs).fit(*law.sample(n, s)).predict_proba(law.X) - expected)
                for s in range(4)
            ]
        )

    small, large = error(400), error(40_000)
    assert large < 0.01
    # 1 / sqrt(n): a factor of 10.
    assert 4 < small / large < 25


@pytest.mark.parametrize("reduction", SAMPLED)
def test_joint_model_recovers_sizes_and_pairs(reduction):
    law = random_law(seed=1)
    model = tree(reduction=reduction, size_model="joint", max_size=None)
    model.fit(*law.sample(60_000))
    assert model.sizes_.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(
        model.predict_size_proba(law.X), law.size_proba(model.sizes_), atol=0.02
    )
    delta = model.predict_label_size_proba(law.X)
    np.testing.assert_allclose(delta, law.delta(model.sizes_), atol=0.025)
    compact = model.predict_label_size_proba(law.X, compact=True)
    label, size = model.pairs_.T
    np.testing.assert_array_equal(delta[:, label, size], compact)
    np.testing.assert_allclose(model.predict_proba(law.X), delta.sum(axis=2), rtol=1e-12)


@pytest.mark.parametrize("max_size", [None, "auto"])
def test_one_size_is_one_class(max_size):
    y = np.eye(3, dtype=int)[[0, 1, 2] * 4]
    assert tree(size_model="joint", max_size=max_size).fit(y, y).sizes_.tolist() == [1]


def test_expected_model_recovers_sizes():
    law = random_law(seed=2, empty=True)
    model = tree(size_model="expected", max_size=None, unlabeled="none")
    model.fit(*law.sample(60_000))
    assert model.sizes_.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(
        model.predict_size_proba(law.X), law.size_proba(model.sizes_), atol=0.02
    )


@pytest.mark.parametrize("reduction", SAMPLED)
@pytest.mark.parametrize("size_model", ["expected", "joint"])
@pytest.mark.parametrize("unlabeled", ["drop", "none"])
def test_rows_without_labels(reduction, size_model, unlabeled):
    law = random_law(seed=3, empty=True, concentration=0.8)
    X, y = law.sample(100_000)
    model = tree(reduction=reduction, size_model=size_model, max_size=None, unlabeled=unlabeled)
    if unlabeled == "drop":
        with pytest.warns(UserWarning, match="have no label and are left out") as caught:
            model.fit(X, y)
        assert len(caught) == 1
        # Statement 2.3: given that there is a label.
        truth = law.marginals / (1 - law.law[:, :1])
    else:
        model.fit(X, y)
        truth = law.marginals
    assert model.n_unlabeled_ == np.count_nonzero(y.sum(axis=1) == 0)
    np.testing.assert_allclose(model.predict_proba(law.X), truth, atol=0.03)


@pytest.mark.parametrize("unlabeled", ["drop", "none"])
def test_rows_of_weight_0_are_no_rows_without_labels(unlabeled):
    y = np.repeat([[1, 0], [0, 1], [0, 0]], 5, axis=0)
    weight = y.sum(axis=1).astype(float)
    model = tree(unlabeled=unlabeled).fit(np.arange(15)[:, None], y, sample_weight=weight)
    assert model.n_unlabeled_ == 0


def test_plain_softmax_with_a_class_of_empty_sets():
    sets = [[0, 0], [1, 0], [0, 1]]
    law = Law(sets, [[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    X, y = law.sample(5_000)
    model = tree(unlabeled="none").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(law.X), law.picked, atol=0.03)
    np.testing.assert_array_equal(model.predict(law.X), [[0, 0], [0, 1]])
    for size_model in ("expected", "joint"):
        repaired = tree(unlabeled="none", size_model=size_model).fit(X, y)
        np.testing.assert_array_equal(repaired.predict(law.X), [[0, 0], [0, 1]])


@pytest.mark.parametrize("size_model", [None, "expected", "joint"])
def test_a_row_that_surely_has_no_label(size_model):
    X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat([[0, 0], [1, 0]], 10, axis=0)
    y[-1] = 1
    model = tree(unlabeled="none", size_model=size_model).fit(X, y)
    assert model.predict_proba(X[:1]).max() <= 1e-30


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("empty", [False, True])
def test_f_optimal_sets_of_a_trained_model(beta, empty):
    law = random_law(n_labels=5, n_x=12, seed=4, empty=empty)
    model = tree(
        size_model="joint",
        decision="f1",
        beta=beta,
        max_size=None,
        unlabeled="none" if empty else "drop",
    )
    chosen = model.fit(*law.sample(80_000)).predict(law.X)
    candidates = label_sets(5, empty=True)

    def score(sets):
        hits = sets @ law.sets.T
        bottom = beta**2 * law.size[None, :] + sets.sum(axis=1)[:, None]
        return np.where(bottom > 0, (1 + beta**2) * hits / np.maximum(bottom, 1e-9), 1.0)

    best = (law.law @ score(candidates).T).max(axis=1)
    reached = (law.law * score(chosen)).sum(axis=1)
    # 6.5: the regret is bounded by the error of the estimates.
    assert np.all(reached <= best + 1e-12)
    assert (best - reached).max() < 0.01


def test_f_optimal_sets_with_expected_sizes_are_exact_if_label_and_size_are_independent():
    # Given x, all sets of a size within a group of labels are equally likely.
    sets = label_sets(5, empty=True)
    rng = np.random.default_rng(0)
    rows = []
    for group in ([0, 1, 2], [2, 3], [0, 1, 3, 4], [4], [1, 4]):
        inside = ~np.delete(sets, group, axis=1).any(axis=1)
        size_proba = rng.dirichlet(np.ones(len(group) + 1))
        sizes = sets.sum(axis=1)
        row = np.zeros(len(sets))
        for size, proba in enumerate(size_proba):
            members = inside & (sizes == size)
            row[members] = proba / members.sum()
        rows.append(row)
    law = Law(sets, rows)
    model = tree(size_model="expected", decision="f1", max_size=None, unlabeled="none")
    chosen = model.fit(*law.sample(60_000)).predict(law.X)
    best = np.max([law.expected_f1(np.tile(s, (5, 1))) for s in sets], axis=0)
    assert (best - law.expected_f1(chosen)).max() < 0.005


# Counterexamples ----------------------------------------------------------------------


def micro_jaccard(law, chosen):
    hits = (law.marginals * chosen).sum(axis=1)
    union = law.mean_size + chosen.sum(axis=1) - hits
    return (law.x_proba @ hits) / (law.x_proba @ union)


def best_cutoff(law, scores):
    cuts = np.unique(np.concatenate([[0.0], scores.ravel()])) + 1e-3
    return max(micro_jaccard(law, scores > cut) for cut in cuts)


def logistic(**kwargs):
    base = LogisticRegression(C=1e4, max_iter=2000, tol=1e-8)
    return MultiClassReduction(base, random_state=0, max_size=None, **kwargs)


def one_hot(law, x):
    return np.eye(len(law.law))[x[:, 0].astype(int)]


def test_precision_at_one_of_statement_3_2():
    law = Law([[1, 0, 0], [1, 1, 0], [0, 0, 1]], [0.1, 0.5, 0.4])
    x, y = law.sample(20_000)
    X = np.zeros_like(x)
    plain = logistic(reduction="pick_one").fit(X, y)
    assert plain.predict(X[:1]).tolist() == [[0, 0, 1]]
    for kwargs in (
        {"reduction": "pick_all"},
        {"size_model": "expected"},
        {"size_model": "joint"},
        {"reduction": "pick_one", "size_model": "joint"},
    ):
        assert logistic(**kwargs).fit(X, y).predict(X[:1]).tolist() == [[1, 0, 0]]


def test_one_cutoff_of_statement_4_5():
    sets = np.vstack([np.eye(5, dtype=int)[:4], np.ones((1, 5), dtype=int)])
    law = Law(sets, [[0.25] * 4 + [0], [0] * 4 + [1]], [0.6, 0.4])
    x, y = law.sample(20_000)
    X, grid = one_hot(law, x), np.eye(2)
    plain = logistic(reduction="pick_one").fit(X, y).predict_proba(grid)
    assert best_cutoff(law, plain) == pytest.approx(13 / 22, abs=1e-6)
    for size_model in ("expected", "joint"):
        repaired = logistic(size_model=size_model).fit(X, y).predict_proba(grid)
        assert best_cutoff(law, repaired) == pytest.approx(10 / 13, abs=1e-6)


def test_same_q_different_marginals_of_statement_7_1():
    law = Law(
        np.vstack([np.eye(3, dtype=int), np.ones((1, 3), int)]), [[1 / 3] * 3 + [0], [0] * 3 + [1]]
    )
    x, y = law.sample(20_000)
    X, grid = one_hot(law, x), np.eye(2)
    plain = logistic(reduction="pick_one").fit(X, y).predict_proba(grid)
    np.testing.assert_allclose(plain, 1 / 3, atol=0.03)
    for size_model in ("expected", "joint"):
        repaired = logistic(size_model=size_model).fit(X, y).predict_proba(grid)
        np.testing.assert_allclose(repaired, [[1 / 3] * 3, [1] * 3], atol=0.03)
        # Hamming-optimal sets: none, all.
        np.testing.assert_array_equal(repaired > 0.5, [[False] * 3, [True] * 3])


# Reductions ---------------------------------------------------------------------------


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what it is fitted with."""

    def fit(self, X, y, sample_weight=None):
        self.X, self.y, self.w = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        self.calls = [*getattr(self, "calls", []), (X, y, sample_weight)]
        self.classes_ = classes if classes is not None else self.classes_
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


X4 = np.arange(4.0)[:, None]
Y4 = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]])


@pytest.mark.parametrize(
    ("reduction", "rows", "codes", "weights"),
    [
        (
            "pick_all_normalized",
            [0, 1, 1, 2, 2, 3, 3, 3],
            [0, 0, 1, 1, 2, 0, 1, 2],
            [1, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3],
        ),
        ("pick_all", [0, 1, 1, 2, 2, 3, 3, 3], [0, 0, 1, 1, 2, 0, 1, 2], [1 / 2] * 8),
        # Frequencies 3, 3, 2; ties to the first.
        ("select_max", [0, 1, 2, 3], [0, 0, 1, 0], None),
        ("select_min", [0, 1, 2, 3], [0, 0, 2, 2], None),
    ],
)
def test_examples(reduction, rows, codes, weights):
    model = MultiClassReduction(Recorder(), reduction=reduction).fit(X4, Y4).estimator_
    np.testing.assert_array_equal(model.X[:, 0], rows)
    expected = np.unique(codes, return_inverse=True)[1]
    np.testing.assert_array_equal(model.y, expected)
    if weights is None:
        assert model.w is None
    else:
        np.testing.assert_allclose(model.w, weights)


def test_ignore_uses_rows_with_one_label():
    y = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
    model = MultiClassReduction(Recorder(), reduction="ignore").fit(X4, y).estimator_
    assert model.X[:, 0].tolist() == [0, 2, 3]
    assert model.y.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="no row has exactly one label"):
        MultiClassReduction(Recorder(), reduction="ignore").fit(X4[:2], [[1, 1], [1, 1]])


def test_as_many_draws_as_labels_show_each_label_once():
    y = np.tile(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]]), (20, 1))
    X = np.random.default_rng(0).normal(size=(60, 2))
    drawn = MultiClassReduction(Recorder(), reduction="pick_one", n_draws=2).fit(X, y)
    every = MultiClassReduction(Recorder()).fit(X, y)
    for name in ("X", "y", "w"):
        np.testing.assert_array_equal(
            getattr(drawn.estimator_, name), getattr(every.estimator_, name)
        )


def test_draws_follow_random_state():
    X, y = make_multilabel_classification(random_state=0, allow_unlabeled=False)

    def drawn(seed):
        model = MultiClassReduction(Recorder(), reduction="pick_one", random_state=seed)
        return model.fit(X, y).estimator_.y

    np.testing.assert_array_equal(drawn(0), drawn(0))
    assert np.any(drawn(0) != drawn(1))


def test_random_state_reaches_estimators_without_one():
    model = MultiClassReduction(SGDClassifier(), random_state=0).fit(X4, Y4)
    assert model.estimator_.random_state is not None
    kept = MultiClassReduction(SGDClassifier(random_state=7), random_state=0).fit(X4, Y4)
    assert kept.estimator_.random_state == 7
    assert MultiClassReduction(SGDClassifier()).fit(X4, Y4).estimator_.random_state is None


def test_sample_weight_counts_as_repetition():
    rng = np.random.default_rng(0)
    X, y = make_multilabel_classification(
        120, n_features=5, n_classes=4, random_state=0, allow_unlabeled=False
    )
    X = X / 10
    weight = rng.integers(0, 4, size=len(X))
    repeated = np.repeat(np.arange(len(X)), weight)
    for kwargs in (
        {},
        {"reduction": "pick_all"},
        {"size_model": "expected"},
        {"size_model": "joint", "max_size": 2},
        {"size_model": "joint", "max_size": 2, "reduction": "pick_all"},
        {"reduction": "select_max"},
    ):
        base = LogisticRegression(max_iter=5000, tol=1e-7)
        a = MultiClassReduction(base, **kwargs).fit(X, y, sample_weight=weight)
        b = MultiClassReduction(base, **kwargs).fit(X[repeated], y[repeated])
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-4)


def test_pick_all_is_regularised_as_the_others():
    # All rows have two labels: the reductions are then the same problem.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = np.zeros((100, 4), dtype=int)
    np.put_along_axis(y, np.argsort(rng.random((100, 4)), axis=1)[:, :2], 1, axis=1)
    a = MultiClassReduction(LogisticRegression(), reduction="pick_all").fit(X, y)
    b = MultiClassReduction(LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-9)


def test_estimator_without_sample_weight_gets_repeated_or_resampled_rows():
    X, y = make_multilabel_classification(
        300, n_classes=5, n_labels=3, random_state=0, allow_unlabeled=False
    )

    class Weightless(Recorder):
        def fit(self, X, y):
            return super().fit(X, y)

    # Weights 1/2 and 1: each single label twice, without chance and without a warning.
    few = y.sum(axis=1) <= 2
    model = MultiClassReduction(Weightless(), random_state=0).fit(X[few], y[few]).estimator_
    assert len(model.y) == 2 * few.sum()
    with pytest.warns(UserWarning, match="does not support sample_weight") as caught:
        model = MultiClassReduction(Weightless(), random_state=0).fit(X, y).estimator_
    assert len(caught) == 1
    assert len(model.y) == y.sum()
    # Each label in the share of its picks, to within rounding of the resampling.
    share = np.bincount(model.y, minlength=5) / len(model.y)
    picks = (y / y.sum(axis=1, keepdims=True)).sum(axis=0) / len(y)
    np.testing.assert_allclose(share, picks, atol=0.03)
    # Weights of equal size need neither.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiClassReduction(Weightless(), reduction="pick_all").fit(X, y)
        MultiClassReduction(Weightless(), reduction="pick_one").fit(X, y)


# Partial fit --------------------------------------------------------------------------


def test_partial_fit_draws_anew_in_each_pass():
    model = MultiClassReduction(Recorder(), reduction="pick_one", random_state=0)
    for _ in range(6):
        model.partial_fit(X4, Y4)
    drawn = np.array([y for _, y, _ in model.estimator_.calls])
    # Cycles: row 1 shows each of its two labels three times, row 3 each of three twice.
    assert sorted(drawn[:, 1]) == [0, 0, 0, 1, 1, 1]
    assert sorted(drawn[:, 3]) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("size_model", [None, "expected", "joint"])
@pytest.mark.parametrize("reduction", ["pick_all_normalized", "pick_all"])
def test_partial_fit_over_batches_is_fit(size_model, reduction):
    law = random_law(n_labels=3, n_x=3, seed=5, empty=True, concentration=1.0)
    x, y = law.sample(3_000)
    X = one_hot(law, x)
    kwargs = {
        "reduction": reduction,
        "size_model": size_model,
        "max_size": 3,
        "unlabeled": "none",
    }
    # Naive Bayes with one indicator feature for each x is exact, and counts add up.
    base = MultinomialNB(alpha=1e-9)
    whole = MultiClassReduction(base, **kwargs).fit(X, y)
    parts = MultiClassReduction(base, **kwargs)
    for part in np.array_split(np.arange(len(X)), 5):
        parts.partial_fit(X[part], y[part])
    grid = np.eye(3)
    np.testing.assert_allclose(parts.predict_proba(grid), whole.predict_proba(grid), atol=1e-6)
    assert parts.n_unlabeled_ == whole.n_unlabeled_


def test_partial_fit_needs_classes_for_1d_y():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MultiClassReduction(GaussianNB()).partial_fit(X4, [0, 1, 0, 1])
    model = MultiClassReduction(GaussianNB()).partial_fit(X4, list("abab"), classes=list("abc"))
    model.partial_fit(X4, list("cccc"))
    assert model.predict_proba(X4).shape == (4, 3)


def test_partial_fit_after_fit_refuses_labels_that_fit_did_not_have():
    y = Y4.copy()
    y[:, 2] = 0
    model = MultiClassReduction(GaussianNB()).fit(X4, y)
    model.partial_fit(X4, y)
    with pytest.raises(ValueError, match="Start with partial_fit"):
        model.partial_fit(X4, Y4)


def test_partial_fit_with_one_known_label():
    y = sp.csr_array(np.ones((4, 1), dtype=np.int8))
    model = MultiClassReduction(GaussianNB(), size_model="expected", max_size=1)
    for _ in range(2):
        model.partial_fit(X4, y)
    np.testing.assert_allclose(model.predict_proba(X4), 1)


def test_partial_fit_is_available_if_the_estimators_have_it():
    assert not hasattr(MultiClassReduction(LogisticRegression()), "partial_fit")
    assert hasattr(MultiClassReduction(GaussianNB(), size_model="expected"), "partial_fit")
    mixed = MultiClassReduction(GaussianNB(), size_model="expected", size_estimator=Ridge())
    assert not hasattr(mixed, "partial_fit")


# Estimators that take label sets ------------------------------------------------------


class FakeLabelSets(ClassifierMixin, BaseEstimator):
    """Learns mean soft targets by x; records what it gets."""

    _takes_label_sets = True

    def __init__(self, reduction="pick_one"):
        self.reduction = reduction

    def fit(self, X, y, sample_weight=None):
        if np.ndim(y) == 1:
            self.classes_ = np.unique(y)
            target = (np.asarray(y)[:, None] == self.classes_).astype(float)
            one_dimensional = True
        else:
            assert sp.issparse(y)
            target = y.toarray() / y.sum(axis=1)[:, None]
            self.classes_ = np.tile([0, 1], (y.shape[1], 1))
            one_dimensional = False
        self.n_rows = len(target)
        self.weight = np.ones(len(target)) if sample_weight is None else sample_weight
        self.one_dimensional = one_dimensional
        target = target * self.weight[:, None]
        self.table = np.stack([target[X[:, 0] == v].sum(axis=0) for v in range(5)])
        self.table /= self.table.sum(axis=1, keepdims=True)
        return self

    def predict_proba(self, X):
        return self.table[X[:, 0].astype(int)]

    def predict(self, X):
        top = self.predict_proba(X).argmax(axis=1)
        return self.classes_[top] if self.one_dimensional else np.eye(self.table.shape[1])[top]


@pytest.mark.parametrize("reduction", SAMPLED)
@pytest.mark.parametrize("size_model", [None, "expected", "joint"])
@pytest.mark.parametrize("unlabeled", ["drop", "none"])
@pytest.mark.filterwarnings("ignore:.*have no label and are left out:UserWarning")
def test_label_set_estimators_get_label_sets(reduction, size_model, unlabeled):
    law = random_law(seed=6, empty=True, concentration=1.0)
    X, y = law.sample(5_000)
    kwargs = {
        "reduction": reduction,
        "size_model": size_model,
        "max_size": 3,
        "unlabeled": unlabeled,
    }
    direct = MultiClassReduction(FakeLabelSets(), **kwargs).fit(X, y)
    own = "pick_one" if reduction == "pick_one" else "pick_all_normalized"
    assert direct.estimator_.reduction == own
    used = y.any(axis=1) | (unlabeled == "none")
    assert direct.estimator_.n_rows == used.sum()
    # The same quantities as with repeated rows; the fake always takes the expectation.
    kwargs["reduction"] = reduction if reduction == "pick_all" else "pick_all_normalized"
    repeated = tree(**kwargs).fit(X, y)
    np.testing.assert_allclose(
        direct.predict_proba(law.X), repeated.predict_proba(law.X), atol=1e-9
    )
    np.testing.assert_array_equal(direct.predict(law.X), repeated.predict(law.X))


@pytest.mark.parametrize("reduction", ["select_max", "select_min", "ignore"])
def test_label_set_estimators_get_selected_labels(reduction):
    law = random_law(seed=7, concentration=1.0)
    X, y = law.sample(2_000)
    direct = MultiClassReduction(FakeLabelSets(), reduction=reduction).fit(X, y)
    repeated = tree(reduction=reduction).fit(X, y)
    np.testing.assert_allclose(
        direct.predict_proba(law.X), repeated.predict_proba(law.X), atol=1e-9
    )


def test_label_set_estimators_in_a_pipeline():
    law = random_law(seed=8)
    X, y = law.sample(1_000)
    pipeline = make_pipeline("passthrough", FakeLabelSets())
    model = MultiClassReduction(pipeline, reduction="pick_all").fit(X, y)
    assert model.estimator_[-1].reduction == "pick_all_normalized"
    assert model.estimator_[-1].n_rows == 1_000
    assert np.ptp(model.estimator_[-1].weight) > 0
    np.testing.assert_allclose(model.estimator_[-1].weight.mean(), 1)


def test_own_linear_model_gets_label_sets():
    linear = pytest.importorskip("skmultireduce.linear")
    law = random_law(seed=9)
    x, y = law.sample(20_000)
    base = linear.MultiLabelSGDClassifier(alpha=0, max_iter=30, random_state=0)
    for kwargs in ({"size_model": "expected"}, {"size_model": "joint", "max_size": None}):
        model = MultiClassReduction(base, **kwargs).fit(one_hot(law, x), y)
        error = np.abs(model.predict_proba(np.eye(len(law.law))) - law.marginals)
        assert error.mean() < 0.02


# Bases, containers, scikit-learn's tools ----------------------------------------------

BASES = {
    "logistic": (LogisticRegression(max_iter=500), True),
    "forest": (RandomForestClassifier(10, random_state=0), True),
    "boosting": (HistGradientBoostingClassifier(max_iter=5), False),
    "mlp": (MLPClassifier((16,), learning_rate_init=0.05, max_iter=30, random_state=0), True),
    "naive_bayes": (MultinomialNB(), True),
    "tree": (DecisionTreeClassifier(max_depth=5, random_state=0), True),
    "neighbors": (KNeighborsClassifier(), True),
    "sgd": (SGDClassifier(loss="log_loss", random_state=0), True),
    "discriminant": (LinearDiscriminantAnalysis(), False),
    "pipeline": (make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=500)), True),
}


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    y = (rng.random((150, 4)) < 0.4).astype(int)
    y[~y.any(axis=1), 0] = 1
    # Three words of each label, and noise.
    X = rng.poisson(0.2 + 3 * np.repeat(y, 3, axis=1)) / 4
    return X, y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*does not support sample_weight:UserWarning")
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("size_model", [None, "expected", "joint"])
def test_bases_and_containers(name, size_model, small):
    X, y = small
    base, takes_sparse = BASES[name]
    decision = "f1" if size_model == "joint" else "top_1"
    model = MultiClassReduction(
        base, size_model=size_model, decision=decision, max_size=2, random_state=0
    )
    containers = [(X, y)]
    if takes_sparse:
        containers += [(sp.csr_matrix(X), sp.csr_array(y)), (sp.coo_array(X), sp.csc_matrix(y))]
    results = []
    for X_in, y_in in containers:
        fitted = clone(model).fit(X_in, y_in)
        proba, predicted = fitted.predict_proba(X_in), fitted.predict(X_in)
        assert proba.shape == y.shape
        assert proba.min() > 0
        assert proba.max() < 1
        assert sp.issparse(predicted) == sp.issparse(y_in)
        assert predicted.dtype == y_in.dtype
        predicted = predicted.toarray() if sp.issparse(predicted) else predicted
        assert np.all(predicted.sum(axis=1) >= 1)
        if size_model is None:
            np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
            assert np.all(predicted.sum(axis=1) == 1)
        results.append((proba, predicted))
    # Better than the same label for all rows.
    hits = (results[0][1] * y).sum() / results[0][1].sum()
    assert hits > y.mean(axis=0).max() + 0.2
    if name in ("logistic", "naive_bayes", "pipeline"):
        for proba, _ in results[1:]:
            np.testing.assert_allclose(proba, results[0][0], atol=1e-3)


def test_n_jobs_does_not_change_the_result(small):
    X, y = small
    # Threads start faster than processes.
    with parallel_config(backend="threading"):
        one, two = (
            MultiClassReduction(GaussianNB(), size_model="expected", n_jobs=n).fit(X, y)
            for n in (1, 2)
        )
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_text_and_data_frames():
    texts = ["red apple", "green apple", "red car", "green car"] * 5
    y = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0]] * 5)
    model = MultiClassReduction(
        make_pipeline(CountVectorizer(), LogisticRegression(C=100)),
        size_model="joint",
        decision="f1",
    ).fit(texts, y)
    np.testing.assert_array_equal(model.predict(texts), y)
    with sklearn.config_context(working_memory=1e-3):
        np.testing.assert_array_equal(model.predict(texts), y)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.eye(4)[np.arange(20) % 4], columns=list("abcd"))
    model = MultiClassReduction(LogisticRegression()).fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.predict(frame).shape == y.shape
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("dcba")])


def test_grid_search_over_reduction_and_size_model(small):
    X, y = small
    search = GridSearchCV(
        make_pipeline(MaxAbsScaler(), MultiClassReduction(LogisticRegression())),
        {
            "multiclassreduction__reduction": SAMPLED,
            "multiclassreduction__size_model": [None, "expected", "joint"],
        },
        scoring="f1_samples",
        cv=2,
        error_score="raise",
    )
    search.fit(sp.csr_array(X), sp.csr_array(y))
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.predict(sp.csr_array(X)).shape == y.shape


def test_cross_val_predict_with_two_labels(small):
    X, y = small
    model = MultiClassReduction(GaussianNB(), size_model="expected")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        proba = cross_val_predict(model, X, y[:, :2], method="predict_proba", cv=3)
    assert proba.shape == (len(X), 2)


def test_inside_thresholded_multi_label(small):
    threshold = pytest.importorskip("skmultireduce.threshold")
    X, y = small
    for size_model in (None, "expected", "joint"):
        model = threshold.ThresholdedMultiLabel(
            MultiClassReduction(LogisticRegression(), size_model=size_model), cv=3
        ).fit(X, y)
        assert model.predict(X).shape == y.shape
        assert 0 < model.best_score_ <= 1


def test_pickle(small):
    X, y = small
    model = MultiClassReduction(GaussianNB(), size_model="joint", random_state=0).fit(X, y)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X)
    )


def test_html_names_the_estimator():
    assert "GaussianNB" in MultiClassReduction(GaussianNB())._repr_html_()


# Metadata -----------------------------------------------------------------------------


def test_metadata_needs_routing():
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        MultiClassReduction(GaussianNB()).fit(X4, Y4, metadata=1)


def test_metadata_is_repeated_with_the_rows():
    class Consumer(Recorder):
        def fit(self, X, y, sample_weight=None, metadata=None):
            self.metadata = metadata
            return super().fit(X, y, sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        model = MultiClassReduction(Consumer().set_fit_request(metadata=True))
        model.fit(X4, Y4, metadata=np.array([10, 20, 30, 40]))
        assert model.estimator_.metadata.tolist() == [10, 20, 20, 30, 30, 40, 40, 40]


def test_weights_reach_the_end_of_a_pipeline_with_and_without_routing(small):
    X, y = small
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(X))
    pipeline = make_pipeline(MaxAbsScaler(), LogisticRegression())
    without = MultiClassReduction(pipeline).fit(X, y, sample_weight=weight)
    unweighted = MultiClassReduction(pipeline).fit(X, y)
    assert np.abs(without.predict_proba(X) - unweighted.predict_proba(X)).max() > 1e-3
    with sklearn.config_context(enable_metadata_routing=True):
        routed = MultiClassReduction(pipeline).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(routed.predict_proba(X), without.predict_proba(X), atol=1e-8)


def test_sample_weight_is_routed_through_a_search(small):
    X, y = small
    weight = np.where(y[:, 0] == 1, 10.0, 0.1)
    grid = {"size_model": ["expected"]}
    with sklearn.config_context(enable_metadata_routing=True):
        base = LogisticRegression().set_fit_request(sample_weight=True)
        model = MultiClassReduction(base).set_fit_request(sample_weight=True)
        scorer = make_scorer(f1_score, average="samples")
        scorer.set_score_request(sample_weight=False)
        search = GridSearchCV(model, grid, cv=2, scoring=scorer)
        search.fit(X, y, sample_weight=weight)
    plain = MultiClassReduction(LogisticRegression(), size_model="expected")
    plain.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        search.best_estimator_.predict_proba(X), plain.predict_proba(X), atol=1e-9
    )


# Edges --------------------------------------------------------------------------------


def test_one_dimensional_y_is_ordinary_classification(small):
    X, y = small
    labels = np.array(list("abcd"))[y.argmax(axis=1)]
    base = LogisticRegression(max_iter=500)
    plain = clone(base).fit(X, labels)
    for kwargs in (
        {},
        {"reduction": "pick_one"},
        {"reduction": "select_min"},
        {"size_model": "expected"},
        {"size_model": "joint", "decision": "f1"},
        {"size_model": "expected", "decision": "f1"},
    ):
        model = MultiClassReduction(base, **kwargs).fit(X, labels)
        np.testing.assert_array_equal(model.classes_, plain.classes_)
        np.testing.assert_array_equal(model.predict(X), plain.predict(X))
        np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-9)
    model = MultiClassReduction(base).fit(X, labels)
    np.testing.assert_allclose(model.decision_function(X), plain.decision_function(X))


def test_labels_without_rows_keep_their_column(small):
    X, y = small
    y = np.insert(y, [0, 2], 0, axis=1)
    absent = ~y.any(axis=0)
    for kwargs in (
        {},
        {"size_model": "expected", "decision": "f1"},
        {"size_model": "joint", "decision": "f1"},
    ):
        model = MultiClassReduction(LogisticRegression(), **kwargs).fit(X, y)
        proba = model.predict_proba(X)
        assert proba.shape == y.shape
        assert np.all((proba[:, absent] > 0) & (proba[:, absent] < 1e-9))
        assert not model.predict(X)[:, absent].any()
    scores = MultiClassReduction(LogisticRegression()).fit(X, y).decision_function(X)
    assert scores.shape == y.shape
    assert np.all(scores[:, absent] < scores[:, ~absent].min(axis=1, keepdims=True))


@pytest.mark.parametrize("kwargs", [{}, {"size_model": "expected"}, {"size_model": "joint"}])
def test_one_label_in_training(kwargs):
    y = np.array([[0, 1, 0]] * 4)
    model = MultiClassReduction(LogisticRegression(), **kwargs).fit(X4, y)
    assert isinstance(model.estimator_, DummyClassifier)
    np.testing.assert_allclose(model.predict_proba(X4), y, atol=1e-9)
    np.testing.assert_array_equal(model.predict(X4), y)


def test_two_classes_have_a_decision_function_by_label():
    y = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]])
    for base in (LogisticRegression(), RidgeClassifier()):
        model = MultiClassReduction(base).fit(X4, y)
        scores = model.decision_function(X4)
        assert scores.shape == (4, 3)
        np.testing.assert_array_equal(scores.argmax(axis=1), [0, 0, 2, 2])
        np.testing.assert_array_equal(model.predict(X4), y)
    assert not hasattr(MultiClassReduction(RidgeClassifier()), "predict_proba")
    assert not hasattr(MultiClassReduction(DecisionTreeClassifier()), "decision_function")
    sized = MultiClassReduction(LogisticRegression(), size_model="joint")
    assert not hasattr(sized, "decision_function")


def test_decision_function_of_pairs_of_classes_is_refused(small):
    X, y = small
    model = MultiClassReduction(SVC(decision_function_shape="ovo")).fit(X, y)
    with pytest.raises(ValueError, match="set its decision_function_shape to 'ovr'"):
        model.decision_function(X)


def test_blocks_do_not_change_the_result(small):
    X, y = small
    model = MultiClassReduction(GaussianNB(), size_model="joint", decision="f1").fit(X, y)
    whole = [model.predict(X), model.predict_proba(X), model.predict_size_proba(X)]
    with sklearn.config_context(working_memory=2e-3):
        blocks = [model.predict(X), model.predict_proba(X), model.predict_size_proba(X)]
    for a, b in zip(whole, blocks, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_more_than_127_labels_in_int8():
    rng = np.random.default_rng(0)
    y = np.zeros((400, 200), dtype=np.int8)
    y[np.arange(400), np.arange(400) % 200] = 1
    y[np.arange(400), rng.integers(200, size=400)] = 1
    X = (np.arange(400) % 200)[:, None].astype(float)
    model = tree(size_model="joint", decision="f1").fit(X, sp.csr_array(y))
    predicted = model.predict(X).toarray()
    assert predicted.dtype == np.int8
    assert np.all(predicted[np.arange(400), np.arange(400) % 200] == 1)


def test_sizes_are_merged_with_their_mean():
    y = np.zeros((6, 8), dtype=int)
    for row, size in enumerate([1, 1, 2, 3, 5, 7]):
        y[row, :size] = 1
    X = np.arange(6.0)[:, None]
    model = tree(size_model="joint", max_size=3).fit(X, y)
    assert model.sizes_.tolist() == [1, 2, 5]
    model = tree(size_model="joint", max_size=None).fit(X, y)
    assert model.sizes_.tolist() == [1, 2, 3, 4, 5, 6, 7]
    model = tree(size_model="expected", max_size=1).fit(X, y)
    np.testing.assert_allclose(model.sizes_, y.sum() / 6)
    # Sum of the merged marginals over rows is that of the labels, statement 6.8.
    turned = np.vstack([np.roll(y, shift, axis=1) for shift in range(8)])
    model = tree(size_model="joint", max_size=3).fit(np.zeros((48, 1)), turned)
    np.testing.assert_allclose(model.predict_proba(X).sum(), y.sum())


def test_auto_merges_within_its_tolerance():
    rng = np.random.default_rng(0)
    sizes = np.minimum(rng.geometric(0.35, size=3000), 30)
    y = (np.arange(30) < sizes[:, None]).astype(int)
    model = tree(size_model="expected").fit(np.zeros((3000, 1)), y)
    cap = len(model.sizes_)
    assert 2 < cap < sizes.max()
    tail = sizes[sizes >= cap]
    assert np.abs(tail - tail.mean()).sum() <= 0.02 * sizes.sum()
    wider = sizes[sizes >= cap - 1]
    assert np.abs(wider - wider.mean()).sum() > 0.02 * sizes.sum()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), reduction=st.sampled_from(SAMPLED), empty=st.booleans())
def test_joint_probabilities_cohere(seed, reduction, empty):
    rng = np.random.default_rng(seed)
    y = (rng.random((30, 4)) < 0.5).astype(int)
    y[0] = 1
    if not empty:
        y[~y.any(axis=1), 0] = 1
    model = MultiClassReduction(
        GaussianNB(),
        reduction=reduction,
        size_model="joint",
        unlabeled="none" if empty else "drop",
        max_size=None,
        random_state=0,
    ).fit(rng.normal(size=(30, 2)), y)
    X = rng.normal(size=(20, 2)) * 3
    delta, size_proba = model.predict_label_size_proba(X), model.predict_size_proba(X)
    np.testing.assert_allclose(size_proba.sum(axis=1), 1)
    assert np.all(delta >= 0)
    # Statement 6.2.
    assert np.all(delta <= size_proba[:, None, :] + 1e-12)
    assert np.all(delta.sum(axis=1) <= size_proba * model.sizes_ + 1e-9)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"reduction": "one_vs_rest"}, "sklearn.multiclass.OneVsRestClassifier"),
        ({"reduction": "one_vs_rest_normalized"}, "sklearn.multiclass.OneVsRestClassifier"),
        ({"reduction": "none"}, "'reduction' parameter"),
        ({"decision": "f1"}, "set size_model='joint'"),
        (
            {"decision": "f1", "size_model": "expected", "size_estimator": Ridge()},
            "needs a size_estimator with predict_proba",
        ),
        ({"size_model": "joint", "reduction": "ignore"}, "set reduction to one of"),
        ({"size_estimator": Ridge()}, "size_estimator is only used with"),
        ({"beta": 0}, "'beta' parameter"),
        ({"max_size": 0}, "'max_size' parameter"),
        ({"estimator": LinearRegression()}, "estimator must be a classifier"),
        (
            {"estimator": RidgeClassifier(), "size_model": "joint"},
            "needs an estimator with predict_proba",
        ),
    ],
    ids=str,
)
def test_combinations_that_cannot_work_say_so(kwargs, message):
    kwargs = {"estimator": GaussianNB(), **kwargs}
    with pytest.raises(ValueError, match=message):
        MultiClassReduction(**kwargs).fit(X4, Y4)


def test_no_label_at_all():
    warned = pytest.warns(UserWarning, match="4 of 4 rows")
    with warned, pytest.raises(ValueError, match="No row of y has a label"):
        MultiClassReduction(GaussianNB()).fit(X4, np.zeros((4, 3)))


def test_methods_say_what_they_need():
    model = MultiClassReduction(GaussianNB())
    for name in ("predict_size_proba", "predict_label_size_proba"):
        with pytest.raises(AttributeError, match=name):
            getattr(model, name)
    regressor = MultiClassReduction(
        GaussianNB(), size_model="expected", size_estimator=LinearRegression()
    )
    assert not hasattr(regressor, "predict_size_proba")


# Real data ----------------------------------------------------------------------------


@pytest.mark.skipif(not (DATA / "bibtex.Xtr.npz").exists(), reason="data set is not here")
def test_marginals_raise_jaccard_on_real_data():
    Xtr, Ytr, Xte, Yte = (
        sp.load_npz(DATA / f"bibtex.{part}.npz") for part in ("Xtr", "Ytr", "Xte", "Yte")
    )
    tfidf = TfidfTransformer(sublinear_tf=True).fit(Xtr)
    Xtr, Xte, Yte = tfidf.transform(Xtr), tfidf.transform(Xte), Yte.toarray()

    def best_jaccard(scores):
        order = np.argsort(-scores, axis=None, kind="stable")
        hits = np.cumsum(Yte.ravel()[order], dtype=np.int64)
        return np.max(hits / (np.arange(1, len(hits) + 1) + hits[-1] - hits))

    # Fast; with logistic regression (C=10) the step is .313 to .327.
    base = MultinomialNB(alpha=0.1)
    plain = MultiClassReduction(base).fit(Xtr, Ytr).predict_proba(Xte)
    sized = MultiClassReduction(base, size_model="expected").fit(Xtr, Ytr).predict_proba(Xte)
    assert best_jaccard(sized) > best_jaccard(plain) + 0.01


def test_decision_matches_the_joint_probabilities(small):
    X, y = small
    model = MultiClassReduction(GaussianNB(), size_model="joint", decision="f1", beta=2)
    model.fit(X, y)
    delta = model.predict_label_size_proba(X)
    indptr, indices, _ = f_optimal_sets(delta, model.sizes_, beta=2)
    expected = np.zeros_like(y)
    expected[np.repeat(np.arange(len(X)), np.diff(indptr)), indices] = 1
    np.testing.assert_array_equal(model.predict(X), expected)
