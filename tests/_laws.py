"""Exact laws of label sets on few labels, by going through all sets."""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np


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


class Population:
    """Several points x with their weights and laws."""

    def __init__(self, weights, laws):
        self.w, self.laws = np.asarray(weights, dtype=float), laws
        self.m = np.array([law.m for law in laws])
        self.q = np.array([law.q for law in laws])
        self.sigma = np.array([law.sigma for law in laws])
        self.mu = np.array([law.mean_size for law in laws])
        self.mean_size = self.w @ self.mu

    @classmethod
    def random(cls, rng, n_points=3, n_labels=4, **kwargs):
        laws = [SetLaw.random(rng, n_labels, **kwargs) for _ in range(n_points)]
        return cls(rng.dirichlet(np.ones(n_points)), laws)

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

    def spread(self, c):
        """E[|S - c|; S >= 1] / E[S]."""
        parts = [law.expect(np.abs(law.size - c) * (law.size > 0)) for law in self.laws]
        return self.mean(parts) / self.mean_size


def top(scores, k):
    """The k labels of highest score."""
    return np.argsort(-np.asarray(scores), kind="stable")[:k]


def kl(p, q):
    """Kullback-Leibler divergence of laws (or of sub-laws of equal mass)."""
    p, q = np.ravel(p), np.ravel(q)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))
