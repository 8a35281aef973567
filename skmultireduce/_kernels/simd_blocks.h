/* Loops over vectors and blocks of scores beside those of simd.h. The file includes itself once for
   each value type T. */
#ifndef SKM_BLOCKS_H
#define SKM_BLOCKS_H

#include "simd.h"

#define T float
#include "simd_blocks.h"
#undef T
#define T double
#include "simd_blocks.h"
#undef T

#elif defined(T)

#define NAME(f) SKM_CAT(f, T)
#define EXP SKM_CAT(skm_exp, T)

/* x . y */
SKM_CLONES SKM_API T NAME(skm_dot)(const T *SKM_RESTRICT x, const T *SKM_RESTRICT y, int64_t n)
{
    int64_t k;
    T sum = 0;
    SKM_SIMD_SUM(sum)
    for (k = 0; k < n; ++k)
        sum += x[k] * y[k];
    return sum;
}

/* z <- exp(z - the maximum of its block), for n blocks that end where the next begins; found
   gets the maximum and the sum of each. */
SKM_CLONES SKM_API void NAME(skm_softmax_blocks)(
    T *SKM_RESTRICT z, const int64_t *SKM_RESTRICT bounds, int64_t n, T *SKM_RESTRICT found)
{
    int64_t block, k;
    for (block = 0; block < n; ++block) {
        const int64_t first = bounds[block], last = bounds[block + 1];
        T top = z[first], sum = 0;
        SKM_SIMD_MAX(top)
        for (k = first; k < last; ++k)
            top = z[k] > top ? z[k] : top;
        SKM_SIMD_SUM(sum)
        for (k = first; k < last; ++k) {
            const T e = EXP(z[k] - top);
            z[k] = e;
            sum += e;
        }
        found[2 * block] = top;
        found[2 * block + 1] = sum;
    }
}

/* z <- z * the factor of its block */
SKM_CLONES SKM_API void NAME(skm_scale_blocks)(
    T *SKM_RESTRICT z, const int64_t *SKM_RESTRICT bounds, int64_t n,
    const T *SKM_RESTRICT factors)
{
    int64_t block, k;
    for (block = 0; block < n; ++block) {
        const T factor = factors[block];
        SKM_SIMD
        for (k = bounds[block]; k < bounds[block + 1]; ++k)
            z[k] *= factor;
    }
}

#undef NAME
#undef EXP

#endif
