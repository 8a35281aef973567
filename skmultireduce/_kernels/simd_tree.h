/* Vector loops of the label tree, float alone; needs simd.h. */
#ifndef SKM_SIMD_TREE_H
#define SKM_SIMD_TREE_H

#include "simd.h"

/* Ends of the unit interval at which skm_linear turns into an exponential, which comes as near
   to 0 and 1 as 1 - p can tell. */
#define SKM_LINEAR_END 0.05f
#define SKM_LINEAR_MOST -13.0f

/* z <- (1 + z) / 2, which the squared hinge has as its minimiser's probability, with ends that
   come near 0 and 1 exponentially instead of being cut there: scores beyond -1 and 1 stay
   ordered, no probability is 0. Value and slope are continuous. */
SKM_CLONES SKM_API void skm_linear(float *SKM_RESTRICT z, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const float u = 0.5f + 0.5f * z[k];
        const float v = u < 0.5f ? u : 1.0f - u;
        const float inside = v > SKM_LINEAR_END ? v : SKM_LINEAR_END;
        const float end = v < SKM_LINEAR_END ? v / SKM_LINEAR_END - 1.0f : 0.0f;
        const float beyond = end > SKM_LINEAR_MOST ? end : SKM_LINEAR_MOST;
        const float p = inside * skm_exp_float(beyond);
        z[k] = u < 0.5f ? p : 1.0f - p;
    }
}

/* z <- exp(-max(0, 1 - z)^2) */
SKM_CLONES SKM_API void skm_exp_hinge(float *SKM_RESTRICT z, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const float x = 1.0f - z[k];
        const float margin = x > 0 ? x : 0;
        z[k] = skm_exp_float(-margin * margin);
    }
}

/* z <- min(z, the largest number below 1) */
SKM_CLONES SKM_API void skm_below_one(float *SKM_RESTRICT z, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        z[k] = z[k] < 0.99999994f ? z[k] : 0.99999994f;
}

/* Whether a magnitude is at least this; adds what is not finite if a number is not. */
SKM_CLONES SKM_API int skm_reaches(
    const float *SKM_RESTRICT z, int64_t n, float least, double *total)
{
    int64_t k;
    float sum = 0;
    int64_t count = 0;
    SKM_SIMD_SUM(sum)
    for (k = 0; k < n; ++k)
        sum += z[k];
    SKM_SIMD_SUM(count)
    for (k = 0; k < n; ++k)
        count += z[k] >= least || z[k] <= -least;
    *total += sum;
    return count > 0;
}

/* Half precision to single, finite numbers, by the bits: the exponent is moved up by 112,
   by a multiplication, which is right for subnormal numbers as well. */
SKM_CLONES SKM_API void skm_from_half(
    float *SKM_RESTRICT out, const uint16_t *SKM_RESTRICT half, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const uint32_t h = half[k];
        const uint32_t bits = (h & 0x7fffu) << 13;
        float x;
        memcpy(&x, &bits, 4);
        x *= 5.192296858534828e33f; /* 2^112 */
        out[k] = h & 0x8000u ? -x : x;
    }
}

#endif
