"""The numbered statements of the theory, one test each: test_<number>_<what it says>.

Population quantities are exact (all sets of few labels); statements about samples are
seeded simulations whose tolerances follow from their standard errors.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from _laws import Population, SetLaw, all_sets, kl, top
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_softmax, softmax
from scipy.stats import binom

from skmultireduce._reductions.draws import draw_labels
from skmultireduce.datasets import make_label_sets
from skmultireduce.metrics import precision_at_k_score, recall_at_k_score

SEEDS = range(20)
TINY = 1e-10


def law_of(seed, n_labels=4, **kwargs):
    return SetLaw.random(np.random.default_rng(seed), n_labels, **kwargs)


def population_of(seed, **kwargs):
    return Population.random(np.random.default_rng(seed), **kwargs)


def some_simplex(seed, n):
    return np.random.default_rng(1000 + seed).dirichlet(np.ones(n))


def median_of_size(law):
    cumulated = np.cumsum(law.size_law)
    return int(np.searchsorted(cumulated, 0.5 - TINY))


def f_score(h, y, beta=1.0):
    if not h.any() and not y.any():
        return 1.0
    return (1 + beta**2) * (h & y).sum() / (beta**2 * y.sum() + h.sum())


def jaccard(h, y):
    return 1.0 if not (h | y).any() else (h & y).sum() / (h | y).sum()


# ------------------------------------------------------ 1 unbiasedness and variance


def pick_gradients(seed):
    """Gradients of a linear softmax for each pick from one label set."""
    rng = np.random.default_rng(seed)
    n_labels, size = 5, rng.integers(1, 6)
    labels = rng.choice(n_labels, size, replace=False)
    W, h = rng.normal(size=(n_labels, 3)), rng.normal(size=3)
    p = softmax(W @ h)
    picks = np.eye(n_labels)[labels]
    return W, h, p, picks, picks.mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_1_1_pick_is_unbiased(seed):
    W, h, p, picks, t = pick_gradients(seed)
    losses = [-log_softmax(W @ h) @ pick for pick in picks]
    assert np.mean(losses) == pytest.approx(-t @ log_softmax(W @ h))
    gradients = [np.outer(p - pick, h) for pick in picks]
    np.testing.assert_allclose(np.mean(gradients, axis=0), np.outer(p - t, h))


@pytest.mark.parametrize("seed", range(5))
def test_1_2_variance_of_the_pick(seed):
    W, h, p, picks, t = pick_gradients(seed)
    expected = np.diag(t) - np.outer(t, t)
    np.testing.assert_allclose(np.cov((p - picks).T, bias=True), expected, atol=TINY)
    in_w = np.array([np.outer(p - pick, h).ravel() for pick in picks])
    assert in_w.var(axis=0).sum() == pytest.approx((1 - 1 / len(picks)) * h @ h)
    in_h = (p - picks) @ W
    np.testing.assert_allclose(np.cov(in_h.T, bias=True), W.T @ expected @ W, atol=TINY)


@pytest.mark.parametrize("seed", SEEDS)
def test_1_2b_noise_at_the_optimum(seed):
    law = law_of(seed, empty=False)
    q = law.q
    of_pick = sum(q[i] * np.sum((q - np.eye(4)[i]) ** 2) for i in range(4))
    of_all = law.expect(((q - law.target) ** 2).sum(axis=1))
    inverse = law.expect(1 / law.size)
    assert of_pick == pytest.approx(1 - q @ q)
    assert of_all == pytest.approx(inverse - q @ q)
    assert of_pick - of_all == pytest.approx(1 - inverse)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_1_3_averaging_over_epochs(size):
    picks = np.eye(size)
    for n_epochs in range(1, size + 1):
        means = [picks[list(i)].mean(0) for i in itertools.product(range(size), repeat=n_epochs)]
        assert np.var(means, axis=0).sum() == pytest.approx((1 - 1 / size) / n_epochs)
        cycled = [picks[list(i)].mean(0) for i in itertools.permutations(range(size), n_epochs)]
        assert np.var(cycled, axis=0).sum() == pytest.approx((size - n_epochs) / (size * n_epochs))


def test_1_3_labels_never_seen_by_the_package_draws():
    n_rows = 20_000
    for size, expected in ((3, 0.132), (5, 0.328), (10, 0.590)):
        indptr = np.arange(0, (n_rows + 1) * size, size)
        first = indptr[:-1]
        missed = {}
        for method in ("random", "cycle"):
            picks = [
                draw_labels(indptr, seed=3, epoch=epoch, method=method) - first
                for epoch in range(size)
            ]
            five = np.array(picks[:5])
            missed[method] = np.mean(np.all(five != 0, axis=0))
            if method == "cycle":
                assert np.array_equal(np.sort(picks, axis=0), np.tile(range(size), (n_rows, 1)).T)
        if size >= 5:
            assert missed["random"] == pytest.approx(expected, abs=0.015)
            assert missed["cycle"] == pytest.approx(1 - 5 / size, abs=0.015)
        assert (1 - 1 / size) ** 5 == pytest.approx(expected, abs=5e-4)


def tabular_sgd(law, eta, n_steps, n_runs, seed):
    """Pick-one SGD on the logits of one x, many runs at a time."""
    rng = np.random.default_rng(seed)
    theta = np.zeros((n_runs, law.n_labels))
    mean = np.zeros_like(theta)
    squared, slopes = 0.0, 0.0
    for _ in range(n_steps):
        mean += theta / n_steps
        p = softmax(theta, axis=1)
        picks = rng.choice(law.n_labels, size=n_runs, p=law.q)
        gradient = p - np.eye(law.n_labels)[picks]
        squared += np.mean((gradient**2).sum(axis=1)) / n_steps
        slopes += np.mean(((p - law.q) ** 2).sum(axis=1)) / n_steps
        theta = theta - eta * gradient
    return mean, squared, slopes


def test_1_4a_average_iterate_of_pick_one_meets_the_convex_bound():
    law = SetLaw.of(3, {(0,): 0.3, (0, 1): 0.4, (1, 2): 0.3})
    eta, n_steps = 0.05, 600
    mean, squared, _ = tabular_sgd(law, eta, n_steps, 400, seed=0)
    excess = np.mean([kl(law.q, softmax(theta)) for theta in mean])
    optimum = np.log(law.q) - np.log(law.q).mean()
    assert excess <= optimum @ optimum / (2 * eta * n_steps) + eta / 2 * squared
    assert excess < 0.02  # and it does converge


def test_1_4b_gradients_of_pick_one_meet_the_smooth_bound():
    law = SetLaw.of(3, {(0,): 0.3, (0, 1): 0.4, (1, 2): 0.3})
    eta, n_steps, smoothness = 0.05, 600, 1.0
    _, _, slopes = tabular_sgd(law, eta, n_steps, 400, seed=1)
    start = kl(law.q, np.full(3, 1 / 3))
    noise = 1 - law.q @ law.q
    assert slopes <= 2 * start / (eta * n_steps) + eta * smoothness * noise


@pytest.mark.parametrize(("eta", "h", "c"), [(0.1, 1.0, 2.0), (0.5, 2.0, 0.3)])
def test_1_4c_stationary_variance(eta, h, c):
    rng = np.random.default_rng(0)
    theta = np.zeros(40_000)
    for _ in range(200):
        theta = (1 - eta * h) * theta + eta * np.sqrt(c) * rng.normal(size=theta.size)
    expected = eta * c / (2 * h - eta * h**2)
    assert theta.var() == pytest.approx(expected, rel=0.04)
    assert h / 2 * theta.var() == pytest.approx(eta / 2 * c / (2 - eta * h), rel=0.04)


def test_1_5_label_frequencies():
    data = make_label_sets(
        300, law="product", n_features=3, n_labels=4, size_spread=0.5, random_state=0
    )
    Y = data.Y.toarray().astype(float)
    size = Y.sum(axis=1)
    picks = (Y / size[:, None]).sum(axis=0)
    harmonic = np.array([np.mean(1 / size[y > 0]) ** -1 for y in Y.T])
    np.testing.assert_allclose(picks, Y.sum(axis=0) / harmonic)
    assert picks.sum() == pytest.approx(len(Y))
    X = np.column_stack([data.X, np.ones(len(Y))])
    T = Y / size[:, None]

    def risk(w):
        z = log_softmax(X @ w.reshape(-1, 4), axis=1)
        return -(T * z).sum(), (X.T @ (np.exp(z) - T)).ravel()

    fitted = minimize(risk, np.zeros(16), jac=True, method="BFGS", options={"gtol": 1e-4})
    p = softmax(X @ fitted.x.reshape(-1, 4), axis=1)
    np.testing.assert_allclose(p.sum(axis=0), picks, atol=1e-2)


def test_1_5b_equal_frequencies_unequal_picks():
    law = SetLaw.of(3, {(0,): 0.5, (1, 2): 0.5})
    np.testing.assert_allclose(law.m, 0.5)
    np.testing.assert_allclose(law.q * 4, [2, 1, 1])


# ------------------------------------------------------ 2 what is learnt


@pytest.mark.parametrize("seed", SEEDS)
def test_2_1_risk_is_entropy_plus_divergence(seed):
    law = law_of(seed, empty=False)
    p = some_simplex(seed, 4)
    risk = law.expect(-(law.target * np.log(p)).sum(axis=1))
    floor = -np.sum(law.q * np.log(np.maximum(law.q, 1e-300)))
    assert risk == pytest.approx(floor + kl(law.q, p))
    assert np.abs(law.q - p).sum() <= math.sqrt(2 * (risk - floor)) + TINY


def test_2_1b_a_plateau_at_log_s_is_success():
    for size in (1, 2, 4):
        law = SetLaw.of(4, {tuple(range(size)): 1.0})
        assert -np.sum(law.q[:size] * np.log(law.q[:size])) == pytest.approx(math.log(size))


@pytest.mark.parametrize("seed", SEEDS)
def test_2_2_marginals_are_picks_times_size(seed):
    law = law_of(seed)
    s_law = law.sets * np.where(law.size > 0, 1 / np.maximum(law.size, 1), 0)[:, None]
    inverse = law.expect(s_law) / law.m  # E[1/S | label in Y]
    size_given = law.expect(law.sets * law.size[:, None]) / law.m
    np.testing.assert_allclose(law.q * law.sigma, law.m)
    np.testing.assert_allclose(law.pairs @ law.sizes, law.m)
    np.testing.assert_allclose(law.m * inverse, law.q)
    assert np.all(law.m / size_given <= law.q + TINY)
    assert np.all(law.q <= law.m + TINY)
    seen = law.size[(law.p > 0) & (law.size > 0)]
    assert np.all(law.m / seen.max() <= law.q + TINY)
    assert np.all(law.q <= law.m / seen.min() + TINY)
    assert (law.q * law.sigma).sum() == pytest.approx(law.mean_size)


@pytest.mark.parametrize("seed", SEEDS)
def test_2_3_dropping_empty_sets(seed):
    law = law_of(seed)
    kept = law.size > 0
    filled = law.p[kept].sum()
    dropped = SetLaw(law.sets[kept], law.p[kept] / filled)
    np.testing.assert_allclose(dropped.q, law.q / filled)
    np.testing.assert_allclose(filled * dropped.q * law.sigma, law.m)
    assert law.q.sum() + law.size_law[0] == pytest.approx(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_2_5_tabular_efficiency(seed):
    law = law_of(seed, empty=False, n_labels=3)
    second = law.expect(law.target**2)
    np.testing.assert_allclose(law.expect((law.target - law.q) ** 2), second - law.q**2, atol=TINY)
    for n_passes in (1, 2, 3):
        moment = np.zeros(3)  # of the mean of the picks of one item, over all picks
        for y, p in zip(law.sets, law.p, strict=True):
            labels = np.flatnonzero(y)
            for picks in itertools.product(labels, repeat=n_passes):
                mean = np.eye(3)[list(picks)].mean(axis=0)
                moment += p / len(labels) ** n_passes * mean**2
        expected = second - law.q**2 + (law.q - second) / n_passes
        np.testing.assert_allclose(moment - law.q**2, expected, atol=TINY)
        if n_passes == 1:
            np.testing.assert_allclose(expected, law.q * (1 - law.q), atol=TINY)


@pytest.mark.parametrize("seed", range(6))
def test_2_6_what_the_five_reductions_learn(seed):
    law = law_of(seed, empty=False)

    def minimiser(risk, link):
        return link(minimize(risk, np.zeros(4), tol=1e-12).x)

    def of_softmax(weight):
        targets = law.target * weight[:, None]
        return minimiser(lambda z: law.expect(-targets @ log_softmax(z)) + 1e-12 * z @ z, softmax)

    def of_sigmoid(targets):
        mean = law.expect(targets)
        return minimiser(
            lambda z: -np.sum(mean * np.log(expit(z)) + (1 - mean) * np.log(expit(-z))), expit
        )

    np.testing.assert_allclose(of_softmax(np.ones(len(law.p))), law.q, atol=2e-4)
    np.testing.assert_allclose(of_softmax(law.size), law.m / law.mean_size, atol=2e-4)
    np.testing.assert_allclose(of_sigmoid(law.sets), law.m, atol=2e-4)
    np.testing.assert_allclose(of_sigmoid(law.target), law.q, atol=2e-4)


# ------------------------------------------------------ 3 ranking


def recall_at(law, labels):
    return law.expect(law.target[:, labels].sum(axis=1))


@pytest.mark.parametrize("seed", SEEDS)
def test_3_1_picks_rank_best_for_recall(seed):
    law, p = law_of(seed, empty=False), some_simplex(seed, 4)
    regrets = []
    for k in (1, 2, 3):
        best = max(recall_at(law, list(c)) for c in itertools.combinations(range(4), k))
        assert recall_at(law, top(law.q, k)) == pytest.approx(best)
        assert law.q[top(law.q, k)].sum() == pytest.approx(best)
        regrets.append(best - recall_at(law, top(p, k)))
    assert max(regrets) <= np.abs(law.q - p).sum() + TINY
    assert max(regrets) <= math.sqrt(2 * kl(law.q, p)) + TINY


def test_3_2_picks_can_miss_the_most_probable_label():
    n = 20_000
    data = make_label_sets(
        n, law="table", table={(0,): 0.1, (0, 1): 0.5, (2,): 0.4}, random_state=0
    )
    np.testing.assert_allclose(data.marginals[0], [0.6, 0.5, 0.4])
    np.testing.assert_allclose(data.pick_probabilities[0], [0.35, 0.25, 0.4])
    by_m = precision_at_k_score(data.Y, data.marginals)
    by_q = precision_at_k_score(data.Y, data.pick_probabilities)
    assert by_m == pytest.approx(0.6, abs=0.015)
    assert by_q == pytest.approx(0.4, abs=0.015)
    # For recall it is the other way round (3.1).
    assert recall_at_k_score(data.Y, data.pick_probabilities) > recall_at_k_score(
        data.Y, data.marginals
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_3_3_precision_and_recall_within_the_ratio_of_sizes(seed):
    law = law_of(seed, empty=False, sizes=[1, 2, 3])
    for k in (1, 2, 3):
        best_p, best_r = np.sort(law.m)[-k:].sum(), np.sort(law.q)[-k:].sum()
        assert law.m[top(law.q, k)].sum() >= best_p / 3 - TINY
        assert law.q[top(law.m, k)].sum() >= best_r / 3 - TINY


@pytest.mark.parametrize("size", [2, 3, 5])
def test_3_3_the_ratio_is_tight(size):
    p = size / (size + 1) - 1e-9
    law = SetLaw.of(size + 1, {tuple(range(size)): p, (size,): 1 - p})
    chosen = top(law.q, 1)
    assert law.m[chosen].sum() / law.m.max() == pytest.approx(1 / size, abs=1e-6)
    assert law.m.max() - law.m[chosen].sum() == pytest.approx((size - 1) / (size + 1), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_3_3b_precision_regret_is_below_the_spread_of_sizes(seed):
    law = law_of(seed)
    spread = law.expect(np.abs(law.size - median_of_size(law)))
    for k in (1, 2, 3):
        regret = (np.sort(law.m)[-k:].sum() - law.m[top(law.q, k)].sum()) / k
        assert regret <= spread / k + TINY


def test_3_3b_the_bound_is_attained():
    size = 4
    p = size / (size + 1) - 1e-9
    law = SetLaw.of(size + 1, {tuple(range(size)): p, (size,): 1 - p})
    regret = law.m.max() - law.m[top(law.q, 1)].sum()
    assert law.expect(np.abs(law.size - size)) == pytest.approx(regret, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_3_4a_constant_size(seed):
    law = law_of(seed, sizes=[2])
    np.testing.assert_allclose(law.q, law.m / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_3_4b_proportional_iff_sizes_given_the_label_are_equal(seed):
    law = law_of(seed, empty=False)
    ratio = law.m / law.q
    np.testing.assert_allclose(ratio, law.sigma)
    assert np.ptp(law.sigma) > 1e-3  # in general they are not
    # Mirrored, so that all labels are alike: now they are.
    orders = list(itertools.permutations(range(4)))
    sets = np.concatenate([law.sets[:, list(order)] for order in orders])
    alike = SetLaw(sets, np.tile(law.p, len(orders)) / len(orders))
    assert np.ptp(alike.m / alike.q) < 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_3_4c_membership_independent_of_size_means_constant_size(seed):
    law = law_of(seed, empty=False)
    # Each size has another mean size, hence memberships given the size cannot all be m.
    for size in (1, 2, 3):
        of_size = law.size == size
        given = law.p[of_size] @ law.sets[of_size] / law.p[of_size].sum()
        assert given.sum() == pytest.approx(size)
        assert np.abs(given - law.m).sum() >= abs(size - law.mean_size) - TINY
    constant = law_of(seed, sizes=[2])
    assert constant.m.sum() == pytest.approx(2)


def dominance_laws(seed):
    rng = np.random.default_rng(seed)
    omega = np.exp(rng.normal(size=4))
    yield SetLaw.product(omega)  # independent labels
    yield SetLaw.product(omega, rng.dirichlet(np.ones(5)))
    yield SetLaw.plackett_luce(rng.dirichlet(np.ones(4)), int(rng.integers(1, 4)))


@pytest.mark.parametrize("seed", SEEDS)
def test_3_4d_swap_dominance_keeps_the_order(seed):
    for law in dominance_laws(seed):
        order = np.argsort(law.m)
        assert np.all(np.diff(law.q[order]) >= -TINY)
        assert np.all(np.diff(law.pairs[order], axis=0) >= -TINY)
        # The premise itself: exchanging a label for a better one is never less probable.
        p = {tuple(y): prob for y, prob in zip(law.sets, law.p, strict=True)}
        for y in all_sets(4):
            for worse, better in itertools.combinations(order, 2):
                if y[worse] and not y[better]:
                    swapped = y.copy()
                    swapped[[worse, better]] = 0, 1
                    assert p.get(tuple(swapped), 0) >= p.get(tuple(y), 0) - TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_3_5_weighting_the_pick_by_the_size(seed):
    law = law_of(seed, empty=False)
    for weight, expected in (
        (np.ones(len(law.p)), law.q),
        (law.size, law.m / law.mean_size),
        (law.size**2.0, None),
    ):
        target = law.expect(law.target * weight[:, None])
        target /= target.sum()
        if expected is not None:
            np.testing.assert_allclose(target, expected)
        p = some_simplex(seed, 4)
        risks = [
            law.expect(-weight * (law.target @ np.log(np.maximum(c, 1e-300)))) for c in (target, p)
        ]
        assert risks[0] <= risks[1] + TINY


# ------------------------------------------------------ 4 one cutoff


@pytest.mark.parametrize("seed", SEEDS)
def test_4_1_jaccard_and_f(seed):
    pop = population_of(seed)
    h = np.random.default_rng(seed).integers(0, 2, pop.m.shape)
    tp = pop.mean((h * pop.m).sum(axis=1))
    j, f = pop.jaccard(h), 2 * tp / (pop.mean(h.sum(axis=1)) + pop.mean_size)
    assert j == pytest.approx(f / (2 - f))
    assert f == pytest.approx(2 * j / (1 + j))
    assert j / (1 + j) == pytest.approx(f / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_4_2_the_optimum_is_a_cutoff_on_the_marginals(seed):
    pop = population_of(seed, n_points=2, n_labels=3)
    predictions = np.array(list(itertools.product([0, 1], repeat=6))).reshape(-1, 2, 3)
    best = max(pop.jaccard(h) for h in predictions)
    found, theta, h = pop.optimum()
    assert found == pytest.approx(best)
    assert pop.jaccard(h) == pytest.approx(best)
    assert theta <= 0.5

    def phi(c):
        gain = np.clip((1 + c) * pop.m - c, 0, None).sum(axis=1)
        return pop.mean(gain) - c * pop.mean_size

    assert brentq(phi, 0, 1) == pytest.approx(best)


@pytest.mark.parametrize("seed", SEEDS)
def test_4_3_exact_regret(seed):
    pop = population_of(seed)
    best, theta, optimal = pop.optimum()
    h = np.random.default_rng(seed).integers(0, 2, pop.m.shape).astype(bool)
    wrong = (np.abs(pop.m - theta) * (h != optimal)).sum(axis=1)
    regret = (1 + best) * pop.mean(wrong) / pop.union(h)
    assert best - pop.jaccard(h) == pytest.approx(regret, abs=TINY)


@pytest.mark.parametrize("seed", range(60))
def test_4_4_when_one_cutoff_on_picks_is_optimal(seed):
    pop = population_of(seed, n_points=2, n_labels=3)
    best, theta, optimal = pop.optimum()
    assert pop.jaccard(pop.q > theta / pop.sigma) == pytest.approx(best)
    at_theta = np.isclose(pop.m, theta, rtol=1e-9)
    separated = not optimal.any() or pop.q[optimal].min() > max(
        pop.q[~optimal & ~at_theta], default=-1
    )
    assert separated == (pop.best_cut(pop.q)[0] > best - TINY)
    narrow = theta * pop.sigma.min() / pop.sigma.max()
    if not np.any((pop.m > narrow) & (pop.m <= theta)):  # the margin
        assert separated


@pytest.mark.parametrize("seed", SEEDS)
def test_4_4_constant_size_makes_one_cutoff_optimal(seed):
    pop = population_of(seed, sizes=[2])
    assert pop.best_cut(pop.q)[0] == pytest.approx(pop.optimum()[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_4_4b_noise_free_labels(seed):
    rng = np.random.default_rng(seed)
    sets = [s for s in all_sets(4) if s.any()]
    laws = [SetLaw(np.array([sets[rng.integers(15)]]), [1.0]) for _ in range(3)]
    pop = Population(rng.dirichlet(np.ones(3)), laws)
    largest = max(law.mean_size for law in laws)
    for cut in (0, 0.5 / largest, 0.999 / largest):
        assert pop.jaccard(pop.q > cut) == pytest.approx(1)


def test_4_5_one_cutoff_is_not_enough():
    a = SetLaw.of(5, {(i,): 0.25 for i in range(4)})
    b = SetLaw.of(5, {tuple(range(5)): 1.0})
    pop = Population([0.6, 0.4], [a, b])
    best, theta, optimal = pop.optimum()
    assert best == pytest.approx(10 / 13)
    assert theta == pytest.approx(10 / 23)
    assert not optimal[0].any()
    assert optimal[1].all()
    assert pop.best_cut(pop.q)[0] == pytest.approx(13 / 22)


def test_4_5b_the_loss_can_be_everything():
    previous = 1.0
    for s in (5, 50, 500, 5000):
        odds = math.sqrt(s)
        # Weights odds : 1; at a, s - 1 labels with m = q = 1 / (s - 1); at b, m = 1, q = 1 / s.
        only_b = s / (odds + s)
        everything = (odds + s) / (odds * (s - 1) + s)
        only_a = odds / (odds * (s - 1) + s)
        assert 1 / (s - 1) > 1 / s  # so a cutoff on q takes a first
        assert max(everything, only_a) < previous
        previous = max(everything, only_a)
    assert only_b > 0.98
    assert previous < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_4_6_multiplicative_guarantee(seed):
    pop = population_of(seed, empty=False, sizes=[1, 2, 3])
    best, theta, optimal = pop.optimum()
    low, high = pop.sigma.min(), pop.sigma.max()
    found = pop.best_cut(pop.q)[0]
    assert found >= best * low / high - TINY
    assert low / high >= 1 / 3 - TINY
    h = pop.q > theta / high
    assert np.all(h >= optimal)
    extra = pop.mean((h & ~optimal).sum(axis=1)) / pop.union(h)
    assert best - pop.jaccard(h) <= best * (1 - low / high) * extra + TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_4_6b_regret_of_a_given_cutoff(seed):
    pop = population_of(seed, empty=False)
    best, theta, optimal = pop.optimum()
    for c in (0.7, 1.0, 2.0, 3.5):
        h = pop.q > theta / c
        wrong = (np.abs(pop.sigma / c - 1) * (h != optimal)).sum(axis=1)
        assert best - pop.jaccard(h) <= best * pop.mean(wrong) / pop.union(h) + TINY


@pytest.mark.parametrize("s", [2, 4, 10])
def test_4_6c_the_constant_is_best_possible(s):
    def ratio(mu, v):
        # Good labels: m = mu, mass v. Garbage: m = mu / s, mass 1 - v. E[S] = 1.
        n_good, n_garbage = v / mu, (1 - v) * s / mu
        everything = 1 / (n_good + n_garbage)
        good = v / (1 + n_good - v)
        garbage = (1 - v) / (1 + n_garbage - (1 - v))
        return everything / max(everything, good, garbage), good

    for v in (0.01, 0.2, 0.9):
        assert ratio(1e-9, v)[0] == pytest.approx(1 / (v + (1 - v) * s), rel=1e-6)
    assert ratio(1e-9, 1e-4)[0] == pytest.approx(1 / s, rel=1e-3)
    if s > 2:
        grid = np.linspace(0.01, 0.99, 9801)
        worst, at = min(ratio(1.0, v) for v in grid)
        assert worst == pytest.approx(4 * (s - 1) / s**2, rel=1e-4)
        assert at == pytest.approx(s / (2 * (s - 1)), abs=0.01)


@pytest.mark.parametrize("seed", range(60))
def test_4_6d_additive_guarantee(seed):
    pop = population_of(seed)
    best = pop.optimum()[0]
    regret = best - pop.best_cut(pop.q)[0]
    bound = (1 + best) * min(pop.spread(c) for c in range(5))
    second = pop.mean([law.expect(law.size**2.0) for law in pop.laws])
    sd = math.sqrt(second - pop.mean_size**2)
    assert regret <= bound + TINY
    assert bound <= (1 + best) * sd / pop.mean_size + TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_4_6e_knowing_the_mean_size_of_each_row(seed):
    pop = population_of(seed)
    best, theta, _ = pop.optimum()
    sd = [math.sqrt(law.expect((law.size - law.mean_size) ** 2)) for law in pop.laws]
    bound = (1 + best) * pop.mean(sd) / pop.mean_size
    assert best - pop.jaccard(pop.q * pop.mu[:, None] > theta) <= bound + TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_4_7_plug_in(seed):
    pop = population_of(seed, empty=False)
    best, theta, _ = pop.optimum()
    rng = np.random.default_rng(seed)
    estimates, divergences = [], []
    for law in pop.laws:
        guess = rng.dirichlet(np.ravel(law.pairs) * 30 + 0.1).reshape(law.pairs.shape)
        estimates.append(guess @ law.sizes)
        divergences.append(kl(law.pairs, guess))
    estimates = np.array(estimates)
    regret = best - pop.jaccard(estimates > theta)
    first = (1 + best) * pop.mean(np.abs(pop.m - estimates).sum(axis=1)) / pop.mean_size
    second = (1 + best) * 4 / pop.mean_size * math.sqrt(2 * pop.mean(divergences))
    assert regret <= first + TINY
    assert first <= second + TINY


def test_4_8_instance_jaccard_is_no_threshold_rule():
    law = SetLaw.of(3, {(0,): 7 / 18, (1,): 5 / 18, (1, 2): 6 / 18})
    value = {
        tuple(np.flatnonzero(h)): law.expect([jaccard(h, y) for y in law.sets])
        for h in all_sets(3)
    }
    assert max(value, key=value.get) == (1, 2)
    assert value[1, 2] == pytest.approx(17 / 36)
    for scores in (law.m, law.q):
        for k in range(4):
            assert value[tuple(sorted(top(scores, k).tolist()))] <= 16 / 36 + TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_4_9_the_f_optimal_set_is_good_for_instance_jaccard(seed):
    laws = [law_of(100 * seed + i) for i in range(3)]
    weights = some_simplex(seed, 3)
    best, of_f = 0.0, 0.0
    for w, law in zip(weights, laws, strict=True):
        predictions = all_sets(4)
        f = [law.expect([f_score(h, y) for y in law.sets]) for h in predictions]
        j = [law.expect([jaccard(h, y) for y in law.sets]) for h in predictions]
        best += w * max(j)
        of_f += w * j[int(np.argmax(f))]
    assert of_f >= best / (2 - best) - TINY
    assert best - of_f <= 3 - 2 * math.sqrt(2) + TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_4_10_a_cutoff_on_a_softmax_caps_the_size(seed):
    p = some_simplex(seed, 12)
    for cut in (0.05, 0.1, 0.25, 0.3):
        assert np.count_nonzero(p > cut) <= math.ceil(1 / cut) - 1
    assert not np.any(np.full(4, 0.25) > 0.25)


@pytest.mark.parametrize("seed", SEEDS)
def test_4_11_end_to_end(seed):
    pop = population_of(seed, empty=False)
    best = pop.optimum()[0]
    rng = np.random.default_rng(seed)
    learnt = np.array([rng.dirichlet(law.q * 40 + 0.2) for law in pop.laws])
    excess = pop.mean([kl(q, p) for q, p in zip(pop.q, learnt, strict=True)])
    regret = best - pop.best_cut(learnt)[0]
    for c in (0.5, 1.0, 2.0, 3.0):
        bound = pop.spread(c) + c * math.sqrt(2 * excess) / pop.mean_size
        assert regret <= (1 + best) * bound + TINY


# ------------------------------------------------------ 5 tuning the cutoff on data


def tuning_samples(n, repeats, seed=0):
    """J of all cuts on samples of a population, and in the population."""
    pop = population_of(7, n_points=3, n_labels=4, empty=False)
    rng = np.random.default_rng(seed)
    cuts = np.concatenate([[0.0], np.unique(pop.q)])
    h = pop.q[None] > cuts[:, None, None]
    truth = np.array([pop.jaccard(one) for one in h])
    sets = all_sets(4)
    joint = np.zeros((3, len(sets)))
    for i, law in enumerate(pop.laws):
        joint[i, 1:] = pop.w[i] * law.p
    counts = rng.multinomial(n, joint.ravel(), size=repeats).reshape(repeats, 3, len(sets))
    both = np.einsum("rxy,cxk,yk->rc", counts, h, sets)
    either = np.einsum("rxy,cxyk->rc", counts, h[:, :, None, :] | (sets[None, None] > 0))
    mean_size = np.einsum("rxy,y->r", counts, sets.sum(axis=1)) / n
    return both / either, truth, mean_size


def test_5_1_tuning_is_uniformly_accurate():
    n, delta, labels, received = 200, 0.2, 4, 4
    values, truth, mean_size = tuning_samples(n, 2000)
    gap = np.abs(values - truth).max(axis=1)
    root = math.sqrt(math.log(2 * (labels + received) / delta) / (2 * n))
    bound = (2 * labels + received) * root / mean_size
    assert np.mean(gap <= bound) >= 1 - delta
    assert gap.mean() <= (2 * labels + received) * math.sqrt(math.pi / (2 * n))


def test_5_2_regret_of_the_tuned_cutoff():
    values, truth, _ = tuning_samples(100, 2000)
    regret = truth.max() - truth[values.argmax(axis=1)]
    assert np.all(regret <= 2 * np.abs(values - truth).max(axis=1) + TINY)


def test_5_3_tuning_and_reporting_on_the_same_data_is_optimistic():
    optimism = []
    for n in (50, 5000):
        values, truth, _ = tuning_samples(n, 4000)
        chosen = values.argmax(axis=1)
        optimism.append(np.mean(values.max(axis=1) - truth[chosen]))
        assert optimism[-1] <= np.abs(values - truth).max(axis=1).mean()
    assert optimism[0] > 0
    assert optimism[1] < optimism[0] / 4


@pytest.mark.parametrize(("n", "expected"), [(100, 0.020), (1000, 0.0063), (10_000, 0.0020)])
def test_5_4_exact_optimism_of_a_tie(n, expected):
    b = math.sqrt(2) - 1
    count = np.arange(n + 1)
    share = count / n
    largest = np.maximum(1 / (1 + share), (1 + share) / 2)
    optimism = binom.pmf(count, n, b) @ largest - 1 / math.sqrt(2)
    constant = math.sqrt(b * (1 - b) / (2 * math.pi))
    assert constant == pytest.approx(0.1965, abs=5e-4)
    assert optimism == pytest.approx(constant / math.sqrt(n), abs=1 / n)
    assert optimism == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_5_5_bias_of_the_ratio(n):
    b = 0.3
    count = np.arange(n + 1)
    law = binom.pmf(count, n, b)
    union = 1 + count / n
    j_n = 1 / union
    bias = law @ j_n - 1 / (1 + b)
    covariance = law @ (j_n * union) - (law @ j_n) * (law @ union)
    assert bias == pytest.approx(-covariance / (law @ union), abs=TINY)
    assert 0 <= bias <= 1 / n


def test_5_6_standard_error():
    n = 400
    pop = population_of(7, n_points=3, n_labels=4, empty=False)
    values, truth, _ = tuning_samples(n, 8000, seed=5)
    cuts = np.concatenate([[0.0], np.unique(pop.q)])
    for c in (0, 4, 8):
        h = pop.q > cuts[c]
        residual, union = 0.0, 0.0
        for w, law, one in zip(pop.w, pop.laws, h, strict=True):
            both, either = (law.sets & one).sum(1), (law.sets | one).sum(1)
            residual += w * law.expect((both - truth[c] * either) ** 2)
            union += w * law.expect(either)
        error = math.sqrt(residual / n) / union
        assert values[:, c].std() == pytest.approx(error, rel=0.05)


# ------------------------------------------------------ 6 picks with sizes


@pytest.mark.parametrize("seed", SEEDS)
def test_6_1_pairs_give_everything(seed):
    law = law_of(seed)
    joint = np.column_stack([law.expect(law.sets * (law.size == s)[:, None]) for s in law.sizes])
    np.testing.assert_allclose(joint, law.pairs * law.sizes, atol=TINY)
    np.testing.assert_allclose(law.pairs @ law.sizes, law.m)
    np.testing.assert_allclose(law.pairs.sum(axis=0), law.size_law[1:])
    np.testing.assert_allclose(law.pairs.sum(axis=1), law.q)
    assert law.pairs.sum() + law.size_law[0] == pytest.approx(1)


def systematic(inclusion):
    """Law of a set with the given inclusion probabilities, of constant size (Madow)."""
    upper = np.cumsum(inclusion)
    lower = upper - inclusion
    starts = np.unique(np.concatenate([[0.0, 1.0], np.round(upper % 1, 13)]))
    for low, high in itertools.pairwise(starts):
        u = (low + high) / 2
        yield (np.floor(upper - u) - np.floor(lower - u)).astype(int), high - low


@pytest.mark.parametrize("seed", SEEDS)
def test_6_2_coherent_pairs_belong_to_a_law(seed):
    law = law_of(seed)
    assert np.all(law.pairs * law.sizes <= law.pairs.sum(axis=0) + TINY)
    rng = np.random.default_rng(seed)
    for s in (1, 2, 3):
        while True:  # any vector in the hypersimplex
            inclusion = rng.dirichlet(np.ones(4)) * s
            if inclusion.max() <= 1:
                break
        drawn = list(systematic(inclusion))
        assert all(y.sum() == s and y.min() >= 0 and y.max() <= 1 for y, _ in drawn)
        np.testing.assert_allclose(sum(p * y for y, p in drawn), inclusion, atol=1e-9)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(8))
def test_6_3_f_optimal_sets_from_pairs(seed, beta):
    law = law_of(seed)
    value = {tuple(h): law.expect([f_score(h, y, beta) for y in law.sets]) for h in all_sets(4)}
    best, chosen = law.size_law[0], np.zeros(4, dtype=int)
    for k in (1, 2, 3, 4):
        s = law.sizes
        column = law.pairs @ ((1 + beta**2) * s / (beta**2 * s + k))
        labels = top(column, k)
        if column[labels].sum() > best:
            best, chosen = column[labels].sum(), np.isin(range(4), labels).astype(int)
    assert best == pytest.approx(max(value.values()))
    assert value[tuple(chosen)] == pytest.approx(best)


def features_of_pairs(n_labels):
    """What the pairs determine: each column is a function of the set."""
    sets = all_sets(n_labels)
    size = sets.sum(axis=1)
    columns = [size == 0]
    columns += [
        (sets[:, i] == 1) & (size == s) for i in range(n_labels) for s in range(1, n_labels + 1)
    ]
    return np.column_stack(columns).astype(float)


def determined(utility, n_labels=4):
    """Whether the mean of a utility is a function of the pairs, for every h."""
    features = features_of_pairs(n_labels)
    values = np.array([[utility(h, y) for h in all_sets(n_labels)] for y in all_sets(n_labels)])
    fit = features @ np.linalg.lstsq(features, values.astype(float), rcond=None)[0]
    return np.abs(fit - values).max() < 1e-9


def test_6_4_which_utilities_pairs_determine():
    assert determined(f_score)
    assert determined(lambda h, y: f_score(h, y, 2.0))
    assert determined(lambda h, y: (h != y).sum())
    assert determined(lambda h, y: (h & y).sum() / max(1, h.sum()))
    assert determined(lambda h, y: (h & y).sum() / max(1, y.sum()))
    assert not determined(jaccard)
    assert not determined(lambda h, y: np.array_equal(h, y))


def test_6_4b_the_joint_is_identified_up_to_three_labels():
    ranks = {k: np.linalg.matrix_rank(features_of_pairs(k)) for k in (1, 2, 3, 4)}
    assert ranks == {1: 2, 2: 4, 3: 8, 4: 14}


@pytest.mark.parametrize("seed", SEEDS)
def test_6_4c_ranking_for_ndcg(seed):
    law = law_of(seed, empty=False)
    k = 3
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(law.sizes, k) - 1]
    scores = law.pairs @ (law.sizes / ideal)

    def ndcg(order):
        gain = law.sets[:, list(order)] @ discount
        return law.expect(gain / ideal[law.size - 1])

    best = max(ndcg(order) for order in itertools.permutations(range(4), k))
    assert ndcg(top(scores, k)) == pytest.approx(best)


@pytest.mark.parametrize("seed", SEEDS)
def test_6_5_regret_transfer(seed):
    law = law_of(seed)
    exact = np.concatenate([[law.size_law[0]], law.pairs.ravel()])
    guess = np.random.default_rng(seed).dirichlet(exact * 20 + 0.1)
    sizes = np.tile(law.sizes, 4)
    labels = np.repeat(np.arange(4), 4)

    def utility(h):
        pairs = h[labels] * 2 * sizes / (sizes + max(1, h.sum()))
        return np.concatenate([[not h.any()], pairs])

    utilities = np.array([utility(h) for h in all_sets(4)])
    chosen = np.argmax(utilities @ guess)
    regret = (utilities @ exact).max() - utilities[chosen] @ exact
    largest = 2 * 4 / (4 + 1)
    assert regret <= largest * np.abs(exact - guess).sum() + TINY
    assert np.abs(exact - guess).sum() <= math.sqrt(2 * kl(exact, guess)) + TINY


@pytest.mark.parametrize("seed", SEEDS)
def test_6_6_price_of_picking(seed):
    law = law_of(seed, empty=False)
    square = law.expect(law.target * (law.size**2)[:, None])  # of S * 1{I = i}
    given = law.expect(law.sets * law.size[:, None]) / law.m
    np.testing.assert_allclose(square - law.m**2, law.m * given - law.m**2)
    assert np.all(square - law.m**2 >= law.m * (1 - law.m) - TINY)


def interaction(pairs):
    log = np.log(pairs)
    return log - log[:1] - log[:, :1] + log[0, 0]


def test_6_7_factorised_logits():
    rng = np.random.default_rng(0)
    w, u, b = rng.normal(size=(4, 2)), rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
    for x in rng.normal(size=(5, 2)):
        pairs = softmax(np.add.outer(w @ x, u @ x) + b)
        np.testing.assert_allclose(interaction(pairs), interaction(np.exp(b)), atol=1e-9)
        row = np.log(pairs[:, 0] / pairs[0, 0]) - (b[:, 0] - b[0, 0])
        np.testing.assert_allclose(row, (w - w[0]) @ x, atol=1e-9)


def test_6_7a_independent_labels_do_not_factorise():
    found = []
    for omega in ([0.5, 1.0, 2.0, 0.3], [0.5, 4.0, 2.0, 0.3]):
        law = SetLaw.product(np.array(omega))
        sets, size = law.sets, law.size
        for i, s in itertools.product(range(4), (1, 2, 3)):
            others = (size == s - 1) & (sets[:, i] == 0)
            e = np.where(sets[others], omega, 1).prod(axis=1).sum()
            ratio = law.pairs[i, s - 1] / (omega[i] * e / s)
            assert ratio == pytest.approx(1 / np.prod(1 + np.array(omega)))
        found.append(interaction(law.pairs))
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_6_7b_bags_factorise():
    data = make_label_sets(60_000, law="bag", n_labels=3, signal=0, mean_size=2, random_state=0)
    Y = data.Y.toarray()
    size = Y.sum(axis=1)
    for s in (1, 2, 3):
        rows = Y[size == s] / s
        q = data.pick_probabilities[0]
        np.testing.assert_allclose(rows.mean(axis=0), q, atol=4 * 0.5 / math.sqrt(len(rows)))


@pytest.mark.parametrize("seed", range(6))
def test_6_7c_interaction_of_the_product_family(seed):
    rng = np.random.default_rng(seed)
    omega, g = np.exp(rng.normal(size=4)), rng.dirichlet(np.ones(5))
    found = interaction(SetLaw.product(omega, g).pairs)
    expected = np.zeros((4, 4))
    for s in (2, 3, 4):
        fewer = SetLaw.product(omega, np.arange(5) == s - 1).m
        expected[:, s - 1] = np.log((1 - fewer) / (1 - fewer[0]))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(found, interaction(SetLaw.product(omega / 50, g).pairs), atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_6_8_merging_large_sizes(seed):
    law = law_of(seed)
    cap = 3
    large = law.sizes >= cap
    tail = law.size_law[1:][large]
    for value in (3.0, 4.0, tail @ law.sizes[large] / tail.sum()):
        merged = law.pairs @ np.where(large, value, law.sizes)
        bound = law.pairs[:, large] @ np.abs(law.sizes[large] - value)
        assert np.all(np.abs(merged - law.m) <= bound + TINY)
    assert merged.sum() == pytest.approx(law.mean_size)


@pytest.mark.parametrize("seed", SEEDS)
def test_6_9_cheaper_ways_to_the_marginals(seed):
    law, p = law_of(seed, empty=False), some_simplex(seed, 4)
    share = law.expect(law.target * law.size[:, None])  # of the pick weighted by the size
    share /= share.sum()
    np.testing.assert_allclose(law.mean_size * share, law.m)
    np.testing.assert_allclose(law.q * law.sigma, law.m)
    guess = law.mean_size * 1.2
    error = np.abs(guess * p - law.m).sum()
    bound = abs(guess - law.mean_size) + law.mean_size * np.abs(p - share).sum()
    assert error <= bound + TINY


# ------------------------------------------------------ 7 co-occurrence


def test_7_1_picks_do_not_determine_the_marginals():
    apart = SetLaw.of(3, {(0,): 1 / 3, (1,): 1 / 3, (2,): 1 / 3})
    together = SetLaw.of(3, {(0, 1, 2): 1.0})
    np.testing.assert_allclose(apart.q, together.q)
    np.testing.assert_allclose(apart.m, 1 / 3)
    np.testing.assert_allclose(together.m, 1)
    # So the sets that are best for the Hamming loss are nothing and everything.
    assert not np.any(apart.m > 0.5)
    assert np.all(together.m > 0.5)


def same_pairs():
    one = SetLaw.of(4, {(0, 1): 0.6, (2, 3): 0.4})
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    return one, SetLaw.of(4, dict.fromkeys(pairs, 0.2))


def test_7_2_pairs_do_not_determine_the_joint():
    one, other = same_pairs()
    np.testing.assert_allclose(one.pairs, other.pairs)

    def values(law):
        return {
            tuple(np.flatnonzero(h)): law.expect([jaccard(h, y) for y in law.sets])
            for h in all_sets(4)
        }

    assert max(values(one), key=values(one).get) == (0, 1)
    assert values(one)[0, 1] == pytest.approx(0.6)
    assert values(other)[0, 1] == pytest.approx(0.2 + 0.8 / 3, abs=1e-9)
    assert max(values(other).values()) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_7_3_sums_of_co_occurrence_are_identified(seed):
    law = law_of(seed)
    together = law.expect(law.sets[:, :, None] * law.sets[:, None, :])
    np.fill_diagonal(together, 0)
    s = law.sizes
    np.testing.assert_allclose(together.sum(axis=1), law.pairs @ (s * (s - 1)), atol=TINY)
    assert together.sum() == pytest.approx(law.expect(law.size * (law.size - 1)))


def test_7_4_entries_of_co_occurrence_are_not():
    together = [law.expect(law.sets[:, 0] * law.sets[:, 1]) for law in same_pairs()]
    np.testing.assert_allclose(together, [0.6, 0.2])


# ------------------------------------------------------ 8 generative processes


@pytest.mark.parametrize("seed", SEEDS)
def test_8_1_picking_is_a_bound_on_the_evidence(seed):
    p = some_simplex(seed, 5)
    size = np.random.default_rng(seed).integers(1, 6)
    inside = p[:size]
    normalized = -np.log(inside).mean()
    gap = kl(np.full(size, 1 / size), inside / inside.sum())
    assert normalized - math.log(size) == pytest.approx(-math.log(inside.sum()) + gap)
    assert gap >= 0
    assert kl(np.full(3, 1 / 3), np.full(3, 1 / 3)) == 0  # tight if p is constant on Y


def test_8_1b_its_maximum_likelihood_is_another_thing():
    law = SetLaw.of(2, {(0, 1): 0.6, (0,): 0.4})
    grid = np.linspace(0, 0.9, 901)
    likelihood = [law.expect(np.log(law.sets @ [1 - p, p])) for p in grid]
    assert grid[int(np.argmax(likelihood))] == 0
    np.testing.assert_allclose(law.q[1], 0.3)
    np.testing.assert_allclose(law.m[1], 0.6)


def test_8_3_bags_price_the_use_of_all_labels():
    n, repeats = 300, 3000
    rng = np.random.default_rng(0)
    sizes = rng.choice([1, 2, 6], p=[0.4, 0.4, 0.2], size=(repeats, n))
    p = 0.3
    counts = rng.binomial(sizes, p)
    all_labels = counts.sum(axis=1) / sizes.sum(axis=1)
    normalized = (counts / sizes).mean(axis=1)
    one = rng.binomial(1, counts / sizes).mean(axis=1)
    variance = np.array([all_labels.var(), normalized.var(), one.var()])
    mean, inverse = 0.4 + 0.8 + 1.2, 0.4 + 0.2 + 0.2 / 6
    np.testing.assert_allclose(variance / variance[2], [1 / mean, inverse, 1], rtol=0.1)


def test_8_4_plackett_luce_flattens_and_keeps_the_order():
    p = np.array([0.7, 0.2, 0.1])
    law = SetLaw.plackett_luce(p, 2)
    np.testing.assert_allclose(law.q, [0.476, 0.344, 0.179], atol=6e-4)
    assert law.q.max() < p.max()
    assert np.array_equal(np.argsort(law.q), np.argsort(p))


def test_8_5_conditional_bernoulli():
    law = SetLaw.product(np.array([0.6, 0.3, 0.1]), np.arange(4) == 2)
    np.testing.assert_allclose(law.q, [0.444, 0.389, 0.167], atol=6e-4)


# ------------------------------------------------------ 9 speed


@pytest.mark.parametrize("depth", [3, 5])
def test_9_2_nodes_that_all_labels_touch_in_a_tree(depth):
    rng = np.random.default_rng(0)
    for size in (1, 2, 4, 8):
        leaves = rng.choice(2**depth, size=size, replace=False)
        # The inner nodes above a leaf, from the root: its binary prefixes.
        touched = {(d, leaf >> (depth - d)) for leaf in leaves for d in range(depth)}
        assert depth <= len(touched) <= size * depth - (size - 1)


def test_9_3_negative_sampling_does_not_keep_the_order():
    q, n_negatives = np.array([0.45, 0.35, 0.2]), 5

    def fitted(noise):
        def risk(z):
            out = 0.0
            for target in range(3):
                drawn = np.where(np.arange(3) == target, 0, noise) / (1 - noise[target])
                loss = -np.log(expit(z[target])) - n_negatives * drawn @ np.log(expit(-z))
                out += q[target] * loss
            return out

        return expit(minimize(risk, np.zeros(3), tol=1e-10).x)

    skewed = np.array([0.8, 0.1, 0.1])
    c = np.array([sum(q[j] / (1 - skewed[j]) for j in range(3) if j != i) for i in range(3)])
    np.testing.assert_allclose(fitted(skewed), q / (q + n_negatives * skewed * c), atol=1e-4)
    np.testing.assert_allclose(fitted(skewed), [0.155, 0.221, 0.132], atol=6e-4)
    uniform = fitted(np.full(3, 1 / 3))
    assert np.array_equal(np.argsort(uniform), np.argsort(q))


def candidate_sets(pi):
    """Probability of each sample of labels."""
    for sample in itertools.product([False, True], repeat=len(pi)):
        yield np.array(sample), float(np.prod(np.where(sample, pi, 1 - pi)))


def sampled_loss(z, q, pi, *, weights=None, corrected=True):
    """Expectation of the sampled softmax's loss over labels and samples."""
    scores = z - np.log(pi) if corrected else z
    weights = np.ones(len(q)) if weights is None else weights
    total = 0.0
    for sample, probability in candidate_sets(pi):
        for i, seen in enumerate(sample | np.eye(len(q), dtype=bool)):
            log_sum = np.log(np.sum(np.exp(scores[seen])))
            total += probability * q[i] * weights[i] * (log_sum - scores[i])
    return total


def law_and_inclusion(seed, n_labels=4):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_labels)), rng.uniform(0.05, 1, n_labels)


@pytest.mark.parametrize("seed", range(4))
def test_9_4_the_sampled_softmax_learns_the_law_of_the_pick(seed):
    q, pi = law_and_inclusion(seed)
    if seed % 2:
        pi[2] = 1.0
    weights = np.ones(4) if seed < 2 else np.random.default_rng(seed).uniform(0.5, 2, 4)

    def loss(z):
        return sampled_loss(z, q, pi, weights=weights)

    found = minimize(loss, np.zeros(4), tol=1e-9).x
    np.testing.assert_allclose(softmax(found), weights * q / np.sum(weights * q), atol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_9_4a_excess_of_the_sampled_loss(seed):
    q, pi = law_and_inclusion(seed)
    p = np.random.default_rng(50 + seed).dirichlet(np.ones(4))
    excess = sampled_loss(np.log(p), q, pi) - sampled_loss(np.log(q), q, pi)
    laws = {}
    for sample, probability in candidate_sets(pi):
        for i, seen in enumerate(sample | np.eye(4, dtype=bool)):
            law = laws.setdefault(tuple(seen), np.zeros(2))
            law += probability * np.array([q[i], p[i]])
    of_q, of_p = np.array(list(laws.values())).T
    assert excess == pytest.approx(kl(q, p) - kl(of_q, of_p))
    assert 0 <= excess <= kl(q, p)


def test_9_4b_without_correction_frequent_labels_sink():
    q, pi = np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.6, 0.1])

    def loss(z):
        return sampled_loss(z, q, pi, corrected=False)

    found = softmax(minimize(loss, np.zeros(3), tol=1e-9).x)
    np.testing.assert_allclose(found, q / pi / np.sum(q / pi), atol=1e-4)
    assert np.argmax(found) == 2


@pytest.mark.parametrize("seed", range(3))
def test_9_4c_rows_may_share_a_sample(seed):
    """Mean gradient of two rows: one sample for both, and one for each."""
    rng = np.random.default_rng(seed)
    _, pi = law_and_inclusion(seed)
    labels, z = rng.integers(0, 4, 2), rng.normal(size=(2, 4))

    def gradient(row, sample):
        seen = sample | (np.arange(4) == labels[row])
        scores = np.where(seen, z[row] - np.log(pi), -np.inf)
        return softmax(scores) - np.eye(4)[labels[row]]

    shared, own = np.zeros(4), np.zeros(4)
    for sample, probability in candidate_sets(pi):
        shared += probability * (gradient(0, sample) + gradient(1, sample))
        for other, probability_of_other in candidate_sets(pi):
            joint = probability * probability_of_other
            own += joint * (gradient(0, sample) + gradient(1, other))
    np.testing.assert_allclose(shared, own, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_9_4d_error_of_the_sampled_sum(seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(6, 0.3), size=4)
    square = np.mean(p**2, axis=0)

    def error(pi):
        return np.sum(square * (1 - pi) / pi)

    _, pi = law_and_inclusion(seed, 6)
    direct = sum(
        probability * np.mean(np.square(np.sum(p / pi * sample, axis=1) - 1))
        for sample, probability in candidate_sets(pi)
    )
    assert error(pi) == pytest.approx(direct)
    best = np.sqrt(square)
    best *= 0.9 / best.max()
    for _ in range(50):
        other = rng.uniform(0.01, 1, 6)
        other = np.minimum(1, other * best.sum() / other.sum())
        assert error(best) <= error(other) + TINY
    f = p.mean(axis=0)
    assert np.all((f**2 <= square + TINY) & (square <= f + TINY))


# ------------------------------------------------------ 10 trees


def random_tree(rng, labels):
    """Nested pairs over the labels."""
    labels = list(rng.permutation(labels))
    while len(labels) > 1:
        i = rng.integers(len(labels) - 1)
        labels[i : i + 2] = [(labels[i], labels[i + 1])]
    return labels[0]


def leaves(node):
    return leaves(node[0]) + leaves(node[1]) if isinstance(node, tuple) else [int(node)]


def leaf_values(node, chance_below, value=1.0):
    """Product of P(child | parent) along the path to each leaf."""
    if not isinstance(node, tuple):
        return {int(node): value}
    out = {}
    for child in node:
        step = chance_below(leaves(child)) / chance_below(leaves(node))
        out |= leaf_values(child, chance_below, value * step)
    return out


@pytest.mark.parametrize("seed", SEEDS)
def test_10_1_any_tree_with_picks_gives_the_law_of_the_pick(seed):
    law = law_of(seed, empty=False)
    tree = random_tree(np.random.default_rng(seed), range(4))
    found = leaf_values(tree, lambda below: law.q[below].sum())
    np.testing.assert_allclose([found[i] for i in range(4)], law.q)


def test_10_2_any_tree_inherits_the_counterexample():
    law = SetLaw.of(3, {(0,): 0.1, (0, 1): 0.5, (2,): 0.4})
    for seed in range(5):
        tree = random_tree(np.random.default_rng(seed), range(3))
        found = leaf_values(tree, lambda below: law.q[below].sum())
        first = max(found, key=found.get)
        assert first == 2
        assert law.m.max() - law.m[first] == pytest.approx(0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_10_3_label_trees_give_the_marginals(seed):
    law = law_of(seed, empty=False)
    tree = random_tree(np.random.default_rng(seed), range(4))
    found = leaf_values(tree, lambda below: law.expect(law.sets[:, below].any(axis=1)))
    np.testing.assert_allclose([found[i] for i in range(4)], law.m)


@pytest.mark.parametrize("seed", SEEDS)
def test_10_4_a_tree_over_pairs_gives_the_marginals(seed):
    law = law_of(seed, empty=False)
    flat = law.pairs.ravel()
    tree = random_tree(np.random.default_rng(seed), np.flatnonzero(flat > 0))
    found = leaf_values(tree, lambda below: flat[below].sum())
    pairs = np.zeros(16)
    pairs[list(found)] = list(found.values())
    np.testing.assert_allclose(pairs.reshape(4, 4) @ law.sizes, law.m)
