"""The linear classifier and the cutoff on a Dask cluster.

Rows stay where Dask put them. Training cuts them into `n_shards` shards of neighbouring
rows, each held by one worker for the whole fit. In a round every shard trains a copy of the
model on its own rows; then the copies are averaged, block of features by block of features,
each block on another worker. In training weights travel from worker to worker, and the
scheduler sees a handful of tasks a round. Cutoffs are counted on the workers that hold the
rows.

Everything is a Dask task with a known origin: what a lost worker held is computed again by
Dask, from the graph of X and y and from the last averaged model, of which each worker has
a copy.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._cluster import Client
from ._cluster.estimators import OnCluster, extended_doc, keyword, lazy, signature_of
from ._cluster.partitions import aligned, find_client, persisted
from ._cluster.pools import ClusterPool, LabelParts, take_training_rows
from ._cluster.records import Facts, Held, Split
from ._cluster.rounds import NO_ARRAYS, ClusterSource, outline_of, row_sums, scaled, with_targets
from ._cluster.shards import Shards, common_facts, read_partitions, weight_sums
from ._cutoff.estimator import has_decision, inner_has
from ._cutoff.folds import check_prefit
from ._cutoff.metric import Scoring
from ._data.label_sets import Target
from ._data.score_matrix import no_scores
from ._data.weights import read_class_weight
from ._models.linear import LinearModel
from ._sklearn import Interval, _fit_context, with_callbacks
from ._state import forgets_on_error
from .linear import MultiLabelSGDClassifier
from .threshold import ThresholdedMultiLabel

__all__ = ["DaskMultiLabelSGDClassifier", "DaskThresholdedMultiLabel"]


def _no_streams(estimator: Any) -> bool:
    raise AttributeError(
        f"{type(estimator).__name__} has neither partial_fit nor fit_stream. Use "
        "dask_ml.wrappers.Incremental around MultiLabelSGDClassifier, or fit with "
        "warm_start=True."
    )


class DaskMultiLabelSGDClassifier(OnCluster, MultiLabelSGDClassifier):  # noqa: D101
    __doc__ = extended_doc(
        MultiLabelSGDClassifier,
        Summary="""
`MultiLabelSGDClassifier` trained on a Dask cluster.

The rows are cut into shards that stay on their workers. In each round every shard trains a
copy of the model, and the copies are averaged.
""",
        Parameters="""
client : distributed.Client, default=None
    The cluster. None: the default client.
n_shards : int, default=None
    Number of shards. None: one for each thread of the cluster. The model depends on it, not
    on how X is partitioned nor on which worker does what; with one shard it is, to the
    bit, that of `MultiLabelSGDClassifier`. In [1, inf).
epochs_per_round : int, default=1
    Epochs between two averages. More save traffic between workers, and lose quality. In
    [1, inf).
""",
        Attributes="""
n_shards_ : int
    Number of shards of the last `fit`.
""",
        Notes="""
A shard of n_i of the n rows takes steps n / n_i times as long as `eta0_` says (each row's
step stays bounded by its own curvature): the average of the shards' models then moves, to
first order, as far as one model on all rows, with the same noise. Without this 2 shards
are like half the epochs, 8 shards like an eighth. Rows should come in a random order,
at least roughly: a shard that never sees a label pulls its weights down. The guide has
figures.

Constants (`alpha`, `eta0`, class and sample weights) come from the statistics of all rows,
draws of labels from a row's number among all rows.

A worker that is lost costs the round: Dask computes its shards again from the graph of X
and y, and the round goes on from the last average, of which each worker has a copy. The
rows of each round are counted. Partitions that were sent by ``client.scatter``
have no graph and cannot come back. With one shard, or if all workers are lost at the
same time, training starts again.

`early_stopping` needs `X_val` and `y_val`, in memory. There is no `partial_fit` and no
`fit_stream`. `n_jobs` is for predictions of data in memory.
""",
        Examples="""
>>> import dask.array as da
>>> from distributed import Client
>>> from sklearn.datasets import make_multilabel_classification
>>> from skmultireduce.dask import DaskMultiLabelSGDClassifier
>>> X, y = make_multilabel_classification(random_state=0)
>>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=(50, -1))
>>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
...     model = DaskMultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
...     probabilities = model.predict_proba(X)  # lazy
...     probabilities.compute().shape
(100, 5)
>>> model.to_local()
MultiLabelSGDClassifier(random_state=0, reduction='one_vs_rest')
""",
    )

    _plain = MultiLabelSGDClassifier

    _parameter_constraints: ClassVar[dict] = {
        **MultiLabelSGDClassifier._parameter_constraints,
        "client": [Client, None],
        "n_shards": [Interval(Integral, 1, None, closed="left"), None],
        "epochs_per_round": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        client: Client | None = None,
        n_shards: int | None = None,
        epochs_per_round: int = 1,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.client = client
        self.n_shards = n_shards
        self.epochs_per_round = epochs_per_round

    __init__.__signature__ = signature_of(
        MultiLabelSGDClassifier,
        keyword("client", None),
        keyword("n_shards", None),
        keyword("epochs_per_round", 1),
    )

    # ------------------------------------------------------------------ fitting
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> DaskMultiLabelSGDClassifier:
        """Fit the model on the cluster.

        Parameters
        ----------
        X : Dask array, DataFrame or bag, or list of delayed blocks
            Rows; blocks may be dense or CSR, and are converted to `dtype` once.
        y : Dask array, DataFrame or bag, or list of delayed blocks
            Multi-label indicators or 1-D classes as for `MultiLabelSGDClassifier`, with the
            partitions of X. A Dask array with known sizes is rechunked to them.
        sample_weight : Dask array or Series, or list of delayed blocks, default=None
            Non-negative weights of the rows.
        X_val, y_val : {array-like, sparse matrix}, default=None
            Rows on which early stopping looks; they and the model come to the client.

        Returns
        -------
        self : DaskMultiLabelSGDClassifier
            Fitted estimator.

        Raises
        ------
        TypeError
            If X or y is not partitioned.
        ValueError
            If there is no client, partitions of X and y do not go together, or y or the
            parameters are not what `MultiLabelSGDClassifier` takes.
        RuntimeError
            If partitions had to be computed again, because a worker was lost, and came
            back in another shape.
        """
        self._check_parameters()
        self._check_validation(X_val, y_val)
        client = find_client(self.client)
        resume = self._resumes()
        shards = self._read_shards(client, X, y, sample_weight, resume)
        validation = None if X_val is None else self._read_validation(X_val, y_val)
        if not resume:
            self._start(shards.shape[1], self._target.n_labels)
        self._go_on()
        source = self._source(client, shards)
        if self._train(source, self._watch(validation, X=X, y=y)):
            self._warn_unsettled()
        return self

    @available_if(_no_streams)
    def partial_fit(self) -> None:
        """Not available: see dask_ml.wrappers.Incremental."""

    @available_if(_no_streams)
    def fit_stream(self) -> None:
        """Not available: blocks are partitions."""

    def _check_validation(self, X_val: Any, y_val: Any) -> None:
        super()._check_validation(X_val, y_val)
        if self.early_stopping and X_val is None:
            raise ValueError(
                "On a cluster early_stopping=True needs rows to look at: pass X_val and y_val, "
                "in memory. Or set early_stopping=False, and tol to stop by the training loss."
            )

    def _engine(self) -> MultiLabelSGDClassifier:
        """A small model without weights, for the workers: the code, and what it needs."""
        return MultiLabelSGDClassifier(**{**self._local_params(), "n_jobs": None, "verbose": 0})

    def _read_shards(
        self, client: Client, X: Any, y: Any, sample_weight: Any, resume: bool
    ) -> Shards:
        parts = aligned(X, y=y, sample_weight=sample_weight)
        blocks, facts = read_partitions(client, self._engine(), *parts)
        common, target = common_facts(facts)
        if resume:
            self._check_same(common, target)
        else:
            self.n_features_in_ = common.n_features
            self.__dict__.pop("feature_names_in_", None)
            if common.names is not None:
                self.feature_names_in_ = common.names
            self._target: Target = target
            self.classes_ = target.classes
        n_shards = self.n_shards or sum(client.nthreads().values()) or 1
        shards = Shards(client, blocks, facts, n_shards)
        shards.make(self._target)
        self.n_shards_ = len(shards.futures)
        return shards

    def _check_same(self, common: Facts, target: Target) -> None:
        self._training.model.check_trains()
        self._check_dtype()
        mine = self._target
        if common.n_features != self.n_features_in_:
            raise ValueError(
                f"X has {common.n_features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        names = getattr(self, "feature_names_in_", None)
        if not (names is None or common.names is None or np.array_equal(names, common.names)):
            raise ValueError(
                "X has other feature names, or has them in another order, than in the fit that "
                "warm_start=True goes on from. Use the same columns, or set warm_start=False."
            )
        known = target.kind == mine.kind and (
            target.n_labels == mine.n_labels
            if mine.kind == "multilabel"
            else np.isin(target.classes, mine.classes).all()
        )
        if not known:
            raise ValueError(
                "y has other labels than in the fit that warm_start=True goes on from. Use the "
                "same columns or classes, or set warm_start=False."
            )

    def _source(self, client: Client, shards: Shards) -> ClusterSource:
        """Targets and step sizes by the statistics of all shards."""
        found = client.gather(shards.map(weight_sums))
        counts = sum(counts for counts, _, _ in found)
        n_weights = sum(n for _, _, n in found)
        options = {
            "reduction": self.reduction,
            "loss": self.loss,
            "dtype": self.dtype,
            "class_weight": read_class_weight(self.class_weight, self._target, counts),
        }
        if n_weights:
            options["mean_weight"] = sum(total for _, total, _ in found) / n_weights
        shards.futures = shards.map(with_targets, after=(options,))
        training = self._training
        if training.scaling is not None:
            shards.futures = shards.map(scaled, training.scaling)
        sums = self._cluster_sums(client, shards)
        self._count_unlabeled(shards.shape[0], sums["n_targets"])
        if self._set_scaling(sums):
            shards.futures = shards.map(scaled, training.scaling)
            sums = self._cluster_sums(client, shards)
        self._set_rates(sums)
        return ClusterSource(
            shards,
            n_targets=sums["n_targets"],
            n_used=sums["row_share"],
            epochs_per_round=self.epochs_per_round,
        )

    def _cluster_sums(self, client: Client, shards: Shards) -> dict[str, Any]:
        """Sums over the rows of all shards; see `_sums`."""
        sums: dict[str, Any] = {}
        outline = outline_of(self._training.model)
        for own in client.gather(shards.map(row_sums, outline, after=(self._needs_columns(),))):
            sums = {name: sums.get(name, 0) + value for name, value in own.items()}
        return sums

    def _new_model(self, n_features: int, n_labels: int, seed: int) -> LinearModel:
        # Weights begin on the workers; one panel, since a shard has one thread.
        return LinearModel(
            n_features, n_labels, self._options(), bounds=[0, n_labels], arrays=NO_ARRAYS
        )

    # -------------------------------------------------------------- predictions
    def _empty(self, method: str) -> Any:
        """Result of a method for no rows."""
        target = self._target
        if method == "predict":
            return target.to_output(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))
        if method == "predict_scores":
            return no_scores(np.empty((0, target.n_labels), dtype=self.dtype))
        binary = method == "decision_function" and target.kind == "multiclass"
        shape = (0,) if binary and target.n_labels == 2 else (0, target.n_labels)
        return np.empty(shape, dtype=self.dtype)

    predict = lazy("predict", MultiLabelSGDClassifier)
    predict_scores = lazy("predict_scores", MultiLabelSGDClassifier)
    decision_function = lazy("decision_function", MultiLabelSGDClassifier)
    predict_proba = lazy("predict_proba", MultiLabelSGDClassifier)
    predict_log_proba = lazy("predict_log_proba", MultiLabelSGDClassifier)

    # --------------------------------------------------------------- conversion
    def to_local(self) -> MultiLabelSGDClassifier:
        """The fitted estimator without Dask; its predictions are the same.

        Returns
        -------
        estimator : MultiLabelSGDClassifier
            Shares no memory with this one.
        """
        check_is_fitted(self)
        local = MultiLabelSGDClassifier(**self._local_params())
        vars(local).update(self._fitted())
        return local


class DaskThresholdedMultiLabel(OnCluster, ThresholdedMultiLabel):  # noqa: D101
    __doc__ = extended_doc(
        ThresholdedMultiLabel,
        Summary="""
`ThresholdedMultiLabel` on a Dask cluster: the exact cutoff of rows that no machine holds.

Each partition is scored and counted where it lies; the counts are added up. The cutoff is
the one that `ThresholdedMultiLabel` finds for the same scores.
""",
        Parameters="""
client : distributed.Client, default=None
    The cluster. None: the default client.
""",
        Notes="""
`estimator` is a `DaskMultiLabelSGDClassifier`, or with ``cv="prefit"`` any fitted
estimator of the partitions' rows: pipelines that begin with a vectorizer as well.

`cv` is an int, None (5), a float or ``"prefit"``. The fold of a row is a function of its
number among all rows, not of the partitions. `scoring` is one of those that are exact.
Metadata is not routed: for sample weights fit the estimator first. `n_jobs` has no meaning.

For ``"jaccard_micro"`` and ``"f1_micro"`` all counts are integers: cutoff and score are to the
bit those of `ThresholdedMultiLabel` for the same scores. Those of a linear model of this
package do not depend on the partitions; matrix products, as of `MultiLabelMLPClassifier`,
may round the scores of a row otherwise beside other rows. Other averages sum fractions, in
the order of the partitions, so scores may differ in the last digits.
""",
        Examples="""
>>> import dask.array as da
>>> from distributed import Client
>>> from sklearn.datasets import make_multilabel_classification
>>> from skmultireduce.dask import DaskMultiLabelSGDClassifier, DaskThresholdedMultiLabel
>>> X, y = make_multilabel_classification(random_state=0)
>>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=(50, -1))
>>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
...     model = DaskThresholdedMultiLabel(
...         DaskMultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0),
...         random_state=0,
...     ).fit(X, y)
...     model.predict(X).compute().shape
(100, 5)
""",
    )

    _plain = ThresholdedMultiLabel

    _parameter_constraints: ClassVar[dict] = {
        **ThresholdedMultiLabel._parameter_constraints,
        "client": [Client, None],
    }

    def __init__(self, estimator: Any, *, client: Client | None = None, **params: Any) -> None:
        super().__init__(estimator, **params)
        self.client = client

    __init__.__signature__ = signature_of(ThresholdedMultiLabel, keyword("client", None))

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    @forgets_on_error
    def fit(self, X: Any, y: Any) -> DaskThresholdedMultiLabel:
        """Tune the cutoff and fit the inner estimator, on the cluster.

        Parameters
        ----------
        X : Dask array, DataFrame or bag, or list of delayed blocks
            Rows.
        y : Dask array, DataFrame or bag, or list of delayed blocks
            Multi-label indicators, with the partitions of X.

        Returns
        -------
        self : DaskThresholdedMultiLabel

        Raises
        ------
        TypeError
            If X or y is not partitioned.
        ValueError
            If the parameters ask for what cannot be distributed, contradict each other, or
            no cutoff satisfies the constraint.
        """
        tuning = self._tuning()
        self._check_distributable(tuning.scoring)
        client = find_client(self.client)
        parts = LabelParts(client, *persisted(client, *aligned(X, y=y)))
        self._target = parts.target
        split = self._split()
        whole, *held = parts.fold_counts(split)
        if any(n_rows in (0, whole[0]) for n_rows, _ in held):
            raise ValueError(
                f"cv={self.cv!r} of {whole[0]} rows has a fold without rows to train or to tune "
                "on. Choose another cv."
            )
        n_fits = len(held) + bool(self.refit) if held else 0
        self._check_separate(tuning, not held)
        context = self._init_callback_context(max_subtasks=n_fits)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        # What is held out in each fold, with what is known of its training rows.
        folds = [parts.held(split, fold) for fold in range(len(held) or 1)]
        train = [(whole[0] - n_rows, whole[1] - counts) for n_rows, counts in held] or [whole]
        if held:
            fitted = [self._fit_inner(client, parts, own, context) for own in folds]
        else:
            check_prefit(self.estimator)
            fitted = [self.estimator]
        source = self._source(self._target.n_labels, *fitted)
        pools = [
            ClusterPool(
                client,
                ClusterPool.on_workers(client, _local(estimator)),
                list(zip(parts.X, parts.read, own, strict=True)),
                counts,
                replace(source, never=train_counts == 0 if held else None),
                self._log_prior(train_counts, n_rows),
            )
            for estimator, own, (_, counts), (n_rows, train_counts) in zip(
                fitted, folds, held or [whole], train, strict=True
            )
        ]
        tuned = tuning.run(pools, source, self._target)
        self._publish(tuned)
        if held and self.refit:
            self.estimator_ = self._fit_inner(client, parts, None, context)
            train = [whole]
        else:
            self.estimator_ = fitted[0]
        n_rows, counts = train[0]
        self._keep_rule(tuned, counts, n_rows, known=bool(held))
        self._copy_attributes()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _check_distributable(self, scoring: Scoring) -> None:
        if self.param_grid is not None:
            raise ValueError(
                "param_grid is not searched on a cluster. Search with ThresholdedMultiLabel on a "
                "sample of the rows (param_grid='auto' moves alpha_scale, whose best value does "
                "not depend on their number), and set the best parameters here."
            )
        if self.label_propensities is not None:
            raise ValueError(
                "label_propensities are not for a cluster. Tune with ThresholdedMultiLabel and "
                "cv='prefit' on a sample of the rows."
            )
        if not scoring.exact:
            raise ValueError(
                f"scoring={self.scoring!r} needs all predictions in one place. On a cluster use "
                "a micro, samples or macro average of jaccard, f1, fbeta, precision or recall; or "
                "ThresholdedMultiLabel with cv='prefit' on a sample of the rows."
            )
        if self.cv is not None and not isinstance(self.cv, Real | str):
            raise ValueError(
                "cv is a splitter or an iterable, which needs all rows in one place. On a cluster "
                "use the number of folds, the share of held-out rows, or 'prefit'."
            )
        if not isinstance(self.cv, str) and not isinstance(
            self.estimator, DaskMultiLabelSGDClassifier
        ):
            raise ValueError(
                f"estimator is a {type(self.estimator).__name__}, which does not train on a "
                "cluster. Use DaskMultiLabelSGDClassifier, or a fitted estimator with "
                "cv='prefit'."
            )

    def _split(self) -> Split | None:
        if isinstance(self.cv, str):
            return None
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(np.iinfo(np.int64).max, dtype=np.int64))
        if self.cv is None or isinstance(self.cv, Integral):
            n_folds = 5 if self.cv is None else int(self.cv)
            self._check_refit(n_folds)
            return Split(seed, n_folds)
        return Split(seed, test_size=float(self.cv))

    def _fit_inner(
        self,
        client: Client,
        parts: LabelParts,
        held: list[Held] | None,
        context: Any,
    ) -> DaskMultiLabelSGDClassifier:
        """Fit a clone on all rows, or on those that a fold leaves for training."""
        X, y = parts.X, parts.y
        if held is not None:
            X, y = (
                [
                    client.submit(take_training_rows, part, own, pure=False)
                    for part, own in zip(group, held, strict=True)
                ]
                for group in (X, y)
            )
        estimator = clone(self.estimator)
        if estimator.client is None:
            estimator.client = self.client
        inner = context.subcontext(task_name="refit" if held is None else "fold")
        with inner.propagate_callback_context(estimator):
            inner.call_on_fit_task_begin(estimator=self, X=X, y=y)
            try:
                return estimator.fit(X, y)
            finally:
                inner.call_on_fit_task_end(estimator=self, X=X, y=y)

    # -------------------------------------------------------------- predictions
    def _empty(self, method: str) -> Any:
        """Result of a method for no rows."""
        if method == "predict":
            return self._target.to_output(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))
        dtype = getattr(self.estimator_, "dtype", np.float64)
        empty = np.empty((0, self._target.n_labels), dtype=dtype)
        return no_scores(empty) if method == "predict_scores" else empty

    predict = lazy("predict", ThresholdedMultiLabel)
    predict_scores = lazy("predict_scores", ThresholdedMultiLabel)
    decision_function = lazy("decision_function", ThresholdedMultiLabel, has_decision)
    predict_proba = lazy("predict_proba", ThresholdedMultiLabel, inner_has("predict_proba"))

    def to_local(self) -> ThresholdedMultiLabel:
        """The fitted estimator without Dask; its predictions are the same.

        Returns
        -------
        estimator : ThresholdedMultiLabel
            Shares no memory with this one.
        """
        check_is_fitted(self, "estimator_")
        fitted = self._fitted()
        fitted["estimator_"] = _local(fitted["estimator_"])
        local = ThresholdedMultiLabel(
            **{**self._local_params(), "estimator": _local(self.estimator)}
        )
        vars(local).update(fitted)
        return local


def _local(estimator: Any) -> Any:
    """An estimator without Dask, fitted if it was."""
    if not isinstance(estimator, DaskMultiLabelSGDClassifier):
        return estimator
    if estimator.__sklearn_is_fitted__():
        return estimator.to_local()
    return MultiLabelSGDClassifier(**estimator._local_params())
