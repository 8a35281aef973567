"""Predictions of the SGD estimators, in the form of the y of fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data.score_matrix import check_request
from .predictions import (
    LINKS,
    all_scores,
    best_scores,
    kept_inside,
    nearest_simplex,
    positives,
    top_labels,
)


class SGDPredictions:
    """Predicts; part of `BaseSGDMultiLabel`."""

    def _check_fitted(self) -> None:
        # scikit-learn's check asks for tags first, which takes longer than scores of a row.
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_labels)
            For the softmax reductions up to a number for each row. For 1-D y with two
            classes, of shape (n_samples,): the second class's score less the first's.
        """
        self._check_fitted()
        rows = self._read_rows(X)
        scores = all_scores(self._training.fitted, rows, n_threads=self._n_threads())
        if self._target.kind == "multiclass" and scores.shape[1] == 2:
            return scores[:, 1] - scores[:, 0]
        return scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the labels, strictly between 0 and 1.

        Softmax reductions: each row sums to 1; the probability that a label is the one
        picked (theory 2.1), not that a row has it. One-vs-rest: for each label on its own.

        With ``loss="squared_hinge"`` it is (1 + score) / 2, what that loss learns the
        probability by in the limit (theory 4.13), clipped. Many scores of rare labels are
        below -1, and then told apart by `decision_function` alone; cutoffs are taken on
        that.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_labels)
            For 1-D y rows sum to 1 in any case.
        """
        self._check_fitted()
        rows = self._read_rows(X)
        model, n_threads = self._training.fitted, self._n_threads()
        if self._target.kind == "multiclass" and not self._form.softmax:
            return self._probabilities(all_scores(model, rows, n_threads=n_threads))
        return all_scores(model, rows, link=self._link, n_threads=n_threads)

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores, which are changed."""
        single = self._target.kind == "multiclass" and not self._form.softmax
        if single and self._cut_scores:
            return kept_inside(nearest_simplex((1 + scores) / 2))
        LINKS[self._link](scores)
        kept_inside(scores)
        if single:
            scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def predict_scores(
        self, X: Any, *, top_k: int | None = None, threshold: float | None = None
    ) -> Any:
        """Probabilities of the best labels of each row, in a sparse matrix.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        top_k : int, default=None
            So many labels of each row; of equal ones the label that comes first.
        threshold : float, default=None
            The labels whose probability is at least this. With `top_k`: those of the
            `top_k` that reach it.

        Returns
        -------
        scores : CSR of shape (n_samples, n_labels)
            Values of `predict_proba`; what is not stored is lower. An array of shape
            (n_samples, n_labels) is never made.

        Raises
        ------
        ValueError
            If neither `top_k` nor `threshold` is given.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import MultiLabelSGDClassifier
        >>> X, y = make_multilabel_classification(allow_unlabeled=False, random_state=0)
        >>> model = MultiLabelSGDClassifier(random_state=0).fit(X, y)
        >>> scores = model.predict_scores(X, top_k=2)
        >>> scores.shape, scores.nnz
        ((100, 5), 200)
        """
        check_request(top_k, threshold)
        self._check_fitted()
        return best_scores(
            self._training.fitted,
            self._read_rows(X),
            top_k,
            threshold,
            finish=self._probabilities,
            n_threads=self._n_threads(),
        )

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

        Softmax reductions: the most probable label (`ThresholdedMultiLabel` gives sets).
        One-vs-rest: the labels with a score of at least 0.

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
        self._check_fitted()
        rows = self._read_rows(X)
        model, n_threads = self._training.fitted, self._n_threads()
        if self._target.kind == "multiclass" or self._form.softmax:
            labels = top_labels(model, rows, n_threads=n_threads)
            return self._target.to_output(np.arange(len(labels) + 1), labels)
        return self._target.to_output(*positives(model, rows, n_threads=n_threads))
