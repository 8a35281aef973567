"""
All reductions on one page
==========================

Five ways to turn a label set into targets of a linear model, on the same data. Each gets its own
tuned cutoff. Softmax scores sum to 1 over the labels; one-vs-rest scores do not.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import jaccard_score

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports
from skmultireduce.metrics import precision_at_k_score, recall_at_k_score

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
vectorizer = TfidfVectorizer(lowercase=False, sublinear_tf=True)
X, X_test = vectorizer.fit_transform(train.data), vectorizer.transform(test.data)

contenders = {
    "pick_one": {"reduction": "pick_one"},
    "pick_all_normalized": {"reduction": "pick_all_normalized"},
    "pick_all": {"reduction": "pick_all"},
    "one_vs_rest": {"reduction": "one_vs_rest"},
    "one_vs_rest_normalized": {"reduction": "one_vs_rest_normalized"},
    "one_vs_rest, squared_hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
}
results = {}
for name, parameters in contenders.items():
    model = ThresholdedMultiLabel(
        MultiLabelSGDClassifier(**parameters, random_state=0), cv=3, random_state=0
    ).fit(X, train.target)
    scores = model.decision_function(X_test)
    results[name] = (
        jaccard_score(test.target, model.predict(X_test), average="micro"),
        precision_at_k_score(test.target, scores, k=1),
        recall_at_k_score(test.target, scores, k=5),
    )
    print(f"{name:28}" + "".join(f"{value:8.3f}" for value in results[name]))

# %%
# One figure
# ----------
# Differences between softmax reductions are small where set sizes do not depend on the labels.
# One-vs-rest learns the marginals themselves, so one cutoff on them is the right form of rule.
columns = ("micro Jaccard", "precision@1", "recall@5")
markers = ("o", "s", "^")
figure, ax = plt.subplots(figsize=(5.4, 4.2))
places = np.arange(len(results))
for column, marker in enumerate(markers):
    values = [value[column] for value in results.values()]
    ax.plot(values, places, marker, markersize=8, label=columns[column])
ax.set_yticks(places, [name.replace(", ", ",\n") for name in results])
ax.invert_yaxis()
ax.set(xlabel="on test rows")
_ = figure.legend(loc="outside upper center", ncols=3)
