r"""
Which reduction do my data need?
================================

:func:`~skmultireduce.diagnose` computes the quantities that the guarantees are made of: the spread
of set sizes (4.6d, 4.12, 3.3b), the harmonic mean set size of each label (1.5), and, with a model
of pairs, the spread of :math:`\sigma`, the expected size of the set given a picked label (4.6).
"""

# %%
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import jaccard_score

from skmultireduce import (
    MultiClassReduction,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    diagnose,
)
from skmultireduce.datasets import load_python_imports, make_label_sets

data = load_python_imports(subset="train")
diagnosis = diagnose(None, None, data.target)
print(diagnosis)

# %%
# Set sizes, and what a picked label gets
# ---------------------------------------
# ``pick_one`` shows label i less often than it occurs, by the factor of its harmonic mean set
# size. Labels that occur in large sets get less than others; where the right figure is flat,
# nothing but a common factor is lost.
sizes = np.asarray(data.target.sum(axis=1)).ravel()
counts = np.asarray(data.target.sum(axis=0)).ravel()
figure, axes = plt.subplots(1, 2, figsize=(5.4, 3.2))
axes[0].hist(sizes, bins=np.arange(0.5, sizes.max() + 1.5), color="C0")
axes[0].set(xlabel="labels of a row", ylabel="rows")
axes[1].plot(counts, diagnosis.harmonic_mean_sizes, ".")
_ = axes[1].set(
    xscale="log", xlabel="rows of the label", ylabel="harmonic mean size", ylim=(0, None)
)

# %%
# Rows without labels
# -------------------
# A softmax leaves them out. Here 95 % of the rows are of a kind that has one label in 2 % of the
# cases and else none; the others have two labels of six. Among rows that have labels, sizes hardly
# vary, and yet there is no guarantee: given that it has a label, a row of the first kind looks as
# sure as one of the second. The sentence names what learns from these rows.
pairs_of_six = {(i, j): 1 / 15 for i in range(2, 8) for j in range(i + 1, 8)}
rare = make_label_sets(
    20000,
    law="table",
    table=[{(): 0.98, (0,): 0.01, (1,): 0.01}, pairs_of_six],
    point_probabilities=[0.95, 0.05],
    random_state=0,
)
train, test = slice(0, 10000), slice(10000, None)
result = diagnose(None, None, rare.Y)
print(fill(result.recommendations["jaccard_micro"], 79), "\n")

linear = MultiLabelSGDClassifier(alpha=0, random_state=0)
models = {
    name: MultiLabelSGDClassifier(reduction=name, alpha=0, random_state=0)
    for name in ("pick_one", "pick_all_normalized", "pick_all", "one_vs_rest")
}
models["pairs"] = MultiClassReduction(linear, size_model="joint")
models["pairs, unlabeled='none'"] = MultiClassReduction(
    linear, size_model="joint", unlabeled="none"
)
for name, model in models.items():
    tuned = ThresholdedMultiLabel(model, random_state=0).fit(rare.X[train], rare.Y[train])
    predicted = tuned.predict(rare.X[test])
    reached = jaccard_score(rare.Y[test], predicted, average="micro")
    print(f"{name:24} micro Jaccard {reached:.3f}")

# %%
# With a model it also says how much of the best index the plain softmax keeps at least (4.12), by
# the sizes of all rows and, sharper, by :math:`\sigma`.
with_class = models["pairs, unlabeled='none'"].fit(rare.X[train], rare.Y[train])
print(diagnose(with_class, rare.X[test], rare.Y[test]))
