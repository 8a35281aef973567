"""The linear model on dense rows of many features, which come by blocks and are not copied."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn

from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce._data.rows import WIDE, DenseRows, read_X
from skmultireduce._kernels.dense import label_bounds

FORMS = [
    {"reduction": "pick_one"},
    {"reduction": "pick_all"},
    {"reduction": "pick_all_normalized"},
    {"reduction": "one_vs_rest"},
    {"reduction": "one_vs_rest_normalized"},
    {"reduction": "one_vs_rest", "loss": "squared_hinge"},
]


def rows_and_labels(n_rows=150, n_features=WIDE + 6, n_labels=12, seed=0):
    """Rows of unit norm whose values fit into float16, and labels that they tell of."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float16)
    scores = X.astype(float) @ rng.normal(size=(n_features, n_labels))
    y = scores >= np.sort(scores, axis=1)[:, [-min(3, n_labels)]]
    return X, y.astype(np.int8)


def parameters(model):
    return model.coef_, model.intercept_


def assert_same(model, other, X, Z=None):
    for one, two in zip(parameters(model), parameters(other), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(
        model.decision_function(X), other.decision_function(X if Z is None else Z)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", ["float16", "float64", "Fortran", "mapped", "slice", "list"])
def test_same_bits_for_any_container(form, dtype, tmp_path):
    halves, y = rows_and_labels()
    X = halves.astype(dtype)
    expected = MultiLabelSGDClassifier(dtype=dtype, max_iter=3, random_state=0).fit(X, y)
    if form == "mapped":
        np.save(tmp_path / "X.npy", halves)
        Z = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif form == "slice":
        Z = np.repeat(halves, 2, axis=0)[::2]
    elif form == "Fortran":
        Z = np.asfortranarray(halves)
    elif form == "list":
        Z = X.tolist()
    else:
        Z = halves.astype(form)
    model = MultiLabelSGDClassifier(dtype=dtype, max_iter=3, random_state=0).fit(Z, y)
    assert_same(expected, model, X, Z)
    np.testing.assert_array_equal(expected.predict(X), model.predict(Z))


@pytest.mark.parametrize("form", FORMS)
def test_same_as_sparse_rows_to_rounding(form):
    X, y = rows_and_labels(n_labels=130)
    X = X.astype(float)
    model = MultiLabelSGDClassifier(**form, dtype="float64", random_state=0)
    dense, sparse = (
        sklearn.base.clone(model).fit(Z, y).decision_function(Z) for Z in (X, sp.csr_array(X))
    )
    np.testing.assert_allclose(dense, sparse, rtol=0, atol=1e-10 * np.abs(sparse).max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_labels", [96, 300, 530])
def test_same_bits_for_any_number_of_threads(form, n_labels):
    X, y = rows_and_labels(n_labels=n_labels)
    models = [
        MultiLabelSGDClassifier(**form, max_iter=2, n_jobs=n, random_state=0).fit(X, y)
        for n in (1, 2, 3)
    ]
    for other in models[1:]:
        assert_same(models[0], other, X)


@pytest.mark.parametrize("n_labels", [1, 50, 96, 97, 300, 769, 1000, 5000])
def test_blocks_of_labels(n_labels):
    bounds = label_bounds(n_labels)
    assert (bounds[0], bounds[-1]) == (0, n_labels)
    assert all(bound % 16 == 0 for bound in bounds[:-1])
    assert 0 < np.diff(bounds).min() <= np.diff(bounds).max() <= 96


@pytest.mark.parametrize("options", [{}, {"average": True}, {"early_stopping": True}])
def test_x_is_never_converted_as_a_whole(options, monkeypatch):
    convert = DenseRows.data.func

    def convert_some(self):
        # The statistics of some rows need their values.
        assert self.shape[0] < 4200, "all rows were converted"
        return convert(self)

    X, y = rows_and_labels(n_rows=5000)
    monkeypatch.setattr(DenseRows, "data", property(convert_some))
    model = MultiLabelSGDClassifier(max_iter=2, random_state=0, **options).fit(X, y)
    assert model.predict(X).shape == y.shape
    ThresholdedMultiLabel(model, cv="prefit").fit(X, y)


def test_rows_are_the_callers_array():
    X, _ = rows_and_labels()
    rows = read_X(MultiLabelSGDClassifier(), X, dtype=np.dtype("float32"), reset=True)
    assert np.shares_memory(rows.matrix, X)
    assert np.shares_memory(rows.part(3, 9).matrix, X)
    np.testing.assert_array_equal(rows.take(np.array([4, 2])).data, X[[4, 2]].ravel())
    whole = X.astype(np.float32).astype(float)
    np.testing.assert_allclose(rows.squared_norms, (whole**2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(rows.absolute_sums(), np.abs(whole).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_values_that_are_not_finite_in_the_models_type(value):
    X, y = rows_and_labels()
    X = X.astype(float)
    X[77, 5] = value
    model = MultiLabelSGDClassifier(random_state=0)
    why = "NaN" if np.isnan(value) else "infinity or a value too large"
    with pytest.raises(ValueError, match=f"X contains {why}"):
        model.fit(X, y)
    X[77, 5] = 0
    model.fit(X, y)
    X[3, 3] = value
    with pytest.raises(ValueError, match=f"X contains {why}"):
        model.predict(X)
    if value == 1e39:
        MultiLabelSGDClassifier(dtype="float64").fit(X, y)


def test_partial_fit_in_parts_of_any_size():
    """Where parts of an epoch begin matters to rounding only."""
    X, y = rows_and_labels(n_labels=70)
    model = MultiLabelSGDClassifier(
        dtype="float64", shuffle=False, learning_rate="constant", eta0=0.5, alpha=1e-4,
        label_sampling="cycle", random_state=0,
    )  # fmt: skip
    whole = sklearn.base.clone(model).partial_fit(X, y, classes=range(70))
    scores = whole.decision_function(X)
    for part in (1, 7, 64):
        again = MultiLabelSGDClassifier(**model.get_params()).set_params(max_iter=1)
        again.fit_stream(
            lambda part=part: ((X[k : k + part], y[k : k + part]) for k in range(0, len(X), part))
        )
        one = MultiLabelSGDClassifier(**model.get_params()).set_params(max_iter=1).fit(X, y)
        scores = one.decision_function(X)
        np.testing.assert_allclose(
            again.decision_function(X), scores, rtol=0, atol=1e-10 * np.abs(scores).max()
        )


@pytest.mark.parametrize("dense", [False, True])
def test_predictions_do_not_depend_on_the_blocks_that_they_come_in(dense):
    """Also those of a network, whose rows are divided by their sums."""
    X, y = rows_and_labels(n_rows=300, n_labels=70)
    X = np.abs(X.astype(np.float32))
    Z = X if dense else sp.csr_array(X)
    for model in (
        MultiLabelMLPClassifier(max_iter=1, random_state=0).fit(Z, y),
        MultiLabelSGDClassifier(max_iter=1, random_state=0).fit(Z, y),
    ):
        whole = model.decision_function(Z)
        with sklearn.config_context(working_memory=0.02):
            np.testing.assert_allclose(model.decision_function(Z), whole, rtol=1e-4, atol=1e-5)
