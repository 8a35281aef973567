"""Everything that is compared: how each tool is told to train and to predict.

A contender has a name, `fit` and `predict`, which are timed, and `scores`, which is not.
``predict`` does what the tool is for: scores of all labels where these come as an array,
the top 5 labels where the tool returns lists. ``scores`` is an array in any case, -inf
where a list was cut off at `DEPTH` labels.
"""

from __future__ import annotations

import ctypes
import platform
import tempfile
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from data import Data

TOP = 5
DEPTH = 100
WARM_UP_ROWS = 200
M_PERTURB = -6  # of glibc's malloc.h

CONTENDERS: dict[str, Contender] = {}


class UnfitError(Exception):
    """The tool cannot take this data; the message says why."""


class Contender:
    """One tool with one set of parameters."""

    family: ClassVar[str]
    # Whether a small training comes first, so that imports and pools are not timed.
    warm_up: ClassVar[bool] = True
    # Whether training is faster with more threads; if not, it is run with one alone.
    threaded: bool = True

    def __init__(self, name: str, **parameters: Any) -> None:
        self.name = f"{self.family} {name}"
        self.parameters = parameters
        CONTENDERS[self.name] = self

    def start(self, threads: int, seed: int) -> None:
        """Import the tool; ImportError if it is not installed."""
        self.threads, self.seed = threads, seed

    def load(self, data: Data) -> None:
        """Bring the data into the tool's form, untimed."""
        self.X_train, self.Y_train, self.X_test = data.X_train, data.Y_train, data.X_test
        self.n_labels = data.Y_test.shape[1]

    def fit(self, rows: slice = slice(None)) -> None:
        raise NotImplementedError

    def finish_fit(self) -> None:
        """Whatever lies between training and prediction, untimed."""

    def predict(self) -> Any:
        raise NotImplementedError

    def scores(self, predicted: Any) -> np.ndarray:
        return np.asarray(predicted)

    def _dense(self, lists: list) -> np.ndarray:
        out = np.full((len(lists), self.n_labels), -np.inf)
        for row, pairs in enumerate(lists):
            for label, score in pairs:
                out[row, label] = score
        return out


# ------------------------------------------------------------------------- ours
class Ours(Contender):
    family = "skmultireduce"
    estimator = "MultiLabelSGDClassifier"

    def start(self, threads, seed):
        super().start(threads, seed)
        import skmultireduce

        if not hasattr(skmultireduce, self.estimator):
            raise ImportError(f"skmultireduce has no {self.estimator}")
        self.model = getattr(skmultireduce, self.estimator)(
            n_jobs=threads, random_state=seed, **self.parameters
        )

    @property
    def threaded(self):
        return "one_vs_rest" in self.name

    def fit(self, rows=slice(None)):
        self.model.fit(self.X_train[rows], self.Y_train[rows])

    def predict(self):
        if self.parameters.get("loss") == "squared_hinge":
            return self.model.decision_function(self.X_test)
        return self.model.predict_proba(self.X_test)


class OursMLP(Ours):
    estimator = "MultiLabelMLPClassifier"


Ours("pick_one")
for reduction in ("pick_all_normalized", "pick_all", "one_vs_rest"):
    Ours(reduction, reduction=reduction)
Ours("one_vs_rest squared_hinge", reduction="one_vs_rest", loss="squared_hinge")
OursMLP("MLP")


# ----------------------------------------------------------------- scikit-learn
class OneVsRest(Contender):
    family = "scikit-learn"

    def start(self, threads, seed):
        super().start(threads, seed)
        from sklearn import linear_model, svm
        from sklearn.multiclass import OneVsRestClassifier

        parameters = dict(self.parameters)
        kind = parameters.pop("kind")
        base = getattr(linear_model, kind, None) or getattr(svm, kind)
        base = base(random_state=seed, **parameters)
        self.model = OneVsRestClassifier(base, n_jobs=threads)

    def fit(self, rows=slice(None)):
        self.model.fit(self.X_train[rows], self.Y_train[rows])

    def predict(self):
        if hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(self.X_test)
        return self.model.decision_function(self.X_test)


OneVsRest("LogisticRegression", kind="LogisticRegression", solver="liblinear", C=10)
OneVsRest("SGDClassifier", kind="SGDClassifier", loss="log_loss", alpha=1e-5)
OneVsRest("LinearSVC", kind="LinearSVC", C=0.5)


# --------------------------------------------------------------------- fastText
class FastText(Contender):
    """fastText 0.9.3 reads words, and trains one good model in a process.

    With fewer than 10 threads it fills only a part of its embeddings with random numbers
    and leaves the rest as the allocator gave it, which at times ends its training with
    "Encountered NaN". Here glibc's allocator gives zeros.
    """

    family = "fastText"
    warm_up = False

    def start(self, threads, seed):
        super().start(threads, seed)
        import fasttext

        self.fasttext = fasttext
        if platform.libc_ver()[0] == "glibc":
            # New memory gets the complement of this byte.
            ctypes.CDLL(None).mallopt(M_PERTURB, 0xFF)

    def load(self, data):
        super().load(data)
        self.train_file = data.words("train")
        if self.train_file is None:
            raise UnfitError("takes words, not values")
        lines = data.words("test").read_text(encoding="utf8").splitlines()
        self.lines = [
            " ".join(w for w in line.split() if not w.startswith("__label__")) for line in lines
        ]

    def fit(self, rows=slice(None)):
        self.model = self.fasttext.train_supervised(
            str(self.train_file),
            dim=100,
            epoch=25,
            thread=self.threads,
            seed=self.seed,
            verbose=0,
            **self.parameters,
        )

    def predict(self):
        return self.model.predict(self.lines, k=TOP)

    def scores(self, predicted):
        labels, values = self.model.predict(self.lines, k=DEPTH)
        cut = len("__label__")
        return self._dense(
            [
                [(int(label[cut:]), score) for label, score in zip(*pair, strict=True)]
                for pair in zip(labels, values, strict=True)
            ]
        )


FastText("softmax", loss="softmax", lr=1.0)
FastText("ova", loss="ova", lr=0.3)


# -------------------------------------------------------------------- napkinXC
class NapkinXC(Contender):
    family = "napkinXC"

    def start(self, threads, seed):
        super().start(threads, seed)
        from napkinxc import models

        self.kind = getattr(models, self.parameters["kind"])

    def load(self, data):
        super().load(data)
        # It takes csr_matrix of float32 alone.
        self.X_train = sp.csr_matrix(self.X_train, dtype=np.float32)
        self.X_test = sp.csr_matrix(self.X_test, dtype=np.float32)
        self.Y_train = self.Y_train.astype(np.float32)

    def fit(self, rows=slice(None)):
        self.folder = tempfile.TemporaryDirectory()
        self.model = self.kind(self.folder.name, threads=self.threads, seed=self.seed)
        self.model.fit(self.X_train[rows], self.Y_train[rows])

    def finish_fit(self):
        self.model.load()

    def predict(self):
        return self.model.predict_proba(self.X_test, top_k=TOP)

    def scores(self, predicted):
        return self._dense(self.model.predict_proba(self.X_test, top_k=DEPTH))


NapkinXC("PLT", kind="PLT")
NapkinXC("BR", kind="BR")


# --------------------------------------------------------------------- omikuji
class Omikuji(Contender):
    """Omikuji reads a file; its predictions are for one row at a time."""

    family = "omikuji"
    warm_up = False

    def start(self, threads, seed):
        super().start(threads, seed)
        import omikuji

        self.omikuji = omikuji

    def load(self, data):
        super().load(data)
        self.train_file = data.folder / "train.xmc"
        X = sp.csr_matrix(self.X_test)
        self.rows = [
            list(zip(X.indices[a:b].tolist(), X.data[a:b].tolist(), strict=True))
            for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        ]

    def fit(self, rows=slice(None)):
        self.model = self.omikuji.Model.train_on_data(str(self.train_file), n_threads=self.threads)

    def finish_fit(self):
        self.model.init_prediction_thread_pool(self.threads)

    def predict(self):
        return [self.model.predict(row, top_k=TOP) for row in self.rows]

    def scores(self, predicted):
        return self._dense([self.model.predict(row, top_k=DEPTH) for row in self.rows])


Omikuji("3 trees")
