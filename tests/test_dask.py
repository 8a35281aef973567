"""On a Dask cluster: the same model and cutoff, wherever the rows lie."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import re
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.multiclass import OneVsRestClassifier

from conftest import best_micro_jaccard
from skmultireduce import (
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    load_model,
    save_model,
)

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from dask import delayed  # noqa: E402

from skmultireduce._cluster import partitions, records, rounds, shards  # noqa: E402
from skmultireduce.dask import (  # noqa: E402
    DaskMultiLabelSGDClassifier,
    DaskThresholdedMultiLabel,
)


def problem(n_rows=203, n_features=20, n_labels=6):
    rng = np.random.default_rng(3)
    y = (rng.random((n_rows, n_labels)) < 0.25).astype(np.int8)
    y[y.sum(axis=1) == 0, 0] = 1
    X = y @ rng.normal(size=(n_labels, n_features)) + rng.normal(size=(n_rows, n_features))
    X[np.abs(X) < 0.5] = 0
    return X, y


X, Y = problem()
WEIGHT = np.random.default_rng(0).integers(0, 4, size=len(X)).astype(float)
PARAMS = {"random_state": 0, "max_iter": 3}


@pytest.fixture(scope="module")
def client():
    """Two workers of one thread each, in this process."""
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        yield client


def arrays(*parts, chunks=(50, 50, 103)):
    return [da.from_array(p, chunks=(chunks, *p.shape[1:])) for p in parts]


def blocks(matrix, bounds=(0, 61, 130, 203)):
    """Delayed blocks of rows."""
    return [delayed(matrix[first:last]) for first, last in pairwise(bounds)]


def assert_same_model(a, b):
    for name in ("coef_", "intercept_", "loss_curve_", "eta0_", "alpha_", "t_", "n_unlabeled_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.classes_, b.classes_)


# --- one shard: the estimator without Dask ------------------------------------------------


@pytest.mark.parametrize(
    ("params", "weighted"),
    [
        ({}, False),
        ({}, True),
        ({"reduction": "one_vs_rest", "class_weight": "balanced"}, True),
        ({"reduction": "one_vs_rest", "loss": "squared_hinge", "dtype": "float64"}, False),
        ({"reduction": "pick_all", "average": 2}, True),
        ({"label_sampling": "cycle", "shuffle": False, "learning_rate": "invscaling"}, False),
        ({"fit_intercept": False, "eta0": 0.01, "alpha": 0.1, "epochs_per_round": 2}, False),
    ],
    ids=str,
)
def test_one_shard_is_the_plain_estimator(client, params, weighted):
    X_parts, y_parts, weight_parts = arrays(X, Y, WEIGHT)
    model = DaskMultiLabelSGDClassifier(n_shards=1, **PARAMS, **params)
    plain = {k: v for k, v in params.items() if k != "epochs_per_round"}
    expected = MultiLabelSGDClassifier(**PARAMS, **plain)
    if weighted:
        assert_same_model(model.fit(X_parts, y_parts, weight_parts), expected.fit(X, Y, WEIGHT))
    else:
        assert_same_model(model.fit(X_parts, y_parts), expected.fit(X, Y))
    np.testing.assert_array_equal(model.decision_function(X), expected.decision_function(X))


def test_one_shard_with_classes(client):
    y = np.array(["a", "b", "c"])[Y[:, :3].argmax(axis=1)]
    # The first partition has not all of the classes.
    order = np.argsort(y, kind="stable")
    expected = MultiLabelSGDClassifier(**PARAMS).fit(X[order], y[order])
    model = DaskMultiLabelSGDClassifier(n_shards=1, **PARAMS).fit(*arrays(X[order], y[order]))
    assert_same_model(model, expected)
    lazy = model.predict(arrays(X)[0])
    assert lazy.dtype == expected.predict(X).dtype
    np.testing.assert_array_equal(lazy.compute(), expected.predict(X))


def test_warm_start_goes_on_as_the_plain_estimator(client):
    expected = MultiLabelSGDClassifier(warm_start=True, average=True, **PARAMS)
    expected.fit(X, Y)
    model = DaskMultiLabelSGDClassifier.from_local(expected, n_shards=1)
    assert_same_model(model.fit(*arrays(X, Y)), expected.fit(X, Y))
    with pytest.raises(ValueError, match="densify"):
        DaskMultiLabelSGDClassifier.from_local(model.to_local().sparsify()).fit(*arrays(X, Y))
    with pytest.raises(ValueError, match="20 features"):
        model.fit(*arrays(X[:, :9], Y))
    with pytest.raises(ValueError, match="other labels"):
        model.fit(*arrays(X, Y[:, :4]))


def test_warm_start_after_another_reduction_in_panels(client):
    y = np.tile(Y, (1, 20))
    params = {"warm_start": True, "average": True, **PARAMS}
    for reduction in ("one_vs_rest", "pick_all"):
        expected = MultiLabelSGDClassifier(reduction="one_vs_rest", n_jobs=2, **params).fit(X, y)
        assert len(expected._training.model.widths) == 2
        model = DaskMultiLabelSGDClassifier.from_local(expected, n_shards=1, reduction=reduction)
        expected.set_params(reduction=reduction).fit(X, y)
        assert_same_model(model.fit(*arrays(X, y)), expected)


def test_warm_start_refuses_what_the_plain_estimator_refuses(client):
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    y_parts = frames.from_pandas(pd.DataFrame(Y), npartitions=2)
    model = DaskMultiLabelSGDClassifier(n_shards=1, warm_start=True, **PARAMS)
    model.fit(frames.from_pandas(frame, npartitions=2), y_parts)
    with pytest.raises(ValueError, match="other feature names"):
        model.fit(frames.from_pandas(frame[frame.columns[::-1]], npartitions=2), y_parts)
    with pytest.raises(ValueError, match="fitted with dtype='float32'"):
        model.set_params(dtype="float64").fit(*arrays(X, Y))
    assert model.set_params(dtype="float32").fit(*arrays(X, Y)).n_iter_ == 6


# --- several shards -----------------------------------------------------------------------


@settings(max_examples=5)
@given(data=st.data())
def test_partitions_do_not_matter(client, data):
    n_shards = data.draw(st.integers(1, 5))
    cuts = data.draw(st.lists(st.integers(0, 203), max_size=4))
    bounds = [0, *sorted(cuts), 203]
    params = {**PARAMS, "max_iter": 1, "n_shards": n_shards}
    expected = DaskMultiLabelSGDClassifier(**params).fit(blocks(X, (0, 203)), blocks(Y, (0, 203)))
    model = DaskMultiLabelSGDClassifier(**params).fit(blocks(X, bounds), blocks(Y, bounds))
    assert_same_model(model, expected)
    assert model.n_shards_ == n_shards


def halves_on(client, workers):
    """X and y in two blocks, each on a given worker."""
    bounds = (0, 101, 203)
    parts = [
        client.compute(list(pair), workers=[worker])
        for *pair, worker in zip(blocks(X, bounds), blocks(Y, bounds), workers, strict=True)
    ]
    distributed.wait(parts)
    return map(list, zip(*parts, strict=True))


def test_workers_do_not_matter(client):
    workers = sorted(client.nthreads())
    first, *others = (
        DaskMultiLabelSGDClassifier(**PARAMS).fit(*halves_on(client, own))
        for own in (workers, workers[::-1], workers[:1] * 2)
    )
    assert first.n_shards_ == 2
    for model in others:
        assert_same_model(model, first)


def test_shards_stay_where_their_rows_are(client, monkeypatch):
    homes = []
    place = shards.Shards._place
    monkeypatch.setattr(
        shards.Shards, "_place", lambda self: (place(self), homes.append(self.homes))
    )
    workers = sorted(client.nthreads())
    for own in (workers, workers[::-1]):
        DaskMultiLabelSGDClassifier(**PARAMS).fit(*halves_on(client, own))
    assert homes == [workers, workers[::-1]]


@pytest.mark.parametrize("sizes", [(100, 100), (20, 20, 20, 140)], ids=str)
def test_small_steps_carry_as_far_as_on_one_machine(client, sizes, monkeypatch):
    """To first order in the step, all shards together make the step of one machine."""
    n = sum(sizes)
    monkeypatch.setattr(
        shards, "shard_bounds", lambda n_rows, n_shards: np.cumsum([0, *sizes]).tolist()
    )
    params = {
        "reduction": "pick_all",
        "eta0": 1e-6,
        "learning_rate": "constant",
        "max_iter": 1,
        "dtype": "float64",
        "alpha": 0.0,
        "random_state": 0,
    }
    expected = MultiLabelSGDClassifier(**params).fit(X[:n], Y[:n])
    model = DaskMultiLabelSGDClassifier(n_shards=len(sizes), **params)
    model.fit(*arrays(X[:n], Y[:n], chunks=(n,)))
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-2, atol=1e-9)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=1e-2, atol=1e-9)


@pytest.mark.parametrize(("reduction", "n_shards"), [("pick_one", 2), ("one_vs_rest", 8)])
def test_quality_is_that_of_one_machine(client, tmc2007, reduction, n_shards):
    X_train, Y_train, X_test, Y_test = tmc2007
    params = {"reduction": reduction, "random_state": 0}
    expected = MultiLabelSGDClassifier(**params).fit(X_train, Y_train)
    bounds = np.linspace(0, X_train.shape[0], 4).astype(int)
    model = DaskMultiLabelSGDClassifier(n_shards=n_shards, **params)
    model.fit(blocks(X_train, bounds), blocks(Y_train, bounds))
    got, wanted = (best_micro_jaccard(Y_test, m.predict_proba(X_test)) for m in (model, expected))
    assert got > 0.99 * wanted


def test_average_is_the_mean_of_the_epochs(client):
    params = {"learning_rate": "constant", "random_state": 0, "n_shards": 2}
    parts = arrays(X, Y)
    each = [DaskMultiLabelSGDClassifier(max_iter=k, **params).fit(*parts).coef_ for k in (1, 2, 3)]
    model = DaskMultiLabelSGDClassifier(max_iter=3, average=2, **params).fit(*parts)
    np.testing.assert_allclose(model.coef_, (each[1] + each[2]) / 2, rtol=1e-5, atol=1e-7)


def test_rounds_of_several_epochs(client):
    """Shards go on alone in between; what is averaged in the end is all of them."""
    parts = arrays(X, Y)
    params = {"n_shards": 2, "random_state": 0, "max_iter": 4}
    often = DaskMultiLabelSGDClassifier(**params).fit(*parts)
    rarely = DaskMultiLabelSGDClassifier(epochs_per_round=3, **params).fit(*parts)
    assert not np.array_equal(often.coef_, rarely.coef_)
    assert rarely.n_iter_ == 4
    np.testing.assert_allclose(rarely.coef_, often.coef_, atol=0.5 * np.abs(often.coef_).max())
    # Who looks at the model between two rounds, and what is averaged there, changes nothing.
    seen = []
    watched = DaskMultiLabelSGDClassifier(epochs_per_round=3, average=1, **params)

    class Looks(Epochs):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                seen.append(fitted_estimator.coef_)

    watched.set_callbacks(Looks()).fit(*parts)
    assert len(seen) == 4
    watched._training.drop_mean()
    np.testing.assert_array_equal(watched.coef_, rarely.coef_)


# --- containers ---------------------------------------------------------------------------


def test_containers_of_rows(client):
    params = {**PARAMS, "n_shards": 2}
    expected = DaskMultiLabelSGDClassifier(**params).fit(*arrays(X, Y))
    sparse_X, sparse_Y = sp.csr_array(X), sp.csr_matrix(Y)
    bag = pytest.importorskip("dask.bag")
    of_blocks = [sparse_X[:80], sparse_X[80:100], sparse_X[100:]]
    of_labels = [sparse_Y[:80], sparse_Y[80:100], sparse_Y[100:]]
    cases = {
        "columns in chunks": (da.from_array(X, chunks=(70, 7)), da.from_array(Y, chunks=(30, 2))),
        "CSR blocks": (blocks(sparse_X), blocks(sparse_Y)),
        "futures": (client.compute(blocks(sparse_X)), client.compute(blocks(Y))),
        "empty blocks": (
            blocks(X, (0, 0, 90, 90, 203)),
            blocks(Y, (0, 0, 90, 90, 203)),
        ),
        "CSR chunks": tuple(
            da.from_array(part, chunks=(70, -1)).map_blocks(sp.csr_matrix) for part in (X, Y)
        ),
        "bags of blocks": tuple(
            bag.from_sequence(part, npartitions=2) for part in (of_blocks, of_labels)
        ),
    }
    for name, (X_parts, y_parts) in cases.items():
        model = DaskMultiLabelSGDClassifier(**params).fit(X_parts, y_parts)
        np.testing.assert_array_equal(model.coef_, expected.coef_, err_msg=name)
        np.testing.assert_array_equal(
            model.predict_proba(X_parts).compute(), expected.predict_proba(X), err_msg=name
        )


def test_data_frames(client):
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    X_parts, y_parts = (frames.from_pandas(f, npartitions=3) for f in (frame, pd.DataFrame(Y)))
    model = DaskMultiLabelSGDClassifier(n_shards=1, **PARAMS).fit(X_parts, y_parts)
    expected = MultiLabelSGDClassifier(**PARAMS).fit(frame, Y)
    assert_same_model(model, expected)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    lazy = model.predict(X_parts)
    np.testing.assert_array_equal(lazy.compute(), expected.predict(frame))
    series = frames.from_pandas(pd.Series(WEIGHT), npartitions=3)
    weighted = DaskMultiLabelSGDClassifier(n_shards=1, **PARAMS).fit(X_parts, y_parts, series)
    assert_same_model(weighted, MultiLabelSGDClassifier(**PARAMS).fit(frame, Y, WEIGHT))


@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning")
def test_names_of_labels(client, tmp_path):
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    names = [f"label {k}" for k in range(Y.shape[1])]
    X_parts, y_parts = (
        frames.from_pandas(frame, npartitions=3)
        for frame in (pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y, columns=names))
    )
    model = DaskMultiLabelSGDClassifier(**PARAMS).fit(X_parts, y_parts)
    assert model.label_names_.tolist() == names
    assert model.to_local().label_names_.tolist() == names
    cutoff = DaskThresholdedMultiLabel(DaskMultiLabelSGDClassifier(**PARAMS), cv=2)
    local = cutoff.fit(X_parts, y_parts).to_local()
    assert cutoff.label_names_.tolist() == local.label_names_.tolist() == names
    assert local.estimator_.label_names_.tolist() == names
    # Partitions without names get them later, as on one machine.
    plain = DaskMultiLabelSGDClassifier(**PARAMS).fit(*arrays(X, Y))
    assert plain.label_names_.tolist() == list(range(6))
    assert plain.set_label_names(names).to_local().label_names_.tolist() == names
    with pytest.raises(ValueError, match=r"no skmultireduce.dask.*to_local"):
        save_model(model, tmp_path / "model")
    save_model(local, tmp_path / "model")
    assert load_model(tmp_path / "model").label_names_.tolist() == names


# --- predictions --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(client):
    return DaskMultiLabelSGDClassifier(n_shards=2, **PARAMS).fit(
        blocks(X), blocks(sp.csr_array(Y))
    )


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
# Dask says so while the other tests' client is open.
@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning")
def test_predictions_are_lazy(client, fitted, method, monkeypatch):
    expected = getattr(fitted.to_local(), method)(X)
    lazy = getattr(fitted, method)(arrays(X)[0])
    assert isinstance(lazy, da.Array)
    assert lazy.chunks == ((50, 50, 103), (6,))
    assert lazy.dtype == expected.dtype
    assert sp.issparse(lazy._meta) == sp.issparse(expected) == (method == "predict")
    # An empty partition has an empty result.
    from_blocks = getattr(fitted, method)(blocks(X, (0, 0, 203)))
    here = getattr(fitted, method)(X)

    def no_client():
        raise ValueError("no client")

    monkeypatch.setattr(partitions, "default_client", no_client)
    elsewhere = getattr(fitted, method)(arrays(X)[0]).compute(scheduler="synchronous")
    for got in (lazy.compute(), from_blocks.compute(), here, elsewhere):
        got, wanted = (m.toarray() if sp.issparse(m) else m for m in (got, expected))
        np.testing.assert_array_equal(got, wanted)


def test_two_classes_have_one_score(client):
    model = DaskMultiLabelSGDClassifier(**PARAMS).fit(*arrays(X, Y[:, 0]))
    lazy = model.decision_function(arrays(X)[0])
    assert lazy.shape == (203,)
    np.testing.assert_array_equal(lazy.compute(), model.to_local().decision_function(X))


def test_there_and_back(client, fitted):
    local = fitted.to_local()
    assert type(local) is MultiLabelSGDClassifier
    assert "n_shards_" not in vars(local)
    back = DaskMultiLabelSGDClassifier.from_local(local, n_shards=2)
    assert back.n_shards == 2
    assert_same_model(back, fitted)
    # Nothing is shared.
    local.partial_fit(X, sp.csr_array(Y))
    assert_same_model(back, fitted)
    with pytest.raises(NotFittedError):
        DaskMultiLabelSGDClassifier().to_local()


def test_clients_are_neither_copied_nor_pickled(client, fitted):
    model = copy.copy(fitted).set_params(client=client)
    assert clone(model).client is client
    assert clone(DaskThresholdedMultiLabel(model)).estimator.client is client
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.client is None
    assert_same_model(loaded, model)


# --- recovery -----------------------------------------------------------------------------


class Epochs:
    """Callback that does something at the begin of epochs, and may stop at their end."""

    def __init__(self, begin=None, stop=None):
        self.begin, self.stop, self.losses = begin or {}, stop, []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **given):
        if context.task_name == "epoch":
            self.begin.pop(context.task_id, lambda: None)()

    def on_fit_task_end(self, estimator, context, **given):
        if context.task_name == "epoch":
            self.losses.append(estimator.loss_curve_[-1])
            return context.task_id == self.stop
        return False


def test_a_killed_worker_costs_no_rows():
    # Large enough that the kill falls into the epoch.
    X_large, Y_large = (np.tile(part, (20, 1)) for part in (X, Y))
    parts = arrays(X_large, Y_large, chunks=(1015,) * 4)
    params = {"n_shards": 2, "max_iter": 4, "average": True, "random_state": 0}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as own,
    ):  # fmt: skip
        expected = DaskMultiLabelSGDClassifier(**params).fit(*parts)
        before = own.run(os.getpid)
        seen = []

        def kill():
            # Windows has but one way to end a process.
            how = getattr(signal, "SIGKILL", signal.SIGTERM)
            os.kill(next(iter(before.values())), how)

        model = DaskMultiLabelSGDClassifier(**params)
        model.set_callbacks(Epochs(begin={2: kill, 3: lambda: seen.append(set(own.nthreads()))}))
        model.fit(*parts)
        assert seen[0] != set(before)
    assert model.t_ == 4 * len(X_large)
    assert_same_model(model, expected)


def test_lost_rows_are_an_error(client, monkeypatch):
    epoch = rounds.ClusterSource._epoch
    monkeypatch.setattr(
        rounds.ClusterSource, "_epoch", lambda *a: (epoch(*a)[0], epoch(*a)[1] - 1)
    )  # fmt: skip
    model = DaskMultiLabelSGDClassifier(**PARAMS)
    with pytest.raises(RuntimeError, match="202 of 203 rows"):
        model.fit(*arrays(X, Y))
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_partitions_that_come_back_in_another_shape_are_an_error():
    engine = MultiLabelSGDClassifier()
    block = shards.read_block(engine, X[:50], Y[:50], None)
    shard = shards.make_shard([block], [records.Cut(10, 50, (50, 20))], 10, block.target)
    assert shard.rows.shape == (40, 20)
    np.testing.assert_array_equal(shard.rows.data.reshape(40, 20), X[10:50].astype("f4"))
    for changed in (None, shards.read_block(engine, X[:49], Y[:49], None)):
        with pytest.raises(RuntimeError, match="computed again"):
            shards.make_shard([changed], [records.Cut(10, 50, (50, 20))], 10, block.target)


def test_shards_of_a_lost_worker_move_to_the_least_loaded(client):
    facts = [records.Facts(8, 3)]
    placed = shards.Shards(client, client.scatter([0]), facts, 4)
    workers = sorted(client.nthreads())
    assert sorted(placed.homes) == sorted(workers * 2)
    placed.homes = ["gone", workers[0], workers[0], "gone too"]
    placed.rehome()
    assert placed.homes == [workers[1], workers[0], workers[0], workers[1]]


# --- stopping -----------------------------------------------------------------------------


def test_callbacks(client):
    monitor = Epochs(stop=1)
    model = DaskMultiLabelSGDClassifier(random_state=0, max_iter=9).set_callbacks(monitor)
    model.fit(*arrays(X, Y))
    assert model.n_iter_ == 2
    assert monitor.losses == model.loss_curve_
    expected = DaskMultiLabelSGDClassifier(random_state=0, max_iter=9)
    assert expected.fit(*arrays(X, Y)).loss_curve_[:2] == model.loss_curve_


def test_scoring_monitor_sees_each_epoch(client):
    callback = pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")

    def first(estimator, X, y):
        return float(estimator.predict_proba(X)[0, 0].compute())

    monitor = callback.ScoringMonitor(scoring={"first": first})
    model = DaskMultiLabelSGDClassifier(n_shards=2, **PARAMS).set_callbacks(monitor)
    model.fit(*arrays(X, Y))
    seen = [row["first"] for row in monitor.get_logs().data]
    assert len(set(seen)) >= 3
    assert seen[-1] == model.predict_proba(X)[0, 0]


def test_tol_stops(client):
    model = DaskMultiLabelSGDClassifier(tol=10.0, n_iter_no_change=2, random_state=0)
    assert model.fit(*arrays(X, Y)).n_iter_ == 3


def test_early_stopping_with_rows_in_memory(client):
    params = {"early_stopping": True, "max_iter": 6, "random_state": 0}
    model = DaskMultiLabelSGDClassifier(n_shards=1, **params)
    model.fit(*arrays(X[:150], Y[:150], chunks=(75, 75)), X_val=X[150:], y_val=Y[150:])
    expected = MultiLabelSGDClassifier(**params)
    expected.fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    assert_same_model(model, expected)
    assert model.validation_scores_ == expected.validation_scores_
    with pytest.raises(ValueError, match="pass X_val and y_val"):
        model.fit(*arrays(X, Y))
    with pytest.raises(ValueError, match="go together"):
        model.fit(*arrays(X, Y), X_val=X)


# --- cutoffs ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scored():
    return MultiLabelSGDClassifier(reduction="one_vs_rest", **PARAMS).fit(X[:100], Y[:100])


@pytest.mark.parametrize("cv", ["prefit", 3])
def test_partitions_of_other_sizes_are_refused(client, scored, cv):
    inner = scored if cv == "prefit" else DaskMultiLabelSGDClassifier(**PARAMS)
    model = DaskThresholdedMultiLabel(inner, cv=cv)
    # Fewer rows, more, or none to labels; the numbers of all rows may agree.
    for X_bounds, y_bounds in [
        ((0, 61, 203), (0, 60, 203)),
        ((0, 61, 203), (0, 61, 200)),
        ((0, 0, 203), (0, 1, 203)),
    ]:
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples.*of X and that"):
            model.fit(blocks(X, X_bounds), blocks(Y, y_bounds))


@settings(max_examples=4)
@given(cuts=st.lists(st.integers(0, 203), max_size=5))
@pytest.mark.parametrize("strategy", ["global", "per_label", "adjusted"])
def test_cutoff_is_the_local_one_to_the_bit(client, scored, strategy, cuts):
    bounds = [0, *sorted(cuts), 203]
    params = {"cv": "prefit", "strategy": strategy, "max_labels": 4}
    expected = ThresholdedMultiLabel(scored, **params).fit(X, Y)
    model = DaskThresholdedMultiLabel(scored, **params)
    model.fit(blocks(X, bounds), blocks(Y, bounds))
    np.testing.assert_array_equal(model.best_threshold_, expected.best_threshold_)
    assert model.best_score_ == expected.best_score_
    assert model.best_score_stderr_ == expected.best_score_stderr_
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize(
    "params",
    [
        {"scoring": "f1_micro", "strategy": "top_k"},
        {"scoring": "f1_micro", "strategy": "relative", "min_precision": 0.3},
        {"scoring": "jaccard_samples"},
        {"scoring": "f1_macro"},
        {"scoring": "jaccard_macro", "strategy": "per_label"},
        {"scoring": make_scorer(fbeta_score, beta=2, average="micro")},
        {"scoring": "recall_micro", "strategy": "per_label", "min_precision": 0.3},
        {"store_cv_results": True},
        {"min_precision": 0.3, "confidence": 0.9, "max_labels": 2},
        {"min_precision": 0.3, "confidence": 0.9, "scoring": "f1_samples"},
        {"min_recall": 0.3, "confidence": 0.9, "strategy": "per_label"},
        {"min_recall": 0.7, "guarantee": "expectation"},
    ],
    ids=str,
)
def test_cutoffs_of_every_kind(client, scored, params):
    expected = ThresholdedMultiLabel(scored, cv="prefit", **params).fit(X, Y)
    model = DaskThresholdedMultiLabel(scored, cv="prefit", **params).fit(*arrays(X, Y))
    np.testing.assert_array_equal(model.best_threshold_, expected.best_threshold_)
    assert model.best_score_ == pytest.approx(expected.best_score_, rel=1e-12)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    np.testing.assert_allclose(model.best_score_interval_, expected.best_score_interval_)
    assert getattr(model, "guarantee_", None) == getattr(expected, "guarantee_", None)
    for name, values in getattr(expected, "cv_results_", {}).items():
        np.testing.assert_array_equal(model.cv_results_[name], values)


def test_promises_need_rows_that_the_model_has_not_seen(client):
    inner = DaskMultiLabelSGDClassifier(reduction="one_vs_rest", **PARAMS)
    promise = {"min_recall": 0.7, "guarantee": "expectation"}
    with pytest.raises(ValueError, match="refit=False"):
        DaskThresholdedMultiLabel(inner, **promise).fit(*arrays(X, Y))
    model = DaskThresholdedMultiLabel(inner, cv=0.5, refit=False, **promise).fit(*arrays(X, Y))
    assert "theory 5.9" in model.guarantee_


CANDIDATES = {"response_method": "predict_scores", "n_candidates": 3}


@pytest.mark.parametrize(
    "params",
    [
        {"strategy": "global"},
        {"strategy": "per_label", "scoring": "f1_macro"},
        {"strategy": "adjusted", "scoring": "jaccard_samples"},
        {"strategy": "top_k", "min_precision": 0.2},
        {"strategy": "relative", "max_labels": 2, "min_labels": 1},
        {"scoring": "f1_macro", "store_cv_results": True},
    ],
    ids=str,
)
def test_cutoffs_on_candidates_are_those_of_one_machine(client, scored, params):
    """Scores of some labels of each row: every strategy and average, limits, a constraint."""
    expected = ThresholdedMultiLabel(scored, cv="prefit", **CANDIDATES, **params).fit(X, Y)
    model = DaskThresholdedMultiLabel(scored, cv="prefit", **CANDIDATES, **params)
    model.fit(*arrays(X, Y))
    np.testing.assert_array_equal(model.best_threshold_, expected.best_threshold_)
    assert model.best_score_ == pytest.approx(expected.best_score_, rel=1e-12)
    for name, values in getattr(expected, "cv_results_", {}).items():
        np.testing.assert_array_equal(model.cv_results_[name], values)
    X_parts = blocks(X)
    np.testing.assert_array_equal(model.predict(X_parts).compute(), expected.predict(X))
    lazy = model.predict_scores(X_parts, top_k=2).compute()
    wanted = expected.predict_scores(X, top_k=2)
    assert sp.issparse(lazy)
    np.testing.assert_array_equal(lazy.toarray(), wanted.toarray())
    assert lazy.nnz == wanted.nnz


def test_folds_on_candidates_are_those_of_all_scores(client):
    """With as many candidates as labels nothing changes, on the cluster too."""
    inner = DaskMultiLabelSGDClassifier(n_shards=1, reduction="one_vs_rest", **PARAMS)
    found = [
        DaskThresholdedMultiLabel(inner, cv=3, random_state=5, **options).fit(*arrays(X, Y))
        for options in ({}, {**CANDIDATES, "n_candidates": 6})
    ]
    assert found[1].best_threshold_ == found[0].best_threshold_
    assert found[1].best_score_ == pytest.approx(found[0].best_score_, rel=1e-12)
    np.testing.assert_array_equal(found[1].fold_thresholds_, found[0].fold_thresholds_)


class AsGiven(ClassifierMixin, BaseEstimator):
    """The scores are the rows, in their type."""

    classes_ = np.arange(6)

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X


@pytest.mark.parametrize("bounds", [(0, 100, 203), (0, 60, 100, 203)], ids=str)
@pytest.mark.parametrize("strategy", ["global", "per_label", "adjusted"])
def test_partitions_whose_scores_differ_in_type(client, strategy, bounds):
    """Single precision in the first rows, double in the rest, in one and in two partitions."""
    scores = np.random.default_rng(0).integers(1, 1024, (203, Y.shape[1])) / 1024
    narrow, wide = scores[:100].astype(np.float32), scores[100:]
    X_parts = [*blocks(narrow, bounds[:-1]), *blocks(wide, (0, 103))]
    params = {"cv": "prefit", "strategy": strategy}
    model = DaskThresholdedMultiLabel(AsGiven(), **params).fit(X_parts, blocks(Y, bounds))
    expected = ThresholdedMultiLabel(AsGiven(), **params).fit(scores, Y)
    np.testing.assert_array_equal(model.best_threshold_, expected.best_threshold_)
    assert model.best_score_ == expected.best_score_
    local = model.to_local()
    np.testing.assert_array_equal(local.predict(narrow), expected.predict(scores[:100]))


@pytest.mark.parametrize("options", [{"cv": 3}, {"cv": 0.3, "refit": False}], ids=str)
def test_folds_are_those_of_one_machine(client, options):
    inner = {"reduction": "one_vs_rest", **PARAMS}
    options = {**options, "strategy": "adjusted", "random_state": 5}
    X_parts, y_parts = blocks(sp.csr_array(X)), blocks(sp.csr_array(Y))
    model = DaskThresholdedMultiLabel(DaskMultiLabelSGDClassifier(n_shards=1, **inner), **options)
    model.fit(X_parts, y_parts)
    split = model._split()
    fold = split.folds(len(X), 0)
    splits = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(split.n_folds)]
    expected = ThresholdedMultiLabel(
        MultiLabelSGDClassifier(**inner), **{**options, "cv": splits}
    ).fit(sp.csr_array(X), sp.csr_array(Y))
    for got in (model, model.to_local()):
        assert got.best_threshold_ == expected.best_threshold_
        assert got.best_score_ == expected.best_score_
        np.testing.assert_array_equal(got.fold_thresholds_, expected.fold_thresholds_)
        np.testing.assert_array_equal(got.predict(X).toarray(), expected.predict(X).toarray())
        np.testing.assert_array_equal(got.decision_function(X), expected.decision_function(X))
    assert type(model.to_local().estimator_) is MultiLabelSGDClassifier
    lazy = model.predict(X_parts)
    assert sp.issparse(lazy._meta)
    np.testing.assert_array_equal(lazy.compute().toarray(), expected.predict(X).toarray())
    lazy = model.decision_function(X_parts)
    np.testing.assert_array_equal(lazy.compute(), expected.decision_function(X))
    lazy = model.predict_proba(X_parts)
    np.testing.assert_array_equal(lazy.compute(), expected.predict_proba(X))


def test_any_fitted_estimator_gets_a_cutoff(client):
    inner = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    model = DaskThresholdedMultiLabel(inner, cv="prefit").fit(*arrays(X, Y))
    expected = ThresholdedMultiLabel(inner, cv="prefit").fit(X, Y)
    assert model.best_threshold_ == expected.best_threshold_
    back = DaskThresholdedMultiLabel.from_local(expected)
    for own in (model, back):
        np.testing.assert_array_equal(own.predict(arrays(X)[0]).compute(), expected.predict(X))
    np.testing.assert_array_equal(model.to_local().predict(X), expected.predict(X))


# --- what is refused ----------------------------------------------------------------------


def test_rejected_data(client):
    model = DaskMultiLabelSGDClassifier(**PARAMS)
    X_parts, _ = arrays(X, Y)
    with pytest.raises(TypeError, match=r"X is a ndarray.*from_array"):
        model.fit(X, Y)
    for estimator in (model, DaskThresholdedMultiLabel(model)):
        with pytest.raises(TypeError, match="y is a NoneType"):
            estimator.fit(X_parts, None)
    with pytest.raises(TypeError, match="y is a list"):
        model.fit(X_parts, [1, 2])
    for weights in ([None, WEIGHT[61:]], [WEIGHT[:61], None]):
        with pytest.raises(ValueError, match="Some partitions have sample weights"):
            model.fit(blocks(X, (0, 61, 203)), blocks(Y, (0, 61, 203)), [*map(delayed, weights)])
    with pytest.raises(TypeError, match=r"X is a Delayed.*list of delayed blocks"):
        model.fit(delayed(X), delayed(Y))
    with pytest.raises(ValueError, match=r"\[203, 200\] in X and y"):
        model.fit(X_parts, da.from_array(Y[:200], chunks=(50, -1)))
    with pytest.raises(ValueError, match=r"3 partitions, y has 2.*compute_chunk_sizes"):
        model.fit(X_parts, blocks(Y, (0, 100, 203)))


@pytest.mark.parametrize(
    ("X_parts", "y_parts", "message"),
    [
        (blocks(X), blocks(Y, (0, 60, 130, 203)), "inconsistent numbers of samples"),
        ([delayed(X[:100]), delayed(X[100:, :5])], blocks(Y, (0, 100, 203)), "5 features"),
        ([delayed(X[:100]), delayed(sp.csr_array(X[100:]))], blocks(Y, (0, 100, 203)), "CSR"),
        (blocks(X, (0, 100, 203)), [delayed(Y[:100]), delayed(Y[100:, :3])], "number of labels"),
        (blocks(X[:0], (0, 0)), blocks(Y[:0], (0, 0)), "0 sample"),
        (blocks(X), blocks(0 * Y), "No row of y has a label"),
        (blocks(np.where(X.max() > X, X, np.nan)), blocks(Y), "NaN"),
    ],
    ids=["rows", "features", "sparse", "labels", "empty", "no labels", "nan"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rejected_partitions(client, X_parts, y_parts, message):
    with pytest.raises(ValueError, match=message):
        DaskMultiLabelSGDClassifier(**PARAMS).fit(X_parts, y_parts)


def test_rejected_settings(client, monkeypatch):
    parts = arrays(X, Y)
    with pytest.raises(ValueError, match="n_shards"):
        DaskMultiLabelSGDClassifier(n_shards=0).fit(*parts)
    with pytest.raises(AttributeError) as error:
        DaskMultiLabelSGDClassifier().partial_fit  # noqa: B018
    assert "Incremental" in str(error.value.__cause__)
    inner = DaskMultiLabelSGDClassifier(**PARAMS)
    with pytest.raises(ValueError, match=r"scoring='accuracy'.*one place"):
        DaskThresholdedMultiLabel(inner, scoring="accuracy").fit(*parts)
    with pytest.raises(ValueError, match="cv is a splitter"):
        DaskThresholdedMultiLabel(inner, cv=[([0], [1])]).fit(*parts)
    with pytest.raises(ValueError, match="MultiLabelSGDClassifier, which does not train"):
        DaskThresholdedMultiLabel(MultiLabelSGDClassifier()).fit(*parts)
    with pytest.raises(ValueError, match="without rows"):
        DaskThresholdedMultiLabel(inner, cv=300).fit(*parts)
    with pytest.raises(ValueError, match="refit cannot be False"):
        DaskThresholdedMultiLabel(inner, cv=3, refit=False).fit(*parts)
    with pytest.raises(ValueError, match="1-D"):
        DaskThresholdedMultiLabel(inner).fit(*arrays(X, Y[:, 0]))

    def no_client():
        raise ValueError("no client")

    monkeypatch.setattr(partitions, "default_client", no_client)
    with pytest.raises(ValueError, match="There is no Dask client"):
        inner.fit(*parts)


def test_a_closed_client(client):
    with distributed.Client(client.cluster, set_as_default=False) as own:
        model = DaskMultiLabelSGDClassifier(client=own, n_shards=1, **PARAMS).fit(*arrays(X, Y))
    for estimator in (model, DaskThresholdedMultiLabel(model, client=own)):
        with pytest.raises(ValueError, match=r"`client` is closed; pass one that is open"):
            estimator.fit(*arrays(X, Y))
    fitted = DaskMultiLabelSGDClassifier.from_local(MultiLabelSGDClassifier(**PARAMS).fit(X, Y))
    lazy = fitted.set_params(client=own).predict(arrays(X)[0])
    np.testing.assert_array_equal(lazy.compute(), fitted.predict(X))


# --- what users read ----------------------------------------------------------------------


@pytest.mark.parametrize("cls", [DaskMultiLabelSGDClassifier, DaskThresholdedMultiLabel])
def test_parameters_and_docs_are_those_of_the_plain_estimator(cls):
    plain, own = cls.__mro__[2], cls
    names = [set(inspect.signature(c.__init__).parameters) for c in (plain, own)]
    assert names[0] < names[1]
    assert "client" in names[1]
    defaults = [inspect.signature(c.__init__).parameters for c in (plain, own)]
    # In lists, as NaN equals itself there.
    assert all([defaults[0][name].default] == [defaults[1][name].default] for name in names[0])
    sections = re.findall(r"\n\n([A-Z][\w ]+)\n-+\n", inspect.getdoc(cls))
    assert sections == re.findall(r"\n\n([A-Z][\w ]+)\n-+\n", inspect.getdoc(plain))
    with pytest.raises(TypeError, match="no_such"):
        cls(**({} if "estimator" not in names[0] else {"estimator": None}), no_such=1)


PAGE = Path(__file__).parents[1] / "docs" / "guide" / "large_data.md"


def recipes():
    """Python blocks of the guide's section on clusters."""
    if not PAGE.exists():
        return []
    section = PAGE.read_text().partition("## On a Dask cluster")[2].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.S | re.M)


@pytest.mark.parametrize("code", recipes(), ids=lambda code: code.split("\n", 1)[0])
# Of dask-ml, which is older than the packages that it stands on.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_recipes_of_the_guide(client, code):
    if "dask.dataframe" in code:
        pytest.importorskip("dask.dataframe")
    if "dask_ml" in code:
        pytest.importorskip("dask_ml.wrappers")
    exec(code, {"X": arrays(X)[0], "y": arrays(Y)[0], "X_local": X, "y_local": Y})
