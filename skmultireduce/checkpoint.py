"""Checkpoints of long runs: written as a whole or not at all, and read as a whole or refused."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from sklearn.base import clone

from ._training.estimator import BaseSGDMultiLabel

__all__ = ["Checkpoint", "load_checkpoint"]

# A file is this line, a pickle, and the SHA-256 of both.
_HEAD = b"skmultireduce checkpoint 1\n"
_SUM_SIZE = hashlib.sha256().digest_size
_READ_SIZE = 1 << 20


class Checkpoint:
    """Callback that writes the state of a run to a file, to go on with it after a crash.

    For `fit` and `fit_stream` of estimators with ``warm_start=True``. The state is written after
    blocks and epochs. A run that goes on from it ends with the bits of one that was never
    stopped, whenever that was: also after the last epoch, when nothing is left to train.

    The file is complete at any time: a new one is written beside it (with the ending ``.new``),
    brought to the disk (`fsync`) and only then given its name. It ends with a checksum, without
    which it is not read.

    Parameters
    ----------
    path : str or path-like
        Of the file.
    seconds : float, default=60.0
        Least time between two states; in [0, inf). 0: after each block and epoch. A state takes
        about as long to write as the weights take to copy to the disk.

    Attributes
    ----------
    n_written : int
        Number of states that were written.

    See Also
    --------
    load_checkpoint : Read a state.

    Notes
    -----
    Callbacks are no part of the file. Blocks, and parameters that a run reads when it begins,
    must be the same when it goes on; see `MultiLabelSGDClassifier.fit_stream`.

    Examples
    --------
    A script that begins, and goes on where it was when it is called again:

    >>> import os, tempfile
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.checkpoint import Checkpoint
    >>> X, y = make_multilabel_classification(allow_unlabeled=False, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(os.path.join(folder, "run"), seconds=0)
    ...     model = MultiLabelSGDClassifier(max_iter=5, warm_start=True, random_state=0)
    ...     model = checkpoint.resume(model).fit(X, y)
    ...     again = checkpoint.resume(model).fit(X, y)
    >>> model.n_iter_, again.n_iter_, bool((model.coef_ == again.coef_).all())
    (5, 5, True)
    """

    def __init__(self, path: str | os.PathLike[str], *, seconds: float = 60.0) -> None:
        if not seconds >= 0:
            raise ValueError(f"seconds should be in [0, inf), got {seconds!r}.")
        self.path = Path(path)
        self.seconds = seconds
        self.n_written = 0
        self._last = 0.0

    def resume(self, estimator: Any) -> Any:
        """Give the estimator to call `fit` or `fit_stream` of, with this callback.

        Parameters
        ----------
        estimator : estimator
            With ``warm_start=True``. Its parameters are those that the run goes on with.

        Returns
        -------
        estimator : estimator
            Not fitted, or with the state of the file if there is one. It has no other
            callbacks: set them after, together with this one.

        Raises
        ------
        ValueError
            If the file is damaged or none of `Checkpoint`, or is of another class of estimator;
            if the estimator cannot go on with a run.
        """
        _check_resumes(estimator)
        if not self.path.exists():
            return clone(estimator).set_callbacks(self)
        state = load_checkpoint(self.path)
        if type(state) is not type(estimator):
            raise ValueError(
                f"{self.path} is the state of a {type(state).__name__}, not of a "
                f"{type(estimator).__name__}. Remove the file to begin anew, or choose "
                "another path."
            )
        return state.set_params(**estimator.get_params(deep=False)).set_callbacks(self)

    # ------------------------------------------------------------ hooks of scikit-learn
    def setup(self, estimator: Any, context: Any) -> None:
        """Refuse what could not go on; called when a run begins.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : CallbackContext
            Of its run, or of a task of it.
        """
        _check_resumes(estimator)
        self._last = time.monotonic()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : CallbackContext
            Of its run, or of a task of it.
        """

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Write the state after a block or an epoch, if it is time.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : CallbackContext
            Of its run, or of a task of it.
        """
        # Not at the end of a run, which would leave nothing to go on with.
        due = time.monotonic() - self._last >= self.seconds
        if due and context.task_name in ("block", "epoch"):
            _write(self.path, copy.copy(estimator).set_callbacks())
            self.n_written += 1
            self._last = time.monotonic()

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : CallbackContext
            Of its run, or of a task of it.
        """


def load_checkpoint(path: str | os.PathLike[str]) -> Any:
    """Read the state that `Checkpoint` has written.

    It is a pickle: read files only from whom you would run code of.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator : estimator
        As after the block or epoch at whose end it was written; without callbacks.

    Raises
    ------
    ValueError
        If the file is damaged, or none of `Checkpoint`. Nothing of it is run then.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.checkpoint import Checkpoint, load_checkpoint
    >>> X, y = make_multilabel_classification(allow_unlabeled=False, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run")
    ...     model = MultiLabelSGDClassifier(max_iter=5, warm_start=True, random_state=0)
    ...     model = model.set_callbacks(Checkpoint(path, seconds=0)).fit(X, y)
    ...     load_checkpoint(path).n_iter_
    5
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size - _SUM_SIZE
        if file.read(len(_HEAD)) != _HEAD:
            raise ValueError(
                f"{os.fspath(path)} is no checkpoint of this form, or its first bytes are damaged."
            )
        file.seek(0)
        if _sum_of(file, size) != file.read(_SUM_SIZE):
            raise ValueError(
                f"{os.fspath(path)} is damaged: its checksum does not fit. Remove it, and begin "
                "anew or go on from an older copy."
            )
        file.seek(len(_HEAD))
        return pickle.load(file)


def _check_resumes(estimator: Any) -> None:
    name = type(estimator).__name__
    if not isinstance(estimator, BaseSGDMultiLabel) or not hasattr(estimator, "fit_stream"):
        raise ValueError(
            f"A {name} does not go on with a run that was stopped; MultiLabelSGDClassifier and "
            "MultiLabelMLPClassifier do. Train one of them with the checkpoint first, or fit "
            "without it."
        )
    if not estimator.warm_start:
        raise ValueError(f"Set warm_start=True: without it a {name} does not go on with a run.")


def _sum_of(file: BinaryIO, size: int) -> bytes:
    """SHA-256 of the next bytes."""
    total = hashlib.sha256()
    while size > 0 and (part := file.read(min(size, _READ_SIZE))):
        total.update(part)
        size -= len(part)
    return total.digest()


class _Summed:
    """File for a pickle, of which the checksum is known at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.total = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.total.update(data)
        return self._file.write(data)


def _write(path: Path, estimator: Any) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        with open(new, "wb") as file:
            summed = _Summed(file)
            summed.write(_HEAD)
            pickle.dump(estimator, summed, protocol=pickle.HIGHEST_PROTOCOL)
            file.write(summed.total.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    if os.name == "posix":
        # The name is of the folder.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
