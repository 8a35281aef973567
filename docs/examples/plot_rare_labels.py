"""
Cutoffs for rare labels
=======================

One cutoff is optimal for the micro-averaged Jaccard index of perfect probabilities. Estimated
probabilities of rare labels are too low, and macro averages count rare labels as much as frequent
ones. Three forms of a cutoff: one for all labels, one for each label, and one that is adjusted by
the labels' frequencies with two more numbers.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import jaccard_score

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports
from skmultireduce.plotting import LabelThresholdDisplay

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
vectorizer = TfidfVectorizer(lowercase=False, sublinear_tf=True)
X, X_test = vectorizer.fit_transform(train.data), vectorizer.transform(test.data)
classifier = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)

models, results = {}, {}
for scoring in ("jaccard_micro", "jaccard_macro"):
    for strategy in ("global", "adjusted", "per_label"):
        model = ThresholdedMultiLabel(
            classifier, scoring=scoring, strategy=strategy, random_state=0
        ).fit(X, train.target)
        average = scoring.removeprefix("jaccard_")
        predicted = model.predict(X_test)
        results[average, strategy] = (
            model.best_score_,
            jaccard_score(test.target, predicted, average=average, zero_division=0),
        )
        models[average, strategy] = model
        print(f"{average} {strategy:10} folds %.3f  test %.3f" % results[average, strategy])

# %%
# What the folds promise, and what test rows give
# -----------------------------------------------
# The more cutoffs are tuned, the more the score of the folds overstates what comes next: each
# label's cutoff has its own optimism (statement 5.3 in :doc:`/appendix`).
figure, axes = plt.subplots(1, 2, figsize=(5.4, 3.4), sharey=True)
strategies = ["global", "adjusted", "per_label"]
for ax, average in zip(axes, ("micro", "macro"), strict=True):
    places = np.arange(3)
    for i, name in enumerate(("folds", "test rows")):
        values = [results[average, strategy][i] for strategy in strategies]
        ax.bar(places + 0.4 * (i - 0.5), values, 0.4, label=name)
    ax.set_xticks(places, ["global", "adjusted", "per\nlabel"])
    ax.set(title=f"{average} average")
axes[0].set_ylabel("Jaccard index")
_ = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %%
# Cutoffs against frequencies
# ---------------------------
# Cutoffs of rare labels scatter most over the folds (grey bars).
display = LabelThresholdDisplay.from_estimator(models["macro", "per_label"], train.target)
single = models["macro", "global"].best_threshold_
display.ax_.axhline(single, color="C1", label="one cutoff for all")
display.ax_.set_ylim(bottom=0)
_ = display.ax_.legend()

# %%
# The adjusted cutoff has two weights, chosen on the same folds: how much a label's log frequency
# counts, and how much the distance to the row's highest score.
model = models["macro", "adjusted"]
print(f"prior_weight {model.prior_weight_:.3g}, row_weight {model.row_weight_:.3g}")
