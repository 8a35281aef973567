"""Pickles of every estimator, from one set of releases to another.

Usage: python tests/golden/exchange.py write FILE      fits the estimators and pickles them
       python tests/golden/exchange.py read FILE ...   loads what other releases wrote

What is read must answer, and go on to train, as it did where it was written. It may fail only
if it holds an estimator of scikit-learn, of another release, of which scikit-learn warned.
"""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from problem import data, pickled  # noqa: E402
from registry import INSTANCES  # noqa: E402

from skmultireduce import LabelListClassifier, MultiLabelSGDClassifier, text  # noqa: E402

X, Y = data()
TEXTS = [f"word{i % 7} and word{i % 5}" for i in range(len(X))]
SHOWN = ("scikit-learn", "numpy", "scipy")


def on_a_cluster():
    """The estimators of `skmultireduce.dask`, fitted on a cluster in this process."""
    import dask.array as da
    from distributed import Client

    from skmultireduce.dask import DaskMultiLabelSGDClassifier, DaskThresholdedMultiLabel

    sgd = DaskMultiLabelSGDClassifier(random_state=0, max_iter=3)
    models = sgd, DaskThresholdedMultiLabel(clone(sgd), random_state=0, cv=2)
    parts = [da.from_array(array, chunks=(40, array.shape[1])) for array in (X, Y)]
    with Client(processes=False, n_workers=1, dashboard_address=":0"):
        return {type(model).__name__: model.fit(*parts) for model in models}


def models():
    """Fitted estimators by name."""
    found = {f"golden {name}": model for name, model in pickled().items()}
    for number, (instance, _) in enumerate(INSTANCES):
        model = clone(instance)
        seeds = {name: 0 for name in model.get_params() if name.endswith("random_state")}
        found[f"{number} {type(model).__name__}"] = model.set_params(**seeds).fit(X, Y)
    lists = [[f"label {j}" for j in np.flatnonzero(row)] for row in Y]
    inner = MultiLabelSGDClassifier(random_state=0)
    found["LabelListClassifier"] = LabelListClassifier(inner).fit(X, lists)
    for name in ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"):
        found[name] = getattr(text, name)().fit(TEXTS)
    found["load_fasttext"] = text.load_fasttext(HERE.parent / "fasttext" / "subwords.bin")
    return found | (on_a_cluster() if find_spec("distributed") else {})


def answers(model):
    """What the model says of the data, and what one that goes on with its training says."""
    name = type(model).__name__
    if name == "Pipeline":
        return [model.predict_proba(TEXTS)]
    if name.endswith("Vectorizer"):
        return [model.transform(TEXTS).toarray()]
    found = []
    for method in ("predict", "predict_proba", "decision_function", "predict_scores"):
        if hasattr(model, method):
            options = {"top_k": 2} if method == "predict_scores" else {}
            answer = getattr(model, method)(X, **options)
            found.append(answer.toarray() if sp.issparse(answer) else answer)
    if hasattr(model, "partial_fit") and "Dask" not in name:
        again = copy.deepcopy(model)
        if hasattr(again, "densify"):
            again.densify()
        found.append(again.partial_fit(X, Y).predict_proba(X))
    return found


def same(one, two):
    """Whether answers agree, to rounding where they are numbers."""
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
        return np.allclose(one, two, rtol=1e-5, atol=1e-12)
    return np.array_equal(np.asarray(one, dtype=object), np.asarray(two, dtype=object))


def write(path):
    """Write the releases, and for each model its pickle and its answers."""
    stored = {name: (pickle.dumps(model), answers(model)) for name, model in models().items()}
    releases = {name: version(name) for name in SHOWN}
    Path(path).write_bytes(pickle.dumps((releases, stored)))


def read(path):
    """Load what is there, print what happens, and return whether all is well."""
    releases, stored = pickle.loads(Path(path).read_bytes())
    kept, refused, lost = 0, [], []
    for name, (pickled_model, expected) in stored.items():
        if name.startswith("Dask") and not find_spec("distributed"):
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = answers(pickle.loads(pickled_model))
                fault = None
            except Exception as error:
                found, fault = [], f"{type(error).__name__}: {error}"
        foreign = {w.message for w in caught if w.category is InconsistentVersionWarning}
        if fault is None and all(map(same, found, expected)):
            kept += 1
        else:
            (refused if foreign else lost).append((name, fault or "other answers"))
    said = " ".join(f"{name} {number}" for name, number in releases.items())
    print(f"from {said}: {kept} answer as before", end="")
    print(f", {len(refused)} of which scikit-learn warned do not" * bool(refused))
    for word, those in (("warned of", refused), ("LOST", lost)):
        for name, fault in those:
            print(f"   {word}: {name}: {fault[:150]}")
    return not lost


def main():
    """Read the command line."""
    if len(sys.argv) < 3 or sys.argv[1] not in ("write", "read"):
        sys.exit(__doc__)
    if sys.argv[1] == "write":
        warnings.simplefilter("ignore")
        write(sys.argv[2])
    else:
        well = [read(path) for path in sys.argv[2:]]
        sys.exit(not all(well))


if __name__ == "__main__":
    main()
