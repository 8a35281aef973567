"""Slow NumPy twins of `_kernels.cutoff`, and cutoffs by brute force; for the tests."""

from __future__ import annotations

import numpy as np

__all__ = [
    "add_bins",
    "add_cut",
    "add_histogram",
    "add_label_bins",
    "best_cut",
    "top_labels",
]


def _images(bits: np.ndarray) -> np.ndarray:
    sign = bits.dtype.type(1) << bits.dtype.type(8 * bits.itemsize - 1)
    return np.where(bits & sign, (~bits) + bits.dtype.type(1), bits | sign)


def _weights(bits: np.ndarray, weight: np.ndarray) -> np.ndarray:
    row = weight if len(weight) else np.ones(len(bits))
    return np.broadcast_to(row[:, None], bits.shape)


def add_histogram(bits, weight, shift, histogram):
    """Twin of the kernel."""
    bucket = (_images(bits) >> bits.dtype.type(shift)).astype(np.int64)
    np.add.at(histogram, bucket, _weights(bits, weight).astype(histogram.dtype))
    return int(np.isnan(bits.view(np.float32 if bits.itemsize == 4 else np.float64)).sum())


def add_bins(bits, weight, shift, alive, first, candidates, counts):
    """Twin of the kernel."""
    keys, weights = _images(bits), _weights(bits, weight)
    for key, w in zip(keys.ravel(), weights.ravel(), strict=True):
        bucket = int(key) >> shift
        if alive[bucket]:
            own = candidates[first[bucket] : first[bucket + 1]]
            counts[first[bucket] + np.searchsorted(own, key, side="right") - 1] += w


def add_label_bins(bits, weight, first, candidates, counts):
    """Twin of the kernel."""
    keys, weights = _images(bits), _weights(bits, weight)
    for j in range(bits.shape[1]):
        own = candidates[first[j] : first[j + 1]]
        slots = first[j] + np.searchsorted(own, keys[:, j], side="right") - 1
        np.add.at(counts, slots, weights[:, j].astype(counts.dtype))


def add_cut(scores, value, lowest, below, highest, predicted):
    """Twin of the kernel."""
    finite = np.isfinite(scores)
    np.minimum(lowest, np.where(finite, scores, np.inf).min(axis=0), out=lowest)
    np.maximum(highest, np.where(finite, scores, -np.inf).max(axis=0), out=highest)
    np.maximum(below, np.where(scores < value, scores, -np.inf).max(axis=0), out=below)
    predicted[:] = (scores >= value).sum(axis=1)


def top_labels(scores, out):
    """Twin of the kernel."""
    out[:] = np.argsort(-scores, axis=1, kind="stable")[:, : out.shape[1]]


def best_cut(y, scores, metric):
    """Best value of ``metric(y, prediction)`` over all distinct predictions of one cutoff.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_labels)
        Indicator.
    scores : ndarray of shape (n_samples, n_labels)
        ``inf`` is always predicted, ``-inf`` never.
    metric : callable
        ``metric(y, prediction) -> float``, higher is better.

    Returns
    -------
    score : float
    """
    finite = np.unique(scores[np.isfinite(scores)])
    return max(metric(y, scores >= value) for value in [*finite, np.inf])
