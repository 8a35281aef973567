"""States as release 0.1.0 wrote them: fitted, pruned, averaged, and in the midst of a run."""

import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from test_stream import WEIGHT, Hook, X, Y, bits, blocks_of

from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier
from skmultireduce._models.network import EmbeddingNetwork
from skmultireduce._models.pruning import PrunedLinearModel

LINEAR = ("_weights", "_intercepts", "_scale")
NETWORK = ("_embedding", "_embedding_scale", "_hidden", "_output", "_intercepts")


def _object(module, name, **fields):
    """An object of a class of 0.1.0."""
    made = getattr(sys.modules[f"skmultireduce.{module}"], name).__new__(
        getattr(sys.modules[f"skmultireduce.{module}"], name)
    )
    vars(made).update(fields)
    return made


def _progress(progress, names):
    def values(snapshot):
        if snapshot is None:
            return None
        mean = snapshot.mean or ()
        means = {f"_mean{name}": value for name, value in zip(names, mean, strict=False)}
        return dict(zip(names, snapshot.arrays, strict=True)) | means

    return progress and _object(
        "_schedule", "Progress", patience=progress.patience, objective=progress.objective,
        best_state=values(progress.best), last_state=values(progress.last),
        best_averaged=progress.best.n_averaged if progress.best else 0,
        last_averaged=progress.last.n_averaged if progress.last else 0,
    )  # fmt: skip


def form_1(model):
    """The state of a model in the form of 0.1.0, pickled and read as far as its fields."""
    state = {k: v for k, v in model.__getstate__().items() if k != "_training"}
    training = model._training
    learned, rates = training.model, training.model.rates
    names = NETWORK if isinstance(learned, EmbeddingNetwork) else LINEAR
    square = rates.mean_square if names == NETWORK else rates.intercept_square
    state |= {
        "_seed": training.seed, "_epoch_number": training.epoch,
        "_epochs_of_run": training.epochs_of_run, "_n_averaged": training.n_averaged,
        "_begun_with": training.begun_with, "_mean_square": square,
        "_unit_weight": training.unit_weight,
    }  # fmt: skip
    if isinstance(learned, PrunedLinearModel):
        empty = np.empty(0, dtype=learned.dtype)
        state |= {
            "_pruned": learned.matrix, "_bounds": learned.bounds, "_weights": empty,
            "_intercepts": learned.intercepts, "_scale": np.ones(1),
        }  # fmt: skip
    else:
        state |= dict(zip(names, learned.arrays, strict=True)) | {"_widths": learned.widths}
        if training.mean is not None:
            state |= {
                f"_mean{n}": a for n, a in zip(names, training.mean.arrays, strict=True)
            }  # fmt: skip
    if names == NETWORK:
        state |= {"_vector_square": rates.vector_square, "_inclusion": rates.inclusion}
    else:
        state["_bounds"] = learned.bounds
    progress = _progress(training.progress, names)
    state["_progress"] = progress
    if training.position is not None:
        fields = {
            k: v for k, v in vars(training.position).items()
            if k not in ("names", "sizes", "checksums")
        }  # fmt: skip
        state["_stream"] = _object("_stream", "Stream", progress=progress, **fields)
        state["_progress"] = None
    return state | {"_skmultireduce_version": "0.1.0", "_skmultireduce_state": 1}


def loaded(model):
    """The model as a pickle of 0.1.0 gives it."""
    out = type(model).__new__(type(model))
    out.__setstate__(pickle.loads(pickle.dumps(form_1(model))))
    return out


# Rates as numbers: automatic ones are others than 0.1.0's.
MODELS = [
    MultiLabelSGDClassifier(max_iter=4, alpha=0.01, eta0=0.5, random_state=2, warm_start=True),
    MultiLabelMLPClassifier(
        embedding_dim=4, hidden_layer_sizes=(3,), max_iter=4, dropout=0.2, random_state=2,
        warm_start=True, n_sampled_labels=3, alpha=1e-3,
    ),
]  # fmt: skip
IDS = ["linear", "mlp"]


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_fitted_models_go_on(model, average):
    model = clone(model).set_params(average=average).fit(X, Y, WEIGHT)
    old = loaded(model)
    np.testing.assert_array_equal(old.decision_function(X), model.decision_function(X))
    assert bits(old.fit(X, Y, WEIGHT)) == bits(model.fit(X, Y, WEIGHT))


def test_pruned_models_go_on():
    model = clone(MODELS[0]).set_params(reduction="one_vs_rest").fit(X, Y).sparsify(density=0.5)
    old = loaded(model)
    np.testing.assert_array_equal(old.decision_function(X), model.decision_function(X))
    assert bits(old.densify().fit(X, Y)) == bits(model.densify().fit(X, Y))


@pytest.mark.parametrize("stop", [1, 2, 4, 5])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_runs_over_a_stream_go_on(model, stop):
    whole = clone(model).fit_stream(blocks_of(30, 90))
    stopped = clone(model).set_callbacks(Hook(lambda _, __, calls: calls == stop))
    old = loaded(stopped.fit_stream(blocks_of(30, 90)).set_callbacks())
    assert bits(old.fit_stream(blocks_of(30, 90))) == bits(whole)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_runs_that_stop_early_go_on_from_the_last_epoch(model):
    model = clone(model).set_params(early_stopping=True, average=True, n_iter_no_change=2)
    whole = clone(model).fit(X, Y, X_val=X, y_val=Y)
    stopped = clone(model).set_callbacks(Hook(lambda _, __, calls: calls == 2))
    old = loaded(stopped.fit(X, Y, X_val=X, y_val=Y).set_callbacks())
    assert bits(old.fit(X, Y, X_val=X, y_val=Y)) == bits(whole)


@pytest.mark.parametrize("name", ["_schedule Progress", "_schedule Patience", "_stream Stream"])
def test_names_of_0_1_0_are_found(name):
    module, name = name.split()
    assert isinstance(pickle.loads(f"cskmultireduce.{module}\n{name}\n.".encode()), type)
