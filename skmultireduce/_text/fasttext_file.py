"""fastText's model files: ``.bin``, and ``.ftz`` with product quantisation.

Little-endian: arguments, dictionary, input matrix, output matrix. Nothing is allocated by a
number in the file that the file's own length does not bear out.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["FastTextModel", "read_model"]

_MAGIC = 793712314
_LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
_SUPERVISED = 3
_CENTROIDS = 256
# Largest size of a matrix relative to the file that it is decoded from: parts of up to 16
# numbers, where fastText has 2 unless told otherwise.
_MOST_DECODED = 64


@dataclass(frozen=True)
class FastTextModel:
    """What a file holds.

    Parameters
    ----------
    loss : {"hs", "ns", "softmax", "ova"}
    min_n, max_n, word_ngrams, n_buckets : int
        Of the features.
    words : list of bytes
    labels : list of bytes
        With their prefix.
    kept_buckets : list of int or None
        Of a pruned model, in the order of their rows; None: all.
    embedding : ndarray of shape (n_words + n_buckets, dim), float32
    output : ndarray of shape (n_labels, dim), float32
    """

    loss: str
    min_n: int
    max_n: int
    word_ngrams: int
    n_buckets: int
    words: list[bytes]
    labels: list[bytes]
    kept_buckets: list[int] | None
    embedding: np.ndarray
    output: np.ndarray


class _File:
    """Bytes of a file with a position; errors name the file."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.name = os.fspath(path)
        self.data = Path(path).read_bytes()
        self.position = 0

    def error(self, what: str) -> ValueError:
        return ValueError(f"{self.name} is no supervised model of fastText: {what}.")

    def take(self, n_bytes: int) -> memoryview:
        if not 0 <= n_bytes <= len(self.data) - self.position:
            raise self.error(f"it ends before its byte {self.position + max(n_bytes, 0):,}")
        self.position += n_bytes
        return memoryview(self.data)[self.position - n_bytes : self.position]

    def numbers(self, form: str) -> tuple:
        form = f"<{form}"
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def array(self, dtype: str, *shape: int) -> np.ndarray:
        size = np.dtype(dtype).itemsize
        for n in shape:
            if n < 0:
                raise self.error(f"a matrix of shape {shape}")
            size *= n
        return np.frombuffer(self.take(size), dtype).reshape(shape)

    def word(self) -> bytes:
        end = self.data.find(b"\0", self.position)
        if end < 0:
            raise self.error("its dictionary does not end")
        word = self.data[self.position : end]
        self.position = end + 1
        return word


def _quantizer(file: _File) -> tuple[int, int, int, np.ndarray]:
    """Parts, width, width of the last part, centroids of a product quantiser."""
    dim, n_parts, width, last = file.numbers("4i")
    if min(dim, n_parts, width, last) < 1 or (n_parts - 1) * width + last != dim:
        raise file.error("its quantiser has parts that do not make up its dimension")
    return n_parts, width, last, file.array("<f4", dim * _CENTROIDS)


def _decode(codes: np.ndarray, quantizer: tuple[int, int, int, np.ndarray]) -> np.ndarray:
    n_parts, width, last, centroids = quantizer
    parts = []
    for part in range(n_parts):
        size = width if part < n_parts - 1 else last
        start = part * _CENTROIDS * width
        table = centroids[start : start + _CENTROIDS * size].reshape(_CENTROIDS, size)
        parts.append(table[codes[:, part]])
    return np.concatenate(parts, axis=1)


def _matrix(file: _File, quantized: bool, dim: int) -> np.ndarray:
    if not quantized:
        n_rows, n_columns = file.numbers("2q")
        if n_columns != dim:
            raise file.error(f"a matrix has {n_columns} columns for a dimension of {dim}")
        return file.array("<f4", n_rows, n_columns).astype(np.float32)
    with_norms, n_rows, n_columns, n_codes = file.numbers("?2qi")
    if n_columns != dim or n_rows < 0 or n_codes < 0:
        raise file.error(f"a quantised matrix of shape ({n_rows}, {n_columns})")
    codes = file.array("<u1", n_codes)
    quantizer = _quantizer(file)
    if n_rows * quantizer[0] != n_codes or len(quantizer[3]) != dim * _CENTROIDS:
        raise file.error(f"{n_codes} codes for {n_rows} rows")
    if 4 * n_rows * dim > _MOST_DECODED * len(file.data):
        raise file.error(
            f"decoded, {n_rows} rows would take more than {_MOST_DECODED} times its length"
        )
    norms = np.ones(n_rows, dtype=np.float32)
    if with_norms:
        norm_codes = file.array("<u1", n_rows)
        norm_quantizer = _quantizer(file)
        if len(norm_quantizer[3]) != _CENTROIDS:
            raise file.error("its norms are no single numbers")
        norms = _decode(norm_codes[:, None], norm_quantizer)[:, 0]
    return norms[:, None] * _decode(codes.reshape(n_rows, -1), quantizer)


def read_model(path: str | os.PathLike) -> FastTextModel:
    """Read a supervised model.

    Raises
    ------
    ValueError
        If the file is cut short, is something else, or contradicts itself.
    """
    file = _File(path)
    magic, version = file.numbers("2i")
    if magic != _MAGIC or version not in (11, 12):
        raise file.error("it does not begin as one of version 11 or 12")
    dim, _, _, _, _, word_ngrams, loss, model, n_buckets, min_n, max_n, _ = file.numbers("12i")
    file.numbers("d")
    if model != _SUPERVISED:
        raise file.error("it has word vectors (cbow or skipgram) and no labels")
    if version == 11:
        max_n = 0
    if loss not in _LOSSES or dim < 1 or n_buckets < 0 or word_ngrams < 0:
        raise file.error("its arguments are out of range")
    size, n_words, n_labels = file.numbers("3i")
    _, n_pruned = file.numbers("2q")
    if n_words < 0 or n_labels < 1 or size != n_words + n_labels:
        raise file.error(f"a dictionary of {size} entries, {n_words} words, {n_labels} labels")
    words: list[bytes] = []
    labels: list[bytes] = []
    for _ in range(size):
        word = file.word()
        _, kind = file.numbers("qb")
        (labels if kind == 1 else words).append(word)
    if len(words) != n_words or len(set(words)) != n_words or len(set(labels)) != n_labels:
        raise file.error("its dictionary is not that of its header")
    kept = None
    if n_pruned >= 0:
        pairs = file.array("<i4", n_pruned, 2)
        kept = pairs[np.argsort(pairs[:, 1], kind="stable")]
        if not np.array_equal(kept[:, 1], np.arange(n_pruned)) or np.any(kept[:, 0] < 0):
            raise file.error("its kept buckets are not numbered from 0")
        kept = kept[:, 0].tolist()
        if len(set(kept)) != n_pruned:
            raise file.error("it keeps a bucket twice")
    (quantized,) = file.numbers("?")
    embedding = _matrix(file, quantized, dim)
    (quantized_output,) = file.numbers("?")
    output = _matrix(file, quantized and quantized_output, dim)
    n_kept = n_buckets if kept is None else len(kept)
    # Without subwords and word n-grams newer files have no rows for buckets.
    if len(embedding) != n_words + n_kept and (len(embedding) != n_words or kept):
        raise file.error(f"{len(embedding)} rows of the input for {n_words + n_kept} features")
    if len(output) != n_labels:
        raise file.error(f"{len(output)} rows of the output for {n_labels} labels")
    if not (np.isfinite(embedding).all() and np.isfinite(output).all()):
        raise file.error("it has weights that are not finite")
    return FastTextModel(
        _LOSSES[loss], min_n, max_n, word_ngrams, len(embedding) - n_words if kept is None else
        n_buckets, words, labels, kept, embedding, output,
    )  # fmt: skip
