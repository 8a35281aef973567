"""Memory of models: where arrays begin, how long their rows are, and what to do without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["aligned_zeros", "naming_memory", "padded"]


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros whose memory starts at a cache line.

    NumPy's own start at a multiple of 16 bytes: vectors then straddle lines, and threads
    that work side by side share them.
    """
    dtype = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    memory = np.zeros(n_bytes + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def padded(n: int, dtype: Any) -> int:
    """Length of rows of n values that start at cache lines, or at shares of one.

    A multiple of 64 bytes, or for less a power of 2 of values.
    """
    line = 64 // np.dtype(dtype).itemsize
    return -(-n // line) * line if n >= line else 1 << (n - 1).bit_length()


@contextmanager
def naming_memory(matrices: dict[str, tuple[int, int]], dtype: Any, advice: str) -> Iterator[None]:
    """Let a MemoryError say how large a model is, and what is smaller.

    Parameters
    ----------
    matrices : dict
        From what a matrix has as rows and columns to these two numbers.
    dtype : dtype
        Of its values.
    advice : str
        What takes less memory.
    """
    try:
        yield
    except MemoryError as error:
        dtype = np.dtype(dtype)
        sizes = " and ".join(
            f"{rows:,} x {columns:,} weights ({names}: "
            f"{rows * columns * dtype.itemsize / 2**30:.3g} GiB of {dtype})"
            for names, (rows, columns) in matrices.items()
        )
        raise MemoryError(
            f"Memory does not suffice to train a model of {sizes}; average=True and "
            f"early_stopping=True keep copies of them. {advice}"
        ) from error
