"""One epoch of SGD for linear models, and their scores.

Design
------
W is stored (n_features, stride) in C order: the scores of a row are a sum of rows of W,
its update adds multiples of one gradient to the same rows, so that both loops run over
labels, contiguously. Rows of W are padded to cache lines (whole vectors, no remainders).
The L2 penalty is one number: W holds V with weights = scale * V.

For each row of X: forward (read the rows of W that its values meet), gradient in place,
update (read and write the same rows, by then in cache).

Alternatives measured
---------------------
Milliseconds an epoch of pick_all_normalized, least of 12, in one run (735 labels x 10.6
values a row, 26 MB of weights; 159 x 68; 22 x 33), one core of an AMD EPYC (Zen 4) with
1 MB of L2, GCC 12; runs differ by about a tenth:

====================================================  ==========  ========  =======
                                                      735 x 10.6  159 x 68  22 x 33
====================================================  ==========  ========  =======
four rows of W at a time forward, one in the update         20.6       6.9      5.6
no padding of the rows of W                                 19.9       9.8      6.6
forward in tiles of 64 labels kept in registers             20.2       9.8      8.1
next row of X fetched ahead, interleaved with update        21.8       7.9      5.7
next row of X fetched ahead, four lines of each row         19.9       7.0      5.3
====================================================  ==========  ========  =======

This file takes eight rows forward and four in the update, which reads and writes scores and
gradients less often: 22.4 / 8.8 / 5.3 where the first row of the table has 24.0 / 10.9 / 5.8 (a
core of Zen 3, 512 KB of L2, AVX2). There 64 labels kept in registers are as fast.

Fetching rows of W ahead does not beat the hardware's own prefetching, nor does it on 64 and
256 MB of weights (on Zen 3: 6 % less time where W is 8 MB and rows have 10 values, else none).
Padding that takes part in the losses, for vectors without remainders, gains nothing either.
Rows of X are fetched ahead: they come in random order, each at the price of a miss of all
caches (1,000,000 rows of 12 values, 22 labels: .74 s an epoch without, .32 with, .69 and .25
one-vs-rest; no difference where X fits into a cache).

Softmax training stays on one thread:
with the labels split over two threads every row needs two barriers, which gains 1.13x at
4,000 labels x 100 values and loses at 735 x 10. The one-vs-rest losses need no barrier: each
thread runs the epoch over its own block of labels (see `first_label`).
"""

from libc.stdint cimport int32_t, int64_t

from skmultireduce._kernels.buffers cimport (
    FLOAT32,
    FLOAT64,
    FLOATS,
    INT64,
    INTEGERS,
    Array,
    size_of,
    take,
)
from skmultireduce._kernels.losses cimport (
    GROUP,
    SIGMOID,
    SOFTMAX,
    SQUARED_HINGE,
    Targets,
    binary_row,
    collect_loss,
    is_softmax,
    rows_per_logarithm,
    softmax_row,
    take_targets,
)
from skmultireduce._kernels.panels cimport Panel, Rates, take_panel
from skmultireduce._kernels.rows cimport Row, Rows, column_of, find_row, take_rows
from skmultireduce._kernels.simd cimport (
    exp_array,
    expit,
    forward,
    real,
    scale,
    skm_prefetch,
    softmax,
    subtract,
    update,
)

# Codes of the losses, for all kernels.
LOSS_CODES = {"softmax": SOFTMAX, "sigmoid": SIGMOID, "squared_hinge": SQUARED_HINGE}

# Threads take blocks of labels whose bounds are multiples of this.
LABEL_GROUP = GROUP

cdef enum:
    # Visits ahead at which what leads to a row of X is fetched, and the row itself.
    _FAR = 8
    _NEAR = 4

cdef struct Buffers:
    # Of labels.
    void* scores
    void* product
    void* sums
    void* kept


cdef inline void fetch_ahead(
    const Rows* rows, const Targets* targets, const real* max_step, const int64_t* order,
    int64_t position, int64_t n_visits,
) noexcept nogil:
    # Rows of X come in random order.
    cdef:
        int64_t row
        Row found
    if position + _FAR >= n_visits:
        return
    row = order[position + _FAR]
    skm_prefetch(&targets.start[row], sizeof(int64_t))
    skm_prefetch(&targets.stop[row], sizeof(int64_t))
    skm_prefetch(&max_step[row], sizeof(real))
    if rows.indptr is not NULL:
        skm_prefetch(&rows.indptr[row], 2 * sizeof(int64_t))
    row = order[position + _NEAR]
    if targets.stop[row] > targets.start[row]:
        skm_prefetch(&targets.labels[targets.start[row]], sizeof(int32_t))
    found = find_row(rows, row)
    if found.n:
        skm_prefetch(<const real*>rows.data + found.start, found.n * sizeof(real))
        if found.columns is not NULL:
            skm_prefetch(found.columns, found.n * (8 if rows.wide else 4))


cdef void train(
    real* w, const Panel* panel, const Rows* rows, const Targets* targets,
    const int64_t* order, int64_t n_visits, const Rates* rates, const Buffers* buffers,
    double* loss,
) noexcept nogil:
    cdef:
        bint softmax_loss = is_softmax(targets)
        int64_t first_label = panel.first_label, last_label = panel.last_label
        # Padding included: whole vectors, no remainders. It stays 0 in W, scores, gradient.
        int64_t stride = panel.stride, width = stride
        real* z = <real*>buffers.scores
        real* product = <real*>buffers.product
        real* sums = <real*>buffers.sums
        real* intercept = <real*>panel.intercept + first_label
        const real* data = <const real*>rows.data
        const real* row_weights = <const real*>targets.row_weight
        const real* max_step = <const real*>rates.max_step
        const real* label_weight = NULL
        int64_t position, row, start, n_labels, k
        # Weighted rows cannot share a logarithm.
        int64_t until_logarithm = rows_per_logarithm(z) if row_weights is NULL else 1
        int64_t waiting = 0
        double s = panel.scale[0], eta = rates.eta
        double weight, step, factor
        Row found
    for position in range(n_visits):
        fetch_ahead(rows, targets, max_step, order, position, n_visits)
        row = order[position]
        start = targets.start[row]
        n_labels = targets.stop[row] - start
        weight = 1 if row_weights is NULL else row_weights[row]
        eta += rates.eta_change
        if weight == 0 or (softmax_loss and n_labels == 0):
            continue
        found = find_row(rows, row)
        forward(
            z + first_label, width, w, stride, found.columns, rows.wide, data + found.start,
            found.n, <real>s, intercept)

        factor = weight
        if softmax_loss:
            if targets.label_weight is not NULL:
                label_weight = <const real*>targets.label_weight + start
            loss[0] += softmax_row(
                z, last_label, targets.labels + start, label_weight, n_labels, weight, &factor)
        else:
            binary_row(
                targets, row, z, first_label, last_label, weight, product, sums,
                <real*>buffers.kept, loss)
            waiting += 1
            if waiting == until_logarithm:
                collect_loss(product, sums, first_label, last_label, weight, loss)
                waiting = 0

        step = max_step[row]
        if eta < step:
            step = eta
        if rates.intercept > 0:
            subtract(
                intercept, z + first_label, width, <real>(step * rates.intercept * factor))
        update(
            w, stride, found.columns, rows.wide, data + found.start, found.n,
            <real>(step * factor / s), z + first_label, width)
        if rates.alpha > 0:
            s /= 1 + step * rates.alpha
            # V grows as its factor shrinks: fold it in long before float overflows.
            if s < 1e-12:
                for k in range(rows.n_features):
                    scale(w + k * stride, width, <real>s)
                s = 1
    if not softmax_loss:
        collect_loss(product, sums, first_label, last_label, 1, loss)
    # Threads with other blocks of labels end with the same number.
    panel.scale[0] = s


def sgd_epoch(
    W, intercept, weight_scale, data, indices, indptr, order, label_start, label_stop, labels,
    label_weight, row_weight, max_step, int loss_code, bint soft_target, double eta,
    double eta_change, double alpha, double intercept_rate, int64_t first_label,
    int64_t last_label, buffers, loss,
):
    """Train one epoch on the labels first_label:last_label.

    Parameters
    ----------
    W : array of shape (n_features, stride)
        The weights of these labels are weight_scale * W[:, :last_label - first_label]; what
        is beyond is padding, 0.
    intercept : array of shape (n_labels,) or more
        Of all labels; at least first_label + stride long.
    weight_scale : array of shape (1,)
    data, indices, indptr : arrays
        Rows of X in CSR form; indices and indptr are empty if X is dense.
    order : array of shape (n_visits,)
        Rows in the order in which they come.
    label_start, label_stop : arrays of shape (n_rows,)
        Which entries of labels (and label_weight) each row shows.
    labels : array of shape (n_pairs,)
    label_weight : array of shape (n_pairs,) or (0,)
        Empty: all 1.
    row_weight : array of shape (n_rows,) or (0,)
        Empty: all 1. Rows of weight 0 are passed over, and so are rows without labels if
        the loss is the softmax one.
    max_step : array of shape (n_rows,)
        Bound of each row's step.
    loss_code : int
        Of LOSS_CODES.
    soft_target : bool
        Whether a row's labels have the target 1/S (the binary losses).
    eta, eta_change : float
        The step of the i-th visit is eta + (i + 1) * eta_change.
    alpha : float
        L2 penalty; after each visit weights are divided by 1 + step * alpha.
    intercept_rate : float
        Step of the intercepts over the step of the weights; 0: no intercept.
    first_label, last_label : int
        Multiples of LABEL_GROUP, or n_labels; all labels for the softmax loss.
    buffers : array of shape (4, first_label + stride) or more
        Scores, products (1 at the begin), sums (0 at the begin), spare.
    loss : array of shape (n_groups,)
        Gets the losses at the time of each visit, a sum for each LABEL_GROUP of labels.
    """
    cdef:
        Panel panel = take_panel(W, intercept, weight_scale, first_label, last_label)
        int type = panel.type
        Rows rows = take_rows(data, indices, indptr, panel.n_features, type)
        Targets targets = take_targets(
            label_start, label_stop, labels, label_weight, row_weight, loss_code, soft_target,
            type)
        Array visits = take(order, b"order", INT64, 1, False)
        const int64_t* order_ = <const int64_t*>visits.data
        Rates rates
        Buffers room
        Array found
        double* losses = <double*>take(loss, b"loss", FLOAT64, 1, True).data
        int64_t step
    rates.eta, rates.eta_change, rates.alpha = eta, eta_change, alpha
    rates.intercept = intercept_rate
    rates.max_step = take(max_step, b"max_step", type, 1, False).data
    found = take(buffers, b"buffers", type, 2, True)
    step = found.shape[1] * size_of(type)
    room.scores = found.data
    room.product = <char*>found.data + step
    room.sums = <char*>found.data + 2 * step
    room.kept = <char*>found.data + 3 * step
    with nogil:
        if type == FLOAT32:
            train(
                <float*>panel.W, &panel, &rows, &targets, order_, visits.size, &rates, &room,
                losses)
        else:
            train(
                <double*>panel.W, &panel, &rows, &targets, order_, visits.size, &rates, &room,
                losses)


# ------------------------------------------------------------------------- predictions
cdef void score(
    const real* W, int64_t stride, const real* intercept, double weight_scale, const Rows* rows,
    int64_t first_row, int64_t last_row, int64_t n_labels, real* out, int64_t n_columns,
) noexcept nogil:
    cdef:
        int64_t row
        Row found
    for row in range(first_row, last_row):
        found = find_row(rows, row)
        forward(
            out + (row - first_row) * n_columns, n_labels, W, stride, found.columns, rows.wide,
            <const real*>rows.data + found.start, found.n, <real>weight_scale, intercept)


def linear_scores(
    W, intercept, double weight_scale, data, indices, indptr, int64_t first_row,
    int64_t last_row, int64_t first_label, int64_t last_label, out,
):
    """Fill out[:, first_label:last_label] with weight_scale * X @ W + intercept.

    Row 0 of out gets the scores of first_row. W may be padded; intercept has all labels.
    """
    cdef:
        Array weights = take(W, b"W", FLOATS, 2, False)
        int type = weights.type
        Rows rows = take_rows(data, indices, indptr, weights.shape[0], type)
        const void* offsets = take(intercept, b"intercept", type, 1, False).data
        Array scores = take(out, b"out", type, 2, True)
    with nogil:
        if type == FLOAT32:
            score(
                <const float*>weights.data, weights.shape[1],
                <const float*>offsets + first_label, weight_scale, &rows, first_row, last_row,
                last_label - first_label, <float*>scores.data + first_label, scores.shape[1])
        else:
            score(
                <const double*>weights.data, weights.shape[1],
                <const double*>offsets + first_label, weight_scale, &rows, first_row, last_row,
                last_label - first_label, <double*>scores.data + first_label, scores.shape[1])


cdef void score_sparse(
    const real* weights, const void* labels, bint wide_labels, const void* starts,
    bint wide_starts, const real* intercept, const Rows* rows, int64_t first_row,
    int64_t last_row, real* out, int64_t n_labels,
) noexcept nogil:
    cdef:
        int64_t row, i, j, k, stop
        real x
        real* z = out
        Row found
    for row in range(first_row, last_row):
        for k in range(n_labels):
            z[k] = intercept[k]
        found = find_row(rows, row)
        for i in range(found.n):
            x = (<const real*>rows.data)[found.start + i]
            j = i if found.columns is NULL else column_of(found.columns, rows.wide, i)
            k = column_of(starts, wide_starts, j)
            stop = column_of(starts, wide_starts, j + 1)
            if wide_labels:
                for k in range(k, stop):
                    z[(<const int64_t*>labels)[k]] += x * weights[k]
            else:
                for k in range(k, stop):
                    z[(<const int32_t*>labels)[k]] += x * weights[k]
        z += n_labels


def sparse_scores(
    weights, labels, starts, intercept, data, indices, indptr, int64_t first_row,
    int64_t last_row, out,
):
    """Fill out with X @ W + intercept for sparse W.

    The weights of feature j are those from starts[j] to starts[j + 1], of these labels.
    Row 0 of out gets the scores of first_row.
    """
    cdef:
        Array values = take(weights, b"weights", FLOATS, 1, False)
        int type = values.type
        Array columns = take(labels, b"labels", INTEGERS, 1, False)
        Array bounds = take(starts, b"starts", INTEGERS, 1, False)
        Rows rows = take_rows(data, indices, indptr, bounds.size - 1, type)
        const void* offsets = take(intercept, b"intercept", type, 1, False).data
        Array scores = take(out, b"out", type, 2, True)
    with nogil:
        if type == FLOAT32:
            score_sparse(
                <const float*>values.data, columns.data, columns.type == INT64, bounds.data,
                bounds.type == INT64, <const float*>offsets, &rows, first_row, last_row,
                <float*>scores.data, scores.shape[1])
        else:
            score_sparse(
                <const double*>values.data, columns.data, columns.type == INT64, bounds.data,
                bounds.type == INT64, <const double*>offsets, &rows, first_row, last_row,
                <double*>scores.data, scores.shape[1])


# ---------------------------------------------------------------------- rows of scores
cdef void softmax_each(real* scores, int64_t n_rows, int64_t n_labels) noexcept nogil:
    cdef:
        int64_t row
        real highest, total
    for row in range(n_rows):
        total = softmax(scores + row * n_labels, n_labels, &highest)
        scale(scores + row * n_labels, n_labels, 1 / total)


def softmax_rows(scores):
    """Turn each row of scores into its softmax, in place."""
    cdef Array found = take(scores, b"scores", FLOATS, 2, True)
    with nogil:
        if found.type == FLOAT32:
            softmax_each(<float*>found.data, found.shape[0], found.shape[1])
        else:
            softmax_each(<double*>found.data, found.shape[0], found.shape[1])


def expit_rows(scores):
    """Turn scores into 1 / (1 + exp(-score)), in place."""
    cdef:
        Array found = take(scores, b"scores", FLOATS, 2, True)
        int64_t row
    with nogil:
        for row in range(found.shape[0]):
            if found.type == FLOAT32:
                expit(<float*>found.data + row * found.shape[1], found.shape[1])
            else:
                expit(<double*>found.data + row * found.shape[1], found.shape[1])


def exp_nonpositive(x):
    """Turn x into exp(x), in place; for x <= 0."""
    cdef Array found = take(x, b"x", FLOATS, 1, True)
    with nogil:
        if found.type == FLOAT32:
            exp_array(<float*>found.data, found.size)
        else:
            exp_array(<double*>found.data, found.size)
