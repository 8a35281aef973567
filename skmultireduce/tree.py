"""Label tree: multi-label classification with very many labels."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._data.endings import end_if_told
from ._data.label_names import NamedLabels
from ._data.label_sets import LabelSets, read_labels
from ._data.notices import warn
from ._data.rows import Rows, read_X
from ._data.score_matrix import check_request
from ._data.weights import read_sample_weight
from ._models.label_clusters import LabelTree, auto_branching, clustered_tree, tree_of_parents
from ._models.label_forest import LabelForest, sparse_rows
from ._models.label_paths import PathStep, explain_path
from ._models.label_tree import LabelTreeModel, NodeOptions
from ._models.penalty import automatic_penalty, row_scale, row_sums
from ._reductions.table import LOSS_OPTIONS, Loss, has_loss, loss_of
from ._reductions.targets import Targets
from ._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _align_api_if_sparse,
    _fit_context,
    validate_params,
)
from ._state import VersionedState, forgets_on_error, restores_on_error
from ._training.label_trees import TreeRows
from ._training.schedule import epoch_steps

__all__ = ["LabelTreeClassifier"]

_REDUCTIONS = ("one_vs_rest", "pick_one", "pick_all_normalized", "pick_all")

# C of alpha="auto" over that of the flat models, and the first step over the inverse of the
# largest curvature (of a row, 2 is the bound). Chosen on held-out training rows of a power law
# and planted groups (25,000 rows, 10,000 labels each), cooking, bibtex and imports, the last three
# as trees and flat, the power law without: the pair whose worst ratio of P@1, P@3, P@5 and the
# best Jaccard index to those of the best pair of the grid is the largest. Worst ratios, C in rows:
#
#   squared hinge  .75    1   1.5    2     sigmoid  .5     1     2     softmax  .5     1     2
#              1  .932 .939  .961 .956         0.5   -   .919  .962       0.5  .807  .914  .956
#              2  .952 .963  .968 .960         1     -   .946  .971       1    .818  .924  .959
#              4  .963 .955  .940 .929         2     -   .956  .950       2    .820  .922  .938
#
# A constant C = 1 with a step of .5 reaches .948 with the squared hinge.
_C_FACTOR = {"softmax": 1.0, "sigmoid": 1.0, "squared_hinge": 2.0}
_FIRST_STEP = {"softmax": 2.0, "sigmoid": 2.0, "squared_hinge": 1.5}

# As in MultiLabelSGDClassifier.
_INTERCEPT_SQUARE = 0.1

# Steps and weights beyond are no numbers of float32 any more.
_SMALLEST_SQUARE = 1e-30

# The least that predict_proba gives.
_LEAST = np.finfo(np.float32).tiny


def _no_stream(estimator: Any) -> bool:
    raise AttributeError(
        "LabelTreeClassifier has no fit_stream: labels are clustered by all rows, and nodes train "
        "on theirs in each epoch. Use fit on a sparse X, which may be memory-mapped, or "
        "partial_fit on blocks of rows, the first of which should have most of the labels."
    )


class LabelTreeClassifier(
    VersionedState, NamedLabels, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """Probabilistic label tree for ten thousand to a million labels.

    Labels are the leaves of a tree in which those with similar rows are near each other. A
    linear model at each node tells which children have labels of a row below them, from the
    rows that have some below the node itself; the probability of a label is the product along
    its path [1]_ [2]_. Time and memory of training grow with the logarithm of the number of
    labels, and a prediction opens a few nodes. See :ref:`many_labels`.

    Parameters
    ----------
    reduction : {"one_vs_rest", "pick_one", "pick_all_normalized", "pick_all"}, \
            default="one_vs_rest"
        As for `MultiLabelSGDClassifier`. ``"one_vs_rest"``: a binary problem for each child
        of a node; learns m, the marginal probabilities of the labels. The others: a softmax
        over the children of each node (hierarchical softmax); learn q, or m / E[S].
    loss : {"auto", "log_loss", "squared_hinge"}, default="auto"
        ``"auto"``: the squared hinge for ``"one_vs_rest"``, the log loss for the others, which
        have no other.
    n_trees : int, default=1
        Trees over different clusters, whose probabilities are averaged. Three are a little
        better than one, for up to three times the time to train, three times the disk, and
        four to six times the time to predict. In [1, inf).
    branching : "auto" or tuple of int, default="auto"
        Number of children of the root, of each of its children, ...; the labels are the
        children of the last ones, so that ``()`` is a flat model. ``"auto"``: flat up to 1,024
        labels, one level between root and labels up to 50,000, else two, with about 64 labels
        below each node.
    parents : array-like of shape (n_nodes,), default=None
        A given tree instead: the parent of each node, where nodes 0 to n_labels - 1 are the
        labels, the others the inner nodes, and the root has -1.
    beam_width : int or None, default=10
        Nodes of each level that `predict_scores` with `top_k` opens for a row. None: as many
        as it takes to find exactly the best. In [1, inf).
    node_probability : {"auto", "linear", "exponential"}, default="auto"
        How scores f of the squared hinge become probabilities. ``"linear"``: (1 + f) / 2,
        which is what f learns, bent at the ends so that it stays between 0 and 1;
        ``"exponential"``: exp(-max(0, 1 - f)^2). ``"auto"``: linear.
    min_magnitude : float, default=0.12
        Weights that move the score of a typical row by less are left out when `fit` ends: those
        whose magnitude times r, the root of the mean r^2 of `alpha`, is smaller. Dense rows
        have many small ones that add up: 0 keeps them. In [0, inf).
    n_matching_negatives : int, default=0
        Rows also train nodes below which they have no label, if these are among the so many
        best of their level in the tree above [3]_. Better rankings, but the product along a
        path is then no estimate of m any more. For ``"one_vs_rest"``. In [0, inf).
    alpha : float or "auto", default="auto"
        L2 penalty of every node. ``"auto"``: ``r^2 / (C n)`` with r^2 the geometric mean of the
        squared norms of all n rows, and the C of `MultiLabelSGDClassifier` for the shape of X,
        twice as large for the squared hinge. In [0, inf).
    fit_intercept : bool, default=True
        Whether to learn an intercept for each node; it is not penalised.
    max_iter : int, default=5
        Epochs of every node. In [1, inf).
    eta0 : float or "auto", default="auto"
        First step, which decays linearly to 0 over `max_iter` epochs. ``"auto"``: the inverse
        of the largest curvature of the loss over the geometric mean of the squared row norms,
        times 1.5 for the squared hinge and 2 for the others. In (0, inf).
    warm_start : bool, default=False
        Let `fit` go on from the present trees and weights.
    dtype : {"float32", "float16"}, default="float32"
        Type in which weights are stored; computations are in float32.
    n_jobs : int or None, default=None
        Threads of training and predictions. None: 1, -1: all. The result does not depend on
        it, to the bit.
    random_state : int, RandomState instance or None, default=None
        Seed of clusters, orders and draws.
    verbose : int, default=0
        If positive, print each level.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels, 2) or (n_classes,)
        ``[0, 1]`` for each label; for 1-D y the classes.
    trees_ : list of LabelTree
        The trees as arrays: `parents`, `first_child`, `labels`, `levels`.
    alpha_, eta0_ : float
        Values used for `alpha` and `eta0`.
    n_iter_ : int
        Number of epochs so far.
    n_weights_ : int
        Number of weights that are kept.
    loss_curve_ : list of float
        Of each epoch: losses of all nodes as they train, without the penalty, over trees and
        rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    MultiLabelSGDClassifier : The flat model, exact and better up to some thousand labels.
    ThresholdedMultiLabel : Turns the scores into label sets by a tuned cutoff.

    Notes
    -----
    Memory of training: for each thread the weights of one task, at most (features, 64) in
    float32 (a softmax: all children of a node), and a copy of its rows; beside them some 30
    bytes for each (row, label) pair and the weights that are kept, 5 to 10 bytes each.

    An L2 penalty is the same at all nodes, that of the number of all rows.

    References
    ----------
    .. [1] K. Jasinska-Kobus, M. Wydmuch, K. Dembczynski, M. Kuznetsov, R. Busa-Fekete,
       "Probabilistic label trees for extreme multi-label classification", 2020,
       arXiv:2009.11218.
    .. [2] Y. Prabhu, A. Kag, S. Harsola, R. Agrawal, M. Varma, "Parabel: Partitioned label
       trees for extreme classification", WWW 2018.
    .. [3] H.-F. Yu, K. Zhong, J. Zhang, W.-C. Chang, I. S. Dhillon, "PECOS: Prediction for
       enormous and correlated output spaces", JMLR 23, 2022.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmultireduce import LabelTreeClassifier
    >>> X, y = make_multilabel_classification(n_classes=20, sparse=True, random_state=0)
    >>> model = LabelTreeClassifier(branching=(4,), random_state=0).fit(X, y)
    >>> scores = model.predict_scores(X, top_k=3)
    >>> scores.shape, scores.nnz
    ((100, 20), 300)
    """

    _parameter_constraints: dict = {
        "reduction": [StrOptions(set(_REDUCTIONS))],
        "loss": [StrOptions({"auto", *LOSS_OPTIONS})],
        "n_trees": [Interval(numbers.Integral, 1, None, closed="left")],
        "branching": [StrOptions({"auto"}), tuple, list],
        "parents": ["array-like", None],
        "beam_width": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "node_probability": [StrOptions({"auto", "linear", "exponential"})],
        "min_magnitude": [Interval(numbers.Real, 0, None, closed="left")],
        "n_matching_negatives": [Interval(numbers.Integral, 0, None, closed="left")],
        "alpha": [Interval(numbers.Real, 0, None, closed="left"), StrOptions({"auto"})],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "eta0": [Interval(numbers.Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "warm_start": ["boolean"],
        "dtype": [StrOptions({"float32", "float16"})],
        "n_jobs": [numbers.Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        reduction: str = "one_vs_rest",
        loss: str = "auto",
        n_trees: int = 1,
        branching: Any = "auto",
        parents: Any = None,
        beam_width: int | None = 10,
        node_probability: str = "auto",
        min_magnitude: float = 0.12,
        n_matching_negatives: int = 0,
        alpha: float | str = "auto",
        fit_intercept: bool = True,
        max_iter: int = 5,
        eta0: float | str = "auto",
        warm_start: bool = False,
        dtype: str = "float32",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reduction = reduction
        self.loss = loss
        self.n_trees = n_trees
        self.branching = branching
        self.parents = parents
        self.beam_width = beam_width
        self.node_probability = node_probability
        self.min_magnitude = min_magnitude
        self.n_matching_negatives = n_matching_negatives
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.eta0 = eta0
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting
    @_fit_context(prefer_skip_nested_validation=True)
    @forgets_on_error
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LabelTreeClassifier:
        """Cluster the labels and train all nodes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; converted to float32 once, and to sparse form.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or \
                array-like of shape (n_samples,)
            Multi-label indicator of 0 and 1; for the softmax reductions also non-negative
            weights of the labels. 1-D y holds classes: the model is then an ordinary
            multi-class classifier.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If X or y are not of these forms, no row has a label, or parameters contradict
            each other.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        rows, targets = self._read(X, y, sample_weight, reset=not resume)
        if not resume:
            self._begin(rows, targets)
        edges = np.linspace(self.eta0_, 0, self.max_iter + 1)
        steps = np.column_stack([edges[:-1], edges[1:]])
        self._train(rows, targets, steps, X, y, self._least(self.min_magnitude), self.dtype)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @restores_on_error
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> LabelTreeClassifier:
        """Train one more epoch, on these rows.

        The first call fixes the labels and clusters them by its rows, so these should have
        most of the labels; step sizes go on over `max_iter` calls, then stay. All weights are
        kept, in float32; `prune` leaves out the small ones at the end.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or \
                array-like of shape (n_samples,)
            As in `fit`, with the same columns in each call.
        classes : array-like of shape (n_classes,), default=None
            All classes, in the first call with 1-D y.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        self : object
            The estimator.
        """
        first = not self.__sklearn_is_fitted__()
        rows, targets = self._read(X, y, sample_weight, reset=first, classes=classes)
        if first:
            self._begin(rows, targets)
        steps = epoch_steps("linear", self.eta0_, self.n_iter_, self.max_iter)
        self._train(rows, targets, np.array([steps]), X, y, 0.0, "float32")
        return self

    @available_if(_no_stream)
    def fit_stream(self, blocks: Any) -> None:
        """Not available: the error that comes of it says what to use instead.

        Parameters
        ----------
        blocks : iterable
            As of `MultiLabelSGDClassifier.fit_stream`.
        """

    def _read(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any = None
    ) -> tuple[Rows, Targets]:
        loss = self._check_parameters()
        softmax = loss.softmax
        label_sets, target = read_labels(
            y, target=None if reset else self._target, classes=classes, allow_weights=softmax
        )
        rows = sparse_rows(read_X(self, X, dtype="float32", reset=reset))
        if rows.shape[0] != label_sets.n_rows:
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"{[rows.shape[0], label_sets.n_rows]} in X and y."
            )
        sample_weight = read_sample_weight(sample_weight, X)
        self._check_labels(label_sets, sample_weight)
        targets = Targets.build(
            label_sets,
            reduction=self.reduction,
            loss=loss.option or "log_loss",
            sample_weight=sample_weight,
            class_weight=None,
            dtype="float32",
        )
        if softmax and targets.n_targets < rows.shape[0]:
            warn(
                "unlabeled",
                f"{rows.shape[0] - targets.n_targets} of {rows.shape[0]} rows have no label and "
                f"are left out: reduction={self.reduction!r} has no target for them. "
                "reduction='one_vs_rest' uses them.",
            )
        self._target = target
        self.classes_ = target.classes
        return rows, targets

    def _check_parameters(self) -> Loss:
        one_vs_rest = self.reduction == "one_vs_rest"
        if self.loss != "auto" and not has_loss(self.reduction, self.loss):
            raise ValueError(
                f"loss={self.loss!r} is for reduction='one_vs_rest'; reduction="
                f"{self.reduction!r} is a softmax one. Use loss='auto'."
            )
        option = self.loss
        if option == "auto":
            option = "squared_hinge" if one_vs_rest else "log_loss"
        if self.node_probability != "auto" and option != "squared_hinge":
            raise ValueError(
                f"node_probability={self.node_probability!r} is for the squared hinge; the "
                "scores of log losses have probabilities of their own. Use 'auto'."
            )
        if self.n_matching_negatives and not one_vs_rest:
            raise ValueError(
                f"n_matching_negatives={self.n_matching_negatives} is for reduction="
                f"'one_vs_rest': a softmax has no target for rows without a label below a node. "
                "Use n_matching_negatives=0."
            )
        if self.parents is not None and not (
            isinstance(self.branching, str) and self.n_trees == 1
        ):
            raise ValueError(
                "parents is a tree that is given: leave branching='auto' and n_trees=1."
            )
        if not isinstance(self.branching, str):
            numbers_of_children = list(self.branching)
            if not all(isinstance(n, numbers.Integral) and n >= 2 for n in numbers_of_children):
                raise ValueError(
                    f"branching must be 'auto' or a tuple of integers of at least 2, the numbers "
                    f"of children of each level; got {self.branching!r}."
                )
        return loss_of(self.reduction, option)

    def _check_labels(self, label_sets: LabelSets, sample_weight: np.ndarray | None) -> None:
        used = label_sets.sizes > 0
        if not used.any():
            raise ValueError(
                "No row of y has a label, so that there is nothing to learn. Check y."
            )
        if sample_weight is not None and not np.any(sample_weight[used] > 0):
            raise ValueError(
                "No row has both a label and a positive weight; check sample_weight and y."
            )

    def _begin(self, rows: Rows, targets: Targets) -> None:
        """New trees, and the rates of their training."""
        seed = check_random_state(self.random_state).randint(
            np.iinfo(np.int64).max, dtype=np.int64
        )
        self._seed = int(seed)
        loss = self._check_parameters()
        sums = row_sums(rows, targets, shape=self.alpha == "auto")
        square = row_scale(sums)
        if not _SMALLEST_SQUARE < square < 1 / _SMALLEST_SQUARE:
            raise ValueError(
                f"The squared norms of X's rows have a geometric mean of {square:.3g}, too far "
                "from 1 for float32. Scale X, for example with "
                "sklearn.preprocessing.MaxAbsScaler or Normalizer."
            )
        self._square = square
        self.eta0_ = float(self.eta0) if self.eta0 != "auto" else self._first_step(loss, sums)
        if self.alpha == "auto":
            factor = _C_FACTOR[loss.name]
            self.alpha_ = automatic_penalty(loss.name, sums, square, factor=factor)
        else:
            self.alpha_ = float(self.alpha)
        self.n_iter_ = 0
        self.loss_curve_: list[float] = []
        forest = []
        for number in range(self.n_trees):
            tree = self._new_tree(rows, targets, number)
            probability = loss.link
            if self.node_probability == "exponential":
                probability = "exponential"
            normalized = self._target.kind == "multiclass" and not loss.softmax
            forest.append(LabelTreeModel(tree, rows.shape[1], probability, normalized))
        self._forest = LabelForest(forest)

    def _first_step(self, loss: Loss, sums: dict[str, Any]) -> float:
        weight = sums["total"] / sums["n_used"]
        return _FIRST_STEP[loss.name] / (loss.smoothness * weight * self._square)

    def _new_tree(self, rows: Rows, targets: Targets, number: int) -> LabelTree:
        n_labels = self._target.n_labels
        if self.parents is not None:
            return tree_of_parents(self.parents, n_labels)
        branching = self.branching
        if isinstance(branching, str):
            branching = auto_branching(n_labels)
        return clustered_tree(
            rows,
            targets.label_sets,
            targets.row_weight,
            tuple(branching),
            seed=self._seed + 1000 * number,
            n_threads=self._n_threads(),
        )

    def _train(
        self,
        rows: Rows,
        targets: Targets,
        steps: np.ndarray,
        X: Any,
        y: Any,
        min_magnitude: float,
        dtype: str,
    ) -> None:
        loss = self._check_parameters()
        intercept_square = _INTERCEPT_SQUARE * self._square if self.fit_intercept else 0.0
        epochs = range(self.n_iter_, self.n_iter_ + len(steps))
        training = TreeRows.build(
            rows,
            targets,
            smoothness=loss.smoothness,
            intercept_square=intercept_square,
            epochs=epochs,
            seed=self._seed,
        )
        trees = self._forest.trees
        levels = [(n, level) for n, tree in enumerate(trees) for level in range(tree.tree.depth)]
        losses = np.zeros(len(steps))
        trained = LabelForest([tree.copy() for tree in trees])
        context = self._init_callback_context(max_subtasks=len(levels))
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        for number, level in levels:
            end_if_told()
            inner = context.subcontext(task_name="level")
            inner.call_on_fit_task_begin(estimator=self, X=X, y=y)
            options = NodeOptions(
                loss=loss.name,
                steps=steps,
                alpha=self.alpha_,
                intercept_rate=intercept_square,
                min_magnitude=min_magnitude,
                seed=self._seed + number,
                first_epoch=self.n_iter_,
            )
            try:
                found = training.train_level(
                    trained.trees[number],
                    level,
                    options,
                    n_negatives=self.n_matching_negatives,
                    n_threads=self._n_threads(),
                    dtype=dtype,
                )
            except FloatingPointError as error:
                raise ValueError(
                    f"Training diverged at level {level}: the weights are not finite any more. "
                    f"Lower eta0 (now {self.eta0_:.3g}; eta0='auto' is safe), or scale X, for "
                    "example with sklearn.preprocessing.MaxAbsScaler or Normalizer."
                ) from error
            losses += found
            if self.verbose:
                print(f"tree {number}, level {level}: loss {found[-1] / rows.shape[0]:.6g}")
            inner.call_on_fit_task_end(estimator=self, X=X, y=y)
        self._forest = trained
        self.n_iter_ += len(steps)
        self.loss_curve_ = self.loss_curve_ + (losses / (rows.shape[0] * len(trees))).tolist()
        context.call_on_fit_task_end(estimator=self, X=X, y=y)

    @validate_params(
        {"min_magnitude": [Interval(numbers.Real, 0, None, closed="left"), None]},
        prefer_skip_nested_validation=True,
    )
    def prune(self, *, min_magnitude: float | None = None) -> LabelTreeClassifier:
        """Leave out the smallest weights, and store the others in `dtype`.

        Parameters
        ----------
        min_magnitude : float, default=None
            As the parameter of this name, which is taken for None.

        Returns
        -------
        self : object
            The estimator.
        """
        check_is_fitted(self)
        least = self._least(self.min_magnitude if min_magnitude is None else min_magnitude)
        for tree in self._forest.trees:
            tree.prune(least, self.dtype)
        return self

    def _least(self, magnitude: float) -> float:
        return float(magnitude / np.sqrt(self._square))

    @property
    def trees_(self) -> list[LabelTree]:
        """The trees as arrays."""
        return [tree.tree for tree in self._forest.trees]

    @property
    def n_weights_(self) -> int:
        """Number of weights that are kept."""
        return sum(tree.n_weights for tree in self._forest.trees)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_forest") and getattr(self, "n_iter_", 0) > 0

    def _n_threads(self) -> int:
        # Inside another Parallel (a grid search, folds) the cores are taken already.
        backend, _ = get_active_backend()
        return 1 if backend.nesting_level else effective_n_jobs(self.n_jobs)

    # -------------------------------------------------------------- predictions
    def _read_rows(self, X: Any) -> Rows:
        check_is_fitted(self)
        return read_X(self, X, dtype="float32", reset=False)

    def predict_scores(
        self, X: Any, *, top_k: int | None = None, threshold: float | None = None
    ) -> Any:
        """Probabilities of some labels of each row, in a sparse matrix.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        top_k : int, default=None
            So many labels of each row, the best that a search over `beam_width` nodes of each
            level finds; exactly the best, ties by label number, with ``beam_width=None``.
        threshold : float, default=None
            Exactly the labels whose probability is at least this. With `top_k`: those of the
            `top_k` that reach it.

        Returns
        -------
        scores : CSR of shape (n_samples, n_labels), float32
            A label that is absent was not asked for.

        Raises
        ------
        ValueError
            If neither `top_k` nor `threshold` is given.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import LabelTreeClassifier
        >>> X, y = make_multilabel_classification(n_classes=20, random_state=0)
        >>> model = LabelTreeClassifier(random_state=0).fit(X, y)
        >>> bool(model.predict_scores(X, threshold=0.5).data.min() >= 0.5)
        True
        """
        check_request(top_k, threshold)
        rows = self._read_rows(X)
        if top_k is None:
            found = self._forest.above(rows, float(threshold), self._n_threads())
        else:
            found = self._forest.top(rows, int(top_k), self.beam_width, self._n_threads())
        values = self._finite(np.maximum(found.values, _LEAST))
        kept = slice(None) if threshold is None else values >= threshold
        indptr = np.searchsorted(found.rows[kept], np.arange(rows.shape[0] + 1))
        return _align_api_if_sparse(
            sp.csr_array(
                (values[kept], found.labels[kept], indptr),
                shape=(rows.shape[0], self._target.n_labels),
            )
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of all labels, strictly between 0 and 1.

        For as many labels as a dense array can hold; else `predict_scores`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_labels), float32
            For 1-D y and for the softmax reductions rows sum to 1. Labels are ones of their
            own with ``reduction="one_vs_rest"``; with the squared hinge they are estimates in
            the limit of many rows.

        Raises
        ------
        ValueError
            If the array is larger than scikit-learn's ``working_memory``.
        """
        rows = self._read_rows(X)
        n_mib = 4 * rows.shape[0] * self._target.n_labels / 2**20
        if n_mib > get_config()["working_memory"]:
            raise ValueError(
                f"predict_proba of {rows.shape[0]} rows and {self._target.n_labels} labels is an "
                f"array of {n_mib:,.0f} MiB, more than sklearn's working_memory. Use "
                "predict_scores(X, top_k=...) or predict_scores(X, threshold=...), whose result "
                "is sparse; or raise sklearn.set_config(working_memory=...)."
            )
        out = self._forest.dense(rows, self._n_threads())
        return np.maximum(self._finite(out), _LEAST, out=out)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_labels)
        """
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Any:
        """Label sets of the rows.

        One-vs-rest: the labels whose probability is at least 0.5. Softmax reductions and 1-D
        y: the most probable label. Both exactly.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : {ndarray, sparse matrix} of shape (n_samples, n_labels), or ndarray of shape \
                (n_samples,)
            In the form of the y of fit: sparse if that was sparse, with its dtype.
        """
        rows = self._read_rows(X)
        if self._target.kind == "multiclass" or self.reduction != "one_vs_rest":
            found = self._forest.top(rows, 1, None, self._n_threads())
        else:
            found = self._forest.above(rows, 0.5, self._n_threads())
        self._finite(found.values)
        indptr = np.searchsorted(found.rows, np.arange(rows.shape[0] + 1)).astype(np.int64)
        return self._target.to_output(indptr, found.labels)

    def _finite(self, values: np.ndarray) -> np.ndarray:
        if not np.isfinite(np.sum(values, dtype=np.float64)):
            raise ValueError(
                "The scores of some rows of X overflow float32. Scale X as in training."
            )
        return values

    # --------------------------------------------------------------- inspection
    def explain(
        self, X: Any, label: int, *, tree: int = 0, n_features: int = 10
    ) -> list[list[PathStep]]:
        """Why a label has its probability: its path, with what each feature adds there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        label : int
            Column of y, or number of the class.
        tree : int, default=0
            One of the `n_trees`.
        n_features : int, default=10
            Features of each node, those that add most, up or down.

        Returns
        -------
        paths : list of list of PathStep
            For each row the nodes from below the root to the label: `node`, `probability`
            (given its parent), `score`, `intercept`, `features` and their `contributions`.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import LabelTreeClassifier
        >>> X, y = make_multilabel_classification(n_classes=20, random_state=0)
        >>> model = LabelTreeClassifier(branching=(4,), random_state=0).fit(X, y)
        >>> path = model.explain(X[:1], 3)[0]
        >>> len(path), round(path[0].probability * path[1].probability, 4) == round(
        ...     float(model.predict_proba(X[:1])[0, 3]), 4)
        (2, True)
        """
        rows = sparse_rows(self._read_rows(X))
        if not 0 <= label < self._target.n_labels:
            raise ValueError(f"label={label} is not in 0 to {self._target.n_labels - 1}.")
        if not 0 <= tree < len(self._forest.trees):
            raise ValueError(f"tree={tree} is not in 0 to {len(self._forest.trees) - 1}.")
        return explain_path(self._forest.trees[tree], rows, label, n_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags
