"""From lists of labels to predicted lists of labels, in one estimator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.metrics import get_scorer
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._data.blocks import indexable_rows
from ._data.inner_fits import fit_inner, inner_has
from ._data.label_forms import label_lists_of
from ._data.label_names import NamedLabels, with_names
from ._data.label_sets import LabelSets, read_labels
from ._data.notices import warn
from ._sklearn import (
    HasMethods,
    _align_api_if_sparse,
    _fit_context,
    _raise_for_params,
)
from ._state import VersionedState, forgets_on_error

__all__ = ["LabelListClassifier"]


class LabelListClassifier(VersionedState, NamedLabels, MetaEstimatorMixin, BaseEstimator):
    """Multi-label classifier from lists of labels to lists of labels.

    Around any multi-label classifier: `fit` takes a column of label lists as it is in a data
    frame, `predict` gives such a column. One object to save holds the classifier, its
    vectorizer and cutoff if it is a pipeline with them, and the names.

    Parameters
    ----------
    estimator : estimator
        A multi-label classifier; often a pipeline of a vectorizer and
        :class:`~skmultireduce.ThresholdedMultiLabel`.
    label_names : array-like of shape (n_labels,), default=None
        All labels, in the order of the columns of scores. None: those that occur, sorted.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier, which knows the names too if it is one of this package.
    label_names_ : ndarray of shape (n_labels,)
        The labels.
    n_features_in_ : int
        Number of features, if the classifier knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if the classifier knows them.

    See Also
    --------
    sklearn.preprocessing.MultiLabelBinarizer : The way between lists and indicators alone.
    skmultireduce.inspection.top_labels : The best labels by name with their scores.

    Notes
    -----
    For cross-validation and searches use its own `score`, which is the default, or
    :meth:`scorer` for any other multi-label scorer. scikit-learn's own scorers, such as
    ``scoring="f1_micro"``, refuse lists of labels. It is not tagged as a classifier: with
    ``cv=5`` scikit-learn would look for classes in the lists, and refuse them too.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmultireduce import LabelListClassifier, MultiLabelSGDClassifier
    >>> from skmultireduce import ThresholdedMultiLabel
    >>> frame = pd.DataFrame({
    ...     "text": ["cheese and bread", "bread and wine", "old wine", "old cheese"] * 10,
    ...     "tags": [["dairy", "bakery"], ["bakery", "drinks"], ["drinks"], ["dairy"]] * 10,
    ... })
    >>> cutoff = ThresholdedMultiLabel(MultiLabelSGDClassifier(random_state=0), random_state=0)
    >>> model = LabelListClassifier(make_pipeline(TfidfVectorizer(), cutoff))
    >>> model = model.fit(frame["text"], frame["tags"])
    >>> model.predict(["bread, wine"]).tolist()
    [['bakery', 'drinks']]
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "label_names": ["array-like", None],
    }

    def __init__(self, estimator: Any, *, label_names: Any = None):
        self.estimator = estimator
        self.label_names = label_names

    @_fit_context(prefer_skip_nested_validation=False)
    @forgets_on_error
    def fit(self, X: Any, y: Any, **params: Any) -> LabelListClassifier:
        """Fit the classifier to lists of labels.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the classifier accepts.
        y : array-like of shape (n_samples,)
            Of lists, tuples, sets or arrays of labels; a list, an array, or a column of
            pandas, polars or pyarrow. Rows without a value have no labels.
        **params : dict
            Metadata for the classifier's `fit`.

        Returns
        -------
        self : LabelListClassifier

        Raises
        ------
        ValueError
            If y is something else, or no row has a label.

        Warns
        -----
        UserWarning
            If there are labels that are not in the parameter `label_names`.
        """
        _raise_for_params(params, self, None)
        routed = process_routing(self, "fit", **params)
        lists = label_lists_of(y, "y")
        names = self.label_names
        if names is None:
            names = _sorted({label for row in lists for label in row})
        if not len(names):
            raise ValueError("No row of y has a label; at least one is needed.")
        columns = {name: k for k, name in enumerate(names)}
        sets, n_unknown = _encode(lists, columns)
        if n_unknown:
            warn(
                "unknown labels",
                f"y has {n_unknown} labels that are not in label_names; they are left out and "
                "the rows stay.",
            )
        target = _align_api_if_sparse(sets.to_csr())
        self._target = with_names(read_labels(target)[1], names)
        X, target = indexable(indexable_rows(X), target)
        self.estimator_ = fit_inner(
            clone(self.estimator), X, target, routed.estimator.fit, rows="y"
        )
        self._share_label_names()
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict lists of labels.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Anything that the classifier accepts.

        Returns
        -------
        labels : ndarray of shape (n_samples,), object
            A list for each row, in the order of `label_names_`; a column for a data frame.
        """
        sets = self._predicted(X)
        names = self.label_names_
        out = np.empty(sets.n_rows, dtype=object)
        for row, part in enumerate(np.split(sets.indices, sets.indptr[1:-1])):
            out[row] = names[part].tolist()
        return out

    def _predicted(self, X: Any) -> LabelSets:
        check_is_fitted(self, "estimator_")
        predicted = sp.csr_array(self.estimator_.predict(X))
        predicted.eliminate_zeros()
        predicted.sort_indices()
        return LabelSets(
            predicted.indptr.astype(np.int64),
            predicted.indices.astype(np.int32),
            self._target.n_labels,
        )

    @available_if(inner_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classifier; columns are `label_names_`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)

        Returns
        -------
        proba : ndarray of shape (n_samples, n_labels)
            Or in another shape of scikit-learn, as the classifier has it.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict_proba(X)

    @available_if(inner_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Scores of the classifier; columns are `label_names_`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.decision_function(X)

    def indicator(self, y: Any) -> Any:
        """Indicator matrix of lists of labels, for metrics.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            As in `fit`. Labels that are not in `label_names_` have no column.

        Returns
        -------
        indicator : CSR of shape (n_samples, n_labels), int8
        """
        return _align_api_if_sparse(self._encoded(y)[0].to_csr())

    def _encoded(self, y: Any) -> tuple[LabelSets, int]:
        columns = {name: k for k, name in enumerate(self.label_names_.tolist())}
        return _encode(label_lists_of(y, "y"), columns)

    def score(self, X: Any, y: Any) -> float:
        """Aggregate Jaccard index: common labels of all rows over their union.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Lists of labels. Those that were not there in `fit` count as missed.

        Returns
        -------
        score : float
            In [0, 1]; 1 if nobody has a label.
        """
        sets, n_unknown = self._encoded(y)
        predicted = self._predicted(X)
        if predicted.n_rows != sets.n_rows:
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"{[predicted.n_rows, sets.n_rows]} in X and y."
            )
        n_common = int(sets.to_csr(np.int64).multiply(predicted.to_csr(np.int64)).sum())
        n_either = len(sets.indices) + n_unknown + len(predicted.indices) - n_common
        return n_common / n_either if n_either else 1.0

    @staticmethod
    def scorer(scoring: Any) -> Callable[[Any, Any, Any], float]:
        """Make a scorer of multi-label indicators one of lists of labels.

        Parameters
        ----------
        scoring : str or callable
            A name that scikit-learn knows (``"f1_samples"``), a scorer of
            :func:`sklearn.metrics.make_scorer`, for example of
            :func:`~skmultireduce.metrics.precision_at_k_score`, or a callable with the
            arguments (estimator, X, y).

        Returns
        -------
        scorer : callable
            With the arguments (estimator, X, y), for `scoring` of ``cross_validate``,
            ``GridSearchCV`` and others. Labels that the estimator does not know do not
            count.

        Examples
        --------
        >>> from sklearn.metrics import make_scorer
        >>> from skmultireduce import LabelListClassifier
        >>> from skmultireduce.metrics import precision_at_k_score
        >>> scorer = LabelListClassifier.scorer(
        ...     make_scorer(precision_at_k_score, response_method="predict_proba", k=1)
        ... )
        """
        inner = get_scorer(scoring) if isinstance(scoring, str) else scoring
        if not callable(inner):
            raise ValueError(f"scoring should be a name or a callable, got {scoring!r}.")
        return _ListScorer(inner)

    def get_metadata_routing(self) -> MetadataRouter:
        """Routing of metadata to the classifier.

        Returns
        -------
        routing : MetadataRouter
        """
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(callee="fit", caller="fit"),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.no_validation = True
        # scikit-learn's common checks fit on numbers and classes.
        tags._skip_test = True
        return tags


class _ListScorer:
    """A scorer on the indicator of lists of labels."""

    def __init__(self, inner: Callable) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"LabelListClassifier.scorer({self.inner!r})"

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        # Around the estimator may be a pipeline or a search.
        last = estimator
        while not isinstance(last, LabelListClassifier):
            if hasattr(last, "steps"):
                raise ValueError(
                    "LabelListClassifier should be around the pipeline, not a step of it."
                )
            last = getattr(last, "best_estimator_", None)
            if last is None:
                raise ValueError(
                    f"The scorer is for LabelListClassifier, got {type(estimator).__name__}."
                )
        return self.inner(last.estimator_, X, last.indicator(y).toarray())


def _sorted(labels: set) -> list:
    try:
        return sorted(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise ValueError(
            f"y has labels of the types {', '.join(kinds)}, which have no common order. Make them "
            "strings, or pass label_names."
        ) from error


def _encode(lists: list[list], columns: Mapping) -> tuple[LabelSets, int]:
    """Label sets of the known labels, and the number of others."""
    indptr = np.zeros(len(lists) + 1, dtype=np.int64)
    indices: list[int] = []
    n_unknown = 0
    for row, labels in enumerate(lists):
        distinct = Counter(labels)
        known = sorted(columns[label] for label in distinct if label in columns)
        n_unknown += len(distinct) - len(known)
        indices += known
        indptr[row + 1] = len(indices)
    return LabelSets(indptr, np.array(indices, dtype=np.int32), len(columns)), n_unknown
