"""Neural multi-label classifier: averaged embeddings, hidden layers, softmax or sigmoids."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import ThreadpoolController

from ._data.label_sets import LabelSets
from ._data.rows import Rows
from ._kernels import linear as _linear_kernel
from ._kernels import mlp as _kernel
from ._models.threads import Threads
from ._reductions.candidates import LabelSampler, find_candidates, inclusion_probabilities
from ._reductions.targets import SMOOTHNESS, Targets
from ._sklearn import Interval, StrOptions
from ._training.estimator import BaseSGDMultiLabel, aligned_zeros, padded

__all__ = ["MultiLabelMLPClassifier"]

_ACTIVATION_CODES = {
    "identity": _kernel.IDENTITY,
    "relu": _kernel.RELU,
    "tanh": _kernel.TANH,
}

# eta0="auto" is this over the largest curvature of the loss: 1 for the log losses, as in
# fastText. The squared hinge, whose gradient has no bound, and networks with hidden layers
# take smaller steps (measured on text sets: 0.03 to 0.1 and 0.1 to 0.2 are best).
_AUTO_STEP = {"softmax": 0.5, "sigmoid": 0.25, "squared_hinge": 0.1}
_HIDDEN_STEP = 0.2

# Steps are those of a model whose rows have this mean squared norm, that of the mean of
# about eight words: rescaling X then changes nothing.
_MEAN_SQUARE = 0.125

# The intercepts of the output layer learn as the weights of a unit with this square.
_INTERCEPT_SQUARE = 0.1

# A row's step is at most this over its own curvature in the output layer.
_LARGEST_STEP = 2.0

# Hidden layers, whose updates are sums over a batch: factor of their steps, and the
# largest change in one batch relative to the norm of their weights.
_HIDDEN_RATE = 0.1
_LARGEST_CHANGE = 0.05

# Largest batch (measured: see _kernels/mlp.pyx), and what the mean inner product of two
# rows, times the batch, may be at most: embeddings take the sum of a batch's gradients,
# each computed before the others' updates.
_LARGEST_BATCH = 64
_LARGEST_OVERLAP = 1.0

# Rows whose dropout masks and samples of labels are drawn at once.
_DRAWN_ROWS = 4096


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Products are small, and threads are this package's own."""
    with _threadpools().limit(limits=1, user_api="blas"):
        yield


@dataclass
class _Work:
    """What the epochs of one fit need beside the parameters."""

    row_factor: np.ndarray
    curvature: np.ndarray
    loss: np.ndarray
    threads: Threads
    # Columns of scores, and the arrays that the kernel works in for so many.
    n_columns: int
    buffers: tuple[np.ndarray, ...]
    # Of a sampled softmax.
    sampler: LabelSampler | None
    log_inclusion: np.ndarray
    decayed: np.ndarray


class MultiLabelMLPClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseSGDMultiLabel
):
    """Multi-label classifier on averaged embeddings, with or without hidden layers.

    The embeddings of a row's words are averaged to a document vector, which goes through
    hidden layers, if any, to a softmax (or a sigmoid for each label). With
    ``reduction="pick_one"`` and no hidden layer this is fastText's supervised model [1]_
    and its training: each row shows one of its labels, drawn anew in every epoch.

    Parameters
    ----------
    reduction : {"pick_one", "pick_all_normalized", "pick_all", "one_vs_rest", \
            "one_vs_rest_normalized"}, default="pick_one"
        How a label set becomes targets; see `MultiLabelSGDClassifier`.
    loss : {"log_loss", "squared_hinge"}, default="log_loss"
        ``"squared_hinge"`` for the one-vs-rest reductions only.
    embedding_dim : int, default=100
        Length of the embeddings; that of `embedding_init` if given. In [1, inf).
    hidden_layer_sizes : int or array-like of int, default=()
        Units of each hidden layer between the document vector and the output.
    activation : {"relu", "tanh", "identity"}, default="relu"
        Of the hidden layers.
    pooling : {"mean", "sum"}, default="mean"
        ``"mean"``: rows of X are divided by the sum of their absolute values (as fastText
        does with counts). ``"sum"``: X as it is, for example with tf-idf weights.
    embedding_init : array-like of shape (n_features, embedding_dim), mapping or None, \
            default=None
        Pretrained vectors. A mapping goes from words to vectors; features that it does
        not have start at random vectors of the same size.
    feature_names : array-like of shape (n_features,), default=None
        Words of the columns, for example ``vectorizer.get_feature_names_out()``; for a
        mapping and for `export_vectors`. None: the names that X has, if any.
    freeze_embeddings : bool, default=False
        Leave the embeddings as they are given.
    dropout : float, default=0.0
        Share of the units of the document vector and of each hidden layer that a row does
        not see in an epoch. In [0, 1).
    alpha : float, default=0.0
        L2 penalty: the objective is the mean loss plus ``alpha / 2`` times the squared
        norm of all weights but the intercepts. In [0, inf).
    fit_intercept : bool, default=True
        Whether the output has an intercept (hidden layers always have).
    max_iter : int, default=25
        Number of epochs. In [1, inf).
    tol : float or None, default=None
        As in `MultiLabelSGDClassifier`.
    learning_rate : {"linear", "constant", "invscaling"}, default="linear"
        Step sizes: from `eta0` linearly to 0 over `max_iter` epochs, always `eta0`, or
        ``eta0 / sqrt(1 + epoch)``.
    eta0 : float or "auto", default="auto"
        First step. ``"auto"``: 1 for the log losses, 0.05 for the squared hinge, over the
        mean weight of a row's loss; a fifth of that with hidden layers. In (0, inf).
    batch_size : int or "auto", default="auto"
        Rows whose scores are computed together. The output layer learns as if rows came one
        by one, whatever the batch; embeddings and hidden layers take the sum of a batch's
        steps. ``"auto"``: 64, less if rows have so much in common that these sums were too
        large.
    label_sampling : {"random", "cycle"}, default="random"
        Draws of ``"pick_one"``; see `MultiLabelSGDClassifier`.
    n_sampled_labels : int or None, default=None
        Sampled softmax [2]_ for ``"pick_one"``: each batch computes the scores of about so many
        labels, drawn anew, and of those that its rows show. A step then costs the same for
        any number of labels, and the minimiser is that of the full softmax (theory 9.4);
        it takes more epochs to come as near. Predictions have the scores of all labels.
        None, or at least as many as there are: the full softmax. In [1, inf).
    class_weight : dict, "balanced", array-like of shape (n_labels,), or None, default=None
        Weights of the losses of positive labels.
    early_stopping : bool, default=False
        Stop when the score on held-out rows has not risen for `n_iter_no_change` epochs,
        and keep the parameters of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows that is held out. In (0, 1).
    scoring : str, callable or None, default=None
        Metric of early stopping. None: the micro-averaged Jaccard index at the best single
        cutoff (accuracy for 1-D y). Otherwise a scikit-learn scorer; see
        `MultiLabelSGDClassifier`.
    n_iter_no_change : int, default=5
        Patience of early stopping and of `tol`, in epochs. In [1, inf).
    average : bool or int, default=False
        Use the mean of the parameters at the ends of the epochs, from epoch `average` on;
        see `MultiLabelSGDClassifier`.
    warm_start : bool, default=False
        Let `fit` and `fit_stream` go on from the present parameters.
    shuffle : bool, default=True
        Whether each epoch visits the rows in a new random order.
    dtype : {"float32", "float64"}, default="float32"
        Type of parameters and computations.
    n_jobs : int or None, default=None
        Threads of training (at most one for each 96 labels) and of predictions; BLAS is
        held to one thread each. None: 1, -1: all. The result does not depend on it, to the
        bit.
    random_state : int, RandomState instance or None, default=None
        Seed of initial values, draws, orders and dropout.
    verbose : int, default=0
        If positive, print the loss of each epoch.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_features, embedding_dim)
        Embeddings.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and intercepts (n_out,) of the hidden layers and the output.
    classes_ : ndarray of shape (n_labels, 2) or (n_classes,)
        ``[0, 1]`` for each label; for 1-D y the classes.
    alpha_, eta0_, batch_size_ : float, float, int
        Values used for the parameters.
    n_iter_, t_ : int
        Number of epochs and of row updates so far.
    loss_curve_ : list of float
        Mean loss of each epoch, without the penalty, over the updates as they happen; that
        among the sampled labels if `n_sampled_labels` is in use.
    n_unlabeled_ : int
        Number of rows without labels that the last training left out (softmax only).
    validation_scores_, best_validation_score_ : list of float, float
        Scores of early stopping.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    MultiLabelSGDClassifier : The linear model.

    Notes
    -----
    Plain stochastic gradient descent, in batches. Within one, the scores of row i are put
    right for the updates that rows j < i have made to the output weights O:
    ``z_i = O h_i - sum_j step_j (h_i . h_j + c) g_j`` with h the inputs of the output
    layer, g the gradients in the scores and c the rate of the intercept. The output layer
    is therefore trained row by row, exactly, at the speed of matrix products. A row's step
    is at most 2 over its curvature in the output layer, for all its parameters; a batch
    changes a hidden layer by at most 5 % of its norm. No `eta0` from 1e-3 to 10 was seen to
    diverge.

    Rescaling X by a number changes nothing: initial values and steps of the embeddings are
    relative to the mean squared norm of the pooled rows.

    References
    ----------
    .. [1] A. Joulin, E. Grave, P. Bojanowski, T. Mikolov, "Bag of tricks for efficient text
       classification", EACL 2017.
    .. [2] S. Jean, K. Cho, R. Memisevic, Y. Bengio, "On using very large target vocabulary
       for neural machine translation", ACL 2015: sampled softmax.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skmultireduce import MultiLabelMLPClassifier
    >>> X = CountVectorizer().fit_transform(["red wine sauce", "bread and wine", "bread"])
    >>> y = [[1, 1], [1, 0], [1, 0]]
    >>> model = MultiLabelMLPClassifier(embedding_dim=10, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (3, 2)
    >>> model.transform(X).shape
    (3, 10)
    """

    _parameter_constraints: dict = {
        **BaseSGDMultiLabel._parameter_constraints,
        "alpha": [Interval(numbers.Real, 0, None, closed="left")],
        "embedding_dim": [Interval(numbers.Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [
            "array-like",
            Interval(numbers.Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(_ACTIVATION_CODES))],
        "pooling": [StrOptions({"mean", "sum"})],
        "embedding_init": ["array-like", Mapping, None],
        "feature_names": ["array-like", None],
        "freeze_embeddings": ["boolean"],
        "fit_intercept": ["boolean"],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "dropout": [Interval(numbers.Real, 0, 1, closed="left")],
        "n_sampled_labels": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    _READ_ONCE = (*BaseSGDMultiLabel._READ_ONCE, "batch_size")

    # Inclusion probabilities of the labels, for a sampled softmax.
    _inclusion: np.ndarray | None = None

    # Whether the embeddings have the size that the rows ask for.
    _has_sizes = True

    _STATE = ("_embedding", "_embedding_scale", "_hidden", "_output", "_intercepts")

    def __init__(
        self,
        *,
        reduction: str = "pick_one",
        loss: str = "log_loss",
        embedding_dim: int = 100,
        hidden_layer_sizes: Any = (),
        activation: str = "relu",
        pooling: str = "mean",
        embedding_init: Any = None,
        feature_names: Any = None,
        freeze_embeddings: bool = False,
        dropout: float = 0.0,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 25,
        tol: float | None = None,
        learning_rate: str = "linear",
        eta0: float | str = "auto",
        batch_size: int | str = "auto",
        label_sampling: str = "random",
        n_sampled_labels: int | None = None,
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        warm_start: bool = False,
        shuffle: bool = True,
        dtype: str = "float32",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reduction = reduction
        self.loss = loss
        self.embedding_dim = embedding_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.pooling = pooling
        self.embedding_init = embedding_init
        self.feature_names = feature_names
        self.freeze_embeddings = freeze_embeddings
        self.dropout = dropout
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.batch_size = batch_size
        self.label_sampling = label_sampling
        self.n_sampled_labels = n_sampled_labels
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.warm_start = warm_start
        self.shuffle = shuffle
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Document vectors have the type of `dtype`, whatever that of X.
        tags.transformer_tags.preserves_dtype = []
        return tags

    # --------------------------------------------------------------- parameters
    @property
    def embedding_(self) -> np.ndarray:
        """Embeddings of shape (n_features, embedding_dim)."""
        embedding, scale, *_ = self._parameters()
        embedding = embedding[:, : self._widths[0]]
        return embedding if scale[0] == 1 else embedding * embedding.dtype.type(scale[0])

    def _layers(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights (n_in, n_out) and intercepts of the layers after the embeddings."""
        _, _, hidden, output, intercepts = self._parameters()
        weights, offsets, start = [], [], 0
        for n_in, n_out in pairwise(self._widths):
            stop = start + n_out * n_in
            weights.append(hidden[start:stop].reshape(n_out, n_in).T)
            offsets.append(hidden[stop : stop + n_out])
            start = stop + n_out
        return [*weights, output.T], [*offsets, intercepts]

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of the hidden layers and of the output, of shape (n_in, n_out) each."""
        return self._layers()[0]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Intercepts of the hidden layers and of the output, of shape (n_out,) each."""
        return self._layers()[1]

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self._seed, *stream]))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._hidden_widths()
        if self.n_sampled_labels is not None and self.reduction != "pick_one":
            raise ValueError(
                f"n_sampled_labels is for reduction='pick_one', not {self.reduction!r}. Use "
                "reduction='pick_one', which learns what 'pick_all_normalized' does, or "
                "n_sampled_labels=None."
            )
        if self.freeze_embeddings and self.embedding_init is None and not self.warm_start:
            raise ValueError(
                "freeze_embeddings=True keeps the embeddings as they are given; pass them as "
                "embedding_init, or set freeze_embeddings=False."
            )
        if isinstance(self.embedding_init, Mapping) and not len(self.embedding_init):
            raise ValueError("embedding_init is an empty mapping; pass vectors or None.")

    def _read(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> tuple[Rows, LabelSets]:
        read = super()._read(X, y, reset=reset, classes=classes)
        if not reset:
            self._check_widths()
        return read

    def _check_widths(self) -> None:
        """Raise a ValueError if the model has other layers than the parameters say."""
        dim, *hidden = self._widths
        found = {"hidden_layer_sizes": (hidden, self._hidden_widths())}
        if self.embedding_init is None:
            found["embedding_dim"] = (dim, self.embedding_dim)
        for name, (there, asked) in found.items():
            if there != asked:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}, but the model was fitted with {there}. Set "
                    "it back, or fit a new model with warm_start=False."
                )

    def _hidden_widths(self) -> list[int]:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        for size in sizes:
            if not isinstance(size, numbers.Integral) or isinstance(size, bool) or size < 1:
                raise ValueError(
                    f"hidden_layer_sizes={self.hidden_layer_sizes!r} must hold positive "
                    "integers, one for each hidden layer; () for none."
                )
        return [int(size) for size in sizes]

    def _given_embeddings(self, n_features: int) -> np.ndarray | None:
        """Rows of `embedding_init`; NaN in those of words that it does not have."""
        if self.embedding_init is None:
            return None
        if not isinstance(self.embedding_init, Mapping):
            given = np.asarray(self.embedding_init)
            if given.ndim != 2 or given.shape[0] != n_features or given.shape[1] == 0:
                raise ValueError(
                    f"embedding_init has shape {given.shape}, but X has {n_features} features; "
                    "an array of shape (n_features, embedding_dim) is needed."
                )
            if given.dtype.kind not in "fiu" or not np.all(np.isfinite(given)):
                raise ValueError(
                    "embedding_init must hold finite numbers; replace NaN, or leave such words "
                    "out of a mapping from words to vectors."
                )
            return given
        names = self.feature_names
        if names is None:
            names = getattr(self, "feature_names_in_", None)
        if names is None:
            raise ValueError(
                "embedding_init is a mapping from words, but X has no feature names. Pass "
                "feature_names=vectorizer.get_feature_names_out()."
            )
        if len(names) != n_features:
            raise ValueError(
                f"feature_names has {len(names)} names, but X has {n_features} features."
            )
        found = {
            j: self.embedding_init[name]
            for j, name in enumerate(names)
            if name in self.embedding_init
        }
        if not found:
            raise ValueError(
                "embedding_init has a vector for none of the features. Check that "
                "feature_names are words in the spelling of the mapping."
            )
        if len({np.shape(vector) for vector in found.values()}) > 1:
            raise ValueError("embedding_init must have vectors of the same length.")
        vectors = np.stack([np.asarray(vector, dtype=np.float64) for vector in found.values()])
        if not np.all(np.isfinite(vectors)):
            raise ValueError("embedding_init has vectors that are not finite; leave them out.")
        given = np.full((n_features, vectors.shape[1]), np.nan)
        given[list(found)] = vectors
        return given

    def _allocate(self, n_features: int, n_labels: int) -> None:
        self._has_sizes = False
        given = self._given_embeddings(n_features)
        dim = self.embedding_dim if given is None else given.shape[1]
        self._widths = [dim, *self._hidden_widths()]
        rng = self._random(0, 1)
        if given is None:
            # Of a size that _set_rates gives them.
            embedding = rng.random((n_features, dim), dtype=self.dtype)
            embedding -= 0.5
        else:
            known = ~np.isnan(given[:, 0])
            # Words without a vector: of the same size, in random directions.
            spread = np.sqrt(np.mean(np.square(given[known]), dtype=np.float64))
            embedding = given.astype(self.dtype)
            embedding[~known] = spread * rng.standard_normal((int((~known).sum()), dim))
        self._embedding = aligned_zeros((n_features, padded(dim, self.dtype)), self.dtype)
        self._embedding[:, :dim] = embedding
        self._embedding_scale = np.ones(1)
        hidden = []
        for n_in, n_out in pairwise(self._widths):
            n_out_counted = 0 if self.activation == "relu" else n_out
            bound = np.sqrt(6 / (n_in + n_out_counted))
            hidden += [rng.uniform(-bound, bound, n_in * n_out), np.zeros(n_out)]
        self._hidden = np.concatenate([*hidden, np.empty(0)]).astype(self.dtype)
        self._output = aligned_zeros((n_labels, self._widths[-1]), self.dtype)
        self._intercepts = aligned_zeros((n_labels,), self.dtype)

    def _row_factors(self, rows: Rows, first: int, last: int) -> np.ndarray:
        """Factor of each row: 1 over its sum of absolute values for the mean, else none."""
        if self.pooling == "sum":
            return np.empty(0, dtype=self.dtype)
        if rows.dense:
            data = rows.data.reshape(rows.shape)[first:last].reshape(-1)
            part = Rows(data, rows.indices, rows.indptr, (last - first, rows.shape[1]))
        else:
            part = Rows(rows.data, rows.indices, rows.indptr[first : last + 1], (last - first, 0))
        sums = part.absolute_sums()
        return (1 / np.where(sums > 0, sums, 1)).astype(self.dtype)

    # ----------------------------------------------------------------- training
    def _row_sums(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        factors = self._row_factors(rows, 0, rows.shape[0])
        norms = rows.squared_norms
        if len(factors):
            norms = norms * np.square(factors, dtype=np.float64)
        total = targets.total_weight()
        used = total > 0
        sums = {
            "n_rows": rows.shape[0],
            "n_used": int(np.count_nonzero(used)),
            "total": float(total[used].sum()),
            "square": float(norms.sum()),
        }
        if self.batch_size == "auto" and not self.freeze_embeddings:
            if rows.dense:
                block = rows.data.reshape(rows.shape)
                sums["row"] = factors @ block if len(factors) else block.sum(axis=0)
            else:
                values = rows.data
                if len(factors):
                    values = values * np.repeat(factors, np.diff(rows.indptr))
                sums["row"] = np.bincount(rows.indices, values, minlength=rows.shape[1])
        if self._sample_size is not None:
            sums["label_mass"] = targets.label_mass()
        if not self._has_sizes and self.embedding_init is not None:
            vectors = self._vectors(rows, 0, rows.shape[0])
            sums["vectors"] = float(np.square(vectors).sum(dtype=np.float64))
        return sums

    def _set_sizes(self, sums: dict[str, Any]) -> None:
        """Sizes of the embeddings of a new model, and of the steps that depend on them."""
        square = sums["square"] / sums["n_rows"]
        if not np.isfinite(square):
            raise ValueError(
                "The squared norms of X's rows overflow. Scale X, for example with "
                "sklearn.preprocessing.MaxAbsScaler, or set pooling='mean'."
            )
        self._has_sizes = True
        self._mean_square = square or 1.0
        self._vector_square = 1.0
        if "vectors" in sums:
            # Given vectors may be of any size s: steps of s^2 for them and 1 / s^2 for the
            # output give the same model as vectors of size 1.
            self._vector_square = sums["vectors"] / sums["n_rows"] or 1.0
        else:
            dim = self._widths[0]
            scale = np.sqrt(_MEAN_SQUARE / self._mean_square)
            bound = 1 / dim if len(self._widths) == 1 else np.sqrt(3 / (dim * _MEAN_SQUARE))
            self._embedding *= 2 * bound * scale

    def _set_rates(self, sums: dict[str, Any], loss: str) -> None:
        if not self._has_sizes:
            self._set_sizes(sums)
        self.alpha_ = float(self.alpha)
        if self.eta0 == "auto":
            curvature = SMOOTHNESS[loss] * (sums["total"] / sums["n_used"])
            self.eta0_ = _AUTO_STEP[loss] / curvature
            if len(self._widths) > 1:
                self.eta0_ *= _HIDDEN_STEP
        else:
            self.eta0_ = float(self.eta0)
        if self.batch_size == "auto":
            batch = _LARGEST_BATCH
            if not self.freeze_embeddings:
                # Mean inner product of two pooled rows, relative to their mean square.
                mean = sums["row"] / sums["n_rows"]
                overlap = float(mean @ mean) / self._mean_square * _MEAN_SQUARE
                while batch > 1 and batch * overlap > _LARGEST_OVERLAP:
                    batch //= 2
            self.batch_size_ = batch
        else:
            self.batch_size_ = int(self.batch_size)
        self._inclusion = None
        if "label_mass" in sums:
            self._inclusion = inclusion_probabilities(sums["label_mass"], self._sample_size)

    @property
    def _sample_size(self) -> int | None:
        """Expected size of the samples of labels; None if all labels are used."""
        size = self.n_sampled_labels
        return None if size is None or size >= len(self._output) else int(size)

    def _check_goes_on(self, names: tuple[str, ...] = ()) -> None:
        super()._check_goes_on(names)
        size = None if self._inclusion is None else round(self._inclusion.sum())
        if self._sample_size not in (None, size):
            raise ValueError(
                f"n_sampled_labels={self.n_sampled_labels} is another value than when the "
                "training began, by whose rows the labels are sampled: in the first call of "
                "partial_fit, or in the run of fit_stream that is not finished. Set it back, or "
                "start a new model with fit."
            )

    def _prepare(self, rows: Rows, targets: Targets) -> _Work:
        n_labels = len(self._output)
        sampled = self._sample_size is not None
        n_columns = int(np.ceil(self._inclusion.sum())) if sampled else n_labels
        n_blocks = -(-n_columns // _kernel.LABEL_BLOCK)
        n_threads = min(self._n_threads(), n_blocks) if _kernel.HAS_THREADS else 1
        return _Work(
            row_factor=self._row_factors(rows, 0, rows.shape[0]),
            curvature=(SMOOTHNESS[targets.loss] * targets.total_weight()).astype(self.dtype),
            loss=np.zeros(-(-n_labels // _kernel.LABEL_GROUP)),
            threads=Threads(n_threads),
            n_columns=n_columns,
            buffers=self._buffers(n_columns, n_threads),
            sampler=LabelSampler(self._inclusion) if sampled else None,
            log_inclusion=np.log(self._inclusion if sampled else []).astype(self.dtype),
            decayed=np.zeros(n_labels + 1 if sampled else 0),
        )

    def _buffers(self, n_columns: int, n_threads: int) -> tuple[np.ndarray, ...]:
        """What the kernel works in, for so many columns of scores."""
        width, total_width = self._widths[-1], sum(self._widths)
        batch = self.batch_size_
        n_blocks = -(-n_columns // _kernel.LABEL_BLOCK)
        stride = padded(n_columns, self.dtype)
        label_buffers = aligned_zeros((3 + n_threads, max(stride, total_width, 2)), self.dtype)
        label_buffers[0] = 1
        largest = max(
            ((n_in + 1) * n_out for n_in, n_out in pairwise(self._widths)),
            default=0,
        )
        shapes = (
            (2, batch * total_width),
            (n_blocks, batch, width),
            (2, batch * width),
            (1 + n_threads, batch * batch),
            (3, batch),
            (largest,),
        )
        return (
            aligned_zeros((2, batch, stride), self.dtype),
            aligned_zeros((n_threads, _kernel.LABEL_BLOCK * batch), self.dtype),
            label_buffers,
            *(aligned_zeros(shape, self.dtype) for shape in shapes),
            np.zeros((n_threads, n_blocks + 1), dtype=np.int64),
        )

    def _meeting(self, work: _Work) -> np.ndarray:
        """Where threads tell each other of the softmax of a row.

        A cache line each, or several: a number that says that the rest is there, and two
        values a block of labels.
        """
        n_threads = work.threads.n_threads
        n_blocks = -(-work.n_columns // (_kernel.LABEL_BLOCK * n_threads))
        size = 8 + 2 * n_blocks * np.dtype(self.dtype).itemsize
        return aligned_zeros((n_threads, self.batch_size_, 8 * -(-size // 64)), np.int64)

    def _sample(
        self,
        work: _Work,
        targets: Targets,
        part: np.ndarray,
        shown: tuple[np.ndarray, np.ndarray],
        epoch: int,
        first: int,
    ) -> tuple[np.ndarray, ...]:
        """Candidates of the batches of these rows, as the kernel takes them."""
        width = self._widths[-1]
        if work.sampler is None:
            none = np.empty(0, dtype=np.int64)
            return (
                none,
                none,
                *2 * (none.astype(np.int32),),
                work.log_inclusion,
                work.decayed,
                *2 * (np.empty((0, width), dtype=self.dtype),),
            )
        start, stop = (positions[part] for positions in shown)
        labels = np.full(len(part), -1, dtype=np.int64)
        labels[stop > start] = targets.label_sets.indices[start[stop > start]]
        found = find_candidates(
            work.sampler,
            labels,
            self.batch_size_,
            seed=self._seed,
            epoch=epoch,
            first_row=first,
        )
        if found.most > work.n_columns:
            work.n_columns = found.most
            work.buffers = self._buffers(work.n_columns, work.threads.n_threads)
        return (
            found.start,
            found.n_shared,
            found.labels,
            found.own,
            work.log_inclusion,
            work.decayed,
            aligned_zeros((work.n_columns, width), self.dtype),
            aligned_zeros((2, padded(work.n_columns, self.dtype)), self.dtype),
        )

    def _visit(self, *args: Any, **keywords: Any) -> Callable[[], float]:
        with _one_blas_thread():
            return super()._visit(*args, **keywords)

    def _epoch(
        self,
        work: _Work,
        rows: Rows,
        targets: Targets,
        *,
        epoch: int,
        first_row: int,
        order: np.ndarray,
        shown: tuple[np.ndarray, np.ndarray],
        eta: tuple[float, float],
        n_ahead: int = 0,
    ) -> Callable[[], float]:
        begin, end = eta
        change = (end - begin) / max(1, len(order))
        work.loss[:] = 0
        work.decayed[:] = 0
        barrier = np.zeros(16, dtype=np.int64)
        n_units = sum(self._widths)
        kept = np.empty((0, n_units), dtype=np.uint8)
        chunk = len(order)
        if self.dropout > 0 or work.sampler is not None:
            chunk = -(-_DRAWN_ROWS // self.batch_size_) * self.batch_size_
        for first in range(0, len(order), chunk):
            part = order[first : first + chunk]
            if self.dropout > 0:
                rng = self._random(epoch, first_row + first, 2)
                kept = (rng.random((len(part), n_units), dtype=np.float32) >= self.dropout).view(
                    np.uint8
                )
            sample = self._sample(work, targets, part, shown, epoch, first_row + first)
            meeting = self._meeting(work)

            def run(
                thread: int, part=part, kept=kept, first=first, sample=sample, meeting=meeting
            ) -> None:
                _kernel.mlp_epoch(
                    (
                        self._embedding,
                        self._embedding_scale,
                        self._hidden,
                        self._output,
                        self._intercepts,
                    ),
                    np.array(self._widths, dtype=np.int64),
                    _ACTIVATION_CODES[self.activation],
                    (rows.data, rows.indices, rows.indptr),
                    work.row_factor,
                    part,
                    (
                        *shown,
                        targets.label_sets.indices,
                        targets.label_weight,
                        targets.row_weight,
                        _linear_kernel.LOSS_CODES[targets.loss],
                        targets.soft_target,
                    ),
                    work.curvature,
                    kept,
                    1 / (1 - self.dropout),
                    begin + first * change,
                    change,
                    self.alpha_,
                    (
                        self._embedding_rate,
                        _HIDDEN_RATE,
                        1 / self._vector_square,
                        _INTERCEPT_SQUARE * self._vector_square if self.fit_intercept else 0.0,
                    ),
                    _LARGEST_STEP,
                    _LARGEST_CHANGE,
                    sample,
                    thread,
                    work.threads.n_threads,
                    barrier,
                    _kernel.PRODUCTS_PAY,
                    work.buffers,
                    meeting,
                    work.loss,
                )

            work.threads.together(run)
        if work.sampler is not None and self.alpha_ > 0:
            # The penalty of labels since they were candidates last.
            left = np.exp(work.decayed[-1] - work.decayed[:-1])
            self._output *= left.astype(self.dtype)[:, None]
        loss = float(work.loss.sum())
        return lambda: loss

    @property
    def _embedding_rate(self) -> float:
        if self.freeze_embeddings:
            return 0.0
        return self._vector_square * _MEAN_SQUARE / self._mean_square

    def _plain_state(self) -> dict[str, np.ndarray]:
        state = super()._plain_state()
        scale = self._embedding.dtype.type(self._embedding_scale[0])
        return state | {"_embedding": self._embedding * scale, "_embedding_scale": np.ones(1)}

    # -------------------------------------------------------------- predictions
    def _for_blocks(
        self, n_rows: int, function: Callable[[slice], Any], bytes_per_row: float
    ) -> list:
        with _one_blas_thread():
            return super()._for_blocks(n_rows, function, bytes_per_row)

    def _scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        embedding, scale, hidden, output, intercepts = self._parameters()
        n_units = sum(self._widths)
        _kernel.mlp_scores(
            embedding,
            float(scale[0]),
            hidden,
            output,
            intercepts,
            np.array(self._widths, dtype=np.int64),
            _ACTIVATION_CODES[self.activation],
            rows.data,
            rows.indices,
            rows.indptr,
            self._row_factors(rows, first, last),
            first,
            last,
            _kernel.PRODUCTS_PAY,
            np.empty((_LARGEST_BATCH, n_units), dtype=self.dtype),
            np.empty((self._widths[-1], _LARGEST_BATCH), dtype=self.dtype),
            np.empty(_kernel.LABEL_BLOCK * _LARGEST_BATCH, dtype=self.dtype),
            np.zeros(self._widths[0], dtype=self.dtype),
            out,
        )

    def _vectors(self, rows: Rows, first: int, last: int) -> np.ndarray:
        """Document vectors of the rows first:last."""
        embedding, scale, *_ = self._parameters()
        out = np.empty((last - first, self._widths[0]), dtype=self.dtype)
        _linear_kernel.linear_scores(
            embedding,
            np.zeros(self._widths[0], dtype=self.dtype),
            float(scale[0]),
            rows.data,
            rows.indices,
            rows.indptr,
            first,
            last,
            0,
            self._widths[0],
            out,
        )
        factors = self._row_factors(rows, first, last)
        if len(factors):
            out *= factors[:, None]
        return out

    def transform(self, X: Any) -> np.ndarray:
        """Document vectors: the pooled embeddings of the rows' features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        vectors : ndarray of shape (n_samples, embedding_dim)
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        return self._vectors(rows, 0, rows.shape[0])

    @property
    def _n_features_out(self) -> int:
        return self._widths[0]

    def export_vectors(self, path: str | os.PathLike, feature_names: Any = None) -> None:
        """Write the embeddings in word2vec's text format, which gensim reads.

        Parameters
        ----------
        path : str or path-like
            File to write, in UTF-8.
        feature_names : array-like of shape (n_features,), default=None
            Words, for example ``vectorizer.get_feature_names_out()``. By default
            `feature_names`, or the names that X had in fit.

        Raises
        ------
        ValueError
            If there are no names, their number is wrong, or one holds white space, which
            separates fields in this format.
        """
        check_is_fitted(self)
        names = feature_names if feature_names is not None else self.feature_names
        if names is None:
            names = getattr(self, "feature_names_in_", None)
        if names is None:
            raise ValueError(
                "The features have no names. Pass "
                "feature_names=vectorizer.get_feature_names_out()."
            )
        names = [str(name) for name in names]
        embedding = self.embedding_
        if len(names) != len(embedding):
            raise ValueError(
                f"feature_names has {len(names)} names, but the model has {len(embedding)} "
                "features."
            )
        for name in names:
            if not name or len(name.split()) != 1 or name.strip() != name:
                raise ValueError(
                    f"feature_names has {name!r}; the format cannot hold empty names or white "
                    "space. Replace it, for example by underscores."
                )
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(f"{len(embedding)} {embedding.shape[1]}\n")
            for name, vector in zip(names, embedding.tolist(), strict=True):
                file.write(f"{name} {' '.join(map('{:.9g}'.format, vector))}\n")
