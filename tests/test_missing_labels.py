"""Labels that are missing from y: the cutoff of what would be complete."""

import numpy as np
import pytest
from given import Given
from scipy.special import expit

from skmultireduce import ThresholdedMultiLabel
from skmultireduce._cutoff.metric import METRICS


def labels(n, k, seed=0):
    rng = np.random.default_rng(seed)
    m = expit(rng.normal(-2, 2, size=(n, k)))
    y = (rng.random(m.shape) < m).astype(int)
    chance = rng.uniform(0.3, 1, size=k)
    return m, y, (rng.random(m.shape) < chance) * y, chance


def tuned(X, y, **kwargs):
    return ThresholdedMultiLabel(Given(), cv="prefit", **kwargs).fit(X, y)


def corrected(metric, h, y, chance):
    tp = (h * y / chance).sum()
    return float(METRICS[metric].ratio(tp, h.sum() - tp, (y / chance).sum()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["jaccard", "f1", "precision", "recall"])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_cutoff_is_that_of_all_cutoffs(metric, seed, dtype):
    m, _, y, chance = labels(60, 5, seed)
    m = (np.round(m, 2) if seed % 2 else m).astype(dtype)
    model = tuned(m, y, scoring=f"{metric}_micro", label_propensities=chance)
    best = max(corrected(metric, m >= cut, y, chance) for cut in np.unique(m))
    assert model.best_score_ == pytest.approx(best)
    assert corrected(metric, model.predict(m), y, chance) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(4))
def test_constraints_are_those_of_complete_labels(seed):
    m, _, y, chance = labels(60, 5, seed)
    model = tuned(m, y, scoring="recall_micro", min_precision=0.6, label_propensities=chance)
    allowed = [c for c in np.unique(m) if corrected("precision", m >= c, y, chance) >= 0.6]
    best = max(corrected("recall", m >= cut, y, chance) for cut in allowed)
    assert model.best_score_ == pytest.approx(best)


@pytest.mark.parametrize("strategy", ["per_label", "top_k", "relative", "adjusted"])
def test_all_strategies_reach_their_score(strategy):
    m, _, y, chance = labels(200, 5)
    model = tuned(m, y, strategy=strategy, min_positives=0, label_propensities=chance)
    score = corrected("jaccard", model.predict(m), y, chance)
    assert model.best_score_ == pytest.approx(score)
    if strategy == "per_label":
        one = tuned(m, y, label_propensities=chance)
        assert score >= one.best_score_


def test_5_13_it_is_the_cutoff_of_complete_labels():
    m, full, recorded, chance = labels(20_000, 6)
    complete, plain = tuned(m, full), tuned(m, recorded)
    model = tuned(m, recorded, label_propensities=chance)
    error = np.hypot(complete.best_score_stderr_, model.best_score_stderr_)
    assert abs(model.best_score_ - complete.best_score_) < 4 * error
    assert model.best_score_interval_[0] < complete.best_score_ < model.best_score_interval_[1]
    assert plain.best_score_ < complete.best_score_ - 10 * error
    # What the cutoff does to complete labels.
    reached, lost = (corrected("jaccard", one.predict(m), full, 1.0) for one in (model, plain))
    assert reached > complete.best_score_ - 2 * error
    assert lost < reached
    assert np.abs(model.best_threshold_ - complete.best_threshold_) < 0.05


def test_chances_of_1_change_nothing():
    m, y, _, _ = labels(300, 5)
    plain, same = tuned(m, y), tuned(m, y, label_propensities=np.ones(5))
    assert plain.best_threshold_ == same.best_threshold_
    assert plain.best_score_ == pytest.approx(same.best_score_)
    np.testing.assert_allclose(plain.best_score_interval_, same.best_score_interval_)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scoring": "jaccard_macro"}, "micro averages"),
        ({"scoring": "accuracy"}, "micro averages"),
        ({"min_recall": 0.5, "guarantee": "expectation"}, "Leave one of them out"),
        ({"label_propensities": [0.5, 0.5]}, "shape"),
        ({"label_propensities": [0.5, 0.5, 0.0, 1, 1]}, "should be in"),
    ],
    ids=str,
)
def test_what_cannot_be_corrected_is_refused(given, message):
    m, _, y, chance = labels(100, 5)
    with pytest.raises(ValueError, match=message):
        tuned(m, y, **{"label_propensities": chance, **given})
