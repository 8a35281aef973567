import numpy as np
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from skmultireduce.plotting import LabelThresholdDisplay, ThresholdCurveDisplay
from skmultireduce.threshold import FixedThresholdMultiLabel, ThresholdedMultiLabel

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

X, Y = make_multilabel_classification(n_samples=120, n_classes=4, random_state=0)


def tuned(**params):
    model = ThresholdedMultiLabel(
        OneVsRestClassifier(LogisticRegression()), cv=3, random_state=0, **params
    )
    return model.fit(X, Y)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("average", ["micro", "samples", "macro"])
@pytest.mark.parametrize("metric", ["jaccard", "f1"])
def test_from_predictions_marks_the_maximum(metric, average):
    scores = np.random.default_rng(0).normal(size=Y.shape)
    display = ThresholdCurveDisplay.from_predictions(
        Y, scores, metric=metric, average=average, precision_recall=True
    )
    assert display.best_score == pytest.approx(display.scores.max())
    np.testing.assert_allclose(display.best_.get_ydata(), [display.best_score])
    assert display.recall_line_ is not None
    assert display.recall[0] == 1
    assert average in display.ax_.get_ylabel()


@pytest.mark.parametrize("strategy", ["global", "adjusted", "relative", "top_k"])
def test_from_estimator_shows_the_tuned_cutoff(strategy):
    model = tuned(strategy=strategy)
    _, ax = plt.subplots()
    display = ThresholdCurveDisplay.from_estimator(model, X, Y, ax=ax, color="C3")
    assert display.ax_ is ax
    assert display.line_.get_color() == "C3"
    assert len(display.fold_lines_) == (0 if strategy == "top_k" else 3)
    predicted = model.predict(X)
    both, either = (predicted & Y).sum(), (predicted | Y).sum()
    assert display.best_score == pytest.approx(both / either)
    assert display.ax_.get_legend_handles_labels()[1][0] == "OneVsRestClassifier"


@pytest.mark.parametrize("fit", [False, True])
def test_from_estimator_shows_a_given_cutoff(fit):
    inner = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    model = FixedThresholdMultiLabel(inner, threshold=0.7)
    if fit:
        model.fit(X, Y)
    display = ThresholdCurveDisplay.from_estimator(model, X, Y)
    assert display.best_threshold == 0.7
    predicted = model.predict(X)
    assert display.best_score == pytest.approx((predicted & Y).sum() / (predicted | Y).sum())
    assert display.best_score < display.scores.max()
    each = FixedThresholdMultiLabel(inner, threshold=[0.1, 0.2, 0.3, 0.4]).fit(X, Y)
    with pytest.raises(ValueError, match="LabelThresholdDisplay"):
        ThresholdCurveDisplay.from_estimator(each, X, Y)
    points = LabelThresholdDisplay.from_estimator(each, Y).points_.get_offsets()
    np.testing.assert_allclose(points[:, 1], [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(("name", "shown"), [("logistic",) * 2, (None, "OneVsRestClassifier")])
def test_from_any_estimator(name, shown):
    inner = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    display = ThresholdCurveDisplay.from_estimator(
        inner, X, Y, response_method="decision_function", name=name
    )
    assert display.thresholds[0] < 0
    assert display.best_score == pytest.approx(display.scores.max())
    assert display.ax_.get_legend_handles_labels()[1][0] == shown


def test_label_display_shows_each_label():
    model = tuned(strategy="per_label")
    display = LabelThresholdDisplay.from_estimator(model, Y)
    np.testing.assert_allclose(
        display.points_.get_offsets(), np.column_stack([Y.sum(axis=0), model.best_threshold_])
    )
    assert display.errors_ is not None


def test_errors_name_the_remedy():
    per_label = tuned(strategy="per_label")
    with pytest.raises(ValueError, match="LabelThresholdDisplay"):
        ThresholdCurveDisplay.from_estimator(per_label, X, Y)
    with pytest.raises(ValueError, match="strategy='per_label'"):
        LabelThresholdDisplay.from_estimator(tuned(), Y)
    with pytest.raises(ValueError, match="y has 3 labels"):
        LabelThresholdDisplay.from_estimator(per_label, Y[:, :3])
    with pytest.raises(ValueError, match="metric='accuracy'"):
        ThresholdCurveDisplay.from_predictions(Y, Y * 1.0, metric="accuracy")
    with pytest.raises(ValueError, match="average='weighted'"):
        ThresholdCurveDisplay.from_predictions(Y, Y * 1.0, average="weighted")
    bare = ThresholdCurveDisplay(
        thresholds=np.zeros(1), scores=np.zeros(1), best_threshold=0, best_score=0, metric_name=""
    )
    with pytest.raises(ValueError, match="no precision and recall"):
        bare.plot(precision_recall=True)
