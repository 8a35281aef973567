import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score
from twins import cutoff as twins

from skmultireduce._cutoff.averages import RowGains
from skmultireduce._cutoff.counters import (
    Histogram,
    InfeasibleError,
    MixedTypesError,
    PooledBins,
    Search,
    keys_of,
    values_of,
)
from skmultireduce._cutoff.evaluation import best_jaccard, evaluate
from skmultireduce._cutoff.metric import METRICS as METRIC_OBJECTS
from skmultireduce._cutoff.metric import FBeta, Jaccard, Precision, Recall
from skmultireduce._cutoff.per_label import find_for_labels
from skmultireduce._cutoff.score_map import AdjustedMap, ScoreMap
from skmultireduce._cutoff.scores import DenseScores, Pool, array_blocks
from skmultireduce._cutoff.search import Pairs, find
from skmultireduce._cutoff.strategies import STRATEGIES
from skmultireduce._data.label_sets import read_labels
from skmultireduce._kernels import cutoff as kernels

METRICS = {"jaccard": jaccard_score, "f1": f1_score}
BITS = {np.float32: np.uint32, np.float64: np.uint64}


def case(seed, dtype, max_rows=12, max_labels=5):
    """Labels and scores with ties, constants, empty rows, zeros of both signs."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, max_rows), rng.integers(2, max_labels + 1)
    y = (rng.random(shape) < rng.choice([0.0, 0.2, 0.5, 0.9])).astype(int)
    kind = rng.integers(5)
    if kind == 0:
        scores = rng.normal(size=shape)
    elif kind == 1:
        scores = np.full(shape, rng.normal())
    elif kind == 2:
        # Neighbouring floats: their midpoint must still separate them.
        scores = np.ones(shape, dtype) + np.finfo(dtype).eps * rng.integers(0, 4, shape)
    elif kind == 3:
        scores = np.copysign(rng.integers(0, 2, shape), rng.choice([-1, 1], shape))
    else:
        scores = rng.integers(-3, 4, shape) / 7
    return y, scores.astype(dtype)


def pools_of(y, scores, n_pools=1, weight=None, log_prior=None, step=3):
    label_sets = read_labels(y)[0]
    parts = np.array_split(np.arange(len(y)), min(n_pools, len(y)))
    return [
        Pool(
            array_blocks(scores[part], step),
            label_sets.take(part),
            None if weight is None else weight[part],
            log_prior,
        )
        for part in parts
    ]


def search_of(pools, maps=None, metric="jaccard", average="micro", constraint=None):
    return Search(pools, maps or [ScoreMap()], METRIC_OBJECTS[metric], average, constraint or {})


def metric_value(metric, average, y, predicted, weight=None):
    """Small and quick, for brute force; a test below compares it with scikit-learn."""
    w = np.ones(len(y)) if weight is None else weight
    predicted = predicted.astype(int)
    tp, size = y * predicted, y + predicted
    if average == "samples":
        parts = tp.sum(axis=1), size.sum(axis=1)
    elif average == "macro":
        parts = w @ tp, w @ size
    else:
        parts = np.array([(w @ tp).sum()]), np.array([(w @ size).sum()])
    above, below = (
        (parts[0], parts[1] - parts[0])
        if metric == "jaccard"
        else (
            2 * parts[0],
            parts[1],
        )
    )
    ratio = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return np.average(ratio, weights=w if average == "samples" else None)


@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
@pytest.mark.parametrize("metric", list(METRICS))
def test_brute_force_metric_is_that_of_scikit_learn(metric, average):
    for seed in range(20):
        y, scores = case(seed, np.float64)
        weight = np.arange(1.0, len(y) + 1)
        for cut in (-0.2, 0.1, 9):
            expected = METRICS[metric](
                y, scores > cut, average=average, zero_division=0, sample_weight=weight
            )
            assert metric_value(metric, average, y, scores > cut, weight) == pytest.approx(
                expected
            )


# --- kernels and their twins ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_kernels_equal_their_twins(dtype, weighted):
    rng = np.random.default_rng(0)
    for seed in range(30):
        _, scores = case(seed, dtype)
        scores[rng.random(scores.shape) < 0.1] = rng.choice([np.inf, -np.inf, 0.0, -0.0])
        bits = scores.view(BITS[dtype])
        weight = rng.integers(1, 4, len(scores)).astype(float) if weighted else np.empty(0)
        count_type = np.float64 if weighted else np.int64
        shift = 8 * bits.itemsize - 10
        keys = np.unique(keys_of(scores))
        edges = np.arange(2**10, dtype=np.uint64).astype(bits.dtype) << bits.dtype.type(shift)
        slots = np.union1d(edges, keys[::2])
        first = np.append(np.searchsorted(slots, edges), len(slots)).astype(np.int32)
        alive = rng.integers(0, 2, 2**10).astype(np.uint8)
        label_slots = np.tile(np.append(bits.dtype.type(0), keys), scores.shape[1])
        label_first = np.arange(scores.shape[1] + 1, dtype=np.int64) * (len(keys) + 1)
        k = min(2, scores.shape[1])
        value = np.full(scores.shape[1], np.median(scores), dtype)
        for ours, twin in (
            ("add_histogram", (bits, weight, shift, np.zeros(2**10, count_type))),
            (
                "add_bins",
                (bits, weight, shift, alive, first, slots, np.zeros(len(slots), count_type)),
            ),
            (
                "add_label_bins",
                (bits, weight, label_first, label_slots, np.zeros(len(label_slots), count_type)),
            ),
            ("top_labels", (scores, np.zeros((len(scores), k), np.int32))),
        ):
            outputs = []
            for module in (kernels, twins):
                arguments = [a.copy() if isinstance(a, np.ndarray) else a for a in twin]
                returned = getattr(module, ours)(*arguments)
                outputs.append((returned, arguments[-1]))
            assert outputs[0][0] == outputs[1][0]
            np.testing.assert_array_equal(outputs[0][1], outputs[1][1], err_msg=ours)
        sides = []
        for module in (kernels, twins):
            out = [np.full(len(value), fill, dtype) for fill in (np.inf, -np.inf, -np.inf)]
            predicted = np.zeros(len(scores), np.int64)
            module.add_cut(scores, value, *out, predicted)
            sides.append([*out, predicted])
        for a, b in zip(*sides, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_keep_the_order_and_come_back(dtype):
    info = np.finfo(dtype)
    values = np.array(
        [-np.inf, info.min, -1, -info.smallest_subnormal, 0, info.smallest_subnormal, 1, np.inf],
        dtype,
    )
    keys = keys_of(values)
    assert np.all(keys[1:] > keys[:-1])
    np.testing.assert_array_equal(values_of(keys), values)
    assert keys_of(np.array([-0.0], dtype)) == keys_of(np.array([0.0], dtype))


def test_nan_is_refused():
    y, scores = np.eye(2, dtype=int), np.array([[0.1, np.nan], [0.2, 0.3]])
    with pytest.raises(ValueError, match="NaN"):
        find(search_of(pools_of(y, scores)))


# --- one cutoff ---


@settings(max_examples=250, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    dtype=st.sampled_from([np.float32, np.float64]),
    metric=st.sampled_from(list(METRICS)),
    average=st.sampled_from(["micro", "samples", "macro"]),
    strategy=st.sampled_from(["global", "adjusted", "relative", "top_k"]),
    limits=st.sampled_from([(0, None), (1, None), (0, 2), (1, 2), (2, 2), (3, 4)]),
    n_pools=st.integers(1, 3),
    weighted=st.booleans(),
)
def test_search_equals_brute_force(
    seed, dtype, metric, average, strategy, limits, n_pools, weighted
):
    y, scores = case(seed, dtype)
    rng = np.random.default_rng(seed)
    log_prior = np.log(rng.random(y.shape[1]))
    if strategy == "relative":
        scores = np.abs(scores)
    weight = rng.integers(1, 4, len(y)).astype(float) if weighted else None
    weights = (0.3, 0.5) if strategy == "adjusted" else ()
    score_map = STRATEGIES[strategy].score_map(False, *limits, *weights)
    pools = pools_of(y, scores, n_pools, weight, log_prior)
    effective = score_map(DenseScores(scores), log_prior).values
    search = search_of(pools, [score_map], metric, average)
    found = find(search)
    best = twins.best_cut(y, effective, lambda a, b: metric_value(metric, average, a, b, weight))
    assert found.score == pytest.approx(best, abs=1e-12)
    # The threshold gives the same set with `>`, in the scores' own type.
    cut = evaluate(search, found.value)
    assert cut.threshold.dtype == effective.dtype
    np.testing.assert_array_equal(effective > cut.threshold, effective >= found.value)
    assert cut.score == pytest.approx(best, abs=1e-12)
    assert metric_value(metric, average, y, effective > cut.threshold, weight) == pytest.approx(
        best, abs=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), average=st.sampled_from(["micro", "samples", "macro"]))
def test_constraint_equals_brute_force(seed, average):
    y, scores = case(seed, np.float64)
    rng = np.random.default_rng(seed)
    limits = {"precision": rng.random(), "recall": rng.random() * 0.7}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        feasible = [
            metric_value("jaccard", average, y, scores >= v)
            for v in [*np.unique(scores), np.inf]
            if precision_score(y, scores >= v, average="micro", zero_division=0)
            >= limits["precision"]
            and recall_score(y, scores >= v, average="micro", zero_division=0) >= limits["recall"]
        ]
    pools = pools_of(y, scores, 2)
    if feasible:
        found = find(search_of(pools, average=average, constraint=limits))
        assert found.score == pytest.approx(max(feasible), abs=1e-12)
    else:
        with pytest.raises(InfeasibleError, match="best reachable"):
            find(search_of(pools, average=average, constraint=limits))


def test_infeasible_reports_the_best_reachable_precision():
    y = np.array([[1, 0], [0, 1]])
    scores = np.array([[0.5, 0.9], [0.8, 0.6]])
    with pytest.raises(InfeasibleError, match=r"precision is 0\.5; lower min_precision"):
        find(search_of(pools_of(y, scores), constraint={"precision": 0.9}))


def test_best_of_several_maps():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, (30, 4)), rng.normal(size=(30, 4))
    log_prior = np.log(rng.random(4))
    maps = [AdjustedMap(False, 0, None, g, r) for g in (0, 0.5, 1) for r in (0, 1)]
    pools = pools_of(y, scores, 2, None, log_prior)
    for average in ("micro", "samples", "macro"):
        single = [find(search_of(pools, [m], average=average)).score for m in maps]
        found = find(search_of(pools, maps, average=average))
        assert found.score == pytest.approx(max(single))
        assert single[found.index] == pytest.approx(max(single))


def test_pruned_search_on_many_scores():
    rng = np.random.default_rng(0)
    y = (rng.random((3000, 20)) < 0.1).astype(int)
    scores = (rng.normal(size=y.shape) + 1.5 * y).astype(np.float32)
    flat, true = np.sort(scores[y == 1])[::-1], np.arange(1, y.sum() + 1)
    predicted = scores.size - np.searchsorted(np.sort(scores.ravel()), flat)
    curve = true / (y.sum() + predicted - true)
    assert best_jaccard(read_labels(y)[0], scores)[1] == curve.max()
    for average in ("samples", "macro"):
        found = find(search_of(pools_of(y, scores, 3, step=500), metric="f1", average=average))
        near = np.unique(flat)[:: y.sum() // 200]
        for value in near:
            assert metric_value("f1", average, y, scores >= value) <= found.score + 1e-12
        assert metric_value("f1", average, y, scores >= found.value) == pytest.approx(found.score)


@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
@pytest.mark.parametrize("scale", [1e-3, 0.2, 1e3])
def test_weights_count_relative_to_each_other(average, scale):
    """Score and its error, also where all weights together are less than one row."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (12, 3))
    scores = rng.normal(size=y.shape) + y
    weight = rng.random(12) + 0.1
    found = []
    for factor in (1.0, scale):
        pools = pools_of(y, scores, 2, weight * factor)
        found.append(evaluate(search_of(pools, metric="f1", average=average), np.float64(0.3)))
    assert found[0].score == pytest.approx(
        metric_value("f1", average, y, scores >= 0.3, weight), rel=1e-12
    )
    assert found[0].stderr > 0
    for name in ("score", "stderr", "threshold"):
        assert getattr(found[1], name) == pytest.approx(getattr(found[0], name), rel=1e-9)


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("n_rows", "shares", "shift"), [(9000, (0.9, 0.6), 0.1), (7000, (0.5, 0.3), 1.0)]
)
def test_search_within_segments_of_many_candidates(metric, seed, n_rows, shares, shift):
    """Exact, where the mean over labels has so many candidates that some are left out at first."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n_rows, 2)) < shares).astype(int)
    # If hardly better than chance, the curve is flat, and many segments stay in question.
    scores = rng.normal(size=y.shape) + shift * y
    candidates = np.unique(scores[y == 1])
    parts = []
    for label in range(2):
        own = np.sort(scores[:, label])
        hits = np.sort(scores[y[:, label] == 1, label])
        n = len(own) - np.searchsorted(own, candidates)
        tp = len(hits) - np.searchsorted(hits, candidates)
        both = n + len(hits)
        parts.append(tp / (both - tp) if metric == "jaccard" else 2 * tp / both)
    curve = np.mean(parts, axis=0)
    found = find(search_of(pools_of(y, scores, 2, step=4000), metric=metric, average="macro"))
    assert found.score == pytest.approx(curve.max(), abs=1e-12)
    at = np.searchsorted(candidates, found.value)
    assert curve[at] == pytest.approx(curve.max(), abs=1e-12)


@pytest.mark.parametrize("make", ["histogram", "rows"])
def test_merged_accumulators_equal_one_pass(make):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (40, 3))
    scores = rng.normal(size=y.shape).astype(np.float32)
    label_sets = read_labels(y)[0]
    keys = np.unique(keys_of(scores))

    def run(*parts):
        accumulators = []
        for part in parts:
            new = Histogram(False) if make == "histogram" else RowGains(METRIC_OBJECTS["f1"], keys)
            new.add(DenseScores(scores[part]), label_sets.take(np.arange(40)[part]), None)
            accumulators.append(new)
        return sum(accumulators[1:], start=accumulators[0])

    whole = run(slice(0, 40))
    merged = run(slice(0, 7), slice(7, 20), slice(20, 40))
    if make == "histogram":
        np.testing.assert_array_equal(whole.counts, merged.counts)
        np.testing.assert_array_equal(whole.candidates().tp, merged.candidates().tp)
        assert merged.n_rows == 40
    else:
        np.testing.assert_allclose(whole.gain, merged.gain, atol=1e-12)
        np.testing.assert_array_equal(whole.count, merged.count)


# --- one cutoff for each label ---


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    metric=st.sampled_from(list(METRICS)),
    average=st.sampled_from(["micro", "macro"]),
    weighted=st.booleans(),
    limits=st.sampled_from([(0, None), (1, 2)]),
)
def test_label_cutoffs_equal_exhaustive_search(seed, metric, average, weighted, limits):
    y, scores = case(seed, np.float64, max_rows=6, max_labels=3)
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 4, len(y)).astype(float) if weighted else None
    score_map = ScoreMap(min_labels=limits[0], max_labels=limits[1])
    pools = pools_of(y, scores, 2, weight)
    effective = score_map(DenseScores(scores)).values
    search = search_of(pools, [score_map], metric, average)
    values, rare, common, _ = find_for_labels(search)
    assert not rare.any()
    assert common is None
    cut = evaluate(search, values)
    np.testing.assert_array_equal(effective > cut.threshold, effective >= values)
    columns = [[*np.unique(column[np.isfinite(column)]), np.inf] for column in effective.T]
    best = max(
        metric_value(metric, average, y, effective >= np.array(combination), weight)
        for combination in itertools.product(*columns)
    )
    assert cut.score == pytest.approx(best, abs=1e-12)


def test_rare_labels_take_the_common_cutoff():
    rng = np.random.default_rng(0)
    y = (rng.random((60, 4)) < [0.5, 0.4, 0.05, 0.0]).astype(int)
    scores = rng.normal(size=y.shape) + y
    pools = pools_of(y, scores, 2)
    values, rare, common, _ = find_for_labels(search_of(pools), 10)
    np.testing.assert_array_equal(rare, y.sum(axis=0) < 10)
    np.testing.assert_array_equal(values[rare], common.value)
    assert common.value == find(search_of(pools)).value
    # The others are the optimum given these.
    columns = [np.unique(scores[:, j]) for j in np.flatnonzero(~rare)]
    best = max(
        metric_value("jaccard", "micro", y, scores >= np.array([a, b, *values[rare]]))
        for a in columns[0]
        for b in columns[1]
    )
    assert metric_value("jaccard", "micro", y, scores >= values) == pytest.approx(best)


# --- evaluation ---


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
def test_standard_error_is_the_spread_over_new_data(metric, average):
    rng = np.random.default_rng(0)
    scores, errors = [], []
    for _ in range(300):
        y = (rng.random((200, 4)) < [0.5, 0.4, 0.3, 0.2]).astype(int)
        pools = pools_of(y, rng.normal(size=y.shape) + 1.5 * y, step=200)
        cut = evaluate(search_of(pools, metric=metric, average=average), np.float64(0.8))
        scores.append(cut.score)
        errors.append(cut.stderr)
    assert np.mean(errors) == pytest.approx(np.std(scores), rel=0.15)


def test_edges_are_told():
    y = np.array([[0, 0], [0, 0], [1, 1]])
    scores = np.array([[0.1, 0.4], [0.2, 0.5], [0.6, 0.7]])

    def cut_of(y, scores):
        search = search_of(pools_of(y, scores))
        return evaluate(search, find(search).value)

    inside = cut_of(y, scores)
    assert (inside.nothing, inside.everything, inside.constant) == (False, False, False)
    assert inside.threshold == pytest.approx(0.55)
    assert cut_of(y * 0, scores).nothing
    assert cut_of(y * 0 + 1, scores).everything
    assert cut_of(y, scores * 0).constant


def test_best_jaccard_threshold_reproduces_the_score():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, (50, 6)), rng.random((50, 6)).astype(np.float32)
    threshold, score = best_jaccard(read_labels(y)[0], scores)
    assert jaccard_score(y, scores > threshold, average="micro") == pytest.approx(score)


def test_blocks_lie_at_multiples_of_their_numbers_size():
    scores = np.arange(12.0).reshape(4, 3)
    odd = np.frombuffer(b"\0" + scores.tobytes(), dtype=np.uint8)[1:].view(float).reshape(4, 3)
    assert not odd.flags.aligned
    for rows, block in array_blocks(odd, step=2)():
        assert block.values.flags.aligned
        np.testing.assert_array_equal(block.values, scores[rows])


# --- what belongs together ---


def test_accumulators_refuse_what_does_not_belong_together():
    """Other types of scores, other candidates, other metrics, other kinds."""
    y = np.eye(3, dtype=int)
    sets = read_labels(y)[0]

    def filled(accumulator, dtype=np.float64):
        accumulator.add(DenseScores(np.eye(3, dtype=dtype)), sets, None)
        return accumulator

    double, single = filled(Histogram(False)), filled(Histogram(False), np.float32)
    with pytest.raises(MixedTypesError, match="float64 and float32"):
        double + single
    with pytest.raises(MixedTypesError, match="Blocks of float64 and float32"):
        filled(double, np.float32)
    keys = keys_of(np.array([0.5, 1.0]))
    for one, other in (
        (PooledBins(keys, False), PooledBins(keys + keys.dtype.type(1), False)),
        (PooledBins(keys, False), PooledBins(keys, True)),
        (RowGains(Jaccard(), keys), RowGains(FBeta(2), keys)),
        (Pairs(0.5), Pairs(0.7)),
        (Histogram(False, many=True), double),
    ):
        with pytest.raises(ValueError, match="different things"):
            filled(one) + filled(other)
        assert (filled(one) + filled(one)) is not one
    with pytest.raises(TypeError, match="Histogram and RowGains"):
        double + RowGains(Jaccard(), keys)
    with pytest.raises(MixedTypesError, match="uint64 and uint32"):
        PooledBins(keys, False) + PooledBins(keys_of(np.float32([0.5, 1])), False)


def test_metrics_have_the_slopes_that_they_say():
    """Against differences, for the standard error of macro averages."""
    for metric in (Jaccard(), FBeta(), FBeta(0.5), FBeta(2), Precision(), Recall()):
        by_hit, by_predicted, by_positive, by_both = metric.slopes()
        tp, fp, positives = np.array([2.0, 3.0]), np.array([1.0, 4.0]), np.array([5.0, 3.0])
        above, below = metric.terms(tp, fp, positives)
        more = metric.terms(tp + 1, fp, positives + 1)
        np.testing.assert_allclose(more[0] - above, by_hit)
        np.testing.assert_allclose(more[1] - below, by_predicted + by_positive + by_both)
        np.testing.assert_allclose(metric.terms(tp, fp + 1, positives)[1] - below, by_predicted)
        np.testing.assert_allclose(metric.terms(tp, fp, positives + 1)[1] - below, by_positive)
        constant, slope = metric.pooled
        with np.errstate(divide="ignore"):
            other = tp / (constant * positives + slope * fp)
        np.testing.assert_array_equal(np.argsort(other), np.argsort(above / below))
