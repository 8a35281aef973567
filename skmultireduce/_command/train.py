"""`train`: a model file from files with labels."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from .._cutoff.strategies import STRATEGIES
from .._reductions.table import LOSS_OPTIONS, ONE_VS_REST, REDUCTIONS, has_loss
from ..linear import MultiLabelSGDClassifier
from ..neural import MultiLabelMLPClassifier
from ..persistence import save_model
from ..text import CountVectorizer, TfidfVectorizer
from ..threshold import ThresholdedMultiLabel
from ..tree import LabelTreeClassifier
from .errors import check_output
from .reading import Reading, Table, add_reading_options
from .tuning import tune

__all__ = ["add_options", "best_cutoff", "best_model", "run"]

# What is best for label sets, on text and tables (docs/guide/choosing.md, tuning.md).
_DEFAULTS = {
    "linear": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
    "mlp": {"reduction": "one_vs_rest", "loss": "log_loss"},
    "tree": {"reduction": "one_vs_rest", "loss": "auto"},
}
_CLASSES = {
    "linear": MultiLabelSGDClassifier,
    "mlp": MultiLabelMLPClassifier,
    "tree": LabelTreeClassifier,
}
_STRATEGY = "adjusted"
_TEXT_OPTIONS = ("ngrams", "min_count", "words")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="training rows")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MODEL", help="file to write"
    )
    parser.add_argument("--force", action="store_true", help="replace MODEL if it is there")
    parser.add_argument(
        "--valid", type=Path, metavar="FILE",
        help="rows by which the cutoff, and what --tune tries, are chosen; by default five folds "
        "of the training rows",
    )  # fmt: skip
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model", choices=sorted(_CLASSES), default="linear",
        help="linear (default), mlp: fastText's architecture, tree: for many thousands of labels",
    )  # fmt: skip
    model.add_argument("--reduction", choices=REDUCTIONS, help="default: one_vs_rest")
    model.add_argument(
        "--loss", choices=LOSS_OPTIONS, help="default: squared_hinge, of mlp log_loss"
    )
    model.add_argument("--epochs", type=_positive, metavar="N", help="passes over the rows")
    model.add_argument(
        "--dim", type=_positive, metavar="N", help="length of vectors, of mlp (100)"
    )
    cutoff = parser.add_argument_group("cutoff")
    cutoff.add_argument(
        "--strategy", choices=sorted(STRATEGIES), help=f"form of the cutoff (default: {_STRATEGY})"
    )
    cutoff.add_argument(
        "--scoring", default="jaccard_micro", metavar="NAME",
        help="what the cutoff maximises (jaccard_micro), e.g. f1_macro",
    )  # fmt: skip
    cutoff.add_argument(
        "--min-precision", type=_share, metavar="P", help="least precision, in 0 to 1"
    )
    tuning = parser.add_argument_group("tuning")
    tuning.add_argument(
        "--tune", action="store_true",
        help="try losses, reductions, penalties and strategies that are not given, in one round "
        "of folds",
    )  # fmt: skip
    tuning.add_argument(
        "--time", type=_seconds, default=300.0, metavar="SECONDS",
        help="after this long --tune tries nothing more (300)",
    )  # fmt: skip
    text = parser.add_argument_group("texts")
    text.add_argument("--ngrams", type=_positive, metavar="N", help="up to N words are one (1)")
    text.add_argument(
        "--min-count", type=_positive, metavar="N", help="leave out words of fewer rows (1)"
    )
    text.add_argument(
        "--words", choices=("blanks", "letters"),
        help="words are what blanks separate, as they are (default of fastText's format), or "
        "runs of two and more letters and digits in lower case (default of the others)",
    )  # fmt: skip
    add_reading_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of draws and folds (0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="threads; -1: all processors")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0 to 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is no time")
    return value


def run(options: argparse.Namespace) -> int:
    """Train, and write the model.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    code : int
        0.
    """
    _check(options)
    inputs = [*options.files, *([options.valid] if options.valid else [])]
    check_output(options.output, force=options.force, inputs=inputs)
    say = (lambda line: None) if options.quiet else _say
    begin = time.perf_counter()
    reading = Reading.of(options)
    table = reading.read(options.files)
    say(f"training  {table.describe()}")
    valid = None
    if options.valid:
        n_features = None if isinstance(table.rows, list) else table.rows.shape[1]
        valid = reading.read([options.valid], table.names, n_features)
        say(f"valid     {valid.describe()}")
    vectorizer = _vectorizer(options, table, reading.format_of(options.files[0]))
    X, X_valid = table.rows, valid and valid.rows
    if vectorizer is not None:
        X = _learned(vectorizer, X)
        X_valid = X_valid and vectorizer.transform(X_valid)
        say(f"features  {X.shape[1]:,}")
    cutoff, splits = best_cutoff(best_model(options), options), None
    y = table.target
    if valid is not None:
        X, y, splits = _stacked(X, X_valid, y, valid.target)
        cutoff.set_params(cv=splits, refit=False)
    if options.tune:
        cutoff = tune(cutoff, X, y, splits, options, say)
    cutoff.fit(X, y)
    # What was split is no part of the model.
    cutoff.set_params(cv=None, refit=True)
    cutoff.set_label_names(table.names)
    model = cutoff
    if vectorizer is not None:
        model = Pipeline([("vectorizer", vectorizer), ("model", cutoff)])
    where = "on the validation rows" if valid else "over five folds"
    say(f"cutoff    {_described(cutoff)}: {options.scoring} {cutoff.best_score_:.4f} {where}")
    command = shlex.join(["skmultireduce", *options.arguments])
    notes = {
        "command": command,
        "reading": reading.notes(),
        "format": reading.format_of(options.files[0]),
        "rows": table.n_rows,
    }
    # Another process may have written it meanwhile.
    check_output(options.output, force=options.force, inputs=inputs)
    save_model(model, options.output, notes=notes)
    size = options.output.stat().st_size / 1e6
    say(f"model     {options.output}, {size:.2f} MB, {time.perf_counter() - begin:.1f} s")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _check(options: argparse.Namespace) -> None:
    reduction, loss = options.reduction, options.loss
    if reduction and loss and not has_loss(reduction, loss):
        raise ValueError(
            f"--loss {loss} is for --reduction {' or '.join(ONE_VS_REST)}, not {reduction}."
        )
    if options.dim is not None and options.model != "mlp":
        raise ValueError(f"--dim is for --model mlp, not {options.model}.")


def best_model(options: argparse.Namespace) -> Any:
    """The classifier that the options ask for, or what is best for label sets."""
    params = dict(_DEFAULTS[options.model])
    if options.reduction is not None:
        params["reduction"] = options.reduction
        if options.reduction not in ONE_VS_REST:
            params["loss"] = "log_loss"
    if options.loss is not None:
        params["loss"] = options.loss
    if options.epochs is not None:
        params["max_iter"] = options.epochs
    if options.dim is not None:
        params["embedding_dim"] = options.dim
    return _CLASSES[options.model](random_state=options.seed, n_jobs=options.jobs, **params)


def best_cutoff(model: Any, options: argparse.Namespace) -> ThresholdedMultiLabel:
    """A cutoff around the classifier, as the options ask for it."""
    response = "predict_scores" if isinstance(model, LabelTreeClassifier) else "auto"
    return ThresholdedMultiLabel(
        model,
        strategy=options.strategy or _STRATEGY,
        scoring=options.scoring,
        min_precision=options.min_precision,
        response_method=response,
        random_state=options.seed,
        n_jobs=options.jobs,
    )


def _vectorizer(options: argparse.Namespace, table: Table, kind: str) -> Any:
    if not isinstance(table.rows, list):
        for name in _TEXT_OPTIONS:
            if getattr(options, name) is not None:
                raise ValueError(
                    f"--{name.replace('_', '-')} is for texts; the rows are features already."
                )
        return None
    words = options.words or ("blanks" if kind == "fasttext" else "letters")
    params: dict[str, Any] = {
        "ngram_range": (1, options.ngrams or 1),
        "min_df": options.min_count or 1,
        "dtype": np.float32,
        "n_jobs": options.jobs,
    }
    if words == "blanks":
        params |= {"token_pattern": r"\S+", "lowercase": False}
    if options.model == "mlp":
        return CountVectorizer(**params)
    return TfidfVectorizer(sublinear_tf=True, **params)


def _learned(vectorizer: Any, texts: list[str]) -> Any:
    try:
        return vectorizer.fit_transform(texts)
    except ValueError as error:
        raise ValueError(
            f"No word is left of {len(texts):,} texts with --min-count {vectorizer.min_df} and "
            f"words as they are found ({error}). Lower --min-count, or choose other --words."
        ) from error


def _stacked(X: Any, X_valid: Any, y: Any, y_valid: Any) -> tuple[Any, Any, list]:
    """Training and validation rows, and the one split that tells them apart."""
    n, n_all = X.shape[0], X.shape[0] + X_valid.shape[0]
    split = (np.arange(n), np.arange(n, n_all))
    return sp.vstack([X, X_valid], format="csr"), sp.vstack([y, y_valid], format="csr"), [split]


def _described(cutoff: ThresholdedMultiLabel) -> str:
    model, threshold = cutoff.estimator_, cutoff.best_threshold_
    value = f"median {np.median(threshold):.4g}" if np.ndim(threshold) else f"{threshold:.4g}"
    return f"{model.reduction}, {model.loss}, {cutoff.strategy}, {value}"
