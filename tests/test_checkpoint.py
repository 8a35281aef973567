"""Checkpoints: the bits of the uninterrupted run, from any of them; nothing damaged is read."""

import errno
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from test_stream import IDS, MODELS, Hook, X, Y, bits, blocks_of

import skmultireduce.checkpoint as module
from skmultireduce import (
    LabelTreeClassifier,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce.checkpoint import Checkpoint, load_checkpoint

BLOCKS = blocks_of(30, 90)
FORMS = [
    {},
    {"average": 2},
    {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 12},
    {"early_stopping": False, "tol": 0.5, "n_iter_no_change": 2, "max_iter": 12},
]


def fit(model, *, stream, early_stopping=False):
    if not stream:
        return model.fit(X, Y)
    extra = {"X_val": X[:40], "y_val": Y[:40]} if early_stopping else {}
    return model.fit_stream(BLOCKS, **extra)


@pytest.mark.parametrize("stream", [False, True], ids=["fit", "fit_stream"])
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_every_state_goes_on_to_the_bits_of_the_whole(model, form, stream, tmp_path, monkeypatch):
    model = clone(model).set_params(**form, warm_start=True)
    how = {"stream": stream, "early_stopping": form.get("early_stopping", False)}
    path = tmp_path / "run"
    states = []
    write = module._write

    def written(*args):
        write(*args)
        states.append(path.read_bytes())

    monkeypatch.setattr(module, "_write", written)
    whole = fit(Checkpoint(path, seconds=0).resume(model), **how)
    assert bits(whole) == bits(fit(clone(model), **how))
    epochs = whole.n_iter_
    assert len(states) == epochs * (4 if stream else 1)
    assert "early_stopping" not in form or epochs < 12
    for state in states:
        path.write_bytes(state)
        again = Checkpoint(path, seconds=1e9)
        assert bits(fit(again.resume(model), **how)) == bits(whole)
        assert again.n_written == 0
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def checkpoint_of(tmp_path):
    model = clone(MODELS[0]).set_params(warm_start=True)
    path = tmp_path / "run"
    model.set_callbacks(Checkpoint(path, seconds=0)).fit(X, Y)
    return model, path


def test_of_200_flipped_bits_all_are_noticed(tmp_path):
    _, path = checkpoint_of(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    places = [0, len(whole) - 1, *rng.integers(len(whole), size=198).tolist()]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is damaged|is no checkpoint"):
            load_checkpoint(path)
    path.write_bytes(whole)
    load_checkpoint(path)


@pytest.mark.parametrize("length", [0, 5, 27, 40, 59, -1, -33, None])
def test_truncated_or_longer(tmp_path, length):
    model, path = checkpoint_of(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"0" if length is None else whole[:length])
    with pytest.raises(ValueError, match=r"run is damaged|run is no checkpoint"):
        Checkpoint(path).resume(model)


def test_what_is_damaged_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "run"
    path.write_bytes(module._HEAD + pickle.dumps(Bomb()) + bytes(32))
    with pytest.raises(ValueError, match="is damaged"):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_a_state_has_no_callbacks_and_the_run_keeps_its_own(tmp_path):
    model, path = checkpoint_of(tmp_path)
    assert not [name for name in vars(load_checkpoint(path)) if "callback" in name]
    before = path.stat().st_mtime_ns
    model.fit(X, Y)
    assert path.stat().st_mtime_ns != before


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=repr)
def test_what_cannot_be_written_leaves_the_state_before(tmp_path, monkeypatch, step, error):
    model, path = checkpoint_of(tmp_path)
    before = path.read_bytes()

    def fail(*args):
        raise error

    if step == "write":
        monkeypatch.setattr(module._Summed, "write", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        clone(model).set_callbacks(Checkpoint(path, seconds=0)).fit(X, Y)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_the_data_are_on_the_disk_before_the_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def synced(number):
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{number}") else "file")
        fsync(number)

    def renamed(old, new):
        steps.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    checkpoint_of(tmp_path)
    if Path("/proc/self/fd").exists():
        assert steps == ["file", "name", "folder"] * 4


def test_as_often_as_asked(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def tick(*_):
        now[0] += 1.0

    checkpoint = Checkpoint(tmp_path / "run", seconds=2.5)
    model = clone(MODELS[0]).set_params(warm_start=True, max_iter=10)
    model.set_callbacks(Hook(tick), checkpoint).fit(X, Y)
    # After epochs 3, 6 and 9.
    assert checkpoint.n_written == 3
    assert load_checkpoint(tmp_path / "run").n_iter_ == 9


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_seconds(seconds):
    with pytest.raises(ValueError, match="seconds should be in"):
        Checkpoint("run", seconds=seconds)


def test_refuses_who_cannot_go_on(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run", seconds=0)
    for other in (ThresholdedMultiLabel(MODELS[0]), LabelTreeClassifier(warm_start=True)):
        with pytest.raises(ValueError, match=r"does not go on with a run.*MLPClassifier do"):
            checkpoint.resume(other)
        with pytest.raises(ValueError, match="does not go on with a run"):
            clone(other).set_callbacks(checkpoint).fit(X, Y)
    with pytest.raises(ValueError, match="Set warm_start=True"):
        checkpoint.resume(MODELS[0])
    with pytest.raises(ValueError, match="Set warm_start=True"):
        clone(MODELS[0]).set_callbacks(checkpoint).fit(X, Y)
    assert not list(tmp_path.iterdir())


def test_refuses_the_state_of_another_class(tmp_path):
    _, path = checkpoint_of(tmp_path)
    with pytest.raises(ValueError, match="of a MultiLabelSGDClassifier, not of a MultiLabelMLP"):
        Checkpoint(path).resume(MultiLabelMLPClassifier(warm_start=True))


def test_goes_on_by_the_parameters_that_are_given(tmp_path):
    model, path = checkpoint_of(tmp_path)
    longer = Checkpoint(path).resume(clone(model).set_params(max_iter=9)).fit(X, Y)
    assert longer.n_iter_ == 9
    clone(model).set_callbacks(Checkpoint(path, seconds=0)).fit_stream(BLOCKS)
    changed = Checkpoint(path).resume(clone(model).set_params(alpha=0.5))
    with pytest.raises(ValueError, match=r"alpha=0\.5 is another value"):
        changed.fit_stream(BLOCKS)


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_stream import Hook, MODELS, X, Y, blocks_of, clone
from skmultireduce.checkpoint import Checkpoint

def kill(estimator, name, calls):
    if calls == 7:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint = Checkpoint(sys.argv[1], seconds=0)
model = checkpoint.resume(clone(MODELS[0]).set_params(warm_start=True))
if sys.argv[2] == "killed":
    model.set_callbacks(checkpoint, Hook(kill))
model.fit_stream(blocks_of(30, 90))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_script_that_was_killed_is_called_again(tmp_path):
    command = [sys.executable, "-c", KILLED.format(tests=str(Path(__file__).parent))]
    path = tmp_path / "run"
    killed = subprocess.run([*command, path, "killed"], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = load_checkpoint(path)
    assert (state.n_iter_, state._training.position.block) == (1, 3)
    subprocess.run([*command, path, "again"], check=True)
    model = clone(MODELS[0]).set_params(warm_start=True)
    assert bits(Checkpoint(path).resume(model).fit_stream(BLOCKS)) == bits(
        clone(model).fit_stream(BLOCKS)
    )


def test_a_state_holds_no_rows(tmp_path):
    path = tmp_path / "run"
    many = sp.vstack([X] * 200), np.tile(Y, (200, 1))
    model = MultiLabelSGDClassifier(max_iter=1, warm_start=True, random_state=0)
    model.set_callbacks(Checkpoint(path, seconds=0)).fit(*many)
    assert path.stat().st_size < many[0].data.nbytes / 5
