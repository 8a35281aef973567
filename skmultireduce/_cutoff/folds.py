"""Folds: estimators fitted on parts of the rows, to score the others."""

from __future__ import annotations

import re
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._sklearn import _check_method_params, _safe_indexing

__all__ = [
    "check_prefit",
    "fit_fold",
    "fit_folds",
    "fit_target",
    "row_numbers",
    "splitter_of",
]


def check_prefit(estimator: Any) -> None:
    """Refuse an estimator that is not fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise NotFittedError(
            "When cv='prefit', `estimator` must be fitted already. Fit it first, or choose "
            "another cv."
        ) from error


def splitter_of(cv: Any, y: Any, random_state: Any) -> Any:
    """Give the splitter that `cv` stands for."""
    if cv is None or isinstance(cv, Integral):
        n_splits = 5 if cv is None else int(cv)
        return KFold(n_splits, shuffle=True, random_state=random_state)
    if isinstance(cv, Real):
        return ShuffleSplit(1, test_size=cv, random_state=random_state)
    return check_cv(cv, y=y, classifier=True)


def row_numbers(index: np.ndarray) -> np.ndarray:
    """Numbers of the rows that a split gives, as numbers or as a mask."""
    return np.flatnonzero(index) if index.dtype == bool else index


def fit_target(y: Any) -> Any:
    """Y as the inner estimator gets it: sliceable, and wide enough."""
    if sp.issparse(y) or hasattr(y, "iloc"):
        return _wide_enough(y) if sp.issparse(y) else y
    y = np.asarray(y)
    return _wide_enough(y) if y.ndim == 2 else y


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


def fit_fold(
    estimator: Any,
    X: Any,
    y: Any,
    rows: np.ndarray,
    fit_params: dict[str, Any],
    caller: Any,
    context: Any,
) -> Any:
    """Fit on some rows, as a task of the caller's callbacks."""
    X_train, y_train = _safe_indexing(X, rows), _safe_indexing(y, rows)
    params = _check_method_params(X, fit_params, indices=rows)
    with context.propagate_callback_context(estimator):
        context.call_on_fit_task_begin(estimator=caller, X=X_train, y=y_train)
        try:
            return _fit_estimator(estimator, X_train, y_train, params)
        finally:
            context.call_on_fit_task_end(estimator=caller, X=X_train, y=y_train)


def fit_folds(
    estimator: Any,
    X: Any,
    y: Any,
    splits: list,
    fit_params: dict[str, Any],
    caller: Any,
    context: Any,
    n_jobs: int | None = None,
) -> list[Any]:
    """Fit a clone for each split, in parallel."""
    # Our own estimators release the GIL, of others nothing is known.
    ours = type(estimator).__module__.startswith("skmultireduce.")
    contexts = [context.subcontext(task_name="fold") for _ in splits]
    return Parallel(n_jobs=n_jobs, prefer="threads" if ours else None)(
        delayed(fit_fold)(clone(estimator), X, y, train, fit_params, caller, inner)
        for (train, _), inner in zip(splits, contexts, strict=True)
    )
