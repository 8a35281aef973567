"""The diagnosis: its numbers, and that its bounds hold for trained models."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.diagnosis import Diagnosis, _from_sigma, _Spread, diagnose
from skmultireduce.reduction import MultiClassReduction

NAMES = {"recall_at_k", "precision_at_k", "jaccard_micro", "f1_samples"}


def test_numbers_by_hand():
    # Sizes 1, 2, 3, 0.
    y = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    y[2, 0] = 1
    found = diagnose(None, None, y)
    assert (found.n_rows, found.n_labels, found.n_unlabeled) == (4, 4, 1)
    assert found.mean_size == 1.5
    assert found.sd_size == pytest.approx(np.std([1, 2, 3, 0]))
    assert found.relative_sd_size == pytest.approx(np.std([1, 2, 3, 0]) / 1.5)
    # Any c from 1 to 2 is a median of all rows; deviations 0, 1, 2, 1 over four rows.
    assert found.relative_deviation == pytest.approx(1 / 1.5)
    assert found.jaccard_regret_bound == 1
    # Median 2 of the rows with labels; deviations 1, 0, 1 over four rows.
    assert found.precision_regret_bound == pytest.approx(0.5)
    np.testing.assert_allclose(
        found.harmonic_mean_sizes, [3 / (1 + 1 / 2 + 1 / 3), 2 / (1 / 2 + 1 / 3), 3, np.nan]
    )
    assert found.harmonic_ratio == pytest.approx(3 / (3 / (1 + 1 / 2 + 1 / 3)))
    assert found.jaccard is None
    assert found.jaccard_ratio_bound is None
    assert set(found.recommendations) == NAMES | {"unlabeled"}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), rate=st.floats(0.05, 0.95))
def test_relations_between_the_numbers(seed, rate):
    rng = np.random.default_rng(seed)
    y = (rng.random((20, 5)) < rate).astype(int)
    y[0, 0] = 1
    dense, sparse = diagnose(None, None, y), diagnose(None, None, sp.csr_array(y))
    assert str(dense) == str(sparse)
    # The first inequality of 4.6d.
    assert dense.relative_deviation <= dense.relative_sd_size + 1e-12
    sizes = y.sum(axis=1)
    filled = sizes[sizes > 0]
    best = min(np.abs(sizes - c).sum() for c in np.linspace(0, 5, 51)) / sizes.sum()
    assert dense.relative_deviation == pytest.approx(best)
    # 1.5: picks of all labels are the rows with labels.
    harmonic, counts = dense.harmonic_mean_sizes, y.sum(axis=0)
    assert np.nansum(counts / harmonic) == pytest.approx(len(filled))


def test_constant_size_is_safe():
    found = diagnose(None, None, np.array([[1, 1, 0], [0, 1, 1]] * 3))
    assert found.jaccard_regret_bound == found.precision_regret_bound == 0
    assert "safe" in found.recommendations["jaccard_micro"]
    assert set(found.recommendations) == NAMES


def data_of_statement_4_5(n=2000, seed=0):
    """One label at a, all five at b, odds 6 : 4; E[S] = 2.6."""
    rng = np.random.default_rng(seed)
    x = (rng.random(n) < 0.4).astype(int)
    y = np.zeros((n, 5), dtype=int)
    y[np.arange(n), rng.integers(4, size=n)] = 1
    y[x == 1] = 1
    return x[:, None].astype(float), y


def test_unsafe_data_get_another_recommendation():
    X, y = data_of_statement_4_5()
    found = diagnose(None, None, y)
    assert found.jaccard_regret_bound > 0.5
    assert "size_model" in found.recommendations["jaccard_micro"]
    assert "pick_all" in found.recommendations["precision_at_k"]
    assert "decision='f1'" in found.recommendations["f1_samples"]
    # The measured loss of the counterexample is within the bound.
    plain = diagnose(MultiClassReduction(DecisionTreeClassifier()), X, y)
    sized = diagnose(
        MultiClassReduction(DecisionTreeClassifier(), size_model="joint", max_size=None), X, y
    )
    assert plain.jaccard == pytest.approx(13 / 22, abs=0.02)
    assert sized.jaccard == pytest.approx(10 / 13, abs=0.02)
    # sigma is 1 at a and 5 at b.
    np.testing.assert_allclose(sized.sigma_quantiles[[0, 2]], [1, 5])
    assert plain.sigma_quantiles is None
    # sigma varies here by all that S varies.
    assert sized.sigma_regret_bound == pytest.approx(found.jaccard_regret_bound, abs=0.02)
    assert sized.sigma_ratio_bound == pytest.approx(sized.jaccard_ratio_bound, abs=0.02)
    assert sized.sigma_ratio_bound <= sized.pick_jaccard / sized.jaccard
    assert sized.pick_jaccard == pytest.approx(plain.jaccard, abs=0.01)
    assert plain.pick_jaccard is plain.sigma_ratio_bound is None


def data_without_labels(n=8000, seed=0, empty=0.98, often=0.95):
    """At a (often) rarely a label and then one; at b two of six. Dropping hides a's emptiness."""
    rng = np.random.default_rng(seed)
    at_b = rng.random(n) > often
    y = np.zeros((n, 8), dtype=int)
    picked = ~at_b & (rng.random(n) > empty)
    y[np.flatnonzero(picked), rng.integers(2, size=picked.sum())] = 1
    rows = np.flatnonzero(at_b)
    first = np.argsort(rng.random((len(rows), 6)), axis=1)[:, :2]
    y[rows[:, None], 2 + first] = 1
    return at_b[:, None].astype(float), y


REDUCTIONS_OF_TREES = {
    "pick_one": MultiClassReduction(
        DecisionTreeClassifier(), reduction="pick_one", random_state=0
    ),
    "pick_all_normalized": MultiClassReduction(DecisionTreeClassifier()),
    "joint": MultiClassReduction(DecisionTreeClassifier(), size_model="joint"),
    "joint, none": MultiClassReduction(
        DecisionTreeClassifier(), size_model="joint", unlabeled="none"
    ),
    "one_vs_rest": OneVsRestClassifier(DecisionTreeClassifier()),
}


@pytest.mark.filterwarnings("ignore:.*have no label")
def test_rows_without_labels_void_the_guarantee():
    """They are left out by a softmax, so sizes of the other rows do not tell what it loses.

    For any share of rows without labels, at some points of x more often than at others:
    what is measured of each reduction stays within the bounds.
    """
    X, y = data_without_labels()
    found = diagnose(None, None, y)
    assert found.jaccard_regret_bound == 1
    advice = found.recommendations["jaccard_micro"]
    assert "no guarantee" in advice
    assert "one-vs-rest" in advice
    assert "unlabeled='none'" in advice
    assert "of the rows have no label" in found.recommendations["unlabeled"]
    assert "no guarantee" in str(found)
    measured = {name: diagnose(model, X, y) for name, model in REDUCTIONS_OF_TREES.items()}
    jaccard = {name: result.jaccard for name, result in measured.items()}
    best = max(jaccard.values())
    for name in ("pick_one", "pick_all_normalized", "joint"):
        assert jaccard[name] < best / 3
        assert jaccard[name] >= best * measured["one_vs_rest"].jaccard_ratio_bound
    # Both remedies of the sentence.
    assert jaccard["one_vs_rest"] == pytest.approx(best, abs=0.01)
    assert jaccard["joint, none"] == pytest.approx(best, abs=0.01)
    # The spread of sigma knows of the rows that were left out, or need not.
    assert measured["joint"].sigma_regret_bound == 1
    assert measured["joint, none"].sigma_regret_bound < 0.4
    assert "safe" not in measured["joint"].recommendations["jaccard_micro"]
    # The model that leaves them out has no marginals to measure a loss against.
    assert measured["joint"].pick_jaccard is None
    of_class = measured["joint, none"].recommendations["jaccard_micro"]
    assert "the plain softmax with unlabeled='none' reaches 0.3" in of_class


@pytest.mark.filterwarnings("ignore:.*have no label")
@pytest.mark.parametrize("empty", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("often", [0.3, 0.8])
def test_bounds_hold_with_rows_without_labels(empty, often):
    X, y = data_without_labels(empty=empty, often=often)
    plain = diagnose(REDUCTIONS_OF_TREES["pick_all_normalized"], X, y).jaccard
    best = diagnose(REDUCTIONS_OF_TREES["one_vs_rest"], X, y)
    sized = diagnose(REDUCTIONS_OF_TREES["joint"], X, y)
    noise = 0.01
    assert best.jaccard - plain <= (1 + best.jaccard) * best.relative_deviation + noise
    assert plain / best.jaccard >= best.jaccard_ratio_bound - noise
    assert plain / best.jaccard >= sized.sigma_ratio_bound - noise


def test_sizes_that_are_equal_do_not_fix_the_best_set_of_a_row():
    # One of three labels, equally likely: all three have the row-wise F1 1/2, one has 1/3.
    rng = np.random.default_rng(0)
    y = np.eye(3, dtype=int)[rng.integers(3, size=3000)]
    X = np.zeros((3000, 1))
    advice = diagnose(None, None, y).recommendations["f1_samples"]
    assert "decision='f1'" in advice
    model = MultiClassReduction(
        DecisionTreeClassifier(), size_model="joint", decision="f1", max_size=None
    ).fit(X, y)
    assert f1_score(y, model.predict(X), average="samples") == pytest.approx(0.5)
    ranked_first = np.eye(3, dtype=int)[model.predict_proba(X).argmax(axis=1)]
    assert f1_score(y, ranked_first, average="samples") == pytest.approx(1 / 3, abs=0.03)


def test_a_constant_sigma_is_safe_unless_rows_without_labels_are_left_out():
    sigma, sizes = np.full((4, 3), 0.5), np.array([0.0, 1, 2, 1])
    picks = np.random.default_rng(0).random((4, 3))
    for drops in (False, True):
        found = _from_sigma(sigma, picks, sizes, drops, 0.5)
        assert (found["sigma_regret_bound"] > 0) == drops


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    jaccard=st.floats(0.05, 1),
    rate=st.floats(0.05, 0.95),
)
def test_spread_is_the_best_of_all_c(seed, jaccard, rate):
    rng = np.random.default_rng(seed)
    sizes = rng.binomial(6, rate, size=30).astype(float)
    sizes[0] = 1
    weights = rng.random(30)
    scale = weights @ sizes
    spread = _Spread(sizes, weights, scale)
    c = np.linspace(0, 6, 601)[:, None]
    under, over = (weights * np.clip(d, 0, None) for d in (sizes - c, c - sizes))
    under, over = under.sum(axis=1) / scale, over.sum(axis=1) / scale
    assert spread.deviation() == pytest.approx(np.min(under + over))
    theta = jaccard / (1 + jaccard)
    ratio = spread.ratio(jaccard)
    assert ratio == pytest.approx(max(0, np.max((theta - under) / (theta + over))))
    # 4.12 promises never less than 4.6d, and something however large the spread is.
    assert ratio >= 1 - (1 + jaccard) / jaccard * spread.deviation() - 1e-12
    assert ratio >= theta / (theta + sizes.max() * weights.sum() / scale - 1) - 1e-12 > 0


def test_precision_bound_is_not_capped_before_it_is_divided_by_k():
    # Two single labels against all of 40 others: precision@2 of q is far below half.
    y = np.zeros((1000, 42), dtype=int)
    y[:30, 0] = y[30:60, 1] = 1
    y[60:, 2:] = 1
    found = diagnose(None, None, y)
    m = y.mean(axis=0)
    q = (y / y.sum(axis=1, keepdims=True)).mean(axis=0)
    assert set(np.argsort(-q)[:2]) == {0, 1}
    loss = (np.sort(m)[-2:].sum() - m[:2].sum()) / 2
    assert 0.5 < loss <= found.precision_regret_bound / 2
    assert "none for k up to" in found.recommendations["precision_at_k"]


def test_labels_without_rows_have_no_sigma():
    X, y = data_of_statement_4_5(300)
    y = np.column_stack([np.zeros(300, dtype=int), y])
    model = MultiClassReduction(DecisionTreeClassifier(), size_model="joint")
    found = diagnose(model, X, y)
    assert found.sigma_quantiles.max() <= 5
    assert found.pick_jaccard <= found.jaccard + 1e-12


def test_sigma_tells_harmless_spread_from_harmful():
    # S varies much, but not with the label or x: every label has the same mean size.
    rng = np.random.default_rng(0)
    sizes = rng.choice([1, 3], size=4000)
    y = np.zeros((4000, 6), dtype=int)
    order = np.argsort(rng.random((4000, 6)), axis=1)
    for size in (1, 3):
        rows = np.flatnonzero(sizes == size)
        y[rows[:, None], order[rows, :size]] = 1
    X = np.zeros((4000, 1))
    model = MultiClassReduction(DecisionTreeClassifier(), size_model="joint")
    found = diagnose(model, X, y)
    assert found.jaccard_regret_bound > 0.4
    assert found.sigma_regret_bound < 0.05
    assert found.sigma_ratio_bound > 0.9 > found.jaccard_ratio_bound
    assert found.pick_jaccard == pytest.approx(found.jaccard, abs=0.01)
    assert "safe if the model of sizes is right" in found.recommendations["jaccard_micro"]


def test_fitted_models_are_judged_as_they_are():
    X, y = data_of_statement_4_5()
    model = MultiClassReduction(DecisionTreeClassifier(), reduction="pick_one").fit(X, y)
    found = diagnose(model, X, y)
    # By brute force over all cutoffs.
    proba = model.predict_proba(X)

    def jaccard(cut):
        return ((proba > cut) & (y == 1)).sum() / ((proba > cut) | (y == 1)).sum()

    assert found.jaccard == pytest.approx(max(jaccard(c) for c in np.unique(proba) - 1e-9))
    assert jaccard(found.threshold) == pytest.approx(found.jaccard)
    # 4.10, for the rows with five labels.
    assert found.max_kept == min(np.ceil(1 / found.threshold) - 1, 5)
    assert found.share_beyond_cutoff == pytest.approx(np.mean(y.sum(axis=1) > found.max_kept))
    # Marginals have no such cap.
    ovr = diagnose(OneVsRestClassifier(GaussianNB()), X + y[:, :1], y)
    assert ovr.max_kept is None


def test_cap_counts_rows_that_cannot_be_recovered():
    # A constant softmax over two labels (.7, .3) and one row with three labels.
    y = np.array([[1, 0, 0]] * 8 + [[1, 1, 1]])

    class Constant(DummyClassifier):
        def predict_proba(self, X):
            return np.tile([0.8, 0.1, 0.1], (len(X), 1))

    X = np.zeros((9, 1))
    found = diagnose(Constant().fit(X, y), X, y)
    assert found.threshold == pytest.approx(0.45)
    assert found.max_kept == 2
    assert found.share_beyond_cutoff == pytest.approx(1 / 9)


def test_regret_of_one_cutoff_stays_below_the_bound():
    """Statement 4.6d, from sd(S) = 0 upward, with trained models."""
    n_labels, n_x = 8, 4
    regrets, bounds = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        popularity = rng.dirichlet(np.ones(n_labels), size=n_x)
        for spread in np.linspace(0, 1, 6):
            # Sizes 3 at all x, pulled apart to 1, 2, 4 and 6.
            size_at = np.array([1, 2, 4, 6])
            x = rng.integers(n_x, size=4000)
            moved = rng.random(4000) < spread
            sizes = np.where(moved, size_at[x], 3)
            # The largest of log(popularity) + Gumbel noise: a Plackett-Luce draw.
            keys = np.log(popularity[x]) + rng.gumbel(size=(4000, n_labels))
            rank = np.argsort(np.argsort(-keys, axis=1), axis=1)
            y = (rank < sizes[:, None]).astype(int)
            X = x[:, None].astype(float)
            train, test = np.arange(4000) < 2000, np.arange(4000) >= 2000
            tree = DecisionTreeClassifier(random_state=0)
            plain = MultiClassReduction(tree).fit(X[train], y[train])
            sized = MultiClassReduction(tree, size_model="joint", max_size=None)
            one_cutoff = diagnose(plain, X[test], y[test])
            best = diagnose(sized.fit(X[train], y[train]), X[test], y[test])
            # Cutoff on marginals is the best rule (4.2), up to the error of the estimates.
            regrets.append(best.jaccard - one_cutoff.jaccard)
            jaccard = max(best.jaccard, one_cutoff.jaccard)
            bounds.append((1 + jaccard) * one_cutoff.relative_deviation)
            assert bounds[-1] <= one_cutoff.jaccard_regret_bound
    regrets, bounds = np.reshape(regrets, (3, 6)), np.reshape(bounds, (3, 6))
    # Nothing is lost without spread, much with it, and never more than the bound.
    assert np.all(bounds[:, 0] == 0)
    assert np.all(regrets <= bounds + 0.01)
    assert np.all(np.abs(regrets[:, 0]) < 0.01)
    assert regrets[:, -1].mean() > 0.03


def test_representations():
    X, y = data_of_statement_4_5(300)
    model = MultiClassReduction(DecisionTreeClassifier(), size_model="joint", max_size=None)
    found = diagnose(model, X, y)
    assert isinstance(found, Diagnosis)
    text, html = str(found), found._repr_html_()
    assert repr(found) == text
    for part in ("sigma", "micro Jaccard at the best cutoff", *NAMES):
        assert part in text
        assert part in html
    assert html.count("<tr>") == html.count("</tr>") == len(found._lines())
    assert "&#x27;" in html or "'" not in html.split("<ul>")[1]


@pytest.mark.parametrize(
    ("estimator", "y", "message"),
    [
        (None, [0, 1, 1], "1-D"),
        (None, np.zeros((3, 2)), "No row of y has a label"),
        (MultiLabelSGDClassifier().fit(np.eye(2), np.eye(2, dtype=int)), np.eye(2), "2 features"),
    ],
)
def test_errors(estimator, y, message):
    with pytest.raises(ValueError, match=message):
        diagnose(estimator, np.zeros((len(y), 1)), y)


def test_an_estimator_without_scores_is_refused():
    class Silent(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.fitted_ = True
            return self

    with pytest.raises(AttributeError, match="predict_proba, decision_function"):
        diagnose(Silent(), np.zeros((6, 1)), np.eye(6))


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(n_estimators=5, random_state=0),  # a list of arrays
        KNeighborsClassifier(),
        MultiOutputClassifier(LogisticRegression()),
        OneVsRestClassifier(LogisticRegression()),
        OneVsRestClassifier(RidgeClassifier()),  # scores of one kind only
        ClassifierChain(LogisticRegression()),
        MultiLabelSGDClassifier(random_state=0),
        MultiLabelSGDClassifier(reduction="one_vs_rest", loss="squared_hinge", random_state=0),
        make_pipeline(StandardScaler(), MultiLabelSGDClassifier(random_state=0)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize(("sparse", "cv"), [(False, 3), (True, 0.4)])
def test_takes_what_the_threshold_takes(estimator, sparse, cv):
    """The folds and scores are those of ThresholdedMultiLabel, so is the best index."""
    X, y = make_multilabel_classification(
        n_samples=90, n_features=5, n_classes=3, allow_unlabeled=False, random_state=0
    )
    y_given = sp.csr_matrix(y) if sparse else y
    found = diagnose(estimator, X, y_given, cv=cv)
    tuned = ThresholdedMultiLabel(estimator, cv=cv, random_state=0).fit(X, y_given)
    assert found.jaccard == tuned.best_score_
    assert found.threshold == tuned.best_threshold_
    # Fitted, it is judged as it is.
    fitted = diagnose(tuned.estimator_, X, y_given)
    prefit = ThresholdedMultiLabel(tuned.estimator_, cv="prefit").fit(X, y_given)
    assert fitted.jaccard == prefit.best_score_


@pytest.mark.parametrize(
    ("make", "n_features", "expected"),
    [
        (np.asarray, 64, True),
        (lambda X: X.astype(np.float16), 64, True),
        (np.asarray, 63, False),
        (sp.csr_array, 64, False),
    ],
)
def test_dense_rows_get_a_sentence_of_their_own(make, n_features, expected):
    """Embeddings, in any type of floats; neither few features nor sparse ones."""
    X, y = make_multilabel_classification(n_samples=40, n_features=n_features, random_state=0)
    model = MultiLabelSGDClassifier(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = diagnose(model.fit(make(X), y), make(X), y)
    assert ("dense" in found.recommendations) == expected
    assert "dense" not in diagnose(None, None, y).recommendations


def test_numbers_of_folds_of_numpy_are_numbers():
    X, y = make_multilabel_classification(
        n_samples=60, n_classes=3, allow_unlabeled=False, random_state=0
    )
    model = MultiLabelSGDClassifier(max_iter=3, random_state=0)
    expected = diagnose(model, X, y, cv=3).jaccard
    assert diagnose(model, X, y, cv=np.int64(3)).jaccard == expected


def test_labels_without_positives_in_a_fold_are_not_predicted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), rng.integers(0, 2, (60, 3))
    y[:, 0] = 1
    y[:, 2] = 0
    y[0, 2] = 1  # so it is in the held-out rows of one fold alone
    found = diagnose(MultiLabelSGDClassifier(random_state=0), X, y)
    tuned = ThresholdedMultiLabel(MultiLabelSGDClassifier(random_state=0), cv=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some labels have no positives in some folds
        tuned.fit(X, y)
    assert found.jaccard == tuned.best_score_


def test_one_fit_one_warning():
    X, y = data_without_labels(400, empty=0.5)
    with pytest.warns(UserWarning, match="have no label") as seen:
        diagnose(MultiLabelSGDClassifier(max_iter=2, random_state=0), X, y)
    assert len(seen) == 1
