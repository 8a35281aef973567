"""One fit warns once of a kind, at the line of the code that called it."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from skmultireduce import MultiClassReduction
from skmultireduce._data.notices import gathered, pass_on, warn

X, Y = make_multilabel_classification(n_samples=80, n_classes=3, random_state=1)


def test_warnings_are_at_the_line_of_the_caller():
    model = MultiClassReduction(LogisticRegression(max_iter=1000))
    assert np.any(Y.sum(axis=1) == 0)
    with pytest.warns(UserWarning, match="rows have no label") as caught:
        model.fit(X, Y)
    assert [warning.filename for warning in caught] == [__file__]


def test_through_the_tools_of_scikit_learn_too():
    model = MultiClassReduction(LogisticRegression(max_iter=1000))
    with pytest.warns(UserWarning, match="rows have no label") as caught:
        cross_val_score(model, X, Y, cv=2)
    assert [warning.filename for warning in caught] == [__file__] * 2


def test_of_a_kind_the_last_is_passed_on():
    with warnings.catch_warnings(record=True) as caught, gathered() as outer:
        warnings.simplefilter("always")
        with gathered() as first:
            warn("rows", "1 row")
            warn("steps", "short", RuntimeWarning)
        with gathered() as second:
            warn("rows", "2 rows")
        pass_on(first, second)
    assert caught == []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pass_on(outer)
    assert [str(warning.message) for warning in caught] == ["2 rows", "short"]
    assert [warning.category for warning in caught] == [UserWarning, RuntimeWarning]
    assert {warning.filename for warning in caught} == {__file__}


def test_threads_gather_for_themselves():
    def work(kind):
        with gathered() as found:
            warn(kind, kind)
            return found

    with gathered() as mine, ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, ["a", "b"]))
    assert mine == {}
    assert [sorted(one) for one in found] == [["a"], ["b"]]


def test_gathering_ends_with_an_error():
    with pytest.raises(ValueError, match="no"), gathered():
        raise ValueError("no")
    with pytest.warns(UserWarning, match="after"):
        warn("a", "after")
