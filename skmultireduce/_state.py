"""State of an estimator: fitted as a whole or not at all, and pickled with its version."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

from ._data import label_sets
from ._sklearn import LinkedPage
from ._version import __version__

__all__ = ["STATE_VERSION", "VersionedState", "forget", "forgets_on_error", "restores_on_error"]

# Pickles of release 0.1.0 name their classes by the modules of that release.
sys.modules.setdefault("skmultireduce._label_sets", label_sets)

# Raised when fitted attributes change so that older releases cannot use them.
STATE_VERSION = 2


class VersionedState(LinkedPage):
    """Mixin: pickles say which release wrote them, and which form the state has.

    A state of a later form is refused with a message that says what to install; one that
    another release wrote in this form is loaded.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        # Of the fit that is running, if a callback pickles its estimator.
        for name in ("_callback_fit_ctx", "_skl_callbacks_to_teardown"):
            state.pop(name, None)
        return {
            **state,
            "_skmultireduce_version": __version__,
            "_skmultireduce_state": STATE_VERSION,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        written_by = state.pop("_skmultireduce_version", "unknown")
        form = state.pop("_skmultireduce_state", None)
        name = type(self).__name__
        if not isinstance(form, int) or not 1 <= form <= STATE_VERSION:
            raise ValueError(
                f"This {name} was pickled by skmultireduce {written_by}, whose form of the state "
                f"({form}) skmultireduce {__version__} does not know (it knows 1 to "
                f"{STATE_VERSION}). Install skmultireduce {written_by} or later, or fit the "
                "estimator again."
            )
        # Parameters that the release which wrote it did not have.
        for parameter in signature(type(self)).parameters.values():
            if parameter.default is not parameter.empty:
                state.setdefault(parameter.name, parameter.default)
        if form == 1:
            state = self._from_form_1(state)
        super().__setstate__(state)

    @classmethod
    def _from_form_1(cls, state: dict[str, Any]) -> dict[str, Any]:
        """State that release 0.1.0 has written, in the present form."""
        return state


def forgets_on_error(fit: Callable) -> Callable:
    """Decorate `fit`: if it fails or is interrupted, no fitted attribute is left.

    What an earlier fit left is forgotten as well: parts of two fits must not mix.
    """

    @wraps(fit)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            forget(self)
            raise

    return wrapper


def restores_on_error(partial_fit: Callable) -> Callable:
    """Decorate `partial_fit`: rejected input changes nothing, an interrupted call forgets.

    For methods that hold all input against the checks before they train, and that replace
    attributes instead of changing them in place.
    """

    @wraps(partial_fit)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return partial_fit(self, *args, **kwargs)
        except (TypeError, ValueError):
            vars(self).clear()
            vars(self).update(before)
            raise
        except BaseException:
            forget(self)
            raise

    return wrapper


def forget(estimator: Any) -> None:
    """Remove all attributes that are neither parameters nor configuration."""
    kept = set(estimator.get_params(deep=False))
    for name in list(vars(estimator)):
        # Not of the fit: metadata requests, and callbacks, which scikit-learn tears down.
        if name not in kept and name != "_metadata_request" and "callback" not in name:
            delattr(estimator, name)
