/* Loops over a row of scores that the search for a cutoff makes. The file includes itself once
   for each type: T of scores, U of their bits. */
#ifndef SKM_SCORES_H
#define SKM_SCORES_H

#include "simd.h"

/* Scores that are looked at together for whether one of them is near an optimum. */
#define SKM_CHUNK 32

#define T float
#define U uint32_t
#include "simd_scores.h"
#undef T
#undef U
#define T double
#define U uint64_t
#include "simd_scores.h"
#undef T
#undef U

#elif defined(T)

#define NAME(f) SKM_CAT(f, T)
#define IMAGE NAME(skm_image)

/* a < b as floats iff image(a) < image(b). Negating the bits of negative numbers, where the
   usual image flips them, makes -0.0 and 0.0 one number. */
SKM_INLINE U IMAGE(U bits)
{
    const U sign = (U)1 << (8 * sizeof(U) - 1);
    return bits & sign ? (U)0 - bits : bits | sign;
}

/* Where the next chunk begins that has an image in [low, low + width], from a start on; n if
   there is none. */
SKM_CLONES SKM_API int64_t NAME(skm_next_within)(
    const U *SKM_RESTRICT bits, int64_t start, int64_t n, U low, U width)
{
    int64_t j;
    for (; start + SKM_CHUNK <= n; start += SKM_CHUNK) {
        U found = 0;
        SKM_SIMD_SUM(found)
        for (j = 0; j < SKM_CHUNK; ++j)
            found += (U)(IMAGE(bits[start + j]) - low) <= width;
        if (found)
            return start;
    }
    for (j = start; j < n; ++j)
        if ((U)(IMAGE(bits[j]) - low) <= width)
            return start;
    return n;
}

/* The lowest finite score, the highest one below the cut and the highest finite one, in
   sides; returns the number of scores that are not below the cut. One comparison a choice:
   choices by two of them at once are not vectorised. */
SKM_CLONES SKM_API int64_t NAME(skm_cut_row)(
    const T *SKM_RESTRICT scores, int64_t n, T value, T *SKM_RESTRICT sides)
{
    const T infinity = (T)INFINITY;
    int64_t j;
    U above = 0;
    T lowest = sides[0], below = sides[1], highest = sides[2];
    SKM_SIMD_SIDES(above, lowest, below, highest)
    for (j = 0; j < n; ++j) {
        const T s = scores[j];
        const T under = s < value ? s : -infinity;
        const T from_below = s > -infinity ? s : infinity;
        const T from_above = s < infinity ? s : -infinity;
        above += s >= value;
        below = under > below ? under : below;
        lowest = from_below < lowest ? from_below : lowest;
        highest = from_above > highest ? from_above : highest;
    }
    sides[0] = lowest;
    sides[1] = below;
    sides[2] = highest;
    return (int64_t)above;
}

#undef NAME
#undef IMAGE

#endif
