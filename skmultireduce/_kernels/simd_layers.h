/* Loops of the hidden layers. The file includes itself once for
   each value type T. */
#ifndef SKM_LAYERS_H
#define SKM_LAYERS_H

#include "simd.h"

#define T float
#include "simd_layers.h"
#undef T
#define T double
#include "simd_layers.h"
#undef T

#elif defined(T)

#define NAME(f) SKM_CAT(f, T)
#define EXP SKM_CAT(skm_exp, T)

/* a <- max(a, 0) */
SKM_CLONES SKM_API void NAME(skm_relu)(T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        a[k] = a[k] > 0 ? a[k] : 0;
}

/* d <- d * (a > 0) */
SKM_CLONES SKM_API void NAME(skm_relu_gradient)(
    T *SKM_RESTRICT d, const T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        d[k] = a[k] > 0 ? d[k] : 0;
}

/* a <- tanh a */
SKM_CLONES SKM_API void NAME(skm_tanh)(T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const T x = a[k];
        const T e = EXP(x > 0 ? -2 * x : 2 * x);
        const T t = (1 - e) / (1 + e);
        a[k] = x > 0 ? t : -t;
    }
}

/* d <- d * (1 - a^2), a the tanh */
SKM_CLONES SKM_API void NAME(skm_tanh_gradient)(
    T *SKM_RESTRICT d, const T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        d[k] *= 1 - a[k] * a[k];
}

/* a <- factor * a where kept, 0 elsewhere */
SKM_CLONES SKM_API void NAME(skm_mask)(
    T *SKM_RESTRICT a, const uint8_t *SKM_RESTRICT kept, int64_t n, T factor)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        a[k] = kept[k] ? factor * a[k] : 0;
}

#undef NAME
#undef EXP

#endif
