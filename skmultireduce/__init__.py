"""Multi-label classification by reduction to multi-class classification."""

from ._version import __version__
from .diagnosis import diagnose
from .label_lists import LabelListClassifier
from .linear import MultiLabelSGDClassifier
from .neural import MultiLabelMLPClassifier
from .persistence import load_model, model_info, save_model
from .reduction import MultiClassReduction
from .threshold import FixedThresholdMultiLabel, ThresholdedMultiLabel
from .tree import LabelTreeClassifier

__all__ = [
    "FixedThresholdMultiLabel",
    "LabelListClassifier",
    "LabelTreeClassifier",
    "MultiClassReduction",
    "MultiLabelMLPClassifier",
    "MultiLabelSGDClassifier",
    "ThresholdedMultiLabel",
    "__version__",
    "diagnose",
    "load_model",
    "model_info",
    "save_model",
]
