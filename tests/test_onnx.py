"""Exported models give the same labels and probabilities."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from skmultireduce import (
    FixedThresholdMultiLabel,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce.datasets import read_fasttext

pytest.importorskip("skl2onnx")
runtime = pytest.importorskip("onnxruntime")

from skmultireduce.onnx import to_onnx  # noqa: E402

# skl2onnx and onnx warn of each other's releases.
pytestmark = pytest.mark.filterwarnings("ignore")


def run(model, rows, **params):
    proto = to_onnx(model, **params)
    session = runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: rows})


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    y = (rng.random((150, 5)) < 0.4).astype(np.int8)
    y[np.arange(150), rng.integers(0, 5, 150)] = 1
    X = (y @ rng.normal(size=(5, 8)) + rng.normal(size=(150, 8))).astype(np.float32)
    return X, y


def test_names_of_labels_are_metadata(problem):
    X, y = problem
    model = MultiLabelSGDClassifier(random_state=0).fit(X, y)
    assert not to_onnx(model).metadata_props
    (entry,) = to_onnx(model.set_label_names([*"pqrs", 5])).metadata_props
    assert (entry.key, json.loads(entry.value)) == ("label_names", ["p", "q", "r", "s", "5"])


def assert_same(found, model, X, atol=1e-5):
    labels, values = found
    expected = model.predict(X)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    inner = getattr(model, "estimator_", model)
    method = "predict_proba"
    if getattr(inner, "loss", None) == "squared_hinge":
        method = "decision_function"
    np.testing.assert_allclose(values, getattr(inner, method)(X), atol=atol, rtol=0)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"reduction": "pick_all", "average": True},
        {"reduction": "one_vs_rest"},
        {"reduction": "one_vs_rest", "dtype": "float64", "fit_intercept": False},
        {"reduction": "one_vs_rest", "loss": "squared_hinge"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["multilabel", "integers", "floats", "strings"])
def test_linear(problem, parameters, kind):
    X, y = problem
    if kind != "multilabel":
        y = y.argmax(axis=1)
    if kind == "floats":
        y = y.astype(float)
    if kind == "strings":
        y = np.array(list("abcde"))[y]
    model = MultiLabelSGDClassifier(random_state=0, **parameters).fit(X, y)
    found = run(model, X, X=X[:1])
    assert_same(found, model, X)


@pytest.mark.parametrize("strategy", ["global", "per_label"])
@pytest.mark.parametrize(
    "inner",
    [
        MultiLabelSGDClassifier(random_state=0),
        MultiLabelSGDClassifier(reduction="one_vs_rest", loss="squared_hinge", random_state=0),
        OneVsRestClassifier(LogisticRegression()),
    ],
    ids=["softmax", "hinge", "logistic"],
)
def test_thresholded(problem, inner, strategy):
    X, y = problem
    model = ThresholdedMultiLabel(inner, strategy=strategy, cv=3, random_state=0).fit(X, y)
    assert_same(run(model, X), model, X)


def test_fixed_threshold(problem):
    X, y = problem
    inner = MultiLabelSGDClassifier(random_state=0)
    model = FixedThresholdMultiLabel(inner, threshold=[0.1, 0.2, 0.3, 0.2, 0.1]).fit(X, y)
    assert_same(run(model, X), model, X)


@pytest.mark.parametrize(
    "parameters",
    [
        {"strategy": "adjusted"},
        {"strategy": "top_k"},
        {"strategy": "relative"},
        {"min_labels": 1},
        {"max_labels": 2},
        {"response_method": "decision_function"},
    ],
    ids=str,
)
def test_what_has_no_fixed_threshold_is_refused(problem, parameters):
    X, y = problem
    inner = MultiLabelSGDClassifier(random_state=0)
    model = ThresholdedMultiLabel(inner, cv=2, random_state=0, **parameters).fit(X, y)
    with pytest.raises(ValueError, match=next(iter(parameters))):
        to_onnx(model)


def _close_calls(model, X, atol):
    """Pairs whose score is so near to its cutoff that rounding decides."""
    return np.abs(model.decision_function(X)) < atol


def test_cooking(cooking):
    X, y, X_test, _ = cooking
    inner = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0, max_iter=5)
    model = ThresholdedMultiLabel(inner, cv=0.2, random_state=0).fit(X, y)
    rows = X_test[:1000].astype(np.float32).toarray()
    labels, values = run(model, rows)
    np.testing.assert_allclose(values, model.predict_proba(rows), atol=1e-5, rtol=0)
    differ = labels != model.predict(X_test[:1000]).toarray()
    assert not np.any(differ & ~_close_calls(model, X_test[:1000], 1e-6))


def test_text_pipeline(cooking_files):
    from skl2onnx.common.data_types import StringTensorType

    train = read_fasttext(cooking_files[0])
    data, target = train.data[:2000], train.target[:2000]
    target = target[:, np.flatnonzero(np.bincount(target.indices, minlength=735) > 20)]
    model = make_pipeline(
        TfidfVectorizer(lowercase=False, token_pattern="[a-z]+"),
        ThresholdedMultiLabel(
            MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0, max_iter=5),
            cv=0.2,
            random_state=0,
        ),
    ).fit(data, target)
    texts = train.data[2000:2200]
    labels, values = run(
        model,
        np.array(texts, dtype=object)[:, None],
        initial_types=[("text", StringTensorType([None, 1]))],
    )
    np.testing.assert_allclose(values, model.predict_proba(texts), atol=1e-5, rtol=0)
    differ = labels != model.predict(texts).toarray()
    assert not np.any(differ & ~_close_calls(model, texts, 1e-5))
