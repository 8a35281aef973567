# Sampled softmax: the output rows of a batch's candidates, side by side, and back.
#
# The batch step then sees an output layer that has these labels alone, so that its cost
# does not depend on how many there are. The penalty of a row is made up for when it is
# gathered: `decayed` holds the logarithm of the decay that it has had.
#
# All of this is in the loop over the batches. A call of the kernel for each batch took twice
# as long (500 of 30,000 labels, dim 100: 13.4 instead of 7.5 us a row; 6.9 of 1,000 labels).
# Rows' own labels are behind those of the sample, so that the softmax of a row is one over
# neighbours in each block: what it has of the sample, and one place, where the row's label is
# put for the time being if it is of this block.

from libc.math cimport exp
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from skmultireduce._kernels.simd cimport real, scale


cdef struct Sample:
    # Batch k has the labels candidates[start[k]:start[k + 1]], n_shared[k] of them for all of
    # its rows; start is NULL if all labels are used. own: of each row, in the order of the
    # visits, which of them is the row's own label.
    const int64_t* start
    const int64_t* n_shared
    const int32_t* candidates
    const int32_t* own
    const void* log_inclusion
    # Of each label the logarithm of the decay that it has had; last that of the present.
    double* decayed
    int64_t n_decayed
    # Of one batch: output rows of the candidates; their intercepts, and where scores start.
    void* rows
    void* intercepts
    void* offsets


cdef inline void gather(
    real* rows, real* intercepts, real* offsets, const real* output, const real* intercept,
    const real* log_inclusion, const double* decayed, double decay, int64_t width,
    const int32_t* labels, int64_t first, int64_t last,
) noexcept nogil:
    # offsets: where scores start, log P(y | x, candidates) = z_y - log inclusion_y + const.
    cdef int64_t i, k
    for i in range(first, last):
        k = labels[i]
        memcpy(rows + i * width, output + k * width, width * sizeof(real))
        if decayed is not NULL and decayed[k] != decay:
            scale(rows + i * width, width, <real>exp(decay - decayed[k]))
        intercepts[i] = intercept[k]
        offsets[i] = intercept[k] - log_inclusion[k]


cdef inline void scatter(
    const real* rows, const real* intercepts, real* output, real* intercept,
    double* decayed, double decay, int64_t width,
    const int32_t* labels, int64_t first, int64_t last,
) noexcept nogil:
    cdef int64_t i, k
    for i in range(first, last):
        k = labels[i]
        memcpy(output + k * width, rows + i * width, width * sizeof(real))
        if decayed is not NULL:
            decayed[k] = decay
        intercept[k] = intercepts[i]


cdef inline int64_t n_seen(
    int64_t first, int64_t last, int64_t n_shared, int64_t own
) noexcept nogil:
    # Number of the candidates first:last that a row's softmax is over.
    cdef int64_t n = n_shared - first
    n = 0 if n < 0 else last - first if n > last - first else n
    return n + 1 if own >= n_shared and first <= own < last else n


cdef inline int64_t move_own(
    real* z, int64_t first, int64_t last, int64_t n_shared, int64_t own
) noexcept nogil:
    # Puts the score of the row's own label behind those that all rows of the batch share;
    # returns the number of scores of this block that the row's softmax is over.
    cdef int64_t n = n_seen(first, last, n_shared, own)
    if own >= n_shared and first <= own < last:
        z[first + n - 1] = z[own]
    return n


cdef inline void block_gradient(
    real* z, int64_t first, int64_t last, int64_t n_shared, int64_t own, real factor,
) noexcept nogil:
    # Times the factor; the other rows' labels get no gradient.
    cdef:
        int64_t n = n_seen(first, last, n_shared, own)
        bint moved = own >= n_shared and first <= own < last
        real gradient = 0
    scale(z + first, n, factor)
    if moved:
        n -= 1
        gradient = z[first + n]
    memset(z + first + n, 0, (last - first - n) * sizeof(real))
    if moved:
        z[own] = gradient
