"""What the SGD estimators share: the loop over epochs and everything around it.

A model (linear, neural) brings parameters, an epoch and scores; this module brings
validation, targets, draws, schedule, stopping, averaging, callbacks, resumption and the
predictions. Model state lives in attributes named in `_STATE`, so that early stopping,
averaging and callbacks can take and put it back without knowing the model.
"""

from __future__ import annotations

import numbers
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._cutoff.counters import best_jaccard
from .._data.blocks import iter_row_blocks, take_rows
from .._data.label_sets import LabelSets, Target, read_labels
from .._data.naming import naming
from .._data.rows import Rows, read_X
from .._data.stratify import stratified_holdout
from .._data.weights import read_class_weight, read_sample_weight
from .._kernels import linear as _kernel
from .._reductions.draws import row_order
from .._reductions.targets import ONE_VS_REST, REDUCTIONS, Targets
from .._sklearn import CallbackSupportMixin, Interval, StrOptions, _fit_context
from .._state import VersionedState
from .schedule import (
    LEARNING_RATES,
    Patience,
    Progress,
    epoch_steps,
    part_of_steps,
)
from .stream import StreamMixin

# Results of prediction are made in blocks of at most this size (and at most scikit-learn's
# working_memory): small enough to stay in cache between the passes over them.
_BLOCK_MIB = 8.0


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros whose memory starts at a cache line.

    NumPy's own start at a multiple of 16 bytes: vectors then straddle lines, and threads
    that work side by side share them.
    """
    dtype = np.dtype(dtype)
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    memory = np.zeros(n_bytes + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def padded(n: int, dtype: Any) -> int:
    """Length of rows of n values that start at cache lines, or at shares of one.

    A multiple of 64 bytes, or for less a power of 2 of values.
    """
    line = 64 // np.dtype(dtype).itemsize
    return -(-n // line) * line if n >= line else 1 << (n - 1).bit_length()


def _block_mib() -> float:
    return min(_BLOCK_MIB, get_config()["working_memory"])


def _check_as_many_rows(rows: Rows, label_sets: LabelSets, names: str) -> None:
    if rows.shape[0] != label_sets.n_rows:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{[rows.shape[0], label_sets.n_rows]} in {names}."
        )


def _open_unit_interval(dtype: np.dtype) -> tuple[Any, Any]:
    one = dtype.type(1)
    return np.finfo(dtype).tiny, np.nextafter(one, dtype.type(0))


def _has_proba(estimator: Any) -> bool:
    if estimator.loss != "log_loss":
        raise AttributeError(
            f"predict_proba is not available for loss={estimator.loss!r}, whose scores are not "
            "probabilities. Use loss='log_loss', or decision_function."
        )
    return True


class BaseSGDMultiLabel(
    VersionedState, StreamMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """Loop over epochs and predictions of the SGD estimators; not for direct use."""

    _parameter_constraints: dict = {
        "reduction": [StrOptions(set(REDUCTIONS))],
        "loss": [StrOptions({"log_loss", "squared_hinge"})],
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

    # Their values then; none in a model that an earlier release has trained.
    _begun_with: dict[str, Any] = {}

    # Sample weight that counts as one row: the mean of those that the rates were set by.
    _unit_weight: float | None = None

    # Of a run of `fit` that has not come to its end.
    _progress: Progress | None = None

    # How far the threads may be ahead of each other if nothing looks at the model between
    # epochs: `_epoch` then returns before its end. Each costs its order of the rows in memory.
    _EPOCHS_AHEAD = 0

    # Names of the attributes that make up the state of the parameters.
    _STATE: tuple[str, ...] = ()

    # ------------------------------------------------------------- of the model
    def _allocate(self, n_features: int, n_labels: int) -> None:
        raise NotImplementedError

    def _row_sums(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        """Sums over rows that the step sizes depend on; those of parts of the rows add up.

        ``"n_used"`` is the number of rows whose loss has a weight.
        """
        raise NotImplementedError

    def _set_rates(self, sums: dict[str, Any], loss: str) -> None:
        """Resolve ``eta0="auto"`` and ``alpha="auto"``; see the notes of the estimators."""
        raise NotImplementedError

    def _check_goes_on(self, names: tuple[str, ...] = ()) -> None:
        """Raise a ValueError if a parameter has changed that the begin of the training fixed.

        One of `_READ_ONCE`, or of those in `names`.
        """
        for name in (*self._READ_ONCE, *names):
            now = getattr(self, name)
            begun = self._begun_with.get(name, now)
            if not np.array_equal(now, begun):
                raise ValueError(
                    f"{name}={now!r} is another value than {begun!r}, with which the training "
                    "began that this call goes on with. Set it back; or let fit (with "
                    "warm_start=True: from the present weights) begin another training."
                )

    def _prepare(self, rows: Rows, targets: Targets) -> Any:
        """Whatever the epochs of one fit need beside the parameters."""
        raise NotImplementedError

    def _epoch(
        self,
        work: Any,
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
        """Begin to train one epoch, or its part from `first_row` on.

        It comes after `n_ahead` epochs that have begun and were not waited for yet. Returns
        what waits for its end and gives the sum of the losses.
        """
        raise NotImplementedError

    def _scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        """Scores of the rows first:last into out."""
        raise NotImplementedError

    def _to_probabilities(self, scores: np.ndarray) -> None:
        """Turn a block of scores into probabilities, in place."""
        if self.reduction in ONE_VS_REST:
            _kernel.expit_rows(scores)
        else:
            _kernel.softmax_rows(scores)

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
        resume = self.warm_start and self.__sklearn_is_fitted__()
        if not resume:
            self._forget()
        rows, label_sets = self._read(X, y, reset=not resume)
        sample_weight = read_sample_weight(sample_weight, X)
        validation = None
        if X_val is not None:
            validation = self._read_validation(X_val, y_val)
        elif self.early_stopping:
            seed = self._random_seed(resume)
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
        elif self._epochs_of_run >= self.max_iter:
            # The earlier run is complete: the schedule starts again, the draws go on.
            self._epochs_of_run = 0
        targets = self._build_targets(rows, label_sets, sample_weight)
        self._use_sums(self._row_sums(rows, targets), targets.loss)
        self._train_or_forget(rows, targets, self.max_iter - self._epochs_of_run, validation, X, y)
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
            it; if given, there must be one for each.
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
        targets = self._build_targets(
            rows, label_sets, sample_weight, None if first else self._unit_weight
        )
        if first:
            self._use_sums(self._row_sums(rows, targets), targets.loss)
        # This epoch is no part of a run of fit that has not come to its end.
        self._progress = None
        self._train_or_forget(rows, targets, 1, None, X, y)
        self._progress = None
        return self

    def _read(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> tuple[Rows, LabelSets]:
        self._check_parameters()
        target = None if reset else self._target
        # y first: without it, the message should name y.
        label_sets, target = read_labels(
            y,
            target=target,
            classes=classes,
            allow_weights=self.reduction not in ONE_VS_REST,
        )
        if classes is not None and len(np.unique(np.asarray(classes))) != target.n_labels:
            raise ValueError(
                f"classes has {len(np.unique(np.asarray(classes)))} entries, but y has "
                f"{target.n_labels} labels."
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
        return read_X(self, X, dtype=self.dtype, reset=False)

    def _check_dtype(self) -> None:
        if self._intercepts.dtype != self.dtype:
            raise ValueError(
                f"The model was fitted with dtype={str(self._intercepts.dtype)!r}, and dtype is "
                f"{self.dtype!r} now. Set it back, or fit a new model with warm_start=False."
            )

    def _check_validation(self, X_val: Any, y_val: Any) -> None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together; pass both or none of them.")
        if X_val is not None and not self.early_stopping:
            raise ValueError("X_val and y_val are for early stopping; set early_stopping=True.")

    def _read_validation(self, X_val: Any, y_val: Any) -> tuple:
        rows = read_X(self, X_val, dtype=self.dtype, reset=False, input_name="X_val")
        label_sets, _ = read_labels(
            y_val,
            target=self._target,
            allow_weights=self.reduction not in ONE_VS_REST,
            input_name="y_val",
        )
        _check_as_many_rows(rows, label_sets, "X_val and y_val")
        return rows, label_sets, X_val, y_val

    def _check_parameters(self) -> None:
        if self.loss == "squared_hinge" and self.reduction not in ONE_VS_REST:
            raise ValueError(
                f"loss='squared_hinge' is for the one-vs-rest reductions; reduction="
                f"{self.reduction!r} is a softmax one. Use loss='log_loss' or "
                "reduction='one_vs_rest'."
            )
        if self.label_sampling == "cycle" and self.reduction != "pick_one":
            raise ValueError(
                f"label_sampling='cycle' is for reduction='pick_one'; {self.reduction!r} uses "
                "all labels in each epoch. Leave label_sampling='random'."
            )
        if self.scoring is not None and not self.early_stopping:
            raise ValueError(
                "scoring is the metric of early stopping; set early_stopping=True, or leave "
                "scoring=None."
            )

    def _random_seed(self, resume: bool) -> int:
        if not resume:
            random_state = check_random_state(self.random_state)
            self._seed = int(random_state.randint(np.iinfo(np.int64).max, dtype=np.int64))
        return self._seed

    def _forget(self) -> None:
        """Leave no trace of an earlier fit that could pass for a fitted model."""
        scores = ("validation_scores_", "best_validation_score_")
        for name in ("n_iter_", *scores, "_stream", "_progress"):
            self.__dict__.pop(name, None)

    def __sklearn_is_fitted__(self) -> bool:
        in_first_pass = self._stream is not None and self._stream.block > 0
        return in_first_pass or getattr(self, "n_iter_", 0) > 0

    def _start(self, n_features: int, n_labels: int) -> None:
        """Begin a new model."""
        self._random_seed(resume=False)
        self.t_ = 0
        self.n_iter_ = 0
        self._epoch_number = 0
        self._epochs_of_run = 0
        self._unit_weight = None
        self._drop_average()
        self.loss_curve_: list[float] = []
        self._allocate(n_features, n_labels)

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
        self._unit_weight = targets.mean_weight
        return targets

    def _count_unlabeled(self, n_rows: int, n_targets: int) -> None:
        self.n_unlabeled_ = n_rows - n_targets
        if n_targets == 0:
            raise ValueError(
                f"No row of y has a label; reduction={self.reduction!r} learns from labels "
                "only. Check y, or use reduction='one_vs_rest'."
            )
        if self.n_unlabeled_:
            warnings.warn(
                f"{self.n_unlabeled_} of {n_rows} rows have no label and are left out: "
                f"reduction={self.reduction!r} has no target for them. "
                "reduction='one_vs_rest' uses them.",
                UserWarning,
                stacklevel=4,
            )

    def _check_used(self, n_used: float) -> None:
        if n_used == 0:
            raise ValueError(
                "No row has both a label and a positive weight; check sample_weight, "
                "class_weight and y."
            )

    def _use_sums(self, sums: dict[str, Any], loss: str) -> None:
        self._check_used(sums["n_used"])
        self._set_rates(sums, loss)
        names = (*self._READ_ONCE, *self._READ_ONCE_OF_STREAM)
        self._begun_with = {name: getattr(self, name) for name in names}

    def _make_writeable(self) -> None:
        # Memory-mapped models are read-only.
        for name in (n for n in vars(self) if n in self._STATE or n.startswith("_mean_")):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and not value.flags.writeable:
                setattr(self, name, value.copy())

    def _train_or_forget(self, *args: Any) -> None:
        self._make_writeable()
        # These rows are no part of a stream that was not finished.
        self._stream = None
        # An epoch that was interrupted leaves weights that fit to no counter.
        try:
            self._return_to_last_epoch()
            self._train(*args)
        except BaseException:
            self._forget()
            raise

    def _train(self, rows: Rows, targets: Targets, *args: Any) -> None:
        work = self._prepare(rows, targets)
        with work.threads:
            self._run_epochs(work, rows, targets, *args)

    def _run_epochs(
        self,
        work: Any,
        rows: Rows,
        targets: Targets,
        n_epochs: int,
        validation: tuple | None,
        X: Any,
        y: Any,
    ) -> None:
        n_used = float(targets.row_share.sum())
        progress = self._progress or self._begin_run()
        # From here on whoever pickles the model pickles what a resumed run needs.
        self._progress = progress
        context = self._init_callback_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        watched = validation is not None or self._is_watched()
        ahead = 0 if watched or work.threads.n_threads == 1 else self._EPOCHS_AHEAD
        begun: deque[Callable[[], float]] = deque()
        settled = False
        for number in range(n_epochs):
            inner = context.subcontext(task_name="epoch")
            inner.call_on_fit_task_begin(estimator=self, X=X, y=y)
            n_rows = rows.shape[0]
            begun.append(self._visit(work, rows, targets, 0, n_rows, n_ahead=len(begun)))
            while len(begun) > (ahead if number < n_epochs - 1 else 0):
                loss = begun.popleft()()
                settled = self._end_epoch(loss / n_used, progress, validation)
            stop = inner.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=self._copy_state
            )
            if settled or stop:
                break
        else:
            if n_epochs > 1:
                self._warn_unsettled()
        if settled or self._epochs_of_run >= self.max_iter:
            self._progress = None
        elif progress.best_state is not None:
            progress.last_state = self._copy_state()
            progress.last_averaged = self._n_averaged
        self._end_run(progress)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._copy_state
        )

    def _is_watched(self) -> bool:
        """Whether anything looks at the model, or at its losses, between epochs."""
        return bool(
            self.average
            or self.verbose
            or self.tol is not None
            or getattr(self, "_skl_callbacks", ())
        )

    def _visit(
        self,
        work: Any,
        rows: Rows,
        targets: Targets,
        first_row: int,
        n_rows: int,
        n_ahead: int = 0,
    ) -> Callable[[], float]:
        """Begin to train on the rows from `first_row` on of an epoch of `n_rows`.

        See `_epoch` for the rest.
        """
        epoch = self._epoch_number + n_ahead
        last_row = first_row + rows.shape[0]
        steps = epoch_steps(
            self.learning_rate, self.eta0_, self._epochs_of_run + n_ahead, self.max_iter
        )
        total_loss = self._epoch(
            work,
            rows,
            targets,
            epoch=epoch,
            first_row=first_row,
            order=row_order(
                rows.shape[0],
                seed=self._seed,
                epoch=epoch,
                first_row=first_row,
                shuffle=self.shuffle,
            ),
            shown=targets.shown(
                seed=self._seed,
                epoch=epoch,
                first_row=first_row,
                label_sampling=self.label_sampling,
            ),
            eta=part_of_steps(steps, first_row, last_row, n_rows),
            n_ahead=n_ahead,
        )
        self.t_ += targets.n_targets
        return total_loss

    @property
    def _objective(self) -> tuple[Any, ...]:
        """Parameters on which the meaning of losses and validation scores depends."""
        return self.early_stopping, self.reduction, self.loss

    def _begin_run(self) -> Progress:
        self._progress = None
        if self.early_stopping:
            self.validation_scores_: list[float] = []
            self.best_validation_score_ = -np.inf
        patience = Patience(self.n_iter_no_change, self.tol or 0.0)
        return Progress(patience, objective=self._objective)

    def _return_to_last_epoch(self) -> None:
        """Go on with the run that a callback stopped, if there is one."""
        progress = self._progress
        if progress is None:
            return
        if self._epochs_of_run == 0 or progress.objective != self._objective:
            self._progress = None
            return
        progress.patience.n_iter_no_change = self.n_iter_no_change
        progress.patience.tol = self.tol or 0.0
        if progress.last_state is not None:
            self._put_state(progress.last_state, progress.last_averaged)
            progress.last_state = None

    def _end_epoch(self, loss: float, progress: Progress, validation: tuple | None) -> bool:
        """Count an epoch and judge it; return whether to stop."""
        self._epoch_number += 1
        self._epochs_of_run += 1
        self.n_iter_ += 1
        self.loss_curve_.append(loss)
        self._check_finite(loss)
        if self.average and self._epoch_number >= int(self.average):
            self._update_average()
        else:
            # A mean of an earlier training, without this epoch, would hide it.
            self._drop_average()
        if self.verbose:
            print(f"epoch {self.n_iter_}: loss {loss:.6g}")
        if validation is not None:
            score = self._validation_score(validation)
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"epoch {self.n_iter_}: validation score {score:.6g}")
            if progress.patience.update(score):
                progress.best_state = self._copy_state()
                progress.best_averaged = self._n_averaged
                self.best_validation_score_ = score
        elif self.tol is not None:
            progress.patience.update(-loss)
        judged = validation is not None or self.tol is not None
        return judged and progress.patience.exhausted

    def _end_run(self, progress: Progress) -> None:
        if progress.best_state is not None:
            self._put_state(progress.best_state, progress.best_averaged)
        self._check_finite(self._checksum())

    def _warn_unsettled(self) -> None:
        if self.tol is not None and not self.early_stopping:
            warnings.warn(
                f"max_iter={self.max_iter} epochs were run without the loss settling to "
                f"tol={self.tol}. Raise max_iter, or set tol=None to train for max_iter "
                "epochs by design.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _check_finite(self, number: float, epoch: int | None = None) -> None:
        if not np.isfinite(number):
            raise ValueError(
                f"Training diverged in epoch {epoch or self.n_iter_}: the weights are not finite "
                f"any more. Lower eta0 (now {self.eta0_:.3g}; eta0='auto' is safe), scale X, for "
                "example with sklearn.preprocessing.MaxAbsScaler or Normalizer, or set "
                "dtype='float64'."
            )

    def _checksum(self) -> float:
        """A number that is not finite if a parameter is not."""
        return float(sum(np.sum(getattr(self, name), dtype=np.float64) for name in self._STATE))

    # ------------------------------------------------------------------- state
    def _copy_state(self) -> dict[str, np.ndarray]:
        names = [*self._STATE, *(f"_mean{name}" for name in self._STATE if self._n_averaged)]
        return {name: getattr(self, name).copy() for name in names}

    def _put_state(self, state: dict[str, np.ndarray], n_averaged: int) -> None:
        for name, value in state.items():
            vars(self).setdefault(name, np.empty_like(value))[...] = value
        self._n_averaged = n_averaged

    def _update_average(self) -> None:
        """Add the parameters of this epoch to the mean over epochs."""
        self._n_averaged += 1
        for name, value in self._plain_state().items():
            mean_name = f"_mean{name}"
            if self._n_averaged == 1:
                setattr(self, mean_name, value.copy())
            else:
                mean = getattr(self, mean_name)
                mean += (value - mean) / self._n_averaged

    def _drop_average(self) -> None:
        self._n_averaged = 0
        for name in self._STATE:
            self.__dict__.pop(f"_mean{name}", None)

    def _plain_state(self) -> dict[str, np.ndarray]:
        """Parameters in a form whose mean is meaningful."""
        return {name: getattr(self, name) for name in self._STATE}

    def _parameters(self) -> tuple[np.ndarray, ...]:
        """Parameters for predictions: means if there are any."""
        prefix = "_mean" if self._n_averaged else ""
        return tuple(getattr(self, prefix + name) for name in self._STATE)

    def _validation_score(self, validation: tuple) -> float:
        rows, label_sets, X_val, y_val = validation
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
        if self._target.kind == "multiclass":
            predicted = self._top_labels(rows)
            return float(np.mean(predicted == label_sets.indices))
        return float(best_jaccard(label_sets, self._all_scores(rows, self._proba_loss))[1])

    # -------------------------------------------------------------- predictions
    @property
    def _proba_loss(self) -> bool:
        return self.loss == "log_loss"

    @property
    def _n_labels(self) -> int:
        return self._target.n_labels

    def _n_threads(self) -> int:
        # Inside another Parallel (a grid search, folds) the cores are taken already.
        backend, _ = get_active_backend()
        return 1 if backend.nesting_level else effective_n_jobs(self.n_jobs)

    def _for_blocks(
        self, n_rows: int, function: Callable[[slice], Any], bytes_per_row: float
    ) -> list:
        """Call a function for blocks of rows, in threads; results in order."""
        blocks = list(iter_row_blocks(n_rows, bytes_per_row, _block_mib()))
        n_threads = min(self._n_threads(), len(blocks))
        if n_threads <= 1:
            return [function(block) for block in blocks]
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(function, blocks))

    def _block_scores(self, rows: Rows, block: slice, proba: bool) -> np.ndarray:
        out = np.empty((block.stop - block.start, self._n_labels), dtype=self.dtype)
        self._finite_scores(rows, block, out)
        if proba:
            self._to_probabilities(out)
        return out

    def _finite_scores(self, rows: Rows, block: slice, out: np.ndarray) -> None:
        self._scores(rows, block.start, block.stop, out)
        if not np.isfinite(np.sum(out, dtype=np.float64)):
            raise ValueError(
                f"The scores of some rows of X overflow {self.dtype}. Scale X as in training, "
                "or set dtype='float64'."
            )

    def _all_scores(self, rows: Rows, proba: bool) -> np.ndarray:
        out = np.empty((rows.shape[0], self._n_labels), dtype=self.dtype)

        def fill(block: slice) -> None:
            part = out[block]
            self._finite_scores(rows, block, part)
            if proba:
                self._to_probabilities(part)
                # float32 rounds to 0 and 1 what is strictly between.
                np.clip(part, *_open_unit_interval(part.dtype), out=part)

        self._for_blocks(rows.shape[0], fill, out.itemsize * self._n_labels)
        return out

    def _top_labels(self, rows: Rows) -> np.ndarray:
        def top(block: slice) -> np.ndarray:
            return self._block_scores(rows, block, False).argmax(axis=1)

        found = self._for_blocks(rows.shape[0], top, 8 * self._n_labels)
        return np.concatenate(found).astype(np.int32)

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
        scores = self._all_scores(self._read_rows(X), False)
        if self._target.kind == "multiclass" and scores.shape[1] == 2:
            return scores[:, 1] - scores[:, 0]
        return scores

    @available_if(_has_proba)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the labels, strictly between 0 and 1.

        Softmax reductions: each row sums to 1; the probability that a label is the one
        picked (theory 2.1), not that a row has it. One-vs-rest: for each label on its own.

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
        out = self._all_scores(self._read_rows(X), True)
        if self._target.kind == "multiclass" and self.reduction in ONE_VS_REST:
            out /= out.sum(axis=1, keepdims=True)
        return out

    @available_if(_has_proba)
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
        n_rows = rows.shape[0]
        if self._target.kind == "multiclass" or self.reduction not in ONE_VS_REST:
            return self._target.to_output(np.arange(n_rows + 1), self._top_labels(rows))

        def positives(block: slice) -> tuple[np.ndarray, np.ndarray]:
            hit = self._block_scores(rows, block, False) >= 0
            return hit.sum(axis=1), np.nonzero(hit)[1].astype(np.int32)

        parts = self._for_blocks(n_rows, positives, 8 * self._n_labels)
        indptr = np.zeros(n_rows + 1, dtype=np.int64)
        np.cumsum(np.concatenate([sizes for sizes, _ in parts]), out=indptr[1:])
        return self._target.to_output(indptr, np.concatenate([labels for _, labels in parts]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags
