/* Loops over the values of a row of X and the rows of W that they meet; included by
   simd.h once for each value type T and index type I. A dense row has no indices: value
   j then meets row j of W. */

#define NAME(f) SKM_CAT(SKM_CAT(f, T), I)
#define ROW(j) (W + (indices ? (int64_t)indices[j] : (j)) * stride)

/* z <- scale * sum_j x[j] * W[j, :] + intercept. Terms are added one after the other, so
   that the zeros of a dense row change no bit of the sum; by eight rows of W at a time, since
   z is then read and written an eighth as often. */
SKM_CLONES SKM_API void NAME(skm_forward)(
    T *SKM_RESTRICT z, int64_t n_labels, const T *SKM_RESTRICT W, int64_t stride,
    const I *SKM_RESTRICT indices, const T *SKM_RESTRICT x, int64_t n, T scale,
    const T *SKM_RESTRICT intercept)
{
    int64_t j = 0, k;
    memset(z, 0, (size_t)n_labels * sizeof(T));
    for (; j + 8 <= n; j += 8) {
        const T *SKM_RESTRICT w0 = ROW(j), *SKM_RESTRICT w1 = ROW(j + 1);
        const T *SKM_RESTRICT w2 = ROW(j + 2), *SKM_RESTRICT w3 = ROW(j + 3);
        const T *SKM_RESTRICT w4 = ROW(j + 4), *SKM_RESTRICT w5 = ROW(j + 5);
        const T *SKM_RESTRICT w6 = ROW(j + 6), *SKM_RESTRICT w7 = ROW(j + 7);
        const T x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
        const T x4 = x[j + 4], x5 = x[j + 5], x6 = x[j + 6], x7 = x[j + 7];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k)
            z[k] = (((((((z[k] + x0 * w0[k]) + x1 * w1[k]) + x2 * w2[k]) + x3 * w3[k])
                      + x4 * w4[k]) + x5 * w5[k]) + x6 * w6[k]) + x7 * w7[k];
    }
    for (; j + 2 <= n; j += 2) {
        const T *SKM_RESTRICT w0 = ROW(j), *SKM_RESTRICT w1 = ROW(j + 1);
        const T x0 = x[j], x1 = x[j + 1];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k)
            z[k] = (z[k] + x0 * w0[k]) + x1 * w1[k];
    }
    if (j < n) {
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

/* W[j, :] <- W[j, :] - step * x[j] * g, for each j; indices differ. By four rows of W at a
   time, since g is then read a quarter as often. */
SKM_CLONES SKM_API void NAME(skm_update)(
    T *SKM_RESTRICT W, int64_t stride, const I *SKM_RESTRICT indices,
    const T *SKM_RESTRICT x, int64_t n, T step, const T *SKM_RESTRICT g, int64_t n_labels)
{
    int64_t j = 0, k;
    for (; j + 4 <= n; j += 4) {
        T *SKM_RESTRICT w0 = ROW(j), *SKM_RESTRICT w1 = ROW(j + 1);
        T *SKM_RESTRICT w2 = ROW(j + 2), *SKM_RESTRICT w3 = ROW(j + 3);
        const T c0 = step * x[j], c1 = step * x[j + 1];
        const T c2 = step * x[j + 2], c3 = step * x[j + 3];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k) {
            const T gk = g[k];
            w0[k] -= c0 * gk;
            w1[k] -= c1 * gk;
            w2[k] -= c2 * gk;
            w3[k] -= c3 * gk;
        }
    }
    for (; j < n; ++j) {
        T *SKM_RESTRICT w = ROW(j);
        const T c = step * x[j];
        SKM_SIMD
        for (k = 0; k < n_labels; ++k)
            w[k] -= c * g[k];
    }
}

#undef NAME
#undef ROW
