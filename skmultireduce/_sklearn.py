"""The only door to what scikit-learn does not promise to keep: private names and modules."""

from sklearn.base import _clone_parametrized, _fit_context
from sklearn.callback import (
    CallbackContext,
    CallbackSupportMixin,
    ProgressBar,
    with_callbacks,
)
from sklearn.metrics._scorer import _BaseScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_params,
)
from sklearn.utils._repr_html.estimator import _VisualBlock
from sklearn.utils._sparse import _align_api_if_sparse
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled
from sklearn.utils.validation import _check_method_params, _check_sample_weight, _num_samples

__all__ = [
    "BaseSearchCV",
    "CallbackContext",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "ProgressBar",
    "RealNotInt",
    "StrOptions",
    "_BaseScorer",
    "_VisualBlock",
    "_align_api_if_sparse",
    "_check_method_params",
    "_check_sample_weight",
    "_clone_parametrized",
    "_fit_context",
    "_num_samples",
    "_raise_for_params",
    "_routing_enabled",
    "_safe_indexing",
    "check_matplotlib_support",
    "validate_params",
    "with_callbacks",
]
