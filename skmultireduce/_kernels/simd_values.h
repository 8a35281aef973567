/* Loops over a row of scores; included by simd.h once for each value type T. */

#define NAME(f) SKM_CAT(f, T)
#define EXP SKM_CAT(skm_exp, T)

/* x <- exp(x), for x <= 0. */
SKM_CLONES SKM_API void NAME(skm_exp_array)(T *SKM_RESTRICT x, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        x[k] = EXP(x[k]);
}

/* z <- exp(z - max z); returns the sum, gives the maximum. */
SKM_CLONES SKM_API T NAME(skm_softmax)(T *SKM_RESTRICT z, int64_t n, T *SKM_RESTRICT highest)
{
    int64_t k;
    T top = z[0], sum = 0;
    SKM_SIMD_MAX(top)
    for (k = 0; k < n; ++k)
        top = z[k] > top ? z[k] : top;
    SKM_SIMD_SUM(sum)
    for (k = 0; k < n; ++k) {
        const T e = EXP(z[k] - top);
        z[k] = e;
        sum += e;
    }
    *highest = top;
    return sum;
}

/* z <- z * factor */
SKM_CLONES SKM_API void NAME(skm_scale)(T *SKM_RESTRICT z, int64_t n, T factor)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        z[k] *= factor;
}

/* y <- y - factor * x */
SKM_CLONES SKM_API void NAME(skm_subtract)(
    T *SKM_RESTRICT y, const T *SKM_RESTRICT x, int64_t n, T factor)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        y[k] -= factor * x[k];
}

/* z <- 1 / (1 + exp(-z)) */
SKM_CLONES SKM_API void NAME(skm_expit)(T *SKM_RESTRICT z, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const T x = z[k];
        const T e = EXP(x > 0 ? -x : x);
        z[k] = (x > 0 ? 1 : e) / (1 + e);
    }
}

/* z <- sigmoid(z). The loss log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)) is left to
   the caller in two parts: `product` is multiplied by the second factor, each in (1, 2],
   and `sum` takes max(z, 0); one logarithm then serves many rows and labels. */
SKM_CLONES SKM_API void NAME(skm_sigmoid)(
    T *SKM_RESTRICT z, int64_t n, T *SKM_RESTRICT product, T *SKM_RESTRICT sum)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const T x = z[k];
        const T positive = x > 0 ? x : 0;
        const T e = EXP(x > 0 ? -x : x);
        const T f = 1 + e;
        product[k] *= f;
        sum[k] += positive;
        z[k] = (x > 0 ? 1 : e) / f;
    }
}

/* z <- d/dz max(0, 1 + z)^2, the squared hinge of a negative label; adds the loss. */
SKM_CLONES SKM_API void NAME(skm_squared_hinge)(
    T *SKM_RESTRICT z, int64_t n, T *SKM_RESTRICT sum)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const T x = 1 + z[k];
        const T margin = x > 0 ? x : 0;
        sum[k] += margin * margin;
        z[k] = 2 * margin;
    }
}

#undef NAME
#undef EXP
