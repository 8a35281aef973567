"""Forms of y that are no indicator of 0 and 1, and the line of code that makes one.

Every error says what y holds and gives code between backquotes. With y under its name,
numpy and the named class of scikit-learn at hand, this code makes what is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._sklearn import _num_samples

__all__ = [
    "as_array",
    "as_float",
    "column_names",
    "label_lists_of",
    "missing_values",
    "no_indicator",
    "only_zeros_and_ones",
    "refuse_joined_labels",
    "refuse_label_lists",
]

_YES = {"true", "t", "yes", "y", "on", "1", "1.0"}
_NO = {"false", "f", "no", "n", "off", "0", "0.0", ""}
# Between labels in one string, the least usual inside of a name first.
_SEPARATORS = ("|", ";", "\t", "\n", ",", " ")
_BINARIZER = "sklearn.preprocessing.MultiLabelBinarizer"
_WEIGHTS = (
    "Label weights are fractions in a float y, as in [[0.5, 0, 1.5], [0, 1, 0]]; divide weights "
    "that are whole numbers by the largest one"
)


def as_array(y: Any) -> np.ndarray:
    """Y as an array; of objects where rows differ in length.

    Parameters
    ----------
    y : object
        Anything but sparse matrices: lists, arrays, frames and series of pandas (NumPy,
        nullable, arrow-backed and categorical types), polars and pyarrow.

    Returns
    -------
    array : ndarray
        Numeric where all columns are; NaN where a nullable number is missing.
    """
    if _package(y) == "pandas":
        dtypes = [y.dtype] if y.ndim == 1 else list(y.dtypes)
        extended = any(not isinstance(dtype, np.dtype) for dtype in dtypes)
        if extended and all(dtype.kind in "biuf" for dtype in dtypes):
            kinds = {dtype.kind for dtype in dtypes}
            if not y.isna().to_numpy().any() and len(kinds) == 1:
                return y.to_numpy(dtype={"b": bool, "f": np.float64}.get(kinds.pop(), np.int64))
            return y.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        return np.asarray(y)
    except ValueError:
        if not isinstance(y, list | tuple):
            raise
        # NumPy makes no array of rows of different lengths by itself.
        array = np.empty(len(y), dtype=object)
        array[:] = y
        return array


def column_names(y: Any) -> np.ndarray | None:
    """Names of the columns of a data frame, None if they are not strings, or not distinct.

    Parameters
    ----------
    y : object
        Frames of pandas and polars and tables of pyarrow have names.

    Returns
    -------
    names : ndarray of shape (n_columns,), object, or None
    """
    names = y.column_names if _package(y) == "pyarrow" else getattr(y, "columns", None)
    if names is None or callable(names):
        return None
    names = list(names)
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return np.array(names, dtype=object)


def _package(y: Any) -> str:
    return type(y).__module__.partition(".")[0]


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _is_collection(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _only_column(y: Any, name: str) -> str:
    """Code for the one column of y as something to iterate over."""
    columns = y.shape[1] if len(getattr(y, "shape", ())) == 2 else None
    package = _package(y)
    if package == "pyarrow":
        return f"{name}.to_pylist()" if columns is None else f"{name}.column(0).to_pylist()"
    if columns is None:
        return name
    return {"pandas": f"{name}.iloc[:, 0]", "polars": f"{name}.to_series()"}.get(
        package, f"{name}[:, 0]"
    )


def _rows(y: Any, name: str) -> str:
    """Code for the rows of a table."""
    return name if isinstance(y, list | tuple | np.ndarray) else f"numpy.asarray({name})"


def refuse_label_lists(y: Any, array: np.ndarray, name: str) -> None:
    """Raise if y is a column of collections: lists, tuples, sets, arrays, series, dicts.

    Parameters
    ----------
    y : object
        As given.
    array : ndarray
        The same, as an array.
    name : str
        Name in the message.

    Raises
    ------
    ValueError
        With code that makes an indicator of exactly this container.
    """
    if array.dtype != object or array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        return
    found = array.ravel().tolist()
    if any(isinstance(row, Mapping) for row in found):
        raise ValueError(
            f"{name} is a list of dicts. Turn it into a matrix with sklearn.feature_extraction."
            f"DictVectorizer: `DictVectorizer().fit_transform({_only_column(y, name)})`."
        )
    rows = [row for row in found if _is_collection(row)]
    if not rows:
        return
    labels = [label for row in rows for label in np.asarray(_plain(row), dtype=object).ravel()]
    code, entry = _only_column(y, name), "label"
    kinds = {type(label) for label in labels if not _is_missing(label)}
    if len(kinds) > 1 and not all(issubclass(k, int | float | np.number) for k in kinds):
        entry = "str(label)"
    if len(rows) < len(found):
        code = f"[row if hasattr(row, '__len__') else [] for row in {code}]"
    if any(_is_missing(label) for label in labels):
        code = (
            f"[[{entry} for label in row if label == label and label is not None] for row in "
            f"{code}]"
        )
    elif entry != "label":
        code = f"[[{entry} for label in row] for row in {code}]"
    raise ValueError(
        f"{name} is a list of label lists. Turn it into an indicator matrix with {_BINARIZER}: "
        f"`MultiLabelBinarizer(sparse_output=True).fit_transform({code})`."
    )


def _plain(row: Any) -> list:
    return [value.as_py() if hasattr(value, "as_py") else value for value in row]


def label_lists_of(y: Any, name: str) -> list[list]:
    """Lists of labels from a column of collections.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Of lists, tuples, sets, arrays or series. Missing collections have no labels,
        missing labels are left out.
    name : str
        Name in error messages.

    Returns
    -------
    lists : list of list

    Raises
    ------
    ValueError
        If there are strings, numbers or dicts in place of collections.
    """
    _num_samples(y)
    rows = y if isinstance(y, list | tuple) else as_array(y)
    if isinstance(rows, np.ndarray):
        rows = rows.ravel() if rows.ndim == 2 and rows.shape[1] == 1 else rows
    lists = []
    for number, row in enumerate(rows):
        if _is_collection(row):
            lists.append([label for label in _plain(row) if not _is_missing(label)])
        elif _is_missing(row):
            lists.append([])
        else:
            raise ValueError(
                f"{name} should hold a list of labels for each row; row {number} is "
                f"{repr(row)[:60]}. Split strings, for example "
                f"`[text.split(';') for text in {name}]`; an indicator matrix goes to the "
                "classifier itself."
            )
    table = as_array(y)
    numbers = table.ndim == 2 and table.shape[1] > 1 and table.dtype.kind in "biuf"
    if numbers and np.all((table == 0) | (table == 1)):
        raise ValueError(
            f"{name} is an indicator matrix; lists of labels are needed. An indicator matrix "
            "goes to the classifier itself."
        )
    return lists


def refuse_joined_labels(y: Any, classes: np.ndarray, name: str) -> None:
    """Raise if strings are label sets written as one: ``"a;b"``, ``"['a', 'b']"``.

    Parameters
    ----------
    y : object
        As given.
    classes : ndarray
        The distinct values of 1-D y.
    name : str
        Name in the message.

    Raises
    ------
    ValueError
        If all are written as lists; or, for one of the usual separators, if there are
        fewer parts than strings or a part stands alone too (for blanks: all parts do).
    """
    texts = [text for text in classes.tolist() if isinstance(text, str)]
    if len(texts) < len(classes) or len(texts) < 2:
        return
    column = _only_column(y, name)
    if all(text.strip()[:1] in "[({" and text.strip()[-1:] in "])}" for text in texts if text):
        raise ValueError(
            f"{name} holds lists that are written as strings, like {texts[0]!r}. Read them, and "
            f"turn them into an indicator matrix with {_BINARIZER}: `MultiLabelBinarizer()"
            f".fit_transform([ast.literal_eval(text) for text in {column}])`."
        )
    for separator in _SEPARATORS:
        parts = [text.split(separator) for text in texts]
        joined = [split for split in parts if len(split) > 1]
        if not joined:
            continue
        inside = {part.strip() for split in joined for part in split}
        alone = {split[0].strip() for split in parts if len(split) == 1}
        # Blanks are in many a name: all parts must be known from standing alone.
        if separator == " ":
            are_labels = inside <= alone
        else:
            are_labels = inside & alone or len(inside | alone) < len(texts)
        if are_labels:
            split = f"[label.strip() for label in text.split({separator!r})]"
            raise ValueError(
                f"{name} holds strings of several labels with {separator!r} between them, like "
                f"{separator.join(joined[0])!r}. Split them, and turn them into an indicator "
                f"matrix with {_BINARIZER}: "
                f"`MultiLabelBinarizer().fit_transform([{split} for text in {column}])` (pandas: "
                f"y.str.get_dummies({separator!r})). If each string is a class of its own, pass "
                "numbers: sklearn.preprocessing.LabelEncoder().fit_transform(y)."
            )


def no_indicator(y: Any, array: np.ndarray, name: str) -> ValueError:
    """The error for a table (or structured array) that does not hold numbers.

    Parameters
    ----------
    y : object
        As given.
    array : ndarray
        The same, as an array.
    name : str
        Name in the message.

    Returns
    -------
    error : ValueError
        With code for spellings of 0 and 1, names of labels, missing values, and fields of
        structured arrays.
    """
    if array.dtype.names is not None:
        return _structured(array, name)
    values = array.ravel().tolist()
    present = [value for value in values if not _is_missing(value)]
    if present and any(isinstance(value, str | bytes) for value in present):
        yes = _spelled_yes(present)
        if yes is not None:
            isin = (
                f"{name}.isin({yes})" if _package(y) == "pandas" else f"numpy.isin({name}, {yes})"
            )
            return ValueError(
                f"{name} is a multi-label indicator of strings, like {present[0]!r}; numbers 0 "
                f"and 1 are needed: `{isin}.astype('int8')`."
            )
        if all(isinstance(value, str | bytes) for value in present):
            padded = len(present) < len(values) or "" in present
            keep = " if isinstance(label, str) and label"
            code = (
                f"[[label for label in row{keep if padded else ''}] for row in {_rows(y, name)}]"
            )
            return ValueError(
                f"{name} is a table of label names, like {present[0]!r}. Turn it into an "
                f"indicator matrix with {_BINARIZER}: `MultiLabelBinarizer().fit_transform("
                f"{code if padded or not isinstance(y, list | np.ndarray) else name})`."
            )
    if len(present) < len(values):
        rest = as_float(present)
        if rest is not None:
            return missing_values(y, name)
    strange = _strange_columns(y, array, name)
    return ValueError(
        f"{name} is a 2-D array of dtype {array.dtype}; a multi-label indicator of 0 and 1 is "
        f"needed. {strange or f'{_BINARIZER} makes one of lists of labels.'}"
    )


def as_float(values: Any) -> np.ndarray | None:
    """Values as float64, None if there are others than numbers (as strings of digits are).

    Parameters
    ----------
    values : list or ndarray
        Any objects.

    Returns
    -------
    numbers : ndarray of float64 or None
    """
    if any(isinstance(value, str | bytes) for value in np.asarray(values).flat):
        return None
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _structured(array: np.ndarray, name: str) -> ValueError:
    code = f"numpy.lib.recfunctions.structured_to_unstructured({name})"
    fields = [array[field] for field in array.dtype.names]
    values = [value for field in fields for value in np.unique(field).tolist()]
    if any(isinstance(value, str | bytes) for value in values):
        yes = _spelled_yes(values)
        code = f"numpy.column_stack([{name}[field] for field in {name}.dtype.names])"
        if yes is not None:
            code = f"numpy.isin({code}, {yes}).astype('int8')"
    return ValueError(
        f"{name} is a structured array; a 2-D multi-label indicator of 0 and 1 is needed: "
        f"`{code}`."
    )


def _spelled_yes(values: list) -> list | None:
    """The values that say 1, if all say 0 or 1 in words or digits; None otherwise."""
    distinct = []
    for value in dict.fromkeys(values):
        word = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        word = word.strip().casefold()
        if word not in _YES | _NO:
            return None
        if word in _YES:
            distinct.append(value)
    return distinct


def _strange_columns(y: Any, array: np.ndarray, name: str) -> str | None:
    """What to do where a few columns hold more than 0 and 1, as an id does, others not."""
    if array.ndim != 2:
        return None
    strange = [
        k
        for k, column in enumerate(array.T)
        if (numbers := as_float(column.tolist())) is None
        or np.any((numbers != 0) & (numbers != 1))
    ]
    if not 0 < len(strange) <= min(3, array.shape[1] - 2):
        return None
    if any(len(set(map(str, array[:, k].tolist()))) <= 2 for k in strange):
        return None
    if _package(y) == "pandas":
        code = f"{name}.drop(columns={[y.columns[k] for k in strange]!r})"
    elif _package(y) == "polars":
        code = f"{name}.drop({[y.columns[k] for k in strange]!r})"
    else:
        code = f"numpy.delete({name}, {strange}, axis=1)"
    many = len(strange) > 1
    return (
        f"If the column{'s' * many} {', '.join(map(str, strange))} (counted from 0) "
        f"{'are no labels' if many else 'is no label'}, leave {'them' if many else 'it'} out: "
        f"`{code}`."
    )


def missing_values(y: Any, name: str) -> ValueError:
    """The error for NaN, None, NA or infinity in a table of numbers, dense or sparse.

    Parameters
    ----------
    y : object
        As given.
    name : str
        Name in the message.

    Returns
    -------
    error : ValueError
    """
    package = _package(y)
    if hasattr(y, "tocsr"):
        code = f"{name} = {name}.tocsr(); {name}.data[~numpy.isfinite({name}.data)] = 0"
    elif package == "pandas":
        code = f"{name}.replace([numpy.inf, -numpy.inf], 0).fillna(0)"
    elif package == "polars":
        code = f"{name}.fill_null(0).fill_nan(0)"
    else:
        code = f"numpy.nan_to_num(numpy.array({name}, dtype=float), posinf=0, neginf=0)"
    if not hasattr(y, "tocsr"):
        values = as_float(
            [value for value in as_array(y).ravel().tolist() if not _is_missing(value)]
        )
        if values is not None and _are_numbers_of_labels(values):
            return ValueError(
                f"Input {name} contains NaN or infinity, and numbers of labels. Turn it into an "
                f"indicator matrix with {_BINARIZER}: {_of_numbers(y, name, 'label == label')}."
            )
    return ValueError(
        f"Input {name} contains NaN or infinity. Drop these rows, or put 0 where a label is not "
        f"known to hold: `{code}`."
    )


def _are_numbers_of_labels(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(np.any((finite != 0) & (finite != 1)) and np.all(finite == np.floor(finite)))


def _of_numbers(y: Any, name: str, keep: str | None) -> str:
    rows = _rows(y, name)
    if keep and _package(y) == "pandas":
        rows = f"{name}.to_numpy(dtype=float, na_value=numpy.nan)"
    elif keep == "label == label":
        rows = f"numpy.array({name}, dtype=float)"
    if keep:
        rows = f"[[label for label in row if {keep}] for row in {rows}]"
    return f"`MultiLabelBinarizer().fit_transform({rows})`"


def only_zeros_and_ones(
    y: Any, array: Any, wrong: float, weights: str | None, name: str
) -> ValueError:
    """The error for numbers that are not 0, 1 or weights of labels.

    Parameters
    ----------
    y : object
        As given.
    array : ndarray or sparse matrix of shape (n_rows, n_labels)
        The same.
    wrong : float
        One of these numbers.
    weights : {"type", "whole"} or None
        Why they are no weights, where weights are allowed: not of a float type, or all
        whole.
    name : str
        Name in the message.

    Returns
    -------
    error : ValueError
    """
    lines = [
        f"Unknown label type: {name} must be a multi-label indicator with 0 and 1, but contains "
        f"{wrong:g}."
    ]
    if hasattr(array, "tocsr"):
        lines.append(
            "If these are counts, or entries that were given twice, make them 1: "
            f"`({name} > 0).astype('int8')`. If they are numbers of labels, turn them into an "
            f"indicator matrix with {_BINARIZER}: "
            f"`MultiLabelBinarizer(sparse_output=True).fit_transform({name}.tolil().data)`."
        )
    else:
        lines += _advice(y, np.asarray(array, dtype=np.float64), name)
    if weights is not None:
        lines.append(f"{_WEIGHTS}.")
    return ValueError(" ".join(lines))


def _advice(y: Any, array: np.ndarray, name: str) -> list[str]:
    """What numbers of labels, codes, counts, weights or a column too many need."""
    signs = f"`({_rows(y, name)} > 0).astype('int8')`"
    if np.all(np.isin(array, (-1, 0, 1))):
        return [
            f"If -1 says that the label does not hold: {signs}. Label lists are turned into an "
            f"indicator matrix by {_BINARIZER}."
        ]
    lines = []
    strange = _strange_columns(y, array, name)
    if strange is not None:
        lines.append(strange)
    whole = bool(np.all(array == np.floor(array)))
    if not whole:
        lines.append(
            "For probabilities or scores, choose the labels first, for example with "
            f"`({_rows(y, name)} > 0.5).astype('int8')`; label lists are turned into an "
            f"indicator matrix by {_BINARIZER}."
        )
        return lines
    filled = array != 0
    # Zeros at the ends of rows fill up lists of labels.
    padded = not np.all(filled) and not np.any(filled[:, 1:] & ~filled[:, :-1])
    keep = "label >= 0" if np.any(array < 0) else "label > 0" if padded else None
    counts = not np.all(filled) and not padded and not np.any(array < 0)
    if counts:
        lines.append(f"If these are counts: {signs}.")
    lines.append(
        f"If {'they' if counts else 'these'} are numbers of labels, turn them into an indicator "
        f"matrix with {_BINARIZER}: {_of_numbers(y, name, keep)}."
    )
    if np.all(filled) and np.any(np.diff(np.sort(array, axis=1), axis=1) == 0):
        lines.append(
            "If each column has classes of its own, use sklearn.preprocessing.OneHotEncoder: "
            f"`OneHotEncoder(dtype='int8').fit_transform({_rows(y, name)})`."
        )
    return lines
