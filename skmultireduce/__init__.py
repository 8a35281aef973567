"""Multi-label classification by reduction to multi-class classification."""

from skmultireduce.diagnosis import diagnose
from skmultireduce.linear import MultiLabelSGDClassifier
from skmultireduce.neural import MultiLabelMLPClassifier
from skmultireduce.reduction import MultiClassReduction
from skmultireduce.threshold import FixedThresholdMultiLabel, ThresholdedMultiLabel

__version__ = "0.1.0"

__all__ = [
    "FixedThresholdMultiLabel",
    "MultiClassReduction",
    "MultiLabelMLPClassifier",
    "MultiLabelSGDClassifier",
    "ThresholdedMultiLabel",
    "__version__",
    "diagnose",
]
