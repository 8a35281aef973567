"""Linear multi-label classifier trained by stochastic gradient descent."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from ._data.label_sets import LabelSets
from ._data.rows import Rows
from ._kernels import linear as _kernel
from ._models.threads import Threads
from ._reductions.targets import ONE_VS_REST, SMOOTHNESS, Targets
from ._sklearn import Interval, StrOptions, _align_api_if_sparse, validate_params
from ._training.estimator import BaseSGDMultiLabel, aligned_zeros, padded

__all__ = ["MultiLabelSGDClassifier"]

# alpha="auto" is the penalty of a C of this size, alpha = 1 / (C n) on rows of unit norm.
_AUTO_C = {"softmax": 10.0, "sigmoid": 5.0, "squared_hinge": 0.25}

# The intercept learns as the weight of a feature with this square, relative to the mean
# squared row norm. It moves with every row; at 1 its noise costs up to 0.5 % of the best
# Jaccard index (measured at 1, 0.1 and 0 on text and dense sets), at 0 there is none.
_INTERCEPT_SQUARE = 0.1

# A row's step is at most this over its own curvature, so that rows of very different
# norms, large weights or a large eta0 cannot make the model diverge.
_LARGEST_STEP = 2.0

# Threads pay only if each has this many labels.
_LABELS_A_THREAD = 48

# sparsify(density="auto") leaves out the smallest weights that together have this share of
# the sum of all squares. If features are about equally frequent, the scores' expected
# squared change is this share of their own expected square.
_PRUNED_SQUARES = 0.05


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


@dataclass
class _Work:
    """What the epochs of one fit need beside the parameters."""

    max_step: np.ndarray
    buffers: list[np.ndarray]
    n_groups: int
    threads: Threads
    # Of each panel; the same once all have ended an epoch.
    scales: list[np.ndarray]


class MultiLabelSGDClassifier(BaseSGDMultiLabel):
    """Linear multi-label classifier, by reduction to multi-class or binary problems.

    Stochastic gradient descent on sparse or dense rows. With ``reduction="pick_one"`` it is
    fastText's training scheme for a linear model: a softmax classifier sees each row with
    one of its labels, drawn anew in every epoch.

    Parameters
    ----------
    reduction : {"pick_one", "pick_all_normalized", "pick_all", "one_vs_rest", \
            "one_vs_rest_normalized"}, default="pick_one"
        How a label set Y of size S becomes targets [1]_:

        * ``"pick_one"``: softmax, one label of Y drawn anew in each epoch. Learns q, the
          law of the picked label.
        * ``"pick_all_normalized"``: softmax, weight 1/S on each label of Y. The exact
          expectation of pick_one, so it learns q as well, with less noise.
        * ``"pick_all"``: softmax, weight 1 on each label of Y. Learns m / E[S], with m the
          marginal probabilities of the labels.
        * ``"one_vs_rest"``: a binary problem for each label. Learns m.
        * ``"one_vs_rest_normalized"``: the same with targets 1/S. Learns q.
    loss : {"log_loss", "squared_hinge"}, default="log_loss"
        ``"log_loss"``: of the softmax, or of a sigmoid for each label. ``"squared_hinge"``:
        of a linear support vector machine for each label; one-vs-rest reductions only.
    alpha : float or "auto", default="auto"
        L2 penalty: the objective is the mean loss plus ``alpha / 2 * ||coef||^2``.
        ``"auto"``: ``r^2 / (C n)`` with r^2 the mean squared norm of the n rows, and C = 10
        (softmax; times 1 / E[S] for ``pick_all``, whose loss is that much larger), 5
        (sigmoid) or 0.25 (squared hinge). In [0, inf).
    fit_intercept : bool, default=True
        Whether to learn an intercept; it is not penalised.
    max_iter : int, default=20
        Number of epochs. In [1, inf).
    tol : float or None, default=None
        Without early stopping: stop when the training loss has not fallen by more than
        `tol` for `n_iter_no_change` epochs. With it: a validation score must rise by more
        than `tol` to count. None: run `max_iter` epochs, over which the step decays.
    learning_rate : {"linear", "constant", "invscaling"}, default="linear"
        Step sizes: from `eta0` linearly to 0 over `max_iter` epochs, always `eta0`, or
        ``eta0 / sqrt(1 + epoch)``.
    eta0 : float or "auto", default="auto"
        First step. ``"auto"``: the inverse of the largest curvature of the loss (1/2 for
        the softmax, 1/4 for the sigmoid, 2 for the squared hinge) over the mean squared
        row norm, so that scaling X by a number does not change the quality. In (0, inf).
    label_sampling : {"random", "cycle"}, default="random"
        Draws of ``"pick_one"``: independent, or each label of a row once in S epochs in a
        random order (less noise at no cost, theory 1.3).
    class_weight : dict, "balanced", array-like of shape (n_labels,), or None, default=None
        Weights of the losses of positive labels. dict: from label (column of y; class for
        1-D y) to weight. ``"balanced"``: inverse to the counts of the labels.
    early_stopping : bool, default=False
        Stop when the score on held-out rows has not risen for `n_iter_no_change` epochs,
        and keep the weights of the best epoch. Best with ``average=True``: without, the
        weights are at their best only when the step has decayed.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, stratified over labels. In (0, 1).
    scoring : str, callable or None, default=None
        Metric of early stopping. None: the micro-averaged Jaccard index at the best single
        cutoff (accuracy for 1-D y). Otherwise a scikit-learn scorer: to a name label weights
        in y are labels like others, a callable gets y as it is.
    n_iter_no_change : int, default=5
        Patience of early stopping and of `tol`, in epochs. In [1, inf).
    average : bool or int, default=False
        Use the mean of the weights at the ends of the epochs, from epoch `average` on
        (True: from the first). Where it is changed between trainings, an epoch that has no
        part in the mean ends it.
    warm_start : bool, default=False
        Let `fit` and `fit_stream` go on from the present weights. An interrupted run is
        resumed where it stopped, and ends with the same bits; after a complete one the
        schedule starts again.
    shuffle : bool, default=True
        Whether each epoch visits the rows in a new random order.
    dtype : {"float32", "float64"}, default="float32"
        Type of weights and computations.
    n_jobs : int or None, default=None
        Threads of the one-vs-rest reductions' training (each takes a block of labels) and
        of predictions; softmax training uses one. None: 1, -1: all. The result does not
        depend on it, to the bit.
    random_state : int, RandomState instance or None, default=None
        Seed of draws and orders.
    verbose : int, default=0
        If positive, print the loss of each epoch. Progress bars: ``set_callbacks`` with
        ``sklearn.callback.ProgressBar()``.

    Attributes
    ----------
    coef_ : {ndarray, CSR} of shape (n_labels, n_features)
        Weights; CSR after `sparsify`. Computed on access when a penalty is in use: training
        keeps its factor apart, so that resuming a run changes no bit.
    intercept_ : ndarray of shape (n_labels,)
        Intercepts.
    classes_ : ndarray of shape (n_labels, 2) or (n_classes,)
        ``[0, 1]`` for each label; for 1-D y the classes.
    alpha_, eta0_ : float
        Values used for `alpha` and `eta0`.
    n_iter_ : int
        Number of epochs so far.
    t_ : int
        Number of row updates so far.
    loss_curve_ : list of float
        Mean loss of each epoch, without the penalty, over the updates as they happen.
    n_unlabeled_ : int
        Number of rows without labels that the last training left out (softmax only).
    validation_scores_, best_validation_score_ : list of float, float
        Scores of early stopping.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    ThresholdedMultiLabel : Turns the scores into label sets by a tuned cutoff.

    Notes
    -----
    Defaults were chosen by the ratio of the best-cutoff Jaccard index to the best on a grid
    of C (1, 3, 10, 30, 100 for the log losses, 0.125 to 4 for the squared hinge), over
    three text sets (tf-idf and binary words, 22 to 735 labels) and a standardised dense one:
    the worst ratios are 0.98 (softmax), 0.98 (sigmoid) and 0.99 (squared hinge), the
    strongest penalty being best on the dense set with few rows.

    Rows whose norm or weight is large take smaller steps, at most 2 over their own
    curvature, so that no `eta0` makes the model diverge.

    References
    ----------
    .. [1] A. K. Menon, A. S. Rawat, S. Reddi, S. Kumar, "Multilabel reductions: what is my
       loss optimising?", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> X, y = make_multilabel_classification(random_state=0)
    >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (100, 5)
    """

    _parameter_constraints: dict = {
        **BaseSGDMultiLabel._parameter_constraints,
        "fit_intercept": ["boolean"],
    }

    _STATE = ("_weights", "_intercepts", "_scale")

    # Threads have labels of their own.
    _EPOCHS_AHEAD = 2

    # Weights of shape (n_features, n_labels) after sparsify(), instead of `_weights`.
    _pruned: Any = None

    def __init__(
        self,
        *,
        reduction: str = "pick_one",
        loss: str = "log_loss",
        alpha: float | str = "auto",
        fit_intercept: bool = True,
        max_iter: int = 20,
        tol: float | None = None,
        learning_rate: str = "linear",
        eta0: float | str = "auto",
        label_sampling: str = "random",
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        warm_start: bool = False,
        shuffle: bool = True,
        dtype: str = "float32",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reduction = reduction
        self.loss = loss
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.label_sampling = label_sampling
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.warm_start = warm_start
        self.shuffle = shuffle
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def coef_(self) -> Any:
        """Weights of shape (n_labels, n_features)."""
        if self._pruned is not None:
            return _align_api_if_sparse(self._pruned.T.tocsr())
        weights, _, scale = self._parameters()
        panels = [panel[:, : last - first] for first, last, panel in self._panels(weights)]
        out = panels[0] if len(panels) == 1 else np.concatenate(panels, axis=1)
        return (out if scale[0] == 1 else out * out.dtype.type(scale[0])).T

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts of shape (n_labels,)."""
        return self._parameters()[1][: self._n_labels]

    def _lay_out(self, n_labels: int, n_threads: int) -> None:
        """Bounds and widths of the panels of labels."""
        group = _kernel.LABEL_GROUP
        n_panels = 1
        if self.reduction in ONE_VS_REST:
            n_panels = max(1, min(n_threads, n_labels // _LABELS_A_THREAD))
        bounds = np.linspace(0, -(-n_labels // group), n_panels + 1).astype(int) * group
        self._bounds = np.minimum(bounds, n_labels).tolist()
        self._widths = [padded(n, self.dtype) for n in np.diff(self._bounds).tolist()]

    def _allocate(self, n_features: int, n_labels: int) -> None:
        self._lay_out(n_labels, self._n_threads())
        stride = sum(self._widths)
        self._weights = aligned_zeros((n_features * stride,), self.dtype)
        self._intercepts = aligned_zeros((stride,), self.dtype)
        # weights = scale * W: the penalty changes one number a row.
        self._scale = np.ones(1)
        self._pruned = None

    def _panels(self, weights: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """Blocks of labels, each with its W of shape (n_features, width).

        A thread trains one panel. With all labels in one matrix, the part of a row of W that
        one core prefetches beyond its labels is what another has just written: two threads
        were slower than one (159 labels x 68 values: 9.5 against 7.8 ms an epoch).
        """
        start = 0
        for (first, last), width in zip(pairwise(self._bounds), self._widths, strict=True):
            stop = start + self.n_features_in_ * width
            yield first, last, weights[start:stop].reshape(self.n_features_in_, width)
            start = stop

    def _row_sums(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        norms = rows.squared_norms
        total = targets.total_weight()
        used = total > 0
        share = targets.row_share
        return {
            "n_used": int(np.count_nonzero(used)),
            "share": float(share[used].sum()),
            "square": float((norms[used] * share[used]).sum()),
            "total": float(total[used].sum()),
            "curvature": float((total * norms)[used].sum()),
            "sample_weight": targets.sample_weight_sum,
        }

    def _set_rates(self, sums: dict[str, Any], loss: str) -> None:
        square = sums["square"] / sums["share"] or 1.0
        curvature = SMOOTHNESS[loss] * (sums["curvature"] / sums["n_used"])
        if not np.isfinite(square) or not np.isfinite(curvature):
            raise ValueError(
                "The squared norms of X's rows overflow. Scale X, for example with "
                "sklearn.preprocessing.MaxAbsScaler or Normalizer."
            )
        self._mean_square = square
        self.eta0_ = float(self.eta0) if self.eta0 != "auto" else 1 / (curvature or 1.0)
        if self.alpha == "auto":
            size = sums["total"] / sums["n_used"] if loss == "softmax" else 1.0
            self.alpha_ = square * size / (_AUTO_C[loss] * sums["sample_weight"])
        else:
            self.alpha_ = float(self.alpha)

    @property
    def _intercept_rate(self) -> float:
        return _INTERCEPT_SQUARE * self._mean_square if self.fit_intercept else 0.0

    def _join_panels(self) -> None:
        """Lay out all labels in one panel for a softmax, which is over all of them.

        They are in several if the training before was of another reduction.
        """
        if self.reduction in ONE_VS_REST or len(self._widths) == 1:
            return
        old = [
            (f"{prefix}_weights", f"{prefix}_intercepts")
            for prefix in ("", *(["_mean"] if self._n_averaged else []))
        ]
        joined = []
        width = padded(self._n_labels, self.dtype)
        for weights, intercepts in old:
            panel = aligned_zeros((self.n_features_in_, width), self.dtype)
            for first, last, part in self._panels(getattr(self, weights)):
                panel[:, first:last] = part[:, : last - first]
            offsets = aligned_zeros((width,), self.dtype)
            offsets[: self._n_labels] = getattr(self, intercepts)[: self._n_labels]
            joined += [(weights, panel.reshape(-1)), (intercepts, offsets)]
        for name, value in joined:
            setattr(self, name, value)
        self._bounds, self._widths = [0, self._n_labels], [width]

    def _prepare(self, rows: Rows, targets: Targets) -> _Work:
        self._join_panels()
        curvature = targets.total_weight() * (rows.squared_norms + self._intercept_rate)
        curvature *= SMOOTHNESS[targets.loss]
        max_step = np.full(rows.shape[0], np.finfo(self.dtype).max, dtype=self.dtype)
        np.divide(
            _LARGEST_STEP, curvature, out=max_step, where=curvature > 1e-30, casting="same_kind"
        )
        buffers = []
        for _ in self._widths:
            # Scores, products of the losses' factors, sums of the losses, spare.
            buffer = aligned_zeros((4, sum(self._widths)), self.dtype)
            buffer[1] = 1
            buffers.append(buffer)
        return _Work(
            max_step=max_step,
            buffers=buffers,
            n_groups=-(-self._n_labels // _kernel.LABEL_GROUP),
            threads=Threads(min(self._n_threads(), len(self._widths))),
            scales=[],
        )

    def _epoch(
        self,
        work: _Work,
        rows: Rows,
        targets: Targets,
        *,
        epoch: int,
        first_row: int,
        order: np.ndarray,
        shown: tuple[np.ndarray, np.ndarray],
        eta: tuple[float, float],
        n_ahead: int = 0,
    ) -> Callable[[], float]:
        begin, end = eta
        change = (end - begin) / max(1, len(order))
        panels = list(self._panels(self._weights))
        # Cache lines apart, or threads would take them from each other.
        losses = [aligned_zeros((work.n_groups + 8,), np.float64) for _ in panels]
        if not n_ahead:
            work.scales = [self._scale.copy() for _ in panels]
        scales = work.scales

        def run(number: int) -> None:
            first, last, panel = panels[number]
            _kernel.sgd_epoch(
                panel,
                self._intercepts,
                scales[number],
                rows.data,
                rows.indices,
                rows.indptr,
                order,
                *shown,
                targets.label_sets.indices,
                targets.label_weight,
                targets.row_weight,
                work.max_step,
                _kernel.LOSS_CODES[targets.loss],
                targets.soft_target,
                # The middle of each row's interval.
                begin - change / 2,
                change,
                self.alpha_,
                self._intercept_rate,
                first,
                last,
                work.buffers[number],
                losses[number],
            )

        wait = work.threads.begin(run, len(panels))

        def total_loss() -> float:
            wait()
            self._scale = scales[0].copy()
            # Each entry is of one panel: the sum does not depend on their number.
            return float(np.sum(losses, axis=0).sum())

        return total_loss

    def _plain_state(self) -> dict[str, np.ndarray]:
        scale = self._weights.dtype.type(self._scale[0])
        return {
            "_weights": self._weights * scale,
            "_intercepts": self._intercepts,
            "_scale": np.ones(1),
        }

    def _scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        if self._pruned is not None:
            _kernel.sparse_scores(
                self._pruned.data,
                self._pruned.indices,
                self._pruned.indptr,
                self.intercept_,
                rows.data,
                rows.indices,
                rows.indptr,
                first,
                last,
                out,
            )
            return
        weights, intercepts, scale = self._parameters()
        for first_label, last_label, panel in self._panels(weights):
            _kernel.linear_scores(
                panel,
                intercepts,
                float(scale[0]),
                rows.data,
                rows.indices,
                rows.indptr,
                first,
                last,
                first_label,
                last_label,
                out,
            )

    # ------------------------------------------------------------ sparse weights
    @validate_params(
        {
            "density": [Interval(numbers.Real, 0, 1, closed="right"), StrOptions({"auto"}), None],
            "min_magnitude": [Interval(numbers.Real, 0, None, closed="left")],
        },
        prefer_skip_nested_validation=True,
    )
    def sparsify(
        self, *, density: float | str | None = None, min_magnitude: float = 0.0
    ) -> MultiLabelSGDClassifier:
        """Store the weights in a sparse matrix, the largest ones or all that are not 0.

        `coef_` becomes a CSR matrix, the model and its pickle as small as that: 8 bytes for
        each weight that is kept, with ``dtype="float32"``, instead of 4 for each weight.
        Intercepts stay as they are. All predictions work as before, slower than with dense
        weights if more than a few percent of them are kept; `densify` is needed before the
        model is trained further.

        Parameters
        ----------
        density : float, "auto" or None, default=None
            Share of the weights to keep, the largest ones; in (0, 1]. ``"auto"`` leaves
            out the smallest weights that together have 5 % of the sum of all squares:
            where features are about equally frequent, that is the expected squared change
            of the scores, relative to their own square. None: as scikit-learn's
            ``sparsify``, all that are not 0, which changes no prediction but for rounding,
            and saves memory if most are 0.
        min_magnitude : float, default=0.0
            Leave out weights of a smaller magnitude. In [0, inf).

        Returns
        -------
        self : object
            The estimator.

        See Also
        --------
        densify : The way back.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import MultiLabelSGDClassifier
        >>> X, y = make_multilabel_classification(n_features=100, random_state=0)
        >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
        >>> model.coef_.size
        500
        >>> model.sparsify(density=0.2).coef_.nnz
        100
        """
        check_is_fitted(self)
        weights = self.coef_.T if self._pruned is None else self._pruned
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
            index = sp.get_index_dtype(maxval=max(weights.shape))
            axes = tuple(axis.astype(index) for axis in places)
            pruned = sp.csr_array((weights[places], axes), shape=weights.shape)
        self._intercepts = self._parameters()[1].copy()
        self._drop_average()
        # A run that a callback stopped would go on from the weights that it had.
        self._progress = None
        self._weights = np.empty(0, dtype=self.dtype)
        self._scale = np.ones(1)
        self._pruned = pruned
        return self

    def densify(self) -> MultiLabelSGDClassifier:
        """Store the weights in an ndarray again, as `fit` does; the way back from `sparsify`.

        What was left out stays 0 until the model is trained further. A mean of the weights
        (`average`) then starts anew.

        Returns
        -------
        self : object
            The estimator.

        See Also
        --------
        sparsify : Leave out the smallest weights.
        """
        check_is_fitted(self)
        if self._pruned is not None:
            self._weights = aligned_zeros((self.n_features_in_ * sum(self._widths),), self.dtype)
            for first, last, panel in self._panels(self._weights):
                panel[:, : last - first] = self._pruned[:, first:last].toarray()
            self._pruned = None
        return self

    def _check_dense_weights(self) -> None:
        if self._pruned is not None:
            raise ValueError(
                "The weights are sparse, which training cannot go on from. Call densify() first."
            )

    def _read(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> tuple[Rows, LabelSets]:
        if not reset:
            self._check_dense_weights()
        return super()._read(X, y, reset=reset, classes=classes)
