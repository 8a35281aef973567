"""One epoch of SGD for linear models on dense rows, and their scores, by matrix products.

Design
------
Rows are taken in blocks. The weights that row i of a block meets are those before the block
less the updates for the rows before it, so that its scores are

    z_i = s_i (V x_i - sum_j<i (step_j / s_j) (x_j . x_i) g_j) + b - rate sum_j<i step_j g_j

with weights s V, s the factor that the L2 penalty changes: one product for the block, one for
the inner products, and a correction of each row by the gradients before it, most of it again a
product (`output_layer.pxd`, which the MLP shares). The update of V is one product too. The
result is that of `linear.pyx`'s row by row, but for rounding.

Rows are copied to a block of their own, times s_i over the block's first s, by which X may be of
any type and layout: no second copy of it is needed.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from skmultireduce._kernels.buffers cimport (
    FLOAT16,
    FLOAT32,
    FLOAT64,
    FLOATS,
    INT64,
    Array,
    Matrix,
    size_of,
    take,
    take_matrix,
)
from skmultireduce._kernels.losses cimport GROUP, Targets, is_softmax, take_targets
from skmultireduce._kernels.output_layer cimport Batch, binary_rows, softmax_rows
from skmultireduce._kernels.panels cimport Panel, Rates, take_panel
from skmultireduce._kernels.products cimport (
    NO_TRANS,
    TRANS,
    gemm,
    multiply,
    skm_load_blas,
    transpose,
)
from skmultireduce._kernels.shares cimport (
    Share,
    block_end,
    meet,
    n_blocks_of,
    share_labels,
)
from skmultireduce._kernels.simd cimport real, scale, skm_prefetch, subtract

cdef extern from "simd_gather.h" nogil:
    void skm_gather_float(
        float* out, const char* x, int64_t right, int size, int64_t n, float factor)
    void skm_gather_double(
        double* out, const char* x, int64_t right, int size, int64_t n, double factor)

cdef enum:
    # Threads have at most so many panels of labels of so many labels at least: blocks are small
    # enough for these (which costs nothing: 48 labels a product, or 96, take the same time).
    _PANELS = 8
    _PANEL = 48
    # Rows whose inner products with all rows before them are one product.
    _STRIP = 16

skm_load_blas()

cdef struct Room:
    # Rows of the block (size, n_features), for our own products also transposed.
    void* rows
    void* flipped
    # Their inner products.
    void* products
    # Of each row: step times weight, s over the block's first.
    void* steps
    void* ratios
    int64_t* chosen
    # Scores and gradients; columns of either.
    void* Z
    void* G
    int64_t stride


cdef inline int64_t n_blocks_for(int64_t n_labels) noexcept nogil:
    cdef int64_t n = n_labels // _PANEL, least = n_blocks_of(n_labels)
    n = n if n < _PANELS else _PANELS
    return n if n > least else least


cdef inline int64_t label_bound(int64_t n_labels, int64_t block) noexcept nogil:
    # Where a block of labels begins, as `share_labels` has it.
    cdef int64_t n_blocks = n_blocks_for(n_labels), n_groups = (n_labels + GROUP - 1) // GROUP
    return n_labels if block == n_blocks else n_groups * block // n_blocks * GROUP


cdef inline void gather(
    real* out, const Matrix* X, int64_t row, double factor
) noexcept nogil:
    cdef int size = 2 if X.type == FLOAT16 else size_of(X.type)
    if real is float:
        skm_gather_float(
            out, X.data + row * X.down, X.right, size, X.n_columns, <float>factor)
    else:
        skm_gather_double(out, X.data + row * X.down, X.right, size, X.n_columns, factor)


cdef inline int64_t choose_rows(
    real* steps, Batch* batch, const Targets* targets, Rates* rates, Room* room,
    const int64_t* order, int64_t position, int64_t n_visits, double* ratio,
) noexcept nogil:
    # The next rows that are not passed over, with what is known of them; returns the position
    # after them.
    cdef:
        bint softmax = is_softmax(targets)
        real* factors = <real*>batch.factors
        real* ratios = <real*>room.ratios
        int64_t row
        double weight, step
    batch.n = 0
    ratio[0] = 1
    # A large penalty ends a block before numbers lose their accuracy.
    while position < n_visits and batch.n < batch.size and ratio[0] > 1e-3:
        row = order[position]
        position += 1
        rates.eta += rates.eta_change
        weight = 1
        if targets.row_weight is not NULL:
            weight = (<const real*>targets.row_weight)[row]
        if weight == 0 or (softmax and targets.start[row] == targets.stop[row]):
            continue
        step = (<const real*>rates.max_step)[row]
        if rates.eta < step:
            step = rates.eta
        room.chosen[batch.n] = row
        factors[batch.n] = <real>weight
        ratios[batch.n] = <real>ratio[0]
        # The softmax's gradients have the weight in them.
        steps[batch.n] = <real>(step if softmax else step * weight)
        if rates.alpha > 0:
            ratio[0] /= 1 + step * rates.alpha
        batch.n += 1
    return position


cdef inline void gather_rows(
    real* rows, const Matrix* X, const Batch* batch, const Room* room
) noexcept nogil:
    cdef int64_t i
    for i in range(batch.n):
        if i + 1 < batch.n:
            skm_prefetch(X.data + room.chosen[i + 1] * X.down, 256)
        gather(
            rows + i * X.n_columns, X, room.chosen[i], (<const real*>room.ratios)[i])
    if batch.own_products:
        transpose(<real*>room.flipped, batch.size, rows, X.n_columns, 0, batch.n)


cdef inline void find_coefficients(
    real* K, const Batch* batch, const Rates* rates, const Room* room, int64_t n_features
) noexcept nogil:
    # Inner products of each row with those before it; by how much these change its scores.
    cdef:
        int64_t q = 0, n, i, j, size = batch.size
        const real* X = <const real*>room.rows
        const real* steps = <const real*>room.steps
        const real* ratios = <const real*>room.ratios
        real* coefficients = <real*>batch.coefficients
        real intercept = <real>rates.intercept
    while q < batch.n:
        n = block_end(q, _STRIP, batch.n)
        if batch.own_products:
            multiply(
                True, n - q, n, n_features, <real>1, X + q * n_features, n_features, 1,
                <const real*>room.flipped, size, <real>0, K + q * size, size)
        else:
            gemm(TRANS, NO_TRANS, n, n - q, n_features, <real>1, X, n_features,
                 X + q * n_features, n_features, <real>0, K + q * size, size)
        q = n
    for i in range(1, batch.n):
        for j in range(i):
            coefficients[i * size + j] = -steps[j] * (
                K[i * size + j] / (ratios[j] * ratios[j]) + intercept)


cdef inline void block_scores(
    const real* W, const Panel* panel, const Batch* batch, const Room* room, int64_t first,
    int64_t last, double s,
) noexcept nogil:
    # By the weights before the block.
    cdef:
        int64_t i
        real* Z = <real*>batch.Z + first
        const real* intercept = <const real*>panel.intercept + first
    for i in range(batch.n):
        memcpy(Z + i * batch.stride, intercept, (last - first) * sizeof(real))
    multiply(
        batch.own_products, batch.n, last - first, panel.n_features, <real>s,
        <const real*>room.rows, panel.n_features, 1, W + first, panel.stride, <real>1, Z,
        batch.stride)


cdef inline void block_update(
    real* W, const Panel* panel, const Batch* batch, const Rates* rates, const Room* room,
    int64_t first, int64_t last, double s,
) noexcept nogil:
    cdef:
        int64_t i
        const real* steps = <const real*>room.steps
        const real* ratios = <const real*>room.ratios
        real* G = <real*>batch.G + first
        real* intercept = <real*>panel.intercept + first
    for i in range(batch.n):
        if rates.intercept > 0:
            subtract(
                intercept, G + i * batch.stride, last - first,
                <real>(steps[i] * rates.intercept))
        scale(
            G + i * batch.stride, last - first,
            <real>(steps[i] / (s * ratios[i] * ratios[i])))
    multiply(
        batch.own_products, panel.n_features, last - first, batch.n, <real>-1,
        <const real*>room.rows, 1, panel.n_features, G, batch.stride, <real>1, W + first,
        panel.stride)


cdef void train(
    real* W, Panel panel, Matrix X, Targets targets, const int64_t* order, int64_t n_visits,
    Rates rates, Batch batch, Share share, Room room, double* loss,
) noexcept nogil:
    cdef:
        bint softmax = is_softmax(&targets)
        Share one = share
        int64_t position = 0, block, first, last, k
        double s = panel.scale[0], ratio
    # Label k of row i at i * stride + k, if it is one of ours.
    batch.stride = room.stride
    batch.Z = <real*>room.Z - share.first_label
    batch.G = <real*>room.G - share.first_label
    while position < n_visits:
        position = choose_rows(
            <real*>room.steps, &batch, &targets, &rates, &room, order, position, n_visits,
            &ratio)
        batch.number = position
        if batch.n == 0:
            continue
        gather_rows(<real*>room.rows, &X, &batch, &room)
        find_coefficients(<real*>room.products, &batch, &rates, &room, X.n_columns)
        if softmax:
            for block in range(share.first_block, share.last_block):
                block_scores(
                    W, &panel, &batch, &room, share.bounds[block], share.bounds[block + 1], s)
            # What others write to its lines is that of this block, once all have left the last.
            meet(&share)
            softmax_rows(<real*>batch.Z, <real*>batch.G, &batch, &share, &targets, loss)
            for block in range(share.first_block, share.last_block):
                block_update(
                    W, &panel, &batch, &rates, &room, share.bounds[block],
                    share.bounds[block + 1], s)
        else:
            # Block by block: weights are in the cache for the update.
            for block in range(share.first_block, share.last_block):
                first, last = share.bounds[block], share.bounds[block + 1]
                batch.Z = <real*>room.Z - first
                batch.G = <real*>room.G - first
                one.first_block, one.last_block = block, block + 1
                block_scores(W, &panel, &batch, &room, first, last, s)
                binary_rows(<real*>batch.Z, <real*>batch.G, &batch, &one, &targets, loss)
                block_update(W, &panel, &batch, &rates, &room, first, last, s)
        s *= ratio
        # V grows as its factor shrinks: fold it in long before float overflows.
        if s < 1e-12:
            for k in range(panel.n_features):
                scale(
                    W + k * panel.stride + share.first_label,
                    share.last_label - share.first_label, <real>s)
            s = 1
    # Threads with other labels end with the same number.
    if not softmax or share.thread == 0:
        panel.scale[0] = s


cdef Share take_share(
    object barrier, object meeting, object bounds, const Panel* panel, int64_t n_labels,
    bint softmax, int64_t thread, int64_t n_threads,
) except *:
    # Of a softmax, the part of a thread; of binary losses all labels of the panel.
    cdef:
        Share share
        Array lines = take(meeting, b"meeting", INT64, 3, True)
    share.state = <int64_t*>take(barrier, b"barrier", INT64, 1, True).data
    share.meeting = <int64_t*>lines.data
    share.batch_size, share.line_length = lines.shape[1], lines.shape[2]
    share.bounds = <int64_t*>take(bounds, b"bounds", INT64, 1, True).data
    share.thread, share.n_threads = thread, n_threads
    share_labels(&share, n_labels, n_blocks_for(n_labels))
    if not softmax:
        share.first_label, share.last_label = panel.first_label, panel.last_label
        share.first_block = 0
        while share.bounds[share.first_block + 1] <= panel.first_label:
            share.first_block += 1
        share.last_block = share.first_block + 1
        while share.bounds[share.last_block] < panel.last_label:
            share.last_block += 1
        share.bounds[share.first_block] = panel.first_label
        share.bounds[share.last_block] = panel.last_label
    return share


def dense_epoch(
    parameters, X, order, targets, max_step, double eta, double eta_change, double alpha,
    double intercept_rate, int64_t first_label, int64_t last_label, int64_t n_labels,
    bint own_products, int64_t thread, int64_t n_threads, barrier, meeting, work, loss,
):
    """Train one epoch on the labels first_label:last_label, or on a thread's part of them.

    Arrays are C-contiguous, of the type of the weights if nothing else is said.

    Parameters
    ----------
    parameters : tuple of arrays
        W (n_features, stride), intercepts (n_labels or more,), scale (1,), float64: see
        `sgd_epoch` of the linear kernel.
    X : array of shape (n_rows, n_features)
        Of float16, float32 or float64, with any strides.
    order : array of shape (n_visits,), int64
        Rows in the order in which they come.
    targets : tuple
        label_start, label_stop, labels, label_weight, row_weight, loss_code, soft_target,
        as in `sgd_epoch` of the linear kernel.
    max_step : array of shape (n_rows,)
        Bound of each row's step.
    eta, eta_change : float
        The step of the i-th visit is eta + (i + 1) * eta_change.
    alpha : float
        L2 penalty; after each visit weights are divided by 1 + step * alpha.
    intercept_rate : float
        Step of the intercepts over the step of the weights; 0: no intercept.
    first_label, last_label, n_labels : int
        All labels for the softmax loss. For the same bits with any panels, they end where
        blocks of labels do (`label_bounds`).
    own_products : bool
        Products of simd_products.h, not of BLAS.
    thread, n_threads : int
        Which of how many threads calls, of a softmax; each has a part of the blocks of labels.
        For binary losses 0 and 1: threads have other panels.
    barrier, meeting : arrays of int64
        Of shape (16,) and (n_threads, size, line), zeros at the begin; of a softmax, common to
        the threads. A line has room for a number, and two values for each block of labels of
        a thread.
    work : tuple of arrays
        A thread's own room for a block: its rows (size, n_features), (n_features, size) or
        (0, 0) if products are BLAS's, (2, size, size), rows (3, size), scores and gradients
        (2, size, columns), labels (3, n_labels or more; the first 1, the second 0 at the
        begin), bounds (n_blocks + 1,) and rows (size,) of int64.
    loss : array of shape (n_groups,), float64
        Gets the losses at the time of each visit, a sum for each LABEL_GROUP of labels.
    """
    cdef:
        Panel panel
        Matrix X_ = take_matrix(X, b"X")
        Targets targets_
        Array visits = take(order, b"order", INT64, 1, False)
        Rates rates
        Batch batch
        Share share
        Room room
        Array found
        int type
        int64_t step
        double* losses = <double*>take(loss, b"loss", FLOAT64, 1, True).data
    W, intercept, weight_scale = parameters
    panel = take_panel(W, intercept, weight_scale, first_label, last_label)
    type = panel.type
    start, stop, labels, label_weight, row_weight, loss_code, soft_target = targets
    targets_ = take_targets(
        start, stop, labels, label_weight, row_weight, loss_code, soft_target, type)
    rates.eta, rates.eta_change, rates.alpha = eta, eta_change, alpha
    rates.intercept = intercept_rate
    rates.max_step = take(max_step, b"max_step", type, 1, False).data
    rows, flipped, products, row_buffers, scores, label_buffers, bounds, chosen = work
    found = take(rows, b"rows", type, 2, True)
    room.rows = found.data
    batch.size = found.shape[0]
    room.flipped = take(flipped, b"flipped", type, 2, True).data
    found = take(products, b"products", type, 3, True)
    room.products = found.data
    batch.coefficients = <char*>found.data + found.size // 2 * size_of(type)
    found = take(row_buffers, b"row_buffers", type, 2, True)
    step = found.shape[1] * size_of(type)
    room.steps = found.data
    room.ratios = <char*>found.data + step
    batch.factors = <char*>found.data + 2 * step
    found = take(scores, b"scores", type, 3, True)
    room.Z = found.data
    room.G = <char*>found.data + found.size // 2 * size_of(type)
    room.stride = found.shape[2]
    found = take(label_buffers, b"label_buffers", type, 2, True)
    step = found.shape[1] * size_of(type)
    batch.product = found.data
    batch.sums = <char*>found.data + step
    batch.spare = <char*>found.data + 2 * step
    room.chosen = <int64_t*>take(chosen, b"chosen", INT64, 1, True).data
    batch.order = room.chosen
    batch.position = 0
    batch.own_products = own_products
    batch.strips = True
    batch.own = NULL
    batch.n_shared = 0
    share = take_share(
        barrier, meeting, bounds, &panel, n_labels, is_softmax(&targets_), thread, n_threads)
    with nogil:
        if type == FLOAT32:
            train(
                <float*>panel.W - first_label, panel, X_, targets_,
                <const int64_t*>visits.data, visits.size, rates, batch, share, room, losses)
        else:
            train(
                <double*>panel.W - first_label, panel, X_, targets_,
                <const int64_t*>visits.data, visits.size, rates, batch, share, room, losses)


def label_bounds(int64_t n_labels):
    """Bounds of the blocks of labels: a list of n_blocks + 1 numbers."""
    return [label_bound(n_labels, block) for block in range(n_blocks_for(n_labels) + 1)]


# ------------------------------------------------------------------------- predictions
cdef void score(
    real* rows, const Matrix* X, int64_t size, const real* W, int64_t stride,
    const real* intercept, double weight_scale, int64_t first_row, int64_t last_row,
    int64_t first_label, int64_t last_label, bint own_products, real* out, int64_t n_labels,
) noexcept nogil:
    # W, intercepts and out begin with label 0, of which the panel need not have the weights.
    cdef int64_t row = first_row, n, i, block, first, last
    while row < last_row:
        n = block_end(row, size, last_row) - row
        for i in range(n):
            gather(rows + i * X.n_columns, X, row + i, 1.0)
            memcpy(
                out + i * n_labels + first_label, intercept + first_label,
                (last_label - first_label) * sizeof(real))
        # The blocks of all labels, so that panels change no bit.
        for block in range(n_blocks_for(n_labels)):
            first = label_bound(n_labels, block)
            last = label_bound(n_labels, block + 1)
            first = first if first > first_label else first_label
            last = last if last < last_label else last_label
            if first < last:
                multiply(
                    own_products, n, last - first, X.n_columns, <real>weight_scale, rows,
                    X.n_columns, 1, W + first, stride, <real>1, out + first, n_labels)
        out += n * n_labels
        row += n


def dense_scores(
    W, intercept, double weight_scale, X, int64_t first_row, int64_t last_row,
    int64_t first_label, int64_t last_label, bint own_products, rows, out,
):
    """Fill out[:, first_label:last_label] with weight_scale * X @ W + intercept.

    Row 0 of out gets the scores of first_row. W may be padded; intercept has all labels. X is
    as for `dense_epoch`; rows is room for some rows, (size, n_features).
    """
    cdef:
        Array weights = take(W, b"W", FLOATS, 2, False)
        int type = weights.type
        Matrix X_ = take_matrix(X, b"X")
        const void* offsets = take(intercept, b"intercept", type, 1, False).data
        Array room = take(rows, b"rows", type, 2, True)
        Array scores = take(out, b"out", type, 2, True)
    with nogil:
        if type == FLOAT32:
            score(
                <float*>room.data, &X_, room.shape[0], <const float*>weights.data - first_label,
                weights.shape[1], <const float*>offsets, weight_scale, first_row, last_row,
                first_label, last_label, own_products, <float*>scores.data, scores.shape[1])
        else:
            score(
                <double*>room.data, &X_, room.shape[0], <const double*>weights.data - first_label,
                weights.shape[1], <const double*>offsets, weight_scale, first_row, last_row,
                first_label, last_label, own_products, <double*>scores.data, scores.shape[1])
