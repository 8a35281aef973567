"""Learning rates and patience."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmultireduce._training.schedule import LEARNING_RATES, Patience, epoch_steps, part_of_steps


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


@given(
    steps=st.tuples(st.floats(0, 10), st.floats(0, 10)),
    cuts=st.lists(st.integers(0, 1000), max_size=4),
)
def test_parts_of_an_epoch_join_to_the_whole(steps, cuts):
    bounds = [0, *sorted(cuts), 1000]
    parts = [part_of_steps(steps, *bound, 1000) for bound in pairwise(bounds)]
    assert (parts[0][0], parts[-1][1]) == steps
    for before, after in pairwise(parts):
        assert before[1] == pytest.approx(after[0], rel=1e-12, abs=1e-12)
    for (first, _), (begin, _) in zip(pairwise(bounds), parts, strict=True):
        on_the_line = np.interp(first, [0, 1000], steps)
        assert begin == pytest.approx(on_the_line, rel=1e-9, abs=1e-9)


def test_patience():
    patience = Patience(n_iter_no_change=2, tol=0.1)
    assert patience.update(1.0)
    # Better, but by less than tol: kept as the best, yet time runs.
    assert patience.update(1.05)
    assert not patience.exhausted
    assert not patience.update(0.9)
    assert patience.exhausted
