"""The linear classifier and the cutoff on a Dask cluster.

Rows stay where Dask put them. Training cuts them into `n_shards` shards of neighbouring
rows, each held by one worker for the whole fit. In a round every shard trains a copy of the
model on its own rows; then the copies are averaged, block of features by block of features,
each block on another worker. In training weights travel from worker to worker, and the
scheduler sees a handful of tasks a round. Cutoffs are counted on the workers that hold the
rows.

Everything is a Dask task with a known origin: what a lost worker held is computed again by
Dask, from the graph of X and y and from the last averaged model, of which each worker has
a copy.
"""

from __future__ import annotations

import copy
import inspect
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._cutoff.counters import Pool, add_up
from ._data.label_sets import LabelSets, Target, read_labels
from ._data.rows import Rows
from ._data.weights import read_class_weight, read_sample_weight
from ._models.threads import Threads
from ._reductions.draws import fold_numbers, row_order
from ._reductions.targets import Targets, kernel_loss
from ._sklearn import (
    Interval,
    _clone_parametrized,
    _fit_context,
    _num_samples,
    _safe_indexing,
    with_callbacks,
)
from ._state import forgets_on_error
from ._training.estimator import _has_proba, aligned_zeros
from ._training.schedule import epoch_steps
from .linear import MultiLabelSGDClassifier
from .threshold import (
    ThresholdedMultiLabel,
    _has_decision,
    _inner_has,
    _log_prior,
    _Metric,
    _score_blocks,
)

try:
    import dask.array as da
    from dask import delayed
    from dask.base import is_dask_collection, tokenize
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.sizeof import sizeof
    from distributed import Client, Future, default_client
except ImportError as error:
    raise ImportError(
        "skmultireduce.dask needs Dask and its distributed scheduler. Install them with "
        "pip install 'skmultireduce[dask]'."
    ) from error

__all__ = ["DaskMultiLabelSGDClassifier", "DaskThresholdedMultiLabel"]

# The averaging of a model is spread over at most this many workers: the number of tasks of
# a round is about twice the number of shards times this.
_MOST_BLOCKS = 16


_CHANGED = (
    "Partitions that were computed again, because a worker was lost, are not what they were. Let "
    "the graph of X and y give the same rows each time, or store them first."
)


# --- partitions --------------------------------------------------------------------------


def _client(client: Client | None) -> Client:
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


def _is_lazy(data: Any) -> bool:
    """Whether data is a Dask collection, or a list of delayed or future partitions."""
    if isinstance(data, list | tuple):
        return len(data) > 0 and all(isinstance(part, Delayed | Future) for part in data)
    return is_dask_collection(data) and hasattr(data, "to_delayed")


def _partitions(data: Any, name: str) -> list[Any]:
    """Delayed or future blocks of whole rows."""
    if isinstance(data, list | tuple) and _is_lazy(data):
        return list(data)
    # One that is not in a list could be anything: it has every attribute.
    if not _is_lazy(data) or isinstance(data, Delayed):
        raise TypeError(
            f"{name} is a {type(data).__name__}; a Dask array, DataFrame or bag, or a list of "
            "delayed blocks of rows is needed. Use dask.array.from_array, or for data that fits "
            "into memory the estimator of the same name without Dask."
        )
    if isinstance(data, da.Array) and data.ndim == 2 and data.numblocks[1] > 1:
        data = data.rechunk({1: -1})
    return np.ravel(data.to_delayed()).tolist()


def _row_chunks(data: Any) -> tuple[int, ...] | None:
    """Sizes of the partitions, if they are known."""
    if isinstance(data, da.Array) and not np.isnan(data.shape[0]):
        return data.chunks[0]
    return None


def _aligned(X: Any, **others: Any) -> list[list[Any] | None]:
    """Partitions of X and of what goes with it, row by row; no weights stay None."""
    parts_X = _partitions(X, "X")
    chunks = _row_chunks(X)
    out: list[list[Any] | None] = [parts_X]
    for name, other in others.items():
        if other is None and name == "sample_weight":
            out.append(None)
            continue
        own = _row_chunks(other)
        if chunks is not None and own is not None and own != chunks:
            if sum(own) != sum(chunks):
                raise ValueError(
                    "Found input variables with inconsistent numbers of samples: "
                    f"{[sum(chunks), sum(own)]} in X and {name}."
                )
            other = other.rechunk({0: chunks})
        parts = _partitions(other, name)
        if len(parts) != len(parts_X):
            raise ValueError(
                f"X has {len(parts_X)} partitions, {name} has {len(parts)}, and the sizes of "
                "them all are not known. Partition both in the same way, or call "
                "compute_chunk_sizes() on Dask arrays of unknown sizes."
            )
        out.append(parts)
    return out


def _persisted(client: Client, *parts: list[Any] | None) -> list[list[Any] | None]:
    """The same partitions as futures, of one common graph."""
    lazy = [part for group in parts for part in group or [] if isinstance(part, Delayed)]
    made = iter(client.compute(lazy))
    return [
        group and [next(made) if isinstance(part, Delayed) else part for part in group]
        for group in parts
    ]


def _as_block(part: Any) -> Any:
    """A partition as one container; those of bags hold lists of blocks."""
    if isinstance(part, Iterator):
        part = list(part)
    if isinstance(part, list) and part and all(getattr(p, "ndim", 0) == 2 for p in part):
        return sp.vstack(part, format="csr") if sp.issparse(part[0]) else np.concatenate(part)
    return part


# --- on the workers: reading -------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """A partition as the kernels take it."""

    rows: Rows
    label_sets: LabelSets
    weight: np.ndarray | None
    target: Target
    names: np.ndarray | None


@dataclass(frozen=True)
class _Facts:
    """What the client knows of a partition."""

    n_rows: int
    n_features: int = 0
    target: Target | None = None
    names: np.ndarray | None = None
    dense: bool = False
    weighted: bool = False


@dataclass(frozen=True)
class _Cut:
    """The rows first:last of a block of this shape."""

    first: int
    last: int
    shape: tuple[int, int]


@dataclass(frozen=True)
class _RawShard:
    """Rows first_row and following, of one worker."""

    first_row: int
    rows: Rows
    label_sets: LabelSets
    weight: np.ndarray | None


@dataclass(frozen=True)
class _Shard:
    """A shard that is ready to be trained on."""

    first_row: int
    rows: Rows
    targets: Targets
    work: Any = None


@dataclass(frozen=True)
class _Trained:
    """A copy of the model after an epoch on a shard; weights are scale * flat."""

    flat: np.ndarray
    scale: float
    loss: float
    n_rows: int


@sizeof.register((_Block, _RawShard, _Shard, _Trained, Rows, LabelSets, Targets))
def _sizeof_fields(value: Any) -> int:
    # So that the scheduler knows what moving it would cost.
    return sum(sizeof(field) for field in vars(value).values())


def _read_block(model: Any, X: Any, y: Any, weight: Any) -> _Block | None:
    X, y = _as_block(X), _as_block(y)
    if _num_samples(X) == 0 and _num_samples(y) == 0:
        return None
    model = copy.copy(model)
    rows, label_sets = model._read(X, y, reset=True)
    weight = read_sample_weight(weight, X, rows.shape[0], allow_all_zero=True)
    names = getattr(model, "feature_names_in_", None)
    return _Block(rows, label_sets, weight, model._target, names)


def _facts(block: _Block | None) -> _Facts:
    if block is None:
        return _Facts(0)
    n_rows, n_features = block.rows.shape
    return _Facts(
        n_rows,
        n_features,
        block.target,
        block.names,
        block.rows.dense,
        block.weight is not None,
    )


def _make_shard(
    blocks: list[_Block], cuts: list[_Cut], first_row: int, target: Target
) -> _RawShard:
    rows, label_sets, weights = [], [], []
    for block, cut in zip(blocks, cuts, strict=True):
        if block is None or block.rows.shape != cut.shape:
            raise RuntimeError(_CHANGED)
        sets = block.label_sets
        if target.kind == "multiclass":
            codes = np.searchsorted(target.classes, block.target.classes).astype(np.int32)
            sets = LabelSets(sets.indptr, codes[sets.indices], target.n_labels)
        rows.append(block.rows.part(cut.first, cut.last))
        label_sets.append(sets.part(cut.first, cut.last))
        weights.append(None if block.weight is None else block.weight[cut.first : cut.last])
    weight = None if weights[0] is None else np.concatenate(weights)
    return _RawShard(first_row, Rows.stacked(rows), LabelSets.stacked(label_sets), weight)


def _weight_sums(shard: _RawShard) -> tuple[np.ndarray, float, int]:
    """Rows of each label, sum and number of the positive sample weights."""
    counts = shard.label_sets.counts()
    if shard.weight is None:
        return counts, 0.0, 0
    positive = shard.weight[shard.weight > 0]
    return counts, float(positive.sum()), len(positive)


def _with_targets(model: Any, shard: _RawShard, options: dict[str, Any]) -> _Shard:
    targets = Targets.build(
        shard.label_sets,
        reduction=model.reduction,
        loss=model.loss,
        sample_weight=shard.weight,
        dtype=model.dtype,
        **options,
    )
    return _Shard(shard.first_row, shard.rows, targets)


def _sums(model: Any, shard: _Shard) -> dict[str, Any]:
    return {
        **model._row_sums(shard.rows, shard.targets),
        "n_targets": shard.targets.n_targets,
        "row_share": float(shard.targets.row_share.sum()),
    }


def _ready(model: Any, shard: _Shard) -> _Shard:
    work = model._prepare(shard.rows, shard.targets)
    return _Shard(shard.first_row, shard.rows, shard.targets, work)


# --- on the workers: training ------------------------------------------------------------


def _train_shard(
    model: Any, shard: _Shard, start: Any, epoch: int, eta: tuple[float, float]
) -> _Trained:
    """One epoch on a shard, from zeros, from the blocks of an average, or on and on."""
    model = copy.copy(model)
    stride = sum(model._widths)
    flat = aligned_zeros(((shard.rows.shape[1] + 1) * stride,), model.dtype)
    scale = 1.0
    if isinstance(start, _Trained):
        flat[:] = start.flat
        scale = start.scale
    elif start:
        np.concatenate(start, out=flat)
    model._weights, model._intercepts = flat[:-stride], flat[-stride:]
    model._scale = np.array([scale])
    n_rows = shard.rows.shape[0]
    total_loss = model._epoch(
        shard.work,
        shard.rows,
        shard.targets,
        epoch=epoch,
        first_row=shard.first_row,
        order=row_order(
            n_rows,
            seed=model._seed,
            epoch=epoch,
            first_row=shard.first_row,
            shuffle=model.shuffle,
        ),
        shown=shard.targets.shown(
            seed=model._seed,
            epoch=epoch,
            first_row=shard.first_row,
            label_sampling=model.label_sampling,
        ),
        eta=eta,
    )
    loss = total_loss()
    return _Trained(flat, float(model._scale[0]), loss, n_rows)


def _report(trained: _Trained) -> tuple[float, int]:
    return trained.loss, trained.n_rows


def _piece(trained: _Trained, first: int, last: int, share: float, stride: int) -> np.ndarray:
    """A block of weights, times the share of the shard in the average."""
    out = trained.flat[first:last] * trained.flat.dtype.type(trained.scale)
    if last == len(trained.flat):
        # The penalty does not scale intercepts.
        out[-stride:] = trained.flat[-stride:]
    if share != 1:
        out *= out.dtype.type(share)
    return out


def _sum_pieces(*pieces: np.ndarray) -> np.ndarray:
    return pieces[0] + pieces[1] if len(pieces) == 2 else pieces[0]


def _have(value: Any) -> None:
    """Nothing; but the worker has the value now."""


def _mean_step(mean: np.ndarray, value: np.ndarray, count: int) -> np.ndarray:
    return mean + (value - mean) / count


class _Rounds:
    """Epochs on the shards of a cluster, and the average of the shards' models.

    A shard of n_i of the n rows takes steps that are n / n_i times as long: with the share
    n_i / n in the average, the model moves as far as n steps on all rows would carry it,
    and the noise of the average is that of steps as they are. Steps stay within the bound
    of stability of each row.
    """

    # Of the client, which only waits.
    threads = Threads(1)

    def __init__(self, client: Client, model: Any, shards: _Shards, start: dict[str, Any]):
        self.client, self.model, self.shards = client, model, shards
        self.share = [n / shards.shape[0] for n in shards.sizes]
        self.stride = sum(model._widths)
        self.trained: list[Future] | None = None
        self.blocks: list[Future] | None = None
        self.mean: list[Future] | None = None
        # An average lives until each worker has a copy of the next one.
        self._spare: list[Future] | None = None
        self._spare_means: list[list[Future] | None] = []
        self._copies: list[Future] = []
        # Intercepts are stored like one more feature.
        n_lines = shards.shape[1] + 1
        n_blocks = min(len(set(shards.homes)), _MOST_BLOCKS, n_lines)
        lines = np.linspace(0, n_lines, n_blocks + 1).astype(np.int64)
        self.bounds = (lines * self.stride).tolist()
        if "flat" in start:
            local = _Trained(start["flat"], start["scale"], 0.0, 0)
            first = client.scatter(local, broadcast=True, hash=False)
            self.trained = [first] * len(shards.futures)
        if "mean" in start:
            parts = np.split(start["mean"], self.bounds[1:-1])
            self.mean = client.scatter(parts, broadcast=True, hash=False)
        self._n_tasks = 0

    def _submit(self, name: str, function: Callable, *args: Any, shard: int) -> Future:
        self._n_tasks += 1
        return self.shards.submit(
            shard, function, *args, key=f"{name}-{self.shards.token}-{self._n_tasks}"
        )

    def epoch(self, number: int, eta: tuple[float, float], average: bool) -> tuple[float, int]:
        """Train one epoch; return the sum of the losses and the number of rows."""
        self.shards.rehome()
        trained = []
        for i, shard in enumerate(self.shards.futures):
            start = self.blocks or (self.trained and self.trained[i])
            own_eta = tuple(step / self.share[i] for step in eta)
            trained.append(
                self._submit(
                    "train-epoch", _train_shard, self.model, shard, start, number, own_eta, shard=i
                )
            )
        before, self.blocks, self.trained = self.blocks, None, trained
        reports = [self._submit("report", _report, t, shard=i) for i, t in enumerate(trained)]
        if average and len(trained) > 1:
            # One shard goes on from its own state, penalty factor apart.
            self.blocks, self.trained = self.combined(), None
        losses, n_rows = zip(*self.client.gather(reports), strict=True)
        self._spare = before or self._spare
        return float(sum(losses)), sum(n_rows)

    def combined(self) -> list[Future]:
        """Blocks of the average of the shards' models, summed in the order of the shards."""
        return self.blocks or [self._average_block(j) for j in range(len(self.bounds) - 1)]

    def _home(self, block: int) -> int:
        """A shard of the worker on which a block is averaged."""
        return block * len(self.share) // (len(self.bounds) - 1)

    def _average_block(self, number: int) -> Future:
        """Average of one block of weights, on one worker.

        Added up in pairs of neighbours: neighbouring shards are often on one worker, so that
        few pieces travel, and the order does not depend on where they are.
        """
        first, last = self.bounds[number : number + 2]
        found = [
            (i, self._submit("piece", _piece, t, first, last, share, self.stride, shard=i))
            for i, (t, share) in enumerate(zip(self.trained, self.share, strict=True))
        ]
        while len(found) > 1:
            pairs = [found[k : k + 2] for k in range(0, len(found), 2)]
            found = [
                (
                    pair[0][0],
                    self._submit(
                        "average",
                        _sum_pieces,
                        *(piece for _, piece in pair),
                        shard=self._home(number) if len(pairs) == 1 else pair[0][0],
                    ),
                )
                for pair in pairs
            ]
        return found[0][1]

    def update_mean(self, count: int) -> None:
        """Take the present model into the mean over epochs."""
        before, self.mean = self.mean, self.combined()
        if before is not None:
            self.mean = [
                self._submit("mean", _mean_step, mean, block, count, shard=self._home(j))
                for j, (mean, block) in enumerate(zip(before, self.mean, strict=True))
            ]
        # A copy on another worker, or a lost one would cost all epochs; until it is made,
        # there are copies of the last mean.
        self._copies = [
            self._submit("copy", _have, mean, shard=self._home((j + 1) % len(self.mean)))
            for j, mean in enumerate(self.mean)
        ]
        self._spare_means = [*self._spare_means[-1:], before]

    def state(self) -> dict[str, Any]:
        """The present parameters, on the client."""
        if len(self.share) == 1:
            trained = self.client.gather(self.trained[0])
            state = {"flat": trained.flat, "scale": trained.scale}
        else:
            state = {"flat": np.concatenate(self.client.gather(self.combined())), "scale": 1.0}
        if self.mean is not None:
            state["mean"] = np.concatenate(self.client.gather(self.mean))
        return state


@dataclass(frozen=True)
class _ClusterTargets:
    """What training asks of the targets of all shards."""

    n_targets: int
    row_share: np.ndarray


def _bounds(n_rows: int, n_shards: int) -> list[int]:
    """First row of each shard, and the end."""
    return [i * n_rows // n_shards for i in range(n_shards + 1)]


class _Shards:
    """Rows of a fit on the workers, cut into shards of neighbouring rows."""

    def __init__(self, client: Client, blocks: list[Future], facts: list[_Facts], n_shards: int):
        used = [(b, fact.n_rows) for b, fact in zip(blocks, facts, strict=True) if fact.n_rows]
        begin = np.cumsum([0, *(n for _, n in used)]).tolist()
        n_rows = begin[-1]
        n_shards = min(n_shards, n_rows)
        self.client = client
        self.shape = n_rows, next(fact.n_features for fact in facts if fact.n_rows)
        self.token = uuid.uuid4().hex
        self.bounds = _bounds(n_rows, n_shards)
        self.sizes = np.diff(self.bounds).tolist()
        # The blocks of each shard, and the rows that it takes of each.
        self._sources = [
            [
                (block, _Cut(max(first - start, 0), min(last - start, n), (n, self.shape[1])))
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
                _make_shard,
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


def _common_facts(facts: list[_Facts]) -> tuple[_Facts, Target]:
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
    return first, _common_target([fact.target for fact in filled])


def _common_target(targets: list[Target]) -> Target:
    first = targets[0]
    kinds = {(t.kind, t.n_labels if t.kind == "multilabel" else 0, t.sparse) for t in targets}
    if len(kinds) > 1:
        raise ValueError(
            "Partitions of y differ in their number of labels, or some are sparse and some "
            "dense. Use the same columns and the same container in all of them."
        )
    if first.kind == "multilabel":
        return first
    classes = np.unique(np.concatenate([target.classes for target in targets]))
    return Target("multiclass", len(classes), classes, False, classes.dtype)


# --- lazy predictions --------------------------------------------------------------------


def _call_block(model: Any, method: str, X: Any, empty: Any) -> Any:
    X = _as_block(X)
    if _num_samples(X) == 0:
        return empty
    out = getattr(model, method)(X)
    return out.astype(empty.dtype, copy=False)


def _lazily(estimator: Any, method: str, X: Any, empty: Any) -> da.Array:
    """A Dask array of the method's results, one chunk for each partition of X."""
    parts = _partitions(X, "X")
    model = estimator.to_local()
    try:
        client = _client(estimator.client)
    except ValueError:
        # Any other scheduler of Dask.
        model = delayed(model, traverse=False)
    else:
        # On each worker once, and not through the scheduler with each task.
        model = delayed(client.scatter(model, broadcast=True, hash=False))
    blocks = [delayed(_call_block)(model, method, part, empty) for part in parts]
    name = f"{method}-{tokenize(*(block.key for block in blocks))}"
    rest = (0,) * (empty.ndim - 1)
    graph = {(name, i, *rest): block.key for i, block in enumerate(blocks)}
    rows = _row_chunks(X) or (np.nan,) * len(parts)
    chunks = (rows, *((size,) for size in empty.shape[1:]))
    graph = HighLevelGraph.from_collections(name, graph, dependencies=blocks)
    return da.Array(graph, name, chunks, meta=empty)


def _lazy(method: str, plain: type, condition: Callable | None = None) -> Callable:
    """The method of a plain estimator, lazy for Dask collections."""
    inner = getattr(plain, method)

    def call(self: Any, X: Any) -> Any:
        if not _is_lazy(X):
            return getattr(plain, method).__get__(self)(X)
        check_is_fitted(self)
        return _lazily(self, method, X, self._empty(method))

    call.__name__, call.__qualname__ = method, f"Dask{plain.__name__}.{method}"
    summary, _, rest = inspect.getdoc(inner).partition("\n")
    call.__doc__ = (
        f"{summary}\n\nFor a Dask collection, or a list of delayed blocks, the result is a lazy "
        f"Dask array\nwith one chunk for each partition; for other X it is at once computed here."
        f"\n{rest}\n"
    )
    call.__annotations__ = {"X": Any, "return": Any}
    return available_if(condition)(call) if condition else call


# --- estimators --------------------------------------------------------------------------


def _extended_doc(plain: type, **own: str) -> str:
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


def _signature(plain: type, *own: inspect.Parameter) -> inspect.Signature:
    """Signature of a plain estimator's constructor with more keywords in front.

    scikit-learn reads an estimator's parameters from it.
    """
    theirs = list(inspect.signature(plain.__init__).parameters.values())
    keyword = [p for p in theirs if p.kind == p.KEYWORD_ONLY]
    rest = [p for p in theirs if p.kind != p.KEYWORD_ONLY]
    return inspect.Signature([*rest, *own, *keyword])


def _keyword(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)


class _OnCluster:
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
        left_out = {*self.get_params(deep=False), "_rounds", "_pulled", "n_shards_"}
        return copy.deepcopy(
            {k: v for k, v in vars(self).items() if k not in left_out and "callback" not in k}
        )


def _no_streams(estimator: Any) -> bool:
    raise AttributeError(
        f"{type(estimator).__name__} has neither partial_fit nor fit_stream. Use "
        "dask_ml.wrappers.Incremental around MultiLabelSGDClassifier, or fit with "
        "warm_start=True."
    )


class DaskMultiLabelSGDClassifier(_OnCluster, MultiLabelSGDClassifier):  # noqa: D101
    __doc__ = _extended_doc(
        MultiLabelSGDClassifier,
        Summary="""
`MultiLabelSGDClassifier` trained on a Dask cluster.

The rows are cut into shards that stay on their workers. In each round every shard trains a
copy of the model, and the copies are averaged.
""",
        Parameters="""
client : distributed.Client, default=None
    The cluster. None: the default client.
n_shards : int, default=None
    Number of shards. None: one for each thread of the cluster. The model depends on it, not
    on how X is partitioned nor on which worker does what; with one shard it is, to the
    bit, that of `MultiLabelSGDClassifier`. In [1, inf).
epochs_per_round : int, default=1
    Epochs between two averages. More save traffic between workers, and lose quality. In
    [1, inf).
""",
        Attributes="""
n_shards_ : int
    Number of shards of the last `fit`.
""",
        Notes="""
A shard of n_i of the n rows takes steps n / n_i times as long as `eta0_` says (each row's
step stays bounded by its own curvature): the average of the shards' models then moves, to
first order, as far as one model on all rows, with the same noise. Without this 2 shards
are like half the epochs, 8 shards like an eighth. Rows should come in a random order,
at least roughly: a shard that never sees a label pulls its weights down. The guide has
figures.

Constants (`alpha`, `eta0`, class and sample weights) come from the statistics of all rows,
draws of labels from a row's number among all rows.

A worker that is lost costs the round: Dask computes its shards again from the graph of X
and y, and the round goes on from the last average, of which each worker has a copy. The
rows of each round are counted. Partitions that were sent by ``client.scatter``
have no graph and cannot come back. With one shard, or if all workers are lost at the
same time, training starts again.

`early_stopping` needs `X_val` and `y_val`, in memory. There is no `partial_fit` and no
`fit_stream`. `n_jobs` is for predictions of data in memory.
""",
        Examples="""
>>> import dask.array as da
>>> from distributed import Client
>>> from sklearn.datasets import make_multilabel_classification
>>> from skmultireduce.dask import DaskMultiLabelSGDClassifier
>>> X, y = make_multilabel_classification(random_state=0)
>>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=(50, -1))
>>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
...     model = DaskMultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
...     probabilities = model.predict_proba(X)  # lazy
...     probabilities.compute().shape
(100, 5)
>>> model.to_local()
MultiLabelSGDClassifier(random_state=0, reduction='one_vs_rest')
""",
    )

    _plain = MultiLabelSGDClassifier

    _parameter_constraints: ClassVar[dict] = {
        **MultiLabelSGDClassifier._parameter_constraints,
        "client": [Client, None],
        "n_shards": [Interval(Integral, 1, None, closed="left"), None],
        "epochs_per_round": [Interval(Integral, 1, None, closed="left")],
    }

    _rounds: _Rounds | None = None

    def __init__(
        self,
        *,
        client: Client | None = None,
        n_shards: int | None = None,
        epochs_per_round: int = 1,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.client = client
        self.n_shards = n_shards
        self.epochs_per_round = epochs_per_round

    __init__.__signature__ = _signature(
        MultiLabelSGDClassifier,
        _keyword("client", None),
        _keyword("n_shards", None),
        _keyword("epochs_per_round", 1),
    )

    # ------------------------------------------------------------------ fitting
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> DaskMultiLabelSGDClassifier:
        """Fit the model on the cluster.

        Parameters
        ----------
        X : Dask array, DataFrame or bag, or list of delayed blocks
            Rows; blocks may be dense or CSR, and are converted to `dtype` once.
        y : Dask array, DataFrame or bag, or list of delayed blocks
            Multi-label indicators or 1-D classes as for `MultiLabelSGDClassifier`, with the
            partitions of X. A Dask array with known sizes is rechunked to them.
        sample_weight : Dask array or Series, or list of delayed blocks, default=None
            Non-negative weights of the rows.
        X_val, y_val : {array-like, sparse matrix}, default=None
            Rows on which early stopping looks; they and the model come to the client.

        Returns
        -------
        self : DaskMultiLabelSGDClassifier
            Fitted estimator.

        Raises
        ------
        TypeError
            If X or y is not partitioned.
        ValueError
            If there is no client, partitions of X and y do not go together, or y or the
            parameters are not what `MultiLabelSGDClassifier` takes.
        RuntimeError
            If partitions had to be computed again, because a worker was lost, and came
            back in another shape.
        """
        self._check_parameters()
        self._check_validation(X_val, y_val)
        client = _client(self.client)
        resume = self.warm_start and self.__sklearn_is_fitted__()
        if not resume:
            self._forget()
        shards = self._read_shards(client, X, y, sample_weight, resume)
        validation = None
        if X_val is not None:
            validation = self._read_validation(X_val, y_val)
        if not resume:
            self._start(shards.shape[1], self._n_labels)
        elif self._epochs_of_run >= self.max_iter:
            # The earlier run is complete: the schedule starts again, the draws go on.
            self._epochs_of_run = 0
        targets = self._make_targets(client, shards)
        n_epochs = self.max_iter - self._epochs_of_run
        try:
            self._train_or_forget(shards, targets, n_epochs, validation, X, y)
        finally:
            self._rounds = None
        return self

    @available_if(_no_streams)
    def partial_fit(self) -> None:
        """Not available: see dask_ml.wrappers.Incremental."""

    @available_if(_no_streams)
    def fit_stream(self) -> None:
        """Not available: blocks are partitions."""

    def _check_validation(self, X_val: Any, y_val: Any) -> None:
        super()._check_validation(X_val, y_val)
        if self.early_stopping and X_val is None:
            raise ValueError(
                "On a cluster early_stopping=True needs rows to look at: pass X_val and y_val, "
                "in memory. Or set early_stopping=False, and tol to stop by the training loss."
            )

    def _engine(self) -> MultiLabelSGDClassifier:
        """A small model without weights, for the workers: the code, and what it needs."""
        return MultiLabelSGDClassifier(**{**self._local_params(), "n_jobs": None, "verbose": 0})

    def _read_shards(
        self, client: Client, X: Any, y: Any, sample_weight: Any, resume: bool
    ) -> _Shards:
        engine = self._engine()
        X, y, weights = _persisted(client, *_aligned(X, y=y, sample_weight=sample_weight))
        blocks = [
            client.submit(_read_block, engine, *parts, pure=False)
            for parts in zip(X, y, weights or [None] * len(X), strict=True)
        ]
        # Dask frees the partitions as soon as they have been read.
        del X, y, weights
        facts = client.gather([client.submit(_facts, block, pure=False) for block in blocks])
        common, target = _common_facts(facts)
        if resume:
            self._check_same(common, target)
        else:
            self.n_features_in_ = common.n_features
            self.__dict__.pop("feature_names_in_", None)
            if common.names is not None:
                self.feature_names_in_ = common.names
            self._target: Target = target
            self.classes_ = target.classes
        n_shards = self.n_shards or sum(client.nthreads().values()) or 1
        shards = _Shards(client, blocks, facts, n_shards)
        shards.make(self._target)
        self.n_shards_ = len(shards.futures)
        return shards

    def _check_same(self, common: _Facts, target: Target) -> None:
        self._check_dense_weights()
        self._check_dtype()
        mine = self._target
        if common.n_features != self.n_features_in_:
            raise ValueError(
                f"X has {common.n_features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        names = getattr(self, "feature_names_in_", None)
        if not (names is None or common.names is None or np.array_equal(names, common.names)):
            raise ValueError(
                "X has other feature names, or has them in another order, than in the fit that "
                "warm_start=True goes on from. Use the same columns, or set warm_start=False."
            )
        known = target.kind == mine.kind and (
            target.n_labels == mine.n_labels
            if mine.kind == "multilabel"
            else np.isin(target.classes, mine.classes).all()
        )
        if not known:
            raise ValueError(
                "y has other labels than in the fit that warm_start=True goes on from. Use the "
                "same columns or classes, or set warm_start=False."
            )

    def _make_targets(self, client: Client, shards: _Shards) -> _ClusterTargets:
        """Targets and step sizes by the statistics of all shards."""
        engine = self._engine()
        found = client.gather(shards.map(_weight_sums))
        counts = sum(counts for counts, _, _ in found)
        n_weights = sum(n for _, _, n in found)
        options = {"class_weight": read_class_weight(self.class_weight, self._target, counts)}
        if n_weights:
            options["mean_weight"] = sum(total for _, total, _ in found) / n_weights
        shards.futures = shards.map(_with_targets, engine, after=(options,))
        sums: dict[str, Any] = {}
        for own in client.gather(shards.map(_sums, engine)):
            sums = {name: sums.get(name, 0) + value for name, value in own.items()}
        self._count_unlabeled(shards.shape[0], sums["n_targets"])
        self._use_sums(sums, kernel_loss(self.reduction, self.loss))
        return _ClusterTargets(sums["n_targets"], np.array([sums["row_share"]]))

    def _allocate(self, n_features: int, n_labels: int) -> None:
        self._pruned = None
        # Weights begin on the workers; one panel, since a shard has one thread.
        self._lay_out(n_labels, n_threads=1)
        for name in (*self._STATE, *(f"_mean{name}" for name in self._STATE)):
            self.__dict__.pop(name, None)

    def _prepare(self, rows: _Shards, targets: _ClusterTargets) -> _Rounds:
        # Here, where the weights are.
        self._join_panels()
        engine = self._engine()
        names = ("_target", "_bounds", "_widths", "n_features_in_", "_seed")
        for name in (*names, "alpha_", "eta0_", "_mean_square"):
            setattr(engine, name, getattr(self, name))
        rows.futures = rows.map(_ready, engine)
        start = {}
        if hasattr(self, "_weights"):
            start["flat"] = np.concatenate([self._weights, self._intercepts])
            start["scale"] = float(self._scale[0])
        if self._n_averaged:
            start["mean"] = np.concatenate([self._mean_weights, self._mean_intercepts])
        self._pulled = None
        self._rounds = _Rounds(rows.client, engine, rows, start)
        return self._rounds

    def _visit(
        self,
        work: _Rounds,
        rows: _Shards,
        targets: _ClusterTargets,
        first_row: int,
        n_rows: int,
        n_ahead: int = 0,
    ) -> Callable[[], float]:
        steps = epoch_steps(self.learning_rate, self.eta0_, self._epochs_of_run, self.max_iter)
        average = (self._epochs_of_run + 1) % self.epochs_per_round == 0
        loss, n_seen = work.epoch(self._epoch_number, steps, average)
        if n_seen != n_rows:
            raise RuntimeError(
                f"Epoch {self._epoch_number} trained on {n_seen} of {n_rows} rows. {_CHANGED}"
            )
        self.t_ += targets.n_targets
        return lambda: loss

    def _update_average(self) -> None:
        self._n_averaged += 1
        self._rounds.update_mean(self._n_averaged)

    def _pull(self) -> None:
        """Bring the present parameters to the client, if they are not there."""
        if self._rounds is None or self._pulled == self.n_iter_:
            return
        state = self._rounds.state()
        stride = sum(self._widths)
        flat = np.array(state["flat"])
        self._weights, self._intercepts = flat[:-stride], flat[-stride:]
        self._scale = np.array([state["scale"]])
        if "mean" in state:
            mean = np.array(state["mean"])
            self._mean_weights, self._mean_intercepts = mean[:-stride], mean[-stride:]
            self._mean_scale = np.ones(1)
        self._pulled = self.n_iter_

    def _copy_state(self) -> dict[str, np.ndarray]:
        self._pull()
        return super()._copy_state()

    def _checksum(self) -> float:
        self._pull()
        return super()._checksum()

    def _validation_score(self, validation: tuple) -> float:
        self._pull()
        return super()._validation_score(validation)

    # -------------------------------------------------------------- predictions
    def _empty(self, method: str) -> Any:
        """Result of a method for no rows."""
        target = self._target
        if method == "predict":
            return target.to_output(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))
        binary = method == "decision_function" and target.kind == "multiclass"
        shape = (0,) if binary and target.n_labels == 2 else (0, target.n_labels)
        return np.empty(shape, dtype=self.dtype)

    predict = _lazy("predict", MultiLabelSGDClassifier)
    decision_function = _lazy("decision_function", MultiLabelSGDClassifier)
    predict_proba = _lazy("predict_proba", MultiLabelSGDClassifier, _has_proba)
    predict_log_proba = _lazy("predict_log_proba", MultiLabelSGDClassifier, _has_proba)

    # --------------------------------------------------------------- conversion
    def to_local(self) -> MultiLabelSGDClassifier:
        """The fitted estimator without Dask; its predictions are the same.

        Returns
        -------
        estimator : MultiLabelSGDClassifier
            Shares no memory with this one.
        """
        check_is_fitted(self)
        local = MultiLabelSGDClassifier(**self._local_params())
        vars(local).update(self._fitted())
        return local


# --- the cutoff --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Split:
    """Which rows are held out, as a function of the global row number."""

    seed: int
    n_folds: int = 1
    test_size: float | None = None

    def folds(self, n_rows: int, first_row: int) -> np.ndarray:
        """Fold in which each row is held out."""
        return fold_numbers(
            n_rows,
            seed=self.seed,
            n_folds=self.n_folds,
            test_size=self.test_size,
            first_row=first_row,
        )


@dataclass(frozen=True)
class _Held:
    """The rows first_row and following, held out in one fold of a split, or all of them."""

    split: _Split | None
    fold: int
    first_row: int

    def rows(self, n_rows: int, *, train: bool = False) -> np.ndarray | None:
        """Numbers within the partition; None for all of them."""
        if self.split is None:
            return None
        held = self.split.folds(n_rows, self.first_row) == self.fold
        return np.flatnonzero(held != train)


def _read_sets(X: Any, y: Any) -> tuple[LabelSets, Target] | None:
    y = _as_block(y)
    n_rows = [_num_samples(_as_block(X)), _num_samples(y)]
    if n_rows[0] != n_rows[1]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {n_rows} in a "
            "partition of X and that of y."
        )
    return read_labels(y) if n_rows[1] else None


def _set_facts(read: tuple[LabelSets, Target] | None) -> tuple[int, Target | None]:
    return (0, None) if read is None else (read[0].n_rows, read[1])


def _fold_counts(
    read: tuple[LabelSets, Target], split: _Split | None, first_row: int
) -> list[tuple[int, np.ndarray]]:
    """Number of rows, and of the rows of each label: of all, and of each held-out fold."""
    parts = [read[0]]
    if split is not None:
        folds = split.folds(read[0].n_rows, first_row)
        parts += [read[0].take(np.flatnonzero(folds == f)) for f in range(split.n_folds)]
    return [(part.n_rows, part.counts()) for part in parts]


def _take_rows(part: Any, held: _Held) -> Any:
    part = _as_block(part)
    n_rows = _num_samples(part)
    return _safe_indexing(part, held.rows(n_rows, train=True)) if n_rows else part


def _count_scores(
    estimator: Any,
    X: Any,
    read: tuple[LabelSets, Target],
    held: _Held,
    jobs: list,
    method: str,
    never: np.ndarray | None,
    log_prior: np.ndarray | None,
) -> list[Any]:
    """One pass over the scores of the held-out rows of a partition."""
    label_sets = read[0]
    rows = held.rows(label_sets.n_rows)
    if rows is not None:
        label_sets = label_sets.take(rows)
    blocks = _score_blocks(estimator, _as_block(X), rows, method, label_sets.n_labels, never)
    # Tasks of one worker get the same empty accumulators.
    return Pool(blocks, label_sets, None, log_prior).accumulate(copy.deepcopy(jobs))


def _add_up(*accumulators: list[Any]) -> list[Any]:
    return add_up(list(accumulators))


class _ClusterPool:
    """Held-out rows of one fold, on the workers; for the search it is like any `Pool`."""

    weighted = False

    def __init__(
        self,
        client: Client,
        estimator: Any,
        parts: list[tuple[Future, Future, _Held]],
        counts: np.ndarray,
        *options: Any,
    ):
        self.client, self.parts, self.options, self._counts = client, parts, options, counts
        self.n_labels = len(counts)
        self.estimator = client.scatter(estimator, broadcast=True, hash=False)

    def counts(self) -> np.ndarray:
        """Number of rows of each label."""
        return self._counts

    def accumulate(self, jobs: list[tuple[Any, Any]]) -> list[Any]:
        """One pass over the scores; accumulators are added up on the workers, in pairs."""
        submit = self.client.submit
        sent = self.client.scatter(jobs, broadcast=True, hash=False)
        found = [
            submit(_count_scores, self.estimator, X, y, held, sent, *self.options, pure=False)
            for X, y, held in self.parts
        ]
        while len(found) > 1:
            pairs = [found[i : i + 2] for i in range(0, len(found), 2)]
            found = [submit(_add_up, *pair, pure=False) for pair in pairs]
        return found[0].result()


class DaskThresholdedMultiLabel(_OnCluster, ThresholdedMultiLabel):  # noqa: D101
    __doc__ = _extended_doc(
        ThresholdedMultiLabel,
        Summary="""
`ThresholdedMultiLabel` on a Dask cluster: the exact cutoff of rows that no machine holds.

Each partition is scored and counted where it lies; the counts are added up. The cutoff is
the one that `ThresholdedMultiLabel` finds for the same scores.
""",
        Parameters="""
client : distributed.Client, default=None
    The cluster. None: the default client.
""",
        Notes="""
`estimator` is a `DaskMultiLabelSGDClassifier`, or with ``cv="prefit"`` any fitted
estimator of the partitions' rows: pipelines that begin with a vectorizer as well.

`cv` is an int, None (5), a float or ``"prefit"``. The fold of a row is a function of its
number among all rows, not of the partitions. `scoring` is one of those that are exact.
Metadata is not routed: for sample weights fit the estimator first. `n_jobs` has no meaning.

For ``"jaccard_micro"`` and ``"f1_micro"`` all counts are integers: cutoff and score are to the
bit those of `ThresholdedMultiLabel` for the same scores. Those of a linear model of this
package do not depend on the partitions; matrix products, as of `MultiLabelMLPClassifier`,
may round the scores of a row otherwise beside other rows. Other averages sum fractions, in
the order of the partitions, so scores may differ in the last digits.
""",
        Examples="""
>>> import dask.array as da
>>> from distributed import Client
>>> from sklearn.datasets import make_multilabel_classification
>>> from skmultireduce.dask import DaskMultiLabelSGDClassifier, DaskThresholdedMultiLabel
>>> X, y = make_multilabel_classification(random_state=0)
>>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=(50, -1))
>>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
...     model = DaskThresholdedMultiLabel(
...         DaskMultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0),
...         random_state=0,
...     ).fit(X, y)
...     model.predict(X).compute().shape
(100, 5)
""",
    )

    _plain = ThresholdedMultiLabel

    _parameter_constraints: ClassVar[dict] = {
        **ThresholdedMultiLabel._parameter_constraints,
        "client": [Client, None],
    }

    def __init__(self, estimator: Any, *, client: Client | None = None, **params: Any) -> None:
        super().__init__(estimator, **params)
        self.client = client

    __init__.__signature__ = _signature(ThresholdedMultiLabel, _keyword("client", None))

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    @forgets_on_error
    def fit(self, X: Any, y: Any) -> DaskThresholdedMultiLabel:
        """Tune the cutoff and fit the inner estimator, on the cluster.

        Parameters
        ----------
        X : Dask array, DataFrame or bag, or list of delayed blocks
            Rows.
        y : Dask array, DataFrame or bag, or list of delayed blocks
            Multi-label indicators, with the partitions of X.

        Returns
        -------
        self : DaskThresholdedMultiLabel

        Raises
        ------
        TypeError
            If X or y is not partitioned.
        ValueError
            If the parameters ask for what cannot be distributed, contradict each other, or
            no cutoff satisfies the constraint.
        """
        self._check_limits()
        metric = _Metric(self.scoring)
        self._check_combination(metric)
        self._check_distributable(metric)
        client = _client(self.client)
        given = _persisted(client, *_aligned(X, y=y))
        read = [
            client.submit(_read_sets, *parts, pure=False) for parts in zip(*given, strict=True)
        ]
        facts = client.gather([client.submit(_set_facts, part, pure=False) for part in read])
        filled = [i for i, (n_rows, _) in enumerate(facts) if n_rows]
        target = _common_target([facts[i][1] for i in filled]) if filled else None
        if target is None or target.kind != "multilabel":
            raise ValueError(
                "y has no rows, or is 1-D. A cutoff needs multi-label indicators; for 1-D y use "
                "DaskMultiLabelSGDClassifier alone."
            )
        self._target = target
        first_rows = np.cumsum([0, *(n_rows for n_rows, _ in facts)]).tolist()
        split = self._split()
        found = client.gather(
            [client.submit(_fold_counts, read[i], split, first_rows[i]) for i in filled]
        )
        whole, *held = [
            (sum(n for n, _ in own), sum(counts for _, counts in own))
            for own in zip(*found, strict=True)
        ]
        if any(n_rows in (0, whole[0]) for n_rows, _ in held):
            raise ValueError(
                f"cv={self.cv!r} of {whole[0]} rows has a fold without rows to train or to tune "
                "on. Choose another cv."
            )
        n_fits = len(held) + bool(self.refit) if held else 0
        context = self._init_callback_context(max_subtasks=n_fits)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        # What is held out in each fold, with what is known of its training rows.
        folds = [[_Held(split, f, first_rows[i]) for i in filled] for f in range(len(held) or 1)]
        train = [(whole[0] - n_rows, whole[1] - counts) for n_rows, counts in held] or [whole]
        if held:
            fitted = [self._fit_inner(client, given, filled, own, context) for own in folds]
        else:
            self._check_prefit()
            fitted = [self.estimator]
        self._response_method = self._method(*fitted)
        pools = [
            _ClusterPool(
                client,
                _local(estimator),
                [(given[0][i], read[i], part) for i, part in zip(filled, own, strict=True)],
                counts,
                self._response_method,
                train_counts == 0 if held else None,
                _log_prior(train_counts, n_rows) if self.strategy == "adjusted" else None,
            )
            for estimator, own, (_, counts), (n_rows, train_counts) in zip(
                fitted, folds, held or [whole], train, strict=True
            )
        ]
        self._tune(pools, metric)
        if held and self.refit:
            self.estimator_ = self._fit_inner(client, given, filled, None, context)
            train = [whole]
        else:
            self.estimator_ = fitted[0]
        n_rows, counts = train[0]
        self._never = counts == 0 if held else None
        self._log_prior = None
        if self.strategy == "adjusted":
            self._log_prior = self.label_log_prior_ = _log_prior(counts, n_rows)
        self._copy_attributes()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _check_distributable(self, metric: _Metric) -> None:
        if not metric.exact:
            raise ValueError(
                f"scoring={self.scoring!r} needs all predictions in one place. On a cluster use "
                "a micro, samples or macro average of jaccard or f1; or ThresholdedMultiLabel "
                "with cv='prefit' on a sample of the rows."
            )
        if self.cv is not None and not isinstance(self.cv, Real | str):
            raise ValueError(
                "cv is a splitter or an iterable, which needs all rows in one place. On a cluster "
                "use the number of folds, the share of held-out rows, or 'prefit'."
            )
        if not isinstance(self.cv, str) and not isinstance(
            self.estimator, DaskMultiLabelSGDClassifier
        ):
            raise ValueError(
                f"estimator is a {type(self.estimator).__name__}, which does not train on a "
                "cluster. Use DaskMultiLabelSGDClassifier, or a fitted estimator with "
                "cv='prefit'."
            )

    def _split(self) -> _Split | None:
        if isinstance(self.cv, str):
            return None
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(np.iinfo(np.int64).max, dtype=np.int64))
        if self.cv is None or isinstance(self.cv, Integral):
            n_folds = 5 if self.cv is None else int(self.cv)
            self._check_refit(n_folds)
            return _Split(seed, n_folds)
        return _Split(seed, test_size=float(self.cv))

    def _fit_inner(
        self,
        client: Client,
        given: list,
        filled: list[int],
        held: list[_Held] | None,
        context: Any,
    ) -> DaskMultiLabelSGDClassifier:
        """Fit a clone on all rows, or on those that a fold leaves for training."""
        X, y = ([parts[i] for i in filled] for parts in given)
        if held is not None:
            X, y = (
                [
                    client.submit(_take_rows, part, own, pure=False)
                    for part, own in zip(parts, held, strict=True)
                ]
                for parts in (X, y)
            )
        estimator = clone(self.estimator)
        if estimator.client is None:
            estimator.client = self.client
        inner = context.subcontext(task_name="refit" if held is None else "fold")
        with inner.propagate_callback_context(estimator):
            inner.call_on_fit_task_begin(estimator=self, X=X, y=y)
            try:
                return estimator.fit(X, y)
            finally:
                inner.call_on_fit_task_end(estimator=self, X=X, y=y)

    # -------------------------------------------------------------- predictions
    def _empty(self, method: str) -> Any:
        """Result of a method for no rows."""
        if method == "predict":
            return self._target.to_output(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))
        dtype = getattr(self.estimator_, "dtype", np.float64)
        return np.empty((0, self._target.n_labels), dtype=dtype)

    predict = _lazy("predict", ThresholdedMultiLabel)
    decision_function = _lazy("decision_function", ThresholdedMultiLabel, _has_decision)
    predict_proba = _lazy("predict_proba", ThresholdedMultiLabel, _inner_has("predict_proba"))

    def to_local(self) -> ThresholdedMultiLabel:
        """The fitted estimator without Dask; its predictions are the same.

        Returns
        -------
        estimator : ThresholdedMultiLabel
            Shares no memory with this one.
        """
        check_is_fitted(self, "estimator_")
        fitted = self._fitted()
        fitted["estimator_"] = _local(fitted["estimator_"])
        local = ThresholdedMultiLabel(
            **{**self._local_params(), "estimator": _local(self.estimator)}
        )
        vars(local).update(fitted)
        return local


def _local(estimator: Any) -> Any:
    """An estimator without Dask, fitted if it was."""
    if not isinstance(estimator, DaskMultiLabelSGDClassifier):
        return estimator
    if estimator.__sklearn_is_fitted__():
        return estimator.to_local()
    return MultiLabelSGDClassifier(**estimator._local_params())
