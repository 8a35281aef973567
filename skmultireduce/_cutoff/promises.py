"""Exact tests of promises for new rows, along nested rules.

A rule predicts the labels with ``score >= cut``. A row's loss is at most 0 on average
exactly where the promise holds: for a precision of 1 - alpha it is (wrong labels) - alpha
(predicted labels), for a recall (missed labels) - alpha (true labels), or the share of wrong
or missed labels of the row, less alpha. Theory 5.10 and 5.11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, log_ndtr, ndtri

__all__ = [
    "Path",
    "binomial_tail",
    "certified",
    "conformal",
    "label_precision_windows",
    "label_recall_tops",
    "order_of",
    "pick_start",
    "precision_path",
    "recall_path",
    "rows_needed",
]

# Rows are bet on in so many groups at most, of so many rows at least, in a shuffled order;
# wealth is looked at after each.
N_BLOCKS = 32
_BLOCK_ROWS = 8
# Sizes of a bet that are told apart: neighbours differ by this factor.
_LEVEL = 1.25
_N_LEVELS = 24
# A bet never loses everything.
LARGEST_BET = 0.95
# Rules that are tested at once, at first and later.
_CHUNKS = 2**9, 2**13
# Labels that the search for a start adds, at the limit of the promise, to damp the first few.
_DAMPING = 10


@dataclass(frozen=True)
class Path:
    """Losses of the rows along a sequence of nested rules.

    Parameters
    ----------
    keys : ndarray of shape (n_events,)
        Where the rule changes, in the order of the sequence.
    rows : ndarray of shape (n_events,), int
        The row that changes.
    before, after : ndarray of shape (n_events,)
        Its loss.
    start : ndarray of shape (n_rows,)
        Loss of each row under the first rule.
    """

    keys: np.ndarray
    rows: np.ndarray
    before: np.ndarray
    after: np.ndarray
    start: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """Whether a rule of the sequence ends with the event: the next one has another key."""
        return np.append(self.keys[1:] != self.keys[:-1], np.ones(min(1, len(self.keys)), bool))

    def taken(self, rows: np.ndarray) -> Path:
        """Path of some rows, in the given order."""
        place = np.full(len(self.start), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = place[self.rows] >= 0
        return Path(
            self.keys[kept],
            place[self.rows[kept]],
            self.before[kept],
            self.after[kept],
            self.start[rows],
        )

    def starting_at(self, event: int) -> Path:
        """Path whose first rule is that before an event."""
        start = self.start.copy()
        # Of several events of a row the last one counts.
        start[self.rows[:event]] = self.after[:event]
        return Path(
            self.keys[event:], self.rows[event:], self.before[event:], self.after[event:], start
        )


def order_of(n_rows: int) -> np.ndarray:
    """Order in which rows are bet on: shuffled, but a function of their number alone."""
    return np.random.default_rng(n_rows).permutation(n_rows)


def _running(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of the values of the same row up to each event, the event included."""
    order = np.argsort(rows, kind="stable")
    total = np.cumsum(values[order])
    new = np.flatnonzero(np.diff(rows[order], prepend=-1))
    before = (total - values[order])[new]
    total -= np.repeat(before, np.diff(np.append(new, len(rows))))
    out = np.empty(len(rows), dtype=total.dtype)
    out[order] = total
    return out


def precision_path(
    keys: np.ndarray,
    rows: np.ndarray,
    hit: np.ndarray,
    n_rows: int,
    alpha: float,
    by_row: bool,
) -> Path:
    """Path of falling cuts, from nothing predicted on.

    Parameters
    ----------
    keys, rows, hit : ndarray of shape (n_pairs,)
        Scores, rows and truth of (row, label) pairs, in any order.
    n_rows : int
    alpha : float
        Share of predicted labels that may be wrong.
    by_row : bool
        Whether the loss is the share of wrong labels of the row.

    Returns
    -------
    path : Path
        A row without predictions has no wrong ones.
    """
    order = np.argsort(keys, kind="stable")[::-1]
    keys, rows, hit = keys[order], rows[order], hit[order]
    tp = _running(rows, hit.astype(np.int64))
    fp = _running(rows, (~hit).astype(np.int64))
    pairs = (tp - hit, fp - ~hit), (tp, fp)
    if by_row:
        before, after = (f / np.maximum(t + f, 1) - alpha for t, f in pairs)
        start = np.full(n_rows, -alpha)
    else:
        before, after = (f - alpha * (t + f) for t, f in pairs)
        start = np.zeros(n_rows)
    return Path(keys, rows, before, after, start)


def recall_path(
    keys: np.ndarray, rows: np.ndarray, sizes: np.ndarray, alpha: float, by_row: bool
) -> Path:
    """Path of rising cuts, from everything predicted on.

    Parameters
    ----------
    keys, rows : ndarray of shape (n_positives,)
        Scores and rows of the true labels, in any order. The rule of a cut misses those below.
    sizes : ndarray of shape (n_rows,)
        Number of true labels.
    alpha : float
        Share of true labels that may be missed.
    by_row : bool
        Whether the loss is the share of missed labels of the row; 0 for rows without labels.

    Returns
    -------
    path : Path
    """
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    missed = _running(rows, np.ones(len(rows)))
    if by_row:
        share = np.maximum(sizes, 1)
        start = np.full(len(sizes), -alpha)
        return Path(
            keys, rows, (missed - 1) / share[rows] - alpha, missed / share[rows] - alpha, start
        )
    due = alpha * sizes
    return Path(keys, rows, missed - 1 - due[rows], missed - due[rows], -due)


def conformal(path: Path, bound: float) -> int:
    """Last rule of a path whose loss a new row keeps at most 0 in expectation.

    Parameters
    ----------
    path : Path
        Of losses that never fall along it, in any order of the rows.
    bound : float
        Largest possible loss.

    Returns
    -------
    n_events : int
        The rule before this event; -1 if there is none.
    """
    total = path.start.sum() + np.append(0.0, np.cumsum(path.after - path.before))
    good = np.append(True, path.ends) & (total + bound <= 1e-9 * bound)
    return int(np.flatnonzero(good)[-1]) if good.any() else -1


# --- tests --------------------------------------------------------------------------------


def _blocks(n_rows: int, n_seen: int) -> tuple[np.ndarray, np.ndarray]:
    """Group of each row, 0 for those that are seen only; and rows left before each group."""
    n_bet = n_rows - n_seen
    n_blocks = max(1, min(N_BLOCKS, n_bet // _BLOCK_ROWS))
    block = np.zeros(n_rows, dtype=np.int64)
    block[n_seen:] = 1 + np.arange(n_bet) * n_blocks // max(1, n_bet)
    count = np.bincount(block, minlength=n_blocks + 1)
    return block, np.cumsum(count[::-1])[::-1]


def _log_wealth(path: Path, n_seen: int, delta: float, bound: float) -> Iterator[np.ndarray]:
    """Largest logarithm of the wealth over groups, for the first rule and after each event.

    The wealth after a group is the product of 1 - bet * loss over the rows so far, where the
    bet depends on earlier groups alone: if E loss >= 0 it is a supermartingale that starts at
    1, so that it ever reaches 1 / delta with probability at most delta (Ville). The bet is
    that of a digital option: if losses were normal, the wealth would be 1 / delta times the
    probability to reject after all rows, given those so far.
    """
    block, left = _blocks(len(path.start), n_seen)
    grid = LARGEST_BET / bound * _LEVEL ** -np.arange(_N_LEVELS)
    losses = path.start.copy()
    n_positions = len(path.keys) + 1
    first, step = 0, _CHUNKS[0]
    while first < n_positions:
        # Position 0 is the first rule, position j the rule after event j - 1.
        last = min(first + step, n_positions)
        events = slice(max(first - 1, 0), last - 1)
        rows, before, after = path.rows[events], path.before[events], path.after[events]
        lead = last - first - len(rows)
        log_wealth, best = np.zeros((2, last - first))
        squares, seen = np.zeros(last - first), 0
        for b, n_left in enumerate(left):
            own, mine = block == b, np.flatnonzero(block[rows] == b)
            count = np.bincount(mine + lead, minlength=last - first)
            at = np.cumsum(count)
            if b > 0 or n_seen == 0:
                variance = np.maximum(squares, 1e-6) / max(seen, 1) if seen else np.ones(1)
                level = _bet_level(log_wealth, variance * n_left, delta, grid)
                base = np.log1p(-np.multiply.outer(losses[own], grid)).sum(axis=0)
                gain = np.log1p(-np.multiply.outer(after[mine], grid))
                gain -= np.log1p(-np.multiply.outer(before[mine], grid))
                table = np.cumsum(np.concatenate([base[None], gain]), axis=0)
                won = level >= 0
                log_wealth = log_wealth + np.where(won, table[at, np.maximum(level, 0)], 0.0)
                best = np.maximum(best, log_wealth)
            gain = np.append(np.sum(losses[own] ** 2), after[mine] ** 2 - before[mine] ** 2)
            squares = squares + np.cumsum(gain)[at]
            seen += int(np.count_nonzero(own))
        losses[rows] = after
        yield best
        first, step = last, min(2 * step, _CHUNKS[1])


def _bet_level(
    log_wealth: np.ndarray, variance: np.ndarray, delta: float, grid: np.ndarray
) -> np.ndarray:
    """Level of the bet with this variance to come; -1 where the wealth is enough."""
    chance = np.minimum(np.exp(log_wealth) * delta, 1.0)
    point = ndtri(np.clip(chance, 1e-300, 0.999))
    # Density over distribution function of the normal law.
    slope = np.exp(-0.5 * point**2 - log_ndtr(point)) / np.sqrt(2 * np.pi)
    bet = slope / np.sqrt(variance)
    level = np.ceil(np.log(grid[0] / bet) / np.log(_LEVEL))
    level = np.clip(level, 0, len(grid) - 1).astype(np.int64)
    level[chance >= 1.0] = -1
    return level


def certified(path: Path, n_seen: int, delta: float, bound: float) -> int:
    """Test the rules of a path in their order, and stop at the first that is not certified.

    Parameters
    ----------
    path : Path
        Rows in the order in which they are bet on.
    n_seen : int
        The first rows, which are looked at without a bet.
    delta : float
        Risk that any of the certified rules breaks its promise.
    bound : float
        Largest possible loss.

    Returns
    -------
    n_events : int
        The rules before this event are certified; -1 if the first one is not.
    """
    ends = np.append(True, path.ends)
    first = 0
    for wealth in _log_wealth(path, n_seen, delta, bound):
        failed = np.flatnonzero((wealth < np.log(1 / delta)) & ends[first : first + len(wealth)])
        if len(failed):
            # The rule that fails is the one after event `failed - 1`, or a tie of them.
            position = first + int(failed[0])
            if position == 0:
                return -1
            same = path.keys[:position] == path.keys[position - 1]
            return position - int(np.count_nonzero(same))
        first += len(wealth)
    return len(path.keys)


def pick_start(path: Path, alpha: float, n_more: int) -> int:
    """Rule of a precision that some rows make one expect to be certified on others.

    Parameters
    ----------
    path : Path
        Of the rows that are not bet on.
    alpha : float
        Share of predicted labels that may be wrong.
    n_more : int
        True labels of these rows that come after the path.

    Returns
    -------
    n_events : int
        The rule after so many events; 0 if none has the precision, -1 if a rule after the path
        might be better. Nothing but the path and what comes after it is in this.
    """
    loss = np.cumsum(path.after - path.before)
    size = np.arange(1, len(loss) + 1)
    # The standard score, with some more labels to damp the first of them.
    score = -loss / np.sqrt(size + _DAMPING)
    score[~path.ends] = -np.inf
    best = score.max(initial=0.0)
    after = alpha * n_more - (loss[-1] if len(loss) else 0.0)
    if n_more and after > best * np.sqrt(len(loss) + 1 + _DAMPING):
        return -1
    return 1 + int(np.argmax(score)) if best > 0 else 0


def rows_needed(path: Path, delta: float, bound: float) -> float:
    """About how many rows it takes to certify one of the rules; infinity if none is good.

    Parameters
    ----------
    path : Path
        Of all rows.
    delta, bound
        As elsewhere.

    Returns
    -------
    n_rows : float
        For the rule that takes the fewest.
    """
    n_rows = len(path.start)
    total = path.start.sum() + np.append(0.0, np.cumsum(path.after - path.before))
    squares = np.sum(path.start**2) + np.append(0.0, np.cumsum(path.after**2 - path.before**2))
    mean, square = total / n_rows, np.maximum(squares, 0.0) / n_rows
    good = mean < -1e-9
    if not good.any():
        return np.inf
    normal = ndtri(delta) ** 2 * square[good] / mean[good] ** 2
    # Where bets are as large as they may be, wealth grows by that much a row.
    largest = np.log(1 / delta) / np.log1p(-LARGEST_BET / bound * mean[good])
    return float(np.min(np.maximum(normal, largest)))


# --- one label ----------------------------------------------------------------------------


def binomial_tail(failures: np.ndarray, trials: np.ndarray, alpha: float) -> np.ndarray:
    """Chance of so few failures, or fewer, if each trial fails with probability alpha.

    Failures and trials may be real numbers, between which the binomial law is interpolated.
    """
    failures, trials = np.broadcast_arrays(
        np.asarray(failures, dtype=float), np.asarray(trials, dtype=float)
    )
    inside = failures < trials
    hits = np.where(inside, trials - failures, 1.0)
    return np.where(inside, betainc(hits, failures + 1, 1 - alpha), 1.0)


def _first_of(labels: np.ndarray, n_labels: int, chosen: np.ndarray) -> np.ndarray:
    """First chosen event of each label, of sorted labels; the number of events if none."""
    at = np.flatnonzero(chosen)
    out = np.full(n_labels, len(labels), dtype=np.int64)
    out[labels[at][::-1]] = at[::-1]
    return out


def label_precision_windows(
    keys: np.ndarray,
    labels: np.ndarray,
    hit: np.ndarray,
    seen: np.ndarray,
    share: float,
    alpha: float,
    delta: float,
    n_labels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts of each label at which its precision is certified, for all labels at once.

    Parameters
    ----------
    keys, labels, hit : ndarray of shape (n_pairs,)
        Scores, labels and truth of (row, label) pairs.
    seen : ndarray of shape (n_pairs,), bool
        Pairs of rows that choose the first rules, and are not tested on.
    share : float
        Number of the other rows over that of these.
    alpha : float
        Share of predicted rows that may be wrong.
    delta : float
        Risk that any label breaks its promise.
    n_labels : int

    Returns
    -------
    low, high : ndarray of shape (n_labels,), as keys
        Certified are the cuts above low, up to high; none where low is not below high.
    """
    order = np.lexsort((~keys, labels))
    keys, labels, hit, seen = keys[order], labels[order], hit[order], seen[order]
    low, high = np.zeros((2, n_labels), dtype=keys.dtype)
    low[:] = np.iinfo(keys.dtype).max
    # Where the seen rows make one expect the smallest chance of an accident.
    own, wrong = labels[seen], ~hit[seen]
    fp = _running(own, wrong.astype(np.int64))
    size = _running(own, np.ones(len(own), dtype=np.int64))
    chance = binomial_tail(share * (fp + alpha), share * (size + 1), alpha)
    best = np.lexsort((np.arange(len(own)), chance, own))
    best = best[np.flatnonzero(np.diff(own[best], prepend=-1))]
    hopeful = best[chance[best] <= 0.5]
    if not len(hopeful):
        return low, high
    high[own[hopeful]] = keys[seen][hopeful]
    # The rule of the first cut, then one more pair at a time.
    keys, labels, hit = keys[~seen], labels[~seen], hit[~seen]
    fp = _running(labels, (~hit).astype(np.int64))
    size = _running(labels, np.ones(len(labels), dtype=np.int64))
    good = binomial_tail(fp, size, alpha) <= delta / len(hopeful)
    last_of_tie = np.ones(len(keys), dtype=bool)
    last_of_tie[:-1] = (keys[1:] != keys[:-1]) | (labels[1:] != labels[:-1])
    below = keys < high[labels]
    n_above = np.bincount(labels[~below], minlength=n_labels)
    base = np.flatnonzero(n_above) if len(keys) else np.empty(0, dtype=np.int64)
    start = np.searchsorted(labels, np.arange(n_labels))
    begins = np.zeros(n_labels, dtype=bool)
    begins[base] = good[start[base] + n_above[base] - 1]
    begins &= high > 0
    fails = _first_of(labels, n_labels, below & last_of_tie & ~good)
    low[begins] = 0
    ended = begins & (fails < len(keys))
    low[ended] = keys[fails[ended]]
    return low, high


def label_recall_tops(
    keys: np.ndarray, labels: np.ndarray, alpha: float, delta: float, n_labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Highest cut of each label at which its recall is certified, for all labels at once.

    Parameters
    ----------
    keys, labels : ndarray of shape (n_positives,)
        Scores and labels of the true labels.
    alpha : float
        Share of a label's rows that may be missed.
    delta : float
        Risk that any label breaks its promise.
    n_labels : int

    Returns
    -------
    known : ndarray of shape (n_labels,), bool
        Labels with a certified cut.
    high : ndarray of shape (n_labels,), as keys
        Certified are the cuts up to this one.
    """
    order = np.lexsort((keys, labels))
    keys, labels = keys[order], labels[order]
    count = np.bincount(labels, minlength=n_labels)
    start = np.cumsum(count) - count
    missed = np.arange(len(keys)) - start[labels]
    # With the cut at this score all lower ones are missed.
    good = binomial_tail(missed, count[labels], alpha) <= delta / n_labels
    n_good = np.bincount(labels[good], minlength=n_labels)
    known = n_good > 0
    high = np.zeros(n_labels, dtype=keys.dtype)
    high[known] = keys[start[known] + n_good[known] - 1]
    return known, high
