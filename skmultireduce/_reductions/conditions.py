"""When the methods of `MultiClassReduction` are there, as `available_if` asks."""

from __future__ import annotations

from typing import Any

__all__ = ["has_decision_function", "has_joint", "has_partial_fit", "has_size_proba"]


def has_decision_function(self: Any) -> bool:
    if self.size_model is not None:
        raise AttributeError(
            f"decision_function is not available with size_model={self.size_model!r}, use "
            "predict_proba."
        )
    getattr(self.estimator, "decision_function")  # noqa: B009
    return True


def has_partial_fit(self: Any) -> bool:
    getattr(self.estimator, "partial_fit")  # noqa: B009
    if self.size_model == "expected" and self.size_estimator is not None:
        getattr(self.size_estimator, "partial_fit")  # noqa: B009
    return True


def has_size_proba(self: Any) -> bool:
    if self.size_model is None:
        raise AttributeError(
            "predict_size_proba needs size_model='expected' or size_model='joint'."
        )
    if self.size_model == "expected" and self.size_estimator is not None:
        getattr(self.size_estimator, "predict_proba")  # noqa: B009
    return True


def has_joint(self: Any) -> bool:
    if self.size_model != "joint":
        raise AttributeError("predict_label_size_proba needs size_model='joint'.")
    return True
