r"""
When one cutoff is not enough
=============================

A softmax divides 1 among the labels of a row, so a label of a large set gets little. One cutoff
on q then cannot tell a sure label of a large set from an unsure one of a small set. What it can
lose is bounded by the spread of set sizes (statements 4.6d and 4.12 in :doc:`/appendix`); with
marginals nothing is lost.
"""

# %%
# The counter-example 4.5
# -----------------------
# Two kinds of rows. Kind a (60 %): one label, uniform on four. Kind b (40 %): always five labels.
# At a each q is 1/4, at b each q is 1/5, though at b all labels are certain.
import matplotlib.pyplot as plt
import numpy as np

from skmultireduce import MultiClassReduction, MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import make_label_sets
from skmultireduce.metrics import jaccard_threshold_curve

data = make_label_sets(
    10000,
    law="table",
    table=[{(i,): 0.25 for i in range(4)}, {tuple(range(5)): 1.0}],
    point_probabilities=[0.6, 0.4],
    random_state=0,
)
softmax = MultiLabelSGDClassifier(reduction="pick_one", alpha=0, random_state=0)
pairs = MultiClassReduction(softmax, reduction="pick_one", size_model="joint", max_size=None)
models = {
    "pick_one (q)": softmax,
    "size_model='joint' (m)": pairs,
    "one_vs_rest (m)": MultiLabelSGDClassifier(reduction="one_vs_rest", alpha=0, random_state=0),
}
figure, ax = plt.subplots()
for name, model in models.items():
    tuned = ThresholdedMultiLabel(model, cv=2, random_state=0).fit(data.X, data.Y)
    scores, thresholds = jaccard_threshold_curve(data.Y, tuned.estimator_.predict_proba(data.X))
    # Scores are the same for all rows of a kind, so the curve is one of steps.
    ax.plot(np.append(thresholds, 1), np.append(scores, 0), drawstyle="steps-pre", label=name)
    print(
        f"{name:24} best cutoff {tuned.best_threshold_:.3f}, micro Jaccard {tuned.best_score_:.3f}"
    )
ax.axhline(10 / 13, color="0.4", linewidth=1, linestyle="--", label="best possible, 10/13")
ax.axhline(13 / 22, color="0.4", linewidth=1, linestyle=":", label="best cutoff on q, 13/22")
ax.set(xlabel="cutoff", ylabel="micro Jaccard", ylim=(0, 1))
_ = ax.legend(loc="lower center")

# %%
# The guarantees 4.6d and 4.12
# ----------------------------
# The loss of one cutoff on q is at most :math:`(1 + J^*)\,\min_c E|S - c| / E[S]`, which soon is
# more than there is to lose. 4.12 is never void: with :math:`\theta^* = J^* / (1 + J^*)` the
# cutoff keeps at least :math:`J^* \max_c (\theta^* - a_c) / (\theta^* + b_c)`, where :math:`a_c`
# and :math:`b_c` are the mean excess of S above c and below it, over E[S]. Here for laws of
# increasing spread, with the exact q and m, so that only the form of the rule is measured.


def best(truth, y):
    """Best micro Jaccard of one cutoff."""
    return jaccard_threshold_curve(y, truth)[0].max()


def promised(sizes, exact):
    """What 4.12 allows to lose."""
    theta, c = exact / (1 + exact), np.unique(sizes)[:, None]
    above = np.clip(sizes - c, 0, None).mean(axis=1) / sizes.mean()
    below = np.clip(c - sizes, 0, None).mean(axis=1) / sizes.mean()
    return exact * (1 - np.max((theta - above) / (theta + below)))


spreads = np.linspace(0, 1, 9)
losses, bounds, sharper = [], [], []
for spread in spreads:
    law = make_label_sets(
        4000, law="product", n_labels=12, mean_size=3, size_spread=spread, max_size=12,
        signal=2.0, random_state=1,
    )  # fmt: skip
    exact = best(law.marginals, law.Y)
    losses.append(exact - best(law.pick_probabilities, law.Y))
    sizes = np.asarray(law.Y.sum(axis=1)).ravel()
    bounds.append((1 + exact) * np.abs(sizes - np.median(sizes)).mean() / sizes.mean())
    sharper.append(promised(sizes, exact))
figure, ax = plt.subplots()
ax.plot(spreads, bounds, "k:", linewidth=1, label="guarantee (4.6d)")
ax.plot(spreads, sharper, "k--", linewidth=1, label="guarantee (4.12)")
ax.plot(spreads, losses, "o-", label="loss, sizes the same law at all x")
counter = make_label_sets(
    10000,
    law="table",
    table=[{(i,): 0.25 for i in range(4)}, {tuple(range(5)): 1.0}],
    point_probabilities=[0.6, 0.4],
    random_state=0,
)
loss = best(counter.marginals, counter.Y) - best(counter.pick_probabilities, counter.Y)
ax.plot(counter.size_spread, loss, "C3*", markersize=14, label="4.5, above")
ax.set(xlabel="sd(S) / E[S]", ylabel="micro Jaccard lost")
_ = ax.legend()
