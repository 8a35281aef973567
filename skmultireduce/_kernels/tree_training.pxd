# Training of one node of a label tree, or of a block of its children: the inner part of
# train_nodes in tree.pyx.

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from skmultireduce._kernels.losses cimport (
    GROUP,
    SIGMOID,
    SOFTMAX,
    collect_loss,
    rows_per_logarithm,
    sigmoid_row,
    softmax_row,
    squared_hinge_row,
)
from skmultireduce._kernels.simd cimport (
    scale,
    skm_forward_float_int32_t,
    skm_prefetch,
    skm_update_float_int32_t,
    subtract,
)

cdef enum:
    # Visits ahead at which a row of X is fetched.
    _NEAR = 4


cdef struct Problem:
    # Rows in CSR form, their columns numbered as the rows of `weights` are.
    const float* data
    const int32_t* indices
    const int64_t* indptr
    int64_t n_rows
    # Of each row: its number among all rows, and which of `pairs` are its children.
    const int32_t* rows
    const int64_t* pair_start
    const int32_t* pairs
    const float* pair_weight
    # Children first:last of the node, whose number the order of the rows depends on.
    int64_t first
    int64_t last
    int64_t node
    # (n_features, stride), padding 0; the intercepts of all children, padded.
    float* weights
    float* intercept
    int64_t n_features
    int64_t stride


cdef struct Rates:
    int loss_code
    uint64_t seed
    int64_t first_epoch
    int64_t n_epochs
    # Begin and end of each epoch.
    const double* steps
    double alpha
    double intercept_rate
    # Of all rows; NULL: all weights are 1.
    const float* max_step
    const float* row_weight
    # Child that each row shows in each epoch, numbered as nodes are; NULL: all of its children.
    const int32_t* picks
    int64_t n_all_rows
    int64_t first_child


cdef inline uint64_t mix(uint64_t z) noexcept nogil:
    # Finaliser of splitmix64, as in the draws of the other models.
    z ^= z >> 30
    z *= 0xBF58476D1CE4E5B9u
    z ^= z >> 27
    z *= 0x94D049BB133111EBu
    return z ^ (z >> 31)


cdef inline void shuffled(int32_t* order, int64_t n, uint64_t key) noexcept nogil:
    # 0, ..., n - 1 in an order that is a function of the key.
    cdef:
        int64_t i, j
        int32_t kept
        uint64_t bits
    for i in range(n):
        order[i] = <int32_t>i
    for i in range(n - 1, 0, -1):
        bits = mix(key + <uint64_t>i * 0x9E3779B97F4A7C15u) >> 32
        j = <int64_t>((bits * <uint64_t>(i + 1)) >> 32)
        kept = order[i]
        order[i] = order[j]
        order[j] = kept


cdef inline double train_epoch(
    const Problem* p, const Rates* rates, int64_t epoch, double* decay,
    const int32_t* order, float* buffers, int64_t width, double* loss,
) noexcept nogil:
    # One epoch; `buffers` are (4, width), as those of sgd_epoch. Returns the sum of the losses.
    cdef:
        float* z = buffers
        float* product = buffers + width
        float* sum_ = buffers + 2 * width
        float* kept = buffers + 3 * width
        const int32_t* labels
        const float* weights
        int32_t picked
        int64_t visit, i, row, start, n, n_labels, k
        int64_t n_groups = p.last // GROUP + 1
        int64_t waiting = 0, until_logarithm = 1
        double s = decay[0]
        double change = (rates.steps[2 * epoch + 1] - rates.steps[2 * epoch]) / max(1, p.n_rows)
        # The middle of each row's interval.
        double eta = rates.steps[2 * epoch] - change / 2
        double weight, step, factor
        double total = 0
    if rates.row_weight is NULL:
        until_logarithm = rows_per_logarithm(z)
    for k in range(p.first, p.last):
        product[k] = 1
        sum_[k] = 0
    for k in range(n_groups):
        loss[k] = 0
    for visit in range(p.n_rows):
        if visit + _NEAR < p.n_rows:
            i = order[visit + _NEAR]
            start = p.indptr[i]
            n = p.indptr[i + 1] - start
            skm_prefetch(&p.data[start], n * sizeof(float))
            skm_prefetch(&p.indices[start], n * sizeof(int32_t))
        i = order[visit]
        row = p.rows[i]
        eta += change
        weight = 1 if rates.row_weight is NULL else rates.row_weight[row]
        labels = p.pairs + p.pair_start[i]
        n_labels = p.pair_start[i + 1] - p.pair_start[i]
        weights = NULL
        if p.pair_weight is not NULL:
            weights = p.pair_weight + p.pair_start[i]
        if rates.picks is not NULL:
            picked = <int32_t>(rates.picks[epoch * rates.n_all_rows + row] - rates.first_child)
            labels = &picked
            n_labels = 1 if 0 <= picked < p.last else 0
            weights = NULL
        if weight == 0 or (rates.loss_code == SOFTMAX and n_labels == 0):
            continue
        start = p.indptr[i]
        n = p.indptr[i + 1] - start
        skm_forward_float_int32_t(
            z + p.first, p.stride, p.weights, p.stride, p.indices + start, p.data + start, n,
            <float>s, p.intercept + p.first)
        factor = weight
        if rates.loss_code == SOFTMAX:
            total += softmax_row(z, p.last, labels, weights, n_labels, weight, &factor)
            # Rows with several labels below this node have as much more curvature.
            weight = 0
            for k in range(n_labels):
                weight += 1 if weights is NULL else weights[k]
            step = rates.max_step[row] / weight
        else:
            if rates.loss_code == SIGMOID:
                sigmoid_row(
                    z, p.first, p.last, labels, NULL, n_labels, 1, weight, product, sum_, loss)
            else:
                squared_hinge_row(
                    z, p.first, p.last, labels, NULL, n_labels, 1, weight, kept, sum_, loss)
            waiting += 1
            if waiting == until_logarithm:
                collect_loss(product, sum_, p.first, p.last, weight, loss)
                waiting = 0
            step = rates.max_step[row]
        if eta < step:
            step = eta
        if rates.intercept_rate > 0:
            subtract(
                p.intercept + p.first, z + p.first, p.stride,
                <float>(step * rates.intercept_rate * factor))
        skm_update_float_int32_t(
            p.weights, p.stride, p.indices + start, p.data + start, n,
            <float>(step * factor / s), z + p.first, p.stride)
        if rates.alpha > 0:
            s /= 1 + step * rates.alpha
            if s < 1e-12:
                scale(p.weights, p.n_features * p.stride, <float>s)
                s = 1
    decay[0] = s
    if rates.loss_code != SOFTMAX:
        collect_loss(product, sum_, p.first, p.last, 1, loss)
    for k in range(n_groups):
        total += loss[k]
    return total


cdef inline double train_problem(
    const Problem* p, const Rates* rates, int32_t* order, float* buffers, int64_t width,
    double* loss, double* losses,
) noexcept nogil:
    # All epochs; adds the loss of each to `losses`. Returns the factor of the weights.
    cdef:
        double decay = 1
        int64_t epoch
        uint64_t key
    memset(buffers, 0, 4 * width * sizeof(float))
    for epoch in range(rates.n_epochs):
        key = mix(rates.seed + <uint64_t>p.node * 0x9E3779B97F4A7C15u)
        key = mix(key + <uint64_t>(rates.first_epoch + epoch) * 0xD1B54A32D192ED03u)
        shuffled(order, p.n_rows, key)
        losses[epoch] = train_epoch(p, rates, epoch, &decay, order, buffers, width, loss)
    return decay
