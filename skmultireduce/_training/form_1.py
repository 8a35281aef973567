"""States of trainings that release 0.1.0 has pickled: loose attributes of the estimator."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from .._models.linear import LinearArrays, LinearModel, LinearRates
from .._models.model import Model
from .._models.network import EmbeddingNetwork, NetworkArrays, NetworkRates
from .._models.pruning import PrunedArrays, PrunedLinearModel
from .schedule import Patience, Plan
from .training import Position, Progress, Snapshot, Training

__all__ = ["training_of"]


class _Fields:
    """An object of 0.1.0, of which the fields are of interest."""


# Pickles name the classes of an unfinished run by the modules of that release.
for _name, _classes in (
    ("_schedule", {"Patience": Patience, "Progress": _Fields}),
    ("_stream", {"Stream": _Fields}),
):
    _module = ModuleType(f"skmultireduce.{_name}")
    vars(_module).update(_classes)
    sys.modules.setdefault(_module.__name__, _module)

_LINEAR = ("_weights", "_intercepts", "_scale")
_NETWORK = ("_embedding", "_embedding_scale", "_hidden", "_output", "_intercepts")


def training_of(state: dict[str, Any], options: Any, plan: Plan) -> dict[str, Any]:
    """The state of an estimator, with a `Training` in place of 0.1.0's attributes.

    Parameters
    ----------
    state : dict
        Attributes, by name.
    options : LinearOptions or NetworkOptions
        What the estimator's parameters say.
    plan : Plan

    Returns
    -------
    state : dict
    """
    state = dict(state)
    names = _NETWORK if "_output" in state else _LINEAR
    make = _network if "_output" in state else _linear
    n_averaged = state.get("_n_averaged", 0)
    if "_pruned" in state and state["_pruned"] is not None:
        model = _pruned(state, options)
    else:
        model = make(state, options, [state[name] for name in names])
    mean = None
    if n_averaged:
        mean = make(state, options, [state[f"_mean{name}"] for name in names])
    stream = state.get("_stream")
    progress = state.get("_progress") if stream is None else stream.progress
    state["_training"] = Training(
        model=model,
        seed=state["_seed"],
        plan=plan,
        mean=mean,
        n_averaged=n_averaged,
        epoch=state["_epoch_number"],
        epochs_of_run=state["_epochs_of_run"],
        n_updates=state["t_"],
        losses=state["loss_curve_"],
        validation_scores=state.get("validation_scores_"),
        best_validation_score=state.get("best_validation_score_", -np.inf),
        unit_weight=state.get("_unit_weight"),
        begun_with=state.get("_begun_with", {}),
        progress=progress and _progress(progress, names, type(model.arrays)),
        position=stream and _position(stream),
    )
    for name in (
        *(prefix + name for name in names for prefix in ("", "_mean")),
        *("_bounds", "_widths", "_pruned", "_mean_square", "_vector_square", "_inclusion"),
        *("_has_sizes", "_seed", "_epoch_number", "_epochs_of_run", "_n_averaged"),
        *("_unit_weight", "_begun_with", "_progress", "_stream"),
    ):
        state.pop(name, None)
    return state


def _linear(state: dict[str, Any], options: Any, arrays: list[np.ndarray]) -> LinearModel:
    n_features, n_labels = state["n_features_in_"], state["_target"].n_labels
    model = LinearModel(
        n_features, n_labels, options, bounds=state["_bounds"], arrays=LinearArrays(*arrays)
    )
    model.rates = _rates(state)
    return model


def _rates(state: dict[str, Any]) -> LinearRates:
    square = state["_mean_square"]
    return LinearRates(state["alpha_"], state["eta0_"], square, square)


def _pruned(state: dict[str, Any], options: Any) -> PrunedLinearModel:
    n_labels = state["_target"].n_labels
    weights = state["_pruned"]
    intercepts = np.ascontiguousarray(state["_intercepts"][:n_labels])
    return PrunedLinearModel(
        state["n_features_in_"],
        n_labels,
        options,
        rates=_rates(state),
        bounds=state["_bounds"],
        arrays=PrunedArrays(weights.data, weights.indices, weights.indptr, intercepts),
    )


def _network(state: dict[str, Any], options: Any, arrays: list[np.ndarray]) -> EmbeddingNetwork:
    model = EmbeddingNetwork.__new__(EmbeddingNetwork)
    Model.__init__(model, state["n_features_in_"], state["_target"].n_labels, options)
    model.widths = [int(width) for width in state["_widths"]]
    model.sized = True
    model.arrays = NetworkArrays(*arrays)
    model.rates = NetworkRates(
        state["alpha_"],
        state["eta0_"],
        state["batch_size_"],
        state["_mean_square"],
        state["_vector_square"],
        state.get("_inclusion"),
    )
    return model


def _snapshot(values: dict | None, n_averaged: int, names: tuple, arrays: type) -> Any:
    if values is None:
        return None
    mean = arrays(*(values[f"_mean{name}"] for name in names)) if n_averaged else None
    return Snapshot(arrays(*(values[name] for name in names)), mean, n_averaged)


def _progress(progress: Any, names: tuple[str, ...], arrays: type) -> Progress:
    return Progress(
        progress.patience,
        progress.objective,
        _snapshot(progress.best_state, progress.best_averaged, names, arrays),
        _snapshot(progress.last_state, progress.last_averaged, names, arrays),
    )


def _position(stream: Any) -> Position:
    fields = {name: value for name, value in vars(stream).items() if name != "progress"}
    return Position(**fields)
