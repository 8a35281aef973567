"""Rows of a fit on the workers, cut into shards of neighbouring rows."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from distributed import Client, Future

from .._data.label_sets import LabelSets, Target
from .._data.rows import Rows
from .._data.weights import read_sample_weight
from .._sklearn import _num_samples
from .partitions import as_block, persisted
from .records import CHANGED, Block, Cut, Facts, RawShard


def read_block(model: Any, X: Any, y: Any, weight: Any) -> Block | None:
    X, y = as_block(X), as_block(y)
    if _num_samples(X) == 0 and _num_samples(y) == 0:
        return None
    model = copy.copy(model)
    rows, label_sets = model._read(X, y, reset=True)
    weight = read_sample_weight(weight, X, rows.shape[0], allow_all_zero=True)
    names = getattr(model, "feature_names_in_", None)
    return Block(rows, label_sets, weight, model._target, names)


def facts_of(block: Block | None) -> Facts:
    if block is None:
        return Facts(0)
    n_rows, n_features = block.rows.shape
    return Facts(
        n_rows,
        n_features,
        block.target,
        block.names,
        block.rows.dense,
        block.weight is not None,
    )


def read_partitions(
    client: Client, engine: Any, *parts: list[Any] | None
) -> tuple[list[Future], list[Facts]]:
    """Read the partitions of X, y and weights, each where it is."""
    X, y, weights = persisted(client, *parts)
    blocks = [
        client.submit(read_block, engine, *parts, pure=False)
        for parts in zip(X, y, weights or [None] * len(X), strict=True)
    ]
    # Dask frees the partitions as soon as they have been read.
    del X, y, weights
    return blocks, client.gather([client.submit(facts_of, block, pure=False) for block in blocks])


def make_shard(blocks: list[Block], cuts: list[Cut], first_row: int, target: Target) -> RawShard:
    rows, label_sets, weights = [], [], []
    for block, cut in zip(blocks, cuts, strict=True):
        if block is None or block.rows.shape != cut.shape:
            raise RuntimeError(CHANGED)
        sets = block.label_sets
        if target.kind == "multiclass":
            codes = np.searchsorted(target.classes, block.target.classes).astype(np.int32)
            sets = LabelSets(sets.indptr, codes[sets.indices], target.n_labels)
        rows.append(block.rows.part(cut.first, cut.last))
        label_sets.append(sets.part(cut.first, cut.last))
        weights.append(None if block.weight is None else block.weight[cut.first : cut.last])
    weight = None if weights[0] is None else np.concatenate(weights)
    return RawShard(first_row, Rows.stacked(rows), LabelSets.stacked(label_sets), weight)


def weight_sums(shard: RawShard) -> tuple[np.ndarray, float, int]:
    """Rows of each label, sum and number of the positive sample weights."""
    counts = shard.label_sets.counts()
    if shard.weight is None:
        return counts, 0.0, 0
    positive = shard.weight[shard.weight > 0]
    return counts, float(positive.sum()), len(positive)


def common_facts(facts: list[Facts]) -> tuple[Facts, Target]:
    """What all partitions that have rows agree on, and the target of them all."""
    filled = [fact for fact in facts if fact.n_rows]
    if not filled:
        raise ValueError("Found array with 0 sample(s) in all partitions of X.")
    first = filled[0]
    for number, fact in enumerate(facts):
        if not fact.n_rows:
            continue
        if fact.n_features != first.n_features:
            raise ValueError(
                f"Partition {number} of X has {fact.n_features} features, others have "
                f"{first.n_features}. Use the same columns in all partitions."
            )
        if fact.dense != first.dense:
            raise ValueError("Some partitions of X are sparse, some dense. Convert all to CSR.")
        if fact.weighted != first.weighted:
            raise ValueError(
                "Some partitions have sample weights and some have none. Give all of them "
                "weights; 1 changes nothing."
            )
        if not np.array_equal(fact.names, first.names):
            raise ValueError(f"Partition {number} of X has other feature names than the first.")
    return first, common_target([fact.target for fact in filled])


def common_target(targets: list[Target]) -> Target:
    first = targets[0]
    kinds = {(t.kind, t.n_labels if t.kind == "multilabel" else 0, t.sparse) for t in targets}
    if len(kinds) > 1:
        raise ValueError(
            "Partitions of y differ in their number of labels, or some are sparse and some "
            "dense. Use the same columns and the same container in all of them."
        )
    if first.kind == "multilabel":
        if len({None if t.names is None else tuple(t.names) for t in targets}) > 1:
            raise ValueError("Partitions of y have columns of other names, or in another order.")
        return first
    classes = np.unique(np.concatenate([target.classes for target in targets]))
    return Target("multiclass", len(classes), classes, False, classes.dtype)


def shard_bounds(n_rows: int, n_shards: int) -> list[int]:
    """First row of each shard, and the end."""
    return [i * n_rows // n_shards for i in range(n_shards + 1)]


class Shards:
    """Rows of a fit on the workers, cut into shards of neighbouring rows."""

    def __init__(self, client: Client, blocks: list[Future], facts: list[Facts], n_shards: int):
        used = [(b, fact.n_rows) for b, fact in zip(blocks, facts, strict=True) if fact.n_rows]
        begin = np.cumsum([0, *(n for _, n in used)]).tolist()
        n_rows = begin[-1]
        n_shards = min(n_shards, n_rows)
        self.client = client
        self.shape = n_rows, next(fact.n_features for fact in facts if fact.n_rows)
        self.token = uuid.uuid4().hex
        self.bounds = shard_bounds(n_rows, n_shards)
        self.sizes = np.diff(self.bounds).tolist()
        # The blocks of each shard, and the rows that it takes of each.
        self._sources = [
            [
                (block, Cut(max(first - start, 0), min(last - start, n), (n, self.shape[1])))
                for (block, n), start in zip(used, begin, strict=False)
                if start < last and start + n > first
            ]
            for first, last in pairwise(self.bounds)
        ]
        self.homes: list[str | None] = [None] * n_shards
        self._place()

    def _place(self) -> None:
        """Choose a worker for each shard: one that holds its rows, if that has room."""
        threads = self.client.nthreads()
        n_shards = len(self.sizes)
        room = {w: -(-n_shards * n // sum(threads.values())) for w, n in sorted(threads.items())}
        held = self.client.who_has([b for source in self._sources for b, _ in source])
        for i, source in enumerate(self._sources):
            rows = dict.fromkeys((worker for worker in room if room[worker]), 0)
            for block, cut in source:
                for worker in held.get(block.key, ()):
                    if worker in rows:
                        rows[worker] += cut.last - cut.first
            if rows:
                self.homes[i] = max(rows, key=rows.get)
                room[self.homes[i]] -= 1

    def make(self, target: Target) -> None:
        """Cut the shards."""
        self.futures = [
            self.submit(
                i,
                make_shard,
                [block for block, _ in source],
                [cut for _, cut in source],
                self.bounds[i],
                target,
            )
            for i, source in enumerate(self._sources)
        ]
        # Dask keeps their origin, in case that a worker is lost.
        self._sources = []

    def rehome(self) -> None:
        """Give shards of workers that are gone to those that have the fewest."""
        alive = self.client.nthreads()
        for i, home in enumerate(self.homes):
            if home not in alive and alive:
                load = {w: self.homes.count(w) / n for w, n in sorted(alive.items())}
                self.homes[i] = min(load, key=load.get)

    def submit(self, shard: int, function: Callable, *args: Any, **options: Any) -> Future:
        """Run where the shard is; elsewhere only if that worker is gone."""
        home = self.homes[shard]
        if home is not None:
            options.update(workers=[home], allow_other_workers=True)
        return self.client.submit(function, *args, pure=False, **options)

    def map(self, function: Callable, *before: Any, after: tuple = ()) -> list[Future]:
        """Call a function for each shard, on its worker."""
        return [
            self.submit(i, function, *before, shard, *after)
            for i, shard in enumerate(self.futures)
        ]
