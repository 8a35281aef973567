import numpy as np

IDENTITY: int
RELU: int
TANH: int
LABEL_BLOCK: int
LABEL_GROUP: int
HAS_THREADS: bool
HAS_PRODUCTS: bool
PRODUCTS_PAY: bool

def mlp_epoch(
    parameters: tuple[np.ndarray, ...],
    widths: np.ndarray,
    activation: int,
    rows: tuple[np.ndarray, ...],
    row_factor: np.ndarray,
    order: np.ndarray,
    targets: tuple[np.ndarray | int | bool, ...],
    curvature: np.ndarray,
    kept: np.ndarray,
    kept_factor: float,
    eta: float,
    eta_change: float,
    alpha: float,
    rates: tuple[float, ...],
    largest_step: float,
    largest_change: float,
    sample: tuple[np.ndarray, ...],
    thread: int,
    n_threads: int,
    barrier: np.ndarray,
    own_products: bool,
    work: tuple[np.ndarray, ...],
    meeting: np.ndarray,
    loss: np.ndarray,
) -> None: ...
def mlp_scores(
    embedding: np.ndarray,
    embedding_scale: float,
    hidden: np.ndarray,
    output: np.ndarray,
    intercept: np.ndarray,
    widths: np.ndarray,
    activation: int,
    data: np.ndarray,
    indices: np.ndarray,
    indptr: np.ndarray,
    row_factor: np.ndarray,
    first_row: int,
    last_row: int,
    own_products: bool,
    layers: np.ndarray,
    transposed: np.ndarray,
    flipped: np.ndarray,
    zeros: np.ndarray,
    out: np.ndarray,
) -> None: ...
