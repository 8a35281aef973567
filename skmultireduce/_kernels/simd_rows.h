/* Loops over the values of a row of X and the rows of W that they meet; included by
   simd.h once for each value type T and index type I. A dense row has no indices: value
   j then meets row j of W. */

#define NAME(f) SKM_CAT(SKM_CAT(f, T), I)
#define ROW(j) (W + (indices ? (int64_t)indices[j] : (j)) * stride)

/* z <- scale * sum_j x[j] * W[j, :] + intercept. Terms are added one after the other, so
   that the zeros of a dense row change no bit of the sum. */
SKM_CLONES SKM_API void NAME(skm_forward)(
    T *SKM_RESTRICT z, int64_t n_labels, const T *SKM_RESTRICT W, int64_t stride,
    const I *SKM_RESTRICT indices, const T *SKM_RESTRICT x, int64_t n, T scale,
    const T *SKM_RESTRICT intercept)
{
    int64_t j = 0, k;
    memset(z, 0, (size_t)n_labels * sizeof(T));
    for (; j + 4 <= n; j += 4) {
        const T *SKM_RESTRICT w0 = ROW(j), *SKM_RESTRICT w1 = ROW(j + 1);
        const T *SKM_RESTRICT w2 = ROW(j + 2), *SKM_RESTRICT w3 = ROW(j + 3);
        const T x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k)
            z[k] = (((z[k] + x0 * w0[k]) + x1 * w1[k]) + x2 * w2[k]) + x3 * w3[k];
    }
    for (; j < n; ++j) {
        const T *SKM_RESTRICT w = ROW(j);
        const T xj = x[j];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k)
            z[k] += xj * w[k];
    }
    SKM_SIMD
    for (k = 0; k < n_labels; ++k)
        z[k] = scale * z[k] + intercept[k];
}

/* W[j, :] <- W[j, :] - step * x[j] * g, for each j. */
SKM_CLONES SKM_API void NAME(skm_update)(
    T *SKM_RESTRICT W, int64_t stride, const I *SKM_RESTRICT indices,
    const T *SKM_RESTRICT x, int64_t n, T step, const T *SKM_RESTRICT g, int64_t n_labels)
{
    int64_t j, k;
    for (j = 0; j < n; ++j) {
        T *SKM_RESTRICT w = ROW(j);
        const T c = step * x[j];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k)
            w[k] -= c * g[k];
    }
}

#undef NAME
#undef ROW
