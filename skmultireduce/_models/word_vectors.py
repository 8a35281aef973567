"""Word vectors: those that embeddings begin with, and the file that they end in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["given_embeddings", "write_vectors"]


def given_embeddings(
    embedding_init: Any, n_features: int, names: Sequence[Any] | None
) -> np.ndarray | None:
    """Vectors of the features, as a user gives them.

    Parameters
    ----------
    embedding_init : array-like of shape (n_features, embedding_dim), mapping or None
        A mapping goes from words to vectors.
    n_features : int
    names : sequence of length n_features, or None
        Words of the features; needed for a mapping.

    Returns
    -------
    given : ndarray of shape (n_features, embedding_dim), or None
        NaN in the rows of words that the mapping does not have.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, or a mapping has no word of `names`.
    """
    if embedding_init is None:
        return None
    if not isinstance(embedding_init, Mapping):
        given = np.asarray(embedding_init)
        if given.ndim != 2 or given.shape[0] != n_features or given.shape[1] == 0:
            raise ValueError(
                f"embedding_init has shape {given.shape}, but X has {n_features} features; "
                "an array of shape (n_features, embedding_dim) is needed."
            )
        if given.dtype.kind not in "fiu" or not np.all(np.isfinite(given)):
            raise ValueError(
                "embedding_init must hold finite numbers; replace NaN, or leave such words "
                "out of a mapping from words to vectors."
            )
        return given
    if names is None:
        raise ValueError(
            "embedding_init is a mapping from words, but X has no feature names. Pass "
            "feature_names=vectorizer.get_feature_names_out()."
        )
    if len(names) != n_features:
        raise ValueError(f"feature_names has {len(names)} names, but X has {n_features} features.")
    found = {j: embedding_init[name] for j, name in enumerate(names) if name in embedding_init}
    if not found:
        raise ValueError(
            "embedding_init has a vector for none of the features. Check that "
            "feature_names are words in the spelling of the mapping."
        )
    if len({np.shape(vector) for vector in found.values()}) > 1:
        raise ValueError("embedding_init must have vectors of the same length.")
    vectors = np.stack([np.asarray(vector, dtype=np.float64) for vector in found.values()])
    if not np.all(np.isfinite(vectors)):
        raise ValueError("embedding_init has vectors that are not finite; leave them out.")
    given = np.full((n_features, vectors.shape[1]), np.nan)
    given[list(found)] = vectors
    return given


def write_vectors(
    path: str | os.PathLike, embedding: np.ndarray, names: Sequence[Any] | None
) -> None:
    """Write embeddings in word2vec's text format.

    Parameters
    ----------
    path : str or path-like
    embedding : ndarray of shape (n_features, embedding_dim)
    names : sequence of length n_features, or None
        Words.

    Raises
    ------
    ValueError
        If there are no names, their number is wrong, or one holds white space.
    """
    if names is None:
        raise ValueError(
            "The features have no names. Pass feature_names=vectorizer.get_feature_names_out()."
        )
    names = [str(name) for name in names]
    if len(names) != len(embedding):
        raise ValueError(
            f"feature_names has {len(names)} names, but the model has {len(embedding)} features."
        )
    for name in names:
        if not name or len(name.split()) != 1 or name.strip() != name:
            raise ValueError(
                f"feature_names has {name!r}; the format cannot hold empty names or white "
                "space. Replace it, for example by underscores."
            )
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(f"{len(embedding)} {embedding.shape[1]}\n")
        for name, vector in zip(names, embedding.tolist(), strict=True):
            file.write(f"{name} {' '.join(map('{:.9g}'.format, vector))}\n")
