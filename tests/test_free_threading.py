"""Many threads at once: each gets the bits that it gets alone, with the GIL and without it."""

import sys
import sysconfig
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from threadpoolctl import threadpool_info

import skmultireduce._models.threads as threads_module
from skmultireduce import (
    LabelTreeClassifier,
    MultiClassReduction,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce._models.threads import one_blas_thread
from skmultireduce.metrics import jaccard_threshold_curve
from skmultireduce.model_selection import MultilabelStratifiedKFold
from skmultireduce.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

N_THREADS = 4
N_ROUNDS = 6


def problem():
    rng = np.random.default_rng(0)
    X = sp.random(160, 60, density=0.2, format="csr", random_state=1, dtype=np.float64)
    Y = (rng.random((160, 7)) < 0.25).astype(int)
    Y[Y.sum(axis=1) == 0, 0] = 1
    words = np.array(["eins", "zwei", "drei", "vier", "fünf", "ΣΑΣ", "the", "Ünder", "naïve"])
    texts = [" ".join(rng.choice(words, 12)) for _ in range(60)]
    return X, Y, texts


X, Y, TEXTS = problem()
DENSE = np.ascontiguousarray(X.toarray(), dtype=np.float32)
SGD = MultiLabelSGDClassifier(max_iter=2, random_state=0)
FITS = {
    "linear": (SGD, X),
    "linear one_vs_rest": (clone(SGD).set_params(reduction="one_vs_rest", average=True), X),
    "linear of two threads": (clone(SGD).set_params(n_jobs=2), X),
    "dense": (SGD, DENSE),
    "mlp": (MultiLabelMLPClassifier(embedding_dim=8, max_iter=2, random_state=0), X),
    "mlp of two threads": (
        MultiLabelMLPClassifier(
            embedding_dim=8, hidden_layer_sizes=(6,), max_iter=2, random_state=0, n_jobs=2
        ),
        X,
    ),
    "tree": (LabelTreeClassifier(max_iter=2, random_state=0), X),
    "cutoff": (ThresholdedMultiLabel(SGD, cv=2, random_state=0), X),
    "cutoff of two threads": (ThresholdedMultiLabel(SGD, cv=2, n_jobs=2, random_state=0), X),
    "reduction": (MultiClassReduction(SGD, reduction="pick_all", random_state=0), X),
}
OUTPUTS = ("predict", "predict_proba", "decision_function")


def outputs(model, rows):
    return {
        name: np.asarray(getattr(model, name)(rows)).tobytes()
        for name in OUTPUTS
        if hasattr(model, name)
    }


def at_once(function, n_rounds=N_ROUNDS):
    """Results of calls in several threads, which begin each round together."""
    meeting = threading.Barrier(N_THREADS)

    def run(_):
        found = []
        try:
            for _ in range(n_rounds):
                meeting.wait(60)
                found.append(function())
        except threading.BrokenBarrierError:
            pass
        except BaseException:
            meeting.abort()
            raise
        return found

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        # Before Python 3.14 filters of warnings are of the whole process, and threads that set
        # them for a while, as scikit-learn's do, find those of others.
        with (
            warnings.catch_warnings(record=True),
            ThreadPoolExecutor(N_THREADS) as pool,
        ):
            warnings.simplefilter("ignore")
            found = [one for each in pool.map(run, range(N_THREADS)) for one in each]
    finally:
        sys.setswitchinterval(before)
    assert len(found) == N_THREADS * n_rounds
    return found


@pytest.mark.parametrize("name", FITS)
def test_fits_and_predictions(name):
    model, rows = FITS[name]

    def fit():
        return outputs(clone(model).fit(rows, Y), rows)

    alone = fit()
    assert all(found == alone for found in at_once(fit))
    shared = clone(model).fit(rows, Y)
    # One model, also while it is asked for the first time.
    assert all(found == alone for found in at_once(lambda: outputs(shared, rows)))


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(strip_accents="unicode", stop_words=["the"]),
        TfidfVectorizer(ngram_range=(1, 2), strip_accents="ascii"),
        HashingVectorizer(n_features=64, analyzer="char_wb", ngram_range=(2, 3)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_vectorizers(vectorizer):
    def bits(matrix):
        return matrix.data.tobytes(), matrix.indices.tobytes(), matrix.indptr.tobytes()

    def fit():
        return bits(clone(vectorizer).fit_transform(TEXTS))

    alone = fit()
    assert all(found == alone for found in at_once(fit))
    shared = clone(vectorizer).fit(TEXTS)
    alone = bits(clone(shared).fit(TEXTS).transform(TEXTS))
    assert all(found == alone for found in at_once(lambda: bits(shared.transform(TEXTS))))


def test_metrics_and_splits():
    scores = clone(SGD).fit(X, Y).decision_function(X)
    splitter = MultilabelStratifiedKFold(3, shuffle=True, random_state=0)

    def run():
        curve = jaccard_threshold_curve(Y, scores)
        splits = [test.tobytes() for _, test in splitter.split(X, Y)]
        return [np.asarray(part).tobytes() for part in curve], splits

    alone = run()
    assert all(found == alone for found in at_once(run))


def test_the_limit_of_blas_is_lifted_by_the_last(monkeypatch):
    limits = []

    class Limit:
        def limit(self, **_):
            return self

        def __enter__(self):
            limits.append(1)

        def __exit__(self, *_):
            limits.append(None)

    monkeypatch.setattr(threads_module, "_threadpools", Limit)
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert limits == [1]
    second.__exit__(None, None, None)
    assert limits == [1, None]


def test_the_limit_of_blas_is_lifted_after_threads_at_once():
    def pools():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    def run():
        with one_blas_thread():
            return pools()

    before = pools()
    assert all(set(found) <= {1} for found in at_once(run, 3))
    assert pools() == before


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a Python without the GIL"
)
def test_no_module_brings_the_gil_back():
    assert not sys._is_gil_enabled()
