# ruff: noqa: PT017, an exception is an outcome here
"""Every public estimator and function against every bad and odd input."""

from __future__ import annotations

import functools
import inspect
import sys
from contextlib import suppress
from dataclasses import replace

import hostile
import numpy as np
import pytest
import scipy.sparse as sp
from registry import INSTANCES
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from skmultireduce import MultiLabelSGDClassifier, diagnose
from skmultireduce.datasets import make_label_sets, read_fasttext
from skmultireduce.inspection import explain_row, top_features
from skmultireduce.metrics import (
    jaccard_threshold_curve,
    precision_at_k_score,
    recall_at_k_score,
)
from skmultireduce.model_selection import (
    MultilabelStratifiedKFold,
    MultilabelStratifiedShuffleSplit,
)

# The tiny data has folds without some labels, and the hostile data is meant to be odd.
pytestmark = pytest.mark.filterwarnings("ignore")

X_NAMES = r"\bX\b|inconsistent numbers of samples|features"
Y_NAMES = r"\by\b|inconsistent numbers of samples|label"
# Weights may vanish when they are multiplied.
WEIGHT_NAMES = r"sample_weight|[Ww]eights?\b|leaves no row"

# What scikit-learn's own estimators say of X, where X is left to them.
DELEGATED = (
    r"[Aa]rray|samples?\b|[Ss]parse|real number|could not convert|[Cc]omplex|dtype|np.matrix"
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads of BLAS cost more than they bring on data of this size."""
    with threadpool_limits(1):
        yield


# All forms of the linear model, whose input is read by our own code; of the others, which
# read with the same functions or leave it to an inner estimator, the first of each class.
FIRST = {type(estimator): number for number, (estimator, _) in reversed([*enumerate(INSTANCES)])}
NUMBERS = [
    number
    for number, (estimator, _) in enumerate(INSTANCES)
    if FIRST[type(estimator)] == number or isinstance(estimator, MultiLabelSGDClassifier)
]
NAMES = [f"{number}-{type(model).__name__}" for number, (model, _) in enumerate(INSTANCES)]
IDS = [NAMES[number] for number in NUMBERS]
X, Y = hostile.data()


def fresh(number):
    model = clone(INSTANCES[number][0])
    seeds = {name: 0 for name in model.get_params() if name.endswith("random_state")}
    return model.set_params(**seeds)


def answers(model, rows):
    """Everything that a fitted model says."""
    out = {"predict": model.predict(rows)}
    if sp.issparse(out["predict"]):
        out["predict"].check_format(full_check=True)
        out["predict"] = out["predict"].toarray()
    for name in ("predict_proba", "decision_function"):
        if hasattr(model, name):
            out[name] = getattr(model, name)(rows)
    return out


@functools.cache
def reference(number):
    model = fresh(number).fit(X, Y)
    return model, answers(model, X)


def assert_same(found, expected, exact):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if exact:
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        elif name != "predict":
            # Other packages compute in X's own type or order, down to float16.
            np.testing.assert_allclose(found[name], values, rtol=0.1, atol=0.1, err_msg=name)


def assert_sound(found, n_rows):
    for name, values in found.items():
        assert len(values) == n_rows, name
        if np.asarray(values).dtype.kind == "f":
            assert np.all(np.isfinite(values)), name


def is_ours(number):
    return type(INSTANCES[number][0]).__name__ in (
        "MultiLabelSGDClassifier",
        "MultiLabelMLPClassifier",
    )


def x_names(number):
    return X_NAMES if is_ours(number) else f"{X_NAMES}|{DELEGATED}"


def assert_not_half_fitted(model, before):
    """The model is either not fitted, or answers as before."""
    try:
        found = answers(model, X)
    except NotFittedError:
        return
    assert before is not None, "a failed fit left a model that predicts"
    assert_same(found, before, exact=True)


def run(case, number, names, model, fit, rows, before=None, refused=False):
    """One case: fit, ask for answers, hold the outcome against what is allowed."""
    fitted = False
    if case.name == "float16" and not is_ours(number):
        # Too coarse for variances in the type of X, which some classifiers compute.
        case = replace(case, outcome="either")
    with hostile.time_limit():
        try:
            fit()
            fitted = True
            found = answers(model, rows)
        except Exception as error:
            if not refused:
                assert case.outcome != "same", f"{type(error).__name__}: {error}"
            wrong = hostile.is_good_error(error, names)
            if wrong is not None:
                raise AssertionError(wrong) from error
            if not fitted:
                assert_not_half_fitted(model, before)
            return
    assert case.outcome != "error", "no error"
    if case.outcome == "same":
        assert_same(found, reference(number)[1], is_ours(number))
    else:
        assert_sound(found, rows.shape[0])


def refuses_sparse(number, value):
    """Whether the instance's inner estimator takes no sparse X."""
    return sp.issparse(value) and not get_tags(INSTANCES[number][0]).input_tags.sparse


@pytest.mark.parametrize("case", hostile.X_CASES, ids=repr)
@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_fit_on_hostile_x(number, case):
    model, bad = fresh(number), case.apply(X)
    run(
        case,
        number,
        x_names(number),
        model,
        lambda: model.fit(bad, Y),
        X if case.outcome == "same" else bad,
        refused=refuses_sparse(number, bad),
    )


@pytest.mark.parametrize("case", hostile.Y_CASES, ids=repr)
@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_fit_on_hostile_y(number, case):
    model, bad = fresh(number), case.apply(Y)
    run(case, number, Y_NAMES, model, lambda: model.fit(X, bad), X)


@pytest.mark.parametrize("case", hostile.PAIR_CASES, ids=repr)
@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_fit_on_hostile_shapes(number, case):
    model = fresh(number)
    bad_X, bad_y = case.change((X.copy(), Y.copy()))
    names = rf"{X_NAMES}|{Y_NAMES}|{DELEGATED}|n_splits|class"
    run(
        case,
        number,
        names,
        model,
        lambda: model.fit(bad_X, bad_y),
        bad_X,
        refused=refuses_sparse(number, bad_X),
    )


@pytest.mark.parametrize("case", hostile.PREDICT_CASES, ids=repr)
@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_predict_on_hostile_x(number, case):
    model, before = reference(number)
    bad = case.apply(X)
    for method in before:

        def action(method=method):
            found = getattr(model, method)(bad)
            return {method: found.toarray() if sp.issparse(found) else found}

        with hostile.time_limit():
            try:
                found = action()
            except Exception as error:
                if not refuses_sparse(number, bad):
                    assert case.outcome != "same", f"{type(error).__name__}: {error}"
                wrong = hostile.is_good_error(error, x_names(number))
                if wrong is not None:
                    raise AssertionError(f"{method}: {wrong}") from error
                continue
        assert case.outcome != "error", f"{method}: no error"
        if case.outcome == "same":
            assert_same(found, {method: before[method]}, is_ours(number))
        else:
            assert_sound(found, len(X))
    assert_same(answers(model, X), before, exact=True)


@pytest.mark.parametrize("case", hostile.WEIGHT_CASES, ids=repr)
@pytest.mark.parametrize(
    "number",
    [n for n in NUMBERS if "sample_weight" in inspect.signature(INSTANCES[n][0].fit).parameters],
    ids=lambda n: NAMES[n],
)
def test_hostile_sample_weight(number, case):
    model, weight = fresh(number), np.ones(len(X))
    bad = case.apply(weight)
    run(case, number, WEIGHT_NAMES, model, lambda: model.fit(X, Y, sample_weight=bad), X)


FAILING = [c for c in hostile.X_CASES + hostile.PAIR_CASES if c.outcome == "error"][::4]


@pytest.mark.parametrize("case", FAILING, ids=repr)
@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_failed_second_fit(number, case, method):
    model = fresh(number)
    if not hasattr(model, method):
        pytest.skip(f"no {method}")
    getattr(model, method)(X, Y)
    before = answers(model, X)
    if case in hostile.PAIR_CASES:
        bad_X, bad_y = case.change((X.copy(), Y.copy()))
    else:
        bad_X, bad_y = case.apply(X), Y
    with pytest.raises((ValueError, TypeError)):
        getattr(model, method)(bad_X, bad_y)
    assert_not_half_fitted(model, before)


class Interrupted(BaseException):
    """As rude as KeyboardInterrupt."""


def interrupt_at(call, action):
    """Raise at the given call of a function of the package; return the number of calls."""
    n_calls = 0

    def profile(frame, event, _):
        nonlocal n_calls
        if event == "call" and frame.f_globals.get("__name__", "").startswith("skmultireduce"):
            n_calls += 1
            if n_calls == call:
                raise Interrupted

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return n_calls


@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_interrupted_anywhere(number):
    n_calls = interrupt_at(None, lambda: fresh(number).fit(X, Y))
    complete = reference(number)[1]
    earlier_y = Y[:, ::-1][:, :3]
    earlier_y = np.where(earlier_y.sum(axis=1, keepdims=True) == 0, 1, earlier_y)
    earlier = fresh(number).fit(X, earlier_y)
    before = answers(earlier, X)
    for call in np.unique(np.linspace(1, n_calls, 14).astype(int)):
        for model, allowed in ((fresh(number), []), (fresh(number).fit(X, earlier_y), [before])):
            # A complete fit, if caches made it shorter than the first.
            with suppress(Interrupted):
                interrupt_at(call, functools.partial(model.fit, X, Y))
            try:
                found = answers(model, X)
            except NotFittedError:
                continue
            assert any(
                all(np.array_equal(found[k], v) for k, v in answer.items())
                for answer in [complete, *allowed]
            ), f"half-fitted after call {call} of {n_calls}"


SCORE = X[:, : hostile.N_LABELS] / 10
METRICS = {
    "jaccard_threshold_curve": jaccard_threshold_curve,
    "precision_at_k_score": functools.partial(precision_at_k_score, k=2),
    "recall_at_k_score": functools.partial(recall_at_k_score, k=2),
}


def run_function(case, names, function, exact=True, expected=None):
    with hostile.time_limit():
        try:
            found = function()
        except Exception as error:
            assert case.outcome != "same", f"{type(error).__name__}: {error}"
            wrong = hostile.is_good_error(error, names)
            if wrong is not None:
                raise AssertionError(wrong) from error
            return
    assert case.outcome != "error", "no error"
    if case.outcome == "same" and expected is not None:
        for one, other in zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("case", hostile.Y_CASES, ids=repr)
@pytest.mark.parametrize("name", METRICS)
def test_metrics_on_hostile_truth(name, case):
    bad = case.apply(Y)
    run_function(
        case,
        r"y_true|y_score|inconsistent|[Ll]abel",
        lambda: METRICS[name](bad, SCORE),
        expected=METRICS[name](Y, SCORE),
    )


SCORE_CASES = [
    c
    for c in hostile.X_CASES
    # Thresholds are numbers of the scores' type, which differ by type.
    if c.name not in ("float16", "float32", "CSR float32")
]


@pytest.mark.parametrize("case", SCORE_CASES, ids=repr)
@pytest.mark.parametrize("name", METRICS)
def test_metrics_on_hostile_scores(name, case):
    # None is 0: what sparse scores do not store is lower than all that they do.
    score = X[:, : hostile.N_LABELS] + 10
    bad = case.apply(score)
    run_function(
        case,
        r"y_true|y_score|inconsistent",
        lambda: METRICS[name](Y, bad),
        expected=METRICS[name](Y, score),
    )


SPLITTERS = {
    "kfold": MultilabelStratifiedKFold(3, shuffle=True, random_state=0),
    "shuffle": MultilabelStratifiedShuffleSplit(2, test_size=0.3, random_state=0),
}


@pytest.mark.parametrize("case", hostile.Y_CASES, ids=repr)
@pytest.mark.parametrize("name", SPLITTERS)
def test_splitters_on_hostile_y(name, case):
    bad = case.apply(Y)

    def split(y):
        return np.concatenate([np.concatenate(pair) for pair in SPLITTERS[name].split(X, y)])

    run_function(case, Y_NAMES, lambda: split(bad), expected=split(Y))


@pytest.mark.parametrize("case", hostile.Y_CASES, ids=repr)
def test_diagnosis_on_hostile_y(case):
    bad = case.apply(Y)
    if "rows" in case.name:
        # Without X there is no other number of rows.
        case = replace(case, outcome="either")
    run_function(
        case,
        Y_NAMES,
        lambda: diagnose(None, None, bad).jaccard_regret_bound,
        expected=diagnose(None, None, Y).jaccard_regret_bound,
    )


@pytest.mark.parametrize("case", hostile.X_CASES, ids=repr)
def test_diagnosis_on_hostile_x(case):
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    bad = case.apply(X)
    run_function(
        case,
        rf"{X_NAMES}|{DELEGATED}",
        lambda: diagnose(model, bad, Y).jaccard_regret_bound,
        expected=diagnose(model, X, Y).jaccard_regret_bound,
    )


def test_diagnosis_of_a_fitted_model_on_corrupt_x():
    # A classifier of scikit-learn, which does not look at the buffers itself.
    model = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    with hostile.time_limit(), pytest.raises(ValueError, match="X is a corrupt sparse matrix"):
        diagnose(model, hostile._corrupt(X, "large"), Y)


BAD_ROWS = {
    "NaN": np.where(np.arange(6) == 2, np.nan, X[0]),
    "inf": np.where(np.arange(6) == 2, np.inf, X[0]),
    "too short": X[0, :-1],
    "too long": np.append(X[0], 1.0),
    "two rows": X[:2],
    "no row": X[:0],
    "strings": np.array(["a"] * 6),
    "None": None,
    "scalar": 3.0,
    "text": "some text",
    "three dimensions": X[None],
    "corrupt": hostile._corrupt(X[:1], "large"),
    "NaN, sparse": sp.csr_array(np.where(np.arange(6) == 2, np.nan, X[:1])),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_explain_row_on_hostile_rows(name):
    model = reference(0)[0]
    with hostile.time_limit(), pytest.raises((ValueError, TypeError)) as caught:
        explain_row(model, BAD_ROWS[name])
    assert hostile.is_good_error(caught.value, r"\bx\b|\bX\b|row|string to float") is None


BAD_INSPECTIONS = {
    "not fitted": (lambda: top_features(MultiLabelSGDClassifier()), "fitted"),
    "class": (lambda: top_features(MultiLabelSGDClassifier), "estimator|instance"),
    "None": (lambda: top_features(None), "estimator"),
    "no linear model": (
        lambda: top_features(__import__("sklearn.dummy").dummy.DummyClassifier().fit(X, Y)),
        "linear|coef_",
    ),
    "too few names": (lambda: top_features(reference(0)[0], ["a"]), "feature_names"),
    "names in 2-D": (lambda: top_features(reference(0)[0], X), "feature_names"),
    "too few label names": (
        lambda: top_features(reference(0)[0], label_names=["a"]),
        "label_names",
    ),
    "unknown label": (lambda: top_features(reference(0)[0], labels=["z"]), "label"),
    "label number out of range": (lambda: top_features(reference(0)[0], labels=[99]), "label"),
}


@pytest.mark.parametrize("name", BAD_INSPECTIONS)
def test_hostile_inspections(name):
    function, names = BAD_INSPECTIONS[name]
    with hostile.time_limit(), pytest.raises((ValueError, TypeError)) as caught:
        function()
    assert hostile.is_good_error(caught.value, names) is None


BAD_FILES = {
    "empty": b"",
    "blank": b"\n\n \n",
    "no label": b"just words\n",
    "invalid UTF-8": b"__label__a \xff\xfe words\n",
    "zero bytes": b"\0\0__label__a\0 x\n",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_hostile_files(name, tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(BAD_FILES[name])
    with hostile.time_limit():
        try:
            bunch = read_fasttext(path)
        except ValueError as error:
            wrong = hostile.is_good_error(error, "file.txt|label")
            assert wrong is None or isinstance(error, UnicodeDecodeError), wrong
            return
    assert bunch.target.shape[0] == len(bunch.data)


@pytest.mark.parametrize("source", [None, 3, b"bytes", ["no label"], [], [3]], ids=repr)
def test_hostile_sources(source):
    with pytest.raises((ValueError, TypeError)) as caught:
        read_fasttext(source)
    assert hostile.is_good_error(caught.value, "source|label|line") is None


BAD_LAWS = [
    {"n_samples": 0},
    {"n_samples": -1},
    {"n_samples": 1.5},
    {"n_samples": None},
    {"n_labels": 0},
    {"n_features": 0},
    {"mean_size": np.nan},
    {"mean_size": np.inf},
    {"mean_size": -1},
    {"mean_size": 1e9},
    {"law": "unknown"},
    {"signal": np.nan},
    {"empty_probability": 2.0},
    {"max_size": 0},
    {"random_state": "seed"},
    {"table": {}},
    {"table": 3},
]


@pytest.mark.parametrize("parameters", BAD_LAWS, ids=repr)
def test_hostile_laws(parameters):
    with hostile.time_limit(), pytest.raises((ValueError, TypeError)) as caught:
        make_label_sets(**parameters)
    assert hostile.is_good_error(caught.value, next(iter(parameters))) is None


def test_names_of_cases_are_unique():
    names = [c.name for c in hostile.X_CASES]
    assert len(set(names)) == len(names)
    names = [c.name for c in hostile.Y_CASES]
    assert len(set(names)) == len(names)
