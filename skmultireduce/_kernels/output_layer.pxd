# Rows of a batch through the loss: scores as the updates of the rows before have made them,
# then their gradient.
#
# Within a batch the weights that row i meets are those before the batch less the updates for
# the rows before it, so that its scores are those of one product for the batch, and a
# combination of the gradients before it. Most of that is again a product, by strips of rows,
# the rest is done in the sweep that computes the gradients.

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from skmultireduce._kernels.candidates cimport block_gradient, move_own
from skmultireduce._kernels.losses cimport (
    Targets,
    binary_row,
    collect_loss,
    join_blocks,
    rows_per_logarithm,
    subtract_picked,
    take_picked,
    total_weight,
)
from skmultireduce._kernels.products cimport multiply
from skmultireduce._kernels.shares cimport (
    Share,
    block_end,
    first_block_of,
    line_of,
    skm_await,
    skm_publish,
)
from skmultireduce._kernels.simd cimport forward, real, softmax

cdef extern from "simd_blocks.h" nogil:
    void skm_softmax_blocks_float(float* z, const int64_t* bounds, int64_t n, float* found)
    void skm_softmax_blocks_double(double* z, const int64_t* bounds, int64_t n, double* found)
    void skm_scale_blocks_float(
        float* z, const int64_t* bounds, int64_t n, const float* factors)
    void skm_scale_blocks_double(
        double* z, const int64_t* bounds, int64_t n, const double* factors)

cdef enum:
    # Rows of a batch whose scores are put right one by one, before the next of them get
    # all their corrections in one product. (32: 5 % more time, 8: 6 %.)
    STRIP = 16

cdef struct Batch:
    # Rows order[position:position + n]; room is for so many as size.
    const int64_t* order
    int64_t position
    int64_t n
    int64_t size
    # A number that no other batch of the training has.
    int64_t number
    # Whether products are our own, not those of BLAS.
    bint own_products
    # Whether binary losses too correct scores by strips: a product takes less time than the
    # sweep over the rows, but sums up in another order.
    bint strips
    # Of a thread's labels alone: scores, and gradients in them. Label k of row i is at
    # i * stride + k: side by side, what a core fetches ahead beyond its labels would be what
    # another has just written.
    void* Z
    void* G
    int64_t stride
    # (size, size): by how much the gradient of one row changes the scores of another.
    void* coefficients
    # Weights of the rows, 0: passed over.
    void* factors
    # Of labels: factors of the losses (1 at the begin), sums (0 at the begin), spare.
    void* product
    void* sums
    void* spare
    # Of a sampled softmax: of the rows' labels; those of the candidates that all rows see.
    const int32_t* own
    int64_t n_shared


cdef inline void softmax_blocks(
    real* z, const int64_t* bounds, int64_t n, real* found
) noexcept nogil:
    if real is float:
        skm_softmax_blocks_float(z, bounds, n, found)
    else:
        skm_softmax_blocks_double(z, bounds, n, found)


cdef inline void scale_blocks(
    real* z, const int64_t* bounds, int64_t n, const real* factors
) noexcept nogil:
    if real is float:
        skm_scale_blocks_float(z, bounds, n, factors)
    else:
        skm_scale_blocks_double(z, bounds, n, factors)


cdef inline void correct_block(
    real* Z, const real* G, const Batch* batch, int64_t first, int64_t size, int64_t q
) noexcept nogil:
    # Scores of the strip of rows from q on, by the gradients of all rows before it.
    cdef int64_t strip = block_end(q, STRIP, batch.n) - q
    multiply(
        batch.own_products, strip, size, q, <real>1,
        <const real*>batch.coefficients + q * batch.size, batch.size, 1, G + first,
        batch.stride, <real>1, Z + q * batch.stride + first, batch.stride)


cdef inline void sampled_blocks(
    real* d, const Share* share, int64_t n_shared, int64_t candidate, real* found
) noexcept nogil:
    # softmax_blocks of what a row's softmax is over.
    cdef int64_t block, first, n
    for block in range(share.first_block, share.last_block):
        first = share.bounds[block]
        found[0] = -INFINITY
        found[1] = 0
        n = move_own(d, first, share.bounds[block + 1], n_shared, candidate)
        if n:
            found[1] = softmax(d + first, n, found)
        found += 2


cdef inline void collect_blocks(
    const Share* share, int64_t i, int64_t value, real* highest, real* sums
) noexcept nogil:
    # Maxima and sums of row i of all threads' blocks.
    cdef:
        int64_t thread, last, k = 0
        const int64_t* line
        const real* found
    for thread in range(share.n_threads):
        line = line_of(share, thread, i)
        skm_await(line, value)
        found = <const real*>(line + 1)
        last = first_block_of(share.n_blocks, thread + 1, share.n_threads)
        while k < last:
            highest[k] = found[0]
            sums[k] = found[1]
            found += 2
            k += 1


cdef inline void softmax_rows(
    real* Z, real* G, const Batch* batch, const Share* share, const Targets* targets,
    double* loss,
) noexcept nogil:
    # Gradients of all rows, times the rows' weights. Threads tell each other the maximum and
    # the sum of each block.
    cdef:
        int64_t first_label = share.first_label, last_label = share.last_label
        int64_t n_own_blocks = share.last_block - share.first_block
        int64_t stride = batch.stride, i, q, row, start, n, block, first, candidate = 0
        const real* factors = <const real*>batch.factors
        const real* label_weight = NULL
        const int32_t* labels
        real* highest = <real*>batch.spare
        real* sums = highest + share.n_blocks
        real* d
        int64_t* line
        double weight, lost
    for i in range(batch.n):
        q = i // STRIP * STRIP
        if i == q and q:
            for block in range(share.first_block, share.last_block):
                first = share.bounds[block]
                correct_block(Z, G, batch, first, share.bounds[block + 1] - first, q)
        d = G + i * stride
        if factors[i] == 0:
            memset(d + first_label, 0, (last_label - first_label) * sizeof(real))
            continue
        row = batch.order[batch.position + i]
        start = targets.start[row]
        n = targets.stop[row] - start
        if targets.label_weight is not NULL:
            label_weight = <const real*>targets.label_weight + start
        labels = targets.labels + start
        if batch.own is not NULL:
            labels = batch.own + i
            candidate = labels[0]
        forward(
            d + first_label, last_label - first_label, G + q * stride + first_label, stride,
            NULL, False, <const real*>batch.coefficients + i * batch.size + q, i - q, <real>1,
            Z + i * stride + first_label)
        take_picked(d, first_label, last_label, labels, label_weight, n, factors[i], loss)
        line = line_of(share, share.thread, i)
        if batch.own is not NULL:
            sampled_blocks(d, share, batch.n_shared, candidate, <real*>(line + 1))
        else:
            softmax_blocks(
                d, share.bounds + share.first_block, n_own_blocks, <real*>(line + 1))
        skm_publish(line, batch.number)
        collect_blocks(share, i, batch.number, highest, sums)
        weight = factors[i] * total_weight(label_weight, n)
        lost = join_blocks(highest, sums, share.n_blocks, weight)
        if share.first_block == 0 and share.last_block > 0:
            loss[0] += weight * lost
        if batch.own is not NULL:
            for block in range(share.first_block, share.last_block):
                block_gradient(
                    d, share.bounds[block], share.bounds[block + 1], batch.n_shared, candidate,
                    highest[block])
        else:
            scale_blocks(
                d, share.bounds + share.first_block, n_own_blocks, highest + share.first_block)
        subtract_picked(d, first_label, last_label, labels, label_weight, n, factors[i])


cdef inline void binary_rows(
    real* Z, real* G, const Batch* batch, const Share* share, const Targets* targets,
    double* loss,
) noexcept nogil:
    # Gradients of all rows, less the rows' weights.
    cdef:
        int64_t stride = batch.stride, i, q, n, block, first, last
        const real* factors = <const real*>batch.factors
        const real* coefficients = <const real*>batch.coefficients
        real* product = <real*>batch.product
        real* sums = <real*>batch.sums
        # Weighted rows cannot share a logarithm.
        int64_t until_logarithm = 1
    if targets.row_weight is NULL:
        until_logarithm = rows_per_logarithm(Z)
    for block in range(share.first_block, share.last_block):
        first = share.bounds[block]
        last = share.bounds[block + 1]
        n = 0
        for i in range(batch.n):
            q = i // STRIP * STRIP if batch.strips else 0
            if i == q and q:
                correct_block(Z, G, batch, first, last - first, q)
            forward(
                G + i * stride + first, last - first, G + q * stride + first, stride, NULL,
                False, coefficients + i * batch.size + q, i - q, <real>1, Z + i * stride + first)
            if factors[i] == 0:
                memset(G + i * stride + first, 0, (last - first) * sizeof(real))
                continue
            binary_row(
                targets, batch.order[batch.position + i], G + i * stride, first, last,
                factors[i], product, sums, <real*>batch.spare, loss)
            n += 1
            if n % until_logarithm == 0:
                collect_loss(product, sums, first, last, factors[i], loss)
        collect_loss(product, sums, first, last, 1, loss)
