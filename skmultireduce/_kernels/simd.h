/* Vector loops of the kernels, for float and double, int32 and int64 column indices.

   SKM_CLONES compiles a function several times and picks the best one for the running
   machine when the module is loaded, where the compiler can do that (GCC on glibc
   x86-64); elsewhere the same plain loops are compiled once. No function depends on
   flags of the building machine or on -ffast-math: sums that may be reordered say so
   with "omp simd reduction". */
#ifndef SKM_SIMD_H
#define SKM_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef SKM_CLONES
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__) \
    && !defined(SKM_NO_DISPATCH)
#define SKM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SKM_CLONES
#endif
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SKM_RESTRICT __restrict__
#define SKM_INLINE static inline __attribute__((always_inline, unused))
#define SKM_API __attribute__((unused)) static
#define SKM_SIMD _Pragma("omp simd")
#define SKM_SIMD_SUM(x) SKM_PRAGMA(omp simd reduction(+ : x))
#define SKM_SIMD_MAX(x) SKM_PRAGMA(omp simd reduction(max : x))
#define SKM_SIMD_SIDES(n, a, b, c) \
    SKM_PRAGMA(omp simd reduction(+ : n) reduction(min : a) reduction(max : b, c))
#define SKM_PRAGMA(x) _Pragma(#x)
#else
#define SKM_RESTRICT __restrict
#define SKM_INLINE static __forceinline
#define SKM_API static
#define SKM_SIMD __pragma(omp simd)
#define SKM_SIMD_SUM(x) __pragma(omp simd reduction(+ : x))
#define SKM_SIMD_MAX(x)
#define SKM_SIMD_SIDES(n, a, b, c)
#endif

#if defined(__GNUC__) || defined(__clang__)
/* Without the empty instruction GCC takes a function that only fetches for one without effect,
   and leaves its calls out. */
#define SKM_PREFETCH(p) (__builtin_prefetch(p), skm_effect())
static inline __attribute__((always_inline, unused)) void skm_effect(void)
{
    __asm__ volatile("");
}
#else
#define SKM_PREFETCH(p) ((void)0)
#endif

#define SKM_CAT2(a, b) a##_##b
#define SKM_CAT(a, b) SKM_CAT2(a, b)

/* exp(x) for x <= 0, by x = n ln 2 + r, |r| <= ln(2) / 2, and a polynomial in r: the
   minimax one of Cephes' expf for float (degree 7), Taylor's for double (degree 12).
   Below the smallest normal number the argument is clamped, so the result is never 0.
   Relative error: < 1.2e-7 (float), < 4.1e-16 (double; < 4e-16 where products are fused
   with sums); a test holds both over the whole range. NaN gives the clamped value: callers check their weights. */
SKM_INLINE float skm_exp_float(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float t, r, p;
    int32_t n;
    x = x > -87.0f ? x : -87.0f;
    t = x * 1.44269504088896341f + shift;
    memcpy(&n, &t, 4);
    n = (int32_t)((uint32_t)(n + 127) << 23); /* 2^n: the low bits of t hold n */
    t -= shift;
    r = x - t * 0.693145751953125f;
    r = r - t * 1.42860682030941723212e-6f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    memcpy(&t, &n, 4);
    return p * t;
}

SKM_INLINE double skm_exp_double(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52 */
    double t, r, p;
    int64_t n;
    x = x > -708.0 ? x : -708.0;
    t = x * 1.4426950408889634074 + shift;
    memcpy(&n, &t, 8);
    n = (int64_t)((uint64_t)(n + 1023) << 52);
    t -= shift;
    r = x - t * 6.93147180369123816490e-01;
    r = r - t * 1.90821492927058770002e-10;
    p = 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    memcpy(&t, &n, 8);
    return p * t;
}

/* Ask for the cache lines of n bytes from p on, at most four of them: what follows, the
   hardware fetches ahead by itself. */
SKM_INLINE void skm_prefetch(const void *p, int64_t n)
{
    const char *line = (const char *)p, *end = line + (n < 256 ? n : 256);
    for (; line < end; line += 64)
        SKM_PREFETCH(line);
}

#define T float
#include "simd_values.h"
#define I int32_t
#include "simd_rows.h"
#undef I
#define I int64_t
#include "simd_rows.h"
#undef I
#undef T

#define T double
#include "simd_values.h"
#define I int32_t
#include "simd_rows.h"
#undef I
#define I int64_t
#include "simd_rows.h"
#undef I
#undef T

#endif
