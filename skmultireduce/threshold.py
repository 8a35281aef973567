"""Label sets from scores: a tuned or a given cutoff around any multi-label classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.metrics import get_scorer_names
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import indexable

from ._cutoff.estimator import BaseThreshold, inner_target, is_fitted, target_of
from ._cutoff.folds import (
    FoldFit,
    check_prefit,
    fit_fold,
    fit_folds,
    row_numbers,
    splitter_of,
)
from ._cutoff.metric import Scoring
from ._cutoff.model_search import Candidates, Trial, search_models
from ._cutoff.rule import CutRule, count_apart
from ._cutoff.score_map import ScoreMap
from ._cutoff.scores import Pool, Source
from ._cutoff.strategies import STRATEGIES, log_prior_of, make_strategy
from ._cutoff.tuning import Tuned, Tuning
from ._data.blocks import indexable_rows
from ._data.inner_fits import has_method
from ._data.label_sets import LabelSets, Target, read_labels
from ._data.notices import pass_on, warn
from ._data.weights import read_sample_weight
from ._sklearn import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    _fit_context,
    _num_samples,
    _raise_for_params,
    _safe_indexing,
    with_callbacks,
)
from ._state import forgets_on_error

__all__ = ["FixedThresholdMultiLabel", "ThresholdedMultiLabel"]

# Rows of each fold that tell how far its model and the refitted one agree.
_N_GAP_ROWS = 1000


class FixedThresholdMultiLabel(BaseThreshold):
    """Multi-label classifier with a given cutoff, for example for a search over cutoffs.

    Around an estimator that is fitted already it predicts without a fit of its own.

    Parameters
    ----------
    estimator : estimator
        Has `predict_proba` or `decision_function`, in any of scikit-learn's three
        multi-label shapes. Fitted, or to be fitted by `fit`.
    threshold : "auto", float or array-like of shape (n_labels,), default="auto"
        ``score > threshold`` is predicted. ``"auto"``: 0.5 for probabilities, 0 for
        decision values.
    response_method : {"auto", "predict_proba", "decision_function", "predict_scores"}, \
            default="auto"
        Where scores come from; ``"auto"`` takes the first that exists, in this order, but
        decisions before probabilities for ``loss="squared_hinge"``, whose probabilities are
        clipped scores. ``"predict_scores"``: the scores of the `n_candidates` best labels
        of each row, in a sparse matrix; other labels are not predicted, whatever the
        cutoff; see `ThresholdedMultiLabel`.
    n_candidates : int, default=50
        For ``response_method="predict_scores"``.
    min_labels : int, default=0
        Each row gets at least its `min_labels` highest labels, of those that had positives
        in training.
    max_labels : int, default=None
        No row gets labels beyond its `max_labels` highest ones.

    Attributes
    ----------
    estimator_ : estimator
        Fitted by `fit`; not there without it.
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

    Without a fit, predictions are of the form of the inner estimator's own. Labels without
    positives are not known then; after `fit` they are never predicted.

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

    Another cutoff for an estimator that is fitted:

    >>> FixedThresholdMultiLabel(model.estimator_, threshold=0.6).predict(X[:2])
    array([[0, 0, 0, 1, 1],
           [0, 0, 1, 0, 0]])
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseThreshold._parameter_constraints,
        "threshold": [StrOptions({"auto"}), Real, "array-like"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        threshold: str | float | Any = "auto",
        response_method: str = "auto",
        n_candidates: int = 50,
        min_labels: int = 0,
        max_labels: int | None = None,
    ):
        self.estimator = estimator
        self.threshold = threshold
        self.response_method = response_method
        self.n_candidates = n_candidates
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
        routed = process_routing(self, "fit", **params)
        label_sets, self._target = read_labels(y)
        X, y = indexable(indexable_rows(X), y)
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        rows = np.arange(_num_samples(X))
        inner = context.subcontext(task_name="fit-estimator")
        self.estimator_, found = fit_fold(
            clone(self.estimator),
            X,
            inner_target(y, label_sets, self._target),
            rows,
            routed.estimator.fit,
            self,
            inner,
        )
        pass_on(found)
        self._copy_attributes()
        if self._target.kind == "multilabel":
            never = label_sets.counts() == 0
            self._rule = self._make_rule(self.estimator_, self._target, never)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _make_rule(self, estimator: Any, target: Target, never: np.ndarray | None) -> CutRule:
        if self.max_labels is not None and self.min_labels > self.max_labels:
            raise ValueError(
                f"min_labels={self.min_labels} is larger than max_labels={self.max_labels}. "
                "Lower min_labels or raise max_labels."
            )
        source = replace(self._source(target.n_labels, estimator), never=never)
        score_map = ScoreMap(source.probability, self.min_labels, self.max_labels)
        return CutRule(score_map, self._given_cutoff(source), source)

    def _works_without_fit(self) -> bool:
        return not hasattr(self, "estimator_") and is_fitted(self.estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_") or self._works_without_fit()

    def _fitted_parts(self, X: Any) -> tuple[Any, Target, CutRule | None]:
        if not self._works_without_fit():
            return super()._fitted_parts(X)
        self._validate_params()
        target = target_of(self.estimator, X)
        rule = None
        if target.kind == "multilabel":
            rule = self._make_rule(self.estimator, target, None)
        return self.estimator, target, rule

    def _given_cutoff(self, source: Source) -> np.ndarray:
        n_labels = source.n_labels
        if isinstance(self.threshold, str):
            return np.array(0.5 if source.probability else 0.0)
        cutoff = np.asarray(self.threshold, dtype=np.float64)
        if cutoff.ndim > 0 and cutoff.shape != (n_labels,):
            raise ValueError(
                f"threshold has shape {cutoff.shape}; a number or one for each of the "
                f"{n_labels} labels is needed."
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


class ThresholdedMultiLabel(BaseThreshold):
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
        the samples and macro averages of the Jaccard index, and all three of ``"f1"``,
        ``"precision"`` and ``"recall"`` are maximised exactly, as are the scorers that
        `make_scorer` builds of these functions and of F-beta, for example
        ``make_scorer(fbeta_score, beta=2, average="macro")``. As in scikit-learn, a row or
        label without any true label counts 0. Any other scorer of predictions, or callable
        ``scoring(y_true, y_pred) -> float``, is evaluated at 100 quantiles of the
        positives' scores only (and for no label at all), which is not exact; the pairs that
        the lowest one predicts are held in memory.
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
    response_method : {"auto", "predict_proba", "decision_function", "predict_scores"}, \
            default="auto"
        Where scores come from; ``"auto"`` takes the first that exists, in this order, but
        decisions before probabilities for ``loss="squared_hinge"``, whose probabilities are
        clipped scores. ``"predict_scores"``: the scores of the `n_candidates` best labels
        of each row, in a sparse matrix; other labels are not predicted, whatever the
        cutoff. See the notes.
    n_candidates : int, default=50
        For ``response_method="predict_scores"``.
    min_labels : int, default=0
        Each row gets at least its `min_labels` highest labels.
        A label that had no positives in training is none of them.
    max_labels : int, default=None
        No row gets labels beyond its `max_labels` highest ones. Both limits are part of
        the search: what is scored is exactly what would be predicted. Ranks are those of
        the (adjusted) scores, ties go to the label that comes first.
    min_positives : int, default=5
        For ``strategy="per_label"``. 0: every label has its own cutoff.
    min_precision, min_recall : float, default=None
        The metric is maximised among the cutoffs whose micro precision and recall on the
        held-out data are at least this. With ``strategy="per_label"`` each label must reach
        it alone: with a least precision a label is predicted that precisely or not at all;
        a label that reaches it with no cutoff is never predicted (its cutoff is infinity,
        its number in `unreachable_labels_`). Labels with fewer than `min_positives` take
        the one cutoff that reaches it for all labels together, if they reach it there.
        Not together with `min_labels` then. On new rows it may be missed, unless `guarantee`
        or `confidence` makes it a promise.
    guarantee : {"expectation"}, default=None
        With `min_recall`: new rows have this recall in expectation over the held-out ones,
        exactly, whatever the model and the number of rows (conformal risk control, theory
        5.9). Of all labels together, or with a samples average the mean over rows, where a
        row without labels misses none. Where no cutoff is low enough everything is predicted.
    confidence : float in (0, 1), default=None
        With `min_precision` or `min_recall`: new rows have it with this probability over
        the held-out ones (learn then test, theory 5.10): micro-averaged, or with a samples
        average the mean over rows, where an empty prediction has no wrong label and a row
        without labels misses none. With ``strategy="per_label"`` every label that is
        predicted has it (theory 5.11); labels with fewer than `min_positives` are not.
        `max_labels` makes promises of a precision easier to keep: one row can do less harm.
        Both kinds of promises need rows that the predicting model has not seen:
        ``cv="prefit"``, or a single split with ``refit=False``; and an exact `scoring`,
        which is maximised among the cutoffs that keep the promise.
    label_propensities : array-like of shape (n_labels,), default=None
        Where labels are missing from y: the chance in (0, 1] that a label that holds is in y,
        whatever the row; `metrics.label_propensities` guesses it. Each label of y counts one
        over it, and predictions beyond that as wrong, which estimates the micro averages of
        complete labels without bias (theory 5.13). The scores should be of the labels in y,
        as those of ``one_vs_rest`` are; they are not changed. For micro averages only.
    prior_weight, row_weight : "auto", float or array-like, default="auto"
        For ``strategy="adjusted"``: what is tried. ``"auto"``: prior weights 0 to 0.5
        and row weights 0 to 2 for probabilities, 0 to 0.2 and 0 to 1 for decision values.
    n_jobs : int, default=None
        Parallel folds.
    random_state : int, RandomState or None, default=None
        Of the split, if `cv` is None, an int or a float.
    store_cv_results : bool, default=False
        Whether `cv_results_` is kept.
    param_grid : dict, list of dict, iterable of dict or "auto", default=None
        Parameters of the estimator that are tuned together with the cutoff, in one round of
        folds: each candidate is judged by the pooled score at its own best cutoff, and the
        best one is refitted. A dict or list of dicts as for GridSearchCV, or anything that
        gives dicts of parameters each time it is iterated, such as a ParameterSampler; names
        are relative to `estimator`, through a Pipeline too. ``"auto"``: factors `alpha_scale`
        of the automatic penalty from 1/4 to 4, and on while the best is at an end, for
        estimators of this package that have it, alone or as the last step of a Pipeline.
    error_score : "raise" or float, default=nan
        Score of a candidate of `param_grid` whose fit fails or that cannot satisfy the
        constraint, with a warning; ``"raise"``: the error.

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
    best_score_interval_ : ndarray of shape (2,)
        The same metric of new rows with probability .95, asymptotically, with the optimism of
        the tuned cutoff taken off (bootstrap, theory 5.12): for the model whose scores were
        tuned on, with folds for the average of the folds' models. Of other scorers a normal
        interval for a fixed cutoff. NaN for ``"per_label"``, whose optimism does not average
        out (theory 5.7).
    refit_gap_ : float
        With folds and `refit`: labels on which a fold's model and the refitted one differ, at
        the cutoff, over true labels; the largest of the folds, from at most 1000 held-out
        rows of each. The micro Jaccard index of the two differs by at most that (theory 5.8),
        though the refitted model has seen these rows. Not on a cluster.
    fold_thresholds_ : ndarray of shape (n_folds,) or (n_folds, n_labels)
        Each fold's own optimum, with the weights of ``"adjusted"`` as they are; NaN where a
        fold cannot satisfy the constraint.
    threshold_std_ : float or ndarray of shape (n_labels,)
        Standard deviation of `fold_thresholds_`; NaN for a single split.
    prior_weight_, row_weight_ : float
        For ``"adjusted"``.
    unreachable_labels_ : ndarray of shape (n_unreachable,)
        For ``"per_label"`` with `min_precision` or `min_recall`: the numbers of the labels
        that reach it with no cutoff, or for which none could be promised.
    guarantee_ : str
        With `guarantee` or `confidence`: what is promised of new rows that are drawn like the
        held-out ones, and the number of the statement.
    lowest_candidate_ : float
        For ``response_method="predict_scores"``: the lower end of the range that was
        searched, on the scale of the cutoff; the lowest score of a candidate.
    label_log_prior_ : ndarray of shape (n_labels,)
        For ``"adjusted"``: log of (count + 1/2) / (n_samples + 1).
    cv_results_ : dict
        ``thresholds``, ``scores``, ``precision``, ``recall`` of the pooled curve just below
        the scores of positives, at most 1000 points. Not for ``"per_label"``, where there
        is no single threshold.
    best_params_ : dict
        Parameters of the best candidate of `param_grid`.
    best_index_ : int
        Its number in `search_results_`.
    search_results_ : dict
        For `param_grid`, one entry a candidate, for example for a data frame: ``params`` and
        ``param_*``, ``score`` (pooled, at the candidate's own cutoff), ``std_score`` (over the
        folds, at that cutoff), ``rank_score``, ``threshold``, ``mean_fit_time``,
        ``tune_time`` in seconds. `best_score_` and the rest are those of the best one.
    classes_ : ndarray of shape (n_labels, 2)
        0 and 1 for each label; the inner estimator's classes for 1-D y.
    n_features_in_, feature_names_in_
        As of the inner estimator, if it has them.

    Warns
    -----
    UserWarning
        If all scores are equal, the best is to predict everything (all candidates) or
        nothing, or labels cannot reach the constraint.

    See Also
    --------
    FixedThresholdMultiLabel : A given cutoff.
    sklearn.model_selection.TunedThresholdClassifierCV : The same for binary targets.

    Notes
    -----
    With 1-D y there is no cutoff to tune: everything is left to the inner estimator.

    Sparse y reaches inner estimators that are known to take it as it is; others get a dense
    copy. Predictions are sparse if y was.

    A label without positives in the training rows of a fold is not predicted there, nor later
    if it has none in all rows: its scores are arbitrary. With ``cv="prefit"`` this is not
    known.

    If the scores of some folds are float32 and those of others float64, all of them are
    taken as float64, later ones too.

    ``response_method="predict_scores"`` asks ``estimator.predict_scores(X, top_k=n_candidates)``
    for a CSR array of shape (n_samples, n_labels): the values of `predict_proba` where the
    estimator has that (else those of `decision_function`) of the best labels of each row;
    stored zeros and negative values count, what is not stored is lower. Of a Pipeline or
    search the last step is asked, whose input the other steps make. Any estimator with such a
    method will do. The search is exact among the candidates: all else is as for scores of all
    labels, and labels beyond the candidates count as not predicted. Memory and time are those
    of the candidates, not of all labels.

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
        **BaseThreshold._parameter_constraints,
        "scoring": [StrOptions(set(get_scorer_names())), callable],
        "strategy": [StrOptions(set(STRATEGIES))],
        "cv": [
            "cv_object",
            StrOptions({"prefit"}),
            Interval(RealNotInt, 0.0, 1.0, closed="neither"),
        ],
        "refit": ["boolean"],
        "min_positives": [Interval(Integral, 0, None, closed="left")],
        "min_precision": [Interval(Real, 0, 1, closed="both"), None],
        "min_recall": [Interval(Real, 0, 1, closed="both"), None],
        "guarantee": [StrOptions({"expectation"}), None],
        "confidence": [Interval(Real, 0, 1, closed="neither"), None],
        "label_propensities": ["array-like", None],
        "prior_weight": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="left"),
            "array-like",
        ],
        "row_weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left"), "array-like"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "store_cv_results": ["boolean"],
        "param_grid": [StrOptions({"auto"}), dict, "array-like", HasMethods("__iter__"), None],
        "error_score": [StrOptions({"raise"}), Real],
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
        n_candidates: int = 50,
        min_labels: int = 0,
        max_labels: int | None = None,
        min_positives: int = 5,
        min_precision: float | None = None,
        min_recall: float | None = None,
        guarantee: str | None = None,
        confidence: float | None = None,
        label_propensities: Any = None,
        prior_weight: str | float | Any = "auto",
        row_weight: str | float | Any = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        store_cv_results: bool = False,
        param_grid: Any = None,
        error_score: float | str = np.nan,
    ):
        self.estimator = estimator
        self.scoring = scoring
        self.strategy = strategy
        self.cv = cv
        self.refit = refit
        self.response_method = response_method
        self.n_candidates = n_candidates
        self.min_labels = min_labels
        self.max_labels = max_labels
        self.min_positives = min_positives
        self.min_precision = min_precision
        self.min_recall = min_recall
        self.guarantee = guarantee
        self.confidence = confidence
        self.label_propensities = label_propensities
        self.prior_weight = prior_weight
        self.row_weight = row_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.store_cv_results = store_cv_results
        self.param_grid = param_grid
        self.error_score = error_score

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
            the constraint or keeps the promise; the message says what is best reachable, or
            about how many rows it takes.
        """
        _raise_for_params(params, self, None)
        tuning = self._tuning()
        routed = process_routing(self, "fit", **params)
        label_sets, target = read_labels(y)
        X, y = indexable(indexable_rows(X), y)
        y = inner_target(y, label_sets, target)
        prefit = isinstance(self.cv, str)
        candidates = self._candidates(target, prefit)
        if tuning.strategy.promises and target.kind == "multiclass":
            raise ValueError(
                "With 1-D y there is no cutoff that could promise anything. Pass a multi-label "
                "indicator, or leave guarantee and confidence out."
            )
        if target.kind == "multiclass":
            self._fit_plain(X, y, target, routed.estimator.fit)
            return self

        splits: list[tuple[Any, np.ndarray]]
        if prefit:
            splits = [(None, np.arange(_num_samples(X)))]
        else:
            splitter = splitter_of(self.cv, y, self.random_state)
            splits = [
                (np.asarray(train), np.asarray(test))
                for train, test in splitter.split(X, y, **routed.splitter.split)
            ]
            if not splits:
                raise ValueError("cv gives no splits.")
            self._check_refit(len(splits))
        self._check_separate(tuning, prefit)

        self._target = target
        n_fits = None
        if candidates is None or candidates.given is not None:
            n_fits = len(splits) * (1 if candidates is None else len(candidates.given))
            n_fits = 0 if prefit else n_fits + bool(self.refit)
        context = self._init_callback_context(max_subtasks=n_fits)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        best = self._search(
            tuning, candidates, X, y, splits, label_sets, target, routed, context, prefit
        )
        found, tuned = list(best.found), best.tuned
        self._publish(tuned)

        train_sets = label_sets
        if prefit:
            self.estimator_ = self.estimator
        elif self.refit:
            rows = np.arange(_num_samples(X))
            inner = context.subcontext(task_name="refit")
            self.estimator_, last = fit_fold(
                self._candidate(best.params), X, y, rows, routed.estimator.fit, self, inner
            )
            found.append(last)
        else:
            self.estimator_ = best.fitted[0]
            train_sets = label_sets.take(row_numbers(splits[0][0]))
        source = tuned.source
        if not has_method(self.estimator_, source.method):
            raise ValueError(
                f"The estimator that was fitted on all rows has no {source.method}, those of the "
                "folds have: labels of y are constant in the folds. Pass more rows, or "
                "response_method."
            )
        self._keep_rule(tuned, train_sets.counts(), train_sets.n_rows, known=not prefit)
        if not prefit and self.refit:
            self.refit_gap_ = self._refit_gap(tuned, best.fitted, X, splits, label_sets)
        self._copy_attributes()
        pass_on(*found)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _tuning(self) -> Tuning:
        strategy = make_strategy(self.get_params(deep=False))
        tuning = Tuning(
            strategy,
            Scoring(self.scoring),
            self.n_jobs,
            self.store_cv_results,
            self.param_grid is not None,
            interval=True,
        )
        tuning.check()
        return tuning

    def _candidates(self, target: Target, prefit: bool) -> Candidates | None:
        if self.param_grid is None:
            return None
        if prefit:
            raise ValueError(
                "param_grid needs fits, and with cv='prefit' the estimator is fitted already. "
                "Choose another cv, or param_grid=None."
            )
        if target.kind == "multiclass":
            raise ValueError(
                "With 1-D y there is no cutoff by which param_grid could be judged. Use "
                "GridSearchCV around the estimator, or param_grid=None."
            )
        return Candidates(self.param_grid, self.estimator)

    def _candidate(self, params: dict[str, Any]) -> Any:
        # Cloned again: values may be estimators.
        return clone(self.estimator).set_params(**clone(params, safe=False))

    def _search(
        self,
        tuning: Tuning,
        candidates: Candidates | None,
        X: Any,
        y: Any,
        splits: list,
        label_sets: LabelSets,
        target: Target,
        routed: Any,
        context: Any,
        prefit: bool,
    ) -> Trial:
        """The best candidate, with its cutoff; the only one where there is no grid."""

        def judged(params: dict[str, Any], fits: list[FoldFit]) -> Trial:
            models, found = [fit.model for fit in fits], [fit.found for fit in fits]
            seconds = [fit.seconds for fit in fits]
            error = next((fit.error for fit in fits if fit.error is not None), None)
            tuned, start = None, time.perf_counter()
            if error is None:
                try:
                    source = self._source(target.n_labels, *models)
                    gain = tuning.strategy.gain(target.n_labels)
                    pools = self._pools(models, source, X, splits, label_sets, routed, gain)
                    tuned = tuning.run(pools, source, target)
                except Exception as reason:
                    if candidates is None:
                        raise
                    error = reason
            spent = time.perf_counter() - start
            return Trial(params, models, found, tuned, seconds, spent, error)

        if prefit:
            check_prefit(self.estimator)
            return judged({}, [FoldFit(self.estimator, {}, 0.0)])
        job = X, y, splits, routed.estimator.fit, self, context, self.n_jobs
        if candidates is None:
            return judged({}, fit_folds([self.estimator], *job)[0])
        # So many at once that all jobs have work: more would hold more models in memory.
        n_at_once = -(-effective_n_jobs(self.n_jobs) // len(splits))

        def attempt(batch: list[dict[str, Any]]) -> Iterator[Trial]:
            for first in range(0, len(batch), n_at_once):
                group = batch[first : first + n_at_once]
                fits = fit_folds([self._candidate(params) for params in group], *job, catch=True)
                yield from map(judged, group, fits)

        best, self.search_results_, self.best_index_ = search_models(
            candidates, attempt, self.error_score
        )
        self.best_params_ = best.params
        return best

    def _check_refit(self, n_splits: int) -> None:
        if not self.refit and n_splits > 1:
            raise ValueError("When cv has several folds, refit cannot be False.")

    def _check_separate(self, tuning: Tuning, prefit: bool) -> None:
        """Refuse a promise for a model that is not the one whose scores are tested."""
        if not tuning.strategy.promises:
            return
        # Without refit there are no folds.
        if not prefit and self.refit:
            raise ValueError(
                "guarantee and confidence hold for one model and rows that it has not seen, not "
                "for the average of the folds' models, nor for one that is fitted on all rows "
                "(theory 5.8 is all that is known of it). Fit the estimator and pass other rows "
                "with cv='prefit', or choose cv=0.3 and refit=False."
            )
        if self.param_grid is not None:
            raise ValueError(
                "guarantee and confidence are for one model; param_grid chooses one of several by "
                "the same rows. Tune the model first, then pass other rows with cv='prefit'."
            )

    def _fit_plain(self, X: Any, y: Any, target: Target, fit_params: dict) -> None:
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if isinstance(self.cv, str):
            check_prefit(self.estimator)
            self.estimator_ = self.estimator
        else:
            inner = context.subcontext(task_name="refit")
            rows = np.arange(_num_samples(X))
            self.estimator_, found = fit_fold(
                clone(self.estimator), X, y, rows, fit_params, self, inner
            )
            pass_on(found)
        self._target = target
        self._copy_attributes()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)

    def _pools(
        self,
        fitted: list,
        source: Source,
        X: Any,
        splits: list,
        label_sets: LabelSets,
        routed: Any,
        gain: np.ndarray | None,
    ) -> list[Pool]:
        """Held-out rows of each fold, with the scores of the estimator that has not seen them."""
        X = indexable_rows(X)
        scorer = routed.get("scorer")
        weight = None if scorer is None else scorer.score.get("sample_weight")
        weight = read_sample_weight(weight, X)
        if weight is not None and (self.guarantee is not None or self.confidence is not None):
            raise ValueError(
                "guarantee and confidence take rows as equal draws; sample_weight for the scorer "
                "contradicts that. Leave it out."
            )
        pools = []
        for estimator, (train, test) in zip(fitted, splits, strict=True):
            whole = len(test) == label_sets.n_rows and train is None
            train_sets = label_sets if train is None else label_sets.take(row_numbers(train))
            counts = train_sets.counts()
            test = row_numbers(test)
            own = replace(source, never=None if train is None else counts == 0)
            pools.append(
                Pool(
                    own.blocks(estimator, X, None if whole else test),
                    label_sets if whole else label_sets.take(test),
                    None if weight is None else weight[test],
                    self._log_prior(counts, train_sets.n_rows),
                    gain=gain,
                )
            )
        return pools

    def _log_prior(self, counts: np.ndarray, n_rows: int) -> np.ndarray | None:
        return log_prior_of(counts, n_rows) if STRATEGIES[self.strategy].uses_prior else None

    def _publish(self, tuned: Tuned) -> None:
        """Set the attributes that tell what was tuned."""
        single = np.ndim(tuned.threshold) == 0
        self.best_threshold_ = tuned.threshold.item() if single else tuned.threshold
        self.best_score_, self.best_score_stderr_ = tuned.score, tuned.stderr
        self.best_score_interval_ = np.array(tuned.interval)
        self.fold_thresholds_ = tuned.fold_thresholds
        spread = tuned.threshold_std
        self.threshold_std_ = float(spread) if single else spread
        if STRATEGIES[self.strategy].uses_prior:
            self.prior_weight_ = tuned.score_map.prior_weight
            self.row_weight_ = tuned.score_map.row_weight
        if tuned.silent is not None:
            self.unreachable_labels_ = np.flatnonzero(tuned.silent)
        if tuned.lowest_candidate is not None:
            self.lowest_candidate_ = tuned.lowest_candidate
        if tuned.promise is not None:
            self.guarantee_ = tuned.promise
        if tuned.curve is not None:
            self.cv_results_ = tuned.curve
        for kind, message in tuned.messages().items():
            warn(kind, message)

    def _keep_rule(self, tuned: Tuned, counts: np.ndarray, n_rows: int, *, known: bool) -> None:
        """Keep the rule, with what is known of the rows that `estimator_` was fitted on."""
        self._rule = self._rule_after(tuned, counts, n_rows, known=known)
        if self._rule.log_prior is not None:
            self.label_log_prior_ = self._rule.log_prior

    def _rule_after(
        self, tuned: Tuned, counts: np.ndarray, n_rows: int, *, known: bool = True
    ) -> CutRule:
        """The rule for a model that was fitted on rows with these counts of labels."""
        return CutRule(
            tuned.score_map,
            tuned.score_map.internal(tuned.threshold),
            replace(tuned.source, never=counts == 0 if known else None),
            self._log_prior(counts, n_rows),
        )

    def _refit_gap(
        self, tuned: Tuned, fitted: list, X: Any, splits: list, label_sets: LabelSets
    ) -> float:
        """Labels that the folds' models and the last one decide differently, over true ones."""
        gaps = []
        for estimator, (train, test) in zip(fitted, splits, strict=True):
            rows = row_numbers(test)[:_N_GAP_ROWS]
            known = label_sets.take(row_numbers(train))
            rule = self._rule_after(tuned, known.counts(), known.n_rows)
            final = self._rule, self.estimator_
            apart = count_apart((rule, estimator), final, _safe_indexing(X, rows))
            n_true = label_sets.take(rows).sizes.sum()
            if n_true:
                gaps.append(apart / float(n_true))
        return max(gaps, default=float("nan"))

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
        scorer = Scoring(self.scoring).scorer
        if scorer is not None:
            router.add(
                scorer=scorer,
                method_mapping=MethodMapping().add(callee="score", caller="fit"),
            )
        return router
