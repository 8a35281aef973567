"""Pseudo-random numbers that are pure functions of what they are for."""

from __future__ import annotations

import numpy as np

__all__ = ["hash64", "uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: np.ndarray) -> np.ndarray:
    """Finaliser of splitmix64 (Steele, Lea and Flood 2014), in place on uint64."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def hash64(seed: int, stream: np.ndarray | int, counter: np.ndarray) -> np.ndarray:
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
    return (hash64(seed, epoch, rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53
