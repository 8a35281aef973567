"""The only door to what scikit-learn does not promise to keep: private names and modules.

Releases 1.6 to 1.9 have them in different places, or not at all. What is missing has a
stand-in that does what that release's own estimators do.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from inspect import signature
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import __version__, get_config
from sklearn.base import _clone_parametrized, _fit_context
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics._scorer import _BaseScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing as _indexed
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_params,
)
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled
from sklearn.utils.validation import _check_method_params, _num_samples
from sklearn.utils.validation import _check_sample_weight as _checked_weight

try:
    from sklearn.callback import (
        CallbackContext,
        CallbackSupportMixin,
        ProgressBar,
        with_callbacks,
    )
except ImportError:
    from ._callbacks import CallbackContext, CallbackSupportMixin, with_callbacks

    ProgressBar = None
    _bare_fit_context = _fit_context

    def _fit_context(**options: Any) -> Any:
        """Decorate a method that fits; from release 1.9 on this tears callbacks down, too."""
        bare = _bare_fit_context(**options)
        return lambda method: with_callbacks(bare(method))


try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:
    from sklearn.utils._estimator_html_repr import _VisualBlock

try:
    from sklearn.utils._sparse import _align_api_if_sparse
except ImportError:

    def _align_api_if_sparse(X: Any) -> Any:
        """Sparse matrices, not arrays, as all outputs are before there is a choice."""
        return getattr(sp, f"{X.format}_matrix")(X) if sp.issparse(X) else X


def with_idf(vectorizer: Any, idf: Any) -> Any:
    """A ``TfidfVectorizer`` that has its vocabulary, with the weights of its terms; None: none."""
    names = ("norm", "use_idf", "smooth_idf", "sublinear_tf")
    vectorizer._tfidf = TfidfTransformer(**{name: getattr(vectorizer, name) for name in names})
    vectorizer._tfidf.n_features_in_ = len(vectorizer.vocabulary_)
    if idf is not None:
        vectorizer._tfidf.idf_ = idf
    return vectorizer


def idf_of(counts: Any, n_rows: int, dtype: Any, smooth: bool) -> Any:
    """Weights of terms that are in so many of the documents, as ``TfidfTransformer.fit`` has."""
    dtype = dtype if dtype in (np.float64, np.float32) else np.float64
    counts = counts.astype(dtype)
    counts += float(smooth)
    idf = np.full_like(counts, n_rows + int(smooth))
    idf /= counts
    np.log(idf, out=idf)
    idf += 1.0
    return idf


def csr(arrays: tuple, shape: tuple[int, int], dtype: Any = None) -> Any:
    """CSR matrix or array, as scikit-learn is told to give; not made twice, as by the above.

    SciPy's constructor takes as long as the scores of a text. Arrays that it would leave as
    they are, of whose form there is no doubt, are put into the attributes of another matrix.
    """
    wanted = get_config().get("sparse_interface", "spmatrix")
    kind = sp.csr_array if wanted == "sparray" else sp.csr_matrix
    data, indices, indptr = arrays
    wanted_dtype = data.dtype if dtype is None else np.dtype(dtype)
    if kind is sp.csr_matrix and indices.dtype == np.int32 and indptr[-1] <= 2**31 - 1:
        # As SciPy does for matrices, and not for arrays.
        indptr = indptr.astype(np.int32, copy=False)
    attributes = _attributes_of(kind)
    if (
        indices.dtype != np.int32
        or indptr.dtype != np.int32
        or wanted_dtype.char not in "bilqfd"
        or max(shape) > 2**31 - 1
        or not len(data) == len(indices) == indptr[-1]
        or not {"_shape", "data", "indices", "indptr"} <= attributes.keys()
    ):
        return kind(arrays, shape, dtype)
    X = kind.__new__(kind)
    data = data.astype(wanted_dtype, copy=False)
    vars(X).update(
        attributes, _shape=tuple(map(int, shape)), data=data, indices=indices, indptr=indptr
    )
    return X


@cache
def _attributes_of(kind: type) -> dict[str, Any]:
    return dict(vars(kind((1, 1))))


if tuple(map(int, __version__.split(".")[:2])) >= (1, 7):
    _safe_indexing = _indexed
else:

    def _safe_indexing(X: Any, indices: Any, *, axis: int = 0) -> Any:
        """Rows or columns of X, those of Arrow tables and arrays by their own method."""
        if axis == 0 and type(X).__module__.startswith("pyarrow."):
            return X.take(np.arange(len(X))[indices])
        return _indexed(X, indices, axis=axis)


if "allow_all_zero_weights" in signature(_checked_weight).parameters:
    _check_sample_weight = _checked_weight
else:

    def _check_sample_weight(
        sample_weight: Any, X: Any, *, allow_all_zero_weights: bool = False, **options: Any
    ) -> Any:
        """Check weights, and that one of them is not zero."""
        weight = _checked_weight(sample_weight, X, **options)
        if not allow_all_zero_weights and (weight == 0).all():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weight


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
    "csr",
    "validate_params",
    "with_callbacks",
]


@cache
def documentation_address() -> str:
    """Where the pages of the installed package are, by its metadata; empty without one."""
    try:
        entries = metadata("skmultireduce").get_all("Project-URL") or ()
    except PackageNotFoundError:
        return ""
    addresses = dict(entry.split(", ", 1) for entry in entries)
    return addresses.get("Documentation", "").rstrip("/")


class LinkedPage:
    """Mixin: the HTML form of an estimator links to its page, if there is an address."""

    _doc_link_module = "skmultireduce"

    @property
    def _doc_link_template(self) -> str:
        address = documentation_address()
        parts = type(self).__module__.split(".")
        module = ".".join(part for part in parts if part in ("skmultireduce", "dask"))
        return f"{address}/api/generated/{module}.{{estimator_name}}.html" if address else ""
