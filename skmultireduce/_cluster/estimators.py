"""What estimators on a cluster share: lazy predictions, signatures and docstrings, the client."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from dask import delayed
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._sklearn import _clone_parametrized, _num_samples
from .partitions import as_block, find_client, is_lazy, partitions_of, row_chunks


def call_block(model: Any, method: str, X: Any, empty: Any, params: dict[str, Any]) -> Any:
    X = as_block(X)
    if _num_samples(X) == 0:
        return empty
    out = getattr(model, method)(X, **params)
    return out.astype(empty.dtype, copy=False)


def lazily(estimator: Any, method: str, X: Any, empty: Any, **params: Any) -> da.Array:
    """A Dask array of the method's results, one chunk for each partition of X."""
    parts = partitions_of(X, "X")
    model = estimator.to_local()
    try:
        client = find_client(estimator.client)
    except ValueError:
        # Any other scheduler of Dask.
        model = delayed(model, traverse=False)
    else:
        # On each worker once, and not through the scheduler with each task.
        model = delayed(client.scatter(model, broadcast=True, hash=False))
    blocks = [delayed(call_block)(model, method, part, empty, params) for part in parts]
    name = f"{method}-{tokenize(*(block.key for block in blocks))}"
    rest = (0,) * (empty.ndim - 1)
    graph = {(name, i, *rest): block.key for i, block in enumerate(blocks)}
    rows = row_chunks(X) or (np.nan,) * len(parts)
    chunks = (rows, *((size,) for size in empty.shape[1:]))
    graph = HighLevelGraph.from_collections(name, graph, dependencies=blocks)
    return da.Array(graph, name, chunks, meta=empty)


def lazy(method: str, plain: type, condition: Callable | None = None) -> Callable:
    """The method of a plain estimator, lazy for Dask collections."""
    inner = getattr(plain, method)

    def call(self: Any, X: Any, **params: Any) -> Any:
        if not is_lazy(X):
            return getattr(plain, method).__get__(self)(X, **params)
        check_is_fitted(self)
        return lazily(self, method, X, self._empty(method), **params)

    call.__name__, call.__qualname__ = method, f"Dask{plain.__name__}.{method}"
    summary, _, rest = inspect.getdoc(inner).partition("\n")
    call.__doc__ = (
        f"{summary}\n\nFor a Dask collection, or a list of delayed blocks, the result is a lazy "
        f"Dask array\nwith one chunk for each partition; for other X it is at once computed here."
        f"\n{rest}\n"
    )
    call.__signature__ = inspect.signature(inner)
    call.__annotations__ = {"X": Any, "return": Any}
    return available_if(condition)(call) if condition else call


def extended_doc(plain: type, **own: str) -> str:
    """Docstring of a plain estimator with sections of its own in front, or instead."""
    parts = re.split(r"\n\n([A-Z][\w ]+)\n-+\n", inspect.getdoc(plain))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    out = [own.pop("Summary").strip()]
    for title, text in sections.items():
        text = {
            "Parameters": f"{own['Parameters'].strip()}\n{text}",
            "Attributes": f"{text}\n{own.get('Attributes', '').strip()}",
        }.get(title, own.get(title, text))
        out.append(f"{title}\n{'-' * len(title)}\n{text.strip()}")
    return "\n\n".join(out) + "\n"


def signature_of(plain: type, *own: inspect.Parameter) -> inspect.Signature:
    """Signature of a plain estimator's constructor with more keywords in front.

    scikit-learn reads an estimator's parameters from it.
    """
    theirs = list(inspect.signature(plain.__init__).parameters.values())
    keyword = [p for p in theirs if p.kind == p.KEYWORD_ONLY]
    rest = [p for p in theirs if p.kind != p.KEYWORD_ONLY]
    return inspect.Signature([*rest, *own, *keyword])


def keyword(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)


class OnCluster:
    """What the estimators here share: a client that is neither copied nor pickled."""

    def __sklearn_clone__(self) -> Any:
        bare = copy.copy(self)
        bare.client = None
        out = _clone_parametrized(bare)
        out.client = self.client
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}

    def _local_params(self) -> dict[str, Any]:
        names = self._plain._get_param_names()
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_local(cls, estimator: Any, **params: Any) -> Any:
        """A fitted estimator without Dask, for predictions or more training on a cluster.

        Parameters
        ----------
        estimator : estimator
            Fitted; of the class that this one is the Dask form of.
        **params : dict
            Parameters that only this class has, such as `client`, and those that are to be
            other than the estimator's, for example ``warm_start=True``.

        Returns
        -------
        estimator : object
            Fitted; shares no memory with the given one.
        """
        check_is_fitted(estimator)
        out = cls(**{**estimator.get_params(deep=False), **params})
        params = out.get_params(deep=False)
        fitted = {k: v for k, v in vars(estimator).items() if k not in params}
        vars(out).update(copy.deepcopy({k: v for k, v in fitted.items() if "callback" not in k}))
        return out

    def _fitted(self) -> dict[str, Any]:
        """Copy of everything that the plain estimator's `fit` leaves."""
        left_out = {*self.get_params(deep=False), "n_shards_"}
        return copy.deepcopy(
            {k: v for k, v in vars(self).items() if k not in left_out and "callback" not in k}
        )
