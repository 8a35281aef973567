"""Any multi-class classifier as a multi-label classifier, and the repair of its sizes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    is_outlier_detector,
    is_regressor,
)
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
from ._data.inner_fits import inner_has, last_step
from ._data.label_names import NamedLabels
from ._data.label_sets import read_labels
from ._data.notices import gathered, pass_on, warn
from ._data.score_matrix import check_request, score_matrix, select_scores
from ._data.sparse import check_sparse
from ._data.weights import read_sample_weight
from ._reductions.class_table import ClassTable, SizeClasses, with_table
from ._reductions.conditions import (
    has_decision_function,
    has_joint,
    has_partial_fit,
    has_size_proba,
)
from ._reductions.examples import (
    Batch,
    Draws,
    Examples,
    examples_job,
    label_set_job,
    pair_weights,
    row_factor,
    size_job,
)
from ._reductions.inner_models import (
    Job,
    class_proba,
    mean_size,
    run,
    seeded,
    size_proba,
    takes_label_sets,
)
from ._reductions.marginals import (
    best_sets,
    joint,
    joint_as_independent,
    joint_marginals,
    open_unit_interval,
    scores_of_labels,
)
from ._reductions.table import BY_NAME, SOFTMAX_REDUCTIONS, Reduction
from ._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    _num_samples,
    _raise_for_params,
    _routing_enabled,
    _safe_indexing,
)
from ._state import VersionedState, forgets_on_error, restores_on_error

__all__ = ["MultiClassReduction"]

# Pickles of release 0.1.0 name it here.
_SizeClasses = SizeClasses


class MultiClassReduction(
    VersionedState, NamedLabels, ClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
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
        "reduction": [StrOptions(set(BY_NAME))],
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

    @available_if(has_partial_fit)
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
        if not self._form.softmax:
            raise ValueError(
                f"reduction={self.reduction!r} has no multi-class problem. Use "
                "sklearn.multiclass.OneVsRestClassifier(estimator), or the classifiers of "
                "this package with that reduction."
            )
        if is_regressor(self.estimator) or is_outlier_detector(self.estimator):
            raise ValueError(
                f"estimator must be a classifier, got {type(self.estimator).__name__}."
            )
        if self.size_model is not None and self._form.selects:
            raise ValueError(
                f"size_model={self.size_model!r} needs a reduction that shows all labels of a "
                f"row: set reduction to one of {', '.join(map(repr, SOFTMAX_REDUCTIONS))} instead "
                f"of {self.reduction!r}."
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
        self._target = self._table = None
        self._n_calls = 0
        self._warned = set()
        self.n_unlabeled_ = 0

    @property
    def _form(self) -> Reduction:
        return BY_NAME[self.reduction]

    def _warn_once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warn(what, message)

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
        counts = sets.counts(weights)
        self._label_counts = counts if first else self._label_counts + counts
        if first:
            self._table = ClassTable(
                target.n_labels, self.unlabeled == "none", self.size_model == "joint"
            )
        if self.size_model is not None:
            self._table = self._table.count(sizes, weights, self.max_size)
            self.sizes_ = self._table.size_values
        self._fit_models(Batch(X, rows, sets, weights, params, method), first)
        self._n_calls += 1
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _fit_models(self, batch: Batch, first: bool) -> None:
        if first:
            rng = None if self.random_state is None else self._rng
            self._models = [seeded(self.estimator, rng)]
            if self.size_model == "expected":
                base = self.estimator if self.size_estimator is None else self.size_estimator
                self._models.append(seeded(base, rng))
        jobs = [self._label_job(batch, first)]
        if self.size_model == "expected":
            jobs.append(self._size_job(batch))
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(_run_quietly)(job, batch.method) for job in jobs
        )
        self._models = [model for model, _ in fitted]
        pass_on(*(found for _, found in fitted))
        self.estimator_ = self._models[0]
        if self.size_model == "expected":
            self.size_estimator_ = self._models[1]

    def _label_job(self, batch: Batch, first: bool) -> Job:
        """Fit of the classifier; says in `_table` which classes it will know."""
        model = self._models[0]
        direct = self._trains_on_sets
        if first and direct:
            # What else the reductions differ in is in the weights of the rows.
            own = "pick_one" if self._form.draws else "pick_all_normalized"
            model.set_params(**{last_step(self.estimator)[0] + "reduction": own})
        class_sets = self._table.class_sets(batch.sets)
        if batch.method == "partial_fit":
            if first:
                self._table = self._table.knowing(np.arange(class_sets.n_labels))
            else:
                _check_known(class_sets.indices, self._table.codes)
        weights = self._row_weights(batch, first)
        shown = None
        if self._form.selects or not direct:
            draws = Draws(self._seed, self.n_draws, self._n_calls)
            shown = pair_weights(class_sets, self._form, self._label_counts, draws)
            if not np.any(shown):
                raise ValueError(
                    f"reduction={self.reduction!r} leaves no row; no row has exactly one label. "
                    "Use another reduction."
                )
        codes = None if batch.method == "fit" else self._table.codes
        problem = model, batch, class_sets, shown, weights, codes
        if direct:
            job, codes = label_set_job(*problem)
        else:
            job, codes = examples_job(*problem, self._resampling(batch))
        self._table = self._table.knowing(codes)
        if self.size_model == "joint":
            self.pairs_ = self._table.pairs
        return job

    def _size_job(self, batch: Batch) -> Job:
        seen = None
        if batch.method == "partial_fit":
            if self._n_calls == 0:
                seen = np.arange(len(self.sizes_))
            else:
                seen = self._seen_sizes
                if seen is not None:
                    _check_known(self._table.size_positions(batch.sets.sizes), seen)
        job, self._seen_sizes = size_job(
            self._models[1], batch, self._table, seen, self._resampling(batch)
        )
        return job

    def _resampling(self, batch: Batch) -> Any:
        def resample(model: Any, examples: Examples) -> Examples:
            return examples.fit_for(model, batch.method, self._rng, self._warn_once)

        return resample

    def _row_weights(self, batch: Batch, first: bool) -> np.ndarray:
        """Weight of each row in the multi-class problem; they sum to that of the rows."""
        weights = batch.weights
        factor = row_factor(batch.sets.sizes, self._table, self._form, self.size_model)
        if factor is None:
            return weights
        if first:
            # Kept for later batches, whose rows would not count alike otherwise.
            self._scale = weights.sum() / (weights @ factor)
        return weights * factor * self._scale

    @property
    def _trains_on_sets(self) -> bool:
        return takes_label_sets(self.estimator) and self._target.kind == "multilabel"

    def _class_proba(self, X: Any) -> np.ndarray:
        return class_proba(self.estimator_, X, len(self._table.codes))

    def _size_proba(self, X: Any) -> np.ndarray:
        return size_proba(self.size_estimator_, X, self._table, self._seen_sizes)

    def _joint(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """P(label in Y, size | x) by column of the classifier, and P(size | x)."""
        return joint(self._class_proba(X), self._table, self._form)

    def _marginals(self, X: Any, sizes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores of labels (with `size_model`: marginals), and of the empty set."""
        if self.size_model == "joint":
            return joint_marginals(*self._joint(X), self._table)
        proba = self._class_proba(X)
        if self.size_model == "expected" and sizes is None:
            sizes = mean_size(self.size_estimator_, X, self._table, self._seen_sizes)
        return scores_of_labels(proba, self._table, sizes)

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
        return 32.0 * len(self._table.codes)

    @available_if(inner_has("predict_proba"))
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
            return open_unit_interval(np.array(scores, copy=True))
        parts = [self._marginals(part)[0] for part in self._blocks(X, self._row_bytes)]
        return open_unit_interval(np.concatenate(parts))

    def predict_scores(
        self, X: Any, *, top_k: int | None = None, threshold: float | None = None
    ) -> Any:
        """Scores of the best labels of each row, in a sparse matrix.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.
        top_k : int, default=None
            So many labels of each row; of equal ones the label that comes first.
        threshold : float, default=None
            The labels with at least this score. With `top_k`: those of the `top_k` that
            reach it.

        Returns
        -------
        scores : CSR of shape (n_samples, n_labels)
            Values of `predict_proba`, or of `decision_function` if there is no
            `predict_proba`; what is not stored is lower. An array of shape (n_samples,
            n_labels) is never made.

        Raises
        ------
        ValueError
            If neither `top_k` nor `threshold` is given, or y was 1-D with two classes and
            the classifier has no `predict_proba`: then a row has one score.
        """
        check_request(top_k, threshold)
        name = "predict_proba" if hasattr(self, "predict_proba") else "decision_function"
        row_bytes = max(self._row_bytes, 64.0 * self.n_labels_)
        parts = []
        for part in self._blocks(X, row_bytes):
            scores = np.asarray(getattr(self, name)(part))
            if scores.ndim == 1:
                raise ValueError(
                    "The classifier gives one score for two classes. Use decision_function."
                )
            parts.append(select_scores(scores, top_k, threshold))
        return score_matrix(parts, self.n_labels_)

    @available_if(has_decision_function)
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
            if two_classes and len(self._table.codes) == 2:
                return scores
            scores = np.column_stack([-scores, scores])
        if scores.shape[1] != len(self._table.codes):
            raise ValueError(
                f"The decision_function of {type(self.estimator_).__name__} has "
                f"{scores.shape[1]} columns for {len(self._table.codes)} classes; set its "
                "decision_function_shape to 'ovr', or use predict_proba."
            )
        scores = self._table.to_labels(scores, scores.min(axis=1, keepdims=True) - 1)
        return scores[:, 1] - scores[:, 0] if two_classes else scores

    @available_if(has_size_proba)
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

    @available_if(has_joint)
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
        delta = delta[:, self._table.labels >= 0]
        return delta if compact else self._table.spread(delta)

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
        if self.size_model is None and not self._trains_on_sets:
            codes = np.asarray(self.estimator_.predict(X), dtype=np.int64)
            return self._table.labels[codes]
        labels = []
        for part in self._blocks(X, self._row_bytes):
            scores, empty = self._marginals(part)
            top = np.argmax(scores, axis=1)
            labels.append(np.where(empty > scores[np.arange(len(top)), top], -1, top))
        return np.concatenate(labels)

    def _best_sets(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        table = self._table
        if self.size_model == "joint":
            delta, sizes = self._joint(X)
            delta = table.spread(delta[:, table.labels >= 0])
        else:
            sizes = self._size_proba(X)
            marginals, _ = self._marginals(X, sizes @ self.sizes_)
            delta = joint_as_independent(marginals, sizes, table)
        single = self._target.kind == "multiclass"
        return best_sets(delta, sizes, table, beta=self.beta, single=single)

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

    @staticmethod
    def _from_form_1(state: dict[str, Any]) -> dict[str, Any]:
        return with_table(state)

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


def _run_quietly(job: Job, method: str) -> tuple[Any, dict]:
    """A fit, and what it warns about."""
    with gathered() as found:
        return run(job, method), found


def _check_known(codes: np.ndarray, known: np.ndarray) -> None:
    """Refuse to continue a `fit` whose classifier lacks a class."""
    if not np.all(np.isin(codes, known)):
        raise ValueError(
            "y has labels, or numbers of labels, that the y of fit did not have. Start with "
            "partial_fit instead of fit to add data with others later."
        )
