# Sampled softmax: the output rows of a batch's candidates, side by side, and back.
#
# The batch step then sees an output layer that has these labels alone, so that its cost
# does not depend on how many there are. The penalty of a row is made up for when it is
# gathered: `decayed` holds the logarithm of the decay that it has had.
#
# All of this is in the loop over the batches. A call of the kernel for each batch took twice
# as long (500 of 30,000 labels, dim 100: 13.4 instead of 7.5 us a row; 6.9 of 1,000 labels).
# Rows' own labels are behind those of the sample, so that a row's softmax is one over
# neighbours: the sample and one place, where the row's label is put for the time being.

from libc.math cimport exp
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from skmultireduce._kernels.losses cimport softmax_row
from skmultireduce._kernels.simd cimport real, scale


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


cdef inline double candidate_row(
    real* z, int64_t n_shared, int64_t n_candidates, int32_t own, const real* label_weight,
    double row_weight, double* factor,
) noexcept nogil:
    # softmax_row over the labels that all rows of the batch share and the row's own; the
    # other rows' labels get no gradient.
    cdef:
        int64_t n_seen = n_shared
        int32_t seen = own
        double loss
        real gradient
    if own >= n_shared:
        seen = <int32_t>n_shared
        n_seen += 1
        z[seen] = z[own]
    loss = softmax_row(z, n_seen, &seen, label_weight, 1, row_weight, factor)
    if own >= n_shared:
        gradient = z[seen]
        memset(z + n_shared, 0, (n_candidates - n_shared) * sizeof(real))
        z[own] = gradient
    else:
        memset(z + n_shared, 0, (n_candidates - n_shared) * sizeof(real))
    return loss
