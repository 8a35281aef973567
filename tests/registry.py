"""Cheap instances of every public estimator; a new estimator is tested the day it is here."""

from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB

from skmultireduce import (
    FixedThresholdMultiLabel,
    LabelTreeClassifier,
    MultiClassReduction,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)

_STEPS = (
    "Stochastic gradient steps: the order of the rows, the draws and the number of steps depend "
    "on the number of rows, so that a row of weight 2 and the row given twice agree in the "
    "objective, but not step by step (as for scikit-learn's SGDClassifier)."
)
STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": _STEPS,
    "check_sample_weight_equivalence_on_sparse_data": _STEPS,
}

_FOREIGN = OneVsRestClassifier(LogisticRegression())

# (instance, checks of scikit-learn that are expected to fail, with the reason)
INSTANCES = [
    (MultiLabelSGDClassifier(), STOCHASTIC),
    (MultiLabelSGDClassifier(reduction="pick_all", average=True, dtype="float64"), STOCHASTIC),
    (MultiLabelSGDClassifier(reduction="one_vs_rest", n_jobs=2), STOCHASTIC),
    (MultiLabelSGDClassifier(reduction="one_vs_rest", loss="squared_hinge"), STOCHASTIC),
    (MultiClassReduction(GaussianNB()), {}),
    (MultiClassReduction(GaussianNB(), reduction="pick_one", unlabeled="none"), {}),
    (MultiClassReduction(GaussianNB(), size_model="expected", n_jobs=1), {}),
    (
        MultiClassReduction(LogisticRegression(max_iter=1000), size_model="joint", decision="f1"),
        {},
    ),
    (ThresholdedMultiLabel(_FOREIGN, cv=2), {}),
    (
        ThresholdedMultiLabel(OneVsRestClassifier(RidgeClassifier()), cv=2, strategy="adjusted"),
        {},
    ),
    (FixedThresholdMultiLabel(_FOREIGN), {}),
    (MultiLabelMLPClassifier(embedding_dim=8), STOCHASTIC),
    (
        MultiLabelMLPClassifier(
            reduction="one_vs_rest", hidden_layer_sizes=(8,), pooling="sum", dtype="float64"
        ),
        STOCHASTIC,
    ),
    (MultiLabelMLPClassifier(reduction="pick_all", alpha=1e-4, dropout=0.1), STOCHASTIC),
    (MultiLabelMLPClassifier(embedding_dim=8, alpha=1e-4, n_sampled_labels=2), STOCHASTIC),
    (LabelTreeClassifier(), STOCHASTIC),
    (LabelTreeClassifier(branching=(2,), n_trees=2, n_jobs=2), STOCHASTIC),
    (
        LabelTreeClassifier(reduction="pick_all_normalized", branching=(2,), dtype="float16"),
        STOCHASTIC,
    ),
    (LabelTreeClassifier(reduction="pick_one", branching=(2,)), STOCHASTIC),
]
