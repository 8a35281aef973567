# Every reduction, once: a row of scores and a label set become a gradient row in place.
#
# The softmax reductions are one function (in one go where one thread has all labels, in
# three steps where several have blocks of them): pick_one hands it a set of one label, the
# pick; pick_all_normalized gives the row the weight 1/S; pick_all the weight 1. The
# one-vs-rest reductions differ in the target of the row's labels: 1, or 1/S.
#
# Nothing is dispatched per element: the vector part treats every label as a negative
# one, and the few labels of the row are put right afterwards.

from libc.math cimport exp, log, log1p
from libc.stdint cimport int32_t, int64_t

from skmultireduce._kernels.buffers cimport INT32, integers, take
from skmultireduce._kernels.simd cimport (
    exp_array,
    real,
    scale,
    sigmoid,
    softmax,
    squared_hinge,
)

# Labels that share one logarithm, and the bounds of the blocks that threads take: any
# split into such blocks adds up the same numbers in the same order.
cdef enum:
    GROUP = 16

# Codes of the losses.
cdef enum:
    SOFTMAX = 0
    SIGMOID = 1
    SQUARED_HINGE = 2

cdef struct Targets:
    # Row i shows labels[start[i]:stop[i]].
    const int64_t* start
    const int64_t* stop
    const int32_t* labels
    # Of the rows' values' type; NULL: all 1.
    const void* label_weight
    const void* row_weight
    int loss_code
    # Whether a row's labels have the target 1/S (the binary losses).
    bint soft_target


cdef inline Targets take_targets(
    object label_start, object label_stop, object labels, object label_weight,
    object row_weight, int loss_code, bint soft_target, int type,
) except *:
    cdef Targets targets
    if loss_code not in (SOFTMAX, SIGMOID, SQUARED_HINGE):
        raise ValueError(f"loss_code={loss_code} is no value of LOSS_CODES")
    targets.start = integers(label_start, b"label_start")
    targets.stop = integers(label_stop, b"label_stop")
    targets.labels = <const int32_t*>take(labels, b"labels", INT32, 1, False).data
    targets.label_weight = take(label_weight, b"label_weight", type, 1, False).data
    targets.row_weight = take(row_weight, b"row_weight", type, 1, False).data
    targets.loss_code = loss_code
    targets.soft_target = soft_target
    return targets


cdef inline bint is_softmax(const Targets* targets) noexcept nogil:
    return targets.loss_code == SOFTMAX


cdef inline int rows_per_logarithm(real* like) noexcept nogil:
    # Factors are at most 2, and 16 labels of so many rows stay below the largest number.
    if real is float:
        return 7
    else:
        return 60


cdef inline double softmax_row(
    real* z, int64_t n_labels,
    const int32_t* labels, const real* label_weight, int64_t n,
    double row_weight, double* factor,
) noexcept nogil:
    # z becomes g with gradient = factor * g, and factor = total weight / sum of exp: the
    # caller has a multiplication to do anyway. Returns the loss.
    cdef:
        double total = 0, picked = 0, weight
        real highest, sum_
        int64_t i
    for i in range(n):
        weight = 1.0 if label_weight is NULL else <double>label_weight[i]
        total += weight
        picked += weight * z[labels[i]]
    sum_ = softmax(z, n_labels, &highest)
    if total <= 0:
        factor[0] = 0
        return 0
    for i in range(n):
        weight = 1.0 if label_weight is NULL else <double>label_weight[i]
        z[labels[i]] -= <real>(weight * (sum_ / total))
    factor[0] = row_weight * total / sum_
    return row_weight * (total * (log(<double>sum_) + highest) - picked)


# The same for threads that have some blocks of the labels each, in three steps: take_picked,
# which is the labels' part of the loss; then, from the maximum of each block and the sum of
# exp(z - maximum) over it, the factor that makes softmax * weight of the block's exp; last,
# with the blocks multiplied by that, subtract_picked. Sums are over blocks in their order,
# whoever has them.

cdef inline double total_weight(const real* label_weight, int64_t n) noexcept nogil:
    cdef:
        double total = 0
        int64_t i
    for i in range(n):
        total += 1.0 if label_weight is NULL else <double>label_weight[i]
    return total


cdef inline void take_picked(
    const real* z, int64_t first, int64_t last,
    const int32_t* labels, const real* label_weight, int64_t n, double row_weight, double* loss,
) noexcept nogil:
    cdef:
        int64_t i, k
        double weight
    for i in range(n):
        k = labels[i]
        if first <= k < last:
            weight = 1.0 if label_weight is NULL else <double>label_weight[i]
            loss[k // GROUP] -= row_weight * weight * z[k]


cdef inline double join_blocks(
    real* highest, const real* sums, int64_t n_blocks, double weight
) noexcept nogil:
    # `highest` becomes the blocks' factors. Returns the logarithm of the sum of exp(z).
    cdef:
        real top = highest[0]
        double total = 0
        int64_t k
    for k in range(1, n_blocks):
        if highest[k] > top:
            top = highest[k]
    for k in range(n_blocks):
        highest[k] -= top
    exp_array(highest, n_blocks)
    for k in range(n_blocks):
        total += sums[k] * highest[k]
    scale(highest, n_blocks, <real>(weight / total))
    return log(total) + top


cdef inline void subtract_picked(
    real* z, int64_t first, int64_t last,
    const int32_t* labels, const real* label_weight, int64_t n, double row_weight,
) noexcept nogil:
    cdef:
        int64_t i, k
        double weight
    for i in range(n):
        k = labels[i]
        if first <= k < last:
            weight = 1.0 if label_weight is NULL else <double>label_weight[i]
            z[k] -= <real>(row_weight * weight)


cdef inline double softplus(double x) noexcept nogil:
    return (x if x > 0 else 0) + log1p(exp(-x if x > 0 else x))


cdef inline void sigmoid_row(
    real* z, int64_t first, int64_t last,
    const int32_t* labels, const real* label_weight, int64_t n, double target,
    double row_weight, real* product, real* sum_, double* loss,
) noexcept nogil:
    # z[first:last] becomes the gradient of the binary log losses of these labels, less
    # row_weight. The loss of all of them as negatives goes to product and sum_ (see
    # simd_values.h), what the row's labels change of it to loss, one entry a GROUP.
    cdef:
        int64_t i, k
        double weight, score
    # Before the scores are overwritten.
    for i in range(n):
        k = labels[i]
        if first <= k < last:
            # weight: of the loss as a positive; 1 - target: as a negative.
            weight = target if label_weight is NULL else target * label_weight[i]
            score = z[k]
            loss[k // GROUP] -= row_weight * target * score
            if weight != target:
                loss[k // GROUP] += row_weight * (weight - target) * softplus(-score)
    sigmoid(z + first, last - first, product + first, sum_ + first)
    for i in range(n):
        k = labels[i]
        if first <= k < last:
            weight = target if label_weight is NULL else target * label_weight[i]
            z[k] = <real>(weight * (z[k] - 1.0) + (1 - target) * z[k])


cdef inline void squared_hinge_row(
    real* z, int64_t first, int64_t last,
    const int32_t* labels, const real* label_weight, int64_t n, double target,
    double row_weight, real* kept, real* sum_, double* loss,
) noexcept nogil:
    # The same for the squared hinge; kept has room for the labels of any row.
    cdef:
        int64_t i, k
        double weight, score, positive, negative
    for i in range(n):
        k = labels[i]
        if first <= k < last:
            weight = target if label_weight is NULL else target * label_weight[i]
            score = z[k]
            positive = 1 - score if score < 1 else 0
            negative = 1 + score if score > -1 else 0
            loss[k // GROUP] += row_weight * (
                weight * positive * positive - target * negative * negative
            )
            kept[i] = <real>(2 * ((1 - target) * negative - weight * positive))
    squared_hinge(z + first, last - first, sum_ + first)
    for i in range(n):
        k = labels[i]
        if first <= k < last:
            z[k] = kept[i]


cdef inline void binary_row(
    const Targets* targets, int64_t row, real* z, int64_t first, int64_t last,
    double row_weight, real* product, real* sum_, real* kept, double* loss,
) noexcept nogil:
    # Scores z[first:last] of a row become the gradient of its binary loss, less row_weight.
    cdef:
        int64_t start = targets.start[row], n = targets.stop[row] - start
        const int32_t* labels = targets.labels + start
        const real* label_weight = NULL
        double target = 1.0 / n if targets.soft_target and n else 1.0
    if targets.label_weight is not NULL:
        label_weight = <const real*>targets.label_weight + start
    if targets.loss_code == SIGMOID:
        sigmoid_row(
            z, first, last, labels, label_weight, n, target, row_weight, product, sum_, loss)
    elif targets.loss_code == SQUARED_HINGE:
        squared_hinge_row(
            z, first, last, labels, label_weight, n, target, row_weight, kept, sum_, loss)


cdef inline void collect_loss(
    real* product, real* sum_, int64_t first, int64_t last, double row_weight, double* loss,
) noexcept nogil:
    # Moves what product and sum_ hold to loss, one logarithm for each GROUP of labels.
    cdef:
        int64_t k, i, stop
        real factor, total
    k = first
    while k < last:
        stop = k + GROUP if k + GROUP < last else last
        factor = 1
        total = 0
        for i in range(k, stop):
            factor *= product[i]
            total += sum_[i]
            product[i] = 1
            sum_[i] = 0
        loss[k // GROUP] += row_weight * (log(<double>factor) + total)
        k = stop
