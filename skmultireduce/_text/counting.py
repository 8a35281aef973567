"""Matrices of counted or hashed n-grams, by one pass over the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .._data.sparse import stacked_offsets
from .._kernels import text as kernel
from .._models.threads import usable_threads
from .._sklearn import csr
from .analysis import SEED, Analysis, batches

__all__ = ["Learned", "count", "document_counts", "fixed_terms", "hash_rows", "learn"]

# Characters of the texts that are analysed at a time: by one thread, and by each of several
# that learn terms, whose tables are merged then.
_CHARACTERS = 1 << 20
_CHARACTERS_A_THREAD = 1 << 23

# Tables of vocabularies: no attributes, as they may not be pickled or copied.
_tables: WeakKeyDictionary[Any, tuple[dict, int, kernel.Terms]] = WeakKeyDictionary()


def _value_type(dtype: Any) -> str:
    """Type of the counts that kernels give for a matrix of a type: that one, if they can."""
    name = np.dtype(dtype).name
    return name if name in kernel.VALUE_TYPES and np.dtype(dtype).isnative else "int32"


def _join(parts: list[kernel.Rows]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, columns and offsets of rows one after the other."""
    arrays = [
        (np.frombuffer(counts, part.value_type), np.frombuffer(columns, np.int32), offsets)
        for part, (columns, counts, offsets) in ((part, part.take()) for part in parts)
    ]
    counts, columns, offsets = zip(*arrays, strict=True)
    offsets = [np.frombuffer(part, np.int64) for part in offsets]
    if len(parts) == 1:
        return counts[0], columns[0], offsets[0]
    return np.concatenate(counts), np.concatenate(columns), stacked_offsets(offsets)


def _matrix(parts: list[kernel.Rows], n_columns: int, dtype: Any, n_seen: int | None = None):
    counts, columns, offsets = _join(parts)
    # What scikit-learn counts: of hashed n-grams also repeated ones.
    n_entries = len(columns) if n_seen is None else n_seen
    kind = np.int64 if n_entries > np.iinfo(np.int32).max else np.int32
    columns, offsets = columns.astype(kind, copy=False), offsets.astype(kind, copy=False)
    return csr((counts, columns, offsets), (len(offsets) - 1, n_columns), dtype)


def _run(
    make: Callable[[bool], kernel.Rows],
    source: Iterator[tuple[list | kernel.Lines, bytearray, bool]],
    n_jobs: int | None,
    settle: Callable[[list[kernel.Rows], ThreadPoolExecutor], None] | None = None,
) -> list[kernel.Rows]:
    """Read batches, all into the same rows, or by threads into rows each.

    `make` gives rows, which are all there are or some of several.
    """
    batch = next(source, ([], bytearray(), False))
    n_threads = usable_threads(n_jobs) if batch[-1] else 1
    if n_threads == 1:
        rows = make(True)
        if isinstance(batch[0], kernel.Lines):
            rows.read_lines(batch[0])
        else:
            rows.read(*batch[:2])
        for texts, prepared, _ in source:
            rows.read(texts, prepared)
        return [rows]

    def read(batch: tuple[list, bytearray, bool]) -> kernel.Rows:
        rows = make(False)
        rows.read(*batch[:2])
        return rows

    parts: list[kernel.Rows] = []
    source = chain([batch], source)
    with ThreadPoolExecutor(n_threads) as pool:
        while round_ := list(islice(source, n_threads)):
            found = list(pool.map(read, round_))
            if settle is not None:
                settle(found, pool)
            parts += found
    return parts


def fixed_terms(vectorizer: Any) -> kernel.Terms | None:
    """Return the table of ``vocabulary_``, kept as long as it does not change.

    None: it is no dict of str to 0, …, n - 1.
    """
    vocabulary = vectorizer.vocabulary_
    if type(vocabulary) is not dict:
        return None
    version = kernel.version(vocabulary)
    kept = _tables.get(vectorizer)
    if kept is not None and kept[0] is vocabulary and kept[1] == version:
        return kept[2]
    terms = kernel.columns_to_terms(vocabulary)
    if terms is None:
        return None
    table = kernel.Terms(SEED, terms)
    _tables[vectorizer] = vocabulary, version, table
    return table


def count(
    vectorizer: Any, analysis: Analysis, documents: Iterable, terms: kernel.Terms, dtype: Any
):
    """Return the counts of known terms."""

    def make(whole: bool) -> kernel.Rows:
        return kernel.Rows(
            analysis.settings,
            analysis.lower,
            terms,
            False,
            analysis.analyze,
            value_type=_value_type(dtype),
        )

    source = batches(vectorizer, analysis, documents, _CHARACTERS)
    X = _matrix(_run(make, source, vectorizer.n_jobs), len(terms), dtype)
    X.has_sorted_indices = True
    return X


def document_counts(X: Any) -> np.ndarray:
    """Number of rows of a CSR matrix that have each column; int64.

    A part at a time, as np.bincount makes a copy of 8 bytes an entry.
    """
    counts = np.zeros(X.shape[1], dtype=np.int64)
    step = max(1 << 16, 4 * len(counts))
    for first in range(0, len(X.indices), step):
        counts += np.bincount(X.indices[first : first + step], minlength=len(counts))
    return counts


class Learned:
    """Stands for ``vocabulary_`` while fit is at work: terms, and the columns of those kept.

    Attributes
    ----------
    terms : Terms
    kept : int32 array of shape (n_kept,)
        Numbers of the terms that are kept, in the order in which they were seen.
    columns : int32 array of shape (n_kept,)
    as_scalars : bool
        Whether the columns are NumPy's integers in the dict, as where ``max_features`` is
        the last step.
    """

    def __init__(self, terms: kernel.Terms) -> None:
        self.terms = terms
        self.kept = self.columns = np.arange(len(terms), dtype=np.int32)
        self.as_scalars = False

    def __len__(self) -> int:
        return len(self.kept)

    def sort(self) -> np.ndarray:
        """Number the terms in their order; new columns of the former ones (int32)."""
        order = self.kept.copy()
        self.terms.sort(order)
        rank = np.empty(len(self.terms), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        new = rank if len(order) == len(rank) else rank[self.kept]
        renamed = new
        if self.columns is not self.kept:
            renamed = np.empty(len(order), dtype=np.int32)
            renamed[self.columns] = new
        self.columns = new
        self.as_scalars = False
        return renamed

    def limit(self, mask: np.ndarray) -> None:
        """Keep the columns of the mask."""
        self.as_scalars = True
        if mask.all():
            return
        chosen = mask[self.columns]
        self.kept = self.kept[chosen]
        self.columns = (np.cumsum(mask, dtype=np.int32) - np.int32(1))[self.columns[chosen]]

    def to_dict(self) -> dict[str, int]:
        """Return what ``vocabulary_`` is for scikit-learn."""
        if self.as_scalars:
            columns = self.columns.astype(np.int64)
            return dict(zip(self.terms.strings(self.kept), columns, strict=True))
        return self.terms.to_dict(self.kept, self.columns)


def learn(vectorizer: Any, analysis: Analysis, documents: Iterable, dtype: Any):
    """Return the terms of the documents and their counts."""
    terms = kernel.Terms(SEED)
    settings, lower, _, analyze = analysis

    def make(whole: bool) -> kernel.Rows:
        table = terms if whole else kernel.Terms(SEED)
        # Rows that get other columns are of the kernel's own type.
        value_type = _value_type(dtype) if whole else "int32"
        return kernel.Rows(settings, lower, table, True, analyze, whole, value_type=value_type)

    def merge(parts: list[kernel.Rows], pool: ThreadPoolExecutor) -> None:
        # In the order of the documents: terms are numbered as one thread would.
        numbers = [np.frombuffer(terms.merge(part.terms), np.int32) for part in parts]
        list(pool.map(lambda part, new: part.rename(new, terms), parts, numbers))

    # Tables are merged by one thread: rarely, and then many terms are the same.
    size = _CHARACTERS if vectorizer.n_jobs in (None, 1) else _CHARACTERS_A_THREAD
    source = batches(vectorizer, analysis, documents, size)
    parts = _run(make, source, vectorizer.n_jobs, merge)
    X = _matrix(parts, len(terms), dtype)
    X.has_sorted_indices = True
    return Learned(terms), X


def hash_rows(vectorizer: Any, analysis: Analysis, documents: Iterable, dtype: np.dtype):
    """Return the sums of signs of hashed n-grams; None if there is no document."""
    # Adding ones to a float stops at 2 to the number of its digits.
    largest = 1 << 24 if dtype == np.float32 else np.iinfo(np.int32).max
    hashing = (int(vectorizer.n_features), bool(vectorizer.alternate_sign), largest)
    settings, lower, _, analyze = analysis

    def make(whole: bool) -> kernel.Rows:
        return kernel.Rows(
            settings, lower, None, False, analyze, True, hashing, _value_type(dtype)
        )

    source = batches(vectorizer, analysis, documents, _CHARACTERS)
    parts = _run(make, source, vectorizer.n_jobs)
    if not sum(map(len, parts)):
        return None
    n_seen = sum(part.n_seen for part in parts)
    X = _matrix(parts, vectorizer.n_features, dtype, n_seen)
    X.has_canonical_format = True
    return X
