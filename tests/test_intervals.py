"""Intervals: what they cover, and that their pieces add up."""

import numpy as np
import pytest
from given import Given
from scipy.special import expit
from scipy.stats import binomtest
from sklearn.metrics import jaccard_score

from skmultireduce import ThresholdedMultiLabel
from skmultireduce._cutoff.counters import Search
from skmultireduce._cutoff.evaluation import curve
from skmultireduce._cutoff.intervals import (
    _MacroTerms,
    _refuted,
    _RowTerms,
    betting_interval,
    binomial_interval,
    curve_margin,
    score_interval,
)
from skmultireduce._cutoff.metric import METRICS
from skmultireduce._cutoff.promises import order_of
from skmultireduce._cutoff.scores import Pool, array_blocks
from skmultireduce._cutoff.search import find
from skmultireduce._data.label_sets import read_labels
from skmultireduce.metrics import jaccard_threshold_curve, multilabel_report
from skmultireduce.plotting import ThresholdCurveDisplay


def population(n_rows, n_labels=6, seed=0):
    rng = np.random.default_rng(seed)
    m = expit(rng.normal(-2, 2, size=(n_rows, n_labels)) + rng.normal(size=(n_rows, 1)))
    return m.astype(np.float32), (rng.random(m.shape) < m).astype(np.int8)


F, Y = population(4000)


def search_of(f, y, average="micro", metric="jaccard", n_pools=1, weight=None):
    parts = np.array_split(np.arange(len(f)), n_pools)
    pools = [
        Pool(array_blocks(f[p]), read_labels(y[p])[0], None if weight is None else weight[p])
        for p in parts
    ]
    return Search(pools, metric=METRICS[metric], average=average)


def terms_of(search, cuts):
    if search.average == "macro":
        return search.run(lambda _: _MacroTerms(search, search.histograms()[0], cuts))[0]
    return search.run(lambda _: _RowTerms(search.metric, search.average == "samples", cuts))[0]


@pytest.mark.parametrize("metric", ["jaccard", "f1", "precision", "recall"])
@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
def test_terms_give_the_metric_and_its_change_with_the_weights(average, metric):
    f, y = F[:300], Y[:300]
    cuts = np.array([0.1, 0.3, 0.6], dtype=np.float32)
    terms = terms_of(search_of(f, y, average, metric), cuts)
    rng = np.random.default_rng(0)
    small = average == "macro"  # first order only
    weights = 1 + (0.01 if small else 0.5) * rng.uniform(-1, 1, size=(3, 300))
    drawn = terms.draw(weights)
    for w, row in zip(weights, drawn, strict=True):
        points = curve(search_of(f, y, average, metric, weight=w))
        at = np.searchsorted(points["thresholds"], cuts)
        # Between two scores of true labels only wrong labels come in: compare at the cuts.
        direct = [weighted(f >= cut, y > 0, w, average, metric) for cut in cuts]
        np.testing.assert_allclose(row, direct, atol=1e-4 if small else 1e-6)
        assert np.all(at <= len(points["scores"]))


def weighted(h, y, w, average, metric):
    axis = {"micro": None, "samples": 1, "macro": 0}[average]
    v = np.ones((len(w), 1)) if average == "samples" else w[:, None]
    tp, fp, pos = (np.sum(v * x, axis=axis) for x in (h & y, h & ~y, y))
    values = METRICS[metric].ratio(tp, fp, pos)
    return float(np.average(values, weights=w)) if average == "samples" else float(values.mean())


@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
def test_pools_and_blocks_add_up(average):
    # More rows than there are groups, in three pools.
    cuts = np.array([0.2, 0.5], dtype=np.float32)
    one, three = (terms_of(search_of(F, Y, average, n_pools=n), cuts) for n in (1, 3))
    assert three.n_rows == one.n_rows == len(F)
    np.testing.assert_allclose(three.above, one.above, atol=1e-9)
    np.testing.assert_allclose(three.below, one.below, atol=1e-9)


def test_5_12_intervals_of_a_label_are_clopper_and_pearson():
    hits, trials = np.array([0, 3, 10, 0]), np.array([5, 8, 10, 0])
    low, high = binomial_interval(hits, trials, 0.9)
    for i in range(3):
        expected = binomtest(int(hits[i]), int(trials[i])).proportion_ci(0.9)
        assert (low[i], high[i]) == pytest.approx(tuple(expected))
    assert (low[3], high[3]) == (0, 1)


@pytest.mark.parametrize("n", [30, 300])
def test_5_12_betting_covers_for_any_number_of_rows(n):
    rng = np.random.default_rng(n)
    h = F > 0.4
    both, either = (h & (Y > 0)).sum(axis=1), (h | (Y > 0)).sum(axis=1)
    truth = both.sum() / either.sum()
    held, width = 0, []
    for _ in range(200):
        rows = rng.integers(0, len(F), n)
        low, high = betting_interval(both[rows], either[rows], 6, 0.8)
        held += low <= truth <= high
        width.append(high - low)
    assert held / 200 >= 0.8 - 3 * np.sqrt(0.16 / 200)
    # About as wide as a normal one where there are many rows.
    residual = (both - truth * either).std() / either.mean() / np.sqrt(n)
    assert np.mean(width) < (2 if n == 300 else 3) * 2 * 1.28 * residual


def test_bets_begin_with_the_second_row():
    low, high = betting_interval(np.ones(3), np.ones(3), 1, 0.2)
    assert (low > 0.5, high) == (True, 1)


@pytest.mark.parametrize("n", [20, 300])
def test_an_interval_ends_at_the_last_ratios_that_are_refuted(n):
    rng = np.random.default_rng(0)
    below = rng.integers(1, 7, n)
    above = rng.binomial(below, 0.4)
    order = order_of(n)

    def refuted(sign, ratio, bound):
        loss = sign * (above - ratio * below)
        return bool(_refuted(loss[order, None], np.array([6 * bound]), 0.1)[0])

    low, high = betting_interval(above, below, 6, 0.8)
    assert 0 < low < high < 1
    for ratio, refutes in ((high, True), (high - 1 / 400, False)):
        assert refuted(1, ratio, 1 - ratio) == refutes
    for ratio, refutes in ((low, True), (low + 1 / 400, False)):
        assert refuted(-1, ratio, ratio) == refutes


@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
def test_5_12_bootstrap_covers_the_tuned_cutoff_and_the_curve(average):
    rng = np.random.default_rng(1)
    full = curve(search_of(F, Y, average))
    held = np.zeros(2)
    repeats = 100
    for _ in range(repeats):
        rows = rng.integers(0, len(F), 250)
        own = search_of(F[rows], Y[rows], average)
        best = find(own)
        low, high = score_interval(own, best.histogram, best.value, 0.9, tuned=True)
        at = np.searchsorted(full["thresholds"], np.nextafter(best.value, np.float32(-1)))
        held[0] += low <= full["scores"][min(at, len(full["scores"]) - 1)] <= high
        points = curve(own, 100)
        at = np.searchsorted(full["thresholds"], points["thresholds"])
        apart = np.abs(points["scores"] - full["scores"][np.minimum(at, len(full["scores"]) - 1)])
        held[1] += apart.max() <= curve_margin(own, 0.9)
    assert np.all(held / repeats >= 0.9 - 3.5 * np.sqrt(0.09 / repeats))
    assert held[0] < repeats


def test_interval_of_a_tuned_cutoff():
    def fitted(**kwargs):
        return ThresholdedMultiLabel(Given(), cv="prefit", **kwargs).fit(F[:500], Y[:500])

    model = fitted()
    low, high = model.best_score_interval_
    # The optimism is taken off: not in the middle.
    assert 0 < low < model.best_score_ < high < 1
    assert high - low == pytest.approx(2 * 1.96 * model.best_score_stderr_, rel=0.3)
    wide = ThresholdedMultiLabel(Given(), cv="prefit").fit(F[:100], Y[:100]).best_score_interval_
    assert wide[1] - wide[0] > 1.5 * (high - low)
    assert np.isnan(fitted(strategy="per_label").best_score_interval_).all()
    other = fitted(scoring="accuracy")
    low, high = other.best_score_interval_
    assert (low + high) / 2 == pytest.approx(other.best_score_)
    normal = np.sqrt(other.best_score_ * (1 - other.best_score_) / 500)
    assert high - low == pytest.approx(2 * 1.96 * normal, rel=0.4)
    for scoring in ("f1_macro", "recall_micro", "jaccard_samples", "f1_micro"):
        given = {"min_precision": 0.3} if scoring == "recall_micro" else {}
        model = fitted(scoring=scoring, **given)
        assert model.best_score_interval_[0] < model.best_score_ < 1


def test_curve_and_display_have_a_margin():
    f, y = F[:300], Y[:300]
    scores, thresholds, margin = jaccard_threshold_curve(y, f, confidence=0.9)
    assert len(scores) == len(thresholds)
    assert 0.02 < margin < 0.15
    assert jaccard_threshold_curve(y, f, confidence=0.99)[2] > margin
    display = ThresholdCurveDisplay.from_predictions(y, f, confidence=0.9)
    assert display.margin == pytest.approx(margin)
    assert display.band_ is not None
    assert ThresholdCurveDisplay.from_predictions(y, f).band_ is None
    for call in (jaccard_threshold_curve, ThresholdCurveDisplay.from_predictions):
        with pytest.raises(ValueError, match="between 0 and 1"):
            call(y, f, confidence=95)
    assert np.isnan(jaccard_threshold_curve(0 * y, f, confidence=0.9)[2])


def test_report_has_intervals():
    y, predicted = Y[:200], (F[:200] > 0.4).astype(int)
    report = multilabel_report(y, predicted, output="dict", confidence=0.9)
    for i in range(6):
        both, either = (y[:, i] & predicted[:, i]).sum(), (y[:, i] | predicted[:, i]).sum()
        expected = binomtest(int(both), int(either)).proportion_ci(0.9)
        row = report[str(i)]
        assert (row["jaccard_low"], row["jaccard_high"]) == pytest.approx(tuple(expected))
        for name in ("precision", "recall", "f1-score"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    for average in ("micro avg", "samples avg"):
        row = report[average]
        assert 0 < row["jaccard_low"] < row["jaccard"] < row["jaccard_high"] < 1
    assert report["micro avg"]["jaccard"] == pytest.approx(
        jaccard_score(y, predicted, average="micro")
    )
    text = multilabel_report(y, predicted, confidence=0.9)
    assert "f1 from" in text
    frame = multilabel_report(y, predicted, confidence=0.9, output="frame")
    assert np.isnan(frame.loc["macro avg", "f1-score_low"])
    assert "f1 from" not in multilabel_report(y, predicted, confidence=0.9, max_labels=2)
    with pytest.raises(ValueError, match="sample_weight"):
        multilabel_report(y, predicted, sample_weight=np.ones(200), confidence=0.9)
