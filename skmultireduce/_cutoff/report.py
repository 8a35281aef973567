"""Counts of predicted and true labels, and the report of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .intervals import betting_interval, binomial_interval
from .metric import METRICS

__all__ = ["LabelCounts", "Report", "count_labels"]

_METRICS = {
    "precision": METRICS["precision"],
    "recall": METRICS["recall"],
    "f1-score": METRICS["f1"],
    "jaccard": METRICS["jaccard"],
}
# Groups of labels by their number of rows: up to these.
_GROUPS = (0, 1, 9, 99, 999)


@dataclass(frozen=True)
class LabelCounts:
    """Counts of each label and of each row.

    Parameters
    ----------
    tp, predicted, positives : ndarray of shape (n_labels,), float64
        True positives, predictions and true labels, with the weights of the rows.
    row_tp, row_predicted, row_positives : ndarray of shape (n_rows,), float64
        The same of each row.
    weight : ndarray of shape (n_rows,)
        Weights of the rows.
    """

    tp: np.ndarray
    predicted: np.ndarray
    positives: np.ndarray
    row_tp: np.ndarray
    row_predicted: np.ndarray
    row_positives: np.ndarray
    weight: np.ndarray


def count_labels(true: LabelSets, predicted: LabelSets, weight: np.ndarray | None) -> LabelCounts:
    """Compare true and predicted label sets."""
    n_labels = true.n_labels
    w = np.ones(true.n_rows) if weight is None else weight
    numbers = [sets.rows * np.int64(n_labels) + sets.indices for sets in (true, predicted)]
    both = np.intersect1d(*numbers, assume_unique=True)
    rows, labels = np.divmod(both, n_labels)

    def of_labels(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels, w[rows], minlength=n_labels)

    return LabelCounts(
        of_labels(rows, labels),
        of_labels(predicted.rows, predicted.indices),
        of_labels(true.rows, true.indices),
        np.bincount(rows, minlength=true.n_rows).astype(float),
        predicted.sizes.astype(float),
        true.sizes.astype(float),
        w,
    )


@dataclass(frozen=True)
class Report:
    """Metrics of each label, and averages.

    Parameters
    ----------
    names : ndarray of shape (n_labels,)
        Names of the labels.
    labels : dict of str to ndarray of shape (n_labels,)
        Columns: metrics, support, number of predictions, cutoffs if there are any.
    averages : dict of str to dict
        Columns of ``"micro avg"``, ``"macro avg"``, ``"weighted avg"``, ``"samples avg"``.
    groups : dict of str to dict
        Macro averages of the labels of similar frequency.
    """

    names: np.ndarray
    labels: dict[str, np.ndarray]
    averages: dict[str, dict[str, float]]
    groups: dict[str, dict[str, float]]

    @classmethod
    def of(
        cls,
        counts: LabelCounts,
        names: np.ndarray,
        cutoffs: np.ndarray | None,
        confidence: float | None = None,
    ) -> Report:
        """Report of counts."""
        tp, fp, positives = counts.tp, counts.predicted - counts.tp, counts.positives
        labels = {name: metric.ratio(tp, fp, positives) for name, metric in _METRICS.items()}
        labels |= {"support": positives, "predicted": counts.predicted}
        if confidence is not None:
            labels |= _label_intervals(tp, fp, positives, confidence)
        if cutoffs is not None:
            labels["cutoff"] = cutoffs
        total = {"support": positives.sum(), "predicted": counts.predicted.sum()}
        sums = tp.sum(), fp.sum(), positives.sum()
        row_fp = counts.row_predicted - counts.row_tp
        rows = counts.row_tp, row_fp, counts.row_positives
        w = counts.weight if counts.weight.sum() > 0 else None
        averages: dict[str, dict[str, float]] = {
            "micro avg": {n: float(m.ratio(*sums)) for n, m in _METRICS.items()},
            "macro avg": {n: float(labels[n].mean()) for n in _METRICS},
            "weighted avg": {
                n: float(labels[n] @ positives / positives.sum()) if positives.any() else 0.0
                for n in _METRICS
            },
            "samples avg": {
                n: float(np.average(m.ratio(*rows), weights=w)) for n, m in _METRICS.items()
            },
        }
        for values in averages.values():
            values |= {name: float(value) for name, value in total.items()}
        if confidence is not None:
            averages["micro avg"] |= _row_intervals(*rows, len(names), confidence, by_row=False)
            averages["samples avg"] |= _row_intervals(*rows, len(names), confidence, by_row=True)
        return cls(names, labels, averages, cls._groups_of(labels))

    @staticmethod
    def _groups_of(labels: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        found, low = {}, -1.0
        for high in (*_GROUPS, np.inf):
            kept = (labels["support"] > low) & (labels["support"] <= high)
            if kept.any():
                name = _group_name(low + 1, high)
                found[name] = {n: float(labels[n][kept].mean()) for n in _METRICS}
                found[name] |= {n: float(labels[n][kept].sum()) for n in ("support", "predicted")}
                found[name]["labels"] = int(kept.sum())
            low = high
        return found

    def as_dict(self) -> dict[str, Any]:
        """Rows by name, each a dict of its columns; groups under ``"groups"``."""
        columns = {name: values.tolist() for name, values in self.labels.items()}
        out: dict[str, Any] = {
            str(label): {name: values[i] for name, values in columns.items()}
            for i, label in enumerate(self.names)
        }
        return {**out, **self.averages, "groups": self.groups}

    def as_frame(self) -> Any:
        """Build a pandas data frame with a row for each label and average."""
        import pandas as pd

        labels = pd.DataFrame(self.labels, index=pd.Index([str(n) for n in self.names]))
        return pd.concat([labels, pd.DataFrame.from_dict(self.averages, orient="index")])

    def as_text(self, digits: int, most_labels: int) -> str:
        """Table as text: labels if there are few, groups by frequency if there are many."""
        few = len(self.names) <= most_labels
        hidden = {f"{name}_{end}" for name in _METRICS for end in ("low", "high")}
        shown = {"f1-score_low", "f1-score_high"} if few else set()
        hidden = hidden - shown | (set() if few else {"cutoff"})
        columns = [name for name in self.labels if name not in hidden]
        rows: list[tuple[str, list[float]]] = []
        if few:
            values = [self.labels[name] for name in columns]
            rows += [(str(n), [v[i] for v in values]) for i, n in enumerate(self.names)]
        else:
            for name, found in self.groups.items():
                title = f"{found['labels']} labels with {name}"
                rows.append((title, [found[column] for column in columns]))
        split = len(rows)
        for name, found in self.averages.items():
            rows.append((name, [found.get(column, np.nan) for column in columns]))
        width = max(len(name) for name, _ in rows)
        titles = {"f1-score_low": "f1 from", "f1-score_high": "f1 to"}
        heads = [titles.get(column, column) for column in columns]
        lines = [" " * width + "".join(f"{head:>11}" for head in heads), ""]
        for i, (name, values) in enumerate(rows):
            if i == split:
                lines.append("")
            cells = [_cell(c, v, digits) for c, v in zip(columns, values, strict=True)]
            lines.append(f"{name:>{width}}" + "".join(f"{cell:>11}" for cell in cells))
        return "\n".join(lines) + "\n"


def _label_intervals(
    tp: np.ndarray, fp: np.ndarray, positives: np.ndarray, confidence: float
) -> dict[str, np.ndarray]:
    """Interval of each metric of each label; given their number trials are independent."""
    trials = {"precision": tp + fp, "recall": positives, "jaccard": positives + fp}
    found = {name: binomial_interval(tp, n, confidence) for name, n in trials.items()}
    # F1 is a function of the Jaccard index.
    low, high = found["jaccard"]
    found["f1-score"] = 2 * low / (1 + low), 2 * high / (1 + high)
    return _as_columns(found)


def _row_intervals(
    tp: np.ndarray,
    fp: np.ndarray,
    positives: np.ndarray,
    n_labels: int,
    confidence: float,
    *,
    by_row: bool,
) -> dict[str, float]:
    found = {}
    for name, metric in _METRICS.items():
        above, below = metric.terms(tp, fp, positives)
        bound = 2 * n_labels if name == "f1-score" else n_labels
        if by_row:
            above, below, bound = metric.ratio(tp, fp, positives), np.ones(len(tp)), 1
        found[name] = betting_interval(above, below, bound, confidence)
    return _as_columns(found)


def _as_columns(found: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {
        f"{name}_{end}": value
        for name in _METRICS
        for end, value in zip(("low", "high"), found[name], strict=True)
    }


def _group_name(low: float, high: float) -> str:
    if low == high:
        return "1 row" if low == 1 else f"{low:.0f} rows"
    return f"{low:.0f} rows or more" if np.isinf(high) else f"{low:.0f} to {high:.0f} rows"


def _cell(column: str, value: float, digits: int) -> str:
    if np.isnan(value):
        return ""
    if column in ("support", "predicted"):
        return f"{value:.0f}" if value == round(value) else f"{value:.{digits}f}"
    return f"{value:.4g}" if column == "cutoff" else f"{value:.{digits}f}"
