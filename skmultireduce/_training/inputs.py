"""What comes in: rows and label sets of fits, streams and validation, and parameters, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.label_sets import LabelSets, Target, read_labels
from .._data.notices import warn
from .._data.rows import Rows, read_X
from .._data.weights import read_sample_weight
from .stream import Block


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


class SGDInputs:
    """Reads what the SGD estimators are given; part of `BaseSGDMultiLabel`."""

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

    def _scaled(self, rows: Rows) -> Rows:
        """Rows on the scale that the model has learned them on."""
        scaling = self._training and self._training.scaling
        return rows if scaling is None else scaling.apply(rows)

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
