# Arrays as pointers and shapes.
#
# Kernels look at Python's buffers once, in functions that have no types, and hand pointers on.
# Memoryviews, in functions that are compiled for each type of values and columns, took two
# thirds of the compile time (seconds of -O3 by GCC 12, one core: cutoff 12.5, now 2.0;
# stratify 7.9, 1.8; linear 21.4, 5.6; mlp 23.5, 14.2) and of the size of the modules. The
# caller holds its arrays until a kernel returns, so that a buffer can be given back as soon
# as it has been looked at.

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport int64_t

# Types of elements.
cdef enum:
    FLOAT32 = 1
    FLOAT64 = 2
    INT32 = 4
    INT64 = 8
    UINT8 = 16
    UINT32 = 32
    UINT64 = 64
    FLOAT16 = 128
    FLOATS = 3
    INTEGERS = 12

cdef struct Array:
    # NULL if it has no elements.
    void* data
    int type
    int64_t size
    int64_t shape[3]


cdef inline int type_of(const char* form, Py_ssize_t size) noexcept nogil:
    # One of the types above, or 0.
    cdef char kind
    if form is NULL:
        return 0
    if form[0] in (b"@", b"="):
        form += 1
    kind = form[0]
    if kind == 0 or form[1] != 0:
        return 0
    if kind == b"f":
        return FLOAT32
    if kind == b"d":
        return FLOAT64
    if kind == b"e":
        return FLOAT16
    if kind in (b"i", b"l", b"q"):
        return INT32 if size == 4 else INT64
    if kind in (b"I", b"L", b"Q"):
        return UINT32 if size == 4 else UINT64
    return UINT8 if kind == b"B" else 0


cdef inline int64_t size_of(int type) noexcept nogil:
    return 4 if type == FLOAT32 or type == INT32 else 8


cdef inline Array take(
    object values, const char* name, int types, int n_axes, bint writable
) except *:
    # A C-contiguous array of one of these types; ValueError if it is something else.
    cdef:
        Py_buffer buffer
        Array array
        int axis
        int flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0)
    PyObject_GetBuffer(values, &buffer, flags)
    array.type = type_of(buffer.format, buffer.itemsize) & types
    array.size = 1
    if buffer.ndim != n_axes:
        array.type = 0
    for axis in range(3):
        array.shape[axis] = buffer.shape[axis] if axis < n_axes and array.type else 1
        array.size *= array.shape[axis]
    array.data = buffer.buf if array.size else NULL
    PyBuffer_Release(&buffer)
    if not array.type:
        raise ValueError(f"{name.decode()} has another type or number of axes than expected")
    return array


cdef inline const int64_t* integers(object values, const char* name) except? NULL:
    # Of one axis, to read.
    return <const int64_t*>take(values, name, INT64, 1, False).data


cdef struct Matrix:
    # Any layout: element (i, j) is i * down + j * right bytes from the data on.
    const char* data
    int type
    int64_t n_rows
    int64_t n_columns
    int64_t down
    int64_t right


cdef inline Matrix take_matrix(object values, const char* name) except *:
    # Of numbers of 16, 32 or 64 bits, to read.
    cdef:
        Py_buffer buffer
        Matrix matrix
    PyObject_GetBuffer(values, &buffer, PyBUF_FORMAT | PyBUF_STRIDES)
    matrix.type = type_of(buffer.format, buffer.itemsize) & (FLOAT16 | FLOATS)
    if matrix.type and buffer.ndim == 2:
        matrix.data = <const char*>buffer.buf
        matrix.n_rows, matrix.n_columns = buffer.shape[0], buffer.shape[1]
        matrix.down, matrix.right = buffer.strides[0], buffer.strides[1]
    else:
        matrix.type = 0
    PyBuffer_Release(&buffer)
    if not matrix.type:
        raise ValueError(f"{name.decode()} must have two axes, and float16, float32 or float64")
    return matrix
