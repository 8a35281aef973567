"""The search for cutoffs, and what a fitted one is."""

from .score_map import ScoreMap

# Where release 0.1.0 had it: its pickles name it here.
__all__ = ["ScoreMap"]
