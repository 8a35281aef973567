"""Multi-label classification by reduction to multi-class classification."""

__version__ = "0.1.0"

__all__ = ["__version__"]
