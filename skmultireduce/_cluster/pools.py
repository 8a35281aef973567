"""Held-out rows of a fold on the workers, and their counts."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from distributed import Client, Future

from .._cutoff.counters import add_up
from .._cutoff.scores import Pool, Source
from .._data.label_sets import LabelSets, Target, read_labels
from .._sklearn import _num_samples, _safe_indexing
from .partitions import as_block
from .records import Held, Split
from .shards import common_target


def read_sets(X: Any, y: Any) -> tuple[LabelSets, Target] | None:
    y = as_block(y)
    n_rows = [_num_samples(as_block(X)), _num_samples(y)]
    if n_rows[0] != n_rows[1]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {n_rows} in a "
            "partition of X and that of y."
        )
    return read_labels(y) if n_rows[1] else None


def set_facts(read: tuple[LabelSets, Target] | None) -> tuple[int, Target | None]:
    return (0, None) if read is None else (read[0].n_rows, read[1])


def fold_counts(
    read: tuple[LabelSets, Target], split: Split | None, first_row: int
) -> list[tuple[int, np.ndarray]]:
    """Number of rows, and of the rows of each label: of all, and of each held-out fold."""
    parts = [read[0]]
    if split is not None:
        folds = split.folds(read[0].n_rows, first_row)
        parts += [read[0].take(np.flatnonzero(folds == f)) for f in range(split.n_folds)]
    return [(part.n_rows, part.counts()) for part in parts]


def take_training_rows(part: Any, held: Held) -> Any:
    part = as_block(part)
    n_rows = _num_samples(part)
    return _safe_indexing(part, held.rows(n_rows, train=True)) if n_rows else part


def count_scores(
    estimator: Any,
    X: Any,
    read: tuple[LabelSets, Target],
    held: Held,
    jobs: list,
    source: Source,
    log_prior: np.ndarray | None,
) -> list[Any]:
    """One pass over the scores of the held-out rows of a partition."""
    label_sets = read[0]
    rows = held.rows(label_sets.n_rows)
    if rows is not None:
        label_sets = label_sets.take(rows)
    blocks = source.blocks(estimator, as_block(X), rows)
    # Tasks of one worker get the same empty accumulators.
    return Pool(blocks, label_sets, None, log_prior).accumulate(copy.deepcopy(jobs))


def added_up(*accumulators: list[Any]) -> list[Any]:
    return add_up(list(accumulators))


class LabelParts:
    """Partitions of X and y that have rows, with the label sets read on their workers."""

    def __init__(self, client: Client, X: list, y: list):
        read = [client.submit(read_sets, *parts, pure=False) for parts in zip(X, y, strict=True)]
        facts = client.gather([client.submit(set_facts, part, pure=False) for part in read])
        filled = [i for i, (n_rows, _) in enumerate(facts) if n_rows]
        target = common_target([facts[i][1] for i in filled]) if filled else None
        if target is None or target.kind != "multilabel":
            raise ValueError(
                "y has no rows, or is 1-D. A cutoff needs multi-label indicators; for 1-D y use "
                "DaskMultiLabelSGDClassifier alone."
            )
        self.client, self.target = client, target
        self.X, self.y, self.read = ([parts[i] for i in filled] for parts in (X, y, read))
        n_rows = [facts[i][0] for i in filled]
        self.first_rows = np.cumsum([0, *n_rows[:-1]]).tolist()

    def fold_counts(self, split: Split | None) -> list[tuple[int, np.ndarray]]:
        """Number of rows, and of the rows of each label: of all, and of each held-out fold."""
        found = self.client.gather(
            [
                self.client.submit(fold_counts, read, split, first_row)
                for read, first_row in zip(self.read, self.first_rows, strict=True)
            ]
        )
        return [
            (sum(n for n, _ in own), sum(counts for _, counts in own))
            for own in zip(*found, strict=True)
        ]

    def held(self, split: Split | None, fold: int) -> list[Held]:
        """What each partition holds out in a fold."""
        return [Held(split, fold, first_row) for first_row in self.first_rows]


@dataclass(frozen=True)
class ClusterPool:
    """Held-out rows of one fold, on the workers; for the search it is like any `Pool`.

    Parameters
    ----------
    client : Client
        The cluster.
    estimator : Future
        Scores the rows; see `on_workers`.
    parts : list of (Future, Future, Held)
        X, label sets and what is held out, for each partition.
    label_counts : ndarray of shape (n_labels,)
        Number of rows of each label.
    source, log_prior
        As of `CutRule`.
    dtype : dtype or None
        As of `Pool`.
    """

    client: Client
    estimator: Future
    parts: list[tuple[Future, Future, Held]]
    label_counts: np.ndarray
    source: Source
    log_prior: np.ndarray | None = None
    dtype: Any = None

    weighted: ClassVar[bool] = False
    gain: ClassVar[None] = None

    @staticmethod
    def on_workers(client: Client, estimator: Any) -> Future:
        """Send an estimator to all workers."""
        return client.scatter(estimator, broadcast=True, hash=False)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.label_counts)

    def counts(self) -> np.ndarray:
        """Number of rows of each label."""
        return self.label_counts

    def accumulate(self, jobs: list[tuple[Any, Any]]) -> list[Any]:
        """One pass over the scores; accumulators are added up on the workers, in pairs."""
        submit = self.client.submit
        sent = self.client.scatter(jobs, broadcast=True, hash=False)
        options = replace(self.source, dtype=self.dtype), self.log_prior
        found = [
            submit(count_scores, self.estimator, X, y, held, sent, *options, pure=False)
            for X, y, held in self.parts
        ]
        while len(found) > 1:
            pairs = [found[i : i + 2] for i in range(0, len(found), 2)]
            found = [submit(added_up, *pair, pure=False) for pair in pairs]
        return found[0].result()
