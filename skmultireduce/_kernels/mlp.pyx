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

from libc.math cimport log
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

from skmultireduce._kernels.buffers cimport (
    FLOAT32,
    FLOAT64,
    FLOATS,
    INT32,
    INT64,
    UINT8,
    Array,
    integers,
    size_of,
    take,
)
from skmultireduce._kernels.candidates cimport Sample, gather, scatter
from skmultireduce._kernels.embeddings cimport (
    document,
    fetch_embeddings,
    owner,
    update_embeddings,
)
from skmultireduce._kernels.hidden cimport (
    IDENTITY as _IDENTITY,
    RELU as _RELU,
    TANH as _TANH,
    Dropout,
    Layers,
    hidden_backward,
    hidden_forward,
    hidden_update,
    mask,
)
from skmultireduce._kernels.losses cimport GROUP, Targets, is_softmax, take_targets
from skmultireduce._kernels.output_layer cimport Batch, binary_rows, softmax_rows
from skmultireduce._kernels.products cimport (
    block_scores,
    multiply,
    skm_load_blas,
    skm_products_pay,
    skm_products_run,
    transpose,
)
from skmultireduce._kernels.rows cimport Row, Rows, find_row, take_rows
from skmultireduce._kernels.shares cimport (
    BLOCK,
    SKM_HAS_BARRIER,
    Share,
    block_end,
    meet,
    n_blocks_of,
    part,
    share_labels,
    share_rows,
)
from skmultireduce._kernels.simd cimport real, scale, skm_prefetch, subtract

IDENTITY = _IDENTITY
RELU = _RELU
TANH = _TANH
LABEL_BLOCK = BLOCK
LABEL_GROUP = GROUP
HAS_THREADS = bool(SKM_HAS_BARRIER)
# Whether this machine can run the products of simd_products.h, and whether it should.
HAS_PRODUCTS = bool(skm_products_run())
PRODUCTS_PAY = bool(skm_products_pay())

skm_load_blas()

cdef enum:
    # Rows of a batch that go through the hidden layers in one product, and the unit in which
    # threads take rows without hidden layers.
    _CHUNK = 32
    _ROWS = 8

cdef struct Network:
    # FLOAT32 or FLOAT64, of all parameters.
    int type
    # Embeddings (n_features, pitch), times their scale.
    void* embedding
    int64_t n_features
    int64_t pitch
    double* scale
    void* hidden
    void* hidden_end
    # (n_labels, width), and the intercepts.
    void* output
    void* intercept
    int64_t n_labels
    # Of document vectors, and of what enters the output layer.
    int64_t dim
    int64_t width
    Layers layers

cdef struct Rates:
    # The step of the i-th row is eta + (i + 1/2) * eta_change, times the rate of each part.
    double eta
    double eta_change
    double alpha
    double embedding
    double hidden
    double output
    double intercept
    double largest_step
    double largest_change

cdef struct Work:
    # Outputs of the layers, and gradients in them; those of the last layer.
    void* A
    void* D
    void* H
    void* last_d
    # H transposed for the scores, and times the steps for the update.
    void* HT
    void* HS
    # Products of the rows of H.
    void* K
    # Gradients in the rows of H, one summand a block.
    void* parts
    void* gradient
    void* flipped
    const void* zeros
    void* steps
    # Steps of the output layer for the gradients as they are in G.
    void* rates
    # Of the batch.
    double embedding_decay
    double hidden_decay
    double output_decay


# ------------------------------------------------------------------------ parts of a batch
cdef inline void document_vectors(
    real* A, const Network* net, const Rows* rows, const void* row_factors,
    const Dropout* dropout, const Batch* batch, const Share* share, const Work* work, double s,
) noexcept nogil:
    # Own rows: document vectors, and what the hidden layers make of them.
    cdef:
        int64_t unit = _CHUNK if net.layers.n_layers > 1 else _ROWS
        const int64_t* order = batch.order + batch.position
        const uint8_t* kept = NULL
        const real* E = <const real*>net.embedding
        int64_t first = share.first_row, last, i
        double factor
    if dropout.n_units:
        kept = dropout.kept + batch.position * dropout.n_units
    while first < share.last_row:
        last = block_end(first, unit, share.last_row)
        for i in range(first, last):
            if i + 1 < batch.n:
                fetch_embeddings(E, net.pitch, rows, order[i + 1])
            factor = s
            if row_factors is not NULL:
                factor *= (<const real*>row_factors)[order[i]]
            document(
                A + i * net.dim, net.dim, E, net.pitch, rows, order[i], factor,
                <const real*>work.zeros)
            if dropout.n_units:
                mask(A + i * net.dim, kept + i * dropout.n_units, net.dim, <real>dropout.factor)
        if net.layers.n_layers > 1:
            hidden_forward(
                A, batch.size, first, last, <const real*>net.hidden, &net.layers, kept, dropout)
        transpose(<real*>work.HT, batch.size, <const real*>work.H, net.width, first, last)
        first = last


cdef inline void steps_of_rows(
    real* K, const Network* net, const Targets* targets, const void* curvature,
    const Batch* batch, const Share* share, const Work* work, const Rates* rates,
) noexcept nogil:
    # Products of the rows of H: by how much the update for one row changes the scores of
    # another. And the steps, which depend on them.
    cdef:
        bint softmax = is_softmax(targets)
        int64_t width = net.width, i, row
        int64_t first = part(batch.n, _CHUNK, share.thread, share.n_threads)
        int64_t stop = part(batch.n, _CHUNK, share.thread + 1, share.n_threads), last
        const real* H = <const real*>work.H
        real* HS = <real*>work.HS
        real* rates_ = <real*>work.rates
        double weight, step, square
    while first < stop:
        last = block_end(first, _CHUNK, stop)
        multiply(
            batch.own_products, last - first, last, width, <real>1, H + first * width, width, 1,
            <const real*>work.HT, batch.size, <real>0, K + first * batch.size, batch.size)
        for i in range(first, last):
            row = batch.order[batch.position + i]
            weight = 1
            if targets.row_weight is not NULL:
                weight = (<const real*>targets.row_weight)[row]
            step = rates.eta + (i + 0.5) * rates.eta_change
            square = (<const real*>curvature)[row] * rates.output
            square *= K[i * batch.size + i] + rates.intercept
            if step * square > rates.largest_step:
                step = rates.largest_step / square
            if softmax and targets.stop[row] == targets.start[row]:
                weight = 0
            (<real*>work.steps)[i] = <real>step
            (<real*>batch.factors)[i] = <real>weight
            # The softmax's gradients have the weight in them.
            rates_[i] = <real>((1 if softmax and weight > 0 else weight) * step * rates.output)
            memcpy(HS + i * width, H + i * width, width * sizeof(real))
            scale(HS + i * width, width, rates_[i])
        first = last


cdef inline void fetch_places(
    real* like, const Rows* rows, const Targets* targets, const void* row_factors,
    const void* curvature, const Batch* batch, int64_t n_rows,
) noexcept nogil:
    # What leads to the rows of X of the next batch: they come in random order.
    cdef int64_t i, row, first = batch.position + batch.n
    for i in range(first, block_end(first, batch.size, n_rows)):
        row = batch.order[i]
        skm_prefetch(&targets.start[row], sizeof(int64_t))
        skm_prefetch(&targets.stop[row], sizeof(int64_t))
        skm_prefetch(<const real*>curvature + row, sizeof(real))
        if row_factors is not NULL:
            skm_prefetch(<const real*>row_factors + row, sizeof(real))
        if rows.indptr is not NULL:
            skm_prefetch(rows.indptr + row, 2 * sizeof(int64_t))


cdef inline void fetch_rows(
    real* like, const Rows* rows, const Targets* targets, const Batch* batch, int64_t n_rows
) noexcept nogil:
    # The rows of the next batch.
    cdef:
        Row found
        int64_t i, row, first = batch.position + batch.n
    for i in range(first, block_end(first, batch.size, n_rows)):
        row = batch.order[i]
        if targets.stop[row] > targets.start[row]:
            skm_prefetch(&targets.labels[targets.start[row]], sizeof(int32_t))
        if rows.indptr is not NULL:
            found = find_row(rows, row)
            if found.n:
                skm_prefetch(<const real*>rows.data + found.start, found.n * sizeof(real))
                skm_prefetch(found.columns, found.n * (8 if rows.wide else 4))


cdef inline void scores_of_batch(
    real* U, real* c, real* offset, const Network* net, const Sample* sample,
    const int32_t* labels, const double* row_decays, double decay, const Batch* batch,
    const Share* share, const Work* work,
) noexcept nogil:
    # Scores of own labels, by the output weights before the batch.
    cdef int64_t block, first, size
    for block in range(share.first_block, share.last_block):
        first = share.bounds[block]
        size = share.bounds[block + 1] - first
        if batch.own is not NULL:
            gather(
                U, c, offset, <const real*>net.output, <const real*>net.intercept,
                <const real*>sample.log_inclusion, row_decays, decay, net.width, labels, first,
                first + size)
        block_scores(
            batch.own_products, <real*>batch.Z + first, batch.stride, U + first * net.width,
            <const real*>work.HT, batch.size, offset + first, batch.n, size, net.width,
            <real*>work.flipped)


cdef inline void find_coefficients(
    real* coefficients, const Batch* batch, Work* work, const Rates* rates
) noexcept nogil:
    cdef:
        int64_t i, j, size = batch.size
        const real* K = <const real*>work.K
        const real* steps = <const real*>work.steps
        const real* rates_ = <const real*>work.rates
    work.embedding_decay = 1
    work.hidden_decay = 1
    work.output_decay = 1
    for i in range(batch.n):
        for j in range(i):
            coefficients[i * size + j] = -rates_[j] * (
                K[i * size + j] + <real>rates.intercept)
        if rates.alpha > 0 and (<const real*>batch.factors)[i] > 0:
            work.embedding_decay /= 1 + steps[i] * rates.embedding * rates.alpha
            work.hidden_decay /= 1 + steps[i] * rates.hidden * rates.alpha
            work.output_decay /= 1 + steps[i] * rates.output * rates.alpha


cdef inline void output_update(
    real* U, real* c, const Network* net, const Sample* sample, const int32_t* labels,
    double* row_decays, double decay, const Batch* batch, const Share* share, const Work* work,
    const Rates* rates, bint backward,
) noexcept nogil:
    # Gradients in the rows of H; then the output weights, all of own labels.
    cdef:
        int64_t width = net.width, stride = batch.stride, block, first, size, i
        const real* G = <const real*>batch.G
        const real* rates_ = <const real*>work.rates
    for block in range(share.first_block, share.last_block):
        first = share.bounds[block]
        size = share.bounds[block + 1] - first
        if backward:
            multiply(
                batch.own_products, batch.n, width, size, <real>1, G + first, stride, 1,
                U + first * width, width, <real>0,
                <real*>work.parts + block * batch.size * width, width)
        multiply(
            batch.own_products, size, width, batch.n, <real>-1, G + first, 1, stride,
            <const real*>work.HS, width, <real>work.output_decay, U + first * width, width)
        if rates.intercept > 0:
            for i in range(batch.n):
                subtract(
                    c + first, G + i * stride + first, size,
                    <real>(rates_[i] * rates.intercept))
        if batch.own is not NULL:
            # Threads gather other rows again only after the next barrier.
            scatter(
                U, c, <real*>net.output, <real*>net.intercept, row_decays, decay, width, labels,
                first, first + size)


cdef inline void gradients_of_layers(
    real* A, const Network* net, const Targets* targets, const Dropout* dropout,
    const Batch* batch, const Share* share, const Work* work,
) noexcept nogil:
    # Own rows, back to the document vectors.
    cdef:
        int64_t unit = _CHUNK if net.layers.n_layers > 1 else _ROWS
        int64_t width = net.width, first = share.first_row, last, i, block
        const uint8_t* kept = NULL
        real* d
    if dropout.n_units:
        kept = dropout.kept + batch.position * dropout.n_units
    while first < share.last_row:
        last = block_end(first, unit, share.last_row)
        for i in range(first, last):
            d = <real*>work.last_d + i * width
            memset(d, 0, width * sizeof(real))
            for block in range(share.n_blocks):
                subtract(
                    d, <const real*>work.parts + (block * batch.size + i) * width, width,
                    <real>-1)
            if not is_softmax(targets):
                scale(d, width, (<const real*>batch.factors)[i])
        hidden_backward(
            A, <real*>work.D, batch.size, first, last, <const real*>net.hidden_end, &net.layers,
            kept, dropout)
        first = last


cdef inline void embedding_update(
    real* E, const Network* net, const Rows* rows, const void* row_factors, const Batch* batch,
    const Share* share, const Work* work, const Rates* rates, double* s,
) noexcept nogil:
    # Embeddings of own features.
    cdef:
        int64_t i, row
        double step
    if rates.alpha > 0:
        s[0] *= work.embedding_decay
        # E grows as its factor shrinks: fold it in long before float overflows.
        if s[0] < 1e-12:
            for i in range(net.n_features):
                if owner(i, share.n_threads) == share.thread:
                    scale(E + i * net.pitch, net.dim, <real>s[0])
            s[0] = 1
    for i in range(batch.n):
        if (<const real*>batch.factors)[i] == 0:
            continue
        row = batch.order[batch.position + i]
        step = (<const real*>work.steps)[i] * rates.embedding / s[0]
        if row_factors is not NULL:
            step *= (<const real*>row_factors)[row]
        update_embeddings(
            E, net.pitch, rows, row, <real>step, <const real*>work.D + i * net.dim, net.dim,
            share)


# ----------------------------------------------------------------------------- an epoch
cdef inline void share_batch(
    real* scores, Batch* batch, const Share* share, int64_t n_columns
) noexcept nogil:
    # Where own labels' scores and gradients are.
    cdef:
        int64_t first = share.first_label
        int64_t last = share.last_label if share.thread + 1 < share.n_threads else n_columns
    batch.stride = last - first
    batch.Z = scores + first * (batch.size - 1)
    batch.G = scores + (n_columns + first) * batch.size - first


cdef void train(
    real* E, Network net, Rows rows, const void* row_factors, Targets targets,
    const void* curvature, Dropout dropout, Sample sample, Batch batch, Share share, Work work,
    Rates rates, real* scores, int64_t n_columns, int64_t n_rows, double* loss,
) noexcept nogil:
    cdef:
        bint sampled = sample.start is not NULL
        bint backward = rates.embedding > 0 or net.layers.n_layers > 1
        real* U = <real*>(sample.rows if sampled else net.output)
        real* c = <real*>(sample.intercepts if sampled else net.intercept)
        real* offset = <real*>(sample.offsets if sampled else net.intercept)
        double* row_decays = sample.decayed if sampled and rates.alpha > 0 else NULL
        double decay = sample.decayed[sample.n_decayed - 1] if sampled else 0
        double s = net.scale[0]
        const int32_t* labels = NULL
        int64_t unit = _CHUNK if net.layers.n_layers > 1 else _ROWS, k, n_labels
    if not sampled:
        share_labels(&share, net.n_labels, n_blocks_of(net.n_labels))
        share_batch(scores, &batch, &share, n_columns)
    while batch.position < n_rows:
        batch.n = block_end(0, batch.size, n_rows - batch.position)
        batch.number = batch.position + 1
        if sampled:
            k = batch.position // batch.size
            labels = sample.candidates + sample.start[k]
            batch.own = sample.own + batch.position
            batch.n_shared = sample.n_shared[k]
            n_labels = sample.start[k + 1] - sample.start[k]
            share_labels(&share, n_labels, n_blocks_of(n_labels))
            share_batch(scores, &batch, &share, n_columns)
        share_rows(&share, batch.n, unit)

        document_vectors(
            <real*>work.A, &net, &rows, row_factors, &dropout, &batch, &share, &work, s)
        meet(&share)
        steps_of_rows(
            <real*>work.K, &net, &targets, curvature, &batch, &share, &work, &rates)
        fetch_places(E, &rows, &targets, row_factors, curvature, &batch, n_rows)
        scores_of_batch(
            U, c, offset, &net, &sample, labels, row_decays, decay, &batch, &share, &work)
        meet(&share)
        fetch_rows(E, &rows, &targets, &batch, n_rows)
        find_coefficients(<real*>batch.coefficients, &batch, &work, &rates)
        if is_softmax(&targets):
            softmax_rows(<real*>batch.Z, <real*>batch.G, &batch, &share, &targets, loss)
        else:
            binary_rows(<real*>batch.Z, <real*>batch.G, &batch, &share, &targets, loss)
        if row_decays is not NULL:
            decay += log(work.output_decay)
        output_update(
            U, c, &net, &sample, labels, row_decays, decay, &batch, &share, &work, &rates,
            backward)
        meet(&share)
        if backward:
            gradients_of_layers(
                <real*>work.A, &net, &targets, &dropout, &batch, &share, &work)
            meet(&share)
        if net.layers.n_layers > 1 and share.thread == 0:
            hidden_update(
                <real*>net.hidden, <real*>work.gradient, <real*>work.A, <real*>work.D,
                batch.size, batch.n, &net.layers, <const real*>work.steps, rates.hidden,
                work.hidden_decay, rates.largest_change)
        if rates.embedding > 0:
            embedding_update(
                E, &net, &rows, row_factors, &batch, &share, &work, &rates, &s)
        if backward:
            meet(&share)
        rates.eta += batch.n * rates.eta_change
        batch.position += batch.n
    # The other threads end with the same number.
    if share.thread == 0:
        net.scale[0] = s
        if row_decays is not NULL:
            sample.decayed[sample.n_decayed - 1] = decay


# -------------------------------------------------------------------- arguments of Python
cdef Network take_network(
    object embedding, object hidden, object output, object intercept, object widths,
    int activation, bint writable,
) except *:
    cdef:
        Network net
        Array found = take(embedding, b"embedding", FLOATS, 2, writable)
        int type = found.type, k
    net.type = type
    net.embedding = found.data
    net.n_features, net.pitch = found.shape[0], found.shape[1]
    net.scale = NULL
    found = take(hidden, b"hidden", type, 1, writable)
    net.hidden = found.data
    net.hidden_end = <char*>found.data + found.size * size_of(type)
    found = take(output, b"output", type, 2, writable)
    net.output = found.data
    net.n_labels, net.width = found.shape[0], found.shape[1]
    net.intercept = take(intercept, b"intercept", type, 1, writable).data
    found = take(widths, b"widths", INT64, 1, False)
    net.layers.widths = <const int64_t*>found.data
    net.layers.n_layers = found.size
    net.layers.activation = activation
    net.layers.total_width = 0
    for k in range(found.size):
        net.layers.total_width += net.layers.widths[k]
    net.dim = net.layers.widths[0]
    return net


cdef Sample take_sample(object arrays, int type) except *:
    cdef:
        Sample sample
        Array found
    start, n_shared, labels, own, log_inclusion, decayed, rows, offsets = arrays
    sample.start = integers(start, b"candidate_start")
    sample.n_shared = integers(n_shared, b"n_shared")
    sample.candidates = <const int32_t*>take(labels, b"candidates", INT32, 1, False).data
    sample.own = <const int32_t*>take(own, b"own", INT32, 1, False).data
    sample.log_inclusion = take(log_inclusion, b"log_inclusion", type, 1, False).data
    found = take(decayed, b"decayed", FLOAT64, 1, True)
    sample.decayed = <double*>found.data
    sample.n_decayed = found.size
    sample.rows = take(rows, b"candidate_rows", type, 2, True).data
    found = take(offsets, b"candidate_offsets", type, 2, True)
    sample.intercepts = found.data
    sample.offsets = <char*>found.data + found.shape[1] * size_of(type)
    return sample


cdef Array lines_of(object values, const char* name, int type, int64_t* step) except *:
    # A writable matrix; step gets the bytes from one of its rows to the next.
    cdef Array found = take(values, name, type, 2, True)
    step[0] = found.shape[1] * size_of(type)
    return found


cdef Array take_work(
    object work, int type, int64_t thread, const Network* net, Batch* batch, Share* share,
    Work* room,
) except *:
    # Returns the array of scores.
    cdef:
        Array scores, found
        int64_t step = 0
    (
        all_scores, flipped, label_buffers, layers, parts, vectors, products, row_buffers,
        gradient, block_bounds,
    ) = work
    scores = take(all_scores, b"scores", type, 3, True)
    batch.size = scores.shape[1]
    found = lines_of(label_buffers, b"label_buffers", type, &step)
    batch.product = found.data
    batch.sums = <char*>found.data + step
    room.zeros = <char*>found.data + 2 * step
    batch.spare = <char*>found.data + (3 + thread) * step
    found = lines_of(layers, b"layers", type, &step)
    room.A = found.data
    room.D = <char*>found.data + step
    step = step // net.layers.total_width * (net.layers.total_width - net.width)
    room.H = <char*>room.A + step
    room.last_d = <char*>room.D + step
    found = lines_of(vectors, b"vectors", type, &step)
    room.HT = found.data
    room.HS = <char*>found.data + step
    found = lines_of(products, b"products", type, &step)
    room.K = found.data
    batch.coefficients = <char*>found.data + (1 + thread) * step
    found = lines_of(row_buffers, b"row_buffers", type, &step)
    room.steps = found.data
    batch.factors = <char*>found.data + step
    room.rates = <char*>found.data + 2 * step
    room.parts = take(parts, b"parts", type, 3, True).data
    room.gradient = take(gradient, b"gradient", type, 1, True).data
    found = lines_of(flipped, b"flipped", type, &step)
    room.flipped = <char*>found.data + thread * step
    found = take(block_bounds, b"block_bounds", INT64, 2, True)
    share.bounds = <int64_t*>found.data + thread * found.shape[1]
    return scores


def mlp_epoch(
    parameters, widths, int activation, rows, row_factor, order, targets, curvature, kept,
    double kept_factor, double eta, double eta_change, double alpha, rates,
    double largest_step, double largest_change, sample, int64_t thread, int64_t n_threads,
    barrier, bint own_products, work, meeting, loss,
):
    """Train one epoch: the share of one thread, each of which calls this.

    All arrays are C-contiguous, of the type of the embeddings if nothing else is said.

    Parameters
    ----------
    parameters : tuple of arrays
        Embeddings (n_features, pitch), padded beyond the embedding dimension; their scale
        (1,), float64; weights (n_out, n_in) and intercepts (n_out,) of the hidden layers,
        one after the other; output weights (n_labels, width); intercepts (n_labels,) or
        more.
    widths : array of int64
        Of the document vectors and of each hidden layer.
    activation : int
        IDENTITY, RELU or TANH.
    rows : tuple of arrays
        Values, columns and row pointers of X, as in `sgd_epoch` of the linear kernel.
    row_factor : array of shape (n_rows,) or (0,)
        Factor of each row of X; empty: 1.
    order : array of shape (n_visits,), int64
        Rows in the order in which they come.
    targets : tuple
        label_start, label_stop, labels, label_weight, row_weight, loss_code, soft_target,
        as in `sgd_epoch` of the linear kernel.
    curvature : array of shape (n_rows,)
        Bound of each row's curvature in the scores.
    kept : array of shape (n_visits, n_units), uint8
        Units of the document vectors and hidden layers that each visit sees; of shape
        (0, n_units): all.
    kept_factor : float
        Factor of the units that are kept.
    eta, eta_change : float
        The step of the i-th visit is eta + (i + 1/2) * eta_change.
    alpha : float
        L2 penalty.
    rates : tuple of float
        Of the embeddings (0: they stay), hidden layers, output layer and its intercepts
        (relative to the output layer; 0: no intercept), times the step.
    largest_step : float
        Bound of a row's step times its curvature in the output layer.
    largest_change : float
        Bound of a batch's change of a hidden layer, relative to its norm.
    sample : tuple of arrays
        Of a sampled softmax: start, n_shared, labels and own as `find_candidates` gives
        them; logarithms of the labels' inclusion probabilities; logarithms of the decay
        that labels have had, and of the present one, float64; room for the candidates' output
        rows (n_candidates, width), and for their intercepts and offsets (2, n_candidates). Of
        an ordinary one all are empty.
    thread, n_threads : int
        Which of how many threads calls.
    barrier : array of shape (16,), int64
        Zeros at the begin.
    own_products : bool
        Products of simd_products.h, not of BLAS; see PRODUCTS_PAY.
    work : tuple of arrays
        Room for a batch, shared by the threads: scores and gradients (2, batch_size,
        n_columns), products (n_threads, LABEL_BLOCK * batch_size), labels (3 + n_threads,
        n_columns or more; the first 1, the others 0 at the begin), layers and their gradients
        (2, batch_size * n_units), parts (n_blocks, batch_size, width), last layer
        (2, batch_size * width), products of rows (1 + n_threads, batch_size**2), rows
        (3, batch_size), a hidden layer's gradient, bounds (n_threads, n_blocks + 1), int64.
    meeting : array of shape (n_threads, batch_size, line), int64
        Zeros at the begin; a line has room for a number, and two values for each block of
        labels of a thread.
    loss : array of shape (n_groups,), float64
        Gets the losses at the time of each visit, a sum for each LABEL_GROUP of labels.
    """
    cdef:
        Network net
        Rows rows_
        Targets targets_
        Dropout dropout
        Sample sample_
        Batch batch
        Share share
        Work room
        Rates rates_
        Array found, visits, scores
        int type
        const void* row_factors
        const void* curvatures
        double* losses
    embedding, embedding_scale, hidden, output, intercept = parameters
    net = take_network(embedding, hidden, output, intercept, widths, activation, True)
    net.scale = <double*>take(embedding_scale, b"embedding_scale", FLOAT64, 1, True).data
    type = net.type
    data, indices, indptr = rows
    rows_ = take_rows(data, indices, indptr, net.n_features, type)
    row_factors = take(row_factor, b"row_factor", type, 1, False).data
    visits = take(order, b"order", INT64, 1, False)
    start, stop, labels, label_weight, row_weight, loss_code, soft_target = targets
    targets_ = take_targets(
        start, stop, labels, label_weight, row_weight, loss_code, soft_target, type)
    curvatures = take(curvature, b"curvature", type, 1, False).data
    found = take(kept, b"kept", UINT8, 2, False)
    dropout.kept = <const uint8_t*>found.data
    dropout.n_units = net.layers.total_width if found.shape[0] else 0
    dropout.factor = kept_factor
    rates_.eta, rates_.eta_change, rates_.alpha = eta, eta_change, alpha
    rates_.embedding, rates_.hidden, rates_.output, rates_.intercept = rates
    rates_.largest_step, rates_.largest_change = largest_step, largest_change
    sample_ = take_sample(sample, type)

    scores = take_work(work, type, thread, &net, &batch, &share, &room)
    batch.order = <const int64_t*>visits.data
    batch.position = 0
    batch.own_products = own_products
    batch.strips = False
    batch.own = NULL
    batch.n_shared = 0
    share.thread, share.n_threads = thread, n_threads
    share.state = <int64_t*>take(barrier, b"barrier", INT64, 1, True).data
    found = take(meeting, b"meeting", INT64, 3, True)
    share.meeting = <int64_t*>found.data
    share.batch_size = found.shape[1]
    share.line_length = found.shape[2]
    losses = <double*>take(loss, b"loss", FLOAT64, 1, True).data
    with nogil:
        if type == FLOAT32:
            train(
                <float*>net.embedding, net, rows_, row_factors, targets_, curvatures, dropout,
                sample_, batch, share, room, rates_, <float*>scores.data, scores.shape[2],
                visits.size, losses)
        else:
            train(
                <double*>net.embedding, net, rows_, row_factors, targets_, curvatures, dropout,
                sample_, batch, share, room, rates_, <double*>scores.data, scores.shape[2],
                visits.size, losses)


# ------------------------------------------------------------------------- predictions
cdef void predict(
    real* A, Network net, double scale_, Rows rows, const real* row_factors, int64_t first_row,
    int64_t last_row, int64_t batch_size, bint own_products, real* HT, real* flipped,
    const real* zeros, real* out,
) noexcept nogil:
    cdef:
        real* H = A + batch_size * (net.layers.total_width - net.width)
        const real* U = <const real*>net.output
        Dropout dropout
        int64_t row = first_row, b, i, block, first, size
        double factor
    dropout.kept = NULL
    dropout.n_units = 0
    dropout.factor = 1
    while row < last_row:
        b = block_end(row, batch_size, last_row) - row
        for i in range(b):
            factor = scale_
            if row_factors is not NULL:
                factor *= row_factors[row - first_row + i]
            document(
                A + i * net.dim, net.dim, <const real*>net.embedding, net.pitch, &rows, row + i,
                factor, zeros)
        if net.layers.n_layers > 1:
            hidden_forward(
                A, batch_size, 0, b, <const real*>net.hidden, &net.layers, NULL, &dropout)
        transpose(HT, batch_size, H, net.width, 0, b)
        for block in range(n_blocks_of(net.n_labels)):
            first = block * BLOCK
            size = block_end(first, BLOCK, net.n_labels) - first
            block_scores(
                own_products, out + (row - first_row) * net.n_labels + first, net.n_labels,
                U + first * net.width, HT, batch_size,
                <const real*>net.intercept + first, b, size, net.width, flipped)
        row += b


def mlp_scores(
    embedding, double embedding_scale, hidden, output, intercept, widths, int activation, data,
    indices, indptr, row_factor, int64_t first_row, int64_t last_row, bint own_products, layers,
    transposed, flipped, zeros, out,
):
    """Fill out with the scores of the rows from first_row to last_row.

    Arguments are those of `mlp_epoch`, but for room for so many rows as `layers` has:
    their layers (batch_size, n_units), the last one transposed (width, batch_size),
    LABEL_BLOCK * batch_size numbers; and zeros, as many as the embedding dimension.
    """
    cdef:
        Network net = take_network(
            embedding, hidden, output, intercept, widths, activation, False)
        int type = net.type
        Rows rows = take_rows(data, indices, indptr, net.n_features, type)
        const void* row_factors = take(row_factor, b"row_factor", type, 1, False).data
        Array room = take(layers, b"layers", type, 2, True)
        void* HT = take(transposed, b"transposed", type, 2, True).data
        void* flipped_ = take(flipped, b"flipped", type, 1, True).data
        const void* zeros_ = take(zeros, b"zeros", type, 1, False).data
        void* out_ = take(out, b"out", type, 2, True).data
    with nogil:
        if type == FLOAT32:
            predict(
                <float*>room.data, net, embedding_scale, rows, <const float*>row_factors,
                first_row, last_row, room.shape[0], own_products, <float*>HT, <float*>flipped_,
                <const float*>zeros_, <float*>out_)
        else:
            predict(
                <double*>room.data, net, embedding_scale, rows, <const double*>row_factors,
                first_row, last_row, room.shape[0], own_products, <double*>HT,
                <double*>flipped_, <const double*>zeros_, <double*>out_)
