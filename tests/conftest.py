"""Data and helpers that several test files use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy
import scipy.sparse as sp
from sklearn import get_config

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def _load(name):
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import StandardScaler, normalize

    if not (SHARED / f"{name}.Xtr.npz").exists():
        pytest.skip(f"{name} is not in ../shared/data")
    X, y, X_test, y_test = (
        sp.load_npz(SHARED / f"{name}.{part}.npz") for part in ("Xtr", "Ytr", "Xte", "Yte")
    )
    if name == "yeast":
        scaler = StandardScaler(with_mean=False).fit(X.toarray())
        X, X_test = (normalize(scaler.transform(part.toarray())) for part in (X, X_test))
    else:
        tfidf = TfidfTransformer(sublinear_tf=True)
        X = tfidf.fit_transform(X.astype(float)).tocsr()
        X_test = tfidf.transform(X_test.astype(float)).tocsr()
    return X, y.tocsr(), X_test, y_test.tocsr()


@pytest.fixture(scope="session")
def yeast():
    """Dense data: 1,500 rows, 103 features, 14 labels; skipped if absent."""
    return _load("yeast")


@pytest.fixture(scope="session")
def bibtex():
    """Sparse data: 4,880 rows, 1,836 features, 159 labels; skipped if absent."""
    return _load("bibtex")


@pytest.fixture(scope="session")
def tmc2007():
    """Sparse data: 21,519 rows, 500 features, 22 labels; skipped if absent."""
    return _load("tmc2007")


@pytest.fixture(scope="session")
def cooking_files():
    """Paths of the cooking questions in fastText's format; skipped if absent."""
    paths = SHARED / "cooking.train.txt", SHARED / "cooking.test.txt"
    if not paths[0].exists():
        pytest.skip("cooking is not in ../shared/data")
    return paths


@pytest.fixture(scope="session")
def cooking(cooking_files):
    """Sparse text: 12,404 rows, 8,951 words, 735 labels; skipped if absent."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    from skmultireduce.datasets import read_fasttext

    train = read_fasttext(cooking_files[0])
    with pytest.warns(UserWarning, match="label"):
        test = read_fasttext(cooking_files[1], target_names=train.target_names)
    tfidf = TfidfVectorizer(token_pattern=r"\S+", lowercase=False, sublinear_tf=True)
    X = tfidf.fit_transform(train.data)
    return X, train.target, tfidf.transform(test.data), test.target


SCIPY = tuple(map(int, scipy.__version__.split(".")[:2]))
_RNG = "rng" if SCIPY >= (1, 15) else "random_state"

HAS_SPARSE_INTERFACE = pytest.mark.skipif(
    "sparse_interface" not in get_config(), reason="new in scikit-learn 1.9"
)


def random_csr(rng, shape, density, dtype=np.float64):
    """CSR array of uniform numbers, of float64 rounded to `dtype`."""
    X = sp.random_array(shape, density=density, format="csr", dtype=np.float64, **{_RNG: rng})
    return X.astype(dtype)


def random_problem(
    seed=0, n_rows=60, n_features=30, n_labels=7, density=0.3, dtype=np.float64, index=np.int32
):
    """Sparse rows and label sets of sizes 0 to n_labels."""
    rng = np.random.default_rng(seed)
    X = random_csr(rng, (n_rows, n_features), density, dtype)
    X.indices = X.indices.astype(index)
    y = (rng.random((n_rows, n_labels)) < rng.random((n_rows, 1)) * 0.8).astype(np.int8)
    return X, y


def best_micro_jaccard(y_true, scores):
    """Micro Jaccard index at the best single cutoff, by sorting."""
    truth = (y_true.toarray() if sp.issparse(y_true) else np.asarray(y_true)).ravel() > 0
    flat = np.asarray(scores).ravel()
    order = np.argsort(-flat, kind="stable")
    hits = np.cumsum(truth[order])
    jaccard = hits / (truth.sum() + np.arange(1, len(flat) + 1) - hits)
    last_of_ties = np.append(np.diff(flat[order]) != 0, True)
    return jaccard[last_of_ties].max()


@pytest.fixture(scope="session", autouse=True)
def as_many_cores_as_threads():
    """Tests of several threads have them on machines of one core, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skmultireduce._models.threads.usable_cores", lambda: 8)
        yield
