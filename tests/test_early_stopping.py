"""What early stopping saves on real data, and what it costs."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from conftest import best_micro_jaccard, random_problem
from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier


@pytest.mark.parametrize("reduction", ["pick_all_normalized", "one_vs_rest"])
def test_it_saves_epochs_at_little_loss(tmc2007, reduction):
    X, y, X_test, y_test = tmc2007
    # Averaged weights do not need the small steps at the end of the schedule.
    model = MultiLabelSGDClassifier(
        reduction=reduction, max_iter=100, average=True, random_state=0
    )
    full = best_micro_jaccard(y_test, model.fit(X, y).predict_proba(X_test))
    plain = MultiLabelSGDClassifier(reduction=reduction, max_iter=100, random_state=0)
    full = max(full, best_micro_jaccard(y_test, plain.fit(X, y).predict_proba(X_test)))
    model.set_params(early_stopping=True).fit(X, y)
    assert model.n_iter_ <= 70
    assert best_micro_jaccard(y_test, model.predict_proba(X_test)) >= 0.99 * full


@pytest.mark.parametrize("average", [False, True, 4])
@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
def test_the_model_of_the_best_epoch_is_kept_with_its_mean(cls, average):
    X, y = random_problem(3)
    y[:, 0] = 1
    scores = []

    def best_in_epoch_2(model, X, y):
        scores.append(model.decision_function(X))
        return -abs(model.n_iter_ - 2)

    model = cls(
        early_stopping=True, scoring=best_in_epoch_2, average=average, max_iter=6,
        n_iter_no_change=9, random_state=0,
    )  # fmt: skip
    model.fit(X, y, X_val=X, y_val=y)
    assert model.n_iter_ == 6
    np.testing.assert_array_equal(model.decision_function(X), scores[1])
    # The next epoch enters a mean of two.
    model.set_params(early_stopping=False, scoring=None).partial_fit(X, y)
    assert model._training.n_averaged == {False: 0, True: 3, 4: 1}[average]


@pytest.mark.parametrize("later", [False, 9])
@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
def test_a_mean_of_earlier_epochs_does_not_hide_later_ones(cls, later):
    X, y = random_problem(3)
    y[:, 0] = 1
    averaged = cls(average=True, learning_rate="linear", max_iter=4, random_state=0)
    plain = cls(learning_rate="linear", max_iter=4, random_state=0)
    for model in (averaged, plain):
        model.partial_fit(X, y).partial_fit(X, y)
    averaged.set_params(average=later)
    for model in (averaged, plain):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(averaged.decision_function(X), plain.decision_function(X))
    # Nor does a new model carry it along.
    averaged.set_params(average=True).fit(X, y).set_params(average=False).fit(X, y)
    assert averaged._training.mean is None


@pytest.mark.parametrize("scoring", [None, "f1_micro"])
@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
def test_label_weights_are_labels_to_early_stopping(cls, scoring):
    X, y = random_problem(3)
    y[:, 0] = 1
    weighted = y * np.random.default_rng(0).uniform(0.5, 2, y.shape)
    model = cls(early_stopping=True, scoring=scoring, max_iter=3, random_state=0)
    own = model.fit(X, weighted, X_val=X, y_val=weighted).validation_scores_
    assert model.fit(X, weighted, X_val=X, y_val=y).validation_scores_ == own
    assert len(model.fit(X, weighted).validation_scores_) == 3


def test_scoring_by_name_takes_y_in_any_container():
    X, y = random_problem(3)
    y[:, 0] = 1
    model = MultiLabelSGDClassifier(
        early_stopping=True, scoring="f1_micro", max_iter=3, random_state=0
    )
    expected = model.fit(X, y).validation_scores_
    frame = pd.DataFrame(y).astype("Int64")
    assert model.fit(X, frame).validation_scores_ == expected


def test_validation_rows_that_do_not_fit_are_named():
    X, y = random_problem(3)
    y[:, 0] = 1
    model = MultiLabelSGDClassifier(early_stopping=True, max_iter=3, random_state=0)
    for n_X, n_y in ((5, 9), (9, 5)):
        with pytest.raises(ValueError, match="in X_val and y_val"):
            model.fit(X, y, X_val=X[:n_X], y_val=y[:n_y])
    with pytest.raises(ValueError, match="X_val is not valid"):
        model.fit(X, y, X_val=X[:, 1:], y_val=y)


@pytest.mark.parametrize("score", [np.nan, "high"])
def test_a_score_that_compares_with_none_is_refused(score):
    X, y = random_problem(3)
    y[:, 0] = 1
    model = MultiLabelSGDClassifier(early_stopping=True, scoring=lambda model, X, y: score)
    with pytest.raises(ValueError, match="scoring"):
        model.fit(X, y)


class Interrupt:
    """Callback that stops after an epoch, or pickles the model there."""

    def __init__(self, epoch, *, stop):
        self.epoch, self.stop = epoch, stop

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and estimator.n_iter_ == self.epoch:
            self.checkpoint = pickle.dumps(estimator)
            return self.stop
        return False


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("epoch", [1, 4, 6])
@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True},
        {"early_stopping": True, "average": 3},
        {"tol": 0.05},
    ],
)
@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
@pytest.mark.filterwarnings("ignore:.*without the loss settling")
def test_a_run_that_was_interrupted_judges_its_epochs_as_a_whole(cls, options, epoch, stop):
    X, y = random_problem(3)
    y[:, 0] = 1
    # The best epoch is the third; five without a better one are the patience.
    if "early_stopping" in options:
        options = options | {"scoring": _best_in_epoch_3}
    model = cls(max_iter=12, warm_start=True, random_state=0, **options)
    whole = clone(model).fit(X, y)
    interrupt = Interrupt(epoch, stop=stop)
    other = clone(model).set_callbacks(interrupt).fit(X, y)
    if not stop:
        other = pickle.loads(interrupt.checkpoint)
    elif "early_stopping" in options:
        # What can be used until it goes on is the best so far.
        assert other._training.progress.best.n_averaged == other._training.n_averaged
    other.set_callbacks().fit(X, y)
    assert other.n_iter_ == whole.n_iter_
    assert other.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(other.decision_function(X), whole.decision_function(X))
    if "early_stopping" in options:
        assert other.validation_scores_ == whole.validation_scores_
        assert other.best_validation_score_ == whole.best_validation_score_
    assert other._training.progress is None


def _best_in_epoch_3(model, X, y):
    return -abs(model.n_iter_ - 3)
