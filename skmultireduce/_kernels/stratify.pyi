import numpy as np

def assign_folds(
    row_indptr: np.ndarray,
    row_labels: np.ndarray,
    label_indptr: np.ndarray,
    label_rows: np.ndarray,
    share: np.ndarray,
    size_weight: float,
    wanted: np.ndarray,
    room: np.ndarray,
    folds: np.ndarray,
    remaining: np.ndarray,
    head: np.ndarray,
    after: np.ndarray,
    before: np.ndarray,
) -> None: ...
def exchange_rows(
    row_indptr: np.ndarray,
    row_labels: np.ndarray,
    label_indptr: np.ndarray,
    label_rows: np.ndarray,
    wanted: np.ndarray,
    folds: np.ndarray,
    budget: int,
) -> None: ...
