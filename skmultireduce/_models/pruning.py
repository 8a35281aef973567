"""Linear models of which the largest weights are left."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._data.rows import Rows
from .._kernels import linear as _kernel
from .linear import LinearModel, LinearOptions, LinearRates
from .model import Model, check_arrays

__all__ = ["PrunedArrays", "PrunedLinearModel"]

# density="auto" leaves out the smallest weights that together have this share of the sum of
# all squares. If features are about equally frequent, the scores' expected squared change is
# this share of their own expected square.
_PRUNED_SQUARES = 0.05


class PrunedArrays(NamedTuple):
    """Weights in CSR form, of shape (n_features, n_labels), and intercepts."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    intercepts: np.ndarray


def _smallest_kept(magnitudes: np.ndarray, density: float | str, n_weights: int) -> float:
    """The smallest magnitude to keep, of those that are not left out yet; sorts them."""
    magnitudes.sort()
    if density != "auto":
        n_kept = min(max(1, round(density * n_weights)), len(magnitudes))
        return float(magnitudes[len(magnitudes) - n_kept]) if n_kept else 0.0
    # In pieces, so that the float64 sums never take as much memory as the weights.
    pieces = np.array_split(magnitudes, max(1, -(-len(magnitudes) // 1_000_000)))
    squares = [float(np.square(piece, dtype=np.float64).sum()) for piece in pieces]
    left = _PRUNED_SQUARES * sum(squares)
    for piece, square in zip(pieces, squares, strict=True):
        if square > left:
            running = np.cumsum(np.square(piece, dtype=np.float64))
            return float(piece[np.searchsorted(running, left, side="right")])
        left -= square
    return 0.0


class PrunedLinearModel(Model):
    """A `LinearModel` whose weights are a sparse matrix; it gives scores, but does not train.

    Parameters
    ----------
    n_features, n_labels : int
        In [1, inf).
    options : LinearOptions
    rates : LinearRates or None
        Of the training that the weights come from.
    bounds : list of int
        Bounds of the panels of labels that it had.
    arrays : PrunedArrays
    """

    options: LinearOptions
    rates: LinearRates | None

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        options: LinearOptions,
        *,
        rates: LinearRates | None,
        bounds: list[int],
        arrays: PrunedArrays,
    ) -> None:
        super().__init__(n_features, n_labels, options)
        self.rates = rates
        self.bounds = bounds
        self.arrays = arrays

    @classmethod
    def of(
        cls,
        model: LinearModel | PrunedLinearModel,
        density: float | str | None,
        min_magnitude: float,
    ) -> PrunedLinearModel:
        """The largest weights of a model; see `MultiLabelSGDClassifier.sparsify`."""
        weights = model.matrix if isinstance(model, PrunedLinearModel) else model.coef.T
        if density is not None:
            magnitudes = np.abs(weights.data if sp.issparse(weights) else weights).ravel()
            smallest = _smallest_kept(magnitudes, density, int(np.prod(weights.shape)))
            min_magnitude = max(min_magnitude, smallest)
            del magnitudes
        if sp.issparse(weights):
            pruned = weights.copy()
            pruned.data[np.abs(pruned.data) < min_magnitude] = 0
            pruned.eliminate_zeros()
        else:
            places = np.nonzero((np.abs(weights) >= min_magnitude) & (weights != 0))
            # Half as long as NumPy's, where they can be.
            index = np.int32 if max(weights.shape) <= np.iinfo(np.int32).max else np.int64
            axes = tuple(axis.astype(index) for axis in places)
            pruned = sp.csr_array((weights[places], axes), shape=weights.shape)
        return cls(
            model.n_features,
            model.n_labels,
            model.options,
            rates=model.rates,
            bounds=model.bounds,
            arrays=PrunedArrays(
                pruned.data, pruned.indices, pruned.indptr, model.intercepts.copy()
            ),
        )

    @property
    def matrix(self) -> sp.csr_array:
        """Weights of shape (n_features, n_labels); shares memory with the model."""
        arrays = self.arrays
        return sp.csr_array(
            (arrays.data, arrays.indices, arrays.indptr), (self.n_features, self.n_labels)
        )

    @property
    def coef(self) -> sp.csr_array:
        """Weights of shape (n_labels, n_features)."""
        return self.matrix.T.tocsr()

    @property
    def intercepts(self) -> np.ndarray:
        """Intercepts of shape (n_labels,)."""
        return self.arrays.intercepts

    def dense(self) -> LinearModel:
        """The model with all its weights; what was left out is 0."""
        model = LinearModel(self.n_features, self.n_labels, self.options, bounds=self.bounds)
        model.rates = self.rates
        matrix = self.matrix
        for first, last, panel in model.panels():
            panel[:, : last - first] = matrix[:, first:last].toarray()
        model.intercepts[:] = self.intercepts
        return model

    def check_trains(self) -> None:
        """Raise a ValueError: sparse weights do not train."""
        raise ValueError(
            "The weights are sparse, which training cannot go on from. Call densify() first."
        )

    def check(self) -> None:
        """Raise a ValueError if the arrays are not what the kernels rely on."""
        indices, indptr = self.arrays.indices, self.arrays.indptr
        index = getattr(indices, "dtype", None)
        if index not in (np.dtype(np.int32), np.dtype(np.int64)):
            raise ValueError("`indices` are not integers")
        n = len(indices)
        check_arrays(
            self.arrays,
            {
                "data": ((n,), self.dtype),
                "indices": ((n,), index),
                "indptr": ((self.n_features + 1,), index),
                "intercepts": ((self.n_labels,), self.dtype),
            },
        )
        if indptr[0] != 0 or indptr[-1] != n or np.any(np.diff(indptr) < 0):
            raise ValueError("`indptr` does not divide the weights among the features")
        if n and not 0 <= indices.min() <= indices.max() < self.n_labels:
            raise ValueError("`indices` are not numbers of labels")
        # Bounds of panels count again after `dense`.
        LinearModel(1, self.n_labels, self.options, bounds=self.bounds).check()

    def scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        """Scores of the rows first:last into out."""
        arrays = self.arrays
        _kernel.sparse_scores(
            arrays.data,
            arrays.indices,
            arrays.indptr,
            arrays.intercepts,
            rows.data,
            rows.indices,
            rows.indptr,
            first,
            last,
            out,
        )
