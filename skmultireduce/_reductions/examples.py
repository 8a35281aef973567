"""From label sets to the examples of multi-class problems, with their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_regressor

from .._data.inner_fits import last_step
from .._data.label_sets import LabelSets
from .._sklearn import _check_method_params
from .class_table import ClassTable
from .draws import draw_labels
from .inner_models import Job, take_rows, takes_weights
from .table import Reduction

__all__ = [
    "Batch",
    "Draws",
    "Examples",
    "examples_job",
    "label_set_job",
    "pair_weights",
    "row_factor",
    "size_job",
]

# Repeating rows is exact where weights are multiples of the smallest, but must not take
# more memory than this factor.
_MAX_REPEAT = 4

# `resample(model, examples)`: examples that the model can take.
_Resample = Callable[[Any, "Examples"], "Examples"]


@dataclass(frozen=True)
class Examples:
    """A weighted multi-class problem: one class code for each of some rows."""

    rows: np.ndarray
    codes: np.ndarray
    weights: np.ndarray

    def without_weights(self, rng: np.random.RandomState) -> tuple[Examples, bool]:
        """Give the same problem with equal weights, and whether chance was needed."""
        ratio = self.weights / self.weights.min()
        counts = np.rint(ratio).astype(np.int64)
        exact = np.allclose(ratio, counts, rtol=1e-9) and counts.sum() <= _MAX_REPEAT * len(counts)
        if not exact:
            # Systematic resampling: each example comes floor or ceil of its expected
            # number of times, and so does each row, whose examples are neighbours.
            edges = np.cumsum(self.weights) * (len(self.weights) / self.weights.sum())
            counts = np.diff(np.floor(edges + rng.uniform()), prepend=0.0).astype(np.int64)
        chosen = np.repeat(np.arange(len(counts)), counts)
        return Examples(self.rows[chosen], self.codes[chosen], np.ones(len(chosen))), not exact

    def fit_for(
        self,
        model: Any,
        method: str,
        rng: np.random.RandomState,
        warn: Callable[[str, str], None],
    ) -> Examples:
        """Examples that a model can take: without weights if it knows none."""
        if np.all(self.weights == self.weights[0]) or takes_weights(model, method):
            return self
        examples, random = self.without_weights(rng)
        if random:
            warn(
                "weights",
                f"{type(last_step(model)[1]).__name__} does not support sample_weight; rows are "
                "resampled in proportion to their weights instead.",
            )
        return examples


@dataclass(frozen=True)
class Batch:
    """Rows of a call of `fit` or `partial_fit` that are trained on.

    Parameters
    ----------
    X : object
        All rows of the call.
    rows : ndarray of shape (n_rows,)
        Which of them are used.
    sets : LabelSets
        Theirs.
    weights : ndarray of shape (n_rows,)
        Theirs, as given.
    params : dict
        Metadata of all rows of the call.
    method : {"fit", "partial_fit"}
        Which is called.
    """

    X: Any
    rows: np.ndarray
    sets: LabelSets
    weights: np.ndarray
    params: dict[str, Any]
    method: str

    def job(
        self,
        model: Any,
        chosen: np.ndarray,
        y: Any,
        weights: np.ndarray,
        n_classes: int | None,
        *,
        routed: bool = True,
    ) -> Job:
        """Fit of a model on chosen ones of the rows; with the metadata, if that is routed."""
        taken = self.rows[chosen]
        params = {}
        if routed and self.params:
            params = _check_method_params(self.X, self.params, indices=taken)
        return Job(model, take_rows(self.X, taken), y, weights, n_classes, params)


@dataclass(frozen=True)
class Draws:
    """The draws of a call: n of each row, which go on in the cycles of earlier calls."""

    seed: int
    n: int = 1
    n_before: int = 0

    def epochs(self) -> range:
        """Numbers of the draws."""
        return range(self.n_before * self.n, (self.n_before + 1) * self.n)


def pair_weights(
    class_sets: LabelSets, reduction: Reduction, label_counts: np.ndarray, draws: Draws
) -> np.ndarray:
    """Weight with which each row shows each of its classes; they sum to 1 or 0.

    Parameters
    ----------
    class_sets : LabelSets
        Classes of each row.
    reduction : Reduction
        What a row shows.
    label_counts : ndarray of shape (n_labels,)
        Frequency of each label; used where classes are labels.
    draws : Draws
        Used where labels are drawn.

    Returns
    -------
    weights : ndarray of shape (n_pairs,), float64
    """
    indptr, sizes = class_sets.indptr, class_sets.sizes
    if reduction.single:
        return np.repeat((sizes == 1).astype(float), sizes)
    if not reduction.draws and not reduction.prefers:
        return np.repeat(1.0 / sizes, sizes)
    weights = np.zeros(len(class_sets.indices))
    if reduction.draws:
        for epoch in draws.epochs():
            drawn = draw_labels(indptr, seed=draws.seed, epoch=epoch, method="cycle")
            weights[drawn] += 1.0 / draws.n
        return weights
    # The class of empty sets is alone in its row, its count does not matter.
    counts = np.append(label_counts, 0.0)[class_sets.indices]
    order = np.lexsort((class_sets.indices, -reduction.prefers * counts, class_sets.rows))
    weights[order[indptr[:-1]]] = 1.0
    return weights


def row_factor(
    sizes: np.ndarray, table: ClassTable, reduction: Reduction, size_model: str | None
) -> np.ndarray | None:
    """Factor of the weight of each row in the multi-class problem; None if all are 1."""
    if size_model == "joint" and reduction.learns == "marginals":
        # Merged sizes count as their mean, by which probabilities are divided again.
        return np.maximum(table.size_values[table.size_positions(sizes)], 1.0)
    if size_model == "expected" or reduction.learns == "marginals":
        # Statement 3.5: the minimiser is then in proportion to the marginals.
        return np.maximum(sizes, 1).astype(float)
    return None


def examples_job(
    model: Any,
    batch: Batch,
    class_sets: LabelSets,
    shown: np.ndarray,
    weights: np.ndarray,
    codes: np.ndarray | None,
    resample: _Resample,
) -> tuple[Job, np.ndarray]:
    """Rows repeated for each class that they show.

    Parameters
    ----------
    model : estimator
        Multi-class classifier.
    batch : Batch
        The rows.
    class_sets : LabelSets
        Their classes.
    shown : ndarray of shape (n_pairs,)
        Weight with which each row shows each of its classes.
    weights : ndarray of shape (n_rows,)
        Weights of the rows.
    codes : ndarray or None
        Classes that the classifier knows; None: those that occur.
    resample : callable
        Makes examples that the model can take.

    Returns
    -------
    job : Job
    codes : ndarray
        Classes that the classifier knows.
    """
    shown = shown * np.repeat(weights, class_sets.sizes)
    pairs = np.flatnonzero(shown)
    examples = Examples(class_sets.rows[pairs], class_sets.indices[pairs], shown[pairs])
    examples = resample(model, examples)
    if codes is None:
        codes = np.unique(examples.codes)
    y = np.searchsorted(codes, examples.codes)
    return batch.job(model, examples.rows, y, examples.weights, len(codes)), codes


def label_set_job(
    model: Any,
    batch: Batch,
    class_sets: LabelSets,
    shown: np.ndarray | None,
    weights: np.ndarray,
    codes: np.ndarray | None,
) -> tuple[Job, np.ndarray]:
    """Label sets, or sets of pairs, as they are; with `shown`, just the classes shown.

    Parameters and results are those of `examples_job`.
    """
    rows = np.arange(class_sets.n_rows)
    if shown is not None:
        pairs = np.flatnonzero(shown)
        rows = class_sets.rows[pairs]
        class_sets = LabelSets(
            np.arange(len(pairs) + 1), class_sets.indices[pairs], class_sets.n_labels
        )
    if codes is None:
        codes = np.unique(class_sets.indices)
    columns = np.searchsorted(codes, class_sets.indices)
    y = sp.csr_array(
        (np.ones(len(columns), dtype=np.int8), columns, class_sets.indptr),
        shape=(len(rows), len(codes)),
    )
    return batch.job(model, rows, y, weights[rows], len(codes)), codes


def size_job(
    model: Any,
    batch: Batch,
    table: ClassTable,
    seen: np.ndarray | None,
    resample: _Resample,
) -> tuple[Job, np.ndarray | None]:
    """Sizes as classes, or as numbers for a regressor.

    Parameters
    ----------
    model : estimator
        Classifier or regressor.
    batch : Batch
        The rows.
    table : ClassTable
        The sizes that are told apart.
    seen : ndarray or None
        Positions of the sizes that the classifier knows; None: those that occur.
    resample : callable
        Makes examples that the model can take.

    Returns
    -------
    job : Job
    seen : ndarray or None
        Positions of the sizes that the classifier knows, None for a regressor.
    """
    regressor = is_regressor(model)
    sizes = batch.sets.sizes
    codes = sizes if regressor else table.size_positions(sizes)
    examples = resample(model, Examples(np.arange(len(sizes)), codes, batch.weights))
    n_classes = None
    if regressor:
        y = examples.codes.astype(np.float64)
    else:
        if seen is None:
            seen = np.unique(examples.codes)
        y = np.searchsorted(seen, examples.codes)
        n_classes = len(seen)
    return batch.job(model, examples.rows, y, examples.weights, n_classes, routed=False), seen
