"""A model of a file, as the verbs use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from .._cutoff.estimator import BaseThreshold
from .._cutoff.scores import best_scores
from .._data.label_names import NamedLabels
from ..label_lists import LabelListClassifier
from ..persistence import load_model, model_info

__all__ = ["Loaded"]

# Scores that are held at once.
_MOST_SCORES = 4_000_000


@dataclass(frozen=True)
class Loaded:
    """A model, and what stands before it.

    Parameters
    ----------
    model : estimator
        All of it.
    steps : list
        Transformers of rows.
    last : estimator
        Predicts label sets.
    info : dict
        Of the file.
    """

    model: Any
    steps: list[Any]
    last: Any
    info: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Loaded:
        """Read a file.

        Raises
        ------
        ValueError
            If it is no model file, or the model has no labels.
        """
        info = model_info(path)
        model = last = load_model(path)
        if isinstance(model, LabelListClassifier):
            model = last = getattr(model, "estimator_", model)
        steps: list[Any] = []
        while isinstance(last, Pipeline):
            steps += [step for _, step in last.steps[:-1] if step not in (None, "passthrough")]
            last = last.steps[-1][1]
        target = getattr(last, "_target", None) if isinstance(last, NamedLabels) else None
        if target is None or target.kind != "multilabel":
            raise ValueError(
                f"{path} holds a {type(last).__name__} that was not fitted to label sets."
            )
        return cls(model, steps, last, info)

    @property
    def names(self) -> np.ndarray:
        """Names of the labels."""
        return self.last.label_names_

    @property
    def scorer(self) -> Any:
        """What gives the scores that a cutoff is compared with."""
        if isinstance(self.last, BaseThreshold):
            return getattr(self.last, "estimator_", self.last.estimator)
        return self.last

    @property
    def takes_texts(self) -> bool:
        """Whether rows are texts."""
        return bool(self.steps) and hasattr(self.steps[0], "transform")

    @property
    def n_features(self) -> int | None:
        """Number of features of rows that are no texts."""
        return None if self.takes_texts else int(self.last.n_features_in_)

    def features(self, rows: Any) -> Any:
        """Rows as the classifier takes them."""
        for step in self.steps:
            rows = step.transform(rows)
        return rows

    def label_sets(self, X: Any) -> list[np.ndarray]:
        """Numbers of the labels of each row, ascending."""
        predicted = sp.csr_array(self.last.predict(X))
        predicted.eliminate_zeros()
        predicted.sort_indices()
        return np.split(predicted.indices, predicted.indptr[1:-1])

    def best(self, X: Any, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Labels and scores of the k best of each row, best first, of equal ones by number."""
        n_labels = len(self.names)
        k = min(k, n_labels)
        step = max(1, _MOST_SCORES // n_labels)
        for first in range(0, X.shape[0], step):
            found = best_scores(self.scorer, X[first : first + step], k, None)
            for start, stop in zip(found.indptr[:-1], found.indptr[1:], strict=True):
                labels, scores = found.indices[start:stop], found.data[start:stop]
                order = np.lexsort((labels, -scores))
                yield labels[order], scores[order]

    def scores_of_sets(self, X: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Labels and scores of each row's label set, best first."""
        n_candidates = len(self.names)
        rule = getattr(self.last, "_rule", None)
        if rule is not None and rule.source.sparse:
            n_candidates = rule.source.n_candidates
        for chosen, (labels, scores) in zip(
            self.label_sets(X), self.best(X, n_candidates), strict=True
        ):
            kept = np.isin(labels, chosen)
            yield labels[kept], scores[kept]
