"""Learning rates and patience."""

import math

import pytest

from skmultireduce._schedule import LEARNING_RATES, Patience, epoch_steps


def test_linear_reaches_zero_and_stays_positive_beyond():
    steps = [epoch_steps("linear", 2.0, epoch, 4) for epoch in range(4)]
    assert steps == [(2.0, 1.5), (1.5, 1.0), (1.0, 0.5), (0.5, 0.0)]
    assert epoch_steps("linear", 2.0, 9, 4) == (0.25, 0.25)


@pytest.mark.parametrize("name", LEARNING_RATES)
def test_epochs_join(name):
    for epoch in range(6):
        assert epoch_steps(name, 3.0, epoch, 7)[1] == epoch_steps(name, 3.0, epoch + 1, 7)[0]


def test_constant_and_invscaling():
    assert epoch_steps("constant", 0.3, 5, 2) == (0.3, 0.3)
    assert epoch_steps("invscaling", 1.0, 3, 2) == (0.5, 1 / math.sqrt(5))


def test_patience():
    patience = Patience(n_iter_no_change=2, tol=0.1)
    assert patience.update(1.0)
    # Better, but by less than tol: kept as the best, yet time runs.
    assert patience.update(1.05)
    assert not patience.exhausted
    assert not patience.update(0.9)
    assert patience.exhausted
