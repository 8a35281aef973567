"""Data sets of the benchmarks, each prepared once into files that a process loads plainly.

A prepared set is a folder with ``train`` and ``test`` matrices; its ``tune`` twin holds
the training rows alone, split 4 : 1, on which cutoffs are tuned. Loading must leave no
peak of memory behind, or it would hide the peak of training; hence the files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
CACHE = Path(tempfile.gettempdir()) / "skmultireduce-benchmarks"

REAL = ("cooking", "bibtex", "tmc2007", "yeast", "python_imports")

# One corner from which each size grows alone.
BASE = {"rows": 8000, "features": 8000, "labels": 128, "nonzeros": 32}
GROWTH = {
    "rows": (4000, 8000, 16000, 32000),
    "features": (4000, 8000, 16000, 32000),
    "labels": (16, 32, 64, 128, 256, 512, 1024),
    "nonzeros": (8, 16, 32, 64, 128),
}
SCALING = tuple(f"{axis}={size}" for axis, sizes in GROWTH.items() for size in sizes)

TUNING_SHARE = 0.2


class MissingDataError(Exception):
    """A data set that is not at hand; the message says what is missing."""


@dataclass
class Data:
    """One prepared set.

    ``X``: CSR or dense, float64, as scikit-learn's transformers return it. ``Y``: CSR
    indicators, int64. ``folder`` holds the same for tools that read files:
    ``words.train.txt`` and ``words.test.txt`` (only if the features are words) and
    ``train.xmc``.
    """

    name: str
    folder: Path
    X_train: object
    Y_train: sp.csr_matrix
    X_test: object
    Y_test: sp.csr_matrix

    def words(self, part: str) -> Path | None:
        path = self.folder / f"words.{part}.txt"
        return path if path.exists() else None


def load(name: str, *, tune: bool = False, cache: Path = CACHE) -> Data:
    """A prepared set; see `prepare`."""
    folder = _folder(name, cache) / ("tune" if tune else "full")
    parts = {}
    for part in ("X_train", "Y_train", "X_test", "Y_test"):
        dense = folder / f"{part}.npy"
        parts[part] = np.load(dense) if dense.exists() else sp.load_npz(folder / f"{part}.npz")
    return Data(name, folder, **parts)


def prepare(name: str, *, cache: Path = CACHE, refresh: bool = False) -> None:
    """Write a set's files, in a process of its own so that this one stays small.

    Raises `MissingDataError` if the set is not at hand.
    """
    if (_folder(name, cache) / "done").exists() and not refresh:
        return
    found = subprocess.run(
        [sys.executable, __file__, name, "--cache", str(cache)], capture_output=True, text=True
    )
    if found.returncode == 3:
        raise MissingDataError(found.stdout.strip())
    if found.returncode:
        raise RuntimeError(f"preparing {name} failed:\n{found.stderr}")


def is_scaling(name: str) -> bool:
    return "=" in name


def synthetic(rows: int, features: int, labels: int, nonzeros: int, *, seed: int = 0):
    """Rows of `nonzeros` distinct words each, that tell of their 1 to 4 labels.

    Words and labels have the frequencies of Zipf's law with exponent 1/2. Half of a
    row's words, about, come from its labels' own lists of words.
    """
    rng = np.random.default_rng(seed)
    frequency = 1 / np.sqrt(np.arange(1, features + 1))
    popularity = 1 / np.sqrt(np.arange(1, labels + 1))
    popularity /= popularity.sum()
    own = rng.integers(features, size=(labels, max(8, nonzeros)))
    # The factor that gives a label's own words about half of all weight.
    boost = frequency.sum() / (2.5 * own.shape[1] * frequency.mean())
    columns = np.empty((rows, nonzeros), dtype=np.int32)
    label_rows, label_columns = [], []
    block = max(1, 2**24 // features)
    for start in range(0, rows, block):
        n = min(block, rows - start)
        weight = np.tile(frequency.astype(np.float32), (n, 1))
        for i, size in enumerate(rng.integers(1, 5, size=n)):
            chosen = np.unique(rng.choice(labels, size=size, p=popularity))
            label_rows.append(np.full(len(chosen), start + i))
            label_columns.append(chosen)
            weight[i, own[chosen]] += boost * frequency.mean()
        # The smallest of exponential draws over weights: a draw without replacement.
        keys = rng.standard_exponential(weight.shape, dtype=np.float32) / weight
        columns[start : start + n] = np.argpartition(keys, nonzeros, axis=1)[:, :nonzeros]
    columns.sort(axis=1)
    indptr = np.arange(0, rows * nonzeros + 1, nonzeros, dtype=np.int32)
    counts = sp.csr_matrix(
        (np.ones(rows * nonzeros), columns.ravel(), indptr), shape=(rows, features)
    )
    pairs = np.concatenate(label_rows), np.concatenate(label_columns)
    Y = sp.csr_matrix((np.ones(len(pairs[0]), dtype=np.int64), pairs), shape=(rows, labels))
    return counts, Y


def _folder(name: str, cache: Path) -> Path:
    return cache / name.replace("=", "-")


def _bag_of_words(texts_train, texts_test):
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=r"\S+", lowercase=False)
    return vectorizer.fit_transform(texts_train), vectorizer.transform(texts_test)


def _tf_idf(counts_train, counts_test):
    from sklearn.feature_extraction.text import TfidfTransformer

    transformer = TfidfTransformer(sublinear_tf=True)
    return (
        transformer.fit_transform(counts_train.astype(np.float64)).tocsr(),
        transformer.transform(counts_test.astype(np.float64)).tocsr(),
    )


def read_fasttext(path: Path):
    texts, labels = [], []
    with path.open(encoding="utf8") as lines:
        for line in lines:
            words = line.split()
            labels.append([w for w in words if w.startswith("__label__")])
            texts.append(" ".join(w for w in words if not w.startswith("__label__")))
    return texts, labels


def shared_files(*files: str) -> list[Path]:
    paths = [SHARED / file for file in files]
    for path in paths:
        if not path.exists():
            raise MissingDataError(f"{path.name} is not in {SHARED}")
    return paths


def _read(name: str):
    """(counts, X) of words or (None, X), and Y; for training and for test rows."""
    if name == "cooking":
        from sklearn.preprocessing import MultiLabelBinarizer

        train, test = map(read_fasttext, shared_files("cooking.train.txt", "cooking.test.txt"))
        binarizer = MultiLabelBinarizer(sparse_output=True).fit(train[1])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="unknown class")
            targets = binarizer.transform(train[1]), binarizer.transform(test[1])
        counts = _bag_of_words(train[0], test[0])
    elif name == "python_imports":
        try:
            from skmultireduce.datasets import load_python_imports
        except ImportError as error:
            raise MissingDataError(f"skmultireduce has no load_python_imports: {error}") from error
        train, test = (load_python_imports(subset=s, return_X_y=True) for s in ("train", "test"))
        counts = _bag_of_words(train[0], test[0])
        targets = train[1], test[1]
    elif is_scaling(name):
        axis, size = name.split("=")
        if axis not in BASE or not size.isdecimal():
            raise MissingDataError(f"no such set: {name}; sizes are named {', '.join(BASE)}")
        sizes = {**BASE, axis: int(size)}
        n_test = 1000
        counts, Y = synthetic(**{**sizes, "rows": sizes["rows"] + n_test})
        counts = counts[:-n_test], counts[-n_test:]
        targets = Y[:-n_test], Y[-n_test:]
    else:
        parts = shared_files(*(f"{name}.{part}.npz" for part in ("Xtr", "Xte", "Ytr", "Yte")))
        *X, Y_train, Y_test = map(sp.load_npz, parts)
        targets = Y_train, Y_test
        if name == "yeast":
            from sklearn.preprocessing import Normalizer, StandardScaler

            scaler = StandardScaler(with_mean=False)
            X_train = scaler.fit_transform(X[0].toarray())
            X_test = scaler.transform(X[1].toarray())
            return None, (Normalizer().transform(X_train), Normalizer().transform(X_test)), targets
        counts = X
    return counts, _tf_idf(*counts), targets


def _write_words(path: Path, counts, Y) -> None:
    counts, Y = sp.csr_matrix(counts), sp.csr_matrix(Y)
    with path.open("w", encoding="utf8") as file:
        for i in range(counts.shape[0]):
            labels = (f"__label__{k}" for k in Y.indices[Y.indptr[i] : Y.indptr[i + 1]])
            row = slice(counts.indptr[i], counts.indptr[i + 1])
            words = (
                f"w{j}"
                for j, n in zip(counts.indices[row], counts.data[row], strict=True)
                for _ in range(int(n))
            )
            print(*labels, *words, file=file)


def _write_xmc(path: Path, X, Y) -> None:
    """The text format of the extreme classification repository."""
    X, Y = sp.csr_matrix(X), sp.csr_matrix(Y)
    with path.open("w", encoding="utf8") as file:
        print(*X.shape, Y.shape[1], file=file)
        for i in range(X.shape[0]):
            labels = ",".join(map(str, Y.indices[Y.indptr[i] : Y.indptr[i + 1]]))
            row = slice(X.indptr[i], X.indptr[i + 1])
            pairs = zip(X.indices[row], X.data[row], strict=True)
            print(labels, *(f"{j}:{value:.9g}" for j, value in pairs), file=file)


def _write(folder: Path, counts, X, Y) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, X_part, Y_part in zip(("train", "test"), X, Y, strict=True):
        if sp.issparse(X_part):
            X_part = sp.csr_matrix(X_part)
            X_part.sort_indices()
            sp.save_npz(folder / f"X_{part}.npz", X_part, compressed=False)
        else:
            np.save(folder / f"X_{part}.npy", X_part)
        Y_part = sp.csr_matrix(Y_part).astype(np.int64)
        sp.save_npz(folder / f"Y_{part}.npz", Y_part, compressed=False)
    if counts is not None:
        _write_words(folder / "words.train.txt", counts[0], Y[0])
        _write_words(folder / "words.test.txt", counts[1], Y[1])
    _write_xmc(folder / "train.xmc", X[0], Y[0])


def _write_set(name: str, cache: Path) -> None:
    folder = _folder(name, cache)
    done = folder / "done"
    done.unlink(missing_ok=True)
    counts, X, Y = _read(name)
    _write(folder / "full", counts, X, Y)
    if not is_scaling(name):
        n_rows = Y[0].shape[0]
        held_out = np.zeros(n_rows, dtype=bool)
        order = np.random.default_rng(0).permutation(n_rows)
        held_out[order[: int(TUNING_SHARE * n_rows)]] = True
        parts = np.flatnonzero(~held_out), np.flatnonzero(held_out)

        def split(matrix):
            matrix = sp.csr_matrix(matrix) if sp.issparse(matrix) else matrix
            return tuple(matrix[rows] for rows in parts)

        _write(folder / "tune", counts and split(counts[0]), split(X[0]), split(Y[0]))
    done.touch()


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare one data set.")
    parser.add_argument("name", help=f"one of {', '.join(REAL)} or, say, labels=64")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of prepared sets")
    args = parser.parse_args()
    try:
        _write_set(args.name, args.cache)
    except MissingDataError as error:
        print(error)
        sys.exit(3)


if __name__ == "__main__":
    main()
