"""MultiLabelMLPClassifier."""

import copy
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logsumexp, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline

from conftest import best_micro_jaccard
from skmultireduce import MultiLabelMLPClassifier
from skmultireduce._data.label_sets import read_labels
from skmultireduce._models.network import EmbeddingNetwork
from skmultireduce._reductions.table import REDUCTIONS
from skmultireduce._reductions.targets import Targets
from skmultireduce.metrics import precision_at_k_score, recall_at_k_score

LOSSES = [(reduction, "log_loss") for reduction in REDUCTIONS]
LOSSES += [(reduction, "squared_hinge") for reduction in REDUCTIONS if "rest" in reduction]


def topics(n_rows=400, n_labels=6, seed=0, n_words=60):
    """Counts of words whose topics are the labels, and the labels."""
    rng = np.random.default_rng(seed)
    words = rng.dirichlet(np.full(n_words, 0.1), n_labels)
    y = (rng.random((n_rows, n_labels)) < 0.3).astype(int)
    y[np.arange(n_rows), rng.integers(0, n_labels, n_rows)] = 1
    X = rng.poisson(15 * (y @ words) / y.sum(axis=1, keepdims=True))
    X[X.sum(axis=1) == 0, 0] = 1
    return sp.csr_array(X.astype(np.float64)), y


def small(**options):
    return MultiLabelMLPClassifier(**({"embedding_dim": 12, "random_state": 0} | options))


def parameters(model):
    return [model.embedding_, *model.coefs_, *model.intercepts_]


def assert_same_bits(first, second):
    for a, b in zip(parameters(first), parameters(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("reduction", "loss"), LOSSES)
@pytest.mark.parametrize("hidden", [(), (10,)])
def test_learns(reduction, loss, hidden):
    X, y = topics()
    X_test, y_test = topics(seed=0, n_rows=600)
    X_test, y_test = X_test[400:], y_test[400:]
    model = small(reduction=reduction, loss=loss, hidden_layer_sizes=hidden, max_iter=60)
    model.fit(X, y)
    chance = best_micro_jaccard(y_test, np.tile(y.mean(axis=0), (len(y_test), 1)))
    assert best_micro_jaccard(y_test, model.decision_function(X_test)) > chance + 0.1
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_scores_are_the_network(activation, pooling):
    X, y = topics(150)
    model = small(
        hidden_layer_sizes=(7, 5), activation=activation, pooling=pooling, dtype="float64"
    ).fit(X, y)
    a = X.toarray()
    if pooling == "mean":
        a = a / np.abs(a).sum(axis=1, keepdims=True)
    a = a @ model.embedding_
    np.testing.assert_allclose(model.transform(X), a)
    function = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh, "identity": lambda v: v}
    for k in range(3):
        a = a @ model.coefs_[k] + model.intercepts_[k]
        if k < 2:
            a = function[activation](a)
    np.testing.assert_allclose(model.decision_function(X), a, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), softmax(a, axis=1))
    np.testing.assert_array_equal(model.predict(X).argmax(axis=1), a.argmax(axis=1))


def test_sigmoid_probabilities():
    X, y = topics(50)
    model = small(reduction="one_vs_rest", dtype="float64").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expit(model.decision_function(X)))


def test_dense_and_sparse_rows_agree():
    X, y = topics(80)
    model = small(dtype="float64").fit(X, y)
    dense = small(dtype="float64").fit(X.toarray(), y)
    assert model.batch_size_ == dense.batch_size_
    np.testing.assert_allclose(dense.predict_proba(X), model.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_rescaling_changes_nothing(pooling):
    X, y = topics(80)
    first = small(pooling=pooling, dtype="float64").fit(X, y)
    second = small(pooling=pooling, dtype="float64").fit(1000 * X, y)
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(1000 * X), rtol=1e-6)


def test_identity_embeddings_are_the_linear_model():
    """With frozen identity embeddings the output weights take the linear model's steps."""
    X, y = topics(120)
    n_features = X.shape[1]
    model = small(
        pooling="sum", embedding_init=np.eye(n_features), freeze_embeddings=True, eta0=1e-3,
        fit_intercept=False, dtype="float64", shuffle=False, max_iter=1,
        reduction="pick_all_normalized", learning_rate="constant",
    ).fit(X, y)  # fmt: skip
    rate = 1e-3 / np.mean(np.sum(X.toarray() ** 2, axis=1))
    W = np.zeros((n_features, y.shape[1]))
    for x, target in zip(X.toarray(), y, strict=True):
        W -= rate * np.outer(x, softmax(x @ W) - target / target.sum())
    np.testing.assert_allclose(model.coefs_[-1], W, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("reduction", ["pick_one", "one_vs_rest"])
@pytest.mark.parametrize("options", [{}, {"hidden_layer_sizes": (20,), "dropout": 0.2}])
def test_same_bits_for_any_n_jobs(reduction, options):
    X, y = topics(200, n_labels=300)
    one, *others = [
        small(reduction=reduction, embedding_dim=40, n_jobs=n, max_iter=3, **options).fit(X, y)
        for n in (1, 2, 4)
    ]
    for several in others:
        assert_same_bits(one, several)
        np.testing.assert_array_equal(one.predict_proba(X), several.predict_proba(X))


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "alpha": 1e-3}])
def test_resumed_streamed_and_pickled_runs(options):
    X, y = topics(100)
    whole = small(max_iter=6, **options).fit(X, y)
    again = small(max_iter=6, **options).fit(X, y)
    assert_same_bits(whole, again)
    stream = small(max_iter=6, **options)
    for _ in range(3):
        stream.partial_fit(X, y)
    stream = pickle.loads(pickle.dumps(stream))
    for _ in range(3):
        stream.partial_fit(X, y)
    assert_same_bits(whole, stream)


SAMPLED = [
    {},
    {"alpha": 1e-4, "hidden_layer_sizes": (20,), "activation": "tanh"},
    {"alpha": 1e-3, "dropout": 0.3, "dtype": "float64", "label_sampling": "cycle"},
    {"class_weight": "balanced", "average": 2, "batch_size": 10, "shuffle": False},
    {"fit_intercept": False, "pooling": "sum", "learning_rate": "invscaling"},
]


def many_labels(n_rows, n_labels=100):
    """Rows of one to three labels, with words that half of the time are their labels' own."""
    rng = np.random.default_rng(0)
    share = np.arange(1, n_labels + 1) ** -0.5
    labels = rng.choice(n_labels, (n_rows, 3), p=share / share.sum())
    y = np.zeros((n_rows, n_labels), dtype=np.int8)
    X = np.zeros((n_rows, 3 * n_labels))
    for i, n in enumerate(rng.integers(1, 4, n_rows)):
        y[i, labels[i, :n]] = 1
        own = 3 * rng.choice(labels[i, :n], 10) + rng.integers(0, 3, 10)
        np.add.at(X[i], np.where(rng.random(10) < 0.5, own, rng.integers(0, 3 * n_labels, 10)), 1)
    return sp.csr_array(X), y


@pytest.mark.parametrize("options", SAMPLED)
def test_sampled_softmax_learns(options):
    X, y = many_labels(1000)
    X, X_test, y, y_test = X[:700], X[700:], y[:700], y[700:]
    weight = np.random.default_rng(0).integers(0, 3, 700)
    options = {"max_iter": 30} | options
    scores = []
    for n in (None, 20):
        model = small(n_sampled_labels=n, **options).fit(X, y, sample_weight=weight)
        scores.append(recall_at_k_score(y_test, model.predict_proba(X_test), k=5))
    chance = recall_at_k_score(y_test, np.tile(y.sum(axis=0), (300, 1)), k=5)
    assert scores[0] > 1.5 * chance
    assert scores[1] > 0.95 * scores[0]


@pytest.mark.parametrize("options", SAMPLED)
def test_sampled_softmax_resumes_and_does_not_depend_on_n_jobs(options):
    X, y = many_labels(200, 400)
    options = {"n_sampled_labels": 300, "max_iter": 4} | options
    whole = small(**options).fit(X, y)
    assert_same_bits(whole, small(n_jobs=2, **options).fit(X, y))
    stream = small(**options).partial_fit(X, y).partial_fit(X, y)
    stream = pickle.loads(pickle.dumps(stream))
    assert_same_bits(whole, stream.partial_fit(X, y).partial_fit(X, y))
    stopped = small(early_stopping=True, warm_start=True, **options)
    again = clone(stopped).set_params(n_jobs=2)
    for _ in range(3):
        stopped = pickle.loads(pickle.dumps(stopped)).fit(X, y)
        again = again.fit(X, y)
    assert_same_bits(stopped, again)


def test_partial_fit_goes_on_with_the_samples_of_its_first_call_or_with_none():
    X, y = many_labels(200, 400)
    model = small(n_sampled_labels=10).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"n_sampled_labels=20.*first call"):
        model.set_params(n_sampled_labels=20).partial_fit(X, y)
    for reduction in ("pick_one", "pick_all_normalized", "one_vs_rest"):
        goes_on = copy.deepcopy(model).set_params(n_sampled_labels=None, reduction=reduction)
        other = copy.deepcopy(model).set_params(n_sampled_labels=None, reduction=reduction)
        network = other._training.model
        network.rates = replace(network.rates, inclusion=None)
        assert_same_bits(goes_on.partial_fit(X, y), other.partial_fit(X, y))
    full = small().partial_fit(X, y).set_params(n_sampled_labels=10)
    with pytest.raises(ValueError, match="Set it back"):
        full.partial_fit(X, y)
    # Nothing was changed by what was refused.
    assert full.n_iter_ == 1
    full.set_params(n_sampled_labels=None).partial_fit(X, y)


def test_sums_leave_the_rows_as_they_are():
    X, y = many_labels(60, 5)
    model = small(max_iter=1).fit(X, y)
    rows, label_sets = model._read(X, y, reset=False)
    targets = model._build_targets(rows, label_sets, None)
    norms = rows.squared_norms.copy()
    model._training.model.sums(rows, targets)
    np.testing.assert_array_equal(rows.squared_norms, norms)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("reduction", ["one_vs_rest", "pick_all_normalized"])
def test_loss_curve_is_the_mean_loss_of_a_row(reduction, n_jobs):
    """Of a model that hardly moves, by its own probabilities; in each of several epochs."""
    X, y = many_labels(60, 5)
    y = np.asarray(y.toarray() if sp.issparse(y) else y)
    model = small(reduction=reduction, eta0=1e-9, max_iter=3, dtype="float64", n_jobs=n_jobs)
    model.set_params(dropout=0.0, alpha=1e-12).fit(X, y)
    p = model.predict_proba(X)
    if reduction == "one_vs_rest":
        loss = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=1)
    else:
        z = model.decision_function(X)
        loss = -(y * (z - logsumexp(z, axis=1, keepdims=True))).sum(axis=1) / y.sum(axis=1)
    assert model.loss_curve_ == pytest.approx([loss.mean()] * 3, rel=1e-5)


@pytest.mark.parametrize("size", [1, [1], (2, 1)])
def test_a_hidden_layer_may_have_one_unit(size):
    model = small(hidden_layer_sizes=size, max_iter=2).fit(*many_labels(60, 5))
    assert model._hidden_widths()[-1] == 1


@pytest.mark.parametrize("changed", [{"hidden_layer_sizes": (3,)}, {"embedding_dim": 4}])
def test_other_layers_than_the_model_has_are_refused(changed):
    X, y = many_labels(60, 5)
    model = small(hidden_layer_sizes=[5], warm_start=True).fit(X, y)
    (name,) = changed
    for train in (model.fit, model.partial_fit, lambda X, y: model.fit_stream([(X, y)])):
        model.set_params(**changed)
        with pytest.raises(ValueError, match=rf"{name}=.*Set it back"):
            train(X, y)
        # The same number in another form is no change.
        model.set_params(hidden_layer_sizes=5, embedding_dim=model.embedding_.shape[1])
        train(X, y)
    model.set_params(warm_start=False, **changed).fit(X, y)


def test_embeddings_get_their_size_once():
    X, y = many_labels(60, 5)
    empty = (X[:20], 0 * y[:20])

    class Stop:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "block"

    model = small(warm_start=True, eta0=1e-12).set_callbacks(Stop())
    with pytest.warns(UserWarning, match="no label"):
        model.fit_stream([empty, (X, y)])
    size = np.abs(model.embedding_).mean()
    model.set_callbacks().fit(X, y)
    np.testing.assert_allclose(np.abs(model.embedding_).mean(), size, rtol=1e-6)


def test_pickles_without_a_parameter_get_its_default():
    X, y = many_labels(60, 5)
    state = small(n_sampled_labels=None).fit(X, y).__getstate__()
    del state["n_sampled_labels"]
    old = MultiLabelMLPClassifier.__new__(MultiLabelMLPClassifier)
    old.__setstate__(state)
    assert "n_sampled_labels" in old.get_params()
    old.partial_fit(X, y)


@pytest.mark.parametrize("valued", [False, True])
def test_mass_of_the_labels_is_the_mean_over_the_draws(valued):
    rng = np.random.default_rng(1)
    y = (rng.random((30, 6)) < 0.4) * (rng.uniform(0.5, 2, (30, 6)) if valued else 1)
    y[:, 4] = y[2] = 0
    sample_weight, class_weight = rng.uniform(0.5, 2, 30), rng.uniform(0.5, 2, 6)
    label_sets, _ = read_labels(y, allow_weights=True)
    targets = Targets.build(
        label_sets, reduction="pick_one", loss="log_loss", sample_weight=sample_weight,
        class_weight=class_weight, dtype="float64",
    )  # fmt: skip
    chance = y / np.maximum(y.sum(axis=1, keepdims=True), 1e-300)
    expected = class_weight * (sample_weight / sample_weight.mean() @ chance)
    np.testing.assert_allclose(targets.label_mass(), expected)
    assert expected[4] == 0


def test_a_sample_of_all_labels_is_the_full_softmax():
    X, y = topics(100)
    full = small(alpha=1e-3).fit(X, y)
    assert_same_bits(full, small(alpha=1e-3, n_sampled_labels=6).fit(X, y))
    assert_same_bits(full, small(alpha=1e-3, n_sampled_labels=100).fit(X, y))
    sampled = small(alpha=1e-3, n_sampled_labels=5).fit(X, y)
    assert np.any(sampled.coefs_[-1] != full.coefs_[-1])


def test_labels_without_rows_sink_in_a_sampled_softmax():
    X, y = topics(300, n_labels=20)
    y[:, 7] = 0
    proba = small(n_sampled_labels=4).fit(X, y).predict_proba(X)
    assert proba[:, 7].mean() < 0.3 * np.sort(proba.mean(axis=0))[1]


def distances_to_the_law(corrected, monkeypatch, seed=0):
    """Total variation between the law of the data and the full and sampled models."""
    if not corrected:
        prepare = EmbeddingNetwork.workspace

        def without(self, *args):
            work = prepare(self, *args)
            work.log_inclusion[:] = 0
            return work

        monkeypatch.setattr(EmbeddingNetwork, "workspace", without)
    rng = np.random.default_rng(seed)
    points = np.repeat(np.arange(3), 600)
    laws = rng.dirichlet(0.5 / np.arange(1, 13) ** 0.8, 3)
    labels = np.array([rng.choice(12, p=laws[point]) for point in points])
    law = np.array([np.bincount(labels[points == k], minlength=12) for k in range(3)]) / 600
    X, y = np.eye(3)[points], np.eye(12, dtype=int)[labels]
    options = {"max_iter": 60, "average": 30, "dtype": "float64", "batch_size": 16}
    full = small(**options).fit(X, y).predict_proba(np.eye(3))
    sampled = small(n_sampled_labels=3, **options).fit(X, y).predict_proba(np.eye(3))
    return [np.abs(p - law).sum(axis=1).max() / 2 for p in (full, sampled)]


def test_sampled_softmax_learns_the_law_of_the_pick(monkeypatch):
    full, sampled = distances_to_the_law(True, monkeypatch)
    assert full < 0.04
    assert sampled < full + 0.03
    _, wrong = distances_to_the_law(False, monkeypatch)
    assert wrong > full + 0.15


def test_1d_classes_with_a_sampled_softmax():
    X, y = topics(200)
    names = np.array(list("abcdef"))[y.argmax(axis=1)]
    model = small(max_iter=60, n_sampled_labels=3).fit(X, names)
    assert f1_score(names, model.predict(X), average="micro") > 0.5


@pytest.mark.parametrize("reduction", sorted(set(REDUCTIONS) - {"pick_one"}))
def test_only_pick_one_has_a_sampled_softmax(reduction):
    X, y = topics(20)
    with pytest.raises(ValueError, match=r"n_sampled_labels.*Use reduction='pick_one'"):
        small(reduction=reduction, n_sampled_labels=2).fit(X, y)


@pytest.mark.parametrize("eta0", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize(("reduction", "loss"), LOSSES)
@pytest.mark.parametrize("hidden", [(), (10,)])
def test_no_step_diverges(eta0, reduction, loss, hidden):
    X, y = topics(150)
    options = {"reduction": reduction, "loss": loss, "hidden_layer_sizes": hidden}
    model = small(eta0=eta0, max_iter=5, **options).fit(X, y)
    assert np.all(np.isfinite(model.decision_function(X)))


def test_alpha_shrinks_and_dropout_differs():
    X, y = topics(150)
    plain = small().fit(X, y)
    shrunk = small(alpha=0.1).fit(X, y)
    assert np.linalg.norm(shrunk.embedding_) < 0.5 * np.linalg.norm(plain.embedding_)
    assert np.linalg.norm(shrunk.coefs_[-1]) < 0.5 * np.linalg.norm(plain.coefs_[-1])
    dropped = small(dropout=0.5).fit(X, y)
    assert dropped.loss_curve_[-1] > plain.loss_curve_[-1]


def test_early_stopping_and_average():
    X, y = topics(300)
    model = small(early_stopping=True, n_iter_no_change=3, max_iter=100).fit(X, y)
    assert model.n_iter_ < 100
    assert model.best_validation_score_ == max(model.validation_scores_)
    mean = small(average=True, max_iter=3, alpha=1e-3, hidden_layer_sizes=(4,)).fit(X, y)
    training = mean._training
    np.testing.assert_array_equal(training.mean.arrays.output, mean.coefs_[-1].T)
    assert np.any(training.mean.arrays.output != training.model.arrays.output)


def test_1d_classes():
    X, y = topics(200)
    names = np.array(list("abcdef"))[y.argmax(axis=1)]
    model = small(max_iter=60).fit(X, names)
    assert f1_score(names, model.predict(X), average="micro") > 0.5
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


# ------------------------------------------------------------------- embeddings
def test_frozen_embeddings_stay():
    X, y = topics(100)
    given = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    model = small(embedding_init=given, freeze_embeddings=True).fit(X, y)
    np.testing.assert_array_equal(model.embedding_, given)
    assert model.transform(X).shape == (100, 5)
    moved = small(embedding_init=given, max_iter=1).fit(X, y)
    assert np.any(moved.embedding_ != given)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("freeze", [False, True])
def test_size_of_given_vectors_does_not_matter(size, freeze):
    X, y = topics(100)
    given = np.random.default_rng(0).normal(size=(60, 5))
    options = {"freeze_embeddings": freeze, "dtype": "float64", "max_iter": 3}
    first = small(embedding_init=given, **options).fit(X, y)
    second = small(embedding_init=size * given, **options).fit(X, y)
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X), rtol=1e-6)


def test_mapping_of_words():
    docs = ["red wine", "white wine", "white bread", "wine"]
    y = np.array([[1, 0], [1, 0], [0, 1], [1, 0]])
    vectorizer = CountVectorizer().fit(docs)
    names = vectorizer.get_feature_names_out()
    vectors = {"wine": [1.0, 2.0, 3.0], "bread": [3.0, 2.0, 1.0], "rice": [0.0, 0.0, 0.0]}
    model = small(embedding_init=vectors, feature_names=names, freeze_embeddings=True)
    model.fit(vectorizer.transform(docs), y)
    for name in ("wine", "bread"):
        np.testing.assert_array_equal(model.embedding_[list(names).index(name)], vectors[name])
    assert np.all(np.isfinite(model.embedding_))
    assert np.any(model.embedding_[list(names).index("red")] != 0)


def test_pretrained_vectors_beat_random_ones():
    X, y = topics(2000, n_labels=10, n_words=400)
    teacher = small(dtype="float64", max_iter=60).fit(X[:1000], y[:1000])
    scores = []
    random = np.random.default_rng(0).normal(size=teacher.embedding_.shape)
    for vectors in (teacher.embedding_, random):
        model = small(embedding_init=vectors, freeze_embeddings=True).fit(
            X[1000:1200], y[1000:1200]
        )
        scores.append(best_micro_jaccard(y[1200:], model.predict_proba(X[1200:])))
    assert scores[0] > scores[1] + 0.03


def test_export_is_word2vec_text(tmp_path):
    X, y = topics(50)
    model = small().fit(X, y)
    names = [f"wörd{k}" for k in range(60)]
    model.export_vectors(tmp_path / "v.txt", names)
    lines = (tmp_path / "v.txt").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "60 12"
    assert lines[-1] == ""
    assert [line.split(" ")[0] for line in lines[1:-1]] == names
    vectors = np.array([line.split(" ")[1:] for line in lines[1:-1]], dtype=np.float32)
    np.testing.assert_array_equal(vectors, model.embedding_)
    with pytest.raises(ValueError, match="feature_names has 3 names"):
        model.export_vectors(tmp_path / "v.txt", ["a", "b", "c"])
    with pytest.raises(ValueError, match="white space"):
        model.export_vectors(tmp_path / "v.txt", ["a b", *names[1:]])
    with pytest.raises(ValueError, match="no names"):
        model.export_vectors(tmp_path / "v.txt")


def test_as_a_transformer_in_a_pipeline():
    X, y = topics(60)
    model = small().fit(X, y)
    assert model.get_feature_names_out()[0] == "multilabelmlpclassifier0"
    pipeline = make_pipeline(clone(model), small(hidden_layer_sizes=(4,), pooling="sum"))
    assert pipeline.fit(X, y).predict_proba(X).shape == y.shape


# ----------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": [2.5]}, "hidden_layer_sizes"),
        ({"freeze_embeddings": True}, "embedding_init"),
        ({"embedding_init": np.ones((3, 2))}, "60 features"),
        ({"embedding_init": np.full((60, 2), np.nan)}, "finite"),
        ({"embedding_init": {}}, "empty mapping"),
        ({"embedding_init": {"a": [1.0]}}, "feature_names"),
        ({"embedding_init": {"a": [1.0]}, "feature_names": ["a"]}, "1 names"),
        ({"embedding_init": {"a": [1.0]}, "feature_names": ["b"] * 60}, "none of the features"),
        ({"embedding_init": {"a": [np.inf]}, "feature_names": ["a"] * 60}, "not finite"),
        (
            {"embedding_init": {"a": [1.0], "b": [1.0, 2.0]}, "feature_names": ["a", "b"] * 30},
            "same length",
        ),
        ({"loss": "squared_hinge"}, "one-vs-rest"),
        ({"dropout": 1.0}, "dropout"),
        ({"batch_size": 0}, "batch_size"),
        ({"n_sampled_labels": 0}, "n_sampled_labels"),
        ({"n_sampled_labels": 2.5}, "n_sampled_labels"),
    ],
)
def test_errors_name_the_argument(options, message):
    X, y = topics(20)
    with pytest.raises(ValueError, match=message):
        small(**options).fit(X, y)


def test_unfitted():
    with pytest.raises(NotFittedError):
        small().transform(np.ones((2, 3)))


# ---------------------------------------------------------------------- quality
def cooking_counts(paths):
    from skmultireduce.datasets import read_fasttext

    train = read_fasttext(paths[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = read_fasttext(paths[1], target_names=train.target_names)
    counts = CountVectorizer(token_pattern=r"\S+", lowercase=False)
    X = counts.fit_transform(train.data)
    return X, train.target, counts.transform(test.data), test.target


def test_cooking_as_good_as_fasttext(cooking_files):
    X, y, X_test, y_test = cooking_counts(cooking_files)
    scores = np.mean(
        [
            [
                precision_at_k_score(y_test, proba, k=1),
                recall_at_k_score(y_test, proba, k=5, average="micro"),
            ]
            for proba in (
                MultiLabelMLPClassifier(random_state=seed).fit(X, y).predict_proba(X_test)
                for seed in (0, 1)
            )
        ],
        axis=0,
    )
    assert scores[0] >= 0.57
    assert scores[1] >= 0.55


@pytest.mark.slow
def test_cooking_tuned_beats_fasttext(cooking_files):
    X, y, X_test, y_test = cooking_counts(cooking_files)
    tfidf = TfidfTransformer(sublinear_tf=True)
    model = MultiLabelMLPClassifier(pooling="sum", alpha=1e-4, dropout=0.5, random_state=0)
    model.fit(tfidf.fit_transform(X), y)
    assert best_micro_jaccard(y_test, model.predict_proba(tfidf.transform(X_test))) >= 0.31
