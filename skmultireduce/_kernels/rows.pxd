# Rows of X, dense or in CSR form.

from libc.stdint cimport int32_t, int64_t

from skmultireduce._kernels.buffers cimport INT64, INTEGERS, Array, integers, take

cdef struct Rows:
    # Values in float32 or float64; columns, if any, in int64 if wide, else in int32.
    const void* data
    const void* indices
    # NULL: rows are dense.
    const int64_t* indptr
    int64_t n_features
    bint wide

cdef struct Row:
    # Values data[start:start + n]; columns NULL if the row is dense, or without values.
    int64_t start
    int64_t n
    const void* columns


cdef inline Rows take_rows(
    object data, object indices, object indptr, int64_t n_features, int type
) except *:
    # indices and indptr are empty if X is dense.
    cdef:
        Rows rows
        Array columns = take(indices, b"indices", INTEGERS, 1, False)
    rows.data = take(data, b"data", type, 1, False).data
    rows.indices = columns.data
    rows.indptr = integers(indptr, b"indptr")
    rows.n_features = n_features
    rows.wide = columns.type == INT64
    return rows


cdef inline const void* columns_from(const Rows* rows, int64_t start) noexcept nogil:
    return <const char*>rows.indices + start * (8 if rows.wide else 4)


cdef inline int64_t column_of(const void* columns, bint wide, int64_t i) noexcept nogil:
    return (<const int64_t*>columns)[i] if wide else (<const int32_t*>columns)[i]


cdef inline Row find_row(const Rows* rows, int64_t row) noexcept nogil:
    cdef Row found
    if rows.indptr is NULL:
        found.start = row * rows.n_features
        found.n = rows.n_features
        found.columns = NULL
    else:
        found.start = rows.indptr[row]
        found.n = rows.indptr[row + 1] - found.start
        found.columns = columns_from(rows, found.start) if found.n else NULL
    return found
