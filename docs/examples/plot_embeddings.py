"""
Document vectors
================

:class:`~skmultireduce.MultiLabelMLPClassifier` without hidden layers is fastText's architecture: a
vector for each word, averaged over the document, then a softmax. Its ``transform`` gives the
averaged vectors. Here they are, projected to two dimensions.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize

from skmultireduce import MultiLabelMLPClassifier
from skmultireduce.datasets import load_python_imports
from skmultireduce.metrics import precision_at_k_score

train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
# Binary counts, or a name that a file repeats hundreds of times would drown its others.
model = make_pipeline(
    CountVectorizer(lowercase=False, min_df=2, binary=True),
    MultiLabelMLPClassifier(reduction="pick_one", embedding_dim=50, random_state=0),
).fit(train.data, train.target)
score = precision_at_k_score(test.target, model.predict_proba(test.data), k=1)
print(f"precision@1 on test rows {score:.3f}")

# %%
# Test rows in two dimensions
# ---------------------------
# Files that import the same module are near each other, though the model has not seen them.
vectors = model.transform(test.data)
vectors = normalize(vectors)
plane = PCA(2, random_state=0).fit_transform(vectors)
names = list(train.target_names)
figure, ax = plt.subplots(figsize=(5.4, 4.4))
ax.plot(*plane.T, ".", color="0.8", markersize=4, label="others")
for label, marker in (("numpy", "o"), ("socket", "s"), ("argparse", "^"), ("tkinter", "D")):
    if label in names:
        has = test.target[:, [names.index(label)]].toarray().ravel() > 0
        ax.plot(*plane[has].T, marker, markersize=5, alpha=0.8, label=label)
ax.set(xlabel="first component", ylabel="second component", title="Files by what they import")
_ = figure.legend(loc="outside lower center", ncols=3)

# %%
# Words near a word
# -----------------
# Vectors of words are in ``embedding_``. Words that speak for the same labels are near each other.
words = model[0].get_feature_names_out()
embedding = normalize(model[-1].embedding_)
for word in ("sock", "parse_args", "Canvas"):
    if word in words:
        near = np.argsort(-(embedding @ embedding[list(words).index(word)]))[1:6]
        print(f"{word:8}", ", ".join(words[near]))
