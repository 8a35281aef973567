"""Neural multi-label classifier: averaged embeddings, hidden layers, softmax or sigmoids."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._data.label_sets import LabelSets
from ._data.rows import Rows
from ._models.network import ACTIVATIONS, EmbeddingNetwork, NetworkOptions
from ._models.word_vectors import given_embeddings, write_vectors
from ._sklearn import Interval, StrOptions
from ._training.estimator import BaseSGDMultiLabel

__all__ = ["MultiLabelMLPClassifier"]


class MultiLabelMLPClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseSGDMultiLabel
):
    """Multi-label classifier on averaged embeddings, with or without hidden layers.

    The embeddings of a row's words are averaged to a document vector, which goes through
    hidden layers, if any, to a softmax (or a sigmoid for each label). With
    ``reduction="pick_one"`` and no hidden layer this is fastText's supervised model [1]_
    and its training: each row shows one of its labels, drawn anew in every epoch.

    Parameters
    ----------
    reduction : {"pick_one", "pick_all_normalized", "pick_all", "one_vs_rest", \
            "one_vs_rest_normalized"}, default="pick_one"
        How a label set becomes targets; see `MultiLabelSGDClassifier`.
    loss : {"log_loss", "squared_hinge"}, default="log_loss"
        ``"squared_hinge"`` for the one-vs-rest reductions only, with the probabilities
        (1 + score) / 2, clipped; see :meth:`predict_proba`.
    embedding_dim : int, default=100
        Length of the embeddings; that of `embedding_init` if given. In [1, inf).
    hidden_layer_sizes : int or array-like of int, default=()
        Units of each hidden layer between the document vector and the output.
    activation : {"relu", "tanh", "identity"}, default="relu"
        Of the hidden layers.
    pooling : {"mean", "sum"}, default="mean"
        ``"mean"``: rows of X are divided by the sum of their absolute values (as fastText
        does with counts). ``"sum"``: X as it is, for example with tf-idf weights.
    embedding_init : array-like of shape (n_features, embedding_dim), mapping or None, \
            default=None
        Pretrained vectors. A mapping goes from words to vectors; features that it does
        not have start at random vectors of the same size.
    feature_names : array-like of shape (n_features,), default=None
        Words of the columns, for example ``vectorizer.get_feature_names_out()``; for a
        mapping and for `export_vectors`. None: the names that X has, if any.
    freeze_embeddings : bool, default=False
        Leave the embeddings as they are given.
    dropout : float, default=0.0
        Share of the units of the document vector and of each hidden layer that a row does
        not see in an epoch. In [0, 1).
    alpha : float, default=0.0
        L2 penalty: the objective is the mean loss plus ``alpha / 2`` times the squared
        norm of all weights but the intercepts. In [0, inf).
    fit_intercept : bool, default=True
        Whether the output has an intercept (hidden layers always have).
    max_iter : int, default=25
        Number of epochs. In [1, inf).
    tol : float or None, default=None
        As in `MultiLabelSGDClassifier`.
    learning_rate : {"linear", "constant", "invscaling"}, default="linear"
        Step sizes: from `eta0` linearly to 0 over `max_iter` epochs, always `eta0`, or
        ``eta0 / sqrt(1 + epoch)``.
    eta0 : float or "auto", default="auto"
        First step. ``"auto"``: 1 for the log losses, 0.05 for the squared hinge, over the
        mean weight of a row's loss; a fifth of that with hidden layers. In (0, inf).
    batch_size : int or "auto", default="auto"
        Rows whose scores are computed together. The output layer learns as if rows came one
        by one, whatever the batch; embeddings and hidden layers take the sum of a batch's
        steps. ``"auto"``: 64, less if rows have so much in common that these sums were too
        large.
    label_sampling : {"random", "cycle"}, default="random"
        Draws of ``"pick_one"``; see `MultiLabelSGDClassifier`.
    n_sampled_labels : int or None, default=None
        Sampled softmax [2]_ for ``"pick_one"``: each batch computes the scores of about so many
        labels, drawn anew, and of those that its rows show. A step then costs the same for
        any number of labels, and the minimiser is that of the full softmax (theory 9.4);
        it takes more epochs to come as near. Predictions have the scores of all labels.
        None, or at least as many as there are: the full softmax. In [1, inf).
    class_weight : dict, "balanced", array-like of shape (n_labels,), or None, default=None
        Weights of the losses of positive labels.
    early_stopping : bool, default=False
        Stop when the score on held-out rows has not risen for `n_iter_no_change` epochs,
        and keep the parameters of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows that is held out. In (0, 1).
    scoring : str, callable or None, default=None
        Metric of early stopping. None: the micro-averaged Jaccard index at the best single
        cutoff (accuracy for 1-D y). Otherwise a scikit-learn scorer; see
        `MultiLabelSGDClassifier`.
    n_iter_no_change : int, default=5
        Patience of early stopping and of `tol`, in epochs. In [1, inf).
    average : bool or int, default=False
        Use the mean of the parameters at the ends of the epochs, from epoch `average` on;
        see `MultiLabelSGDClassifier`.
    warm_start : bool, default=False
        Let `fit` and `fit_stream` go on from the present parameters.
    shuffle : bool, default=True
        Whether each epoch visits the rows in a new random order.
    dtype : {"float32", "float64"}, default="float32"
        Type of parameters and computations.
    n_jobs : int or None, default=None
        Threads of training (at most one for each 96 labels) and of predictions; BLAS is
        held to one thread each. None: 1, -1: all; at most one for each usable core. The result
        does not depend on it, to the bit.
    random_state : int, RandomState instance or None, default=None
        Seed of initial values, draws, orders and dropout.
    verbose : int, default=0
        If positive, print the loss of each epoch.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_features, embedding_dim)
        Embeddings.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and intercepts (n_out,) of the hidden layers and the output.
    classes_ : ndarray of shape (n_labels, 2) or (n_classes,)
        ``[0, 1]`` for each label; for 1-D y the classes.
    alpha_, eta0_, batch_size_ : float, float, int
        Values used for the parameters.
    n_iter_, t_ : int
        Number of epochs and of row updates so far.
    loss_curve_ : list of float
        Mean loss of each epoch, without the penalty, over the updates as they happen; that
        among the sampled labels if `n_sampled_labels` is in use.
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
    MultiLabelSGDClassifier : The linear model.

    Notes
    -----
    Plain stochastic gradient descent, in batches. Within one, the scores of row i are put
    right for the updates that rows j < i have made to the output weights O:
    ``z_i = O h_i - sum_j step_j (h_i . h_j + c) g_j`` with h the inputs of the output
    layer, g the gradients in the scores and c the rate of the intercept. The output layer
    is therefore trained row by row, exactly, at the speed of matrix products. A row's step
    is at most 2 over its curvature in the output layer, for all its parameters; a batch
    changes a hidden layer by at most 5 % of its norm. No `eta0` from 1e-3 to 10 was seen to
    diverge.

    Rescaling X by a number changes nothing: initial values and steps of the embeddings are
    relative to the mean squared norm of the pooled rows.

    References
    ----------
    .. [1] A. Joulin, E. Grave, P. Bojanowski, T. Mikolov, "Bag of tricks for efficient text
       classification", EACL 2017.
    .. [2] S. Jean, K. Cho, R. Memisevic, Y. Bengio, "On using very large target vocabulary
       for neural machine translation", ACL 2015: sampled softmax.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skmultireduce import MultiLabelMLPClassifier
    >>> X = CountVectorizer().fit_transform(["red wine sauce", "bread and wine", "bread"])
    >>> y = [[1, 1], [1, 0], [1, 0]]
    >>> model = MultiLabelMLPClassifier(embedding_dim=10, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (3, 2)
    >>> model.transform(X).shape
    (3, 10)
    """

    _parameter_constraints: dict = {
        **BaseSGDMultiLabel._parameter_constraints,
        "alpha": [Interval(numbers.Real, 0, None, closed="left")],
        "embedding_dim": [Interval(numbers.Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [
            "array-like",
            Interval(numbers.Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "pooling": [StrOptions({"mean", "sum"})],
        "embedding_init": ["array-like", Mapping, None],
        "feature_names": ["array-like", None],
        "freeze_embeddings": ["boolean"],
        "fit_intercept": ["boolean"],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "dropout": [Interval(numbers.Real, 0, 1, closed="left")],
        "n_sampled_labels": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    _READ_ONCE = (*BaseSGDMultiLabel._READ_ONCE, "batch_size")

    def __init__(
        self,
        *,
        reduction: str = "pick_one",
        loss: str = "log_loss",
        embedding_dim: int = 100,
        hidden_layer_sizes: Any = (),
        activation: str = "relu",
        pooling: str = "mean",
        embedding_init: Any = None,
        feature_names: Any = None,
        freeze_embeddings: bool = False,
        dropout: float = 0.0,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 25,
        tol: float | None = None,
        learning_rate: str = "linear",
        eta0: float | str = "auto",
        batch_size: int | str = "auto",
        label_sampling: str = "random",
        n_sampled_labels: int | None = None,
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
        self.embedding_dim = embedding_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.pooling = pooling
        self.embedding_init = embedding_init
        self.feature_names = feature_names
        self.freeze_embeddings = freeze_embeddings
        self.dropout = dropout
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.batch_size = batch_size
        self.label_sampling = label_sampling
        self.n_sampled_labels = n_sampled_labels
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Document vectors have the type of `dtype`, whatever that of X.
        tags.transformer_tags.preserves_dtype = []
        return tags

    # ------------------------------------------------------------------ the model
    @property
    def embedding_(self) -> np.ndarray:
        """Embeddings of shape (n_features, embedding_dim)."""
        return self._model.embedding

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of the hidden layers and of the output, of shape (n_in, n_out) each."""
        return self._model.layers()[0]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Intercepts of the hidden layers and of the output, of shape (n_out,) each."""
        return self._model.layers()[1]

    def _options(self) -> NetworkOptions:
        return NetworkOptions(
            loss=self._loss.name,
            alpha=self.alpha,
            eta0=self.eta0,
            fit_intercept=self.fit_intercept,
            batch_size=self.batch_size,
            activation=self.activation,
            pooling=self.pooling,
            freeze_embeddings=self.freeze_embeddings,
            dropout=self.dropout,
            n_sampled_labels=self.n_sampled_labels,
            dtype=self.dtype,
        )

    def _finds_scaling(self) -> bool:
        # The rows of given embeddings are of the units of X.
        return self.alpha == 0 and self.eta0 == "auto" and self.embedding_init is None

    def _new_model(self, n_features: int, n_labels: int, seed: int) -> EmbeddingNetwork:
        given = given_embeddings(self.embedding_init, n_features, self._names(self.feature_names))
        dim = self.embedding_dim if given is None else given.shape[1]
        widths = [int(dim), *self._hidden_widths()]
        return EmbeddingNetwork(
            n_features, n_labels, self._options(), widths, seed=seed, given=given
        )

    def _names(self, feature_names: Any) -> Any:
        """Words of the columns: these, or those that X had in fit; None if there are none."""
        if feature_names is not None:
            return feature_names
        return getattr(self, "feature_names_in_", None)

    def _publish(self) -> None:
        super()._publish()
        self.batch_size_ = self._training.model.rates.batch_size

    # -------------------------------------------------------------------- checks
    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._hidden_widths()
        if self.n_sampled_labels is not None and not self._form.draws:
            raise ValueError(
                f"n_sampled_labels is for reduction='pick_one', not {self.reduction!r}. Use "
                "reduction='pick_one', which learns what 'pick_all_normalized' does, or "
                "n_sampled_labels=None."
            )
        if self.freeze_embeddings and self.embedding_init is None and not self.warm_start:
            raise ValueError(
                "freeze_embeddings=True keeps the embeddings as they are given; pass them as "
                "embedding_init, or set freeze_embeddings=False."
            )
        if isinstance(self.embedding_init, Mapping) and not len(self.embedding_init):
            raise ValueError("embedding_init is an empty mapping; pass vectors or None.")

    def _read(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> tuple[Rows, LabelSets]:
        read = super()._read(X, y, reset=reset, classes=classes)
        if not reset:
            self._check_widths()
        return read

    def _check_widths(self) -> None:
        """Raise a ValueError if the model has other layers than the parameters say."""
        dim, *hidden = self._training.model.widths
        found = {"hidden_layer_sizes": (hidden, self._hidden_widths())}
        if self.embedding_init is None:
            found["embedding_dim"] = (dim, self.embedding_dim)
        for name, (there, asked) in found.items():
            if there != asked:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}, but the model was fitted with {there}. Set "
                    "it back, or fit a new model with warm_start=False."
                )

    def _hidden_widths(self) -> list[int]:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        for size in sizes:
            if not isinstance(size, numbers.Integral) or isinstance(size, bool) or size < 1:
                raise ValueError(
                    f"hidden_layer_sizes={self.hidden_layer_sizes!r} must hold positive "
                    "integers, one for each hidden layer; () for none."
                )
        return [int(size) for size in sizes]

    def _check_goes_on(self, names: tuple[str, ...] = ()) -> None:
        super()._check_goes_on(names)
        model = self._training.model
        size = self.n_sampled_labels
        if size is not None and size < model.n_labels and size != model.n_sampled:
            raise ValueError(
                f"n_sampled_labels={size} is another value than when the training began, by "
                "whose rows the labels are sampled: in the first call of partial_fit, or in the "
                "run of fit_stream that is not finished. Set it back, or start a new model with "
                "fit."
            )

    # ------------------------------------------------------------------- vectors
    def transform(self, X: Any) -> np.ndarray:
        """Document vectors: the pooled embeddings of the rows' features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        vectors : ndarray of shape (n_samples, embedding_dim)
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        return self._model.vectors(rows, 0, rows.shape[0])

    @property
    def _n_features_out(self) -> int:
        return self._model.widths[0]

    def export_vectors(self, path: str | os.PathLike, feature_names: Any = None) -> None:
        """Write the embeddings in word2vec's text format, which gensim reads.

        Parameters
        ----------
        path : str or path-like
            File to write, in UTF-8.
        feature_names : array-like of shape (n_features,), default=None
            Words, for example ``vectorizer.get_feature_names_out()``. By default
            `feature_names`, or the names that X had in fit.

        Raises
        ------
        ValueError
            If there are no names, their number is wrong, or one holds white space, which
            separates fields in this format.
        """
        check_is_fitted(self)
        names = feature_names if feature_names is not None else self.feature_names
        write_vectors(path, self.embedding_, self._names(names))
