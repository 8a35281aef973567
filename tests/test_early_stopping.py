"""What early stopping saves on real data, and what it costs."""

import numpy as np
import pytest

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
    assert model._n_averaged == {False: 0, True: 3, 4: 1}[average]
