"""Any sequence of fit, partial_fit, predict, clone, pickle and set_params.

The model of what must hold: the classifier's bits depend only on the parameters and the
training calls, not on what else was done to it in between.
"""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmultireduce import MultiLabelSGDClassifier

_RNG = np.random.default_rng(3)
Y = (_RNG.random((24, 3)) < 0.5).astype(np.int8)
Y[Y.sum(axis=1) == 0, 0] = 1
X = np.round(Y @ _RNG.normal(size=(3, 4)) + _RNG.normal(size=(24, 4)), 2)
MAX_ITER = 4


def bits(model):
    return model.coef_.tobytes() + model.intercept_.tobytes()


class Machine(RuleBasedStateMachine):
    """The classifier, and the list of calls that a straight run would take."""

    @initialize(
        reduction=st.sampled_from(["pick_one", "pick_all", "one_vs_rest"]),
        average=st.booleans(),
        learning_rate=st.sampled_from(["linear", "invscaling"]),
        alpha=st.sampled_from(["auto", 0.0]),
    )
    def start(self, **parameters):
        self.parameters = {**parameters, "max_iter": MAX_ITER, "random_state": 5}
        self.model = MultiLabelSGDClassifier(**self.parameters)
        # Epochs since the last start from nothing, each "fit" of MAX_ITER or "partial".
        self.calls = []

    def straight_run(self):
        model = MultiLabelSGDClassifier(**self.parameters)
        for call in self.calls:
            if call == "partial":
                model.partial_fit(X, Y)
            else:
                model.set_params(warm_start=True).fit(X, Y)
        return model

    @rule()
    def fit(self):
        self.model.fit(X, Y)
        if not self.model.warm_start:
            self.calls = []
        self.calls.append("fit")

    @rule()
    def partial_fit(self):
        self.model.partial_fit(X, Y)
        self.calls.append("partial")

    @rule(warm_start=st.booleans())
    def set_warm_start(self, warm_start):
        self.model.set_params(warm_start=warm_start)

    @rule(n_jobs=st.sampled_from([None, 1, 2]), verbose=st.just(0))
    def set_params_without_effect(self, **parameters):
        self.model.set_params(**parameters)

    @rule()
    def round_trip(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @rule()
    def clone_is_unfitted_and_leaves_the_model(self):
        other = clone(self.model)
        assert other.get_params() == self.model.get_params()
        with pytest.raises(NotFittedError):
            other.predict(X)

    @rule()
    def become_a_clone(self):
        self.model = clone(self.model)
        self.calls = []

    @precondition(lambda self: self.calls)
    @rule()
    def predict_changes_nothing(self):
        before = bits(self.model)
        self.model.predict(X)
        self.model.predict_proba(X)
        self.model.decision_function(X)
        assert bits(self.model) == before

    @precondition(lambda self: self.calls)
    @rule(bad=st.sampled_from([X[:, :2], X[:-1], np.full_like(X, np.nan), "text"]))
    def rejected_rows_change_nothing(self, bad):
        before = bits(self.model), self.model.n_iter_, self.model.t_
        with pytest.raises((ValueError, TypeError)):
            self.model.partial_fit(bad, Y)
        assert (bits(self.model), self.model.n_iter_, self.model.t_) == before

    @invariant()
    def counters_and_bits(self):
        if not self.calls:
            with pytest.raises(NotFittedError):
                self.model.predict(X)
            return
        straight = self.straight_run()
        assert bits(self.model) == bits(straight)
        assert self.model.n_iter_ == straight.n_iter_ == len(self.model.loss_curve_)
        assert self.model.t_ == self.model.n_iter_ * len(X)
        assert self.model.loss_curve_ == straight.loss_curve_


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
