"""Structure of sparse input, checked before anything walks through its buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["check_sparse", "stacked_offsets"]

# Of either byte order.
_WITHOUT_SIGN = {
    np.dtype(f"{order}i{size}"): np.dtype(f"{order}u{size}")
    for order in "<>"
    for size in (1, 2, 4, 8)
}


def check_sparse(matrix: Any, input_name: str) -> None:
    """Raise if the buffers of a sparse matrix do not describe a matrix of its shape.

    Conversions between formats, slices and products trust these buffers: with a wrong
    number in them they read and write outside of their memory.

    Parameters
    ----------
    matrix : object
        CSR, CSC, BSR and COO are checked; whatever is not sparse, and the other formats,
        have no such buffers.
    input_name : str
        Name in the error message.

    Raises
    ------
    ValueError
        If indices or offsets are outside of their range.
    """
    if not sp.issparse(matrix):
        return
    if matrix.format in ("csr", "csc", "bsr"):
        fault = _compressed_fault(matrix)
    elif matrix.format == "coo":
        fault = _coordinates_fault(matrix)
    else:
        return
    if fault is not None:
        raise ValueError(
            f"{input_name} is a corrupt sparse matrix ({matrix.format}, shape={matrix.shape}): "
            f"{fault}. Build it anew from its values and coordinates."
        )


def stacked_offsets(offsets: list[np.ndarray]) -> np.ndarray:
    """Row offsets of CSR matrices one below the other; each starts at 0."""
    sizes = [np.diff(part) for part in offsets]
    out = np.zeros(sum(map(len, sizes)) + 1, dtype=np.int64)
    np.cumsum(np.concatenate(sizes), out=out[1:])
    return out


def _outside(indices: np.ndarray, size: int) -> bool:
    if not len(indices):
        return False
    if indices.dtype.kind == "i":
        # Without a sign negative numbers are the largest: one pass instead of two.
        size = min(size, 1 << (8 * indices.dtype.itemsize - 1))
        indices = indices.view(_WITHOUT_SIGN[indices.dtype])
    return bool(indices.max() >= size)


def _falls(offsets: np.ndarray) -> bool:
    if len(offsets) == 2:
        # One row, such as of a single text, where NumPy's calls are most of the time.
        return bool(offsets[1] < offsets[0])
    return bool((offsets[1:] < offsets[:-1]).any())


def _compressed_fault(matrix: Any) -> str | None:
    indptr, indices = matrix.indptr, matrix.indices
    if indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        return "indices or row offsets are no integers"
    lines, size = matrix.shape if len(matrix.shape) == 2 else (1, matrix.shape[0])
    if matrix.format == "csc":
        lines, size = size, lines
    elif matrix.format == "bsr":
        height, width = matrix.blocksize
        lines, size = lines // height, size // width
    if len(indptr) != lines + 1 or indptr[0] != 0 or _falls(indptr):
        return "offsets that do not start at 0, decrease, or are not one more than its lines"
    if indptr[-1] > min(len(indices), len(matrix.data)):
        return "offsets beyond the end of its buffers"
    if _outside(indices[: indptr[-1]], size):
        return f"indices outside of [0, {size})"
    return None


def _coordinates_fault(matrix: Any) -> str | None:
    if any(len(axis) != len(matrix.data) for axis in matrix.coords):
        return "coordinates and values differ in number"
    for axis, size in zip(matrix.coords, matrix.shape, strict=True):
        if _outside(axis, size):
            return f"coordinates outside of [0, {size})"
    return None
