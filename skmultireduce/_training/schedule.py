"""Learning rates and stopping: what changes from epoch to epoch.

Called once an epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .._models.model import Visit
from .._reductions.draws import row_order
from .._reductions.targets import Targets

__all__ = ["LEARNING_RATES", "Patience", "Plan", "epoch_steps", "part_of_steps"]

LEARNING_RATES = ("linear", "constant", "invscaling")


def epoch_steps(learning_rate: str, eta0: float, epoch: int, max_iter: int) -> tuple[float, float]:
    """Step sizes at the begin and the end of an epoch; between, they change linearly.

    Parameters
    ----------
    learning_rate : {"linear", "constant", "invscaling"}
        ``"linear"``: from `eta0` to 0 over `max_iter` epochs (fastText's schedule, which
        takes the noise of the draws out, theory 1.4). ``"constant"``: `eta0`.
        ``"invscaling"``: eta0 / sqrt(1 + epoch).
    eta0 : float
        First step.
    epoch : int
        From 0.
    max_iter : int
        Number of epochs that are planned. Beyond it, ``"linear"`` keeps the mean step of
        the last planned epoch, so that a stream that goes on still learns.

    Returns
    -------
    begin, end : float
    """
    if learning_rate == "constant":
        return eta0, eta0
    if learning_rate == "invscaling":
        return eta0 / math.sqrt(1 + epoch), eta0 / math.sqrt(2 + epoch)
    if epoch >= max_iter:
        return eta0 / (2 * max_iter), eta0 / (2 * max_iter)
    return eta0 * (1 - epoch / max_iter), eta0 * (1 - (epoch + 1) / max_iter)


def part_of_steps(
    steps: tuple[float, float], first: int, last: int, n_rows: int
) -> tuple[float, float]:
    """Step sizes at the begin and the end of the visits first:last of an epoch.

    Parameters
    ----------
    steps : tuple of float
        Steps at the begin and the end of the epoch.
    first, last : int
        Visits, of `n_rows`.
    n_rows : int
        Number of visits of the epoch.

    Returns
    -------
    begin, end : float
        Those of the epoch, unrounded, where the part starts or ends with it.
    """
    begin, end = steps
    change = (end - begin) / n_rows
    return begin + first * change, end if last == n_rows else begin + last * change


@dataclass(frozen=True)
class Plan:
    """What the user chooses of the epochs; the estimators' parameters of these names.

    `follows`: whether a mean follows a stream of batches. `step_factor`: of all steps.
    """

    max_iter: int
    learning_rate: str = "linear"
    label_sampling: str = "random"
    shuffle: bool = True
    average: bool | int = False
    tol: float | None = None
    verbose: int = 0
    follows: bool = False
    step_factor: float = 1.0

    def steps(self, eta0: float, epoch: int) -> tuple[float, float]:
        """Step sizes at the begin and the end of an epoch; see `epoch_steps`."""
        eta0 *= self.step_factor
        return epoch_steps(self.learning_rate, eta0, epoch, self.max_iter)

    def visit(
        self,
        targets: Targets,
        *,
        seed: int,
        epoch: int,
        eta: tuple[float, float],
        first_row: int = 0,
        n_ahead: int = 0,
    ) -> Visit:
        """An epoch over the rows of these targets, or over the part from `first_row` on."""
        draw = {"seed": seed, "epoch": epoch, "first_row": first_row}
        return Visit(
            **draw,
            order=row_order(targets.label_sets.n_rows, shuffle=self.shuffle, **draw),
            shown=targets.shown(label_sampling=self.label_sampling, **draw),
            eta=eta,
            n_ahead=n_ahead,
        )

    def averages(self, n_epochs: int) -> bool:
        """Whether the last of so many epochs has a part in the mean."""
        return self.follows or (bool(self.average) and n_epochs >= int(self.average))


@dataclass
class Patience:
    """Says when a score has not risen for a number of epochs.

    Parameters
    ----------
    n_iter_no_change : int
        Number of epochs without a rise after which to stop.
    tol : float
        A rise of less does not count.
    """

    n_iter_no_change: int
    tol: float
    best: float = field(default=-math.inf, init=False)
    waited: int = field(default=0, init=False)

    def update(self, score: float) -> bool:
        """Take the score of one more epoch (higher is better).

        Returns
        -------
        improved : bool
            Whether this is the best score so far, by any margin.
        """
        improved = score > self.best
        if score > self.best + self.tol:
            self.waited = 0
        else:
            self.waited += 1
        self.best = max(self.best, score)
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.n_iter_no_change
