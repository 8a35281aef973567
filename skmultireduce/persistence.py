"""Fitted models in files that are safe to load, and load with other releases."""

from __future__ import annotations

import os
import platform
import warnings
from typing import Any

import numpy as np
import sklearn

from ._model_files.container import DamagedFileError, read_container, write_container
from ._model_files.values import NotSavedError, Reader, Writer
from ._version import __version__

__all__ = ["load_model", "model_info", "save_model"]

_FORMAT = "skmultireduce model"
# Raised when releases that know only smaller numbers cannot read what is written.
_FORM = 1


def save_model(
    model: Any, path: str | os.PathLike, *, notes: dict[str, Any] | None = None
) -> None:
    """Write a fitted model into one file, which `load_model` reads without running code of it.

    The file is a zip of JSON and of arrays in NumPy's format: no pickles. It holds the
    estimators of this package; a Pipeline or FeatureUnion of them with scikit-learn's or our
    text vectorizers, Normalizer, StandardScaler, MaxAbsScaler, MinMaxScaler, TfidfTransformer
    or TruncatedSVD; names of labels, cutoffs, and what `partial_fit` goes on from. A model that
    scikit-learn 1.9 wrote predicts the same with 1.6, and the other way round.

    Parameters
    ----------
    model : estimator
        Fitted or not.
    path : str or path-like
        File to write. One that is there is replaced, as a whole: a reader sees the old or the
        new one.
    notes : dict, default=None
        Whatever you want to find again with `model_info`: str, numbers, None, lists and dicts
        of them.

    Raises
    ------
    ValueError
        If a part of the model is none of these, for example a classifier of another package
        or a tokenizer of your own, which is code. `skops <https://skops.readthedocs.io>`__
        holds all of scikit-learn, joblib anything.

    Warns
    -----
    UserWarning
        If a parameter that training alone reads, such as a splitter in ``cv`` or a scorer, is
        left out; it has its default again after loading.

    See Also
    --------
    load_model : Reads the file.

    Notes
    -----
    A run of `fit_stream` or with callbacks that was stopped goes on from a pickle, not from this
    file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmultireduce import MultiLabelSGDClassifier, load_model, save_model
    >>> from skmultireduce.text import TfidfVectorizer
    >>> texts, y = ["red wine", "bread", "bread and wine"], [[1, 0], [0, 1], [1, 1]]
    >>> model = make_pipeline(TfidfVectorizer(), MultiLabelSGDClassifier(random_state=0))
    >>> model = model.fit(texts, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder) / "drinks.model")
    ...     loaded = load_model(Path(folder) / "drinks.model")
    >>> loaded.predict(["white wine"])
    array([[1, 0]])
    """
    # What it knows of scikit-learn takes longer to import than this package.
    from ._model_files.estimators import form_of, remedy

    writer = Writer(form_of)
    if form_of(model) is None:
        raise ValueError(
            f"Model files hold no {type(model).__module__}.{type(model).__qualname__}. "
            f"{remedy(model)}."
        )
    try:
        written = writer.write(model)
        own_notes = writer.write(notes or {})
    except NotSavedError as error:
        raise ValueError(
            f"Model files do not hold {error}. {remedy(model)}, or take it out of the model."
        ) from error
    left_out = {
        name: value for record in writer.records for name, value in _left_out(record).items()
    }
    header = {
        "format": _FORMAT,
        "form": _FORM,
        "versions": {
            "skmultireduce": __version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "notes": own_notes,
        "records": writer.records,
        "model": written,
    }
    write_container(path, header, writer.arrays)
    if left_out:
        told = ", ".join(f"{name}={value}" for name, value in sorted(left_out.items()))
        warnings.warn(
            f"The model file leaves out {told}: predictions do not depend on it, and the loaded "
            "model has the default.",
            UserWarning,
            stacklevel=2,
        )


def _left_out(record: dict) -> dict[str, str]:
    names, values = record["values"].get("left_out", {"dict": [[], []]})["dict"]
    return dict(zip(names, values, strict=True))


def load_model(path: str | os.PathLike) -> Any:
    """Read a model that `save_model` wrote.

    Nothing in the file is run, and no class is looked up that this function does not know.
    Sizes are held against the length of the file before memory is taken; what kernels
    rely on is checked.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    model : estimator
        As it was saved.

    Raises
    ------
    ValueError
        If it is no model file, was changed, or needs a later release.
    OSError
        If it cannot be read.

    See Also
    --------
    save_model : Writes the file, and says what it can hold.
    """
    return _read(path, with_arrays=True)[1]


def model_info(path: str | os.PathLike) -> dict[str, Any]:
    """What a model file says of itself, without loading the model.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    info : dict
        ``versions`` of skmultireduce, scikit-learn, numpy and Python that wrote it, ``notes``,
        ``classes`` (names of what it holds) and ``n_bytes`` of the file.

    Raises
    ------
    ValueError, OSError
        As `load_model`.
    """
    header, _ = _read(path, with_arrays=False)
    return {
        "versions": header["versions"],
        "notes": header["notes"],
        "classes": [record["class"] for record in header["records"]],
        "n_bytes": os.path.getsize(path),
    }


def _read(path: str | os.PathLike, *, with_arrays: bool) -> tuple[dict, Any]:
    try:
        header, arrays = read_container(path, with_arrays=with_arrays)
        if header.get("format") != _FORMAT:
            raise DamagedFileError("its header is another one")
        form, versions = header.get("form"), header.get("versions")
        if type(form) is int and form > _FORM:
            by = versions.get("skmultireduce") if isinstance(versions, dict) else None
            raise ValueError(
                f"{os.fspath(path)} was written by skmultireduce {by}, in form {form}; "
                f"skmultireduce {__version__} knows {_FORM}. Install a later release."
            )
        names = {"format", "form", "versions", "notes", "records", "model"}
        if form != _FORM or set(header) != names or not isinstance(versions, dict):
            raise DamagedFileError("its header is not of its form")
        notes = Reader({}, [], []).read(header["notes"]) if not with_arrays else None
        if not with_arrays:
            return {**header, "notes": notes}, None
        from ._model_files.estimators import FORMS

        reader = Reader(FORMS, header["records"], arrays)
        model = reader.read(header["model"])
        reader.read(header["notes"])
        reader.check_all_used()
    except DamagedFileError as error:
        raise ValueError(
            f"{os.fspath(path)} is no model file of skmultireduce, or it is damaged: {error}. "
            "Load an intact copy."
        ) from error
    return header, model
