"""Callbacks for releases of scikit-learn that have none, by the protocol of `sklearn.callback`.

Callbacks are objects with the methods ``setup(estimator, context)``,
``on_fit_task_begin(estimator, context)``, ``on_fit_task_end(estimator, context)`` (which
stops the iterations by returning True) and ``teardown(estimator, context)``. Those two in
the middle may take X, y and `fitted_estimator` as keywords. Here none is handed on to inner
estimators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import Parameter, signature
from typing import Any

__all__ = ["CallbackContext", "CallbackSupportMixin", "with_callbacks"]


class CallbackContext:
    """A task of a fit: the fit itself, an epoch, a block of rows, a fold.

    Parameters
    ----------
    callbacks : list
        Whom to call.
    estimator_name : str
        Class of the estimator.
    task_name : str
        Kind of the task.
    task_id : int
        Number of the task among its siblings.
    max_subtasks : int or None
        Largest number of tasks within.
    parent : CallbackContext or None
        Task that this one is part of.
    """

    def __init__(
        self,
        callbacks: list[Any],
        estimator_name: str,
        task_name: str,
        task_id: int = 0,
        max_subtasks: int | None = 0,
        parent: CallbackContext | None = None,
    ) -> None:
        self._callbacks = callbacks
        self.estimator_name = estimator_name
        self.task_name = task_name
        self.task_id = task_id
        self.max_subtasks = max_subtasks
        self.parent = parent
        self._n_subtasks = 0

    def subcontext(self, task_name: str = "", max_subtasks: int | None = 0) -> CallbackContext:
        """Begin a task within this one."""
        number = self._n_subtasks
        self._n_subtasks += 1
        return CallbackContext(
            self._callbacks, self.estimator_name, task_name, number, max_subtasks, self
        )

    def call_on_fit_task_begin(self, *, estimator: Any, **data: Any) -> CallbackContext:
        """Call the hook of all callbacks."""
        self._call("on_fit_task_begin", estimator, data)
        return self

    def call_on_fit_task_end(self, *, estimator: Any, **data: Any) -> bool:
        """Call the hook of all callbacks; return whether one asks to stop."""
        return self._call("on_fit_task_end", estimator, data)

    def _call(self, name: str, estimator: Any, data: dict[str, Any]) -> bool:
        stop = False
        for callback in self._callbacks:
            hook = getattr(callback, name)
            wanted = [
                p.name
                for p in signature(hook).parameters.values()
                if p.kind == Parameter.KEYWORD_ONLY
            ]
            given = {key: data.get(key) for key in wanted}
            if "fitted_estimator" in wanted:
                given["fitted_estimator"] = _as_fitted(estimator, data)
            stop |= bool(hook(estimator, self, **given))
        return stop

    @contextmanager
    def propagate_callback_context(self, sub_estimator: Any) -> Iterator[None]:
        """Do nothing: callbacks stay with the estimator that they were given to."""
        yield


def _as_fitted(estimator: Any, data: dict[str, Any]) -> Any:
    """A copy of the estimator as if fit had ended here, if it says what that takes."""
    attributes = data.get("reconstruction_attributes")
    if attributes is None:
        return None
    # Not by `copy`, which pickles: in the midst of a fit the state may be none that loads.
    fitted = type(estimator).__new__(type(estimator))
    vars(fitted).update({k: v for k, v in vars(estimator).items() if "callback" not in k})
    vars(fitted).update(attributes() if callable(attributes) else attributes)
    return fitted


class CallbackSupportMixin:
    """Mixin for estimators with callbacks."""

    def set_callbacks(self, *callbacks: Any) -> Any:
        """Set the callbacks of the estimator; without arguments there are none any more.

        Parameters
        ----------
        *callbacks : callback instances
            Objects with the hooks ``setup``, ``on_fit_task_begin``, ``on_fit_task_end`` and
            ``teardown``.

        Returns
        -------
        self : estimator instance
        """
        hooks = ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown")
        for callback in callbacks:
            if isinstance(callback, type) or not all(hasattr(callback, hook) for hook in hooks):
                raise TypeError(
                    f"callbacks must be instances with the methods {', '.join(hooks)}; "
                    f"got {callback!r}."
                )
        self._skl_callbacks = list(callbacks)
        if not callbacks:
            del self._skl_callbacks
        return self

    def _init_callback_context(self, max_subtasks: int | None = 0) -> CallbackContext:
        callbacks = getattr(self, "_skl_callbacks", [])
        context = CallbackContext(callbacks, type(self).__name__, "fit", max_subtasks=max_subtasks)
        self._callback_fit_ctx = context
        self._skl_callbacks_to_teardown = []
        for callback in callbacks:
            self._skl_callbacks_to_teardown.append(callback)
            callback.setup(estimator=self, context=context)
        return context


def with_callbacks(method: Callable) -> Callable:
    """Decorate a method that begins a fit: callbacks are torn down when it ends, in any way."""

    @wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            context = vars(self).pop("_callback_fit_ctx", None)
            for callback in vars(self).pop("_skl_callbacks_to_teardown", ()):
                callback.teardown(estimator=self, context=context)

    return wrapper
