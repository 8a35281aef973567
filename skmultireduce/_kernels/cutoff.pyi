import numpy as np

def add_histogram(
    bits: np.ndarray, weight: np.ndarray, shift: int, histogram: np.ndarray
) -> int: ...
def add_bins(
    bits: np.ndarray,
    weight: np.ndarray,
    shift: int,
    alive: np.ndarray,
    first: np.ndarray,
    candidates: np.ndarray,
    counts: np.ndarray,
) -> None: ...
def add_label_bins(
    bits: np.ndarray,
    weight: np.ndarray,
    first: np.ndarray,
    candidates: np.ndarray,
    counts: np.ndarray,
) -> None: ...
def add_candidate_bins(
    bits: np.ndarray,
    labels: np.ndarray,
    weight: np.ndarray,
    first: np.ndarray,
    candidates: np.ndarray,
    counts: np.ndarray,
) -> None: ...
def add_cut(
    scores: np.ndarray,
    value: np.ndarray,
    lowest: np.ndarray,
    below: np.ndarray,
    highest: np.ndarray,
    predicted: np.ndarray,
) -> None: ...
def add_candidate_cut(
    scores: np.ndarray,
    labels: np.ndarray,
    value: np.ndarray,
    lowest: np.ndarray,
    below: np.ndarray,
    highest: np.ndarray,
    predicted: np.ndarray,
) -> None: ...
def add_common_cut(
    scores: np.ndarray, value: np.ndarray, sides: np.ndarray, predicted: np.ndarray
) -> None: ...
def top_labels(scores: np.ndarray, out: np.ndarray) -> None: ...
