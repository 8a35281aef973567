"""Defaults on data as it comes: raw tables, heavy tails, streams; and what they leave alone."""

import pickle
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler, normalize

from conftest import best_micro_jaccard, random_csr
from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier
from skmultireduce._models.penalty import automatic_c
from skmultireduce._reductions.table import REDUCTIONS

N_TRAIN = 1500


def gaussian(n_rows=2500, n_features=20, n_labels=8):
    """Rows, and labels that are linear in them."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n_rows, n_features))
    scores = Z @ rng.normal(size=(n_features, n_labels)) * 3 / np.sqrt(n_features) - 1
    return Z, (rng.random(scores.shape) < 1 / (1 + np.exp(-scores))).astype(int)


def with_column(Z, column):
    return np.column_stack([Z, column])


def noise(Z):
    return np.random.default_rng(1).normal(size=len(Z))


CHANGES = {
    "as it is": lambda Z: Z,
    "scaled": lambda Z: 1e3 * Z,
    "a year": lambda Z: with_column(Z, 2000 + 10 * noise(Z)),
    "a timestamp": lambda Z: with_column(Z, 1.7e9 + 1e6 * noise(Z)),
    "a constant": lambda Z: with_column(Z, np.full(len(Z), 1e4)),
    "+100": lambda Z: Z + 100,
    "one row": lambda Z: Z * np.where(np.arange(len(Z)) == 3, 1e4, 1)[:, None],
    "thirty rows": lambda Z: Z * np.where(np.arange(len(Z)) < 30, 300, 1)[:, None],
    "units": lambda Z: Z * np.geomspace(1e-3, 1e3, Z.shape[1]),
    "units and offsets": lambda Z: (Z + 5) * np.geomspace(1e-2, 1e2, Z.shape[1]),
    "heavy tails": lambda Z: np.sign(Z) * np.expm1(np.abs(Z)),
}


def held_out(model, X, y, n_train=N_TRAIN):
    scores = model.fit(X[:n_train], y[:n_train]).predict_proba(X[n_train:])
    return best_micro_jaccard(y[n_train:], scores)


def logistic(X, y, n_train=N_TRAIN):
    """Logistic regression with C=1 on standardised data."""
    X = StandardScaler().fit(X[:n_train]).transform(X)
    return held_out(OneVsRestClassifier(LogisticRegression(max_iter=1000)), X, y, n_train)


@pytest.mark.parametrize("name", CHANGES)
def test_tables_need_no_preparation(name):
    """Offsets, units, single columns and rows, tails: within .03 of what scaling gives."""
    Z, y = gaussian()
    X = CHANGES[name](Z)
    ours = held_out(MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0), X, y)
    assert ours >= logistic(X, y) - 0.03
    prepared = StandardScaler().fit(X[:N_TRAIN]).transform(X)
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    assert ours >= held_out(model, prepared, y) - 0.03


@pytest.mark.parametrize("name", ["a year", "+100", "one row", "units and offsets"])
@pytest.mark.parametrize(
    "model",
    [
        MultiLabelSGDClassifier(random_state=0),
        MultiLabelSGDClassifier(reduction="pick_all", random_state=0),
        MultiLabelMLPClassifier(reduction="one_vs_rest", random_state=0),
        MultiLabelMLPClassifier(random_state=0),
    ],
    ids=lambda model: f"{type(model).__name__}-{model.reduction}",
)
@pytest.mark.filterwarnings("ignore:.*rows have no label")
def test_every_model_is_as_good_as_on_plain_features(name, model):
    Z, y = gaussian()
    assert held_out(model, CHANGES[name](Z), y) >= held_out(model, Z, y) - 0.03


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer], ids=["wine", "cancer"])
def test_real_tables(load):
    data = load()
    order = np.random.default_rng(0).permutation(len(data.target))
    X, target = data.data[order], data.target[order]
    y = np.column_stack([target == 0, target == 1, X[:, 0] > np.median(X[:, 0])]).astype(int)
    n_train = 2 * len(X) // 3
    ours = held_out(
        MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0), X, y, n_train
    )
    assert ours >= logistic(X, y, n_train) - 0.03


def test_raw_counts_of_texts_of_all_lengths():
    """Row norms that differ by orders of magnitude, in sparse and in dense containers."""
    rng = np.random.default_rng(2)
    y = (rng.random((2000, 8)) < 0.2).astype(int)
    y[y.sum(axis=1) == 0, 0] = 1
    topics = rng.dirichlet(np.full(500, 0.05), 8)
    lengths = np.minimum(np.exp(rng.normal(4.5, 1.3, 2000)).astype(int) + 5, 20_000)
    mixed = 0.6 / 500 + 0.4 * (y @ topics) / y.sum(axis=1, keepdims=True)
    X = np.stack([rng.multinomial(n, p / p.sum()) for n, p in zip(lengths, mixed, strict=True)])
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    ours = held_out(model, sp.csr_array(X.astype(float)), y)
    prepared = held_out(model, normalize(np.sqrt(X)), y)
    reference = held_out(OneVsRestClassifier(LogisticRegression(max_iter=500)), X, y)
    assert ours >= min(reference, prepared) - 0.03


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_containers_agree(share):
    """X and X.toarray() give the same model to rounding."""
    rng = np.random.default_rng(3)
    X = random_csr(rng, (400, 60), share)
    y = (X @ rng.normal(size=(60, 5)) > 0).astype(int)
    for loss in ("log_loss", "squared_hinge"):
        model = MultiLabelSGDClassifier(reduction="one_vs_rest", loss=loss, dtype="float64")
        model.set_params(random_state=0)
        one, other = (pickle.loads(pickle.dumps(model)).fit(A, y) for A in (X, X.toarray()))
        assert one.alpha_ == pytest.approx(other.alpha_, rel=1e-12)
        np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-9, atol=1e-12)


def test_weights_are_in_the_units_of_x():
    Z, y = gaussian()
    for name in ("a year", "+100", "units and offsets"):
        X = CHANGES[name](Z)
        model = MultiLabelSGDClassifier(reduction="one_vs_rest", dtype="float64").fit(X, y)
        np.testing.assert_allclose(
            X @ model.coef_.T + model.intercept_, model.decision_function(X), atol=1e-7
        )
        before = model.decision_function(X[:50])
        np.testing.assert_allclose(
            model.sparsify().coef_ @ X[:50].T, before.T - model.intercept_[:, None], atol=1e-7
        )
        np.testing.assert_allclose(model.decision_function(X[:50]), before, atol=1e-9)


@pytest.mark.parametrize("given", [{"alpha": 1e-3}, {"eta0": 0.1}, {"alpha": 1e-3, "eta0": 0.1}])
def test_given_rates_mean_what_they_say(given):
    """Nothing is scaled inside when a number is given in the units of X."""
    Z, y = gaussian(600)
    X = CHANGES["+100"](Z)
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0, **given).fit(X, y)
    assert model._training.scaling is None
    for name, value in given.items():
        assert getattr(model, f"{name}_") == value


def test_scaling_stays_through_resumption_streams_and_early_stopping():
    Z, y = gaussian(1200)
    X = CHANGES["units and offsets"](Z)
    new = partial(
        MultiLabelSGDClassifier, reduction="one_vs_rest", random_state=0, dtype="float64"
    )
    whole = new().fit(X, y)
    streamed = new().fit_stream([(X, y)])
    np.testing.assert_array_equal(streamed.coef_, whole.coef_)
    blocks = new().fit_stream([(X[i : i + 300], y[i : i + 300]) for i in range(0, 1200, 300)])
    assert blocks.alpha_ == pytest.approx(whole.alpha_, rel=1e-12)
    np.testing.assert_array_equal(blocks._training.scaling.scale, whole._training.scaling.scale)
    stopped = new(early_stopping=True, average=True).fit(X, y)
    assert stopped.best_validation_score_ > 0.5
    again = pickle.loads(pickle.dumps(new(warm_start=True).fit(X, y))).fit(X, y)
    assert again._training.scaling is not None
    assert best_micro_jaccard(y, again.predict_proba(X)) > 0.5


def sparse_with(heavy):
    rng = np.random.default_rng(5)
    X = random_csr(rng, (300, 40), 0.1)
    y = (X @ rng.normal(size=(40, 4)) > 0.1).astype(int)
    return sp.hstack([X, sp.csr_array(heavy(rng))], format="csr"), y


def test_heavy_columns_of_sparse_rows_are_named():
    """They are not centred: one warning says which they are and what to use."""
    X, y = sparse_with(lambda rng: 2000 + 10 * rng.normal(size=(300, 1)))
    model = MultiLabelSGDClassifier(reduction="one_vs_rest")
    with pytest.warns(UserWarning, match=r"Column 40 of X hold .*MaxAbsScaler") as caught:
        model.fit(X, y)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="Column 40 of X"):
        model.fit_stream([(X, y)])
    model.set_params(alpha=1e-3).fit(X, y)


def test_ordinary_sparse_rows_are_not_warned_about():
    X, y = sparse_with(lambda rng: rng.random((300, 1)) < 0.5)
    MultiLabelSGDClassifier(reduction="one_vs_rest").fit(X, y)


def test_penalty_follows_the_shape():
    """C rises with features over rows, within bounds; a constant for dense rows."""
    for loss in ("softmax", "sigmoid", "squared_hinge"):
        values = [
            automatic_c(loss, n_rows=n, n_features=1000, share=0.01)
            for n in (1, 100, 1000, 10_000, 10**9)
        ]
        assert values == sorted(values, reverse=True)
        assert values[0] > 20 * values[-1] > 0
        dense = {automatic_c(loss, n_rows=n, n_features=1000, share=0.9) for n in (10, 10**6)}
        assert len(dense) == 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_alpha_scale_is_a_factor(reduction):
    Z, y = gaussian(400)
    y[:, 0] |= ~y.any(axis=1)
    model = MultiLabelSGDClassifier(reduction=reduction).fit(Z, y)
    scaled = MultiLabelSGDClassifier(reduction=reduction, alpha_scale=3.0).fit(Z, y)
    assert scaled.alpha_ == pytest.approx(3 * model.alpha_)
    with pytest.raises(ValueError, match=r"alpha_scale=3.0 .*alpha='auto'"):
        MultiLabelSGDClassifier(alpha=0.1, alpha_scale=3.0).fit(Z, y)


# ----------------------------------------------------------------------- streams


def stream_of(model, X, y, n_passes, size=200, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n_passes):
        order = rng.permutation(X.shape[0])
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            model.partial_fit(X[batch], y[batch])
    return model


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_one_pass_is_nearly_a_fit(loss):
    Z, y = gaussian()
    X = normalize(Z)
    new = partial(MultiLabelSGDClassifier, reduction="one_vs_rest", loss=loss, random_state=0)

    def quality(model):
        return best_micro_jaccard(y[N_TRAIN:], model.decision_function(X[N_TRAIN:]))

    whole = quality(new().fit(X[:N_TRAIN], y[:N_TRAIN]))
    for n_passes, share in ((1, 0.93), (10, 0.97)):
        model = stream_of(new(), X[:N_TRAIN], y[:N_TRAIN], n_passes)
        assert quality(model) >= share * whole


def test_penalty_follows_the_rows_of_a_stream():
    """It falls as distinct rows come, and stays when they come again."""
    Z, y = gaussian(2000)
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    alphas = []
    for start in (0, 500, 1000, 1500, 0, 500, 1000, 1500):
        alphas.append(model.partial_fit(Z[start : start + 500], y[start : start + 500]).alpha_)
    ratios = np.divide(alphas[0], alphas)
    np.testing.assert_allclose(ratios, [1, 2, 3, 4, 4, 4, 4, 4], rtol=0.08)
    whole = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(Z, y)
    assert alphas[-1] == pytest.approx(whole.alpha_, rel=0.1)


def test_mean_over_a_stream_hardly_depends_on_the_batches():
    Z, y = gaussian(2000)
    one, other = (
        stream_of(MultiLabelSGDClassifier(reduction="one_vs_rest"), Z, y, 3, size)
        for size in (20, 400)
    )
    scores = [model.decision_function(Z).ravel() for model in (one, other)]
    assert np.corrcoef(*scores)[0, 1] > 0.97
    found = [best_micro_jaccard(y, model.decision_function(Z)) for model in (one, other)]
    assert abs(found[0] - found[1]) < 0.02


def test_a_fitted_model_goes_on_with_a_stream():
    Z, y = gaussian(2000)
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    model.fit(Z[:1000], y[:1000])
    before, alpha = model.coef_.copy(), model.alpha_
    model.partial_fit(Z[1000:1100], y[1000:1100])
    change = np.abs(model.coef_ - before).max() / np.abs(before).max()
    assert 0 < change < 0.5
    assert model.alpha_ == pytest.approx(alpha * 1000 / 1100, rel=0.05)


def test_same_rows_in_each_call_give_a_fit_with_a_named_rate():
    Z, y = gaussian(300)
    new = partial(
        MultiLabelSGDClassifier,
        reduction="one_vs_rest",
        learning_rate="linear",
        max_iter=4,
        random_state=0,
    )
    model = new()
    for _ in range(4):
        model.partial_fit(Z, y)
    np.testing.assert_array_equal(model.coef_, new().fit(Z, y).coef_)


def test_stream_goes_on_after_a_pickle_to_the_same_bits():
    Z, y = gaussian(1500)
    models = []
    for stored in (False, True):
        model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
        for start in range(0, 1500, 100):
            model.partial_fit(Z[start : start + 100], y[start : start + 100])
            if stored:
                model = pickle.loads(pickle.dumps(model))
        models.append(model)
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)
    assert models[0].alpha_ == models[1].alpha_
