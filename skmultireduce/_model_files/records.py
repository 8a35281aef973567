"""What model files hold beside estimators: models, cutoffs, forms of y, and their parts.

Each class has a table of its values and their checks. Kernels check no bounds: models come with
the checks that make them safe to compute with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from .._cutoff.rule import CutRule
from .._cutoff.score_map import AdjustedMap, RankMap, RelativeMap, ScoreMap
from .._cutoff.scores import Source
from .._data.distinct import DistinctRows
from .._data.feature_scaling import FeatureScaling
from .._data.label_sets import Target
from .._models.label_clusters import LabelTree
from .._models.label_forest import LabelForest
from .._models.label_tree import Chunks, LabelTreeModel
from .._models.linear import LinearArrays, LinearModel, LinearOptions, LinearRates
from .._models.network import (
    ACTIVATIONS,
    EmbeddingNetwork,
    NetworkArrays,
    NetworkOptions,
    NetworkRates,
)
from .._models.pruning import PrunedArrays, PrunedLinearModel
from .._reductions.class_table import ClassTable, SizeClasses
from .._reductions.table import LOSSES
from .._training.arrivals import Arrivals
from .._training.schedule import LEARNING_RATES, Plan
from .._training.training import Training
from .checks import (
    Check,
    any_of,
    array,
    boolean,
    check_fields,
    dtype_or_none,
    instance,
    integer,
    list_of,
    number,
    optional,
    text,
)
from .container import DamagedFileError
from .values import NotSavedError, RecordForm

__all__ = ["RECORDS"]

_FLOATS = (np.float32, np.float64)
_auto = any_of(text("auto"), number)
_size = integer(1, 2**40)


def _bare(cls: type, values: dict[str, Any]) -> Any:
    """An object with these attributes; its constructor would make arrays of its own."""
    out = cls.__new__(cls)
    vars(out).update(values)
    return out


def _form(
    cls: type,
    checks: dict[str, Check],
    also: Callable[[Any], None] | None = None,
    left_out: tuple[str, ...] = (),
) -> RecordForm:
    """Form of a dataclass, a named tuple, or a plain object whose attributes are listed.

    `also` raises an error if the object is not what it should be. Fields that are left out
    have their defaults again.
    """
    built = is_dataclass(cls) or issubclass(cls, tuple)

    others = fields(cls) if is_dataclass(cls) else ()
    others = [field for field in others if field.name not in (*checks, *left_out)]

    def take(value: Any) -> dict[str, Any]:
        for field in others:
            if getattr(value, field.name) is not field.default:
                raise NotSavedError(f"{field.name} of a {cls.__name__}")
        return {name: getattr(value, name) for name in checks}

    def make(values: dict[str, Any]) -> Any:
        check_fields(values, checks)
        out = cls(**values) if built else _bare(cls, values)
        if also is not None:
            also(out)
        return out

    return RecordForm(cls, take, make)


# ---------------------------------------------------------------------- forms of y, cutoffs
def _check_target(target: Target) -> None:
    shape = (target.n_labels, 2) if target.kind == "multilabel" else (target.n_labels,)
    if target.classes.shape != shape:
        raise DamagedFileError("classes are not those of its labels")
    if target.names is not None and target.names.shape != (target.n_labels,):
        raise DamagedFileError("there is not one name for each label")


def _check_rule(rule: CutRule) -> None:
    n = rule.source.n_labels
    if rule.cutoff.shape not in ((), (n,)):
        raise DamagedFileError("there is not one cutoff for each label")
    for of_labels in (rule.source.never, rule.log_prior):
        if of_labels is not None and of_labels.shape != (n,):
            raise DamagedFileError("there is not one value for each label")


_MAP = {"probability": boolean, "min_labels": integer(), "max_labels": optional(integer(1))}
_CUTOFFS = {
    "Target": _form(
        Target,
        {
            "kind": text("multilabel", "multiclass"),
            "n_labels": integer(),
            "classes": array(ndim=None),
            "sparse": boolean,
            "dtype": any_of(instance(np.dtype), dtype_or_none),
            "names": optional(array()),
        },
        _check_target,
    ),
    "ScoreMap": _form(ScoreMap, _MAP),
    "RelativeMap": _form(RelativeMap, _MAP),
    "RankMap": _form(RankMap, _MAP),
    "AdjustedMap": _form(AdjustedMap, {**_MAP, "prior_weight": number, "row_weight": number}),
    "Source": _form(
        Source,
        {
            "method": text("predict_proba", "decision_function", "predict_scores"),
            "n_labels": integer(),
            "n_candidates": integer(1),
            "never": optional(array(np.bool_)),
            "dtype": dtype_or_none,
            "probability": boolean,
        },
    ),
    "CutRule": _form(
        CutRule,
        {
            "score_map": instance(ScoreMap, RelativeMap, RankMap, AdjustedMap),
            "cutoff": any_of(array(*_FLOATS, ndim=None), instance(np.float32, np.float64)),
            "source": instance(Source),
            "log_prior": optional(array(*_FLOATS)),
        },
        _check_rule,
    ),
}

# ------------------------------------------------------------------------------- models
_OF_MODELS = {"n_features": _size, "n_labels": _size}
_OPTIONS = {
    "loss": text(*LOSSES),
    "alpha": _auto,
    "eta0": _auto,
    "fit_intercept": boolean,
    "dtype": text("float32", "float64"),
}


def _linear() -> RecordForm:
    form = _form(
        LinearModel,
        {
            **_OF_MODELS,
            "options": instance(LinearOptions),
            "rates": optional(instance(LinearRates)),
            "bounds": list_of(integer()),
            "arrays": instance(LinearArrays),
        },
    )

    def make(values: dict[str, Any]) -> LinearModel:
        found = form.make(values)
        out = LinearModel(
            found.n_features,
            found.n_labels,
            found.options,
            bounds=found.bounds,
            arrays=found.arrays,
        )
        out.rates = found.rates
        out.check()
        return out

    return form._replace(make=make)


def _tree_model() -> RecordForm:
    checks = {
        "tree": instance(LabelTree),
        "n_features": _size,
        "probability": text("logistic", "linear", "exponential", "softmax"),
        "normalized": boolean,
        "intercepts": array(np.float32),
        "chunks": list_of(instance(Chunks)),
    }

    def take(model: LabelTreeModel) -> dict[str, Any]:
        return {name: getattr(model, name) for name in checks}

    def make(values: dict[str, Any]) -> LabelTreeModel:
        check_fields(values, checks)
        values["tree"].check()
        names = ("tree", "n_features", "probability", "normalized")
        out = LabelTreeModel(*(values[name] for name in names))
        out.intercepts, out.chunks = values["intercepts"], values["chunks"]
        out.check()
        return out

    return RecordForm(LabelTreeModel, take, make)


def _check_forest(forest: LabelForest) -> None:
    sizes = {(tree.n_features, tree.tree.n_labels) for tree in forest.trees}
    if len(sizes) != 1:
        raise DamagedFileError("its trees are not of the same features and labels")


_MODELS = {
    "LinearOptions": _form(LinearOptions, {**_OPTIONS, "alpha_scale": number}),
    "LinearRates": _form(
        LinearRates,
        dict.fromkeys(("alpha", "eta0", "square", "intercept_square"), number),
    ),
    "LinearArrays": _form(
        LinearArrays,
        {
            "weights": array(*_FLOATS),
            "intercepts": array(*_FLOATS),
            "decay": array(np.float64),
        },
    ),
    "LinearModel": _linear(),
    "PrunedArrays": _form(
        PrunedArrays,
        {
            "data": array(*_FLOATS),
            "indices": array(np.int32, np.int64),
            "indptr": array(np.int32, np.int64),
            "intercepts": array(*_FLOATS),
        },
    ),
    "PrunedLinearModel": _form(
        PrunedLinearModel,
        {
            **_OF_MODELS,
            "options": instance(LinearOptions),
            "rates": optional(instance(LinearRates)),
            "bounds": list_of(integer()),
            "arrays": instance(PrunedArrays),
        },
        PrunedLinearModel.check,
    ),
    "NetworkOptions": _form(
        NetworkOptions,
        {
            **_OPTIONS,
            "batch_size": any_of(text("auto"), integer(1)),
            "activation": text(*ACTIVATIONS),
            "pooling": text("mean", "sum"),
            "freeze_embeddings": boolean,
            "dropout": number,
            "n_sampled_labels": optional(integer(1)),
        },
    ),
    "NetworkRates": _form(
        NetworkRates,
        {
            **dict.fromkeys(("alpha", "eta0", "mean_square", "vector_square"), number),
            "batch_size": integer(1),
            "inclusion": optional(array(np.float64)),
        },
    ),
    "NetworkArrays": _form(
        NetworkArrays,
        {
            "embedding": array(*_FLOATS, ndim=2),
            "decay": array(np.float64),
            "hidden": array(*_FLOATS),
            "output": array(*_FLOATS, ndim=2),
            "intercepts": array(*_FLOATS),
        },
    ),
    "EmbeddingNetwork": _form(
        EmbeddingNetwork,
        {
            **_OF_MODELS,
            "options": instance(NetworkOptions),
            "rates": optional(instance(NetworkRates)),
            "widths": list_of(integer(1)),
            "sized": boolean,
            "arrays": instance(NetworkArrays),
        },
        EmbeddingNetwork.check,
    ),
    "LabelTree": _form(
        LabelTree,
        {
            "parents": array(np.int32),
            "first_child": array(np.int32),
            "labels": array(np.int32),
            "levels": array(np.int64),
        },
    ),
    "Chunks": _form(
        Chunks,
        {
            "feature_start": array(np.int64),
            "entry_start": array(np.int64),
            "features": array(np.int32),
            "sizes": array(np.uint8),
            "children": array(np.uint8),
            "values": array(np.float32, np.float16),
        },
    ),
    "LabelTreeModel": _tree_model(),
    "LabelForest": _form(LabelForest, {"trees": list_of(instance(LabelTreeModel))}, _check_forest),
}


# ----------------------------------------------------------------------------- trainings
def _check_training(training: Training) -> None:
    training.check(training.model.n_features, training.model.n_labels)


def _check_registers(distinct: DistinctRows) -> None:
    if distinct.registers.shape != DistinctRows().registers.shape:
        raise DamagedFileError("registers are not those of a count")


def _is_sums(value: Any) -> bool:
    of_kind = any_of(number, array(np.bool_, np.int64))
    return type(value) is dict and all(type(k) is str and of_kind(v) for k, v in value.items())


_any_model = instance(LinearModel, PrunedLinearModel, EmbeddingNetwork)
_TRAININGS = {
    "Plan": _form(
        Plan,
        {
            "max_iter": integer(1),
            "learning_rate": text(*LEARNING_RATES),
            "label_sampling": text("random", "cycle"),
            "shuffle": boolean,
            "average": any_of(boolean, integer(1)),
            "tol": optional(number),
            "verbose": any_of(boolean, integer()),
            "follows": boolean,
            "step_factor": number,
        },
    ),
    "FeatureScaling": _form(
        FeatureScaling, {"center": array(np.float64), "scale": array(np.float64)}
    ),
    "DistinctRows": _form(DistinctRows, {"registers": array(np.uint8)}, _check_registers),
    "Arrivals": _form(
        Arrivals,
        {
            "sums": _is_sums,
            "distinct": optional(instance(DistinctRows)),
            "n_before": integer(),
            "n_batches": integer(),
        },
    ),
    # A run that was stopped ends here: what it would go on from is left to pickles.
    "Training": _form(
        Training,
        {
            "model": _any_model,
            "seed": integer(),
            "plan": instance(Plan),
            "mean": optional(_any_model),
            "losses": list_of(number),
            "validation_scores": optional(list_of(number)),
            "best_validation_score": number,
            "scaling": optional(instance(FeatureScaling)),
            "arrivals": optional(instance(Arrivals)),
            "unit_weight": optional(number),
            "begun_with": instance(dict),
            **dict.fromkeys(
                (
                    "n_averaged",
                    "epoch",
                    "epochs_of_run",
                    "n_updates",
                    "n_in_mean",
                    "n_pending",
                ),
                integer(),
            ),
        },
        _check_training,
        left_out=("progress", "position"),
    ),
}


# ---------------------------------------------------------------------------- reductions
def _check_table(table: ClassTable) -> None:
    codes = table.codes
    if codes is None:
        return
    in_range = len(codes) == 0 or (codes[0] >= 0 and codes[-1] < table.n_classes)
    if not in_range or np.any(np.diff(codes) <= 0):
        raise DamagedFileError("its classes are not those of its labels")


def _random_state() -> RecordForm:
    checks = {
        "key": array(np.uint32),
        "pos": integer(0, 624),
        "has_gauss": integer(0, 1),
        "gauss": number,
    }

    def take(value: np.random.RandomState) -> dict[str, Any]:
        _, key, pos, has_gauss, gauss = value.get_state()
        return {"key": key, "pos": pos, "has_gauss": has_gauss, "gauss": gauss}

    def make(values: dict[str, Any]) -> np.random.RandomState:
        check_fields(values, checks)
        out = np.random.RandomState()
        out.set_state(("MT19937", *(values[name] for name in checks)))
        return out

    return RecordForm(np.random.RandomState, take, make)


_REDUCTIONS = {
    "SizeClasses": _form(
        SizeClasses,
        {
            "cap": integer(1, 2**31),
            **dict.fromkeys(("total", "weight", "largest"), number),
        },
    ),
    "ClassTable": _form(
        ClassTable,
        {
            "n_labels": _size,
            "none": boolean,
            "joint": boolean,
            "sizes": optional(instance(SizeClasses)),
            "codes": optional(array(np.int64)),
        },
        _check_table,
    ),
    "RandomState": _random_state(),
}

RECORDS: dict[str, RecordForm] = {**_CUTOFFS, **_MODELS, **_TRAININGS, **_REDUCTIONS}
