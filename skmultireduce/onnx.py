"""Export to ONNX, through skl2onnx."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from ._cutoff.rule import rule_of
from ._data.label_names import names_of
from ._reductions.table import BY_NAME, loss_of
from .linear import MultiLabelSGDClassifier
from .neural import MultiLabelMLPClassifier
from .threshold import FixedThresholdMultiLabel, ThresholdedMultiLabel
from .tree import LabelTreeClassifier

__all__ = ["register_converters", "to_onnx"]

# By the kind of their dtype; others are exported as strings.
_CLASS_TYPES = dict.fromkeys("iub", np.int64) | {"f": np.float32}


def register_converters() -> None:
    """Teach skl2onnx the estimators of this package.

    Afterwards ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` convert
    :class:`~skmultireduce.MultiLabelSGDClassifier`,
    :class:`~skmultireduce.ThresholdedMultiLabel` and
    :class:`~skmultireduce.FixedThresholdMultiLabel`, also as steps of a pipeline. Calling
    it again does no harm.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from skmultireduce.onnx import register_converters
    >>> register_converters()  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    except ImportError as error:
        raise ImportError(
            "Export to ONNX needs skl2onnx. Install it with pip install 'skmultireduce[onnx]'."
        ) from error

    def shapes(operator: Any) -> None:
        model = operator.raw_operator
        n_rows = operator.inputs[0].get_first_dimension()
        classes = model.classes_
        if classes.ndim == 2:
            labels = Int64TensorType([n_rows, len(classes)])
        elif classes.dtype.kind in "iub":
            labels = Int64TensorType([n_rows])
        elif classes.dtype.kind == "f":
            labels = FloatTensorType([n_rows])
        else:
            labels = StringTensorType([n_rows])
        operator.outputs[0].type = labels
        operator.outputs[1].type = FloatTensorType([n_rows, len(classes)])

    options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    for estimator, convert in (
        (MultiLabelSGDClassifier, _convert_linear),
        (ThresholdedMultiLabel, _convert_threshold),
        (FixedThresholdMultiLabel, _convert_threshold),
    ):
        update_registered_converter(
            estimator,
            f"Skmultireduce{estimator.__name__}",
            shapes,
            convert,
            overwrite=True,
            options=options,
        )


def to_onnx(model: Any, X: Any = None, **params: Any) -> Any:
    """Convert a fitted model, or a pipeline that ends in one.

    Parameters
    ----------
    model : estimator
        Fitted :class:`~skmultireduce.MultiLabelSGDClassifier`, or
        :class:`~skmultireduce.ThresholdedMultiLabel` (``strategy="global"`` or
        ``"per_label"``) or :class:`~skmultireduce.FixedThresholdMultiLabel` of it or of
        another classifier that skl2onnx converts, or a pipeline of transformers that it
        converts and one of these.
    X : array-like of shape (n_samples, n_features), default=None
        Some rows, for the names and types of the inputs. None: one input of floats, named
        ``"X"``; for models that know their number of features.
    **params : dict
        For ``skl2onnx.to_onnx``, for example `initial_types` and `target_opset`.

    Returns
    -------
    onnx_model : onnx.ModelProto
        With two outputs: the labels of `predict` (int64 of shape (n_samples, n_labels); the
        classes for 1-D y) and the probabilities, or the scores of a model with
        ``loss="squared_hinge"``, which its cutoffs are compared with, as float32 of shape
        (n_samples, n_labels). Names of the labels, if there are some, are JSON in the entry
        ``"label_names"`` of its ``metadata_props``.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    ValueError
        If the model has parts that are not numbers to compare scores with; the message
        names the parameter. If it is, or has inside, a label tree or a neural model.

    Notes
    -----
    Where a pipeline starts from text, compare the exported model with the pipeline on some
    texts: skl2onnx 1.20 exports ``TfidfVectorizer(sublinear_tf=True)`` with other
    values (without `sublinear_tf` they agree), and supports `token_pattern` in part only.

    Examples
    --------
    >>> from skmultireduce.onnx import to_onnx
    >>> to_onnx(model, X[:1])  # doctest: +SKIP
    """
    check_is_fitted(model)
    _refuse_others(model)
    register_converters()
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType

    if X is None and "initial_types" not in params:
        params["initial_types"] = [("X", FloatTensorType([None, model.n_features_in_]))]
    elif X is not None and hasattr(X, "astype") and getattr(X, "dtype", None) == np.float64:
        # Values beyond float32 have no place in a model of floats.
        X = X.astype(np.float32)
    # Probabilities as a matrix: a list of dictionaries is of no use for label sets.
    params.setdefault("options", {"zipmap": False})
    converted = skl2onnx.to_onnx(model, X, **params)
    names = names_of(model)
    if names is not None:
        entry = converted.metadata_props.add()
        entry.key, entry.value = "label_names", json.dumps([str(name) for name in names])
    return converted


def _refuse_others(model: Any) -> None:
    """ONNX has no operators for sparse rows and weights, nor for the search of a label tree."""
    parts = []
    while model is not None:
        parts.append(model)
        # Pipelines and cutoffs, in either order.
        inner = getattr(model, "estimator_", getattr(model, "estimator", None))
        model = inner if not hasattr(model, "steps") else model.steps[-1][1]
    if any(isinstance(part, LabelTreeClassifier) for part in parts):
        raise ValueError(
            "LabelTreeClassifier cannot be exported to ONNX, which has no operators for its "
            "sparse weights and its search. Export MultiLabelSGDClassifier, or pickle the tree."
        )
    if any(isinstance(part, MultiLabelMLPClassifier) for part in parts):
        raise ValueError(
            "MultiLabelMLPClassifier, as of a model of load_fasttext, cannot be exported to ONNX, "
            "which has no operators for its sparse rows and for fastText's features. Export "
            "MultiLabelSGDClassifier, or pickle the model."
        )


def _as_float(operator: Any, container: Any) -> Any:
    from skl2onnx.algebra.onnx_ops import OnnxCast
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.proto import onnx_proto

    source = operator.inputs[0]
    if isinstance(source.type, FloatTensorType):
        return source
    return OnnxCast(source, to=onnx_proto.TensorProto.FLOAT, op_version=container.target_opset)


def _finish(labels: Any, values: Any, operator: Any, scope: Any, container: Any) -> None:
    """Name the two outputs and add the graph."""
    from skl2onnx.algebra.onnx_ops import OnnxIdentity

    for node, output in zip((labels, values), operator.outputs, strict=True):
        OnnxIdentity(
            node, op_version=container.target_opset, output_names=[output.full_name]
        ).add_to(scope, container)


def _to_int64(node: Any, opset: int) -> Any:
    from skl2onnx.algebra.onnx_ops import OnnxCast
    from skl2onnx.proto import onnx_proto

    return OnnxCast(node, to=onnx_proto.TensorProto.INT64, op_version=opset)


def _convert_linear(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.algebra import onnx_ops as ops

    model: MultiLabelSGDClassifier = operator.raw_operator
    opset = container.target_opset
    coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
    weights = np.ascontiguousarray(coef.T, dtype=np.float32)
    scores = ops.OnnxAdd(
        ops.OnnxMatMul(_as_float(operator, container), weights, op_version=opset),
        model.intercept_.astype(np.float32),
        op_version=opset,
    )
    values = scores
    one_vs_rest = not BY_NAME[model.reduction].softmax
    multilabel = model.classes_.ndim == 2
    if not loss_of(model.reduction, model.loss).clips:
        if not one_vs_rest:
            values = ops.OnnxSoftmax(scores, axis=1, op_version=opset)
        else:
            values = ops.OnnxSigmoid(scores, op_version=opset)
            if not multilabel:
                total = ops.OnnxReduceSum(
                    values, np.array([1], dtype=np.int64), keepdims=1, op_version=opset
                )
                values = ops.OnnxDiv(values, total, op_version=opset)
    if one_vs_rest and multilabel:
        below = ops.OnnxLess(scores, np.zeros(1, dtype=np.float32), op_version=opset)
        labels = _to_int64(ops.OnnxNot(below, op_version=opset), opset)
    else:
        top = ops.OnnxArgMax(scores, axis=1, keepdims=0, op_version=opset)
        if multilabel:
            labels = ops.OnnxOneHot(
                top,
                np.array([len(model.classes_)], dtype=np.int64),
                np.array([0, 1], dtype=np.int64),
                axis=1,
                op_version=opset,
            )
        else:
            kind = model.classes_.dtype.kind
            classes = model.classes_.astype(_CLASS_TYPES.get(kind, str))
            labels = ops.OnnxGather(classes, top, axis=0, op_version=opset)
    _finish(labels, values, operator, scope, container)


def _compared_with(model: Any) -> np.ndarray:
    """Cutoffs that probabilities (or scores) are compared with, in float32."""
    found = rule_of(model)
    if found is None:
        raise ValueError(
            "With 1-D y the threshold has no effect; export `estimator_` of the model instead."
        )
    inner, rule = found
    if not rule.score_map.plain:
        raise ValueError(
            f"strategy={model.strategy!r} cannot be exported to ONNX: it is no comparison with "
            "fixed thresholds. Use strategy='global' or 'per_label'."
        )
    for name, neutral in (("min_labels", 0), ("max_labels", None)):
        if getattr(model, name) != neutral:
            raise ValueError(
                f"{name}={getattr(model, name)!r} cannot be exported to ONNX. Leave "
                f"{name}={neutral!r}, or apply it to the exported scores."
            )
    scores_exported = isinstance(inner, MultiLabelSGDClassifier) and inner.loss != "log_loss"
    if (rule.source.method == "predict_proba") == scores_exported:
        raise ValueError(
            f"response_method={model.response_method!r} uses {rule.source.method}, which the "
            f"exported {type(inner).__name__} does not give. Use response_method='auto'."
        )
    cutoff = np.broadcast_to(rule.cutoff, rule.source.n_labels).astype(np.float32)
    if rule.source.never is not None:
        cutoff = np.where(rule.source.never, np.float32(np.inf), cutoff)
    return cutoff


def _convert_threshold(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.algebra.onnx_operator import OnnxSubEstimator

    model = operator.raw_operator
    cutoff = _compared_with(model)
    opset = container.target_opset
    inner = OnnxSubEstimator(
        model.estimator_, operator.inputs[0], op_version=opset, options={"zipmap": False}
    )
    values = ops.OnnxIdentity(inner[1], op_version=opset)
    labels = _to_int64(ops.OnnxGreater(values, cutoff, op_version=opset), opset)
    _finish(labels, values, operator, scope, container)
