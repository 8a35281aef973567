r"""
Good for recall@k, not always for precision@k
=============================================

A softmax that is trained on a picked label learns q, the law of the picked label. Ranking by q is
optimal for recall@k, always (statement 3.1 in :doc:`/appendix`). Ranking by the marginals m is
optimal for precision@k. The two orders can differ (3.2), at most by the ratio of set sizes (3.3).
"""

# %%
# The smallest counter-example
# ----------------------------
# Three label sets, the same law at all x: {0} with probability 0.1, {0, 1} with 0.5, {2} with 0.4.
# Label 0 is the most probable one, but half of its probability is shared with label 1 when it is
# picked.
import matplotlib.pyplot as plt
import numpy as np

from skmultireduce import MultiLabelSGDClassifier
from skmultireduce.datasets import make_label_sets
from skmultireduce.metrics import precision_at_k_score, recall_at_k_score

data = make_label_sets(
    20000, law="table", table={(0,): 0.1, (0, 1): 0.5, (2,): 0.4}, random_state=0
)
learnt = {}
for reduction in ("pick_one", "pick_all", "one_vs_rest"):
    model = MultiLabelSGDClassifier(reduction=reduction, alpha=0, random_state=0)
    learnt[reduction] = model.fit(data.X, data.Y).predict_proba(data.X)
    print(
        f"{reduction:12} scores {learnt[reduction][0].round(2)}"
        f"  P@1 {precision_at_k_score(data.Y, learnt[reduction], k=1):.2f}"
        f"  R@1 {recall_at_k_score(data.Y, learnt[reduction], k=1):.2f}"
    )

# %%
# ``pick_one`` puts label 2 first. That is right for recall@1, and wrong for precision@1.
figure, ax = plt.subplots()
places = np.arange(3)
bars = {
    "marginals m (truth)": data.marginals[0],
    "q (truth)": data.pick_probabilities[0],
    "pick_one": learnt["pick_one"][0],
    "pick_all": learnt["pick_all"][0],
}
for i, (name, values) in enumerate(bars.items()):
    ax.bar(places + 0.2 * (i - 1.5), values, 0.2, label=name, color=f"C{i}")
ax.set_xticks(places, ["label 0", "label 1", "label 2"])
ax.set(ylabel="probability")
_ = ax.legend()

# %%
# How large the loss can get
# --------------------------
# The worst law of 3.3: {1, ..., s} with probability just below s / (s + 1), else one other label.
# The bound says: ranking by q keeps at least the share (smallest size) / (largest size) of the
# best precision@k. It is reached. If label sets are drawn with independent labels, nothing is lost
# (3.4d).
sizes = np.arange(1, 11)
ratios, ordinary = [], []
for s in sizes:
    probability = s / (s + 1) - 0.01
    law = make_label_sets(
        1, law="table", table={tuple(range(s)): probability, (s,): 1 - probability}
    )
    m, q = law.marginals[0], law.pick_probabilities[0]
    ratios.append(m[q.argmax()] / m.max())
    independent = make_label_sets(500, n_labels=20, mean_size=float(s), random_state=0)
    m, q = independent.marginals, independent.pick_probabilities
    rows = np.arange(len(m))
    ordinary.append((m[rows, q.argmax(1)].mean()) / m.max(1).mean())
figure, ax = plt.subplots()
ax.plot(sizes, 1 / sizes, "k--", linewidth=1, label="guarantee of 3.3")
ax.plot(sizes, ratios, "o", label="worst law")
ax.plot(sizes, ordinary, "s", label="independent labels")
ax.set(xlabel="largest size (worst law), mean size (independent)", ylabel="share of the best P@1")
ax.set_ylim(0, 1.05)
_ = ax.legend()
