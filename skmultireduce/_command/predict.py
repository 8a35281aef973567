"""`predict`: one line of labels for each line of input, as they come."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._datasets.files import open_unpacked
from .models import Loaded
from .reading import FORMATS, Reading, batches_of_lines

__all__ = ["add_options", "features_of_lines", "run", "without_labels"]

# Bytes of a batch, at most: about a thousand lines.
_BATCH_BYTES = 2**16
_BATCH_ROWS = 1000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="file that train wrote")
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="texts, one a line; -: standard input"
    )
    parser.add_argument(
        "-k", type=int, help="the k best labels of each line, instead of those above the cutoff"
    )
    parser.add_argument("--scores", action="store_true", help="each label and its score")
    parser.add_argument(
        "--json", action="store_true", help="a JSON list of [label, score] for each line"
    )
    parser.add_argument(
        "--separator", metavar="TEXT",
        help="between labels; by default a blank, or a tab if a name of a label has a blank",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=FORMATS[2:],
        help="read texts from the column --text of a file instead of lines",
    )  # fmt: skip
    parser.add_argument("--text", nargs="+", metavar="COLUMN", help="as in train")
    parser.add_argument("--encoding", help="of the input (utf-8)")


def run(options: argparse.Namespace) -> int:
    """Predict.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    code : int
        0.
    """
    if options.k is not None and options.k < 1:
        raise ValueError(f"-k {options.k} is not at least 1.")
    model = Loaded.read(options.model)
    reading = Reading.of(options, model.info["notes"])
    separator = options.separator
    if separator is None:
        separator = "\t" if any(" " in str(name) for name in model.names) else " "
    write = sys.stdout.write
    for batch in _batches(options, reading, model.n_features):
        for labels in _labels(model, batch, options):
            if options.json:
                write(json.dumps(labels) + "\n")
            elif options.scores:
                write(separator.join(f"{name}{separator}{score:.6g}" for name, score in labels))
                write("\n")
            else:
                write(separator.join(str(name) for name, _ in labels) + "\n")
        sys.stdout.flush()
    return 0


def _batches(
    options: argparse.Namespace, reading: Reading, n_features: int | None
) -> Iterator[Any]:
    if options.format is not None:
        if options.file == "-":
            raise ValueError(f"--format {options.format} reads a file; give its name.")
        texts = reading.texts_of(Path(options.file))
        while batch := list(islice(texts, _BATCH_ROWS)):
            yield batch
        return
    for lines in _lines(options.file, reading.encoding):
        if n_features is not None:
            yield features_of_lines(lines, n_features)
        else:
            yield [without_labels(line, reading.label_prefix) for line in lines]


def _lines(name: str, encoding: str) -> Iterator[list[str]]:
    if name == "-":
        yield from batches_of_lines(sys.stdin.buffer.read1, encoding, _BATCH_BYTES)
        return
    with open_unpacked(name) as file:
        yield from batches_of_lines(file.read, encoding, _BATCH_BYTES)


def without_labels(line: str, prefix: str) -> str:
    """The text of a line, which may have labels as in training files."""
    if prefix not in line:
        return line
    return " ".join(word for word in line.split(" ") if not word.startswith(prefix))


def features_of_lines(lines: list[str], n_features: int) -> Any:
    """Rows of svmlight's format; labels are passed over, and features that the model has not."""
    indptr, indices, data = [0], [], []
    for line in lines:
        found: dict[int, float] = {}
        for word in line.partition("#")[0].split():
            index, colon, value = word.partition(":")
            if not colon:
                continue
            try:
                column = int(index) - 1
                found[column] = float(value)
            except ValueError:
                raise ValueError(f"{word!r:.60} is no feature, as 7:0.5 is.") from None
            if column < 0 or not np.isfinite(found[column]):
                raise ValueError(f"{word!r:.60} is no feature, as 7:0.5 is.")
        kept = sorted(column for column in found if column < n_features)
        indices += kept
        data += [found[column] for column in kept]
        indptr.append(len(indices))
    return sp.csr_matrix((data, indices, indptr), (len(lines), n_features), dtype=np.float32)


def _labels(
    model: Loaded, rows: Any, options: argparse.Namespace
) -> Iterator[list[tuple[Any, float | None]]]:
    """Names and scores of each row's labels."""
    X, names = model.features(rows), model.names
    if options.k is None and not (options.scores or options.json):
        for labels in model.label_sets(X):
            yield [(name, None) for name in names[labels].tolist()]
        return
    found = model.scores_of_sets(X) if options.k is None else model.best(X, options.k)
    for labels, scores in found:
        yield list(zip(names[labels].tolist(), scores.tolist(), strict=True))
