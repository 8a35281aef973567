"""Top features and explained rows, through pipelines and wrappers."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.feature_selection import RFE, SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from conftest import SCIPY
from skmultireduce import MultiLabelSGDClassifier
from skmultireduce.inspection import (
    Contribution,
    FeatureWeight,
    TopFeaturesDisplay,
    explain_row,
    top_features,
    top_labels,
)

mpl.use("agg")

N_ROWS, N_FEATURES, N_LABELS = 60, 6, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, N_FEATURES))
Y = (X[:, :N_LABELS] + 0.5 * RNG.normal(size=(N_ROWS, N_LABELS)) > 0).astype(int)
TEXTS = ["import numpy", "import pandas", "numpy pandas", "import os", "os sys", "numpy sys"]
TEXT_Y = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [0, 0], [1, 0]])


class Wrapper(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A wrapper with ``estimator_`` that tells nothing else of it, like a tuned cutoff."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self

    def predict(self, X):
        return self.estimator_.predict(X)


def one_vs_rest():
    return OneVsRestClassifier(LogisticRegression())


def coefficients(model):
    return np.vstack([e.coef_ for e in model.estimators_])


def frame(records):
    return pd.DataFrame(records)


def test_weights_are_the_largest_coefficients():
    model = one_vs_rest().fit(X, Y)
    coef = coefficients(model)
    for sign, key in (("positive", coef), ("negative", -coef), ("both", np.abs(coef))):
        records = top_features(model, n=2, sign=sign)
        assert all(isinstance(record, FeatureWeight) for record in records)
        table = frame(records)
        assert list(table.columns) == ["label", "rank", "feature", "weight"]
        for label, group in table.groupby("label"):
            expected = [j for j in np.argsort(-key[label])[:2] if key[label, j] > 0]
            assert group["feature"].tolist() == [f"x{j}" for j in expected]
            np.testing.assert_array_equal(group["weight"], coef[label, expected])
            assert group["rank"].tolist() == list(range(1, len(expected) + 1))
    # Label k depends on feature k.
    assert [r.feature for r in top_features(model, n=1)] == ["x0", "x1", "x2"]


def test_all_weights_and_ties():
    model = one_vs_rest().fit(X, Y)
    assert len(top_features(model, n=None, sign="both")) == N_LABELS * N_FEATURES
    n_positive = np.sum(coefficients(model) > 0)
    assert len(top_features(model, n=None)) == n_positive < N_LABELS * N_FEATURES
    model = LogisticRegression().fit(X, Y[:, 0])
    model.coef_ = np.array([[0.0, 1.0, 2.0, 1.0, 1.0, -3.0]])
    assert [r.feature for r in top_features(model, n=3)] == ["x2", "x1", "x3"]
    assert [r.feature for r in top_features(model, n=5, sign="both")][:2] == ["x5", "x2"]
    assert "x0" not in [r.feature for r in top_features(model, n=None, sign="both")]


@pytest.mark.parametrize(
    "model",
    [
        one_vs_rest(),
        MultiOutputClassifier(LogisticRegression()),
        RidgeClassifier(),
        Wrapper(one_vs_rest()),
        Wrapper(make_pipeline(one_vs_rest())),
        GridSearchCV(one_vs_rest(), {"estimator__C": [1.0]}, cv=2),
        make_pipeline(FunctionTransformer(feature_names_out="one-to-one"), one_vs_rest()),
        make_pipeline("passthrough", Wrapper(make_pipeline(StandardScaler(), one_vs_rest()))),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_and_wrappers(model):
    names = [f"feature {j}" for j in range(N_FEATURES)]
    for data in (X, pd.DataFrame(X, columns=names)):
        fitted = clone(model).fit(data, Y)
        records = top_features(fitted, n=1, label_names=["a", "b", "c"])
        assert [r.label for r in records] == ["a", "b", "c"]
        first = ["x0", "x1", "x2"] if data is X else names[:3]
        assert [r.feature for r in records] == first
        row = data[7] if data is X else data.iloc[7]
        rows = data[[7]] if data is X else data.iloc[[7]]
        records = explain_row(fitted, row, n=None)
        assert {r.label for r in records} == set(np.flatnonzero(fitted.predict(rows)[0]))
        assert len({r.label for r in records}) >= 1
        pd.testing.assert_frame_equal(frame(explain_row(fitted, rows, n=None)), frame(records))


def test_frozen_and_tuned_two_class_models():
    y = np.where(Y[:, 0], "yes", "no")
    for model in (
        LogisticRegression(),
        TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy"),
        TunedThresholdClassifierCV(
            FrozenEstimator(LogisticRegression().fit(X, y)),
            scoring="balanced_accuracy",
            cv="prefit",
            refit=False,
        ),
        OneVsRestClassifier(LogisticRegression()),
    ):
        model.fit(X, y)
        (record,) = top_features(model, n=1)
        assert (record.label, record.feature) == ("yes", "x0")
        assert {r.label for r in explain_row(model, X[0])} == {"yes"}


def test_classes_name_the_labels():
    iris = load_iris(as_frame=True)
    y = iris.target_names[iris.target]
    for model in (
        LogisticRegression(max_iter=1000),
        LinearSVC(),
        SGDClassifier(random_state=0),
        OneVsRestClassifier(LogisticRegression(max_iter=1000)),
    ):
        model.fit(iris.data, y)
        records = top_features(model, n=1, sign="both", labels=["virginica", "setosa"])
        assert [r.label for r in records] == ["virginica", "setosa"]
        assert records[0].feature in iris.feature_names
        for i in (0, 140):
            labels = {r.label for r in explain_row(model, iris.data.iloc[[i]])}
            assert labels == set(model.predict(iris.data.iloc[[i]]))


def test_sparse_coefficients():
    model = one_vs_rest().fit(X, Y)
    expected = top_features(model, n=4, sign="both")
    explained = explain_row(model, X[3])
    for part in model.estimators_:
        part.sparsify()
    assert top_features(model, n=4, sign="both") == expected
    assert explain_row(model, X[3]) == explained
    model = LogisticRegression().fit(X, np.argmax(X[:, :3], axis=1))
    expected = top_features(model)
    explained = explain_row(model, X[3])
    model.sparsify()
    assert sp.issparse(model.coef_)
    assert top_features(model) == expected
    np.testing.assert_allclose(frame(explain_row(model, X[3])).score, frame(explained).score)


@pytest.mark.parametrize("row", range(5))
def test_contributions_sum_to_the_score(row):
    model = make_pipeline(StandardScaler(), one_vs_rest()).fit(X, Y)
    scores = model.decision_function(X[[row]])[0]
    records = explain_row(model, X[row], n=None, labels=[0, 1, 2])
    assert all(isinstance(record, Contribution) for record in records)
    table = frame(records)
    np.testing.assert_allclose(table.contribution, table.value * table.weight)
    scaled = model[0].transform(X[[row]])[0]
    for label, group in table.groupby("label"):
        np.testing.assert_allclose(group.score, scores[label])
        np.testing.assert_allclose(
            group.contribution.sum() + group.intercept.iloc[0], scores[label]
        )
        assert np.all(np.diff(np.abs(group.contribution)) <= 0)
        np.testing.assert_allclose(
            group.sort_values("feature").value, scaled[np.argsort([f"x{j}" for j in range(6)])]
        )
    assert (
        explain_row(model, X[row], n=2, labels=[1])
        == [record for record in records if record.label == 1][:2]
    )


def test_rows_come_in_many_forms():
    model = one_vs_rest().fit(sp.csr_array(X), Y)
    expected = explain_row(model, X[4])
    assert expected
    for x in (
        X[[4]],
        X[4].tolist(),
        [X[4].tolist()],
        sp.csr_array(X)[[4]],
        *([sp.csr_array(X)[4]] if SCIPY >= (1, 15) else []),
        sp.csr_matrix(X)[4],
        pd.Series(X[4]),
        pd.DataFrame(X[[4]]),
    ):
        pd.testing.assert_frame_equal(frame(explain_row(model, x)), frame(expected))
    with pytest.raises(ValueError, match="x should be one row, but has 2"):
        explain_row(model, X[:2])
    text = make_pipeline(CountVectorizer(), one_vs_rest()).fit(TEXTS, TEXT_Y)
    expected = explain_row(text, TEXTS[0])
    assert expected
    for x in ([TEXTS[0]], np.array(TEXTS[:1]), pd.Series(TEXTS).iloc[[0]]):
        assert explain_row(text, x) == expected
    with pytest.raises(ValueError, match="x should be one row, but has 2"):
        explain_row(text, TEXTS[:2])
    with pytest.raises(ValueError, match="x has 5 features"):
        explain_row(Blind().fit(X, Y), X[0, :5])


class Blind(Wrapper):
    """Predicts without looking."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = one_vs_rest().fit(X, y)
        return self

    def predict(self, X):
        return sp.csr_array(np.array([[0, 0, 0]]))


def test_a_row_without_predicted_labels_explains_the_best_one():
    model = Blind().fit(X, Y)
    scores = model.estimator_.decision_function(X[[0]])[0]
    assert {r.label for r in explain_row(model, X[0])} == {int(np.argmax(scores))}


def test_text_pipeline():
    model = Pipeline(
        [("words", CountVectorizer()), ("tfidf", TfidfTransformer()), ("model", one_vs_rest())]
    ).fit(TEXTS, TEXT_Y)
    records = top_features(model, n=1, label_names=["array", "frame"])
    assert [(r.label, r.feature) for r in records] == [("array", "numpy"), ("frame", "pandas")]
    table = frame(explain_row(model, "numpy of pandas", n=None, labels=[0, 1]))
    assert set(table.feature) == {"numpy", "pandas"}
    np.testing.assert_allclose(
        table.groupby("label").score.first(), model.decision_function(["numpy of pandas"])[0]
    )
    assert [r.feature for r in top_features(model, list("abcde"), n=1)] == ["b", "d"]


def test_selected_features_keep_their_names():
    model = make_pipeline(SelectKBest(f_classif, k=1), LogisticRegression()).fit(X, Y[:, 2])
    assert [r.feature for r in top_features(model)] == ["x2"]


def test_labels_that_all_rows_have():
    y = Y.copy()
    y[:, 1] = 1
    with pytest.warns(UserWarning, match="Label 1 is present in all training examples"):
        model = one_vs_rest().fit(X, y)
    assert {r.label for r in top_features(model)} == {0, 2}
    assert {r.label for r in top_features(model, labels=[1])} == set()
    assert explain_row(model, X[0], labels=[1]) == []


def test_errors():
    model = one_vs_rest().fit(X, Y)
    with pytest.raises(NotFittedError):
        top_features(one_vs_rest())
    for other in (
        RandomForestClassifier(2).fit(X, Y),
        ClassifierChain(LogisticRegression()).fit(X, Y),
        OneVsRestClassifier(SVC()).fit(X, Y),
        # Three classes, three pairs of classes.
        SVC(kernel="linear").fit(X, np.argmax(X[:, :3], axis=1)),
    ):
        with pytest.raises(ValueError, match="is not a linear classifier"):
            top_features(other)
    with pytest.raises(ValueError, match="RFE changes the features"):
        top_features(RFE(LogisticRegression(), n_features_to_select=2).fit(X, Y[:, 0]))
    # Its classes are label sets.
    powerset = Wrapper(LogisticRegression()).fit(X, Y @ [1, 2, 4])
    powerset.classes_ = np.tile([0, 1], (N_LABELS, 1))
    for other in (powerset, make_pipeline(powerset)):
        with pytest.raises(ValueError, match=r"predicts 3 labels.* has 8 row\(s\)"):
            top_features(other)
    with pytest.raises(ValueError, match=r"feature_names has shape \(2,\)"):
        top_features(model, ["a", "b"])
    with pytest.raises(ValueError, match="label_names has 2 names"):
        top_features(model, label_names=["a", "b"])
    with pytest.raises(ValueError, match="labels contains 3"):
        top_features(model, labels=[3])
    with pytest.raises(ValueError, match="labels contains 9"):
        top_features(model, labels=[9], label_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="'n' parameter"):
        top_features(model, n=0)
    with pytest.raises(ValueError, match="'sign' parameter"):
        top_features(model, sign="+")
    hashed = make_pipeline(HashingVectorizer(n_features=8), one_vs_rest()).fit(TEXTS, TEXT_Y)
    with pytest.raises(ValueError, match="Pass feature_names, 8 names"):
        top_features(hashed)
    assert top_features(hashed, np.arange(8), n=1)[0].feature in range(8)


def test_display():
    model = make_pipeline(CountVectorizer(), one_vs_rest()).fit(TEXTS, TEXT_Y)
    display = TopFeaturesDisplay.from_estimator(
        model, n=3, label_names=["array", "frame"], sign="both", n_columns=1
    )
    records = top_features(model, n=3, label_names=["array", "frame"], sign="both")
    assert display.features.tolist() == [r.feature for r in records]
    assert [ax.get_title() for ax in display.axes_] == ["array", "frame"]
    assert [t.get_text() for t in display.axes_[0].get_yticklabels()] == [
        r.feature for r in records[:3]
    ]
    widths = [bar.get_width() for bars in display.bars_ for bar in bars]
    assert widths == [r.weight for r in records]
    assert display.axes_[1].get_xlabel() == "weight"
    assert display.plot(display.axes_) is display
    mpl.pyplot.close(display.figure_)

    display = TopFeaturesDisplay.from_row(model, TEXTS[2], bar_kwargs={"color": "k"})
    assert [ax.get_title() for ax in display.axes_] == ["0", "1"]
    assert display.axes_[0].get_xlabel() == "contribution"
    assert display.bars_[0][0].get_facecolor() == (0, 0, 0, 1)
    # Own axes: as many as labels.
    _, axes = mpl.pyplot.subplots(3)
    with pytest.raises(ValueError, match="axes has 3 axes, but there are 2 labels"):
        display.plot(axes)
    assert display.plot(axes[:2]).figure_ is axes[0].figure
    mpl.pyplot.close("all")
    with pytest.raises(ValueError, match="no bar to draw"):
        TopFeaturesDisplay([], [], []).plot()


@pytest.mark.parametrize(
    "model",
    [
        OneVsRestClassifier(LogisticRegression()),
        MultiOutputClassifier(LogisticRegression()),
        OneVsRestClassifier(RidgeClassifier()),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression())),
        GridSearchCV(OneVsRestClassifier(LogisticRegression()), {"estimator__C": [1.0]}, cv=2),
    ],
    ids=["one-vs-rest", "list of arrays", "scores", "pipeline", "search"],
)
@pytest.mark.parametrize("k", [1, 2, 9])
def test_top_labels_of_any_shape_of_scores(model, k):
    model = clone(model).fit(X, Y)
    names = ["p", "q", "r"]
    if hasattr(model, "predict_proba"):
        scores = model.predict_proba(X)
        scores = (
            np.stack([s[:, 1] for s in scores], axis=1) if isinstance(scores, list) else scores
        )
    else:
        scores = model.decision_function(X)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    for memory in (1024, 1e-4):
        with config_context(working_memory=memory):
            records = top_labels(model, X, k, label_names=names)
        assert [[r.label for r in row] for row in records] == [
            [names[label] for label in row] for row in order
        ]
        assert [r.score for row in records for r in row] == pytest.approx(
            np.take_along_axis(scores, order, axis=1).ravel().tolist()
        )
    frame = top_labels(model, X, k, label_names=names, as_frame=True)
    assert frame.columns.tolist() == ["row", "rank", "label", "score"]
    assert frame["label"].tolist() == [r.label for row in records for r in row]
    assert frame["row"].tolist() == np.repeat(np.arange(N_ROWS), min(k, 3)).tolist()
    assert {r.label for row in top_labels(model, X) for r in row} == {0, 1, 2}


def test_top_labels_of_classes():
    X_iris, y_iris = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y_iris]
    model = LogisticRegression(max_iter=500).fit(X_iris, names)
    best = top_labels(model, X_iris, 1)
    assert [row[0].label for row in best] == model.predict(X_iris).tolist()
    two = LogisticRegression().fit(X, Y[:, 0])
    assert top_labels(two, X, 1)[0][0].label == two.predict(X[:1])[0]


def test_top_labels_errors():
    model = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    with pytest.raises(ValueError, match=r"label_names has 1 names, .* 3 labels"):
        top_labels(model, X, label_names=["a"])
    with pytest.raises(ValueError, match="0 sample"):
        top_labels(model, X[:0])
    with pytest.raises(ValueError, match="'k' parameter"):
        top_labels(model, X, 0)
    with pytest.raises(AttributeError, match="predict_proba"):
        top_labels(
            OneVsRestClassifier(RidgeClassifier()).fit(X, Y), X, response_method="predict_proba"
        )
    with pytest.raises(ValueError, match="one score for both"):
        top_labels(RidgeClassifier().fit(X, Y[:, 0]), X)


def test_names_of_the_columns_are_the_names_of_the_labels():
    frame = pd.DataFrame(Y, columns=["p", "q", "r"])
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    model = make_pipeline(StandardScaler(), model).fit(X, frame)
    assert {record.label for record in top_features(model)} == {"p", "q", "r"}
    assert {record.label for record in explain_row(model, X[0], labels=["q"])} == {"q"}
    assert {r.label for row in top_labels(model, X) for r in row} == {"p", "q", "r"}
    display = TopFeaturesDisplay.from_estimator(model, n=2)
    assert [ax.get_title() for ax in display.axes_] == ["p", "q", "r"]
