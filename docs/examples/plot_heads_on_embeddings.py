"""
Heads on embeddings
===================

A linear head on dense vectors: here tf-idf rows of texts, reduced to 256 dimensions by a truncated
SVD, stand for what any encoder gives. Which reduction fits, what the exact cutoff adds, which
labels the head knows, and what other heads do on the same vectors.
"""

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import jaccard_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
encoder = make_pipeline(
    TfidfVectorizer(lowercase=False, min_df=2, sublinear_tf=True),
    TruncatedSVD(256, random_state=0),
    Normalizer(),
)
# Encoders are mostly stored in half precision: the head takes them so, without a copy.
X_train = encoder.fit_transform(train.data).astype(np.float16)
X_test = encoder.transform(test.data).astype(np.float16)
print(X_train.shape, X_train.dtype, "and", train.target.shape[1], "labels")

# %%
# Reductions
# ----------
# The same cutoff search for all: one value for all labels, found exactly on held-out folds.
heads = {
    "one_vs_rest": {"reduction": "one_vs_rest"},
    "one_vs_rest,\nsquared hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
    "pick_all": {"reduction": "pick_all"},
    "pick_all_normalized": {"reduction": "pick_all_normalized"},
}
y_train, truth = train.target.toarray(), test.target.toarray()
scores, seconds = {}, {}
for name, parameters in heads.items():
    model = ThresholdedMultiLabel(
        MultiLabelSGDClassifier(**parameters, random_state=0), random_state=0
    )
    begin = time.perf_counter()
    model.fit(X_train, y_train)
    seconds[name] = time.perf_counter() - begin
    predicted = model.predict(X_test)
    scores[name] = jaccard_score(truth, predicted, average="micro")

# %%
# A ridge regression on indicators is the cheapest peer. Its scores are not made for the cutoff 0:
# ``ThresholdedMultiLabel`` finds theirs as well.

for name, model in (
    ("ridge, cutoff 0", RidgeClassifier()),
    ("ridge,\nexact cutoff", ThresholdedMultiLabel(RidgeClassifier(), random_state=0)),
):
    begin = time.perf_counter()
    model.fit(X_train.astype(np.float32), y_train)
    seconds[name] = time.perf_counter() - begin
    predicted = model.predict(X_test.astype(np.float32))
    scores[name] = jaccard_score(truth, predicted, average="micro")

figure, ax = plt.subplots(figsize=(6, 3.4))
positions = np.arange(len(scores))
ax.barh(positions, list(scores.values()), color=["C0"] * len(heads) + ["0.6"] * 2)
for position, name in zip(positions, scores, strict=True):
    ax.annotate(
        f" {seconds[name]:.1f} s with search", (scores[name], position), va="center", fontsize=8
    )
ax.set_yticks(positions, list(scores))
ax.invert_yaxis()
ax.set_xlim(0, 1.35 * max(scores.values()))
_ = ax.set(xlabel="micro-averaged Jaccard index on test rows", title="Heads on 256 dimensions")

# %%
# What the head knows, label by label
# -----------------------------------
best = ThresholdedMultiLabel(
    MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0), random_state=0
).fit(X_train, y_train)
predicted = best.predict(X_test)
by_label = jaccard_score(truth, predicted, average=None, zero_division=0)
n_rows = y_train.sum(axis=0)
order = np.argsort(-n_rows)
names = np.asarray(train.target_names)
for label in (*order[:5], *order[-5:]):
    print(f"{names[label]:16} {n_rows[label]:5.0f} rows, Jaccard index {by_label[label]:.2f}")
