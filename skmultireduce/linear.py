"""Linear multi-label classifier trained by stochastic gradient descent."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._models.linear import LinearModel, LinearOptions
from ._models.pruning import PrunedLinearModel
from ._sklearn import Interval, StrOptions, _align_api_if_sparse, validate_params
from ._training.estimator import BaseSGDMultiLabel
from ._training.schedule import LEARNING_RATES

__all__ = ["MultiLabelSGDClassifier"]


class MultiLabelSGDClassifier(BaseSGDMultiLabel):
    """Linear multi-label classifier, by reduction to multi-class or binary problems.

    Stochastic gradient descent on sparse or dense rows. With ``reduction="pick_one"`` it is
    fastText's training scheme for a linear model: a softmax classifier sees each row with
    one of its labels, drawn anew in every epoch.

    Parameters
    ----------
    reduction : {"pick_one", "pick_all_normalized", "pick_all", "one_vs_rest", \
            "one_vs_rest_normalized"}, default="pick_one"
        How a label set Y of size S becomes targets [1]_:

        * ``"pick_one"``: softmax, one label of Y drawn anew in each epoch. Learns q, the
          law of the picked label.
        * ``"pick_all_normalized"``: softmax, weight 1/S on each label of Y. The exact
          expectation of pick_one, so it learns q as well, with less noise.
        * ``"pick_all"``: softmax, weight 1 on each label of Y. Learns m / E[S], with m the
          marginal probabilities of the labels.
        * ``"one_vs_rest"``: a binary problem for each label. Learns m.
        * ``"one_vs_rest_normalized"``: the same with targets 1/S. Learns q.
    loss : {"log_loss", "squared_hinge"}, default="log_loss"
        ``"log_loss"``: of the softmax, or of a sigmoid for each label. ``"squared_hinge"``:
        of a linear support vector machine for each label; one-vs-rest reductions only. Its
        probabilities are (1 + score) / 2, clipped; see :meth:`predict_proba`.
    alpha : float or "auto", default="auto"
        L2 penalty: the objective is the mean loss plus ``alpha / 2 * ||coef||^2``.
        ``"auto"``: `alpha_scale` times ``r^2 / (C n)``, with r^2 the geometric mean of the
        squared norms of the n rows and a C that depends on the shape of X, see Notes. In
        [0, inf).
    alpha_scale : float, default=1.0
        Factor of the automatic penalty: what a search should move, since the 1 / n and the
        scale of X stay between folds and refit. Only with ``alpha="auto"``. In (0, inf).
    fit_intercept : bool, default=True
        Whether to learn an intercept; it is not penalised.
    max_iter : int, default=20
        Number of epochs. In [1, inf).
    tol : float or None, default=None
        Without early stopping: stop when the training loss has not fallen by more than
        `tol` for `n_iter_no_change` epochs. With it: a validation score must rise by more
        than `tol` to count. None: run `max_iter` epochs, over which the step decays.
    learning_rate : {"auto", "linear", "constant", "invscaling"}, default="auto"
        Step sizes: from `eta0` linearly to 0 over `max_iter` epochs, always `eta0`, or
        ``eta0 / sqrt(1 + epoch)``. ``"auto"``: ``"linear"`` in `fit` and `fit_stream`; in
        `partial_fit` constant steps, and a mean over the stream for predictions.
    eta0 : float or "auto", default="auto"
        First step. ``"auto"``: the inverse of the largest curvature of the loss (1/2 for
        the softmax, 1/4 for the sigmoid, 2 for the squared hinge) over the geometric mean
        of the squared row norms, so that scaling X by a number does not change the quality.
        In (0, inf).
    label_sampling : {"random", "cycle"}, default="random"
        Draws of ``"pick_one"``: independent, or each label of a row once in S epochs in a
        random order (less noise at no cost, theory 1.3).
    class_weight : dict, "balanced", array-like of shape (n_labels,), or None, default=None
        Weights of the losses of positive labels. dict: from label (column of y; class for
        1-D y) to weight. ``"balanced"``: inverse to the counts of the labels.
    early_stopping : bool, default=False
        Stop when the score on held-out rows has not risen for `n_iter_no_change` epochs,
        and keep the weights of the best epoch. Best with ``average=True``: without, the
        weights are at their best only when the step has decayed.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, stratified over labels. In (0, 1).
    scoring : str, callable or None, default=None
        Metric of early stopping. None: the micro-averaged Jaccard index at the best single
        cutoff (accuracy for 1-D y). Otherwise a scikit-learn scorer: to a name label weights
        in y are labels like others, a callable gets y as it is.
    n_iter_no_change : int, default=5
        Patience of early stopping and of `tol`, in epochs. In [1, inf).
    average : bool or int, default=False
        Use the mean of the weights at the ends of the epochs, from epoch `average` on
        (True: from the first). Where it is changed between trainings, an epoch that has no
        part in the mean ends it.
    warm_start : bool, default=False
        Let `fit` and `fit_stream` go on from the present weights. An interrupted run is
        resumed where it stopped, and ends with the same bits; after a complete one the
        schedule starts again.
    shuffle : bool, default=True
        Whether each epoch visits the rows in a new random order.
    dtype : {"float32", "float64"}, default="float32"
        Type of weights and computations.
    n_jobs : int or None, default=None
        Threads of the one-vs-rest reductions' training (each takes a block of labels) and
        of predictions; softmax training uses one. None: 1, -1: all; at most one for each
        usable core. The result does not depend on it, to the bit.
    random_state : int, RandomState instance or None, default=None
        Seed of draws and orders.
    verbose : int, default=0
        If positive, print the loss of each epoch. Progress bars: ``set_callbacks`` with
        ``sklearn.callback.ProgressBar()``.

    Attributes
    ----------
    coef_ : {ndarray, CSR} of shape (n_labels, n_features)
        Weights; CSR after `sparsify`. Computed on access when a penalty is in use: training
        keeps its factor apart, so that resuming a run changes no bit.
    intercept_ : ndarray of shape (n_labels,)
        Intercepts.
    classes_ : ndarray of shape (n_labels, 2) or (n_classes,)
        ``[0, 1]`` for each label; for 1-D y the classes.
    alpha_, eta0_ : float
        Values used for `alpha` and `eta0`.
    n_iter_ : int
        Number of epochs so far.
    t_ : int
        Number of row updates so far.
    loss_curve_ : list of float
        Mean loss of each epoch, without the penalty, over the updates as they happen.
    n_unlabeled_ : int
        Number of rows without labels that the last training left out (softmax only).
    validation_scores_, best_validation_score_ : list of float, float
        Scores of early stopping.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    ThresholdedMultiLabel : Turns the scores into label sets by a tuned cutoff.

    Notes
    -----
    With ``alpha="auto"``, C is ``18 sqrt(d / n)`` (softmax), ``7 sqrt(d / n)`` (sigmoid) or
    ``0.3 sqrt(d / n)`` (squared hinge) for d features that occur in n rows, between 2 and
    250, 1 and 100, and 0.06 and 4; and 10, 6.5 or 0.5 where a tenth or more of their values
    are not 0. The loss of ``"pick_all"`` is E[S] times as large, and so is its penalty. On
    the five sets of the benchmarks the micro Jaccard index at the best cutoff is at least .97
    of that with the best C ("The automatic penalty" of the page "Benchmarks").

    With ``alpha="auto"`` and ``eta0="auto"``, dense X is centred where means hold most of its
    mean square (a column of years, an offset), and scaled to unit variance where one
    variance is 25 times the median one, by statistics that a few rows cannot carry away.
    `coef_` and `intercept_` are in the units of X all the same. Sparse X stays as it is, with
    a warning where single columns hold most of its mean square.

    Rows whose norm or weight is large take smaller steps, at most 2 over their own
    curvature, so that no `eta0` makes the model diverge.

    References
    ----------
    .. [1] A. K. Menon, A. S. Rawat, S. Reddi, S. Kumar, "Multilabel reductions: what is my
       loss optimising?", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> X, y = make_multilabel_classification(random_state=0)
    >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (100, 5)
    """

    _parameter_constraints: dict = {
        **BaseSGDMultiLabel._parameter_constraints,
        "alpha_scale": [Interval(numbers.Real, 0, None, closed="neither")],
        "fit_intercept": ["boolean"],
        "learning_rate": [StrOptions({"auto", *LEARNING_RATES})],
    }

    _READ_ONCE = ("alpha", "alpha_scale", "eta0")

    def __init__(
        self,
        *,
        reduction: str = "pick_one",
        loss: str = "log_loss",
        alpha: float | str = "auto",
        alpha_scale: float = 1.0,
        fit_intercept: bool = True,
        max_iter: int = 20,
        tol: float | None = None,
        learning_rate: str = "auto",
        eta0: float | str = "auto",
        label_sampling: str = "random",
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        warm_start: bool = False,
        shuffle: bool = True,
        dtype: str = "float32",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reduction = reduction
        self.loss = loss
        self.alpha = alpha
        self.alpha_scale = alpha_scale
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.label_sampling = label_sampling
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.warm_start = warm_start
        self.shuffle = shuffle
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _options(self) -> LinearOptions:
        return LinearOptions(
            loss=self._loss.name,
            alpha=self.alpha,
            alpha_scale=self.alpha_scale,
            eta0=self.eta0,
            fit_intercept=self.fit_intercept,
            dtype=self.dtype,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.alpha != "auto" and self.alpha_scale != 1:
            raise ValueError(
                f"alpha_scale={self.alpha_scale} is the factor of an automatic penalty, and "
                f"alpha={self.alpha} is given. Set alpha='auto', or leave alpha_scale=1."
            )

    @property
    def _has_intercept(self) -> bool:
        return self.fit_intercept

    def _finds_scaling(self) -> bool:
        return self.alpha == "auto" and self.eta0 == "auto"

    def _new_model(self, n_features: int, n_labels: int, seed: int) -> LinearModel:
        return LinearModel(n_features, n_labels, self._options(), n_threads=self._n_threads())

    @property
    def coef_(self) -> Any:
        """Weights of shape (n_labels, n_features)."""
        return _align_api_if_sparse(self._in_units_of_x()[0])

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts of shape (n_labels,)."""
        return self._in_units_of_x()[1]

    def _in_units_of_x(self) -> tuple[Any, np.ndarray]:
        """Weights and intercepts."""
        model, scaling = self._model, self._training.scaling
        if scaling is None:
            return model.coef, model.intercepts
        return scaling.fold(model.coef, model.intercepts)

    # ------------------------------------------------------------ sparse weights
    @validate_params(
        {
            "density": [Interval(numbers.Real, 0, 1, closed="right"), StrOptions({"auto"}), None],
            "min_magnitude": [Interval(numbers.Real, 0, None, closed="left")],
        },
        prefer_skip_nested_validation=True,
    )
    def sparsify(
        self, *, density: float | str | None = None, min_magnitude: float = 0.0
    ) -> MultiLabelSGDClassifier:
        """Store the weights in a sparse matrix, the largest ones or all that are not 0.

        `coef_` becomes a CSR matrix, the model and its pickle as small as that: 8 bytes for
        each weight that is kept, with ``dtype="float32"``, instead of 4 for each weight.
        Intercepts stay as they are. All predictions work as before, slower than with dense
        weights if more than a few percent of them are kept; `densify` is needed before the
        model is trained further.

        Parameters
        ----------
        density : float, "auto" or None, default=None
            Share of the weights to keep, the largest ones; in (0, 1]. ``"auto"`` leaves
            out the smallest weights that together have 5 % of the sum of all squares:
            where features are about equally frequent, that is the expected squared change
            of the scores, relative to their own square. None: as scikit-learn's
            ``sparsify``, all that are not 0, which changes no prediction but for rounding,
            and saves memory if most are 0.
        min_magnitude : float, default=0.0
            Leave out weights of a smaller magnitude. In [0, inf).

        Returns
        -------
        self : object
            The estimator.

        See Also
        --------
        densify : The way back.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import MultiLabelSGDClassifier
        >>> X, y = make_multilabel_classification(n_features=100, random_state=0)
        >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
        >>> model.coef_.size
        500
        >>> model.sparsify(density=0.2).coef_.nnz
        100
        """
        check_is_fitted(self)
        model = PrunedLinearModel.of(self._training.fitted, density, min_magnitude)
        self._training.replace(model)
        return self

    def densify(self) -> MultiLabelSGDClassifier:
        """Store the weights in an ndarray again, as `fit` does; the way back from `sparsify`.

        What was left out stays 0 until the model is trained further. A mean of the weights
        (`average`) then starts anew.

        Returns
        -------
        self : object
            The estimator.

        See Also
        --------
        sparsify : Leave out the smallest weights.
        """
        check_is_fitted(self)
        model = self._training.model
        if isinstance(model, PrunedLinearModel):
            self._training.replace(model.dense())
        return self
