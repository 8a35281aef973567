"""
One label drawn at random, then one cutoff
==========================================

The method from end to end. A softmax classifier sees each text with one of its labels, drawn
anew in every epoch, as fastText does it. Then the one cutoff that maximises the aggregate
(micro-averaged) Jaccard index on held-out folds turns its scores into label sets.

The data: which modules does a Python file import? The text of a file is its identifiers, without
its import statements.
"""

# %%
# Data
# ----
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import jaccard_score

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
vectorizer = TfidfVectorizer(lowercase=False, sublinear_tf=True)
X = vectorizer.fit_transform(train.data)
X_test = vectorizer.transform(test.data)
print(X.shape, train.target.shape)

# %%
# Fit
# ---
# Five folds give scores of held-out rows; the cutoff is the exact maximum over all their
# distinct values. Then the classifier is fitted again on all rows.
classifier = MultiLabelSGDClassifier(reduction="pick_one", random_state=0)
model = ThresholdedMultiLabel(classifier, random_state=0).fit(X, train.target)
print(f"cutoff {model.best_threshold_:.3f}, spread over folds {model.threshold_std_:.3f}")
print(f"micro Jaccard over the folds {model.best_score_:.3f} +- {model.best_score_stderr_:.3f}")

# %%
# On new rows
# -----------
predicted = model.predict(X_test)
print(f"test rows, tuned cutoff: {jaccard_score(test.target, predicted, average='micro'):.3f}")
top = classifier.fit(X, train.target).predict(X_test)
print(f"most probable label only: {jaccard_score(test.target, top, average='micro'):.3f}")

# %%
# The curve on test rows shows how much is lost if the cutoff is wrong. The point is the tuned
# cutoff, the pale lines are the optima of single folds.
from skmultireduce.plotting import ThresholdCurveDisplay

display = ThresholdCurveDisplay.from_estimator(
    model, X_test, test.target, name="micro Jaccard", precision_recall=True
)
_ = display.ax_.set(xlim=(0, 0.5), title="Python imports, test rows")

# %%
# Some predictions
# ----------------
names = train.target_names
for row in range(0, X_test.shape[0], X_test.shape[0] // 4):
    guess = ", ".join(names[predicted[[row]].indices]) or "none"
    truth = ", ".join(names[test.target[[row]].indices])
    print(f"{test.filenames[row]}\n   predicted: {guess}\n   true:      {truth}")
