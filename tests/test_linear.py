"""MultiLabelSGDClassifier: answers, parameters, resumption, hostile input."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from joblib import Parallel, delayed, parallel_config
from scipy.special import expit, log_softmax, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from conftest import best_micro_jaccard, random_problem
from skmultireduce import (
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce._models.pruning import _smallest_kept
from skmultireduce._reductions.table import REDUCTIONS
from skmultireduce.inspection import top_features

FORMS = [{"reduction": reduction} for reduction in REDUCTIONS]
FORMS += [
    {"reduction": reduction, "loss": "squared_hinge"}
    for reduction in REDUCTIONS
    if "rest" in reduction
]


@pytest.fixture(scope="module")
def data():
    X, y = make_multilabel_classification(
        n_samples=300, n_features=25, n_classes=6, allow_unlabeled=False, random_state=1
    )
    return sp.csr_matrix(X), y


def same_model(one, other):
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)


# ---------------------------------------------------------------- right answers
def expanded(X, y):
    """Each row once for each of its labels, with weights 1/S."""
    rows, labels = np.nonzero(y)
    return X[rows], labels, 1 / y.sum(axis=1)[rows]


def normalized_objective(coef, intercept, X, y, alpha):
    log_p = log_softmax(X @ coef.T + intercept, axis=1)
    loss = -(y * log_p).sum(axis=1) / y.sum(axis=1)
    return loss.mean() + alpha / 2 * (coef**2).sum()


def test_objective_of_pick_all_normalized_is_the_multinomial_one(yeast):
    X, y, _, _ = yeast
    y = y.toarray()
    keep = y.sum(axis=1) > 0
    X, y, alpha = X[keep], y[keep], 1e-3
    model = MultiLabelSGDClassifier(
        reduction="pick_all_normalized", alpha=alpha, max_iter=200, dtype="float64", random_state=0
    ).fit(X, y)
    rows, labels, weights = expanded(X, y)
    exact = LogisticRegression(C=1 / (alpha * len(X)), max_iter=2000, tol=1e-8)
    exact.fit(rows, labels, sample_weight=weights)
    best = normalized_objective(exact.coef_, exact.intercept_, X, y, alpha)
    ours = normalized_objective(model.coef_, model.intercept_, X, y, alpha)
    assert best <= ours * (1 + 1e-9)
    assert ours <= best * 1.005


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_objective_of_one_vs_rest_is_the_binary_one(yeast, loss):
    X, y, _, _ = yeast
    y, alpha = y.toarray(), 1e-3
    model = MultiLabelSGDClassifier(
        reduction="one_vs_rest", loss=loss, alpha=alpha, max_iter=200, dtype="float64",
        random_state=0,
    ).fit(X, y)  # fmt: skip

    def objective(coef, intercept, k):
        margin = (2 * y[:, k] - 1) * (X @ coef + intercept)
        value = np.logaddexp(0, -margin) if loss == "log_loss" else np.maximum(0, 1 - margin) ** 2
        return value.mean() + alpha / 2 * (coef**2).sum()

    for k in range(y.shape[1]):
        C = 1 / (alpha * len(X))
        if loss == "log_loss":
            exact = LogisticRegression(C=C, max_iter=2000, tol=1e-8)
        else:
            # LinearSVC penalises the intercept unless its feature is large.
            exact = LinearSVC(C=C, tol=1e-5, max_iter=20_000, intercept_scaling=30)
        exact.fit(X, y[:, k])
        best = objective(exact.coef_.ravel(), exact.intercept_, k)
        ours = objective(model.coef_[k], model.intercept_[k], k)
        assert ours <= best * 1.005


def test_pick_one_learns_what_pick_all_normalized_learns(yeast):
    X, y, _, _ = yeast

    def probabilities(**parameters):
        model = MultiLabelSGDClassifier(alpha=1e-3, max_iter=300, **parameters)
        return model.fit(X, y).predict_proba(X)

    def distance(p, q):
        return np.abs(p - q).sum(axis=1).mean()

    exact = probabilities(reduction="pick_all_normalized", random_state=0)
    drawn = [probabilities(random_state=seed) for seed in range(8)]
    cycled = [probabilities(random_state=s, label_sampling="cycle") for s in range(2)]
    assert distance(drawn[0], exact) < 0.10
    assert distance(np.mean(drawn, axis=0), exact) < 0.04
    assert max(distance(p, exact) for p in cycled) < min(distance(p, exact) for p in drawn)


@pytest.mark.parametrize("form", FORMS)
def test_probabilities_and_predictions_follow_from_coefficients(data, form):
    X, y = data
    model = MultiLabelSGDClassifier(**form, random_state=0, dtype="float64").fit(X, y)
    scores = X @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-9, atol=1e-12)
    softmax_form = "pick" in form["reduction"]
    if "loss" not in form:
        expected = softmax(scores, axis=1) if softmax_form else expit(scores)
        np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)
        np.testing.assert_allclose(model.predict_log_proba(X), np.log(expected), atol=1e-12)
    else:
        expected = np.clip((1 + scores) / 2, 0, 1)
        np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-12)
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    if softmax_form:
        np.testing.assert_array_equal(predicted.sum(axis=1), 1)
        np.testing.assert_array_equal(predicted.argmax(axis=1), scores.argmax(axis=1))
    else:
        np.testing.assert_array_equal(predicted, scores >= 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_scale_of_x_does_not_matter(data, form, scale):
    X, y = data
    model = MultiLabelSGDClassifier(**form, random_state=0, dtype="float64")
    one = clone(model).fit(X, y).decision_function(X)
    other = clone(model).fit(X * scale, y).decision_function(X * scale)
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-8)


def test_one_vs_rest_agrees_with_scikit_learn(data):
    X, y = data
    ours = MultiLabelSGDClassifier(
        reduction="one_vs_rest", alpha=1e-2, max_iter=300, dtype="float64", random_state=0
    ).fit(X, y)
    theirs = OneVsRestClassifier(LogisticRegression(C=1 / (1e-2 * X.shape[0]), tol=1e-8)).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=0.02)


def test_one_dimensional_y_is_a_softmax_classifier():
    X, y = make_classification(300, n_classes=3, n_informative=5, random_state=0)
    names = np.array(["b", "a", "c"])[y]
    model = MultiLabelSGDClassifier(alpha=1e-2, max_iter=200, random_state=0).fit(X, names)
    exact = LogisticRegression(C=1 / (1e-2 * 300), tol=1e-8).fit(X, names)
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=0.03)
    assert np.mean(model.predict(X) == exact.predict(X)) > 0.98


# ------------------------------------------------------------------ parameters
@pytest.mark.filterwarnings("ignore:.*no label")
@pytest.mark.parametrize("form", FORMS)
def test_same_bits_for_any_number_of_threads(form):
    X, y = random_problem(3, n_rows=200, n_features=80, n_labels=150)
    models = [
        MultiLabelSGDClassifier(**form, n_jobs=n_jobs, max_iter=5, random_state=0).fit(X, y + 0)
        for n_jobs in (1, 2, 3)
    ]
    for model in models[1:]:
        same_model(model, models[0])
        assert model.loss_curve_ == models[0].loss_curve_
        np.testing.assert_array_equal(model.decision_function(X), models[0].decision_function(X))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_no_threads_within_threads(backend):
    model = MultiLabelSGDClassifier(n_jobs=2)
    with parallel_config(backend=backend):
        found = Parallel(n_jobs=2)(delayed(model._n_threads)() for _ in range(2))
    assert found == [1, 1]
    assert model._n_threads() == 2


@pytest.mark.parametrize(
    "container",
    [
        sp.csr_array,
        sp.csc_matrix,
        sp.coo_array,
        lambda X: X.toarray(),
        lambda X: pd.DataFrame(X.toarray()),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_same_bits_for_any_container(data, form, container):
    X, y = data
    one = MultiLabelSGDClassifier(**form, random_state=0, max_iter=3).fit(X, y)
    other = MultiLabelSGDClassifier(**form, random_state=0, max_iter=3).fit(
        container(X), sp.csr_array(y)
    )
    same_model(one, other)


@pytest.mark.parametrize("form", FORMS)
def test_losses_of_blocks_of_dense_rows_are_those_of_single_ones(form):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 70)), (rng.random((80, 5)) < 0.5).astype(int)
    y[:, 0] |= y.sum(axis=1) == 0
    curves = [
        MultiLabelSGDClassifier(**form, random_state=0, max_iter=3).fit(Z, y).loss_curve_
        for Z in (X, sp.csr_array(X))
    ]
    np.testing.assert_allclose(*curves, rtol=1e-4)


def test_same_bits_for_any_index_type(data):
    X, y = data
    wide = sp.csr_matrix(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    same_model(*(MultiLabelSGDClassifier(random_state=0).fit(Z, y) for Z in (X, wide)))


def test_seed(data):
    X, y = data
    one, again, other = (
        MultiLabelSGDClassifier(random_state=s).fit(X, y).coef_ for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_rows_without_labels(data):
    X, y = data
    y = y.copy()
    y[:7] = 0
    with pytest.warns(UserWarning, match="7 of 300 rows have no label") as caught:
        model = MultiLabelSGDClassifier(random_state=0, shuffle=False).fit(X, y)
    assert len(caught) == 1
    assert model.n_unlabeled_ == 7
    assert model.t_ == 20 * 293
    binary = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    assert binary.fit(X, y).n_unlabeled_ == 0
    without = clone(binary).fit(X[7:], y[7:])
    assert binary.predict_proba(X[:7]).sum() < without.predict_proba(X[:7]).sum()


def test_class_weight(data):
    X, y = data
    counts = y.sum(axis=0)
    label = int(np.argsort(counts)[3])
    weights = np.where(np.arange(6) == label, 20.0, 1.0)
    for form in FORMS:
        model = MultiLabelSGDClassifier(**form, random_state=0)
        plain = clone(model).fit(X, y)
        heavy = clone(model).set_params(class_weight={label: 20.0}).fit(X, y)
        same_model(heavy, clone(model).set_params(class_weight=weights).fit(X, y))
        rise = (heavy.decision_function(X) - plain.decision_function(X)).mean(axis=0)
        assert rise[label] > np.delete(rise, label).max() + 0.1
    model = MultiLabelSGDClassifier(random_state=0, class_weight="balanced")
    weights = counts.sum() / (6 * counts)
    same_model(clone(model).set_params(class_weight=weights).fit(X, y), model.fit(X, y))


def test_sample_weight(data):
    X, y = data
    for form in FORMS:
        model = MultiLabelSGDClassifier(**form, random_state=0, shuffle=False)
        weight = np.ones(300)
        same_model(clone(model).fit(X, y, weight), clone(model).fit(X, y))
        # Heavy rows win: with contradicting labels, the weighted half decides.
        X2, y2 = sp.vstack([X, X]), np.vstack([y, 1 - y])
        keep = y2.sum(axis=1) > 0
        weight = np.repeat([5.0, 0.1], 300)[keep]
        scores = clone(model).fit(X2[keep], y2[keep], weight).decision_function(X)
        assert scores[y == 1].mean() > scores[y == 0].mean() + 0.3


def test_weights_count_as_repetitions_in_the_automatic_rates(data):
    X, y = data
    weight = np.random.default_rng(0).integers(0, 4, 300)
    for form in FORMS:
        one = MultiLabelSGDClassifier(**form, max_iter=1).fit(X, y, weight)
        rows = np.repeat(np.arange(300), weight)
        other = MultiLabelSGDClassifier(**form, max_iter=1).fit(X[rows], y[rows])
        assert one.alpha_ == pytest.approx(other.alpha_, rel=1e-5)
        assert one.eta0_ == pytest.approx(other.eta0_, rel=1e-5)


@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_count_alike_in_all_calls_of_partial_fit(data, cls, reduction):
    X, y = data

    def after(weight):
        model = cls(reduction=reduction, learning_rate="linear", random_state=0)
        model.partial_fit(X, y, sample_weight=np.full(300, 2.0))
        return model.partial_fit(X[:5], y[:5], sample_weight=weight).decision_function(X)

    light, even, heavy = (after(np.full(5, weight)) for weight in (0.1, 2.0, 20.0))
    model = cls(reduction=reduction, learning_rate="linear", random_state=0)
    start = model.partial_fit(X, y).decision_function(X)
    change = [np.abs(scores - start).max() for scores in (light, even, heavy)]
    assert change[0] < change[1] / 2 < change[2] / 2
    # Without weights rows count 1, half of what the first ones did.
    np.testing.assert_array_equal(after(None), after(np.ones(5)))


def test_a_batch_without_any_weight_is_refused_and_changes_nothing(data):
    X, y = data
    model = MultiLabelSGDClassifier(random_state=0).partial_fit(X, y)
    expected = model.decision_function(X)
    labels = y[:2].copy()
    labels[1] = 0
    with (
        pytest.warns(UserWarning, match="no label"),
        pytest.raises(ValueError, match="both a label and a positive weight"),
    ):
        model.partial_fit(X[:2], labels, sample_weight=[0.0, 1.0])
    np.testing.assert_array_equal(model.decision_function(X), expected)


def test_label_weights_in_y(data):
    X, y = data
    weights = y * np.where(np.arange(6) == 1, 9.5, 1.0)
    for reduction in ("pick_one", "pick_all_normalized", "pick_all"):
        plain = MultiLabelSGDClassifier(reduction=reduction, random_state=0).fit(X, y)
        model = MultiLabelSGDClassifier(reduction=reduction, random_state=0).fit(X, weights)
        assert model.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() * 1.2
        same_model(
            MultiLabelSGDClassifier(reduction=reduction, random_state=0).fit(X, y.astype(float)),
            plain,
        )
    with pytest.raises(ValueError, match="0 and 1"):
        MultiLabelSGDClassifier(reduction="one_vs_rest").fit(X, weights)
    with pytest.raises(ValueError, match="label_sampling"):
        MultiLabelSGDClassifier(label_sampling="cycle").fit(X, weights)


def test_average(data):
    X, y = data
    curve = []
    for epochs in range(1, 6):
        model = MultiLabelSGDClassifier(
            max_iter=epochs, learning_rate="constant", dtype="float64", random_state=0
        )
        curve.append(model.fit(X, y).coef_)
    for average in (True, 3):
        averaged = clone(model).set_params(average=average).fit(X, y)
        np.testing.assert_allclose(averaged.coef_, np.mean(curve[int(average) - 1 :], axis=0))
        scores = X @ averaged.coef_.T + averaged.intercept_
        np.testing.assert_allclose(averaged.decision_function(X), scores, atol=1e-10)


def test_tol_stops_and_warns(data):
    X, y = data
    model = MultiLabelSGDClassifier(
        reduction="one_vs_rest", tol=1e-3, max_iter=500, n_iter_no_change=3, random_state=0
    ).fit(X, y)
    assert model.n_iter_ < 500
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MultiLabelSGDClassifier(tol=1e-9, max_iter=2, random_state=0).fit(X, y)


@pytest.mark.parametrize("scoring", [None, "f1_micro", "neg_log_loss_of_rows"])
def test_early_stopping(data, scoring):
    X, y = data
    if scoring == "neg_log_loss_of_rows":

        def scoring(model, X, y):
            return -np.abs(model.predict_proba(X) - y).mean()

    model = MultiLabelSGDClassifier(
        reduction="one_vs_rest", early_stopping=True, scoring=scoring, max_iter=200,
        n_iter_no_change=4, validation_fraction=0.3, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert model.n_iter_ < 200
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_
    assert model.best_validation_score_ == max(scores)
    # The weights are those of the best epoch.
    best = int(np.argmax(scores)) + 1
    shorter = clone(model).set_params(n_iter_no_change=500).fit(X, y)
    assert shorter.n_iter_ == 200
    if best == int(np.argmax(shorter.validation_scores_)) + 1:
        same_model(shorter, model)


def test_early_stopping_on_own_rows(data):
    X, y = data
    model = MultiLabelSGDClassifier(early_stopping=True, random_state=0, max_iter=30)
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert len(model.validation_scores_) == model.n_iter_
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="early_stopping=True"):
        MultiLabelSGDClassifier().fit(X, y, X_val=X, y_val=y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "squared_hinge"}, "one-vs-rest"),
        ({"reduction": "pick_all", "label_sampling": "cycle"}, "pick_one"),
        ({"scoring": "f1_micro"}, "early_stopping"),
        ({"reduction": "binary"}, "reduction"),
        ({"max_iter": 0}, "max_iter"),
        ({"eta0": -1.0}, "eta0"),
        ({"alpha": "optimal"}, "alpha"),
        ({"class_weight": [1, 2]}, "class_weight"),
        ({"class_weight": {9: 1.0}}, "column numbers"),
        ({"class_weight": {0: -1.0}}, "non-negative"),
        ({"class_weight": {0: "heavy"}}, "class_weight is not valid"),
        ({"class_weight": ["a"] * 6}, "class_weight is not valid"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
def test_bad_parameters(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        MultiLabelSGDClassifier(**parameters).fit(*data)


def test_class_weight_in_the_form_of_scikit_learn_for_many_outputs_is_refused(data):
    with pytest.raises(TypeError, match="class_weight is not valid"):
        MultiLabelSGDClassifier(class_weight=[{0: 1, 1: 2}] * 6).fit(*data)


# ------------------------------------------------------------------ resumption
RESUMABLE = [{**form, "average": average} for form in FORMS for average in (False, 2)]


@pytest.mark.parametrize("learning_rate", ["linear", "constant", "invscaling"])
@pytest.mark.parametrize("form", RESUMABLE)
def test_partial_fit_in_calls_equals_fit(data, form, learning_rate):
    X, y = data
    model = MultiLabelSGDClassifier(
        **form, learning_rate=learning_rate, max_iter=4, random_state=3
    )
    whole = clone(model).fit(X, y)
    parts = clone(model)
    for _ in range(4):
        parts.partial_fit(X, y)
    same_model(whole, parts)
    assert whole.loss_curve_ == parts.loss_curve_
    assert (whole.t_, whole.n_iter_) == (parts.t_, parts.n_iter_) == (1200, 4)


class StopAt:
    """Callback that stops after a number of epochs."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.seen = 0

    def setup(self, estimator, context):
        self.seen = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen += context.task_name == "epoch"
        return self.seen == self.epochs


@pytest.mark.parametrize("form", RESUMABLE)
def test_stopped_by_callback_and_resumed_equals_uninterrupted(data, form):
    X, y = data
    model = MultiLabelSGDClassifier(**form, max_iter=6, warm_start=True, random_state=1)
    whole = clone(model).fit(X, y)
    stopped = clone(model).set_callbacks(StopAt(2)).fit(X, y)
    assert stopped.n_iter_ == 2
    stopped.coef_  # noqa: B018  (reading must not disturb the state)
    stopped = pickle.loads(pickle.dumps(stopped.set_callbacks()))
    stopped.fit(X, y)
    assert stopped.n_iter_ == 6
    same_model(stopped, whole)
    # A complete run starts the schedule again, from the present weights.
    assert stopped.fit(X, y).n_iter_ == 12
    assert stopped.loss_curve_[6] < whole.loss_curve_[0]


def test_callbacks_of_scikit_learn(data):
    X, y = data
    callback = pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")
    monitor = callback.ScoringMonitor(scoring="f1_micro")
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", max_iter=3, random_state=0)
    model.set_callbacks(monitor).fit(X, y)
    records = monitor.get_logs(select="most_recent").data
    by_epoch = [record["f1_micro"] for record in records if record["task_name"] == "epoch"]
    assert len(by_epoch) == 3
    assert by_epoch[-1] == pytest.approx(f1_score(y, model.predict(X), average="micro"))
    plain = MultiLabelSGDClassifier(reduction="one_vs_rest", max_iter=3, random_state=0)
    same_model(plain.fit(X, y), model)


@pytest.mark.parametrize("changed", [{"alpha": 0.1}, {"eta0": 0.1}], ids=str)
def test_partial_fit_refuses_rates_that_it_would_not_use(data, changed):
    X, y = data
    model = MultiLabelSGDClassifier(random_state=0, warm_start=True).partial_fit(X, y)
    (name,) = changed
    with pytest.raises(ValueError, match=rf"{name}=0\.1 .*Set it back.*warm_start=True"):
        model.set_params(**changed).partial_fit(X, y)
    assert getattr(model.fit(X, y).partial_fit(X, y), f"{name}_") == 0.1


def test_partial_fit_with_missing_labels_and_classes(data):
    X, y = data
    model = MultiLabelSGDClassifier(random_state=0)
    model.partial_fit(X[:100], y[:100] * (np.arange(6) != 3) + 0, classes=np.arange(6)) if np.all(
        (y[:100] * (np.arange(6) != 3)).sum(axis=1)
    ) else model.partial_fit(X[:100], y[:100])
    model.partial_fit(X[100:], y[100:])
    assert model.predict_proba(X).shape == (300, 6)
    with pytest.raises(ValueError, match="labels"):
        model.partial_fit(X, y[:, :4])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :4], y)
    with pytest.raises(ValueError, match="classes"):
        MultiLabelSGDClassifier().partial_fit(X, y, classes=[0, 1])
    one = MultiLabelSGDClassifier(random_state=0)
    one.partial_fit(X, np.repeat(["u", "v"], 150), classes=["u", "v", "w"])
    assert one.predict_proba(X).shape == (300, 3)
    with pytest.raises(ValueError, match="'z'"):
        one.partial_fit(X, np.repeat(["u", "z"], 150))
    with pytest.raises(ValueError, match="early_stopping"):
        MultiLabelSGDClassifier(early_stopping=True).partial_fit(X, y)


# --------------------------------------------------------------- hostile input
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("eta0", [1e-3, 1.0, 10.0, 1e4])
def test_no_step_makes_the_model_diverge(data, form, eta0):
    X, y = data
    X = sp.vstack([X, X[:5] * 1000]).tocsr()
    y = np.vstack([y, y[:5]])
    model = MultiLabelSGDClassifier(**form, eta0=eta0, random_state=0).fit(X, y)
    assert np.all(np.isfinite(model.decision_function(X)))


def test_overflow_is_an_error_and_leaves_no_fitted_model(data):
    X, y = data
    model = MultiLabelSGDClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"Scale X|infinity"):
        model.fit(X * 1e200, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_interrupted_fit_leaves_no_fitted_model(data):
    X, y = data

    class Interrupt(StopAt):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    model = MultiLabelSGDClassifier(random_state=0).set_callbacks(Interrupt(1))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_empty_rows_and_columns(data):
    X, y = data
    X = sp.lil_matrix(X)
    X[:3] = 0
    X[:, 2] = 0
    for form in FORMS:
        model = MultiLabelSGDClassifier(**form, random_state=0).fit(X, y)
        np.testing.assert_array_equal(model.coef_[:, 2], 0)
        np.testing.assert_allclose(model.decision_function(X)[0], model.intercept_)


def test_nothing_to_learn_from(data):
    X, y = data
    for form in FORMS:
        model = MultiLabelSGDClassifier(**form, random_state=0).fit(X * 0, y)
        assert np.all(model.coef_ == 0)
    with pytest.raises(ValueError, match="No row of y has a label"):
        MultiLabelSGDClassifier().fit(X, y * 0)


@pytest.mark.parametrize("form", FORMS)
def test_smallest_problems(form):
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    for y in ([[1, 0], [0, 1]], sp.csr_matrix([[1], [1]]), [[1, 1], [1, 1]]):
        model = MultiLabelSGDClassifier(**form, random_state=0).fit(X, y)
        assert model.predict(X).shape == np.shape(y) if not sp.issparse(y) else y.shape
    one = MultiLabelSGDClassifier(**form, random_state=0).fit(X[:1], [[1, 0]])
    assert one.decision_function(X).shape == (2, 2)


def test_two_labels_work_with_scorers_and_cross_validation(data):
    X, y = data
    y = np.column_stack([y[:, 0], 1 - y[:, 0]])
    for form in FORMS[:5]:
        model = MultiLabelSGDClassifier(**form, random_state=0)
        scores = cross_val_score(model, X, y, scoring="roc_auc", error_score="raise")
        assert scores.mean() > 0.6
        for method in ("predict_proba", "decision_function", "predict"):
            out = cross_val_predict(model, X, y, method=method)
            assert out.shape == (300, 2)


def test_sparse_y_in_sparse_predictions_out(data):
    X, y = data
    for dtype in (bool, np.int8, np.float64):
        model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
        predicted = model.fit(X, sp.csr_matrix(y.astype(dtype))).predict(X)
        assert sp.issparse(predicted)
        assert predicted.dtype == dtype
        dense = clone(model).fit(X, y).predict(X)
        np.testing.assert_array_equal(predicted.toarray(), dense)


def test_read_only_memory_maps(data, tmp_path):
    X, y = data
    path = tmp_path / "X.npy"
    np.save(path, X.toarray().astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    same_model(
        MultiLabelSGDClassifier(random_state=0).fit(mapped, y),
        MultiLabelSGDClassifier(random_state=0).fit(X, y),
    )


def test_verbose(data, capsys):
    MultiLabelSGDClassifier(max_iter=2, verbose=1).fit(*data)
    assert capsys.readouterr().out.count("loss") == 2


# -------------------------------------------------------------- sparse weights
def answers(model, X):
    names = ["predict", "decision_function"]
    names += ["predict_proba", "predict_log_proba"] if model.loss == "log_loss" else []
    return [getattr(model, name)(X) for name in names]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"average": True, "n_jobs": 2, "dtype": "float64"}])
def test_sparse_weights_predict_what_dense_ones_do(form, options):
    X, y = random_problem(6, n_rows=90, n_features=40, n_labels=110)
    y[:, 0] = 1
    model = MultiLabelSGDClassifier(**form, **options, max_iter=3, random_state=0).fit(X, y)
    tolerance = {"rtol": 2e-4 if model.dtype == "float32" else 1e-9, "atol": 1e-5}
    before = answers(model, X), model.coef_, model.intercept_
    assert model.sparsify() is model
    assert sp.issparse(model.coef_)
    assert model.coef_.format == "csr"
    assert model.coef_.dtype == model.dtype
    np.testing.assert_array_equal(model.coef_.toarray(), before[1])
    np.testing.assert_array_equal(model.intercept_, before[2])
    for rows in (X, X.toarray(), sp.csr_matrix(X).astype(np.float32)):
        for one, other in zip(answers(model, rows), before[0], strict=True):
            np.testing.assert_allclose(one, other, **tolerance)
    # With less memory, in smaller blocks.
    with config_context(working_memory=1e-3):
        for one, other in zip(answers(model, X), before[0], strict=True):
            np.testing.assert_allclose(one, other, **tolerance)
    np.testing.assert_array_equal(model.densify().coef_, before[1])
    for one, other in zip(answers(model, X), before[0], strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def test_which_weights_stay(data):
    X, y = data
    whole = MultiLabelSGDClassifier(random_state=0).fit(X, y)
    coef = whole.coef_
    size = np.abs(coef)

    def kept(**parameters):
        model = pickle.loads(pickle.dumps(whole)).sparsify(**parameters)
        part = model.coef_.toarray()
        np.testing.assert_array_equal(part[part != 0], coef[part != 0])
        left = size[part != 0].min() if np.any(part) else np.inf
        assert np.all(size[part == 0] < left)
        return model

    for density in (1e-9, 0.1, 0.5, 1):
        assert kept(density=density).coef_.nnz == max(1, round(density * coef.size))
    threshold = np.median(size)
    assert kept(min_magnitude=threshold).coef_.nnz == (size >= threshold).sum()
    assert kept(min_magnitude=1e9).coef_.nnz == 0
    for density in ("auto", 0.5, None):
        assert kept(min_magnitude=1e9).sparsify(density=density).coef_.nnz == 0
    # "auto": what has 5 % of the squares, and not one weight more.
    left_out = coef - kept(density="auto").coef_.toarray()
    smallest_kept = size[left_out == 0].min()
    assert np.sum(left_out**2) <= 0.05 * np.sum(coef**2) < np.sum(left_out**2) + smallest_kept**2
    # Density is of all weights, also if some are left out already.
    twice = kept(density=0.5).sparsify(density=0.2)
    np.testing.assert_array_equal(twice.coef_.toarray(), kept(density=0.2).coef_.toarray())
    for wrong in ({"density": 0}, {"density": 1.1}, {"min_magnitude": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            kept(**wrong)
    both = kept(density=0.3, min_magnitude=threshold)
    np.testing.assert_array_equal(both.coef_.toarray(), kept(density=0.3).coef_.toarray())
    assert kept(density=0.9, min_magnitude=threshold).coef_.nnz == (size >= threshold).sum()
    for method in ("sparsify", "densify"):
        with pytest.raises(NotFittedError):
            getattr(MultiLabelSGDClassifier(), method)()


def test_default_pruning_of_many_weights():
    """More than one piece of the sums."""
    sizes = np.random.default_rng(0).exponential(size=2_500_000).astype(np.float32)
    squares = np.cumsum(np.sort(sizes).astype(float) ** 2)
    expected = np.sort(sizes)[np.searchsorted(squares, 0.05 * squares[-1], side="right")]
    found = _smallest_kept(sizes.copy(), "auto", len(sizes))
    assert found == pytest.approx(expected, rel=1e-5)


def test_training_sparse_weights_needs_densify(data):
    X, y = data
    model = MultiLabelSGDClassifier(random_state=0, warm_start=True, average=True).fit(X, y)
    model.sparsify(density=0.3)
    before = model.coef_.toarray(), model.alpha_
    for train in (
        lambda: model.fit(X, y),
        lambda: model.partial_fit(X, y),
        lambda: model.fit_stream([(X, y)]),
    ):
        with pytest.raises(ValueError, match=r"densify\(\)"):
            train()
        np.testing.assert_array_equal(model.coef_.toarray(), before[0])
    assert model.densify().densify().partial_fit(X, y).n_iter_ == 21
    assert np.all(model.coef_ != 0)
    # A new fit has nothing to do with the old weights.
    again = MultiLabelSGDClassifier(random_state=0).fit(X, y).sparsify().fit(X, y)
    same_model(again, MultiLabelSGDClassifier(random_state=0).fit(X, y))


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_sparse_weights_are_small_and_last(tmp_path, loss):
    X, y = random_problem(3, n_rows=80, n_features=3000, n_labels=40, density=0.01)
    y[:, 0] = 1
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", loss=loss, random_state=0).fit(X, y)
    dense = len(pickle.dumps(model))
    small = len(pickle.dumps(model.sparsify(density=0.02)))
    assert small < 8 * model.coef_.nnz + 4 * 3001 + 8000 < dense / 5
    joblib.dump(model, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    for other in (pickle.loads(pickle.dumps(model)), loaded):
        for one, two in zip(answers(other, X), answers(model, X), strict=True):
            np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(loaded.densify().coef_, model.coef_.toarray())
    assert loaded.partial_fit(X, y).n_iter_ == 21


def test_sparse_weights_in_a_cutoff_and_inspection(data):
    X, y = data
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    expected = top_features(model, n=3)
    model.sparsify()
    assert top_features(model, n=3) == expected
    tuned = ThresholdedMultiLabel(model, cv="prefit").fit(X, y)
    assert tuned.predict(X).shape == y.shape


def test_pruned_weights_are_as_good(bibtex):
    X, y, X_test, y_test = bibtex
    for form in ({"reduction": "pick_one"}, {"reduction": "one_vs_rest"}):
        model = MultiLabelSGDClassifier(**form, max_iter=10, random_state=0).fit(X, y)
        whole = best_micro_jaccard(y_test, model.predict_proba(X_test))
        pruned = best_micro_jaccard(y_test, model.sparsify(density="auto").predict_proba(X_test))
        assert pruned > whole - 0.005
        # A cut that is too deep shows.
        cut = best_micro_jaccard(y_test, model.sparsify(density=0.01).predict_proba(X_test))
        assert cut < whole - 0.02


def test_reduction_may_change_between_trainings_whatever_n_jobs():
    X, y = random_problem(7, n_rows=200, n_features=30, n_labels=120)
    y[:, 0] = 1
    models = []
    for n_jobs in (1, 2):
        model = MultiLabelSGDClassifier(
            reduction="one_vs_rest", n_jobs=n_jobs, max_iter=2, average=True, random_state=0
        )
        model.partial_fit(X, y).set_params(reduction="pick_all_normalized").partial_fit(X, y)
        models.append(model)
    assert models[0].loss_curve_ == models[1].loss_curve_
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)
    np.testing.assert_array_equal(models[0].intercept_, models[1].intercept_)


@pytest.mark.parametrize("trained_in", ["float32", "float64"])
def test_another_dtype_than_the_model_has_is_refused(trained_in):
    X, y = random_problem(7)
    y[:, 0] = 1
    model = MultiLabelSGDClassifier(dtype=trained_in, warm_start=True, random_state=0).fit(X, y)
    expected = model.decision_function(X)
    model.set_params(dtype={"float32": "float64", "float64": "float32"}[trained_in])
    for call in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(ValueError, match=f"fitted with dtype='{trained_in}'"):
            call(X)
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="Set it back"):
            train(X, y)
    np.testing.assert_array_equal(
        model.set_params(dtype=trained_in).decision_function(X), expected
    )
