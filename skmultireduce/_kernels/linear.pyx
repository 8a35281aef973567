"""One epoch of SGD for linear models, and their scores.

Design
------
W is stored (n_features, stride) in C order: the scores of a row are a sum of rows of W,
its update adds multiples of one gradient to the same rows, so that both loops run over
labels, contiguously. The L2 penalty is one number: W holds V with weights = scale * V.

For each row: forward (read the rows of W that its values meet), gradient in place,
update (read and write the same rows, by then in cache). The update fetches ahead what the
next row of the epoch will read.
"""

from libc.stdint cimport int32_t, int64_t

from skmultireduce._kernels.losses cimport (
    GROUP,
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
    softmax,
    subtract,
    update,
)

# Codes of the losses.
SOFTMAX = 0
SIGMOID = 1
SQUARED_HINGE = 2

# Threads take blocks of labels whose bounds are multiples of this.
LABEL_GROUP = GROUP

cdef enum:
    _SOFTMAX = 0
    _SIGMOID = 1


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
    bint last_block,
    bint fetch_ahead,
    real[:, ::1] buffers,
    double[::1] loss,
):
    cdef:
        bint dense = indptr.shape[0] == 0
        int64_t n_features = W.shape[0]
        int64_t stride = W.shape[1]
        int64_t n_rows = order.shape[0]
        # Padding included: whole vectors, no remainders. It stays 0 in W, scores, gradient.
        int64_t width = (stride if last_block else last_label) - first_label
        real* w = &W[0, 0] + first_label
        real* z = &buffers[0, 0]
        real* product = &buffers[1, 0]
        real* sum_ = &buffers[2, 0]
        real* kept = &buffers[3, 0]
        const column* columns = NULL
        const column* next_columns
        const real* weights = &label_weight[0] if label_weight.shape[0] else NULL
        const real* row_weights = &row_weight[0] if row_weight.shape[0] else NULL
        const real* pair_weights
        int64_t position, row, start, n, next_start, n_next, next_row, label, n_labels, k
        # Weighted rows cannot share a logarithm.
        int64_t until_logarithm = 1 if row_weight.shape[0] else rows_per_logarithm(z)
        int64_t waiting = 0
        double s = weight_scale[0]
        double weight, target, step, factor
    with nogil:
        for position in range(n_rows):
            row = order[position]
            label = label_start[row]
            n_labels = label_stop[row] - label
            weight = 1 if row_weights is NULL else row_weights[row]
            eta += eta_change
            if weight == 0 or (loss_code == _SOFTMAX and n_labels == 0):
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
            if loss_code == _SOFTMAX:
                loss[0] += softmax_row(
                    z, last_label, &labels[label], pair_weights, n_labels, weight, &factor)
            else:
                target = 1.0 / n_labels if soft_target and n_labels else 1.0
                if loss_code == _SIGMOID:
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
            next_columns = NULL
            n_next = 0
            if fetch_ahead and not dense and position + 1 < n_rows:
                next_row = order[position + 1]
                next_start = indptr[next_row]
                n_next = indptr[next_row + 1] - next_start
                next_columns = &indices[next_start] if n_next else NULL
            update(
                w, stride, columns, &data[start] if n else NULL, n, <real>(step * factor / s),
                z + first_label, width, next_columns, n_next)
            if alpha > 0:
                s /= 1 + step * alpha
                # V grows as its factor shrinks: fold it in long before float overflows.
                if s < 1e-12:
                    for k in range(n_features):
                        scale(w + k * stride, width, <real>s)
                    s = 1
        if loss_code != _SOFTMAX:
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
    real[:, ::1] out,
):
    cdef:
        bint dense = indptr.shape[0] == 0
        int64_t n_features = W.shape[0]
        int64_t n_labels = out.shape[1]
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
                &out[row - first_row, 0], n_labels, &W[0, 0], W.shape[1], columns,
                &data[start] if n else NULL, n, <real>weight_scale,
                &intercept[0])


def softmax_rows(real[:, ::1] scores):
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
    cdef int64_t row
    with nogil:
        for row in range(scores.shape[0]):
            expit(&scores[row, 0], scores.shape[1])


def exp_nonpositive(real[::1] x):
    with nogil:
        exp_array(&x[0], x.shape[0])
