import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from skmultireduce.metrics import jaccard_threshold_curve


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    average=st.sampled_from(["micro", "samples", "macro"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    weighted=st.booleans(),
)
def test_every_point_is_the_score_of_its_threshold(seed, average, dtype, weighted):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (8, 3))
    y_score = (rng.integers(-4, 5, (8, 3)) / 3).astype(dtype)
    weight = rng.integers(1, 4, 8) if weighted else None
    scores, thresholds = jaccard_threshold_curve(y, y_score, average=average, sample_weight=weight)
    expected = [
        jaccard_score(y, y_score > t, average=average, zero_division=0, sample_weight=weight)
        for t in thresholds
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-12)
    assert np.all(np.diff(thresholds) > 0)
    every = [
        jaccard_score(y, y_score >= t, average=average, zero_division=0, sample_weight=weight)
        for t in np.unique(y_score)
    ]
    assert scores.max(initial=0) == pytest.approx(max(every))


def test_thinned_curve_is_part_of_the_whole():
    rng = np.random.default_rng(0)
    y = sp.csr_array(rng.integers(0, 2, (200, 5)))
    y_score = rng.random((200, 5))
    scores, thresholds = jaccard_threshold_curve(y, y_score)
    few, at = jaccard_threshold_curve(y, y_score, n_thresholds=10)
    assert len(few) == 10
    assert (at[0], at[-1]) == (thresholds[0], thresholds[-1])
    np.testing.assert_array_equal(few, scores[np.isin(thresholds, at)])


def test_no_positives_gives_an_empty_curve():
    scores, thresholds = jaccard_threshold_curve(np.zeros((3, 2), int), np.ones((3, 2)))
    assert len(scores) == len(thresholds) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_score": np.ones((3, 3))}, "y_score has shape"),
        ({"y_score": np.full((3, 2), np.nan)}, "NaN"),
        ({"y_true": [0, 1, 0]}, "y_true is 1-D"),
        ({"average": "weighted"}, "average='weighted'"),
        ({"n_thresholds": 1}, "n_thresholds=1"),
        ({"sample_weight": [-1, 1, 1]}, "Negative"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"y_true": np.eye(3, 2, dtype=int), "y_score": np.ones((3, 2)), **changes}
    with pytest.raises(ValueError, match=message):
        jaccard_threshold_curve(**arguments)
