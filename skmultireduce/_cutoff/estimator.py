"""What the threshold estimators share: predictions by the fitted rule, and the inner estimator."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._data.blocks import indexable_rows
from .._data.inner_fits import has_method, indicator, inner_has, last_step
from .._data.label_names import NamedLabels
from .._data.label_sets import LabelSets, Target
from .._data.score_matrix import check_request, score_matrix
from .._sklearn import (
    BaseSearchCV,
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _num_samples,
    _safe_indexing,
    _VisualBlock,
)
from .._state import VersionedState
from .rule import CutRule
from .scores import Source, predict_scores
from .strategies import STRATEGIES


def has_decision(self: Any) -> bool:
    """Once fitted with multi-label y there always is one, score - cutoff."""
    target = getattr(self, "_target", None)
    if target is not None and target.kind == "multilabel":
        return True
    return (target is None and self._works_without_fit()) or inner_has("decision_function")(self)


def inner_target(y: Any, label_sets: LabelSets, target: Target) -> Any:
    """Y as the inner estimator gets it."""
    if target.kind == "multilabel":
        return indicator(label_sets, target)
    return y if hasattr(y, "iloc") else np.asarray(y)


def is_fitted(estimator: Any) -> bool:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def target_of(estimator: Any, X: Any) -> Target:
    """Form of y of an estimator that is fitted already: that of its predictions."""
    last = last_step(estimator)[1]
    own = getattr(last, "_target", None)
    if isinstance(own, Target):
        return own
    if X is None:
        raise NotFittedError(
            f"What y of the fitted {type(last).__name__} looked like is not known without rows. "
            "Fit the FixedThresholdMultiLabel."
        )
    X = indexable_rows(X)
    predicted = estimator.predict(_safe_indexing(X, np.arange(min(1, _num_samples(X)))))
    shape = getattr(predicted, "shape", None) or np.shape(predicted)
    if len(shape) < 2:
        return Target("multiclass", 0, np.empty(0), False, np.dtype(np.int64))
    dtype = predicted.dtype if isinstance(predicted.dtype, np.dtype) else np.dtype(np.int64)
    classes = np.tile(np.array([0, 1]), (shape[1], 1))
    return Target("multilabel", shape[1], classes, sp.issparse(predicted), dtype)


class BaseThreshold(
    VersionedState,
    NamedLabels,
    CallbackSupportMixin,
    ClassifierMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    """Prediction by a cutoff, given ``estimator_``, ``_target``, ``_rule``."""

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [
            HasMethods(["fit", "predict_proba"]),
            HasMethods(["fit", "decision_function"]),
            HasMethods(["fit", "predict_scores"]),
            # They do not pass on `predict_scores` of what is inside.
            Pipeline,
            BaseSearchCV,
        ],
        "response_method": [
            StrOptions({"auto", "predict_proba", "decision_function", "predict_scores"})
        ],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "min_labels": [Interval(Integral, 0, None, closed="left")],
        "max_labels": [Interval(Integral, 1, None, closed="left"), None],
    }

    def _source(self, n_labels: int, *estimators: Any) -> Source:
        """Where the scores of all of the estimators come from."""
        source = Source.of(
            self.response_method, n_labels, *estimators, n_candidates=self.n_candidates
        )
        if source.sparse and min(self.min_labels, n_labels) > self.n_candidates:
            raise ValueError(
                f"min_labels={self.min_labels} is larger than n_candidates={self.n_candidates}, "
                "the labels of a row that have scores. Raise n_candidates."
            )
        return source

    def _copy_attributes(self) -> None:
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        self._share_label_names()

    def _works_without_fit(self) -> bool:
        return False

    def _label_target(self) -> Target:
        if self._works_without_fit() and "_target" in vars(self):
            return self._target  # with names that were given
        return self._fitted_parts(None)[1]

    def _fitted_parts(self, X: Any) -> tuple[Any, Target, CutRule | None]:
        """Give the scoring estimator, the form of y and the rule; no rule for 1-D y."""
        if "estimator_" not in vars(self):
            check_is_fitted(self, "estimator_")
        return self.estimator_, self._target, getattr(self, "_rule", None)

    @staticmethod
    def _from_form_1(state: dict[str, Any]) -> dict[str, Any]:
        """Build the rule from the loose attributes of release 0.1.0."""
        if "_score_map" not in state:
            return state
        old = vars(state.pop("_score_map"))
        method, never = state.pop("_response_method"), state.pop("_never")
        names = ("min_labels", "max_labels", "prior_weight", "row_weight")
        strategy = STRATEGIES[old["strategy"]](**{name: old[name] for name in names})
        probability = method == "predict_proba"
        source = Source(
            method,
            state["_target"].n_labels,
            # That release left probabilities as they were.
            never=None if probability else never,
            probability=probability,
        )
        maps = strategy.maps(probability)
        state["_rule"] = CutRule(maps[0], state.pop("_cutoff"), source, state.pop("_log_prior"))
        return state

    @property
    def classes_(self) -> np.ndarray:
        """Classes: (n_labels, 2) for multi-label y, else those of the inner estimator."""
        if not hasattr(self, "_target"):
            if self._works_without_fit():
                return self.estimator.classes_
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        if self._target.kind == "multiclass":
            return self.estimator_.classes_
        return self._target.classes

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
        estimator, target, rule = self._fitted_parts(X)
        if rule is None:
            return estimator.predict(X)
        return target.to_output(*rule.label_sets(estimator, X))

    @available_if(has_decision)
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
        estimator, _, rule = self._fitted_parts(X)
        if rule is None:
            return estimator.decision_function(X)
        return rule.decisions(estimator, X)

    @available_if(inner_has("predict_proba"))
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
        estimator, target, rule = self._fitted_parts(X)
        if rule is None:
            return estimator.predict_proba(X)
        return Source("predict_proba", target.n_labels).scores(estimator, X).values

    def predict_scores(
        self, X: Any, *, top_k: int | None = None, threshold: float | None = None
    ) -> Any:
        """Scores of the best labels of each row, in a sparse matrix.

        The values are those of `predict_proba`, or of `decision_function` (score minus
        cutoff) if the inner estimator has no `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the inner estimator accepts.
        top_k : int, default=None
            So many labels of each row; of equal scores the label that comes first. With
            ``response_method="predict_scores"`` and decisions at most `n_candidates`.
        threshold : float, default=None
            The labels with at least this score. With `top_k`: those of the `top_k` that
            reach it.

        Returns
        -------
        scores : CSR of shape (n_samples, n_labels)
            Zeros and negative values are stored; what is not stored is lower. An array of
            shape (n_samples, n_labels) is never made.

        Raises
        ------
        ValueError
            If neither `top_k` nor `threshold` is given, or y was 1-D and the inner
            estimator has no `predict_scores`.
        """
        check_request(top_k, threshold)
        estimator, target, rule = self._fitted_parts(X)
        proba = has_method(estimator, "predict_proba")
        if has_method(estimator, "predict_scores") and (proba or rule is None):
            return predict_scores(estimator, X, top_k=top_k, threshold=threshold)
        if rule is None:
            raise ValueError(
                f"With 1-D y scores are those of {type(estimator).__name__}, which has no "
                "predict_scores. Use predict_proba or decision_function."
            )
        if proba:
            source = Source("predict_proba", target.n_labels)
            found = source.each_block(estimator, X)
        else:
            if rule.source.sparse and top_k is not None and top_k > self.n_candidates:
                raise ValueError(
                    f"top_k={top_k} is more than n_candidates={self.n_candidates}, the labels of "
                    "a row that have scores. Raise n_candidates, or use a smaller top_k."
                )
            found = rule.decision_scores(estimator, X)
        parts = (scores.select(top_k, threshold) for scores in found)
        return score_matrix(parts, target.n_labels)

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
