# Balanced spherical 2-means of sparse unit vectors: the inner part of cluster_labels in tree.pyx.

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from skmultireduce._kernels.tree_training cimport mix

cdef enum:
    _MOST_STEPS = 16
    # Steps are taken on so many of the labels; the rest joins the side that is nearer.
    _SAMPLE = 16384


cdef struct Vectors:
    const int64_t* indptr
    const int32_t* indices
    const float* data


cdef inline bint comes_before(float a, int32_t i, float b, int32_t j) noexcept nogil:
    # The largest first; ties by number.
    return a > b or (a == b and i < j)


cdef inline void put_largest_first(
    float* scores, int32_t* labels, int64_t n, int64_t n_first
) noexcept nogil:
    # Hoare's selection: the n_first largest scores come to the begin, in some order.
    cdef:
        int64_t low = 0, high = n - 1, i, j
        float pivot, score
        int32_t at, label
    while low < high:
        pivot = scores[(low + high) // 2]
        at = labels[(low + high) // 2]
        i = low
        j = high
        while i <= j:
            while comes_before(scores[i], labels[i], pivot, at):
                i += 1
            while comes_before(pivot, at, scores[j], labels[j]):
                j -= 1
            if i <= j:
                score = scores[i]
                scores[i] = scores[j]
                scores[j] = score
                label = labels[i]
                labels[i] = labels[j]
                labels[j] = label
                i += 1
                j -= 1
        if n_first - 1 <= j:
            high = j
        elif n_first - 1 >= i:
            low = i
        else:
            break


cdef inline double add_vector(
    const Vectors* x, int32_t label, float* sums, int64_t side
) noexcept nogil:
    # Returns by how much the square of the sum grows.
    cdef:
        int64_t j
        float product = 0, square = 0, value
        float* place
    for j in range(x.indptr[label], x.indptr[label + 1]):
        place = &sums[2 * <int64_t>x.indices[j] + side]
        value = x.data[j]
        product += value * place[0]
        square += value * value
        place[0] += value
    return 2 * <double>product + square


cdef inline void two_products(
    const Vectors* x, int32_t label, const float* sums, double* a, double* b
) noexcept nogil:
    cdef:
        int64_t j
        float first = 0, second = 0
    for j in range(x.indptr[label], x.indptr[label + 1]):
        first += x.data[j] * sums[2 * <int64_t>x.indices[j]]
        second += x.data[j] * sums[2 * <int64_t>x.indices[j] + 1]
    a[0] = first
    b[0] = second


cdef inline void clear_sums(
    const Vectors* x, const int32_t* labels, int64_t n, float* sums
) noexcept nogil:
    cdef int64_t i, j
    for i in range(n):
        for j in range(x.indptr[labels[i]], x.indptr[labels[i] + 1]):
            sums[2 * <int64_t>x.indices[j]] = 0
            sums[2 * <int64_t>x.indices[j] + 1] = 0


cdef inline void bisect(
    const Vectors* x, int32_t* labels, int64_t n, int64_t n_first, float* sums, float* scores,
    uint64_t key,
) noexcept nogil:
    # Brings the n_first labels of one side to the begin. `sums` (n_features, 2) is 0 and stays.
    cdef:
        int64_t i, j, n_used, n_left
        int32_t label
        double a, b, first_square, second_square, first_norm, second_norm
        double quality, best = -1
    if n_first <= 0 or n_first >= n:
        return
    # A random sample in front: it is what the steps are taken on, and its first two the centres.
    n_used = n if n < _SAMPLE else _SAMPLE
    for i in range(n_used if n_used < n else 2):
        j = i + <int64_t>(((mix(key + <uint64_t>i) >> 32) * <uint64_t>(n - i)) >> 32)
        label = labels[i]
        labels[i] = labels[j]
        labels[j] = label
    n_left = n_first * n_used // n
    if n_left < 1:
        n_left = 1
    add_vector(x, labels[0], sums, 0)
    add_vector(x, labels[1], sums, 1)
    first_norm = second_norm = 1
    for _ in range(_MOST_STEPS):
        for i in range(n_used):
            two_products(x, labels[i], sums, &a, &b)
            scores[i] = <float>(a / first_norm - b / second_norm)
        put_largest_first(scores, labels, n_used, n_left)
        clear_sums(x, labels, n_used, sums)
        first_square = second_square = 0
        for i in range(n_used):
            if i < n_left:
                first_square += add_vector(x, labels[i], sums, 0)
            else:
                second_square += add_vector(x, labels[i], sums, 1)
        first_norm = sqrt(first_square) if first_square > 1e-30 else 1
        second_norm = sqrt(second_square) if second_square > 1e-30 else 1
        # The mean cosine of a label and its side.
        quality = (first_norm + second_norm) / n_used
        if quality <= best * (1 + 1e-3):
            break
        best = quality
    if n_used < n or n_left != n_first:
        for i in range(n):
            two_products(x, labels[i], sums, &a, &b)
            scores[i] = <float>(a / first_norm - b / second_norm)
        put_largest_first(scores, labels, n, n_first)
        # Of labels beyond the sample nothing is in the sums.
    clear_sums(x, labels, n, sums)


cdef inline void split(
    const Vectors* x, int32_t* labels, const int64_t* bounds, int64_t low, int64_t high,
    float* sums, float* scores, uint64_t seed,
) noexcept nogil:
    # The labels from bounds[low] to bounds[high] into high - low parts.
    cdef int64_t middle
    if high - low < 2:
        return
    middle = (low + high) // 2
    bisect(
        x, labels + bounds[low], bounds[high] - bounds[low], bounds[middle] - bounds[low],
        sums, scores, mix(seed + <uint64_t>low * 0x9E3779B97F4A7C15u + <uint64_t>high))
    split(x, labels, bounds, low, middle, sums, scores, seed)
    split(x, labels, bounds, middle, high, sums, scores, seed)
