"""The records of reductions and losses say what the estimators and kernels do."""

import numpy as np
import pytest

from skmultireduce import MultiLabelSGDClassifier
from skmultireduce._kernels.linear import LOSS_CODES
from skmultireduce._reductions.table import (
    BY_NAME,
    LOSSES,
    ONE_VS_REST,
    REDUCTIONS,
    SELECTING,
    SOFTMAX_REDUCTIONS,
    loss_of,
)


def test_each_loss_has_a_code_and_each_code_a_loss():
    assert {loss.name: loss.code for loss in LOSSES.values()} == LOSS_CODES


def test_names_are_keys_and_each_reduction_is_of_one_kind():
    assert all(name == record.name for name, record in {**BY_NAME, **LOSSES}.items())
    assert sorted(REDUCTIONS + SELECTING) == sorted(BY_NAME)
    assert sorted(SOFTMAX_REDUCTIONS + ONE_VS_REST) == sorted(REDUCTIONS)


@pytest.mark.parametrize("option", ["log_loss", "squared_hinge"])
def test_losses_follow_the_options(option):
    assert {loss_of(name, option).name for name in SOFTMAX_REDUCTIONS} == {"softmax"}
    assert {loss_of(name, option).option for name in ONE_VS_REST} == {option}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)
def test_smoothness_bounds_the_curvature(loss):
    """The largest second derivative along a score, and for the softmax along any direction."""
    z = np.linspace(-6, 6, 4001)
    if loss.link == "softmax":
        # Along (1, -1)/sqrt(2) of two scores: twice p (1 - p).
        curvature = 2 / (2 + np.exp(z) + np.exp(-z))
    elif loss.link == "logistic":
        curvature = 1 / (2 + np.exp(z) + np.exp(-z))
    else:
        curvature = 2.0 * (z < 1)
    assert curvature.max() == pytest.approx(loss.smoothness, rel=1e-5)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_what_is_learned(name):
    """On rows that are all alike the optimum is what the record says."""
    record = BY_NAME[name]
    # Three in four rows have the labels 0 and 1, the others 2 alone.
    y = np.array([[1, 1, 0]] * 3 + [[0, 0, 1]])
    X = np.ones((400, 1))
    model = MultiLabelSGDClassifier(
        reduction=name, alpha=1e-9, eta0=0.02, max_iter=30, random_state=0
    ).fit(X, np.tile(y, (100, 1)))
    wanted = {"pick": [0.375, 0.375, 0.25], "marginals": [0.75, 0.75, 0.25]}[record.learns]
    if record.softmax:
        wanted = np.divide(wanted, np.sum(wanted))
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], wanted, atol=0.02)
