from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.naive_bayes import GaussianNB
from sklearn.linear_model import LogisticRegression, SGDClassifier
from skmultireduce.reduction import MultiClassReduction
import pytest
@pytest.mark.filterwarnings('ignore:.*have no label:UserWarning')
@parametrize_with_checks([MultiClassReduction(GaussianNB()), MultiClassReduction(LogisticRegression(),size_model="joint",decision="f1"),
 MultiClassReduction(GaussianNB(),size_model="expected"), MultiClassReduction(LogisticRegression(),reduction="pick_one",unlabeled="none")])
def test_sk(estimator, check):
    check(estimator)
