"""MultiLabelMLPClassifier."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmultireduce.neural import MultiLabelMLPClassifier


@parametrize_with_checks(
    [
        MultiLabelMLPClassifier(embedding_dim=8),
        MultiLabelMLPClassifier(
            reduction="one_vs_rest", hidden_layer_sizes=(8,), pooling="sum", dtype="float64"
        ),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
