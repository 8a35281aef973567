"""What a kernel writes into must be writable: a model that is mapped from a file is read-only."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_multilabel_classification

from skmultireduce import (
    LabelTreeClassifier,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce._kernels import cutoff, dense, linear, mlp, stratify, tree
from skmultireduce.model_selection import MultilabelStratifiedKFold


def arrays_of(values):
    for value in values:
        if isinstance(value, tuple | list):
            yield from arrays_of(value)
        elif isinstance(value, np.ndarray):
            yield value


class Recorder:
    """Kernels that refuse, in turn, each array that they change in a call."""

    def __init__(self, monkeypatch):
        self.names = set()
        for module in (cutoff, dense, linear, mlp, stratify, tree):
            for name, kernel in vars(module).items():
                if callable(kernel):
                    monkeypatch.setattr(module, name, self.watched(name, kernel))

    def watched(self, name, kernel):
        def call(*args):
            arrays = list(arrays_of(args))
            before = [array.copy() for array in arrays]
            found = kernel(*args)
            for array, old in zip(arrays, before, strict=True):
                if array.tobytes() == old.tobytes():
                    continue
                self.names.add(name)
                array.flags.writeable = False
                with pytest.raises(ValueError, match="read-only"):
                    kernel(*args)
                array.flags.writeable = True
            return found

        return call


KERNELS = {
    "add_bins", "add_candidate_bins", "add_candidate_cut", "add_common_cut", "add_cut",
    "add_histogram", "add_label_bins", "assign_folds", "cluster_labels", "dense_epoch",
    "dense_scores", "exchange_rows", "label_vectors", "level_targets", "linear_scores",
    "mlp_epoch", "mlp_scores", "open_nodes", "sgd_epoch", "sparse_scores", "top_labels",
    "train_nodes",
}  # fmt: skip


def test_what_kernels_write_into_must_be_writable(monkeypatch):
    recorder = Recorder(monkeypatch)
    X, Y = make_multilabel_classification(40, 128, allow_unlabeled=False, random_state=0)
    for estimator in (
        MultiLabelSGDClassifier(max_iter=1),
        MultiLabelSGDClassifier(reduction="one_vs_rest", max_iter=1),
        MultiLabelMLPClassifier(embedding_dim=4, max_iter=1),
        LabelTreeClassifier(branching=(2,), max_iter=1),
    ):
        for rows in (X, sp.csr_array(X)):
            estimator.fit(rows, Y).predict_scores(rows, top_k=2)
    for strategy in ("global", "per_label"):
        for form in ({}, {"response_method": "predict_scores", "n_candidates": 2}):
            ThresholdedMultiLabel(estimator, cv="prefit", strategy=strategy, **form).fit(X, Y)
    MultiLabelSGDClassifier(max_iter=1).fit(X, Y).sparsify().predict(X)
    list(MultilabelStratifiedKFold(2).split(X, Y))
    assert recorder.names == KERNELS
