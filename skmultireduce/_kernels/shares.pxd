# What each thread of a training has: blocks of labels, and rows of the batch.

from libc.stdint cimport int64_t

from skmultireduce._kernels.losses cimport GROUP

cdef extern from "barrier.h" nogil:
    int SKM_HAS_BARRIER
    void skm_barrier(int64_t* state, int64_t n_threads)
    void skm_publish(int64_t* flag, int64_t value)
    void skm_await(const int64_t* flag, int64_t value)

cdef enum:
    # Labels that one product takes at most; a multiple of GROUP.
    BLOCK = 96

cdef struct Share:
    int64_t thread
    int64_t n_threads
    # Of the barrier.
    int64_t* state
    # Where threads tell each other of the softmax of a row: of each thread and row of a
    # batch a number that says that the rest is there, and two values a block.
    int64_t* meeting
    int64_t line_length
    int64_t batch_size
    # Block k has the labels from bounds[k] to bounds[k + 1].
    int64_t* bounds
    int64_t n_blocks
    int64_t first_block
    int64_t last_block
    int64_t first_label
    int64_t last_label
    # Rows of the batch.
    int64_t first_row
    int64_t last_row


cdef inline int64_t part(
    int64_t n, int64_t unit, int64_t thread, int64_t n_threads
) noexcept nogil:
    # First of n things that belong to a thread, if they are given out in units.
    cdef int64_t first = ((n + unit - 1) // unit * thread // n_threads) * unit
    return first if first < n else n


cdef inline int64_t block_end(int64_t first, int64_t size, int64_t n) noexcept nogil:
    return first + size if first + size < n else n


cdef inline int64_t n_blocks_of(int64_t n_labels) noexcept nogil:
    return (n_labels + BLOCK - 1) // BLOCK


cdef inline int64_t first_block_of(
    int64_t n_blocks, int64_t thread, int64_t n_threads
) noexcept nogil:
    return n_blocks * thread // n_threads


cdef inline void share_labels(
    Share* share, int64_t n_labels, int64_t n_blocks
) noexcept nogil:
    # Blocks of as equal a size as groups of labels allow, so that threads' shares are.
    cdef int64_t block, n_groups = (n_labels + GROUP - 1) // GROUP
    share.n_blocks = n_blocks
    for block in range(share.n_blocks):
        share.bounds[block] = n_groups * block // share.n_blocks * GROUP
    share.bounds[share.n_blocks] = n_labels
    share.first_block = first_block_of(share.n_blocks, share.thread, share.n_threads)
    share.last_block = first_block_of(share.n_blocks, share.thread + 1, share.n_threads)
    share.first_label = share.bounds[share.first_block]
    share.last_label = share.bounds[share.last_block]


cdef inline void share_rows(Share* share, int64_t n_rows, int64_t unit) noexcept nogil:
    share.first_row = part(n_rows, unit, share.thread, share.n_threads)
    share.last_row = part(n_rows, unit, share.thread + 1, share.n_threads)


cdef inline int64_t* line_of(const Share* share, int64_t thread, int64_t i) noexcept nogil:
    return share.meeting + (thread * share.batch_size + i) * share.line_length


cdef inline void meet(Share* share) noexcept nogil:
    skm_barrier(share.state, share.n_threads)
