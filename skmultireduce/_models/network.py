"""Networks on averaged embeddings: hidden layers, then a softmax or a sigmoid a label."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .._data.rows import Rows
from .._kernels import linear as _linear_kernel
from .._kernels import mlp as _kernel
from .._reductions.candidates import LabelSampler, find_candidates, inclusion_probabilities
from .._reductions.table import LOSSES
from .._reductions.targets import Targets
from .memory import aligned_zeros, naming_memory, padded
from .model import Model, Visit, check_arrays
from .threads import Threads, one_blas_thread

__all__ = [
    "ACTIVATIONS",
    "EmbeddingNetwork",
    "NetworkArrays",
    "NetworkOptions",
    "NetworkRates",
]

_ACTIVATION_CODES = {
    "identity": _kernel.IDENTITY,
    "relu": _kernel.RELU,
    "tanh": _kernel.TANH,
}
ACTIVATIONS = tuple(_ACTIVATION_CODES)

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

_LESS_MEMORY = (
    "Use a smaller embedding_dim (or last of hidden_layer_sizes), fewer features "
    "(HashingVectorizer(n_features=...), min_df of a vectorizer) or labels, or dtype='float32'."
)


@dataclass(frozen=True)
class NetworkOptions:
    """What the user chooses of a network, beside its widths.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_hinge"}
        Loss of the kernels.
    alpha : float
    eta0 : float or "auto"
    fit_intercept : bool
    batch_size : int or "auto"
    activation : {"relu", "tanh", "identity"}
    pooling : {"mean", "sum"}
    freeze_embeddings : bool
    dropout : float
    n_sampled_labels : int or None
    dtype : {"float32", "float64"}
    """

    loss: str
    alpha: float = 0.0
    eta0: float | str = "auto"
    fit_intercept: bool = True
    batch_size: int | str = "auto"
    activation: str = "relu"
    pooling: str = "mean"
    freeze_embeddings: bool = False
    dropout: float = 0.0
    n_sampled_labels: int | None = None
    dtype: str = "float32"


class NetworkArrays(NamedTuple):
    """Parameters of a network.

    Attributes
    ----------
    embedding : ndarray of shape (n_features, stride)
        Embeddings, in rows that start at cache lines.
    decay : ndarray of shape (1,), float64
        Factor of the embeddings: the penalty changes one number a batch.
    hidden : ndarray of shape (n_values,)
        Weights (n_out, n_in) and intercepts (n_out,) of each hidden layer in turn.
    output : ndarray of shape (n_labels, widths[-1])
    intercepts : ndarray of shape (n_labels,)
    """

    embedding: np.ndarray
    decay: np.ndarray
    hidden: np.ndarray
    output: np.ndarray
    intercepts: np.ndarray


@dataclass(frozen=True)
class NetworkRates:
    """What depends on the statistics of all rows.

    Parameters
    ----------
    alpha, eta0 : float
        Penalty and first step.
    batch_size : int
    mean_square : float
        Mean squared norm of the pooled rows when the embeddings got their size.
    vector_square : float
        Mean squared norm of the document vectors then, if the embeddings were given; else 1.
    inclusion : ndarray of shape (n_labels,), or None
        Probabilities with which a sampled softmax takes the labels.
    """

    alpha: float
    eta0: float
    batch_size: int
    mean_square: float
    vector_square: float
    inclusion: np.ndarray | None = None


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


class EmbeddingNetwork(Model):
    """Rows' pooled embeddings, through hidden layers, to a score a label.

    Parameters
    ----------
    n_features, n_labels : int
        In [1, inf).
    options : NetworkOptions
    widths : list of int
        Length of the embeddings, and units of each hidden layer.
    seed : int
        Of the first values; in [0, 2**63).
    given : ndarray of shape (n_features, widths[0]), default=None
        First values of the embeddings; rows of NaN get random ones of the same size.
    """

    options: NetworkOptions
    rates: NetworkRates | None

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        options: NetworkOptions,
        widths: list[int],
        *,
        seed: int,
        given: np.ndarray | None = None,
    ) -> None:
        super().__init__(n_features, n_labels, options)
        self.widths = widths
        # Whether the embeddings keep the size that they were given.
        self.sized = given is not None
        with self.naming_memory():
            self.arrays = self._first_values(_generator(seed, 0, 1), given)

    def naming_memory(self) -> AbstractContextManager:
        """Context in which a MemoryError says how large the model is, and what is smaller."""
        matrices = {
            "features x embedding_dim": (self.n_features, self.widths[0]),
            "labels x units": (self.n_labels, self.widths[-1]),
        }
        return naming_memory(matrices, self.dtype, _LESS_MEMORY)

    def _first_values(self, rng: np.random.Generator, given: np.ndarray | None) -> NetworkArrays:
        dim = self.widths[0]
        if given is None:
            # Of a size that `begin` gives them.
            embedding = rng.random((self.n_features, dim), dtype=self.dtype)
            embedding -= 0.5
        else:
            known = ~np.isnan(given[:, 0])
            # Words without a vector: of the same size, in random directions.
            spread = np.sqrt(np.mean(np.square(given[known]), dtype=np.float64))
            embedding = given.astype(self.dtype)
            embedding[~known] = spread * rng.standard_normal((int((~known).sum()), dim))
        aligned = aligned_zeros((self.n_features, padded(dim, self.dtype)), self.dtype)
        aligned[:, :dim] = embedding
        hidden = []
        for n_in, n_out in pairwise(self.widths):
            n_out_counted = 0 if self.options.activation == "relu" else n_out
            bound = np.sqrt(6 / (n_in + n_out_counted))
            hidden += [rng.uniform(-bound, bound, n_in * n_out), np.zeros(n_out)]
        return NetworkArrays(
            aligned,
            np.ones(1),
            np.concatenate([*hidden, np.empty(0)]).astype(self.dtype),
            aligned_zeros((self.n_labels, self.widths[-1]), self.dtype),
            aligned_zeros((self.n_labels,), self.dtype),
        )

    # ----------------------------------------------------------------- parameters
    @property
    def embedding(self) -> np.ndarray:
        """Embeddings of shape (n_features, widths[0])."""
        embedding, decay = self.arrays.embedding[:, : self.widths[0]], self.arrays.decay[0]
        return embedding if decay == 1 else embedding * embedding.dtype.type(decay)

    def layers(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights (n_in, n_out) and intercepts of the layers after the embeddings."""
        weights, offsets, start = [], [], 0
        for n_in, n_out in pairwise(self.widths):
            stop = start + n_out * n_in
            weights.append(self.arrays.hidden[start:stop].reshape(n_out, n_in).T)
            offsets.append(self.arrays.hidden[stop : stop + n_out])
            start = stop + n_out
        return [*weights, self.arrays.output.T], [*offsets, self.arrays.intercepts]

    def plain(self) -> EmbeddingNetwork:
        """The same model with the factor of the penalty in the embeddings."""
        out = copy.copy(self)
        embedding, decay = self.arrays.embedding, self.arrays.decay
        out.arrays = self.arrays._replace(
            embedding=embedding * embedding.dtype.type(decay[0]), decay=np.ones(1)
        )
        return out

    def check(self) -> None:
        """Raise a ValueError if the arrays are not what the kernels rely on."""
        widths = self.widths
        if not widths or not all(isinstance(width, int) and width > 0 for width in widths):
            raise ValueError("`widths` are not the widths of layers")
        n_hidden = sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))
        check_arrays(
            self.arrays,
            {
                "embedding": ((self.n_features, padded(widths[0], self.dtype)), self.dtype),
                "decay": ((1,), np.float64),
                "hidden": ((n_hidden,), self.dtype),
                "output": ((self.n_labels, widths[-1]), self.dtype),
                "intercepts": ((self.n_labels,), self.dtype),
            },
        )
        rates = self.rates
        if rates is None:
            return
        if not isinstance(rates.batch_size, int) or rates.batch_size < 1:
            raise ValueError("`batch_size` is not a number of rows")
        if rates.inclusion is not None:
            check_arrays(rates, {"inclusion": ((self.n_labels,), np.float64)})
            if not np.all((rates.inclusion > 0) & (rates.inclusion <= 1)):
                raise ValueError("`inclusion` are not probabilities")

    # ------------------------------------------------------------------- training
    def _row_factors(self, rows: Rows, first: int, last: int) -> np.ndarray:
        """Factor of each row: 1 over its sum of absolute values for the mean, else none."""
        if self.options.pooling == "sum":
            return np.empty(0, dtype=self.dtype)
        sums = rows.part(first, last).absolute_sums()
        return (1 / np.where(sums > 0, sums, 1)).astype(self.dtype)

    def sums(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        """Sums over rows that the rates depend on."""
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
            "n_measured": int(np.count_nonzero(norms)),
            "log_square": float(np.log(norms[norms > 0]).sum()),
        }
        if self.options.batch_size == "auto" and not self.options.freeze_embeddings:
            if rows.dense:
                block = rows.data.reshape(rows.shape)
                sums["row"] = factors @ block if len(factors) else block.sum(axis=0)
            else:
                values = rows.data
                if len(factors):
                    values = values * np.repeat(factors, np.diff(rows.indptr))
                sums["row"] = np.bincount(rows.indices, values, minlength=rows.shape[1])
        if self.sample_size is not None:
            sums["label_mass"] = targets.label_mass()
        if self.rates is None and self.sized:
            vectors = self.vectors(rows, 0, rows.shape[0])
            sums["vectors"] = float(np.square(vectors).sum(dtype=np.float64))
        return sums

    def _squares(self, sums: dict[str, Any]) -> tuple[float, float]:
        """Mean squares of rows and of vectors; gives the embeddings of a new model their size."""
        # The geometric mean: neither one row nor heavy tails carry it away.
        square = float(np.exp(sums["log_square"] / max(1, sums["n_measured"])))
        if not np.isfinite(square):
            raise ValueError(
                "The squared norms of X's rows overflow. Scale X, for example with "
                "sklearn.preprocessing.MaxAbsScaler, or set pooling='mean'."
            )
        if "vectors" in sums:
            # Given vectors may be of any size s: steps of s^2 for them and 1 / s^2 for the
            # output give the same model as vectors of size 1.
            return square, sums["vectors"] / sums["n_rows"] or 1.0
        dim = self.widths[0]
        scale = np.sqrt(_MEAN_SQUARE / square)
        bound = 1 / dim if len(self.widths) == 1 else np.sqrt(3 / (dim * _MEAN_SQUARE))
        embedding = self.arrays.embedding
        embedding *= 2 * bound * scale
        return square, 1.0

    def begin(self, sums: dict[str, Any]) -> None:
        """Resolve steps, batch and samples, and the size of the first embeddings."""
        options = self.options
        if self.rates is None:
            square, vector_square = self._squares(sums)
        else:
            square, vector_square = self.rates.mean_square, self.rates.vector_square
        if options.eta0 == "auto":
            curvature = LOSSES[options.loss].smoothness * (sums["total"] / sums["n_used"])
            eta0 = _AUTO_STEP[options.loss] / curvature
            if len(self.widths) > 1:
                eta0 *= _HIDDEN_STEP
        else:
            eta0 = float(options.eta0)
        batch = options.batch_size
        if batch == "auto":
            batch = _LARGEST_BATCH
            if not options.freeze_embeddings:
                # Mean inner product of two pooled rows, relative to their mean square.
                mean = sums["row"] / sums["n_rows"]
                overlap = float(mean @ mean) / square * _MEAN_SQUARE
                while batch > 1 and batch * overlap > _LARGEST_OVERLAP:
                    batch //= 2
        inclusion = None
        if "label_mass" in sums:
            inclusion = inclusion_probabilities(sums["label_mass"], self.sample_size)
        self.rates = NetworkRates(
            float(options.alpha), eta0, int(batch), square, vector_square, inclusion
        )

    @property
    def sample_size(self) -> int | None:
        """Expected size of the samples of labels; None if all labels are used."""
        size = self.options.n_sampled_labels
        return None if size is None or size >= self.n_labels else int(size)

    @property
    def n_sampled(self) -> int | None:
        """Size of the samples that the training began with; None if all labels are used."""
        inclusion = None if self.rates is None else self.rates.inclusion
        return None if inclusion is None else round(inclusion.sum())

    def workspace(self, rows: Rows, targets: Targets, n_threads: int) -> _Work:
        """Factors of the rows, buffers of the kernel, and threads."""
        sampled = self.sample_size is not None
        inclusion = self.rates.inclusion
        n_columns = int(np.ceil(inclusion.sum())) if sampled else self.n_labels
        n_blocks = -(-n_columns // _kernel.LABEL_BLOCK)
        n_threads = min(n_threads, n_blocks) if _kernel.HAS_THREADS else 1
        return _Work(
            row_factor=self._row_factors(rows, 0, rows.shape[0]),
            curvature=(targets.loss.smoothness * targets.total_weight()).astype(self.dtype),
            loss=np.zeros(-(-self.n_labels // _kernel.LABEL_GROUP)),
            threads=Threads(n_threads),
            n_columns=n_columns,
            buffers=self._buffers(n_columns, n_threads),
            sampler=LabelSampler(inclusion) if sampled else None,
            log_inclusion=np.log(inclusion if sampled else []).astype(self.dtype),
            decayed=np.zeros(self.n_labels + 1 if sampled else 0),
        )

    def _buffers(self, n_columns: int, n_threads: int) -> tuple[np.ndarray, ...]:
        """What the kernel works in, for so many columns of scores."""
        width, total_width = self.widths[-1], sum(self.widths)
        batch = self.rates.batch_size
        n_blocks = -(-n_columns // _kernel.LABEL_BLOCK)
        stride = padded(n_columns, self.dtype)
        label_buffers = aligned_zeros((3 + n_threads, max(stride, total_width, 2)), self.dtype)
        label_buffers[0] = 1
        largest = max(((n_in + 1) * n_out for n_in, n_out in pairwise(self.widths)), default=0)
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
        size = 8 + 2 * n_blocks * self.dtype.itemsize
        return aligned_zeros((n_threads, self.rates.batch_size, 8 * -(-size // 64)), np.int64)

    def _sample(
        self, work: _Work, targets: Targets, visit: Visit, first: int, last: int
    ) -> tuple[np.ndarray, ...]:
        """Candidates of the batches of the visits first:last, as the kernel takes them."""
        width = self.widths[-1]
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
        start, stop = (positions[visit.order[first:last]] for positions in visit.shown)
        labels = np.full(len(start), -1, dtype=np.int64)
        labels[stop > start] = targets.label_sets.indices[start[stop > start]]
        found = find_candidates(
            work.sampler,
            labels,
            self.rates.batch_size,
            seed=visit.seed,
            epoch=visit.epoch,
            first_row=visit.first_row + first,
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

    def epoch(
        self, work: _Work, rows: Rows, targets: Targets, visit: Visit
    ) -> Callable[[], float]:
        """Train one epoch, or a part of it; there is nothing to wait for."""
        with one_blas_thread():
            loss = self._epoch(work, rows, targets, visit)
        return lambda: loss

    def _epoch(self, work: _Work, rows: Rows, targets: Targets, visit: Visit) -> float:
        options, rates = self.options, self.rates
        work.loss[:] = 0
        work.decayed[:] = 0
        barrier = np.zeros(16, dtype=np.int64)
        n_units = sum(self.widths)
        kept = np.empty((0, n_units), dtype=np.uint8)
        n_rows = chunk = len(visit.order)
        if options.dropout > 0 or work.sampler is not None:
            chunk = -(-_DRAWN_ROWS // rates.batch_size) * rates.batch_size
        for first in range(0, n_rows, chunk):
            part = visit.order[first : first + chunk]
            if options.dropout > 0:
                rng = _generator(visit.seed, visit.epoch, visit.first_row + first, 2)
                kept = rng.random((len(part), n_units), dtype=np.float32) >= options.dropout
                kept = kept.view(np.uint8)
            sample = self._sample(work, targets, visit, first, first + len(part))
            meeting = self._meeting(work)

            def run(
                thread: int, part=part, kept=kept, first=first, sample=sample, meeting=meeting
            ) -> None:
                _kernel.mlp_epoch(
                    self.arrays,
                    np.array(self.widths, dtype=np.int64),
                    _ACTIVATION_CODES[options.activation],
                    (rows.data, rows.indices, rows.indptr),
                    work.row_factor,
                    part,
                    (
                        *visit.shown,
                        targets.label_sets.indices,
                        targets.label_weight,
                        targets.row_weight,
                        targets.loss.code,
                        targets.soft_target,
                    ),
                    work.curvature,
                    kept,
                    1 / (1 - options.dropout),
                    visit.eta[0] + first * visit.eta_change,
                    visit.eta_change,
                    rates.alpha,
                    (
                        self._embedding_rate,
                        _HIDDEN_RATE,
                        1 / rates.vector_square,
                        _INTERCEPT_SQUARE * rates.vector_square if options.fit_intercept else 0.0,
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
        if work.sampler is not None and rates.alpha > 0:
            # The penalty of labels since they were candidates last.
            left = np.exp(work.decayed[-1] - work.decayed[:-1])
            output = self.arrays.output
            output *= left.astype(self.dtype)[:, None]
        return float(work.loss.sum())

    @property
    def _embedding_rate(self) -> float:
        if self.options.freeze_embeddings:
            return 0.0
        return self.rates.vector_square * _MEAN_SQUARE / self.rates.mean_square

    # ---------------------------------------------------------------- predictions
    def scoring(self, rows: Rows) -> AbstractContextManager:
        """Context that calls of `scores` are made in."""
        return one_blas_thread()

    def scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        """Scores of the rows first:last into out."""
        _kernel.mlp_scores(
            self.arrays.embedding,
            float(self.arrays.decay[0]),
            self.arrays.hidden,
            self.arrays.output,
            self.arrays.intercepts,
            np.array(self.widths, dtype=np.int64),
            _ACTIVATION_CODES[self.options.activation],
            rows.data,
            rows.indices,
            rows.indptr,
            self._row_factors(rows, first, last),
            first,
            last,
            _kernel.PRODUCTS_PAY,
            np.empty((_LARGEST_BATCH, sum(self.widths)), dtype=self.dtype),
            np.empty((self.widths[-1], _LARGEST_BATCH), dtype=self.dtype),
            np.empty(_kernel.LABEL_BLOCK * _LARGEST_BATCH, dtype=self.dtype),
            np.zeros(self.widths[0], dtype=self.dtype),
            out,
        )

    def vectors(self, rows: Rows, first: int, last: int) -> np.ndarray:
        """Document vectors of the rows first:last."""
        dim = self.widths[0]
        out = np.empty((last - first, dim), dtype=self.dtype)
        _linear_kernel.linear_scores(
            self.arrays.embedding,
            np.zeros(dim, dtype=self.dtype),
            float(self.arrays.decay[0]),
            rows.data,
            rows.indices,
            rows.indptr,
            first,
            last,
            0,
            dim,
            out,
        )
        factors = self._row_factors(rows, first, last)
        if len(factors):
            out *= factors[:, None]
        return out


def _generator(seed: int, *stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, *stream]))
