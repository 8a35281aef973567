"""The reductions and the losses, a record each: what tells one from another.

A new reduction is one more record here, and a target or a weight for it in `targets.py` or
`examples.py`. A new loss is one more record here, and its row in the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._kernels.linear import LOSS_CODES

__all__ = [
    "BY_NAME",
    "LOSSES",
    "LOSS_OPTIONS",
    "ONE_VS_REST",
    "REDUCTIONS",
    "SELECTING",
    "SOFTMAX_REDUCTIONS",
    "Loss",
    "Reduction",
    "has_loss",
    "loss_of",
]


@dataclass(frozen=True)
class Loss:
    """A loss of a row's scores, as the kernels compute it.

    Parameters
    ----------
    name : str
        Key in `LOSSES`.
    smoothness : float
        Largest curvature in the scores.
    link : {"softmax", "logistic", "linear"}
        What makes probabilities of scores.
    clips : bool
        Whether it makes the same probability of different scores, so that a cutoff is
        better on the scores.
    partial_step : float
        Factor of the automatic step of `partial_fit`. Half a step for the squared hinge, whose
        curvature does not fall where a row is right: after one pass in batches of 1,000 it has
        .95 to .99 of the Jaccard index of fit, .90 to .97 with a whole one (bibtex, tmc2007,
        cooking).
    option : str or None
        What the estimators' parameter `loss` calls it with the one-vs-rest reductions; None
        if it is that of the softmax reductions.
    """

    name: str
    smoothness: float
    link: str
    clips: bool = False
    partial_step: float = 1.0
    option: str | None = None

    @property
    def softmax(self) -> bool:
        """Whether it is that of the softmax reductions: of all labels of a row at once."""
        return self.option is None

    @property
    def code(self) -> int:
        """Number of the loss in the kernels."""
        return LOSS_CODES[self.name]


# Curvatures of log-sum-exp, of log(1 + exp), of the squared hinge.
LOSSES = {
    loss.name: loss
    for loss in (
        Loss("softmax", smoothness=0.5, link="softmax"),
        Loss("sigmoid", smoothness=0.25, link="logistic", option="log_loss"),
        Loss(
            "squared_hinge",
            smoothness=2.0,
            link="linear",
            clips=True,
            partial_step=0.5,
            option="squared_hinge",
        ),
    )
}

# What the estimators' parameter `loss` can be.
LOSS_OPTIONS = tuple(loss.option for loss in LOSSES.values() if loss.option)


@dataclass(frozen=True)
class Reduction:
    """A reduction: what a row shows of its labels, and what is learned thereby.

    Parameters
    ----------
    name : str
        Key in `BY_NAME`, and the estimators' parameter.
    softmax : bool
        Whether labels are the classes of one multi-class problem, else a binary problem each.
    learns : {"pick", "marginals", "selection"}
        What probabilities estimate: the label picked when one of the row is drawn at random;
        the marginals (of a softmax, over the mean number of labels); or the selected label,
        for reductions that show at most one label of a row and always the same.
    draws : bool
        Whether a row shows one of its labels, drawn anew in each epoch.
    divides : bool
        Whether the weight of a row with S labels is divided by S.
    soft_target : bool
        Whether the binary target of a row's S labels is 1/S instead of 1.
    prefers : {-1, 0, 1}
        Whether a row shows the label that is most (1) or least (-1) frequent in the data.
    single : bool
        Whether only rows with a single label are shown.
    """

    name: str
    softmax: bool
    learns: str
    draws: bool = False
    divides: bool = False
    soft_target: bool = False
    prefers: int = 0
    single: bool = False

    @property
    def selects(self) -> bool:
        """Whether labels are left out for good."""
        return self.learns == "selection"


BY_NAME = {
    reduction.name: reduction
    for reduction in (
        Reduction("pick_one", softmax=True, learns="pick", draws=True),
        Reduction("pick_all_normalized", softmax=True, learns="pick", divides=True),
        Reduction("pick_all", softmax=True, learns="marginals"),
        Reduction("one_vs_rest", softmax=False, learns="marginals"),
        Reduction("one_vs_rest_normalized", softmax=False, learns="pick", soft_target=True),
        Reduction("select_max", softmax=True, learns="selection", prefers=1),
        Reduction("select_min", softmax=True, learns="selection", prefers=-1),
        Reduction("ignore", softmax=True, learns="selection", single=True),
    )
}


# Those that the classifiers of this package have, which train on label sets, by the kind of
# problem; and those that leave labels out for good.
SOFTMAX_REDUCTIONS = tuple(r.name for r in BY_NAME.values() if r.softmax and not r.selects)
ONE_VS_REST = tuple(r.name for r in BY_NAME.values() if not r.softmax)
REDUCTIONS = SOFTMAX_REDUCTIONS + ONE_VS_REST
SELECTING = tuple(r.name for r in BY_NAME.values() if r.selects)


def has_loss(reduction: str, loss: str) -> bool:
    """Whether a reduction learns by what `loss` names: the softmax ones by the log loss alone."""
    return loss == "log_loss" or not BY_NAME[reduction].softmax


def loss_of(reduction: str, loss: str) -> Loss:
    """Loss of the kernels for the estimators' parameters `reduction` and `loss`.

    The softmax reductions have one loss, whatever `loss` says.

    Examples
    --------
    >>> from skmultireduce._reductions.table import loss_of
    >>> loss_of("pick_one", "log_loss").name, loss_of("one_vs_rest", "log_loss").name
    ('softmax', 'sigmoid')
    """
    option = None if BY_NAME[reduction].softmax else loss
    return next(record for record in LOSSES.values() if record.option == option)
