"""Pickles, memory maps, skops; also those of earlier releases."""

import pickle
import pickletools
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from registry import INSTANCES
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

import skmultireduce
from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce._cutoff import ScoreMap
from skmultireduce._state import STATE_VERSION

GOLDEN = Path(__file__).resolve().parent / "golden"
sys.path.insert(0, str(GOLDEN))

from problem import data  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

X, Y = data()
IDS = [f"{i}-{type(estimator).__name__}" for i, (estimator, _) in enumerate(INSTANCES)]


@pytest.fixture(scope="module", params=range(len(INSTANCES)), ids=IDS)
def fitted(request):
    model = clone(INSTANCES[request.param][0])
    seeds = {name: 0 for name in model.get_params() if name.endswith("random_state")}
    return model.set_params(**seeds).fit(X, Y)


def answers(model):
    names = ("predict", "predict_proba", "decision_function")
    return [getattr(model, name)(X) for name in names if hasattr(model, name)]


def assert_same_answers(model, other):
    for one, two in zip(answers(model), answers(other), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(fitted, protocol):
    assert_same_answers(pickle.loads(pickle.dumps(fitted, protocol)), fitted)


def test_memory_mapped_read_only(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_same_answers(loaded, fitted)


def test_linear_model_stays_mapped(tmp_path):
    model = MultiLabelSGDClassifier(random_state=0).fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    loaded.predict(X)
    weights = loaded._training.model.arrays.weights
    assert isinstance(weights, np.memmap)
    assert not weights.flags.writeable


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_goes_on_after_loading_read_only(tmp_path, method):
    model = MultiLabelSGDClassifier(random_state=0, warm_start=True).fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    getattr(loaded, method)(X, Y)
    getattr(model, method)(X, Y)
    assert_same_answers(loaded, model)


def test_skops(fitted, tmp_path):
    skops = pytest.importorskip("skops.io")
    skops.dump(fitted, tmp_path / "model.skops")
    unknown = skops.get_untrusted_types(file=tmp_path / "model.skops")
    ours = [name for name in unknown if name.startswith("skmultireduce.")]
    foreign = set(unknown) - set(ours)
    assert not {name for name in foreign if not name.startswith(("sklearn.", "numpy."))}
    loaded = skops.load(tmp_path / "model.skops", trusted=unknown)
    assert_same_answers(loaded, fitted)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("models-*.pickle")), ids=lambda p: p.stem)
def test_models_of_earlier_releases(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        models = pickle.loads(path.read_bytes())
    # scikit-learn promises nothing for its own estimators of another release, and says so.
    foreign = {warning.message.estimator_name for warning in caught}
    for name, stored in models.items():
        model = stored["model"]
        if type(getattr(model, "estimator", None)).__name__ in foreign:
            continue
        np.testing.assert_array_equal(model.predict(X[:8]), stored["predict"], err_msg=name)
        # Another processor's instructions, and another release of the inner classifier.
        np.testing.assert_allclose(
            model.predict_proba(X[:8]), stored["proba"], rtol=1e-5, err_msg=name
        )


def test_there_is_a_pickle_of_this_release():
    assert (GOLDEN / f"models-{skmultireduce.__version__}.pickle").exists()


@pytest.mark.parametrize("form", [STATE_VERSION + 1, 0, None, "x"])
def test_pickles_of_unknown_form(fitted, form):
    state = fitted.__getstate__()
    assert state["_skmultireduce_version"] == skmultireduce.__version__
    state |= {"_skmultireduce_version": "99.0", "_skmultireduce_state": form}
    with pytest.raises(ValueError, match=r"99\.0.*Install skmultireduce"):
        type(fitted).__new__(type(fitted)).__setstate__(state)


def test_state_is_not_changed_by_pickling():
    model = ThresholdedMultiLabel(MultiLabelSGDClassifier(random_state=0), cv=2).fit(X, Y)
    before = set(vars(model))
    pickletools.optimize(pickle.dumps(model))
    loaded = pickle.loads(pickle.dumps(model))
    assert set(vars(model)) == set(vars(loaded)) == before


@pytest.mark.parametrize("limits", [(0, None), (1, 2)])
@pytest.mark.parametrize("strategy", ["global", "per_label", "adjusted", "top_k", "relative"])
def test_cutoffs_of_form_1(strategy, limits):
    """Every strategy, as release 0.1.0 wrote it: loose attributes, a map that names it."""
    model = ThresholdedMultiLabel(
        MultiLabelSGDClassifier(random_state=0), strategy=strategy, cv=2, random_state=0,
        min_labels=limits[0], max_labels=limits[1],
    ).fit(X, Y)  # fmt: skip
    state = model.__getstate__()
    rule = state.pop("_rule")
    old_map = ScoreMap.__new__(ScoreMap)
    vars(old_map).update(
        strategy=strategy,
        probability=True,
        prior_weight=getattr(rule.score_map, "prior_weight", 0.0),
        row_weight=getattr(rule.score_map, "row_weight", 0.0),
        min_labels=limits[0],
        max_labels=limits[1],
    )
    state.update(
        _skmultireduce_state=1,
        _score_map=old_map,
        _cutoff=rule.cutoff,
        _never=rule.source.never,
        _log_prior=rule.log_prior,
        _response_method=rule.source.method,
    )
    loaded = ThresholdedMultiLabel.__new__(ThresholdedMultiLabel)
    loaded.__setstate__(state)
    assert_same_answers(loaded, model)
    assert set(vars(loaded)) == set(vars(model))
