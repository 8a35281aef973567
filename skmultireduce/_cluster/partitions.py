"""Partitions of X, y and weights, row by row: what a Dask collection is cut into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dask.array as da
import numpy as np
import scipy.sparse as sp
from dask.base import is_dask_collection
from dask.delayed import Delayed
from distributed import Client, Future, default_client


def find_client(client: Client | None) -> Client:
    if client is None:
        try:
            client = default_client()
        except ValueError as error:
            raise ValueError(
                "There is no Dask client. Create one, for example distributed.Client(), or pass "
                "one as `client`."
            ) from error
    if client.status in ("closing", "closed"):
        raise ValueError("`client` is closed; pass one that is open, or None for the default one.")
    if client.asynchronous:
        raise ValueError("`client` is asynchronous; pass one that was made without that option.")
    return client


def is_lazy(data: Any) -> bool:
    """Whether data is a Dask collection, or a list of delayed or future partitions."""
    if isinstance(data, list | tuple):
        return len(data) > 0 and all(isinstance(part, Delayed | Future) for part in data)
    return is_dask_collection(data) and hasattr(data, "to_delayed")


def partitions_of(data: Any, name: str) -> list[Any]:
    """Delayed or future blocks of whole rows."""
    if isinstance(data, list | tuple) and is_lazy(data):
        return list(data)
    # One that is not in a list could be anything: it has every attribute.
    if not is_lazy(data) or isinstance(data, Delayed):
        raise TypeError(
            f"{name} is a {type(data).__name__}; a Dask array, DataFrame or bag, or a list of "
            "delayed blocks of rows is needed. Use dask.array.from_array, or for data that fits "
            "into memory the estimator of the same name without Dask."
        )
    if isinstance(data, da.Array) and data.ndim == 2 and data.numblocks[1] > 1:
        data = data.rechunk({1: -1})
    return np.ravel(data.to_delayed()).tolist()


def row_chunks(data: Any) -> tuple[int, ...] | None:
    """Sizes of the partitions, if they are known."""
    if isinstance(data, da.Array) and not np.isnan(data.shape[0]):
        return data.chunks[0]
    return None


def aligned(X: Any, **others: Any) -> list[list[Any] | None]:
    """Partitions of X and of what goes with it, row by row; no weights stay None."""
    parts_X = partitions_of(X, "X")
    chunks = row_chunks(X)
    out: list[list[Any] | None] = [parts_X]
    for name, other in others.items():
        if other is None and name == "sample_weight":
            out.append(None)
            continue
        own = row_chunks(other)
        if chunks is not None and own is not None and own != chunks:
            if sum(own) != sum(chunks):
                raise ValueError(
                    "Found input variables with inconsistent numbers of samples: "
                    f"{[sum(chunks), sum(own)]} in X and {name}."
                )
            other = other.rechunk({0: chunks})
        parts = partitions_of(other, name)
        if len(parts) != len(parts_X):
            raise ValueError(
                f"X has {len(parts_X)} partitions, {name} has {len(parts)}, and the sizes of "
                "them all are not known. Partition both in the same way, or call "
                "compute_chunk_sizes() on Dask arrays of unknown sizes."
            )
        out.append(parts)
    return out


def persisted(client: Client, *parts: list[Any] | None) -> list[list[Any] | None]:
    """The same partitions as futures, of one common graph."""
    lazy = [part for group in parts for part in group or [] if isinstance(part, Delayed)]
    made = iter(client.compute(lazy))
    return [
        group and [next(made) if isinstance(part, Delayed) else part for part in group]
        for group in parts
    ]


def as_block(part: Any) -> Any:
    """A partition as one container; those of bags hold lists of blocks."""
    if isinstance(part, Iterator):
        part = list(part)
    if isinstance(part, list) and part and all(getattr(p, "ndim", 0) == 2 for p in part):
        return sp.vstack(part, format="csr") if sp.issparse(part[0]) else np.concatenate(part)
    return part
