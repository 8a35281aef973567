# Embeddings: sums over the values of a row of X, and their updates by owners of features.

from libc.stdint cimport int64_t

from skmultireduce._kernels.rows cimport Row, Rows, column_of, find_row
from skmultireduce._kernels.shares cimport Share, block_end
from skmultireduce._kernels.simd cimport forward, real, skm_prefetch, update

cdef enum:
    # Features whose embeddings one thread changes, and values of X that it picks at once.
    _FEATURES = 4
    _VALUES = 64


cdef inline void document(
    real* a, int64_t dim, const real* E, int64_t pitch, const Rows* rows, int64_t row,
    double factor, const real* zeros,
) noexcept nogil:
    # a <- factor * (row of X) . E
    cdef Row found = find_row(rows, row)
    forward(a, dim, E, pitch, found.columns, rows.wide, <const real*>rows.data + found.start,
            found.n, <real>factor, zeros)


cdef inline void fetch_embeddings(
    const real* E, int64_t pitch, const Rows* rows, int64_t row
) noexcept nogil:
    # Of a row of X that comes soon: they are in random places.
    cdef:
        Row found
        int64_t j
    if rows.indptr is not NULL:
        found = find_row(rows, row)
        for j in range(found.n):
            skm_prefetch(
                E + column_of(found.columns, rows.wide, j) * pitch, pitch * sizeof(real))


cdef inline int64_t owner(int64_t feature, int64_t n_threads) noexcept nogil:
    # Thread that changes a feature's embedding. Whole rows of E: of columns, a core would
    # fetch ahead what another has just written (two threads took longer than one).
    return feature // _FEATURES % n_threads


cdef inline void update_dense(
    real* E, int64_t pitch, const real* x, int64_t n_features, real step, const real* d,
    int64_t dim, const Share* share,
) noexcept nogil:
    # Own rows of E, for a dense row of X.
    cdef int64_t j = share.thread * _FEATURES
    while j < n_features:
        update(E + j * pitch, pitch, NULL, False, x + j,
               block_end(j, _FEATURES, n_features) - j, step, d, dim)
        j += share.n_threads * _FEATURES


cdef inline void update_sparse(
    real* E, int64_t pitch, const void* columns, bint wide, const real* x, int64_t n, real step,
    const real* d, int64_t dim, const Share* share,
) noexcept nogil:
    # Own rows of E, for a sparse row of X.
    cdef:
        int64_t own_columns[_VALUES]
        real own_x[_VALUES]
        int64_t j = 0, n_own
    while j < n:
        n_own = 0
        while j < n and n_own < _VALUES:
            own_columns[n_own] = column_of(columns, wide, j)
            own_x[n_own] = x[j]
            n_own += owner(own_columns[n_own], share.n_threads) == share.thread
            j += 1
        update(E, pitch, own_columns, True, own_x, n_own, step, d, dim)


cdef inline void update_embeddings(
    real* E, int64_t pitch, const Rows* rows, int64_t row, real step, const real* d,
    int64_t dim, const Share* share,
) noexcept nogil:
    # Own rows of E that the row of X meets.
    cdef:
        Row found = find_row(rows, row)
        const real* x = <const real*>rows.data + found.start
    if share.n_threads == 1:
        update(E, pitch, found.columns, rows.wide, x, found.n, step, d, dim)
    elif rows.indptr is NULL:
        update_dense(E, pitch, x, found.n, step, d, dim, share)
    else:
        update_sparse(
            E, pitch, found.columns, rows.wide, x, found.n, step, d, dim, share)
