# Products of small matrices, by BLAS or by our own (simd_products.h).

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from skmultireduce._kernels.simd cimport real

# Modules that use products call skm_load_blas first.
cdef extern from "blas.h":
    int skm_load_blas() except -1
    void skm_sgemm(
        char* trans_a, char* trans_b, int* m, int* n, int* k, float* alpha, float* a, int* lda,
        float* b, int* ldb, float* beta, float* c, int* ldc) nogil
    void skm_dgemm(
        char* trans_a, char* trans_b, int* m, int* n, int* k, double* alpha, double* a,
        int* lda, double* b, int* ldb, double* beta, double* c, int* ldc) nogil

cdef extern from "simd_blocks.h" nogil:
    float skm_dot_float(const float* x, const float* y, int64_t n)
    double skm_dot_double(const double* x, const double* y, int64_t n)

cdef extern from "simd_products.h" nogil:
    int skm_products_run()
    int skm_products_pay()
    void skm_product_float(
        int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t down,
        int64_t right, const float* b, int64_t ldb, float beta, float* c, int64_t ldc)
    void skm_product_double(
        int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t down,
        int64_t right, const double* b, int64_t ldb, double beta, double* c, int64_t ldc)

# Codes of BLAS.
cdef enum:
    NO_TRANS = 78
    TRANS = 84


cdef inline real dot(const real* x, const real* y, int64_t n) noexcept nogil:
    if real is float:
        return skm_dot_float(x, y, n)
    else:
        return skm_dot_double(x, y, n)


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
        skm_sgemm(&trans_a, &trans_b, &m_, &n_, &k_, &alpha, <float*>a, &lda_, <float*>b, &ldb_,
                  &beta, c, &ldc_)
    else:
        skm_dgemm(&trans_a, &trans_b, &m_, &n_, &k_, &alpha, <double*>a, &lda_, <double*>b,
                  &ldb_, &beta, c, &ldc_)


cdef inline void multiply(
    bint own, int64_t m, int64_t n, int64_t k, real alpha, const real* a, int64_t down,
    int64_t right, const real* b, int64_t ldb, real beta, real* c, int64_t ldc,
) noexcept nogil:
    # C (m, n) <- beta * C + alpha * A B, all in C order; A has its element (i, p) at
    # i * down + p * right, one of which is 1.
    if not own:
        # BLAS wants whole rows, also of a matrix that has one only.
        gemm(NO_TRANS, NO_TRANS if right == 1 else TRANS, n, m, k, alpha, b, ldb, a,
             right if right != 1 else down if down > k else k, beta, c, ldc)
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
        gemm(TRANS, TRANS, n_labels, b, width, <real>1, U, width, HT, ld, <real>1, Z, stride)


cdef inline void transpose(
    real* out, int64_t ld, const real* H, int64_t width, int64_t first, int64_t last
) noexcept nogil:
    # out[column, row] <- H[row, column]
    cdef int64_t i, k
    for k in range(width):
        for i in range(first, last):
            out[k * ld + i] = H[i * width + k]
