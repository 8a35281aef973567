/* Rows of dense X of any type and layout, as rows of T. The file includes itself once for each
   value type T. */
#ifndef SKM_GATHER_H
#define SKM_GATHER_H

#include "simd.h"

/* A float16 from its bits: its exponent and fraction, at their places in a float, are the
   number over 2^112. */
SKM_INLINE float skm_half_value(uint16_t bits)
{
    uint32_t u = (uint32_t)(bits & 0x7fff) << 13;
    float x;
    memcpy(&x, &u, 4);
    x *= 5.192296858534828e33f;
    memcpy(&u, &x, 4);
    /* Infinities and NaN have all bits of the exponent set. */
    u |= (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u;
    u |= (uint32_t)(bits & 0x8000) << 16;
    memcpy(&x, &u, 4);
    return x;
}

#define T float
#include "simd_gather.h"
#undef T
#define T double
#include "simd_gather.h"
#undef T

#elif defined(T)

#define NAME(f) SKM_CAT(f, T)
#define COPY(S, VALUE)                                                                      \
    if (right == (int64_t)sizeof(S)) {                                                      \
        const S *SKM_RESTRICT from = (const S *)x;                                          \
        SKM_SIMD                                                                            \
        for (k = 0; k < n; ++k)                                                             \
            out[k] = factor * (T)VALUE(from[k]);                                            \
    } else {                                                                                \
        for (k = 0; k < n; ++k)                                                             \
            out[k] = factor * (T)VALUE(*(const S *)(x + k * right));                        \
    }

/* out <- factor * x, for n values that are `right` bytes apart, of `size` bytes each. */
SKM_CLONES SKM_API void NAME(skm_gather)(
    T *SKM_RESTRICT out, const char *SKM_RESTRICT x, int64_t right, int size, int64_t n,
    T factor)
{
    int64_t k;
    if (size == 4) {
        COPY(float, )
    } else if (size == 8) {
        COPY(double, )
    } else {
        COPY(uint16_t, skm_half_value)
    }
}

#undef NAME
#undef COPY

#endif
