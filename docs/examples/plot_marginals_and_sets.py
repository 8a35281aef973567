r"""
Exact marginals and F-optimal sets from a softmax
=================================================

A softmax over labels has lost the size of the label set. If the classes are the pairs
(label, size of the set) it is back: :math:`P(i \in Y \mid x) = \sum_s s\,q_{i,s}` (statement 6.1
in :doc:`/appendix`), the law of the size, and the set with the largest expected F1 (6.3). This is
``MultiClassReduction(..., size_model="joint")``, for any multi-class classifier.
"""

# %%
# Data with a known truth
# -----------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from skmultireduce import MultiClassReduction
from skmultireduce.datasets import make_label_sets

data = make_label_sets(4000, law="product", n_labels=8, n_features=6, mean_size=2.5,
                       size_spread=0.6, max_size=6, signal=1.5, random_state=0)  # fmt: skip
X, Y, truth = data.X, data.Y.toarray(), data.marginals
half = len(X) // 2
base = LogisticRegression(C=10, max_iter=500)
models = {
    "plain softmax": MultiClassReduction(base),
    "size_model='expected'": MultiClassReduction(base, size_model="expected", decision="f1"),
    "size_model='joint'": MultiClassReduction(base, size_model="joint", decision="f1"),
}
proba, predicted = {}, {}
for name, model in models.items():
    model.fit(X[:half], Y[:half])
    proba[name] = model.predict_proba(X[half:])
    predicted[name] = model.predict(X[half:])
    error = np.abs(proba[name] - truth[half:]).mean()
    print(f"{name:24} mean distance to the true marginals {error:.3f}")

# %%
# Estimated against true probabilities
# ------------------------------------
figure, axes = plt.subplots(1, 2, figsize=(5.4, 3.2), sharey=True)
for ax, name in zip(axes, ("plain softmax", "size_model='joint'"), strict=True):
    ax.plot(truth[half:].ravel(), proba[name].ravel(), ".", markersize=1.5, alpha=0.3)
    ax.plot([0, 1], [0, 1], "k--", linewidth=1)
    ax.set(title=name, xlabel="true P(label | x)")
    ax.title.set_fontsize(11)
axes[0].set_ylabel("predict_proba")

# %%
# Sets
# ----
# Mean F1 of the rows. The cutoff 0.5 on marginals minimises errors of single labels, not 1 - F1.
scores = {
    "most probable label": predicted["plain softmax"],
    "marginals > 0.5": proba["size_model='joint'"] > 0.5,
    "F-optimal, expected": predicted["size_model='expected'"],
    "F-optimal, joint": predicted["size_model='joint'"],
}
values = [f1_score(Y[half:], y, average="samples", zero_division=1) for y in scores.values()]
figure, ax = plt.subplots(figsize=(5.4, 2.6))
bars = ax.barh(list(scores), values)
ax.bar_label(bars, fmt="%.3f", padding=3)
ax.invert_yaxis()
_ = ax.set(xlabel="mean F1 of the rows", xlim=(0, 1))

# %%
# What else the pairs tell
# ------------------------
# The law of the number of labels, for one row and on average.
size_proba = models["size_model='joint'"].predict_size_proba(X[half:])
print("sizes          ", models["size_model='joint'"].sizes_.round(2))
print("P(size), mean  ", size_proba.mean(axis=0).round(2))
print("observed shares", np.bincount(Y[half:].sum(1), minlength=7)[1:].round(2) / half)
