"""Draws: the label that each row shows, the order of the rows, the labels of a sampled softmax.

Pure functions of (seed, epoch, row). A draw does not depend on the order of the rows, on
how they are split into chunks, on threads or on earlier draws, so training can be
stopped, resumed, streamed or distributed and still sees the same labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import pdtr

__all__ = [
    "Candidates",
    "LabelSampler",
    "draw_labels",
    "find_candidates",
    "fold_numbers",
    "inclusion_probabilities",
    "row_order",
    "uniforms",
]

# Stream of the folds, which no epoch has.
_FOLDS = -1

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: np.ndarray) -> np.ndarray:
    """Finaliser of splitmix64 (Steele, Lea and Flood 2014), in place on uint64."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _hash(seed: int, stream: np.ndarray | int, counter: np.ndarray) -> np.ndarray:
    """64 random bits for each (seed, stream, counter)."""
    with np.errstate(over="ignore"):
        key = _mix(np.atleast_1d(np.asarray(stream).astype(np.uint64) * _GOLDEN + np.uint64(seed)))
        return _mix(counter.astype(np.uint64) * _GOLDEN + key)


def uniforms(seed: int, epoch: np.ndarray | int, rows: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1), one for each row.

    Parameters
    ----------
    seed : int
        In [0, 2**63).
    epoch : int or ndarray of shape (n,)
        Epoch, or any other stream number.
    rows : ndarray of shape (n,)
        Global row numbers.

    Returns
    -------
    u : ndarray of shape (n,), float64
    """
    return (_hash(seed, epoch, rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _rows_by_size(sizes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Sizes above 1, and the rows that have each."""
    for size in np.unique(sizes[sizes > 1]).tolist():
        yield size, np.flatnonzero(sizes == size)


def draw_labels(
    indptr: np.ndarray,
    *,
    seed: int,
    epoch: int,
    first_row: int = 0,
    method: str = "random",
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Draw one label of each row.

    Parameters
    ----------
    indptr : ndarray of shape (n_rows + 1,), int64
        Offsets of the label sets.
    seed : int
        In [0, 2**63).
    epoch : int
        Number of the epoch, from 0.
    first_row : int, default=0
        Global number of the first row, for chunks.
    method : {"random", "cycle"}, default="random"
        ``"random"``: independent draws. ``"cycle"``: in any S consecutive epochs that
        start at a multiple of S, a row of S labels shows each of them once, in a random
        order (theory 1.3: the mean of S draws then has no variance).
    values : ndarray of shape (n_pairs,), default=None
        Positive weights; draws are in proportion. Only for ``"random"``.

    Returns
    -------
    position : ndarray of shape (n_rows,), int64
        Position of the drawn pair in the CSR arrays; ``indptr[i]`` for a row without
        labels.
    """
    sizes = np.diff(indptr)
    rows = np.arange(first_row, first_row + len(sizes))
    position = indptr[:-1].copy()
    if method == "random":
        u = uniforms(seed, epoch, rows)
        if values is None:
            position += (u * sizes).astype(np.int64)
            return position
        for size, group in _rows_by_size(sizes):
            # Sums row by row: in a sum over rows small weights would drown in those of other
            # rows, and a draw would depend on the rows before it.
            total = np.cumsum(values[position[group, None] + np.arange(size)], axis=1)
            drawn = np.sum(total <= u[group, None] * total[:, -1:], axis=1)
            # Rounding may lead out of the row.
            position[group] += np.minimum(drawn, size - 1)
        return position
    for size, group in _rows_by_size(sizes):
        # Rows of the same size form a matrix of random keys; the order of a row's keys is
        # its order of labels during `size` epochs.
        turn, step = divmod(epoch, size)
        counter = rows[group, None] * np.int64(size) + np.arange(size)
        keys = _hash(seed, np.int64(turn), counter.reshape(-1)).reshape(counter.shape)
        position[group] += np.argsort(keys, axis=1, kind="stable")[:, step]
    return position


def row_order(
    n_rows: int, *, seed: int, epoch: int, first_row: int = 0, shuffle: bool = True
) -> np.ndarray:
    """Order in which an epoch visits the rows.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    seed : int
        In [0, 2**63).
    epoch : int
        Number of the epoch, from 0.
    first_row : int, default=0
        Global number of the first row, for chunks, each with an order of its own.
    shuffle : bool, default=True
        If False, rows come as they are.

    Returns
    -------
    order : ndarray of shape (n_rows,), int64
    """
    if not shuffle:
        return np.arange(n_rows, dtype=np.int64)
    entropy = [seed, epoch, first_row] if first_row else [seed, epoch]
    return np.random.Generator(np.random.PCG64(entropy)).permutation(n_rows)


def inclusion_probabilities(mass: np.ndarray, size: int) -> np.ndarray:
    """Probabilities with which a sampled softmax takes each label (theory 9.4).

    The sampled sum of exponentials has the least variance, for a given expected size, with
    probabilities in proportion to the root mean square of ``p_k(x)`` over the rows. That
    lies between the frequency of the label, if p does not depend on x, and its square
    root, if p is 0 or 1; hence the power 3/4.

    Parameters
    ----------
    mass : ndarray of shape (n_labels,)
        Number of rows that show each label, as expected over the draws. One row more
        counts for each, so that no label is left out.
    size : int
        Expected number of labels in the sample, in [1, n_labels].

    Returns
    -------
    inclusion : ndarray of shape (n_labels,), float64
        In (0, 1], with the sum `size`: in proportion to the weights, capped at 1.
    """
    weight = (mass + 1.0) ** 0.75
    order = np.argsort(-weight, kind="stable")
    heavy = weight[order]
    # With the r heaviest at 1, the others share what is left; r is the least with no
    # other above 1.
    rest = np.cumsum(heavy[::-1])[::-1]
    n_sure = np.arange(min(size, len(weight)))
    fits = (size - n_sure) * heavy[: len(n_sure)] <= rest[: len(n_sure)]
    inclusion = np.ones(len(weight))
    r = int(np.argmax(fits))
    inclusion[order[r:]] = np.minimum(1.0, (size - r) * heavy[r:] / rest[r])
    return inclusion


class LabelSampler:
    """Samples that hold each label independently of all others (Poisson sampling).

    A sample takes time in proportion to its size, not to the number of labels: it is the
    set of labels that a Poisson process meets which meets label k at the rate
    ``-log(1 - inclusion[k])``. Labels that are surely in come first, without a process.

    Parameters
    ----------
    inclusion : ndarray of shape (n_labels,)
        Probabilities, in (0, 1].
    """

    def __init__(self, inclusion: np.ndarray) -> None:
        sure = inclusion >= 1 - 1e-12
        self.n_labels = len(inclusion)
        self.sure = np.flatnonzero(sure)
        self.others = np.flatnonzero(~sure)
        # Position of each label in the list that it is on.
        self.rank = np.where(sure, np.cumsum(sure), np.cumsum(~sure)) - 1
        self.is_sure = sure
        total = np.cumsum(-np.log1p(-inclusion[self.others]))
        rate = float(total[-1]) if len(total) else 0.0
        self._share = total / rate if rate else total
        # Numbers of meetings that have a probability above 1e-20 or so, and their law.
        spread = 10 * np.sqrt(rate) + 20
        self._least = max(0, int(rate - spread))
        self._law = pdtr(np.arange(self._least, int(rate + spread) + 1, dtype=np.float64), rate)

    def draw(
        self, first_rows: np.ndarray, *, seed: int, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw what is not surely in the samples of some batches.

        Parameters
        ----------
        first_rows : ndarray of shape (n_batches,), int64
            Position of the first row of each batch in the epoch, in [0, 2**31).
        seed : int
            In [0, 2**63).
        epoch : int
            Number of the epoch, from 0.

        Returns
        -------
        sizes : ndarray of shape (n_batches,), int64
            Number of labels drawn for each batch.
        drawn : ndarray of shape (sizes.sum(),), int64
            Ascending positions in `others`, batch by batch.
        """
        n_batches = len(first_rows)
        if not len(self.others):
            return np.zeros(n_batches, dtype=np.int64), np.empty(0, dtype=np.int64)
        # Streams of the draws of labels are not negative.
        stream = np.int64(-1 - epoch)
        counter = first_rows << np.int64(32)
        n_met = np.searchsorted(self._law, uniforms(seed, stream, counter), side="right")
        n_met += self._least
        batch = np.repeat(np.arange(n_batches), n_met)
        place = np.arange(1, len(batch) + 1) - np.repeat(np.cumsum(n_met) - n_met, n_met)
        # Sorted within their batches at once, as their order does not matter.
        aim = np.sort(batch + uniforms(seed, stream, counter[batch] + place)) - batch
        met = np.searchsorted(self._share, aim, side="right")
        # Rounding may lead beyond the last.
        np.minimum(met, len(self.others) - 1, out=met)
        first_time = np.ones(len(met), dtype=bool)
        first_time[1:] = (np.diff(met) != 0) | (np.diff(batch) != 0)
        return np.bincount(batch[first_time], minlength=n_batches), met[first_time]


@dataclass(frozen=True)
class Candidates:
    """Labels whose scores the rows of some batches get.

    Parameters
    ----------
    start : ndarray of shape (n_batches + 1,), int64
        Ranges of the batches in `labels`.
    n_shared : ndarray of shape (n_batches,), int64
        Number of labels of each batch that all of its rows see.
    labels : ndarray of shape (start[-1],), int32
        The sample of each batch, then the labels of its rows that are not in it.
    own : ndarray of shape (n_rows,), int32
        Position of each row's label among the candidates of its batch; 0 for rows without.
    """

    start: np.ndarray
    n_shared: np.ndarray
    labels: np.ndarray
    own: np.ndarray

    @property
    def most(self) -> int:
        """Largest number of candidates of a batch."""
        return int(np.diff(self.start).max(initial=0))


def find_candidates(
    sampler: LabelSampler,
    shown: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    first_row: int = 0,
) -> Candidates:
    """Draw a sample for each batch of rows, and add the labels that the rows show.

    Parameters
    ----------
    sampler : LabelSampler
        The law of the samples.
    shown : ndarray of shape (n_rows,)
        Label that each row shows, in the order of the rows; -1 for none.
    batch_size : int
        Rows of a batch.
    seed, epoch : int
        See `LabelSampler.draw`.
    first_row : int, default=0
        Position of the first of these rows in the epoch.

    Returns
    -------
    candidates : Candidates
    """
    n_rows, n_others = len(shown), len(sampler.others)
    n_batches = -(-n_rows // batch_size)
    first_rows = first_row + batch_size * np.arange(n_batches)
    sizes, drawn = sampler.draw(first_rows, seed=seed, epoch=epoch)
    n_sure = len(sampler.sure)
    first_drawn = np.cumsum(sizes) - sizes
    batch_of_drawn = np.repeat(np.arange(n_batches), sizes)
    # One number for each label of each batch, ascending in both lists.
    keys = batch_of_drawn * np.int64(n_others) + drawn
    row_batch = np.arange(n_rows) // batch_size
    rank = sampler.rank[shown]
    wanted = (shown >= 0) & ~sampler.is_sure[shown]
    row_key = row_batch * np.int64(n_others) + rank
    place = np.searchsorted(keys, row_key)
    found = wanted & (place < len(keys))
    found[found] = keys[place[found]] == row_key[found]
    private, which = np.unique(row_key[wanted & ~found], return_inverse=True)
    batch_of_private = private // max(n_others, 1)
    n_private = np.bincount(batch_of_private, minlength=n_batches)
    n_shared = n_sure + sizes
    start = np.zeros(n_batches + 1, dtype=np.int64)
    np.cumsum(n_shared + n_private, out=start[1:])

    labels = np.empty(start[-1], dtype=np.int32)
    labels[start[:-1, None] + np.arange(n_sure)] = sampler.sure
    rank_of_drawn = np.arange(len(drawn)) - first_drawn[batch_of_drawn]
    labels[start[batch_of_drawn] + n_sure + rank_of_drawn] = sampler.others[drawn]
    first_private = np.cumsum(n_private) - n_private
    place_of_private = n_shared[batch_of_private] + (
        np.arange(len(private)) - first_private[batch_of_private]
    )
    labels[start[batch_of_private] + place_of_private] = sampler.others[
        private - batch_of_private * np.int64(n_others)
    ]

    own = np.where(shown >= 0, rank, 0)
    own[found] = n_sure + place[found] - first_drawn[row_batch[found]]
    own[wanted & ~found] = place_of_private[which]
    return Candidates(start, n_shared, labels, own.astype(np.int32))


def fold_numbers(
    n_rows: int, *, seed: int, n_folds: int = 1, test_size: float | None = None, first_row: int = 0
) -> np.ndarray:
    """Fold in which each row is held out.

    A function of the global row number: folds do not depend on how rows are split into
    parts.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    seed : int
        In [0, 2**63).
    n_folds : int, default=1
        Each `n_folds` neighbouring rows are spread over the folds, in a random order.
    test_size : float, default=None
        Instead of `n_folds`: fold 0 is about this share of the rows, -1 the others.
    first_row : int, default=0
        Global number of the first row.

    Returns
    -------
    fold : ndarray of shape (n_rows,), int64
    """
    last = first_row + n_rows
    if test_size is not None:
        u = uniforms(seed, _FOLDS, np.arange(first_row, last))
        return np.where(u < test_size, 0, -1)
    first_group = first_row // n_folds
    counter = np.arange(first_group * n_folds, -(-last // n_folds) * n_folds)
    keys = _hash(seed, _FOLDS, counter).reshape(-1, n_folds)
    fold = np.argsort(keys, axis=1, kind="stable").ravel()
    return fold[first_row - first_group * n_folds :][:n_rows]
