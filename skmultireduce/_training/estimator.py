"""What the SGD estimators share: parameters, checks of what comes in, and the doors.

An estimator brings parameters and a model; the work is done by values that know no estimator:
the model by `LinearModel` or `EmbeddingNetwork`, the state of a run by `Training`, its epochs by
`run_epochs`, predictions by `predictions`.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import check_random_state

from .._cutoff.evaluation import best_jaccard
from .._data.blocks import take_rows
from .._data.feature_scaling import (
    ColumnMoments,
    columns_of,
    find_scaling,
    warn_of_heavy_columns,
)
from .._data.label_names import NamedLabels, with_names
from .._data.label_sets import LabelSets
from .._data.naming import naming
from .._data.notices import warn
from .._data.rows import Rows
from .._data.stratify import stratified_holdout
from .._data.weights import read_class_weight, read_sample_weight
from .._models.model import Model
from .._models.threads import usable_threads
from .._reductions.table import BY_NAME, LOSS_OPTIONS, REDUCTIONS, Loss, Reduction, loss_of
from .._reductions.targets import Targets
from .._sklearn import CallbackSupportMixin, Interval, StrOptions, _fit_context
from .._state import VersionedState
from .arrivals import Arrivals
from .form_1 import training_of
from .inputs import SGDInputs
from .loop import InMemory, Source, Watch, run_epochs
from .outputs import SGDPredictions
from .predictions import all_scores, top_labels
from .schedule import LEARNING_RATES, Plan
from .stream import Block, BlockSource, Stream, first_pass
from .training import Position, Training


def _score_by_scorer(estimator: BaseSGDMultiLabel, X_val: Any, y_val: Any) -> float:
    """Score on validation rows by the given `scoring`, which must know an order of epochs."""
    score = check_scoring(estimator, estimator.scoring)(estimator, X_val, y_val)
    with naming("scoring"):
        score = float(score)
    if np.isnan(score):
        raise ValueError(
            f"scoring={estimator.scoring!r} gives NaN on the rows that early stopping looks "
            "at, so that no epoch is the best; some metrics do for a label that all of "
            "them or none of them have. Choose another scoring, a larger "
            "validation_fraction, or pass X_val and y_val."
        )
    return score


class BaseSGDMultiLabel(
    VersionedState,
    SGDInputs,
    SGDPredictions,
    NamedLabels,
    CallbackSupportMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Doors of the SGD estimators to training and predictions; not for direct use."""

    _parameter_constraints: dict = {
        "reduction": [StrOptions(set(REDUCTIONS))],
        "loss": [StrOptions(set(LOSS_OPTIONS))],
        "alpha": [Interval(numbers.Real, 0, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="left"), None],
        "learning_rate": [StrOptions(set(LEARNING_RATES))],
        "eta0": [Interval(numbers.Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "label_sampling": [StrOptions({"random", "cycle"})],
        "class_weight": [StrOptions({"balanced"}), dict, "array-like", None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(numbers.Real, 0, 1, closed="neither")],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_iter_no_change": [Interval(numbers.Integral, 1, None, closed="left")],
        "average": ["boolean", Interval(numbers.Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "shuffle": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "n_jobs": [numbers.Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Takes multi-label y as it is; see MultiClassReduction.
    _takes_label_sets = True

    # Parameters that are read once, when a training begins; see `_check_goes_on`.
    _READ_ONCE: tuple[str, ...] = ("alpha", "eta0")

    # Parameters that a run over a stream reads once, when it begins.
    _READ_ONCE_OF_STREAM = (
        "reduction",
        "loss",
        "class_weight",
        "early_stopping",
        "tol",
        "n_iter_no_change",
    )

    # All that has been learned, and how far it has come; None if nothing.
    _training: Training | None = None

    # ------------------------------------------------------------- of the model
    def _options(self) -> Any:
        """What the parameters say of the model."""
        raise NotImplementedError

    def _new_model(self, n_features: int, n_labels: int, seed: int) -> Model:
        raise NotImplementedError

    @property
    def _model(self) -> Model:
        """The model for predictions."""
        self._check_fitted()
        return self._training.fitted

    def _plan(self, **changed: Any) -> Plan:
        plan = Plan(
            max_iter=self.max_iter,
            learning_rate="linear" if self.learning_rate == "auto" else self.learning_rate,
            label_sampling=self.label_sampling,
            shuffle=self.shuffle,
            average=self.average,
            tol=self.tol,
            verbose=self.verbose,
        )
        return replace(plan, **changed)

    def _stream_plan(self) -> Plan:
        """Of `partial_fit`."""
        if self.learning_rate != "auto" or self.average:
            return self._plan()
        factor = self._loss.partial_step if self.eta0 == "auto" else 1.0
        return self._plan(learning_rate="constant", follows=True, step_factor=factor)

    # Whether an intercept can take up what is subtracted from features.
    _has_intercept = True

    def _finds_scaling(self) -> bool:
        """Whether nothing is given that is in the units of X."""
        return False

    @property
    def _form(self) -> Reduction:
        return BY_NAME[self.reduction]

    @property
    def _loss(self) -> Loss:
        return loss_of(self.reduction, self.loss)

    @property
    def _link(self) -> str:
        return self._loss.link

    @property
    def _cut_scores(self) -> bool:
        """Whether a cutoff is better on `decision_function` than on `predict_proba`."""
        return self._loss.clips

    def _n_threads(self) -> int:
        return usable_threads(self.n_jobs)

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
    ) -> Any:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; converted to `dtype` once.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or \
                array-like of shape (n_samples,)
            Multi-label indicator of 0 and 1 of any int, bool or float dtype; for the
            softmax reductions also non-negative weights of the labels. 1-D y holds
            classes: the model is then an ordinary multi-class classifier.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; a row of weight 2 counts as two rows.
        X_val, y_val : as X and y, default=None
            Rows on which early stopping looks, instead of a held-out part of X.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If X or y are not of these forms, no row has a label, or parameters
            contradict each other.
        """
        self._check_validation(X_val, y_val)
        resume = self._resumes()
        rows, label_sets = self._read(X, y, reset=not resume)
        sample_weight = read_sample_weight(sample_weight, X)
        validation = None
        if X_val is not None:
            validation = self._read_validation(X_val, y_val)
        elif self.early_stopping:
            seed = self._training.seed if resume else self._draw_seed()
            kept, held_out = stratified_holdout(label_sets, self.validation_fraction, seed)
            if len(kept) == 0 or len(held_out) == 0:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} of {rows.shape[0]} rows "
                    "leaves no row to train or to validate on. Change it, or pass X_val, y_val."
                )
            X_held, y_held = (None, None)
            if self.scoring is not None:
                X_held, y_held = take_rows(X, held_out), take_rows(y, held_out)
            validation = (rows.take(held_out), label_sets.take(held_out), X_held, y_held)
            rows, label_sets = rows.take(kept), label_sets.take(kept)
            if sample_weight is not None:
                sample_weight = sample_weight[kept]
        if not resume:
            self._start(rows.shape[1], label_sets.n_labels)
        self._go_on()
        targets = self._build_targets(rows, label_sets, sample_weight)
        sums = self._sums(rows, targets)
        if self._set_scaling(sums):
            rows = self._scaled(rows)
            if validation is not None:
                validation = (self._scaled(validation[0]), *validation[1:])
            sums = self._sums(rows, targets)
        self._set_rates(sums)
        source = InMemory(rows, targets, self._n_threads())
        if self._train(source, self._watch(validation, X=X, y=y)):
            self._warn_unsettled()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Train one more epoch, on these rows.

        The first call fixes the labels: the columns of y (or `classes` for 1-D y). Draws and
        counters go on from call to call.

        ``learning_rate="auto"`` (linear models): the step is constant, predictions are those
        of a mean of the weights over the stream, in which later ones count more, and
        ``alpha="auto"`` follows the number of distinct rows that have come.
        ``learning_rate="linear"``: with the same rows each time, `max_iter` calls give the
        bits of one `fit`; the step decays over the first `max_iter` calls and then stays at
        its last mean. For a long stream set `max_iter` to the number of calls, or use
        ``"invscaling"``; `alpha` is then that of the first call's rows.

        An automatic `eta0`, the scale of the features, the mean of the sample weights, and
        the probabilities with which a sampled softmax takes labels, are taken from the first
        call's rows in any case; given values must stay.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or \
                array-like of shape (n_samples,)
            As in `fit`, with the same columns in each call; labels may be without rows.
        classes : array-like of shape (n_classes,), default=None
            All classes, in the first call with 1-D y. For multi-label y the columns say
            it; if given, there must be one for each, or the classes 0 and 1 for each, as in
            `classes_` and in scikit-learn's multi-output classifiers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, relative to those of all calls; 1 where there are none.

        Returns
        -------
        self : object
            The estimator.
        """
        if self.early_stopping:
            raise ValueError(
                "partial_fit cannot stop early; set early_stopping=False, or use fit with "
                "X_val and y_val."
            )
        first = not self.__sklearn_is_fitted__()
        rows, label_sets = self._read(X, y, reset=first, classes=classes)
        sample_weight = read_sample_weight(sample_weight, X)
        if first:
            self._start(rows.shape[1], label_sets.n_labels)
        else:
            self._check_goes_on()
        training = self._training
        targets = self._build_targets(
            rows, label_sets, sample_weight, None if first else training.unit_weight
        )
        plan, sums = self._stream_plan(), None
        if first:
            sums = self._sums(rows, targets)
            if self._set_scaling(sums):
                rows = self._scaled(rows)
                sums = self._sums(rows, targets)
            self._set_rates(sums)
        else:
            training.make_writeable()
        training.use(self._options(), plan)
        if plan.follows:
            self._follow(rows, targets, sums)
        # This epoch is no part of a run that has not come to its end.
        training.progress = training.position = None
        source = InMemory(rows, targets, self._n_threads())
        self._train(source, self._watch(None, n_epochs=1, X=X, y=y))
        training.progress = None
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_stream(
        self,
        blocks: Iterable[tuple] | Callable[[], Iterable[tuple]],
        *,
        classes: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Any:
        """Fit the model to rows that do not fit into memory, block by block.

        Memory holds the model and one block. Each epoch is a pass over the blocks in
        their order; rows are shuffled within a block. A first pass gathers the counts and
        norms that `eta0`, `alpha` and `class_weight` depend on (two passes with sample
        weights or ``class_weight="balanced"``, and once more where dense features are
        scaled). With all rows in one block the result has
        the bits of `fit`. With more, the labels that ``"pick_one"`` draws are still those
        of `fit`: they depend on seed, epoch and number of the row alone.

        **Resumption.** With ``warm_start=True``, a run that a callback stopped, or that an
        error of the reader or Ctrl-C ended, goes on after the last complete block, and
        ends with the same bits. So does a pickle that a callback wrote at the end of a
        block or an epoch. Blocks must be the same again: names of the labels, number of rows
        and a checksum of each are kept, and a run does not train on one that differs. So must
        the parameters that are read when a run begins: reduction, loss, weights of labels,
        rates and patience.

        Parameters
        ----------
        blocks : iterable of tuples, or callable that returns one
            Of ``(X, y)`` or ``(X, y, sample_weight)``, each as in `fit`; iterated once
            for each epoch and once before, so a generator does not do, but a function
            that returns one does. Blocks should hold rows of all kinds, and a few thousand
            of them: the order of the blocks stays. If it has a method
            ``iter_from(n_blocks)``, this is used to pass over blocks on resumption.
        classes : array-like of shape (n_classes,), default=None
            All classes, for 1-D y. By default those of the first block. For multi-label y
            the columns of the first block say it; if given, there must be one for each.
        X_val, y_val : as X and y, default=None
            Rows on which early stopping looks; needed for it.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If `blocks` can be read just once, has no block, or gives other rows, labels or
            values in a later pass; with the number of the block, if its X or y are not as in
            `fit`, or have other features or labels than the first block; if
            ``early_stopping=True`` without `X_val` and `y_val`; if a parameter has changed that
            an unfinished run has read.

        See Also
        --------
        skmultireduce.datasets.FastTextBlocks : Blocks of a text file.
        skmultireduce.datasets.SVMLightBlocks : Blocks of a file in svmlight's format.
        skmultireduce.datasets.ParquetBlocks : Blocks of a Parquet file.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import MultiLabelSGDClassifier
        >>> X, y = make_multilabel_classification(
        ...     n_samples=300, allow_unlabeled=False, random_state=0
        ... )
        >>> def blocks():
        ...     for start in range(0, 300, 100):
        ...         yield X[start : start + 100], y[start : start + 100]
        >>> model = MultiLabelSGDClassifier(max_iter=5, random_state=0).fit_stream(blocks)
        >>> model.n_iter_, model.t_
        (5, 1500)
        """
        self._check_validation(X_val, y_val)
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True needs rows to look at, and a stream has none to spare. "
                "Pass X_val and y_val, or set early_stopping=False."
            )
        stream = Stream(blocks, self._read_block)
        if not self._resumes():
            first = Stream(blocks, partial(self._read_block, classes=classes)).first()
            self._start(first.rows.shape[1], first.label_sets.n_labels)
            del first
        validation = None if X_val is None else self._read_validation(X_val, y_val)
        if self._training.position is None:
            self._go_on()
            sums = self._first_pass(stream)
            if self._target.names is None and hasattr(blocks, "target_names"):
                self._target = with_names(self._target, blocks.target_names)
            if self._set_scaling(sums):
                sums = self._first_pass(stream)
            self._set_rates(sums)
        else:
            self._check_goes_on(self._READ_ONCE_OF_STREAM)
            self._training.make_writeable()
            self._training.use(self._options(), self._plan())
        position, n_threads = self._training.position, self._n_threads()
        source = BlockSource(stream, position, self._block_targets, n_threads)
        if self._train(source, self._watch(validation)):
            self._warn_unsettled()
        return self

    # -------------------------------------------------------- the state of a run
    def _draw_seed(self) -> int:
        random_state = check_random_state(self.random_state)
        return int(random_state.randint(np.iinfo(np.int64).max, dtype=np.int64))

    def _resumes(self) -> bool:
        """Whether a fit goes on from what there is; if not, that is forgotten."""
        resume = self.warm_start and self.__sklearn_is_fitted__()
        if not resume:
            self._forget()
        return resume

    def _forget(self) -> None:
        """Leave no trace of an earlier fit that could pass for a fitted model."""
        self._training = None
        for name in ("n_iter_", "validation_scores_", "best_validation_score_"):
            vars(self).pop(name, None)

    def __sklearn_is_fitted__(self) -> bool:
        return self._training is not None and self._training.has_learned

    def _start(self, n_features: int, n_labels: int) -> None:
        """Begin a new model."""
        seed = self._draw_seed()
        self._training = Training(self._new_model(n_features, n_labels, seed), seed, self._plan())

    def _go_on(self) -> None:
        """Go on by the present parameters, with rows that are no part of a stream before."""
        training = self._training
        training.make_writeable()
        training.use(self._options(), self._plan())
        if training.position is not None:
            training.progress = training.position = None
        if training.epochs_of_run >= self.max_iter and training.progress is None:
            # The earlier run is complete: the schedule starts again, the draws go on.
            training.epochs_of_run = 0

    def _publish(self) -> None:
        """Set the public attributes that say how far the training has come."""
        training = self._training
        self.n_iter_ = training.epoch
        self.t_ = training.n_updates
        self.loss_curve_ = training.losses
        self.alpha_ = training.model.rates.alpha
        self.eta0_ = training.model.rates.eta0
        if training.validation_scores is not None:
            self.validation_scores_ = training.validation_scores
            self.best_validation_score_ = training.best_validation_score

    @classmethod
    def _from_form_1(cls, state: dict[str, Any]) -> dict[str, Any]:
        if "_epoch_number" not in state:
            return state
        bare = cls(**{name: state[name] for name in cls._get_param_names()})
        return training_of(state, bare._options(), bare._plan())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        training = self._training
        if training is None or not training.has_learned:
            return
        try:
            training.check(self.n_features_in_, self._target.n_labels)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The state of this {type(self).__name__} is damaged: {error}. Nothing can be "
                "computed with it; load an intact copy, or fit the estimator again."
            ) from error

    # ------------------------------------------------------------------- targets
    def _build_targets(
        self,
        rows: Rows,
        label_sets: LabelSets,
        sample_weight: np.ndarray | None,
        mean_weight: float | None = None,
    ) -> Targets:
        targets = Targets.build(
            label_sets,
            reduction=self.reduction,
            loss=self.loss,
            sample_weight=sample_weight,
            class_weight=read_class_weight(self.class_weight, self._target, label_sets.counts()),
            dtype=self.dtype,
            mean_weight=mean_weight,
        )
        self._count_unlabeled(rows.shape[0], targets.n_targets)
        self._check_used(float(targets.row_share.sum()))
        self._training.unit_weight = targets.mean_weight
        return targets

    def _block_targets(self, block: Block, position: Position) -> Targets:
        return Targets.build(
            block.label_sets,
            reduction=self.reduction,
            loss=self.loss,
            sample_weight=block.sample_weight,
            class_weight=position.class_weight,
            dtype=self.dtype,
            mean_weight=position.mean_weight,
        )

    def _first_pass(self, stream: Stream) -> dict[str, Any]:
        """Sums over all rows of a stream; it then begins at its first block."""
        target = self._target

        def read_weights(counts: np.ndarray | None) -> Any:
            if counts is None and isinstance(self.class_weight, str):
                return NotImplemented
            return read_class_weight(
                self.class_weight, target, np.zeros(target.n_labels) if counts is None else counts
            )

        training = self._training
        position, sums, n_filled = first_pass(
            stream, self._sums, self._block_targets, read_weights
        )
        softmax = self._form.softmax
        self._count_unlabeled(position.n_rows, n_filled if softmax else position.n_rows)
        training.position, training.progress = position, None
        return sums

    def _sums(self, rows: Rows, targets: Targets, first_row: int = 0) -> dict[str, Any]:
        """Sums over rows that the rates, and the scale of the features, depend on."""
        sums = self._training.model.sums(rows, targets)
        if self._needs_columns():
            used = targets.row_share > 0
            sums["columns"] = columns_of(rows, first_row=first_row, used=used)
        return sums

    def _needs_columns(self) -> bool:
        """Whether the scale of the features is still to be found."""
        training = self._training
        return not training.has_learned and training.scaling is None and self._finds_scaling()

    def _set_scaling(self, sums: dict[str, Any]) -> bool:
        """Find the scale of the features of a new model; return whether rows change by it."""
        columns = sums.pop("columns", None)
        if columns is None:
            return False
        if isinstance(columns, ColumnMoments):
            warn_of_heavy_columns(columns, getattr(self, "feature_names_in_", None))
            return False
        self._training.scaling = find_scaling(columns, center=self._has_intercept)
        return self._training.scaling is not None

    def _follow(self, rows: Rows, targets: Targets, sums: dict[str, Any] | None) -> None:
        """Let the penalty, and a mean, follow the rows of a stream of batches.

        `sums` are those of the first batch, by which the rates were set; None for later ones.
        """
        training = self._training
        if training.n_averaged:
            # Of epochs, by an earlier `average`.
            training.drop_mean()
        if sums is None:
            training.begin_following()
        arrivals = training.arrivals
        if arrivals is None:
            return
        if sums is None:
            arrivals.add(rows, targets.label_sets, training.model.sums(rows, targets))
        else:
            arrivals.tell_apart(rows, targets.label_sets)
        training.model.renew_penalty(arrivals.once())

    def _set_rates(self, sums: dict[str, Any]) -> None:
        """Resolve the rates by the sums over all rows; they are read once."""
        self._check_used(sums["n_used"])
        training = self._training
        training.model.begin(sums)
        training.arrivals = Arrivals.after(sums) if self.alpha == "auto" else None
        names = (*self._READ_ONCE, *self._READ_ONCE_OF_STREAM)
        self._training.begun_with = {name: getattr(self, name) for name in names}

    # ------------------------------------------------------------------ the run
    def _watch(self, validation: tuple | None, n_epochs: int | None = None, **told: Any) -> Watch:
        """What looks at a run; `told` is what callbacks get beside the estimator."""
        if n_epochs is None:
            n_epochs = max(0, self.max_iter - self._training.epochs_of_run)
        return Watch(
            n_epochs=n_epochs,
            context=self._init_callback_context(max_subtasks=n_epochs),
            told={"estimator": self, **told},
            publish=self._publish,
            forget=self._forget,
            score=validation and (lambda: self._validation_score(*validation)),
            calls=bool(getattr(self, "_skl_callbacks", ())),
        )

    def _train(self, source: Source, watch: Watch) -> bool:
        """Run the epochs; return whether the plan came to its end before they had settled."""
        # Parameters on which the meaning of losses and validation scores depends.
        objective = self.early_stopping, self.reduction, self.loss
        try:
            self._training.begin_run(objective, self.n_iter_no_change, self.early_stopping)
            with self._training.model.naming_memory():
                return run_epochs(self._training, source, watch)
        except BaseException:
            # An epoch that was interrupted leaves weights that fit to no counter.
            if not source.resumes:
                self._forget()
            raise

    def _warn_unsettled(self) -> None:
        if self.tol is not None and not self.early_stopping and self.max_iter > 1:
            warn(
                "unsettled",
                f"max_iter={self.max_iter} epochs were run without the loss settling to "
                f"tol={self.tol}. Raise max_iter, or set tol=None to train for max_iter "
                "epochs by design.",
                ConvergenceWarning,
            )

    def _validation_score(
        self, rows: Rows, label_sets: LabelSets, X_val: Any, y_val: Any
    ) -> float:
        if self.scoring is not None:
            if isinstance(self.scoring, str):
                # scikit-learn's metrics take neither label weights nor every container.
                y_val = self._target.to_output(label_sets.indptr, label_sets.indices)
            return _score_by_scorer(self, X_val, y_val)
        model, n_threads = self._training.fitted, self._n_threads()
        if self._target.kind == "multiclass":
            return float(
                np.mean(top_labels(model, rows, n_threads=n_threads) == label_sets.indices)
            )
        link = None if self._cut_scores else self._link
        scores = all_scores(model, rows, link=link, n_threads=n_threads)
        return float(best_jaccard(label_sets, scores)[1])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags
