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

from skmultireduce._kernels.losses cimport (
    GROUP,
    SIGMOID,
    SOFTMAX,
    SQUARED_HINGE,
    collect_loss,
    rows_per_logarithm,
    sigmoid_row,
    softmax_row,
    squared_hinge_row,
)
from skmultireduce._kernels.simd cimport (
    column,
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

# Of sparse weights: offsets and labels.
ctypedef fused offset:
    int32_t
    int64_t

cdef enum:
    # Visits ahead at which what leads to a row of X is fetched, and the row itself.
    _FAR = 8
    _NEAR = 4


def sgd_epoch(
    real[:, ::1] W,
    real[::1] intercept,
    double[::1] weight_scale,
    const real[::1] data,
    const column[::1] indices,
    const int64_t[::1] indptr,
    const int64_t[::1] order,
    const int64_t[::1] label_start,
    const int64_t[::1] label_stop,
    const int32_t[::1] labels,
    const real[::1] label_weight,
    const real[::1] row_weight,
    const real[::1] max_step,
    int loss_code,
    bint soft_target,
    double eta,
    double eta_change,
    double alpha,
    double intercept_rate,
    int64_t first_label,
    int64_t last_label,
    real[:, ::1] buffers,
    double[::1] loss,
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
        bint dense = indptr.shape[0] == 0
        int64_t n_features = W.shape[0]
        int64_t stride = W.shape[1]
        int64_t n_rows = order.shape[0]
        # Padding included: whole vectors, no remainders. It stays 0 in W, scores, gradient.
        int64_t width = stride
        real* w = &W[0, 0]
        real* z = &buffers[0, 0]
        real* product = &buffers[1, 0]
        real* sum_ = &buffers[2, 0]
        real* kept = &buffers[3, 0]
        const column* columns = NULL
        const real* weights = &label_weight[0] if label_weight.shape[0] else NULL
        const real* row_weights = &row_weight[0] if row_weight.shape[0] else NULL
        const real* pair_weights
        int64_t position, row, start, n, label, n_labels, k
        # Weighted rows cannot share a logarithm.
        int64_t until_logarithm = 1 if row_weight.shape[0] else rows_per_logarithm(z)
        int64_t waiting = 0
        double s = weight_scale[0]
        double weight, target, step, factor
    with nogil:
        for position in range(n_rows):
            if position + _FAR < n_rows:
                row = order[position + _FAR]
                skm_prefetch(&label_start[row], sizeof(int64_t))
                skm_prefetch(&label_stop[row], sizeof(int64_t))
                skm_prefetch(&max_step[row], sizeof(real))
                if not dense:
                    skm_prefetch(&indptr[row], 2 * sizeof(int64_t))
                row = order[position + _NEAR]
                if label_stop[row] > label_start[row]:
                    skm_prefetch(&labels[label_start[row]], sizeof(int32_t))
                start = row * n_features if dense else indptr[row]
                n = n_features if dense else indptr[row + 1] - start
                if n:
                    skm_prefetch(&data[start], n * sizeof(real))
                    if not dense:
                        skm_prefetch(&indices[start], n * sizeof(column))
            row = order[position]
            label = label_start[row]
            n_labels = label_stop[row] - label
            weight = 1 if row_weights is NULL else row_weights[row]
            eta += eta_change
            if weight == 0 or (loss_code == SOFTMAX and n_labels == 0):
                continue
            if dense:
                start = row * n_features
                n = n_features
            else:
                start = indptr[row]
                n = indptr[row + 1] - start
                columns = &indices[start] if n else NULL
            pair_weights = NULL
            if weights is not NULL:
                pair_weights = weights + label

            forward(
                z + first_label, width, w, stride, columns, &data[start] if n else NULL, n,
                <real>s, &intercept[first_label])

            factor = weight
            if loss_code == SOFTMAX:
                loss[0] += softmax_row(
                    z, last_label, &labels[label], pair_weights, n_labels, weight, &factor)
            else:
                target = 1.0 / n_labels if soft_target and n_labels else 1.0
                if loss_code == SIGMOID:
                    sigmoid_row(
                        z, first_label, last_label, &labels[label] if n_labels else NULL,
                        pair_weights, n_labels, target, weight, product, sum_, &loss[0])
                else:
                    squared_hinge_row(
                        z, first_label, last_label, &labels[label] if n_labels else NULL,
                        pair_weights, n_labels, target, weight, kept, sum_, &loss[0])
                waiting += 1
                if waiting == until_logarithm:
                    collect_loss(product, sum_, first_label, last_label, weight, &loss[0])
                    waiting = 0

            step = max_step[row]
            if eta < step:
                step = eta
            if intercept_rate > 0:
                subtract(
                    &intercept[first_label], z + first_label, width,
                    <real>(step * intercept_rate * factor))
            update(
                w, stride, columns, &data[start] if n else NULL, n, <real>(step * factor / s),
                z + first_label, width)
            if alpha > 0:
                s /= 1 + step * alpha
                # V grows as its factor shrinks: fold it in long before float overflows.
                if s < 1e-12:
                    for k in range(n_features):
                        scale(w + k * stride, width, <real>s)
                    s = 1
        if loss_code != SOFTMAX:
            collect_loss(product, sum_, first_label, last_label, 1, &loss[0])
    # Threads with other blocks of labels end with the same number.
    weight_scale[0] = s


def linear_scores(
    const real[:, ::1] W,
    const real[::1] intercept,
    double weight_scale,
    const real[::1] data,
    const column[::1] indices,
    const int64_t[::1] indptr,
    int64_t first_row,
    int64_t last_row,
    int64_t first_label,
    int64_t last_label,
    real[:, ::1] out,
):
    """Fill out[:, first_label:last_label] with weight_scale * X @ W + intercept.

    Row 0 of out gets the scores of first_row. W may be padded; intercept has all labels.
    """
    cdef:
        bint dense = indptr.shape[0] == 0
        int64_t n_features = W.shape[0]
        int64_t row, start, n
        const column* columns = NULL
    with nogil:
        for row in range(first_row, last_row):
            if dense:
                start = row * n_features
                n = n_features
            else:
                start = indptr[row]
                n = indptr[row + 1] - start
                columns = &indices[start] if n else NULL
            forward(
                &out[row - first_row, first_label], last_label - first_label, &W[0, 0],
                W.shape[1], columns,
                &data[start] if n else NULL, n, <real>weight_scale,
                &intercept[first_label])


def sparse_scores(
    const real[::1] weights,
    const offset[::1] labels,
    const offset[::1] starts,
    const real[::1] intercept,
    const real[::1] data,
    const column[::1] indices,
    const int64_t[::1] indptr,
    int64_t first_row,
    int64_t last_row,
    real[:, ::1] out,
):
    """Fill out with X @ W + intercept for sparse W.

    The weights of feature j are those from starts[j] to starts[j + 1], of these labels.
    Row 0 of out gets the scores of first_row.
    """
    cdef:
        bint dense = indptr.shape[0] == 0
        int64_t n_features = starts.shape[0] - 1
        int64_t n_labels = out.shape[1]
        int64_t row, start, n, i, j, k
        real x
        real* z
    with nogil:
        for row in range(first_row, last_row):
            z = &out[row - first_row, 0]
            for k in range(n_labels):
                z[k] = intercept[k]
            if dense:
                start = row * n_features
                n = n_features
            else:
                start = indptr[row]
                n = indptr[row + 1] - start
            for i in range(start, start + n):
                x = data[i]
                j = i - start if dense else indices[i]
                for k in range(starts[j], starts[j + 1]):
                    z[labels[k]] += x * weights[k]


def softmax_rows(real[:, ::1] scores):
    """Turn each row of scores into its softmax, in place."""
    cdef:
        int64_t row
        int64_t n_labels = scores.shape[1]
        real highest
        real total
    with nogil:
        for row in range(scores.shape[0]):
            total = softmax(&scores[row, 0], n_labels, &highest)
            scale(&scores[row, 0], n_labels, 1 / total)


def expit_rows(real[:, ::1] scores):
    """Turn scores into 1 / (1 + exp(-score)), in place."""
    cdef int64_t row
    with nogil:
        for row in range(scores.shape[0]):
            expit(&scores[row, 0], scores.shape[1])


def exp_nonpositive(real[::1] x):
    """Turn x into exp(x), in place; for x <= 0."""
    with nogil:
        exp_array(&x[0], x.shape[0])
