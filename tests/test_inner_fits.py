"""Estimators inside of others get a y that they read as it is meant."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmultireduce import (
    FixedThresholdMultiLabel,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce._data.inner_fits import fit_inner, indicator, takes_sparse_y
from skmultireduce._data.label_sets import read_labels

X, Y = make_multilabel_classification(
    n_samples=60, n_classes=4, allow_unlabeled=False, random_state=0
)


class ReadsDenseOnly(ClassifierMixin, BaseEstimator):
    """Like xgboost's classifiers: its refusals of sparse y speak of something else."""

    def fit(self, X, y):
        if getattr(y, "ndim", 0) != 2 or not isinstance(y, np.ndarray):
            raise ValueError("The truth value of an array with more than one element is ambiguous")
        self.seen_ = y
        return self


DENSE_ONLY = [
    ReadsDenseOnly(),
    KNeighborsClassifier(3),
    RadiusNeighborsClassifier(40.0),
    RandomForestClassifier(3, random_state=0),
    RidgeClassifier(),
    MLPClassifier(max_iter=500, hidden_layer_sizes=(4,), random_state=0),
    MultiOutputClassifier(LogisticRegression(max_iter=1000)),
    ClassifierChain(LogisticRegression(max_iter=1000)),
    make_pipeline(StandardScaler(), KNeighborsClassifier(3)),
    GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [3]}, cv=2),
]


@pytest.mark.parametrize("estimator", DENSE_ONLY, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_array, sp.coo_matrix])
def test_sparse_y_is_given_dense_to_what_is_not_known_to_take_it(estimator, container):
    """Estimators that refuse sparse y in any words, or misread it: neighbours, forests,
    linear models, networks, an estimator a label, chains, and pipelines and searches of them."""
    y = indicator(*read_labels(container(Y)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = fit_inner(estimator, X, y, {}, rows="all rows")
    if isinstance(estimator, ReadsDenseOnly):
        np.testing.assert_array_equal(fitted.seen_, Y)
    else:
        assert fitted.predict(X).shape == Y.shape


@pytest.mark.parametrize("name", ["xgboost.XGBClassifier", "lightgbm.LGBMClassifier"])
def test_boosters(name):
    module, kind = name.split(".")
    booster = getattr(pytest.importorskip(module), kind)(n_estimators=3)
    inner = MultiOutputClassifier(booster)
    y = indicator(*read_labels(sp.csr_matrix(Y)))
    for estimator in (inner, booster)[: 2 if module == "xgboost" else 1]:
        assert fit_inner(estimator, X, y, {}, rows="all rows").predict(X).shape == Y.shape


@pytest.mark.parametrize(
    "estimator",
    [
        OneVsRestClassifier(LogisticRegression(max_iter=1000)),
        DummyClassifier(),
        MultiLabelSGDClassifier(max_iter=1),
        FixedThresholdMultiLabel(MultiLabelSGDClassifier(max_iter=1)),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression())),
        GridSearchCV(OneVsRestClassifier(LogisticRegression()), {"estimator__C": [1.0]}, cv=2),
        GridSearchCV(MultiLabelSGDClassifier(), {"max_iter": [1]}, cv=2),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_takes_sparse_y_gets_it(estimator):
    assert takes_sparse_y(estimator)
    given = []
    fit = type(estimator).fit

    class Spy(type(estimator)):
        def fit(self, X, y):
            given.append(y)
            return fit(self, X, y)

    estimator.__class__ = Spy
    fit_inner(estimator, X, indicator(*read_labels(sp.csr_matrix(Y))), {}, rows="all rows")
    assert sp.issparse(given[0])


@pytest.mark.parametrize("form", ["array", "frame", "csr", "polars"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "bool", "float32", ">i2"])
def test_types_hold_the_number_of_labels(form, dtype):
    """Integers of any width, bool, floats and foreign byte orders, in arrays, frames and CSR."""
    y = (np.random.default_rng(0).random((300, 200)) < 0.1).astype(dtype)
    given = y
    if form == "frame":
        given = pd.DataFrame(y.astype(np.dtype(dtype).newbyteorder("=")))
    elif form == "csr":
        given = sp.csr_matrix(y.astype(np.dtype(dtype).newbyteorder("=")))
    elif form == "polars":
        polars = pytest.importorskip("polars")
        given = polars.from_numpy(y.astype(np.dtype(dtype).newbyteorder("=")))
    got = indicator(*read_labels(given))
    assert sp.issparse(got) == (form == "csr")
    np.testing.assert_array_equal(got.toarray() if sp.issparse(got) else got, y)
    assert got.dtype.isnative
    assert got.dtype.kind not in "iu" or np.iinfo(got.dtype).max >= 200
    narrow = np.dtype(dtype) in (np.int8, np.uint8)
    if not (narrow and dtype == "int8"):
        assert got.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(("n_labels", "dtype"), [(127, np.int8), (128, np.int32)])
def test_a_type_stays_that_just_holds_the_number_of_labels(n_labels, dtype):
    assert indicator(*read_labels(np.eye(n_labels, dtype=np.int8))).dtype == dtype


def test_types_of_which_scipy_makes_no_matrix():
    for y in (Y.astype(object), Y.astype(np.float16)):
        got = indicator(*read_labels(y))
        assert got.dtype in (np.int32, np.float64)
        np.testing.assert_array_equal(got, Y)


@pytest.mark.parametrize(
    ("estimator", "cause", "positives"),
    [
        (MultiOutputClassifier(LogisticRegression()), "one class", 0),
        (MultiOutputClassifier(LogisticRegression()), "one class", 60),
        (ClassifierChain(LogisticRegression()), "one class", 0),
        (ClassifierChain(LogisticRegression()), "one class", 60),
        (OneVsRestClassifier(CalibratedClassifierCV(RidgeClassifier(), cv=3)), "less than 3", 1),
        (OneVsRestClassifier(CalibratedClassifierCV(RidgeClassifier(), cv=3)), "less than 3", 59),
    ],
    ids=lambda value: getattr(type(value), "__name__", value),
)
@pytest.mark.parametrize("sparse", [False, True])
def test_rare_labels_are_named(estimator, cause, positives, sparse):
    """Labels that no or few rows have, and labels that nearly all have, dense and sparse."""
    y = np.column_stack([Y[:, :2], np.arange(60) < positives, Y[:, 2:]]).astype(int)
    y = sp.csr_matrix(y) if sparse else y
    with pytest.raises(ValueError, match=cause) as caught:
        fit_inner(estimator, X, y, {}, rows="fold 2 of 5")
    message = str(caught.value)
    assert "fold 2 of 5" in message
    assert f"label 2 is there in {positives} of 60 rows" in message
    assert "OneVsRestClassifier" in message


def test_errors_without_rare_labels_stay_as_they_are():
    with pytest.raises(ValueError, match=r"^Input X contains NaN"):
        fit_inner(RidgeClassifier(), np.full_like(X, np.nan), Y, {}, rows="fold 1 of 2")


def test_no_memory_for_the_dense_copy():
    class Huge(sp.csr_array):
        def toarray(self, *args, **kwargs):
            raise MemoryError

    with pytest.raises(MemoryError, match=r"60 rows and 4 labels .* OneVsRestClassifier"):
        fit_inner(KNeighborsClassifier(), X, Huge(Y), {}, rows="all rows")


# --- inside of the estimators that tune or apply a cutoff ---


@pytest.mark.parametrize("meta", [ThresholdedMultiLabel, FixedThresholdMultiLabel])
@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(3),
        RadiusNeighborsClassifier(40.0),
        RandomForestClassifier(3, random_state=0),
        MultiOutputClassifier(LogisticRegression(max_iter=1000)),
        ClassifierChain(LogisticRegression(max_iter=1000)),
        OneVsRestClassifier(LogisticRegression(max_iter=1000)),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.filterwarnings("ignore:The best cutoff:UserWarning")
def test_the_container_of_y_makes_no_difference(meta, estimator):
    """Dense, sparse, frames: the same cutoff and predictions, sparse where y is sparse."""
    options = {"cv": 2, "random_state": 0} if meta is ThresholdedMultiLabel else {}
    expected = meta(estimator, **options).fit(X, Y)
    for y in (sp.csr_matrix(Y), sp.csc_array(Y), pd.DataFrame(Y)):
        model = meta(estimator, **options).fit(X, y)
        got = model.predict(X)
        assert sp.issparse(got) == sp.issparse(y)
        got = got.toarray() if sp.issparse(got) else got
        np.testing.assert_array_equal(got, expected.predict(X))


@pytest.mark.parametrize("meta", [ThresholdedMultiLabel, FixedThresholdMultiLabel])
@pytest.mark.parametrize("form", ["array", "frame", "csr", "polars"])
def test_narrow_integers_train_the_same_labels(meta, form):
    """y of int8 with more labels than it counts, in arrays, pandas, CSR and polars."""
    rng = np.random.default_rng(0)
    y = (rng.random((60, 140)) < 0.3).astype(np.int8)
    y[:4] = np.arange(4)[:, None] % 2 == 0
    inner = OneVsRestClassifier(GaussianNB())
    options = {"cv": 0.5, "random_state": 0} if meta is ThresholdedMultiLabel else {}
    expected = meta(inner, **options).fit(y, y.astype(np.int64)).predict_proba(y)
    if form == "frame":
        given = pd.DataFrame(y)
    elif form == "csr":
        given = sp.csr_matrix(y)
    elif form == "polars":
        given = pytest.importorskip("polars").from_numpy(y)
    else:
        given = y
    got = meta(inner, **options).fit(y, given).predict_proba(y)
    np.testing.assert_array_equal(got, expected)


def test_a_rare_label_is_named_with_its_fold():
    y = np.column_stack([Y, np.arange(60) == 7])
    model = ThresholdedMultiLabel(MultiOutputClassifier(LogisticRegression()), random_state=0)
    with pytest.raises(ValueError, match=r"fold \d of 5.*label 4 is there in 0 of 48 rows"):
        model.fit(X, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("wrap", [False, True])
def test_one_fit_warns_once_at_the_users_line(n_jobs, wrap):
    """Six inner fits that each leave rows out: bare, in a pipeline, in threads and processes."""
    y = Y.copy()
    y[:9] = 0
    inner = MultiLabelSGDClassifier(max_iter=2, random_state=0)
    inner = make_pipeline(StandardScaler(), inner) if wrap else inner
    model = ThresholdedMultiLabel(inner, random_state=0, n_jobs=n_jobs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    caught = [warning for warning in caught if "no label" in str(warning.message)]
    assert [str(warning.message)[:10] for warning in caught] == ["9 of 60 ro"]
    assert [warning.filename for warning in caught] == [__file__]
