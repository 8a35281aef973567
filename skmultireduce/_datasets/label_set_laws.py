"""Label sets drawn from laws whose truth is known, to test theory and estimators on.

Three engines: label sets with the weights ``g(|Y|) * prod(omega_i, i in Y)`` (independent
labels are the case in which the size law comes from the weights), multisets of
independent draws, and explicit tables. Everything is exact: recursions of sums of
non-negative terms, so nothing cancels, whatever the number of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import brentq
from scipy.special import expit, logsumexp, softmax
from sklearn.utils import Bunch, check_random_state

from .._data.blocks import iter_row_blocks
from .._data.label_sets import LabelSets
from .._sklearn import Interval, StrOptions, _align_api_if_sparse, validate_params

__all__ = ["make_label_sets"]

_SUM = 1e-6  # how far given probabilities may be from summing to 1


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left"), None],
        "n_labels": [Interval(Integral, 1, None, closed="left"), None],
        "law": [StrOptions({"independent", "product", "bag", "table"})],
        "mean_size": [Interval(Real, 0, None, closed="neither"), None],
        "size_spread": [Interval(Real, 0, None, closed="left"), None],
        "empty_probability": [Interval(Real, 0, 1, closed="left"), None],
        "max_size": [Interval(Integral, 1, None, closed="left"), None],
        "signal": [Interval(Real, 0, None, closed="left"), None],
        "table": [list, tuple, Mapping, None],
        "point_probabilities": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_label_sets(
    n_samples: int = 1000,
    *,
    law: str = "independent",
    n_features: int | None = None,
    n_labels: int | None = None,
    mean_size: float | None = None,
    size_spread: float | None = None,
    empty_probability: float | None = None,
    max_size: int | None = None,
    signal: float | None = None,
    table: Mapping | Sequence[Mapping] | None = None,
    point_probabilities: Any = None,
    random_state: Any = None,
) -> Bunch:
    """Draw rows and label sets from a law whose truth is known.

    For each row it returns, beside the drawn label set Y, the exact marginals
    ``P(label in Y | x)``, the law of a label picked uniformly from Y (what
    ``reduction="pick_one"`` learns) and the law of the size of Y.

    With all laws but ``"table"``, X is standard normal and the labels have the weights
    ``omega = exp(X @ coef + intercept)``.

    ================= ==================================================================
    `law`             Y given x
    ================= ==================================================================
    ``"independent"`` each label for itself, with probability ``omega / (1 + omega)``
    ``"product"``     size from the size law, then the set with a probability
                      proportional to the product of its weights (theory 3.4d, 6.7c)
    ``"bag"``         size from the size law, then as many independent draws with
                      probabilities proportional to the weights (theory 6.7b, 8.3); a
                      label may be drawn more than once, Y holds the counts
    ``"table"``       as written in `table`
    ================= ==================================================================

    The size law of ``"product"`` and ``"bag"`` is the same at all x. Non-empty sets have
    the mean `mean_size` and the standard deviation ``size_spread * mean_size``.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    law : {"independent", "product", "bag", "table"}, default="independent"
        The law of the label sets given x.
    n_features : int, default=None
        Number of features, by default 20. Not for ``"table"``, where X tells the points
        apart, one-hot.
    n_labels : int, default=None
        Number of labels, by default 10; for ``"table"`` one more than the largest label.
    mean_size : float, default=None
        Mean size of the non-empty sets, by default 2; for ``"independent"`` the mean of
        the sizes of all rows. Not for ``"table"``.
    size_spread : float, default=None
        Standard deviation over mean of the size of the non-empty sets, by default 0.5.
        With 0 all sets have the size `mean_size`, which is then a whole number. Only for
        ``"product"`` and ``"bag"``.
    empty_probability : float, default=None
        Probability of the empty set, by default 0. Only for ``"product"`` and ``"bag"``.
    max_size : int, default=None
        Largest size, by default four times `mean_size`; for ``"product"`` at most
        `n_labels`. Only for ``"product"`` and ``"bag"``.
    signal : float, default=None
        Standard deviation of ``X @ coef``, by default 1; with 0 the law is the same at
        all x. Not for ``"table"``.
    table : list of dict, or dict, default=None
        One dict for each point x, from label sets (tuples, frozensets) to probabilities
        that sum to 1; a dict alone is one point. Only for ``"table"``.
    point_probabilities : array-like of shape (n_points,), default=None
        Probabilities of the points, by default equal. Only for ``"table"``.
    random_state : int, RandomState instance or None, default=None
        Source of all draws.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        X : ndarray of shape (n_samples, n_features), float64
            The rows.
        Y : CSR of shape (n_samples, n_labels), int8 (int64 for ``"bag"``)
            The drawn label sets; for ``"bag"`` how often each label was drawn.
        marginals : ndarray of shape (n_samples, n_labels)
            ``P(label in Y | x)``, m in the theory; for ``"bag"`` the mean counts.
        pick_probabilities : ndarray of shape (n_samples, n_labels)
            ``P(picked label | x)``, q in the theory. Rows sum to ``P(Y not empty | x)``.
        size_probabilities : ndarray of shape (n_samples, max_size + 1)
            ``P(size | x)``, from size 0 on.
        mean_size, size_spread : float
            ``E[S]`` and ``sd(S) / E[S]`` of the sizes of all sets, empty ones too, under
            the law and over the returned rows (theory 4.6d).
        point : ndarray of shape (n_samples,), int64
            The point of each row; only for ``"table"``.
        coef : ndarray of shape (n_features, n_labels)
            Only if X is normal.
        intercept : ndarray of shape (n_labels,)
            Only if X is normal.

    Raises
    ------
    ValueError
        If a parameter is given that the law does not have, if no size law has the
        given mean and spread, or if the table is no law.

    Examples
    --------
    Labels 0 and 2 show why ranking by the picked label can miss the most probable label
    (theory 3.2):

    >>> from skmultireduce.datasets import make_label_sets
    >>> data = make_label_sets(
    ...     5, law="table", table={(0,): 0.1, (0, 1): 0.5, (2,): 0.4}, random_state=0
    ... )
    >>> data.marginals[0].round(2)
    array([0.6, 0.5, 0.4])
    >>> data.pick_probabilities[0].round(2)
    array([0.35, 0.25, 0.4 ])
    >>> data.size_probabilities[0].round(2)
    array([0. , 0.5, 0.5])
    """
    given = {
        "n_features": n_features,
        "mean_size": mean_size,
        "size_spread": size_spread,
        "empty_probability": empty_probability,
        "max_size": max_size,
        "signal": signal,
        "table": table,
        "point_probabilities": point_probabilities,
    }
    takes = {
        "independent": {"n_features", "mean_size", "signal"},
        "table": {"table", "point_probabilities"},
    }.get(law, given.keys() - {"table", "point_probabilities"})
    for name, value in given.items():
        if value is not None and name not in takes:
            raise ValueError(
                f"{name} does not apply to law={law!r}, which has {sorted(takes)}. Leave it out."
            )
    rng = check_random_state(random_state)
    if law == "table":
        out = _from_table(rng, n_samples, n_labels, table, point_probabilities)
    else:
        n_labels = 10 if n_labels is None else n_labels
        X, coef, intercept = _linear(rng, n_samples, n_features or 20, n_labels, signal)
        log_weights = X @ coef + intercept
        mean_size = 2.0 if mean_size is None else float(mean_size)
        if law == "independent":
            shift = _shift_to_mean_size(log_weights, mean_size)
            intercept = intercept + shift
            out = _independent(rng, log_weights + shift)
        else:
            if max_size is None:
                max_size = int(np.ceil(4 * mean_size))
                if law == "product":
                    max_size = min(n_labels, max_size)
            law_of_size = _size_law(
                mean_size,
                0.5 if size_spread is None else float(size_spread),
                empty_probability or 0.0,
                max_size,
            )
            if law == "product" and len(law_of_size) > n_labels + 1:
                raise ValueError(
                    f"max_size={max_size} is larger than n_labels={n_labels}. Sets cannot be "
                    'larger than that; those of law="bag" can.'
                )
            engine = _product if law == "product" else _bag
            out = engine(rng, log_weights, law_of_size)
        out.update(X=X, coef=coef, intercept=intercept)
    sizes = np.arange(out.size_probabilities.shape[1])
    over_rows = out.size_probabilities.mean(axis=0)
    out.mean_size = float(over_rows @ sizes)
    variance = over_rows @ (sizes - out.mean_size) ** 2
    out.size_spread = float(np.sqrt(variance) / out.mean_size) if out.mean_size else 0.0
    out.Y = _align_api_if_sparse(out.Y)
    return out


def _linear(
    rng: Any, n_samples: int, n_features: int, n_labels: int, signal: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X = rng.standard_normal((n_samples, n_features))
    scale = (1.0 if signal is None else signal) / np.sqrt(n_features)
    coef = scale * rng.standard_normal((n_features, n_labels))
    # Labels differ in how frequent they are, as those of real data do.
    return X, coef, 0.5 * rng.standard_normal(n_labels)


def _shift_to_mean_size(log_weights: np.ndarray, mean_size: float) -> float:
    n_labels = log_weights.shape[1]
    if mean_size >= n_labels:
        raise ValueError(
            f"mean_size={mean_size:g} should be less than n_labels={n_labels} for "
            'law="independent". Pass more labels or a smaller mean_size.'
        )
    logit = np.log(mean_size / (n_labels - mean_size))
    low, high = logit - log_weights.max(), logit - log_weights.min()
    if high - low < 1e-12:
        return low
    return brentq(lambda c: expit(log_weights + c).sum(axis=1).mean() - mean_size, low, high)


def _size_law(mean: float, spread: float, empty: float, max_size: int) -> np.ndarray:
    """Law on 0..max_size whose non-empty sizes have the given mean and spread.

    A mixture of two laws of that mean: of the most narrow one (the whole numbers next to
    the mean), a truncated geometric one and the widest one (1 and max_size), the two
    whose variances are next to the aim. All have the same mean, so variances mix
    linearly.
    """
    if not 1 <= mean <= max_size:
        raise ValueError(
            f"mean_size={mean:g} should be between 1 and max_size={max_size}, as it is the mean "
            "of the non-empty sets."
        )
    sizes = np.arange(1, max_size + 1)
    narrow = np.clip(1 - np.abs(sizes - mean), 0, None)
    wide = np.zeros(max_size)
    wide[0] = 1.0
    if max_size > 1:
        wide[[0, -1]] = np.array([max_size - mean, mean - 1]) / (max_size - 1)
    laws = [narrow, _geometric(sizes, mean), wide]
    variances = [float(law @ (sizes - mean) ** 2) for law in laws]
    aim = (spread * mean) ** 2
    rounding = 1e-12 * (1 + aim)
    if not variances[0] - rounding <= aim <= variances[-1] + rounding:
        low, high = np.sqrt(variances[0]) / mean, np.sqrt(variances[-1]) / mean
        raise ValueError(
            f"size_spread={spread:g} is not possible with mean_size={mean:g} and "
            f"max_size={max_size}: it should be between {low:.4g} and {high:.4g}."
        )
    i = 0 if aim <= variances[1] else 1
    width = variances[i + 1] - variances[i]
    share = np.clip((aim - variances[i]) / width, 0, 1) if width > 0 else 0.0
    law = (1 - share) * laws[i] + share * laws[i + 1]
    return np.concatenate([[empty], (1 - empty) * law])


def _geometric(sizes: np.ndarray, mean: float) -> np.ndarray:
    """Law proportional to ``exp(a * size)`` of the given mean."""
    if mean in (sizes[0], sizes[-1]):
        return (sizes == mean).astype(float)

    def law(a: float) -> np.ndarray:
        return softmax(a * sizes)

    bound = 1.0
    while not law(-bound) @ sizes < mean < law(bound) @ sizes:
        bound *= 2
    return law(brentq(lambda a: law(a) @ sizes - mean, -bound, bound))


def _csr(included: np.ndarray) -> sp.csr_array:
    rows, columns = np.nonzero(included)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(included)))])
    return LabelSets(indptr, columns.astype(np.int32), included.shape[1]).to_csr()


def _independent(rng: Any, log_odds: np.ndarray) -> Bunch:
    n_samples, n_labels = log_odds.shape
    m, not_m = expit(log_odds), expit(-log_odds)
    sizes = np.zeros((n_samples, n_labels + 1))  # Poisson-binomial, label by label
    sizes[:, 0] = 1.0
    for i in range(n_labels):
        sizes[:, 1:] = sizes[:, 1:] * not_m[:, i, None] + sizes[:, :-1] * m[:, i, None]
        sizes[:, 0] *= not_m[:, i]
    # E[1 / (1 + S without i)] is the integral over t in (0, 1) of the generating function
    # of S without i, a polynomial: this many Gauss-Legendre nodes are exact.
    nodes, weights = np.polynomial.legendre.leggauss(n_labels // 2 + 1)
    q = np.zeros_like(m)
    for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = np.log(not_m + m * t)
        q += weight * np.exp(factors.sum(axis=1, keepdims=True) - factors)
    q *= m
    Y = _csr(rng.uniform(size=m.shape) < m)
    return Bunch(Y=Y, marginals=m, pick_probabilities=q, size_probabilities=sizes)


def _product(rng: Any, log_weights: np.ndarray, law_of_size: np.ndarray) -> Bunch:
    n_samples, n_labels = log_weights.shape
    max_size = len(law_of_size) - 1
    drawn_size = rng.choice(max_size + 1, size=n_samples, p=law_of_size)
    u = rng.uniform(size=(n_samples, n_labels))
    m, q = np.zeros((2, n_samples, n_labels))
    included = np.zeros((n_samples, n_labels), dtype=bool)
    table_bytes = 16.0 * (n_labels + 1) * (max_size + 1)
    for block in iter_row_blocks(n_samples, table_bytes):
        z = log_weights[block]
        before, after = _log_sums(z, max_size), _log_sums(z[:, ::-1], max_size)
        for size in np.flatnonzero(law_of_size[1:]) + 1:
            joint = law_of_size[size] * _inclusion(z, before, after, size)
            m[block] += joint
            q[block] += joint / size
        included[block] = _draw_sets(z, before, drawn_size[block], u[block])
    size_probabilities = np.tile(law_of_size, (n_samples, 1))
    return Bunch(
        Y=_csr(included), marginals=m, pick_probabilities=q, size_probabilities=size_probabilities
    )


def _log_sums(z: np.ndarray, max_size: int) -> np.ndarray:
    """Logarithms of the elementary symmetric polynomials of the first labels.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_labels)
        Logarithms of the weights.
    max_size : int
        Highest degree.

    Returns
    -------
    log_sums : ndarray of shape (n_labels + 1, n_rows, max_size + 1)
        ``log_sums[j, :, s]``: of degree s of the first j weights.
    """
    n_rows, n_labels = z.shape
    out = np.full((n_labels + 1, n_rows, max_size + 1), -np.inf)
    out[:, :, 0] = 0.0
    for j in range(n_labels):
        out[j + 1, :, 1:] = np.logaddexp(out[j, :, 1:], z[:, j, None] + out[j, :, :-1])
    return out


def _inclusion(z: np.ndarray, before: np.ndarray, after: np.ndarray, size: int) -> np.ndarray:
    """Probability of each label to be in a set of the given size."""
    n_labels = z.shape[1]
    out = np.empty_like(z)
    for i in range(n_labels):
        # size - 1 others: some of the labels before i, the rest of those after it
        others = before[i, :, :size] + after[n_labels - 1 - i, :, size - 1 :: -1]
        out[:, i] = z[:, i] + logsumexp(others, axis=1)
    return np.exp(out - before[-1, :, size, None])


def _draw_sets(z: np.ndarray, before: np.ndarray, size: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Draw a set of the given size for each row, from the last label to the first."""
    included = np.zeros(z.shape, dtype=bool)
    left = size.copy()
    rows = np.arange(len(z))
    for i in range(z.shape[1] - 1, -1, -1):
        with np.errstate(invalid="ignore", over="ignore"):  # where nothing is left to draw
            chance = np.exp(z[:, i] + before[i, rows, left - 1] - before[i + 1, rows, left])
        included[:, i] = (left > 0) & ((u[:, i] < chance) | (left > i))
        left -= included[:, i]
    return included


def _bag(rng: Any, log_weights: np.ndarray, law_of_size: np.ndarray) -> Bunch:
    n_samples, n_labels = log_weights.shape
    p = softmax(log_weights, axis=1)
    size = rng.choice(len(law_of_size), size=n_samples, p=law_of_size)
    rows = np.repeat(np.arange(n_samples), size)
    u = rng.uniform(size=len(rows))
    cumulated = p.cumsum(axis=1)
    cumulated[:, -1] = 1.0  # rounding
    columns = np.empty(len(rows), dtype=np.int64)
    for block in iter_row_blocks(len(rows), 9.0 * n_labels):
        columns[block] = (u[block, None] >= cumulated[rows[block]]).sum(axis=1)
    counts = sp.coo_array(
        (np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=(n_samples, n_labels)
    ).tocsr()
    return Bunch(
        Y=counts,
        marginals=p * (law_of_size @ np.arange(len(law_of_size))),
        pick_probabilities=p * (1 - law_of_size[0]),
        size_probabilities=np.tile(law_of_size, (n_samples, 1)),
    )


def _from_table(
    rng: Any, n_samples: int, n_labels: int | None, table: Any, point_probabilities: Any
) -> Bunch:
    if table is None:
        raise ValueError(
            'law="table" needs `table`: for each point a dict from label sets to probabilities.'
        )
    points = [table] if isinstance(table, Mapping) else list(table)
    if not points or not all(isinstance(point, Mapping) and point for point in points):
        raise ValueError("table should be a list of non-empty dicts, one for each point.")
    n_points = len(points)
    if point_probabilities is None:
        weights = np.full(n_points, 1 / n_points)
    else:
        weights = _as_law(point_probabilities, "point_probabilities")
        if len(weights) != n_points:
            raise ValueError(
                f"point_probabilities has {len(weights)} entries for {n_points} points."
            )
    largest = max((label for point in points for labels in point for label in labels), default=0)
    n_labels = largest + 1 if n_labels is None else n_labels
    m, q = np.zeros((2, n_points, n_labels))
    sizes = np.zeros((n_points, max(len(labels) for point in points for labels in point) + 1))
    of_row = rng.choice(n_points, size=n_samples, p=weights)
    included = np.zeros((n_samples, n_labels), dtype=bool)
    for i, point in enumerate(points):
        law = _as_law(list(point.values()), f"table[{i}]")
        sets = np.zeros((len(point), n_labels), dtype=bool)
        for labels, row in zip(point, sets, strict=True):
            wrong = [
                label
                for label in labels
                if not isinstance(label, Integral) or not 0 <= label < n_labels
            ]
            if wrong or len(set(labels)) < len(labels):
                raise ValueError(
                    f"table[{i}] has the label set {labels!r}; labels should be different whole "
                    f"numbers from 0 to n_labels - 1 = {n_labels - 1}."
                )
            row[list(labels)] = True
        count = sets.sum(axis=1)
        np.add.at(sizes[i], count, law)
        m[i] = law @ sets
        q[i] = (law / np.maximum(count, 1)) @ sets
        rows = np.flatnonzero(of_row == i)
        included[rows] = sets[rng.choice(len(law), size=len(rows), p=law)]
    return Bunch(
        X=np.eye(n_points)[of_row],
        Y=_csr(included),
        marginals=m[of_row],
        pick_probabilities=q[of_row],
        size_probabilities=sizes[of_row],
        point=of_row,
    )


def _as_law(probabilities: Any, name: str) -> np.ndarray:
    law = np.asarray(probabilities, dtype=float)
    if law.ndim != 1 or not np.all(law >= 0) or not abs(law.sum() - 1) < _SUM:
        raise ValueError(
            f"The probabilities of {name} should be non-negative and sum to 1, got {law}."
        )
    return law / law.sum()
