"""
How sure is the cutoff?
=======================

A cutoff that is tuned to a precision of .6 has it on the rows it was tuned on. On new rows it
misses it about every second time. Three answers: a promise of the precision with confidence, a
promise of the recall in expectation, and a band around the curve.
"""

# %%
# Many cutoffs from the same model
# --------------------------------
# One model, and many draws of 600 rows to tune on. They are drawn from rows that the model has not
# seen, again and again: these are the law, so that what a cutoff does to new rows can be counted.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports
from skmultireduce.plotting import ThresholdCurveDisplay

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
vectorizer = TfidfVectorizer(lowercase=False, sublinear_tf=True)
X, X_test = vectorizer.fit_transform(train.data), vectorizer.transform(test.data)
half = X.shape[0] // 2
model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
model.fit(X[:half], train.target[:half])

rng = np.random.default_rng(0)
y = np.concatenate([part.toarray() for part in (train.target[half:], test.target)])
scores = np.concatenate([model.predict_proba(part) for part in (X[half:], X_test)])
print(f"{len(y)} rows, {y.shape[1]} labels, {y.sum(axis=1).mean():.1f} labels a row")


class Scored(ClassifierMixin, BaseEstimator):
    """The model, whose scores of these rows are known already."""

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X


def micro(y, predicted):
    """Micro precision and recall; nothing predicted, nothing wrong."""
    hits = (y * predicted).sum()
    return hits / max(predicted.sum(), 1) if predicted.any() else 1.0, hits / y.sum()


WISHES = {
    "tuned": {"min_precision": 0.6},
    "promised": {"min_precision": 0.6, "confidence": 0.9},
}
found = {name: [] for name in WISHES}
for _ in range(60):
    rows = rng.integers(0, len(y), 600)
    for name, wish in WISHES.items():
        tuned = ThresholdedMultiLabel(
            Scored(), cv="prefit", scoring="recall_micro", max_labels=4, **wish
        )
        try:
            tuned.fit(scores[rows], y[rows])
        except ValueError:
            # Nothing can be promised: nothing is predicted.
            found[name].append((1.0, 0.0))
            continue
        found[name].append(micro(y, tuned.predict(scores)))

# %%
# Precision on new rows
# ---------------------
# The promise costs recall, and is broken in at most one of ten cases.
figure, ax = plt.subplots()
for name, values in found.items():
    precision, recall = np.array(values).T
    missed = np.mean(precision < 0.6)
    ax.plot(recall, precision, "o", alpha=0.6, label=f"{name}: below .6 in {missed:.0%}")
    print(f"{name:9} precision {precision.mean():.3f}, recall {recall.mean():.3f}")
ax.axhline(0.6, color="0.5", linewidth=1)
ax.set(xlabel="Recall of new rows", ylabel="Precision of new rows")
_ = ax.legend()

# %%
# The recall, in expectation
# --------------------------
# Here the promise is about the mean over such fits. It is kept exactly, and hardly more.
recalls = []
for _ in range(60):
    rows = rng.integers(0, len(y), 600)
    tuned = ThresholdedMultiLabel(
        Scored(), cv="prefit", scoring="precision_samples", min_recall=0.7, guarantee="expectation"
    ).fit(scores[rows], y[rows])
    share = (y * tuned.predict(scores)).sum(axis=1) / np.maximum(y.sum(axis=1), 1)
    share[~y.any(axis=1)] = 1
    recalls.append(share.mean())
print(tuned.guarantee_)
print(f"mean recall of new rows: {np.mean(recalls):.3f}, from {min(recalls):.3f} on")

# %%
# How sure is the curve?
# ----------------------
# The band holds the whole curve of new rows with a probability of 95 %; `best_score_interval_` is
# the interval at the tuned cutoff.
tuned = ThresholdedMultiLabel(Scored(), cv="prefit").fit(scores[rows], y[rows])
display = ThresholdCurveDisplay.from_estimator(
    tuned, scores[rows], y[rows], confidence=0.95, name="600 rows to tune on"
)
ThresholdCurveDisplay.from_predictions(y, scores, name="all rows", ax=display.ax_, color="0.3")
low, high = tuned.best_score_interval_
print(f"{tuned.best_score_:.3f} on the rows it was tuned on; new rows: {low:.3f} to {high:.3f}")
