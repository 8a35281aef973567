"""One epoch of SGD for networks on averaged embeddings, and their scores.

Design
------
Batches, so that the output layer is matrix products, that learn as single rows do. Within
a batch the output weights that row i meets are U - sum_j<i step_j g_j h_j', so its scores
are U h_i - sum_j<i step_j (h_j . h_i) g_j: one product for the batch, one small one for
the inner products, and a correction of each row by the gradients before it, most of it
again as a product (by strips of rows), the rest in the sweep that computes the gradients.
Only what flows back into embeddings and hidden layers is of the batch's begin. On the
cooking questions (735 labels, dim 100, 25 epochs, means over seeds) P@1 / R@5 at batches of
4, 16, 32 and 64 rows agree to their noise (.585 / .564, .587 / .562, .588 / .563,
.588 / .562); a plain batch of 64 at half the step lost .01 of P@1.
Also tried there: gradients for the embeddings from the output weights as each row met them
(no better, a fifth more work); from those after the batch (diverges); steps of the
embeddings bounded by Polyak's rule (binds in 9 of 10 rows, loses .08 of P@1). Instead the
bound by the curvature in the output layer holds for all steps of a row.

Labels are taken in blocks of at most 96: with AVX-512 OpenBLAS multiplies so small matrices
without copying them, and the three products of the job above take 1.4 instead of 1.6 s (97 of 99
GFLOP/s that one core does on large matrices; blocks of 64 are 10 % slower, of 112 or 128 as
fast, but the threads' shares are then less even). For the scores the vectors of the batch are
transposed: OpenBLAS's small product of 96 x 64 x 100 takes 8 us then, and 12 where both factors
are contiguous along the sum; the job above takes 10 to 15 % less time. With AVX2 OpenBLAS
copies; products of our own (simd_products.h) reach 75 to 97 GFLOP/s where its take 50 and its
large ones 92, and 5 epochs of the job above take .60 instead of .75 s (Zen 3, one core).

Blocks of labels, chunks of rows and groups of features are also the shares of the threads; they
and all orders of summation do not depend on the number of threads.

Threads run the whole epoch and meet at barriers. Scores, gradients and output weights of a label
are touched by one thread; of a row of a softmax only the maximum and the sum of each block go
round, by a cache line of each thread that the others await. Whatever a core writes is apart from
what others write: of a matrix with rows that two cores share, each fetches ahead, beyond its own
part, what the other has just written. Cooking questions, milliseconds an epoch with two threads
(two cores of Zen 3), where one takes 20 for the rows of the softmax and 3 for the update of the
embeddings: the rows 17 (often 32) by halves of a matrix, 15 by a matrix for each thread; the
update 5 to 6 by halves of the columns, 3 by rows. Before, the rows of the softmax were one
thread's, while the others computed what flows back: 112 an epoch, now 90 (medians of 60 short
trainings in turns on a busy machine, where one thread takes 129 in both; least 74 and 62, one
thread 99).

A sampled softmax copies the output rows of each batch's candidates to a matrix of their
own (`candidates.pxd`), which takes the place of the output layer for this batch.
"""

from libc.math cimport INFINITY, log, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset
from scipy.linalg.cython_blas cimport dgemm, sgemm

from skmultireduce._kernels.candidates cimport (
    block_gradient,
    gather,
    move_own,
    scatter,
)
from skmultireduce._kernels.losses cimport (
    GROUP,
    SIGMOID,
    SOFTMAX,
    collect_loss,
    join_blocks,
    rows_per_logarithm,
    sigmoid_row,
    squared_hinge_row,
    subtract_picked,
    take_picked,
    total_weight,
)
from skmultireduce._kernels.simd cimport (
    column,
    forward,
    real,
    scale,
    skm_prefetch,
    subtract,
    update,
)
from skmultireduce._kernels.simd cimport softmax as softmax_of

IDENTITY = 0
RELU = 1
TANH = 2

cdef enum:
    _RELU = 1
    _TANH = 2
    # Labels that one product takes at most; a multiple of GROUP.
    _BLOCK = 96
    # Rows of a batch whose scores are put right one by one, before the next of them get
    # all their corrections in one product. (32: 5 % more time, 8: 6 %.)
    _STRIP = 16

    # Rows of a batch that go through the hidden layers in one product, and the unit in which
    # threads take rows without hidden layers.
    _CHUNK = 32
    _ROWS = 8
    # Features whose embeddings one thread changes, and values of X that it picks at once.
    _FEATURES = 4
    _VALUES = 64

cdef extern from "simd_mlp.h" nogil:
    int SKM_HAS_BARRIER
    void skm_barrier(int64_t* state, int64_t n_threads)
    void skm_publish(int64_t* flag, int64_t value)
    void skm_await(const int64_t* flag, int64_t value)
    float skm_dot_float(const float* x, const float* y, int64_t n)
    double skm_dot_double(const double* x, const double* y, int64_t n)
    void skm_softmax_blocks_float(float* z, const int64_t* bounds, int64_t n, float* found)
    void skm_softmax_blocks_double(double* z, const int64_t* bounds, int64_t n, double* found)
    void skm_scale_blocks_float(
        float* z, const int64_t* bounds, int64_t n, const float* factors)
    void skm_scale_blocks_double(
        double* z, const int64_t* bounds, int64_t n, const double* factors)
    void skm_relu_float(float* a, int64_t n)
    void skm_relu_double(double* a, int64_t n)
    void skm_relu_gradient_float(float* d, const float* a, int64_t n)
    void skm_relu_gradient_double(double* d, const double* a, int64_t n)
    void skm_tanh_float(float* a, int64_t n)
    void skm_tanh_double(double* a, int64_t n)
    void skm_tanh_gradient_float(float* d, const float* a, int64_t n)
    void skm_tanh_gradient_double(double* d, const double* a, int64_t n)
    void skm_mask_float(float* a, const uint8_t* kept, int64_t n, float factor)
    void skm_mask_double(double* a, const uint8_t* kept, int64_t n, double factor)

cdef extern from "simd_products.h" nogil:
    int skm_products_run()
    int skm_products_pay()
    void skm_product_float(
        int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t down,
        int64_t right, const float* b, int64_t ldb, float beta, float* c, int64_t ldc)
    void skm_product_double(
        int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t down,
        int64_t right, const double* b, int64_t ldb, double beta, double* c, int64_t ldc)

LABEL_BLOCK = _BLOCK
LABEL_GROUP = GROUP
HAS_THREADS = bool(SKM_HAS_BARRIER)
# Whether this machine can run the products of simd_products.h, and whether it should.
HAS_PRODUCTS = bool(skm_products_run())
PRODUCTS_PAY = bool(skm_products_pay())


cdef inline real dot(const real* x, const real* y, int64_t n) noexcept nogil:
    if real is float:
        return skm_dot_float(x, y, n)
    else:
        return skm_dot_double(x, y, n)


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


cdef inline void activate(real* a, int64_t n, int activation) noexcept nogil:
    if activation == _RELU:
        if real is float:
            skm_relu_float(a, n)
        else:
            skm_relu_double(a, n)
    elif activation == _TANH:
        if real is float:
            skm_tanh_float(a, n)
        else:
            skm_tanh_double(a, n)


cdef inline void activation_gradient(
    real* d, const real* a, int64_t n, int activation
) noexcept nogil:
    if activation == _RELU:
        if real is float:
            skm_relu_gradient_float(d, a, n)
        else:
            skm_relu_gradient_double(d, a, n)
    elif activation == _TANH:
        if real is float:
            skm_tanh_gradient_float(d, a, n)
        else:
            skm_tanh_gradient_double(d, a, n)


cdef inline void mask(real* a, const uint8_t* kept, int64_t n, real factor) noexcept nogil:
    if real is float:
        skm_mask_float(a, kept, n, factor)
    else:
        skm_mask_double(a, kept, n, factor)


cdef inline void gemm(
    char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, real alpha,
    const real* a, int64_t lda, const real* b, int64_t ldb, real beta, real* c, int64_t ldc,
) noexcept nogil:
    # BLAS is column-major: a row-major matrix is its transpose.
    cdef int m_ = <int>m, n_ = <int>n, k_ = <int>k
    cdef int lda_ = <int>lda, ldb_ = <int>ldb, ldc_ = <int>ldc
    if m == 0 or n == 0:
        return
    if real is float:
        sgemm(&trans_a, &trans_b, &m_, &n_, &k_, &alpha, <float*>a, &lda_, <float*>b, &ldb_,
              &beta, c, &ldc_)
    else:
        dgemm(&trans_a, &trans_b, &m_, &n_, &k_, &alpha, <double*>a, &lda_, <double*>b, &ldb_,
              &beta, c, &ldc_)


cdef inline void multiply(
    bint own, int64_t m, int64_t n, int64_t k, real alpha, const real* a, int64_t down,
    int64_t right, const real* b, int64_t ldb, real beta, real* c, int64_t ldc,
) noexcept nogil:
    # C (m, n) <- beta * C + alpha * A B, all in C order; A has its element (i, p) at
    # i * down + p * right, one of which is 1.
    if not own:
        gemm(78, 78 if right == 1 else 84, n, m, k, alpha, b, ldb, a,
             down if right == 1 else right, beta, c, ldc)
    elif real is float:
        skm_product_float(m, n, k, alpha, a, down, right, b, ldb, beta, c, ldc)
    else:
        skm_product_double(m, n, k, alpha, a, down, right, b, ldb, beta, c, ldc)


cdef inline void block_scores(
    bint own, real* Z, int64_t stride, const real* U, const real* HT, int64_t ld,
    const real* offset, int64_t b, int64_t n_labels, int64_t width, real* flipped,
) noexcept nogil:
    # Scores of b rows for one block of labels: Z (b, n_labels) <- offset + H U'.
    cdef int64_t i, k
    if own:
        # (n_labels, b): B's rows are then those of HT.
        multiply(own, n_labels, b, width, <real>1, U, width, 1, HT, ld, <real>0, flipped, ld)
        for i in range(b):
            for k in range(n_labels):
                Z[i * stride + k] = offset[k] + flipped[k * ld + i]
    else:
        for i in range(b):
            memcpy(Z + i * stride, offset, n_labels * sizeof(real))
        gemm(84, 84, n_labels, b, width, <real>1, U, width, HT, ld, <real>1, Z, stride)


cdef inline int64_t part(
    int64_t n, int64_t unit, int64_t thread, int64_t n_threads
) noexcept nogil:
    # First of n things that belong to a thread, if they are given out in units.
    cdef int64_t first = ((n + unit - 1) // unit * thread // n_threads) * unit
    return first if first < n else n


cdef inline int64_t block_end(int64_t first, int64_t size, int64_t n) noexcept nogil:
    return first + size if first + size < n else n


cdef inline void find_bounds(int64_t* bounds, int64_t n_blocks, int64_t n_labels) noexcept nogil:
    # Blocks of as equal a size as groups of labels allow, so that threads' shares are.
    cdef int64_t block, n_groups = (n_labels + GROUP - 1) // GROUP
    for block in range(n_blocks):
        bounds[block] = n_groups * block // n_blocks * GROUP
    bounds[n_blocks] = n_labels


cdef inline int64_t share(int64_t n_blocks, int64_t thread, int64_t n_threads) noexcept nogil:
    # First block of labels of a thread.
    return n_blocks * thread // n_threads


cdef inline void documents(
    real* a, int64_t dim, const real* E, int64_t pitch, int64_t n_features,
    const real* data, const column* indices, const int64_t* indptr, int64_t row,
    double factor, const real* zeros,
) noexcept nogil:
    # a <- factor * (row of X) . E
    cdef int64_t start, n
    if indptr is NULL:
        forward(a, dim, E, pitch, indices, data + row * n_features, n_features,
                <real>factor, zeros)
    else:
        start = indptr[row]
        n = indptr[row + 1] - start
        # Without a column there is nothing to point at, and NULL would mean a dense row.
        forward(a, dim, E, pitch, indices + start, data + start, n, <real>factor, zeros)


cdef inline void fetch_embeddings(
    const real* E, int64_t pitch, const column* indices, const int64_t* indptr, int64_t row
) noexcept nogil:
    # Of a row of X that comes soon: they are in random places.
    cdef int64_t j
    if indptr is not NULL:
        for j in range(indptr[row], indptr[row + 1]):
            skm_prefetch(E + indices[j] * pitch, pitch * sizeof(real))


cdef inline int64_t owner(int64_t feature, int64_t n_threads) noexcept nogil:
    # Thread that changes a feature's embedding. Whole rows of E: of columns, a core would
    # fetch ahead what another has just written (two threads took longer than one).
    return feature // _FEATURES % n_threads


cdef inline void update_dense(
    real* E, int64_t pitch, const real* x, int64_t n_features, real step, const real* d,
    int64_t dim, int64_t thread, int64_t n_threads,
) noexcept nogil:
    # Own rows of E, for a dense row of X.
    cdef int64_t j = thread * _FEATURES
    if n_threads == 1:
        update(E, pitch, <const int32_t*>NULL, x, n_features, step, d, dim)
        return
    while j < n_features:
        update(E + j * pitch, pitch, <const int32_t*>NULL, x + j,
               block_end(j, _FEATURES, n_features) - j, step, d, dim)
        j += n_threads * _FEATURES


cdef inline void update_sparse(
    real* E, int64_t pitch, const column* columns, const real* x, int64_t n, real step,
    const real* d, int64_t dim, int64_t thread, int64_t n_threads,
) noexcept nogil:
    # Own rows of E, for a sparse row of X.
    cdef:
        column own_columns[_VALUES]
        real own_x[_VALUES]
        int64_t j = 0, n_own
    if n_threads == 1:
        update(E, pitch, columns, x, n, step, d, dim)
        return
    while j < n:
        n_own = 0
        while j < n and n_own < _VALUES:
            own_columns[n_own] = columns[j]
            own_x[n_own] = x[j]
            n_own += owner(columns[j], n_threads) == thread
            j += 1
        update(E, pitch, own_columns, own_x, n_own, step, d, dim)


cdef inline void transpose(
    real* out, int64_t ld, const real* H, int64_t width, int64_t first, int64_t last
) noexcept nogil:
    # out[column, row] <- H[row, column]
    cdef int64_t i, k
    for k in range(width):
        for i in range(first, last):
            out[k * ld + i] = H[i * width + k]


cdef void hidden_forward(
    real* A, int64_t batch_size, int64_t first, int64_t last, const real* hidden,
    const int64_t* widths, int64_t n_layers, int activation,
    const uint8_t* kept, int64_t n_units, double kept_factor,
) noexcept nogil:
    # Rows first:last through all hidden layers. A holds the layers one after the other,
    # each (batch_size, width).
    cdef:
        const real* W = hidden
        real* below = A
        real* above
        int64_t k, i, n_in, n_out, unit = 0
    for k in range(1, n_layers):
        n_in = widths[k - 1]
        n_out = widths[k]
        above = below + batch_size * n_in
        unit += n_in
        for i in range(first, last):
            memcpy(above + i * n_out, W + n_out * n_in, n_out * sizeof(real))
        gemm(84, 78, n_out, last - first, n_in, <real>1, W, n_in, below + first * n_in, n_in,
             <real>1, above + first * n_out, n_out)
        for i in range(first, last):
            activate(above + i * n_out, n_out, activation)
            if n_units:
                mask(above + i * n_out, kept + i * n_units + unit, n_out, <real>kept_factor)
        W += n_out * (n_in + 1)
        below = above


cdef void hidden_backward(
    real* A, real* D, int64_t batch_size, int64_t first, int64_t last, const real* hidden_end,
    int64_t total_width, const int64_t* widths, int64_t n_layers, int activation,
    const uint8_t* kept, int64_t n_units, double kept_factor,
) noexcept nogil:
    # D: gradients in the layers' outputs on entry of the last one, in what enters their
    # activations on return.
    cdef:
        const real* W = hidden_end
        int64_t k, i, n_in, n_out, unit = total_width
        real* a = A + batch_size * total_width
        real* d = D + batch_size * total_width
        real* below
    for k in range(n_layers - 1, -1, -1):
        n_out = widths[k]
        unit -= n_out
        a -= batch_size * n_out
        d -= batch_size * n_out
        for i in range(first, last):
            if n_units:
                mask(d + i * n_out, kept + i * n_units + unit, n_out, <real>kept_factor)
            if k:
                if n_units and activation == _TANH:
                    scale(a + i * n_out, n_out, <real>(1 / kept_factor))
                activation_gradient(d + i * n_out, a + i * n_out, n_out, activation)
                if n_units and activation == _TANH:
                    scale(a + i * n_out, n_out, <real>kept_factor)
        if k:
            n_in = widths[k - 1]
            W -= n_out * (n_in + 1)
            below = d - batch_size * n_in
            gemm(78, 78, n_in, last - first, n_out, <real>1, W, n_in, d + first * n_out, n_out,
                 <real>0, below + first * n_in, n_in)


cdef void hidden_update(
    real* hidden, real* gradient, real* A, real* D, int64_t batch_size, int64_t b,
    const int64_t* widths, int64_t n_layers, const real* steps, double rate, double decay,
    double largest_change,
) noexcept nogil:
    # One step for each layer, of at most largest_change times the norm of its weights.
    cdef:
        real* W = hidden
        real* below = A
        real* d = D
        int64_t k, i, n_in, n_out, size
        double change, norm
    for k in range(1, n_layers):
        n_in = widths[k - 1]
        n_out = widths[k]
        d += batch_size * n_in
        size = n_out * n_in
        memset(gradient + size, 0, n_out * sizeof(real))
        for i in range(b):
            scale(d + i * n_out, n_out, <real>(rate * steps[i]))
            subtract(gradient + size, d + i * n_out, n_out, <real>-1)
        gemm(78, 84, n_in, n_out, b, <real>1, below, n_in, d, n_out, <real>0, gradient, n_in)
        change = sqrt(dot(gradient, gradient, size + n_out))
        norm = largest_change * sqrt(dot(W, W, size + n_out))
        if decay != 1:
            scale(W, size, <real>decay)
        subtract(W, gradient, size + n_out, <real>(norm / change if change > norm else 1.0))
        W += size + n_out
        below += batch_size * n_in


def mlp_epoch(
    real[:, ::1] embedding,
    double[::1] embedding_scale,
    real[::1] hidden,
    real[:, ::1] output,
    real[::1] intercept,
    const int64_t[::1] widths,
    int activation,
    const real[::1] data,
    const column[::1] indices,
    const int64_t[::1] indptr,
    const real[::1] row_factor,
    const int64_t[::1] order,
    const int64_t[::1] label_start,
    const int64_t[::1] label_stop,
    const int32_t[::1] labels,
    const real[::1] label_weight,
    const real[::1] row_weight,
    const real[::1] curvature,
    const uint8_t[:, ::1] kept,
    double kept_factor,
    int loss_code,
    bint soft_target,
    double eta,
    double eta_change,
    double alpha,
    double embedding_rate,
    double hidden_rate,
    double output_rate,
    double intercept_rate,
    double largest_step,
    double largest_change,
    const int64_t[::1] candidate_start,
    const int64_t[::1] n_shared,
    const int32_t[::1] candidates,
    const int32_t[::1] own,
    const real[::1] log_inclusion,
    double[::1] decayed,
    real[:, ::1] candidate_rows,
    real[:, ::1] candidate_offsets,
    int64_t thread,
    int64_t n_threads,
    int64_t[::1] barrier,
    bint own_products,
    real[:, :, ::1] scores,
    real[:, ::1] flipped,
    real[:, ::1] label_buffers,
    real[:, ::1] layers,
    real[:, :, ::1] parts,
    real[:, ::1] vectors,
    real[:, ::1] products,
    real[:, ::1] row_buffers,
    real[::1] gradient,
    int64_t[:, ::1] block_bounds,
    int64_t[:, :, ::1] meeting,
    double[::1] loss,
):
    cdef:
        bint dense = indptr.shape[0] == 0
        bint softmax = loss_code == SOFTMAX
        bint weighted = row_weight.shape[0] > 0
        bint backward
        int64_t batch_size = scores.shape[1]
        int64_t stride
        int64_t n_features = embedding.shape[0]
        int64_t pitch = embedding.shape[1]
        int64_t dim = widths[0]
        int64_t n_layers = widths.shape[0]
        int64_t width = widths[n_layers - 1]
        int64_t total_width = layers.shape[1] // batch_size
        int64_t n_rows = order.shape[0]
        int64_t n_labels = output.shape[0]
        int64_t unit = _CHUNK if n_layers > 1 else _ROWS
        int64_t n_blocks = (n_labels + _BLOCK - 1) // _BLOCK
        int64_t* bounds = &block_bounds[thread, 0]
        int64_t first_block = share(n_blocks, thread, n_threads)
        int64_t last_block = share(n_blocks, thread + 1, n_threads)
        int64_t n_units = total_width if kept.shape[0] else 0
        real* E = &embedding[0, 0]
        bint sampled = candidate_start.shape[0] > 0
        real* U = &candidate_rows[0, 0] if sampled else &output[0, 0]
        real* c = &candidate_offsets[0, 0] if sampled else &intercept[0]
        real* offset = &candidate_offsets[1, 0] if sampled else c
        double* row_decays = &decayed[0] if sampled and alpha > 0 else NULL
        double decay = decayed[decayed.shape[0] - 1] if sampled else 0
        const int32_t* all_candidates = &candidates[0] if candidates.shape[0] else NULL
        const int32_t* batch_labels = NULL
        # Of own labels alone, label k of row i at i * stride + k: side by side, what a core
        # fetches ahead beyond its labels would be what another has just written.
        real* Z
        real* G
        real* product = &label_buffers[0, 0]
        real* sum_ = &label_buffers[1, 0]
        real* zeros = &label_buffers[2, 0]
        real* spare = &label_buffers[3 + thread, 0]
        real* A = &layers[0, 0]
        real* D = &layers[1, 0]
        real* H = A + batch_size * (total_width - width)
        real* last_d = D + batch_size * (total_width - width)
        # H transposed for the scores, and times the steps for the update.
        real* HT = &vectors[0, 0]
        real* HS = &vectors[1, 0]
        real* K = &products[0, 0]
        # By how much the gradient of one row changes the scores of another.
        real* coefficients = &products[1 + thread, 0]
        real* steps = &row_buffers[0, 0]
        real* factors = &row_buffers[1, 0]
        # Steps of the output layer for the gradients as they are in G.
        real* rates = &row_buffers[2, 0]
        # Of a row: maximum and sum of each block.
        real* highest = spare
        real* sums
        real* found
        int64_t* line
        real* d
        const real* x = &data[0] if data.shape[0] else NULL
        const column* columns = &indices[0] if indices.shape[0] else NULL
        const int64_t* offsets = &indptr[0] if indptr.shape[0] else NULL
        const real* weights = &label_weight[0] if label_weight.shape[0] else NULL
        const real* row_weights = &row_weight[0] if weighted else NULL
        const real* row_factors = &row_factor[0] if row_factor.shape[0] else NULL
        const real* pair_weights
        const int32_t* row_labels
        const uint8_t* mask_rows = NULL
        const real* hidden_end = &hidden[0] + hidden.shape[0] if n_layers > 1 else NULL
        int64_t until_logarithm = 1 if weighted else rows_per_logarithm(product)
        int64_t position, row, start, n, b, i, j, k, q, strip, label, n_of_row
        int64_t block, first, last, size, first_label, last_label, shared, candidate
        int64_t first_row, last_row
        int64_t* state = &barrier[0]
        double s = embedding_scale[0]
        double weight, factor, step, square, target, embedding_decay, hidden_decay, output_decay

    backward = embedding_rate > 0 or n_layers > 1
    with nogil:
        position = 0
        while position < n_rows:
            b = batch_size if position + batch_size <= n_rows else n_rows - position
            if n_units:
                mask_rows = &kept[position, 0]
            if sampled:
                j = position // batch_size
                batch_labels = all_candidates + candidate_start[j]
                n_labels = candidate_start[j + 1] - candidate_start[j]
                n_blocks = (n_labels + _BLOCK - 1) // _BLOCK
                first_block = share(n_blocks, thread, n_threads)
                last_block = share(n_blocks, thread + 1, n_threads)
            if sampled or position == 0:
                find_bounds(bounds, n_blocks, n_labels)
            first_label = bounds[first_block]
            last_label = bounds[last_block]
            stride = (last_label if thread + 1 < n_threads else scores.shape[2]) - first_label
            Z = &scores[0, 0, 0] + first_label * (batch_size - 1)
            G = &scores[1, 0, 0] + first_label * (batch_size - 1)

            # Document vectors, and what the hidden layers make of them, of own rows.
            first_row = part(b, unit, thread, n_threads)
            last_row = part(b, unit, thread + 1, n_threads)
            first = first_row
            while first < last_row:
                last = block_end(first, unit, last_row)
                for i in range(first, last):
                    row = order[position + i]
                    if i + 1 < b:
                        fetch_embeddings(E, pitch, columns, offsets, order[position + i + 1])
                    documents(
                        A + i * dim, dim, E, pitch, n_features, x, columns, offsets, row,
                        s if row_factors is NULL else s * row_factors[row], zeros)
                    if n_units:
                        mask(A + i * dim, mask_rows + i * n_units, dim, <real>kept_factor)
                if n_layers > 1:
                    hidden_forward(
                        A, batch_size, first, last, &hidden[0], &widths[0], n_layers,
                        activation, mask_rows, n_units, kept_factor)
                transpose(HT, batch_size, H, width, first, last)
                first = last
            skm_barrier(state, n_threads)

            # Products of the rows of H: by how much the update for one row changes the scores
            # of another. And the steps, which depend on them.
            first = part(b, _CHUNK, thread, n_threads)
            size = part(b, _CHUNK, thread + 1, n_threads)
            while first < size:
                last = block_end(first, _CHUNK, size)
                multiply(
                    own_products, last - first, last, width, <real>1, H + first * width, width,
                    1, HT, batch_size, <real>0, K + first * batch_size, batch_size)
                for i in range(first, last):
                    row = order[position + i]
                    weight = 1 if row_weights is NULL else row_weights[row]
                    step = eta + (i + 0.5) * eta_change
                    square = curvature[row] * output_rate
                    square *= K[i * batch_size + i] + intercept_rate
                    if step * square > largest_step:
                        step = largest_step / square
                    if softmax and label_stop[row] == label_start[row]:
                        weight = 0
                    steps[i] = <real>step
                    factors[i] = <real>weight
                    # The softmax's gradients have the weight in them.
                    rates[i] = <real>(
                        (1 if softmax and weight > 0 else weight) * step * output_rate)
                    memcpy(HS + i * width, H + i * width, width * sizeof(real))
                    scale(HS + i * width, width, rates[i])
                first = last

            # What leads to the next rows of X: they come in random order.
            for i in range(position + b, block_end(position + b, batch_size, n_rows)):
                row = order[i]
                skm_prefetch(&label_start[row], sizeof(int64_t))
                skm_prefetch(&label_stop[row], sizeof(int64_t))
                skm_prefetch(&curvature[row], sizeof(real))
                if row_factors is not NULL:
                    skm_prefetch(row_factors + row, sizeof(real))
                if not dense:
                    skm_prefetch(offsets + row, 2 * sizeof(int64_t))

            # Scores by the output weights before the batch.
            for block in range(first_block, last_block):
                first = bounds[block]
                size = bounds[block + 1] - first
                if sampled:
                    gather(
                        U, c, offset, &output[0, 0], &intercept[0], &log_inclusion[0],
                        row_decays, decay, width, batch_labels, first, first + size)
                block_scores(
                    own_products, Z + first, stride, U + first * width, HT, batch_size,
                    offset + first, b, size, width, &flipped[thread, 0])
            skm_barrier(state, n_threads)

            for i in range(position + b, block_end(position + b, batch_size, n_rows)):
                row = order[i]
                if label_stop[row] > label_start[row]:
                    skm_prefetch(&labels[label_start[row]], sizeof(int32_t))
                if not dense:
                    start = offsets[row]
                    n = offsets[row + 1] - start
                    if n:
                        skm_prefetch(x + start, n * sizeof(real))
                        skm_prefetch(columns + start, n * sizeof(column))

            embedding_decay = 1
            hidden_decay = 1
            output_decay = 1
            for i in range(b):
                for j in range(i):
                    coefficients[i * batch_size + j] = -rates[j] * (
                        K[i * batch_size + j] + <real>intercept_rate)
                if alpha > 0 and factors[i] > 0:
                    embedding_decay /= 1 + steps[i] * embedding_rate * alpha
                    hidden_decay /= 1 + steps[i] * hidden_rate * alpha
                    output_decay /= 1 + steps[i] * output_rate * alpha

            # Row by row: the scores as the updates of the rows before have made them, then
            # their gradient.
            if softmax:
                shared = n_shared[position // batch_size] if sampled else 0
                sums = spare + n_blocks
                candidate = 0
                for i in range(b):
                    q = i // _STRIP * _STRIP
                    if i == q and q:
                        strip = block_end(q, _STRIP, b) - q
                        for block in range(first_block, last_block):
                            first = bounds[block]
                            size = bounds[block + 1] - first
                            multiply(
                                own_products, strip, size, q, <real>1,
                                coefficients + q * batch_size, batch_size, 1, G + first, stride,
                                <real>1, Z + q * stride + first, stride)
                    if factors[i] == 0:
                        memset(G + i * stride + first_label, 0,
                               (last_label - first_label) * sizeof(real))
                        continue
                    row = order[position + i]
                    label = label_start[row]
                    n_of_row = label_stop[row] - label
                    pair_weights = NULL
                    if weights is not NULL:
                        pair_weights = weights + label
                    row_labels = &labels[label]
                    if sampled:
                        row_labels = &own[position + i]
                        candidate = row_labels[0]
                    d = G + i * stride
                    forward(
                        d + first_label, last_label - first_label, G + q * stride + first_label,
                        stride, <const column*>NULL, coefficients + i * batch_size + q, i - q,
                        <real>1, Z + i * stride + first_label)
                    take_picked(
                        d, first_label, last_label, row_labels, pair_weights, n_of_row,
                        factors[i], &loss[0])
                    line = &meeting[thread, i, 0]
                    found = <real*>(line + 1)
                    if sampled:
                        for block in range(first_block, last_block):
                            first = bounds[block]
                            found[0] = -INFINITY
                            found[1] = 0
                            n = move_own(d, first, bounds[block + 1], shared, candidate)
                            if n:
                                found[1] = softmax_of(d + first, n, found)
                            found += 2
                    else:
                        softmax_blocks(d, bounds + first_block, last_block - first_block, found)
                    skm_publish(line, position + 1)
                    k = 0
                    for j in range(n_threads):
                        line = &meeting[j, i, 0]
                        skm_await(line, position + 1)
                        found = <real*>(line + 1)
                        n = share(n_blocks, j + 1, n_threads)
                        while k < n:
                            highest[k] = found[0]
                            sums[k] = found[1]
                            found += 2
                            k += 1
                    weight = factors[i] * total_weight(pair_weights, n_of_row)
                    factor = join_blocks(highest, sums, n_blocks, weight)
                    if first_block == 0 and last_block > 0:
                        loss[0] += weight * factor
                    if sampled:
                        for block in range(first_block, last_block):
                            block_gradient(
                                d, bounds[block], bounds[block + 1], shared, candidate,
                                highest[block])
                    else:
                        scale_blocks(
                            d, bounds + first_block, last_block - first_block,
                            highest + first_block)
                    subtract_picked(
                        d, first_label, last_label, row_labels, pair_weights, n_of_row,
                        factors[i])
            else:
                for block in range(first_block, last_block):
                    first = bounds[block]
                    last = bounds[block + 1]
                    n = 0
                    for i in range(b):
                        row = order[position + i]
                        weight = factors[i]
                        forward(
                            G + i * stride + first, last - first, G + first, stride,
                            <const column*>NULL, coefficients + i * batch_size, i, <real>1,
                            Z + i * stride + first)
                        if weight == 0:
                            memset(G + i * stride + first, 0, (last - first) * sizeof(real))
                            continue
                        label = label_start[row]
                        n_of_row = label_stop[row] - label
                        pair_weights = NULL
                        if weights is not NULL:
                            pair_weights = weights + label
                        target = 1.0 / n_of_row if soft_target and n_of_row else 1.0
                        if loss_code == SIGMOID:
                            sigmoid_row(
                                G + i * stride, first, last,
                                &labels[label] if n_of_row else NULL, pair_weights, n_of_row,
                                target, weight, product, sum_, &loss[0])
                        else:
                            squared_hinge_row(
                                G + i * stride, first, last,
                                &labels[label] if n_of_row else NULL, pair_weights, n_of_row,
                                target, weight, spare, sum_, &loss[0])
                        n += 1
                        if n % until_logarithm == 0:
                            collect_loss(product, sum_, first, last, weight, &loss[0])
                    collect_loss(product, sum_, first, last, 1, &loss[0])

            # Gradients in the rows of H, one summand a block; then the output weights.
            if row_decays is not NULL:
                decay += log(output_decay)
            for block in range(first_block, last_block):
                first = bounds[block]
                size = bounds[block + 1] - first
                if backward:
                    multiply(own_products, b, width, size, <real>1, G + first, stride, 1,
                             U + first * width, width, <real>0, &parts[block, 0, 0], width)
                multiply(own_products, size, width, b, <real>-1, G + first, 1, stride, HS, width,
                         <real>output_decay, U + first * width, width)
                if intercept_rate > 0:
                    for i in range(b):
                        subtract(
                            c + first, G + i * stride + first, size,
                            <real>(rates[i] * intercept_rate))
                if sampled:
                    # Threads gather other rows again only after the next barrier.
                    scatter(
                        U, c, &output[0, 0], &intercept[0], row_decays, decay, width,
                        batch_labels, first, first + size)
            skm_barrier(state, n_threads)

            if backward:
                first = first_row
                while first < last_row:
                    last = block_end(first, unit, last_row)
                    for i in range(first, last):
                        d = last_d + i * width
                        memset(d, 0, width * sizeof(real))
                        for block in range(n_blocks):
                            subtract(d, &parts[block, i, 0], width, <real>-1)
                        if not softmax:
                            scale(d, width, factors[i])
                    hidden_backward(
                        A, D, batch_size, first, last, hidden_end, total_width, &widths[0],
                        n_layers, activation, mask_rows, n_units, kept_factor)
                    first = last
                skm_barrier(state, n_threads)
            if n_layers > 1 and thread == 0:
                hidden_update(
                    &hidden[0], &gradient[0], A, D, batch_size, b, &widths[0], n_layers,
                    steps, hidden_rate, hidden_decay, largest_change)

            # Embeddings, own features.
            if embedding_rate > 0:
                if alpha > 0:
                    s *= embedding_decay
                    # E grows as its factor shrinks: fold it in long before float overflows.
                    if s < 1e-12:
                        for i in range(n_features):
                            if owner(i, n_threads) == thread:
                                scale(E + i * pitch, dim, <real>s)
                        s = 1
                for i in range(b):
                    if factors[i] == 0:
                        continue
                    row = order[position + i]
                    step = steps[i] * embedding_rate / s
                    if row_factors is not NULL:
                        step *= row_factors[row]
                    if dense:
                        update_dense(
                            E, pitch, x + row * n_features, n_features, <real>step, D + i * dim,
                            dim, thread, n_threads)
                    else:
                        start = indptr[row]
                        update_sparse(
                            E, pitch, columns + start, x + start, indptr[row + 1] - start,
                            <real>step, D + i * dim, dim, thread, n_threads)
            if backward:
                skm_barrier(state, n_threads)
            eta += b * eta_change
            position += b
    # The other threads end with the same number.
    if thread == 0:
        embedding_scale[0] = s
        if row_decays is not NULL:
            decayed[decayed.shape[0] - 1] = decay


def mlp_scores(
    const real[:, ::1] embedding,
    double embedding_scale,
    const real[::1] hidden,
    const real[:, ::1] output,
    const real[::1] intercept,
    const int64_t[::1] widths,
    int activation,
    const real[::1] data,
    const column[::1] indices,
    const int64_t[::1] indptr,
    const real[::1] row_factor,
    int64_t first_row,
    int64_t last_row,
    bint own_products,
    real[:, ::1] layers,
    real[:, ::1] transposed,
    real[::1] flipped,
    const real[::1] zeros,
    real[:, ::1] out,
):
    cdef:
        int64_t batch_size = layers.shape[0]
        int64_t n_layers = widths.shape[0]
        int64_t dim = widths[0]
        int64_t width = widths[n_layers - 1]
        int64_t n_labels = out.shape[1]
        int64_t n_blocks = (n_labels + _BLOCK - 1) // _BLOCK
        int64_t row, b, i, block, first, size
        real* A = &layers[0, 0]
        real* H = A + batch_size * (layers.shape[1] - width)
        real* HT = &transposed[0, 0]
        const real* x = &data[0] if data.shape[0] else NULL
        const column* columns = &indices[0] if indices.shape[0] else NULL
        const int64_t* offsets = &indptr[0] if indptr.shape[0] else NULL
        double factor
    with nogil:
        row = first_row
        while row < last_row:
            b = block_end(row, batch_size, last_row) - row
            for i in range(b):
                factor = embedding_scale
                if row_factor.shape[0]:
                    factor *= row_factor[row - first_row + i]
                documents(
                    A + i * dim, dim, &embedding[0, 0], embedding.shape[1],
                    embedding.shape[0], x, columns, offsets, row + i, factor, &zeros[0])
            if n_layers > 1:
                hidden_forward(
                    A, batch_size, 0, b, &hidden[0], &widths[0], n_layers, activation,
                    <const uint8_t*>NULL, 0, 1.0)
            transpose(HT, batch_size, H, width, 0, b)
            for block in range(n_blocks):
                first = block * _BLOCK
                size = block_end(first, _BLOCK, n_labels) - first
                block_scores(
                    own_products, &out[row - first_row, first], n_labels, &output[first, 0],
                    HT, batch_size, &intercept[first], b, size, width, &flipped[0])
            row += b
