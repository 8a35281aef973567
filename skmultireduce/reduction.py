"""Any multi-class classifier as a multi-label classifier, and the repair of its sizes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    clone,
    is_outlier_detector,
    is_regressor,
)
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._data.blocks import indexable_rows, iter_row_blocks
from ._data.label_sets import LabelSets, read_labels
from ._data.sparse import check_sparse
from ._data.weights import read_sample_weight
from ._reductions.draws import draw_labels
from ._reductions.fmeasure import f_optimal_sets
from ._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    _check_method_params,
    _fit_context,
    _num_samples,
    _raise_for_params,
    _routing_enabled,
    _safe_indexing,
)
from ._state import VersionedState, forgets_on_error, restores_on_error

__all__ = ["MultiClassReduction"]

_SAMPLED = ("pick_one", "pick_all_normalized", "pick_all")
_SELECTING = ("select_max", "select_min", "ignore")
_BINARY = ("one_vs_rest", "one_vs_rest_normalized")

# Merging large sizes moves the marginals of a row by 2 % of the mean size on average, at
# most (6.8); by 4.7 that costs at most 4 % of micro Jaccard, in practice far less.
_MERGE_TOLERANCE = 0.02

# Repeating rows is exact where weights are multiples of the smallest, but must not take
# more memory than this factor.
_MAX_REPEAT = 4

# A constant label column, or any probability that a classifier gives as 0 or 1, is moved
# by less than the precision of the type, so that logits stay finite.
_SMALLEST = 1e-30


def _last_step(estimator: Any) -> tuple[str, Any]:
    """Prefix of the parameters of a pipeline's last step, and that step."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += name + "__"
    return prefix, estimator


def _takes_label_sets(estimator: Any) -> bool:
    """Whether the classifier trains on label sets itself.

    Such a classifier has the class attribute ``_takes_label_sets = True`` and a parameter
    ``reduction``; it then gets an indicator matrix, and rows are not repeated.
    """
    last = _last_step(estimator)[1]
    return getattr(last, "_takes_label_sets", False) and hasattr(last, "reduction")


def _takes_weights(estimator: Any, method: str) -> bool:
    last = _last_step(estimator)[1]
    # Without the method only where one class is all that is known, see `_fit_model`.
    return "sample_weight" in signature(getattr(last, method, last.fit)).parameters


def _take(X: Any, rows: np.ndarray) -> Any:
    """Rows of X; X itself where that is all of them in order."""
    n_rows = _num_samples(X)
    if len(rows) == n_rows and np.array_equal(rows, np.arange(n_rows)):
        return X
    return _safe_indexing(X, rows)


def _finite_proba(estimator: Any, X: Any) -> np.ndarray:
    proba = estimator.predict_proba(X)
    if not np.all(np.isfinite(proba)):
        raise ValueError(
            f"{type(estimator).__name__}.predict_proba gives NaN for rows of X: its numbers "
            "over- or underflow. Scale X, drop constant features, or choose another estimator."
        )
    return proba


def _open_unit_interval(proba: np.ndarray) -> np.ndarray:
    """Clip in place to (0, 1) without the ends."""
    top = 1 - np.finfo(proba.dtype).epsneg
    return np.clip(proba, _SMALLEST, top, out=proba)


@dataclass(frozen=True)
class _Examples:
    """A weighted multi-class problem: one class code for each of some rows."""

    rows: np.ndarray
    codes: np.ndarray
    weights: np.ndarray

    def without_weights(self, rng: np.random.RandomState) -> tuple[_Examples, bool]:
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
        return _Examples(self.rows[chosen], self.codes[chosen], np.ones(len(chosen))), not exact


@dataclass(frozen=True)
class _SizeClasses:
    """Sizes of label sets as classes; all sizes from `cap` on are the last class.

    ``total`` and ``weight`` are the sums behind the mean size of that last class, so that
    batches can be added.
    """

    cap: int
    total: float = 0.0
    weight: float = 0.0

    @classmethod
    def choose(cls, sizes: np.ndarray, weights: np.ndarray, max_size: Any) -> _SizeClasses:
        """Read `max_size`; for "auto" the least cap within `_MERGE_TOLERANCE`."""
        largest = int(sizes.max(initial=1))
        if max_size is None:
            return cls(largest)
        if max_size != "auto":
            return cls(int(max_size))
        allowed = _MERGE_TOLERANCE * (weights @ sizes)
        for cap in range(1, largest):
            tail = sizes >= cap
            mean = np.average(sizes[tail], weights=weights[tail])
            if weights[tail] @ np.abs(sizes[tail] - mean) <= allowed:
                return cls(cap)
        return cls(largest)

    def add(self, sizes: np.ndarray, weights: np.ndarray) -> _SizeClasses:
        """Count further rows."""
        tail = sizes >= self.cap
        return _SizeClasses(
            self.cap,
            self.total + float(weights[tail] @ sizes[tail]),
            self.weight + float(weights[tail].sum()),
        )

    @property
    def values(self) -> np.ndarray:
        """Representative of each class: the size, for the last class the mean (6.8)."""
        values = np.arange(1.0, self.cap + 1)
        if self.weight > 0:
            values[-1] = self.total / self.weight
        return values

    def index(self, sizes: np.ndarray) -> np.ndarray:
        """Class of each positive size."""
        return np.minimum(sizes, self.cap) - 1


def _has(method: str) -> Any:
    """Check for `available_if`: the base estimator has the method."""

    def check(self: Any) -> bool:
        getattr(self.estimator_ if hasattr(self, "estimator_") else self.estimator, method)
        return True

    return check


def _has_decision_function(self: Any) -> bool:
    if self.size_model is not None:
        raise AttributeError(
            f"decision_function is not available with size_model={self.size_model!r}, use "
            "predict_proba."
        )
    getattr(self.estimator, "decision_function")  # noqa: B009
    return True


def _has_partial_fit(self: Any) -> bool:
    getattr(self.estimator, "partial_fit")  # noqa: B009
    if self.size_model == "expected" and self.size_estimator is not None:
        getattr(self.size_estimator, "partial_fit")  # noqa: B009
    return True


def _has_size_proba(self: Any) -> bool:
    if self.size_model is None:
        raise AttributeError(
            "predict_size_proba needs size_model='expected' or size_model='joint'."
        )
    if self.size_model == "expected" and self.size_estimator is not None:
        getattr(self.size_estimator, "predict_proba")  # noqa: B009
    return True


def _has_joint(self: Any) -> bool:
    if self.size_model != "joint":
        raise AttributeError("predict_label_size_proba needs size_model='joint'.")
    return True


class MultiClassReduction(VersionedState, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Multi-label classification with any multi-class classifier.

    Rows with several labels become examples of a multi-class problem. What its
    probabilities mean depends on `reduction` and `size_model`:

    * Without `size_model` they are those of a softmax over labels: q, the probability that
      a label is the one picked when one label of the row is drawn (``"pick_one"``,
      ``"pick_all_normalized"``), or the marginals over the mean number of labels
      (``"pick_all"``). Both sum to 1 over the labels. q ranks labels optimally for
      recall@k and for precision@k wherever the number of labels of a row does not depend
      on which labels it has; what it lacks is that number.
    * ``size_model="expected"`` multiplies the softmax of ``"pick_all"`` by a prediction of
      the number of labels, which gives the marginals P(label | x) (statement 6.9 A of the
      theory page). It has few parameters, so it suits data with few rows for each label.
    * ``size_model="joint"`` has the pairs (label, number of labels of the row) as classes.
      One softmax over them gives the marginals, the distribution of the number of labels,
      and the label set that maximises the expected F-measure of each row (6.1, 6.3). It
      needs some rows for each pair; a small `max_size` makes do with fewer.

    For one-vs-rest with any classifier use
    :class:`sklearn.multiclass.OneVsRestClassifier`.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn multi-class classifier or pipeline that ends with one.
        Classifiers of this package get label sets as they are; for others each row is
        repeated for each label that it shows, with weights. Classifiers without
        ``sample_weight`` get repeated or, with a warning, resampled rows.
    reduction : {"pick_one", "pick_all_normalized", "pick_all", "select_max", \
            "select_min", "ignore"}, default="pick_all_normalized"
        Which labels a row shows, and with which weights.

        - ``"pick_one"``: one label, drawn at random; `n_draws` times in :meth:`fit`, anew
          in each :meth:`partial_fit`.
        - ``"pick_all_normalized"``: each label, with weight 1 / (number of labels); the
          expectation of ``"pick_one"`` without its noise.
        - ``"pick_all"``: each label, with the same weight in all rows.
        - ``"select_max"``, ``"select_min"``: the label that is most, or least, frequent in
          the training data; ties go to the first label.
        - ``"ignore"``: only rows with a single label are used.

        With `size_model` one of the first three; they then estimate the same quantities
        (for ``"expected"`` each row is weighted by its number of labels, 3.5). The weights
        of these three sum to the number of rows (to the sum of `sample_weight`), so that a
        regularisation strength of `estimator` means the same for each of them.
    size_model : {"expected", "joint"}, default=None
        How the number of labels is modelled.
    size_estimator : estimator, default=None
        For ``size_model="expected"``: a classifier, whose classes will be the sizes, or a
        regressor. By default a clone of `estimator`.
    max_size : "auto", int or None, default="auto"
        Number of sizes that are classes of their own: sizes of `max_size` and above form
        one class, represented by their mean. ``"auto"``: the least number with which this
        moves the marginals by at most 2 % of the mean size (6.8). None: no merging.
    decision : {"top_1", "f1"}, default="top_1"
        What :meth:`predict` returns: the most probable label of each row, or the set that
        maximises the row's expected F-measure (6.3). The latter is exact with
        ``size_model="joint"``; with ``"expected"``, whose `size_estimator` must then be a
        classifier with ``predict_proba``, it takes the picked label and the number of
        labels as independent given x (6.7b), which often is the better estimate. For one
        cutoff on probabilities see ``ThresholdedMultiLabel``.
    beta : float, default=1.0
        Weight of recall in the F-measure of ``decision="f1"``.
    unlabeled : {"drop", "none"}, default="drop"
        What happens with rows that have no label: they are left out, with a warning, and
        probabilities hold given that there is a label; or they form a class of their own,
        so that :meth:`predict` can return empty sets (2.3).
    n_draws : int, default=1
        Number of draws of each row in :meth:`fit` with ``reduction="pick_one"``. S draws of
        a row with S labels show each label once. Classifiers that take label sets draw
        themselves, in each epoch.
    random_state : int, RandomState instance or None, default=None
        For draws and resampling. If given, also for those parameters ``random_state`` of
        the estimators that are None.
    n_jobs : int, default=None
        With ``size_model="expected"`` two models are fitted in parallel.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier. If only one class occurs in the training data this is a
        :class:`sklearn.dummy.DummyClassifier`.
    size_estimator_ : estimator
        The fitted model of the number of labels, with ``size_model="expected"``.
    classes_ : ndarray of shape (n_labels, 2) or (n_classes,)
        For multi-label y a row ``[0, 1]`` for each label, else the sorted classes.
    n_labels_ : int
        Number of labels, for 1-D y of classes.
    sizes_ : ndarray of shape (n_sizes,), float64
        Numbers of labels that are told apart, with `size_model`; the first is 0 if
        ``unlabeled="none"``, the last is a mean if sizes were merged.
    pairs_ : ndarray of shape (n_pairs, 2), int64
        With ``size_model="joint"``: label, and position in `sizes_`, of each pair that
        the classifier knows.
    n_unlabeled_ : int
        Number of training rows without labels.
    n_features_in_ : int
        Number of features, if `estimator` has it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `estimator` has it.

    Notes
    -----
    A pair (label, size) that does not occur in the training data has probability 0. A label
    that does not occur keeps its column, with a probability near 0.

    References
    ----------
    Menon, Rawat, Reddi and Kumar, "Multilabel reductions: what is my loss optimising?",
    NeurIPS 2019, for the plain reductions. Dembczyński, Waegeman, Cheng and Hüllermeier,
    "An exact algorithm for F-measure maximization", NeurIPS 2011, for the decision. The
    ``select`` and ``ignore`` reductions are those of Mulan (Tsoumakas and Katakis, 2007).

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skmultireduce.reduction import MultiClassReduction
    >>> X, y = make_multilabel_classification(
    ...     n_samples=300, n_classes=4, allow_unlabeled=False, random_state=0
    ... )
    >>> clf = MultiClassReduction(
    ...     LogisticRegression(max_iter=1000), size_model="joint", decision="f1"
    ... ).fit(X, y)
    >>> clf.predict(X[:2])
    array([[1, 0, 1, 0],
           [1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "reduction": [StrOptions({*_SAMPLED, *_SELECTING, *_BINARY})],
        "size_model": [StrOptions({"expected", "joint"}), None],
        "size_estimator": [HasMethods(["fit", "predict"]), None],
        "max_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), None],
        "decision": [StrOptions({"top_1", "f1"})],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "unlabeled": [StrOptions({"drop", "none"})],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        reduction: str = "pick_all_normalized",
        size_model: str | None = None,
        size_estimator: Any = None,
        max_size: str | int | None = "auto",
        decision: str = "top_1",
        beta: float = 1.0,
        unlabeled: str = "drop",
        n_draws: int = 1,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.reduction = reduction
        self.size_model = size_model
        self.size_estimator = size_estimator
        self.max_size = max_size
        self.decision = decision
        self.beta = beta
        self.unlabeled = unlabeled
        self.n_draws = n_draws
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    @forgets_on_error
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any
    ) -> MultiClassReduction:
        """Fit the classifier, and the model of sizes if there is one.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Training data; anything that `estimator` takes and whose rows can be selected.
        y : {array-like, sparse} of shape (n_samples, n_labels), or array-like of shape \
                (n_samples,)
            Multi-label indicator of any int, bool or float dtype, or classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows; multiplied with those of the reduction.
        **fit_params : dict
            Metadata for ``estimator.fit``, with metadata routing enabled; what has one
            entry for each row is repeated as the rows are.

        Returns
        -------
        self : MultiClassReduction

        Raises
        ------
        ValueError
            If parameters contradict each other, y is not of a supported form, or no row
            has a label.
        """
        _raise_for_params(fit_params, self, "fit")
        routed = process_routing(self, "fit", **fit_params) if _routing_enabled() else None
        params = routed.estimator.fit if routed is not None else {}
        self._start()
        return self._train(X, y, sample_weight, params, "fit", None)

    @available_if(_has_partial_fit)
    @_fit_context(prefer_skip_nested_validation=False)
    @restores_on_error
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, **fit_params: Any
    ) -> MultiClassReduction:
        """Train on one batch, or once more on the same data.

        With ``reduction="pick_one"`` every call draws anew. The first call fixes the
        labels, and with ``max_size="auto"`` or None the sizes; larger ones that come later
        are merged with the last.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Training data.
        y : {array-like, sparse} of shape (n_samples, n_labels), or array-like of shape \
                (n_samples,)
            Multi-label indicator, or classes.
        classes : array-like of shape (n_classes,), default=None
            All classes, in the first call with 1-D y. Not used for multi-label y, whose
            columns are the labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.
        **fit_params : dict
            Metadata for ``estimator.partial_fit``, with metadata routing enabled.

        Returns
        -------
        self : MultiClassReduction
        """
        _raise_for_params(fit_params, self, "partial_fit")
        routed = process_routing(self, "partial_fit", **fit_params) if _routing_enabled() else None
        params = routed.estimator.partial_fit if routed is not None else {}
        if not hasattr(self, "estimator_"):
            self._start()
        return self._train(X, y, sample_weight, params, "partial_fit", classes)

    def _start(self) -> None:
        """Check parameters against each other, and forget an earlier fit."""
        if self.reduction in _BINARY:
            raise ValueError(
                f"reduction={self.reduction!r} has no multi-class problem. Use "
                "sklearn.multiclass.OneVsRestClassifier(estimator), or the classifiers of "
                "this package with that reduction."
            )
        if is_regressor(self.estimator) or is_outlier_detector(self.estimator):
            raise ValueError(
                f"estimator must be a classifier, got {type(self.estimator).__name__}."
            )
        if self.size_model is not None and self.reduction in _SELECTING:
            raise ValueError(
                f"size_model={self.size_model!r} needs a reduction that shows all labels of a "
                f"row: set reduction to one of {', '.join(map(repr, _SAMPLED))} instead of "
                f"{self.reduction!r}."
            )
        if self.size_model is not None and not hasattr(self.estimator, "predict_proba"):
            raise ValueError(
                f"size_model={self.size_model!r} needs an estimator with predict_proba; "
                f"{type(self.estimator).__name__} has none. Wrap it in "
                "sklearn.calibration.CalibratedClassifierCV, or use another one."
            )
        if self.decision == "f1" and self.size_model is None:
            raise ValueError(
                "decision='f1' needs a distribution of the number of labels: set "
                "size_model='joint' or size_model='expected'."
            )
        if (
            self.decision == "f1"
            and self.size_estimator is not None
            and not hasattr(self.size_estimator, "predict_proba")
        ):
            raise ValueError(
                "decision='f1' needs a size_estimator with predict_proba, "
                f"{type(self.size_estimator).__name__} has none. Use a classifier, or None for "
                "a clone of estimator."
            )
        if self.size_estimator is not None and self.size_model != "expected":
            raise ValueError(
                "size_estimator is only used with size_model='expected', got "
                f"size_model={self.size_model!r}. Set that, or size_estimator=None."
            )
        for name in ("estimator_", "size_estimator_", "sizes_", "pairs_", "n_features_in_"):
            if hasattr(self, name):
                delattr(self, name)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._rng = check_random_state(self.random_state)
        self._seed = int(self._rng.randint(2**31 - 1))
        self._target = None
        self._n_calls = 0
        self._warned = set()
        self.n_unlabeled_ = 0

    def _seeded(self, estimator: Any) -> Any:
        """Clone, with random states where it has none and this object has one."""
        model = clone(estimator)
        if self.random_state is not None:
            seeds = {
                name: self._rng.randint(2**31 - 1)
                for name, value in sorted(model.get_params().items())
                if value is None and f"__{name}".endswith("__random_state")
            }
            model.set_params(**seeds)
        return model

    def _warn_once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, UserWarning, stacklevel=4)

    def _train(
        self, X: Any, y: Any, sample_weight: Any, params: dict, method: str, classes: Any
    ) -> MultiClassReduction:
        first = self._target is None
        if method == "partial_fit" and first and classes is None and np.ndim(y) == 1:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        sets, target = read_labels(y, target=self._target, classes=classes)
        X = indexable_rows(X)
        check_consistent_length(X, np.empty((sets.n_rows, 0)))
        weights = read_sample_weight(sample_weight, X, sets.n_rows)
        params = {k: v for k, v in params.items() if v is not None}
        sizes = sets.sizes
        kept = np.ones(sets.n_rows, dtype=bool) if weights is None else weights > 0
        n_unlabeled = np.count_nonzero(sizes[kept] == 0)
        if self.unlabeled == "drop":
            if n_unlabeled:
                self._warn_once(
                    "unlabeled",
                    f"{n_unlabeled} of {np.count_nonzero(kept)} rows have no label and are left "
                    "out. Set unlabeled='none' to make them a class of their own.",
                )
            kept &= sizes > 0
        rows = np.flatnonzero(kept)
        if len(rows) == 0 and first:
            raise ValueError("No row of y has a label; at least one is needed.")
        self._target = target
        self.classes_ = target.classes
        self.n_labels_ = target.n_labels
        self.n_unlabeled_ += int(n_unlabeled)
        if len(rows) == 0:
            return self
        sets = sets.take(rows)
        sizes = sets.sizes
        weights = np.ones(len(rows)) if weights is None else weights[rows]
        self._count(sets, sizes, weights, first)
        self._fit_models(X, rows, sets, sizes, weights, params, method, first)
        self._n_calls += 1
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _count(self, sets: LabelSets, sizes: np.ndarray, weights: np.ndarray, first: bool) -> None:
        """Gather frequencies of labels, and sizes, over batches."""
        counts = sets.counts(weights)
        self._label_counts = counts if first else self._label_counts + counts
        if self.size_model is None:
            return
        if first:
            self._size_classes = _SizeClasses.choose(sizes, weights, self.max_size)
            self._size_limit = 1.0
        self._size_classes = self._size_classes.add(sizes, weights)
        self._size_limit = max(self._size_limit, float(sizes.max()))
        self.sizes_ = self._size_classes.values
        if self.unlabeled == "none":
            self.sizes_ = np.concatenate([[0.0], self.sizes_])

    def _size_codes(self, sizes: np.ndarray) -> np.ndarray:
        """Position in `sizes_` of each size."""
        if self.unlabeled == "none":
            return np.where(sizes > 0, self._size_classes.index(sizes) + 1, 0)
        return self._size_classes.index(sizes)

    def _class_sets(self, sets: LabelSets, sizes: np.ndarray) -> LabelSets:
        """Class codes of each row: its labels or pairs, or the class of empty sets."""
        n_sizes = self._size_classes.cap if self.size_model == "joint" else 1
        none = sets.n_labels * n_sizes
        codes = sets.indices.astype(np.int64)
        if n_sizes > 1:
            codes = codes * n_sizes + np.repeat(self._size_classes.index(sizes), sizes)
        n_codes = none + (self.unlabeled == "none")
        if np.all(sizes > 0):
            return LabelSets(sets.indptr, codes, n_codes)
        filled = np.maximum(sizes, 1)
        indptr = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(filled, out=indptr[1:])
        with_none = np.full(indptr[-1], none, dtype=np.int64)
        with_none[np.repeat(sizes > 0, filled)] = codes
        return LabelSets(indptr, with_none, n_codes)

    def _set_columns(self, codes: np.ndarray) -> None:
        """Remember label and size of each class of the classifier."""
        n_sizes = self._size_classes.cap if self.size_model == "joint" else 1
        self._codes = codes
        self._column_labels = np.where(codes < self.n_labels_ * n_sizes, codes // n_sizes, -1)
        self._column_sizes = None
        if self.size_model == "joint":
            shift = int(self.unlabeled == "none")
            self._column_sizes = np.where(self._column_labels >= 0, codes % n_sizes + shift, 0)
            pairs = np.column_stack([self._column_labels, self._column_sizes])
            self.pairs_ = pairs[self._column_labels >= 0]

    def _fit_models(
        self,
        X: Any,
        rows: np.ndarray,
        sets: LabelSets,
        sizes: np.ndarray,
        weights: np.ndarray,
        params: dict,
        method: str,
        first: bool,
    ) -> None:
        class_sets = self._class_sets(sets, sizes)
        if method == "partial_fit":
            if first:
                self._set_columns(np.arange(class_sets.n_labels))
            else:
                self._check_known(class_sets.indices, self._codes)
        if first:
            self._models = [self._seeded(self.estimator)]
            if self.size_model == "expected":
                base = self.estimator if self.size_estimator is None else self.size_estimator
                self._models.append(self._seeded(base))
        direct = _takes_label_sets(self.estimator) and self._target.kind == "multilabel"
        if first and direct:
            # What else the reductions differ in is in the weights of the rows.
            own = "pick_one" if self.reduction == "pick_one" else "pick_all_normalized"
            self._models[0].set_params(**{_last_step(self.estimator)[0] + "reduction": own})
        fit_label = self._label_set_job if direct else self._examples_job
        row_weights = self._row_weights(sizes, weights, first)
        jobs = [fit_label(self._models[0], X, rows, class_sets, row_weights, params, method)]
        if self.size_model == "expected":
            jobs.append(self._size_job(self._models[1], X, rows, sizes, weights, method))
        self._models = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_model)(*job, method) for job in jobs
        )
        self.estimator_ = self._models[0]
        if self.size_model == "expected":
            self.size_estimator_ = self._models[1]

    @staticmethod
    def _check_known(codes: np.ndarray, known: np.ndarray) -> None:
        """Refuse to continue a `fit` whose classifier lacks a class."""
        if not np.all(np.isin(codes, known)):
            raise ValueError(
                "y has labels, or numbers of labels, that the y of fit did not have. Start with "
                "partial_fit instead of fit to add data with others later."
            )

    def _examples_job(
        self,
        model: Any,
        X: Any,
        rows: np.ndarray,
        class_sets: LabelSets,
        weights: np.ndarray,
        params: dict,
        method: str,
    ) -> tuple:
        """Rows repeated for each class that they show."""
        pair_weights = self._pair_weights(class_sets)
        pair_weights *= np.repeat(weights, class_sets.sizes)
        shown = np.flatnonzero(pair_weights)
        if len(shown) == 0:
            raise ValueError(
                f"reduction={self.reduction!r} leaves no row; no row has exactly one label. Use "
                "another reduction."
            )
        examples = _Examples(
            class_sets.rows[shown], class_sets.indices[shown], pair_weights[shown]
        )
        examples = self._fit_to(model, examples, method)
        if method == "fit":
            codes, y = np.unique(examples.codes, return_inverse=True)
            self._set_columns(codes)
        else:
            y = np.searchsorted(self._codes, examples.codes)
        taken = rows[examples.rows]
        params = _check_method_params(X, params, indices=taken) if params else {}
        return model, _take(X, taken), y, examples.weights, params, len(self._codes)

    def _label_set_job(
        self,
        model: Any,
        X: Any,
        rows: np.ndarray,
        class_sets: LabelSets,
        weights: np.ndarray,
        params: dict,
        method: str,
    ) -> tuple:
        """Label sets, or sets of pairs, as they are."""
        if self.reduction in _SELECTING:
            shown = np.flatnonzero(self._pair_weights(class_sets))
            chosen = class_sets.rows[shown]
            class_sets = LabelSets(
                np.arange(len(shown) + 1), class_sets.indices[shown], class_sets.n_labels
            )
            rows, weights = rows[chosen], weights[chosen]
        if len(rows) == 0:
            raise ValueError(
                f"reduction={self.reduction!r} leaves no row; no row has exactly one label. Use "
                "another reduction."
            )
        if method == "fit":
            self._set_columns(np.unique(class_sets.indices))
        columns = np.searchsorted(self._codes, class_sets.indices)
        y = sp.csr_array(
            (np.ones(len(columns), dtype=np.int8), columns, class_sets.indptr),
            shape=(len(rows), len(self._codes)),
        )
        params = _check_method_params(X, params, indices=rows) if params else {}
        return model, _take(X, rows), y, weights, params, len(self._codes)

    def _size_job(
        self,
        model: Any,
        X: Any,
        rows: np.ndarray,
        sizes: np.ndarray,
        weights: np.ndarray,
        method: str,
    ) -> tuple:
        """Sizes as classes, or as numbers for a regressor."""
        if is_regressor(model):
            examples = self._fit_to(model, _Examples(np.arange(len(rows)), sizes, weights), method)
            y = examples.codes.astype(np.float64)
            return model, _take(X, rows[examples.rows]), y, examples.weights, {}, None
        examples = _Examples(np.arange(len(rows)), self._size_codes(sizes), weights)
        examples = self._fit_to(model, examples, method)
        if method == "fit":
            self._seen_sizes, y = np.unique(examples.codes, return_inverse=True)
        else:
            if self._n_calls == 0:
                self._seen_sizes = np.arange(len(self.sizes_))
            else:
                self._check_known(examples.codes, self._seen_sizes)
            y = np.searchsorted(self._seen_sizes, examples.codes)
        taken = rows[examples.rows]
        return model, _take(X, taken), y, examples.weights, {}, len(self._seen_sizes)

    def _fit_to(self, model: Any, examples: _Examples, method: str) -> _Examples:
        """Examples that the model can take: without weights if it knows none."""
        if np.all(examples.weights == examples.weights[0]) or _takes_weights(model, method):
            return examples
        examples, random = examples.without_weights(self._rng)
        if random:
            self._warn_once(
                "weights",
                f"{type(_last_step(model)[1]).__name__} does not support sample_weight; rows are "
                "resampled in proportion to their weights instead.",
            )
        return examples

    def _pair_weights(self, class_sets: LabelSets) -> np.ndarray:
        """Weight with which each row shows each of its classes; they sum to 1 or 0."""
        indptr, sizes = class_sets.indptr, class_sets.sizes
        n_pairs = len(class_sets.indices)
        if self.reduction in ("pick_all_normalized", "pick_all"):
            return np.repeat(1.0 / sizes, sizes)
        if self.reduction == "ignore":
            return np.repeat((sizes == 1).astype(float), sizes)
        weights = np.zeros(n_pairs)
        if self.reduction == "pick_one":
            # Further calls go on in the cycles of the first.
            for draw in range(self.n_draws):
                epoch = self._n_calls * self.n_draws + draw
                drawn = draw_labels(indptr, seed=self._seed, epoch=epoch, method="cycle")
                weights[drawn] += 1.0 / self.n_draws
            return weights
        # The class of empty sets is alone in its row, its count does not matter.
        counts = np.append(self._label_counts, 0.0)[class_sets.indices]
        sign = -1.0 if self.reduction == "select_max" else 1.0
        order = np.lexsort((class_sets.indices, sign * counts, class_sets.rows))
        weights[order[indptr[:-1]]] = 1.0
        return weights

    def _row_weights(self, sizes: np.ndarray, weights: np.ndarray, first: bool) -> np.ndarray:
        """Weight of each row in the multi-class problem."""
        if self.size_model == "joint" and self.reduction == "pick_all":
            # Merged sizes count as their mean, by which probabilities are divided again.
            factor = np.maximum(self.sizes_[self._size_codes(sizes)], 1.0)
        elif self.size_model == "expected" or self.reduction == "pick_all":
            # Statement 3.5: the minimiser is then in proportion to the marginals.
            factor = np.maximum(sizes, 1).astype(float)
        else:
            return weights
        if first:
            # Kept for later batches, whose rows would not count alike otherwise.
            self._scale = weights.sum() / (weights @ factor)
        return weights * factor * self._scale

    def _class_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes `_codes`, float64 or float32."""
        proba = _finite_proba(self.estimator_, X)
        if proba.shape[1] == len(self._codes):
            return proba
        # A classifier may know fewer classes, if resampling left none of a rare one.
        full = np.zeros((proba.shape[0], len(self._codes)), dtype=proba.dtype)
        full[:, self.estimator_.classes_] = proba
        return full

    def _label_columns(self, columns: np.ndarray, fill: Any) -> np.ndarray:
        """Columns of the classes of the classifier as columns of labels."""
        labels = self._column_labels
        if np.array_equal(labels, np.arange(self.n_labels_)):
            return columns
        out = np.empty((columns.shape[0], self.n_labels_), dtype=columns.dtype)
        out[:] = fill
        known = labels >= 0
        out[:, labels[known]] = columns[:, known]
        return out

    def _none_column(self, proba: np.ndarray) -> np.ndarray:
        """Probability of the class of empty sets."""
        none = self._column_labels < 0
        return proba[:, none].sum(axis=1)

    def _size_proba(self, X: Any) -> np.ndarray:
        out = np.zeros((_num_samples(X), len(self.sizes_)))
        out[:, self._seen_sizes[self.size_estimator_.classes_]] = _finite_proba(
            self.size_estimator_, X
        )
        return out

    def _mean_size(self, X: Any) -> np.ndarray:
        if is_regressor(self.size_estimator_):
            least = 0.0 if self.unlabeled == "none" else 1.0
            return np.clip(np.ravel(self.size_estimator_.predict(X)), least, self._size_limit)
        if hasattr(self.size_estimator_, "predict_proba"):
            return self._size_proba(X) @ self.sizes_
        return self.sizes_[self._seen_sizes[self.size_estimator_.predict(X)]]

    def _joint(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """P(label in Y, size | x) by column of the classifier, and P(size | x)."""
        picked = self._class_proba(X).astype(np.float64, copy=False)
        # The class of empty sets counts as one label.
        sizes = np.maximum(self.sizes_[self._column_sizes], 1.0)
        if self.reduction == "pick_all":
            picked = picked / sizes
            picked /= picked.sum(axis=1, keepdims=True)
        size_proba = picked @ self._indicator(self._column_sizes, len(self.sizes_))
        # Statement 6.2: no label is in more sets of a size than there are.
        return np.minimum(picked * sizes, size_proba[:, self._column_sizes]), size_proba

    @staticmethod
    def _indicator(groups: np.ndarray, n_groups: int) -> sp.csc_array:
        """Matrix that sums columns by group; negative groups are left out."""
        members = np.flatnonzero(groups >= 0)
        return sp.csc_array(
            (np.ones(len(members)), (members, groups[members])), shape=(len(groups), n_groups)
        )

    def _marginals(
        self, X: Any, mean_size: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of labels (with `size_model`: marginals), and of the empty set."""
        if self.size_model == "joint":
            delta, size_proba = self._joint(X)
            marginals = delta @ self._indicator(self._column_labels, self.n_labels_)
            empty = size_proba[:, 0] if self.unlabeled == "none" else np.zeros(len(delta))
            return marginals, empty
        proba = self._class_proba(X)
        none = self._none_column(proba)
        scores = self._label_columns(proba, 0)
        if self.size_model == "expected":
            # 6.9 A. The softmax over labels alone, times the mean size.
            mean_size = self._mean_size(X) if mean_size is None else mean_size
            with np.errstate(invalid="ignore", divide="ignore"):
                factor = np.where(none < 1, mean_size / (1 - none), 0.0)
            return scores * factor[:, None], none * factor
        return scores, none

    def _blocks(self, X: Any, bytes_per_row: float) -> list:
        """Pieces of X, X itself if the work fits into memory at once."""
        check_is_fitted(self)
        check_sparse(X, "X")
        n_rows = _num_samples(X)
        blocks = list(iter_row_blocks(n_rows, bytes_per_row))
        if len(blocks) <= 1:
            return [X]
        X = indexable_rows(X)
        return [_safe_indexing(X, np.arange(block.start, block.stop)) for block in blocks]

    @property
    def _row_bytes(self) -> float:
        """Memory of a row of class probabilities and what is computed from them."""
        return 32.0 * len(self._codes)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of labels.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_labels)
            Strictly between 0 and 1. Without `size_model` those of the softmax over labels,
            which sum to 1 (with ``unlabeled="none"``: to 1 less the probability of no
            label); with `size_model` the marginals, which sum to the expected number of
            labels.
        """
        check_is_fitted(self)
        if self.size_model is None:
            scores = self._marginals(X)[0]
            return _open_unit_interval(np.array(scores, copy=True))
        parts = [self._marginals(part)[0] for part in self._blocks(X, self._row_bytes)]
        return _open_unit_interval(np.concatenate(parts))

    @available_if(_has_decision_function)
    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of labels, without `size_model`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_labels), or (n_samples,) for two classes
            What the classifier gives. Labels that did not occur in training are 1 below
            the least score of the row.
        """
        check_is_fitted(self)
        if not hasattr(self.estimator_, "decision_function"):
            scores = self.estimator_.predict_proba(X)
        else:
            scores = self.estimator_.decision_function(X)
        two_classes = self._target.kind == "multiclass" and self.n_labels_ == 2
        if scores.ndim == 1:
            if two_classes and len(self._codes) == 2:
                return scores
            scores = np.column_stack([-scores, scores])
        if scores.shape[1] != len(self._codes):
            raise ValueError(
                f"The decision_function of {type(self.estimator_).__name__} has "
                f"{scores.shape[1]} columns for {len(self._codes)} classes; set its "
                "decision_function_shape to 'ovr', or use predict_proba."
            )
        scores = self._label_columns(scores, scores.min(axis=1, keepdims=True) - 1)
        return scores[:, 1] - scores[:, 0] if two_classes else scores

    @available_if(_has_size_proba)
    def predict_size_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the numbers of labels.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_sizes)
            P(number of labels | x); columns as in `sizes_`, rows sum to 1.
        """
        if self.size_model == "expected":
            check_is_fitted(self)
            return self._size_proba(X)
        return np.concatenate([self._joint(part)[1] for part in self._blocks(X, self._row_bytes)])

    @available_if(_has_joint)
    def predict_label_size_proba(self, X: Any, *, compact: bool = False) -> np.ndarray:
        """Probabilities that a label holds and the row has a number of labels.

        The full result takes n_samples x n_labels x n_sizes numbers; for large data call
        this on slices of X, or ask for the compact form, whose columns are just the pairs
        that occurred in training.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.
        compact : bool, default=False
            Whether to leave out pairs that did not occur.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_labels, n_sizes), or \
                (n_samples, n_pairs) if `compact`
            P(label in Y, number of labels = s | x). Sizes are those of `sizes_`, pairs
            those of `pairs_`.
        """
        blocks = self._blocks(X, self._row_bytes)
        delta = np.concatenate([self._joint(part)[0] for part in blocks])
        delta = delta[:, self._column_labels >= 0]
        return delta if compact else self._spread(delta)

    def _spread(self, delta: np.ndarray) -> np.ndarray:
        """Columns by pair as (label, size)."""
        out = np.zeros((delta.shape[0], self.n_labels_, len(self.sizes_)))
        out[:, self.pairs_[:, 0], self.pairs_[:, 1]] = delta
        return out

    def predict(self, X: Any) -> Any:
        """Predict labels, as set by `decision`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        y : ndarray or CSR of shape (n_samples, n_labels), or ndarray of shape (n_samples,)
            Container and dtype as those of the y of :meth:`fit`. With
            ``decision="top_1"`` one label for each row; with ``unlabeled="none"`` none
            where no label is more probable than each label. For 1-D y always one class.
        """
        check_is_fitted(self)
        if self.decision == "f1":
            row_bytes = self._row_bytes + 16.0 * self.n_labels_ * len(self.sizes_)
            parts = [self._best_sets(part) for part in self._blocks(X, row_bytes)]
            sizes = np.concatenate([part[0] for part in parts])
            indices = np.concatenate([part[1] for part in parts])
        else:
            labels = self._top_label(X)
            sizes = (labels >= 0).astype(np.int64)
            indices = labels[labels >= 0].astype(np.int32)
        indptr = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=indptr[1:])
        return self._target.to_output(indptr, indices)

    def _top_label(self, X: Any) -> np.ndarray:
        """Most probable label of each row, -1 for none."""
        by_classifier = self.size_model is None and not (
            _takes_label_sets(self.estimator) and self._target.kind == "multilabel"
        )
        if by_classifier:
            return self._column_labels[np.asarray(self.estimator_.predict(X), dtype=np.int64)]
        labels = []
        for part in self._blocks(X, self._row_bytes):
            scores, empty = self._marginals(part)
            top = np.argmax(scores, axis=1)
            labels.append(np.where(empty > scores[np.arange(len(top)), top], -1, top))
        return np.concatenate(labels)

    def _best_sets(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        if self.size_model == "joint":
            delta, size_proba = self._joint(X)
            delta = self._spread(delta[:, self._column_labels >= 0])
        else:
            size_proba = self._size_proba(X)
            marginals, _ = self._marginals(X, size_proba @ self.sizes_)
            # 6.7b: given x, each size has its share of a label's probability.
            share = size_proba * self.sizes_
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.nan_to_num(share / share.sum(axis=1, keepdims=True))
            delta = np.minimum(marginals[:, :, None] * share[:, None], size_proba[:, None])
        empty = None
        sizes = self.sizes_
        if self.unlabeled == "none":
            delta, sizes = delta[:, :, 1:], sizes[1:]
            empty = size_proba[:, 0]
        max_labels = None
        if self._target.kind == "multiclass":
            max_labels, empty = 1, None
        indptr, indices, _ = f_optimal_sets(
            delta, sizes, empty, beta=self.beta, max_labels=max_labels
        )
        return np.diff(indptr), indices

    def get_metadata_routing(self) -> MetadataRouter:
        """Get metadata routing of this object.

        ``sample_weight`` is used here and combined with the weights of the reduction;
        other metadata goes to `estimator`.

        Returns
        -------
        routing : MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                estimator=self.estimator,
                method_mapping=MethodMapping()
                .add(caller="fit", callee="fit")
                .add(caller="partial_fit", callee="partial_fit"),
            )
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        base = get_tags(self.estimator)
        tags.input_tags = base.input_tags
        if base.classifier_tags is not None:
            tags.classifier_tags.multi_class = base.classifier_tags.multi_class
            tags.classifier_tags.poor_score = base.classifier_tags.poor_score
        tags.classifier_tags.multi_label = True
        tags.target_tags.single_output = True
        return tags


def _fit_model(
    model: Any,
    X: Any,
    y: Any,
    weights: np.ndarray,
    params: dict,
    n_classes: int | None,
    method: str,
) -> Any:
    """Fit one model; `n_classes` is None for a regressor."""
    if n_classes == 1:
        # Many classifiers refuse a single class, the answer is the same for all.
        n_rows = _num_samples(X)
        return DummyClassifier(strategy="prior").fit(
            np.empty((n_rows, 0)), np.zeros(n_rows, dtype=np.int64)
        )
    params = dict(params)
    if np.any(weights != 1) and _takes_weights(model, method):
        prefix, last = _last_step(model)
        if prefix and get_config()["enable_metadata_routing"]:
            getattr(last, f"set_{method}_request")(sample_weight=True)
            prefix = ""
        params[prefix + "sample_weight"] = weights
    if method == "partial_fit" and n_classes is not None and y.ndim == 1:
        params["classes"] = np.arange(n_classes)
    return getattr(model, method)(X, y, **params)
