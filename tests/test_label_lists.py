"""From columns of label lists to predicted label lists.

Classes of input: lists, tuples, sets and arrays of labels in lists, arrays, pandas,
arrow-backed pandas, polars and pyarrow; missing rows and labels; labels that are numbers;
strings, dicts, indicators and mixed types, which are refused.
"""

import itertools
import pickle

import hostile
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, jaccard_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

from skmultireduce import LabelListClassifier, MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce._data.label_names import names_of
from skmultireduce.inspection import explain_row, top_features, top_labels
from skmultireduce.metrics import precision_at_k_score

X, Y = hostile.data()
TAGS = hostile.names_of(Y)
OVR = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
CONTAINERS = {
    name: change
    for name, change in hostile.LABEL_LISTS.items()
    if not any(word in name for word in ("dicts", "numbers", "names", "strings", "lists as"))
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_column_of_collections_is_read(name):
    for package in ("pandas", "polars", "pyarrow"):
        pytest.importorskip(package)
    y = CONTAINERS[name](Y.copy())
    model = LabelListClassifier(clone(OVR)).fit(X, y)
    expected = clone(OVR).fit(X, Y)
    assert model.label_names_.tolist() == model.estimator_.label_names_.tolist() == [*"abcd"]
    assert model.predict(X).tolist() == hostile.names_of(expected.predict(X))
    for method in ("predict_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(model, method)(X), getattr(expected, method)(X))
    truth = MultiLabelBinarizer().fit_transform(TAGS)
    micro = jaccard_score(truth, expected.predict(X), average="micro")
    assert model.score(X, y) == pytest.approx(micro, rel=1e-12)
    np.testing.assert_array_equal(model.indicator(y).toarray(), truth)


def test_labels_come_in_their_order_whatever_the_classifier_gives():
    """Labels of a row that are stored in another order, and zeros that are stored."""

    class Backwards(MultiLabelSGDClassifier):
        def predict(self, X):
            dense = sp.csr_matrix(super().predict(X))
            rows = [dense.indices[a:b][::-1] for a, b in itertools.pairwise(dense.indptr)]
            indices = np.concatenate([np.append(row, 0) for row in rows])
            data = np.concatenate([np.append(np.ones(len(row)), 0) for row in rows])
            indptr = dense.indptr + np.arange(len(rows) + 1)
            return sp.csr_matrix((data, indices, indptr), shape=dense.shape)

    options = {"reduction": "one_vs_rest", "random_state": 0}
    found = LabelListClassifier(Backwards(**options)).fit(X, TAGS).predict(X)
    assert found.tolist() == LabelListClassifier(clone(OVR)).fit(X, TAGS).predict(X).tolist()


@pytest.mark.parametrize(
    "inner",
    [
        OneVsRestClassifier(LogisticRegression()),
        make_pipeline(StandardScaler(), ThresholdedMultiLabel(OVR, random_state=0)),
    ],
    ids=["scikit-learn", "pipeline"],
)
def test_around_any_classifier(inner):
    model = LabelListClassifier(inner).fit(X, TAGS)
    again = pickle.loads(pickle.dumps(model))
    assert again.predict(X).tolist() == model.predict(X).tolist()
    assert again.label_names_.tolist() == [*"abcd"]
    with pytest.raises(ValueError, match="y"):
        model.fit(X, Y)
    assert not hasattr(model, "estimator_")


def test_numbers_gaps_and_given_names():
    y = [[10, 3], [3], None, [7, None], {10}, ()] * 5
    rows = X[: len(y)]
    model = LabelListClassifier(OVR).fit(rows, y)
    assert model.label_names_.tolist() == [3, 7, 10]
    assert model.indicator(y[:4]).toarray().tolist() == [[1, 0, 1], [1, 0, 0], [0] * 3, [0, 1, 0]]
    given = LabelListClassifier(OVR, label_names=[10, 3, 1])
    with pytest.warns(UserWarning, match="5 labels that are not in label_names"):
        given.fit(rows, y)
    assert given.label_names_.tolist() == [10, 3, 1]
    assert given.score(rows[:1], [[99]]) < 1


def test_unknown_labels_count_as_missed():
    model = LabelListClassifier(OVR).fit(X, TAGS)
    predicted = model.predict(X[:1])[0]
    assert model.score(X[:1], [predicted]) == 1
    assert model.score(X[:1], [[*predicted, "new"]]) == len(predicted) / (len(predicted) + 1)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a;b", "b", "a"], r"row 0 is 'a;b'. Split"),
        ([{"a": 1}, {"b": 1}, {}], "row 0 is"),
        ([1, 2, 3], "row 0 is 1"),
        ([[0, 1], [1, 0], [1, 1]], "indicator matrix goes to"),
        (Y[:3], "indicator matrix goes to"),
        ([["a"], [1], []], "types int, str, which have no common order"),
        ([[], None, []], "No row of y has a label"),
        ([["a"], ["b"]], "inconsistent"),
        (None, "y"),
        (3, "y"),
    ],
)
def test_what_is_refused(y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LabelListClassifier(OVR).fit(X[:3], y)


def test_cross_validation_by_score_and_by_scorers():
    model = LabelListClassifier(ThresholdedMultiLabel(OVR, cv=2, random_state=0))
    y = np.empty(len(TAGS), dtype=object)
    y[:] = TAGS
    at_1 = make_scorer(precision_at_k_score, response_method="predict_proba", k=1)
    scorers = {
        "f1": LabelListClassifier.scorer("f1_micro"),
        "at 1": LabelListClassifier.scorer(at_1),
        "own": LabelListClassifier.scorer(lambda model, rows, y: model.predict(rows).shape[1]),
    }
    own = cross_validate(model, X, TAGS, cv=3)["test_score"]
    found = cross_validate(model, X, y, cv=3, scoring=scorers, error_score="raise")
    assert np.all(own > 0)
    assert found["test_own"].tolist() == [4.0] * 3
    fold = LabelListClassifier(model.estimator).fit(X[20:], y[20:])
    truth, predicted = fold.indicator(y[:20]).toarray(), fold.indicator(fold.predict(X[:20]))
    expected = f1_score(truth, predicted.toarray(), average="micro")
    assert found["test_f1"][0] == pytest.approx(expected)
    lists = cross_val_predict(model, X, y, cv=3)
    assert lists[:20].tolist() == fold.predict(X[:20]).tolist()
    search = GridSearchCV(model, {"estimator__min_labels": [0, 1]}, cv=2, scoring=scorers["f1"])
    assert names_of(search.fit(X, y)).tolist() == [*"abcd"]
    assert search.score(X, y) > 0
    with pytest.raises(ValueError, match="is for LabelListClassifier, got MultiLabelSGD"):
        scorers["f1"](OVR, X, y)
    with pytest.raises(ValueError, match="around the pipeline"):
        scorers["f1"](make_pipeline(model), X, y)
    with pytest.raises(ValueError, match="name or a callable"):
        LabelListClassifier.scorer(3)


def test_names_in_inspection():
    model = LabelListClassifier(OVR).fit(X, TAGS)
    best = top_labels(model, X[:3], 2)
    proba = model.predict_proba(X[:3])
    for row, records in enumerate(best):
        assert [r.label for r in records] == ["abcd"[k] for k in np.argsort(-proba[row])[:2]]
        assert [r.score for r in records] == np.sort(proba[row])[::-1][:2].tolist()
    assert {record.label for record in top_features(model)} == {*"abcd"}
    assert {record.label for record in top_features(model, labels=["b", 3])} == {"b", "d"}
    explained = {record.label for record in explain_row(model, X[[0]])}
    assert explained == set(model.predict(X[[0]])[0])
