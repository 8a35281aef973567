"""Parts of X and y: blocks of rows that fit into memory, rows by number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.utils import check_array

from .._sklearn import _num_samples, _safe_indexing
from .naming import naming
from .sparse import check_sparse

__all__ = ["indexable_rows", "iter_row_blocks", "take_rows"]


def iter_row_blocks(
    n_rows: int, bytes_per_row: float, working_memory: float | None = None
) -> Iterator[slice]:
    """Slices of rows whose results fit into scikit-learn's ``working_memory``.

    Parameters
    ----------
    n_rows : int
        Number of rows in all.
    bytes_per_row : float
        Memory that one row of the result takes.
    working_memory : float, default=None
        MiB; by default what ``sklearn.get_config()`` says.

    Yields
    ------
    block : slice
    """
    if working_memory is None:
        working_memory = get_config()["working_memory"]
    step = max(1, int(working_memory * 2**20 // max(1, bytes_per_row)))
    for start in range(0, n_rows, step):
        yield slice(start, min(n_rows, start + step))


def indexable_rows(X: Any) -> Any:
    """X in a form whose rows can be sliced (lists and COO cannot)."""
    if sp.issparse(X):
        check_sparse(X, "X")
        return X if X.format in ("csr", "lil") else X.tocsr()
    if hasattr(X, "iloc") or hasattr(X, "__array__") or hasattr(X, "shape"):
        return X
    with naming("X"):
        _num_samples(X)
        return X if isinstance(X, list) else check_array(X, dtype=None)


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Rows of X or y in the container that they came in."""
    return _safe_indexing(indexable_rows(X), rows)
