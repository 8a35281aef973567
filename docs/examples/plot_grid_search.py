"""
Search over models and cutoffs together
=======================================

Two ways. With :class:`~skmultireduce.ThresholdedMultiLabel` the cutoff is tuned inside of each
fold, so that the search is over the model alone and its score is honest. With
:class:`~skmultireduce.FixedThresholdMultiLabel` the cutoff is one more parameter of the grid.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skmultireduce import (
    FixedThresholdMultiLabel,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce.datasets import load_python_imports
from skmultireduce.model_selection import MultilabelStratifiedKFold

data = load_python_imports(subset="train")
X = TfidfVectorizer(lowercase=False, sublinear_tf=True, min_df=2).fit_transform(data.data)
folds = MultilabelStratifiedKFold(3, shuffle=True, random_state=0)
classifier = MultiLabelSGDClassifier(max_iter=10, random_state=0)

# %%
# The cutoff as a parameter
# -------------------------
grid = {
    "estimator__reduction": ["pick_one", "one_vs_rest"],
    "threshold": np.round(np.geomspace(0.02, 0.6, 9), 3),
}
by_grid = GridSearchCV(
    FixedThresholdMultiLabel(classifier), grid, scoring="jaccard_micro", cv=folds
).fit(X, data.target)
print(by_grid.best_params_, round(by_grid.best_score_, 3))

# %%
# The cutoff tuned inside
# -----------------------
# Each candidate splits its training rows once more, finds the exact cutoff, and is judged on rows
# that neither the model nor the cutoff has seen.
tuned = ThresholdedMultiLabel(classifier, cv=0.25, random_state=0)
inside = GridSearchCV(
    tuned,
    {"estimator__reduction": ["pick_one", "one_vs_rest"]},
    scoring="jaccard_micro",
    cv=folds,
).fit(X, data.target)
print(inside.best_params_, round(inside.best_score_, 3))
print(f"cutoff of the refitted model {inside.best_estimator_.best_threshold_:.3f}")

# %%
results = by_grid.cv_results_
figure, ax = plt.subplots()
for i, reduction in enumerate(grid["estimator__reduction"]):
    chosen = results["param_estimator__reduction"] == reduction
    ax.errorbar(
        results["param_threshold"][chosen].astype(float),
        results["mean_test_score"][chosen],
        results["std_test_score"][chosen],
        fmt="o-",
        color=f"C{i}",
        label=f"{reduction}, grid",
    )
    at = list(inside.cv_results_["param_estimator__reduction"]).index(reduction)
    score = inside.cv_results_["mean_test_score"][at]
    ax.axhline(score, color=f"C{i}", linestyle="--", label=f"{reduction}, tuned inside")
ax.set(xlabel="cutoff", ylabel="micro Jaccard over three folds", xscale="log")
ax.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
ax.minorticks_off()
_ = ax.legend(loc="lower center")

# %%
# In a pipeline
# -------------
# Parameters of all steps are reached by their names, as always in scikit-learn.
pipeline = Pipeline([("words", TfidfVectorizer(lowercase=False)), ("model", tuned)])
search = GridSearchCV(
    pipeline,
    {"words__sublinear_tf": [False, True], "model__strategy": ["global", "adjusted"]},
    scoring="jaccard_micro",
    cv=MultilabelStratifiedKFold(2, shuffle=True, random_state=0),
).fit(data.data, data.target)
print(search.best_params_, round(search.best_score_, 3))
