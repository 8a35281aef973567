"""Names of labels travel with the model.

Classes of input: frames of pandas (NumPy, nullable, arrow-backed), polars and pyarrow;
columns that are no names (numbers, mixed, twice); readers of files; names that are given;
every estimator, pipelines, searches, pickles, copies, clusters.
"""

import pickle
from copy import deepcopy

import hostile
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from registry import INSTANCES
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from skmultireduce import (
    FixedThresholdMultiLabel,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce._data.label_names import names_of
from skmultireduce.datasets import FastTextBlocks

X, Y = hostile.data()
NAMES = ["art", "sport", "law", "wine"]
FRAME = pd.DataFrame(Y, columns=NAMES)
IDS = [f"{number}-{type(model).__name__}" for number, (model, _) in enumerate(INSTANCES)]
pytestmark = pytest.mark.filterwarnings("ignore:The number of unique classes")


def fresh(number):
    return clone(INSTANCES[number][0])


@pytest.mark.parametrize("number", range(len(INSTANCES)), ids=IDS)
def test_every_estimator_has_names(number):
    model = fresh(number)
    assert not hasattr(model, "label_names_") or isinstance(model, FixedThresholdMultiLabel)
    model.fit(X, FRAME)
    assert model.label_names_.tolist() == NAMES
    plain = fresh(number).fit(X, Y)
    assert plain.label_names_.tolist() == [0, 1, 2, 3]
    assert plain.set_label_names(NAMES[::-1]) is plain
    assert plain.label_names_.tolist() == NAMES[::-1]
    for copy in (pickle.loads(pickle.dumps(plain)), deepcopy(plain)):
        assert copy.label_names_.tolist() == NAMES[::-1]
    assert plain.fit(X, Y).label_names_.tolist() == [0, 1, 2, 3]
    classes = np.array(NAMES)[Y.argmax(axis=1)]
    assert fresh(number).fit(X, classes).label_names_.tolist() == sorted(NAMES)
    with pytest.raises(ValueError, match="1-D y"):
        fresh(number).fit(X, classes).set_label_names(NAMES)


@pytest.mark.parametrize("number", range(len(INSTANCES)), ids=IDS)
def test_other_names_are_refused_by_partial_fit(number):
    model = fresh(number)
    if not hasattr(model, "partial_fit"):
        pytest.skip("no partial_fit")
    model.partial_fit(X, FRAME).partial_fit(X, Y)
    assert model.label_names_.tolist() == NAMES
    with pytest.raises(ValueError, match=r"column 0 is 'sport' and was 'art'.*label_names_"):
        model.partial_fit(X, FRAME[["sport", "art", "law", "wine"]])
    assert model.partial_fit(X, FRAME[model.label_names_]).label_names_.tolist() == NAMES


@pytest.mark.parametrize("kind", ["Int64", "boolean", "double[pyarrow]", "polars", "pyarrow"])
def test_frames(kind):
    pytest.importorskip("pyarrow")
    frame = {
        "polars": lambda: pytest.importorskip("polars").DataFrame(FRAME),
        "pyarrow": lambda: pytest.importorskip("pyarrow").table(dict(FRAME.items())),
    }.get(kind, lambda: FRAME.astype(kind))()
    assert MultiLabelSGDClassifier().fit(X, frame).label_names_.tolist() == NAMES


@pytest.mark.parametrize("columns", [[3, 1, 2, 0], ["a", 1, "b", 2], ["a", "a", "b", "c"]])
def test_columns_that_are_no_names(columns):
    frame = pd.DataFrame(Y, columns=columns)
    assert MultiLabelSGDClassifier().fit(X, frame).label_names_.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b"], "2 names.* 4 labels"),
        (["a", "b", "c", "a"], "'a' more than once"),
        (3, "label_n"),
    ],
)
def test_wrong_names(names, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MultiLabelSGDClassifier().fit(X, sp.csr_array(Y)).set_label_names(names)


def test_names_from_readers():
    lines = ["__label__b one two", "__label__a __label__b two three"] * 10
    blocks = FastTextBlocks(lines, HashingVectorizer(n_features=32), block_size=7)
    model = MultiLabelSGDClassifier(max_iter=2).fit_stream(blocks)
    assert model.label_names_.tolist() == ["a", "b"]
    frames = [(X[:30], FRAME[:30]), (X[30:], FRAME[30:])]
    assert MultiLabelSGDClassifier().fit_stream(frames).label_names_.tolist() == NAMES
    frames[1] = (X[30:], FRAME[30:][NAMES[::-1]])
    with pytest.raises(ValueError, match="column 0 is 'wine' and was 'art'"):
        MultiLabelSGDClassifier().fit_stream(frames)


def test_names_go_in_and_out_of_wrappers():
    texts = [" ".join(f"w{k}" for k in np.flatnonzero(row)) for row in Y]
    inner = make_pipeline(CountVectorizer(token_pattern=r"w\d"), MultiLabelSGDClassifier())
    model = ThresholdedMultiLabel(inner, random_state=0).fit(texts, FRAME)
    assert model.estimator_[-1].label_names_.tolist() == NAMES
    model.set_label_names(NAMES[::-1])
    assert model.estimator_[-1].label_names_.tolist() == NAMES[::-1]
    search = GridSearchCV(make_pipeline(model), {"thresholdedmultilabel__min_labels": [1]}, cv=2)
    assert names_of(search.fit(texts, FRAME)).tolist() == NAMES
    fitted = MultiLabelSGDClassifier(reduction="one_vs_rest").fit(X, FRAME)
    for wrapper in (
        ThresholdedMultiLabel(fitted, cv="prefit").fit(X, Y),
        FixedThresholdMultiLabel(fitted, threshold=0.3),
    ):
        assert wrapper.label_names_.tolist() == NAMES
    # A model of somebody else is left as it is.
    other = fitted.set_label_names(range(4))
    ThresholdedMultiLabel(other, cv="prefit").fit(X, FRAME)
    assert other.label_names_.tolist() == [0, 1, 2, 3]
    assert names_of(OneVsRestClassifier(LogisticRegression()).fit(X, Y)) is None


def test_weights_of_labels_by_name():
    by_number = MultiLabelSGDClassifier(class_weight={1: 3.0}, random_state=0).fit(X, FRAME)
    by_name = MultiLabelSGDClassifier(class_weight={"sport": 3.0}, random_state=0).fit(X, FRAME)
    np.testing.assert_array_equal(by_name.coef_, by_number.coef_)
    with pytest.raises(ValueError, match="names of its columns"):
        MultiLabelSGDClassifier(class_weight={"sport": 3.0}).fit(X, Y)
