import itertools
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    f1_score,
    fbeta_score,
    get_scorer,
    hamming_loss,
    jaccard_score,
    make_scorer,
    precision_score,
    recall_score,
)
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from skmultireduce import MultiLabelSGDClassifier
from skmultireduce.threshold import FixedThresholdMultiLabel, ThresholdedMultiLabel

X, Y = make_multilabel_classification(
    n_samples=150, n_classes=5, n_labels=2, allow_unlabeled=True, random_state=0
)
STRATEGIES = ["global", "per_label", "adjusted", "top_k", "relative"]


class Scores(ClassifierMixin, BaseEstimator):
    """X is the scores."""

    def __init__(self, dtype=np.float64):
        self.dtype = dtype

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.arange(y.shape[1])
        self.fitted_rows_, self.weight_ = len(X), sample_weight
        return self

    def predict_proba(self, X):
        return np.asarray(X).astype(self.dtype)


class Decisions(Scores):
    """X is the decision values."""

    predict_proba = None

    def __getattribute__(self, name):
        if name == "predict_proba":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def decision_function(self, X):
        return np.asarray(X).astype(self.dtype)


def logistic():
    return OneVsRestClassifier(LogisticRegression())


def scored(seed=0, n=80, k=4):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, k)) < 0.3).astype(int)
    y[:, 0] |= rng.random(n) < 0.5
    return 1 / (1 + np.exp(-rng.normal(size=y.shape) - 2 * y + 1)), y


# --- the cutoff that is found ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [Scores, Decisions])
@pytest.mark.parametrize("limits", [(0, None), (1, 2)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_predictions_have_the_score_that_was_promised(strategy, limits, kind, dtype):
    scores, y = scored()
    model = ThresholdedMultiLabel(
        kind(dtype).fit(scores, y),
        cv="prefit",
        strategy=strategy,
        min_labels=limits[0],
        max_labels=limits[1],
    ).fit(scores, y)
    predicted = model.predict(scores)
    assert jaccard_score(y, predicted, average="micro") == pytest.approx(model.best_score_)
    np.testing.assert_array_equal(model.decision_function(scores) > 0, predicted == 1)
    assert predicted.sum(axis=1).min() >= limits[0]
    assert predicted.sum(axis=1).max() <= (limits[1] or 4)
    assert 0 < model.best_score_stderr_ < 0.1
    untuned = FixedThresholdMultiLabel(kind(dtype)).fit(scores, y).predict(scores)
    if strategy in ("global", "per_label", "adjusted") and limits == (0, None):
        assert model.best_score_ >= jaccard_score(y, untuned, average="micro")


@pytest.mark.parametrize("metric", ["jaccard", "f1"])
@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_scoring(strategy, metric, average):
    scores, y = scored()
    model = ThresholdedMultiLabel(
        Scores().fit(scores, y),
        cv="prefit",
        strategy=strategy,
        scoring=f"{metric}_{average}",
        min_positives=0,
    )
    if strategy == "per_label" and average == "samples":
        with pytest.raises(ValueError, match="strategy='per_label' needs a scoring"):
            model.fit(scores, y)
        return
    model.fit(scores, y)
    function = {"jaccard": jaccard_score, "f1": f1_score}[metric]
    value = function(y, model.predict(scores), average=average, zero_division=0)
    assert value == pytest.approx(model.best_score_)


def test_folds_are_pooled():
    scores, y = scored()
    splitter = KFold(4, shuffle=True, random_state=1)
    by_folds = ThresholdedMultiLabel(Scores(), cv=splitter).fit(scores, y)
    at_once = ThresholdedMultiLabel(Scores().fit(scores, y), cv="prefit").fit(scores, y)
    # Scores do not depend on the fit here, so pooled folds are the whole.
    assert by_folds.best_threshold_ == at_once.best_threshold_
    assert by_folds.best_score_ == pytest.approx(at_once.best_score_)
    assert by_folds.fold_thresholds_.shape == (4,)
    for (_, test), threshold in zip(
        splitter.split(scores), by_folds.fold_thresholds_, strict=True
    ):
        alone = ThresholdedMultiLabel(by_folds.estimator_, cv="prefit").fit(scores[test], y[test])
        assert threshold == alone.best_threshold_
    assert by_folds.threshold_std_ == pytest.approx(np.std(by_folds.fold_thresholds_, ddof=1))
    assert np.isnan(at_once.threshold_std_)
    with parallel_config(backend="threading"):
        parallel = clone(by_folds).set_params(n_jobs=2).fit(scores, y)
    assert parallel.best_threshold_ == by_folds.best_threshold_


@pytest.mark.parametrize("block_bytes", [2**18, 2**6])
def test_block_by_block_is_the_same(block_bytes, monkeypatch):
    monkeypatch.setattr("skmultireduce._cutoff.scores._BLOCK_BYTES", block_bytes)
    scores, y = scored(n=300)
    whole = ThresholdedMultiLabel(Scores(), cv=3, random_state=0, strategy="adjusted")
    whole.fit(scores, sp.csr_array(y))
    with config_context(working_memory=0.02):
        blocks = clone(whole).fit(scores, sp.csr_array(y))
        predicted = blocks.predict(scores)
    assert blocks.best_threshold_ == whole.best_threshold_
    assert (predicted != whole.predict(scores)).nnz == 0


def test_cv_and_refit():
    scores, y = scored()
    model = ThresholdedMultiLabel(Scores(), cv=0.25, refit=False, random_state=0).fit(scores, y)
    assert model.estimator_.fitted_rows_ == 60
    assert model.set_params(refit=True).fit(scores, y).estimator_.fitted_rows_ == 80
    with pytest.raises(ValueError, match="refit cannot be False"):
        model.set_params(cv=3, refit=False).fit(scores, y)
    with pytest.raises(NotFittedError, match="must be fitted already"):
        ThresholdedMultiLabel(Scores(), cv="prefit").fit(scores, y)


def test_constraint():
    scores, y = scored()
    free = ThresholdedMultiLabel(Scores(), cv=3, random_state=0).fit(scores, y)
    bound = clone(free).set_params(min_precision=0.85).fit(scores, y)
    predicted = bound.predict(scores)
    assert (predicted & y).sum() / predicted.sum() >= 0.85
    assert bound.best_score_ < free.best_score_
    with pytest.raises(ValueError, match="best reachable precision"):
        bound.set_params(min_recall=0.99, min_precision=0.99).fit(scores, y)


def test_any_metric_at_quantiles():
    scores, y = scored()
    by_scorer = ThresholdedMultiLabel(
        Scores(), scoring=make_scorer(hamming_loss, greater_is_better=False), random_state=0
    ).fit(scores, y)
    by_callable = ThresholdedMultiLabel(
        Scores(), scoring=lambda a, b: -hamming_loss(a, b), random_state=0
    ).fit(scores, y)
    assert by_scorer.best_threshold_ == by_callable.best_threshold_
    assert by_scorer.best_score_ == pytest.approx(-hamming_loss(y, by_scorer.predict(scores)))
    tried = [-np.mean(y != (scores > t)) for t in np.quantile(scores, np.linspace(0, 1, 50))]
    assert by_scorer.best_score_ >= max(tried) - 0.01
    exact = make_scorer(jaccard_score, average="micro")
    assert (
        ThresholdedMultiLabel(Scores(), scoring=exact, random_state=0).fit(scores, y).best_score_
        == ThresholdedMultiLabel(Scores(), random_state=0).fit(scores, y).best_score_
    )
    with pytest.raises(ValueError, match="judges scores"):
        ThresholdedMultiLabel(Scores(), scoring="roc_auc").fit(scores, y)


def test_cutoffs_whose_score_is_nan_are_passed_over():
    scores, y = scored()

    def precision_if_any(y_true, y_pred):
        hits = np.sum(y_true * y_pred)
        return hits / y_pred.sum() if y_pred.any() else np.nan

    model = ThresholdedMultiLabel(Scores(), scoring=precision_if_any, random_state=0)
    assert model.fit(scores, y).best_score_ == precision_if_any(y, model.predict(scores))
    for bad in (lambda y_true, y_pred: np.nan, lambda y_true, y_pred: "high"):
        with pytest.raises(ValueError, match="scoring"):
            model.set_params(scoring=bad).fit(scores, y)


def test_adjusted_is_at_least_global():
    scores, y = scored()
    single = ThresholdedMultiLabel(Scores(), random_state=0).fit(scores, y)
    adjusted = clone(single).set_params(strategy="adjusted").fit(scores, y)
    assert adjusted.best_score_ >= single.best_score_
    np.testing.assert_allclose(
        adjusted.label_log_prior_, np.log((y.sum(axis=0) + 0.5) / (len(y) + 1))
    )
    plain = clone(adjusted).set_params(prior_weight=0, row_weight=[0]).fit(scores, y)
    assert plain.best_score_ == pytest.approx(single.best_score_)
    assert np.exp(plain.best_threshold_) == pytest.approx(single.best_threshold_, rel=0.05)
    assert (plain.prior_weight_, plain.row_weight_) == (0, 0)


def test_stored_curve():
    scores, y = scored()
    for average in ("micro", "samples", "macro"):
        model = ThresholdedMultiLabel(
            Scores(), scoring=f"f1_{average}", store_cv_results=True, random_state=0
        ).fit(scores, y)
        results = model.cv_results_
        assert results["scores"].max() == pytest.approx(model.best_score_)
        at = results["thresholds"][10]
        expected = f1_score(y, scores > at, average=average, zero_division=0)
        assert results["scores"][10] == pytest.approx(expected)


def test_edges_warn():
    scores, y = scored()
    model = ThresholdedMultiLabel(Scores().fit(scores, y), cv="prefit")
    with pytest.warns(UserWarning, match="All scores of the estimator are equal"):
        model.fit(scores * 0, y)
    with pytest.warns(UserWarning, match="lies above all scores"):
        model.fit(scores, y * 0)
    with pytest.warns(UserWarning, match="lies below all scores"):
        model.fit(scores, y * 0 + 1)
    assert model.predict(scores).all()


# --- estimators, containers, metadata ---


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "inner",
    [
        logistic(),
        OneVsRestClassifier(LinearSVC()),
        RandomForestClassifier(10, random_state=0),
        MultiOutputClassifier(LogisticRegression(max_iter=500)),
        MLPClassifier((5,), solver="lbfgs", max_iter=20, random_state=0),
    ],
    ids=lambda inner: type(inner).__name__,
)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_all_shapes_of_scores(inner, sparse):
    y = sp.csr_array(Y.astype(np.int8)) if sparse else Y.astype(np.int8)
    model = ThresholdedMultiLabel(inner, cv=3, random_state=0).fit(X, y)
    predicted = model.predict(X)
    assert sp.issparse(predicted) == sparse
    assert predicted.dtype == np.int8
    assert predicted.shape == Y.shape
    if hasattr(inner, "predict_proba"):
        assert model.predict_proba(X).shape == Y.shape
    np.testing.assert_array_equal(model.classes_, [[0, 1]] * 5)
    dense = predicted.toarray() if sparse else predicted
    np.testing.assert_array_equal(model.decision_function(X) > 0, dense == 1)
    again = pickle.loads(pickle.dumps(model)).predict(X)
    np.testing.assert_array_equal(again.toarray() if sparse else again, dense)


def test_label_that_a_fold_does_not_know():
    y = Y.copy()
    y[:, 2] = 0
    y[5, 2] = 1
    for inner in (OneVsRestClassifier(LinearSVC()), RandomForestClassifier(5, random_state=0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = ThresholdedMultiLabel(inner, cv=KFold(3)).fit(X, y)
        # OneVsRest gives such a label a decision value of 0, which would win.
        assert model.predict(X)[:, 2].mean() < 0.1
        assert np.isfinite(model.decision_function(X)).all()


def test_more_labels_than_int8_counts():
    rng = np.random.default_rng(0)
    y = (rng.random((200, 150)) < 0.3).astype(np.int8)
    scores = rng.normal(size=y.shape) + y
    model = ThresholdedMultiLabel(Decisions(), cv=2, random_state=0).fit(scores, y)
    assert model.predict(scores).dtype == np.int8
    assert model.best_score_ > jaccard_score(y, scores > 5, average="micro")


def test_one_d_y_is_left_to_the_inner_estimator():
    y = np.array(["a", "b", "c"])[np.arange(len(X)) % 3]
    model = ThresholdedMultiLabel(LogisticRegression(max_iter=2000)).fit(X, y)
    inner = LogisticRegression(max_iter=2000).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), inner.predict(X))
    np.testing.assert_array_equal(model.decision_function(X), inner.decision_function(X))
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])


def test_text_pipeline_and_search():
    texts = [" ".join(f"w{j}" for j in np.flatnonzero(row)) + " w" for row in Y]
    search = GridSearchCV(
        make_pipeline(CountVectorizer(), ThresholdedMultiLabel(logistic(), cv=2, random_state=0)),
        {"thresholdedmultilabel__strategy": ["global", "adjusted"]},
        scoring="jaccard_micro",
        cv=2,
    ).fit(texts, sp.csr_matrix(Y))
    assert search.best_score_ > 0.9
    assert sp.issparse(search.predict(texts))
    tuned = ThresholdedMultiLabel(make_pipeline(CountVectorizer(), logistic()), cv=2)
    assert tuned.fit(texts, Y).best_score_ > 0.9


def test_two_labels_work_in_cross_val_predict():
    model = ThresholdedMultiLabel(logistic(), cv=2, random_state=0)
    out = cross_val_predict(model, X, Y[:, :2], cv=2, method="predict_proba")
    assert np.asarray(out).shape[-1] == 2


def test_weights_and_groups_are_routed():
    from sklearn.model_selection import GroupKFold

    scores, y = scored()
    rng = np.random.default_rng(0)
    weight, groups = rng.integers(1, 4, len(y)).astype(float), np.arange(len(y)) % 4
    with config_context(enable_metadata_routing=True):
        model = ThresholdedMultiLabel(
            Scores().set_fit_request(sample_weight=True),
            scoring=get_scorer("jaccard_micro").set_score_request(sample_weight=True),
            cv=GroupKFold(4),
        ).fit(scores, y, sample_weight=weight, groups=groups)
        np.testing.assert_array_equal(model.estimator_.weight_, weight)
        assert model.fold_thresholds_.shape == (4,)
        value = jaccard_score(y, model.predict(scores), average="micro", sample_weight=weight)
        assert model.best_score_ == pytest.approx(value)
        only_fit = ThresholdedMultiLabel(
            Scores().set_fit_request(sample_weight=True),
            scoring=get_scorer("jaccard_micro").set_score_request(sample_weight=False),
            cv=3,
        )
        only_fit.fit(scores, y, sample_weight=weight)
        plain = jaccard_score(y, only_fit.predict(scores), average="micro")
        assert only_fit.best_score_ == pytest.approx(plain)
    with pytest.raises(ValueError, match="sample_weight"):
        ThresholdedMultiLabel(Scores()).fit(scores, y, sample_weight=weight)


def test_callbacks_see_the_folds():
    tasks = []

    class Recorder:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            tasks.append(context.task_name)

        def on_fit_task_end(self, estimator, context, **kwargs):
            pass

        def teardown(self, estimator, context):
            pass

    scores, y = scored()
    model = ThresholdedMultiLabel(Scores(), cv=3).set_callbacks(Recorder())
    model.fit(scores, y)
    assert tasks == ["fit", "fold", "fold", "fold", "refit"]


def test_fixed_threshold():
    scores, y = scored()
    model = FixedThresholdMultiLabel(Scores(), threshold=[0.1, 0.2, 0.3, 0.4]).fit(scores, y)
    np.testing.assert_array_equal(model.predict(scores), scores > [0.1, 0.2, 0.3, 0.4])
    search = GridSearchCV(
        FixedThresholdMultiLabel(Scores()), {"threshold": [0.2, 0.9]}, scoring="jaccard_micro"
    ).fit(scores, y)
    assert search.best_params_ == {"threshold": 0.2}
    with pytest.raises(ValueError, match="threshold has shape"):
        model.set_params(threshold=[0.1, 0.2]).fit(scores, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"min_labels": 3, "max_labels": 2}, "min_labels=3 is larger"),
        ({"prior_weight": 0.1}, "prior_weight is for strategy='adjusted'"),
        ({"strategy": "adjusted", "row_weight": [-1.0]}, "row_weight must be"),
        ({"strategy": "per_label", "store_cv_results": True}, "store_cv_results=True needs"),
        ({"strategy": "best"}, "strategy"),
    ],
)
def test_bad_parameters(params, message):
    scores, y = scored()
    with pytest.raises(ValueError, match=message):
        ThresholdedMultiLabel(Scores(), **params).fit(scores, y)


def test_relative_needs_scores_that_are_not_negative():
    scores, y = scored()
    with pytest.raises(ValueError, match="strategy='adjusted'"):
        ThresholdedMultiLabel(Decisions(), strategy="relative").fit(scores - 0.5, y)
    with pytest.raises(ValueError, match="y has 3 labels"):
        ThresholdedMultiLabel(Scores().fit(scores, y), cv="prefit").fit(scores, y[:, :3])


def test_two_columns_of_scores_for_one_label_are_refused():
    X, y = np.arange(6.0).reshape(-1, 1), sp.csr_array([[0], [1], [0], [1], [1], [0]])
    model = FixedThresholdMultiLabel(logistic()).fit(X, y)
    # Predictions would have a label beyond y's only one.
    for method in (model.predict, model.predict_proba):
        with pytest.raises(ValueError, match="Pass 1-D y for a single label"):
            method(X)


def test_html_shows_the_inner_estimator():
    assert "LogisticRegression" in ThresholdedMultiLabel(logistic())._repr_html_()


# --- scores of several types ---


class MixedScores(Scores):
    """X is the scores; float32 where the fit saw an even number of rows in the last column."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y)
        self.narrow_ = X[0, -1] == 0
        return self

    def predict_proba(self, X):
        return X[:, :-1].astype(np.float32 if self.narrow_ else np.float64)


EXACT = [f"{metric}_{average}" for metric in ("jaccard", "f1") for average in
         ("micro", "samples", "macro")]  # fmt: skip


@pytest.mark.parametrize("scoring", [*EXACT, "accuracy"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.filterwarnings("ignore:The best cutoff lies above")
def test_folds_of_several_types_are_one_search(strategy, scoring):
    """Every strategy with every scoring, folds in float32 and float64 in either order."""
    if strategy == "per_label" and scoring in ("jaccard_samples", "f1_samples", "accuracy"):
        pytest.skip("has no such search")
    weights = {"prior_weight": [0.0, 0.2], "row_weight": 0.5} if strategy == "adjusted" else {}
    rng = np.random.default_rng(0)
    # Numbers that both types have.
    scores = rng.integers(1, 1024, (60, 4)) / 2048
    y = (rng.random(scores.shape) < scores).astype(int)
    for fold in (np.arange(60) % 2, (np.arange(60) + 1) % 2)[: 1 + (scoring != "accuracy")]:
        splitter = PredefinedSplit(fold)
        options = {"strategy": strategy, "scoring": scoring, "cv": splitter, **weights}
        mixed = ThresholdedMultiLabel(MixedScores(), **options)
        mixed.fit(np.column_stack([scores, fold]), y)
        plain = ThresholdedMultiLabel(Scores(), **options).fit(scores, y)
        np.testing.assert_array_equal(mixed.best_threshold_, plain.best_threshold_)
        np.testing.assert_array_equal(mixed.fold_thresholds_, plain.fold_thresholds_)
        assert mixed.best_score_ == plain.best_score_
        # What is compared later is compared as it was tuned.
        predicted = mixed.predict(np.column_stack([scores, fold]))
        np.testing.assert_array_equal(predicted, plain.predict(scores))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_label_that_is_constant_in_a_fold_with_float32_rows(strategy):
    """OneVsRest gives float64 there, float32 elsewhere."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 5)).astype(np.float32)
    y = (rows @ rng.normal(size=(5, 4)) > 1).astype(int)
    y[:, 3] = np.arange(120) == 5
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Label not|The best cutoff lies")
        model = ThresholdedMultiLabel(logistic(), strategy=strategy, random_state=0).fit(rows, y)
    assert 0 < model.best_score_ < 1
    assert np.isfinite(model.decision_function(rows)).all()


# --- labels without positives ---


@pytest.mark.parametrize("kind", [Scores, Decisions])
@pytest.mark.parametrize("limits", [(0, None), (4, None), (0, 3), (2, 2)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_labels_without_positives_are_never_predicted(strategy, limits, kind):
    """All strategies and limits, probabilities and decisions, the label scored highest."""
    scores, y = scored()
    scores[:, 2], y[:, 2] = 0.99, 0
    model = ThresholdedMultiLabel(
        kind(), strategy=strategy, min_labels=limits[0], max_labels=limits[1], cv=3,
        min_recall=0.5 if strategy == "top_k" else None, random_state=0,
    ).fit(scores, y)  # fmt: skip
    predicted = model.predict(scores)
    assert not predicted[:, 2].any()
    # The others keep the limits.
    assert predicted.sum(axis=1).min() >= min(limits[0], 3)
    assert (model.decision_function(scores)[:, 2] <= 0).all()
    assert np.isfinite(model.decision_function(scores)).all()
    fixed = FixedThresholdMultiLabel(
        kind(), threshold=-1, min_labels=limits[0], max_labels=limits[1]
    ).fit(scores, y)
    assert not fixed.predict(scores)[:, 2].any()


def test_a_fold_without_a_label_does_not_count_it():
    scores, y = scored()
    y[:, 3], scores[:, 3] = 0, 0.99
    y[:20, 3] = 1
    model = ThresholdedMultiLabel(Scores(), cv=KFold(4)).fit(scores, y)
    # The first fold trains without the label: its positives are missed, not hit.
    blind = scores.copy()
    blind[:20, 3] = -np.inf
    assert model.best_score_ == jaccard_score(y, blind > model.best_threshold_, average="micro")


# --- constraints of each label ---


def precision_and_recall(y, predicted):
    hits = (y * predicted).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return hits / predicted.sum(axis=0), hits / y.sum(axis=0)


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("metric", ["jaccard", "f1", "recall", "precision"])
@pytest.mark.parametrize(
    "bounds",
    [{"min_precision": 0.8}, {"min_recall": 0.6}, {"min_precision": 0.6, "min_recall": 0.5}],
)
@pytest.mark.parametrize("max_labels", [None, 2])
def test_each_label_reaches_the_constraint_or_is_silent(bounds, metric, average, max_labels):
    """Either bound and both, every exact metric, limits; labels that reach it and that do not."""
    scores, y = scored(n=200)
    # Noise: no cutoff is precise.
    scores[:, 1] = np.random.default_rng(1).random(200)
    model = ThresholdedMultiLabel(
        Scores().fit(scores, y), cv="prefit", strategy="per_label", min_positives=0,
        scoring=f"{metric}_{average}", max_labels=max_labels, **bounds,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(scores, y)
    predicted = model.predict(scores)
    precision, recall = precision_and_recall(y, predicted)
    silent = predicted.sum(axis=0) == 0
    np.testing.assert_array_equal(
        np.isposinf(model.best_threshold_)[model.unreachable_labels_], True
    )
    assert silent[model.unreachable_labels_].all()
    assert (precision[~silent] >= bounds.get("min_precision", 0)).all()
    reachable = np.setdiff1d(np.arange(4), model.unreachable_labels_)
    if "min_recall" in bounds:
        assert (recall[reachable] >= bounds["min_recall"]).all()
    if "min_precision" in bounds:
        assert 1 in model.unreachable_labels_
    # What is called unreachable is.
    allowed = scores
    if max_labels:
        allowed = np.where(scores >= -np.sort(-scores, axis=1)[:, [max_labels - 1]], scores, -1)
    for label in model.unreachable_labels_:
        for cut in scores[:, label]:
            own = precision_and_recall(y[:, [label]], allowed[:, [label]] >= cut)
            assert not (
                own[0] >= bounds.get("min_precision", 0) and own[1] >= bounds.get("min_recall", 0)
            )


def test_constraint_of_each_label_is_the_optimum():
    """Brute force over all combinations of cutoffs, with three labels."""
    for seed in range(8):
        scores, y = scored(seed, n=8, k=3)
        bounds = {"precision": 0.6, "recall": 0.5} if seed % 2 else {"precision": 0.6}
        options = []
        for label in range(3):
            own = []
            for cut in [*scores[:, label], np.inf]:
                predicted = scores[:, [label]] >= cut
                precision, recall = precision_and_recall(y[:, [label]], predicted)
                good = precision >= 0.6 and recall >= bounds.get("recall", 0)
                if good or (np.isinf(cut) and "recall" not in bounds):
                    own.append(predicted[:, 0])
            options.append(own or [np.zeros(len(y), dtype=bool)])
        for average in ("micro", "macro"):
            best = max(
                jaccard_score(y, np.column_stack(sets), average=average, zero_division=0)
                for sets in itertools.product(*options)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = ThresholdedMultiLabel(
                    Scores().fit(scores, y), cv="prefit", strategy="per_label", min_positives=0,
                    scoring=f"jaccard_{average}", min_precision=0.6,
                    min_recall=bounds.get("recall"),
                ).fit(scores, y)  # fmt: skip
            assert model.best_score_ == pytest.approx(best)


def test_unreachable_labels_are_counted_once():
    scores, y = scored(n=200)
    scores[:, 1] = np.random.default_rng(1).random(200)
    model = ThresholdedMultiLabel(Scores(), strategy="per_label", min_precision=0.9, cv=3)
    with pytest.warns(UserWarning, match="of 4 labels reach") as found:
        model.fit(scores, y)
    assert len(found) == 1
    assert found[0].filename == __file__
    with pytest.raises(ValueError, match="min_precision with strategy='per_label' leaves"):
        model.set_params(min_labels=1).fit(scores, y)


def test_rare_labels_take_the_common_cutoff_if_they_reach_the_constraint():
    scores, y = scored(n=200)
    y[:, 1] = 0
    y[:3, 1] = 1
    scores[:, 1] = np.where(np.arange(200) > 190, 0.9, 0.01)
    y[:, 2] = 0
    y[:3, 2] = 1
    scores[:, 2] = np.where(y[:, 2] == 1, 0.9, 0.01)
    with pytest.warns(UserWarning, match="labels reach"):
        model = ThresholdedMultiLabel(
            Scores().fit(scores, y), cv="prefit", strategy="per_label", min_precision=0.5
        ).fit(scores, y)
    assert 1 in model.unreachable_labels_
    assert 2 not in model.unreachable_labels_
    with pytest.warns(UserWarning, match="labels reach"):
        model.set_params(min_precision=1.0, min_recall=0.99).fit(scores, y)
    # No common cutoff reaches it, so that the rare ones have none.
    assert set(model.unreachable_labels_) == {0, 1, 2, 3}


# --- metrics ---


@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
@pytest.mark.parametrize(
    ("function", "options"),
    [
        (fbeta_score, {"beta": 2}),
        (fbeta_score, {"beta": 0.5, "zero_division": 0}),
        (precision_score, {"zero_division": 0}),
        (recall_score, {"zero_division": 0}),
    ],
)
@pytest.mark.parametrize("strategy", ["global", "per_label"])
def test_every_linear_fractional_metric_is_exact(strategy, function, options, average):
    """F-beta, precision and recall, in all averages, with weights and without."""
    if strategy == "per_label" and average == "samples":
        pytest.skip("has no such search")
    scores, y = scored(n=12, k=3)
    scorer = make_scorer(function, average=average, **options)
    model = ThresholdedMultiLabel(
        Scores().fit(scores, y), cv="prefit", scoring=scorer, strategy=strategy, min_positives=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(scores, y)
        value = function(y, model.predict(scores), average=average, **options)
        cuts = [[*np.unique(column), np.inf] for column in scores.T]
        tried = (
            [np.full(3, cut) for cut in [*np.unique(scores), np.inf]]
            if strategy == "global"
            else itertools.product(*cuts)
        )
        counts = {**options, "average": average, "zero_division": 0}
        best = max(fast_score(function, y, scores >= np.array(cut), counts) for cut in tried)
    assert model.best_score_ == pytest.approx(value)
    assert model.best_score_ == pytest.approx(best)


def fast_score(function, y, predicted, options):
    """Of scikit-learn's metrics, from counts."""
    axis = {"micro": None, "samples": 1, "macro": 0}[options["average"]]
    hits, size, given = ((v).sum(axis=axis) for v in (y * predicted, y, predicted))
    beta = options.get("beta", 1)
    above, below = {
        fbeta_score: ((1 + beta**2) * hits, beta**2 * size + given),
        precision_score: (hits, given),
        recall_score: (hits, size),
    }[function]
    return np.mean(np.where(np.asarray(below) > 0, above / np.maximum(below, 1e-300), 0))


def test_highest_recall_at_a_precision():
    scores, y = scored(n=200)
    model = ThresholdedMultiLabel(
        Scores().fit(scores, y), cv="prefit", scoring="recall_micro", min_precision=0.8
    ).fit(scores, y)
    predicted = model.predict(scores)
    assert precision_score(y, predicted, average="micro") >= 0.8
    lower = scores >= np.max(scores[scores <= model.best_threshold_])
    assert precision_score(y, lower, average="micro") < 0.8


# --- a given cutoff around a fitted estimator ---


class Text(Scores):
    """Labels are the letters of a row of text."""

    def predict_proba(self, X):
        return np.array([[float(letter in row) * 0.4 for letter in "ab"] for row in X])

    def predict(self, X):
        return sp.csr_matrix(self.predict_proba(X) > 0.5, dtype=np.int8)


def test_fixed_threshold_of_a_fitted_estimator_needs_no_fit():
    """Estimators of this package, of scikit-learn in each shape of scores, pipelines, lists."""
    scores, y = scored()
    for inner in (
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(3),
        logistic(),
        OneVsRestClassifier(LinearSVC()),
        make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression())),
        MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0),
        ThresholdedMultiLabel(logistic(), cv=2, random_state=0),
    ):
        inner.fit(scores, y)
        model = FixedThresholdMultiLabel(inner, threshold=0.3)
        again = FixedThresholdMultiLabel(inner, threshold=0.3).fit(scores, y)
        np.testing.assert_array_equal(model.predict(scores), again.predict(scores))
        np.testing.assert_array_equal(
            model.decision_function(scores), again.decision_function(scores)
        )
        assert model.predict(scores).dtype == y.dtype
        check_is_fitted(model)
        assert not hasattr(model, "estimator_")
    model = FixedThresholdMultiLabel(Text().fit(["a"], y), threshold=0.3)
    assert sp.issparse(model.predict(["ab", "b"]))
    np.testing.assert_array_equal(model.predict(["ab", "b"]).toarray(), [[1, 1], [0, 1]])
    assert jaccard_score([[1, 1]], model.predict(["ab"]), average="micro") == 1


def test_fixed_threshold_without_fit_still_checks():
    scores, y = scored()
    with pytest.raises(NotFittedError):
        FixedThresholdMultiLabel(logistic()).predict(scores)
    inner = Scores().fit(scores, y)
    inner.predict = lambda X: X > 0.5
    for params, message in (
        ({"threshold": [0.1, 0.2]}, "threshold has shape"),
        ({"min_labels": 3, "max_labels": 2}, "min_labels=3 is larger"),
        ({"min_labels": -1}, "min_labels"),
    ):
        with pytest.raises(ValueError, match=message):
            FixedThresholdMultiLabel(inner, **params).predict(scores)
    classes = LogisticRegression().fit(scores, y[:, 0])
    model = FixedThresholdMultiLabel(classes, threshold=0.9)
    np.testing.assert_array_equal(model.predict(scores), classes.predict(scores))


def test_another_cutoff_of_a_tuned_estimator():
    scores, y = scored(n=200)
    for strategy in ("global", "adjusted", "relative"):
        model = ThresholdedMultiLabel(
            Scores().fit(scores, y), cv="prefit", strategy=strategy, store_cv_results=True
        ).fit(scores, y)
        curve = model.cv_results_
        precise = curve["thresholds"][-20]
        other = FixedThresholdMultiLabel(
            model, response_method="decision_function", threshold=precise - model.best_threshold_
        )
        precision = precision_score(y, other.predict(scores), average="micro")
        assert precision == pytest.approx(curve["precision"][-20])
        assert precision > precision_score(y, model.predict(scores), average="micro")
