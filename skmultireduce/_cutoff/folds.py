"""Folds: estimators fitted on parts of the rows, to score the others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._data.endings import Together
from .._data.inner_fits import fit_inner
from .._data.notices import gathered
from .._sklearn import _check_method_params, _safe_indexing

__all__ = [
    "FoldFit",
    "check_prefit",
    "fit_fold",
    "fit_folds",
    "row_numbers",
    "splitter_of",
]


@dataclass(frozen=True)
class FoldFit:
    """An estimator that was fitted on a fold's training rows.

    Parameters
    ----------
    model : estimator
        Fitted; None if that failed.
    found : dict
        What the fit warns about.
    seconds : float
    error : Exception or None
        Why it failed.
    """

    model: Any
    found: dict
    seconds: float
    error: Exception | None = None


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
    estimators: list[Any],
    X: Any,
    y: Any,
    splits: list,
    fit_params: dict[str, Any],
    caller: Any,
    context: Any,
    n_jobs: int | None = None,
    *,
    catch: bool = False,
) -> list[list[FoldFit]]:
    """Fit clones of some estimators for each split, in parallel.

    Parameters
    ----------
    estimators : list of estimator
        Candidates; unfitted.
    X, y : object
        All rows.
    splits : list of tuple
        Training and test rows of each fold.
    fit_params : dict
        Metadata of the fits.
    caller, context : object
        Whose callbacks are told, and of what task.
    n_jobs : int or None
        Fits at once.
    catch : bool, default=False
        Whether what a fit raises is kept instead of raised.

    Returns
    -------
    fits : list of list of FoldFit
        For each estimator those of its folds.
    """
    # Our own estimators release the GIL, of others nothing is known.
    ours = all(type(one).__module__.startswith("skmultireduce.") for one in estimators)
    tasks = [
        (clone(one), train, f"fold {i + 1} of {len(splits)}", context.subcontext(task_name="fold"))
        for one in estimators
        for i, (train, _) in enumerate(splits)
    ]
    with Together() as together:
        fitted = Parallel(n_jobs=n_jobs, prefer="threads" if ours else None)(
            delayed(together.call)(
                _timed_fit, one, X, y, train, fit_params, caller, inner, name, catch=catch
            )
            for one, train, name, inner in tasks
        )
    return [fitted[i : i + len(splits)] for i in range(0, len(fitted), len(splits))]


def _timed_fit(*args: Any, catch: bool) -> FoldFit:
    start = time.perf_counter()
    try:
        model, found = fit_fold(*args)
    except Exception as error:
        if not catch:
            raise
        return FoldFit(None, {}, time.perf_counter() - start, error)
    return FoldFit(model, found, time.perf_counter() - start)
