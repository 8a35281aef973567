"""Multi-label classification by reduction to multi-class classification."""

from skmultireduce.linear import MultiLabelSGDClassifier

__version__ = "0.1.0"

__all__ = ["MultiLabelSGDClassifier", "__version__"]
