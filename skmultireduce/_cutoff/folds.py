"""Folds: estimators fitted on parts of the rows, to score the others."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._data.inner_fits import fit_inner
from .._data.notices import gathered
from .._sklearn import _check_method_params, _safe_indexing

__all__ = [
    "check_prefit",
    "fit_fold",
    "fit_folds",
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


def fit_fold(
    estimator: Any,
    X: Any,
    y: Any,
    rows: np.ndarray,
    fit_params: dict[str, Any],
    caller: Any,
    context: Any,
    name: str = "all rows",
) -> tuple[Any, dict]:
    """Fit on some rows, as a task of the caller's callbacks; and what that warns about."""
    X_train, y_train = _safe_indexing(X, rows), _safe_indexing(y, rows)
    params = _check_method_params(X, fit_params, indices=rows)
    with gathered() as found, context.propagate_callback_context(estimator):
        context.call_on_fit_task_begin(estimator=caller, X=X_train, y=y_train)
        try:
            return fit_inner(estimator, X_train, y_train, params, rows=name), found
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
) -> tuple[list[Any], list[dict]]:
    """Fit a clone for each split, in parallel; and what that warns about."""
    # Our own estimators release the GIL, of others nothing is known.
    ours = type(estimator).__module__.startswith("skmultireduce.")
    contexts = [context.subcontext(task_name="fold") for _ in splits]
    names = [f"fold {i + 1} of {len(splits)}" for i in range(len(splits))]
    fitted = Parallel(n_jobs=n_jobs, prefer="threads" if ours else None)(
        delayed(fit_fold)(clone(estimator), X, y, train, fit_params, caller, inner, name)
        for (train, _), inner, name in zip(splits, contexts, names, strict=True)
    )
    return [model for model, _ in fitted], [found for _, found in fitted]
