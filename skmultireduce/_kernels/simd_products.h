/* Products of small matrices, C <- beta * C + alpha * A B, that read all three in place.

   OpenBLAS has such products for AVX-512 alone. On other x86 it first copies A and B into a
   layout of its own, which takes a third of the time of products as small as a batch's; with
   AVX2 these here are faster (skm_products_pay), and run wherever there is AVX2
   (skm_products_run). B and C are contiguous along a row; A is read one element at a time, at
   any strides. Each element of C is a sum over k in one order, whatever the sizes. The file
   includes itself once for each value type T, and for each number of rows R of a tile. */
#ifndef SKM_PRODUCTS_H
#define SKM_PRODUCTS_H

#include "simd.h"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__) && !defined(SKM_NO_DISPATCH)
#define SKM_AVX2 __attribute__((target("avx2,fma")))

SKM_API int skm_products_run(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
SKM_API int skm_products_pay(void)
{
    return skm_products_run() && !__builtin_cpu_supports("avx512f");
}

#if defined(__clang__)
#define SKM_UNROLL SKM_PRAGMA(clang loop unroll(full))
#else
#define SKM_UNROLL SKM_PRAGMA(GCC unroll 8)
#endif

/* Of any alignment. */
typedef float skm_vec_float __attribute__((vector_size(32), aligned(4), may_alias));
typedef double skm_vec_double __attribute__((vector_size(32), aligned(8), may_alias));
typedef float skm_half_float __attribute__((vector_size(16), aligned(4), may_alias));
typedef double skm_half_double __attribute__((vector_size(16), aligned(8), may_alias));

#define T float
#include "simd_products.h"
#undef T
#define T double
#include "simd_products.h"
#undef T

#else
SKM_API int skm_products_run(void)
{
    return 0;
}
SKM_API int skm_products_pay(void)
{
    return 0;
}
SKM_API void skm_product_float(
    int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t down, int64_t right,
    const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)down, (void)right;
    (void)b, (void)ldb, (void)beta, (void)c, (void)ldc;
}
SKM_API void skm_product_double(
    int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t down, int64_t right,
    const double *b, int64_t ldb, double beta, double *c, int64_t ldc)
{
    (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)down, (void)right;
    (void)b, (void)ldb, (void)beta, (void)c, (void)ldc;
}
#endif

#elif !defined(R)

#define NAME(f) SKM_CAT(f, T)
#define VEC SKM_CAT(skm_vec, T)
#define HALF SKM_CAT(skm_half, T)
#define LANES ((int64_t)(32 / sizeof(T)))

/* Tiles of R rows: R x 2 vectors of sums, two vectors of B and an element of A fill the 16
   registers if R is 6. */
#define R 6
#include "simd_products.h"
#undef R
#define R 4
#include "simd_products.h"
#undef R
#define R 2
#include "simd_products.h"
#undef R
#define R 1
#include "simd_products.h"
#undef R

#define ROWS(r)                                                                                 \
    SKM_CAT(NAME(skm_rows), r)(                                                                  \
        n, k, alpha, a + i * down, down, right, b, ldb, beta, c + i * ldc, ldc);                  \
    i += r

/* C[i, j] <- beta * C[i, j] + alpha * sum_p a[i * down + p * right] * b[p * ldb + j] */
SKM_AVX2 SKM_API void NAME(skm_product)(
    int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t down, int64_t right,
    const T *b, int64_t ldb, T beta, T *c, int64_t ldc)
{
    int64_t i = 0;
    /* Eight rows are twice four: two alone would wait for their few sums. */
    while (m - i >= 6 && m - i != 8) {
        ROWS(6);
    }
    while (m - i >= 4) {
        ROWS(4);
    }
    if (m - i >= 2) {
        ROWS(2);
    }
    if (m - i) {
        ROWS(1);
    }
}

#undef ROWS
#undef NAME
#undef VEC
#undef HALF
#undef LANES

#else

/* Columns of R rows, as many at a time as V has numbers. */
#define COLUMNS(V)                                                                         \
    for (; j + (int64_t)(sizeof(V) / sizeof(T)) <= n; j += sizeof(V) / sizeof(T)) {        \
        V sum[R];                                                                          \
        SKM_UNROLL                                                                         \
        for (i = 0; i < R; ++i)                                                            \
            sum[i] = (V){0};                                                               \
        for (p = 0; p < k; ++p) {                                                          \
            const V b0 = *(const V *)(b + p * ldb + j);                                    \
            SKM_UNROLL                                                                     \
            for (i = 0; i < R; ++i)                                                        \
                sum[i] += a[i * down + p * right] * b0;                                    \
        }                                                                                  \
        SKM_UNROLL                                                                         \
        for (i = 0; i < R; ++i) {                                                          \
            V *out = (V *)(c + i * ldc + j);                                               \
            *out = beta == 0 ? alpha * sum[i] : beta * *out + alpha * sum[i];              \
        }                                                                                  \
    }

/* R rows of C. */
SKM_AVX2 SKM_INLINE void SKM_CAT(NAME(skm_rows), R)(
    int64_t n, int64_t k, T alpha, const T *SKM_RESTRICT a, int64_t down, int64_t right,
    const T *SKM_RESTRICT b, int64_t ldb, T beta, T *SKM_RESTRICT c, int64_t ldc)
{
    int64_t j = 0, p;
    int i;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        VEC low[R], high[R];
        SKM_UNROLL
        for (i = 0; i < R; ++i)
            low[i] = high[i] = (VEC){0};
        for (p = 0; p < k; ++p) {
            const VEC b0 = *(const VEC *)(b + p * ldb + j);
            const VEC b1 = *(const VEC *)(b + p * ldb + j + LANES);
            SKM_UNROLL
            for (i = 0; i < R; ++i) {
                const T x = a[i * down + p * right];
                low[i] += x * b0;
                high[i] += x * b1;
            }
        }
        SKM_UNROLL
        for (i = 0; i < R; ++i) {
            VEC *out = (VEC *)(c + i * ldc + j), *next = (VEC *)(c + i * ldc + j + LANES);
            *out = beta == 0 ? alpha * low[i] : beta * *out + alpha * low[i];
            *next = beta == 0 ? alpha * high[i] : beta * *next + alpha * high[i];
        }
    }
    COLUMNS(VEC)
    COLUMNS(HALF)
    COLUMNS(T)
}

#undef COLUMNS

#endif
