"""The small problem and the models of the golden results."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from skmultireduce import (
    FixedThresholdMultiLabel,
    LabelTreeClassifier,
    MultiClassReduction,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)


def data():
    """Rows and label sets from integer arithmetic alone: the same with every NumPy."""
    i, j, k = np.arange(80)[:, None], np.arange(5), np.arange(4)
    X = ((i * i * 7 + i * (3 * j + 1) + j * j * 11) % 23 - 11) / 8.0
    coef = (j[:, None] * 5 + k * 3 + j[:, None] * k) % 7 - 3.0
    y = (X @ coef + (i * 5 % 7 - 3) > 2).astype(np.int8)
    y[np.flatnonzero(y.sum(axis=1) == 0), 0] = 1
    return X, y


LINEAR = {
    **{
        reduction: {"reduction": reduction}
        for reduction in (
            "pick_one",
            "pick_all_normalized",
            "pick_all",
            "one_vs_rest",
            "one_vs_rest_normalized",
        )
    },
    "pick_one, cycle": {"reduction": "pick_one", "label_sampling": "cycle"},
    "one_vs_rest, squared_hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
    "one_vs_rest, average": {"reduction": "one_vs_rest", "average": True},
    # With the automatic rates of this release; those above have the ones of 0.1.0, as numbers.
    "pick_one, automatic": {"reduction": "pick_one", "alpha": "auto", "eta0": "auto"},
    "one_vs_rest, automatic": {"reduction": "one_vs_rest", "alpha": "auto", "eta0": "auto"},
}


def linear(name):
    """One of the linear models, not fitted."""
    parameters = {"dtype": "float64", "random_state": 11, "max_iter": 30, **LINEAR[name]}
    return MultiLabelSGDClassifier(**{**given_rates(**LINEAR[name]), **parameters})


def given_rates(reduction, loss="log_loss", **_):
    """Penalty and first step that release 0.1.0 took for these rows."""
    X, y = data()
    square, size = float((X * X).sum(axis=1).mean()), 1.0
    kind = loss if loss == "squared_hinge" else "softmax" if "pick" in reduction else "sigmoid"
    c = {"softmax": 10.0, "sigmoid": 5.0, "squared_hinge": 0.25}[kind]
    curvature = {"softmax": 0.5, "sigmoid": 0.25, "squared_hinge": 2.0}[kind]
    weight = np.ones(len(X))
    if reduction in ("pick_all", "pick_all_normalized"):
        weight = y.sum(axis=1) if reduction == "pick_all" else weight
        size = float(weight.mean())
    step = curvature * float((weight * (X * X).sum(axis=1)).mean())
    return {"alpha": square * size / (c * len(X)), "eta0": 1 / step}


def pickled():
    """Fitted models of every kind, small."""
    X, y = data()
    sgd = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0, max_iter=5)
    models = {
        "linear": MultiLabelSGDClassifier(random_state=0, max_iter=5),
        "thresholded": ThresholdedMultiLabel(sgd, cv=2, random_state=0),
        "fixed": FixedThresholdMultiLabel(sgd, threshold=0.4),
        "reduction": MultiClassReduction(sgd.__class__(random_state=0, max_iter=5)),
        "logistic": MultiClassReduction(LogisticRegression(), size_model="joint"),
        "neural": MultiLabelMLPClassifier(embedding_dim=4, random_state=0, max_iter=5),
        "averaged": MultiLabelSGDClassifier(random_state=0, max_iter=5, average=True),
        "tree": LabelTreeClassifier(random_state=0, max_iter=5),
        "per label": ThresholdedMultiLabel(sgd, strategy="per_label", cv=2, random_state=0),
        "sparse scores": ThresholdedMultiLabel(
            sgd, response_method="predict_scores", n_candidates=3, cv=2, random_state=0
        ),
    }
    fitted = {name: model.fit(X, y) for name, model in models.items()}
    fitted["pruned"] = MultiLabelSGDClassifier(random_state=0, max_iter=5).fit(X, y).sparsify()
    # In the midst of a stream, on scaled dense rows.
    stream = MultiLabelSGDClassifier(random_state=0, max_iter=5)
    for rows in (slice(0, 40), slice(40, None)):
        stream.partial_fit(5.0 + 3.0 * X[rows], y[rows])
    fitted["stream"] = stream
    return fitted


def objective(model, X, y):
    """Penalised training loss of a linear model, computed anew from its coefficients."""
    scores = (X @ model.coef_.T + model.intercept_).astype(np.float64)
    y = np.asarray(y, dtype=np.float64)
    sizes = np.maximum(y.sum(axis=1, keepdims=True), 1)
    if model.reduction.startswith("pick"):
        weight = y if model.reduction == "pick_all" else y / sizes
        top = scores.max(axis=1, keepdims=True)
        log_total = top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        loss = (weight * (log_total - scores)).sum(axis=1)
    elif model.loss == "squared_hinge":
        loss = (np.maximum(0, 1 - (2 * y - 1) * scores) ** 2).sum(axis=1)
    else:
        target = y / sizes if model.reduction == "one_vs_rest_normalized" else y
        loss = (np.logaddexp(0, scores) - target * scores).sum(axis=1)
    return float(loss.mean() + model.alpha_ / 2 * np.sum(model.coef_**2))
