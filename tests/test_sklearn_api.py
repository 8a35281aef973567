"""scikit-learn's common checks, and what its users do with any estimator."""

import inspect

import numpy as np
import pytest
from registry import INSTANCES
from sklearn.base import BaseEstimator, clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import skmultireduce
from skmultireduce import _sklearn

EXPECTED = {id(estimator): failures for estimator, failures in INSTANCES}


# The checks' tiny data has rows without labels and labels without rows, which we warn of.
@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks(
    [estimator for estimator, _ in INSTANCES],
    expected_failed_checks=lambda estimator: EXPECTED.get(id(estimator), {}),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_registry_has_every_public_estimator():
    public = {
        name
        for name in skmultireduce.__all__
        if inspect.isclass(getattr(skmultireduce, name))
        and issubclass(getattr(skmultireduce, name), BaseEstimator)
    }
    # Its y are lists, which scikit-learn's checks do not have.
    public.remove("LabelListClassifier")
    assert public == {type(estimator).__name__ for estimator, _ in INSTANCES}


@pytest.mark.parametrize("estimator", [e for e, _ in INSTANCES], ids=repr)
def test_html_and_text_representation(estimator):
    assert type(estimator).__name__ in estimator._repr_html_()
    assert type(estimator).__name__ in repr(estimator)


@pytest.mark.parametrize("estimator", [e for e, _ in INSTANCES], ids=repr)
def test_html_links_to_the_page_of_the_estimator(estimator, monkeypatch):
    page = f"https://pages.example/api/generated/skmultireduce.{type(estimator).__name__}.html"
    monkeypatch.setattr(_sklearn, "documentation_address", lambda: "https://pages.example")
    assert f'href="{page}"' in estimator._repr_html_()
    monkeypatch.setattr(_sklearn, "documentation_address", lambda: "")
    assert "pages.example" not in estimator._repr_html_()


def test_address_of_the_documentation_is_that_of_the_package(monkeypatch):
    class Package:
        def get_all(self, name):
            assert name == "Project-URL"
            return ["Repository, https://code.example", "Documentation, https://pages.example/"]

    monkeypatch.setattr(_sklearn, "metadata", lambda name: Package())
    assert _sklearn.documentation_address.__wrapped__() == "https://pages.example"


@pytest.mark.parametrize("estimator", [e for e, _ in INSTANCES], ids=repr)
def test_fit_does_not_change_parameters_or_data(estimator):
    rng = np.random.default_rng(0)
    y = (rng.random((80, 4)) < 0.4).astype(int)
    y[np.arange(80), rng.integers(0, 4, 80)] = 1
    X = y @ rng.normal(size=(4, 6)) * 3 + rng.normal(size=(80, 6))
    X_before, y_before = X.copy(), y.copy()
    model = clone(estimator)
    before = {k: repr(v) for k, v in model.get_params().items()}
    model.fit(X, y).predict(X)
    assert {k: repr(v) for k, v in model.get_params().items()} == before
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
