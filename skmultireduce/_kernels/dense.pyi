import numpy as np

def dense_epoch(
    parameters: tuple[np.ndarray, ...],
    X: np.ndarray,
    order: np.ndarray,
    targets: tuple[np.ndarray | int | bool, ...],
    max_step: np.ndarray,
    eta: float,
    eta_change: float,
    alpha: float,
    intercept_rate: float,
    first_label: int,
    last_label: int,
    n_labels: int,
    own_products: bool,
    thread: int,
    n_threads: int,
    barrier: np.ndarray,
    meeting: np.ndarray,
    work: tuple[np.ndarray, ...],
    loss: np.ndarray,
) -> None: ...
def label_bounds(n_labels: int) -> list[int]: ...
def dense_scores(
    W: np.ndarray,
    intercept: np.ndarray,
    weight_scale: float,
    X: np.ndarray,
    first_row: int,
    last_row: int,
    first_label: int,
    last_label: int,
    own_products: bool,
    rows: np.ndarray,
    out: np.ndarray,
) -> None: ...
