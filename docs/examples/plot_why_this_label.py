"""
Why this label?
===============

For linear models the score of a label is a sum over features, so its reasons can be listed: the
largest weights of a label (:func:`~skmultireduce.inspection.top_features`), and what each word of
one text contributes (:func:`~skmultireduce.inspection.explain_row`).
"""

# %%
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import load_python_imports
from skmultireduce.inspection import TopFeaturesDisplay, explain_row

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
model = make_pipeline(
    TfidfVectorizer(lowercase=False, sublinear_tf=True),
    ThresholdedMultiLabel(
        MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0), cv=3, random_state=0
    ),
).fit(train.data, train.target)

# %%
# Words that speak for a label
# ----------------------------
# Names are found through the pipeline and the wrapper.
_ = TopFeaturesDisplay.from_estimator(
    model, labels=["re", "threading", "socket", "numpy"], label_names=train.target_names,
    n=7, n_columns=2,
)  # fmt: skip

# %%
# Words of one text
# -----------------
# By default for the labels that are predicted for the row.
row = int(np.flatnonzero(model.predict(test.data).sum(axis=1) == 4)[0])
print(test.filenames[row])
records = explain_row(model, test.data[row], n=3, label_names=train.target_names)
for record in records:
    print(f"{record.label:12} {record.feature:20} {record.contribution:+.2f}")

# %%
labels = list(dict.fromkeys(record.label for record in records))[:4]
_ = TopFeaturesDisplay.from_row(
    model, test.data[row], n=6, labels=labels, label_names=train.target_names, n_columns=2
)
