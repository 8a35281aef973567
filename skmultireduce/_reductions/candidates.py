"""The sampled softmax: how probable each label is, samples, candidates of batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import pdtr

from .draws import uniforms

__all__ = ["Candidates", "LabelSampler", "find_candidates", "inclusion_probabilities"]


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
