import numpy as np
from numpy.typing import NDArray

LOSS_CODES: dict[str, int]
LABEL_GROUP: int

def sgd_epoch(
    W: NDArray[np.floating],
    intercept: NDArray[np.floating],
    weight_scale: NDArray[np.float64],
    data: NDArray[np.floating],
    indices: NDArray[np.integer],
    indptr: NDArray[np.int64],
    order: NDArray[np.int64],
    label_start: NDArray[np.int64],
    label_stop: NDArray[np.int64],
    labels: NDArray[np.int32],
    label_weight: NDArray[np.floating],
    row_weight: NDArray[np.floating],
    max_step: NDArray[np.floating],
    loss_code: int,
    soft_target: bool,
    eta: float,
    eta_change: float,
    alpha: float,
    intercept_rate: float,
    first_label: int,
    last_label: int,
    buffers: NDArray[np.floating],
    loss: NDArray[np.float64],
) -> None: ...
def linear_scores(
    W: NDArray[np.floating],
    intercept: NDArray[np.floating],
    weight_scale: float,
    data: NDArray[np.floating],
    indices: NDArray[np.integer],
    indptr: NDArray[np.int64],
    first_row: int,
    last_row: int,
    first_label: int,
    last_label: int,
    out: NDArray[np.floating],
) -> None: ...
def sparse_scores(
    weights: NDArray[np.floating],
    labels: NDArray[np.integer],
    starts: NDArray[np.integer],
    intercept: NDArray[np.floating],
    data: NDArray[np.floating],
    indices: NDArray[np.integer],
    indptr: NDArray[np.int64],
    first_row: int,
    last_row: int,
    out: NDArray[np.floating],
) -> None: ...
def softmax_rows(scores: NDArray[np.floating]) -> None: ...
def expit_rows(scores: NDArray[np.floating]) -> None: ...
def exp_nonpositive(x: NDArray[np.floating]) -> None: ...
