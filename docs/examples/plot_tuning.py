"""
Penalty and cutoff tuned together
=================================

The penalty changes the scores, and with them the best cutoff: candidates are compared fairly
only at a cutoff of their own. ``ThresholdedMultiLabel(param_grid=...)`` does this with the
models that it fits for the cutoff anyway.
"""

# %%
# Which modules do Python files import? Linear support vector machines, one for each module.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
vectorizer = TfidfVectorizer()
X, X_test = vectorizer.fit_transform(train.data), vectorizer.transform(test.data)
svm = MultiLabelSGDClassifier(reduction="one_vs_rest", loss="squared_hinge", random_state=0)

# %%
# ``alpha_scale`` is the factor of the automatic penalty: 1 is the default. One round of five
# folds gives the pooled score of each candidate at its own best cutoff.
scales = 2.0 ** np.arange(-5, 6)
model = ThresholdedMultiLabel(
    svm, param_grid={"alpha_scale": scales.tolist()}, random_state=0
).fit(X, train.target)
results = model.search_results_
print(model.best_params_, round(model.best_threshold_, 3), round(model.best_score_, 3))

# %%
# Beside it: what one cutoff, the one of the default penalty, would give all candidates.
fixed = []
middle = results["threshold"][len(scales) // 2]
for scale in scales:
    one = ThresholdedMultiLabel(
        svm, param_grid={"alpha_scale": [scale]}, random_state=0, store_cv_results=True
    ).fit(X, train.target)
    curve = one.cv_results_
    order = np.argsort(curve["thresholds"])
    fixed.append(np.interp(middle, curve["thresholds"][order], curve["scores"][order]))

figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.3))
left.errorbar(
    scales, results["score"], results["std_score"], marker="o", capsize=3, label="own cutoff"
)
left.plot(scales, fixed, marker=".", linestyle=":", label="one cutoff for all")
left.set(xscale="log", xlabel="alpha_scale", ylabel="micro Jaccard index, held out")
left.legend()
right.plot(scales, results["threshold"], marker="o")
right.set(xscale="log", xlabel="alpha_scale", ylabel="best cutoff")
plt.show()

# %%
# ``param_grid="auto"`` does the same without a grid: factors from 1/4 to 4, and on while the
# best is at an end.
tuned = ThresholdedMultiLabel(svm, param_grid="auto", random_state=0).fit(X, train.target)
print(tuned.best_params_, len(tuned.search_results_["params"]), "candidates")
