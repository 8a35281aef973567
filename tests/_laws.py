"""Exact laws of label sets on few labels, by going through all sets, and an attack on bounds."""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np
from scipy.special import softmax


def all_sets(n_labels):
    """Every set of labels as a row of 0 and 1, small sets first."""
    sets = np.array(list(itertools.product([0, 1], repeat=n_labels)))
    return sets[np.argsort(sets.sum(axis=1), kind="stable")]


class SetLaw:
    """Law of the label set at one x.

    Parameters
    ----------
    sets : ndarray of shape (n_sets, n_labels)
        0 and 1.
    p : ndarray of shape (n_sets,)
        Their probabilities.
    """

    def __init__(self, sets, p):
        self.sets, self.p = np.asarray(sets), np.asarray(p, dtype=float)
        assert abs(self.p.sum() - 1) < 1e-9
        assert self.p.min() >= 0
        self.size = self.sets.sum(axis=1)
        self.n_labels = self.sets.shape[1]

    @classmethod
    def of(cls, n_labels, table):
        """From a dict of label tuples (from 0) to probabilities."""
        sets = np.zeros((len(table), n_labels), dtype=int)
        for row, labels in zip(sets, table, strict=True):
            row[list(labels)] = 1
        return cls(sets, list(table.values()))

    @classmethod
    def random(cls, rng, n_labels, *, empty=True, sizes=None):
        """Random law; few sets are likely."""
        sets = all_sets(n_labels)
        keep = np.ones(len(sets), bool) if sizes is None else np.isin(sets.sum(1), sizes)
        keep[0] &= empty
        sets = sets[keep]
        return cls(sets, rng.dirichlet(np.full(len(sets), 0.4)))

    @classmethod
    def product(cls, omega, g=None):
        """P(Y) proportional to g(|Y|) * prod of omega over Y."""
        sets = all_sets(len(omega))
        weight = np.where(sets, omega, 1.0).prod(axis=1)
        if g is not None:
            weight = weight * np.asarray(g, dtype=float)[sets.sum(axis=1)]
        return cls(sets, weight / weight.sum())

    @classmethod
    def plackett_luce(cls, p, size):
        """The first `size` labels of a Plackett-Luce ranking, as a set."""
        table = {}
        for order in itertools.permutations(range(len(p)), size):
            left, chance = 1.0, 1.0
            for i in order:
                chance *= p[i] / left
                left -= p[i]
            key = tuple(sorted(order))
            table[key] = table.get(key, 0.0) + chance
        return cls.of(len(p), table)

    @classmethod
    def mixture(cls, weights, laws):
        """One of several laws, drawn with these probabilities."""
        parts = [w * law.p for w, law in zip(weights, laws, strict=True)]
        return cls(np.concatenate([law.sets for law in laws]), np.concatenate(parts))

    def expect(self, values):
        """Mean of one value (or array) for each set."""
        return np.tensordot(self.p, np.asarray(values, dtype=float), axes=1)

    @cached_property
    def target(self):
        """The soft target of each set: 1/S on its labels."""
        return self.sets / np.maximum(self.size, 1)[:, None]

    @cached_property
    def m(self):
        """Marginals."""
        return self.expect(self.sets)

    @cached_property
    def q(self):
        """Law of the picked label."""
        return self.expect(self.target)

    @cached_property
    def pairs(self):
        """P(picked label = i, size = s) in column s - 1."""
        return np.column_stack(
            [self.expect(self.target * (self.size == s)[:, None]) for s in self.sizes]
        )

    @cached_property
    def sizes(self):
        """1..n_labels."""
        return np.arange(1, self.n_labels + 1)

    @cached_property
    def size_law(self):
        """P(size) from 0 on."""
        return np.bincount(self.size, weights=self.p, minlength=self.n_labels + 1)

    @cached_property
    def mean_size(self):
        """E[S]."""
        return self.expect(self.size)

    @cached_property
    def sigma(self):
        """E[S | picked label]; 1 where a label never occurs."""
        s_pairs = self.pairs @ self.sizes
        return np.divide(s_pairs, self.q, out=np.ones(self.n_labels), where=self.q > 0)


class Points:
    """Several points x of which only the marginals matter.

    Parameters
    ----------
    weights : array-like of shape (n_points,)
        Probabilities of the points.
    m : array-like of shape (n_points, n_labels)
        Marginals, rows sum to the mean size at the point.
    """

    def __init__(self, weights, m):
        self.w, self.m = np.asarray(weights, dtype=float), np.asarray(m, dtype=float)
        assert abs(self.w.sum() - 1) < 1e-9
        self.mu = self.m.sum(axis=1)
        self.mean_size = self.w @ self.mu

    def mean(self, values):
        """Mean over x of one value for each point."""
        return self.w @ np.asarray(values, dtype=float)

    def union(self, h):
        """E of the size of the union of prediction and truth."""
        return self.mean_size + self.mean((h * (1 - self.m)).sum(axis=1))

    def jaccard(self, h):
        """Micro-averaged Jaccard index of the prediction h, 0 and 1 of shape (n_points, K)."""
        return self.mean((h * self.m).sum(axis=1)) / self.union(h)

    def best_cut(self, scores):
        """Largest Jaccard index of `scores > cutoff` over all cutoffs, and that prediction."""
        cuts = [scores.min() - 1, *np.unique(scores)]
        values = [self.jaccard(scores > cut) for cut in cuts]
        i = int(np.argmax(values))
        return values[i], scores > cuts[i]

    def optimum(self):
        """J*, theta*, and the optimal prediction (verified in statement 4.2)."""
        best, _ = self.best_cut(self.m)
        theta = best / (1 + best)
        return best, theta, self.m > theta

    def errors(self, scores):
        """How far scores are below and above the marginals: a and b of statement 4.12."""
        gap = self.m - scores
        return [self.mean(np.clip(d, 0, None).sum(axis=1)) / self.mean_size for d in (gap, -gap)]


class Population(Points):
    """Several points x with their weights and laws."""

    def __init__(self, weights, laws):
        super().__init__(weights, [law.m for law in laws])
        self.laws = laws
        self.q = np.array([law.q for law in laws])
        self.sigma = np.array([law.sigma for law in laws])

    @classmethod
    def random(cls, rng, n_points=3, n_labels=4, **kwargs):
        laws = [SetLaw.random(rng, n_labels, **kwargs) for _ in range(n_points)]
        return cls(rng.dirichlet(np.ones(n_points)), laws)

    def spread(self, c, *, dropped=False):
        """E|S - c| / E[S], over rows with labels unless those without are dropped."""
        parts = [
            law.expect(np.abs(law.size - c) * ((law.size > 0) | dropped)) for law in self.laws
        ]
        return self.mean(parts) / self.mean_size

    def size_errors(self, c):
        """a and b of statement 4.12 from sizes alone, those of dropped rows too."""
        return [
            self.mean([law.expect(np.clip(sign * (law.size - c), 0, None)) for law in self.laws])
            / self.mean_size
            for sign in (1, -1)
        ]


class Many:
    """Populations by the thousand, for the search of the worst ones.

    Parameters
    ----------
    parameters : ndarray of shape (n, n_points * (1 + n_sets))
        Logarithms, up to a constant, of the weights of points and of the sets at each.
    sets : ndarray of shape (n_sets, n_labels)
        The sets that occur.
    """

    def __init__(self, parameters, n_points, sets):
        z = parameters.reshape(len(parameters), n_points, 1 + len(sets))
        self.w, self.p = softmax(z[:, :, 0], axis=1), softmax(z[:, :, 1:], axis=2)
        self.sets, self.size = sets, sets.sum(axis=1)
        self.m = self.p @ sets
        self.q = self.p @ (sets / np.maximum(self.size, 1)[:, None])
        self.filled = self.p @ (self.size > 0)
        self.mu = self.p @ self.size
        self.mean_size = self.mean(self.mu)

    @staticmethod
    def n_parameters(n_points, sets):
        """Length of a row of `parameters`."""
        return n_points * (1 + len(sets))

    def mean(self, values):
        """Mean over x, of shape (n,), of values of shape (n, n_points)."""
        return np.sum(self.w * values, axis=1)

    def jaccard(self, h):
        """Micro Jaccard of predictions of shape (n, n_points, n_labels)."""
        union = self.mean_size + self.mean((h * (1 - self.m)).sum(axis=2))
        return self.mean((h * self.m).sum(axis=2)) / union

    def best_cut(self, scores):
        """Largest micro Jaccard of one cutoff on the scores."""
        n = len(scores)
        flat = scores.reshape(n, -1)
        order = np.argsort(-flat, axis=1)
        weight = np.broadcast_to(self.w[:, :, None], scores.shape).reshape(n, -1)
        weight = np.take_along_axis(weight, order, axis=1)
        m = np.take_along_axis(self.m.reshape(n, -1), order, axis=1)
        ranked = np.take_along_axis(flat, order, axis=1)
        both = np.cumsum(weight * m, axis=1)
        value = both / (self.mean_size[:, None] + np.cumsum(weight, axis=1) - both)
        # A cutoff cannot separate equal scores.
        value[:, :-1][ranked[:, :-1] - ranked[:, 1:] <= 1e-12] = 0
        return value.max(axis=1)

    def optimum(self):
        """J*, theta*."""
        best = self.best_cut(self.m)
        return best, best / (1 + best)

    def errors(self, scores):
        """a and b of statement 4.12."""
        gap = self.m - scores
        return [self.mean(np.clip(d, 0, None).sum(axis=2)) / self.mean_size for d in (gap, -gap)]

    def size_errors(self, c, *, dropped=False):
        """a and b of statement 4.12 from sizes alone, for the scores c * q."""
        counted = (self.size > 0) | dropped
        return [
            self.mean(self.p @ (np.clip(d, 0, None) * counted)) / self.mean_size
            for d in (self.size - c, c - self.size)
        ]


def climb(ratio, n_parameters, seed, *, n=300, rounds=60):
    """Largest ratio that seeded hill climbing finds.

    Parameters
    ----------
    ratio : callable
        Takes parameters of shape (n, n_parameters), gives n numbers.
    n_parameters, seed, n, rounds : int
        Climbers start anywhere; after every tenth round the better half goes on twice.
    """
    rng = np.random.default_rng(seed)
    at = 2 * rng.normal(size=(n, n_parameters))
    value = ratio(at)
    for i in range(rounds):
        step = rng.choice([0.03, 0.1, 0.3, 1.0, 3.0], size=(n, 1))
        moved = at + step * rng.normal(size=at.shape) * (rng.random(at.shape) < 0.4)
        new = ratio(moved)
        better = new > value
        at[better], value[better] = moved[better], new[better]
        if i % 10 == 9:
            order = np.argsort(-value)
            worse, good = order[n // 2 :], order[: n - n // 2]
            at[worse], value[worse] = at[good[: len(worse)]], value[good[: len(worse)]]
    return value.max()


def reached(ratios, floor):
    """Assert that left over right sides of an inequality get to the floor, and never above 1."""
    largest = float(np.max(ratios))
    assert largest <= 1 + 1e-9
    assert largest >= floor


def kl_of_rows(p, q):
    """Kullback-Leibler divergence along the last axis."""
    return np.sum(np.where(p > 0, p * np.log(np.maximum(p, 1e-300) / q), 0), axis=-1)


def top(scores, k):
    """The k labels of highest score."""
    return np.argsort(-np.asarray(scores), kind="stable")[:k]


def kl(p, q):
    """Kullback-Leibler divergence of laws (or of sub-laws of equal mass)."""
    p, q = np.ravel(p), np.ravel(q)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))
