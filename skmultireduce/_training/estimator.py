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
from sklearn.utils.validation import check_is_fitted

from .._cutoff.evaluation import best_jaccard
from .._data.blocks import take_rows
from .._data.feature_scaling import (
    ColumnMoments,
    columns_of,
    find_scaling,
    warn_of_heavy_columns,
)
from .._data.label_names import NamedLabels, with_names
from .._data.label_sets import LabelSets, Target, read_labels
from .._data.naming import naming
from .._data.notices import warn
from .._data.rows import Rows, read_X
from .._data.score_matrix import check_request
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
from .loop import InMemory, Source, Watch, run_epochs
from .predictions import (
    LINKS,
    all_scores,
    best_scores,
    kept_inside,
    nearest_simplex,
    positives,
    top_labels,
)
from .schedule import LEARNING_RATES, Plan
from .stream import Block, BlockSource, Stream, first_pass
from .training import Position, Training


def _check_as_many_rows(rows: Rows, label_sets: LabelSets, names: str) -> None:
    if rows.shape[0] != label_sets.n_rows:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{[rows.shape[0], label_sets.n_rows]} in {names}."
        )


def _n_classes(classes: Any) -> int:
    """Number of classes, or of labels where each has the classes 0 and 1, as in `classes_`."""
    classes = np.asarray(classes)
    if classes.ndim == 2 and np.array_equal(classes, np.tile([0, 1], (len(classes), 1))):
        return len(classes)
    return len(np.unique(classes))


class BaseSGDMultiLabel(
    VersionedState, NamedLabels, CallbackSupportMixin, ClassifierMixin, BaseEstimator
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
        check_is_fitted(self)
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

    def _scaled(self, rows: Rows) -> Rows:
        """Rows on the scale that the model has learned them on."""
        scaling = self._training and self._training.scaling
        return rows if scaling is None else scaling.apply(rows)

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

        The first call fixes the labels: the columns of y (or `classes` for 1-D y). Step
        sizes, draws and counters go on from call to call: with the same rows each time,
        `max_iter` calls give the bits of one `fit`. ``learning_rate="linear"`` decays over
        the first `max_iter` calls and then stays at its last mean step; for a long stream
        set `max_iter` to the number of calls, or use ``"invscaling"``. ``"auto"`` values
        of `eta0` and `alpha`, the mean of the sample weights, and the probabilities with
        which a sampled softmax takes labels, are taken from the first call's rows; given
        values must stay.

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
        plan = self._stream_plan()
        if first:
            sums = self._sums(rows, targets)
            if self._set_scaling(sums):
                rows = self._scaled(rows)
                sums = self._sums(rows, targets)
            self._set_rates(sums)
            if plan.follows:
                training.arrivals = Arrivals.of_stream(sums)
        else:
            training.make_writeable()
        training.use(self._options(), plan)
        if plan.follows:
            self._follow(rows, targets, first)
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
        weights or ``class_weight="balanced"``). With all rows in one block the result has
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

    # ------------------------------------------------------------- what comes in
    def _read(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> tuple[Rows, LabelSets]:
        self._check_parameters()
        if not reset:
            self._training.model.check_trains()
        target = None if reset else self._target
        # y first: without it, the message should name y.
        label_sets, target = read_labels(
            y,
            target=target,
            classes=classes,
            allow_weights=self._form.softmax,
        )
        if classes is not None and _n_classes(classes) != target.n_labels:
            raise ValueError(
                f"classes has {_n_classes(classes)} entries, but y has {target.n_labels} labels."
            )
        if self.label_sampling == "cycle" and label_sets.values is not None:
            raise ValueError(
                "label_sampling='cycle' shows every label equally often, which label weights "
                "in y contradict. Use label_sampling='random', or a y of 0 and 1."
            )
        rows = read_X(self, X, dtype=self.dtype, reset=True) if reset else self._read_rows(X)
        _check_as_many_rows(rows, label_sets, "X and y")
        if reset:
            self._target: Target = target
            self.classes_ = target.classes
        return rows, label_sets

    def _read_rows(self, X: Any) -> Rows:
        """Rows for the model that there is."""
        self._check_dtype()
        return self._scaled(read_X(self, X, dtype=self.dtype, reset=False))

    def _read_block(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Block:
        """A block of a stream; the first one of a new model fixes what all have."""
        rows, label_sets = self._read(X, y, reset=self._training is None, classes=classes)
        sample_weight = read_sample_weight(sample_weight, X, allow_all_zero=True)
        return Block(X, y, rows, label_sets, sample_weight)

    def _check_dtype(self) -> None:
        dtype = self._training.model.dtype
        if dtype != self.dtype:
            raise ValueError(
                f"The model was fitted with dtype={str(dtype)!r}, and dtype is {self.dtype!r} "
                "now. Set it back, or fit a new model with warm_start=False."
            )

    def _check_validation(self, X_val: Any, y_val: Any) -> None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together; pass both or none of them.")
        if X_val is not None and not self.early_stopping:
            raise ValueError("X_val and y_val are for early stopping; set early_stopping=True.")

    def _read_validation(self, X_val: Any, y_val: Any) -> tuple:
        rows = self._scaled(read_X(self, X_val, dtype=self.dtype, reset=False, input_name="X_val"))
        label_sets, _ = read_labels(
            y_val,
            target=self._target,
            allow_weights=self._form.softmax,
            input_name="y_val",
        )
        _check_as_many_rows(rows, label_sets, "X_val and y_val")
        return rows, label_sets, X_val, y_val

    def _check_parameters(self) -> None:
        if self._form.softmax and self.loss != "log_loss":
            raise ValueError(
                f"loss={self.loss!r} is for the one-vs-rest reductions; reduction="
                f"{self.reduction!r} is a softmax one. Use loss='log_loss' or "
                "reduction='one_vs_rest'."
            )
        if self.label_sampling == "cycle" and not self._form.draws:
            raise ValueError(
                f"label_sampling='cycle' is for reduction='pick_one'; {self.reduction!r} uses "
                "all labels in each epoch. Leave label_sampling='random'."
            )
        if self.scoring is not None and not self.early_stopping:
            raise ValueError(
                "scoring is the metric of early stopping; set early_stopping=True, or leave "
                "scoring=None."
            )

    def _check_goes_on(self, names: tuple[str, ...] = ()) -> None:
        """Raise a ValueError if a parameter has changed that the begin of the training fixed.

        One of `_READ_ONCE`, or of those in `names`.
        """
        for name in (*self._READ_ONCE, *names):
            now = getattr(self, name)
            begun = self._training.begun_with.get(name, now)
            if not np.array_equal(now, begun):
                raise ValueError(
                    f"{name}={now!r} is another value than {begun!r}, with which the training "
                    "began that this call goes on with. Set it back; or let fit (with "
                    "warm_start=True: from the present weights) begin another training."
                )

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
        if training.epochs_of_run >= self.max_iter:
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

    def _count_unlabeled(self, n_rows: int, n_targets: int) -> None:
        self.n_unlabeled_ = n_rows - n_targets
        if n_targets == 0:
            raise ValueError(
                f"No row of y has a label; reduction={self.reduction!r} learns from labels "
                "only. Check y, or use reduction='one_vs_rest'."
            )
        if self.n_unlabeled_:
            warn(
                "unlabeled",
                f"{self.n_unlabeled_} of {n_rows} rows have no label and are left out: "
                f"reduction={self.reduction!r} has no target for them. "
                "reduction='one_vs_rest' uses them.",
            )

    def _check_used(self, n_used: float) -> None:
        if n_used == 0:
            raise ValueError(
                "No row has both a label and a positive weight; check sample_weight, "
                "class_weight and y."
            )

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

    def _follow(self, rows: Rows, targets: Targets, first: bool) -> None:
        """Let the penalty, and a mean, follow the rows of a stream of batches."""
        training = self._training
        if training.n_averaged:
            # Of epochs, by an earlier `average`.
            training.drop_mean()
        if not first:
            training.begin_following()
        arrivals = training.arrivals
        if arrivals is not None:
            arrivals.add(rows, targets.label_sets, training.model.sums(rows, targets))
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
            score = check_scoring(self, self.scoring)(self, X_val, y_val)
            with naming("scoring"):
                score = float(score)
            if np.isnan(score):
                raise ValueError(
                    f"scoring={self.scoring!r} gives NaN on the rows that early stopping looks "
                    "at, so that no epoch is the best; some metrics do for a label that all of "
                    "them or none of them have. Choose another scoring, a larger "
                    "validation_fraction, or pass X_val and y_val."
                )
            return score
        model, n_threads = self._training.fitted, self._n_threads()
        if self._target.kind == "multiclass":
            return float(
                np.mean(top_labels(model, rows, n_threads=n_threads) == label_sets.indices)
            )
        link = None if self._cut_scores else self._link
        scores = all_scores(model, rows, link=link, n_threads=n_threads)
        return float(best_jaccard(label_sets, scores)[1])

    # -------------------------------------------------------------- predictions
    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_labels)
            For the softmax reductions up to a number for each row. For 1-D y with two
            classes, of shape (n_samples,): the second class's score less the first's.
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        scores = all_scores(self._training.fitted, rows, n_threads=self._n_threads())
        if self._target.kind == "multiclass" and scores.shape[1] == 2:
            return scores[:, 1] - scores[:, 0]
        return scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the labels, strictly between 0 and 1.

        Softmax reductions: each row sums to 1; the probability that a label is the one
        picked (theory 2.1), not that a row has it. One-vs-rest: for each label on its own.

        With ``loss="squared_hinge"`` it is (1 + score) / 2, what that loss learns the
        probability by in the limit (theory 4.13), clipped. Many scores of rare labels are
        below -1, and then told apart by `decision_function` alone; cutoffs are taken on
        that.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_labels)
            For 1-D y rows sum to 1 in any case.
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        model, n_threads = self._training.fitted, self._n_threads()
        if self._target.kind == "multiclass" and not self._form.softmax:
            return self._probabilities(all_scores(model, rows, n_threads=n_threads))
        return all_scores(model, rows, link=self._link, n_threads=n_threads)

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores, which are changed."""
        single = self._target.kind == "multiclass" and not self._form.softmax
        if single and self._cut_scores:
            return kept_inside(nearest_simplex((1 + scores) / 2))
        LINKS[self._link](scores)
        kept_inside(scores)
        if single:
            scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def predict_scores(
        self, X: Any, *, top_k: int | None = None, threshold: float | None = None
    ) -> Any:
        """Probabilities of the best labels of each row, in a sparse matrix.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        top_k : int, default=None
            So many labels of each row; of equal ones the label that comes first.
        threshold : float, default=None
            The labels whose probability is at least this. With `top_k`: those of the
            `top_k` that reach it.

        Returns
        -------
        scores : CSR of shape (n_samples, n_labels)
            Values of `predict_proba`; what is not stored is lower. An array of shape
            (n_samples, n_labels) is never made.

        Raises
        ------
        ValueError
            If neither `top_k` nor `threshold` is given.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import MultiLabelSGDClassifier
        >>> X, y = make_multilabel_classification(allow_unlabeled=False, random_state=0)
        >>> model = MultiLabelSGDClassifier(random_state=0).fit(X, y)
        >>> scores = model.predict_scores(X, top_k=2)
        >>> scores.shape, scores.nnz
        ((100, 5), 200)
        """
        check_request(top_k, threshold)
        check_is_fitted(self)
        return best_scores(
            self._training.fitted,
            self._read_rows(X),
            top_k,
            threshold,
            finish=self._probabilities,
            n_threads=self._n_threads(),
        )

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_labels)
        """
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Any:
        """Label sets of the rows.

        Softmax reductions: the most probable label (`ThresholdedMultiLabel` gives sets).
        One-vs-rest: the labels with a score of at least 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : {ndarray, sparse matrix} of shape (n_samples, n_labels), or ndarray of shape \
                (n_samples,)
            In the form of the y of fit: sparse if that was sparse, with its dtype.
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        model, n_threads = self._training.fitted, self._n_threads()
        if self._target.kind == "multiclass" or self._form.softmax:
            labels = top_labels(model, rows, n_threads=n_threads)
            return self._target.to_output(np.arange(len(labels) + 1), labels)
        return self._target.to_output(*positives(model, rows, n_threads=n_threads))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags
