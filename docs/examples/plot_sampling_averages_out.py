r"""
Does sampling average out?
==========================

``pick_one`` shows one label of each row in each epoch. ``pick_all_normalized`` shows all of them
with weights 1/S: that is the expectation of the former (statement 1.1 in :doc:`/appendix`). So
both have the same limit, and what differs is noise.
"""

# %%
# The noise of one draw
# ---------------------
# Given a row with S labels, the gradient of a draw has the variance :math:`1 - 1/S` around its
# expectation, whatever the model (1.2). Over M epochs the mean of independent draws has
# :math:`(1 - 1/S)/M`; if labels are cycled, :math:`(S - M)/(SM)`, which is 0 after S epochs (1.3).
#
# Here this is measured on the targets that
# :class:`~skmultireduce.MultiLabelSGDClassifier` draws itself. With a penalty of 0 and rows that
# are their own features, the gradient of a row at zero weights is known, so the weights after
# training with tiny steps tell how often each label was shown.
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from skmultireduce import MultiLabelSGDClassifier

S, n_rows = 4, 1000
y = np.ones((n_rows, S), dtype=np.int8)
X = sp.eye_array(n_rows, format="csr")


def shown_labels(n_epochs, label_sampling):
    """Share of the epochs in which each row showed each label."""
    eta = 1e-7
    model = MultiLabelSGDClassifier(
        alpha=0, eta0=eta, learning_rate="constant", fit_intercept=False, dtype="float64",
        max_iter=n_epochs, label_sampling=label_sampling, random_state=0,
    ).fit(X, y)  # fmt: skip
    return model.coef_.T / (eta * n_epochs) + 1 / S


epochs = np.array([1, 2, 3, 4, 6, 8, 12, 16])
figure, ax = plt.subplots()
for sampling, marker in (("random", "o"), ("cycle", "s")):
    variance = [((shown_labels(m, sampling) - 1 / S) ** 2).sum(1).mean() for m in epochs]
    ax.plot(epochs, variance, marker, label=f"measured, {sampling}")
ax.plot(epochs, (1 - 1 / S) / epochs, "C0", linewidth=1, label="(1 - 1/S) / M")
left = epochs % S
cycle = left * (S - left) / (S * epochs**2)
ax.plot(epochs, cycle, "C1", linewidth=1, label="cycled, exact")
ax.set(xlabel="epochs M", ylabel="variance of the mean target", title=f"Sets of S = {S} labels")
_ = ax.legend()

# %%
# Labels that are never seen
# --------------------------
# fastText trains for 5 epochs by default. A label of a row with S labels is never drawn in M
# epochs with probability :math:`(1 - 1/S)^M`.
for size in (3, 5, 10):
    print(f"S = {size:2}: {(1 - 1 / size) ** 5:.0%} of the labels never seen in 5 epochs")

# %%
# Does it matter?
# ---------------
# On real text, with a fixed number of epochs: the spread over five seeds, and the best micro
# Jaccard index that one cutoff reaches on test rows.
from sklearn.feature_extraction.text import TfidfVectorizer

from skmultireduce.datasets import load_python_imports
from skmultireduce.metrics import jaccard_threshold_curve

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
vectorizer = TfidfVectorizer(lowercase=False, sublinear_tf=True)
X, X_test = vectorizer.fit_transform(train.data), vectorizer.transform(test.data)


def best_jaccard(n_epochs, seed, **parameters):
    """Best micro Jaccard index after so many epochs."""
    model = MultiLabelSGDClassifier(max_iter=n_epochs, random_state=seed, **parameters)
    proba = model.fit(X, train.target).predict_proba(X_test)
    return jaccard_threshold_curve(test.target, proba)[0].max()


epochs = [1, 2, 5, 10, 20]
variants = {
    "pick_one": {"reduction": "pick_one"},
    "pick_one, cycled": {"reduction": "pick_one", "label_sampling": "cycle"},
    "pick_all_normalized": {"reduction": "pick_all_normalized"},
}
figure, ax = plt.subplots()
for i, (name, parameters) in enumerate(variants.items()):
    values = np.array([[best_jaccard(m, s, **parameters) for s in range(5)] for m in epochs])
    ax.fill_between(epochs, values.min(1), values.max(1), alpha=0.2, color=f"C{i}")
    ax.plot(epochs, values.mean(1), "o-", color=f"C{i}", label=name)
    print(f"{name:20}" + "".join(f"{v:8.3f}" for v in values.mean(1)))
ax.set(xlabel="epochs", ylabel="best micro Jaccard, test rows", xscale="log")
ax.set_xticks(epochs, epochs)
ax.minorticks_off()
_ = ax.legend()
