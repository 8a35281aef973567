"""What early stopping saves on real data, and what it costs."""

import pytest

from conftest import best_micro_jaccard
from skmultireduce import MultiLabelSGDClassifier


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
