"""Label sets from scores: a tuned or a given cutoff around any multi-label classifier."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score, get_scorer, get_scorer_names, jaccard_score
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, indexable

from ._cutoff.counters import (
    InfeasibleError,
    Pool,
    ScoreMap,
    curve,
    evaluate,
    search,
    search_labels,
    search_quantiles,
)
from ._data.blocks import indexable_rows, iter_row_blocks
from ._data.label_sets import LabelSets, Target, read_labels
from ._data.naming import naming
from ._data.sparse import check_sparse
from ._data.weights import read_sample_weight
from ._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    _BaseScorer,
    _check_method_params,
    _fit_context,
    _num_samples,
    _raise_for_params,
    _safe_indexing,
    _VisualBlock,
    with_callbacks,
)
from ._state import VersionedState, forgets_on_error

__all__ = ["FixedThresholdMultiLabel", "ThresholdedMultiLabel"]

# Candidates of `strategy="adjusted"`. Log-probabilities spread over many units, decision
# values of linear classifiers over about two, hence the smaller weights of the log prior.
_PRIOR_WEIGHTS = {
    "predict_proba": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "decision_function": (0.0, 0.025, 0.05, 0.1, 0.15, 0.2),
}
_ROW_WEIGHTS = {
    "predict_proba": (0.0, 0.25, 0.5, 1.0, 2.0),
    "decision_function": (0.0, 0.125, 0.25, 0.5, 1.0),
}
_N_QUANTILES = 100
_N_CURVE_POINTS = 1000


def _estimator_scores(
    estimator: Any, X: Any, method: str, n_labels: int, never: np.ndarray | None = None
) -> np.ndarray:
    """Scores of shape (n_samples, n_labels) from any of scikit-learn's multi-label shapes.

    Other shapes are refused: the columns of the scores are those of the predictions.
    Decision values of the labels in `never` become ``-inf``: for a label without positives
    OneVsRestClassifier says 0, which is above the decision values of most true labels.
    """
    check_sparse(X, "X")
    scores = getattr(estimator, method)(X)
    if isinstance(scores, list | tuple):
        classes = getattr(estimator, "classes_", None)
        columns = []
        for label, part in enumerate(scores):
            part = np.asarray(part)
            if part.ndim == 1:
                columns.append(part)
            elif part.shape[1] == 2:
                columns.append(part[:, 1])
            elif part.shape[1] == 1 and method == "predict_proba" and classes is not None:
                # A label that is the same for all rows of a fold has one class.
                always = bool(np.ravel(classes[label])[0])
                columns.append(part[:, 0] if always else np.zeros_like(part[:, 0]))
            else:
                raise ValueError(
                    f"{type(estimator).__name__}.{method} gives {part.shape[1]} columns for "
                    f"label {label}; 2 (or 1 for a constant label, with `classes_`) are needed."
                )
        scores = np.stack(columns, axis=1)
    scores = np.asarray(scores)
    if scores.shape != (_num_samples(X), n_labels):
        remedy = "Fit the estimator on a y with the same columns."
        if n_labels == 1:
            remedy = "Pass 1-D y for a single label."
        raise ValueError(
            f"{type(estimator).__name__}.{method} gives scores of shape {scores.shape} for "
            f"{_num_samples(X)} rows, but y has {n_labels} labels. {remedy}"
        )
    dtype = np.float32 if scores.dtype == np.float32 else np.float64
    if never is None or not never.any() or method == "predict_proba":
        return np.require(scores, dtype=dtype, requirements="CA")
    out = np.array(scores, dtype=dtype, order="C")
    out[:, never] = -np.inf
    return out


def _score_blocks(
    estimator: Any,
    X: Any,
    rows: np.ndarray | None,
    method: str,
    n_labels: int,
    never: np.ndarray | None = None,
) -> Callable[[], Iterator[tuple[slice, np.ndarray]]]:
    """Scores of the given rows of X, block by block, as `Pool` takes them.

    A block takes at most 1/64 of scikit-learn's ``working_memory``. All blocks together are
    kept for the later passes if they fit into 1/16 of it (64 MiB by default), otherwise the
    estimator scores the rows again.
    """
    n_rows = _num_samples(X) if rows is None else len(rows)
    working_memory = get_config()["working_memory"]
    keep = n_rows * n_labels * 8 <= working_memory * 2**20 / 16
    kept: list[tuple[slice, np.ndarray]] = []

    def blocks() -> Iterator[tuple[slice, np.ndarray]]:
        if kept:
            yield from kept
            return
        seen = []
        for block in iter_row_blocks(n_rows, n_labels * 8, working_memory / 64):
            index = np.arange(block.start, block.stop)
            index = index if rows is None else rows[index]
            part = X if len(index) == _num_samples(X) and rows is None else None
            part = _safe_indexing(X, index) if part is None else part
            scores = _estimator_scores(estimator, part, method, n_labels, never)
            step = max(1, 2**20 // max(1, n_labels * scores.itemsize))
            for start in range(0, len(index), step):
                piece = scores[start : start + step]
                first = block.start + start
                item = slice(first, first + len(piece)), piece
                if keep:
                    seen.append(item)
                yield item
        # Only now they are complete: a pass may end early.
        kept.extend(seen)

    return blocks


def _wide_enough(y: Any) -> Any:
    """Y in a native type that can hold the number of its labels.

    Some classifiers number labels in y's own type, which wraps around beyond 127 for int8.
    """
    dtype = getattr(y, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return y
    narrow = dtype.kind in "iu" and np.iinfo(dtype).max < y.shape[1]
    # SciPy makes no sparse matrix of these, which scikit-learn's binarizers need.
    foreign = dtype.kind == "O" or not dtype.isnative or dtype == np.float16
    return y.astype(np.int64) if narrow or foreign else y


def _fit_estimator(estimator: Any, X: Any, y: Any, fit_params: dict[str, Any]) -> Any:
    """Fit; y is given dense to estimators that refuse sparse y."""
    try:
        return estimator.fit(X, y, **fit_params)
    except (TypeError, ValueError) as error:
        if not sp.issparse(y) or not re.search("sparse|csr", str(error).lower()):
            raise
        try:
            return clone(estimator).fit(X, y.toarray(), **fit_params)
        except (TypeError, ValueError):
            # It was not y; the first message is about what the user passed.
            raise error from None


def _fit_fold(
    estimator: Any,
    X: Any,
    y: Any,
    rows: np.ndarray,
    fit_params: dict[str, Any],
    caller: Any,
    context: Any,
) -> Any:
    X_train, y_train = _safe_indexing(X, rows), _safe_indexing(y, rows)
    params = _check_method_params(X, fit_params, indices=rows)
    with context.propagate_callback_context(estimator):
        context.call_on_fit_task_begin(estimator=caller, X=X_train, y=y_train)
        try:
            return _fit_estimator(estimator, X_train, y_train, params)
        finally:
            context.call_on_fit_task_end(estimator=caller, X=X_train, y=y_train)


def _has_method(estimator: Any, name: str) -> bool:
    """Whether the estimator has the method.

    OneVsRestClassifier says so if the model of its first label has it, which for a label
    that all rows share has other methods than the rest.
    """
    one_vs_rest = isinstance(estimator, OneVsRestClassifier)
    parts = getattr(estimator, "estimators_", ()) if one_vs_rest else ()
    return hasattr(estimator, name) and all(hasattr(part, name) for part in parts)


def _inner_has(name: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        estimator = getattr(self, "estimator_", self.estimator)
        getattr(estimator, name)
        return _has_method(estimator, name)

    return check


def _has_decision(self: Any) -> bool:
    """Once fitted with multi-label y there always is one, score - cutoff."""
    target = getattr(self, "_target", None)
    if target is not None and target.kind == "multilabel":
        return True
    return _inner_has("decision_function")(self)


class _BaseThreshold(
    VersionedState, CallbackSupportMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    """Prediction by a cutoff, given ``estimator_``, ``_target``, ``_score_map``, ``_cutoff``."""

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [
            HasMethods(["fit", "predict_proba"]),
            HasMethods(["fit", "decision_function"]),
        ],
        "response_method": [StrOptions({"auto", "predict_proba", "decision_function"})],
        "min_labels": [Interval(Integral, 0, None, closed="left")],
        "max_labels": [Interval(Integral, 1, None, closed="left"), None],
    }

    def _check_limits(self) -> None:
        if self.max_labels is not None and self.min_labels > self.max_labels:
            raise ValueError(
                f"min_labels={self.min_labels} is larger than max_labels={self.max_labels}. "
                "Lower min_labels or raise max_labels."
            )

    def _method(self, *estimators: Any) -> str:
        """Name of the first method that all of them have."""
        names = (
            ("predict_proba", "decision_function")
            if self.response_method == "auto"
            else (self.response_method,)
        )
        for name in names:
            if all(_has_method(estimator, name) for estimator in estimators):
                return name
        raise AttributeError(
            f"{type(self.estimator).__name__} has none of {', '.join(names)}. Choose another "
            "response_method or estimator."
        )

    def _copy_attributes(self) -> None:
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    @property
    def classes_(self) -> np.ndarray:
        """Classes: (n_labels, 2) for multi-label y, else those of the inner estimator."""
        if not hasattr(self, "_target"):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        if self._target.kind == "multiclass":
            return self.estimator_.classes_
        return self._target.classes

    def _blocks(self, X: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Iterate over mapped scores and predictions, block by block."""
        X = indexable_rows(X)
        n_rows, n_labels = _num_samples(X), self._target.n_labels
        size = n_labels * 8
        blocks = list(iter_row_blocks(n_rows, size, get_config()["working_memory"] / 64))
        for block in blocks or [slice(0, n_rows)]:
            whole = len(blocks) < 2
            part = X if whole else _safe_indexing(X, np.arange(block.start, block.stop))
            scores = _estimator_scores(
                self.estimator_, part, self._response_method, n_labels, self._never
            )
            mapped = self._score_map.mapped(scores, self._log_prior)
            yield mapped, mapped > self._cutoff.astype(mapped.dtype)

    def predict(self, X: Any) -> Any:
        """Predict label sets.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the inner estimator accepts.

        Returns
        -------
        y : {ndarray, CSR} of shape (n_samples, n_labels)
            Sparse if y was sparse in `fit`; the dense matrix is then never built. For 1-D y
            the inner estimator's classes.
        """
        check_is_fitted(self, "estimator_")
        if self._target.kind == "multiclass":
            return self.estimator_.predict(X)
        sizes, indices = [np.zeros(1, dtype=np.int64)], [np.empty(0, dtype=np.int32)]
        for mapped, predicted in self._blocks(X):
            predicted = self._limited(mapped, predicted)[0]
            rows, labels = np.nonzero(predicted)
            sizes.append(np.bincount(rows, minlength=len(predicted)))
            indices.append(labels.astype(np.int32))
        return self._target.to_output(np.cumsum(np.concatenate(sizes)), np.concatenate(indices))

    def _limited(self, mapped: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions within `min_labels` and `max_labels`."""
        if not self._score_map.limited:
            return predicted, predicted
        always, allowed = self._score_map.limits(mapped)
        out = predicted
        if self.max_labels is not None and self.max_labels < mapped.shape[1]:
            out = np.zeros_like(predicted)
            np.put_along_axis(out, allowed, np.take_along_axis(predicted, allowed, 1), axis=1)
        else:
            out = predicted.copy()
        np.put_along_axis(out, always, True, axis=1)
        return out, predicted

    @available_if(_has_decision)
    def decision_function(self, X: Any) -> np.ndarray:
        """Score minus cutoff; positive exactly where `predict` gives the label.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the inner estimator accepts.

        Returns
        -------
        decision : ndarray of shape (n_samples, n_labels)
            Where `min_labels` forces a label the value is raised to the smallest positive
            normal number, where `max_labels` forbids it the value is lowered to 0. For 1-D
            y what the inner estimator gives.
        """
        check_is_fitted(self, "estimator_")
        if self._target.kind == "multiclass":
            return self.estimator_.decision_function(X)
        out = []
        for mapped, predicted in self._blocks(X):
            decision = mapped - self._cutoff.astype(mapped.dtype)
            # Metrics refuse infinite scores.
            np.maximum(decision, np.finfo(decision.dtype).min, out=decision)
            final, before = self._limited(mapped, predicted)
            decision[final & ~before] = np.finfo(decision.dtype).tiny
            decision[before & ~final] = 0
            out.append(decision)
        return np.concatenate(out)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the inner estimator.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the inner estimator accepts.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_labels)
            One array, whatever the inner estimator's shape. For 1-D y what the inner
            estimator gives.
        """
        check_is_fitted(self, "estimator_")
        if self._target.kind == "multiclass":
            return self.estimator_.predict_proba(X)
        return _estimator_scores(self.estimator_, X, "predict_proba", self._target.n_labels)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.classifier_tags.multi_label = True
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
            tags.classifier_tags.poor_score = inner.classifier_tags.poor_score
        tags.input_tags = inner.input_tags
        return tags

    def _sk_visual_block_(self):
        estimator = getattr(self, "estimator_", self.estimator)
        return _VisualBlock(
            "serial",
            [estimator],
            names=[type(estimator).__name__],
            name_details=[str(estimator)],
            dash_wrapped=False,
        )


class FixedThresholdMultiLabel(_BaseThreshold):
    """Multi-label classifier with a given cutoff, for example for a search over cutoffs.

    Parameters
    ----------
    estimator : estimator
        Has `predict_proba` or `decision_function`, in any of scikit-learn's three
        multi-label shapes.
    threshold : "auto", float or array-like of shape (n_labels,), default="auto"
        ``score > threshold`` is predicted. ``"auto"``: 0.5 for probabilities, 0 for
        decision values.
    response_method : {"auto", "predict_proba", "decision_function"}, default="auto"
        Where scores come from; ``"auto"`` takes the first that exists, in this order.
    min_labels : int, default=0
        Each row gets at least its `min_labels` highest labels.
    max_labels : int, default=None
        No row gets labels beyond its `max_labels` highest ones.

    Attributes
    ----------
    estimator_ : estimator
        Fitted.
    classes_ : ndarray of shape (n_labels, 2)
        0 and 1 for each label; the inner estimator's classes for 1-D y.
    n_features_in_, feature_names_in_
        As of the inner estimator, if it has them.

    See Also
    --------
    ThresholdedMultiLabel : Finds the best cutoff.

    Notes
    -----
    With 1-D y there is no cutoff: everything is left to the inner estimator.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> from skmultireduce.threshold import FixedThresholdMultiLabel
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> model = FixedThresholdMultiLabel(
    ...     OneVsRestClassifier(LogisticRegression()), threshold=0.3, max_labels=3
    ... ).fit(X, Y)
    >>> model.predict(X[:2])
    array([[0, 0, 1, 1, 1],
           [0, 0, 1, 0, 0]])
    """

    _parameter_constraints: ClassVar[dict] = {
        **_BaseThreshold._parameter_constraints,
        "threshold": [StrOptions({"auto"}), Real, "array-like"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        threshold: str | float | Any = "auto",
        response_method: str = "auto",
        min_labels: int = 0,
        max_labels: int | None = None,
    ):
        self.estimator = estimator
        self.threshold = threshold
        self.response_method = response_method
        self.min_labels = min_labels
        self.max_labels = max_labels

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    @forgets_on_error
    def fit(self, X: Any, y: Any, **params: Any) -> FixedThresholdMultiLabel:
        """Fit the inner estimator.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the inner estimator accepts.
        y : {array-like, sparse} of shape (n_samples, n_labels), or 1-D
            Multi-label indicator; with 1-D y the inner estimator is used as it is.
        **params : dict
            Metadata for the inner estimator's `fit`.

        Returns
        -------
        self : FixedThresholdMultiLabel
        """
        _raise_for_params(params, self, None)
        self._check_limits()
        routed = process_routing(self, "fit", **params)
        label_sets, self._target = read_labels(y)
        X, y = indexable(indexable_rows(X), y)
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        rows = np.arange(_num_samples(X))
        inner = context.subcontext(task_name="fit-estimator")
        self.estimator_ = _fit_fold(
            clone(self.estimator), X, _fit_target(y), rows, routed.estimator.fit, self, inner
        )
        self._copy_attributes()
        if self._target.kind == "multilabel":
            self._response_method = self._method(self.estimator_)
            self._score_map = ScoreMap(min_labels=self.min_labels, max_labels=self.max_labels)
            self._log_prior = None
            self._never = label_sets.counts() == 0
            self._cutoff = self._given_cutoff()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _given_cutoff(self) -> np.ndarray:
        if isinstance(self.threshold, str):
            return np.array(0.5 if self._response_method == "predict_proba" else 0.0)
        cutoff = np.asarray(self.threshold, dtype=np.float64)
        if cutoff.ndim > 0 and cutoff.shape != (self._target.n_labels,):
            raise ValueError(
                f"threshold has shape {cutoff.shape}; a number or one for each of the "
                f"{self._target.n_labels} labels is needed."
            )
        if np.any(np.isnan(cutoff)):
            raise ValueError("threshold contains NaN; give numbers.")
        return cutoff

    def get_metadata_routing(self) -> MetadataRouter:
        """Routing of metadata to the inner estimator.

        Returns
        -------
        routing : MetadataRouter
        """
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(callee="fit", caller="fit"),
        )


def _fit_target(y: Any) -> Any:
    """Y as the inner estimator gets it: sliceable, and wide enough."""
    if sp.issparse(y) or hasattr(y, "iloc"):
        return _wide_enough(y) if sp.issparse(y) else y
    y = np.asarray(y)
    return _wide_enough(y) if y.ndim == 2 else y


class ThresholdedMultiLabel(_BaseThreshold):
    """Multi-label classifier with the cutoff that is best on held-out data.

    The inner estimator is fitted on parts of the data, its scores of the held-out rows are
    pooled over all folds, and the cutoff that maximises the metric of the pooled
    predictions is found exactly: there is no grid and no interpolation. It is the midpoint
    between two neighbouring scores. Scores are counted block by block; the matrix of all
    scores is never held.

    Parameters
    ----------
    estimator : estimator
        Has `predict_proba` or `decision_function`, in any of scikit-learn's three
        multi-label shapes: (n_samples, n_labels), or lists of (n_samples, 2) or of columns.
    scoring : str or callable, default="jaccard_micro"
        ``"jaccard_micro"`` (the aggregate Jaccard index: pooled counts),
        ``"jaccard_samples"``, ``"jaccard_macro"``, ``"f1_micro"``, ``"f1_samples"``,
        ``"f1_macro"`` and the scorers that `make_scorer` builds of these are maximised
        exactly; as in scikit-learn, a row or label without any true label counts 0. Any
        other scorer of predictions, or callable ``scoring(y_true, y_pred) -> float``, is
        evaluated at 100 quantiles of the positives' scores only (and for no label at all),
        which is not exact; the pairs that the lowest one predicts are held in memory.
    strategy : {"global", "per_label", "adjusted", "top_k", "relative"}, default="global"
        * ``"global"``: one cutoff.
        * ``"per_label"``: one for each label. For macro averages each label's own optimum,
          for micro averages the joint optimum. Labels with fewer than `min_positives` take
          the global cutoff.
        * ``"adjusted"``: one cutoff on u - prior_weight * log(label's frequency) +
          row_weight * (u - highest u of the row), u the log of a probability or the
          decision value. Three numbers that gain most of what cutoffs for each label and
          each row would, without their overfitting.
        * ``"top_k"``: the k highest labels of each row.
        * ``"relative"``: a fraction of the row's highest score, for non-negative scores.
    cv : int, float, splitter, iterable or "prefit", default=None
        None: 5 shuffled folds; int: as many; float: one held-out part of this size.
        ``"prefit"``: `estimator` is fitted already, X and y in `fit` are the held-out data.
        Tuning on the data that performance is then reported on is optimistic (theory 5.3).
    refit : bool, default=True
        Whether the estimator is fitted again on all data. False needs a single split.
        Without meaning for ``cv="prefit"``.
    response_method : {"auto", "predict_proba", "decision_function"}, default="auto"
        Where scores come from; ``"auto"`` takes the first that exists, in this order.
    min_labels : int, default=0
        Each row gets at least its `min_labels` highest labels.
    max_labels : int, default=None
        No row gets labels beyond its `max_labels` highest ones. Both limits are part of
        the search: what is scored is exactly what would be predicted. Ranks are those of
        the (adjusted) scores, ties go to the label that comes first.
    min_positives : int, default=5
        For ``strategy="per_label"``. 0: every label has its own cutoff.
    min_precision, min_recall : float, default=None
        The metric is maximised among the cutoffs whose micro precision and recall on the
        held-out data are at least this. Not for ``strategy="per_label"``.
    prior_weight, row_weight : "auto", float or array-like, default="auto"
        For ``strategy="adjusted"``: what is tried. ``"auto"``: prior weights 0 to 0.5
        and row weights 0 to 2 for probabilities, 0 to 0.2 and 0 to 1 for decision values.
    n_jobs : int, default=None
        Parallel folds.
    random_state : int, RandomState or None, default=None
        Of the split, if `cv` is None, an int or a float.
    store_cv_results : bool, default=False
        Whether `cv_results_` is kept.

    Attributes
    ----------
    estimator_ : estimator
        Fitted.
    best_threshold_ : float, int or ndarray of shape (n_labels,)
        ``score > best_threshold_`` is predicted; k for ``"top_k"``.
    best_score_ : float
        Metric of the pooled held-out predictions. It is the maximum of a curve, hence
        slightly optimistic (theory 5.3).
    best_score_stderr_ : float
        Its standard error by the delta method, for a fixed cutoff (theory 5.6); NaN for
        other scorers.
    fold_thresholds_ : ndarray of shape (n_folds,) or (n_folds, n_labels)
        Each fold's own optimum, with the weights of ``"adjusted"`` as they are; NaN where a
        fold cannot satisfy the constraint.
    threshold_std_ : float or ndarray of shape (n_labels,)
        Standard deviation of `fold_thresholds_`; NaN for a single split.
    prior_weight_, row_weight_ : float
        For ``"adjusted"``.
    label_log_prior_ : ndarray of shape (n_labels,)
        For ``"adjusted"``: log of (count + 1/2) / (n_samples + 1).
    cv_results_ : dict
        ``thresholds``, ``scores``, ``precision``, ``recall`` of the pooled curve just below
        the scores of positives, at most 1000 points. Not for ``"per_label"``, where there
        is no single threshold.
    classes_ : ndarray of shape (n_labels, 2)
        0 and 1 for each label; the inner estimator's classes for 1-D y.
    n_features_in_, feature_names_in_
        As of the inner estimator, if it has them.

    Warns
    -----
    UserWarning
        If all scores are equal, or the best is to predict everything or nothing.

    See Also
    --------
    FixedThresholdMultiLabel : A given cutoff.
    sklearn.model_selection.TunedThresholdClassifierCV : The same for binary targets.

    Notes
    -----
    With 1-D y there is no cutoff to tune: everything is left to the inner estimator.

    Sparse y reaches the inner estimator as it is; if that refuses it (random forests do) it
    gets a dense copy. Predictions are sparse if y was.

    A label without positives in the training rows of a fold is not predicted there, nor later
    if it has none in all rows: some classifiers give it arbitrary decision values. With
    ``cv="prefit"`` this is not known.

    Sample weights: as in scikit-learn's TunedThresholdClassifierCV, by metadata routing:
    ``estimator.set_fit_request(sample_weight=True)`` for fitting; for the metric
    ``scoring=get_scorer("jaccard_micro").set_score_request(sample_weight=True)``.

    References
    ----------
    Koyejo et al., Consistent binary classification with generalized performance metrics,
    NeurIPS 2014; Dinkelbach, On nonlinear fractional programming, 1967; theory 4.2 to 4.6.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> from skmultireduce.threshold import ThresholdedMultiLabel
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> model = ThresholdedMultiLabel(
    ...     OneVsRestClassifier(LogisticRegression()), random_state=0
    ... ).fit(X, Y)
    >>> round(model.best_threshold_, 2), round(model.best_score_, 2)
    (0.13, 0.49)
    >>> model.predict(X).shape
    (100, 5)
    """

    _parameter_constraints: ClassVar[dict] = {
        **_BaseThreshold._parameter_constraints,
        "scoring": [StrOptions(set(get_scorer_names())), callable],
        "strategy": [StrOptions({"global", "per_label", "adjusted", "top_k", "relative"})],
        "cv": [
            "cv_object",
            StrOptions({"prefit"}),
            Interval(RealNotInt, 0.0, 1.0, closed="neither"),
        ],
        "refit": ["boolean"],
        "min_positives": [Interval(Integral, 0, None, closed="left")],
        "min_precision": [Interval(Real, 0, 1, closed="both"), None],
        "min_recall": [Interval(Real, 0, 1, closed="both"), None],
        "prior_weight": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="left"),
            "array-like",
        ],
        "row_weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left"), "array-like"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "store_cv_results": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        scoring: str | Callable[..., float] = "jaccard_micro",
        strategy: str = "global",
        cv: Any = None,
        refit: bool = True,
        response_method: str = "auto",
        min_labels: int = 0,
        max_labels: int | None = None,
        min_positives: int = 5,
        min_precision: float | None = None,
        min_recall: float | None = None,
        prior_weight: str | float | Any = "auto",
        row_weight: str | float | Any = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        store_cv_results: bool = False,
    ):
        self.estimator = estimator
        self.scoring = scoring
        self.strategy = strategy
        self.cv = cv
        self.refit = refit
        self.response_method = response_method
        self.min_labels = min_labels
        self.max_labels = max_labels
        self.min_positives = min_positives
        self.min_precision = min_precision
        self.min_recall = min_recall
        self.prior_weight = prior_weight
        self.row_weight = row_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.store_cv_results = store_cv_results

    # --- fit ---

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    @forgets_on_error
    def fit(self, X: Any, y: Any, **params: Any) -> ThresholdedMultiLabel:
        """Tune the cutoff and fit the inner estimator.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the inner estimator accepts, for example a list of strings.
        y : {array-like, sparse} of shape (n_samples, n_labels), or 1-D
            Multi-label indicator; with 1-D y the inner estimator is used as it is.
        **params : dict
            Metadata for the inner estimator's `fit`, the splitter and the scorer.

        Returns
        -------
        self : ThresholdedMultiLabel

        Raises
        ------
        ValueError
            If parameters contradict each other, scores contain NaN, or no cutoff satisfies
            the constraint; the message says what is best reachable.
        """
        _raise_for_params(params, self, None)
        self._check_limits()
        metric = _Metric(self.scoring)
        self._check_combination(metric)
        routed = process_routing(self, "fit", **params)
        label_sets, target = read_labels(y)
        X, y = indexable(indexable_rows(X), y)
        y = _fit_target(y)
        prefit = isinstance(self.cv, str)
        if target.kind == "multiclass":
            self._fit_plain(X, y, target, routed.estimator.fit)
            return self

        splits: list[tuple[Any, np.ndarray]]
        if prefit:
            splits = [(None, np.arange(_num_samples(X)))]
        else:
            splitter = self._splitter(y)
            splits = [
                (np.asarray(train), np.asarray(test))
                for train, test in splitter.split(X, y, **routed.splitter.split)
            ]
            if not splits:
                raise ValueError("cv gives no splits.")
            self._check_refit(len(splits))

        self._target = target
        context = self._init_callback_context(
            max_subtasks=0 if prefit else len(splits) + bool(self.refit)
        )
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        fitted = self._fit_folds(X, y, splits, routed.estimator.fit, context)
        pools = self._pools(fitted, X, splits, label_sets, routed)
        self._tune(pools, metric)

        if prefit:
            self.estimator_ = self.estimator
            train_sets = label_sets
        elif self.refit:
            rows = np.arange(_num_samples(X))
            inner = context.subcontext(task_name="refit")
            self.estimator_ = _fit_fold(
                clone(self.estimator), X, y, rows, routed.estimator.fit, self, inner
            )
            train_sets = label_sets
        else:
            self.estimator_ = fitted[0]
            train_sets = label_sets.take(_rows(splits[0][0]))
        if not _has_method(self.estimator_, self._response_method):
            raise ValueError(
                f"The estimator that was fitted on all rows has no {self._response_method}, those "
                "of the folds have: labels of y are constant in the folds. Pass more rows, or "
                "response_method."
            )
        self._never = None if prefit else train_sets.counts() == 0
        self._log_prior = None
        if self.strategy == "adjusted":
            self._log_prior = self.label_log_prior_ = _log_prior(
                train_sets.counts(), train_sets.n_rows
            )
        self._copy_attributes()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _check_refit(self, n_splits: int) -> None:
        if not self.refit and n_splits > 1:
            raise ValueError("When cv has several folds, refit cannot be False.")

    def _check_combination(self, metric: _Metric) -> None:
        if self.strategy == "per_label":
            if not metric.exact or metric.average == "samples":
                raise ValueError(
                    "strategy='per_label' needs a scoring that is a micro or macro average of "
                    "jaccard or f1. Choose one of them, or strategy='adjusted'."
                )
            for name in ("min_precision", "min_recall"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} cannot be combined with strategy='per_label'. Choose "
                        "strategy='adjusted' or 'global'."
                    )
        if self.strategy != "adjusted":
            for name in ("prior_weight", "row_weight"):
                if not isinstance(getattr(self, name), str):
                    raise ValueError(
                        f"{name} is for strategy='adjusted' only. Choose that strategy, or leave "
                        f"{name}='auto'."
                    )

    def _fit_plain(self, X: Any, y: Any, target: Target, fit_params: dict) -> None:
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if isinstance(self.cv, str):
            self._check_prefit()
            self.estimator_ = self.estimator
        else:
            inner = context.subcontext(task_name="refit")
            rows = np.arange(_num_samples(X))
            self.estimator_ = _fit_fold(clone(self.estimator), X, y, rows, fit_params, self, inner)
        self._target = target
        self._copy_attributes()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)

    def _check_prefit(self) -> None:
        try:
            check_is_fitted(self.estimator)
        except NotFittedError as error:
            raise NotFittedError(
                "When cv='prefit', `estimator` must be fitted already. Fit it first, or choose "
                "another cv."
            ) from error

    def _splitter(self, y: Any) -> Any:
        if self.cv is None or isinstance(self.cv, Integral):
            n_splits = 5 if self.cv is None else int(self.cv)
            return KFold(n_splits, shuffle=True, random_state=self.random_state)
        if isinstance(self.cv, Real):
            return ShuffleSplit(1, test_size=self.cv, random_state=self.random_state)
        return check_cv(self.cv, y=y, classifier=True)

    def _fit_folds(
        self, X: Any, y: Any, splits: list, fit_params: dict, context: Any
    ) -> list[Any]:
        if isinstance(self.cv, str):
            self._check_prefit()
            return [self.estimator]
        # Our own estimators release the GIL, of others nothing is known.
        ours = type(self.estimator).__module__.startswith("skmultireduce.")
        contexts = [context.subcontext(task_name="fold") for _ in splits]
        return Parallel(n_jobs=self.n_jobs, prefer="threads" if ours else None)(
            delayed(_fit_fold)(clone(self.estimator), X, y, train, fit_params, self, inner)
            for (train, _), inner in zip(splits, contexts, strict=True)
        )

    def _pools(
        self, fitted: list, X: Any, splits: list, label_sets: LabelSets, routed: Any
    ) -> list[Pool]:
        self._response_method = self._method(*fitted)
        X = indexable_rows(X)
        scorer = routed.get("scorer")
        weight = None if scorer is None else scorer.score.get("sample_weight")
        weight = read_sample_weight(weight, X)
        pools = []
        for estimator, (train, test) in zip(fitted, splits, strict=True):
            whole = len(test) == label_sets.n_rows and train is None
            train_sets = label_sets if train is None else label_sets.take(_rows(train))
            counts = train_sets.counts()
            adjusted = self.strategy == "adjusted"
            log_prior = _log_prior(counts, train_sets.n_rows) if adjusted else None
            never = None if train is None else counts == 0
            test = _rows(test)
            pools.append(
                Pool(
                    _score_blocks(
                        estimator,
                        X,
                        None if whole else test,
                        self._response_method,
                        label_sets.n_labels,
                        never,
                    ),
                    label_sets if whole else label_sets.take(test),
                    None if weight is None else weight[test],
                    log_prior,
                )
            )
        return pools

    # --- tuning ---

    def _maps(self) -> list[ScoreMap]:
        method = self._response_method
        probability = method == "predict_proba"
        limits = {"min_labels": self.min_labels, "max_labels": self.max_labels}
        if self.strategy != "adjusted":
            return [ScoreMap(self.strategy, probability, **limits)]
        return [
            ScoreMap("adjusted", probability, float(prior), float(row), **limits)
            for prior in _grid("prior_weight", self.prior_weight, _PRIOR_WEIGHTS[method])
            for row in _grid("row_weight", self.row_weight, _ROW_WEIGHTS[method])
        ]

    def _constraint(self) -> dict[str, float]:
        given = {"precision": self.min_precision, "recall": self.min_recall}
        return {name: least for name, least in given.items() if least is not None}

    def _tune(self, pools: list[Pool], metric: _Metric) -> None:
        maps = self._maps()
        if self.strategy == "per_label":
            cutoff, cut = self._tune_labels(pools, maps[0], metric)
            score_map, self.best_score_ = maps[0], cut.score
        else:
            index, value, score = self._search(pools, maps, metric)
            score_map = maps[index]
            cut = evaluate(pools, score_map, value, *metric.counts, self.n_jobs)
            cutoff = self._readable(cut.threshold, value)
            self.best_score_ = cut.score if metric.exact else score
        self._score_map, self._cutoff = score_map, self._internal(cutoff)
        self.best_threshold_ = cutoff if np.ndim(cutoff) else cutoff.item()
        self.best_score_stderr_ = cut.stderr if metric.exact else float("nan")
        if self.strategy == "adjusted":
            self.prior_weight_, self.row_weight_ = score_map.prior_weight, score_map.row_weight
        self._warn(cut)

        self.fold_thresholds_ = np.stack(
            [cutoff] if len(pools) == 1 else [self._fold(p, score_map, metric) for p in pools]
        )
        if len(pools) > 1:
            self.threshold_std_ = np.std(self.fold_thresholds_, axis=0, ddof=1)
        else:
            self.threshold_std_ = np.full(np.shape(cutoff), np.nan)
        if np.ndim(cutoff) == 0:
            self.threshold_std_ = float(self.threshold_std_)
        if self.store_cv_results:
            self._store(pools, score_map, metric)

    def _search(
        self, pools: list[Pool], maps: list[ScoreMap], metric: _Metric
    ) -> tuple[int, Any, float]:
        constraint = self._constraint()
        if metric.exact:
            found = search(pools, maps, *metric.counts, constraint, self.n_jobs)
        else:
            found = search_quantiles(
                pools,
                maps,
                metric.on_pairs(pools, self._target),
                _N_QUANTILES,
                constraint,
                self.n_jobs,
            )[0]
        return found.index, found.value, found.score

    def _tune_labels(self, pools: list[Pool], score_map: ScoreMap, metric: _Metric) -> Any:
        values, rare, common = search_labels(
            pools, score_map, *metric.counts, self.min_positives, self.n_jobs
        )
        cut = evaluate(pools, score_map, values, *metric.counts, self.n_jobs)
        cutoff = cut.threshold.astype(np.float64)
        if common is not None:
            single = evaluate(pools, score_map, common.value, *metric.counts, self.n_jobs)
            cutoff[rare] = single.threshold
        return cutoff, cut

    def _fold(self, pool: Pool, score_map: ScoreMap, metric: _Metric) -> np.ndarray:
        if self.strategy == "per_label":
            return self._tune_labels([pool], score_map, metric)[0]
        try:
            _, value, _ = self._search([pool], [score_map], metric)
        except InfeasibleError:
            return np.array(np.nan)
        cut = evaluate([pool], score_map, value, *metric.counts, self.n_jobs)
        return self._readable(cut.threshold, value)

    def _readable(self, threshold: np.ndarray, value: Any) -> np.ndarray:
        """Give the cutoff as users see it: k for ranks."""
        if self.strategy == "top_k":
            return np.array(0 if np.isposinf(value) else int(1 - value))
        return np.asarray(threshold, dtype=np.float64)

    def _internal(self, cutoff: np.ndarray) -> np.ndarray:
        return 0.5 - cutoff if self.strategy == "top_k" else cutoff

    def _warn(self, cut: Any) -> None:
        text = None
        # An edge that min_labels or max_labels put there is what the user asked for.
        if cut.constant and not self._score_map.limited:
            text = (
                "All scores of the estimator are equal, so that every cutoff predicts everything "
                "or nothing. Check the estimator, or its parameters."
            )
        elif cut.nothing and self.min_labels == 0:
            text = (
                "The best cutoff lies above all scores: no label is predicted. "
                "Check the estimator, or whether y has any labels in the held-out rows."
            )
        elif cut.everything and self.max_labels is None:
            text = (
                "The best cutoff lies below all scores: every label is predicted. "
                "Scores may not separate the labels, check the estimator."
            )
        if text is not None:
            warnings.warn(text, UserWarning, stacklevel=5)

    def _store(self, pools: list[Pool], score_map: ScoreMap, metric: _Metric) -> None:
        if self.strategy == "per_label":
            raise ValueError(
                "store_cv_results=True needs a strategy with a single threshold, "
                "strategy='per_label' has none. Set store_cv_results=False."
            )
        results = curve(pools, score_map, *metric.counts, _N_CURVE_POINTS, self.n_jobs)
        if self.strategy == "top_k":
            results["thresholds"] = np.ceil(0.5 - results["thresholds"]).astype(int)
        if not metric.exact:
            _, values, scores = search_quantiles(
                pools, [score_map], metric.on_pairs(pools, self._target), _N_QUANTILES
            )
            kept = np.isfinite(values)
            below = np.nextafter(values[kept], values.dtype.type(-np.inf))
            results = {"thresholds": below.astype(np.float64), "scores": scores[kept]}
        self.cv_results_ = results

    def get_metadata_routing(self) -> MetadataRouter:
        """Routing of metadata to the inner estimator, the splitter and the scorer.

        Returns
        -------
        routing : MetadataRouter
        """
        fit = MethodMapping().add(callee="fit", caller="fit")
        router = MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=fit)
        router.add(
            splitter=self.cv,
            method_mapping=MethodMapping().add(callee="split", caller="fit"),
        )
        scorer = _Metric(self.scoring).scorer
        if scorer is not None:
            router.add(
                scorer=scorer,
                method_mapping=MethodMapping().add(callee="score", caller="fit"),
            )
        return router


class _Metric:
    """What `scoring` stands for."""

    def __init__(self, scoring: str | Callable[..., float]):
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        self.scorer = scorer if isinstance(scorer, _BaseScorer) else None
        self.exact, self.metric, self.average = False, "jaccard", "micro"
        if self.scorer is None:
            self.function: Callable[..., float] = scoring
            return
        function, options = scorer._score_func, dict(scorer._kwargs)
        names = {jaccard_score: "jaccard", f1_score: "f1"}
        if (
            function in names
            # pos_label has no meaning for multi-label targets.
            and set(options) <= {"average", "pos_label"}
            and options.get("average") in ("micro", "samples", "macro")
            and scorer._sign > 0
        ):
            self.exact = True
            self.metric, self.average = names[function], options["average"]
            return
        if scorer._response_method != "predict":
            raise ValueError(
                f"scoring={scoring!r} judges scores, not predictions, so that no cutoff changes "
                "it. Choose a scoring of predictions, such as 'jaccard_micro'."
            )
        self.function = lambda y, p, **kw: scorer._sign * function(y, p, **options, **kw)

    @property
    def counts(self) -> tuple[str, str]:
        """Metric and average for the search."""
        return self.metric, self.average

    def on_pairs(
        self, pools: list[Pool], target: Target
    ) -> Callable[[np.ndarray, np.ndarray], float]:
        """Metric of predicted (row, label) pairs against the truth of all pools."""
        sets = [pool.label_sets for pool in pools]
        sizes = np.concatenate([np.zeros(1, np.int64), *(s.sizes for s in sets)])
        y_true = target.to_output(np.cumsum(sizes), np.concatenate([s.indices for s in sets]))
        n_rows = len(sizes) - 1
        extra = {}
        if pools[0].weight is not None:
            extra["sample_weight"] = np.concatenate([pool.weight for pool in pools])

        def score(rows: np.ndarray, labels: np.ndarray) -> float:
            order = np.lexsort((labels, rows))
            indptr = np.zeros(n_rows + 1, dtype=np.int64)
            np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
            y_pred = target.to_output(indptr, labels[order].astype(np.int32))
            found = self.function(y_true, y_pred, **extra)
            with naming("scoring"):
                return float(found)

        return score


def _rows(index: np.ndarray) -> np.ndarray:
    return np.flatnonzero(index) if index.dtype == bool else index


def _log_prior(counts: np.ndarray, n_rows: int) -> np.ndarray:
    """Log of the labels' smoothed frequencies."""
    return np.log((counts + 0.5) / (n_rows + 1.0))


def _grid(name: str, given: Any, default: tuple[float, ...]) -> np.ndarray:
    if isinstance(given, str):
        return np.array(default)
    grid = np.unique(np.asarray(given, dtype=np.float64))
    if grid.ndim != 1 or not len(grid) or not np.all(np.isfinite(grid)) or grid[0] < 0:
        raise ValueError(f"{name} must be 'auto', or one or more numbers that are at least 0.")
    return grid
